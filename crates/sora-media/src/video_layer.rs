//! One encoded stream of a track: the only one, or a simulcast layer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sora_codec::{
    CodecError, CodecRegistry, EncodedPicture, I420Buffer, ScalabilityMode, VideoEncoder, VideoEncoderConfig,
};

use crate::VideoSenderConfig;
use crate::allocation::Limits;
use crate::pace::Pace;

/// Key frames asked for more often than this are one key frame.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(100);

/// How much smaller than the source a layer is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LayerScale {
    /// Each side divided by this number, at least 1 (W3C `scaleResolutionDownBy`).
    Divide(f64),
    /// At most this size, in the shape of the source (W3C `scaleResolutionDownTo`).
    Fit {
        /// Most pixels in a row.
        max_width: u32,
        /// Most rows.
        max_height: u32,
    },
}

/// One stream to encode (W3C `RTCRtpEncodingParameters`).
#[derive(Debug, Clone, PartialEq)]
pub struct VideoLayerConfig {
    /// Its name, if there are several.
    pub rid: Option<Arc<str>>,
    /// False: nothing is sent.
    pub active: bool,
    /// Bits per second not to exceed; `None` for what the picture size deserves.
    pub max_bitrate_bps: Option<u64>,
    /// Bits per second below which nothing is sent; `None` for what the picture size needs.
    pub min_bitrate_bps: Option<u64>,
    /// Frames per second not to exceed.
    pub max_frame_rate: Option<f64>,
    /// Its size.
    pub scale: LayerScale,
    /// Its temporal and spatial layers.
    pub scalability: ScalabilityMode,
}

impl Default for VideoLayerConfig {
    /// The source as it is, without a name.
    fn default() -> Self {
        Self {
            rid: None,
            active: true,
            max_bitrate_bps: None,
            min_bitrate_bps: None,
            max_frame_rate: None,
            scale: LayerScale::Divide(1.0),
            scalability: ScalabilityMode::default(),
        }
    }
}

impl VideoLayerConfig {
    /// The size of this layer of a picture.
    #[must_use]
    pub fn size(&self, width: u32, height: u32) -> (u32, u32) {
        let divisor = match self.scale {
            LayerScale::Divide(divisor) => divisor,
            LayerScale::Fit { max_width, max_height } => {
                let (max_width, max_height) = (f64::from(max_width.max(1)), f64::from(max_height.max(1)));
                (f64::from(width) / max_width).max(f64::from(height) / max_height)
            }
        };
        let divisor = if divisor.is_finite() { divisor.max(1.0) } else { 1.0 };
        let part = |side: u32| ((f64::from(side) / divisor) as u32).clamp(1, side.max(1));
        (part(width), part(height))
    }
}

/// Counters of one stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VideoLayerStats {
    /// Its name, if there are several.
    pub rid: Option<Arc<str>>,
    /// It is being sent.
    pub active: bool,
    /// Pictures encoded.
    pub frames_encoded: u64,
    /// Of these, those that went out.
    pub frames_sent: u64,
    /// Of these, key frames.
    pub key_frames_encoded: u64,
    /// Seconds spent encoding.
    pub total_encode_time: f64,
    /// Width of the last picture.
    pub width: u32,
    /// Height of the last picture.
    pub height: u32,
    /// Bits per second the encoder aims at.
    pub target_bitrate_bps: u64,
    /// Its temporal and spatial layers.
    pub scalability: ScalabilityMode,
}

pub(crate) struct Layer {
    pub(crate) config: VideoLayerConfig,
    encoder: Box<dyn VideoEncoder>,
    /// Bit rate and frame rate as the encoder was told last; no bit rate while the layer waits.
    rates: (Option<u64>, u32),
    key_frame_wanted: bool,
    last_key_frame: Option<Instant>,
    pace: Pace,
    /// The last picture could not be encoded, and the log says so.
    failing: bool,
}

/// What a layer made of a picture.
pub(crate) struct Encoded {
    pub(crate) picture: EncodedPicture,
    pub(crate) took: Duration,
}

impl Layer {
    pub(crate) fn new(
        registry: &CodecRegistry,
        config: &VideoSenderConfig,
        layer: VideoLayerConfig,
    ) -> Result<Self, CodecError> {
        let encoder_config = VideoEncoderConfig {
            bitrate_bps: config.start_bitrate_bps,
            threads: config.threads,
            high_bit_depth: config.high_bit_depth,
            screen_content: config.screen_content,
            scalability: layer.scalability,
            ..VideoEncoderConfig::default()
        };
        Ok(Self {
            encoder: registry.encoder(config.codec, encoder_config)?,
            pace: Pace::new(layer.max_frame_rate),
            config: layer,
            rates: (None, 0),
            key_frame_wanted: true,
            last_key_frame: None,
            failing: false,
        })
    }

