//! Messages to and from the client, on whichever transport carries signaling.

use sora_signaling::message::ClientMessage;
use sora_transport::websocket::WebSocketEvent;

use super::{Ending, Participant, WRITE_TIMEOUT};

impl Participant {
    pub(super) async fn websocket_event(&mut self, event: WebSocketEvent) -> Result<(), Ending> {
        match event {
            WebSocketEvent::Text(text) => self.client_message(&text),
            _ => {
                self.websocket = None;
                let lives_on = self.switched && self.connect.ignore_disconnect_websocket == Some(true);
                if lives_on { Ok(()) } else { Err(Ending::Gone) }
            }
        }
    }

    pub(super) fn client_message(&mut self, text: &str) -> Result<(), Ending> {
        match ClientMessage::parse(text) {
            Ok(ClientMessage::Answer { sdp } | ClientMessage::ReAnswer { sdp }) => self.handle_answer(&sdp),
            Ok(ClientMessage::Candidate { candidate }) => {
                // Peer-reflexive discovery makes up for a candidate that cannot be read.
                if let Err(error) = self.driver.peer().add_remote_candidate(&candidate) {
                    tracing::debug!(%error, "candidate passed over");
                }
                Ok(())
            }
            Ok(ClientMessage::Pong { stats }) => self.keep_report(stats.unwrap_or_default(), text.len()),
            Ok(ClientMessage::Stats { reports }) => self.keep_report(reports, text.len()),
            Ok(ClientMessage::Disconnect { .. }) => Err(Ending::Disconnect),
            Ok(ClientMessage::Connect(_)) => Err(Ending::Refused("ALREADY-CONNECTED")),
            Ok(ClientMessage::Unknown(kind)) => {
                tracing::info!(kind, "unknown message type");
                Err(Ending::Refused("UNKNOWN-MESSAGE-TYPE"))
            }
            Err(error) => {
                tracing::info!(%error, "message refused");
                Err(Ending::Refused("INVALID-MESSAGE"))
            }
        }
    }

    pub(super) async fn send_websocket(&mut self, text: String) -> Result<(), Ending> {
        let Some(websocket) = &mut self.websocket else { return Ok(()) };
        match tokio::time::timeout(WRITE_TIMEOUT, websocket.send(text)).await {
            Ok(Ok(())) => Ok(()),
            // The close frame or end of file behind the failure is read next and ends the session properly.
            Ok(Err(error)) => {
                tracing::debug!(%error, "message not sent");
                Ok(())
            }
            Err(_) => Err(Ending::Gone),
        }
    }

    /// Sends on the data channel if signaling has moved there, else on the WebSocket.
    async fn send_on(&mut self, label: &str, text: &str) -> Result<(), Ending> {
        if self.switched && self.send_channel(label, text.as_bytes()) {
            return Ok(());
        }
        self.send_websocket(text.to_owned()).await
    }

    pub(super) async fn send_signaling(&mut self, text: String) -> Result<(), Ending> {
        self.send_on("signaling", &text).await
    }

    pub(super) async fn send_notify(&mut self, text: &str) -> Result<(), Ending> {
        self.send_on("notify", text).await
    }

    pub(super) async fn send_push(&mut self, text: &str) -> Result<(), Ending> {
        self.send_on("push", text).await
    }
}
