use std::collections::HashMap;
use std::future::pending;
use std::time::{Duration, Instant};

use sora_peer::{
    ChannelId, ConnectionState, Event as PeerEvent, OutboundRtp, PeerConfig, PeerConnection, Side, TransceiverId,
    TransceiverInfo,
};
use sora_signaling::message::Offer;
use sora_signaling::{Action, ClientSession, WebSocketFailure};
use tokio::sync::mpsc;

use super::{ClientHandler, ClientOptions, Command, OutgoingFrame};
use crate::peer_driver::{PeerDriver, UdpPorts};
use crate::proxy::Proxy;
use crate::websocket::{ConnectError, ConnectOptions, WebSocket, WebSocketEvent, connect};
use crate::{RelayOptions, local_addresses, ntp_now, unix_time_us};

/// A server that does not read must not hold the connection's task for ever.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// The polite part of dropping a WebSocket.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

type Connecting = tokio::task::JoinHandle<Result<(WebSocket, String), ConnectError>>;

struct Task {
    options: ClientOptions,
    handler: Box<dyn ClientHandler>,
    session: ClientSession,
    connecting: Option<Connecting>,
    websocket: Option<WebSocket>,
    driver: Option<PeerDriver>,
    channels: HashMap<String, ChannelId>,
    labels: HashMap<ChannelId, String>,
    loopback: bool,
    candidates_told: usize,
}

pub(super) async fn run(
    options: ClientOptions,
    handler: Box<dyn ClientHandler>,
    mut commands: mpsc::Receiver<Command>,
    mut frames: mpsc::Receiver<OutgoingFrame>,
) {
    let session = ClientSession::new(options.session.clone());
    let mut task = Task {
        options,
        handler,
        session,
        connecting: None,
        websocket: None,
        driver: None,
        channels: HashMap::new(),
        labels: HashMap::new(),
        loopback: false,
        candidates_told: 0,
    };
    task.session.start(Instant::now());
    task.connecting = Some(task.connect(task.options.urls.clone()));
    // A closed channel is ready all the time.
    let (mut frames_open, mut commands_open) = (true, true);
    loop {
        task.act().await;
        if task.session.is_closed() {
            break;
        }
        let deadline = task.session.poll_timeout();
        tokio::select! {
            result = join(&mut task.connecting) => task.connected(result),
            event = next_message(&mut task.websocket) => task.websocket_event(event),
            () = wait(&mut task.driver) => task.peer_events(),
            command = commands.recv(), if commands_open => {
                // Nobody is left who could end it.
                commands_open = command.is_some();
                task.command(command.unwrap_or(Command::Disconnect));
            }
            frame = frames.recv(), if frames_open => match frame {
                Some(frame) => task.send_frame(&frame),
                None => frames_open = false,
            },
            () = sleep_until(deadline) => task.session.handle_timeout(Instant::now()),
        }
    }
    task.close();
    // Callers that wait for an answer get one.
    commands.close();
    while let Some(command) = commands.recv().await {
        match command {
            Command::SendMessage { accepted, .. } => {
                let _ = accepted.send(false);
            }
            Command::Stats(reply) => drop(reply.send(Vec::new())),
            Command::RequestKeyFrame(_) | Command::Disconnect => {}
        }
    }
    task.handler.finished();
}

async fn join(connecting: &mut Option<Connecting>) -> Result<(WebSocket, String), ConnectError> {
    let Some(handle) = connecting else { return pending().await };
    let result = handle.await;
    *connecting = None;
    result.unwrap_or(Err(ConnectError::Timeout))
}

async fn next_message(websocket: &mut Option<WebSocket>) -> WebSocketEvent {
    match websocket {
        Some(websocket) => websocket.next().await,
        None => pending().await,
    }
}

