//! Which layer of a simulcast sender a receiver gets.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::channel::timestamp;
use crate::simulcast::{DEFAULT_REQUEST, Request, Rid, word};

/// A layer that has been silent for so long is not being sent.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Instant,
    ssrc: u32,
    sequence: u64,
}

/// One receiver's choice among one sender's layers.
#[derive(Debug)]
pub(super) struct Layers {
    requested: Request,
    /// The request that led to the current layer.
    settled: Option<Request>,
    current: Option<Rid>,
    heard: [Option<Heard>; 3],
}

/// Why the layer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// A layer is being sent, or is no longer.
    Sender,
    /// Another one was asked for.
    Receiver,
}

/// A change from one layer to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Switch {
    previous: Option<Rid>,
    current: Option<Rid>,
    requested: Request,
    trigger: Trigger,
    sent: Vec<Rid>,
}

impl Layers {
    pub(super) fn new() -> Self {
        Self { requested: DEFAULT_REQUEST, settled: None, current: None, heard: [None; 3] }
    }

    pub(super) fn request(&mut self, request: Request) {
        self.requested = request;
    }

    pub(super) fn current(&self) -> Option<Rid> {
        self.current
    }

    /// Takes note of a packet of a layer; true if it is the newest one of it.
    pub(super) fn hear(&mut self, rid: Rid, ssrc: u32, sequence: u64, now: Instant) -> bool {
        let heard = &mut self.heard[rid as usize];
        // Another source numbers for itself; after a silence the same one may have begun again.
        let begins = |last: Heard| last.ssrc != ssrc || is_silent(last, now);
        let newer = heard.is_none_or(|last| sequence > last.sequence || begins(last));
        let sequence = heard.filter(|_| !newer).map_or(sequence, |last| last.sequence);
        *heard = Some(Heard { at: now, ssrc, sequence });
        newer
    }

    fn is_sent(&self, rid: Rid, now: Instant) -> bool {
        self.heard[rid as usize].is_some_and(|last| !is_silent(last, now))
    }

    fn sent(&self, now: Instant) -> impl Iterator<Item = Rid> {
        Rid::ALL.into_iter().filter(move |rid| self.is_sent(*rid, now))
    }

    /// The layer to forward: the requested one, else the next lower one that is sent, else the lowest.
    pub(super) fn target(&self, now: Instant) -> Option<Rid> {
        let requested = self.requested?;
        self.sent(now).filter(|rid| *rid <= requested).last().or_else(|| self.sent(now).next())
    }

    pub(super) fn switch(&mut self, to: Option<Rid>, now: Instant) -> Switch {
        let previous = std::mem::replace(&mut self.current, to);
        let before = self.settled.replace(self.requested);
        let trigger = if before == Some(self.requested) { Trigger::Sender } else { Trigger::Receiver };
        Switch { previous, current: to, requested: self.requested, trigger, sent: self.sent(now).collect() }
    }
}

fn is_silent(last: Heard, now: Instant) -> bool {
    now.saturating_duration_since(last.at) >= SILENCE
}

impl Switch {
    /// The notification for the receiver.
    pub(super) fn notification(&self, sender_connection_id: &str) -> String {
        json!({
            "type": "notify", "event_type": "simulcast.switched", "timestamp": timestamp(),
            "sender_connection_id": sender_connection_id,
            "priority": if self.current > self.previous { "higher" } else { "lower" },
            "trigger": match self.trigger { Trigger::Sender => "sender", Trigger::Receiver => "receiver" },
            // Whatever a receiver asks for it may have.
            "rpc_rids": ["none", "r0", "r1", "r2"],
            "auto_rids": self.sent.iter().map(|rid| rid.as_str()).collect::<Vec<_>>(),
            "request_rid": word(self.requested), "current_rid": word(self.current), "previous_rid": word(self.previous),
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Rid::{R0, R1, R2};

    fn sent(rids: &[Rid]) -> (Layers, Instant) {
        let (mut layers, now) = (Layers::new(), Instant::now());
        for rid in rids {
            layers.hear(*rid, 1, 1, now);
        }
        (layers, now)
    }

    #[test]
    fn the_requested_layer_goes_before_the_next_lower_and_that_before_the_lowest() {
        let cases: [(&[Rid], Request, Option<Rid>); 10] = [
            (&[R0, R1, R2], Some(R0), Some(R0)),
            (&[R0, R1, R2], Some(R1), Some(R1)),
            (&[R0, R1, R2], Some(R2), Some(R2)),
            (&[R0, R1], Some(R2), Some(R1)),
            (&[R0], Some(R2), Some(R0)),
            (&[R0, R2], Some(R1), Some(R0)),
            (&[R1, R2], Some(R0), Some(R1)),
            (&[R2], Some(R0), Some(R2)),
            (&[R0, R1, R2], None, None),
            (&[], Some(R1), None),
        ];
        for (rids, request, target) in cases {
            let (mut layers, now) = sent(rids);
            layers.request(request);
            assert_eq!(layers.target(now), target, "{rids:?} {request:?}");
        }
    }

    #[test]
    fn a_layer_is_sent_until_a_second_after_its_last_packet() {
        let (mut layers, now) = sent(&[R0, R2]);
        layers.request(Some(R2));
        let almost = now + SILENCE - Duration::from_millis(1);
        layers.hear(R0, 1, 2, almost);
        assert_eq!(layers.target(almost), Some(R2));
        assert_eq!(layers.target(now + SILENCE), Some(R0));
        layers.hear(R2, 1, 2, now + SILENCE);
        assert_eq!(layers.target(now + SILENCE), Some(R2), "it is sent again");
    }

    #[test]
    fn late_packets_are_not_the_newest_unless_the_layer_was_silent() {
        let (mut layers, now) = (Layers::new(), Instant::now());
        let newest = [5, 7, 6, 7, 8].map(|sequence| layers.hear(R1, 1, sequence, now));
        assert_eq!(newest, [true, true, false, false, true]);
        assert!(layers.hear(R1, 2, 3, now), "another source numbers for itself");
        assert!(layers.hear(R1, 2, 2, now + SILENCE));
    }

    #[test]
    fn a_switch_tells_what_led_to_it() {
        let (mut layers, now) = sent(&[R0, R1]);
        let members = |switch: &Switch| {
            let notification: serde_json::Value = serde_json::from_str(&switch.notification("S")).expect("JSON");
            assert_eq!(notification["type"], "notify");
            assert_eq!(notification["event_type"], "simulcast.switched");
            assert_eq!(notification["sender_connection_id"], "S");
            assert!(notification["timestamp"].is_string());
            assert_eq!(notification["rpc_rids"], json!(["none", "r0", "r1", "r2"]));
            let word = |name: &str| notification[name].as_str().expect("a word").to_owned();
            ["priority", "trigger", "request_rid", "current_rid", "previous_rid"].map(word)
        };
        layers.request(Some(R2));
        let first = layers.switch(Some(R1), now);
        assert_eq!(members(&first), ["higher", "receiver", "r2", "r1", "none"]);
        assert_eq!(first.sent, [R0, R1]);
        let second = layers.switch(Some(R2), now);
        assert_eq!(members(&second), ["higher", "sender", "r2", "r2", "r1"]);
        layers.request(None);
        assert_eq!(members(&layers.switch(None, now)), ["lower", "receiver", "none", "none", "r2"]);
    }
}
