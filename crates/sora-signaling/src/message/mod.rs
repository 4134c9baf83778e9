//! The messages, both directions. Readers are lenient about what they do not need and strict about what they do.

mod client;
mod connect;
mod data_channel;
mod lenient;
mod notify;
mod offer;
mod server;
mod validation;

pub use client::ClientMessage;
pub use connect::{AudioOptions, Connect, Role, VideoOptions};
pub use data_channel::{DataChannelDirection, DataChannelOptions, is_valid_label};
pub use notify::{ConnectionCreated, ConnectionDestroyed, NotifyHead, Participant};
pub use offer::{Encoding, EncodingSize, IceServer, Offer, OfferConfig, OfferDataChannel, OfferMid};
pub use server::ServerMessage;
pub use validation::InvalidConnect;

use serde_json::{Map, Value, json};

/// Why a message cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is not JSON, or not an object.
    #[error("expected a JSON object: {0}")]
    NotJson(String),
    /// It has no `type`, or one that is not a string.
    #[error("expected a string in \"type\"")]
    NoType,
    /// A field it needs is absent or has another type.
    #[error("message {message_type:?}: {reason}")]
    Field {
        /// The message's type.
        message_type: String,
        /// What is wrong.
        reason: String,
    },
}

impl MessageError {
    /// What a server gives as the reason when it closes a WebSocket (code 4490) because of this.
    #[must_use]
    pub fn close_reason(&self) -> &'static str {
        match self {
            Self::NotJson(_) => "INVALID-JSON",
            Self::Field { message_type, .. } if message_type == "connect" => "INVALID-CONNECT-MESSAGE",
            Self::NoType | Self::Field { .. } => "INVALID-MESSAGE",
        }
    }
}

/// A message split into its type and its members.
fn object(text: &str) -> Result<(String, Map<String, Value>), MessageError> {
    let value: Value = serde_json::from_str(text).map_err(|error| MessageError::NotJson(error.to_string()))?;
    let Value::Object(object) = value else {
        return Err(MessageError::NotJson("not an object".to_owned()));
    };
    let message_type = object.get("type").and_then(Value::as_str).ok_or(MessageError::NoType)?.to_owned();
    Ok((message_type, object))
}

/// A member that has to be a string.
fn text(message_type: &str, object: &Map<String, Value>, key: &str) -> Result<String, MessageError> {
    object.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| MessageError::Field {
        message_type: message_type.to_owned(),
        reason: format!("expected a string in {key:?}"),
    })
}

pub(crate) fn sdp_message(message_type: &str, sdp: &str) -> String {
    json!({ "type": message_type, "sdp": sdp }).to_string()
}

pub(crate) fn disconnect(reason: &str) -> String {
    json!({ "type": "disconnect", "reason": reason }).to_string()
}
