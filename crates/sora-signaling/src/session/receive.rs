//! What the server sends, over the WebSocket and over data channels.

use std::time::Instant;

use super::{Action, ClientSession, Event, OfferKind, Phase, Signal, StatsRequest};
use crate::ErrorCode;
use crate::message::{MessageError, ServerMessage};

/// Redirects in a row that are followed.
const MAX_REDIRECTS: u32 = 10;
/// Later offers that may wait while one is being applied; more are dropped.
const MAX_WAITING_OFFERS: usize = 16;
const WEBSOCKET: Signal = Signal { data_channel: false, sent: false };
const DATA_CHANNEL: Signal = Signal { data_channel: true, sent: false };

impl ClientSession {
    /// A text message came over the WebSocket.
    pub fn websocket_text(&mut self, now: Instant, text: &str) {
        if !self.websocket {
            return;
        }
        self.now = Some(now);
        let message = match ServerMessage::parse(text) {
            Ok(message) => message,
            Err(MessageError::Field { message_type, reason })
                if self.phase == Phase::AwaitingOffer && matches!(message_type.as_str(), "offer" | "redirect") =>
            {
                // An offer that cannot be read will not get better by waiting.
                let error = MessageError::Field { message_type, reason };
                return self.end(ErrorCode::InternalError, format!("Invalid message from the server: {error}"));
            }
            Err(error) => return self.warn(format!("message from the server ignored: {error}")),
        };
        match (self.phase, message) {
            (Phase::AwaitingOffer, ServerMessage::Redirect { location }) => self.redirect(now, location, text),
            (Phase::AwaitingOffer, ServerMessage::Offer(offer)) => {
                self.signaling_message(WEBSOCKET, "offer", text.to_owned());
                self.phase = Phase::Connected;
                text.clone_into(&mut self.offer_text);
                self.channels.set_offered(offer.data_channels.as_deref().unwrap_or_default());
                self.offer_in_progress = Some(OfferKind::Offer);
                self.push(Action::SetOffer(offer));
            }
            // Before the offer everything else is dropped.
            (Phase::Connected, message) => self.websocket_message(message, text),
            // After goodbye nothing changes the transports any more.
            (
                Phase::Closing(_),
                message @ (ServerMessage::Ping { .. } | ServerMessage::Notify { .. } | ServerMessage::Push { .. }),
            ) => self.websocket_message(message, text),
            _ => {}
        }
    }

    fn redirect(&mut self, now: Instant, location: String, text: &str) {
        self.signaling_message(WEBSOCKET, "redirect", text.to_owned());
        self.drop_websocket();
        if !(location.starts_with("ws://") || location.starts_with("wss://")) {
            return self.end(ErrorCode::InvalidParameter, format!("Invalid URL: url={location}"));
        }
        self.redirects += 1;
        if self.redirects > MAX_REDIRECTS {
            return self.end(ErrorCode::InternalError, format!("Redirected more than {MAX_REDIRECTS} times"));
        }
        self.config.connect.redirect = true;
        self.phase = Phase::Connecting;
        self.deadline = Some(now + self.config.websocket_connection_timeout);
        self.push(Action::ConnectWebSocket(location));
    }

    /// The client lets go of the WebSocket itself; the application hears of it as 1000 SELF-CLOSED.
    fn drop_websocket(&mut self) {
        if std::mem::take(&mut self.websocket) {
            self.push(Action::DropWebSocket);
            self.event(Event::WsClose { code: 1000, reason: "SELF-CLOSED".to_owned() });
        }
    }

    fn websocket_message(&mut self, message: ServerMessage, text: &str) {
        match message {
            ServerMessage::ReOffer { sdp } => {
                self.signaling_message(WEBSOCKET, "re-offer", text.to_owned());
                self.re_offer(OfferKind::ReOffer { data_channel: false }, sdp);
            }
            ServerMessage::Update { sdp } => {
                self.signaling_message(WEBSOCKET, "update", text.to_owned());
                self.re_offer(OfferKind::Update, sdp);
            }
            ServerMessage::Switched { ignore_disconnect_websocket } => {
                self.switched = true;
                if self.peer_connected && !self.signaling_lost {
                    self.deadline = None;
                    self.delay = None;
                }
                self.event(Event::Switched(text.to_owned()));
                if ignore_disconnect_websocket {
                    self.drop_websocket();
                }
            }
            ServerMessage::Ping { stats: false } => {
                self.push(Action::SendWebSocket("{\"type\":\"pong\"}".to_owned()));
            }
            ServerMessage::Ping { stats: true } => {
                let on_channel = self.switched && self.channels.is_open("stats");
                self.request_stats(if on_channel { StatsRequest::DataChannel } else { StatsRequest::Pong });
            }
            ServerMessage::Notify { .. } => self.event(Event::Notify(text.to_owned())),
            ServerMessage::Push { .. } => self.event(Event::Push(text.to_owned())),
            ServerMessage::Close { .. }
            | ServerMessage::ReqStats
            | ServerMessage::Redirect { .. }
            | ServerMessage::Offer(_)
            | ServerMessage::Unknown { .. } => {}
        }
    }

