//! One encoded stream of a track: the only one, or a simulcast layer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sora_codec::{
    CodecError, CodecRegistry, EncodedPicture, I420Buffer, ScalabilityMode, VideoEncoder, VideoEncoderConfig,
};
use sora_rtp::{DEFAULT_MAX_PAYLOAD, EncodedFrame, PictureInfo, VideoPacketizer};

use crate::VideoSenderConfig;
use crate::allocation::Limits;

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
    packetizer: VideoPacketizer,
    /// Bit rate and frame rate as the encoder was told last; no bit rate while the layer waits.
    rates: (Option<u64>, u32),
    key_frame_wanted: bool,
    last_key_frame: Option<Instant>,
    last_timestamp_us: Option<i64>,
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
            packetizer: VideoPacketizer::new(config.codec, DEFAULT_MAX_PAYLOAD),
            config: layer,
            rates: (None, 0),
            key_frame_wanted: true,
            last_key_frame: None,
            last_timestamp_us: None,
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

    /// Takes the rates over; `None` makes the layer wait. It goes on with a key frame.
    pub(crate) fn set_rates(&mut self, bitrate_bps: Option<u64>, frame_rate: u32) {
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
        let (Some(most), Some(last)) = (self.config.max_frame_rate, self.last_timestamp_us) else {
            return self.rates.0.is_some();
        };
        // A tenth earlier than due still counts: cameras are not exact.
        let due = timestamp_us.saturating_sub(last) as f64 * most.max(0.1) >= 900_000.0;
        self.rates.0.is_some() && due
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
                self.last_timestamp_us = Some(timestamp_us);
                Some(Encoded { picture, took: started.elapsed() })
            }
            // Left out to keep the rate.
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "picture not sent");
                None
            }
        }
    }

    pub(crate) fn packetize(&mut self, picture: &EncodedPicture, timestamp: u32) -> EncodedFrame {
        let info = PictureInfo {
            key_frame: picture.key_frame,
            width: picture.width as u16,
            height: picture.height as u16,
            temporal: picture.temporal,
            spatial: picture.spatial.clone(),
        };
        EncodedFrame {
            timestamp,
            payloads: self.packetizer.packetize(&picture.data, &info),
            key_frame: picture.key_frame,
            marker: true,
            rid: self.config.rid.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
