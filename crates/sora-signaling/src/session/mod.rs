//! The client's connection, from the first WebSocket to the last word: a state machine without sockets and clock.
//!
//! The driver feeds it what happens and carries out what [`ClientSession::poll_action`] says, in that order, until
//! there is nothing left. Exactly one [`Event::Disconnected`] comes for every started session, as the last event.

mod channels;
mod endings;
mod event;
mod receive;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ErrorCode;

use crate::message::Connect;
use channels::Channels;
pub use event::{Action, Event, Signal};

/// The largest application message, before and after compression.
pub const MAX_MESSAGE: usize = 262_144;

/// What a session is made from.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The message to open with.
    pub connect: Connect,
    /// Limit for connecting the WebSocket, the first one and every redirect.
    pub websocket_connection_timeout: Duration,
    /// Limit for the server's closing of the WebSocket.
    pub websocket_close_timeout: Duration,
    /// Limit for the server's closing of the data channels.
    pub disconnect_wait_timeout: Duration,
    /// Limit from connected media to the move of signaling to data channels, if the offer lists them.
    pub data_channel_signaling_timeout: Duration,
    /// Limit from the open WebSocket to connected ICE and DTLS.
    pub connect_timeout: Duration,
}

impl SessionConfig {
    /// The reference's defaults: 30 s, 3 s, 5 s, 180 s; 30 s from the WebSocket to media.
    #[must_use]
    pub fn new(connect: Connect) -> Self {
        Self {
            connect,
            websocket_connection_timeout: Duration::from_secs(30),
            websocket_close_timeout: Duration::from_secs(3),
            disconnect_wait_timeout: Duration::from_secs(5),
            data_channel_signaling_timeout: Duration::from_secs(180),
            connect_timeout: Duration::from_secs(30),
        }
    }
}

/// How a WebSocket broke without a close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebSocketFailure {
    /// TCP ended.
    Eof,
    /// TCP was reset.
    Reset,
    /// Anything else.
    Other(String),
}

impl WebSocketFailure {
    fn text(&self) -> &str {
        match self {
            Self::Eof => "End of file",
            Self::Reset => "Connection reset by peer",
            Self::Other(text) => text,
        }
    }
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Only labels that begin with `#` carry application messages.
    #[error("only labels that begin with '#' carry application messages")]
    ReservedLabel,
    /// The channel is not open.
    #[error("the data channel is not open")]
    NotOpen,
    /// The message is longer than [`MAX_MESSAGE`], before or after compression.
    #[error("expected a message of up to {MAX_MESSAGE} bytes, got {0}")]
    TooLarge(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Init,
    /// The WebSocket is being connected.
    Connecting,
    /// `connect` is sent; the offer has not come.
    AwaitingOffer,
    /// The offer is being applied or was.
    Connected,
    /// The application said goodbye.
    Closing(endings::Goodbye),
    /// The server said `close` on a data channel.
    ClosingByServer,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfferKind {
    Offer,
    ReOffer { data_channel: bool },
    Update,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StatsRequest {
    Pong,
    DataChannel,
}

/// The state machine.
pub struct ClientSession {
    config: SessionConfig,
    phase: Phase,
    websocket: bool,
    peer_connected: bool,
    switched: bool,
    channels: Channels,
    offer_text: String,
    offer_in_progress: Option<OfferKind>,
    /// Later offers that came while one was being applied, oldest first.
    waiting_offers: VecDeque<(OfferKind, String)>,
    /// What the session will end as, whatever the goodbye that is under way comes to.
    forced: Option<(ErrorCode, String)>,
    server_close: Option<(u16, String)>,
    /// The signaling channel closed although nobody had said goodbye.
    signaling_lost: bool,
    redirects: u32,
    warnings: u64,
    stats_requests: VecDeque<StatsRequest>,
    deadline: Option<Instant>,
    /// A time limit that starts at the next call of `handle_timeout`, which is asked for at once: for inputs that do
    /// not come with the time.
    delay: Option<Duration>,
    /// The latest time that was told.
    now: Option<Instant>,
    actions: VecDeque<Action>,
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("phase", &self.phase)
            .field("websocket", &self.websocket)
            .field("switched", &self.switched)
            .field("actions", &self.actions.len())
            .finish_non_exhaustive()
    }
}

impl ClientSession {
    /// A session that has not started.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        Self {
            config,
            phase: Phase::Init,
            websocket: false,
            peer_connected: false,
            switched: false,
            channels: Channels::default(),
            offer_text: String::new(),
            offer_in_progress: None,
            waiting_offers: VecDeque::new(),
            forced: None,
            server_close: None,
            signaling_lost: false,
            redirects: 0,
            warnings: 0,
            stats_requests: VecDeque::new(),
            deadline: None,
            delay: None,
            now: None,
            actions: VecDeque::new(),
        }
    }

    /// Starts: the driver connects the signaling URLs and reports back.
    pub fn start(&mut self, now: Instant) {
        if self.phase == Phase::Init {
            self.now = Some(now);
            self.phase = Phase::Connecting;
            self.deadline = Some(now + self.config.websocket_connection_timeout);
        }
    }

