//! The offering side (RFC 8829 sections 5.2 and 5.10), with Sora's m-line rules.

use std::time::Instant;

use crate::rtp::extensions;
use crate::sctp::MAX_MESSAGE_SIZE;
use crate::sdp::{Direction, MediaDescription, MediaKind, SessionDescription, Setup, SsrcAttribute};
use crate::transceiver::{Slot, Transceiver, TransceiverId, TransceiverInit};
use crate::{PeerConnection, PeerError};

impl PeerConnection {
    /// Adds a transceiver to the next offer. It takes over a free m-line if there is one.
    pub fn add_transceiver(&mut self, init: TransceiverInit) -> TransceiverId {
        self.ensure_application();
        let id = self.transceivers.len();
        self.transceivers.push(Transceiver {
            id,
            kind: init.kind,
            mid: init.mid,
            direction: init.direction,
            codecs: init.codecs,
            msid: init.msid,
            bandwidth_bps: init.bandwidth_bps,
            offered_rids: init.rids,
            ssrc: None,
            sent_rids: Vec::new(),
            layer_ssrcs: Vec::new(),
            remote: None,
            stopped: false,
        });
        if init.direction.sends() {
            self.ensure_send_streams(id, &[]);
        }
        let free = self.slots.iter().position(|slot| matches!(slot, Slot::Free { reusable: true, .. }));
        match free {
            Some(position) => self.slots[position] = Slot::Media(id),
            None => self.slots.push(Slot::Media(id)),
        }
        TransceiverId(id)
    }

    /// Stops a transceiver: its m-line goes to port 0 in the next offer and may be reused after that.
    pub fn stop_transceiver(&mut self, id: TransceiverId) {
        let Some(transceiver) = self.transceivers.get_mut(id.0).filter(|t| !t.stopped) else { return };
        transceiver.stopped = true;
        let free = Slot::Free { kind: transceiver.kind, mid: transceiver.mid.clone(), reusable: false };
        self.rtp.remove_send_streams(id.0);
        if let Some(slot) = self.slots.iter_mut().find(|slot| **slot == Slot::Media(id.0)) {
            *slot = free;
        }
        self.update_routes();
    }

    /// The application m-line stands first and never goes away: a bundle whose first m-line is rejected would restart
    /// ICE on the peer.
    fn ensure_application(&mut self) {
        if self.slots.is_empty() {
            self.slots.push(Slot::Application);
        }
    }

    /// Makes an offer of everything that is not stopped.
    ///
    /// # Errors
    /// [`PeerError::SignalingState`] while an earlier offer waits for its answer.
    pub fn create_offer(&mut self) -> Result<String, PeerError> {
        if self.negotiating {
            return Err(PeerError::SignalingState { expected: "stable", found: "have-local-offer" });
        }
        self.ensure_application();
        self.negotiating = true;
        self.session_version += 1;
        let media: Vec<MediaDescription> = self.slots.iter().map(|slot| self.offered_media(slot)).collect();
        let description = SessionDescription {
            session_id: self.session_id,
            session_version: self.session_version,
            bundle: media.iter().filter(|m| m.port != 0).map(|m| m.mid.clone()).collect(),
            ice_lite: false,
            extmap_allow_mixed: true,
            media,
        };
        Ok(description.to_string())
    }

    /// The attributes every m-line of the bundle repeats.
    pub(crate) fn transport_attributes(&self, setup: Setup) -> MediaDescription {
        let (ufrag, pwd) = self.ice.local_credentials();
        MediaDescription {
            port: 9,
            ice_ufrag: Some(ufrag),
            ice_pwd: Some(pwd),
            fingerprint: Some(("sha-256".to_owned(), self.dtls.certificate().fingerprint().to_owned())),
            setup: Some(setup),
            ..MediaDescription::default()
        }
    }

