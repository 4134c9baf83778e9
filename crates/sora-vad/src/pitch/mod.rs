//! Search for the pitch period in the residual: roughly at 12 kHz, closer at 24 kHz, to half a sample at the end.
//!
//! The buffer holds the longest period and the newest 20 ms behind it. An inverted lag counts from the start of the
//! buffer: it is where a frame of 20 ms starts that is compared with the newest one.

mod coarse;
mod octave;
mod refine;

use coarse::CoarseSearch;

use crate::math::dot;

/// Samples in 20 ms at 24 kHz, the length of what is compared.
pub(crate) const FRAME: usize = 480;
/// The longest period at 24 kHz: 62.5 Hz.
pub(crate) const MAX_PERIOD: usize = 384;
/// The shortest period at 24 kHz: 800 Hz.
const MIN_PERIOD: usize = 30;
/// Samples in the buffer.
pub(crate) const BUFFER: usize = MAX_PERIOD + FRAME;
/// Inverted lags that the first search looks at, at 24 kHz: periods below three times the shortest are left out.
const LAGS: usize = MAX_PERIOD - 3 * MIN_PERIOD;

/// Energy of the frame at each inverted lag.
type Energies = [f32; MAX_PERIOD + 1];

/// A period in samples and how well the signal repeats after it.
#[derive(Debug, Clone, Copy, Default)]
struct Pitch {
    period: usize,
    strength: f32,
}

/// Finds the period of each frame; remembers the last.
pub(crate) struct PitchSearch {
    coarse: CoarseSearch,
    /// At 48 kHz.
    last: Pitch,
}

impl PitchSearch {
    pub(crate) fn new() -> Self {
        Self { coarse: CoarseSearch::new(), last: Pitch::default() }
    }

    /// The period in samples of 48 kHz, from 60 to 768.
    pub(crate) fn find(&mut self, residual: &[f32; BUFFER]) -> usize {
        let candidates = self.coarse.find(residual);
        let energies = energies(residual);
        let period = 2 * MAX_PERIOD - refine::refine(residual, &energies, candidates);
        self.last = octave::choose(residual, &energies, period, self.last);
        self.last.period
    }
}

/// How alike the newest frame and the one at an inverted lag are.
fn correlate(residual: &[f32; BUFFER], lag: usize) -> f32 {
    dot(&residual[MAX_PERIOD..], &residual[lag..lag + FRAME])
}

/// Which way the peak lies between three neighbours, in half samples.
fn peak_offset(left: f32, middle: f32, right: f32) -> isize {
    if right - left > 0.7 * (middle - left) {
        1
    } else if left - right > 0.7 * (middle - right) {
        -1
    } else {
        0
    }
}

fn energies(residual: &[f32; BUFFER]) -> Energies {
    let mut energies = [0.0; MAX_PERIOD + 1];
    let mut energy = dot(&residual[..FRAME], &residual[..FRAME]);
    energies[0] = energy;
    let leaving_and_entering = residual.iter().zip(&residual[FRAME..]);
    for (next, (leaving, entering)) in energies[1..].iter_mut().zip(leaving_and_entering) {
        energy = (energy - leaving * leaving + entering * entering).max(1.0);
        *next = energy;
    }
    energies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_of_a_pulse_train_is_found() {
        for period in [100, 150, 240, 333] {
            let residual = std::array::from_fn(|i| if i % period < 3 { 1000.0 } else { 0.0 });
            let found = PitchSearch::new().find(&residual);
            assert!(found.abs_diff(2 * period) <= 2, "{period}: {found}");
        }
    }

    #[test]
    fn silence_and_extremes_give_a_period_in_range() {
        for level in [0.0, 1e-20, 3e5] {
            for step in [1, 2, 7, 64] {
                let residual = std::array::from_fn(|i| if i / step % 2 == 0 { level } else { -level });
                let found = PitchSearch::new().find(&residual);
                assert!((2 * MIN_PERIOD..=2 * MAX_PERIOD).contains(&found), "{level} {step}: {found}");
            }
        }
    }
}
