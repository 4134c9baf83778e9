//! Offers and re-offers: one downlink m-line per track of every other connected member.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use sora_peer::{Direction, MediaKind, TransceiverId, TransceiverInit};
use sora_signaling::message::{Offer, OfferConfig, OfferDataChannel, OfferMid};

use sora_transport::PeerDriver;

use super::admission::MANAGED_LABELS;
use super::downlink::Downlink;
use super::{Ending, Participant, request_key_frame};
use crate::channel::Publication;
use crate::forwarding_filter::Source;

impl Participant {
    /// What this participant sends, with the codec it has agreed to.
    pub(super) fn publications(&mut self) -> Vec<Publication> {
        let uplinks = self.uplinks.clone();
        let connection_id = self.member.connection_id.clone();
        let peer = self.driver.peer();
        let mut publications: Vec<Publication> = uplinks
            .iter()
            .filter_map(|(id, uplink)| {
                let info = peer.transceiver(*id).filter(|info| info.remote_sends)?;
                let codec = info.codecs.first()?.clone();
                let simulcast = !info.remote_rids.is_empty();
                // Programs read the connection id out of it.
                let track_id = format!("{connection_id}-{}", uplink.kind.as_str());
                Some(Publication { kind: uplink.kind, codec, track_id, simulcast })
            })
            .collect();
        publications.sort_by_key(|publication| publication.kind == MediaKind::Video);
        publications
    }

    /// Brings the downlinks in line with the roster. Returns true if a new offer is needed.
    fn update_downlinks(&mut self) -> bool {
        if !self.member.role.receives() {
            return false;
        }
        let roster = self.membership.roster.borrow_and_update().clone();
        self.requests.retain(&roster);
        let mut wanted = HashSet::new();
        let mut changed = false;
        for member in roster.iter().filter(|member| member.connected && member.reaches(&self.member)) {
            for publication in &member.publications {
                let allowed = match publication.kind {
                    MediaKind::Audio => self.member.audio,
                    MediaKind::Video => self.member.video,
                    MediaKind::Application => false,
                };
                let source = Source {
                    connection_id: &member.connection_id,
                    client_id: &member.client_id,
                    kind: publication.kind,
                };
                if !allowed || !self.filters.forwards(source) {
                    continue;
                }
                let key = (member.connection_id.clone(), publication.kind);
                wanted.insert(key.clone());
                if !self.downlinks.contains_key(&key) {
                    let id = add_downlink(&mut self.driver, &member.connection_id, publication);
                    self.downlinks.insert(key, Downlink::new(id, publication));
                    changed = true;
                }
            }
        }
        let gone: Vec<_> = self.downlinks.keys().filter(|key| !wanted.contains(*key)).cloned().collect();
        for key in gone {
            if let Some(downlink) = self.downlinks.remove(&key) {
                self.driver.peer().stop_transceiver(downlink.transceiver);
                changed = true;
            }
        }
        changed
    }

    pub(super) async fn send_offer(&mut self) -> Result<(), Ending> {
        self.update_downlinks();
        let sdp = self.driver.peer().create_offer().map_err(|error| self.internal(&error))?;
        let offer = self.offer(sdp);
        let mut message = serde_json::to_value(&offer).map_err(|error| self.internal(&error))?;
        message["type"] = "offer".into();
        if let Some(encodings) = &self.encodings {
            message["encodings"] = encodings.to_json();
        }
        self.send_websocket(message.to_string()).await
    }

