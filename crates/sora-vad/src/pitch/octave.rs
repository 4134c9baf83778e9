use crate::pitch::{BUFFER, Energies, MAX_PERIOD, MIN_PERIOD, Pitch, correlate, peak_offset};

/// With a period divided by two, three and so on, this multiple of the result must repeat as well.
const MULTIPLES: [usize; 14] = [3, 2, 3, 2, 5, 2, 3, 2, 3, 2, 5, 2, 3, 2];

/// How alike the newest frame and the frames a period earlier are.
#[derive(Clone, Copy)]
struct Match {
    pitch: Pitch,
    correlation: f32,
    energy: f32,
}

/// Decides between a period and its fractions, which a harmonic sound repeats after as well; the last pitch is
/// favoured. Both periods are in samples of 48 kHz.
pub(crate) fn choose(residual: &[f32; BUFFER], energies: &Energies, period: usize, last: Pitch) -> Pitch {
    let newest = energies[MAX_PERIOD];
    let rate = |period: usize, correlation: f32, energy: f32| {
        let strength = correlation / (1.0 + newest * energy).sqrt();
        Match { pitch: Pitch { period, strength }, correlation, energy }
    };
    let at = |period: usize| (correlate(residual, MAX_PERIOD - period), energies[MAX_PERIOD - period]);

    let period = (period / 2).min(MAX_PERIOD - 1);
    let (correlation, energy) = at(period);
    let whole = rate(period, correlation, energy);
    let last = Pitch { period: last.period / 2, ..last };
    let mut best = whole;
    let divisors = 2..=2 * period / (2 * MIN_PERIOD - 1);
    for (divisor, multiple) in divisors.zip(MULTIPLES) {
        let fraction = rounded(period, 1, divisor);
        let second = rounded(period, multiple, divisor);
        let second = if second > MAX_PERIOD { period } else { second };
        let ((first_correlation, first_energy), (second_correlation, second_energy)) = (at(fraction), at(second));
        let both = rate(fraction, 0.5 * (first_correlation + second_correlation), 0.5 * (first_energy + second_energy));
        if is_preferred(both.pitch, whole.pitch, last, divisor) {
            best = both;
        }
    }
    Pitch { period: to_48_khz(residual, best.pitch.period), strength: strength(best) }
}

/// `period` * `multiple` / `divisor`, rounded.
fn rounded(period: usize, multiple: usize, divisor: usize) -> usize {
    (2 * multiple * period + divisor) / (2 * divisor)
}

/// Whether a fraction of the period is to be taken for it.
fn is_preferred(fraction: Pitch, whole: Pitch, last: Pitch, divisor: usize) -> bool {
    let bonus = match fraction.period.abs_diff(last.period) {
        0 | 1 => last.strength,
        2 if whole.period > 5 * divisor * divisor => 0.5 * last.strength,
        _ => 0.0,
    };
    // High voices have to be clearer.
    let (share, least) = if fraction.period < 3 * MIN_PERIOD { (0.85, 0.4) } else { (0.7, 0.3) };
    fraction.strength > (share * whole.strength - bonus).max(least)
}

fn strength(best: Match) -> f32 {
    let correlation = best.correlation.max(0.0);
    let gain = if best.energy <= correlation { 1.0 } else { correlation / (best.energy + 1.0) };
    best.pitch.strength.min(gain)
}

fn to_48_khz(residual: &[f32; BUFFER], period: usize) -> usize {
    let lag = MAX_PERIOD - period;
    let at = |lag| correlate(residual, lag);
    let offset = peak_offset(at(lag + 1), at(lag), at(lag - 1));
    (2 * period).saturating_add_signed(offset).max(2 * MIN_PERIOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_stay_in_the_buffer() {
        for period in 91..MAX_PERIOD {
            for (divisor, multiple) in (2..=2 * period / (2 * MIN_PERIOD - 1)).zip(MULTIPLES) {
                assert!((MIN_PERIOD..MAX_PERIOD).contains(&rounded(period, 1, divisor)));
                assert!(divisor == 2 || rounded(period, multiple, divisor) < MAX_PERIOD);
            }
        }
    }
}
