//! Forwarding RTP, without looking inside it more than spotlight has to.

use std::time::{Duration, Instant};

use sora_peer::{MediaKind, RtpPacket, TransceiverId};

use super::{Participant, request_key_frame};
use crate::channel::MediaPacket;

/// Several receivers that join at once need one key frame, not several.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(30);

impl Participant {
    /// A packet came from this participant: everyone it reaches gets it.
    pub(super) fn publish(&mut self, transceiver: TransceiverId, packet: RtpPacket) {
        let Some(kind) = self.uplinks.get(&transceiver).copied() else { return };
        self.listen(kind, &packet.payload);
        let media = MediaPacket { source: self.member.connection_id.clone(), kind, packet };
        let roster = self.membership.roster.borrow();
        for member in roster.iter().filter(|member| member.connected && member.reaches(&self.member)) {
            // A receiver that does not keep up loses packets, as on any network; it asks for a key frame.
            if member.role.receives() {
                let _ = member.media.try_send(media.clone());
            }
        }
    }

    /// A packet from another member goes down to this one.
    pub(super) fn forward(&mut self, media: &MediaPacket) {
        let key = (media.source.clone(), media.kind);
        let Some(downlink) = self.downlinks.get_mut(&key) else { return };
        if self.spotlight.as_ref().is_some_and(|spotlight| spotlight.withholds(&media.source)) {
            downlink.pause();
            return;
        }
        if media.kind == MediaKind::Video && !downlink.answered {
            return;
        }
        if downlink.is_useless(&media.packet) {
            if downlink.asks_for_key_frame(Instant::now()) {
                request_key_frame(&self.membership.roster.borrow(), &media.source);
            }
            return;
        }
        if let Some(packet) = downlink.rewrite(&media.packet) {
            self.driver.peer().send_rtp(Instant::now(), downlink.transceiver, &packet);
        }
    }

    /// This participant's decoder needs a key frame: its source is asked.
    pub(super) fn ask_source_for_key_frame(&mut self, transceiver: TransceiverId) {
        let source = self.downlinks.iter().find(|(_, downlink)| downlink.transceiver == transceiver);
        if let Some((key, _)) = source {
            request_key_frame(&self.membership.roster.borrow(), &key.0);
        }
    }

    /// Somebody needs a key frame of what this participant sends.
    pub(super) fn request_uplink_key_frame(&mut self, merge: bool) {
        let now = Instant::now();
        let recent = self.last_key_frame_request.filter(|at| merge && now - *at < KEY_FRAME_INTERVAL);
        if let Some(recent) = recent {
            // Who asks now may not have been there for the key frame that is on its way.
            self.timers.request_key_frame_at(recent + KEY_FRAME_INTERVAL);
            return;
        }
        self.last_key_frame_request = Some(now);
        for (id, kind) in &self.uplinks {
            if *kind == MediaKind::Video {
                self.driver.peer().request_key_frame(now, *id, None);
            }
        }
    }
}
