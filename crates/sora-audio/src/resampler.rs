use std::f64::consts::PI;
use std::sync::Arc;

/// Zero crossings on each side of the kernel's centre at the lower of the two rates.
const CROSSINGS: usize = 32;
/// Kaiser window shape: what folds back is at least 90 dB down.
const BETA: f64 = 9.0;
/// Where the pass band ends, as a share of the lower Nyquist frequency, so that the stop band begins at it.
const CUTOFF: f64 = 0.9;
/// Most phases that get a kernel each; pairs of rates that need more interpolate between [`PHASES`].
const MAX_PHASES: u64 = 1024;
/// Kernels to interpolate between: the error is below -100 dB.
const PHASES: usize = 512;
/// Sums kept side by side, for the processor to add at once.
const LANES: usize = 8;

/// Streaming sample rate converter: a windowed sinc kernel at exact rational positions, so that the rate is exact for
/// any pair of rates and any chunking. 10 ms in are 10 ms out. The delay is 32 samples of the lower rate; what does not
/// fit below the lower Nyquist frequency is at least 90 dB down; the response is -1 dB at 0.87 of it.
#[derive(Debug, Clone)]
pub struct Resampler {
    from: u64,
    to: u64,
    kernel: Kernel,
    /// Input not yet consumed of each channel, with what the kernel still reaches back to in front.
    history: Vec<Vec<f32>>,
    /// Position of the next output frame in the history, in units of `1 / to` input frames.
    position: u64,
}

impl Resampler {
    /// A converter for interleaved samples. Rates and channels must not be zero; zero counts as one.
    #[must_use]
    pub fn new(from: u32, to: u32, channels: usize) -> Self {
        let (from, to) = (u64::from(from.max(1)), u64::from(to.max(1)));
        let divisor = gcd(from, to);
        let (from, to) = (from / divisor, to / divisor);
        let kernel = if from == to { Kernel::default() } else { Kernel::new(from, to) };
        let history = vec![vec![0.0; kernel.taps.saturating_sub(1)]; channels.max(1)];
        Self { from, to, kernel, history, position: 0 }
    }

