use std::f64::consts::PI;

use crate::spectrum::BANDS;

/// Coefficients of a cepstrum: all bands of Opus, also those above 12 kHz.
pub(crate) const COEFFICIENTS: usize = 22;
/// Cepstra kept.
const HISTORY: usize = 8;
/// What silence in a band counts as.
const FLOOR: f32 = 1e-2;

pub(crate) type Cepstrum = [f32; COEFFICIENTS];

/// The logarithm of each band, no steeper than hearing: what a louder band masks is lifted.
pub(crate) fn log_bands(energies: &[f32; BANDS]) -> Cepstrum {
    let floor = FLOOR.log10();
    let (mut loudest, mut follower) = (floor, floor);
    let mut bands = [floor; COEFFICIENTS];
    bands.iter_mut().zip(energies).for_each(|(band, energy)| *band = (FLOOR + energy).log10());
    for band in &mut bands {
        *band = band.max(loudest - 7.0).max(follower - 1.5);
        loudest = loudest.max(*band);
        follower = band.max(follower - 1.5);
    }
    bands
}

/// The cosine transform of the bands.
pub(crate) struct Cosines {
    rows: [Cepstrum; COEFFICIENTS],
    scale: f32,
}

impl Cosines {
    pub(crate) fn new() -> Self {
        let cosine = |row: usize, column: usize| {
            let angle = (row as f64 + 0.5) * column as f64 * PI / COEFFICIENTS as f64;
            if column == 0 { 0.5_f64.sqrt() as f32 } else { angle.cos() as f32 }
        };
        let rows = std::array::from_fn(|row| std::array::from_fn(|column| cosine(row, column)));
        Self { rows, scale: (2.0 / COEFFICIENTS as f64).sqrt() as f32 }
    }

    /// The first `N` coefficients; bands that are not given are zero.
    pub(crate) fn transform<const N: usize>(&self, bands: &[f32]) -> [f32; N] {
        let mut sums = [0.0; N];
        for (band, row) in bands.iter().zip(&self.rows) {
            for (sum, cosine) in sums.iter_mut().zip(row) {
                *sum += band * cosine;
            }
        }
        sums.map(|sum| sum * self.scale)
    }
}

/// The last cepstra and how far they are from each other.
pub(crate) struct History {
    cepstra: [Cepstrum; HISTORY],
    /// Of each pair of places, the same both ways.
    distances: [[f32; HISTORY]; HISTORY],
    newest: usize,
}

impl History {
    pub(crate) fn new() -> Self {
        let mut distances = [[0.0; HISTORY]; HISTORY];
        // So that none is nearest to itself.
        (0..HISTORY).for_each(|place| distances[place][place] = f32::MAX);
        Self { cepstra: [[0.0; COEFFICIENTS]; HISTORY], distances, newest: 0 }
    }

    /// Puts a cepstrum in the place of the oldest.
    pub(crate) fn push(&mut self, cepstrum: Cepstrum) {
        self.newest = (self.newest + 1) % HISTORY;
        for (place, other) in self.cepstra.iter().enumerate().filter(|(place, _)| *place != self.newest) {
            let distance = cepstrum.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum();
            self.distances[place][self.newest] = distance;
            self.distances[self.newest][place] = distance;
        }
        self.cepstra[self.newest] = cepstrum;
    }

    /// The cepstrum that many frames ago.
    pub(crate) fn ago(&self, frames: usize) -> &Cepstrum {
        &self.cepstra[(self.newest + HISTORY - frames) % HISTORY]
    }

    /// How restless the sound is: the mean distance of each cepstrum to the one most like it.
    pub(crate) fn variability(&self) -> f32 {
        let nearest = |row: &[f32; HISTORY]| row.iter().fold(f32::MAX, |least, distance| least.min(*distance));
        self.distances.iter().map(nearest).sum::<f32>() / HISTORY as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_follower_falls_by_one_and_a_half_per_band() {
        let mut energies = [0.0; BANDS];
        energies[0] = 1e6;
        let bands = log_bands(&energies);
        assert_eq!(bands[..6], [6.0, 4.5, 3.0, 1.5, 0.0, -1.0]);
    }

    #[test]
    fn a_constant_has_only_the_first_coefficient() {
        let coefficients: Cepstrum = Cosines::new().transform(&[1.0; COEFFICIENTS]);
        assert!((coefficients[0] - (COEFFICIENTS as f32).sqrt()).abs() < 1e-5);
        assert!(coefficients[1..].iter().all(|coefficient| coefficient.abs() < 1e-5));
    }

    #[test]
    fn what_repeats_is_calm() {
        let mut history = History::new();
        (0..20).for_each(|_| history.push([1.0; COEFFICIENTS]));
        assert_eq!(history.variability(), 0.0);
        (0..20).for_each(|frame| history.push([frame as f32; COEFFICIENTS]));
        assert_eq!(history.variability(), COEFFICIENTS as f32);
        assert_eq!(history.ago(2)[0], 17.0);
    }
}
