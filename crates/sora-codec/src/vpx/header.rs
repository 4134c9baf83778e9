//! The part of VP8 and VP9 frame headers that decides how much memory a decoder takes.

use super::VpxCodec;

/// What a frame header says before anything is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) key_frame: bool,
    /// VP9 profile (0 to 3); VP8 0.
    pub(super) profile: u8,
    /// Width and height if written in this frame.
    pub(super) size: Option<(u32, u32)>,
}

/// Reads the header of one frame; `None` if it is no such frame.
pub(super) fn parse(kind: VpxCodec, data: &[u8]) -> Option<FrameHeader> {
    match kind {
        VpxCodec::Vp8 => vp8(data),
        VpxCodec::Vp9 => vp9(data),
    }
}

/// RFC 6386 section 9.1.
fn vp8(data: &[u8]) -> Option<FrameHeader> {
    let key_frame = data.first()? & 1 == 0;
    if !key_frame {
        return Some(FrameHeader { key_frame, profile: 0, size: None });
    }
    if data.get(3..6)? != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let size = |at: usize| Some(u32::from(u16::from_le_bytes([*data.get(at)?, *data.get(at + 1)?]) & 0x3fff));
    Some(FrameHeader { key_frame, profile: 0, size: Some((size(6)?, size(8)?)) })
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.data.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    fn size(&mut self) -> Option<(u32, u32)> {
        Some((self.take(16)? + 1, self.take(16)? + 1))
    }
}

/// VP9 bitstream specification section 6.2, uncompressed header.
fn vp9(data: &[u8]) -> Option<FrameHeader> {
    let mut bits = Bits { data, at: 0 };
    if bits.take(2)? != 2 {
        return None;
    }
    let profile = (bits.take(1)? | bits.take(1)? << 1) as u8;
    if profile == 3 {
        bits.take(1)?;
    }
    if bits.flag()? {
        return Some(FrameHeader { key_frame: false, profile, size: None });
    }
    let key_frame = !bits.flag()?;
    let shown = bits.flag()?;
    let error_resilient = bits.flag()?;
    if key_frame {
        bits.take(24)?;
        color_config(&mut bits, profile)?;
        return Some(FrameHeader { key_frame, profile, size: Some(bits.size()?) });
    }
    let intra_only = !shown && bits.flag()?;
    if !error_resilient {
        bits.take(2)?;
    }
    if intra_only {
        bits.take(24)?;
        if profile > 0 {
            color_config(&mut bits, profile)?;
        }
        bits.take(8)?;
        return Some(FrameHeader { key_frame, profile, size: Some(bits.size()?) });
    }
    bits.take(8 + 3 * 4)?;
    for _ in 0..3 {
        if bits.flag()? {
            return Some(FrameHeader { key_frame, profile, size: None });
        }
    }
    Some(FrameHeader { key_frame, profile, size: Some(bits.size()?) })
}

fn color_config(bits: &mut Bits<'_>, profile: u8) -> Option<()> {
    if profile >= 2 {
        bits.take(1)?;
    }
    let srgb = bits.take(3)? == 7;
    if !srgb {
        bits.take(1)?;
    }
    if profile == 1 || profile == 3 {
        bits.take(if srgb { 1 } else { 3 })?;
    }
    Some(())
}

/// The frames of a VP9 superframe (specification annex B); the whole data if it is none.
pub(super) fn vp9_frames(data: &[u8]) -> Vec<&[u8]> {
    let whole = vec![data];
    let Some(&marker) = data.last() else {
        return Vec::new();
    };
    if marker & 0xe0 != 0xc0 {
        return whole;
    }
    let frames = usize::from(marker & 7) + 1;
    let bytes = usize::from(marker >> 3 & 3) + 1;
    let index = 2 + bytes * frames;
    if data.len() < index || data[data.len() - index] != marker {
        return whole;
    }
    let mut rest = &data[..data.len() - index];
    let sizes = &data[data.len() - index + 1..data.len() - 1];
    let mut parts = Vec::with_capacity(frames);
    for size in sizes.chunks_exact(bytes) {
        let size = size.iter().rev().fold(0usize, |sum, &byte| sum << 8 | usize::from(byte));
        let Some((part, after)) = rest.split_at_checked(size) else {
            return whole;
        };
        if !part.is_empty() {
            parts.push(part);
        }
        rest = after;
    }
    parts
}

/// Writes frames as one superframe, with an index also for a single one. Without an index libvpx takes what a frame
/// leaves over for the next one, whose header nobody has looked at; with it, it decodes the frames named and no more.
/// False if they do not fit one.
pub(super) fn write_superframe(frames: &[&[u8]], out: &mut Vec<u8>) -> bool {
    out.clear();
    let largest = frames.iter().map(|frame| frame.len()).max().unwrap_or(0);
    let (Ok(largest), 1..=8) = (u32::try_from(largest), frames.len()) else {
        return false;
    };
    let bytes = (u32::BITS - largest.leading_zeros()).div_ceil(8).max(1) as usize;
    let marker = 0xc0 | (bytes as u8 - 1) << 3 | (frames.len() as u8 - 1);
    frames.iter().for_each(|frame| out.extend_from_slice(frame));
    out.push(marker);
    frames.iter().for_each(|frame| out.extend_from_slice(&(frame.len() as u32).to_le_bytes()[..bytes]));
    out.push(marker);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vp8_key_frame_size_is_read() {
        let data = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x41, 0x01, 0xf1, 0x40];
        let header = parse(VpxCodec::Vp8, &data).expect("key frame");
        assert_eq!(header.size, Some((321, 241)));
        assert_eq!(parse(VpxCodec::Vp8, &data[..9]), None);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let (long, mut out) = (vec![7; 70_000], Vec::new());
        for frames in [vec![&[1_u8, 2][..]], vec![&[1, 2], &[3]], vec![&[5; 300], &long, &[6; 9]], vec![&[1]; 8]] {
            assert!(write_superframe(&frames, &mut out));
            assert_eq!(vp9_frames(&out), frames);
        }
        assert!(!write_superframe(&[], &mut out));
        assert!(!write_superframe(&[&[1_u8][..]; 9], &mut out));
    }

    #[test]
    fn superframe_index_is_split() {
        let data = [1, 2, 3, 4, 5, 0xc1, 2, 3, 0xc1];
        assert_eq!(vp9_frames(&data), [&[1u8, 2][..], &[3, 4, 5]]);
        assert_eq!(vp9_frames(&[1, 2, 3]), [&[1u8, 2, 3][..]]);
        assert_eq!(vp9_frames(&[0xc1, 9, 9, 0xc1]).len(), 1);
    }
}
