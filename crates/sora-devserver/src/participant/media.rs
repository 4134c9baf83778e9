//! Forwarding RTP without looking inside it.

use std::time::{Duration, Instant};

use sora_peer::{MediaKind, OutboundRtp, RtpPacket, TransceiverId};

use super::{Participant, request_key_frame};
use crate::channel::MediaPacket;

/// Several receivers that join at once need one key frame, not several.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(30);

/// One track on its way to this participant, under numbers of its own.
#[derive(Debug)]
pub(super) struct Downlink {
    pub(super) transceiver: TransceiverId,
    pub(super) answered: bool,
    first: Option<(u64, u32)>,
    sequence_base: u16,
    timestamp_base: u32,
}

impl Downlink {
    pub(super) fn new(transceiver: TransceiverId) -> Self {
        Self {
            transceiver,
            answered: false,
            first: None,
            sequence_base: rand::random::<u16>() & 0x7fff,
            timestamp_base: rand::random(),
        }
    }

    /// The packet with this downlink's sequence number and timestamp; gaps stay gaps. `None` for packets from before
    /// the first one forwarded.
    fn rewrite(&mut self, packet: &RtpPacket) -> Option<OutboundRtp> {
        let (first_sequence, first_timestamp) = *self.first.get_or_insert((packet.sequence, packet.timestamp));
        let offset = packet.sequence.checked_sub(first_sequence)?;
        Some(OutboundRtp {
            payload_type: packet.payload_type,
            timestamp: packet.timestamp.wrapping_sub(first_timestamp).wrapping_add(self.timestamp_base),
            marker: packet.marker,
            payload: packet.payload.clone(),
            sequence_number: Some(self.sequence_base.wrapping_add(offset as u16)),
            rid: None,
        })
    }
}

impl Participant {
    /// A packet came from this participant: everyone it reaches gets it.
    pub(super) fn publish(&mut self, transceiver: TransceiverId, packet: RtpPacket) {
        let Some(kind) = self.uplinks.get(&transceiver).copied() else { return };
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
        if media.kind == MediaKind::Video && !downlink.answered {
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
        if merge && self.last_key_frame_request.is_some_and(|at| now - at < KEY_FRAME_INTERVAL) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn packet(sequence: u64, timestamp: u32) -> RtpPacket {
        RtpPacket {
            payload_type: 120,
            sequence,
            timestamp,
            marker: false,
            payload: Bytes::from_static(b"x"),
            arrival: Instant::now(),
            retransmitted: false,
        }
    }

    #[test]
    fn a_downlink_numbers_for_itself_and_keeps_gaps_and_late_packets_in_place() {
        let id = TransceiverId::default();
        let mut downlink = Downlink::new(id);
        let out: Vec<_> = [(1000, 500), (1001, 3500), (1004, 6500), (1002, 3500), (999, 100)]
            .map(|(sequence, timestamp)| downlink.rewrite(&packet(sequence, timestamp)))
            .into_iter()
            .collect();
        let numbers: Vec<_> = out
            .iter()
            .flatten()
            .map(|p| {
                let sequence = p.sequence_number.expect("given").wrapping_sub(downlink.sequence_base);
                (sequence, p.timestamp.wrapping_sub(downlink.timestamp_base))
            })
            .collect();
        assert_eq!(numbers, [(0, 0), (1, 3000), (4, 6000), (2, 3000)]);
        assert!(out[4].is_none(), "a packet from before the first is dropped");
    }
}
