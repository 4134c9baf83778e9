use crate::{MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};

/// A frame that cannot be analysed. The detector is left as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VadError {
    /// The rate is out of range.
    #[error("expected a sample rate from {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz, got {0}")]
    SampleRate(i64),
    /// The channel count is out of range.
    #[error("expected 1 to {MAX_CHANNELS} channels, got {0}")]
    Channels(i64),
    /// There are fewer samples than 10 ms have.
    #[error("expected at least {expected} samples, which are 10 ms of all channels, got {got}")]
    TooShort {
        /// Samples in 10 ms of all channels.
        expected: usize,
        /// Samples that were given.
        got: usize,
    },
}
