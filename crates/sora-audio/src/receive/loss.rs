//! How much of the stream gets lost, by sequence numbers.

/// Weight of a packet in the mean.
const WEIGHT: f32 = 1.0 / 200.0;

/// Running share of packets that never came.
#[derive(Debug, Default)]
pub(super) struct Loss {
    highest: Option<u64>,
    share: f32,
}

impl Loss {
    pub(super) fn observe(&mut self, sequence: u64) {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return;
        };
        if sequence > highest {
            let missing = (sequence - highest - 1).min(100);
            for _ in 0..missing {
                self.share += (1.0 - self.share) * WEIGHT;
            }
            self.share -= self.share * WEIGHT;
            self.highest = Some(sequence);
        } else {
            // It had been taken for lost.
            self.share = (self.share - WEIGHT).max(0.0);
        }
    }

    /// 0 to 1.
    pub(super) fn share(&self) -> f32 {
        self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_lost_reads_as_a_tenth_and_reordering_as_nothing() {
        let mut loss = Loss::default();
        (0..5000).filter(|n| n % 10 != 3).for_each(|n| loss.observe(n));
        assert!((loss.share() - 0.1).abs() < 0.02, "{}", loss.share());
        let mut loss = Loss::default();
        (0..2500).for_each(|n| [2 * n + 1, 2 * n].into_iter().for_each(|n| loss.observe(n)));
        assert!(loss.share() < 0.01, "{}", loss.share());
    }
}
