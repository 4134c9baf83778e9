use crate::Resampler;

/// Lowest accepted sample rate in Hz.
pub const MIN_SAMPLE_RATE: u32 = 8_000;
/// Highest accepted sample rate in Hz.
pub const MAX_SAMPLE_RATE: u32 = 192_000;
/// Most channels accepted.
pub const MAX_CHANNELS: usize = 8;

/// A sample rate or channel count that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The rate is out of range.
    #[error("expected a sample rate from {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz, got {0}")]
    SampleRate(i64),
    /// The channel count is out of range.
    #[error("expected 1 to {MAX_CHANNELS} channels, got {0}")]
    Channels(i64),
}

/// Cuts chunks of any size into 10 ms frames. Rates that have no whole number of samples in 10 ms (11025 Hz) are
/// converted to 48 kHz first, so that nothing is lost and the pitch stays.
#[derive(Debug)]
pub struct Framer {
    rate: u32,
    channels: usize,
    resampler: Option<Resampler>,
    pending: Vec<i16>,
}

impl Framer {
    /// A framer for interleaved samples.
    ///
    /// # Errors
    /// [`FormatError`] if rate or channel count is out of range.
    pub fn new(rate: i64, channels: i64) -> Result<Self, FormatError> {
        let sample_rate = u32::try_from(rate).ok().filter(|r| (MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(r));
        let sample_rate = sample_rate.ok_or(FormatError::SampleRate(rate))?;
        let count = usize::try_from(channels).ok().filter(|c| (1..=MAX_CHANNELS).contains(c));
        let count = count.ok_or(FormatError::Channels(channels))?;
        let resampler = (!sample_rate.is_multiple_of(100)).then(|| Resampler::new(sample_rate, 48_000, count));
        let rate = if resampler.is_some() { 48_000 } else { sample_rate };
        Ok(Self { rate, channels: count, resampler, pending: Vec::new() })
    }

    /// Rate of the frames in Hz.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.rate
    }

    /// Channel count of the frames.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples per channel that wait for a frame to be whole.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len() / self.channels
    }

    /// Hands out what waits as one frame, filled up with silence.
    pub fn flush(&mut self, frame: impl FnOnce(&[i16])) {
        if !self.pending.is_empty() {
            self.pending.resize(self.rate as usize / 100 * self.channels, 0);
            frame(&self.pending);
            self.pending.clear();
        }
    }

    /// Takes a chunk in and hands out each 10 ms frame that is complete.
    pub fn push(&mut self, samples: &[i16], mut frame: impl FnMut(&[i16])) {
        match &mut self.resampler {
            Some(resampler) => self.pending.extend(resampler.process(samples)),
            None => self.pending.extend_from_slice(samples),
        }
        let size = self.rate as usize / 100 * self.channels;
        let whole = self.pending.len() / size * size;
        self.pending[..whole].chunks_exact(size).for_each(&mut frame);
        self.pending.drain(..whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_chunking_gives_the_same_frames() {
        let input: Vec<i16> = (0..4800).map(|i| i as i16).collect();
        for chunk in [1, 7, 333, 480, 4800] {
            let mut framer = Framer::new(48_000, 1).expect("a format");
            let mut frames = Vec::new();
            input.chunks(chunk).for_each(|c| framer.push(c, |frame| frames.push(frame.to_vec())));
            assert_eq!(frames.len(), 10);
            assert_eq!(frames.concat(), input);
        }
    }

    #[test]
    fn odd_rates_keep_all_their_time() {
        let mut framer = Framer::new(11_025, 3).expect("a format");
        let mut frames = 0;
        for _ in 0..1000 {
            framer.push(&[0; 333], |frame| {
                assert_eq!(frame.len(), 480 * 3);
                frames += 1;
            });
        }
        // 111,000 frames of 11,025 Hz are 10.068 s.
        assert!((1004..=1006).contains(&frames), "{frames}");
    }

    #[test]
    fn impossible_formats_are_errors() {
        assert_eq!(Framer::new(0, 1).err(), Some(FormatError::SampleRate(0)));
        assert_eq!(Framer::new(48_000, 0).err(), Some(FormatError::Channels(0)));
        assert_eq!(Framer::new(48_000, 9).err(), Some(FormatError::Channels(9)));
    }
}
