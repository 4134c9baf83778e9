//! How loud sound was, as W3C webrtc-stats counts it.

/// Loudness of what a track has carried.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AudioLevel {
    /// Of the last 10 ms: the root of the mean square, 0 to 1.
    pub level: f64,
    /// Sum of the squared levels times their duration (`totalAudioEnergy`).
    pub total_energy: f64,
    /// Seconds of sound (`totalSamplesDuration`).
    pub total_duration: f64,
}

impl AudioLevel {
    /// Counts interleaved samples that last this long.
    pub(crate) fn count(&mut self, samples: &[i16], seconds: f64) {
        if samples.is_empty() {
            return;
        }
        let sum: i64 = samples.iter().map(|sample| i64::from(*sample) * i64::from(*sample)).sum();
        let mean_square = sum as f64 / samples.len() as f64 / (32_768.0 * 32_768.0);
        self.level = mean_square.sqrt();
        self.total_energy += mean_square * seconds;
        self.total_duration += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_wave_of_half_the_range_has_half_the_level() {
        let mut level = AudioLevel::default();
        for _ in 0..100 {
            level.count(&[16_384, -16_384].repeat(240), 0.01);
        }
        assert!((level.level - 0.5).abs() < 1e-9);
        assert!((level.total_energy - 0.25).abs() < 1e-9);
        assert!((level.total_duration - 1.0).abs() < 1e-9);
    }
}
