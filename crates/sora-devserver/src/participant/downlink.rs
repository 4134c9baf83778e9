use std::time::{Duration, Instant};

use sora_peer::{Codec, MediaKind, OutboundRtp, RtpPacket, TransceiverId};

use super::key_frame::starts_key_frame;

/// A sender that lost the request is asked again after this time.
const KEY_FRAME_PATIENCE: Duration = Duration::from_millis(500);

/// The newest packet that went out.
#[derive(Debug, Clone, Copy)]
struct Newest {
    source_sequence: u64,
    sequence: u16,
    timestamp: u32,
    arrival: Instant,
}

/// One track on its way to this participant, under numbers of its own.
#[derive(Debug)]
pub(super) struct Downlink {
    pub(super) transceiver: TransceiverId,
    pub(super) answered: bool,
    kind: MediaKind,
    codec: Codec,
    first: Option<(u64, u32)>,
    sequence_base: u16,
    timestamp_base: u32,
    newest: Option<Newest>,
    awaits_key_frame: bool,
    asked: Option<Instant>,
}

impl Downlink {
    pub(super) fn new(transceiver: TransceiverId, kind: MediaKind, codec: Codec) -> Self {
        Self {
            transceiver,
            answered: false,
            kind,
            codec,
            first: None,
            sequence_base: rand::random::<u16>() & 0x7fff,
            timestamp_base: rand::random(),
            newest: None,
            awaits_key_frame: false,
            asked: None,
        }
    }

    /// Nothing goes out until the next packet is forwarded again, with a key frame first. To the receiver it looks as
    /// if the sender had sent nothing meanwhile: a gap in the numbers would make it ask for all that is missing.
    pub(super) fn pause(&mut self) {
        self.first = None;
        self.awaits_key_frame = self.kind == MediaKind::Video;
        self.asked = None;
    }

    /// True for packets of a picture that cannot be shown, as the ones before it were not forwarded.
    pub(super) fn is_useless(&mut self, packet: &RtpPacket) -> bool {
        if self.awaits_key_frame && starts_key_frame(&self.codec.name, &packet.payload) {
            self.awaits_key_frame = false;
        }
        self.awaits_key_frame
    }

    /// True if it is time to ask the sender for the key frame that is waited for, for the first time or again.
    pub(super) fn asks_for_key_frame(&mut self, now: Instant) -> bool {
        let due = self.awaits_key_frame && self.asked.is_none_or(|asked| now - asked >= KEY_FRAME_PATIENCE);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// The packet with this downlink's sequence number and timestamp; gaps stay gaps. `None` for packets from before
    /// the first one forwarded.
    pub(super) fn rewrite(&mut self, packet: &RtpPacket) -> Option<OutboundRtp> {
        let (first_sequence, first_timestamp) = match self.first {
            Some(first) => first,
            None => self.begin(packet),
        };
        let offset = packet.sequence.checked_sub(first_sequence)?;
        let sequence = self.sequence_base.wrapping_add(offset as u16);
        let timestamp = packet.timestamp.wrapping_sub(first_timestamp).wrapping_add(self.timestamp_base);
        if self.newest.is_none_or(|newest| packet.sequence > newest.source_sequence) {
            let (source_sequence, arrival) = (packet.sequence, packet.arrival);
            self.newest = Some(Newest { source_sequence, sequence, timestamp, arrival });
        }
        Some(OutboundRtp {
            payload_type: packet.payload_type,
            timestamp,
            marker: packet.marker,
            payload: packet.payload.clone(),
            sequence_number: Some(sequence),
            rid: None,
        })
    }

    /// Numbers on from what went out before, if anything did; the time since then has passed for the receiver too.
    fn begin(&mut self, packet: &RtpPacket) -> (u64, u32) {
        if let Some(newest) = self.newest {
            let elapsed = packet.arrival.saturating_duration_since(newest.arrival);
            let ticks = elapsed.as_micros() * u128::from(self.codec.clock_rate) / 1_000_000;
            self.sequence_base = newest.sequence.wrapping_add(1);
            self.timestamp_base = newest.timestamp.wrapping_add((ticks as u32).max(1));
        }
        *self.first.insert((packet.sequence, packet.timestamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn downlink() -> Downlink {
        Downlink::new(TransceiverId::default(), MediaKind::Video, Codec::video(120, "VP8", ""))
    }

    fn packet(sequence: u64, timestamp: u32, arrival: Instant) -> RtpPacket {
        RtpPacket {
            payload_type: 120,
            sequence,
            timestamp,
            marker: false,
            payload: Bytes::from_static(&[0x10, 0x01]),
            arrival,
            retransmitted: false,
        }
    }

    #[test]
    fn a_downlink_numbers_for_itself_and_keeps_gaps_and_late_packets_in_place() {
        let (mut downlink, now) = (downlink(), Instant::now());
        let out: Vec<_> = [(1000, 500), (1001, 3500), (1004, 6500), (1002, 3500), (999, 100)]
            .map(|(sequence, timestamp)| downlink.rewrite(&packet(sequence, timestamp, now)))
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

    #[test]
    fn after_a_pause_the_numbers_go_on_and_the_time_has_passed() {
        let (mut downlink, now) = (downlink(), Instant::now());
        let before = downlink.rewrite(&packet(1000, 500, now)).expect("forwarded");
        downlink.rewrite(&packet(999, 400, now));
        downlink.pause();
        let late = now + Duration::from_secs(2);
        let after = downlink.rewrite(&packet(5000, 77, late)).expect("forwarded");
        let step = |a: &OutboundRtp, b: &OutboundRtp| {
            let sequence = b.sequence_number.expect("given").wrapping_sub(a.sequence_number.expect("given"));
            (sequence, b.timestamp.wrapping_sub(a.timestamp))
        };
        assert_eq!(step(&before, &after), (1, 180_000));
        assert!(downlink.rewrite(&packet(4999, 70, late)).is_none(), "what was withheld stays withheld");
        let next = downlink.rewrite(&packet(5001, 3077, late)).expect("forwarded");
        assert_eq!(step(&after, &next), (1, 3000));
    }

    #[test]
    fn after_a_pause_pictures_wait_for_a_key_frame_that_is_asked_for_until_it_comes() {
        let (mut downlink, now) = (downlink(), Instant::now());
        let (delta, mut key) = (packet(1, 1, now), packet(2, 1, now));
        key.payload = Bytes::from_static(&[0x10, 0x00]);
        assert!(!downlink.is_useless(&delta), "nothing was withheld yet");
        downlink.pause();
        assert!(downlink.is_useless(&delta));
        assert!(downlink.asks_for_key_frame(now) && !downlink.asks_for_key_frame(now));
        assert!(downlink.asks_for_key_frame(now + KEY_FRAME_PATIENCE));
        assert!(!downlink.is_useless(&key) && !downlink.is_useless(&delta));
        assert!(!downlink.asks_for_key_frame(now + KEY_FRAME_PATIENCE * 2));
    }
}
