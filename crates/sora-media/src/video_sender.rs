use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sora_codec::{CodecError, CodecRegistry, EncodedPicture, VideoCodecType, VideoEncoder, VideoEncoderConfig};
use sora_rtp::{DEFAULT_MAX_PAYLOAD, EncodedFrame, PictureInfo, VideoPacketizer};

use crate::VideoFrame;
use crate::queue::{Popped, Queue};
use crate::track::{Attachment, Consumer, Track};

/// Key frames asked for more often than this are one key frame.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(100);
/// Pictures the frame rate is measured over.
const RATE_WINDOW: usize = 15;

/// How pictures are encoded.
#[derive(Debug, Clone, Copy)]
pub struct VideoSenderConfig {
    /// The codec.
    pub codec: VideoCodecType,
    /// Bits per second not to exceed; `None` for what the picture size deserves.
    pub max_bitrate_bps: Option<u64>,
    /// Bandwidth to start from, in bits per second.
    pub start_bitrate_bps: u64,
    /// Threads the encoder may use.
    pub threads: u32,
}

/// Counters of a [`VideoSender`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct VideoSenderStats {
    /// Pictures encoded.
    pub frames_encoded: u64,
    /// Of these, key frames.
    pub key_frames_encoded: u64,
    /// Pictures replaced by a newer one before they were encoded.
    pub frames_dropped: u64,
    /// Seconds spent encoding.
    pub total_encode_time: f64,
    /// Width of the last picture.
    pub width: u32,
    /// Height of the last picture.
    pub height: u32,
    /// Measured frames per second.
    pub frames_per_second: f64,
    /// Bits per second the encoder aims at.
    pub target_bitrate_bps: u64,
    /// Name of the encoder.
    pub encoder: &'static str,
}

struct Shared {
    /// The newest picture only: one that waits is out of date.
    queue: Queue<VideoFrame>,
    key_frame: AtomicBool,
    bandwidth_bps: AtomicU64,
    stats: Mutex<VideoSenderStats>,
}

impl Consumer for Shared {
    fn video(&self, frame: &VideoFrame) {
        self.queue.push(frame.clone());
    }
}

/// Encodes a track's pictures on a thread of its own. Pictures that come faster than they can be encoded replace each
/// other; the caller of the source never waits.
pub struct VideoSender {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    attachment: Option<Attachment>,
}

impl std::fmt::Debug for VideoSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoSender").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl VideoSender {
    /// Starts encoding what the track carries. `output` takes each encoded picture and returns false if it could not
    /// be sent on: the next one is a key frame then.
    ///
    /// # Errors
    /// [`CodecError`] if there is no encoder for the codec or no thread for it.
    pub fn start(
        track: &Track,
        registry: &CodecRegistry,
        config: VideoSenderConfig,
        output: impl FnMut(EncodedFrame) -> bool + Send + 'static,
    ) -> Result<Self, CodecError> {
        let encoder_config = VideoEncoderConfig {
            bitrate_bps: config.start_bitrate_bps,
            threads: config.threads,
            ..VideoEncoderConfig::default()
        };
        let encoder = registry.encoder(config.codec, encoder_config)?;
        let packetizer = VideoPacketizer::new(config.codec, DEFAULT_MAX_PAYLOAD);
        let stats = VideoSenderStats { encoder: encoder.name(), ..VideoSenderStats::default() };
        let shared = Arc::new(Shared {
            queue: Queue::new(1),
            key_frame: AtomicBool::new(true),
            bandwidth_bps: AtomicU64::new(config.start_bitrate_bps),
            stats: Mutex::new(stats),
        });
        let worker = Worker {
            shared: shared.clone(),
            encoder,
            packetizer,
            max_bitrate_bps: config.max_bitrate_bps,
            first_timestamp_us: None,
            rtp_base: rand::random(),
            recent: Vec::new(),
            rates: (0, 0),
            last_key_frame: None,
            output: Box::new(output),
        };
        let thread = std::thread::Builder::new()
            .name("sora-encode".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| CodecError::Argument(format!("no thread for the encoder: {error}")))?;
        let attachment = track.attach(shared.clone());
        Ok(Self { shared, thread: Some(thread), attachment: Some(attachment) })
    }

    /// Tells the bandwidth at hand, in bits per second.
    pub fn set_bandwidth(&self, bits_per_second: u64) {
        self.shared.bandwidth_bps.store(bits_per_second, Ordering::Relaxed);
    }

    /// Makes the next picture a key frame.
    pub fn request_key_frame(&self) {
        self.shared.key_frame.store(true, Ordering::Relaxed);
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> VideoSenderStats {
        let stats = *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        VideoSenderStats { frames_dropped: self.shared.queue.dropped(), ..stats }
    }
}

