//! The client's connection, from the first WebSocket to the last word: a state machine without sockets and clock.
//!
//! The driver feeds it what happens and carries out what [`ClientSession::poll_action`] says, in that order, until
//! there is nothing left. Exactly one [`Event::Disconnected`] comes for every started session, as the last event.

mod channels;
mod endings;
mod receive;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ErrorCode;
use crate::message::{Connect, Offer};
use channels::Channels;

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
    /// Limit from the open WebSocket to connected ICE and DTLS.
    pub connect_timeout: Duration,
}

impl SessionConfig {
    /// The reference's defaults: 30 s, 3 s, 5 s; 30 s from the WebSocket to media.
    #[must_use]
    pub fn new(connect: Connect) -> Self {
        Self {
            connect,
            websocket_connection_timeout: Duration::from_secs(30),
            websocket_close_timeout: Duration::from_secs(3),
            disconnect_wait_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(30),
        }
    }
}

/// What a signaling message travelled on, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// True for a data channel, false for the WebSocket.
    pub data_channel: bool,
    /// True if this side sent it.
    pub sent: bool,
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

/// What the application is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The offer was applied; the text is the whole message.
    SetOffer(String),
    /// A notification, verbatim.
    Notify(String),
    /// A push, verbatim.
    Push(String),
    /// A message on a `#` channel.
    Message {
        /// The channel.
        label: String,
        /// The message, inflated.
        data: Vec<u8>,
    },
    /// A message on the rpc channel.
    Rpc(Vec<u8>),
    /// A channel of the offer is open.
    DataChannel(String),
    /// Signaling moved to data channels, verbatim.
    Switched(String),
    /// The WebSocket is gone.
    WsClose {
        /// Close code; 0 without a close frame.
        code: u16,
        /// Close reason.
        reason: String,
    },
    /// A signaling message was sent or received.
    SignalingMessage {
        /// Where and which way.
        signal: Signal,
        /// Its type.
        message_type: String,
        /// Its text.
        text: String,
    },
    /// Something the server did wrong that is survived.
    Warning(String),
    /// The end.
    Disconnected {
        /// How.
        code: ErrorCode,
        /// In words.
        message: String,
    },
}

/// What the driver has to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// Connect to a URL (after a redirect), then call `websocket_opened`.
    ConnectWebSocket(String),
    /// Send a text message.
    SendWebSocket(String),
    /// Drop the WebSocket: close frame 1000, then TCP, without waiting.
    DropWebSocket,
    /// Apply the offer, then call `offer_applied` and `answer_created`, or `offer_failed`.
    SetOffer(Box<Offer>),
    /// Apply a later offer, then call `answer_created` or `offer_failed`.
    SetReOffer(String),
    /// Send on a data channel.
    SendDataChannel {
        /// The channel.
        label: String,
        /// The message as it goes out.
        data: Vec<u8>,
        /// As text.
        text: bool,
    },
    /// Collect statistics, then call `stats_collected`.
    CollectStats,
    /// Close the peer connection.
    ClosePeer,
    /// Tell the application.
    Event(Event),
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
#[derive(Debug)]
pub struct ClientSession {
    config: SessionConfig,
    phase: Phase,
    websocket: bool,
    peer_connected: bool,
    switched: bool,
    channels: Channels,
    offer_text: String,
    offer_in_progress: Option<OfferKind>,
    server_close: Option<(u16, String)>,
    stats_requests: VecDeque<StatsRequest>,
    deadline: Option<Instant>,
    actions: VecDeque<Action>,
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
            server_close: None,
            stats_requests: VecDeque::new(),
            deadline: None,
            actions: VecDeque::new(),
        }
    }

    /// Starts: the driver connects the signaling URLs and reports back.
    pub fn start(&mut self, now: Instant) {
        if self.phase == Phase::Init {
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
        self.deadline
    }

    /// The WebSocket is open, the first one or the one after a redirect.
    pub fn websocket_opened(&mut self, now: Instant) {
        if self.phase != Phase::Connecting {
            return;
        }
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
        let Some(kind) = self.offer_in_progress.take() else { return };
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
        if self.phase == Phase::Connected {
            self.deadline = None;
        }
    }

    /// The answer to [`Action::CollectStats`].
    pub fn stats_collected(&mut self, reports: &[Value]) {
        match self.stats_requests.pop_front() {
            Some(StatsRequest::Pong) if self.websocket => {
                let text = serde_json::json!({ "type": "pong", "stats": reports }).to_string();
                self.actions.push_back(Action::SendWebSocket(text));
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
    /// [`SendError`] if the label is reserved or the channel not open.
    pub fn encode_message(&self, label: &str, data: &[u8]) -> Result<Vec<u8>, SendError> {
        if !label.starts_with('#') {
            return Err(SendError::ReservedLabel);
        }
        if !self.channels.is_open(label) || matches!(self.phase, Phase::Closed | Phase::Closing(_)) {
            return Err(SendError::NotOpen);
        }
        Ok(if self.channels.compresses(label) { crate::deflate(data) } else { data.to_vec() })
    }

    fn signaling_on_data_channel(&self) -> bool {
        self.switched && self.channels.is_open("signaling")
    }

    fn event(&mut self, event: Event) {
        self.actions.push_back(Action::Event(event));
    }

    fn send_websocket(&mut self, message_type: &str, text: String) {
        if !self.websocket {
            return;
        }
        self.actions.push_back(Action::SendWebSocket(text.clone()));
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
        self.actions.push_back(Action::SendDataChannel { label: label.to_owned(), data, text: false });
    }

    fn signaling_message(&mut self, signal: Signal, message_type: &str, text: String) {
        self.event(Event::SignalingMessage { signal, message_type: message_type.to_owned(), text });
    }
}
