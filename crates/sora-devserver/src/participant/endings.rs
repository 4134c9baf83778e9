//! Goodbyes, in the order every generation of clients accepts: `close`, data channels, a pause, WebSocket, TCP.

use std::time::{Duration, Instant};

use sora_peer::{ChannelId, ConnectionState, Event};
use sora_transport::websocket::{WebSocket, WebSocketEvent};

use super::{Ending, Participant, WRITE_TIMEOUT};

/// Time for the client to close its side of the data channels. Older clients call it an error if the WebSocket goes
/// before them, browsers if the association under them goes.
const CHANNELS_FIRST: Duration = Duration::from_secs(1);
/// Time for the client to answer the close frame.
const CLOSE_GRACE: Duration = Duration::from_secs(1);
/// Time for a `close` message to be acknowledged before the channels are torn down.
const CLOSE_MESSAGE: Duration = Duration::from_millis(100);

/// Closes a WebSocket and waits a moment for the client's answer.
pub(super) async fn close(websocket: &mut WebSocket, code: u16, reason: &str) {
    let closing = async {
        websocket.close(code, reason).await;
        while let WebSocketEvent::Text(_) = websocket.next().await {}
    };
    // Whoever does not answer is left anyway.
    let _: Result<(), _> = tokio::time::timeout(CLOSE_GRACE, closing).await;
}

/// Sends a client elsewhere. It follows when this WebSocket has closed, so that comes at once.
pub(super) async fn redirect(websocket: &mut WebSocket, location: &str) {
    let message = serde_json::json!({ "type": "redirect", "location": location }).to_string();
    if !matches!(tokio::time::timeout(WRITE_TIMEOUT, websocket.send(message)).await, Ok(Ok(()))) {
        tracing::debug!("redirect not sent");
    }
    close(websocket, 1000, "").await;
}

impl Participant {
    pub(super) async fn finish(&mut self, ending: &Ending) {
        let (code, reason) = match ending {
            Ending::Disconnect => (1000, "TYPE-DISCONNECT"),
            Ending::Api(reason) => (1000, *reason),
            Ending::Refused(reason) => (4490, *reason),
            Ending::Gone => (1000, ""),
        };
        let channels_only = self.switched && self.websocket.is_none();
        if channels_only && matches!(ending, Ending::Api(_) | Ending::Refused(_)) {
            let close = serde_json::json!({ "type": "close", "code": code, "reason": reason }).to_string();
            self.send_channel("signaling", close.as_bytes());
            self.drive_for(CLOSE_MESSAGE).await;
        }
        if self.switched {
            self.close_channels().await;
        }
        if let Some(mut websocket) = self.websocket.take() {
            close(&mut websocket, code, reason).await;
        }
        self.driver.peer().close(Instant::now());
        self.driver.flush();
    }

    /// Closes every data channel and waits until the client has closed them too, or has gone.
    async fn close_channels(&mut self) {
        let now = Instant::now();
        let mut open: Vec<ChannelId> = self.opened.keys().copied().collect();
        for id in &open {
            self.driver.peer().close_data_channel(now, *id);
        }
        let closed = async {
            while !open.is_empty() {
                self.driver.wait().await;
                while let Some(event) = self.driver.poll_event() {
                    match event {
                        Event::DataChannelClosed { id, .. } => open.retain(|other| *other != id),
                        Event::State(ConnectionState::Failed | ConnectionState::Closed) => return,
                        _ => {}
                    }
                }
            }
        };
        if tokio::time::timeout(CHANNELS_FIRST, closed).await.is_err() {
            tracing::debug!("the client does not close its data channels");
        }
    }

    async fn drive_for(&mut self, time: Duration) {
        let drive = async {
            loop {
                self.driver.wait().await;
                while self.driver.poll_event().is_some() {}
            }
        };
        let _: Result<(), _> = tokio::time::timeout(time, drive).await;
    }
}
