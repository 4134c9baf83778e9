//! Opus packets to a steady stream of 10 ms of samples.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_codec::{AudioCodecError, AudioDecoder, OpusDecoder};
use sora_rtp::{RtpPacket, opus_packet_samples};

use crate::jitter::JitterEstimate;
use crate::stretch;

/// Samples per channel in 10 ms.
const PULL: usize = 480;
/// Packets kept; more push out the oldest.
const MAX_PACKETS: usize = 200;
/// Time kept, in samples per channel; more pushes out the oldest.
const MAX_LEVEL: i64 = 48_000;
/// A timestamp this far off is a new start, not a loss (5 s).
const MAX_GAP: i64 = 5 * 48_000;
/// Pulls over which the fill level is judged.
const LEVEL_WINDOW: usize = 50;
/// Time above the margin before anything is removed, in ms.
const SLACK_MS: f64 = 15.0;
/// Concealment fades out from here (120 ms) and is silent 100 ms later.
const FADE_FROM: u32 = 12;
const FADE_PULLS: u32 = 10;

/// What the pulled samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Playout {
    /// Nothing has come yet, or nothing for so long that concealment has faded out.
    Silence,
    /// Decoded sound.
    Sound,
    /// At least some of it made up for a missing packet.
    Concealed,
}

/// Counters of a [`ReceiveBuffer`]. Samples are per channel at 48 kHz.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ReceiveStats {
    /// Packets that came.
    pub packets_received: u64,
    /// Packets that came twice, too late, or pushed out by the bounds.
    pub packets_discarded: u64,
    /// Packets that did not decode.
    pub decode_errors: u64,
    /// Samples handed out.
    pub total_samples: u64,
    /// Samples made up for missing packets.
    pub concealed_samples: u64,
    /// Times that concealment began.
    pub concealment_events: u64,
    /// Samples recovered from in-band FEC.
    pub fec_samples: u64,
    /// Samples added to play slower.
    pub inserted_samples: u64,
    /// Samples removed to play faster.
    pub removed_samples: u64,
    /// Sum over all samples handed out of the time each spent in the buffer, in seconds (W3C `jitterBufferDelay`).
    pub buffer_delay_s: f64,
    /// Delay that the buffer aims at now, in ms.
    pub target_delay_ms: f64,
    /// Delay now, in ms.
    pub current_delay_ms: f64,
}

#[derive(Debug)]
struct Stored {
    timestamp: i64,
    samples: i64,
    payload: Bytes,
}

/// Reorders, decodes, conceals and holds the delay near what the network's jitter asks for.
///
/// Bounded to 200 packets and 1 s of sound; the oldest is dropped.
#[derive(Debug)]
pub struct ReceiveBuffer {
    decoder: OpusDecoder,
    channels: usize,
    packets: BTreeMap<u64, Stored>,
    samples: VecDeque<i16>,
    scratch: Vec<i16>,
    jitter: JitterEstimate,
    /// When playing may begin; `None` before the first packet.
    start_at: Option<Instant>,
    playing: bool,
    /// Timestamp of the next sample to decode.
    play_timestamp: i64,
    next_sequence: u64,
    last_timestamp: i64,
    last_samples: usize,
    in_dtx: bool,
    /// Samples made up while nothing was there; they count toward a gap found later.
    credit: i64,
    concealed_pulls: u32,
    levels: VecDeque<i64>,
    stats: ReceiveStats,
}

impl ReceiveBuffer {
    /// A buffer whose output has 1 or 2 channels.
    ///
    /// # Errors
    /// [`AudioCodecError`] if there is no such decoder.
    pub fn new(channels: u16) -> Result<Self, AudioCodecError> {
        Ok(Self {
            decoder: OpusDecoder::new(channels)?,
            channels: usize::from(channels),
            packets: BTreeMap::new(),
            samples: VecDeque::new(),
            scratch: vec![0; 5760 * usize::from(channels)],
            jitter: JitterEstimate::new(),
            start_at: None,
            playing: false,
            play_timestamp: 0,
            next_sequence: 0,
            last_timestamp: 0,
            last_samples: 960,
            in_dtx: false,
            credit: 0,
            concealed_pulls: 0,
            levels: VecDeque::with_capacity(LEVEL_WINDOW),
            stats: ReceiveStats::default(),
        })
    }

