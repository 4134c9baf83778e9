//! Every way a connection ends, with the codes and texts programs written for the reference compare.

use std::time::Instant;

use super::{Action, ClientSession, Event, OfferKind, Phase, WebSocketFailure};
use crate::ErrorCode;
use crate::message::disconnect;

const GRACEFUL: &str = "The WebSocket stream was gracefully closed at both endpoints";
/// Told to the application, never on the wire: the server did not close in time.
const WAIT_TIMEOUT: (u16, &str) = (4999, "DISCONNECT-WAIT-TIMEOUT-ERROR");

const SWITCH_TIMEOUT: &str = "Signaling did not move to data channels within data_channel_signaling_timeout";
const CHANNELS_LOST: &str = "DataChannel was closed by the server";

/// Which transports a goodbye waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goodbye {
    WebSocket,
    /// With the channels gone, only the WebSocket is waited for.
    Hybrid {
        channels_closed: bool,
    },
    DataChannel,
}

impl ClientSession {
    /// The application says goodbye. Before [`ClientSession::start`] it ends the session without an event.
    pub fn disconnect(&mut self, now: Instant) {
        self.now = Some(now);
        match self.phase {
            Phase::Init => self.phase = Phase::Closed,
            Phase::Connecting => self.end(ErrorCode::CloseSucceeded, "Close was called in connecting"),
            Phase::AwaitingOffer | Phase::Connected => self.say_goodbye("NO-ERROR"),
            Phase::Closing(_) | Phase::ClosingByServer | Phase::Closed => {}
        }
    }

    /// `reason` is what the server is told in hybrid mode; otherwise it is NO-ERROR, as the reference has it.
    fn say_goodbye(&mut self, reason: &str) {
        let text = disconnect("NO-ERROR");
        let on_channel = self.signaling_on_data_channel();
        match (self.websocket, self.switched) {
            (true, true) if on_channel => {
                self.send_signaling_channel("disconnect", disconnect(reason));
                self.phase = Phase::Closing(Goodbye::Hybrid { channels_closed: false });
                self.start_limit(self.config.disconnect_wait_timeout);
            }
            (true, _) => {
                self.send_websocket("disconnect", text);
                self.phase = Phase::Closing(Goodbye::WebSocket);
                self.start_limit(self.config.websocket_close_timeout);
            }
            (false, true) if on_channel => {
                self.send_signaling_channel("disconnect", text);
                self.phase = Phase::Closing(Goodbye::DataChannel);
                self.start_limit(self.config.disconnect_wait_timeout);
            }
            (false, true) => self.conclude(
                ErrorCode::CloseFailed,
                "Failed to close DataChannel: ec=Transport endpoint is not connected",
            ),
            (false, false) => {
                self.conclude(ErrorCode::InternalError, "Unknown state. WS and DC is already released.");
            }
        }
    }

