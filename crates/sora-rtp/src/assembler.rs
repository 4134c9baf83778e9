//! RTP packets to whole pictures in decode order.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{RtpPacket, VideoCodecType};

mod part;
mod references;

use part::{Part, join};
use references::{Dependency, References, Verdict};

/// Bounds of a [`FrameAssembler`].
#[derive(Debug, Clone, Copy)]
pub struct AssemblerLimits {
    /// Packets kept while waiting for a missing one; past it the gap counts as lost.
    pub max_packets: usize,
    /// How long a gap may stay open, measured with arrival times.
    pub max_gap: Duration,
}

impl Default for AssemblerLimits {
    fn default() -> Self {
        Self { max_packets: 2048, max_gap: Duration::from_millis(200) }
    }
}

/// A whole picture as the decoder takes it.
#[derive(Debug, Clone)]
pub struct AssembledFrame {
    /// The codec's bitstream without payload descriptors. If a VP9 picture has several layer frames, they are one
    /// superframe with its index behind them (VP9 bitstream specification annex B).
    pub data: Bytes,
    /// RTP timestamp (90 kHz).
    pub timestamp: u32,
    /// True if decoding can start here.
    pub key_frame: bool,
    /// Sequence number of its first packet.
    pub first_seq: u64,
    /// Sequence number of its last packet.
    pub last_seq: u64,
    /// Arrival of its last packet to come.
    pub arrival: Instant,
    /// Picture ID of the payload descriptor, if any.
    pub picture_id: Option<u16>,
}

/// What a [`FrameAssembler`] has to say.
#[derive(Debug, Clone)]
pub enum AssemblerEvent {
    /// The next picture to decode.
    Frame(AssembledFrame),
    /// Decoding cannot go on without a key frame; pictures are dropped until one comes.
    /// Repeated every [`AssemblerLimits::max_gap`] while packets arrive and none of them starts a key frame.
    KeyFrameNeeded,
}

/// Counters of a [`FrameAssembler`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AssemblerStats {
    /// Packets that came, of any kind.
    pub packets: u64,
    /// Packets that came twice or after their place had been passed.
    pub discarded: u64,
    /// Packets whose descriptor could not be read.
    pub malformed: u64,
    /// Packets dropped unused because of a gap.
    pub dropped: u64,
    /// Pictures handed out.
    pub frames: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Times that a gap did not fill.
    pub gaps: u64,
}

enum Scan {
    /// Complete picture from the position to this last sequence number.
    Complete(u64),
    /// A packet is missing, or the end has not come yet.
    Open,
    /// Present packets do not form a picture.
    Broken,
}

/// Reorders, removes duplicates, finds picture boundaries and notices when decoding cannot continue.
///
/// A decoder fed with nothing else never works from a missing reference: every picture handed out is a key frame, or
/// directly follows the one handed out before it, or is known to depend only on pictures handed out since the last
/// key frame.
///
/// The last is so for temporal layers. VP8 (RFC 7741 section 4.2) tells it by TL0PICIDX, TID and the Y bit, VP9 (RFC
/// 9628 section 4.2) by TL0PICIDX, TID, the U bit and the picture group, or by the P_DIFFs of flexible mode. When a gap
/// has not filled in time and no picture of the base layer was in it, the stream goes on behind it, without those
/// pictures of higher layers that may depend on what was lost.
#[derive(Debug)]
pub struct FrameAssembler {
    codec: VideoCodecType,
    limits: AssemblerLimits,
    parts: BTreeMap<u64, Part>,
    /// First sequence number that has not been consumed; `None` while waiting for a key frame.
    next: Option<u64>,
    /// Sequence numbers below this are past.
    floor: u64,
    gap_since: Option<Instant>,
    asked_at: Option<Instant>,
    references: References,
    events: VecDeque<AssemblerEvent>,
    stats: AssemblerStats,
}

impl FrameAssembler {
    /// An assembler that waits for the first key frame.
    #[must_use]
    pub fn new(codec: VideoCodecType, limits: AssemblerLimits) -> Self {
        Self {
            codec,
            limits,
            parts: BTreeMap::new(),
            next: None,
            floor: 0,
            gap_since: None,
            asked_at: None,
            references: References::default(),
            events: VecDeque::new(),
            stats: AssemblerStats::default(),
        }
    }

    /// The codec whose payload format is read.
    #[must_use]
    pub const fn codec(&self) -> VideoCodecType {
        self.codec
    }

    /// Counters so far.
    #[must_use]
    pub const fn stats(&self) -> AssemblerStats {
        self.stats
    }

    /// Takes a packet; afterwards [`Self::poll`] until it returns `None`.
    pub fn push(&mut self, packet: RtpPacket) {
        let now = packet.arrival;
        self.stats.packets += 1;
        if packet.sequence < self.floor || self.parts.contains_key(&packet.sequence) {
            self.stats.discarded += 1;
            return;
        }
        let sequence = packet.sequence;
        let part = Part::read(self.codec, packet);
        self.stats.malformed += u64::from(part.data.is_none());
        self.parts.insert(sequence, part);
        self.advance(now);
    }

