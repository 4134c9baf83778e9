use crate::cepstrum::{Cosines, History, log_bands};
use crate::pitch::{BUFFER, FRAME, MAX_PERIOD, PitchSearch};
use crate::residual::residual;
use crate::spectrum::{BANDS, Bands, Spectrum, window};

/// Numbers that describe a frame to the network.
pub(crate) const FEATURES: usize = 42;
/// Samples in 10 ms at 24 kHz.
pub(crate) const HOP: usize = FRAME / 2;
/// Bands of which changes over time count.
const LOWER: usize = 6;
/// Less energy than this is silence.
const SILENCE: f32 = 0.04;

/// Turns sound into what the network listens to.
pub(crate) struct Features {
    /// The longest pitch period, then the newest 20 ms.
    signal: [f32; BUFFER],
    residual: [f32; BUFFER],
    pitch: PitchSearch,
    window: [f32; FRAME],
    bands: Bands,
    newest: Spectrum,
    /// The frame one pitch period earlier.
    earlier: Spectrum,
    cosines: Cosines,
    history: History,
}

impl Features {
    pub(crate) fn new() -> Self {
        Self {
            signal: [0.0; BUFFER],
            residual: [0.0; BUFFER],
            pitch: PitchSearch::new(),
            window: window(),
            bands: Bands::new(),
            newest: Spectrum::new(),
            earlier: Spectrum::new(),
            cosines: Cosines::new(),
            history: History::new(),
        }
    }

    /// Takes 10 ms; gives nothing for silence. The numbers are scaled as they were when the network was trained.
    pub(crate) fn extract(&mut self, samples: &[f32]) -> Option<[f32; FEATURES]> {
        self.signal.copy_within(HOP.., 0);
        self.signal[BUFFER - HOP..].copy_from_slice(samples);
        residual(&self.signal, &mut self.residual);
        let period = self.pitch.find(&self.residual);

        self.newest.take(&self.signal[MAX_PERIOD..], &self.window);
        let energies = self.bands.energies(&self.newest);
        if energies.iter().sum::<f32>() < SILENCE {
            return None;
        }
        let start = MAX_PERIOD - period / 2;
        self.earlier.take(&self.signal[start..start + FRAME], &self.window);

        let mut cepstrum = self.cosines.transform(&log_bands(&energies));
        cepstrum[0] -= 12.0;
        cepstrum[1] -= 4.0;
        self.history.push(cepstrum);

        let mut features = [0.0; FEATURES];
        let (sums, rest) = features.split_at_mut(LOWER);
        let (higher, rest) = rest.split_at_mut(cepstrum.len() - LOWER);
        let (slopes, rest) = rest.split_at_mut(LOWER);
        let (bends, rest) = rest.split_at_mut(LOWER);
        let (voiced, rest) = rest.split_at_mut(LOWER);
        let (before, first) = (self.history.ago(1), self.history.ago(2));
        for i in 0..LOWER {
            sums[i] = cepstrum[i] + before[i] + first[i];
            slopes[i] = cepstrum[i] - first[i];
            bends[i] = cepstrum[i] - 2.0 * before[i] + first[i];
        }
        higher.copy_from_slice(&cepstrum[LOWER..]);
        voiced.copy_from_slice(&self.periodicity(&energies));
        rest[0] = 0.01 * (period as f32 - 300.0);
        rest[1] = self.history.variability() - 2.1;
        Some(features)
    }

    /// In which bands the sound repeats after the pitch period.
    fn periodicity(&self, energies: &[f32; BANDS]) -> [f32; LOWER] {
        let earlier = self.bands.energies(&self.earlier);
        let mut likeness = self.bands.correlations(&self.newest, &self.earlier);
        for ((likeness, newest), earlier) in likeness.iter_mut().zip(energies).zip(earlier) {
            *likeness /= (0.001 + newest * earlier).sqrt();
        }
        let mut coefficients = self.cosines.transform(&likeness);
        coefficients[0] -= 1.3;
        coefficients[1] -= 0.9;
        coefficients
    }
}