    fn offer(&mut self, sdp: String) -> Offer {
        let connect = &self.connect;
        let mid = |kind: &str, on: bool| (on && self.member.role.sends()).then(|| format!("{kind}_up"));
        let on_channels = connect.data_channel_signaling == Some(true);
        let managed = MANAGED_LABELS.iter().map(|(label, direction)| OfferDataChannel {
            label: (*label).to_owned(),
            direction: Some((*direction).to_owned()),
            compress: true,
            header: None,
        });
        let requested = connect.data_channels.iter().map(|options| OfferDataChannel {
            label: options.label.clone(),
            direction: Some(options.direction.clone()),
            compress: options.compress.unwrap_or(false),
            header: options.wants_sender_connection_id().then(
                || serde_json::json!([{ "type": "sender_connection_id", "length": sora_signaling::ids::ID_LEN }]),
            ),
        });
        let video = connect.video.as_ref();
        Offer {
            sdp,
            connection_id: self.member.connection_id.to_string(),
            config: OfferConfig {
                ice_servers: self.shared.config.ice_servers.clone(),
                ice_transport_policy: Some(self.shared.config.ice_transport_policy.as_str().to_owned()),
            },
            version: Some(crate::VERSION.to_owned()),
            session_id: Some(self.membership.session_id.clone()),
            channel_id: Some(self.membership.channel_id.clone()),
            client_id: Some(self.member.client_id.clone()),
            bundle_id: Some(self.member.bundle_id.clone()),
            mid: self
                .member
                .role
                .sends()
                .then(|| OfferMid { audio: mid("audio", self.member.audio), video: mid("video", self.member.video) }),
            encodings: None,
            simulcast: Some(self.encodings.is_some()),
            simulcast_multicodec: Some(false),
            spotlight: Some(self.spotlight.is_some()),
            data_channels: on_channels.then(|| managed.chain(requested).collect()),
            data_channel_signaling: Some(on_channels),
            ignore_disconnect_websocket: Some(connect.ignore_disconnect_websocket.unwrap_or(false)),
            rpc_methods: on_channels.then(|| super::rpc::METHODS.map(str::to_owned).to_vec()),
            metadata: None,
            audio: Some(self.member.audio),
            audio_codec_type: self.member.audio.then(|| "OPUS".to_owned()),
            audio_bit_rate: connect.audio.as_ref().and_then(|audio| audio.bit_rate),
            video: Some(self.member.video),
            video_codec_type: video
                .map(|v| v.codec_type.clone().unwrap_or_else(|| crate::codecs::DEFAULT_VIDEO.to_owned())),
            video_bit_rate: video.and_then(|video| video.bit_rate),
        }
    }

    /// Sends a re-offer if the roster asks for one and none is out. One at a time: browsers do not queue them.
    pub(super) async fn negotiate_if_due(&mut self) -> Result<(), Ending> {
        if !self.negotiation_due || !self.connected || self.driver.peer().is_negotiating() {
            return Ok(());
        }
        self.negotiation_due = false;
        if !self.update_downlinks() {
            return Ok(());
        }
        let sdp = self.driver.peer().create_offer().map_err(|error| self.internal(&error))?;
        let text = serde_json::json!({ "type": "re-offer", "sdp": sdp }).to_string();
        self.send_signaling(text).await
    }

    pub(super) fn handle_answer(&mut self, sdp: &str) -> Result<(), Ending> {
        if let Err(error) = self.driver.peer().handle_answer(Instant::now(), sdp) {
            tracing::info!(%error, connection_id = %self.member.connection_id, "answer refused");
            return Err(Ending::Refused("INVALID-ANSWER"));
        }
        // New tracks can be shown from the next key frame on.
        let roster = self.membership.roster.borrow().clone();
        for (key, downlink) in &mut self.downlinks {
            if key.1 == MediaKind::Video && !std::mem::replace(&mut downlink.answered, true) {
                request_key_frame(&roster, &key.0, None);
            }
        }
        if self.connected {
            self.negotiation_due = true;
        }
        Ok(())
    }

    pub(super) fn internal(&self, error: &dyn std::error::Error) -> Ending {
        tracing::error!(%error, connection_id = %self.member.connection_id, "internal error");
        Ending::Refused("INTERNAL-ERROR")
    }
}

fn add_downlink(driver: &mut PeerDriver, source: &Arc<str>, publication: &Publication) -> TransceiverId {
    // A mid is never used twice in a session, so that a reused m-line is a new one to the client. It stays
    // below 16 bytes to fit a one-byte header extension.
    let mid = format!("{}_{:08x}", &publication.kind.as_str()[..1], rand::random::<u32>());
    driver.peer().add_transceiver(TransceiverInit {
        kind: publication.kind,
        mid,
        direction: Direction::SendOnly,
        codecs: vec![publication.codec.clone()],
        msid: Some((source.to_string(), publication.track_id.clone())),
        bandwidth_bps: None,
        rids: Vec::new(),
    })
}
