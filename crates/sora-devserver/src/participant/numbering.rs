//! What a receiver sees of the numbers in RTP: one stream, whichever streams of the sender stand behind it.

use std::time::Instant;

use sora_peer::{Codec, OutboundRtp, RtpPacket};

use super::picture_ids::PictureIds;
use crate::channel::SenderReport;

/// If a sender's clock says something that far from when packets came, the clock is wrong.
const CLOCK_TOLERANCE_SECONDS: i128 = 2;

/// The newest packet that went out.
#[derive(Debug, Clone, Copy)]
struct Newest {
    source_sequence: u64,
    sequence: u16,
    timestamp: u32,
    arrival: Instant,
    /// When the sender says it was captured, NTP time.
    captured: Option<u64>,
}

/// The numbers of one track on its way to one receiver.
#[derive(Debug)]
pub(super) struct Numbering {
    codec: Codec,
    first: Option<(u64, u32)>,
    sequence_base: u16,
    timestamp_base: u32,
    newest: Option<Newest>,
    pictures: PictureIds,
}

impl Numbering {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            codec,
            first: None,
            sequence_base: rand::random::<u16>() & 0x7fff,
            timestamp_base: rand::random(),
            newest: None,
            pictures: PictureIds::default(),
        }
    }

    pub(super) fn codec_name(&self) -> &str {
        &self.codec.name
    }

    /// The next packet is of another stream, or of this one after a pause. To the receiver it looks as if nothing had
    /// been sent meanwhile: a gap in the numbers would make it ask for all that is missing.
    pub(super) fn restart(&mut self) {
        self.first = None;
    }

    /// The packet with this track's numbers; gaps stay gaps. `None` for packets from before the first one forwarded.
    pub(super) fn rewrite(&mut self, packet: &RtpPacket, report: Option<SenderReport>) -> Option<OutboundRtp> {
        let captured = report.map(|report| capture_time(report, packet.timestamp, self.codec.clock_rate));
        let (first_sequence, first_timestamp) = match self.first {
            Some(first) => first,
            None => self.begin(packet, captured),
        };
        let offset = packet.sequence.checked_sub(first_sequence)?;
        let sequence = self.sequence_base.wrapping_add(offset as u16);
        let timestamp = packet.timestamp.wrapping_sub(first_timestamp).wrapping_add(self.timestamp_base);
        if offset == 0 || self.newest.is_none_or(|newest| packet.sequence > newest.source_sequence) {
            let (source_sequence, arrival) = (packet.sequence, packet.arrival);
            self.newest = Some(Newest { source_sequence, sequence, timestamp, arrival, captured });
        }
        Some(OutboundRtp {
            payload_type: packet.payload_type,
            timestamp,
            marker: packet.marker,
            payload: self.pictures.rewrite(&self.codec.name, &packet.payload),
            sequence_number: Some(sequence),
            rid: None,
        })
    }

    /// Numbers on from what went out before, if anything did; the time since then has passed for the receiver too.
    fn begin(&mut self, packet: &RtpPacket, captured: Option<u64>) -> (u64, u32) {
        self.pictures.restart();
        if let Some(newest) = self.newest {
            self.sequence_base = newest.sequence.wrapping_add(1);
            let ticks = self.ticks_since(newest, packet.arrival, captured);
            self.timestamp_base = newest.timestamp.wrapping_add(ticks);
        }
        *self.first.insert((packet.sequence, packet.timestamp))
    }

    /// The sender's clock is the better measure: packets of a large layer take longer to come.
    fn ticks_since(&self, newest: Newest, arrival: Instant, captured: Option<u64>) -> u32 {
        let rate = i128::from(self.codec.clock_rate);
        let elapsed = arrival.saturating_duration_since(newest.arrival);
        let by_arrival = i128::try_from(elapsed.as_micros()).unwrap_or_default() * rate / 1_000_000;
        let by_clock = newest.captured.zip(captured).map(|(before, after)| {
            let difference = after.wrapping_sub(before).cast_signed();
            (i128::from(difference) * rate) >> 32
        });
        let is_plausible = |ticks: &i128| (ticks - by_arrival).abs() <= CLOCK_TOLERANCE_SECONDS * rate;
        by_clock.filter(is_plausible).unwrap_or(by_arrival).max(1) as u32
    }
}

