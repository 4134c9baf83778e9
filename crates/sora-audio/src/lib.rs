#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod framer;
mod receive;
mod remix;
mod resampler;

pub use framer::{FormatError, Framer, MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};
pub use receive::{PacketDecoder, ReceiveBuffer, ReceiveStats};
pub use remix::remix;
pub use resampler::Resampler;
