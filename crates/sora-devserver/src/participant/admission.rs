//! From the first message to a place in the channel.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sora_peer::{
    ChannelId, DataChannelInit, Direction, PeerConfig, PeerConnection, Side, TransceiverId, TransceiverInit,
};
use sora_signaling::message::{ClientMessage, Connect, Role};
use sora_transport::websocket::{WebSocket, WebSocketEvent};
use sora_transport::{PeerDriver, ntp_now, unix_time_us};
use tokio::sync::mpsc;

use super::key_frame_requests::KeyFrameRequests;
use super::media::Uplink;
use super::requests::Requests;
use super::spotlight::Spotlight;
use super::timers::Timers;
use super::{MediaKind, Participant};
use crate::Shared;
use crate::access_token::{self, Grant};
use crate::channel::{CONTROL_QUEUE, Control, MEDIA_QUEUE, MediaPacket, Member, Membership, random_id};
use crate::codecs;
use crate::forwarding_filter::ForwardingFilters;
use crate::simulcast::Encodings;

const FIRST_MESSAGE_LIMIT: Duration = Duration::from_secs(10);
/// Labels of the server's own channels, with their directions as the client sees them.
pub(super) const MANAGED_LABELS: [(&str, &str); 5] = [
    ("signaling", "sendrecv"),
    ("notify", "recvonly"),
    ("push", "recvonly"),
    ("stats", "sendrecv"),
    ("rpc", "sendrecv"),
];

pub(super) struct Admitted {
    shared: Arc<Shared>,
    connect: Connect,
    member: Member,
    membership: Membership,
    grant: Grant,
    filters: ForwardingFilters,
    spotlight: Option<Spotlight>,
    requests: Requests,
    driver: PeerDriver,
    control: mpsc::Receiver<Control>,
    media: mpsc::Receiver<MediaPacket>,
}

/// Why a client has no place in a channel here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotAdmitted {
    /// It is refused: close 4490 with this reason.
    Refused(&'static str),
    /// It is to go to this URL.
    Redirected(String),
}

impl From<&'static str> for NotAdmitted {
    fn from(reason: &'static str) -> Self {
        Self::Refused(reason)
    }
}

/// Reads `connect` and lets the client in, or says why not.
pub(super) async fn admit(shared: Arc<Shared>, websocket: &mut WebSocket) -> Result<Admitted, NotAdmitted> {
    let mut connect = first_message(websocket).await?;
    validate(&connect)?;
    let filters = forwarding_filters(&connect)?;
    // Before the token is looked at: in a cluster the node that has the channel does that.
    if let Some(url) = shared.config.redirect.as_ref().filter(|_| !connect.redirect) {
        return Err(NotAdmitted::Redirected(url.clone()));
    }
    let grant = authorize(&shared, &mut connect)?;
    Ok(enter(shared, connect, grant, filters)?)
}

async fn first_message(websocket: &mut WebSocket) -> Result<Connect, &'static str> {
    let text = match tokio::time::timeout(FIRST_MESSAGE_LIMIT, websocket.next()).await {
        Ok(WebSocketEvent::Text(text)) => text,
        Ok(_) => return Err("INVALID-MESSAGE"),
        Err(_) => return Err("CONNECT-TIMEOUT"),
    };
    match ClientMessage::parse(&text) {
        Ok(ClientMessage::Connect(connect)) => Ok(*connect),
        Ok(_) => Err("INVALID-CONNECT-MESSAGE"),
        Err(error) => {
            tracing::info!(%error, "connect refused");
            Err(error.close_reason())
        }
    }
}

fn forwarding_filters(connect: &Connect) -> Result<ForwardingFilters, &'static str> {
    ForwardingFilters::parse(connect.forwarding_filter.as_ref(), connect.forwarding_filters.as_ref()).map_err(|error| {
        tracing::info!(%error, "connect refused");
        error.close_reason()
    })
}

/// Takes a place in the channel.
fn enter(
    shared: Arc<Shared>,
    connect: Connect,
    grant: Grant,
    filters: ForwardingFilters,
) -> Result<Admitted, &'static str> {
    let spotlight = Spotlight::new(&connect)?;
    let requests = Requests::new(&connect)?;
    let config = PeerConfig {
        side: Side::Offerer,
        certificate: shared.certificate.clone(),
        ntp_now: ntp_now(),
        start_bitrate_bps: 5_000_000,
        max_bitrate_bps: 100_000_000,
        ice_failed_timeout: Duration::from_secs(10),
        supports: sora_peer::CodecFilter::default(),
    };
    let mut driver = PeerDriver::new(PeerConnection::new(Instant::now(), config).map_err(|error| internal(&error))?);
    driver.bind(&shared.media_addresses, &shared.config.udp_ports).map_err(|error| internal(&error))?;
    let (control_sender, control) = mpsc::channel(CONTROL_QUEUE);
    let (media_sender, media) = mpsc::channel(MEDIA_QUEUE);
    let connection_id: Arc<str> = random_id().into();
    let or_connection = |id: &Option<String>| id.clone().unwrap_or_else(|| connection_id.to_string());
    let member = Member {
        client_id: or_connection(&connect.client_id),
        bundle_id: or_connection(&connect.bundle_id),
        role: connect.role.clone().unwrap_or(Role::SendRecv),
        audio: connect.audio.is_some(),
        video: connect.video.is_some(),
        spotlight: spotlight.is_some(),
        notify_metadata: connect.signaling_notify_metadata.clone(),
        data_channels: connect.data_channels.clone(),
        joined: Instant::now(),
        connected: false,
        publications: Vec::new(),
        control: control_sender,
        media: media_sender,
        connection_id,
    };
    let joined = Membership::join(&shared, &connect.channel_id, member.clone());
    let membership = joined.ok_or("INVALID-SPOTLIGHT")?;
    Ok(Admitted { shared, connect, member, membership, grant, filters, spotlight, requests, driver, control, media })
}

