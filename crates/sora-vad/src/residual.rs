/// Coefficients of the filter: four of the prediction and one of the zero behind it.
const TAPS: usize = 5;
/// Each coefficient of the prediction is taken back by one more factor of this.
const EXPANSION: f32 = 0.9;
/// The zero that lifts the low end again.
const ZERO: f32 = 0.8;

/// What a short linear prediction of the signal leaves: the pitch stands out in it.
pub(crate) fn residual(signal: &[f32], out: &mut [f32]) {
    let correlation = autocorrelation(signal);
    let taps = if correlation[0] == 0.0 { [0.0; TAPS] } else { filter(&predict(&correlation)) };
    for (i, sample) in out.iter_mut().enumerate().take(TAPS) {
        *sample = signal[i] + (0..i).map(|k| taps[k] * signal[i - 1 - k]).sum::<f32>();
    }
    for (sample, window) in out[TAPS..].iter_mut().zip(signal.windows(TAPS + 1)) {
        let mut sum = window[TAPS];
        for k in 0..TAPS {
            sum += taps[k] * window[TAPS - 1 - k];
        }
        *sample = sum;
    }
}

/// Lags 0 to 4, a white floor 40 dB down added and the lags slightly faded.
fn autocorrelation(signal: &[f32]) -> [f32; TAPS] {
    // All lags in one pass, each summed in the order of time: in clear tones the last bits decide about the filter.
    let mut correlation = [0.0; TAPS];
    let windows = signal.windows(TAPS);
    let start_of_rest = windows.len();
    for window in windows {
        for (sum, later) in correlation.iter_mut().zip(window) {
            *sum += window[0] * later;
        }
    }
    for (i, sample) in signal.iter().enumerate().skip(start_of_rest) {
        for (sum, later) in correlation.iter_mut().zip(&signal[i..]) {
            *sum += sample * later;
        }
    }
    correlation[0] *= 1.0001;
    for (lag, fade) in [0.000_064, 0.000_256, 0.000_576, 0.001_024].into_iter().enumerate() {
        correlation[lag + 1] -= correlation[lag + 1] * fade;
    }
    correlation
}

/// Levinson's recursion to the fourth order; stops when 99.9 % of the energy is predicted.
fn predict(correlation: &[f32; TAPS]) -> [f32; TAPS - 1] {
    let mut taps = [0.0_f32; TAPS - 1];
    let mut error = correlation[0];
    for order in 0..TAPS - 1 {
        let mut sum = 0.0;
        for (k, tap) in taps[..order].iter().enumerate() {
            sum += tap * correlation[order - k];
        }
        sum += correlation[order + 1];
        if error.abs() < 1e-6 {
            error = 1e-6_f32.copysign(error);
        }
        let reflection = -sum / error;
        let before = taps;
        for k in 0..order {
            taps[k] = before[k] + reflection * before[order - 1 - k];
        }
        taps[order] = reflection;
        error -= reflection * reflection * error;
        if error < 0.001 * correlation[0] {
            break;
        }
    }
    taps
}

/// The prediction error filter with its poles drawn in, followed by the zero.
fn filter(prediction: &[f32; TAPS - 1]) -> [f32; TAPS] {
    let mut taps = [0.0; TAPS];
    let (mut factor, mut before) = (1.0, 1.0);
    for (tap, predicted) in taps.iter_mut().zip(prediction) {
        factor *= EXPANSION;
        let faded = predicted * factor;
        *tap = faded + ZERO * before;
        before = faded;
    }
    taps[TAPS - 1] = ZERO * before;
    taps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_gives_the_correlation_of_each_lag() {
        let signal: Vec<f32> = (0..864).map(|i| (i as f32 * 0.37).sin() * 100.0 + (i % 7) as f32).collect();
        let got = autocorrelation(&signal);
        let fades = [-0.0001, 0.000_064, 0.000_256, 0.000_576, 0.001_024];
        for (lag, fade) in fades.into_iter().enumerate() {
            let exact: f64 = signal.iter().zip(&signal[lag..]).map(|(a, b)| f64::from(a * b)).sum();
            let expected = exact * (1.0 - fade);
            assert!((f64::from(got[lag]) - expected).abs() < expected.abs() * 1e-5 + 1.0, "{lag}");
        }
    }

    #[test]
    fn silence_stays_silence_and_a_predictable_tone_shrinks() {
        let mut out = vec![1.0; 864];
        residual(&[0.0; 864], &mut out);
        assert!(out.iter().all(|sample| *sample == 0.0));
        let tone: Vec<f32> = (0..864).map(|i| (i as f32 * 0.05).sin() * 1000.0).collect();
        residual(&tone, &mut out);
        assert!(out[100..].iter().all(|sample| sample.abs() < 500.0));
    }
}
