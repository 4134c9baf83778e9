use std::f64::consts::PI;

use crate::math::sum;

/// Samples under the kernel.
const TAPS: usize = 32;
/// Kernels between two input samples; what lies between two kernels is interpolated.
const PHASES: usize = 32;
/// Where the pass band ends, as a share of the lower Nyquist frequency.
const CUTOFF: f64 = 0.9;

/// libwebrtc's converter of 10 ms blocks: a windowed sinc of 32 input samples, whatever the ratio.
///
/// It is poor above the lower Nyquist frequency when it converts down, and that is heard by the network: a better one
/// would change the probabilities.
#[derive(Debug)]
pub(crate) struct SincResampler {
    /// Input samples per output sample.
    ratio: f64,
    /// `PHASES` + 1 kernels of `TAPS` weights.
    kernels: Vec<[f32; TAPS]>,
    /// The end of the block before, then the block.
    buffer: Vec<f32>,
    /// Of the next output, in input samples from the start of the buffer.
    position: f64,
    /// Where the block ends, for outputs.
    block: usize,
}

impl SincResampler {
    /// From blocks of `from` to blocks of `to` samples.
    pub(crate) fn new(from: usize, to: usize) -> Self {
        let ratio = from as f64 / to as f64;
        // The first block is silence. It is half a kernel shorter, and as many outputs as surely fit are skipped.
        let block = from - TAPS / 2;
        let skipped = (block as f64 / ratio) as usize;
        let position = (0..skipped).fold(0.0, |position, _| position + ratio);
        Self { ratio, kernels: kernels(ratio), buffer: vec![0.0; from + TAPS], position, block }
    }

    /// Converts one block; both slices must have the sizes given to [`SincResampler::new`].
    pub(crate) fn process(&mut self, input: &[f32], out: &mut [f32]) {
        let mut input = Some(input);
        let mut filled = 0;
        loop {
            // What is left of the block before comes first.
            let fitting = ((self.block as f64 - self.position) / self.ratio).ceil() as usize;
            let end = out.len().min(filled + fitting);
            for sample in &mut out[filled..end] {
                *sample = self.interpolate();
                self.position += self.ratio;
            }
            filled = end;
            if filled == out.len() {
                return;
            }
            self.next_block(input.take());
        }
    }

    fn next_block(&mut self, input: Option<&[f32]>) {
        self.position -= self.block as f64;
        self.block = self.buffer.len() - TAPS;
        self.buffer.copy_within(self.block.., 0);
        match input {
            Some(input) => self.buffer[TAPS..].copy_from_slice(input),
            // Does not happen with the sizes in use, see the test.
            None => self.buffer[TAPS..].fill(0.0),
        }
    }

    fn interpolate(&self) -> f32 {
        let index = self.position as usize;
        let phase = (self.position - index as f64) * PHASES as f64;
        let row = phase as usize;
        let share = phase - row as f64;
        let window = &self.buffer[index..index + TAPS];
        let mut products = [0.0; TAPS];
        if share == 0.0 {
            for ((product, sample), weight) in products.iter_mut().zip(window).zip(&self.kernels[row]) {
                *product = sample * weight;
            }
            return sum(&products);
        }
        let (near_share, far_share) = ((1.0 - share) as f32, share as f32);
        let kernels = self.kernels[row].iter().zip(&self.kernels[row + 1]);
        for ((product, sample), (near, far)) in products.iter_mut().zip(window).zip(kernels) {
            *product = sample * (near_share * near + far_share * far);
        }
        sum(&products)
    }
}

/// A Blackman-windowed sinc at each phase.
fn kernels(ratio: f64) -> Vec<[f32; TAPS]> {
    let scale = CUTOFF * (1.0 / ratio).min(1.0);
    let weight = |tap: usize, shift: f32| {
        // In the width the original computes in: the last bits count.
        let x = PI * f64::from(tap as f32 - (TAPS / 2) as f32 - shift);
        let turn = 2.0 * PI * f64::from((tap as f32 - shift) / TAPS as f32);
        let window = 0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos();
        let sinc = if x == 0.0 { scale } else { (scale * x).sin() / x };
        (window * sinc) as f32
    };
    (0..=PHASES).map(|phase| std::array::from_fn(|tap| weight(tap, phase as f32 / PHASES as f32))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_read_once_at_every_rate() {
        for from in (40..=3840).filter(|from| *from != 240) {
            let mut resampler = SincResampler::new(from, 240);
            let block = vec![1000.0; from];
            let mut out = [0.0; 240];
            for _ in 0..30 {
                resampler.process(&block, &mut out);
                let left = resampler.block as f64 - resampler.position;
                assert!(left.abs() <= resampler.ratio * 1.001, "{from}: {left}");
            }
            // No silence was put in for a block that was not there.
            assert!(resampler.buffer.iter().all(|sample| *sample == 1000.0), "{from}");
        }
    }

    #[test]
    fn a_tone_keeps_its_level() {
        for from in [160, 441, 480] {
            let mut resampler = SincResampler::new(from, 240);
            let mut out = [0.0; 240];
            let mut peak = 0.0_f32;
            for block in 0..20 {
                let tone = |i: usize| ((block * from + i) as f64 / from as f64 * 10.0 * 2.0 * PI).sin() as f32 * 8000.0;
                let input: Vec<f32> = (0..from).map(tone).collect();
                resampler.process(&input, &mut out);
                peak = out.iter().fold(peak, |peak, sample| peak.max(sample.abs()));
            }
            assert!((7950.0..8050.0).contains(&peak), "{from}: {peak}");
        }
    }
}
