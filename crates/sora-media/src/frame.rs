use std::sync::Arc;

use sora_codec::I420Buffer;

use crate::colour;
use crate::track::TrackKind;

/// A picture on its way from a source or a decoder to whoever wants it. Cloning shares the pixels.
#[derive(Debug, Clone)]
pub struct VideoFrame {
    pub(crate) buffer: Arc<I420Buffer>,
    /// Capture time in microseconds; the clock is the source's.
    pub timestamp_us: i64,
}

impl VideoFrame {
    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.buffer.width()
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.buffer.height()
    }

    /// Writes the picture as rows of B, G, R bytes without gaps (BT.601 limited range).
    ///
    /// # Errors
    /// [`CaptureError::Length`] if `bgr` does not hold width x height x 3 bytes.
    pub fn write_bgr(&self, bgr: &mut [u8]) -> Result<(), CaptureError> {
        colour::to_bgr(&self.buffer, bgr)
    }
}

/// 10 ms of sound. Cloning shares the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFrame {
    /// Interleaved samples.
    pub samples: Arc<[i16]>,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: usize,
    /// Wall-clock capture time in milliseconds, if the sender told it.
    pub absolute_capture_timestamp_ms: Option<i64>,
}

impl AudioFrame {
    /// Samples per channel.
    #[must_use]
    pub fn samples_per_channel(&self) -> usize {
        self.samples.len() / self.channels.max(1)
    }
}

/// Why a captured picture or block of samples cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The memory does not fit the shape.
    #[error("expected {expected} bytes for a {width}x{height} BGR picture, got {actual}")]
    Length {
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        actual: usize,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The picture is too large.
    #[error(transparent)]
    Size(#[from] sora_codec::CodecError),
    /// Samples for another number of channels.
    #[error("expected samples of {expected} channels, got {actual}")]
    Channels {
        /// Channels of the source.
        expected: usize,
        /// Channels given.
        actual: usize,
    },
}

/// Why a sink cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// A video sink on an audio track or the other way round.
    #[error("expected a track of {expected}, got one of {actual}")]
    Kind {
        /// What the sink is for.
        expected: TrackKind,
        /// What the track carries.
        actual: TrackKind,
    },
    /// The output frequency is out of range.
    #[error("expected an output frequency of -1 or from 4000 to 384000 Hz, got {0}")]
    Frequency(i64),
    /// The output channel count is out of range.
    #[error("expected 0 to 8 output channels, got {0}")]
    Channels(i64),
    /// No thread could be started.
    #[error("a thread could not be started: {0}")]
    Thread(String),
}
