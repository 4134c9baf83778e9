//! The answering side (RFC 8829 sections 5.3 and 5.9).

use std::time::Instant;

use crate::offer::{fid_lines, rejected, ssrc_lines};
use crate::rtp::extensions;
use crate::sctp::MAX_MESSAGE_SIZE;
use crate::sdp::{Codec, Direction, MediaDescription, MediaKind, SessionDescription, Setup};
use crate::transceiver::{Slot, Transceiver, TransceiverId};
use crate::{PeerConnection, PeerError};

/// What an offer changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferChanges {
    /// New m-lines that can be used.
    pub added: Vec<TransceiverId>,
    /// M-lines that went to port 0.
    pub stopped: Vec<TransceiverId>,
}

impl PeerConnection {
    /// Takes an offer in. Follow with [`Self::set_sender`] for what this side sends, then [`Self::create_answer`].
    ///
    /// # Errors
    /// [`PeerError`] if the description cannot be read, lacks what a transport needs, or moves a live m-line.
    pub fn handle_offer(&mut self, sdp: &str) -> Result<OfferChanges, PeerError> {
        if self.negotiating {
            return Err(PeerError::SignalingState { expected: "stable", found: "have-remote-offer" });
        }
        let offer = SessionDescription::parse(sdp)?;
        if !offer.media.iter().any(|media| media.port != 0 && media.ice_ufrag.is_some()) {
            return Err(PeerError::Negotiation("the offer has no m-line with ICE credentials".to_owned()));
        }
        self.check_order(&offer)?;
        let mut changes = OfferChanges::default();
        for (position, media) in offer.media.iter().enumerate() {
            self.apply_media(position, media, &mut changes);
        }
        self.update_routes();
        self.negotiating = true;
        self.remote_description = Some(offer);
        Ok(changes)
    }

    /// A live m-line keeps its position, kind and mid (RFC 8829 section 5.2.2).
    fn check_order(&self, offer: &SessionDescription) -> Result<(), PeerError> {
        let moved = || {
            PeerError::Negotiation(
                "The order of m-lines in subsequent offer doesn't match order from previous offer/answer.".to_owned(),
            )
        };
        if offer.media.len() < self.slots.len() {
            return Err(moved());
        }
        for (slot, media) in self.slots.iter().zip(&offer.media) {
            let fits = match slot {
                Slot::Application => media.kind == MediaKind::Application,
                Slot::Free { .. } => true,
                Slot::Media(index) => {
                    let transceiver = &self.transceivers[*index];
                    media.port == 0 || (media.kind == transceiver.kind && media.mid == transceiver.mid)
                }
            };
            if !fits {
                return Err(moved());
            }
        }
        Ok(())
    }

    fn apply_media(&mut self, position: usize, media: &MediaDescription, changes: &mut OfferChanges) {
        if media.kind == MediaKind::Application {
            if position == self.slots.len() {
                self.slots.push(Slot::Application);
            }
            self.application_mid.clone_from(&media.mid);
            if media.port != 0 && !self.sctp.is_configured() {
                self.sctp.configure(media.setup != Some(Setup::Active), media.max_message_size);
            }
            return;
        }
        let free = Slot::Free { kind: media.kind, mid: media.mid.clone(), reusable: true };
        let live = match self.slots.get(position) {
            Some(Slot::Media(index)) => Some(*index),
            _ => None,
        };
        if media.port == 0 {
            if let Some(index) = live {
                self.transceivers[index].stopped = true;
                self.rtp.remove_send_streams(index);
                changes.stopped.push(TransceiverId(index));
            }
            match self.slots.get_mut(position) {
                Some(slot) => *slot = free,
                None => self.slots.push(free),
            }
            return;
        }
        let accepted = |codec: &&Codec| self.config.supports.accepts(media.kind, media.direction, codec);
        let codecs: Vec<_> = media.codecs.iter().filter(accepted).cloned().collect();
        let index = live.unwrap_or_else(|| {
            let index = self.transceivers.len();
            self.transceivers.push(Transceiver {
                id: index,
                kind: media.kind,
                mid: media.mid.clone(),
                direction: Direction::RecvOnly,
                codecs: Vec::new(),
                msid: None,
                bandwidth_bps: None,
                offered_rids: Vec::new(),
                ssrc: None,
                sent_rids: Vec::new(),
                layer_ssrcs: Vec::new(),
                remote: None,
                stopped: false,
            });
            match self.slots.get_mut(position) {
                Some(slot) => *slot = Slot::Media(index),
                None => self.slots.push(Slot::Media(index)),
            }
            if !codecs.is_empty() {
                changes.added.push(TransceiverId(index));
            }
            index
        });
        let transceiver = &mut self.transceivers[index];
        transceiver.codecs = codecs;
        transceiver.remote = Some(media.clone());
        if !transceiver.codecs.is_empty() {
            self.rtp.extensions.merge(media);
        }
    }

