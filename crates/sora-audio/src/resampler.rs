//! Streaming sample rate conversion by a polyphase windowed sinc.

use std::f64::consts::PI;

use crate::{AudioFormatError, check_format};

/// Half length of the filter in samples of the lower rate.
const HALF: f64 = 32.0;
/// Kaiser window shape: alias below -90 dB.
const BETA: f64 = 9.0;
/// Pass band edge relative to the lower Nyquist frequency.
const CUTOFF: f64 = 0.92;
/// More phases than this are interpolated between neighbours instead of stored.
const MAX_PHASES: u64 = 1024;

/// Converts interleaved samples between any two rates, exact in the long run.
///
/// Output number `n` stands at input time `n * in / out`, counted in integers, so there is no drift whatever the rates.
/// A chunk of 10 ms gives exactly 10 ms when both rates are multiples of 100 Hz. The delay is 32 samples of the lower
/// rate (0.7 ms from 44.1 to 48 kHz, 4 ms from 8 kHz).
#[derive(Debug, Clone)]
pub struct Resampler {
    channels: usize,
    /// Reduced rates.
    up: u64,
    down: u64,
    taps: usize,
    /// `rows` filters of `taps` coefficients, newest sample last.
    table: Vec<f32>,
    interpolate: bool,
    /// One history per channel; the samples not yet passed by the window.
    history: Vec<Vec<f32>>,
    /// Index in the history of the first sample of the next window.
    position: usize,
    /// Position between two input samples, in units of 1/`up`.
    phase: u64,
}

impl Resampler {
    /// A converter from `input_rate` to `output_rate` (Hz).
    ///
    /// # Errors
    /// [`AudioFormatError`] for rates outside 8 to 192 kHz and channel counts outside 1 to 8.
    pub fn new(input_rate: u32, output_rate: u32, channels: u16) -> Result<Self, AudioFormatError> {
        check_format(input_rate, channels)?;
        check_format(output_rate, channels)?;
        let divisor = greatest_common_divisor(input_rate, output_rate);
        let (up, down) = (
            u64::from(output_rate / divisor),
            u64::from(input_rate / divisor),
        );
        let interpolate = up > MAX_PHASES;
        let (taps, table) = if up == down {
            (1, vec![1.0])
        } else {
            design(up, down, interpolate)
        };
        Ok(Self {
            channels: usize::from(channels),
            up,
            down,
            taps,
            table,
            interpolate,
            history: vec![vec![0.0; taps - 1]; usize::from(channels)],
            position: 0,
            phase: 0,
        })
    }

    /// Takes interleaved samples and appends the converted ones to `output`. An incomplete last sample is left out.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        if self.up == self.down {
            output.extend_from_slice(&input[..input.len() / self.channels * self.channels]);
            return;
        }
        for (channel, history) in self.history.iter_mut().enumerate() {
            let samples = input
                .chunks_exact(self.channels)
                .map(|sample| f32::from(sample[channel]));
            history.extend(samples);
        }
        let available = self.history[0].len();
        while self.position + self.taps <= available {
            let window = self.position..self.position + self.taps;
            if self.interpolate {
                let scaled = self.phase * MAX_PHASES;
                let (row, rest) = ((scaled / self.up) as usize, scaled % self.up);
                let share = rest as f32 / self.up as f32;
                let (first, second) = (self.row(row), self.row(row + 1));
                for history in &self.history {
                    let window = &history[window.clone()];
                    let (a, b) = (dot(window, first), dot(window, second));
                    output.push(to_i16(a + (b - a) * share));
                }
            } else {
                let row = self.row(self.phase as usize);
                for history in &self.history {
                    output.push(to_i16(dot(&history[window.clone()], row)));
                }
            }
            self.phase += self.down;
            self.position += (self.phase / self.up) as usize;
            self.phase %= self.up;
        }
        let passed = self.position.min(available);
        self.history
            .iter_mut()
            .for_each(|history| drop(history.drain(..passed)));
        self.position -= passed;
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.table[index * self.taps..][..self.taps]
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

fn to_i16(value: f32) -> i16 {
    value.round().clamp(-32_768.0, 32_767.0) as i16
}

