use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_rtp::RtpPacket;

use super::comfort_noise::ComfortNoise;
use super::concealment::{fade_to_noise, fades, join, only_noise};
use super::level::{Due, Level, Stretch};
use super::time_stretch::{LOOK, MAX_LAG, accelerate, expand};
use super::{FRAME, RATE, ms};

/// Four seconds of 20 ms packets; what comes on top pushes the oldest out.
const MAX_PACKETS: usize = 200;
/// A packet this far from where playing stands belongs to a stream that started anew.
const MAX_JUMP: i64 = ms(5000);
/// Missing sound beyond this is left out instead of made up.
const MAX_GAP: i64 = ms(1000);
/// After nothing came for this long, the first packet has to wait like the first of all.
const LONG_WAIT: i64 = ms(100);
/// Opus cannot conceal anything but multiples of 2.5 ms.
const CONCEALMENT_STEP: usize = 120;

/// Turns packets into samples: 48 kHz interleaved `i16`.
pub trait PacketDecoder: Send {
    /// Channels it puts out.
    fn channels(&self) -> usize;
    /// Length of a packet in samples per channel at 48 kHz, 0 if it cannot be told.
    fn samples(&self, packet: &[u8]) -> usize;
    /// True if the packet only says that nothing follows for a while (discontinuous transmission).
    fn is_pause(&self, packet: &[u8]) -> bool;
    /// True if the packet holds redundancy for the one before (RFC 7587 section 3.4).
    fn has_redundancy(&self, packet: &[u8]) -> bool;
    /// Decodes a packet. On failure nothing is put out.
    fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> bool;
    /// Rebuilds the packet before `next` from the redundancy in it: `samples` per channel.
    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) -> bool;
    /// Conceals `samples` per channel (a multiple of 2.5 ms) of missing sound.
    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>);
}

/// Counters of a [`ReceiveBuffer`]; the sums are what the W3C's `RTCInboundRtpStreamStats` has.
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
    /// Of these, ones that were comfort noise.
    pub silent_concealed_samples: u64,
    /// Stretches of concealment.
    pub concealment_events: u64,
    /// Packets rebuilt from in-band redundancy.
    pub recovered_packets: u64,
    /// Samples removed to play faster.
    pub removed_samples: u64,
    /// Samples inserted to play slower.
    pub inserted_samples: u64,
    /// Sum over all samples of the time they waited, in samples.
    pub delay_sum: u64,
    /// Sum over all samples of the delay aimed at, in samples.
    pub target_delay_sum: u64,
}

#[derive(Debug)]
struct Packet {
    payload: Bytes,
    sequence: u64,
    samples: i64,
    arrival: Instant,
}

/// Why sound is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Missing {
    Lost,
    /// The sender had nothing to send.
    Paused,
}

