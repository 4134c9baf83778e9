/// Sums kept side by side, for the processor to add at once.
const LANES: usize = 16;

/// The sum of the products of two slices of one length.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a, a_left) = a.as_chunks::<LANES>();
    let (b, b_left) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_left.iter().zip(b_left).map(|(a, b)| a * b).sum();
    for half in (0..LANES.ilog2()).rev().map(|p| 1 << p) {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0] + rest
}