    /// Channels of the output.
    #[must_use]
    pub fn channels(&self) -> u16 {
        self.decoder.channels()
    }

    /// Counters so far.
    #[must_use]
    pub const fn stats(&self) -> ReceiveStats {
        self.stats
    }

    /// Takes a packet. Packets that are no Opus are counted and ignored.
    pub fn push(&mut self, packet: RtpPacket) {
        self.stats.packets_received += 1;
        let Ok(samples) = opus_packet_samples(&packet.payload) else {
            if !packet.payload.is_empty() {
                self.stats.decode_errors += 1;
            }
            return;
        };
        if self.start_at.is_none() {
            self.last_timestamp = i64::from(packet.timestamp);
            self.play_timestamp = self.last_timestamp;
            self.next_sequence = packet.sequence;
            // One packet more or less of patience: the next one must have time to come.
            self.start_at = Some(packet.arrival + Duration::from_millis(10));
        }
        let step = packet.timestamp.wrapping_sub(self.last_timestamp as u32) as i32;
        let timestamp = self.last_timestamp + i64::from(step);
        if i64::from(step).abs() > MAX_GAP {
            self.start_over(timestamp, packet.sequence);
        }
        self.last_timestamp = self.last_timestamp.max(timestamp);
        if !self.playing && packet.sequence < self.next_sequence {
            // Reordered before playing began.
            self.next_sequence = packet.sequence;
            self.play_timestamp = timestamp;
        }
        if !packet.retransmitted {
            self.jitter.arrived(packet.arrival, timestamp);
        }
        let stale = packet.sequence < self.next_sequence;
        if stale || self.packets.contains_key(&packet.sequence) {
            self.stats.packets_discarded += 1;
            return;
        }
        let stored = Stored {
            timestamp,
            samples: i64::from(samples),
            payload: packet.payload,
        };
        self.packets.insert(packet.sequence, stored);
        while self.packets.len() > MAX_PACKETS || self.buffered() > MAX_LEVEL {
            let Some((sequence, dropped)) = self.packets.pop_first() else {
                break;
            };
            self.stats.packets_discarded += 1;
            self.next_sequence = sequence + 1;
            self.play_timestamp = dropped.timestamp + dropped.samples;
        }
    }

    /// Fills `output`, which must have room for 10 ms (480 samples times the channels), and says what it is.
    ///
    /// Call every 10 ms. A shorter `output` gets the beginning only.
    pub fn pull(&mut self, now: Instant, output: &mut [i16]) -> Playout {
        output.fill(0);
        if !self.playing {
            match self.start_at {
                Some(at) if now >= at => self.playing = true,
                _ => return Playout::Silence,
            }
        }
        let needed = PULL * self.channels;
        self.adapt();
        let mut made_up = false;
        while self.samples.len() < needed {
            made_up |= self.decode_more();
        }
        let level = self.buffered();
        let taken = self.samples.drain(..needed);
        output
            .iter_mut()
            .zip(taken)
            .for_each(|(to, from)| *to = from);
        self.stats.total_samples += PULL as u64;
        self.stats.buffer_delay_s += level as f64 / 48_000.0 * PULL as f64;
        self.stats.current_delay_ms = level as f64 / 48.0;
        self.stats.target_delay_ms = self.jitter.margin_ms() + 10.0;
        if self.levels.len() == LEVEL_WINDOW {
            self.levels.pop_front();
        }
        self.levels.push_back(level - PULL as i64);
        if !made_up {
            self.concealed_pulls = 0;
            return Playout::Sound;
        }
        if self.concealed_pulls == 0 && !self.in_dtx {
            self.stats.concealment_events += 1;
        }
        self.concealed_pulls = self.concealed_pulls.saturating_add(1);
        if !self.in_dtx {
            self.stats.concealed_samples += PULL as u64;
        }
        let over = self.concealed_pulls.saturating_sub(FADE_FROM);
        if over >= FADE_PULLS {
            output.fill(0);
            return Playout::Silence;
        }
        for sample in output.iter_mut() {
            *sample = (i32::from(*sample) * (FADE_PULLS - over) as i32 / FADE_PULLS as i32) as i16;
        }
        Playout::Concealed
    }

    /// Samples per channel that wait, decoded or not.
    fn buffered(&self) -> i64 {
        let decoded = (self.samples.len() / self.channels) as i64;
        let stored: i64 = self.packets.values().map(|packet| packet.samples).sum();
        decoded + stored
    }

