//! VP9 payload descriptor (RFC 9628 section 4.2).

use crate::{PayloadError, SpatialLayer, VideoCodecType};

/// What stands before the VP9 data of one packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vp9Descriptor {
    /// I: Picture ID (7 or 15 bits).
    pub picture_id: Option<u16>,
    /// P: the picture refers to earlier pictures.
    pub inter_predicted: bool,
    /// F: flexible mode.
    pub flexible: bool,
    /// B: first packet of a layer frame.
    pub begins_layer_frame: bool,
    /// E: last packet of a layer frame.
    pub ends_layer_frame: bool,
    /// Z: not a reference for upper spatial layers.
    pub not_a_reference: bool,
    /// TID, temporal layer (0 to 7).
    pub temporal_id: Option<u8>,
    /// U: switching up point.
    pub switching_up: bool,
    /// SID, spatial layer (0 to 7).
    pub spatial_id: Option<u8>,
    /// D: depends on the spatial layer below.
    pub inter_layer: bool,
    /// TL0PICIDX, non-flexible mode with layers only.
    pub tl0_pic_idx: Option<u8>,
    /// P_DIFF values of flexible mode.
    pub reference_diffs: Vec<u8>,
    /// Width and height of each spatial layer from the scalability structure.
    pub resolutions: Vec<(u16, u16)>,
    /// The picture group of the scalability structure; empty without one.
    pub picture_group: Vec<Vp9GroupPicture>,
}

/// A picture of the picture group that repeats in non-flexible mode (RFC 9628 section 4.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vp9GroupPicture {
    /// TID, temporal layer (0 to 7).
    pub temporal_id: u8,
    /// U: switching up point.
    pub switching_up: bool,
    /// P_DIFF: how many pictures before it each of its references stands.
    pub reference_diffs: Vec<u8>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, PayloadError> {
        let byte = self.bytes.get(self.offset).copied().ok_or(PayloadError::Truncated {
            codec: VideoCodecType::Vp9,
            needed: self.offset + 1,
            actual: self.bytes.len(),
        })?;
        self.offset += 1;
        Ok(byte)
    }

    fn word(&mut self) -> Result<u16, PayloadError> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }
}

impl Vp9Descriptor {
    /// Reads the descriptor; the second value is where the VP9 data starts.
    ///
    /// # Errors
    /// [`PayloadError`] if the payload ends inside the descriptor or breaks RFC 9628.
    pub fn parse(payload: &[u8]) -> Result<(Self, usize), PayloadError> {
        let mut reader = Reader { bytes: payload, offset: 0 };
        let first = reader.byte()?;
        let mut descriptor = Self {
            inter_predicted: first & 0x40 != 0,
            flexible: first & 0x10 != 0,
            begins_layer_frame: first & 0x08 != 0,
            ends_layer_frame: first & 0x04 != 0,
            not_a_reference: first & 0x01 != 0,
            ..Self::default()
        };
        if first & 0x80 != 0 {
            let high = reader.byte()?;
            descriptor.picture_id = Some(if high & 0x80 != 0 {
                u16::from(high & 0x7f) << 8 | u16::from(reader.byte()?)
            } else {
                u16::from(high)
            });
        }
        if first & 0x20 != 0 {
            let layers = reader.byte()?;
            descriptor.temporal_id = Some(layers >> 5);
            descriptor.switching_up = layers & 0x10 != 0;
            descriptor.spatial_id = Some((layers >> 1) & 0x07);
            descriptor.inter_layer = layers & 0x01 != 0;
            if !descriptor.flexible {
                descriptor.tl0_pic_idx = Some(reader.byte()?);
            }
        }
        if descriptor.flexible && descriptor.inter_predicted {
            loop {
                if descriptor.reference_diffs.len() == 3 {
                    return Err(PayloadError::TooManyReferences);
                }
                let reference = reader.byte()?;
                descriptor.reference_diffs.push(reference >> 1);
                if reference & 1 == 0 {
                    break;
                }
            }
        }
        if first & 0x02 != 0 {
            (descriptor.resolutions, descriptor.picture_group) = parse_scalability(&mut reader)?;
        }
        Ok((descriptor, reader.offset))
    }
}

/// Fields of the descriptors of one layer frame.
pub(crate) struct Vp9Packet {
    pub(crate) picture_id: u16,
    pub(crate) key_frame: bool,
    pub(crate) not_a_reference: bool,
    pub(crate) layers: Option<Layers>,
}

pub(crate) struct Layers {
    pub(crate) temporal_id: u8,
    pub(crate) switching_up: bool,
    pub(crate) spatial_id: u8,
    pub(crate) inter_layer: bool,
    pub(crate) tl0_pic_idx: u8,
}

impl Vp9Packet {
    /// Bytes that [`Self::write`] appends without a structure.
    pub(crate) const fn written_len(&self) -> usize {
        if self.layers.is_some() { 5 } else { 3 }
    }

    /// Appends the descriptor of one packet in non-flexible mode, with a scalability structure if there is one.
    pub(crate) fn write(&self, first: bool, last: bool, structure: &[u8], out: &mut impl Extend<u8>) {
        let [high, low] = (self.picture_id & 0x7fff).to_be_bytes();
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = 0x80
            | flag(!self.key_frame, 0x40)
            | flag(self.layers.is_some(), 0x20)
            | flag(first, 0x08)
            | flag(last, 0x04)
            | flag(!structure.is_empty(), 0x02)
            | flag(self.not_a_reference, 0x01);
        out.extend([flags, high | 0x80, low]);
        if let Some(layers) = &self.layers {
            let byte = layers.temporal_id << 5
                | flag(layers.switching_up, 0x10)
                | layers.spatial_id << 1
                | flag(layers.inter_layer, 0x01);
            out.extend([byte, layers.tl0_pic_idx]);
        }
        out.extend(structure.iter().copied());
    }
}

