//! RTP packets to whole pictures in decode order.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::{
    PayloadError, RtpPacket, UnsupportedPayloadFormat, VideoCodecType, Vp8Descriptor, Vp9Descriptor, av1, h264, vp8,
    vp9,
};

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
    /// The codec's bitstream without payload descriptors.
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

/// What a packet brings to its picture.
#[derive(Debug)]
enum Data {
    /// A piece of the bitstream; empty for padding.
    Piece(Bytes),
    /// Pieces that only make a bitstream together.
    Av1(av1::Av1Part),
}

#[derive(Debug)]
struct Part {
    timestamp: u32,
    begins: bool,
    ends: bool,
    key: bool,
    /// It begins in the middle of a unit of the packet before (H.264, AV1).
    continues: bool,
    /// Its last unit goes on in the packet behind (H.264, AV1).
    unfinished: bool,
    picture_id: Option<u16>,
    arrival: Instant,
    /// `None` for a packet that cannot be read; a picture containing one is broken.
    data: Option<Data>,
}

impl Part {
    fn is_padding(&self) -> bool {
        matches!(&self.data, Some(Data::Piece(piece)) if piece.is_empty())
    }
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
/// Every picture handed out is either a key frame or directly follows the one handed out before it, so a decoder
/// fed with nothing else never works from a missing reference.
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
    events: VecDeque<AssemblerEvent>,
    stats: AssemblerStats,
}

