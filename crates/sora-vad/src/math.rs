/// Sums kept side by side, for the processor to add at once. A frame is ten times as long; with fewer, compilers unroll
/// the inner loop and then add one by one.
const LANES: usize = 48;

/// The sum of the products of two slices of one length.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a, a_left) = a.as_chunks::<LANES>();
    let (b, b_left) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    sum(&lanes) + a_left.iter().zip(b_left).map(|(a, b)| a * b).sum::<f32>()
}

/// The sum of a multiple of eight numbers.
pub(crate) fn sum(numbers: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for eight in numbers.as_chunks::<8>().0 {
        for (sum, number) in sums.iter_mut().zip(eight) {
            *sum += number;
        }
    }
    sums.iter().sum()
}