    /// Announces that this side sends on a transceiver, under the given stream and track ids: one stream, or the
    /// simulcast layers given, which have to be among [`TransceiverInfo::wanted_rids`](crate::TransceiverInfo).
    ///
    /// # Errors
    /// [`PeerError::NoTransceiver`] for an unknown or stopped transceiver, [`PeerError::Negotiation`] for layers that
    /// the peer does not want.
    pub fn set_sender(
        &mut self,
        id: TransceiverId,
        stream_id: &str,
        track_id: &str,
        rids: &[String],
    ) -> Result<(), PeerError> {
        let transceiver =
            self.transceivers.get_mut(id.0).filter(|t| !t.stopped).ok_or(PeerError::NoTransceiver(id.0))?;
        let wanted = transceiver.info().wanted_rids;
        if let Some(rid) = rids.iter().find(|rid| !wanted.iter().any(|layer| layer.rid == **rid)) {
            return Err(PeerError::Negotiation(format!("the peer is not ready for the simulcast layer {rid:?}")));
        }
        transceiver.direction = Direction::SendRecv;
        transceiver.msid = Some((stream_id.to_owned(), track_id.to_owned()));
        self.ensure_send_streams(id.0, rids);
        Ok(())
    }

    /// Answers the offer taken in last and starts the transports.
    ///
    /// # Errors
    /// [`PeerError`] if there is no offer to answer or the transports cannot start.
    pub fn create_answer(&mut self, now: Instant) -> Result<String, PeerError> {
        let offer = match (&self.remote_description, self.negotiating) {
            (Some(offer), true) => offer.clone(),
            _ => return Err(PeerError::SignalingState { expected: "have-remote-offer", found: "stable" }),
        };
        self.negotiating = false;
        self.session_version += 1;
        let media: Vec<MediaDescription> =
            self.slots.iter().zip(&offer.media).map(|(slot, offered)| self.answered_media(slot, offered)).collect();
        let answered = |mid: &&String| media.iter().any(|m| m.port != 0 && m.mid == **mid);
        let description = SessionDescription {
            session_id: self.session_id,
            session_version: self.session_version,
            bundle: offer.bundle.iter().filter(answered).cloned().collect(),
            ice_lite: false,
            extmap_allow_mixed: offer.extmap_allow_mixed,
            media,
        };
        let transport = offer.media.iter().find(|media| media.port != 0 && media.ice_ufrag.is_some());
        if let Some(transport) = transport {
            self.start_transport(now, transport, offer.ice_lite)?;
        }
        Ok(description.to_string())
    }

    fn answered_media(&self, slot: &Slot, offered: &MediaDescription) -> MediaDescription {
        let setup = if self.dtls.is_started() && !self.dtls.is_client() || offered.setup == Some(Setup::Active) {
            Setup::Passive
        } else {
            Setup::Active
        };
        match slot {
            Slot::Application if offered.port != 0 => MediaDescription {
                kind: MediaKind::Application,
                mid: offered.mid.clone(),
                sctp_port: Some(5000),
                max_message_size: Some(MAX_MESSAGE_SIZE as u64),
                ..self.transport_attributes(setup)
            },
            Slot::Media(index) if !self.transceivers[*index].codecs.is_empty() => {
                let transceiver = &self.transceivers[*index];
                let sends = transceiver.is_sender() && offered.direction.receives();
                let mut answer = MediaDescription {
                    kind: transceiver.kind,
                    mid: transceiver.mid.clone(),
                    direction: Direction::new(sends, offered.direction.sends()),
                    codecs: transceiver.codecs.clone(),
                    extmaps: offered.extmaps.iter().filter(|e| extensions::is_supported(&e.uri)).cloned().collect(),
                    ..self.transport_attributes(setup)
                };
                if sends {
                    answer.msid.clone_from(&transceiver.msid);
                    answer.ssrcs = ssrc_lines(transceiver);
                    answer.fid_groups = fid_lines(transceiver);
                    answer_layers(&mut answer, transceiver, offered);
                }
                answer
            }
            _ => rejected(offered.kind, &offered.mid),
        }
    }
}

/// The layers this side sends, paused where the offer has them paused (RFC 8853 section 5.3.2).
fn answer_layers(answer: &mut MediaDescription, transceiver: &Transceiver, offered: &MediaDescription) {
    let sent: Vec<_> =
        offered.simulcast_layers().into_iter().filter(|layer| transceiver.sent_rids.contains(&layer.rid)).collect();
    if sent.is_empty() {
        return;
    }
    let names = sent.iter().map(|layer| format!("{}{}", if layer.active { "" } else { "~" }, layer.rid));
    answer.simulcast = Some(names.collect::<Vec<_>>().join(";"));
    answer.rids = sent.into_iter().map(|layer| layer.rid).collect();
}
