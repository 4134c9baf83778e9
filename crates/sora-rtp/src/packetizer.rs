//! Encoded pictures to RTP payloads.

use bytes::{BufMut, Bytes, BytesMut};

use crate::vp8::{Vp8Descriptor, Vp8Layer};
use crate::vp9::{self, Layers, Vp9Packet};
use crate::{PictureInfo, SpatialLayer, TemporalLayer, VideoCodecType, av1, h264, h265};

/// Payload bytes that fit a 1200 byte datagram with SRTP, header extensions and RTX.
pub const DEFAULT_MAX_PAYLOAD: usize = 1160;

/// Cuts encoded pictures of one stream into RTP payloads of nearly equal size.
///
/// All payloads of a VP8 or VP9 layer frame share one allocation, filled in one pass.
#[derive(Debug)]
pub struct VideoPacketizer {
    codec: VideoCodecType,
    max_payload: usize,
    picture_id: u16,
    tl0_pic_idx: u8,
    /// Temporal layers announced by the last VP9 key frame, and the place of the next picture in their pattern;
    /// no layers if only a key frame can follow.
    pattern: Option<(u8, usize)>,
}

impl VideoPacketizer {
    /// A packetizer whose payloads have at most `max_payload` bytes (clamped to 100 to 65 000).
    #[must_use]
    pub fn new(codec: VideoCodecType, max_payload: usize) -> Self {
        Self { codec, max_payload: max_payload.clamp(100, 65_000), picture_id: 0, tl0_pic_idx: 0, pattern: None }
    }

    /// The codec whose payload format is written.
    #[must_use]
    pub const fn codec(&self) -> VideoCodecType {
        self.codec
    }

    /// Payloads of one picture in sending order; none for an empty picture. The marker bit belongs to the last one.
    ///
    /// H.264 and H.265 are taken as Annex B, AV1 in the low-overhead format; what cannot be read gives no payloads.
    /// Nor does a VP8 or VP9 picture whose layers make no sense: a temporal layer that is not one of the stream, or
    /// not what the pattern of VP9 has next, lengths that do not add up. Nothing of it may be sent then, and the next
    /// picture has to be a key frame. The payloads of the other codecs do not show layers.
    pub fn packetize(&mut self, frame: &[u8], picture: &PictureInfo) -> Vec<Bytes> {
        if frame.is_empty() {
            return Vec::new();
        }
        match self.codec {
            VideoCodecType::H264 => h264::packetize(frame, self.max_payload),
            VideoCodecType::H265 => h265::packetize(frame, self.max_payload),
            VideoCodecType::Av1 => av1::packetize(frame, self.max_payload),
            VideoCodecType::Vp8 => self.vp8(frame, picture),
            VideoCodecType::Vp9 => self.vp9(frame, picture),
        }
    }

    /// Goes on as if so many pictures had been packetized that nobody gets: of the highest temporal layer, or all up to
    /// the next key frame. Receivers see the gap in the picture ids of VP8 and VP9.
    pub fn skip(&mut self, pictures: u64) {
        self.picture_id = (u64::from(self.picture_id) + pictures) as u16 & 0x7fff;
        if let Some((count, place)) = &mut self.pattern
            && let Some(pattern) = vp9::pattern(*count)
        {
            *place = ((*place as u64 + pictures) % pattern.len() as u64) as usize;
        }
    }

    fn vp8(&mut self, frame: &[u8], picture: &PictureInfo) -> Vec<Bytes> {
        if picture.temporal.is_some_and(|layer| layer.id > 3 || !is_sound(layer, picture.key_frame)) {
            return Vec::new();
        }
        let layer = picture.temporal.map(|layer| Vp8Layer {
            tl0_pic_idx: self.count_base(layer.id),
            temporal_id: layer.id,
            layer_sync: layer.switching_up,
        });
        let lengths = (Vp8Descriptor::written_len(layer.is_some()), 0);
        let mut payloads = Vec::new();
        cut(frame, self.max_payload, lengths, &mut payloads, |first, _, buffer| {
            Vp8Descriptor::write(self.picture_id, first, layer, buffer);
        });
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        payloads
    }