    fn request_stats(&mut self, request: StatsRequest) {
        // A server that asks faster than it is answered is answered once.
        if self.stats_requests.len() < 4 {
            self.stats_requests.push_back(request);
            self.push(Action::CollectStats);
        }
    }

    fn re_offer(&mut self, kind: OfferKind, sdp: String) {
        if self.offer_in_progress.is_none() {
            self.offer_in_progress = Some(kind);
            self.push(Action::SetReOffer(sdp));
        } else if self.waiting_offers.len() < MAX_WAITING_OFFERS {
            self.waiting_offers.push_back((kind, sdp));
        } else {
            self.warn(format!("re-offer dropped: {MAX_WAITING_OFFERS} are waiting"));
        }
    }

    pub(super) fn next_re_offer(&mut self) {
        if let Some((kind, sdp)) = self.waiting_offers.pop_front() {
            self.re_offer(kind, sdp);
        }
    }

    /// A data channel is open.
    pub fn data_channel_opened(&mut self, label: &str) {
        for label in self.channels.opened(label) {
            self.event(Event::DataChannel(label));
        }
    }

    /// A data channel closed.
    pub fn data_channel_closed(&mut self, label: &str) {
        let last = self.channels.closed(label);
        if self.phase == Phase::Connected && self.switched && (label == "signaling" || last) {
            self.signaling_channel_lost();
        } else if last {
            self.all_channels_closed();
        }
    }

    /// A message came over a data channel, as text or binary.
    pub fn data_channel_message(&mut self, now: Instant, label: &str, data: &[u8]) {
        if matches!(self.phase, Phase::Closed | Phase::Init) {
            return;
        }
        self.now = Some(now);
        let inflated;
        let data = if self.channels.compresses(label) {
            match crate::inflate(data) {
                Ok(message) => {
                    inflated = message;
                    &inflated[..]
                }
                Err(error) => return self.warn(format!("message on {label:?} dropped: {error}")),
            }
        } else {
            data
        };
        if label.starts_with('#') {
            return self.event(Event::Message { label: label.to_owned(), data: data.to_vec() });
        }
        if label == "rpc" {
            return self.event(Event::Rpc(data.to_vec()));
        }
        let Ok(text) = std::str::from_utf8(data) else {
            return self.warn(format!("message on {label:?} dropped: not UTF-8"));
        };
        if matches!(label, "notify" | "push")
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text)
        {
            return self.warn(format!("message on {label:?} dropped: {error}"));
        }
        match label {
            "notify" => self.event(Event::Notify(text.to_owned())),
            "push" => self.event(Event::Push(text.to_owned())),
            "signaling" => self.signaling_channel_message(now, text),
            "stats" if matches!(ServerMessage::parse(text), Ok(ServerMessage::ReqStats)) => {
                self.request_stats(if self.switched { StatsRequest::DataChannel } else { StatsRequest::Pong });
            }
            _ => {}
        }
    }

    fn signaling_channel_message(&mut self, now: Instant, text: &str) {
        let message = match ServerMessage::parse(text) {
            Ok(message) => message,
            Err(error) => return self.warn(format!("message on \"signaling\" dropped: {error}")),
        };
        self.signaling_message(DATA_CHANNEL, message.message_type(), text.to_owned());
        match message {
            ServerMessage::ReOffer { sdp } if self.phase == Phase::Connected => {
                self.re_offer(OfferKind::ReOffer { data_channel: true }, sdp);
            }
            ServerMessage::Close { code, reason } => self.closed_by_server(now, code, reason),
            _ => {}
        }
    }
}