fn internal(error: &dyn std::error::Error) -> &'static str {
    tracing::error!(%error, "a connection could not be set up");
    "INTERNAL-ERROR"
}

/// Checks the access token if the server wants one. What it says may be as wrong as what a client says.
fn authorize(shared: &Shared, connect: &mut Connect) -> Result<Grant, &'static str> {
    let Some(secret) = &shared.config.jwt_secret else { return Ok(Grant::default()) };
    let now = Duration::from_micros(unix_time_us().try_into().unwrap_or_default()).as_secs_f64();
    let grant = access_token::authorize(secret, connect, now).map_err(access_token::Refused::close_reason)?;
    validate(connect)?;
    Ok(grant)
}

fn validate(connect: &Connect) -> Result<(), &'static str> {
    if let Err(error) = connect.validate() {
        tracing::info!(%error, "connect refused");
        return Err(error.close_reason());
    }
    if connect.video.as_ref().is_some_and(|video| codecs::video(video).is_none()) {
        return Err("INVALID-VIDEO-CODEC-TYPE");
    }
    Ok(())
}

impl Admitted {
    /// Adds the uplinks and the data channels; downlinks follow from the roster.
    pub(super) fn into_participant(self, websocket: WebSocket) -> Participant {
        let Self {
            shared,
            connect,
            member,
            membership,
            grant,
            filters,
            spotlight,
            requests,
            mut driver,
            control,
            media,
        } = self;
        let sends_layers = member.role.sends() && member.video && connect.simulcast == Some(true);
        let encodings = sends_layers.then(|| grant.encodings.unwrap_or_default());
        let uplinks = add_uplinks(&mut driver, &connect, encodings.as_ref());
        let labels = open_data_channels(&mut driver, &connect);
        let timers = Timers::start(&shared.config, grant.lifetime);
        Participant {
            shared,
            connect,
            member,
            membership,
            websocket: Some(websocket),
            driver,
            uplinks,
            encodings,
            downlinks: HashMap::new(),
            expected_channels: labels.len(),
            labels,
            opened: HashMap::new(),
            switched: false,
            connected: false,
            negotiation_due: false,
            key_frame_requests: KeyFrameRequests::default(),
            control,
            media,
            filters,
            spotlight,
            requests,
            timers,
            report: None,
        }
    }
}

/// The m-lines for what the client sends.
fn add_uplinks(
    driver: &mut PeerDriver,
    connect: &Connect,
    encodings: Option<&Encodings>,
) -> HashMap<TransceiverId, Uplink> {
    if !connect.role.as_ref().is_none_or(Role::sends) {
        return HashMap::new();
    }
    let audio = connect.audio.as_ref().map(|audio| (MediaKind::Audio, codecs::opus(audio), None));
    let video = connect.video.as_ref().and_then(|video| {
        let limit = video.bit_rate.and_then(|kbps| u64::try_from(kbps).ok()).map(|kbps| kbps * 1000);
        Some((MediaKind::Video, codecs::video(video)?, limit))
    });
    let mut uplinks = HashMap::new();
    for (kind, codec, bandwidth_bps) in [audio, video].into_iter().flatten() {
        let layers = encodings.filter(|_| kind == MediaKind::Video);
        let id = driver.peer().add_transceiver(TransceiverInit {
            kind,
            mid: format!("{}_up", kind.as_str()),
            direction: Direction::RecvOnly,
            codecs: vec![codec],
            msid: None,
            bandwidth_bps,
            rids: layers.map(Encodings::rids).unwrap_or_default(),
        });
        uplinks.insert(id, Uplink::new(kind));
    }
    uplinks
}

/// The server's own channels and those the client asks for, if it wants any.
fn open_data_channels(driver: &mut PeerDriver, connect: &Connect) -> HashMap<String, ChannelId> {
    if connect.data_channel_signaling != Some(true) {
        return HashMap::new();
    }
    let managed = MANAGED_LABELS.iter().map(|(label, _)| DataChannelInit::reliable(label));
    let requested = connect.data_channels.iter().map(|options| DataChannelInit {
        label: options.label.clone(),
        ordered: options.ordered.unwrap_or(true),
        max_packet_life_time: options.max_packet_life_time.and_then(|ms| ms.try_into().ok()),
        max_retransmits: options.max_retransmits.and_then(|n| n.try_into().ok()),
        protocol: options.protocol.clone().unwrap_or_default(),
    });
    let mut labels = HashMap::new();
    for init in managed.chain(requested) {
        let label = init.label.clone();
        if let Some(id) = driver.peer().open_data_channel(Instant::now(), init) {
            labels.insert(label, id);
        }
    }
    labels
}
