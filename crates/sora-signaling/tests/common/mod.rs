//! A session with a clock of its own and a driver that does as it is told.
#![allow(dead_code, reason = "every test file uses its part")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sora_signaling::message::{AudioOptions, Connect, Role, VideoOptions};
use sora_signaling::{Action, ClientSession, ErrorCode, Event, SessionConfig, inflate};

pub(crate) const CLOSED: &str = "The WebSocket stream was gracefully closed at both endpoints";
pub(crate) const LABELS: [&str; 5] = ["signaling", "notify", "push", "stats", "#chat"];

pub(crate) struct Harness {
    pub(crate) session: ClientSession,
    pub(crate) now: Instant,
    /// Everything done so far, oldest first.
    pub(crate) actions: Vec<Action>,
}

pub(crate) fn connect() -> Connect {
    Connect {
        role: Some(Role::SendRecv),
        channel_id: "room".to_owned(),
        sora_client: "test 1.0".to_owned(),
        environment: "test".to_owned(),
        video: Some(VideoOptions::default()),
        audio: Some(AudioOptions::default()),
        ..Connect::default()
    }
}

pub(crate) fn offer() -> Value {
    let data_channels: Vec<Value> =
        LABELS.iter().map(|label| json!({ "label": label, "direction": "sendrecv", "compress": true })).collect();
    json!({ "type": "offer", "sdp": "v=0", "connection_id": "C", "config": { "iceServers": [] },
            "data_channels": data_channels })
}

impl Harness {
    pub(crate) fn new() -> Self {
        let mut session = ClientSession::new(SessionConfig::new(connect()));
        let now = Instant::now();
        session.start(now);
        Self { session, now, actions: Vec::new() }
    }

    /// The WebSocket is open and `connect` sent.
    pub(crate) fn opened() -> Self {
        let mut h = Self::new();
        h.session.websocket_opened(h.now);
        h.run();
        h
    }

    /// The offer is answered and media flows.
    pub(crate) fn connected() -> Self {
        let mut h = Self::opened();
        h.text(&offer());
        h.session.offer_applied();
        h.session.answer_created("v=0 answer");
        h.session.peer_connected();
        h.run();
        h
    }

    /// Data channels are open and signaling moved; the WebSocket stays.
    pub(crate) fn hybrid() -> Self {
        Self::switched(false)
    }

    /// As hybrid, but the WebSocket is gone.
    pub(crate) fn data_channel_only() -> Self {
        Self::switched(true)
    }

    fn switched(ignore: bool) -> Self {
        let mut h = Self::connected();
        for label in LABELS {
            h.session.data_channel_opened(label);
        }
        h.text(&json!({ "type": "switched", "ignore_disconnect_websocket": ignore }));
        h.run();
        h
    }

    /// Carries out what there is to do and returns it. Limits that start "now" start.
    pub(crate) fn run(&mut self) -> Vec<Action> {
        let mut fresh: Vec<Action> = std::iter::from_fn(|| self.session.poll_action()).collect();
        if self.session.poll_timeout().is_some_and(|at| at <= self.now) {
            self.session.handle_timeout(self.now);
            fresh.extend(std::iter::from_fn(|| self.session.poll_action()));
        }
        self.actions.extend(fresh.iter().cloned());
        fresh
    }

    pub(crate) fn text(&mut self, message: &Value) {
        self.session.websocket_text(self.now, &message.to_string());
    }

    /// A compressed message on a listed channel.
    pub(crate) fn channel(&mut self, label: &str, message: &Value) {
        self.session.data_channel_message(self.now, label, &sora_signaling::deflate(message.to_string().as_bytes()));
    }

    pub(crate) fn close_channels(&mut self) {
        for label in LABELS {
            self.session.data_channel_closed(label);
        }
        self.run();
    }

    pub(crate) fn disconnect(&mut self) {
        self.session.disconnect(self.now);
        self.run();
    }

    pub(crate) fn wait(&mut self, seconds: f64) {
        self.run();
        self.now += Duration::from_secs_f64(seconds);
        self.session.handle_timeout(self.now);
        self.run();
    }

    pub(crate) fn ended(&self) -> Option<(ErrorCode, String)> {
        self.actions.iter().find_map(|action| match action {
            Action::Event(Event::Disconnected { code, message }) => Some((*code, message.clone())),
            _ => None,
        })
    }

    pub(crate) fn ws_close(&self) -> Option<(u16, String)> {
        self.actions.iter().find_map(|action| match action {
            Action::Event(Event::WsClose { code, reason }) => Some((*code, reason.clone())),
            _ => None,
        })
    }

    /// What went out: `("ws", text)` or `(label, inflated text)`.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        let text = |data: &[u8]| String::from_utf8(inflate(data).expect("zlib")).expect("UTF-8");
        let sent = |action: &Action| match action {
            Action::SendWebSocket(text) => Some(("ws".to_owned(), text.clone())),
            Action::SendDataChannel { label, data, .. } => Some((label.clone(), text(data))),
            _ => None,
        };
        self.actions.iter().filter_map(sent).collect()
    }

    pub(crate) fn has_sent(&self, transport: &str, text: &str) -> bool {
        self.sent().iter().any(|(on, what)| on == transport && what == text)
    }

    pub(crate) fn warnings(&self) -> usize {
        self.actions.iter().filter(|action| matches!(action, Action::Event(Event::Warning(_)))).count()
    }

    /// Checks how it ended: `on_ws_close`, code, text, and that nothing comes after the end.
    #[track_caller]
    pub(crate) fn assert_end(&mut self, ws_close: Option<(u16, &str)>, code: ErrorCode, message: &str) {
        self.run();
        assert_eq!(self.ended(), Some((code, message.to_owned())));
        assert_eq!(self.ws_close(), ws_close.map(|(code, reason)| (code, reason.to_owned())));
        assert!(matches!(self.actions.last(), Some(Action::Event(Event::Disconnected { .. }))), "the end comes last");
        assert!(self.session.is_closed() && self.session.poll_timeout().is_none());
    }
}
