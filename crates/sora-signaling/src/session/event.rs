use std::fmt;

use crate::ErrorCode;
use crate::message::Offer;
use crate::redacted::{Size, url};

/// What a signaling message travelled on, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// True for a data channel, false for the WebSocket.
    pub data_channel: bool,
    /// True if this side sent it.
    pub sent: bool,
}

/// What the application is told. `Debug` shows sizes in place of texts and data, which carry credentials.
#[derive(Clone, PartialEq)]
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

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sized = |name: &str, size: usize| f.debug_tuple(name).field(&Size(size)).finish();
        match self {
            Self::SetOffer(text) => sized("SetOffer", text.len()),
            Self::Notify(text) => sized("Notify", text.len()),
            Self::Push(text) => sized("Push", text.len()),
            Self::Rpc(data) => sized("Rpc", data.len()),
            Self::Switched(text) => sized("Switched", text.len()),
            Self::Message { label, data } => {
                f.debug_struct("Message").field("label", label).field("data", &Size(data.len())).finish()
            }
            Self::DataChannel(label) => f.debug_tuple("DataChannel").field(label).finish(),
            Self::WsClose { code, reason } => {
                f.debug_struct("WsClose").field("code", code).field("reason", reason).finish()
            }
            Self::SignalingMessage { signal, message_type, text } => f
                .debug_struct("SignalingMessage")
                .field("signal", signal)
                .field("message_type", message_type)
                .field("text", &Size(text.len()))
                .finish(),
            Self::Warning(text) => f.debug_tuple("Warning").field(text).finish(),
            Self::Disconnected { code, message } => {
                f.debug_struct("Disconnected").field("code", code).field("message", message).finish()
            }
        }
    }
}

/// What the driver has to do. `Debug` shows sizes in place of texts and data, which carry credentials.
#[derive(Clone)]
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

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectWebSocket(location) => f.debug_tuple("ConnectWebSocket").field(&url(location)).finish(),
            Self::SendWebSocket(text) => f.debug_tuple("SendWebSocket").field(&Size(text.len())).finish(),
            Self::DropWebSocket => f.write_str("DropWebSocket"),
            Self::SetOffer(offer) => f.debug_tuple("SetOffer").field(offer).finish(),
            Self::SetReOffer(sdp) => f.debug_tuple("SetReOffer").field(&Size(sdp.len())).finish(),
            Self::SendDataChannel { label, data, text } => f
                .debug_struct("SendDataChannel")
                .field("label", label)
                .field("data", &Size(data.len()))
                .field("text", text)
                .finish(),
            Self::CollectStats => f.write_str("CollectStats"),
            Self::ClosePeer => f.write_str("ClosePeer"),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}
