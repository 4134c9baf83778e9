use crate::resampler::SincResampler;
use crate::{MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, VadError};

/// Makes one channel at one rate from frames of any format.
#[derive(Debug)]
pub(crate) struct Input {
    /// What came last, as rate and channels.
    format: (i64, i64),
    resampler: Option<SincResampler>,
    mixed: Vec<f32>,
    out: Vec<f32>,
}

impl Input {
    /// `size` samples are 10 ms of the rate that comes out.
    pub(crate) fn new(size: usize) -> Self {
        Self { format: (0, 0), resampler: None, mixed: Vec::new(), out: vec![0.0; size] }
    }

    /// Takes the first 10 ms of `samples`; gives 10 ms of one channel, in the scale of 16 bit samples.
    pub(crate) fn convert(&mut self, samples: &[i16], rate: i64, channels: i64) -> Result<&[f32], VadError> {
        let (size, count) = frame_size(rate, channels)?;
        let expected = size * count;
        let frame = samples.get(..expected).ok_or(VadError::TooShort { expected, got: samples.len() })?;
        if self.format != (rate, channels) {
            self.format = (rate, channels);
            self.resampler = (size != self.out.len()).then(|| SincResampler::new(size, self.out.len()));
        }
        downmix(frame, count, &mut self.mixed);
        let Some(resampler) = &mut self.resampler else { return Ok(&self.mixed) };
        resampler.process(&self.mixed, &mut self.out);
        Ok(&self.out)
    }
}

/// Samples per channel in 10 ms, and channels.
fn frame_size(rate: i64, channels: i64) -> Result<(usize, usize), VadError> {
    let known = (i64::from(MIN_SAMPLE_RATE)..=i64::from(MAX_SAMPLE_RATE)).contains(&rate);
    let size = usize::try_from(rate / 100).ok().filter(|_| known).ok_or(VadError::SampleRate(rate))?;
    let count = usize::try_from(channels).ok().filter(|count| (1..=MAX_CHANNELS).contains(count));
    Ok((size, count.ok_or(VadError::Channels(channels))?))
}

/// The mean of all channels in whole numbers, the fraction cut off.
fn downmix(frame: &[i16], channels: usize, mixed: &mut Vec<f32>) {
    mixed.clear();
    if channels == 1 {
        mixed.extend(frame.iter().map(|sample| f32::from(*sample)));
        return;
    }
    if let (2, pairs) = (channels, frame.as_chunks::<2>().0) {
        // A division by a number the compiler knows.
        mixed.extend(pairs.iter().map(|[left, right]| ((i32::from(*left) + i32::from(*right)) / 2) as f32));
        return;
    }
    let mean = |all: &[i16]| all.iter().map(|sample| i32::from(*sample)).sum::<i32>() / channels as i32;
    mixed.extend(frame.chunks_exact(channels).map(|all| mean(all) as f32));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_averaged_toward_zero() {
        let mut mixed = Vec::new();
        downmix(&[3, -4, -3, -4, 5, 0, i16::MIN, i16::MIN, i16::MAX, i16::MAX], 2, &mut mixed);
        assert_eq!(mixed, [0.0, -3.0, 2.0, -32_768.0, 32_767.0]);
        downmix(&[1, 1, 3, -1, -1, -3], 3, &mut mixed);
        assert_eq!(mixed, [1.0, -1.0]);
    }

    #[test]
    fn the_target_rate_passes_as_it_is_and_another_format_starts_the_resampler_anew() {
        let mut input = Input::new(240);
        let frame: Vec<i16> = (0..480).collect();
        let passed = input.convert(&frame, 24_000, 1).expect("a frame");
        assert!(passed.iter().zip(&frame).all(|(out, sample)| *out == f32::from(*sample)));
        let first = input.convert(&frame, 48_000, 1).expect("a frame").to_vec();
        assert_ne!(input.convert(&frame, 48_000, 1).expect("a frame"), first);
        input.convert(&frame, 24_000, 2).expect("a frame");
        assert_eq!(input.convert(&frame, 48_000, 1).expect("a frame"), first);
    }
}
