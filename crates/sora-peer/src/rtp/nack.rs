//! Which packets are missing, and when to ask for them again (RFC 4585 section 6.2.1).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A gap wider than this is a restart, not a loss to repair.
const MAX_GAP: u64 = 1000;
const MAX_MISSING: usize = 1000;
const MAX_TRIES: u8 = 10;
/// Reordering on real networks stays below this; asking earlier would fetch what is on its way.
const FIRST_DELAY: Duration = Duration::from_millis(5);
const RETRY: Duration = Duration::from_millis(40);

struct Missing {
    due: Instant,
    tries: u8,
}

/// Tracks one stream's missing packets by unwrapped sequence number.
#[derive(Default)]
pub(crate) struct NackGenerator {
    highest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
}

impl NackGenerator {
    /// Takes note of a packet. Returns true if it fills a gap.
    pub(crate) fn received(&mut self, now: Instant, sequence: u64) -> bool {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return false;
        };
        if sequence <= highest {
            return self.missing.remove(&sequence).is_some();
        }
        if sequence - highest > MAX_GAP {
            self.missing.clear();
        } else {
            for lost in highest + 1..sequence {
                self.missing.insert(lost, Missing { due: now + FIRST_DELAY, tries: 0 });
            }
            while self.missing.len() > MAX_MISSING {
                self.missing.pop_first();
            }
        }
        self.highest = Some(sequence);
        false
    }

    /// The sequence numbers to ask for now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<u16> {
        let mut wanted = Vec::new();
        self.missing.retain(|sequence, missing| {
            if missing.due > now {
                return true;
            }
            wanted.push(*sequence as u16);
            missing.tries += 1;
            missing.due = now + RETRY;
            missing.tries < MAX_TRIES
        });
        wanted
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.missing.values().map(|m| m.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_asked_for_after_the_reordering_delay_and_again_until_filled() {
        let start = Instant::now();
        let mut nack = NackGenerator::default();
        nack.received(start, 10);
        nack.received(start, 13);
        assert!(nack.due(start).is_empty());
        assert_eq!(nack.due(start + FIRST_DELAY), vec![11, 12]);
        assert!(nack.received(start + FIRST_DELAY, 11));
        assert!(nack.due(start + FIRST_DELAY).is_empty());
        assert_eq!(nack.due(start + FIRST_DELAY + RETRY), vec![12]);
    }

    #[test]
    fn it_gives_up_after_ten_tries() {
        let start = Instant::now();
        let mut nack = NackGenerator::default();
        nack.received(start, 1);
        nack.received(start, 3);
        let asked = (1..100).filter(|i| !nack.due(start + RETRY * *i).is_empty()).count();
        assert_eq!(asked, usize::from(MAX_TRIES));
        assert_eq!(nack.poll_timeout(), None);
    }

    #[test]
    fn a_jump_of_thousands_is_a_restart() {
        let start = Instant::now();
        let mut nack = NackGenerator::default();
        nack.received(start, 1);
        nack.received(start, 50_000);
        assert_eq!(nack.poll_timeout(), None);
    }
}
