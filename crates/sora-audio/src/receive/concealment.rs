//! Joining real and made-up sound.

use super::comfort_noise::ComfortNoise;

/// Frames of 10 ms the codec's concealment is used for; then there is comfort noise.
const CODEC_FRAMES: usize = 12;
/// Frames over which the one fades into the other.
const FADE_FRAMES: usize = 4;
/// Samples over which a step at a join is smoothed out: 5 ms.
const JOIN: usize = 240;

/// Takes the step off a join: `fresh` starts where `last` (one sample per channel) left off and bends to its own
/// course over 5 ms.
pub(super) fn join(last: &[i16], fresh: &mut [i16]) {
    let channels = last.len();
    if channels == 0 || fresh.len() < channels {
        return;
    }
    let length = JOIN.min(fresh.len() / channels);
    for (channel, before) in last.iter().enumerate() {
        let step = f32::from(*before) - f32::from(fresh[channel]);
        for index in 0..length {
            let sample = &mut fresh[index * channels + channel];
            let fade = 1.0 - (index + 1) as f32 / (length + 1) as f32;
            *sample = (f32::from(*sample) + step * fade) as i16;
        }
    }
}

/// Makes the codec's concealment after `frames` frames of it fade into comfort noise. `samples` is interleaved.
pub(super) fn fade_to_noise(samples: &mut [i16], channels: usize, frames: usize, noise: &mut ComfortNoise) {
    if !fades(frames) || channels == 0 {
        return;
    }
    let start = CODEC_FRAMES - FADE_FRAMES;
    let count = (samples.len() / channels).max(1);
    for (index, frame) in samples.chunks_exact_mut(channels).enumerate() {
        let passed = (frames - start) as f32 + index as f32 / count as f32;
        let gain = (1.0 - passed / FADE_FRAMES as f32).max(0.0);
        let noise = noise.sample() * (1.0 - gain * gain).max(0.0).sqrt();
        for sample in frame {
            *sample = (f32::from(*sample) * gain + noise) as i16;
        }
    }
}

/// True if the codec's concealment is on its way to comfort noise after so many frames.
pub(super) fn fades(frames: usize) -> bool {
    frames >= CODEC_FRAMES - FADE_FRAMES
}

/// True if the codec's concealment is not heard any more after so many frames.
pub(super) fn only_noise(frames: usize) -> bool {
    frames >= CODEC_FRAMES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_has_no_step() {
        let mut fresh: Vec<i16> = (0..960).map(|i| if i % 2 == 0 { 9000 } else { -9000 }).collect();
        join(&[-5000, 5000], &mut fresh);
        assert!((i32::from(fresh[0]) + 5000).abs() < 100 && (i32::from(fresh[1]) - 5000).abs() < 100);
        assert_eq!(fresh[480..], [[9000, -9000]; 240].concat());
    }

    #[test]
    fn concealment_ends_in_noise() {
        let mut noise = ComfortNoise::new();
        noise.listen(&[0; 480]);
        for frames in 0..20 {
            let mut samples = vec![1000_i16; 480];
            fade_to_noise(&mut samples, 1, frames, &mut noise);
            let expected = if frames < 8 {
                1000..=1000
            } else if frames < 12 {
                0..=1000
            } else {
                0..=0
            };
            assert!(samples.iter().all(|sample| expected.contains(sample)), "frame {frames}");
        }
    }
}
