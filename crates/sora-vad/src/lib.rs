#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod activation;
mod cepstrum;
#[cfg(feature = "earshot")]
mod earshot;
mod error;
mod features;
mod fft;
mod input;
mod math;
mod pitch;
mod resampler;
mod residual;
mod rnn;
mod rnn_vad;
mod spectrum;
#[cfg(feature = "webrtc-vad")]
mod webrtc;
mod weights;

#[cfg(feature = "earshot")]
pub use earshot::EarshotVad;
pub use error::VadError;
pub use rnn_vad::RnnVad;
#[cfg(feature = "webrtc-vad")]
pub use webrtc::{WebRtcMode, WebRtcVad};

/// Lowest accepted sample rate in Hz.
pub const MIN_SAMPLE_RATE: u32 = 4_000;
/// Highest accepted sample rate in Hz.
pub const MAX_SAMPLE_RATE: u32 = 384_000;
/// Most channels accepted.
pub const MAX_CHANNELS: usize = 256;
