use crate::pitch::{BUFFER, Energies, LAGS, correlate, peak_offset};

/// Lags tried on each side of a candidate.
const RADIUS: usize = 2;

/// The best inverted lag around two candidates, in samples of 48 kHz.
pub(crate) fn refine(residual: &[f32; BUFFER], energies: &Energies, candidates: [usize; 2]) -> usize {
    let low = candidates[0].min(candidates[1]).saturating_sub(RADIUS);
    let high = (candidates[0].max(candidates[1]) + RADIUS).min(LAGS - 1);
    // What is not tried counts as no likeness at all, also as a neighbour of the best.
    let mut correlations = [0.0; LAGS];
    let (mut best, mut best_squared, mut best_energy) = (0, -1.0, 0.0);
    for lag in (low..=high).filter(|lag| candidates.iter().any(|near| near.abs_diff(*lag) <= RADIUS)) {
        let correlation = correlate(residual, lag);
        correlations[lag] = correlation;
        if correlation > 0.0 && correlation * correlation * best_energy > best_squared * energies[lag] {
            (best, best_squared, best_energy) = (lag, correlation * correlation, energies[lag]);
        }
    }
    if best == 0 || best >= LAGS - 1 {
        return 2 * best;
    }
    let offset = peak_offset(correlations[best + 1], correlations[best], correlations[best - 1]);
    (2 * best).saturating_add_signed(offset)
}
