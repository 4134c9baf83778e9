use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_codec::{BufferPool, CodecError, CodecRegistry, VideoCodecType, VideoDecoder};
use sora_rtp::{AssembledFrame, AssemblerEvent, AssemblerLimits, FrameAssembler, RtpPacket};

use crate::VideoFrame;
use crate::outgoing::mime_type;
use crate::queue::{Popped, Queue};
use crate::track::Track;
use crate::transform::{
    FrameDirection, FrameMetadata, FrameStream, TransformableFrame, Transformer, VideoFrameMetadata, Way,
};

/// Half a second of a large video.
const PACKET_QUEUE: usize = 512;
/// The peer's encoder needs a moment to answer a request before it makes sense to repeat it.
const REQUEST_INTERVAL: Duration = Duration::from_millis(200);

/// Counters of a [`VideoReceiver`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct VideoReceiverStats {
    /// Whole pictures put together.
    pub frames_received: u64,
    /// Pictures decoded.
    pub frames_decoded: u64,
    /// Of these, key frames.
    pub key_frames_decoded: u64,
    /// Pictures that could not be decoded or were not wanted.
    pub frames_dropped: u64,
    /// Packets dropped because the decoder did not keep up.
    pub packets_dropped: u64,
    /// Seconds spent decoding.
    pub total_decode_time: f64,
    /// Width of the last picture.
    pub width: u32,
    /// Height of the last picture.
    pub height: u32,
    /// Pictures decoded in the last second.
    pub frames_per_second: u32,
    /// Seconds between pictures, all together.
    pub total_inter_frame_delay: f64,
    /// The squares of these.
    pub total_squared_inter_frame_delay: f64,
    /// Name of the decoder.
    pub decoder: &'static str,
}

enum Input {
    Packet(RtpPacket),
    /// A picture that the program has forwarded.
    Transformed(Numbered),
}

/// A picture with its number among those that were put together, so that one that does not come back is missed.
struct Numbered {
    number: u64,
    payload_type: u8,
    frame: AssembledFrame,
}

/// The way of a picture that was received.
struct Receiving {
    shared: Weak<Shared>,
    picture: Numbered,
}

impl Way for Receiving {
    fn forward(self: Box<Self>, data: Bytes, timestamp: u32) {
        let Some(shared) = self.shared.upgrade() else { return };
        let frame = AssembledFrame { data, timestamp, ..self.picture.frame };
        shared.push(Input::Transformed(Numbered { frame, ..self.picture }));
    }
}

struct Shared {
    queue: Queue<Input>,
    overflowed: AtomicBool,
    wanted: AtomicBool,
    packets_dropped: AtomicU64,
    stats: Mutex<VideoReceiverStats>,
    /// When the pictures of the last second were decoded.
    recent: Mutex<VecDeque<Instant>>,
    request_key_frame: Box<dyn Fn() + Send + Sync>,
}

impl Shared {
    /// The pictures of the last second.
    fn recent(&self, now: Instant) -> std::sync::MutexGuard<'_, VecDeque<Instant>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // The last one stays, to tell how long ago it was.
        while recent.len() > 1 && now - recent[0] > Duration::from_secs(1) {
            recent.pop_front();
        }
        recent
    }

    /// Notes that a picture was decoded; the seconds since the one before.
    fn decoded(&self, now: Instant) -> f64 {
        let mut recent = self.recent(now);
        let delay = recent.back().map_or(0.0, |last| (now - *last).as_secs_f64());
        recent.push_back(now);
        delay
    }

    fn push(&self, input: Input) {
        if self.queue.push(input) {
            self.packets_dropped.fetch_add(1, Ordering::Relaxed);
            self.overflowed.store(true, Ordering::Relaxed);
        }
    }
}

