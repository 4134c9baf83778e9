//! The trained weights: the voice activity half of RNNoise, 8 bits each. See THIRD_PARTY.md.

use crate::features::FEATURES;

/// Units of each layer.
pub(crate) const UNITS: usize = 24;
/// Update, reset and candidate of each unit.
pub(crate) const GATES: usize = 3 * UNITS;
/// What the weights are in steps of.
const STEP: f32 = 1.0 / 256.0;

static BYTES: &[u8; 4585] = include_bytes!("weights.bin");

/// All weights, with those from one input to all units side by side.
pub(crate) struct Weights {
    pub(crate) dense: [[f32; UNITS]; FEATURES],
    pub(crate) dense_bias: [f32; UNITS],
    pub(crate) input: [[f32; GATES]; UNITS],
    pub(crate) recurrent: [[f32; GATES]; UNITS],
    pub(crate) gate_bias: [f32; GATES],
    pub(crate) output: [f32; UNITS],
    pub(crate) output_bias: f32,
}

impl Weights {
    pub(crate) fn new() -> Self {
        let mut numbers = BYTES.iter().map(|byte| f32::from(byte.cast_signed()) * STEP);
        Self {
            dense: std::array::from_fn(|_| row(&mut numbers)),
            dense_bias: row(&mut numbers),
            input: std::array::from_fn(|_| row(&mut numbers)),
            recurrent: std::array::from_fn(|_| row(&mut numbers)),
            gate_bias: row(&mut numbers),
            output: row(&mut numbers),
            output_bias: row::<1>(&mut numbers)[0],
        }
    }
}

fn row<const N: usize>(numbers: &mut impl Iterator<Item = f32>) -> [f32; N] {
    std::array::from_fn(|_| numbers.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_used_to_its_end() {
        assert_eq!(BYTES.len(), (FEATURES + 1) * UNITS + (2 * UNITS + 1) * GATES + UNITS + 1);
        let weights = Weights::new();
        assert_eq!(weights.dense[0][0], -10.0 / 256.0);
        assert_eq!(weights.output_bias, -50.0 / 256.0);
    }
}