    fn offered_media(&self, slot: &Slot) -> MediaDescription {
        let candidates = self.ice.local_candidates().to_vec();
        let transport = MediaDescription {
            end_of_candidates: !candidates.is_empty(),
            candidates,
            ..self.transport_attributes(Setup::ActPass)
        };
        match slot {
            Slot::Application => MediaDescription {
                kind: MediaKind::Application,
                mid: self.application_mid.clone(),
                sctp_port: Some(5000),
                max_message_size: Some(MAX_MESSAGE_SIZE as u64),
                ..transport
            },
            Slot::Free { kind, mid, .. } => rejected(*kind, mid),
            Slot::Media(index) => {
                let transceiver = &self.transceivers[*index];
                MediaDescription {
                    kind: transceiver.kind,
                    mid: transceiver.mid.clone(),
                    direction: transceiver.direction,
                    codecs: transceiver.codecs.clone(),
                    extmaps: extensions::offered(transceiver.kind == MediaKind::Video),
                    msid: transceiver.msid.clone().filter(|_| transceiver.direction.sends()),
                    bandwidth_bps: transceiver.bandwidth_bps,
                    rids: transceiver.offered_rids.iter().map(|layer| layer.rid.clone()).collect(),
                    simulcast: transceiver.offered_simulcast(),
                    ssrcs: ssrc_lines(transceiver),
                    fid_groups: fid_lines(transceiver),
                    ..transport
                }
            }
        }
    }

    /// Takes the peer's answer in.
    ///
    /// # Errors
    /// [`PeerError`] if no offer is out, or the answer cannot be read or does not fit the offer.
    pub fn handle_answer(&mut self, now: Instant, sdp: &str) -> Result<(), PeerError> {
        if !self.negotiating {
            return Err(PeerError::SignalingState { expected: "have-local-offer", found: "stable" });
        }
        let answer = SessionDescription::parse(sdp)?;
        if answer.media.len() != self.slots.len() {
            return Err(PeerError::Negotiation(format!(
                "expected an answer with {} m-lines, got {}",
                self.slots.len(),
                answer.media.len()
            )));
        }
        self.negotiating = false;
        let first = answer.media.iter().find(|media| media.port != 0 && media.ice_ufrag.is_some()).cloned();
        for (slot, media) in self.slots.iter_mut().zip(&answer.media) {
            match slot {
                Slot::Application if media.port != 0 => {
                    let is_client = media.setup == Some(Setup::Passive);
                    self.sctp.configure(is_client, media.max_message_size);
                }
                Slot::Application => {}
                Slot::Free { reusable, .. } => *reusable = true,
                Slot::Media(index) => {
                    let transceiver = &mut self.transceivers[*index];
                    if !media.mid.is_empty() && media.mid != transceiver.mid {
                        return Err(PeerError::Negotiation(format!(
                            "expected mid {:?} in the answer, got {:?}",
                            transceiver.mid, media.mid
                        )));
                    }
                    if media.port == 0 {
                        // Refused: nothing flows, the m-line stays ours until it is stopped.
                        transceiver.remote = None;
                    } else {
                        let offered = transceiver.codecs.clone();
                        transceiver.codecs = negotiated(&offered, media);
                        transceiver.remote = Some(media.clone());
                        self.rtp.extensions.merge(media);
                    }
                }
            }
        }
        self.update_routes();
        if let Some(first) = first {
            self.start_transport(now, &first, answer.ice_lite)?;
        }
        self.remote_description = Some(answer);
        Ok(())
    }

    /// True while an offer waits for its answer.
    #[must_use]
    pub fn is_negotiating(&self) -> bool {
        self.negotiating
    }
}

/// The codecs both sides know, in the answerer's order, with the answerer's parameters.
fn negotiated(offered: &[crate::Codec], answer: &MediaDescription) -> Vec<crate::Codec> {
    let both: Vec<crate::Codec> = answer
        .codecs
        .iter()
        .filter(|codec| offered.iter().any(|o| o.payload_type == codec.payload_type && o.is(&codec.name)))
        .cloned()
        .collect();
    if both.is_empty() { offered.to_vec() } else { both }
}

pub(crate) fn rejected(kind: MediaKind, mid: &str) -> MediaDescription {
    MediaDescription {
        kind,
        port: 0,
        mid: mid.to_owned(),
        direction: Direction::Inactive,
        ..MediaDescription::default()
    }
}

pub(crate) fn ssrc_lines(transceiver: &Transceiver) -> Vec<SsrcAttribute> {
    let cname = transceiver.msid.as_ref().map_or("sora", |(stream, _)| stream.as_str());
    let Some((ssrc, rtx)) = transceiver.ssrc else { return Vec::new() };
    [Some(ssrc), rtx].into_iter().flatten().map(|ssrc| SsrcAttribute { ssrc, cname: cname.to_owned() }).collect()
}

pub(crate) fn fid_lines(transceiver: &Transceiver) -> Vec<(u32, u32)> {
    transceiver.ssrc.and_then(|(ssrc, rtx)| Some((ssrc, rtx?))).into_iter().collect()
}