/// Turns a received track's packets into pictures, on a thread of its own, while somebody wants them.
pub struct VideoReceiver {
    shared: Arc<Shared>,
    track: Track,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for VideoReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoReceiver").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl VideoReceiver {
    /// Starts. `codecs` maps payload types to codecs; `request_key_frame` asks the sender for one and must not block.
    ///
    /// # Errors
    /// [`CodecError`] if no thread can be started.
    pub fn start(
        track: &Track,
        registry: Arc<CodecRegistry>,
        codecs: HashMap<u8, VideoCodecType>,
        request_key_frame: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, CodecError> {
        let shared = Arc::new(Shared {
            queue: Queue::new(PACKET_QUEUE),
            overflowed: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            packets_dropped: AtomicU64::new(0),
            stats: Mutex::new(VideoReceiverStats::default()),
            recent: Mutex::default(),
            request_key_frame: Box::new(request_key_frame),
        });
        let worker = Worker {
            shared: shared.clone(),
            track: track.clone(),
            registry,
            codecs,
            current: None,
            black: BufferPool::default(),
            asked: None,
            first_timestamp: None,
            assembled: 0,
            newest_key: 0,
            decoded: 0,
            broken: true,
        };
        let thread = std::thread::Builder::new()
            .name("sora-decode".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| CodecError::Argument(format!("no thread for the decoder: {error}")))?;
        let weak = Arc::downgrade(&shared);
        track.watch_first_consumer(Some(Box::new(move || {
            if let Some(shared) = weak.upgrade() {
                shared.wanted.store(true, Ordering::Relaxed);
                (shared.request_key_frame)();
            }
        })));
        if track.has_consumers() {
            shared.wanted.store(true, Ordering::Relaxed);
        }
        Ok(Self { shared, track: track.clone(), thread: Some(thread) })
    }

    /// Takes a packet. Never blocks: if the decoder does not keep up, the oldest packets go and a key frame is asked
    /// for.
    pub fn push(&self, packet: RtpPacket) {
        self.shared.push(Input::Packet(packet));
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> VideoReceiverStats {
        let stats = *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_recent = |at: &&Instant| now.saturating_duration_since(**at) <= Duration::from_secs(1);
        let frames_per_second = self.shared.recent(now).iter().filter(is_recent).count() as u32;
        VideoReceiverStats {
            frames_per_second,
            packets_dropped: self.shared.packets_dropped.load(Ordering::Relaxed),
            ..stats
        }
    }
}

impl Drop for VideoReceiver {
    fn drop(&mut self) {
        self.track.watch_first_consumer(None);
        self.shared.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // At most the picture being decoded is waited for.
            let _ = thread.join();
        }
    }
}

struct Current {
    payload_type: u8,
    ssrc: u32,
    assembler: FrameAssembler,
    decoder: Option<Box<dyn VideoDecoder>>,
    codec: VideoCodecType,
}

struct Worker {
    shared: Arc<Shared>,
    track: Track,
    registry: Arc<CodecRegistry>,
    codecs: HashMap<u8, VideoCodecType>,
    current: Option<Current>,
    black: BufferPool,
    asked: Option<Instant>,
    first_timestamp: Option<u32>,
    /// Pictures put together so far.
    assembled: u64,
    /// The number of the last key frame of these.
    newest_key: u64,
    /// The number of the last picture that was given to the decoder.
    decoded: u64,
    /// Only a key frame can follow it.
    broken: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            let deadline = self.current.as_ref().and_then(|current| current.assembler.next_timeout());
            match self.shared.queue.pop(deadline) {
                Popped::Item(Input::Packet(packet)) => self.take(packet),
                Popped::Item(Input::Transformed(picture)) => self.decode_next(&picture),
                Popped::TimedOut => {
                    if let Some(current) = &mut self.current {
                        current.assembler.handle_timeout(Instant::now());
                    }
                }
                Popped::Closed => return,
            }
            self.drain();
        }
    }

    fn take(&mut self, packet: RtpPacket) {
        let (payload_type, ssrc) = (packet.payload_type, packet.ssrc);
        if self.current.as_ref().is_none_or(|current| current.payload_type != payload_type) {
            let Some(codec) = self.codecs.get(&payload_type).copied() else { return };
            let assembler = FrameAssembler::new(codec, AssemblerLimits::default());
            self.broken = true;
            self.current = Some(Current { payload_type, ssrc, assembler, decoder: None, codec });
        }
        let Some(current) = &mut self.current else { return };
        current.ssrc = ssrc;
        if self.shared.overflowed.swap(false, Ordering::Relaxed) {
            current.assembler.reset_to_key_frame(packet.arrival);
        }
        current.assembler.push(packet);
    }

    fn drain(&mut self) {
        while let Some(event) = self.current.as_mut().and_then(|current| current.assembler.poll()) {
            match event {
                AssemblerEvent::Frame(frame) => self.assembled(frame),
                AssemblerEvent::KeyFrameNeeded => self.ask(),
            }
        }
    }

    fn assembled(&mut self, frame: AssembledFrame) {
        self.stats(|stats| stats.frames_received += 1);
        let Some(payload_type) = self.current.as_ref().map(|current| current.payload_type) else { return };
        self.assembled += 1;
        if frame.key_frame {
            self.newest_key = self.assembled;
        }
        let picture = Numbered { number: self.assembled, payload_type, frame };
        match self.track.transformer() {
            None => self.decode_next(&picture),
            Some(transformer) => self.transform(&transformer, picture),
        }
    }

    fn transform(&self, transformer: &Transformer, picture: Numbered) {
        let Some(Current { codec, payload_type, ssrc, .. }) = &self.current else { return };
        let stream = FrameStream { ssrc: *ssrc, payload_type: *payload_type, mime_type: mime_type(*codec) };
        let frame = &picture.frame;
        let metadata = VideoFrameMetadata { key_frame: frame.key_frame, ..VideoFrameMetadata::default() };
        transformer.0.transform(TransformableFrame::new(
            (frame.data.clone(), frame.timestamp),
            (stream, FrameDirection::Receiver),
            FrameMetadata::Video(metadata),
            Receiving { shared: Arc::downgrade(&self.shared), picture },
        ));
    }

    /// Decodes a picture if it is the next one, or if decoding can begin with it.
    fn decode_next(&mut self, picture: &Numbered) {
        let current = self.current.as_ref().map(|current| current.payload_type);
        if picture.number <= self.decoded || current != Some(picture.payload_type) {
            // Newer ones have gone before it, or it is of another codec.
            return self.stats(|stats| stats.frames_dropped += 1);
        }
        let follows = !self.broken && picture.number == self.decoded + 1;
        if !follows && !picture.frame.key_frame {
            self.broken = true;
            self.stats(|stats| stats.frames_dropped += 1);
            // What a program does not forward for good needs no key frames; nor does what one follows already.
            if self.newest_key < picture.number {
                self.ask();
            }
            return;
        }
        self.broken = false;
        self.decoded = picture.number;
        self.decode(&picture.frame);
    }

    fn ask(&mut self) {
        let now = Instant::now();
        let recently = self.asked.is_some_and(|at| now - at < REQUEST_INTERVAL);
        if !recently && (self.track.has_consumers() || self.track.transformer().is_some()) {
            self.asked = Some(now);
            (self.shared.request_key_frame)();
        }
    }

    fn stats(&self, change: impl FnOnce(&mut VideoReceiverStats)) {
        change(&mut self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn decode(&mut self, frame: &AssembledFrame) {
        if !self.track.has_consumers() {
            // Nobody looks: the decoder starts again at a key frame when somebody does.
            if let Some(current) = &mut self.current {
                current.decoder = None;
            }
            self.stats(|stats| stats.frames_dropped += 1);
            return;
        }
        let Some(current) = &mut self.current else { return };
        if current.decoder.is_none() {
            if !frame.key_frame {
                self.stats(|stats| stats.frames_dropped += 1);
                return self.ask();
            }
            match self.registry.decoder(current.codec, 2) {
                Ok(decoder) => current.decoder = Some(decoder),
                Err(error) => {
                    tracing::warn!(%error, "track not decoded");
                    return;
                }
            }
        }
        let Some(decoder) = &mut current.decoder else { return };
        let started = Instant::now();
        let decoded = decoder.decode(&frame.data);
        let (name, took) = (decoder.name(), started.elapsed().as_secs_f64());
        let picture = match decoded {
            Ok(Some(picture)) => picture,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "picture not decoded");
                current.assembler.reset_to_key_frame(Instant::now());
                self.broken = true;
                self.stats(|stats| stats.frames_dropped += 1);
                return self.ask();
            }
        };
        let delay = self.shared.decoded(Instant::now());
        self.stats(|stats| {
            stats.total_inter_frame_delay += delay;
            stats.total_squared_inter_frame_delay += delay * delay;
            stats.frames_decoded += 1;
            stats.key_frames_decoded += u64::from(frame.key_frame);
            stats.total_decode_time += took;
            (stats.width, stats.height) = (picture.width(), picture.height());
            stats.decoder = name;
        });
        let first = *self.first_timestamp.get_or_insert(frame.timestamp);
        let timestamp_us = i64::from(frame.timestamp.wrapping_sub(first)) * 100 / 9;
        let picture = if self.track.enabled() {
            picture
        } else {
            match self.black.take(picture.width(), picture.height()) {
                Ok(mut black) => {
                    black.fill_black();
                    black
                }
                Err(_) => return,
            }
        };
        self.track.deliver_video(&VideoFrame { buffer: picture.into(), timestamp_us });
    }
}
