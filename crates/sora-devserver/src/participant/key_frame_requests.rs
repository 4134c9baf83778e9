//! When a sender is asked for key frames. Several receivers that join at once need one, not several.

use std::time::{Duration, Instant};

use crate::simulcast::Rid;

const INTERVAL: Duration = Duration::from_millis(30);

/// One for each layer, and one for requests that are not about a layer.
const SLOTS: [Option<Rid>; 4] = [None, Some(Rid::R0), Some(Rid::R1), Some(Rid::R2)];

#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    last: Option<Instant>,
    is_pending: bool,
}

/// The requests to one sender.
#[derive(Debug, Default)]
pub(super) struct KeyFrameRequests([Slot; SLOTS.len()]);

impl KeyFrameRequests {
    /// Somebody asks. True if the request goes out at once; else it waits, see [`Self::due`]: who asks now may not
    /// have been there for the key frame that is on its way.
    pub(super) fn ask(&mut self, rid: Option<Rid>, merge: bool, now: Instant) -> bool {
        let slot = &mut self.0[rid.map_or(0, |rid| rid as usize + 1)];
        if merge && slot.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            slot.is_pending = true;
            return false;
        }
        *slot = Slot { last: Some(now), is_pending: false };
        true
    }

    /// When [`Self::take_due`] has something.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().filter(|slot| slot.is_pending).filter_map(|slot| Some(slot.last? + INTERVAL)).min()
    }

    /// The requests that have waited long enough.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Option<Rid>> {
        let mut due = Vec::new();
        for (slot, rid) in self.0.iter_mut().zip(SLOTS) {
            if slot.is_pending && slot.last.is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL) {
                *slot = Slot { last: Some(now), is_pending: false };
                due.push(rid);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_together_shares_one_request_and_who_asks_later_another() {
        let (mut requests, now) = (KeyFrameRequests::default(), Instant::now());
        assert!(requests.ask(None, true, now));
        assert!(!requests.ask(None, true, now) && !requests.ask(None, true, now + INTERVAL / 2));
        assert_eq!(requests.due(), Some(now + INTERVAL));
        assert_eq!(requests.take_due(now + INTERVAL / 2), []);
        assert_eq!(requests.take_due(now + INTERVAL), [None]);
        assert_eq!(requests.due(), None);
        assert!(!requests.ask(None, true, now + INTERVAL));
        assert!(requests.ask(None, false, now + INTERVAL), "a caller of the API gets its own");
        assert_eq!(requests.due(), None, "which serves those who wait too");
    }

    #[test]
    fn layers_do_not_wait_for_each_other() {
        let (mut requests, now) = (KeyFrameRequests::default(), Instant::now());
        assert!(SLOTS.into_iter().all(|rid| requests.ask(rid, true, now)));
        let later = now + INTERVAL / 2;
        requests.ask(Some(Rid::R2), true, later);
        assert_eq!(requests.take_due(now + INTERVAL), [Some(Rid::R2)]);
    }
}
