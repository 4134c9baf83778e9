use std::f64::consts::PI;
use std::sync::Arc;

/// Zero crossings on each side of the kernel's centre at the lower of the two rates.
const CROSSINGS: usize = 16;
/// Kernel positions between two input samples; in between it is interpolated, to an error below -90 dB.
const PHASES: usize = 512;
/// Kaiser window shape: about 90 dB of stop band.
const BETA: f64 = 9.0;

/// Streaming sample rate converter: a windowed sinc kernel at exact rational positions, so that the rate is exact for
/// any pair of rates and any chunking. Delay is 16 samples of the lower rate.
#[derive(Debug, Clone)]
pub struct Resampler {
    from: u64,
    to: u64,
    channels: usize,
    kernel: Arc<[f32]>,
    taps: usize,
    /// Input not yet consumed, interleaved, with the kernel's history in front.
    history: Vec<f32>,
    /// Position of the next output frame in the history, in units of `1 / to` input frames.
    position: u64,
}

impl Resampler {
    /// A converter for interleaved samples. Rates and channels must not be zero; zero counts as one.
    #[must_use]
    pub fn new(from: u32, to: u32, channels: usize) -> Self {
        let (from, to, channels) = (u64::from(from.max(1)), u64::from(to.max(1)), channels.max(1));
        let divisor = gcd(from, to);
        let (from, to) = (from / divisor, to / divisor);
        // Below the lower Nyquist frequency, with room for the transition band.
        let cutoff = (to as f64 / from as f64).min(1.0);
        let half = (CROSSINGS as f64 / cutoff).ceil() as usize;
        let taps = half * 2;
        let kernel = if from == to { Arc::default() } else { kernel(taps, cutoff * 0.94) };
        Self { from, to, channels, kernel, taps, history: vec![0.0; (half - 1) * channels], position: 0 }
    }

    /// Converts a chunk of interleaved samples; returns what can be computed so far.
    pub fn process(&mut self, input: &[i16]) -> Vec<i16> {
        if self.from == self.to {
            return input.to_vec();
        }
        self.history.extend(input.iter().map(|sample| f32::from(*sample)));
        let frames = self.history.len() / self.channels;
        let expected = (frames as u64 * self.to / self.from) as usize + 1;
        let mut out = Vec::with_capacity(expected * self.channels);
        loop {
            let whole = (self.position / self.to) as usize;
            if whole + self.taps > frames {
                break;
            }
            // Where between two kernel phases this output frame falls.
            let scaled = (self.position % self.to) as f32 * PHASES as f32 / self.to as f32;
            let phase = (scaled as usize).min(PHASES - 1);
            let fraction = scaled - phase as f32;
            let near = &self.kernel[phase * self.taps..(phase + 1) * self.taps];
            let far = &self.kernel[(phase + 1) * self.taps..(phase + 2) * self.taps];
            let window = &self.history[whole * self.channels..(whole + self.taps) * self.channels];
            for channel in 0..self.channels {
                let mut sum = 0.0;
                for tap in 0..self.taps {
                    let weight = near[tap] + (far[tap] - near[tap]) * fraction;
                    sum += window[tap * self.channels + channel] * weight;
                }
                out.push(sum.round().clamp(-32_768.0, 32_767.0) as i16);
            }
            self.position += self.from;
        }
        let consumed = ((self.position / self.to) as usize).min(frames);
        self.history.drain(..consumed * self.channels);
        self.position -= consumed as u64 * self.to;
        out
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// `PHASES + 1` rows of taps; row p holds the kernel shifted by p / PHASES of an input sample.
fn kernel(taps: usize, cutoff: f64) -> Arc<[f32]> {
    let half = taps as f64 / 2.0;
    let mut rows = Vec::with_capacity((PHASES + 1) * taps);
    for phase in 0..=PHASES {
        let shift = phase as f64 / PHASES as f64;
        let row: Vec<f64> = (0..taps)
            .map(|tap| {
                let x = tap as f64 - (half - 1.0) - shift;
                let sinc = if x == 0.0 { 1.0 } else { (PI * x * cutoff).sin() / (PI * x * cutoff) };
                let edge = (x / half).clamp(-1.0, 1.0);
                sinc * bessel(BETA * (1.0 - edge * edge).sqrt()) / bessel(BETA)
            })
            .collect();
        // Unity gain at every phase.
        let gain: f64 = row.iter().sum();
        rows.extend(row.iter().map(|weight| (weight / gain) as f32));
    }
    rows.into()
}

/// Modified Bessel function of the first kind, order zero.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate: u32, frequency: f64, seconds: f64) -> Vec<i16> {
        let count = (f64::from(rate) * seconds) as usize;
        (0..count).map(|i| ((2.0 * PI * frequency * i as f64 / f64::from(rate)).sin() * 10_000.0) as i16).collect()
    }

    /// Signal to noise and distortion of a sine, by least squares against sine and cosine.
    fn snr(samples: &[i16], rate: u32, frequency: f64) -> f64 {
        let w = 2.0 * PI * frequency / f64::from(rate);
        let (mut s, mut c) = (0.0, 0.0);
        for (i, sample) in samples.iter().enumerate() {
            s += f64::from(*sample) * (w * i as f64).sin();
            c += f64::from(*sample) * (w * i as f64).cos();
        }
        let n = samples.len() as f64;
        let (s, c) = (s * 2.0 / n, c * 2.0 / n);
        let signal: f64 = (s * s + c * c) / 2.0;
        let noise: f64 = samples
            .iter()
            .enumerate()
            .map(|(i, sample)| (f64::from(*sample) - s * (w * i as f64).sin() - c * (w * i as f64).cos()).powi(2))
            .sum::<f64>()
            / n;
        10.0 * (signal / noise).log10()
    }

    #[test]
    fn any_rate_becomes_48_khz_in_any_chunks_with_pitch_and_quality_kept() {
        for rate in [8000_u32, 11_025, 12_345, 16_000, 22_050, 24_000, 32_000, 44_100, 96_000, 192_000] {
            let input = sine(rate, 997.0, 1.0);
            let mut resampler = Resampler::new(rate, 48_000, 1);
            let out: Vec<i16> = input.chunks(333).flat_map(|chunk| resampler.process(chunk)).collect();
            let missing = 48_000 - out.len() as i64;
            assert!((0..300).contains(&missing), "{rate}: {} samples", out.len());
            let quality = snr(&out[4800..43_200], 48_000, 997.0);
            assert!(quality > 60.0, "{rate}: {quality:.1} dB");
        }
    }

    #[test]
    fn what_does_not_fit_below_the_new_nyquist_frequency_is_removed() {
        let mut resampler = Resampler::new(48_000, 16_000, 1);
        let out = resampler.process(&sine(48_000, 11_000.0, 0.5));
        let peak = out[500..].iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
        assert!(peak < 3, "alias of amplitude {peak}");
    }

    #[test]
    fn channels_do_not_mix() {
        let mono = sine(44_100, 500.0, 0.2);
        let stereo: Vec<i16> = mono.iter().flat_map(|s| [*s, 0]).collect();
        let out = Resampler::new(44_100, 48_000, 2).process(&stereo);
        assert!(out.chunks(2).all(|frame| frame[1] == 0));
        assert!(out.iter().any(|s| *s > 9000));
    }
}