/// Smooths the network's jitter: packets in, 10 ms of sound out at each pull.
///
/// It measures how much later than the fastest ones the packets come and lets sound wait for as long as 97 % of them
/// need, by taking out or putting in periods of the sound (which also makes up for clocks that run at different speeds). Lost packets are rebuilt from the redundancy in the
/// next one or concealed by the decoder; long silence becomes comfort noise.
///
/// It has no clock and no thread: time is what packets and pulls say it is.
#[derive(Debug)]
pub struct ReceiveBuffer<D> {
    decoder: D,
    packets: BTreeMap<i64, Packet>,
    /// RTP time, unwrapped, of the next sample to decode.
    next: Option<i64>,
    /// Samples made up while waiting for the packet at `next`.
    owed: i64,
    /// The first packet has to wait for the usual delay before it is played.
    hold: bool,
    last_pull: Option<Instant>,
    last_timestamp: Option<(u32, i64)>,
    last_sequence: Option<u64>,
    decoded: Vec<i16>,
    /// What was played last, for [`expand`].
    played: Vec<i16>,
    level: Level,
    noise: ComfortNoise,
    /// Frames made up since the last real ones.
    concealing: usize,
    paused: bool,
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
            owed: 0,
            hold: false,
            last_pull: None,
            last_timestamp: None,
            last_sequence: None,
            decoded: Vec::new(),
            played: Vec::new(),
            level: Level::new(),
            noise: ComfortNoise::new(),
            concealing: 0,
            paused: false,
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
        self.decoder.channels().max(1)
    }

    /// True if a packet has come within `limit`.
    pub fn is_active(&self, now: Instant, limit: Duration) -> bool {
        self.last_arrival.is_some_and(|at| now.saturating_duration_since(at) <= limit)
    }

    /// Samples per channel that wait, decoded or not.
    pub fn buffered(&self) -> u64 {
        (self.waiting() + self.packets.values().map(|packet| packet.samples).sum::<i64>()).cast_unsigned()
    }

    /// Samples per channel decoded and not yet pulled.
    fn waiting(&self) -> i64 {
        (self.decoded.len() / self.channels()) as i64
    }

    /// Takes a packet in, in any order.
    pub fn push(&mut self, packet: RtpPacket) {
        let time = self.unwrap(packet.timestamp);
        self.stats.packets_received += 1;
        self.last_arrival = Some(packet.arrival);
        let samples = self.decoder.samples(&packet.payload) as i64;
        if samples == 0 {
            self.stats.packets_discarded += 1;
            return;
        }
        if self.next.is_some_and(|next| (time - next).abs() > MAX_JUMP) {
            self.restart();
        }
        let ahead = self.next.map_or(0, |next| time - next);
        if !packet.retransmitted {
            let due = self.next.and(self.due(packet.arrival, ahead));
            self.level.arrived(packet.arrival, packet.sequence, time, due);
        }
        if ahead + samples <= 0 {
            self.stats.packets_discarded += 1;
            return;
        }
        if self.packets.is_empty() && (self.next.is_none() || self.owed >= LONG_WAIT) {
            self.hold = true;
        }
        if self.decoder.has_redundancy(&packet.payload) {
            self.level.redundancy(samples);
        }
        let packet = Packet { payload: packet.payload, sequence: packet.sequence, samples, arrival: packet.arrival };
        if self.packets.insert(time, packet).is_some() {
            self.stats.packets_discarded += 1;
        }
        while self.packets.len() > MAX_PACKETS {
            self.packets.pop_first();
            self.stats.packets_discarded += 1;
        }
    }

    /// When a packet `ahead` of what is decoded is needed.
    fn due(&self, now: Instant, ahead: i64) -> Option<Due> {
        let since = now.saturating_duration_since(self.last_pull?).as_micros() as i64;
        let samples = if ahead > 0 { (ahead - self.owed).max(0) } else { ahead } + self.waiting();
        // Its first sample goes out in this many pulls, the next one being 10 ms after the last.
        let frame = FRAME as i64;
        let pulls = samples.div_euclid(frame) + 1;
        let slack = pulls * frame - since.saturating_mul(i64::from(RATE)) / 1_000_000;
        Some(Due { slack, offset: samples.rem_euclid(frame) })
    }

    /// True if the first packet has waited for long enough to begin with it.
    fn may_begin(&self, now: Instant) -> bool {
        let first = self.packets.first_key_value();
        first.is_some_and(|(_, packet)| {
            let waited = now.saturating_duration_since(packet.arrival).as_micros() as i64 * i64::from(RATE) / 1_000_000;
            waited >= self.level.target().min(ms(100))
        })
    }

    fn restart(&mut self) {
        self.packets.clear();
        self.level.restart();
        self.next = None;
        self.owed = 0;
    }

    fn unwrap(&mut self, timestamp: u32) -> i64 {
        let unwrapped = match self.last_timestamp {
            None => i64::from(timestamp),
            Some((last, unwrapped)) => unwrapped + i64::from(timestamp.wrapping_sub(last).cast_signed()),
        };
        self.last_timestamp = Some((timestamp, unwrapped));
        unwrapped
    }

    /// Puts out the next 10 ms, interleaved, or `None` while nothing has come yet. `now` is when they are due: 10 ms
    /// after the last, as long as nobody stops pulling.
    pub fn pull(&mut self, now: Instant) -> Option<Vec<i16>> {
        self.last_pull = Some(now);
        self.hold &= !self.may_begin(now);
        if self.next.is_none() {
            let first = *self.packets.first_key_value()?.0;
            if self.hold {
                return None;
            }
            self.next = Some(first);
        }
        let channels = self.channels();
        while self.decoded.len() < FRAME * channels {
            self.decode_next();
        }
        self.stretch();
        let frame: Vec<i16> = self.decoded.drain(..FRAME * channels).collect();
        self.played.extend_from_slice(&frame);
        let surplus = self.played.len().saturating_sub(MAX_LAG * channels);
        self.played.drain(..surplus);
        self.stats.total_samples += FRAME as u64;
        self.stats.delay_sum += self.buffered().saturating_mul(FRAME as u64);
        self.stats.target_delay_sum += (self.level.target() as u64).saturating_mul(FRAME as u64);
        Some(frame)
    }

    fn decode_next(&mut self) {
        let Some(next) = self.next else { return };
        let Some((&time, first)) = self.packets.first_key_value().filter(|_| !self.hold) else {
            self.owed += FRAME as i64;
            let missing = if self.paused { Missing::Paused } else { Missing::Lost };
            return self.conceal(FRAME, missing);
        };
        // What was made up while waiting stands for what is missing.
        let gap = time - next - std::mem::take(&mut self.owed);
        if gap <= 0 {
            return self.decode(next.max(time));
        }
        let missing = match self.last_sequence {
            Some(last) if last + 1 == first.sequence => Missing::Paused,
            _ => Missing::Lost,
        };
        if gap > MAX_GAP || self.level.can_spare(gap) {
            return self.decode(time);
        }
        if gap == first.samples && missing == Missing::Lost && self.decoder.has_redundancy(&first.payload) {
            let payload = first.payload.clone();
            let mut out = Vec::new();
            if self.decoder.recover(&payload, gap as usize, &mut out) {
                self.stats.recovered_packets += 1;
                self.next = Some(time);
                self.concealing = 0;
                return self.decoded.append(&mut out);
            }
        }
        let step = gap.min(FRAME as i64);
        self.next = Some(time - gap + step);
        self.conceal(step as usize, missing);
    }

    /// Decodes the first packet from RTP time `from` on.
    fn decode(&mut self, from: i64) {
        let Some((time, packet)) = self.packets.pop_first() else { return };
        self.next = Some(from.max(time + packet.samples));
        self.last_sequence = Some(packet.sequence);
        self.paused = self.decoder.is_pause(&packet.payload);
        let mut out = Vec::new();
        if !self.decoder.decode(&packet.payload, &mut out) {
            self.stats.packets_discarded += 1;
            return self.conceal(packet.samples as usize, Missing::Lost);
        }
        let channels = self.channels();
        let heard = (usize::try_from(from - time).unwrap_or(0) * channels).min(out.len());
        out.drain(..heard);
        out.chunks_exact(FRAME * channels).for_each(|frame| self.noise.listen(frame));
        // The codec's own output goes on smoothly, after its own concealment as well.
        if heard > 0 || fades(self.concealing) {
            let before = if self.decoded.is_empty() { &self.played } else { &self.decoded };
            if let Some(start) = before.len().checked_sub(channels) {
                join(&before[start..], &mut out);
            }
        }
        self.decoded.append(&mut out);
        self.concealing = 0;
    }

    fn conceal(&mut self, samples: usize, missing: Missing) {
        let channels = self.channels();
        let mut out = Vec::new();
        let codec_made = missing == Missing::Paused || !only_noise(self.concealing);
        if codec_made {
            self.decoder.conceal(samples.next_multiple_of(CONCEALMENT_STEP), &mut out);
        }
        out.resize(samples * channels, 0);
        if missing == Missing::Lost {
            fade_to_noise(&mut out, channels, self.concealing, &mut self.noise);
            self.stats.concealment_events += u64::from(self.concealing == 0);
            self.stats.concealed_samples += samples as u64;
            self.stats.silent_concealed_samples += if codec_made { 0 } else { samples as u64 };
            self.concealing += samples.div_ceil(FRAME);
        }
        self.decoded.append(&mut out);
    }

    /// Plays a little faster or slower if too much or too little sound is waiting.
    fn stretch(&mut self) {
        let channels = self.channels();
        if self.concealing > 0 {
            return;
        }
        let changed = match self.level.decide() {
            None => return,
            Some(Stretch::Shorten { at_most, threshold }) => {
                while self.decoded.len() < (FRAME + LOOK) * channels && self.is_next_there() {
                    self.decode_next();
                }
                let removed = accelerate(&mut self.decoded, channels, at_most, threshold);
                self.stats.removed_samples += removed as u64;
                removed as i64
            }
            Some(Stretch::Lengthen { at_most, threshold }) => {
                let inserted = expand(&mut self.decoded, &self.played, channels, at_most, threshold);
                self.stats.inserted_samples += inserted as u64;
                -(inserted as i64)
            }
        };
        if changed != 0 {
            self.level.played_ahead(changed);
        }
        while self.decoded.len() < FRAME * channels {
            self.decode_next();
        }
    }

    fn is_next_there(&self) -> bool {
        self.packets.first_key_value().is_some_and(|(time, _)| self.next.is_some_and(|next| *time <= next))
    }
}
