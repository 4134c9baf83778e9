use std::time::{Duration, Instant};

use serde_json::json;
use sora_signaling::message::{AudioOptions, Connect, Role};
use sora_signaling::{Action, ClientSession, Event, SessionConfig, WebSocketFailure, deflate};

/// An input must not cause a flood of actions.
const MAX_ACTIONS: usize = 64;
const LABELS: [&str; 6] = ["signaling", "notify", "push", "stats", "rpc", "#chat"];

fn messages() -> Vec<String> {
    let channels: Vec<_> =
        LABELS.iter().map(|l| json!({"label": l, "direction": "sendrecv", "compress": true})).collect();
    [
        json!({"type": "offer", "sdp": "v=0", "connection_id": "C", "config": {"iceServers": []}, "data_channels": channels}),
        json!({"type": "redirect", "location": "wss://b"}),
        json!({"type": "re-offer", "sdp": "v=0"}),
        json!({"type": "update", "sdp": "v=0"}),
        json!({"type": "switched", "ignore_disconnect_websocket": true}),
        json!({"type": "switched", "ignore_disconnect_websocket": false}),
        json!({"type": "ping", "stats": true}),
        json!({"type": "req-stats"}),
        json!({"type": "notify", "event_type": "connection.created"}),
        json!({"type": "push", "data": 1}),
        json!({"type": "close", "code": 1000, "reason": "R"}),
    ]
    .iter()
    .map(ToString::to_string)
    .collect()
}

struct Run {
    session: ClientSession,
    now: Instant,
    ends: usize,
    ended_last: bool,
}

impl Run {
    fn drain(&mut self) {
        let mut count = 0;
        while let Some(action) = self.session.poll_action() {
            count += 1;
            self.ended_last = matches!(action, Action::Event(Event::Disconnected { .. }));
            self.ends += usize::from(self.ended_last);
        }
        assert!(count <= MAX_ACTIONS, "{count} actions after one input");
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
        self.drain();
        // Limits that were waiting for the time start now.
        self.session.handle_timeout(self.now);
        self.drain();
    }

    fn step(&mut self, operation: u8, argument: u8, messages: &[String], noise: &[u8]) {
        let label = LABELS[usize::from(argument) % LABELS.len()];
        let message = &messages[usize::from(argument) % messages.len()];
        let (now, session) = (self.now, &mut self.session);
        match operation % 22 {
            0 => session.websocket_opened(now),
            1 | 2 => session.websocket_text(now, message),
            3 => session.websocket_text(now, &String::from_utf8_lossy(noise)),
            4 | 5 => session.data_channel_message(now, label, &deflate(message.as_bytes())),
            6 => session.data_channel_message(now, label, noise),
            7 => session.data_channel_opened(label),
            8 => session.data_channel_closed(label),
            9 => session.offer_applied(),
            10 => session.answer_created("v=0"),
            11 => session.offer_failed(argument.is_multiple_of(2), "e"),
            12 => session.peer_connected(),
            13 => session.peer_failed(),
            14 => session.peer_closed(now),
            15 => session.websocket_closed(u16::from(argument) * 20, "r"),
            16 => session.websocket_broken(&WebSocketFailure::Eof),
            17 => session.websocket_failed("e", argument.is_multiple_of(2)),
            18 => session.stats_collected(&[]),
            19 => session.local_candidate("c"),
            20 => session.disconnect(now),
            _ => self.wait(Duration::from_millis(u64::from(argument) * 100)),
        }
    }
}

/// Sequences of inputs to the client's state machine: pairs of operation and argument. The end comes once and last, and a
/// goodbye brings it about within the time limits whatever went before.
pub fn session(data: &[u8]) {
    let connect = Connect {
        role: Some(Role::SendRecv),
        channel_id: "room".to_owned(),
        audio: Some(AudioOptions::default()),
        ..Connect::default()
    };
    let now = Instant::now();
    let mut run = Run { session: ClientSession::new(SessionConfig::new(connect)), now, ends: 0, ended_last: false };
    run.session.start(now);
    let messages = messages();
    for pair in data.chunks_exact(2).take(512) {
        run.step(pair[0], pair[1], &messages, &data[..data.len().min(64)]);
        run.drain();
    }
    run.session.disconnect(run.now);
    for _ in 0..4 {
        run.wait(Duration::from_millis(5100));
    }
    assert_eq!(run.ends, 1, "the end comes once");
    assert!(run.ended_last, "the end comes last");
}