async fn wait(driver: &mut Option<PeerDriver>) {
    match driver {
        Some(driver) => driver.wait().await,
        None => pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// Scheme, host and path: user information and query may be credentials.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

impl Task {
    fn connect(&self, urls: Vec<String>) -> Connecting {
        let options = self.options.connect.clone();
        tokio::spawn(async move { connect(&urls, &options).await })
    }

    fn connected(&mut self, result: Result<(WebSocket, String), ConnectError>) {
        match result {
            Ok((websocket, url)) => {
                tracing::debug!(url = without_secrets(&url), "signaling connected");
                self.loopback = websocket.remote_is_loopback();
                self.websocket = Some(websocket);
                self.session.websocket_opened(Instant::now());
            }
            Err(ConnectError::Timeout) => {
                // The session's own limit ends it with the right words; this one may be first by a hair.
                if let Some(deadline) = self.session.poll_timeout() {
                    self.session.handle_timeout(deadline);
                }
            }
            Err(ConnectError::Handshake { reason, url }) => {
                let proxy = self.options.connect.proxy.as_ref().map(Proxy::url);
                self.session.handshake_failed(&reason, &url, proxy);
            }
            Err(error @ ConnectError::InvalidUrls(_)) => self.session.websocket_failed(&error.to_string(), true),
        }
    }

    fn websocket_event(&mut self, event: WebSocketEvent) {
        let failure = match event {
            WebSocketEvent::Text(text) => return self.session.websocket_text(Instant::now(), &text),
            WebSocketEvent::Closed { code, reason } => {
                self.websocket = None;
                return self.session.websocket_closed(code, &reason);
            }
            WebSocketEvent::Eof => WebSocketFailure::Eof,
            WebSocketEvent::Reset => WebSocketFailure::Reset,
            WebSocketEvent::Failed(text) => WebSocketFailure::Other(text),
        };
        self.websocket = None;
        self.session.websocket_broken(&failure);
    }

    /// Carries out what the session wants, until it wants nothing more.
    async fn act(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Event(event) => self.handler.event(event),
                Action::ConnectWebSocket(url) => self.connecting = Some(self.connect(vec![url])),
                Action::SendWebSocket(text) => self.send_websocket(text).await,
                Action::DropWebSocket => self.drop_websocket(),
                Action::SetOffer(offer) => self.set_offer(&offer),
                Action::SetReOffer(sdp) => self.apply_offer(&sdp, None),
                Action::SendDataChannel { label, data, text } => {
                    if let (Some(driver), Some(id)) = (&mut self.driver, self.channels.get(&label))
                        && let Err(error) = driver.peer().send_data(Instant::now(), *id, &data, text)
                    {
                        tracing::warn!(%error, label, "data channel message not sent");
                    }
                }
                Action::CollectStats => {
                    let stats = self.stats();
                    self.session.stats_collected(&stats);
                }
                Action::ClosePeer => {
                    if let Some(driver) = &mut self.driver {
                        driver.flush();
                        driver.peer().close(Instant::now());
                        driver.flush();
                        driver.close_relays();
                    }
                }
            }
        }
        if let Some(driver) = &mut self.driver {
            driver.flush();
        }
    }

    async fn send_websocket(&mut self, text: String) {
        let Some(websocket) = &mut self.websocket else { return };
        let failure = match tokio::time::timeout(WRITE_TIMEOUT, websocket.send(text)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => "the server does not read".to_owned(),
        };
        // A close frame or the cause may still be readable; only if nothing comes is the write error the end.
        tracing::debug!(error = %failure, "signaling message not sent");
    }

    fn drop_websocket(&mut self) {
        if let Some(mut websocket) = self.websocket.take() {
            tokio::spawn(async move {
                let polite = async {
                    websocket.close(1000, "").await;
                    websocket.next().await;
                };
                let _ = tokio::time::timeout(CLOSE_GRACE, polite).await;
            });
        }
    }

    // ---- negotiation ---------------------------------------------------------------------------------------------

    fn set_offer(&mut self, offer: &Offer) {
        let config = PeerConfig {
            side: Side::Answerer,
            certificate: self.options.certificate.clone(),
            ntp_now: ntp_now(),
            start_bitrate_bps: self.options.start_bitrate_bps,
            max_bitrate_bps: self.options.max_bitrate_bps,
            ice_failed_timeout: Duration::from_secs(15),
            supports: self.options.supports.clone(),
        };
        let mut driver = match PeerConnection::new(Instant::now(), config) {
            Ok(peer) => PeerDriver::new(peer),
            Err(error) => return self.session.offer_failed(false, &error.to_string()),
        };
        let ice = offer.config.clone();
        if ice.ice_transport_policy.as_deref() != Some("relay")
            && let Err(error) = driver.bind(&local_addresses(self.loopback), &UdpPorts::default())
        {
            return self.session.offer_failed(false, &error.to_string());
        }
        let ConnectOptions { tls, proxy, .. } = &self.options.connect;
        let relays = RelayOptions { servers: ice.ice_servers, tls: tls.clone(), proxy: proxy.clone() };
        driver.open_relays(&relays, &self.options.certificate);
        self.driver = Some(driver);
        self.apply_offer(&offer.sdp, Some(offer));
        self.trickle();
    }

    /// Applies an offer or re-offer and answers it; `first` is the whole message of the first one.
    fn apply_offer(&mut self, sdp: &str, first: Option<&Offer>) {
        let Some(driver) = &mut self.driver else { return };
        let changes = match driver.peer().handle_offer(sdp) {
            Ok(changes) => changes,
            Err(error) => return self.session.offer_failed(false, &error.to_string()),
        };
        let transceivers: Vec<TransceiverInfo> = driver.peer().transceivers().collect();
        for id in &changes.stopped {
            self.handler.track_ended(*id);
        }
        for info in transceivers.iter().filter(|t| changes.added.contains(&t.id) && t.remote_sends) {
            self.handler.track_added(info);
        }
        self.session.offer_applied();
        let Some(driver) = &mut self.driver else { return };
        if let Some(offer) = first {
            for binding in self.handler.bind_senders(offer, &transceivers) {
                let super::SenderBinding { transceiver, stream_id, track_id, rids } = &binding;
                let bound = driver.peer().set_sender(*transceiver, stream_id, track_id, rids);
                if let Err(error) = bound {
                    tracing::warn!(%error, "track cannot be sent");
                }
            }
        }
        match driver.peer().create_answer(Instant::now()) {
            Ok(answer) => self.session.answer_created(&answer),
            Err(error) => self.session.offer_failed(true, &error.to_string()),
        }
    }

    /// Tells the server our candidates in the form the reference client gives them.
    fn trickle(&mut self) {
        let Some(driver) = &mut self.driver else { return };
        let ufrag = driver.peer().local_ufrag();
        while let Some(candidate) = driver.poll_candidate() {
            self.candidates_told += 1;
            let network = self.candidates_told;
            self.session.local_candidate(&format!("{candidate} generation 0 ufrag {ufrag} network-id {network}"));
        }
    }

    // ---- the peer connection -------------------------------------------------------------------------------------

    fn peer_events(&mut self) {
        self.trickle();
        let now = Instant::now();
        while let Some(event) = self.driver.as_mut().and_then(PeerDriver::poll_event) {
            match event {
                PeerEvent::State(state) => self.peer_state(now, state),
                PeerEvent::Rtp { transceiver, packet, .. } => self.handler.rtp(transceiver, packet),
                PeerEvent::KeyFrameRequested { transceiver, rid } => {
                    self.handler.key_frame_requested(transceiver, rid.as_deref());
                }
                PeerEvent::TargetBitrate(bitrate) => self.handler.target_bitrate(bitrate),
                PeerEvent::LossReported { transceiver, fraction } => self.handler.loss_reported(transceiver, fraction),
                PeerEvent::SenderReport { .. } => {}
                PeerEvent::DataChannelOpen { id, label } => {
                    self.channels.insert(label.clone(), id);
                    self.labels.insert(id, label.clone());
                    self.session.data_channel_opened(&label);
                }
                PeerEvent::DataChannelMessage { id, data, .. } => {
                    if let Some(label) = self.labels.get(&id) {
                        self.session.data_channel_message(now, label, &data);
                    }
                }
                PeerEvent::DataChannelClosed { id, label } => {
                    self.labels.remove(&id);
                    self.channels.remove(&label);
                    self.session.data_channel_closed(&label);
                }
            }
        }
    }

    fn peer_state(&mut self, now: Instant, state: ConnectionState) {
        match state {
            ConnectionState::Connected => {
                self.session.peer_connected();
                if let Some(driver) = &mut self.driver {
                    let transceivers: Vec<TransceiverInfo> = driver.peer().transceivers().collect();
                    self.handler.connected(&transceivers);
                }
            }
            ConnectionState::Failed => self.session.peer_failed(),
            ConnectionState::Closed => self.session.peer_closed(now),
            ConnectionState::New | ConnectionState::Connecting | ConnectionState::Disconnected => {}
        }
    }

    fn send_frame(&mut self, frame: &OutgoingFrame) {
        let Some(driver) = &mut self.driver else { return };
        let OutgoingFrame { transceiver, payload_type, frame } = frame;
        let now = Instant::now();
        let last = frame.payloads.len().saturating_sub(1);
        for (index, payload) in frame.payloads.iter().enumerate() {
            let packet = OutboundRtp {
                payload_type: *payload_type,
                timestamp: frame.timestamp,
                marker: frame.marker && index == last,
                payload: payload.clone(),
                sequence_number: None,
                rid: frame.rid.clone(),
            };
            driver.peer().send_rtp(now, *transceiver, &packet);
        }
        driver.flush();
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Disconnect => self.session.disconnect(now),
            Command::RequestKeyFrame(id) => self.request_key_frame(now, id),
            Command::Stats(reply) => drop(reply.send(self.stats())),
            Command::SendMessage { label, data, accepted } => {
                let sent = self.send_message(now, &label, &data);
                // The caller may have given up waiting.
                let _ = accepted.send(sent);
            }
        }
    }

    fn request_key_frame(&mut self, now: Instant, id: TransceiverId) {
        if let Some(driver) = &mut self.driver {
            driver.peer().request_key_frame(now, id, None);
        }
    }

    fn send_message(&mut self, now: Instant, label: &str, data: &[u8]) -> bool {
        let encoded = match self.session.encode_message(label, data) {
            Ok(encoded) => encoded,
            Err(error) => {
                tracing::debug!(%error, label, "message refused");
                return false;
            }
        };
        let (Some(driver), Some(id)) = (&mut self.driver, self.channels.get(label)) else { return false };
        match driver.peer().send_data(now, *id, &encoded, false) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, label, "message refused");
                false
            }
        }
    }

    fn stats(&mut self) -> Vec<serde_json::Value> {
        let Some(driver) = &mut self.driver else { return Vec::new() };
        let mut stats = driver.peer().stats(Instant::now(), unix_time_us());
        self.handler.extend_stats(&mut stats);
        stats
    }

    fn close(&mut self) {
        if let Some(connecting) = self.connecting.take() {
            connecting.abort();
        }
        if let Some(driver) = &mut self.driver {
            driver.peer().close(Instant::now());
            driver.flush();
            driver.close_relays();
        }
        self.drop_websocket();
    }
}
