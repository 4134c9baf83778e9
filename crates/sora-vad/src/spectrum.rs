use std::f32::consts::FRAC_PI_2;

use realfft::num_complex::Complex32;

use crate::fft::Fft;
use crate::pitch::FRAME;

/// Bands below 12 kHz of the scale of Opus.
pub(crate) const BANDS: usize = 20;
/// Bins from the peak of each band to the next.
const WIDTHS: [usize; BANDS - 1] = [4, 4, 4, 4, 4, 4, 4, 4, 8, 8, 8, 8, 16, 16, 16, 24, 24, 32, 48];
/// Bins that count: the one at 12 kHz does not.
const BINS: usize = FRAME / 2;

/// A windowed frame of 20 ms, as frequencies.
pub(crate) struct Spectrum {
    fft: Fft,
}

impl Spectrum {
    pub(crate) fn new() -> Self {
        Self { fft: Fft::new(FRAME) }
    }

    pub(crate) fn take(&mut self, frame: &[f32], window: &[f32; FRAME]) {
        for ((to, from), weight) in self.fft.input().iter_mut().zip(frame).zip(window) {
            *to = from * weight;
        }
        self.fft.forward();
    }

    fn bins(&self) -> &[Complex32] {
        &self.fft.spectrum()[..BINS]
    }
}

/// The window of the Vorbis codec, divided by the size of the frame.
pub(crate) fn window() -> [f32; FRAME] {
    let half = (FRAME / 2) as f32;
    std::array::from_fn(|i| {
        let from_edge = i.min(FRAME - 1 - i) as f32;
        let inner = (FRAC_PI_2 * (from_edge + 0.5) / half).sin();
        1.0 / FRAME as f32 * (FRAC_PI_2 * inner * inner).sin()
    })
}

/// Triangles that overlap by half, on the scale of Opus.
pub(crate) struct Bands {
    /// How much of each bin belongs to the upper one of its two bands.
    upper: [f32; BINS],
}

impl Bands {
    pub(crate) fn new() -> Self {
        let mut upper = [0.0; BINS];
        let shares = WIDTHS.iter().flat_map(|width| (0..*width).map(|bin| share(bin, *width)));
        upper.iter_mut().zip(shares).for_each(|(upper, share)| *upper = share);
        Self { upper }
    }

    /// Energy in each band.
    pub(crate) fn energies(&self, of: &Spectrum) -> [f32; BANDS] {
        self.correlations(of, of)
    }

    /// Likeness of two spectra in each band.
    pub(crate) fn correlations(&self, a: &Spectrum, b: &Spectrum) -> [f32; BANDS] {
        let mut both = [0.0; BINS];
        for ((product, a), b) in both.iter_mut().zip(a.bins()).zip(b.bins()) {
            *product = a.re * b.re + a.im * b.im;
        }
        let mut bands = [0.0; BANDS];
        let mut start = 0;
        for (band, width) in WIDTHS.iter().enumerate() {
            let end = start + width;
            let (mut lower_sum, mut upper_sum) = ([0.0; 4], [0.0; 4]);
            let products = both[start..end].as_chunks::<4>().0;
            for (products, shares) in products.iter().zip(self.upper[start..end].as_chunks::<4>().0) {
                for lane in 0..4 {
                    let upper = products[lane] * shares[lane];
                    lower_sum[lane] += products[lane] - upper;
                    upper_sum[lane] += upper;
                }
            }
            bands[band] += lower_sum.iter().sum::<f32>();
            bands[band + 1] = upper_sum.iter().sum();
            start = end;
        }
        // The first band has no lower half.
        bands[0] *= 2.0;
        bands
    }
}

/// `bin` / `width` to six significant digits, which is how the original writes its table.
fn share(bin: usize, width: usize) -> f32 {
    let exact = bin as f64 / width as f64;
    let digits = if exact < 0.1 { 1e7 } else { 1e6 };
    ((exact * digits).round() / digits) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_cover_all_bins_and_each_bin_counts_once() {
        assert_eq!(WIDTHS.iter().sum::<usize>(), BINS);
        let window = window();
        let frame: Vec<f32> = (0..FRAME).map(|i| (i as f32 * 0.9).sin() * 3000.0 + (i * i % 97) as f32).collect();
        let mut spectrum = Spectrum::new();
        spectrum.take(&frame, &window);
        let bands = Bands::new().energies(&spectrum);
        let all: f32 = spectrum.bins().iter().map(Complex32::norm_sqr).sum();
        let sum = bands.iter().sum::<f32>() - bands[0] / 2.0;
        assert!((sum - all).abs() < all * 1e-4, "{sum} {all}");
    }

    #[test]
    fn shares_have_six_digits() {
        assert_eq!(
            [share(1, 24), share(4, 24), share(1, 48), share(3, 4)],
            [0.041_666_7, 0.166_667, 0.020_833_3, 0.75]
        );
    }
}
