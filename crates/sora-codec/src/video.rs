use bytes::Bytes;

use sora_rtp::{SpatialLayer, TemporalLayer};

use crate::{CodecError, I420Buffer, ScalabilityMode};

/// What a video encoder is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoEncoderConfig {
    /// Bits per second to aim at.
    pub bitrate_bps: u64,
    /// Frames per second to expect.
    pub frame_rate: u32,
    /// Threads the encoder may use.
    pub threads: u32,
    /// Tuned for text and user interfaces.
    pub screen_content: bool,
    /// Each frame decodable after the loss of others (at a cost in bits).
    pub error_resilient: bool,
    /// 10 bits per sample (VP9 profile 2); other codecs do not have it.
    pub high_bit_depth: bool,
    /// Layers. Temporal ones are what every encoder makes; spatial ones VP9's alone, others make one.
    pub scalability: ScalabilityMode,
}

impl Default for VideoEncoderConfig {
    fn default() -> Self {
        Self {
            bitrate_bps: 1_000_000,
            frame_rate: 30,
            threads: 1,
            screen_content: false,
            error_resilient: false,
            high_bit_depth: false,
            scalability: ScalabilityMode::default(),
        }
    }
}

/// One encoded picture.
#[derive(Debug, Clone)]
pub struct EncodedPicture {
    /// The bitstream.
    pub data: Bytes,
    /// True if it can be decoded without any earlier one.
    pub key_frame: bool,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its temporal layer, if the stream has several.
    pub temporal: Option<TemporalLayer>,
    /// Its spatial layers, lowest first, whose frames follow each other in `data`; empty for one layer.
    pub spatial: Vec<SpatialLayer>,
}

/// A real-time video encoder. Pictures may change size at any time; the first one of a new size is a key frame.
pub trait VideoEncoder: Send {
    /// Encodes one picture. `None` if the encoder chose to drop it.
    ///
    /// # Errors
    /// [`CodecError`] if the picture cannot be encoded; the encoder can be used on.
    fn encode(&mut self, picture: &I420Buffer, key_frame: bool) -> Result<Option<EncodedPicture>, CodecError>;

    /// Changes bit rate and frame rate without a key frame.
    ///
    /// # Errors
    /// [`CodecError`] if the library refuses.
    fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError>;

    /// Changes the layers. If that is a change, the next picture is a key frame.
    fn set_scalability(&mut self, scalability: ScalabilityMode);

    /// Name of the implementation, as in W3C statistics.
    fn name(&self) -> &'static str;
}

/// A video decoder.
pub trait VideoDecoder: Send {
    /// Decodes one picture. `None` if the bitstream shows nothing (a hidden frame).
    ///
    /// # Errors
    /// [`CodecError`] if the bitstream is broken or of an unsupported kind; ask for a key frame and go on.
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Buffer>, CodecError>;

    /// Name of the implementation, as in W3C statistics.
    fn name(&self) -> &'static str;
}