    /// Converts a chunk of interleaved samples; returns what can be computed so far.
    pub fn process(&mut self, input: &[i16]) -> Vec<i16> {
        if self.from == self.to {
            return input.to_vec();
        }
        let channels = self.history.len();
        for (channel, history) in self.history.iter_mut().enumerate() {
            history.extend(input.iter().skip(channel).step_by(channels).map(|sample| f32::from(*sample)));
        }
        let frames = self.history.iter().map(Vec::len).min().unwrap_or(0);
        let expected = (frames as u64 * self.to / self.from) as usize + 1;
        let mut out = Vec::with_capacity(expected * channels);
        loop {
            let whole = (self.position / self.to) as usize;
            if whole + self.kernel.taps > frames {
                break;
            }
            for history in &self.history {
                let window = &history[whole..whole + self.kernel.taps];
                let sum = self.kernel.apply(self.position % self.to, self.to, window);
                out.push(sum.round().clamp(-32_768.0, 32_767.0) as i16);
            }
            self.position += self.from;
        }
        let consumed = ((self.position / self.to) as usize).min(frames);
        self.history.iter_mut().for_each(|history| drop(history.drain(..consumed)));
        self.position -= consumed as u64 * self.to;
        out
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Rows of `taps` weights, row p for outputs p / `phases` of an input sample after an input sample.
#[derive(Debug, Clone, Default)]
struct Kernel {
    rows: Arc<[f32]>,
    taps: usize,
    /// True if there is a row for each position there can be.
    exact: bool,
}

impl Kernel {
    fn new(from: u64, to: u64) -> Self {
        let ratio = (to as f64 / from as f64).min(1.0);
        let half = (CROSSINGS as f64 / ratio).ceil() as usize;
        let exact = to <= MAX_PHASES;
        let phases = if exact { to as usize } else { PHASES };
        let taps = half * 2;
        let cutoff = ratio * CUTOFF;
        let mut rows = Vec::with_capacity((phases + 1) * taps);
        for phase in 0..=phases {
            let row: Vec<f64> = (0..taps)
                .map(|tap| weight(tap as f64 - (half as f64 - 1.0) - phase as f64 / phases as f64, half as f64, cutoff))
                .collect();
            // Unity gain at every phase.
            let gain: f64 = row.iter().sum();
            rows.extend(row.iter().map(|weight| (weight / gain) as f32));
        }
        Self { rows: rows.into(), taps, exact }
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.taps..(index + 1) * self.taps]
    }

    /// The output at `position` / `to` of an input sample into the window.
    fn apply(&self, position: u64, to: u64, window: &[f32]) -> f32 {
        if self.exact {
            return dot(self.row(position as usize), window);
        }
        let scaled = position as f64 * PHASES as f64 / to as f64;
        let phase = (scaled as usize).min(PHASES - 1);
        let (near, far) = (dot(self.row(phase), window), dot(self.row(phase + 1), window));
        near + (far - near) * (scaled - phase as f64) as f32
    }
}

fn dot(weights: &[f32], window: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (weights, weights_left) = weights.as_chunks::<LANES>();
    let (window, window_left) = window.as_chunks::<LANES>();
    for (weights, samples) in weights.iter().zip(window) {
        for lane in 0..LANES {
            lanes[lane] += weights[lane] * samples[lane];
        }
    }
    let rest: f32 = weights_left.iter().zip(window_left).map(|(weight, sample)| weight * sample).sum();
    lanes.iter().sum::<f32>() + rest
}

/// A Kaiser-windowed sinc, `x` samples from its centre.
fn weight(x: f64, half: f64, cutoff: f64) -> f64 {
    let sinc = if x == 0.0 { 1.0 } else { (PI * x * cutoff).sin() / (PI * x * cutoff) };
    let edge = (x / half).clamp(-1.0, 1.0);
    sinc * bessel(BETA * (1.0 - edge * edge).sqrt()) / bessel(BETA)
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
        for rate in [8000_u32, 11_025, 12_345, 16_000, 22_050, 24_000, 32_000, 44_100, 47_999, 96_000, 192_000] {
            let input = sine(rate, 997.0, 1.0);
            let mut resampler = Resampler::new(rate, 48_000, 1);
            let out: Vec<i16> = input.chunks(333).flat_map(|chunk| resampler.process(chunk)).collect();
            assert_eq!(out.len(), 48_000, "{rate}");
            // The input's own rounding to 16 bits is at 80 dB for this amplitude.
            let quality = snr(&out[4800..43_200], 48_000, 997.0);
            assert!(quality > 76.0, "{rate}: {quality:.1} dB");
        }
    }

    #[test]
    fn ten_milliseconds_in_are_ten_milliseconds_out() {
        for (from, to) in [(48_000_u32, 44_100_u32), (48_000, 8000), (8000, 48_000), (44_100, 16_000), (22_100, 48_000)]
        {
            let mut resampler = Resampler::new(from, to, 2);
            for _ in 0..100 {
                assert_eq!(resampler.process(&vec![0; from as usize / 50]).len(), to as usize / 50, "{from} to {to}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_below_the_new_nyquist_frequency_is_90_db_down() {
        for (from, to) in
            [(48_000_u32, 24_000_u32), (48_000, 16_000), (48_000, 8000), (48_000, 44_100), (44_100, 16_000)]
        {
            for above in [1.0, 1.02, 1.1, 1.3] {
                let frequency = f64::from(to) / 2.0 * above;
                if frequency >= f64::from(from) / 2.0 {
                    continue;
                }
                // In full scale, as floating point: the rounding of the result would hide what is measured.
                let kernel = Resampler::new(from, to, 1);
                let input: Vec<f32> = (0..from as usize / 4)
                    .map(|i| (2.0 * PI * frequency * i as f64 / f64::from(from)).cos() as f32)
                    .collect();
                let step = kernel.from as f64 / kernel.to as f64;
                let count = ((input.len() - kernel.kernel.taps) as f64 / step) as u64;
                let energy: f64 = (0..count)
                    .map(|index| {
                        let position = index * kernel.from;
                        let whole = (position / kernel.to) as usize;
                        let window = &input[whole..whole + kernel.kernel.taps];
                        f64::from(kernel.kernel.apply(position % kernel.to, kernel.to, window)).powi(2)
                    })
                    .sum();
                let level = 10.0 * (2.0 * energy / count as f64).log10();
                assert!(level < -90.0, "LV {from} to {to}: {frequency:.0} Hz comes out at {level:.1} dB");
            }
        }
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
