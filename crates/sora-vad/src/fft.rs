use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// A transform of real samples with all its buffers, so that no call allocates.
pub(crate) struct Fft {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    samples: Vec<f32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Fft {
    pub(crate) fn new(points: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(points), planner.plan_fft_inverse(points));
        let scratch = vec![Complex32::ZERO; forward.get_scratch_len().max(inverse.get_scratch_len())];
        Self { samples: forward.make_input_vec(), spectrum: forward.make_output_vec(), scratch, forward, inverse }
    }

    /// Samples to transform. [`Fft::forward`] spoils them.
    pub(crate) fn input(&mut self) -> &mut [f32] {
        &mut self.samples
    }

    /// From samples to the spectrum.
    pub(crate) fn forward(&mut self) {
        let Self { forward, samples, spectrum, scratch, .. } = self;
        forward.process_with_scratch(samples, spectrum, scratch).expect("the plan made these buffers");
    }

    pub(crate) fn spectrum(&self) -> &[Complex32] {
        &self.spectrum
    }

    pub(crate) fn spectrum_mut(&mut self) -> &mut [Complex32] {
        &mut self.spectrum
    }

    /// From the spectrum to samples, times the number of points. Spoils the spectrum.
    pub(crate) fn inverse(&mut self) -> &[f32] {
        let Self { inverse, samples, spectrum, scratch, .. } = self;
        // No imaginary part at either end, or it would be an error: there is none in a product of real signals.
        for end in [0, spectrum.len() - 1] {
            spectrum[end].im = 0.0;
        }
        inverse.process_with_scratch(spectrum, samples, scratch).expect("the plan made these buffers");
        samples
    }
}
