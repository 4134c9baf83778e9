//! Making sound a little shorter without changing its pitch: one period is cut out where the sound repeats itself.

const MIN_LAG: usize = 120;
const MAX_LAG: usize = 480;
const WINDOW: usize = 240;

/// Shortens 48 kHz interleaved `samples` by one period (2.5 to 10 ms), cross-fading over the cut. Returns how many
/// frames were removed: 0 if the piece is too short or does not repeat itself.
pub(crate) fn accelerate(samples: &mut Vec<i16>, channels: usize) -> usize {
    let frames = samples.len() / channels.max(1);
    if frames < MAX_LAG + WINDOW {
        return 0;
    }
    let mono: Vec<f32> = samples
        .chunks_exact(channels)
        .take(MAX_LAG + WINDOW)
        .map(|frame| frame.iter().map(|s| f32::from(*s)).sum::<f32>())
        .collect();
    let energy = |part: &[f32]| part.iter().map(|s| s * s).sum::<f32>();
    let head = &mono[..WINDOW];
    let head_energy = energy(head);
    let mut best = (MIN_LAG, -1.0_f32);
    for lag in (MIN_LAG..=MAX_LAG).step_by(2) {
        let shifted = &mono[lag..lag + WINDOW];
        let product: f32 = head.iter().zip(shifted).map(|(a, b)| a * b).sum();
        let likeness = product / (head_energy * energy(shifted)).sqrt().max(1.0);
        if likeness > best.1 {
            best = (lag, likeness);
        }
    }
    // Silence may be cut anywhere; sound only where it repeats.
    let quiet = head_energy / WINDOW as f32 / (channels * channels) as f32;
    if best.1 < 0.7 && quiet > 100.0 * 100.0 {
        return 0;
    }
    let lag = best.0;
    let fade = WINDOW;
    for frame in 0..fade {
        let weight = frame as f32 / fade as f32;
        for channel in 0..channels {
            let early = f32::from(samples[frame * channels + channel]);
            let late = f32::from(samples[(frame + lag) * channels + channel]);
            samples[(frame + lag) * channels + channel] = (early * (1.0 - weight) + late * weight) as i16;
        }
    }
    samples.drain(..lag * channels);
    lag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_loses_whole_periods() {
        // 200 Hz: a period is 240 frames.
        let tone = |i: usize| ((i as f64 * 200.0 * std::f64::consts::TAU / 48_000.0).sin() * 8000.0) as i16;
        let mut samples: Vec<i16> = (0..960).map(tone).collect();
        let removed = accelerate(&mut samples, 1);
        assert!(removed % 240 <= 4 || removed % 240 >= 236, "{removed}");
        let steps = samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0);
        assert!(steps < 300, "a click of {steps}");
    }

    #[test]
    fn a_short_piece_stays() {
        let mut samples = vec![0_i16; 400];
        assert_eq!(accelerate(&mut samples, 1), 0);
    }
}
