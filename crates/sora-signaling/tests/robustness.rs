//! Arbitrary input, from a seeded generator: nothing panics, nothing grows, the end comes once and last.

mod common;

use common::{Harness, LABELS};
use serde_json::json;
use sora_signaling::message::{ClientMessage, ServerMessage};
use sora_signaling::{Action, Event, WebSocketFailure, deflate, inflate};

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.next() as u8).collect()
    }
}

fn seeds() -> Vec<String> {
    [
        common::offer(),
        json!({ "type": "redirect", "location": "wss://b" }),
        json!({ "type": "re-offer", "sdp": "v=0" }),
        json!({ "type": "update", "sdp": "v=0" }),
        json!({ "type": "switched", "ignore_disconnect_websocket": true }),
        json!({ "type": "switched", "ignore_disconnect_websocket": false }),
        json!({ "type": "ping", "stats": true }),
        json!({ "type": "req-stats" }),
        json!({ "type": "notify", "event_type": "connection.created" }),
        json!({ "type": "push", "data": [1, { "a": null }] }),
        json!({ "type": "close", "code": 1000, "reason": "R" }),
        json!({ "type": "connect", "role": "sendrecv", "channel_id": "c", "data_channels": [{ "label": "#ab" }] }),
    ]
    .iter()
    .map(ToString::to_string)
    .collect()
}

/// A seed with some bytes changed, cut out or doubled.
fn mutated(random: &mut Random, seeds: &[String]) -> String {
    let mut bytes = seeds[random.below(seeds.len())].clone().into_bytes();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] = b"{}[]\":,0-e\\nt"[random.below(13)],
            2 => bytes.truncate(at.max(1)),
            _ => bytes.extend_from_within(at..),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn parsers_survive_arbitrary_text() {
    let (mut random, seeds) = (Random(1), seeds());
    for _ in 0..20_000 {
        let text = mutated(&mut random, &seeds);
        // What can be read can be written, and read again.
        if let Ok(message) = ServerMessage::parse(&text) {
            assert!(ServerMessage::parse(&message.to_json()).is_ok(), "{text}");
        }
        if let Ok(message) = ClientMessage::parse(&text) {
            assert!(ClientMessage::parse(&message.to_json()).is_ok(), "{text}");
        }
        let noise = random.bytes(64);
        let _ = ServerMessage::parse(&String::from_utf8_lossy(&noise));
        let _ = inflate(&noise);
    }
    let deep = "[".repeat(100_000);
    assert!(ServerMessage::parse(&deep).is_err());
}

fn step(random: &mut Random, h: &mut Harness, seeds: &[String]) {
    let label = ["#unlisted", "rpc", LABELS[random.below(LABELS.len())]][random.below(3)];
    match random.below(24) {
        0..=5 => {
            let text = mutated(random, seeds);
            h.session.websocket_text(h.now, &text);
        }
        6..=8 => {
            let text = mutated(random, seeds);
            h.session.data_channel_message(h.now, label, &deflate(text.as_bytes()));
        }
        9 => {
            let noise = random.bytes(64);
            h.session.data_channel_message(h.now, label, &noise);
        }
        10..=12 => h.session.data_channel_opened(label),
        13 => h.session.data_channel_closed(label),
        14 | 15 => {
            h.session.offer_applied();
            h.session.answer_created("v=0");
        }
        16 => h.session.websocket_opened(h.now),
        17 => h.session.peer_connected(),
        18 => h.session.stats_collected(&[]),
        19 => h.session.local_candidate("c"),
        20 => drop(h.session.encode_message(label, b"x")),
        21 => h.wait(random.below(3000) as f64 / 1000.0),
        22 => match random.below(40) {
            0 => h.session.websocket_closed(random.next() as u16, "r"),
            1 => h.session.websocket_broken(&WebSocketFailure::Eof),
            2 => h.session.peer_failed(),
            3 => h.session.peer_closed(h.now),
            4 => h.session.offer_failed(random.below(2) == 0, "e"),
            5 => h.session.websocket_failed("e", false),
            _ => {}
        },
        _ => {
            if random.below(40) == 0 {
                h.session.disconnect(h.now);
            }
        }
    }
}

#[test]
fn sessions_survive_arbitrary_input_and_end_once() {
    let seeds = seeds();
    for seed in 1..=2_000 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut h = match seed % 4 {
            0 => Harness::new(),
            1 => Harness::connected(),
            2 => Harness::hybrid(),
            _ => Harness::data_channel_only(),
        };
        for _ in 0..100 {
            step(&mut random, &mut h, &seeds);
            assert!(h.run().len() < 64, "an input must not cause a flood");
        }
        // However it stands, goodbye ends it within the limits.
        h.disconnect();
        for _ in 0..4 {
            h.wait(5.1);
        }
        let ends = |action: &&Action| matches!(action, Action::Event(Event::Disconnected { .. }));
        assert_eq!(h.actions.iter().filter(ends).count(), 1, "seed {seed}");
        assert!(h.actions.last().as_ref().is_some_and(ends), "seed {seed}");
    }
}
