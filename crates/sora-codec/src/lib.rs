#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod buffer;
mod error;
mod opus;
mod registry;
mod video;
mod vpx;

pub use buffer::{BufferPool, I420Buffer};
pub use error::{CodecError, MAX_PIXELS};
pub use opus::{OpusDecoder, OpusEncoder, OpusParameters};
pub use registry::{Capability, CodecRegistry, Tier};
pub use sora_rtp::VideoCodecType;
pub use video::{EncodedPicture, VideoDecoder, VideoEncoder, VideoEncoderConfig};
