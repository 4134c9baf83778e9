/// Steps of the table: 25 to one, up to 8.
const STEPS: usize = 201;
/// Where the original's table is not the nearest six digits.
const EXCEPTIONS: [(usize, f32); 3] = [(70, 0.992_631), (170, 0.999_997), (190, 1.0)];

/// The hyperbolic tangent from a table, as the network was trained with.
pub(crate) struct Tanh {
    table: [f32; STEPS],
}

impl Tanh {
    pub(crate) fn new() -> Self {
        let mut table = std::array::from_fn(|step| ((0.04 * step as f64).tanh() * 1e6).round() as f32 / 1e6);
        EXCEPTIONS.iter().for_each(|(step, value)| table[*step] = *value);
        Self { table }
    }

    pub(crate) fn tanh(&self, x: f32) -> f32 {
        let size = x.abs();
        // The last step is 1, and no number is taken for a large one.
        let step = (0.5 + 25.0 * size) as usize;
        let Some(near) = self.table.get(step).filter(|_| size < 8.0) else { return 1.0_f32.copysign(x) };
        let rest = size - 0.04 * step as f32;
        (near + rest * (1.0 - near * near) * (1.0 - near * rest)).copysign(x)
    }

    pub(crate) fn sigmoid(&self, x: f32) -> f32 {
        0.5 + 0.5 * self.tanh(0.5 * x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_near_the_function_and_never_outside() {
        let tanh = Tanh::new();
        for i in -200_000..200_000 {
            let x = i as f32 * 1e-4;
            let y = tanh.tanh(x);
            assert!((y - x.tanh()).abs() < 1e-4 && y.abs() <= 1.0, "{x}: {y}");
        }
        assert_eq!(tanh.sigmoid(f32::INFINITY), 1.0);
        assert_eq!(tanh.sigmoid(f32::NEG_INFINITY), 0.0);
        assert!(!tanh.tanh(f32::NAN).is_nan());
    }
}
