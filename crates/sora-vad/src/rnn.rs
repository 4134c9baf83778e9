use crate::activation::Tanh;
use crate::features::FEATURES;
use crate::math::dot;
use crate::weights::{GATES, UNITS, Weights};

/// Three layers of 24, one of them recurrent.
pub(crate) struct Network {
    weights: Weights,
    tanh: Tanh,
    state: [f32; UNITS],
}

impl Network {
    pub(crate) fn new() -> Self {
        Self { weights: Weights::new(), tanh: Tanh::new(), state: [0.0; UNITS] }
    }

    /// Forgets what was heard.
    pub(crate) fn reset(&mut self) {
        self.state = [0.0; UNITS];
    }

    /// The probability of speech.
    pub(crate) fn run(&mut self, features: &[f32; FEATURES]) -> f32 {
        let mut dense = self.weights.dense_bias;
        add_product(&mut dense, features, &self.weights.dense);
        self.remember(&dense.map(|sum| self.tanh.tanh(sum)));
        self.tanh.sigmoid(self.weights.output_bias + dot(&self.state, &self.weights.output))
    }

    /// The recurrent layer: gates decide how much of the state is kept.
    fn remember(&mut self, input: &[f32; UNITS]) {
        let Self { weights, tanh, state } = self;
        let mut gates = weights.gate_bias;
        add_product(&mut gates, input, &weights.input);
        let mut recurrent = [0.0; GATES];
        add_product(&mut recurrent, &*state, &weights.recurrent);
        let gate = |unit: usize| tanh.sigmoid(gates[unit] + recurrent[unit]);
        let update: [f32; UNITS] = std::array::from_fn(gate);
        let kept: [f32; UNITS] = std::array::from_fn(|unit| state[unit] * gate(UNITS + unit));
        let mut recurrent = [0.0; GATES];
        add_product(&mut recurrent, &kept, &weights.recurrent);
        for (unit, state) in state.iter_mut().enumerate() {
            let candidate = (gates[2 * UNITS + unit] + recurrent[2 * UNITS + unit]).max(0.0);
            *state = update[unit] * *state + (1.0 - update[unit]) * candidate;
        }
    }
}

/// Adds each input times its row of weights.
fn add_product<const N: usize>(sums: &mut [f32; N], inputs: &[f32], rows: &[[f32; N]]) {
    for (input, row) in inputs.iter().zip(rows) {
        for (sum, weight) in sums.iter_mut().zip(row) {
            *sum += input * weight;
        }
    }
}
