#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod annexb;
mod assembler;
mod av1;
mod codec;
pub mod dependency_descriptor;
mod h264;
mod h265;
mod opus;
mod packet;
mod packetizer;
mod picture;
mod sequence;
mod superframe;
mod vp8;
mod vp9;

pub use assembler::{AssembledFrame, AssemblerEvent, AssemblerLimits, AssemblerStats, FrameAssembler};
pub use codec::VideoCodecType;
pub use h264::is_h264_key_frame;
pub use h265::is_h265_key_frame;
pub use opus::{OpusPacketError, opus_packet_samples, packetize_opus};
pub use packet::{EncodedFrame, RtpPacket};
pub use packetizer::{DEFAULT_MAX_PAYLOAD, VideoPacketizer};
pub use picture::{PictureInfo, SpatialLayer, TemporalLayer};
pub use sequence::{SequenceUnwrapper, is_newer, is_newer_timestamp};
pub use vp8::Vp8Descriptor;
pub use vp9::{Vp9Descriptor, Vp9GroupPicture};

/// A payload that does not follow its payload format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The payload ends inside its descriptor.
    #[error("{codec} payload descriptor needs at least {needed} bytes, the payload has {actual}")]
    Truncated {
        /// Which payload format was being read.
        codec: VideoCodecType,
        /// Bytes that the descriptor asks for.
        needed: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// A unit that the payload format does not have in this mode.
    #[error("{codec} payload with a unit of type {unit}, which this mode does not have")]
    UnknownUnit {
        /// Which payload format was being read.
        codec: VideoCodecType,
        /// The type.
        unit: u8,
    },
    /// A flexible-mode VP9 descriptor lists more references than RFC 9628 allows.
    #[error("VP9 descriptor lists more than 3 reference pictures")]
    TooManyReferences,
}
