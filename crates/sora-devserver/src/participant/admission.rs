//! From the first message to a place in the channel.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sora_peer::{DataChannelInit, Direction, PeerConfig, PeerConnection, Side, TransceiverInit};
use sora_signaling::message::{ClientMessage, Connect, Role, is_valid_label};
use sora_transport::websocket::{WebSocket, WebSocketEvent};
use sora_transport::{PeerDriver, ntp_now};
use tokio::sync::mpsc;

use super::timers::Timers;
use super::{MediaKind, Participant};
use crate::Shared;
use crate::channel::{CONTROL_QUEUE, Control, MEDIA_QUEUE, MediaPacket, Member, Membership, random_id};
use crate::codecs;

const FIRST_MESSAGE_LIMIT: Duration = Duration::from_secs(10);
/// The reference client's own limit for the ids it sends.
const MAX_ID_BYTES: usize = 255;
pub(super) const MANAGED_LABELS: [(&str, &str); 4] =
    [("signaling", "sendrecv"), ("notify", "recvonly"), ("push", "recvonly"), ("stats", "sendrecv")];

pub(super) struct Admitted {
    shared: Arc<Shared>,
    connect: Connect,
    member: Member,
    membership: Membership,
    driver: PeerDriver,
    control: mpsc::Receiver<Control>,
    media: mpsc::Receiver<MediaPacket>,
}

/// Reads `connect` and lets the client in, or says with which reason it is refused.
pub(super) async fn admit(shared: Arc<Shared>, websocket: &mut WebSocket) -> Result<Admitted, &'static str> {
    let text = match tokio::time::timeout(FIRST_MESSAGE_LIMIT, websocket.next()).await {
        Ok(WebSocketEvent::Text(text)) => text,
        Ok(_) => return Err("INVALID-MESSAGE"),
        Err(_) => return Err("CONNECT-TIMEOUT"),
    };
    let connect = match ClientMessage::parse(&text) {
        Ok(ClientMessage::Connect(connect)) => *connect,
        _ => return Err("INVALID-CONNECT-MESSAGE"),
    };
    validate(&connect)?;
    let config = PeerConfig {
        side: Side::Offerer,
        certificate: shared.certificate.clone(),
        ntp_now: ntp_now(),
        start_bitrate_bps: 5_000_000,
        max_bitrate_bps: 100_000_000,
        ice_failed_timeout: Duration::from_secs(10),
        supports: |_, _| true,
    };
    let peer = PeerConnection::new(Instant::now(), config).map_err(|error| internal(&error))?;
    let driver =
        PeerDriver::bind(peer, &shared.media_addresses, &shared.config.udp_ports).map_err(|error| internal(&error))?;
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
        notify_metadata: connect.signaling_notify_metadata.clone(),
        data_channels: connect.data_channels.clone(),
        joined: Instant::now(),
        connected: false,
        publications: Vec::new(),
        control: control_sender,
        media: media_sender,
        connection_id,
    };
    let membership = Membership::join(&shared, &connect.channel_id, member.clone());
    Ok(Admitted { shared, connect, member, membership, driver, control, media })
}

fn internal(error: &dyn std::error::Error) -> &'static str {
    tracing::error!(%error, "a connection could not be set up");
    "INTERNAL-ERROR"
}

fn validate(connect: &Connect) -> Result<(), &'static str> {
    if !matches!(connect.role, Some(Role::SendRecv | Role::SendOnly | Role::RecvOnly)) {
        return Err("INVALID-ROLE");
    }
    if connect.channel_id.is_empty() || connect.channel_id.len() > MAX_ID_BYTES {
        return Err("INVALID-CHANNEL-ID");
    }
    if [&connect.client_id, &connect.bundle_id].into_iter().flatten().any(|id| id.len() > MAX_ID_BYTES) {
        return Err("INVALID-CLIENT-ID");
    }
    if connect.video.as_ref().is_some_and(|video| codecs::video(video).is_none()) {
        return Err("INVALID-VIDEO-CODEC-TYPE");
    }
    if connect.simulcast == Some(true) {
        return Err("SIMULCAST-NOT-SUPPORTED-YET");
    }
    for channel in &connect.data_channels {
        if !is_valid_label(&channel.label) || channel.parsed_direction().is_none() {
            return Err("INVALID-DATA-CHANNELS");
        }
        if channel.max_packet_life_time.is_some() && channel.max_retransmits.is_some() {
            return Err("INVALID-DATA-CHANNELS");
        }
    }
    Ok(())
}

impl Admitted {
    /// Adds the uplinks and the data channels; downlinks follow from the roster.
    pub(super) fn into_participant(self, websocket: WebSocket) -> Participant {
        let Self { shared, connect, member, membership, mut driver, control, media } = self;
        let mut uplinks = HashMap::new();
        if member.role.sends() {
            let audio = connect.audio.as_ref().map(|audio| (MediaKind::Audio, codecs::opus(audio), None));
            let video = connect.video.as_ref().and_then(|video| {
                let limit = video.bit_rate.and_then(|kbps| u64::try_from(kbps).ok()).map(|kbps| kbps * 1000);
                Some((MediaKind::Video, codecs::video(video)?, limit))
            });
            for (kind, codec, bandwidth_bps) in [audio, video].into_iter().flatten() {
                let id = driver.peer().add_transceiver(TransceiverInit {
                    kind,
                    mid: format!("{}_up", kind.as_str()),
                    direction: Direction::RecvOnly,
                    codecs: vec![codec],
                    msid: None,
                    bandwidth_bps,
                });
                uplinks.insert(id, kind);
            }
        }
        let mut labels = HashMap::new();
        if connect.data_channel_signaling == Some(true) {
            let managed = MANAGED_LABELS.iter().map(|(label, _)| DataChannelInit::reliable(label));
            let requested = connect.data_channels.iter().map(|options| DataChannelInit {
                label: options.label.clone(),
                ordered: options.ordered.unwrap_or(true),
                max_packet_life_time: options.max_packet_life_time.and_then(|ms| ms.try_into().ok()),
                max_retransmits: options.max_retransmits.and_then(|n| n.try_into().ok()),
                protocol: options.protocol.clone().unwrap_or_default(),
            });
            for init in managed.chain(requested) {
                let label = init.label.clone();
                if let Some(id) = driver.peer().open_data_channel(Instant::now(), init) {
                    labels.insert(label, id);
                }
            }
        }
        let timers = Timers::start(&shared.options);
        Participant {
            shared,
            connect,
            member,
            membership,
            websocket: Some(websocket),
            driver,
            uplinks,
            downlinks: HashMap::new(),
            expected_channels: labels.len(),
            labels,
            opened: HashMap::new(),
            switched: false,
            connected: false,
            negotiation_due: false,
            last_key_frame_request: None,
            control,
            media,
            timers,
            report: None,
        }
    }
}
