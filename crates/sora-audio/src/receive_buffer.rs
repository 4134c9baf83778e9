use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_rtp::RtpPacket;

use crate::time_stretch::accelerate;

const RATE: u32 = 48_000;
const FRAME: usize = 480;
/// A second of 20 ms packets and more; what comes on top pushes the oldest out.
const MAX_PACKETS: usize = 64;
/// Concealment longer than this many frames is silence.
const MAX_CONCEALED: usize = 12;
/// How far ahead of its playing a packet should arrive, at the least, on a link without jitter.
const MARGIN: i64 = RATE as i64 * 4 / 1000;
/// Arrivals the margin is judged over.
const MARGIN_WINDOW: usize = 60;
/// A packet this far from where playing stands belongs to a stream that started anew.
const MAX_JUMP: i64 = RATE as i64 * 2;

/// Turns packets into samples: 48 kHz interleaved `i16`.
pub trait PacketDecoder: Send {
    /// Channels it puts out.
    fn channels(&self) -> usize;
    /// Length of a packet in samples per channel at 48 kHz, 0 if it cannot be told.
    fn samples(&self, packet: &[u8]) -> usize;
    /// Decodes a packet. On failure nothing is put out.
    fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> bool;
    /// Rebuilds the packet before `next` from the redundancy in it (RFC 7587 section 3.4): `samples` per channel.
    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) -> bool;
    /// Conceals `samples` per channel of missing sound.
    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>);
}

/// Counters of a [`ReceiveBuffer`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiveStats {
    /// Packets taken in.
    pub packets_received: u64,
    /// Packets that came after their time had been concealed, or twice.
    pub packets_discarded: u64,
    /// Samples per channel put out.
    pub total_samples: u64,
    /// Of these, concealed ones.
    pub concealed_samples: u64,
    /// Stretches of concealment.
    pub concealment_events: u64,
    /// Packets rebuilt from in-band redundancy.
    pub recovered_packets: u64,
    /// Samples removed to catch up.
    pub removed_samples: u64,
    /// Sum over all samples of the time they waited, in samples.
    pub delay_sum: u64,
}

/// Smooths the network's jitter: packets in, 10 ms of sound out at each pull.
///
/// It plays as soon as the first packet is there, so a clean link costs no delay beyond the packet itself. When sound
/// runs out it conceals and the delay grows by as much; when every packet of the last second came earlier than it had
/// to, it cuts out a period and the delay shrinks.
#[derive(Debug)]
pub struct ReceiveBuffer<D> {
    decoder: D,
    packets: BTreeMap<i64, Bytes>,
    /// RTP time, unwrapped, of the next sample to decode.
    next: Option<i64>,
    last_timestamp: Option<(u32, i64)>,
    decoded: Vec<i16>,
    margins: VecDeque<i64>,
    concealing: usize,
    packet_samples: usize,
    last_arrival: Option<Instant>,
    stats: ReceiveStats,
}

impl<D: PacketDecoder> ReceiveBuffer<D> {
    /// An empty buffer.
    pub fn new(decoder: D) -> Self {
        Self {
            decoder,
            packets: BTreeMap::new(),
            next: None,
            last_timestamp: None,
            decoded: Vec::new(),
            margins: VecDeque::new(),
            concealing: 0,
            packet_samples: 960,
            last_arrival: None,
            stats: ReceiveStats::default(),
        }
    }

    /// Counters.
    pub fn stats(&self) -> ReceiveStats {
        self.stats
    }

    /// Channels of what [`Self::pull`] gives.
    pub fn channels(&self) -> usize {
        self.decoder.channels()
    }

    /// True if a packet has come within `limit`.
    pub fn is_active(&self, now: Instant, limit: Duration) -> bool {
        self.last_arrival.is_some_and(|at| now.saturating_duration_since(at) <= limit)
    }

