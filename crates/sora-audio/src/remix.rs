/// Converts interleaved samples from one channel count to another.
///
/// Down to one channel averages all. Up from one fills the first two, front left and right; the others are silent, as
/// in libwebrtc. Otherwise channels keep their place: surplus ones are folded into the last by averaging, missing ones
/// are silent.
#[must_use]
pub fn remix(samples: &[i16], from: usize, to: usize) -> Vec<i16> {
    if from == to || from == 0 || to == 0 {
        return samples.to_vec();
    }
    let average = |channels: &[i16]| {
        let sum: i32 = channels.iter().map(|s| i32::from(*s)).sum();
        (sum / channels.len().max(1) as i32) as i16
    };
    let mut out = Vec::with_capacity(samples.len() / from * to);
    for frame in samples.chunks_exact(from) {
        match (from, to) {
            (_, 1) => out.push(average(frame)),
            (1, _) => {
                out.extend([frame[0]; 2]);
                out.extend(std::iter::repeat_n(0, to - 2));
            }
            _ if from > to => {
                out.extend_from_slice(&frame[..to - 1]);
                out.push(average(&frame[to - 1..]));
            }
            _ => {
                out.extend_from_slice(frame);
                out.extend(std::iter::repeat_n(0, to - from));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_keep_their_place() {
        assert_eq!(remix(&[100, 200, -50, 50], 2, 1), [150, 0]);
        assert_eq!(remix(&[7, 8], 1, 2), [7, 7, 8, 8]);
        assert_eq!(remix(&[7], 1, 6), [7, 7, 0, 0, 0, 0]);
        assert_eq!(remix(&[1, 3, 5], 3, 2), [1, 4]);
        assert_eq!(remix(&[1, 3], 2, 4), [1, 3, 0, 0]);
    }
}