    fn start_over(&mut self, timestamp: i64, sequence: u64) {
        self.packets.clear();
        self.jitter.reset();
        self.levels.clear();
        self.play_timestamp = timestamp;
        self.last_timestamp = timestamp;
        self.next_sequence = sequence;
        self.credit = 0;
    }

    /// Removes or adds a little when the lowest fill level of the last half second is off the margin.
    fn adapt(&mut self) {
        if self.levels.len() < LEVEL_WINDOW {
            return;
        }
        let lowest = self.levels.iter().copied().min().unwrap_or(0) as f64 / 48.0;
        let margin = self.jitter.margin_ms();
        let far = lowest > 4.0 * margin + 100.0;
        let changed = if lowest > margin + SLACK_MS {
            while self.samples.len() < stretch::NEEDED * self.channels && !self.packets.is_empty() {
                self.decode_more();
            }
            let removed = stretch::accelerate(&mut self.samples, self.channels, far);
            self.stats.removed_samples += removed as u64;
            -(removed as i64)
        } else if lowest < margin - 20.0 && self.samples.len() >= stretch::NEEDED * self.channels {
            let added = stretch::expand(&mut self.samples, self.channels);
            self.stats.inserted_samples += added as u64;
            added as i64
        } else {
            0
        };
        // The past levels stand as if the change had been there all along.
        self.levels.iter_mut().for_each(|level| *level += changed);
    }

    /// Decodes one packet or makes up for a missing one. True if it was made up.
    fn decode_more(&mut self) -> bool {
        let Some((&sequence, first)) = self.packets.first_key_value() else {
            self.credit = (self.credit + PULL as i64).min(MAX_GAP);
            return self.conceal(PULL);
        };
        let mut gap = first.timestamp - self.play_timestamp;
        let covered = gap.clamp(0, self.credit);
        self.credit -= covered;
        self.play_timestamp += covered;
        gap -= covered;
        if gap > MAX_GAP {
            self.play_timestamp = first.timestamp;
            gap = 0;
        }
        if gap > 0 {
            let lost = sequence > self.next_sequence;
            let whole = gap % 120 == 0 && gap <= self.last_samples as i64;
            if lost && whole {
                // The packet after the hole may carry the lost one in its in-band FEC.
                let count = gap as usize;
                let room = &mut self.scratch[..count * self.channels];
                let payload = first.payload.clone();
                self.play_timestamp += gap;
                if let Ok(decoded) = self.decoder.decode_fec(&payload, room) {
                    self.samples
                        .extend(&self.scratch[..decoded * self.channels]);
                    self.stats.fec_samples += decoded as u64;
                    return true;
                }
                return self.conceal(count);
            }
            let count = (gap.min(if lost {
                self.last_samples as i64
            } else {
                PULL as i64
            }) as usize)
                .next_multiple_of(120);
            self.play_timestamp += count as i64;
            return self.conceal(count);
        }
        self.credit = 0;
        let Some((sequence, packet)) = self.packets.pop_first() else {
            return false;
        };
        self.next_sequence = sequence + 1;
        if packet.timestamp + packet.samples <= self.play_timestamp {
            // Its time was filled already; decoding keeps the decoder's state right, the sound is not used.
            let _ = self.decoder.decode(&packet.payload, &mut self.scratch);
            self.stats.packets_discarded += 1;
            return false;
        }
        self.play_timestamp = packet.timestamp + packet.samples;
        self.last_samples = packet.samples as usize;
        self.in_dtx = packet.payload.len() <= 2;
        match self.decoder.decode(&packet.payload, &mut self.scratch) {
            Ok(decoded) if decoded > 0 => {
                self.samples
                    .extend(&self.scratch[..decoded * self.channels]);
                false
            }
            _ => {
                self.stats.decode_errors += 1;
                self.conceal(packet.samples as usize)
            }
        }
    }

    fn conceal(&mut self, count: usize) -> bool {
        let length = count * self.channels;
        // After the fade nothing is heard, so nothing is worth computing.
        let silent = self.concealed_pulls >= FADE_FROM + FADE_PULLS && !self.in_dtx;
        let room = &mut self.scratch[..length];
        if silent || self.decoder.conceal(room).is_err() {
            room.fill(0);
        }
        self.samples.extend(&self.scratch[..length]);
        true
    }
}
