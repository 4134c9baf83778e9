//! VP9 payload descriptor (RFC 9628 section 4.2).

use crate::{PayloadError, VideoCodecType};

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
    /// Longest descriptor that [`Self::write`] makes.
    pub const MAX_WRITTEN_LEN: usize = 3 + SCALABILITY_LEN;

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
            descriptor.resolutions = parse_scalability(&mut reader)?;
        }
        Ok((descriptor, reader.offset))
    }

    /// Appends the descriptor of one packet of a single-layer, non-flexible stream.
    pub(crate) fn write(packet: &Vp9Packet, out: &mut impl Extend<u8>) {
        let [high, low] = (packet.picture_id & 0x7fff).to_be_bytes();
        let flags = 0x80
            | if packet.key_frame { 0 } else { 0x40 }
            | if packet.first { 0x08 } else { 0 }
            | if packet.last { 0x04 } else { 0 };
        let Some((width, height)) = packet.resolution else {
            out.extend([flags, high | 0x80, low]);
            return;
        };
        let [w1, w0] = width.to_be_bytes();
        let [h1, h0] = height.to_be_bytes();
        // One spatial layer with resolution, one picture in the group that refers to the one before.
        out.extend([flags | 0x02, high | 0x80, low, 0x18, w1, w0, h1, h0, 1, 0x04, 1]);
    }
}

pub(crate) const SCALABILITY_LEN: usize = 8;

/// Fields of [`Vp9Descriptor::write`].
pub(crate) struct Vp9Packet {
    pub(crate) picture_id: u16,
    pub(crate) key_frame: bool,
    pub(crate) first: bool,
    pub(crate) last: bool,
    pub(crate) resolution: Option<(u16, u16)>,
}

fn parse_scalability(reader: &mut Reader<'_>) -> Result<Vec<(u16, u16)>, PayloadError> {
    let header = reader.byte()?;
    let layers = usize::from(header >> 5) + 1;
    let mut resolutions = Vec::new();
    if header & 0x10 != 0 {
        for _ in 0..layers {
            resolutions.push((reader.word()?, reader.word()?));
        }
    }
    if header & 0x08 != 0 {
        let pictures = reader.byte()?;
        for _ in 0..pictures {
            let references = (reader.byte()? >> 2) & 0x03;
            for _ in 0..references {
                reader.byte()?;
            }
        }
    }
    Ok(resolutions)
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
        let packet =
            Vp9Packet { picture_id: 0x1234, key_frame: true, first: true, last: false, resolution: Some((1280, 721)) };
        Vp9Descriptor::write(&packet, &mut bytes);
        assert_eq!(bytes.len(), Vp9Descriptor::MAX_WRITTEN_LEN);
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
