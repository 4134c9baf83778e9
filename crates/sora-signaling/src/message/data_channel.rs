use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which way messages go on a channel, seen from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataChannelDirection {
    /// Both ways.
    SendRecv,
    /// To the others only.
    SendOnly,
    /// From the others only.
    RecvOnly,
}

/// A messaging channel a client asks for in `connect`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataChannelOptions {
    /// Name, see [`is_valid_label`].
    pub label: String,
    /// Which way.
    pub direction: String,
    /// Deliver in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// Milliseconds after which a message is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_packet_life_time: Option<i64>,
    /// Retransmissions after which a message is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retransmits: Option<i64>,
    /// Subprotocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Compress each message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<bool>,
    /// What received messages are prefixed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Value>,
}

impl DataChannelOptions {
    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    /// The direction, if it is one of the three words.
    #[must_use]
    pub fn parsed_direction(&self) -> Option<DataChannelDirection> {
        match self.direction.as_str() {
            "sendrecv" => Some(DataChannelDirection::SendRecv),
            "sendonly" => Some(DataChannelDirection::SendOnly),
            "recvonly" => Some(DataChannelDirection::RecvOnly),
            _ => None,
        }
    }

    /// True if received messages carry the sender's connection id in front.
    #[must_use]
    pub fn wants_sender_connection_id(&self) -> bool {
        let header = self.header.as_ref().and_then(Value::as_array);
        header.is_some_and(|h| h.iter().any(|entry| entry["type"] == "sender_connection_id"))
    }
}

/// Messaging labels are `#`, a letter or digit, and 1 to 30 letters, digits or hyphens.
#[must_use]
pub fn is_valid_label(label: &str) -> bool {
    let Some(name) = label.strip_prefix('#') else {
        return false;
    };
    let mut bytes = name.bytes();
    (2..=31).contains(&name.len())
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_soras_pattern() {
        for good in ["#ab", "#spam", "#a-b-c", &format!("#a{}", "b".repeat(30))] {
            assert!(is_valid_label(good), "{good}");
        }
        for bad in ["", "#", "#a", "spam", "#-a", "#a_b", "#あい", &format!("#a{}", "b".repeat(31))] {
            assert!(!is_valid_label(bad), "{bad}");
        }
    }
}