impl FrameAssembler {
    /// An assembler that waits for the first key frame.
    ///
    /// # Errors
    /// [`UnsupportedPayloadFormat`] for H.265.
    pub fn new(codec: VideoCodecType, limits: AssemblerLimits) -> Result<Self, UnsupportedPayloadFormat> {
        if codec == VideoCodecType::H265 {
            return Err(UnsupportedPayloadFormat(codec));
        }
        Ok(Self {
            codec,
            limits,
            parts: BTreeMap::new(),
            next: None,
            floor: 0,
            gap_since: None,
            asked_at: None,
            events: VecDeque::new(),
            stats: AssemblerStats::default(),
        })
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
        let part = match self.read(packet) {
            Ok(part) => part,
            Err((part, _)) => {
                self.stats.malformed += 1;
                part
            }
        };
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

    fn read(&self, packet: RtpPacket) -> Result<Part, (Part, PayloadError)> {
        let mut part = Part {
            timestamp: packet.timestamp,
            begins: false,
            ends: packet.marker,
            key: false,
            continues: false,
            unfinished: false,
            picture_id: None,
            arrival: packet.arrival,
            data: None,
        };
        if packet.payload.is_empty() {
            part.data = Some(Data::Piece(packet.payload));
            return Ok(part);
        }
        match self.codec {
            VideoCodecType::H264 => match h264::read(&packet.payload) {
                Ok(read) => {
                    (part.begins, part.key) = (!read.continues, read.key);
                    (part.continues, part.unfinished) = (read.continues, read.unfinished);
                    part.data = Some(Data::Piece(read.data));
                    return Ok(part);
                }
                Err(error) => return Err((part, error)),
            },
            VideoCodecType::Av1 => match av1::read(&packet.payload) {
                Ok(read) => {
                    (part.begins, part.key) = (!read.continues, read.key);
                    (part.continues, part.unfinished) = (read.continues, read.unfinished);
                    part.data = Some(Data::Av1(read));
                    return Ok(part);
                }
                Err(error) => return Err((part, error)),
            },
            _ => {}
        }
        let parsed = match self.codec {
            VideoCodecType::Vp9 => Vp9Descriptor::parse(&packet.payload).map(|(d, offset)| {
                let base = d.spatial_id.unwrap_or(0) == 0;
                part.begins = d.begins_layer_frame && (base || !d.inter_layer);
                part.picture_id = d.picture_id;
                part.key = part.begins && !d.inter_predicted && vp9::is_key_frame(&packet.payload[offset..]);
                offset
            }),
            _ => Vp8Descriptor::parse(&packet.payload).map(|(d, offset)| {
                part.begins = d.begins_frame();
                part.picture_id = d.picture_id;
                part.key = part.begins && vp8::is_key_frame(&packet.payload[offset..]);
                offset
            }),
        };
        match parsed {
            // A descriptor without data would look like padding inside a picture.
            Ok(offset) if offset < packet.payload.len() => {
                part.data = Some(Data::Piece(packet.payload.slice(offset..)));
                Ok(part)
            }
            Ok(offset) => {
                let error =
                    PayloadError::Truncated { codec: self.codec, needed: offset + 1, actual: packet.payload.len() };
                Err((part, error))
            }
            Err(error) => Err((part, error)),
        }
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
            match self.scan(next) {
                Scan::Complete(last) => self.emit(next, last),
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
        let since = *self.gap_since.get_or_insert(now);
        if let Some((first, _)) = self.complete_key_frame() {
            // A later key frame is already whole: nothing before it is worth waiting for.
            self.stats.gaps += 1;
            self.drop_before(first);
            self.next = Some(first);
            self.gap_since = None;
            return true;
        }
        let old = now.saturating_duration_since(since) >= self.limits.max_gap;
        if old || self.parts.len() > self.limits.max_packets {
            self.lose(now);
            return true;
        }
        false
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
        if let Some((first, _)) = self.complete_key_frame() {
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
        let arrived = self.parts.get(&first).map_or(now, |part| part.arrival);
        if now.saturating_duration_since(arrived) >= self.limits.max_gap || self.parts.len() > self.limits.max_packets {
            self.drop_before(first + 1);
            self.stats.gaps += 1;
            self.ask(now);
            return true;
        }
        self.gap_since.get_or_insert(arrived);
        false
    }

    fn complete_key_frame(&self) -> Option<(u64, u64)> {
        self.parts.iter().filter(|(_, part)| part.key).find_map(|(&first, _)| match self.scan(first) {
            Scan::Complete(last) => Some((first, last)),
            Scan::Open | Scan::Broken => None,
        })
    }

    /// Walks one picture from its first packet.
    fn scan(&self, first: u64) -> Scan {
        let Some(start) = self.parts.get(&first) else {
            return Scan::Open;
        };
        if !start.begins || start.data.is_none() {
            return Scan::Broken;
        }
        let mut previous: Option<u64> = None;
        let mut unfinished = false;
        let complete = |last: u64, unfinished: bool| if unfinished { Scan::Broken } else { Scan::Complete(last) };
        for (expected, (&sequence, part)) in (first..).zip(self.parts.range(first..)) {
            if sequence != expected {
                return Scan::Open;
            }
            if part.is_padding() || part.timestamp != start.timestamp {
                // No marker, yet something else follows: the picture ended before it.
                return previous.map_or(Scan::Broken, |last| complete(last, unfinished));
            }
            // In H.264 other units may stand before the one that makes it a key frame.
            let second_start = part.key && sequence != first && self.codec != VideoCodecType::H264;
            if part.data.is_none() || second_start || part.continues != unfinished {
                return Scan::Broken;
            }
            unfinished = part.unfinished;
            if part.ends {
                return complete(sequence, unfinished);
            }
            previous = Some(sequence);
        }
        Scan::Open
    }

    fn emit(&mut self, first: u64, last: u64) {
        let later = self.parts.split_off(&(last + 1));
        let parts = std::mem::replace(&mut self.parts, later);
        self.pass(last + 1);
        let Some(start) = parts.get(&first) else {
            return;
        };
        let (timestamp, picture_id) = (start.timestamp, start.picture_id);
        let key_frame = parts.values().any(|part| part.key);
        let arrival = parts.values().map(|part| part.arrival).max().unwrap_or(start.arrival);
        let Some(data) = join(parts) else {
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

/// The bitstream of a whole picture; `None` if what looked whole is none.
fn join(parts: BTreeMap<u64, Part>) -> Option<Bytes> {
    let (mut pieces, mut av1_parts) = (Vec::new(), Vec::new());
    for data in parts.into_values().filter_map(|part| part.data) {
        match data {
            Data::Piece(piece) => pieces.push(piece),
            Data::Av1(part) => av1_parts.push(part),
        }
    }
    if !av1_parts.is_empty() {
        return av1::join(&av1_parts);
    }
    if pieces.len() == 1 {
        return pieces.pop();
    }
    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
    Some(joined.freeze())
}