    pub(crate) fn encoder_name(&self) -> &'static str {
        self.encoder.name()
    }

    pub(crate) fn limits(&self, size: (u32, u32), only: bool) -> Limits {
        let (min, max) = (self.config.min_bitrate_bps, self.config.max_bitrate_bps);
        if only { Limits::of_stream(size.0, size.1, min, max) } else { Limits::of_layer(size.0, size.1, min, max) }
    }

    pub(crate) fn request_key_frame(&mut self) {
        self.key_frame_wanted = true;
    }

    /// Takes the rates over; `None` makes the layer wait. It goes on with a key frame. An encoder that is told of more
    /// pictures than it gets makes each of them too small.
    pub(crate) fn set_rates(&mut self, bitrate_bps: Option<u64>, frame_rate: u32) {
        let most = self.config.max_frame_rate.map_or(u32::MAX, |most| (most.round() as u32).max(1));
        let frame_rate = frame_rate.min(most);
        let rates = (bitrate_bps.map(|rate| rate.max(30_000)), frame_rate);
        if rates == self.rates {
            return;
        }
        if self.rates.0.is_none() {
            self.key_frame_wanted = true;
        }
        self.rates = rates;
        if let Some(bitrate) = rates.0
            && let Err(error) = self.encoder.set_rates(bitrate, frame_rate)
        {
            tracing::warn!(%error, "bit rate not changed");
        }
    }

    pub(crate) fn target(&self) -> Option<u64> {
        self.rates.0
    }

    /// True if a picture of this time is to be encoded.
    pub(crate) fn wants_picture(&self, timestamp_us: i64) -> bool {
        self.rates.0.is_some() && self.pace.wants(timestamp_us)
    }

    pub(crate) fn encode(&mut self, picture: &I420Buffer, timestamp_us: i64) -> Option<Encoded> {
        let started = Instant::now();
        // A request that comes too soon after a key frame stays and is served when the interval is over.
        let recent = self.last_key_frame.is_some_and(|at| started - at < KEY_FRAME_INTERVAL);
        let key_frame = self.key_frame_wanted && !recent;
        match self.encoder.encode(picture, key_frame) {
            Ok(Some(picture)) => {
                if picture.key_frame {
                    self.key_frame_wanted = false;
                    self.last_key_frame = Some(started);
                }
                self.failing = false;
                self.pace.went(timestamp_us);
                Some(Encoded { picture, took: started.elapsed() })
            }
            // Left out to keep the rate.
            Ok(None) => None,
            Err(error) => {
                // What the encoder refers to next is not known: receivers must not refer to anything.
                self.key_frame_wanted = true;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "picture not sent");
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use bytes::Bytes;
    use sora_codec::BufferPool;

    use super::*;

    #[derive(Debug, PartialEq)]
    enum Told {
        Encode { key_frame: bool },
        Rates(u64, u32),
    }

    /// In place of an encoder: writes down what it is told, and fails when it should.
    #[derive(Default)]
    struct Notes {
        fails: bool,
        told: Vec<Told>,
    }

    struct Fake(Arc<Mutex<Notes>>);

    impl VideoEncoder for Fake {
        fn encode(&mut self, picture: &I420Buffer, key_frame: bool) -> Result<Option<EncodedPicture>, CodecError> {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.told.push(Told::Encode { key_frame });
            if state.fails {
                return Err(CodecError::Argument("as it should".into()));
            }
            let (data, width, height) = (Bytes::from_static(b"picture"), picture.width(), picture.height());
            Ok(Some(EncodedPicture { data, key_frame, width, height, temporal: None, spatial: Vec::new() }))
        }

        fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError> {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.told.push(Told::Rates(bitrate_bps, frame_rate));
            Ok(())
        }

        fn set_scalability(&mut self, _: ScalabilityMode) {}

        fn name(&self) -> &'static str {
            "fake"
        }
    }

    fn layer(config: VideoLayerConfig) -> (Layer, Arc<Mutex<Notes>>) {
        let state: Arc<Mutex<Notes>> = Arc::default();
        let layer = Layer {
            encoder: Box::new(Fake(state.clone())),
            pace: Pace::new(config.max_frame_rate),
            config,
            rates: (None, 0),
            key_frame_wanted: true,
            last_key_frame: None,
            failing: false,
        };
        (layer, state)
    }

    #[test]
    fn a_picture_that_failed_is_followed_by_a_key_frame() {
        let (mut layer, state) = layer(VideoLayerConfig::default());
        let picture = BufferPool::default().take(16, 16).expect("a buffer");
        assert!(layer.encode(&picture, 0).is_some());
        // So that the interval between key frames is over.
        layer.last_key_frame = None;
        state.lock().expect("a lock").fails = true;
        assert!(layer.encode(&picture, 33_333).is_none());
        state.lock().expect("a lock").fails = false;
        assert!(layer.encode(&picture, 66_666).is_some());
        let asked = [true, false, true].map(|key_frame| Told::Encode { key_frame });
        assert_eq!(state.lock().expect("a lock").told, asked);
    }

    #[test]
    fn the_encoder_is_told_of_the_pictures_it_gets() {
        let (mut layer, state) = layer(VideoLayerConfig { max_frame_rate: Some(9.6), ..VideoLayerConfig::default() });
        layer.set_rates(Some(500_000), 30);
        layer.set_rates(Some(500_000), 5);
        assert_eq!(state.lock().expect("a lock").told, [Told::Rates(500_000, 10), Told::Rates(500_000, 5)]);
    }

    #[test]
    fn layers_have_the_size_that_was_asked_for() {
        let sized = |scale| VideoLayerConfig { scale, ..VideoLayerConfig::default() }.size(1280, 720);
        assert_eq!(sized(LayerScale::Divide(1.0)), (1280, 720));
        assert_eq!(sized(LayerScale::Divide(4.0)), (320, 180));
        assert_eq!(sized(LayerScale::Divide(1.5)), (853, 480));
        assert_eq!(sized(LayerScale::Divide(0.0)), (1280, 720));
        assert_eq!(sized(LayerScale::Divide(f64::NAN)), (1280, 720));
        assert_eq!(sized(LayerScale::Divide(1e9)), (1, 1));
        assert_eq!(sized(LayerScale::Fit { max_width: 640, max_height: 640 }), (640, 360));
        assert_eq!(sized(LayerScale::Fit { max_width: 4000, max_height: 4000 }), (1280, 720));
        assert_eq!(sized(LayerScale::Fit { max_width: 0, max_height: 0 }), (1, 1));
    }
}
