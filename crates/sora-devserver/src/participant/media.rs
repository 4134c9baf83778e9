//! Forwarding RTP, without looking inside it more than spotlight and simulcast have to.

use std::time::Instant;

use sora_peer::{MediaKind, RtpPacket, TransceiverId};

use super::{Ending, Participant, request_key_frame};
use crate::channel::{MediaPacket, SenderReport};
use crate::simulcast::Rid;

/// A track that a participant sends.
#[derive(Debug, Clone)]
pub(super) struct Uplink {
    pub(super) kind: MediaKind,
    /// The last report of every layer, and of a source that is none.
    reports: [Option<SenderReport>; 4],
}

impl Uplink {
    pub(super) fn new(kind: MediaKind) -> Self {
        Self { kind, reports: [None; 4] }
    }

    fn report(&mut self, rid: Option<Rid>) -> &mut Option<SenderReport> {
        &mut self.reports[rid.map_or(3, |rid| rid as usize)]
    }
}

impl Participant {
    /// A packet came from this participant: everyone it reaches gets it.
    pub(super) fn publish(&mut self, transceiver: TransceiverId, ssrc: u32, rid: Option<&str>, packet: RtpPacket) {
        let rid = rid.and_then(Rid::parse);
        let Some(uplink) = self.uplinks.get_mut(&transceiver) else { return };
        let (kind, report) = (uplink.kind, *uplink.report(rid));
        self.listen(kind, &packet.payload);
        let media = MediaPacket { source: self.member.connection_id.clone(), kind, rid, ssrc, report, packet };
        let roster = self.membership.roster.borrow();
        for member in roster.iter().filter(|member| member.connected && member.reaches(&self.member)) {
            // A receiver that does not keep up loses packets, as on any network; it asks for a key frame.
            if member.role.receives() {
                let _ = member.media.try_send(media.clone());
            }
        }
    }

    /// A sender report came; it goes with the packets that follow.
    pub(super) fn keep_sender_report(&mut self, transceiver: TransceiverId, rid: Option<&str>, report: SenderReport) {
        if let Some(uplink) = self.uplinks.get_mut(&transceiver) {
            *uplink.report(rid.and_then(Rid::parse)) = Some(report);
        }
    }

    /// A packet from another member goes down to this one.
    pub(super) async fn forward(&mut self, media: &MediaPacket) -> Result<(), Ending> {
        let request = match &self.spotlight {
            Some(spotlight) => spotlight.request(&media.source),
            None => self.requests.of(&media.source),
        };
        let withheld = self.spotlight.is_some() && request.is_none();
        let key = (media.source.clone(), media.kind);
        let Some(downlink) = self.downlinks.get_mut(&key) else { return Ok(()) };
        let taken = downlink.take(media, request, withheld);
        if let Some(packet) = taken.packet {
            self.driver.peer().send_rtp(Instant::now(), downlink.transceiver, &packet);
        }
        if let Some(rid) = taken.key_frame {
            request_key_frame(&self.membership.roster.borrow(), &media.source, rid);
        }
        match taken.switch {
            Some(switch) => self.send_notify(&switch.notification(&media.source)).await,
            None => Ok(()),
        }
    }

    /// This participant's decoder needs a key frame of what it gets: its source is asked.
    pub(super) fn ask_source_for_key_frame(&mut self, transceiver: TransceiverId) {
        let source = self.downlinks.iter().find(|(_, downlink)| downlink.transceiver == transceiver);
        if let Some((key, downlink)) = source
            && let Some(rid) = downlink.key_frame_of()
        {
            request_key_frame(&self.membership.roster.borrow(), &key.0, rid);
        }
    }

    /// Somebody needs a key frame of what this participant sends.
    pub(super) fn request_uplink_key_frame(&mut self, rid: Option<Rid>, merge: bool) {
        let now = Instant::now();
        if self.key_frame_requests.ask(rid, merge, now) {
            self.send_key_frame_request(now, rid);
        } else if let Some(at) = self.key_frame_requests.due() {
            self.timers.request_key_frame_at(at);
        }
    }

    /// Sends the requests that had to wait.
    pub(super) fn request_due_key_frames(&mut self) {
        let now = Instant::now();
        for rid in self.key_frame_requests.take_due(now) {
            self.send_key_frame_request(now, rid);
        }
        if let Some(at) = self.key_frame_requests.due() {
            self.timers.request_key_frame_at(at);
        }
    }

    fn send_key_frame_request(&mut self, now: Instant, rid: Option<Rid>) {
        for (id, uplink) in &self.uplinks {
            if uplink.kind == MediaKind::Video {
                self.driver.peer().request_key_frame(now, *id, rid.map(Rid::as_str));
            }
        }
    }
}
