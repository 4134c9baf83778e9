//! Playing a little faster or slower without changing the pitch: whole periods are removed or repeated and the joint
//! is cross-faded (WSOLA).

use std::collections::VecDeque;

/// Cross-fade length: 5 ms.
const FADE: usize = 240;
/// Shortest and longest piece: 2.5 and 15 ms.
const LAGS: std::ops::RangeInclusive<usize> = 120..=720;
/// Samples per channel that must be there.
pub(crate) const NEEDED: usize = FADE + 720;

/// Removes one piece from the start of the samples. Returns the samples per channel removed, 0 if the signal has no
/// piece that can go unheard (unless `force`).
pub(crate) fn accelerate(samples: &mut VecDeque<i16>, channels: usize, force: bool) -> usize {
    let Some(lag) = best_lag(samples, channels, force) else {
        return 0;
    };
    let (fade, shift) = (FADE * channels, lag * channels);
    for index in 0..fade {
        samples[index + shift] = blend(samples[index], samples[index + shift], index / channels);
    }
    samples.drain(..shift);
    lag
}

/// Repeats one piece at the start of the samples. Returns the samples per channel added.
pub(crate) fn expand(samples: &mut VecDeque<i16>, channels: usize) -> usize {
    let Some(lag) = best_lag(samples, channels, false) else {
        return 0;
    };
    let (fade, shift) = (FADE * channels, lag * channels);
    // x[0..lag], then from x[lag..] back to x[0..].
    let head: Vec<i16> = samples.iter().take(shift).copied().collect();
    let joint: Vec<i16> = (0..fade)
        .map(|index| blend(samples[index + shift], samples[index], index / channels))
        .collect();
    samples
        .iter_mut()
        .zip(joint)
        .for_each(|(sample, value)| *sample = value);
    head.into_iter()
        .rev()
        .for_each(|value| samples.push_front(value));
    lag
}

fn blend(from: i16, to: i16, step: usize) -> i16 {
    let share = step as i32;
    ((i32::from(from) * (FADE as i32 - share) + i32::from(to) * share) / FADE as i32) as i16
}

/// The distance at which the signal repeats best, searched at 12 kHz on the mean of the channels.
fn best_lag(samples: &VecDeque<i16>, channels: usize, force: bool) -> Option<usize> {
    const STEP: usize = 4;
    if samples.len() < NEEDED * channels {
        return None;
    }
    let coarse: Vec<f32> = (0..NEEDED / STEP)
        .map(|index| {
            let at = index * STEP * channels;
            (0..STEP * channels)
                .map(|offset| f32::from(samples[at + offset]))
                .sum::<f32>()
        })
        .collect();
    let length = FADE / STEP;
    let energy = |part: &[f32]| part.iter().map(|x| x * x).sum::<f32>();
    let head = &coarse[..length];
    let loudness = energy(head) / (length * (STEP * channels) * (STEP * channels)) as f32;
    let mut best = (f32::MIN, *LAGS.start());
    for lag in (*LAGS.start() / STEP)..=(*LAGS.end() / STEP) {
        let part = &coarse[lag..lag + length];
        let product: f32 = head.iter().zip(part).map(|(a, b)| a * b).sum();
        let similarity = product / (energy(head) * energy(part)).sqrt().max(1.0);
        if similarity > best.0 {
            best = (similarity, lag * STEP);
        }
    }
    let quiet = loudness < 100.0;
    (force || quiet || best.0 > 0.9).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_loses_or_gains_whole_periods_without_a_click() {
        let tone = || -> VecDeque<i16> {
            (0..1500)
                .map(|i| (8000.0 * (i as f32 * 0.05).sin()) as i16)
                .collect()
        };
        let (mut shorter, mut longer) = (tone(), tone());
        let (removed, added) = (accelerate(&mut shorter, 1, false), expand(&mut longer, 1));
        assert!(removed > 0 && added > 0);
        assert_eq!(shorter.len(), 1500 - removed);
        assert_eq!(longer.len(), 1500 + added);
        for samples in [shorter, longer] {
            let jump = samples
                .iter()
                .zip(samples.iter().skip(1))
                .map(|(a, b)| (a - b).abs())
                .max();
            assert!(jump.is_some_and(|jump| jump < 500), "{jump:?}");
        }
    }
}
