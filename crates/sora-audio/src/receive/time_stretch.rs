//! Making sound a little shorter or longer without changing its pitch: where it repeats itself, one period is taken out
//! or put in (WSOLA, Verhelst and Roelands 1993).

/// Shortest period in samples: 2.5 ms, 400 Hz.
const MIN_LAG: usize = 120;
/// Longest: 15 ms, 67 Hz.
pub(super) const MAX_LAG: usize = 720;
/// Samples that two stretches of sound are compared over: 10 ms.
const WINDOW: usize = 480;
/// Coarse search: every fourth lag on every fourth sample.
const STEP: usize = 4;
/// Mean level below which sound may be cut anywhere: -54 dBFS.
const QUIET: f32 = 64.0;

/// Samples per channel of sound to come that [`accelerate`] looks at.
pub(super) const LOOK: usize = MAX_LAG + WINDOW;

/// Sums of the products and squares of two stretches of sound.
fn likeness(a: &[f32], b: &[f32], step: usize) -> f32 {
    let (mut product, mut first, mut second) = (0.0_f32, 0.0_f32, 0.0_f32);
    for (x, y) in a.iter().zip(b).step_by(step) {
        product += x * y;
        first += x * x;
        second += y * y;
    }
    product / (first * second).sqrt().max(1.0)
}

/// The period at which the sound from `anchor` on is most like that one period further on (`ahead`) or back, and how
/// alike they are (1: exactly). Silence is like itself at any period.
fn period(sound: &[f32], anchor: usize, ahead: bool) -> Option<(usize, f32)> {
    if sound.len() < LOOK {
        return None;
    }
    let head = &sound[anchor..anchor + WINDOW];
    let level = (head.iter().map(|sample| sample * sample).sum::<f32>() / WINDOW as f32).sqrt();
    let at = |lag: usize, step| {
        let other = if ahead { anchor + lag } else { anchor - lag };
        likeness(head, &sound[other..other + WINDOW], step)
    };
    let coarse = (MIN_LAG..=MAX_LAG).step_by(STEP).map(|lag| (lag, at(lag, STEP)));
    let (around, _) = coarse.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let fine = (around.saturating_sub(STEP).max(MIN_LAG)..=(around + STEP).min(MAX_LAG)).map(|lag| (lag, at(lag, 1)));
    let (lag, alike) = fine.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((lag, if level < QUIET { 1.0 } else { alike }))
}

/// The mean of the channels.
fn mono(samples: &[i16], channels: usize) -> Vec<f32> {
    let scale = 1.0 / channels as f32;
    let frames = samples.chunks_exact(channels).take(LOOK);
    frames.map(|frame| frame.iter().map(|sample| f32::from(*sample)).sum::<f32>() * scale).collect()
}

/// Shortens interleaved `samples` by one period at their beginning if they repeat themselves at least as well as
/// `threshold` says and the period is `at_most` long. Returns the samples per channel taken out.
pub(super) fn accelerate(samples: &mut Vec<i16>, channels: usize, at_most: usize, threshold: f32) -> usize {
    let Some((lag, _)) =
        period(&mono(samples, channels), 0, true).filter(|(lag, alike)| *lag <= at_most && *alike >= threshold)
    else {
        return 0;
    };
    let fade = lag.min(WINDOW);
    for frame in 0..fade {
        let weight = (frame as f32 + 0.5) / fade as f32;
        for channel in 0..channels {
            let early = f32::from(samples[frame * channels + channel]);
            let late = &mut samples[(frame + lag) * channels + channel];
            *late = (early + (f32::from(*late) - early) * weight).round() as i16;
        }
    }
    samples.drain(..lag * channels);
    lag
}

