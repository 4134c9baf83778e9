use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sora_codec::{CodecError, CodecRegistry, I420Buffer, ScalabilityMode, VideoCodecType};
use sora_rtp::EncodedFrame;

use crate::VideoFrame;
use crate::adaptation::{Adaptation, DegradationPreference, Observation, QualityLimitation};
use crate::allocation::{Limits, allocate};
use crate::outgoing::Outgoing;
use crate::queue::{Popped, Queue};
use crate::scale::Scaler;
use crate::track::{Attachment, Consumer, Track};
use crate::transform::Transformer;
use crate::video_layer::{Encoded, Layer, VideoLayerConfig, VideoLayerStats};

/// Pictures the frame rate is measured over.
const RATE_WINDOW: usize = 15;

/// How pictures are encoded.
#[derive(Debug, Clone)]
pub struct VideoSenderConfig {
    /// The codec.
    pub codec: VideoCodecType,
    /// Bits per second not to exceed, all layers together; `None` for what the picture size deserves.
    pub max_bitrate_bps: Option<u64>,
    /// Bandwidth to start from, in bits per second.
    pub start_bitrate_bps: u64,
    /// Threads an encoder may use.
    pub threads: u32,
    /// 10 bits per sample, for VP9 profile 2.
    pub high_bit_depth: bool,
    /// Tuned for text and user interfaces.
    pub screen_content: bool,
    /// The streams to encode, lowest first: one, or simulcast layers. None at all counts as the default one.
    pub layers: Vec<VideoLayerConfig>,
    /// What gives way when there is not enough time or bandwidth.
    pub degradation_preference: DegradationPreference,
    /// Sees the encoded pictures. Pictures have no spatial layers then.
    pub transformer: Option<Transformer>,
    /// The streams' payload type, for the transformer.
    pub payload_type: u8,
    /// The streams' synchronisation sources, for the transformer.
    pub ssrcs: Vec<u32>,
}

impl VideoSenderConfig {
    /// One stream of the source as it is, on one thread, from 1 Mbit/s.
    #[must_use]
    pub fn new(codec: VideoCodecType) -> Self {
        Self {
            codec,
            max_bitrate_bps: None,
            start_bitrate_bps: 1_000_000,
            threads: 1,
            high_bit_depth: false,
            screen_content: false,
            layers: Vec::new(),
            degradation_preference: DegradationPreference::default(),
            transformer: None,
            payload_type: 0,
            ssrcs: Vec::new(),
        }
    }
}

/// Counters of a [`VideoSender`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VideoSenderStats {
    /// Pictures replaced by a newer one before they were encoded.
    pub frames_dropped: u64,
    /// Measured frames per second of the source.
    pub frames_per_second: f64,
    /// Pictures of the source.
    pub source_frames: u64,
    /// Width and height of the last of them.
    pub source_size: (u32, u32),
    /// Name of the encoder.
    pub encoder: String,
    /// Why pictures are smaller or fewer than they came.
    pub limitation: QualityLimitation,
    /// Each stream's own, lowest first.
    pub layers: Vec<VideoLayerStats>,
}

struct Shared {
    /// The newest picture only: one that waits is out of date.
    queue: Queue<VideoFrame>,
    /// A bit per layer that is to begin anew.
    key_frames: AtomicU64,
    bandwidth_bps: AtomicU64,
    rids: Vec<Option<Arc<str>>>,
    stats: Mutex<VideoSenderStats>,
}

impl Consumer for Shared {
    fn video(&self, frame: &VideoFrame) {
        self.queue.push(frame.clone());
    }
}