    /// Takes a packet in, in any order.
    pub fn push(&mut self, packet: RtpPacket) {
        let time = self.unwrap(packet.timestamp);
        self.stats.packets_received += 1;
        self.last_arrival = Some(packet.arrival);
        let samples = self.decoder.samples(&packet.payload);
        if samples == 0 {
            self.stats.packets_discarded += 1;
            return;
        }
        self.packet_samples = samples;
        if let Some(next) = self.next {
            if (time - next).abs() > MAX_JUMP {
                self.restart();
            } else if time < next {
                self.stats.packets_discarded += 1;
                // It came late by this much: its time has been concealed.
                self.note_margin(time - next);
                return;
            } else {
                let waiting = (self.decoded.len() / self.channels().max(1)) as i64;
                self.note_margin(time - next + waiting);
            }
        }
        if self.packets.insert(time, packet.payload).is_some() {
            self.stats.packets_discarded += 1;
        }
        while self.packets.len() > MAX_PACKETS {
            self.packets.pop_first();
        }
    }

    fn restart(&mut self) {
        self.packets.clear();
        self.margins.clear();
        self.next = None;
    }

    fn note_margin(&mut self, margin: i64) {
        if self.margins.len() == MARGIN_WINDOW {
            self.margins.pop_front();
        }
        self.margins.push_back(margin);
    }

    fn unwrap(&mut self, timestamp: u32) -> i64 {
        let unwrapped = match self.last_timestamp {
            None => i64::from(timestamp),
            Some((last, unwrapped)) => unwrapped + i64::from(timestamp.wrapping_sub(last).cast_signed()),
        };
        self.last_timestamp = Some((timestamp, unwrapped));
        unwrapped
    }

    /// Puts out the next 10 ms, interleaved, or `None` while nothing has come yet.
    pub fn pull(&mut self) -> Option<Vec<i16>> {
        if self.next.is_none() {
            self.next = Some(*self.packets.first_key_value()?.0);
        }
        let channels = self.channels().max(1);
        while self.decoded.len() < FRAME * channels {
            self.decode_next();
        }
        self.catch_up();
        let frame: Vec<i16> = self.decoded.drain(..FRAME * channels).collect();
        let waiting = self.decoded.len() / channels + self.packets.len() * self.packet_samples;
        self.stats.total_samples += FRAME as u64;
        self.stats.delay_sum += (waiting * FRAME) as u64;
        Some(frame)
    }

    fn decode_next(&mut self) {
        let Some(next) = self.next else { return };
        let Some((&time, packet)) = self.packets.first_key_value() else {
            return self.conceal(FRAME);
        };
        if time > next {
            let gap = (time - next) as usize;
            if gap > self.packet_samples * MAX_CONCEALED || self.concealing > 0 {
                // The sender paused, or the missing sound has been concealed while waiting: go on from what is there.
                self.next = Some(time);
                return;
            }
            if gap <= self.packet_samples {
                let packet = packet.clone();
                let mut out = Vec::new();
                if self.decoder.recover(&packet, gap, &mut out) {
                    self.stats.recovered_packets += 1;
                    self.decoded.append(&mut out);
                    self.next = Some(time);
                    return;
                }
            }
            let step = gap.min(self.packet_samples);
            self.next = Some(next + step as i64);
            let before = self.concealing;
            self.conceal(step);
            self.concealing = before;
            return;
        }
        let Some((_, packet)) = self.packets.pop_first() else { return };
        let samples = self.decoder.samples(&packet);
        let mut out = Vec::new();
        self.next = Some(next.max(time) + samples as i64);
        if self.decoder.decode(&packet, &mut out) {
            self.concealing = 0;
            self.decoded.append(&mut out);
        } else {
            self.stats.packets_discarded += 1;
            self.conceal(samples.max(FRAME));
        }
    }

    fn conceal(&mut self, samples: usize) {
        if self.concealing == 0 {
            self.stats.concealment_events += 1;
        }
        self.concealing += 1;
        self.stats.concealed_samples += samples as u64;
        if self.concealing > MAX_CONCEALED {
            let silence = self.decoded.len() + samples * self.channels();
            self.decoded.resize(silence, 0);
        } else {
            self.decoder.conceal(samples, &mut self.decoded);
        }
    }

