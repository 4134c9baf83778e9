#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod framer;
mod jitter;
mod receive_buffer;
mod remix;
mod resampler;
mod stretch;

pub use framer::TenMsFramer;
pub use receive_buffer::{Playout, ReceiveBuffer, ReceiveStats};
pub use remix::remix;
pub use resampler::Resampler;

/// Lowest sample rate in Hz.
pub const MIN_SAMPLE_RATE: u32 = 8_000;
/// Highest sample rate in Hz.
pub const MAX_SAMPLE_RATE: u32 = 192_000;
/// Greatest number of channels.
pub const MAX_CHANNELS: u16 = 8;

/// A format that audio cannot have here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AudioFormatError {
    /// Sample rate out of range.
    #[error("expected a sample rate from 8000 to 192000 Hz, got {0}")]
    SampleRate(u32),
    /// Channel count out of range.
    #[error("expected 1 to 8 channels, got {0}")]
    Channels(u16),
}

/// Checks a sample rate (Hz) and a channel count.
///
/// # Errors
/// [`AudioFormatError`] naming what is out of range.
pub fn check_format(sample_rate: u32, channels: u16) -> Result<(), AudioFormatError> {
    if !(MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&sample_rate) {
        return Err(AudioFormatError::SampleRate(sample_rate));
    }
    if channels == 0 || channels > MAX_CHANNELS {
        return Err(AudioFormatError::Channels(channels));
    }
    Ok(())
}