/// Encodes a track's pictures on a thread of its own, in one stream or in simulcast layers. Pictures that come faster
/// than they can be encoded replace each other; the caller of the source never waits.
pub struct VideoSender {
    shared: Arc<Shared>,
    outgoing: Arc<Outgoing>,
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
    /// be sent on: the next one of its layer is a key frame then.
    ///
    /// # Errors
    /// [`CodecError`] if there is no encoder for the codec or no thread for it.
    pub fn start(
        track: &Track,
        registry: &CodecRegistry,
        config: &VideoSenderConfig,
        output: impl FnMut(EncodedFrame) -> bool + Send + 'static,
    ) -> Result<Self, CodecError> {
        let wanted = if config.layers.is_empty() { vec![VideoLayerConfig::default()] } else { config.layers.clone() };
        let layers = wanted.into_iter().map(|mut layer| {
            if config.transformer.is_some() {
                // The program may change the length of a picture, and only the encoder knows those of its layers.
                layer.scalability = ScalabilityMode::temporal(layer.scalability.temporal_layers);
            }
            Layer::new(registry, config, layer)
        });
        let layers = layers.collect::<Result<Vec<Layer>, CodecError>>()?;
        let stats = VideoSenderStats { encoder: encoder_name(&layers), ..VideoSenderStats::default() };
        let shared = Arc::new(Shared {
            queue: Queue::new(1),
            key_frames: AtomicU64::new(0),
            bandwidth_bps: AtomicU64::new(config.start_bitrate_bps),
            rids: layers.iter().map(|layer| layer.config.rid.clone()).collect(),
            stats: Mutex::new(stats),
        });
        let ssrcs = config.ssrcs.iter().copied().chain(std::iter::repeat(0));
        let outgoing = Outgoing::new(
            config.codec,
            config.payload_type,
            shared.rids.iter().cloned().zip(ssrcs),
            config.transformer.clone(),
            Box::new(output),
        );
        let worker = Worker {
            shared: shared.clone(),
            counters: layers.iter().map(|layer| counters_of(&layer.config)).collect(),
            layers,
            scaler: Scaler::default(),
            adaptation: Adaptation::new(config.degradation_preference),
            max_bitrate_bps: config.max_bitrate_bps,
            first_timestamp_us: None,
            rtp_base: rand::random(),
            recent: Vec::new(),
            outgoing: outgoing.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("sora-encode".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| CodecError::Argument(format!("no thread for the encoder: {error}")))?;
        let attachment = track.attach(shared.clone());
        Ok(Self { shared, outgoing, thread: Some(thread), attachment: Some(attachment) })
    }

    /// Tells the bandwidth at hand, in bits per second.
    pub fn set_bandwidth(&self, bits_per_second: u64) {
        self.shared.bandwidth_bps.store(bits_per_second, Ordering::Relaxed);
    }

    /// Makes the next picture a key frame: of one layer, or of all if none is named.
    pub fn request_key_frame(&self, rid: Option<&str>) {
        let bits = self.shared.rids.iter().enumerate().filter(|(_, own)| rid.is_none() || own.as_deref() == rid);
        let bits = bits.fold(0, |bits, (index, _)| bits | 1 << (index % 64));
        self.shared.key_frames.fetch_or(bits, Ordering::Relaxed);
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> VideoSenderStats {
        let mut stats = self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stats.frames_dropped = self.shared.queue.dropped();
        stats.source_frames += stats.frames_dropped;
        for (index, layer) in stats.layers.iter_mut().enumerate() {
            layer.frames_sent = self.outgoing.sent(index);
        }
        stats
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

/// One name, or all of them as libwebrtc puts it.
fn encoder_name(layers: &[Layer]) -> String {
    let names: Vec<&str> = layers.iter().map(Layer::encoder_name).collect();
    match names.as_slice() {
        [name] => (*name).to_owned(),
        names => format!("SimulcastEncoderAdapter ({})", names.join(", ")),
    }
}

fn counters_of(config: &VideoLayerConfig) -> VideoLayerStats {
    VideoLayerStats { rid: config.rid.clone(), scalability: config.scalability, ..VideoLayerStats::default() }
}

struct Worker {
    shared: Arc<Shared>,
    layers: Vec<Layer>,
    counters: Vec<VideoLayerStats>,
    scaler: Scaler,
    adaptation: Adaptation,
    max_bitrate_bps: Option<u64>,
    first_timestamp_us: Option<i64>,
    rtp_base: u32,
    /// When the last pictures were taken, by our clock: the program's times need not mean anything.
    recent: Vec<Instant>,
    outgoing: Arc<Outgoing>,
}

impl Worker {
    fn run(mut self) {
        while let Popped::Item(frame) = self.shared.queue.pop(None) {
            self.picture(&frame);
        }
    }

    fn picture(&mut self, frame: &VideoFrame) {
        let interval = self.interval(Instant::now());
        {
            let mut stats = self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
            stats.source_frames += 1;
            stats.source_size = (frame.width(), frame.height());
        }
        if !self.adaptation.wants_picture() {
            return;
        }
        let started = Instant::now();
        let frame_rate = self.frame_rate();
        let sizes = self.share_bandwidth(frame, self.adaptation.frame_rate(frame_rate));
        self.pass_on_requests();
        for (index, picture) in self.scaled_pictures(frame, &sizes) {
            self.encode(index, &picture, frame.timestamp_us);
        }
        let (sent, scarce_bps) = self.scarcity(frame.width(), frame.height());
        let encoding = started.elapsed();
        let (width, height) = sent;
        self.adaptation.observe(&Observation { interval, encoding, scarce_bps, width, height, frame_rate });
    }

    /// The size of what is sent of pictures of a size, and its bit rate if that is less than the size deserves. Of
    /// several layers the higher ones wait instead: making all of them smaller would help nobody.
    fn scarcity(&self, width: u32, height: u32) -> ((u32, u32), Option<u64>) {
        let [layer] = &self.layers[..] else { return ((width, height), None) };
        let size = layer.config.size(width, height);
        let deserved = Limits::of_stream(size.0, size.1, None, None).max;
        (size, layer.target().filter(|target| *target < deserved))
    }

    /// The pictures of the layers to encode, lowest first: it is the quickest, and what new receivers begin with. Each
    /// one is made from the one above it.
    fn scaled_pictures(&mut self, frame: &VideoFrame, sizes: &[(u32, u32)]) -> Vec<(usize, Arc<I420Buffer>)> {
        let mut pictures: Vec<(usize, Arc<I420Buffer>)> = Vec::with_capacity(self.layers.len());
        for index in (0..self.layers.len()).rev() {
            if !self.layers[index].wants_picture(frame.timestamp_us) {
                continue;
            }
            let above = pictures.last().map(|(_, picture)| picture);
            match self.scaled(frame, above, sizes[index]) {
                Ok(picture) => pictures.push((index, picture)),
                Err(error) => tracing::warn!(%error, "picture not sent"),
            }
        }
        pictures.reverse();
        pictures
    }

    /// The frame itself if it has the size, else the picture of the layer above or the frame made smaller.
    fn scaled(
        &mut self,
        frame: &VideoFrame,
        above: Option<&Arc<I420Buffer>>,
        (width, height): (u32, u32),
    ) -> Result<Arc<I420Buffer>, CodecError> {
        let larger = above.filter(|above| above.width() >= width && above.height() >= height).unwrap_or(&frame.buffer);
        if (larger.width(), larger.height()) == (width, height) {
            return Ok(larger.clone());
        }
        self.scaler.scale(larger, width, height).map(Arc::new)
    }

    fn encode(&mut self, index: usize, picture: &I420Buffer, timestamp_us: i64) {
        let layer = &mut self.layers[index];
        if self.outgoing.take_key_frame_wish(index) {
            layer.request_key_frame();
        }
        let Some(encoded) = layer.encode(picture, timestamp_us) else { return };
        let first = *self.first_timestamp_us.get_or_insert(timestamp_us);
        let ticks = (i128::from(timestamp_us.wrapping_sub(first)) * 9 / 100) as u32;
        self.count(index, &encoded);
        self.outgoing.send(index, encoded.picture, self.rtp_base.wrapping_add(ticks));
    }

    /// Before the picture goes out, so that whoever has received it finds it counted.
    fn count(&mut self, index: usize, encoded: &Encoded) {
        let counters = &mut self.counters[index];
        counters.frames_encoded += 1;
        counters.key_frames_encoded += u64::from(encoded.picture.key_frame);
        counters.total_encode_time += encoded.took.as_secs_f64();
        (counters.width, counters.height) = (encoded.picture.width, encoded.picture.height);
        let frames_per_second = f64::from(self.frame_rate());
        let mut stats = self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.layers.clone_from(&self.counters);
        stats.frames_per_second = frames_per_second;
        stats.limitation = self.adaptation.limitation();
    }

    fn pass_on_requests(&mut self) {
        let bits = self.shared.key_frames.swap(0, Ordering::Relaxed);
        for (index, layer) in self.layers.iter_mut().enumerate() {
            if bits & 1 << (index % 64) != 0 {
                layer.request_key_frame();
            }
        }
    }

    /// Tells each layer its rates. Returns the layers' sizes.
    fn share_bandwidth(&mut self, frame: &VideoFrame, frame_rate: u32) -> Vec<(u32, u32)> {
        let (width, height) = self.adaptation.size(frame.width(), frame.height());
        let sizes: Vec<_> = self.layers.iter().map(|layer| layer.config.size(width, height)).collect();
        let only = self.layers.len() == 1;
        let active: Vec<usize> = (0..self.layers.len()).filter(|index| self.layers[*index].config.active).collect();
        let limits: Vec<_> = active.iter().map(|index| self.layers[*index].limits(sizes[*index], only)).collect();
        let bandwidth = self.shared.bandwidth_bps.load(Ordering::Relaxed);
        let bandwidth = self.max_bitrate_bps.map_or(bandwidth, |most| bandwidth.min(most));
        let sent: Vec<_> = active.iter().map(|index| self.layers[*index].target().is_some()).collect();
        let shares = allocate(bandwidth, &limits, &sent);
        let mut rates = vec![None; self.layers.len()];
        active.iter().zip(shares).for_each(|(index, share)| rates[*index] = share);
        for ((layer, counters), rate) in self.layers.iter_mut().zip(&mut self.counters).zip(rates) {
            layer.set_rates(rate, frame_rate);
            counters.active = rate.is_some();
            counters.target_bitrate_bps = rate.unwrap_or(0);
        }
        sizes
    }

    /// Time since the last picture of the source.
    fn interval(&mut self, now: Instant) -> Duration {
        let last = self.recent.last().copied();
        if self.recent.len() == RATE_WINDOW {
            self.recent.remove(0);
        }
        self.recent.push(now);
        last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last))
    }

    fn frame_rate(&self) -> u32 {
        match (self.recent.first(), self.recent.last()) {
            (Some(first), Some(last)) if self.recent.len() >= 5 && last > first => {
                let seconds = (*last - *first).as_secs_f64();
                ((self.recent.len() - 1) as f64 / seconds).round().clamp(1.0, 240.0) as u32
            }
            _ => 30,
        }
    }
}
