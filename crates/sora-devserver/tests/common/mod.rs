//! A client that does what a Sora client does, on real sockets, and keeps a log of what it sees.
#![allow(dead_code, reason = "every test file uses another part of it")]

pub(crate) mod http;
pub(crate) mod token;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use sora_devserver::{Server, ServerConfig};
use sora_peer::{
    Certificate, ChannelId, ConnectionState, Event, MediaKind, OutboundRtp, PeerConfig, PeerConnection, Side,
    TransceiverId,
};
use sora_signaling::{deflate, inflate};
use sora_transport::websocket::{ConnectOptions, WebSocket, WebSocketEvent};
use sora_transport::{PeerDriver, TlsOptions, UdpPorts, ntp_now};
use tokio::sync::{mpsc, watch};

/// No test waits longer for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn config() -> ServerConfig {
    ServerConfig::default()
}

pub(crate) async fn server() -> Server {
    Server::start(config()).await.expect("a server")
}

/// Something a client saw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// A signaling message, with `websocket` or the label it came on.
    Message { on: String, value: Value },
    /// An application message.
    Data { label: String, data: Bytes },
    /// The server closed the WebSocket; code 0 is an end of file.
    Closed { code: u16, reason: String },
    /// ICE and DTLS are up.
    PeerConnected,
    /// The peer connection has ended.
    PeerClosed,
    /// The server asked for a key frame.
    KeyFrameRequested,
    /// The server asked for a key frame of this layer.
    LayerKeyFrameRequested(String),
    /// A media packet.
    Rtp { kind: MediaKind, source: String, payload: Bytes },
}

impl Seen {
    /// The message, if it has this type.
    pub(crate) fn message(&self, message_type: &str) -> Option<&Value> {
        match self {
            Self::Message { value, .. } if value["type"] == message_type => Some(value),
            _ => None,
        }
    }

    /// The notification, if it is about this event.
    pub(crate) fn notify(&self, event_type: &str) -> Option<&Value> {
        self.message("notify").filter(|value| value["event_type"] == event_type)
    }
}

enum Command {
    Send(Value),
    SendOn(String, Vec<u8>),
    Media(MediaKind, Bytes),
    Layer(&'static str, Bytes),
    AskForKeyFrame,
}

/// One connection to the server. It runs by itself until it is dropped.
pub(crate) struct Client {
    log: watch::Receiver<Vec<Seen>>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Client {
    /// Connects and sends `connect`; the rest happens by itself.
    pub(crate) async fn start(url: &str, connect: Value) -> Self {
        Self::start_as(url, connect, false).await
    }

    async fn start_as(url: &str, connect: Value, sends_layers: bool) -> Self {
        let tls = TlsOptions { insecure: true, ..TlsOptions::default() };
        let options = ConnectOptions { tls, user_agent: "test".to_owned(), proxy: None, timeout: DEADLINE };
        let urls = [url.to_owned()];
        let (mut websocket, _) = sora_transport::websocket::connect(&urls, &options).await.expect("a WebSocket");
        websocket.send(connect.to_string()).await.expect("sent");
        let (seen, log) = watch::channel(Vec::new());
        let (commands, received) = mpsc::unbounded_channel();
        tokio::spawn(Task::new(websocket, seen, sends_layers).run(received));
        Self { log, commands }
    }

    /// Connects and waits until the server says that the connection is there.
    pub(crate) async fn connected(url: &str, connect: Value) -> Self {
        let client = Self::start(url, connect).await;
        client.wait_until_connected().await;
        client
    }

    /// The same for a client that sends simulcast; `connect` has to ask for it. For `sendonly` without audio.
    pub(crate) async fn connected_with_layers(url: &str, connect: Value) -> Self {
        let client = Self::start_as(url, connect, true).await;
        client.wait_until_connected().await;
        client
    }

    async fn wait_until_connected(&self) {
        let id = self.connection_id().await;
        self.wait("its own connection.created", |seen| {
            let created = seen.iter().filter_map(|s| s.notify("connection.created"));
            created.filter(|value| value["connection_id"] == *id).map(|_| ()).next()
        })
        .await;
    }

    /// Waits until `find` finds something in the log.
    pub(crate) async fn wait<T>(&self, what: &str, find: impl Fn(&[Seen]) -> Option<T>) -> T {
        let mut log = self.log.clone();
        let mut found = None;
        let waiting = log.wait_for(|seen| {
            found = find(seen);
            found.is_some()
        });
        let outcome = tokio::time::timeout(DEADLINE, waiting).await.map(|result| result.is_ok());
        match found {
            Some(found) => found,
            None => panic!("no {what} ({outcome:?}); seen: {:#?}", self.log.borrow()),
        }
    }

    /// Waits for a message of this type.
    pub(crate) async fn message(&self, message_type: &str) -> Value {
        self.wait(message_type, |seen| seen.iter().find_map(|s| s.message(message_type)).cloned()).await
    }

    /// Waits for the server to close the WebSocket.
    pub(crate) async fn closed(&self) -> (u16, String) {
        self.wait("closing", |seen| {
            seen.iter().find_map(|s| match s {
                Seen::Closed { code, reason } => Some((*code, reason.clone())),
                _ => None,
            })
        })
        .await
    }

    pub(crate) async fn connection_id(&self) -> String {
        self.message("offer").await["connection_id"].as_str().expect("an id").to_owned()
    }

    /// What was seen until now.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.borrow().clone()
    }

