//! Every way a connection ends, with the codes and texts programs written for the reference compare.

use std::time::Instant;

use super::{Action, ClientSession, Event, OfferKind, Phase, WebSocketFailure};
use crate::ErrorCode;
use crate::message::disconnect;

const GRACEFUL: &str = "The WebSocket stream was gracefully closed at both endpoints";
/// Told to the application, never on the wire: the server did not close in time.
const WAIT_TIMEOUT: (u16, &str) = (4999, "DISCONNECT-WAIT-TIMEOUT-ERROR");

/// Which transports a goodbye waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goodbye {
    WebSocket,
    Hybrid { channels_closed: bool },
    DataChannel,
}

impl ClientSession {
    /// The application says goodbye. Before [`ClientSession::start`] it ends the session without an event.
    pub fn disconnect(&mut self, now: Instant) {
        match self.phase {
            Phase::Init => self.phase = Phase::Closed,
            Phase::Connecting => self.end(ErrorCode::CloseSucceeded, "Close was called in connecting"),
            Phase::AwaitingOffer | Phase::Connected => self.say_goodbye(now),
            Phase::Closing(_) | Phase::ClosingByServer | Phase::Closed => {}
        }
    }

    fn say_goodbye(&mut self, now: Instant) {
        let text = disconnect("NO-ERROR");
        let on_channel = self.signaling_on_data_channel();
        match (self.websocket, self.switched) {
            (true, true) if on_channel => {
                self.send_signaling_channel("disconnect", text);
                self.phase = Phase::Closing(Goodbye::Hybrid { channels_closed: false });
                self.deadline = Some(now + self.config.disconnect_wait_timeout);
            }
            (true, _) => {
                self.send_websocket("disconnect", text);
                self.phase = Phase::Closing(Goodbye::WebSocket);
                self.deadline = Some(now + self.config.websocket_close_timeout);
            }
            (false, true) if on_channel => {
                self.send_signaling_channel("disconnect", text);
                self.phase = Phase::Closing(Goodbye::DataChannel);
                self.deadline = Some(now + self.config.disconnect_wait_timeout);
            }
            (false, true) => self.end(
                ErrorCode::CloseFailed,
                "Failed to close DataChannel: ec=Transport endpoint is not connected",
            ),
            (false, false) => {
                self.end(ErrorCode::InternalError, "Unknown state. WS and DC is already released.");
            }
        }
    }

    /// No signaling URL, or not the redirect's, could be connected to. `invalid` tells an unusable URL from a failed one.
    pub fn websocket_failed(&mut self, message: &str, invalid: bool) {
        if self.phase != Phase::Connecting {
            return;
        }
        let code = if invalid { ErrorCode::InvalidParameter } else { ErrorCode::WebsocketHandshakeFailed };
        self.end(code, message);
    }

    /// The server closed the WebSocket; code 0 if its close frame had none.
    pub fn websocket_closed(&mut self, code: u16, reason: &str) {
        if !std::mem::take(&mut self.websocket) {
            return;
        }
        self.event(Event::WsClose { code, reason: reason.to_owned() });
        let how = format!("ec={GRACEFUL} wscode={code} wsreason={reason}");
        match self.phase {
            Phase::Closing(Goodbye::WebSocket) => self.end(
                ErrorCode::CloseSucceeded,
                "Succeeded to close WebSocket (DC signaling is not enabled)",
            ),
            Phase::Closing(Goodbye::Hybrid { .. }) => {
                self.end(ErrorCode::CloseSucceeded, "Succeeded to close Websocket (DC signaling is enabled)");
            }
            _ if code == 1000 && self.switched => self.end(
                ErrorCode::CloseSucceeded,
                format!("Succeeded to close WebSocket and DataChannel from server: {how}"),
            ),
            _ if code == 1000 => {
                self.end(ErrorCode::CloseSucceeded, format!("Succeeded to close WebSocket from server: {how}"));
            }
            _ => {
                self.say_websocket_lost("WEBSOCKET-ONCLOSE");
                self.end(ErrorCode::WebsocketOnclose, format!("Failed to read WebSocket: {how}"));
            }
        }
    }

    /// The WebSocket broke without a close frame.
    pub fn websocket_broken(&mut self, failure: &WebSocketFailure) {
        if !std::mem::take(&mut self.websocket) {
            return;
        }
        self.event(Event::WsClose { code: 0, reason: String::new() });
        let ec = failure.text();
        match self.phase {
            Phase::Closing(_) => {
                self.end(ErrorCode::CloseFailed, format!("Failed to close WebSocket: ec={ec} wscode=0 wsreason="));
            }
            _ => {
                self.say_websocket_lost("WEBSOCKET-ONERROR");
                let text = format!("Failed to read WebSocket: ec={ec} wscode=0 wsreason=");
                self.end(ErrorCode::WebsocketOnerror, text);
            }
        }
    }

    /// Sora's client requirements: in hybrid mode the server is told over the data channel why the client goes.
    fn say_websocket_lost(&mut self, reason: &str) {
        if self.signaling_on_data_channel() {
            self.send_signaling_channel("disconnect", disconnect(reason));
        }
    }

    /// ICE failed for good.
    pub fn peer_failed(&mut self) {
        if !matches!(self.phase, Phase::Init | Phase::Closed) {
            self.end(ErrorCode::PeerConnectionStateFailed, "PeerConnectionState::kFailed");
        }
    }

