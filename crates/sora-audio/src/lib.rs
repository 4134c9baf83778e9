#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod framer;
mod receive_buffer;
mod remix;
mod resampler;
mod time_stretch;

pub use framer::{FormatError, Framer, MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};
pub use receive_buffer::{PacketDecoder, ReceiveBuffer, ReceiveStats};
pub use remix::remix;
pub use resampler::Resampler;
