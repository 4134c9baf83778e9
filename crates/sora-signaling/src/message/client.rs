use std::fmt;

use serde_json::{Value, json};

use super::{Connect, MessageError, disconnect, object, sdp_message, text};

/// What a client sends. `Debug` shows the type only.
#[derive(Clone)]
pub enum ClientMessage {
    /// The first message.
    Connect(Box<Connect>),
    /// Answer to the offer.
    Answer {
        /// The session description.
        sdp: String,
    },
    /// Answer to a re-offer; read from `re-answer` and from the old `update`.
    ReAnswer {
        /// The session description.
        sdp: String,
    },
    /// An ICE candidate.
    Candidate {
        /// The candidate line.
        candidate: String,
    },
    /// Answer to ping.
    Pong {
        /// Statistics, if asked for.
        stats: Option<Value>,
    },
    /// Statistics, asked for with req-stats.
    Stats {
        /// The reports.
        reports: Value,
    },
    /// Goodbye.
    Disconnect {
        /// Why, such as `NO-ERROR`; empty if the client said nothing.
        reason: String,
    },
    /// Something newer.
    Unknown(String),
}

impl fmt::Debug for ClientMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientMessage").field(&self.message_type()).finish()
    }
}

impl ClientMessage {
    /// Reads a message as a server does: members it knows must have the right type; unknown ones are passed over.
    ///
    /// # Errors
    /// [`MessageError`] if it is not a JSON object with a type, or lacks what its type needs. What to tell the client
    /// is [`MessageError::close_reason`].
    pub fn parse(message: &str) -> Result<Self, MessageError> {
        let (kind, object) = object(message)?;
        let text = |key: &str| text(&kind, &object, key);
        Ok(match kind.as_str() {
            "connect" => {
                let connect = Connect::from_object(&object)
                    .map_err(|reason| MessageError::Field { message_type: kind.clone(), reason })?;
                Self::Connect(Box::new(connect))
            }
            "answer" => Self::Answer { sdp: text("sdp")? },
            "re-answer" | "update" => Self::ReAnswer { sdp: text("sdp")? },
            "candidate" => Self::Candidate { candidate: text("candidate")? },
            "pong" => Self::Pong { stats: object.get("stats").cloned() },
            "stats" => Self::Stats { reports: object.get("reports").cloned().unwrap_or(Value::Null) },
            "disconnect" => Self::Disconnect { reason: text("reason").unwrap_or_default() },
            _ => Self::Unknown(kind),
        })
    }

    /// The word in `type`.
    #[must_use]
    pub fn message_type(&self) -> &str {
        match self {
            Self::Connect(_) => "connect",
            Self::Answer { .. } => "answer",
            Self::ReAnswer { .. } => "re-answer",
            Self::Candidate { .. } => "candidate",
            Self::Pong { .. } => "pong",
            Self::Stats { .. } => "stats",
            Self::Disconnect { .. } => "disconnect",
            Self::Unknown(kind) => kind,
        }
    }

    /// The message as JSON, as the reference client writes it. Of an unknown message only the type is left.
    #[must_use]
    pub fn to_json(&self) -> String {
        let message_type = self.message_type();
        match self {
            Self::Connect(connect) => connect.to_json(),
            Self::Answer { sdp } | Self::ReAnswer { sdp } => sdp_message(message_type, sdp),
            Self::Candidate { candidate } => json!({ "type": message_type, "candidate": candidate }).to_string(),
            Self::Pong { stats: Some(stats) } => json!({ "type": message_type, "stats": stats }).to_string(),
            Self::Stats { reports } => json!({ "type": message_type, "reports": reports }).to_string(),
            Self::Disconnect { reason } => disconnect(reason),
            Self::Pong { stats: None } | Self::Unknown(_) => json!({ "type": message_type }).to_string(),
        }
    }
}
