use std::sync::{Mutex, PoisonError};

use sora_audio::{FormatError, Framer};

use crate::track::{Track, TrackKind};
use crate::{AudioFrame, CaptureError};

/// Sound from the program. A [`Track`] carries it to senders and local sinks in frames of 10 ms.
#[derive(Debug)]
pub struct AudioSource {
    track: Track,
    channels: usize,
    framer: Mutex<Framer>,
}

impl AudioSource {
    /// A source for interleaved samples.
    ///
    /// # Errors
    /// [`FormatError`] if rate (8 to 192 kHz) or channel count (1 to 8) is out of range.
    pub fn new(channels: i64, sample_rate: i64) -> Result<Self, FormatError> {
        let framer = Framer::new(sample_rate, channels)?;
        Ok(Self { track: Track::local(TrackKind::Audio), channels: framer.channels(), framer: Mutex::new(framer) })
    }

    /// Its track.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// Channels it takes.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Takes any number of interleaved samples of `channels` channels. Whole frames of 10 ms go on at once, the rest
    /// waits for the next call: nothing is lost whatever the chunk size.
    ///
    /// # Errors
    /// [`CaptureError::Channels`] if the channel count is not the source's.
    pub fn push(&self, samples: &[i16], channels: usize, timestamp_ms: Option<i64>) -> Result<(), CaptureError> {
        if channels != self.channels {
            return Err(CaptureError::Channels { expected: self.channels, actual: channels });
        }
        let mut framer = self.framer.lock().unwrap_or_else(PoisonError::into_inner);
        let sample_rate = framer.sample_rate();
        let mut frames = Vec::new();
        framer.push(samples, |frame| frames.push(frame.into()));
        drop(framer);
        for (index, samples) in frames.into_iter().enumerate() {
            let samples: std::sync::Arc<[i16]> =
                if self.track.enabled() { samples } else { vec![0; samples.len()].into() };
            let timestamp_ms = timestamp_ms.map(|ms| ms + 10 * index as i64);
            self.track.deliver_audio(&AudioFrame {
                samples,
                sample_rate,
                channels: self.channels,
                absolute_capture_timestamp_ms: timestamp_ms,
            });
        }
        Ok(())
    }
}

impl Drop for AudioSource {
    fn drop(&mut self) {
        self.track.end();
    }
}