    pub(crate) fn send(&self, message: Value) {
        self.command(Command::Send(message));
    }

    pub(crate) fn send_on(&self, label: &str, data: &[u8]) {
        self.command(Command::SendOn(label.to_owned(), data.to_vec()));
    }

    /// Sends one packet of 20 ms on the uplink of this kind.
    pub(crate) fn send_media(&self, kind: MediaKind, payload: impl Into<Bytes>) {
        self.command(Command::Media(kind, payload.into()));
    }

    /// Sends one packet on a layer of the video uplink.
    pub(crate) fn send_layer(&self, rid: &'static str, payload: impl Into<Bytes>) {
        self.command(Command::Layer(rid, payload.into()));
    }

    /// Asks for a key frame of every video it receives.
    pub(crate) fn ask_for_key_frame(&self) {
        self.command(Command::AskForKeyFrame);
    }

    fn command(&self, command: Command) {
        assert!(self.commands.send(command).is_ok(), "the client has ended");
    }
}

/// `connect` with these members besides type, channel and role.
pub(crate) fn connect(role: &str, more: Value) -> Value {
    let mut message = json!({ "type": "connect", "role": role, "channel_id": "sora", "audio": true, "video": true });
    if let (Some(message), Value::Object(more)) = (message.as_object_mut(), more) {
        message.extend(more);
    }
    message
}

struct Task {
    websocket: Option<WebSocket>,
    driver: Option<PeerDriver>,
    seen: watch::Sender<Vec<Seen>>,
    channels: HashMap<ChannelId, String>,
    compressed: HashSet<String>,
    uplinks: HashMap<MediaKind, TransceiverId>,
    timestamps: HashMap<TransceiverId, u32>,
    sends_layers: bool,
    switched: bool,
}

impl Task {
    fn new(websocket: WebSocket, seen: watch::Sender<Vec<Seen>>, sends_layers: bool) -> Self {
        Self {
            websocket: Some(websocket),
            driver: None,
            seen,
            channels: HashMap::new(),
            compressed: HashSet::new(),
            uplinks: HashMap::new(),
            timestamps: HashMap::new(),
            sends_layers,
            switched: false,
        }
    }

    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                event = next(&mut self.websocket) => self.websocket_event(event).await,
                () = wait(&mut self.driver) => self.peer_events().await,
                command = commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
            }
        }
        if let Some(driver) = &mut self.driver {
            driver.peer().close(Instant::now());
            driver.flush();
        }
    }

    fn saw(&self, seen: Seen) {
        self.seen.send_modify(|log| log.push(seen));
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Send(message) => self.send(message).await,
            Command::SendOn(label, data) => self.send_on(&label, &data),
            Command::Media(kind, payload) => {
                let id = *self.uplinks.get(&kind).expect("an uplink");
                self.send_rtp(id, kind, None, payload);
            }
            Command::Layer(rid, payload) => {
                let id = *self.uplinks.get(&MediaKind::Video).expect("an uplink");
                self.send_rtp(id, MediaKind::Video, Some(rid), payload);
            }
            Command::AskForKeyFrame => self.ask_for_key_frame(),
        }
        if let Some(driver) = &mut self.driver {
            driver.flush();
        }
    }

    async fn websocket_event(&mut self, event: WebSocketEvent) {
        match event {
            WebSocketEvent::Text(text) => self.message("websocket", &text).await,
            WebSocketEvent::Closed { code, reason } => {
                self.websocket = None;
                self.saw(Seen::Closed { code, reason });
            }
            _ => {
                self.websocket = None;
                self.saw(Seen::Closed { code: 0, reason: String::new() });
            }
        }
    }

    async fn message(&mut self, on: &str, text: &str) {
        let value: Value = serde_json::from_str(text).expect("JSON from the server");
        self.saw(Seen::Message { on: on.to_owned(), value: value.clone() });
        let stats = json!([{ "type": "peer-connection", "id": "P", "timestamp": 1, "dataChannelsOpened": 7 }]);
        match value["type"].as_str().expect("a type") {
            "offer" => self.offer(&value).await,
            "re-offer" => {
                let answer = self.answer(&value);
                self.send(json!({ "type": "re-answer", "sdp": answer })).await;
            }
            "ping" if value["stats"] == true => self.send_websocket(&json!({ "type": "pong", "stats": stats })).await,
            "ping" => self.send_websocket(&json!({ "type": "pong" })).await,
            "req-stats" => self.send_on("stats", json!({ "type": "stats", "reports": stats }).to_string().as_bytes()),
            "switched" => {
                self.switched = true;
                if value["ignore_disconnect_websocket"] == true {
                    self.websocket = None;
                }
            }
            _ => {}
        }
    }

    async fn offer(&mut self, offer: &Value) {
        for channel in offer["data_channels"].as_array().into_iter().flatten() {
            if channel["compress"] == true {
                self.compressed.insert(channel["label"].as_str().expect("a label").to_owned());
            }
        }
        let config = PeerConfig {
            side: Side::Answerer,
            certificate: Certificate::generate().expect("a certificate"),
            ntp_now: ntp_now(),
            start_bitrate_bps: 5_000_000,
            max_bitrate_bps: 50_000_000,
            ice_failed_timeout: DEADLINE,
            supports: sora_peer::CodecFilter::default(),
        };
        let peer = PeerConnection::new(Instant::now(), config).expect("a peer connection");
        let mut driver = PeerDriver::new(peer);
        driver.bind(&[IpAddr::from([127, 0, 0, 1])], &UdpPorts::default()).expect("a socket");
        self.driver = Some(driver);
        let answer = self.answer(offer);
        self.send_websocket(&json!({ "type": "answer", "sdp": answer })).await;
    }

    fn answer(&mut self, offer: &Value) -> String {
        let peer = self.driver.as_mut().expect("after the offer").peer();
        let sdp = offer["sdp"].as_str().expect("an SDP");
        peer.handle_offer(sdp).expect("a good offer");
        for (kind, name) in [(MediaKind::Audio, "audio"), (MediaKind::Video, "video")] {
            let mid = offer["mid"][name].as_str();
            let uplink = peer.transceivers().find(|info| Some(info.mid.as_str()) == mid);
            if let Some(uplink) = uplink {
                let wanted = uplink.wanted_rids.into_iter().filter(|_| self.sends_layers);
                let rids: Vec<String> = wanted.map(|layer| layer.rid).collect();
                peer.set_sender(uplink.id, "stream", name, &rids).expect("an uplink");
                self.uplinks.insert(kind, uplink.id);
            }
        }
        peer.create_answer(Instant::now()).expect("an answer")
    }

    async fn peer_events(&mut self) {
        while let Some(event) = self.driver.as_mut().and_then(PeerDriver::poll_event) {
            match event {
                Event::State(ConnectionState::Connected) => self.saw(Seen::PeerConnected),
                Event::State(ConnectionState::Closed | ConnectionState::Failed) => self.saw(Seen::PeerClosed),
                Event::DataChannelOpen { id, label } => {
                    self.channels.insert(id, label);
                }
                Event::DataChannelMessage { id, data, .. } => self.channel_message(id, data).await,
                Event::KeyFrameRequested { rid, .. } => self.saw(match rid {
                    Some(rid) => Seen::LayerKeyFrameRequested(rid),
                    None => Seen::KeyFrameRequested,
                }),
                Event::Rtp { transceiver, packet, .. } => {
                    let info = self.driver.as_mut().and_then(|driver| driver.peer().transceiver(transceiver));
                    let info = info.expect("a known m-line");
                    let source = info.remote_msid.map(|(stream, _)| stream).unwrap_or_default();
                    self.saw(Seen::Rtp { kind: info.kind, source, payload: packet.payload });
                }
                _ => {}
            }
        }
    }

    async fn channel_message(&mut self, id: ChannelId, data: Bytes) {
        let label = self.channels.get(&id).expect("an open channel").clone();
        let data =
            if self.compressed.contains(&label) { Bytes::from(inflate(&data).expect("a zlib stream")) } else { data };
        if label.starts_with('#') {
            self.saw(Seen::Data { label, data });
        } else if label == "rpc" {
            let value = serde_json::from_slice(&data).expect("JSON from the server");
            self.saw(Seen::Message { on: label, value });
        } else {
            let text = String::from_utf8(data.to_vec()).expect("text");
            // A re-offer on a channel is answered there, which may lead to further events.
            Box::pin(self.message(&label, &text)).await;
        }
    }

    /// On the data channel if signaling has moved there.
    async fn send(&mut self, message: Value) {
        if self.switched {
            self.send_on("signaling", message.to_string().as_bytes());
        } else {
            self.send_websocket(&message).await;
        }
    }

    async fn send_websocket(&mut self, message: &Value) {
        if let Some(websocket) = &mut self.websocket {
            // The server may have closed it by now; the close is read next.
            let _ = websocket.send(message.to_string()).await;
        }
    }

    fn send_on(&mut self, label: &str, data: &[u8]) {
        let data = if self.compressed.contains(label) { deflate(data) } else { data.to_vec() };
        let id = self.channels.iter().find(|(_, known)| *known == label).map(|(id, _)| *id).expect("an open channel");
        let peer = self.driver.as_mut().expect("a connection").peer();
        peer.send_data(Instant::now(), id, &data, false).expect("sent");
    }

    fn ask_for_key_frame(&mut self) {
        let peer = self.driver.as_mut().expect("a connection").peer();
        let videos: Vec<_> =
            peer.transceivers().filter(|info| info.kind == MediaKind::Video && info.remote_sends).collect();
        for video in videos {
            peer.request_key_frame(Instant::now(), video.id, None);
        }
    }

    fn send_rtp(&mut self, id: TransceiverId, kind: MediaKind, rid: Option<&str>, payload: Bytes) {
        let peer = self.driver.as_mut().expect("a connection").peer();
        let codec = peer.transceiver(id).and_then(|info| info.codecs.first().cloned()).expect("a codec");
        let timestamp = self.timestamps.entry(id).or_default();
        *timestamp = timestamp.wrapping_add(codec.clock_rate / 50);
        let packet = OutboundRtp {
            payload_type: codec.payload_type,
            timestamp: *timestamp,
            marker: kind == MediaKind::Video,
            payload,
            sequence_number: None,
            rid: rid.map(Into::into),
        };
        peer.send_rtp(Instant::now(), id, &packet);
    }
}

async fn next(websocket: &mut Option<WebSocket>) -> WebSocketEvent {
    match websocket {
        Some(websocket) => websocket.next().await,
        None => std::future::pending().await,
    }
}

async fn wait(driver: &mut Option<PeerDriver>) {
    match driver {
        Some(driver) => driver.wait().await,
        None => std::future::pending().await,
    }
}