impl Drop for VideoSender {
    fn drop(&mut self) {
        self.attachment = None;
        self.shared.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // At most the picture being encoded is waited for.
            let _ = thread.join();
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    encoder: Box<dyn VideoEncoder>,
    packetizer: VideoPacketizer,
    max_bitrate_bps: Option<u64>,
    first_timestamp_us: Option<i64>,
    rtp_base: u32,
    recent: Vec<i64>,
    rates: (u64, u32),
    last_key_frame: Option<Instant>,
    output: Box<dyn FnMut(EncodedFrame) -> bool + Send>,
}

/// What a picture size deserves at 30 frames per second: the reference's caps, in between by area.
fn deserved_bitrate(width: u32, height: u32) -> u64 {
    match u64::from(width) * u64::from(height) {
        pixels if pixels <= 320 * 240 => 600_000,
        pixels if pixels <= 640 * 480 => 1_700_000,
        pixels if pixels <= 960 * 540 => 2_000_000,
        pixels if pixels <= 1920 * 1080 => 2_500_000,
        _ => 5_000_000,
    }
}

impl Worker {
    fn run(mut self) {
        while let Popped::Item(frame) = self.shared.queue.pop(None) {
            self.encode(&frame);
        }
    }

    fn encode(&mut self, frame: &VideoFrame) {
        let started = Instant::now();
        self.update_rates(frame);
        let key_frame = self.key_frame_due(started);
        let encoded = match self.encoder.encode(&frame.buffer, key_frame) {
            Ok(Some(encoded)) => encoded,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "picture not sent");
                return;
            }
        };
        if encoded.key_frame {
            self.last_key_frame = Some(started);
        }
        self.count(&encoded, started.elapsed());
        let first = *self.first_timestamp_us.get_or_insert(frame.timestamp_us);
        let elapsed = frame.timestamp_us.wrapping_sub(first);
        let ticks = (i128::from(elapsed) * 9 / 100) as u32;
        let picture = PictureInfo {
            key_frame: encoded.key_frame,
            width: encoded.width as u16,
            height: encoded.height as u16,
            ..PictureInfo::default()
        };
        let payloads = self.packetizer.packetize(&encoded.data, &picture);
        if payloads.is_empty() {
            tracing::warn!(codec = %self.packetizer.codec(), "picture not sent: it cannot be packetized");
            self.shared.key_frame.store(true, Ordering::Relaxed);
            return;
        }
        let sent = (self.output)(EncodedFrame {
            timestamp: self.rtp_base.wrapping_add(ticks),
            payloads,
            key_frame: encoded.key_frame,
            marker: true,
        });
        if !sent {
            self.shared.key_frame.store(true, Ordering::Relaxed);
        }
    }

    /// Before the picture goes out, so that whoever has received it finds it counted.
    fn count(&self, encoded: &EncodedPicture, took: Duration) {
        let mut stats = self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.frames_encoded += 1;
        stats.key_frames_encoded += u64::from(encoded.key_frame);
        stats.total_encode_time += took.as_secs_f64();
        (stats.width, stats.height) = (encoded.width, encoded.height);
        stats.target_bitrate_bps = self.rates.0;
        stats.frames_per_second = f64::from(self.rates.1);
    }

    fn key_frame_due(&self, now: Instant) -> bool {
        let recent = self.last_key_frame.is_some_and(|at| now - at < KEY_FRAME_INTERVAL);
        // A request that comes too soon after a key frame stays and is served when the interval is over.
        !recent && self.shared.key_frame.swap(false, Ordering::Relaxed)
    }

    fn update_rates(&mut self, frame: &VideoFrame) {
        if self.recent.len() == RATE_WINDOW {
            self.recent.remove(0);
        }
        self.recent.push(frame.timestamp_us);
        let frame_rate = match (self.recent.first(), self.recent.last()) {
            (Some(first), Some(last)) if self.recent.len() >= 5 && last > first => {
                let seconds = (last - first) as f64 / 1e6;
                ((self.recent.len() - 1) as f64 / seconds).round().clamp(1.0, 240.0) as u32
            }
            _ => 30,
        };
        let cap = self.max_bitrate_bps.unwrap_or_else(|| deserved_bitrate(frame.width(), frame.height()));
        let rates = (self.shared.bandwidth_bps.load(Ordering::Relaxed).clamp(30_000, cap.max(30_000)), frame_rate);
        if rates != self.rates {
            self.rates = rates;
            if let Err(error) = self.encoder.set_rates(rates.0, rates.1) {
                tracing::warn!(%error, "bit rate not changed");
            }
        }
    }
}
