use std::fmt;

use serde_json::{Map, Value, json};

use super::{MessageError, NotifyHead, Offer, object, sdp_message, text};

/// What a server sends. `Debug` shows the type only.
#[derive(Clone)]
pub enum ServerMessage {
    /// Go elsewhere.
    Redirect {
        /// Where: a `ws` or `wss` URL.
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
    Notify {
        /// The members every notification has.
        head: NotifyHead,
        /// The whole message, verbatim.
        text: String,
    },
    /// Application data from the server.
    Push {
        /// The data.
        data: Value,
    },
    /// The server ends a session that lives on data channels.
    Close {
        /// Close code; 1000 if the server said none.
        code: u16,
        /// Close reason; empty if the server said none.
        reason: String,
    },
    /// Something newer.
    Unknown {
        /// Its type.
        message_type: String,
        /// All of it, `type` included.
        members: Map<String, Value>,
    },
}

impl fmt::Debug for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerMessage").field(&self.message_type()).finish()
    }
}

impl ServerMessage {
    /// Reads a message as a client does: unknown members are passed over, and only what the client cannot do without
    /// has to be there (`offer`: `sdp`, `connection_id`, `config`; `redirect`: `location`; `re-offer`: `sdp`).
    ///
    /// # Errors
    /// [`MessageError`] if it is not a JSON object with a type, or lacks what its type needs.
    pub fn parse(message: &str) -> Result<Self, MessageError> {
        let (kind, mut object) = object(message)?;
        let text = |object: &Map<String, Value>, key: &str| text(&kind, object, key);
        Ok(match kind.as_str() {
            "redirect" => Self::Redirect { location: text(&object, "location")? },
            "offer" => Self::Offer(Box::new(serde_json::from_value(Value::Object(object)).map_err(|error| {
                MessageError::Field { message_type: "offer".to_owned(), reason: error.to_string() }
            })?)),
            "re-offer" => Self::ReOffer { sdp: text(&object, "sdp")? },
            "update" => Self::Update { sdp: text(&object, "sdp")? },
            "switched" => Self::Switched { ignore_disconnect_websocket: flag(&object, "ignore_disconnect_websocket") },
            "ping" => Self::Ping { stats: flag(&object, "stats") },
            "req-stats" => Self::ReqStats,
            "notify" => Self::Notify {
                head: serde_json::from_value(Value::Object(object)).unwrap_or_default(),
                text: message.to_owned(),
            },
            "push" => Self::Push { data: object.remove("data").unwrap_or(Value::Null) },
            "close" => Self::Close {
                code: object.get("code").and_then(Value::as_u64).and_then(|code| code.try_into().ok()).unwrap_or(1000),
                reason: text(&object, "reason").unwrap_or_default(),
            },
            _ => Self::Unknown { message_type: kind, members: object },
        })
    }

    /// The word in `type`.
    #[must_use]
    pub fn message_type(&self) -> &str {
        match self {
            Self::Redirect { .. } => "redirect",
            Self::Offer(_) => "offer",
            Self::ReOffer { .. } => "re-offer",
            Self::Update { .. } => "update",
            Self::Switched { .. } => "switched",
            Self::Ping { .. } => "ping",
            Self::ReqStats => "req-stats",
            Self::Notify { .. } => "notify",
            Self::Push { .. } => "push",
            Self::Close { .. } => "close",
            Self::Unknown { message_type, .. } => message_type,
        }
    }

    /// The message as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let message_type = self.message_type();
        match self {
            Self::Redirect { location } => json!({ "type": message_type, "location": location }),
            Self::Offer(offer) => offer_value(offer),
            Self::ReOffer { sdp } | Self::Update { sdp } => return sdp_message(message_type, sdp),
            Self::Switched { ignore_disconnect_websocket } => {
                json!({ "type": message_type, "ignore_disconnect_websocket": ignore_disconnect_websocket })
            }
            Self::Ping { stats: true } => json!({ "type": message_type, "stats": true }),
            Self::Ping { stats: false } | Self::ReqStats => json!({ "type": message_type }),
            Self::Notify { text, .. } => return text.clone(),
            Self::Push { data } => json!({ "type": message_type, "data": data }),
            Self::Close { code, reason } => json!({ "type": message_type, "code": code, "reason": reason }),
            Self::Unknown { members, .. } => Value::Object(members.clone()),
        }
        .to_string()
    }
}

fn flag(object: &Map<String, Value>, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn offer_value(offer: &Offer) -> Value {
    let mut members = Map::new();
    members.insert("type".to_owned(), "offer".into());
    // An offer has only string keys; there is nothing that serialising could refuse.
    if let Ok(Value::Object(rest)) = serde_json::to_value(offer) {
        members.extend(rest);
    }
    Value::Object(members)
}
