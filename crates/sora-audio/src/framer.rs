//! Any chunk of samples to frames of 10 ms.

use crate::{AudioFormatError, check_format};

/// Cuts interleaved samples into frames of 10 ms.
///
/// At rates that are no multiple of 100 Hz the frames alternate between two lengths (11 025 Hz: 110 and 111 samples),
/// so that no sample is lost and the rate stays exact.
#[derive(Debug, Clone)]
pub struct TenMsFramer {
    sample_rate: u32,
    channels: u16,
    pending: Vec<i16>,
    /// Frames cut in the current second (0 to 99).
    index: u32,
}

impl TenMsFramer {
    /// A framer for one format.
    ///
    /// # Errors
    /// [`AudioFormatError`] for rates outside 8 to 192 kHz and channel counts outside 1 to 8.
    pub fn new(sample_rate: u32, channels: u16) -> Result<Self, AudioFormatError> {
        check_format(sample_rate, channels)?;
        Ok(Self {
            sample_rate,
            channels,
            pending: Vec::new(),
            index: 0,
        })
    }

    /// Sample rate in Hz.
    #[must_use]
    pub const fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Channels per sample.
    #[must_use]
    pub const fn channels(&self) -> u16 {
        self.channels
    }

    /// Samples of all channels that wait for the rest of their frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes interleaved samples and hands every whole frame to `frame`.
    pub fn push(&mut self, mut samples: &[i16], mut frame: impl FnMut(&[i16])) {
        loop {
            let length = self.frame_length();
            if self.pending.is_empty() && samples.len() >= length {
                let (head, rest) = samples.split_at(length);
                frame(head);
                samples = rest;
            } else {
                let take = (length - self.pending.len()).min(samples.len());
                let (head, rest) = samples.split_at(take);
                self.pending.extend_from_slice(head);
                samples = rest;
                if self.pending.len() < length {
                    return;
                }
                frame(&self.pending);
                self.pending.clear();
            }
            self.index = (self.index + 1) % 100;
        }
    }

    fn frame_length(&self) -> usize {
        let edge = |index: u32| u64::from(index) * u64::from(self.sample_rate) / 100;
        (edge(self.index + 1) - edge(self.index)) as usize * usize::from(self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_any_size_become_frames_without_loss() {
        for (rate, channels) in [(48_000, 2), (11_025, 1), (12_345, 3), (8_000, 8)] {
            for chunk in [1, 7, 100, 441, 50_000] {
                let mut framer = TenMsFramer::new(rate, channels).expect("valid");
                let input: Vec<i16> = (0..rate as usize * usize::from(channels))
                    .map(|i| i as i16)
                    .collect();
                let (mut output, mut frames) = (Vec::new(), 0);
                for part in input.chunks(chunk) {
                    framer.push(part, |frame| {
                        frames += 1;
                        output.extend_from_slice(frame);
                    });
                }
                assert_eq!(frames, 100);
                assert_eq!(output, input);
                assert_eq!(framer.pending(), 0);
            }
        }
    }

    #[test]
    fn formats_out_of_range_are_typed_errors() {
        assert_eq!(
            TenMsFramer::new(0, 1).err(),
            Some(AudioFormatError::SampleRate(0))
        );
        assert_eq!(
            TenMsFramer::new(48_000, 9).err(),
            Some(AudioFormatError::Channels(9))
        );
    }
}