    /// Gives up gaps that are too old; call at [`Self::next_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When [`Self::handle_timeout`] has something to do, if ever.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.gap_since.map(|since| since + self.limits.max_gap)
    }

    /// The next event, in order.
    pub fn poll(&mut self) -> Option<AssemblerEvent> {
        self.events.pop_front()
    }

    /// Forgets everything and waits for a key frame, for example after a decoder error.
    pub fn reset_to_key_frame(&mut self, now: Instant) {
        if self.next.take().is_some() {
            self.gap_since = None;
            self.ask(now);
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Instant) {
        loop {
            let Some(next) = self.next else {
                if self.resync(now) {
                    continue;
                }
                break;
            };
            match self.parts.get(&next) {
                Some(part) if part.is_padding() => {
                    self.parts.remove(&next);
                    self.pass(next + 1);
                    continue;
                }
                Some(_) => {}
                None if self.parts.is_empty() => {
                    self.gap_since = None;
                    break;
                }
                None => {
                    if self.gap(now) {
                        continue;
                    }
                    break;
                }
            }
            match self.scan(next).0 {
                Scan::Complete(last) => self.settle(next, last, now),
                Scan::Open => {
                    // The newest picture is simply not finished yet; only a hole below newer packets is a gap.
                    let hole = self.first_hole(next);
                    let newest = self.parts.last_key_value().map_or(next, |(&seq, _)| seq);
                    if hole > newest && self.parts.len() <= self.limits.max_packets {
                        self.gap_since = None;
                        break;
                    }
                    if !self.gap(now) {
                        break;
                    }
                }
                Scan::Broken => {
                    self.drop_before(next + 1);
                    self.lose(now);
                }
            }
        }
    }

    fn first_hole(&self, from: u64) -> u64 {
        let mut expected = from;
        for &sequence in self.parts.range(from..).map(|(sequence, _)| sequence) {
            if sequence != expected {
                break;
            }
            expected += 1;
        }
        expected
    }

    /// A hole is in the way. True if the state changed and the loop should look again.
    fn gap(&mut self, now: Instant) -> bool {
        let since = self.gap_since.unwrap_or_else(|| self.noticed(now));
        self.gap_since = Some(since);
        if let Some(first) = self.complete_key_frame() {
            // A later key frame is already whole: nothing before it is worth waiting for.
            self.stats.gaps += 1;
            self.drop_before(first);
            self.next = Some(first);
            self.gap_since = None;
            return true;
        }
        let old = now.saturating_duration_since(since) >= self.limits.max_gap;
        if old || self.parts.len() > self.limits.max_packets {
            if !self.skip() {
                self.lose(now);
            }
            return true;
        }
        false
    }

    /// Since when the hole in the way has been one. Behind a skipped one the next may be as old, and pictures should
    /// not pile up.
    fn noticed(&self, now: Instant) -> Instant {
        let hole = self.next.filter(|_| self.references.has_holes()).map(|next| self.first_hole(next));
        let behind = hole.and_then(|hole| self.parts.range(hole..).next());
        behind.map_or(now, |(_, part)| part.arrival.min(now))
    }

    /// Goes on behind the hole if what is lost may be only pictures that no others need. What follows is looked at
    /// picture by picture.
    fn skip(&mut self) -> bool {
        let Some(next) = self.next else { return false };
        let behind = self.parts.range(self.first_hole(next)..).find(|(_, part)| part.surely_begins);
        let Some((&first, part)) = behind.filter(|(_, part)| !part.key) else { return false };
        let Some(dependency) = &part.dependency else { return false };
        self.references.lose(first - next);
        if self.references.judge(&[dependency]) == Verdict::Lost {
            return false;
        }
        self.stats.gaps += 1;
        self.drop_before(first);
        self.next = Some(first);
        self.gap_since = None;
        true
    }

    /// A whole picture is next: hands it out if a decoder has all that it depends on.
    fn settle(&mut self, first: u64, last: u64, now: Instant) {
        let key_frame = self.is_key_frame(first, last);
        let parts = self.parts.range(first..=last);
        let layers: Vec<&Dependency> = parts.filter_map(|(_, part)| part.dependency.as_deref()).collect();
        let verdict = if key_frame { Verdict::Decodable } else { self.references.judge(&layers) };
        match verdict {
            Verdict::Decodable => {
                self.references.take(&layers, key_frame);
                self.emit(first, last, key_frame);
            }
            Verdict::Droppable => {
                self.references.drop_picture();
                self.drop_before(last + 1);
                self.pass(last + 1);
            }
            Verdict::Lost => self.lose(now),
        }
    }

    fn is_key_frame(&self, first: u64, last: u64) -> bool {
        let parts = || self.parts.range(first..=last).map(|(_, part)| part);
        parts().any(|part| part.key) && parts().any(|part| part.intra)
    }

    fn lose(&mut self, now: Instant) {
        self.stats.gaps += 1;
        self.next = None;
        self.gap_since = None;
        // Never look at the broken start again.
        if let Some((&first, part)) = self.parts.first_key_value()
            && !part.key
        {
            self.drop_before(first + 1);
        }
        self.ask(now);
    }

    fn ask(&mut self, now: Instant) {
        let due = self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= self.limits.max_gap);
        let queued = matches!(self.events.back(), Some(AssemblerEvent::KeyFrameNeeded));
        if due && !queued {
            self.asked_at = Some(now);
            self.events.push_back(AssemblerEvent::KeyFrameNeeded);
        }
    }

    /// Looks for a whole key frame while there is nothing to continue from.
    fn resync(&mut self, now: Instant) -> bool {
        if let Some(first) = self.complete_key_frame() {
            self.drop_before(first);
            self.next = Some(first);
            self.gap_since = None;
            self.asked_at = None;
            return true;
        }
        // Only a key frame on its way is worth keeping packets for.
        let coming = self.parts.iter().find(|(_, part)| part.key).map(|(&sequence, _)| sequence);
        let Some(first) = coming else {
            // The start of a key frame may still be on its way behind these packets, so a few are kept.
            while self.parts.len() > self.limits.max_packets / 4 {
                self.parts.pop_first();
                self.stats.dropped += 1;
            }
            if !self.parts.is_empty() {
                self.ask(now);
            }
            return false;
        };
        self.drop_before(first);
        let (scan, end) = self.scan(first);
        if matches!(scan, Scan::Complete(_)) {
            // Parameter sets, but nothing to start with (H.265).
            self.drop_before(end);
            return true;
        }
        let arrived = self.parts.get(&first).map_or(now, |part| part.arrival);
        if now.saturating_duration_since(arrived) >= self.limits.max_gap || self.parts.len() > self.limits.max_packets {
            self.drop_before(end);
            self.stats.gaps += 1;
            self.ask(now);
            return true;
        }
        self.gap_since.get_or_insert(arrived);
        false
    }

    fn complete_key_frame(&self) -> Option<u64> {
        let starts = self.parts.iter().filter(|(_, part)| part.key).map(|(&first, _)| first);
        // A start within a picture that led nowhere leads to the same place: each packet is walked over once.
        let mut walked = 0;
        for first in starts {
            if first < walked {
                continue;
            }
            let (scan, end) = self.scan(first);
            if matches!(scan, Scan::Complete(last) if self.is_key_frame(first, last)) {
                return Some(first);
            }
            walked = end;
        }
        None
    }

    /// Walks one picture from its first packet. Also where the walk ended: behind the packets that it found to belong
    /// together, and behind the first in any case.
    fn scan(&self, first: u64) -> (Scan, u64) {
        let Some(start) = self.parts.get(&first) else {
            return (Scan::Open, first + 1);
        };
        if !start.begins || start.data.is_none() {
            return (Scan::Broken, first + 1);
        }
        let mut previous: Option<u64> = None;
        let mut unfinished = false;
        let complete =
            |last: u64, unfinished: bool| (if unfinished { Scan::Broken } else { Scan::Complete(last) }, last + 1);
        for (expected, (&sequence, part)) in (first..).zip(self.parts.range(first..)) {
            if sequence != expected {
                return (Scan::Open, expected);
            }
            if part.is_padding() || part.timestamp != start.timestamp {
                // No marker, yet something else follows: the picture ended before it.
                return previous.map_or((Scan::Broken, first + 1), |last| complete(last, unfinished));
            }
            // In H.264 and H.265 other units may stand before the one that makes it a key frame.
            let units = matches!(self.codec, VideoCodecType::H264 | VideoCodecType::H265);
            let second_start = part.key && sequence != first && !units;
            if part.data.is_none() || second_start || part.continues != unfinished {
                return (Scan::Broken, sequence.max(first + 1));
            }
            unfinished = part.unfinished;
            if part.ends {
                return complete(sequence, unfinished);
            }
            previous = Some(sequence);
        }
        (Scan::Open, previous.unwrap_or(first) + 1)
    }

    fn emit(&mut self, first: u64, last: u64, key_frame: bool) {
        let later = self.parts.split_off(&(last + 1));
        let parts = std::mem::replace(&mut self.parts, later);
        self.pass(last + 1);
        let Some(start) = parts.get(&first) else {
            return;
        };
        let (timestamp, picture_id) = (start.timestamp, start.picture_id);
        let arrival = parts.values().map(|part| part.arrival).max().unwrap_or(start.arrival);
        let Some(data) = join(self.codec, parts) else {
            self.stats.malformed += 1;
            return self.lose(arrival);
        };
        self.stats.frames += 1;
        self.stats.key_frames += u64::from(key_frame);
        self.events.push_back(AssemblerEvent::Frame(AssembledFrame {
            data,
            timestamp,
            key_frame,
            first_seq: first,
            last_seq: last,
            arrival,
            picture_id,
        }));
    }

    fn pass(&mut self, next: u64) {
        self.next = Some(next);
        self.floor = next;
        self.gap_since = None;
    }

    fn drop_before(&mut self, sequence: u64) {
        let kept = self.parts.split_off(&sequence);
        self.stats.dropped += self.parts.len() as u64;
        self.parts = kept;
        self.floor = self.floor.max(sequence);
    }
}
