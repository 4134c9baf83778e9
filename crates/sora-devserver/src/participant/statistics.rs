//! What a client says about itself (`pong`, `stats`), and what the server measured of it.

use std::time::Instant;

use serde_json::{Value, json};
use sora_signaling::message::ClientMessage;
use sora_transport::unix_time_us;

use super::{Ending, Participant};
use crate::channel::timestamp;

/// Thirty tracks make about 100 KiB. Larger reports are not kept, so that a client cannot fill the server's memory.
const MAX_REPORT_BYTES: usize = 1 << 20;

/// A client's last statistics.
#[derive(Debug)]
pub(super) struct Report {
    received: String,
    stats: Value,
}

impl Participant {
    /// Asks the client on the `stats` data channel if signaling has moved there, else with a `ping`.
    pub(super) async fn ask_for_statistics(&mut self) -> Result<(), Ending> {
        if !self.connected || (self.switched && self.send_channel("stats", br#"{"type":"req-stats"}"#)) {
            return Ok(());
        }
        self.send_websocket(r#"{"type":"ping","stats":true}"#.to_owned()).await
    }

    /// Takes the reports of a `pong` or a `stats` message of this size.
    pub(super) fn keep_report(&mut self, stats: Value, message_bytes: usize) -> Result<(), Ending> {
        match stats {
            Value::Null => {}
            Value::Array(_) if message_bytes <= MAX_REPORT_BYTES => {
                self.report = Some(Report { received: timestamp(), stats });
            }
            Value::Array(_) => tracing::warn!(message_bytes, "statistics not kept: too large"),
            _ => return Err(Ending::Refused("INVALID-MESSAGE")),
        }
        Ok(())
    }

    /// Only reports belong on the `stats` data channel.
    pub(super) fn statistics_message(&mut self, text: &str) -> Result<(), Ending> {
        match ClientMessage::parse(text) {
            Ok(ClientMessage::Stats { reports }) => self.keep_report(reports, text.len()),
            _ => Err(Ending::Refused("INTERNAL-ERROR")),
        }
    }

    /// As `GetStatsConnection` gives them: `stats` is the client's view, `server_stats` the server's.
    pub(super) fn statistics(&mut self) -> Value {
        let server_stats = self.driver.peer().stats(Instant::now(), unix_time_us());
        let member = &self.member;
        json!({
            "timestamp": timestamp(),
            "channel_id": self.membership.channel_id, "session_id": self.membership.session_id,
            "client_id": member.client_id, "bundle_id": member.bundle_id, "connection_id": &*member.connection_id,
            "role": member.role.as_str(),
            "stats_timestamp": self.report.as_ref().map(|report| &report.received),
            "stats": self.report.as_ref().map(|report| &report.stats),
            "server_stats": server_stats,
        })
    }
}