    /// The peer closed DTLS or SCTP.
    pub fn peer_closed(&mut self, now: Instant) {
        match self.phase {
            Phase::Closing(Goodbye::DataChannel | Goodbye::Hybrid { .. }) | Phase::ClosingByServer => {
                self.all_channels_closed();
            }
            Phase::Connected if self.websocket => {
                // The WebSocket's close is on its way, or will not come.
                self.deadline.get_or_insert(now + self.config.disconnect_wait_timeout);
                self.peer_connected = false;
            }
            Phase::Connected => {
                self.end(ErrorCode::PeerConnectionStateFailed, "DataChannel was closed by the server");
            }
            _ => {}
        }
    }

    /// The offer or a later one could not be applied (`answering`: or answered).
    pub fn offer_failed(&mut self, answering: bool, error: &str) {
        let Some(kind) = self.offer_in_progress.take() else { return };
        let step = if answering { "CreateAnswer" } else { "SetOffer" };
        let which = match kind {
            OfferKind::Offer => "offer message via WebSocket",
            OfferKind::Update => "update message via WebSocket",
            OfferKind::ReOffer { data_channel: false } => "re-offer message via WebSocket",
            OfferKind::ReOffer { data_channel: true } => "re-offer message via DataChannel",
        };
        let text = disconnect("INTERNAL-ERROR");
        if self.signaling_on_data_channel() {
            self.send_signaling_channel("disconnect", text);
        } else {
            self.send_websocket("disconnect", text);
        }
        self.end(ErrorCode::IceFailed, format!("Failed to {step} in {which}: error={error}, internal_message="));
    }

    pub(super) fn closed_by_server(&mut self, now: Instant, code: u16, reason: String) {
        if matches!(self.phase, Phase::Connected) {
            self.phase = Phase::ClosingByServer;
            self.server_close = Some((code, reason));
            self.deadline = Some(now + self.config.disconnect_wait_timeout);
            if self.channels.none_open() {
                self.all_channels_closed();
            }
        }
    }

    pub(super) fn all_channels_closed(&mut self) {
        match self.phase {
            Phase::Closing(Goodbye::DataChannel) => {
                self.end(ErrorCode::CloseSucceeded, "Succeeded to close DataChannel");
            }
            Phase::Closing(Goodbye::Hybrid { .. }) => {
                // The guard against a server that never closes the WebSocket runs on.
                self.phase = Phase::Closing(Goodbye::Hybrid { channels_closed: true });
            }
            Phase::ClosingByServer => self.end_closed_by_server(),
            _ => {}
        }
    }

    fn end_closed_by_server(&mut self) {
        let (code, reason) = self.server_close.take().unwrap_or((1000, String::new()));
        let text = if code == 1000 {
            format!("Succeeded to close DataChannel: reason={reason}")
        } else {
            format!("Failed to close DataChannel: code={code} ec=Success")
        };
        self.end(ErrorCode::CloseSucceeded, text);
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.deadline = None;
        match self.phase {
            Phase::Connecting if self.config.connect.redirect => {
                self.end(ErrorCode::InternalError, "Connection timeout in redirection");
            }
            Phase::Connecting | Phase::AwaitingOffer => self.end(ErrorCode::InternalError, "Connection timeout"),
            Phase::Connected if self.peer_connected => {}
            Phase::Connected => {
                self.end(ErrorCode::PeerConnectionStateFailed, "PeerConnectionState::kFailed");
            }
            Phase::Closing(Goodbye::WebSocket) => {
                self.websocket_timed_out();
                let text = "Failed to close WebSocket: ec=Operation canceled wscode=0 wsreason=";
                self.end(ErrorCode::CloseFailed, text);
            }
            Phase::Closing(Goodbye::Hybrid { channels_closed: true }) => {
                self.websocket_timed_out();
                let text = "Failed to close WebSocket (DC succeeded): ec=Operation canceled wscode=0 wsreason=";
                self.end(ErrorCode::CloseFailed, text);
            }
            Phase::Closing(Goodbye::Hybrid { channels_closed: false }) => {
                self.websocket_timed_out();
                let (code, reason) = WAIT_TIMEOUT;
                self.end(
                    ErrorCode::CloseFailed,
                    format!(
                        "Failed to close WebSocket (Close timeout): ec=Connection timed out wscode={code} wsreason={reason}"
                    ),
                );
            }
            Phase::Closing(Goodbye::DataChannel) => {
                self.end(ErrorCode::CloseFailed, "Failed to close DataChannel: ec=Connection timed out");
            }
            Phase::ClosingByServer => self.end_closed_by_server(),
            Phase::Init | Phase::Closed => {}
        }
    }

    fn websocket_timed_out(&mut self) {
        if std::mem::take(&mut self.websocket) {
            self.actions.push_back(Action::DropWebSocket);
            let (code, reason) = WAIT_TIMEOUT;
            self.event(Event::WsClose { code, reason: reason.to_owned() });
        }
    }

    pub(super) fn end(&mut self, code: ErrorCode, message: impl Into<String>) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        self.deadline = None;
        self.actions.push_back(Action::ClosePeer);
        if std::mem::take(&mut self.websocket) {
            self.actions.push_back(Action::DropWebSocket);
        }
        self.event(Event::Disconnected { code, message: message.into() });
    }
}
