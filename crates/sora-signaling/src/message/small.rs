use serde_json::{Map, Value, json};

use super::{Connect, MessageError, NotifyHead, Offer};

/// What a server sends.
#[derive(Debug, Clone)]
pub enum ServerMessage {
    /// Go elsewhere.
    Redirect {
        /// Where.
        location: String,
    },
    /// The session's offer.
    Offer(Box<Offer>),
    /// A later offer.
    ReOffer {
        /// The session description.
        sdp: String,
    },
    /// A later offer, old form, answered with `update`.
    Update {
        /// The session description.
        sdp: String,
    },
    /// Signaling moves to data channels.
    Switched {
        /// The WebSocket will go.
        ignore_disconnect_websocket: bool,
    },
    /// Answer with pong.
    Ping {
        /// And with statistics.
        stats: bool,
    },
    /// Send statistics on the stats channel.
    ReqStats,
    /// Something happened in the channel.
    Notify(NotifyHead),
    /// Application data from the server.
    Push,
    /// The server ends a session that lives on data channels.
    Close {
        /// Close code.
        code: u16,
        /// Close reason.
        reason: String,
    },
    /// Something newer.
    Unknown(String),
}

/// What a client sends.
#[derive(Debug, Clone)]
pub enum ClientMessage {
    /// The first message.
    Connect(Box<Connect>),
    /// Answer to the offer.
    Answer {
        /// The session description.
        sdp: String,
    },
    /// Answer to a re-offer (`re-answer` or `update`).
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
        /// Why.
        reason: String,
    },
    /// Something newer.
    Unknown(String),
}

fn object(text: &str) -> Result<(String, Map<String, Value>), MessageError> {
    let value: Value = serde_json::from_str(text).map_err(|error| MessageError::NotJson(error.to_string()))?;
    let Value::Object(object) = value else { return Err(MessageError::NotJson("not an object".to_owned())) };
    let message_type = object.get("type").and_then(Value::as_str).ok_or(MessageError::NoType)?.to_owned();
    Ok((message_type, object))
}

fn text(message_type: &str, object: &Map<String, Value>, key: &str) -> Result<String, MessageError> {
    object.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| MessageError::Field {
        message_type: message_type.to_owned(),
        reason: format!("expected a string in {key:?}"),
    })
}

impl ServerMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`] if it is not a JSON object with a type, or lacks what its type needs.
    pub fn parse(message: &str) -> Result<Self, MessageError> {
        let (kind, object) = object(message)?;
        let text = |key: &str| text(&kind, &object, key);
        let flag = |key: &str| object.get(key).and_then(Value::as_bool).unwrap_or(false);
        Ok(match kind.as_str() {
            "redirect" => Self::Redirect { location: text("location")? },
            "offer" => Self::Offer(Box::new(serde_json::from_value(Value::Object(object)).map_err(|error| {
                MessageError::Field { message_type: "offer".to_owned(), reason: error.to_string() }
            })?)),
            "re-offer" => Self::ReOffer { sdp: text("sdp")? },
            "update" => Self::Update { sdp: text("sdp")? },
            "switched" => Self::Switched { ignore_disconnect_websocket: flag("ignore_disconnect_websocket") },
            "ping" => Self::Ping { stats: flag("stats") },
            "req-stats" => Self::ReqStats,
            "notify" => Self::Notify(serde_json::from_value(Value::Object(object)).unwrap_or_default()),
            "push" => Self::Push,
            "close" => Self::Close {
                code: object.get("code").and_then(Value::as_u64).and_then(|code| code.try_into().ok()).unwrap_or(1000),
                reason: text("reason").unwrap_or_default(),
            },
            _ => Self::Unknown(kind),
        })
    }
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`] if it is not a JSON object with a type, or lacks what its type needs.
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
}

pub(crate) fn sdp_message(message_type: &str, sdp: &str) -> String {
    json!({ "type": message_type, "sdp": sdp }).to_string()
}

pub(crate) fn disconnect(reason: &str) -> String {
    json!({ "type": "disconnect", "reason": reason }).to_string()
}
