use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What every notification has; the rest is kept as text.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NotifyHead {
    /// Such as `connection.created`.
    #[serde(default)]
    pub event_type: String,
    /// Whom it is about.
    #[serde(default)]
    pub connection_id: Option<String>,
}

/// A participant that was there before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Participant {
    /// Client id.
    pub client_id: String,
    /// Bundle id.
    pub bundle_id: String,
    /// Connection id.
    pub connection_id: String,
    /// What it wants others to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

/// `connection.created`; without `data` for the others.
#[derive(Debug, Clone, Serialize)]
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

/// `connection.destroyed` has the same members.
pub type ConnectionDestroyed = ConnectionCreated;