    /// If even the latest packet of the last second was early, the buffer holds more than the link needs.
    fn catch_up(&mut self) {
        if self.margins.len() < MARGIN_WINDOW {
            return;
        }
        let spare = self.margins.iter().min().copied().unwrap_or(0) - MARGIN;
        if spare < 240 {
            return;
        }
        // The cut needs two frames of sound to look for a period in.
        let channels = self.channels().max(1);
        while self.decoded.len() < FRAME * 3 * channels && !self.packets.is_empty() && self.concealing == 0 {
            self.decode_next();
        }
        let removed = accelerate(&mut self.decoded, channels);
        if removed > 0 {
            self.stats.removed_samples += removed as u64;
            self.margins.iter_mut().for_each(|margin| *margin -= removed as i64);
        }
        while self.decoded.len() < FRAME * channels {
            self.decode_next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each packet is two bytes: the value all its 960 samples have.
    struct Constant;

    impl PacketDecoder for Constant {
        fn channels(&self) -> usize {
            1
        }
        fn samples(&self, packet: &[u8]) -> usize {
            if packet.len() == 2 { 960 } else { 0 }
        }
        fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> bool {
            let value = i16::from_be_bytes([packet[0], packet[1]]);
            out.extend(std::iter::repeat_n(value, 960));
            true
        }
        fn recover(&mut self, _: &[u8], _: usize, _: &mut Vec<i16>) -> bool {
            false
        }
        fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
            out.extend(std::iter::repeat_n(-1, samples));
        }
    }

    fn packet(number: u32, arrival: Instant) -> RtpPacket {
        RtpPacket {
            payload_type: 109,
            sequence: u64::from(number),
            timestamp: number.wrapping_mul(960).wrapping_add(u32::MAX - 5000),
            marker: false,
            payload: Bytes::copy_from_slice(&(number as u16).to_be_bytes()),
            arrival,
            retransmitted: false,
        }
    }

    #[test]
    fn packets_in_order_come_out_whole_across_a_timestamp_wrap() {
        let now = Instant::now();
        let mut buffer = ReceiveBuffer::new(Constant);
        assert!(buffer.pull().is_none());
        for number in 0..20 {
            buffer.push(packet(number, now));
            for _ in 0..2 {
                assert_eq!(buffer.pull(), Some(vec![number as i16; 480]));
            }
        }
        assert_eq!(buffer.stats().concealed_samples, 0);
    }

    #[test]
    fn a_lost_packet_is_concealed_and_costs_no_delay() {
        let now = Instant::now();
        let mut buffer = ReceiveBuffer::new(Constant);
        for number in [0, 1, 3, 4] {
            buffer.push(packet(number, now));
        }
        let values: Vec<i16> = (0..10).filter_map(|_| Some(buffer.pull()?[0])).collect();
        assert_eq!(values, [0, 0, 1, 1, -1, -1, 3, 3, 4, 4]);
        assert_eq!(buffer.stats().concealed_samples, 960);
    }

    #[test]
    fn reordered_and_duplicate_packets_are_put_right() {
        let now = Instant::now();
        let mut buffer = ReceiveBuffer::new(Constant);
        for number in [0, 2, 1, 1, 3] {
            buffer.push(packet(number, now));
        }
        let values: Vec<i16> = (0..8).filter_map(|_| Some(buffer.pull()?[0])).collect();
        assert_eq!(values, [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(buffer.stats().packets_discarded, 1);
    }

    #[test]
    fn after_a_stall_everything_is_played_and_the_delay_is_caught_up() {
        let now = Instant::now();
        let mut buffer = ReceiveBuffer::new(Constant);
        buffer.push(packet(0, now));
        buffer.push(packet(1, now));
        (0..10).for_each(|_| drop(buffer.pull()));
        assert!(buffer.stats().concealed_samples > 0);
        for number in 2..5 {
            buffer.push(packet(number, now));
        }
        for number in 5..400 {
            buffer.push(packet(number, now));
            buffer.pull();
            buffer.pull();
        }
        assert!(buffer.stats().removed_samples >= 960 * 2, "{:?}", buffer.stats());
        assert!(buffer.packets.len() <= 2, "{} packets wait", buffer.packets.len());
    }

    #[test]
    fn hostile_packets_neither_grow_nor_break_it() {
        let now = Instant::now();
        let mut buffer = ReceiveBuffer::new(Constant);
        let mut seed = 1_u32;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut packet = packet(seed >> 4, now);
            packet.timestamp = seed;
            if seed.is_multiple_of(3) {
                packet.payload = Bytes::from_static(b"abc");
            }
            buffer.push(packet);
            if seed.is_multiple_of(2) {
                buffer.pull();
            }
            assert!(buffer.packets.len() <= MAX_PACKETS && buffer.decoded.len() <= 48_000);
        }
    }
}
