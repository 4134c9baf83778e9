//! Channel counts.

/// Appends `input` (interleaved, `from` channels) to `output` with `to` channels.
///
/// One channel is copied to all. Fewer channels average those that fall together (channel modulo `to`, so stereo to
/// mono is the mean, truncated toward zero). More channels keep the first ones and leave the rest silent. Zero
/// channels on either side append nothing; an incomplete last sample is left out.
pub fn remix(input: &[i16], from: u16, to: u16, output: &mut Vec<i16>) {
    let (from, to) = (usize::from(from), usize::from(to));
    if from == 0 || to == 0 {
        return;
    }
    if from == to {
        output.extend_from_slice(&input[..input.len() / from * from]);
        return;
    }
    output.reserve(input.len() / from * to);
    for sample in input.chunks_exact(from) {
        if from == 1 {
            output.extend(std::iter::repeat_n(sample[0], to));
        } else if to > from {
            output.extend_from_slice(sample);
            output.extend(std::iter::repeat_n(0, to - from));
        } else {
            output.extend((0..to).map(|channel| {
                let parts = sample[channel..].iter().step_by(to);
                let (sum, count) = parts.fold((0i32, 0i32), |(sum, count), &s| {
                    (sum + i32::from(s), count + 1)
                });
                (sum / count) as i16
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(input: &[i16], from: u16, to: u16) -> Vec<i16> {
        let mut output = Vec::new();
        remix(input, from, to, &mut output);
        output
    }

    #[test]
    fn channels_are_averaged_copied_and_padded() {
        assert_eq!(mixed(&[3, -4, -3, -4, 5, 0], 2, 1), [0, -3, 2]);
        assert_eq!(mixed(&[7, 8], 1, 3), [7, 7, 7, 8, 8, 8]);
        assert_eq!(mixed(&[1, 2], 2, 4), [1, 2, 0, 0]);
        assert_eq!(mixed(&[10, 20, 30, 40], 4, 2), [20, 30]);
        assert_eq!(mixed(&[i16::MAX; 8], 8, 1), [i16::MAX]);
        assert_eq!(mixed(&[1, 2, 3], 2, 2), [1, 2]);
    }
}