/// Eight independent sums, so that the compiler may use vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a_parts, b_parts) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_parts
        .remainder()
        .iter()
        .zip(b_parts.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_parts.zip(b_parts) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn design(up: u64, down: u64, interpolate: bool) -> (usize, Vec<f32>) {
    let ratio = (up as f64 / down as f64).min(1.0);
    let half = HALF / ratio;
    // A multiple of eight suits `dot`; one more than the support so that every phase fits.
    let taps = ((2.0 * half).ceil() as usize + 1).next_multiple_of(8);
    let cutoff = CUTOFF * ratio;
    let bessel = bessel_i0(BETA);
    let center = taps as f64 / 2.0;
    let (phases, rows) = if interpolate {
        (MAX_PHASES, MAX_PHASES as usize + 1)
    } else {
        (up, up as usize)
    };
    let mut table = Vec::with_capacity(rows * taps);
    for row in 0..rows {
        let fraction = row as f64 / phases as f64;
        let start = table.len();
        let mut sum = 0.0;
        for tap in 0..taps {
            // Age of the sample at this tap at the moment of the output, newest last.
            let time = (taps - 1 - tap) as f64 + fraction - center;
            let edge = time / half;
            let value = if edge.abs() >= 1.0 {
                0.0
            } else {
                let window = bessel_i0(BETA * (1.0 - edge * edge).sqrt()) / bessel;
                let angle = PI * time * cutoff;
                let sinc = if angle.abs() < 1e-9 {
                    1.0
                } else {
                    angle.sin() / angle
                };
                cutoff * sinc * window
            };
            sum += value;
            table.push(value as f32);
        }
        // Every phase passes a constant unchanged.
        let scale = (1.0 / sum) as f32;
        table[start..].iter_mut().for_each(|value| *value *= scale);
    }
    (taps, table)
}

fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, frequency: f64, seconds: f64) -> Vec<i16> {
        (0..(f64::from(rate) * seconds) as usize)
            .map(|i| {
                (12_000.0 * (i as f64 * frequency * 2.0 * PI / f64::from(rate)).sin()).round()
                    as i16
            })
            .collect()
    }

    /// Signal to noise ratio in dB against the best-fitting sine of that frequency.
    fn purity(samples: &[i16], rate: u32, frequency: f64) -> f64 {
        let step = frequency * 2.0 * PI / f64::from(rate);
        let (mut s, mut c) = (0.0, 0.0);
        for (i, &x) in samples.iter().enumerate() {
            s += f64::from(x) * (i as f64 * step).sin();
            c += f64::from(x) * (i as f64 * step).cos();
        }
        let n = samples.len() as f64;
        let (s, c) = (2.0 * s / n, 2.0 * c / n);
        let signal = (s * s + c * c) / 2.0;
        let noise: f64 = samples
            .iter()
            .enumerate()
            .map(|(i, &x)| {
                let fit = s * (i as f64 * step).sin() + c * (i as f64 * step).cos();
                (f64::from(x) - fit).powi(2)
            })
            .sum::<f64>()
            / n;
        10.0 * (signal / noise).log10()
    }

    #[test]
    fn tones_keep_pitch_and_purity_at_even_and_odd_rates() {
        for (from, to) in [
            (44_100, 48_000),
            (48_000, 44_100),
            (8_000, 48_000),
            (48_000, 8_000),
            (11_025, 48_000),
            (12_345, 48_000),
            (48_000, 12_345),
            (192_000, 48_000),
            (47_999, 48_000),
            (48_000, 24_000),
        ] {
            let mut resampler = Resampler::new(from, to, 1).expect("valid");
            let mut output = Vec::new();
            for chunk in tone(from, 1000.0, 1.0).chunks(333) {
                resampler.process(chunk, &mut output);
            }
            assert!(
                (output.len() as i64 - i64::from(to)).abs() <= 1,
                "{from}>{to} {}",
                output.len()
            );
            let settled = &output[to as usize / 10..to as usize * 9 / 10];
            let quality = purity(settled, to, 1000.0);
            assert!(quality > 75.0, "{from}>{to}: {quality} dB");
        }
    }

    #[test]
    fn ten_ms_in_is_ten_ms_out_and_channels_stay_apart() {
        let mut resampler = Resampler::new(44_100, 48_000, 2).expect("valid");
        let left = tone(44_100, 500.0, 0.5);
        let input: Vec<i16> = left.iter().flat_map(|&sample| [sample, 0]).collect();
        for chunk in input.chunks(882) {
            let mut output = Vec::new();
            resampler.process(chunk, &mut output);
            assert_eq!(output.len(), 960);
            assert!(output.chunks(2).all(|pair| pair[1] == 0));
        }
    }

    #[test]
    fn tones_above_the_lower_nyquist_frequency_are_removed() {
        let mut resampler = Resampler::new(48_000, 16_000, 1).expect("valid");
        let mut output = Vec::new();
        resampler.process(&tone(48_000, 9_500.0, 0.5), &mut output);
        let peak = output[800..].iter().map(|s| s.unsigned_abs()).max();
        assert!(peak.is_some_and(|peak| peak <= 2), "{peak:?}");
    }
}