/// Lengthens interleaved `samples` by repeating the last period before them if it is like what follows. `played` ends
/// with the [`MAX_LAG`] samples per channel heard last. Returns the samples per channel put in.
pub(super) fn expand(samples: &mut Vec<i16>, played: &[i16], channels: usize, at_most: usize, threshold: f32) -> usize {
    let Some(past) = played.len().checked_sub(MAX_LAG * channels).map(|start| &played[start..]) else {
        return 0;
    };
    let mut sound = mono(past, channels);
    sound.extend(mono(samples, channels).into_iter().take(WINDOW));
    let Some((lag, _)) = period(&sound, MAX_LAG, false).filter(|(lag, alike)| *lag <= at_most && *alike >= threshold)
    else {
        return 0;
    };
    // What follows bends back into the last period, which is heard once more.
    let mut out = Vec::with_capacity(samples.len() + lag * channels);
    let again = &past[(MAX_LAG - lag) * channels..];
    let fade = lag.min(WINDOW);
    for frame in 0..lag {
        let weight = ((frame as f32 + 0.5) / fade as f32).min(1.0);
        for channel in 0..channels {
            let again = f32::from(again[frame * channels + channel]);
            let onward = if frame < fade { f32::from(samples[frame * channels + channel]) } else { again };
            out.push((onward + (again - onward) * weight).round() as i16);
        }
    }
    out.append(samples);
    *samples = out;
    lag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency: f64, frames: usize, channels: usize) -> Vec<i16> {
        let value = |i: usize| ((i as f64 * frequency * std::f64::consts::TAU / 48_000.0).sin() * 8000.0) as i16;
        (0..frames).flat_map(|i| std::iter::repeat_n(value(i), channels)).collect()
    }

    fn largest_step(samples: &[i16], channels: usize) -> i32 {
        let mono: Vec<i32> = samples.iter().step_by(channels).map(|sample| i32::from(*sample)).collect();
        mono.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_tone_loses_or_gains_whole_periods_without_a_click() {
        for (frequency, channels) in [(100.0, 1), (200.0, 1), (440.0, 2), (1000.0, 1), (3000.0, 2)] {
            let whole = tone(frequency, 1680, channels);
            let natural = largest_step(&whole, channels);
            for longer in [false, true] {
                let (played, to_come) = whole.split_at(720 * channels);
                let mut samples = if longer { to_come.to_vec() } else { whole.clone() };
                let changed = if longer {
                    let changed = expand(&mut samples, played, channels, 960, 0.9);
                    samples = [played, &samples].concat();
                    changed
                } else {
                    accelerate(&mut samples, channels, 960, 0.9)
                };
                assert!(changed > 0, "{frequency} Hz");
                let periods = changed as f64 * frequency / 48_000.0;
                assert!((periods - periods.round()).abs() < 0.05, "{periods} periods of {frequency} Hz");
                assert_eq!(samples.len().abs_diff(whole.len()), changed * channels);
                assert!(largest_step(&samples, channels) <= natural + 60, "{frequency} Hz");
                assert!(samples.chunks_exact(channels).all(|frame| frame.iter().all(|sample| *sample == frame[0])));
            }
        }
    }

    #[test]
    fn what_does_not_repeat_itself_is_left_alone() {
        let mut seed = 1_u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as i16 / 4
        };
        let mut samples: Vec<i16> = (0..1440).map(|_| noise()).collect();
        assert_eq!(accelerate(&mut samples, 1, 960, 0.9), 0);
        let played = samples.clone();
        assert_eq!(expand(&mut samples, &played, 1, 960, 0.9), 0);
    }

    #[test]
    fn a_short_piece_stays_and_silence_may_go() {
        let mut samples = vec![0_i16; 400];
        assert_eq!(accelerate(&mut samples, 1, 960, 0.9), 0);
        let mut samples = vec![0_i16; 2400];
        assert!(accelerate(&mut samples, 2, 960, 0.9) >= MIN_LAG);
        assert!(expand(&mut samples, &[0; 1440], 2, 960, 0.9) >= MIN_LAG);
    }
}