    /// A goodbye is over; a session that was ended by force ends as that, with the outcome of the goodbye behind.
    fn conclude(&mut self, code: ErrorCode, outcome: impl Into<String>) {
        match self.forced.take() {
            Some((code, text)) => self.end(code, format!("{text}, internal_message={}", outcome.into())),
            None => self.end(code, outcome),
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

    /// No signaling URL, or not the redirect's, could be connected to, in the words of the reference: `reason` is what
    /// went wrong with the last URL tried, `url`.
    pub fn handshake_failed(&mut self, reason: &str, url: &str, proxy_url: Option<&str>) {
        let mut text = if self.redirects > 0 {
            format!("Failed Websocket handshake in redirecting: ec={reason} url={url}")
        } else {
            format!("Failed Websocket handshake: last_ec={reason} last_url={url}")
        };
        if let Some(proxy_url) = proxy_url.filter(|proxy_url| !proxy_url.is_empty()) {
            text.push_str(" proxy_url=");
            text.push_str(proxy_url);
        }
        self.websocket_failed(&text, false);
    }

    /// The server closed the WebSocket; code 0 if its close frame had none.
    pub fn websocket_closed(&mut self, code: u16, reason: &str) {
        if !std::mem::take(&mut self.websocket) || self.phase == Phase::ClosingByServer {
            // After the server's `close` the data channels decide, and the application is not told of the WebSocket.
            return;
        }
        self.event(Event::WsClose { code, reason: reason.to_owned() });
        let how = format!("ec={GRACEFUL} wscode={code} wsreason={reason}");
        match self.phase {
            Phase::Closing(Goodbye::WebSocket) => {
                self.conclude(ErrorCode::CloseSucceeded, "Succeeded to close WebSocket (DC signaling is not enabled)")
            }
            Phase::Closing(Goodbye::Hybrid { .. }) => {
                self.conclude(ErrorCode::CloseSucceeded, "Succeeded to close Websocket (DC signaling is enabled)");
            }
            _ if code == 1000 && self.switched => {
                self.say_websocket_lost("WEBSOCKET-ONCLOSE");
                let text = format!("Succeeded to close WebSocket and DataChannel from server: {how}");
                self.end(ErrorCode::CloseSucceeded, text);
            }
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
        if !std::mem::take(&mut self.websocket) || self.phase == Phase::ClosingByServer {
            return;
        }
        self.event(Event::WsClose { code: 0, reason: String::new() });
        let ec = failure.text();
        match self.phase {
            Phase::Closing(_) => {
                self.conclude(ErrorCode::CloseFailed, format!("Failed to close WebSocket: ec={ec} wscode=0 wsreason="));
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
        match self.phase {
            Phase::AwaitingOffer | Phase::Connected => {
                self.end(ErrorCode::PeerConnectionStateFailed, "PeerConnectionState::kFailed");
            }
            // A goodbye is already under way and has a limit; the channels went with the peer.
            Phase::Closing(Goodbye::Hybrid { .. }) | Phase::ClosingByServer => self.all_channels_closed(),
            Phase::Init | Phase::Connecting | Phase::Closing(_) | Phase::Closed => {}
        }
    }

    /// The peer closed DTLS or SCTP.
    pub fn peer_closed(&mut self, now: Instant) {
        self.now = Some(now);
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
                self.end(ErrorCode::PeerConnectionStateFailed, CHANNELS_LOST);
            }
            _ => {}
        }
    }

    /// The offer or a later one could not be applied (`answering`: or answered).
    pub fn offer_failed(&mut self, answering: bool, error: &str) {
        let Some(kind) = self.offer_in_progress.take() else {
            return;
        };
        let step = if answering { "CreateAnswer" } else { "SetOffer" };
        let which = match kind {
            OfferKind::Offer => "offer message via WebSocket",
            OfferKind::Update => "update message via WebSocket",
            OfferKind::ReOffer { data_channel: false } => "re-offer message via WebSocket",
            OfferKind::ReOffer { data_channel: true } => "re-offer message via DataChannel",
        };
        self.waiting_offers.clear();
        if self.phase != Phase::Connected {
            return;
        }
        self.forced = Some((ErrorCode::IceFailed, format!("Failed to {step} in {which}: error={error}")));
        self.say_goodbye("INTERNAL-ERROR");
    }

    /// The signaling channel closed although nobody had said goodbye. The server's WebSocket close or `close` may
    /// still be on its way; if nothing comes, this is the end.
    pub(super) fn signaling_channel_lost(&mut self) {
        if !self.websocket && self.channels.none_open() {
            return self.end(ErrorCode::PeerConnectionStateFailed, CHANNELS_LOST);
        }
        if !std::mem::replace(&mut self.signaling_lost, true) {
            self.start_limit(self.config.disconnect_wait_timeout);
        }
    }

    pub(super) fn closed_by_server(&mut self, now: Instant, code: u16, reason: String) {
        if matches!(self.phase, Phase::Connected) {
            self.phase = Phase::ClosingByServer;
            self.server_close = Some((code, reason));
            self.now = Some(now);
            self.start_limit(self.config.disconnect_wait_timeout);
            if self.channels.none_open() {
                self.all_channels_closed();
            }
        }
    }

    pub(super) fn all_channels_closed(&mut self) {
        match self.phase {
            Phase::Closing(Goodbye::DataChannel) => {
                self.conclude(ErrorCode::CloseSucceeded, "Succeeded to close DataChannel");
            }
            Phase::Closing(Goodbye::Hybrid { channels_closed: false }) => {
                // The reference waits for the WebSocket for ever now.
                self.phase = Phase::Closing(Goodbye::Hybrid { channels_closed: true });
                self.start_limit(self.config.websocket_close_timeout);
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
        self.now = Some(now);
        if let Some(delay) = self.delay.take() {
            self.deadline = Some(now + delay);
        }
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.deadline = None;
        match self.phase {
            Phase::Connecting if self.config.connect.redirect => {
                self.end(ErrorCode::InternalError, "Connection timeout in redirection");
            }
            Phase::Connecting | Phase::AwaitingOffer => self.end(ErrorCode::InternalError, "Connection timeout"),
            Phase::Connected if self.signaling_lost => {
                self.send_websocket("disconnect", disconnect("DATACHANNEL-ONCLOSE"));
                self.end(ErrorCode::PeerConnectionStateFailed, CHANNELS_LOST);
            }
            Phase::Connected if self.peer_connected && !self.switched && self.channels.is_listed("signaling") => {
                self.forced = Some((ErrorCode::InternalError, SWITCH_TIMEOUT.to_owned()));
                self.say_goodbye("INTERNAL-ERROR");
            }
            Phase::Connected if self.peer_connected => {}
            Phase::Connected => {
                self.end(ErrorCode::PeerConnectionStateFailed, "PeerConnectionState::kFailed");
            }
            Phase::Closing(Goodbye::WebSocket) => {
                self.websocket_timed_out();
                let text = "Failed to close WebSocket: ec=Operation canceled wscode=0 wsreason=";
                self.conclude(ErrorCode::CloseFailed, text);
            }
            Phase::Closing(Goodbye::Hybrid { channels_closed: true }) => {
                self.websocket_timed_out();
                let text = "Failed to close WebSocket (DC succeeded): ec=Operation canceled wscode=0 wsreason=";
                self.conclude(ErrorCode::CloseFailed, text);
            }
            Phase::Closing(Goodbye::Hybrid { channels_closed: false }) => {
                self.websocket_timed_out();
                let (code, reason) = WAIT_TIMEOUT;
                self.conclude(
                    ErrorCode::CloseFailed,
                    format!(
                        "Failed to close WebSocket (Close timeout): ec=Connection timed out wscode={code} wsreason={reason}"
                    ),
                );
            }
            Phase::Closing(Goodbye::DataChannel) => {
                self.conclude(ErrorCode::CloseFailed, "Failed to close DataChannel: ec=Connection timed out");
            }
            Phase::ClosingByServer => self.end_closed_by_server(),
            Phase::Init | Phase::Closed => {}
        }
    }

    fn websocket_timed_out(&mut self) {
        if std::mem::take(&mut self.websocket) {
            self.push(Action::DropWebSocket);
            let (code, reason) = WAIT_TIMEOUT;
            self.event(Event::WsClose { code, reason: reason.to_owned() });
        }
    }

    pub(super) fn end(&mut self, code: ErrorCode, message: impl Into<String>) {
        if self.phase == Phase::Closed {
            return;
        }
        self.push(Action::ClosePeer);
        if std::mem::take(&mut self.websocket) {
            self.push(Action::DropWebSocket);
        }
        self.event(Event::Disconnected { code, message: message.into() });
        self.phase = Phase::Closed;
        self.deadline = None;
        self.delay = None;
    }
}