/// A picture of a temporal pattern.
pub(crate) struct PatternPicture {
    pub(crate) temporal_id: u8,
    reference_diff: u8,
}

/// The picture group of a number of temporal layers: L1T1, L1T2 or L1T3. No picture depends on one of its own layer
/// except in the base layer, so each is a point for switching up.
pub(crate) const fn pattern(count: u8) -> Option<&'static [PatternPicture]> {
    const fn at(temporal_id: u8, reference_diff: u8) -> PatternPicture {
        PatternPicture { temporal_id, reference_diff }
    }
    match count {
        1 => Some(const { &[at(0, 1)] }),
        2 => Some(const { &[at(0, 2), at(1, 1)] }),
        3 => Some(const { &[at(0, 4), at(2, 1), at(1, 2), at(2, 1)] }),
        _ => None,
    }
}

/// Scalability structure of a stream without layers: one resolution, one picture that refers to the one before.
pub(crate) fn plain_structure(width: u16, height: u16) -> Vec<u8> {
    let ([w1, w0], [h1, h0]) = (width.to_be_bytes(), height.to_be_bytes());
    vec![0x18, w1, w0, h1, h0, 1, 0x04, 1]
}

/// Scalability structure with all resolutions and the picture group of `temporal_layers` (0 is like 1).
pub(crate) fn structure(spatial: &[SpatialLayer], temporal_layers: u8) -> Vec<u8> {
    let group = pattern(temporal_layers.max(1)).unwrap_or_default();
    let mut out = vec![(spatial.len().saturating_sub(1) as u8) << 5 | 0x18];
    for layer in spatial {
        out.extend(layer.width.to_be_bytes());
        out.extend(layer.height.to_be_bytes());
    }
    out.push(group.len() as u8);
    for picture in group {
        let switching_up = if temporal_layers > 1 { 0x10 } else { 0 };
        out.extend([picture.temporal_id << 5 | switching_up | 0x04, picture.reference_diff]);
    }
    out
}

/// Resolutions and picture group.
type Structure = (Vec<(u16, u16)>, Vec<Vp9GroupPicture>);

fn parse_scalability(reader: &mut Reader<'_>) -> Result<Structure, PayloadError> {
    let header = reader.byte()?;
    let layers = usize::from(header >> 5) + 1;
    let mut resolutions = Vec::new();
    if header & 0x10 != 0 {
        for _ in 0..layers {
            resolutions.push((reader.word()?, reader.word()?));
        }
    }
    let mut group = Vec::new();
    if header & 0x08 != 0 {
        let pictures = reader.byte()?;
        for _ in 0..pictures {
            let picture = reader.byte()?;
            let reference_diffs = (0..picture >> 2 & 0x03).map(|_| reader.byte()).collect::<Result<_, _>>()?;
            group.push(Vp9GroupPicture {
                temporal_id: picture >> 5,
                switching_up: picture & 0x10 != 0,
                reference_diffs,
            });
        }
    }
    Ok((resolutions, group))
}

/// True if the VP9 data of a picture's first packet is a key frame and not an intra-only or a repeated one
/// (VP9 bitstream specification section 6.2).
pub(crate) fn is_key_frame(data: &[u8]) -> bool {
    let Some(&first) = data.first() else {
        return false;
    };
    let profile = (first >> 5 & 1) | (first >> 4 & 1) << 1;
    let rest = if profile == 3 { first << 1 } else { first };
    first >> 6 == 2 && rest & 0x0c == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_key_frame_descriptor_reads_back_with_its_resolution() {
        let mut bytes = Vec::new();
        let packet = Vp9Packet { picture_id: 0x1234, key_frame: true, not_a_reference: false, layers: None };
        packet.write(true, false, &plain_structure(1280, 721), &mut bytes);
        let (descriptor, offset) = Vp9Descriptor::parse(&bytes).expect("complete");
        assert_eq!(offset, bytes.len());
        assert_eq!(descriptor.resolutions, [(1280, 721)]);
        assert_eq!(descriptor.picture_id, Some(0x1234));
        assert!(descriptor.begins_layer_frame && !descriptor.inter_predicted);
        for length in 0..bytes.len() {
            assert!(Vp9Descriptor::parse(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn flexible_mode_references_are_read() {
        let bytes = [0xf8, 0x05, 0x42, 0x03, 0x04, 0xaa];
        let (descriptor, offset) = Vp9Descriptor::parse(&bytes).expect("complete");
        assert_eq!(offset, 5);
        assert_eq!(descriptor.reference_diffs, [1, 2]);
        assert_eq!(descriptor.temporal_id, Some(2));
        assert_eq!(descriptor.spatial_id, Some(1));
        assert_eq!(descriptor.tl0_pic_idx, None);
        let endless = [0x50, 3, 3, 3, 3, 2];
        assert_eq!(Vp9Descriptor::parse(&endless), Err(PayloadError::TooManyReferences));
    }
}