    fn vp9(&mut self, frame: &[u8], picture: &PictureInfo) -> Vec<Bytes> {
        let layered = picture.temporal.is_some() || !picture.spatial.is_empty();
        if !self.follows_pattern(picture) || !are_sound(&picture.spatial, frame.len()) {
            self.pattern = Some((0, 0));
            return Vec::new();
        }
        let whole =
            [SpatialLayer { len: frame.len(), width: picture.width, height: picture.height, inter_layer: false }];
        let spatial = if picture.spatial.is_empty() { &whole[..] } else { &picture.spatial };
        let temporal = picture.temporal.unwrap_or_default();
        let tl0_pic_idx = if layered { self.count_base(temporal.id) } else { 0 };
        let structure = match picture.key_frame {
            true if layered => vp9::structure(spatial, temporal.count),
            true => vp9::plain_structure(picture.width, picture.height),
            false => Vec::new(),
        };
        let (mut payloads, mut rest) = (Vec::new(), frame);
        for (index, layer) in spatial.iter().enumerate() {
            let (data, after) = rest.split_at(layer.len);
            rest = after;
            let extra: &[u8] = if index == 0 { &structure } else { &[] };
            let upper = spatial.get(index + 1).is_some_and(|upper| upper.inter_layer);
            let packet = Vp9Packet {
                picture_id: self.picture_id,
                key_frame: picture.key_frame,
                not_a_reference: !picture.spatial.is_empty() && !upper,
                layers: layered.then_some(Layers {
                    temporal_id: temporal.id,
                    switching_up: temporal.switching_up,
                    spatial_id: index as u8,
                    inter_layer: index > 0 && layer.inter_layer,
                    tl0_pic_idx,
                }),
            };
            let lengths = (packet.written_len(), extra.len());
            cut(data, self.max_payload, lengths, &mut payloads, |first, last, buffer| {
                packet.write(first, last, if first { extra } else { &[] }, buffer);
            });
        }
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        payloads
    }

    /// TL0PICIDX of the next picture.
    const fn count_base(&mut self, temporal_id: u8) -> u8 {
        if temporal_id == 0 {
            self.tl0_pic_idx = self.tl0_pic_idx.wrapping_add(1);
        }
        self.tl0_pic_idx
    }

    /// Receivers of non-flexible mode take the dependencies of a picture from its place in the picture group
    /// (RFC 9628 section 4.2.1), so it has to be there.
    fn follows_pattern(&mut self, picture: &PictureInfo) -> bool {
        let Some(layer) = picture.temporal else {
            // Without temporal layers every picture follows the one before.
            let begins = picture.key_frame || self.pattern.is_none_or(|(count, _)| count == 1);
            self.pattern = Some((1, 0));
            return begins;
        };
        let Some(pattern) = vp9::pattern(layer.count) else { return false };
        let place = match self.pattern {
            _ if picture.key_frame => 0,
            Some((count, place)) if count == layer.count => place,
            _ => return false,
        };
        self.pattern = Some((layer.count, (place + 1) % pattern.len()));
        is_sound(layer, picture.key_frame) && pattern[place].temporal_id == layer.id
    }
}

const fn is_sound(layer: TemporalLayer, key_frame: bool) -> bool {
    layer.id < layer.count && !(key_frame && layer.id > 0)
}

fn are_sound(layers: &[SpatialLayer], total: usize) -> bool {
    let sum = layers.iter().try_fold(0_usize, |sum, layer| sum.checked_add(layer.len));
    layers.is_empty() || (layers.len() <= 8 && sum == Some(total) && layers.iter().all(|layer| layer.len > 0))
}

/// Cuts one layer frame into nearly equal payloads. `lengths` are those of the descriptor and of what else the first
/// one has; `write` writes both.
fn cut(
    frame: &[u8],
    max_payload: usize,
    (descriptor, first_extra): (usize, usize),
    payloads: &mut Vec<Bytes>,
    mut write: impl FnMut(bool, bool, &mut BytesMut),
) {
    let room = max_payload - descriptor;
    let count = (frame.len() + first_extra).div_ceil(room);
    // Equal parts: a short last packet costs as much as a full one and is lost as easily.
    let share = (frame.len() + first_extra).div_ceil(count);
    let mut buffer = BytesMut::with_capacity(frame.len() + first_extra + count * descriptor);
    payloads.reserve(count);
    let mut rest = frame;
    for index in 0..count {
        let (first, last) = (index == 0, index + 1 == count);
        let take = if last { rest.len() } else { (share - if first { first_extra } else { 0 }).min(rest.len()) };
        let (part, after) = rest.split_at(take);
        rest = after;
        write(first, last, &mut buffer);
        buffer.put_slice(part);
        payloads.push(buffer.split().freeze());
    }
}

#[cfg(test)]
mod tests;