/// NTP time of an RTP timestamp (RFC 3550 section 6.4.1).
fn capture_time(report: SenderReport, timestamp: u32, clock_rate: u32) -> u64 {
    let ticks = i128::from(timestamp.wrapping_sub(report.rtp_time).cast_signed());
    let difference = (ticks << 32) / i128::from(clock_rate.max(1));
    report.ntp_time.wrapping_add_signed(difference as i64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    fn numbering() -> Numbering {
        Numbering::new(Codec::video(120, "VP8", ""))
    }

    fn packet(sequence: u64, timestamp: u32, arrival: Instant) -> RtpPacket {
        RtpPacket {
            ssrc: 1,
            payload_type: 120,
            sequence,
            timestamp,
            marker: false,
            payload: Bytes::from_static(&[0x10, 0x01]),
            arrival,
            retransmitted: false,
        }
    }

    fn step(a: &OutboundRtp, b: &OutboundRtp) -> (u16, u32) {
        let sequence = b.sequence_number.expect("given").wrapping_sub(a.sequence_number.expect("given"));
        (sequence, b.timestamp.wrapping_sub(a.timestamp))
    }

    #[test]
    fn gaps_and_late_packets_stay_in_place() {
        let (mut numbering, now) = (numbering(), Instant::now());
        let out: Vec<_> = [(1000, 500), (1001, 3500), (1004, 6500), (1002, 3500), (999, 100)]
            .map(|(sequence, timestamp)| numbering.rewrite(&packet(sequence, timestamp, now), None))
            .into_iter()
            .collect();
        let first = out[0].clone().expect("forwarded");
        let numbers: Vec<_> = out.iter().flatten().map(|packet| step(&first, packet)).collect();
        assert_eq!(numbers, [(0, 0), (1, 3000), (4, 6000), (2, 3000)]);
        assert!(out[4].is_none(), "a packet from before the first is dropped");
    }

    #[test]
    fn after_a_pause_the_numbers_go_on_and_the_time_has_passed() {
        let (mut numbering, now) = (numbering(), Instant::now());
        let before = numbering.rewrite(&packet(1000, 500, now), None).expect("forwarded");
        numbering.rewrite(&packet(999, 400, now), None);
        numbering.restart();
        let late = now + Duration::from_secs(2);
        let after = numbering.rewrite(&packet(5000, 77, late), None).expect("forwarded");
        assert_eq!(step(&before, &after), (1, 180_000));
        assert!(numbering.rewrite(&packet(4999, 70, late), None).is_none(), "what was withheld stays withheld");
        let next = numbering.rewrite(&packet(5001, 3077, late), None).expect("forwarded");
        assert_eq!(step(&after, &next), (1, 3000));
    }

    #[test]
    fn another_stream_goes_on_where_the_one_before_ended_though_its_own_numbers_are_smaller() {
        let (mut numbering, now) = (numbering(), Instant::now());
        numbering.rewrite(&packet(90_000, 500, now), None);
        let before = numbering.rewrite(&packet(90_004, 3500, now), None).expect("forwarded");
        for first in [100, 70_000, 5] {
            numbering.restart();
            let begins = numbering.rewrite(&packet(first, 9, now), None).expect("forwarded");
            numbering.rewrite(&packet(first + 2, 99, now), None);
            let late = numbering.rewrite(&packet(first + 1, 99, now), None).expect("forwarded");
            assert_eq!(step(&begins, &late), (1, 90));
        }
        let last = numbering.rewrite(&packet(8, 189, now), None).expect("forwarded");
        // Five packets, three of the first and the second stream each, four of the third; forward by one at each
        // switch, as no time has passed.
        assert_eq!(step(&before, &last), (3 + 3 + 4, (1 + 90) + (1 + 90) + (1 + 180)));
    }

    /// A report of a source with this RTP time at this many milliseconds.
    fn report(ms: u64, rtp_time: u32) -> Option<SenderReport> {
        Some(SenderReport { ntp_time: (7 << 40) + (ms << 32) / 1000, rtp_time })
    }

    #[test]
    fn with_reports_of_both_the_senders_clock_tells_how_much_time_has_passed() {
        let now = Instant::now();
        let switch = |before, after| {
            let mut numbering = numbering();
            let first = numbering.rewrite(&packet(1, 90_000, now), before).expect("forwarded");
            numbering.restart();
            let arrival = now + Duration::from_millis(10);
            step(&first, &numbering.rewrite(&packet(1, 5000, arrival), after).expect("forwarded")).1
        };
        // Captured at 2000 ms and 2033 ms, though it came 10 ms later only.
        let ticks = switch(report(1000, 0), report(3000, 5000 + 87_030));
        assert!((2969..=2971).contains(&ticks), "{ticks}");
        assert_eq!(switch(None, report(3000, 5000)), 900, "by arrival");
        assert_eq!(switch(report(1000, 0), None), 900, "by arrival");
        assert_eq!(switch(report(1000, 0), report(60_000, 5000)), 900, "that clock is wrong");
        assert_eq!(switch(report(1000, 0), report(1990, 5000)), 1, "never backward");
    }

    #[test]
    fn no_report_breaks_the_arithmetic() {
        let now = Instant::now();
        let extremes = [0, 1, u64::MAX / 2, u64::MAX];
        for (before, after) in extremes.iter().flat_map(|before| extremes.map(|after| (*before, after))) {
            for rtp_time in [0, u32::MAX / 2, u32::MAX] {
                let mut numbering = numbering();
                let report = |ntp_time| Some(SenderReport { ntp_time, rtp_time });
                let first = numbering.rewrite(&packet(0, 0, now), report(before)).expect("forwarded");
                numbering.restart();
                let next = numbering.rewrite(&packet(0, u32::MAX, now), report(after)).expect("forwarded");
                assert!((1..=180_000).contains(&step(&first, &next).1));
            }
        }
    }
}
