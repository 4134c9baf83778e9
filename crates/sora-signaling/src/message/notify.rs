use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lenient;
use crate::redacted::hidden;

/// What every notification has; the rest is kept as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct NotifyHead {
    /// Such as `connection.created`; empty if the server said none.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub event_type: String,
    /// Whom it is about.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub connection_id: Option<String>,
}

/// A participant that was there before.
#[derive(Clone, Serialize, Deserialize)]
pub struct Participant {
    /// Client id.
    pub client_id: String,
    /// Bundle id.
    pub bundle_id: String,
    /// Connection id.
    pub connection_id: String,
    /// What it wants others to know. Never shown in `Debug`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant")
            .field("client_id", &self.client_id)
            .field("connection_id", &self.connection_id)
            .field("metadata", &hidden(self.metadata.as_ref()))
            .finish_non_exhaustive()
    }
}

/// `connection.created`; without `data` for the others.
#[derive(Clone, Serialize)]
pub struct ConnectionCreated {
    /// `notify`
    #[serde(rename = "type")]
    pub message_type: &'static str,
    /// `connection.created` or `connection.destroyed`
    pub event_type: &'static str,
    /// RFC 3339 time.
    pub timestamp: String,
    /// The participant's role.
    pub role: String,
    /// The channel's session.
    pub session_id: String,
    /// Client id.
    pub client_id: String,
    /// Bundle id.
    pub bundle_id: String,
    /// Connection id.
    pub connection_id: String,
    /// It handles audio.
    pub audio: bool,
    /// It handles video.
    pub video: bool,
    /// Whole minutes since it connected.
    pub minutes: u64,
    /// Participants now.
    pub channel_connections: usize,
    /// Of which `sendrecv`.
    pub channel_sendrecv_connections: usize,
    /// Of which `sendonly`.
    pub channel_sendonly_connections: usize,
    /// Of which `recvonly`.
    pub channel_recvonly_connections: usize,
    /// `udp` or `tcp`.
    pub turn_transport_type: &'static str,
    /// What it wants others to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Who was there before; only in the newcomer's own copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<Participant>>,
}

impl fmt::Debug for ConnectionCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionCreated")
            .field("event_type", &self.event_type)
            .field("connection_id", &self.connection_id)
            .field("metadata", &hidden(self.metadata.as_ref()))
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

/// `connection.destroyed` has the same members.
pub type ConnectionDestroyed = ConnectionCreated;
