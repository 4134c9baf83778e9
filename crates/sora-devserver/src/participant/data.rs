//! Data channels: signaling on them, and messages between members.

use std::time::Instant;

use bytes::Bytes;
use sora_peer::ChannelId;
use sora_signaling::message::{DataChannelDirection, DataChannelOptions};
use sora_signaling::{deflate, inflate};

use super::admission::MANAGED_LABELS;
use super::{Ending, Participant};
use crate::channel::Control;

impl Participant {
    fn options(&self, label: &str) -> Option<&DataChannelOptions> {
        self.connect.data_channels.iter().find(|options| options.label == label)
    }

    fn compresses(&self, label: &str) -> bool {
        MANAGED_LABELS.iter().any(|(managed, _)| *managed == label)
            || self.options(label).is_some_and(|options| options.compress == Some(true))
    }

    pub(super) async fn data_channel_opened(&mut self, id: ChannelId, label: String) -> Result<(), Ending> {
        self.opened.insert(id, label);
        if self.opened.len() < self.expected_channels || self.switched || self.expected_channels == 0 {
            return Ok(());
        }
        let ignore = self.connect.ignore_disconnect_websocket.unwrap_or(false);
        let text = serde_json::json!({ "type": "switched", "ignore_disconnect_websocket": ignore }).to_string();
        self.send_websocket(text).await?;
        self.switched = true;
        Ok(())
    }

    /// Sends on a channel. False if it is not open or does not take the message.
    pub(super) fn send_channel(&mut self, label: &str, data: &[u8]) -> bool {
        let Some(id) = self.labels.get(label).copied() else { return false };
        let compressed;
        let (data, text) = if self.compresses(label) {
            compressed = deflate(data);
            (&compressed[..], false)
        } else {
            (data, !label.starts_with('#'))
        };
        match self.driver.peer().send_data(Instant::now(), id, data, text) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, label, "data channel message not sent");
                false
            }
        }
    }

    pub(super) fn data_channel_message(&mut self, id: ChannelId, data: &Bytes) -> Result<(), Ending> {
        let Some(label) = self.opened.get(&id).cloned() else { return Ok(()) };
        let data = if self.compresses(&label) {
            match inflate(data) {
                Ok(inflated) => Bytes::from(inflated),
                Err(error) => {
                    tracing::info!(%error, label, "message refused");
                    return Err(Ending::Refused("INVALID-COMPRESSION"));
                }
            }
        } else {
            data.clone()
        };
        if label.starts_with('#') {
            self.route_message(&label, &data);
            return Ok(());
        }
        if label == "rpc" {
            self.rpc_message(&data);
            return Ok(());
        }
        match (label.as_str(), std::str::from_utf8(&data)) {
            ("signaling", Ok(text)) => self.client_message(text),
            ("stats", Ok(text)) => self.statistics_message(text),
            // Nothing else belongs on the managed channels.
            _ => Err(Ending::Refused("INTERNAL-ERROR")),
        }
    }

    /// A message goes to every other member with the same label that receives.
    fn route_message(&mut self, label: &str, data: &Bytes) {
        let receive_only = Some(DataChannelDirection::RecvOnly);
        if self.options(label).is_none_or(|options| options.parsed_direction() == receive_only) {
            return;
        }
        let label: std::sync::Arc<str> = label.into();
        let roster = self.membership.roster.borrow();
        for member in roster.iter().filter(|member| member.connected && member.reaches(&self.member)) {
            let receives = member.data_channels.iter().any(|options| {
                *options.label == *label && options.parsed_direction() != Some(DataChannelDirection::SendOnly)
            });
            if receives {
                let sender = self.member.connection_id.clone();
                let message = Control::Message { label: label.clone(), sender, data: data.clone() };
                if member.control.try_send(message).is_err() {
                    tracing::warn!(connection_id = %member.connection_id, "message dropped: the member does not keep up");
                }
            }
        }
    }

    pub(super) fn deliver_message(&mut self, label: &str, sender: &str, data: &Bytes) {
        let sent = if self.options(label).is_some_and(DataChannelOptions::wants_sender_connection_id) {
            let mut message = Vec::with_capacity(sender.len() + data.len());
            message.extend_from_slice(sender.as_bytes());
            message.extend_from_slice(data);
            self.send_channel(label, &message)
        } else {
            self.send_channel(label, data)
        };
        if !sent {
            let connection_id = &self.member.connection_id;
            tracing::warn!(%connection_id, label, "message dropped: its channel is not open or the member is behind");
        }
    }
}