    /// True after the end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.delay {
            // In the past by now: the limit starts when the driver says what time it is.
            Some(_) => self.now,
            None => self.deadline,
        }
    }

    /// How many [`Event::Warning`] there have been.
    #[must_use]
    pub fn warnings(&self) -> u64 {
        self.warnings
    }

    /// The WebSocket is open, the first one or the one after a redirect.
    pub fn websocket_opened(&mut self, now: Instant) {
        if self.phase != Phase::Connecting {
            return;
        }
        self.now = Some(now);
        self.websocket = true;
        self.phase = Phase::AwaitingOffer;
        self.deadline = Some(now + self.config.connect_timeout);
        let text = self.config.connect.to_json();
        self.send_websocket("connect", text);
    }

    /// The offer was applied and its tracks told; the answer may be made.
    pub fn offer_applied(&mut self) {
        if self.offer_in_progress == Some(OfferKind::Offer) {
            let text = std::mem::take(&mut self.offer_text);
            self.event(Event::SetOffer(text));
        }
    }

    /// The answer to the offer being applied.
    pub fn answer_created(&mut self, sdp: &str) {
        let Some(kind) = self.offer_in_progress.take() else {
            return;
        };
        let (message_type, by_data_channel) = match kind {
            OfferKind::Offer => ("answer", false),
            OfferKind::Update => ("update", false),
            OfferKind::ReOffer { .. } => ("re-answer", true),
        };
        let text = crate::message::sdp_message(message_type, sdp);
        if by_data_channel && self.signaling_on_data_channel() {
            self.send_signaling_channel(message_type, text);
        } else {
            self.send_websocket(message_type, text);
        }
        self.next_re_offer();
    }

    /// A local ICE candidate, as a candidate line.
    pub fn local_candidate(&mut self, candidate: &str) {
        let text = serde_json::json!({ "type": "candidate", "candidate": candidate }).to_string();
        if self.websocket {
            self.send_websocket("candidate", text);
        } else if self.signaling_on_data_channel() {
            self.send_signaling_channel("candidate", text);
        }
    }

    /// ICE and DTLS are up.
    pub fn peer_connected(&mut self) {
        self.peer_connected = true;
        if self.phase == Phase::Connected && !self.signaling_lost {
            self.deadline = None;
            if self.channels.is_listed("signaling") && !self.switched {
                self.start_limit(self.config.data_channel_signaling_timeout);
            }
        }
    }

    /// The answer to [`Action::CollectStats`].
    pub fn stats_collected(&mut self, reports: &[Value]) {
        match self.stats_requests.pop_front() {
            Some(StatsRequest::Pong) if self.websocket => {
                let text = serde_json::json!({ "type": "pong", "stats": reports }).to_string();
                self.push(Action::SendWebSocket(text));
            }
            Some(StatsRequest::DataChannel) => {
                let text = serde_json::json!({ "type": "stats", "reports": reports }).to_string();
                self.send_channel("stats", text.as_bytes());
            }
            _ => {}
        }
    }

    /// Encodes an application message for a channel, for the driver to send at once.
    ///
    /// # Errors
    /// [`SendError`] if the label is reserved, the channel not open or the message longer than [`MAX_MESSAGE`].
    pub fn encode_message(&self, label: &str, data: &[u8]) -> Result<Vec<u8>, SendError> {
        if !label.starts_with('#') {
            return Err(SendError::ReservedLabel);
        }
        if !self.channels.is_open(label) || self.phase != Phase::Connected {
            return Err(SendError::NotOpen);
        }
        if data.len() > MAX_MESSAGE {
            return Err(SendError::TooLarge(data.len()));
        }
        let encoded = if self.channels.compresses(label) { crate::deflate(data) } else { data.to_vec() };
        if encoded.len() > MAX_MESSAGE {
            return Err(SendError::TooLarge(encoded.len()));
        }
        Ok(encoded)
    }

    fn signaling_on_data_channel(&self) -> bool {
        self.switched && self.channels.is_open("signaling")
    }

    /// Nothing follows the end.
    fn push(&mut self, action: Action) {
        if self.phase != Phase::Closed {
            self.actions.push_back(action);
        }
    }

    fn event(&mut self, event: Event) {
        self.push(Action::Event(event));
    }

    fn warn(&mut self, text: String) {
        self.warnings = self.warnings.saturating_add(1);
        self.event(Event::Warning(text));
    }

    /// Starts a time limit at the next call of `handle_timeout`.
    fn start_limit(&mut self, limit: Duration) {
        self.deadline = None;
        self.delay = Some(limit);
    }

    fn send_websocket(&mut self, message_type: &str, text: String) {
        if !self.websocket {
            return;
        }
        self.push(Action::SendWebSocket(text.clone()));
        self.signaling_message(Signal { data_channel: false, sent: true }, message_type, text);
    }

    fn send_signaling_channel(&mut self, message_type: &str, text: String) {
        self.send_channel("signaling", text.as_bytes());
        self.signaling_message(Signal { data_channel: true, sent: true }, message_type, text);
    }

    /// Everything goes out binary, compressed where the offer says so; browsers want managed labels as text then.
    fn send_channel(&mut self, label: &str, data: &[u8]) {
        if !self.channels.is_open(label) {
            return;
        }
        let data = if self.channels.compresses(label) { crate::deflate(data) } else { data.to_vec() };
        self.push(Action::SendDataChannel { label: label.to_owned(), data, text: false });
    }

    fn signaling_message(&mut self, signal: Signal, message_type: &str, text: String) {
        self.event(Event::SignalingMessage { signal, message_type: message_type.to_owned(), text });
    }
}
