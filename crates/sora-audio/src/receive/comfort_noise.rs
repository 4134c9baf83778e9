//! What is heard while nothing comes for long: the noise floor of what was heard before.

/// How fast the estimated floor rises towards what is heard, per frame of 10 ms: 3 dB in 4 s.
const RISE: f32 = 1.000_87;
/// Louder than this is no background: -50 dBFS.
const LOUDEST: f32 = 100.0;

/// Tracks the quietest recent sound and makes noise of that level.
#[derive(Debug)]
pub(super) struct ComfortNoise {
    floor: Option<f32>,
    seed: u32,
    low_pass: f32,
}

impl ComfortNoise {
    pub(super) fn new() -> Self {
        Self { floor: None, seed: 0x2545_f491, low_pass: 0.0 }
    }

    /// Listens to 10 ms of received sound.
    pub(super) fn listen(&mut self, samples: &[i16]) {
        let energy: f32 = samples.iter().map(|sample| f32::from(*sample).powi(2)).sum();
        let level = (energy / samples.len().max(1) as f32).sqrt();
        self.floor = Some(self.floor.map_or(level, |floor| level.min((floor * RISE).max(floor + 0.001))));
    }

    /// The next sample of noise.
    pub(super) fn sample(&mut self) -> f32 {
        let floor = self.floor.unwrap_or(0.0).min(LOUDEST);
        // xorshift32 (Marsaglia 2003); a pole at 0.6 takes the hiss off, the gain keeps the level.
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 17;
        self.seed ^= self.seed << 5;
        let white = (self.seed as f32 / u32::MAX as f32 - 0.5) * 3.464;
        self.low_pass = 0.6 * self.low_pass + 0.8 * white;
        self.low_pass * floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_level_of_the_pauses() {
        let mut noise = ComfortNoise::new();
        for round in 0_i16..400 {
            let level = if round % 40 < 30 { 9000 } else { 40 };
            let frame: Vec<i16> = (0..480).map(|i| if i % 2 == 0 { level } else { -level }).collect();
            noise.listen(&frame);
        }
        let energy: f32 = (0..48_000).map(|_| noise.sample().powi(2)).sum::<f32>() / 48_000.0;
        assert!((30.0..50.0).contains(&energy.sqrt()), "{}", energy.sqrt());
    }

    #[test]
    fn silence_stays_silent() {
        let mut noise = ComfortNoise::new();
        noise.listen(&[0; 480]);
        assert!((0..480).all(|_| noise.sample().abs() < 0.5));
    }
}
