//! VP8 payload descriptor (RFC 7741 section 4.2).

use crate::{PayloadError, VideoCodecType};

/// What stands before the VP8 data of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vp8Descriptor {
    /// N: no other frame refers to this one.
    pub non_reference: bool,
    /// S: the packet starts a partition.
    pub start_of_partition: bool,
    /// PID: index of the partition (0 to 7).
    pub partition: u8,
    /// PictureID (7 or 15 bits).
    pub picture_id: Option<u16>,
    /// TL0PICIDX: running index of base layer frames.
    pub tl0_pic_idx: Option<u8>,
    /// TID: temporal layer (0 to 3).
    pub temporal_id: Option<u8>,
    /// Y: depends on the base layer only.
    pub layer_sync: bool,
    /// KEYIDX: temporal key frame index.
    pub key_idx: Option<u8>,
}

impl Vp8Descriptor {
    /// Bytes of the descriptor that [`Self::write`] makes.
    pub(crate) const fn written_len(layered: bool) -> usize {
        if layered { 6 } else { 4 }
    }

    /// Reads the descriptor; the second value is where the VP8 data starts.
    ///
    /// # Errors
    /// [`PayloadError::Truncated`] if the payload ends inside the descriptor.
    pub fn parse(payload: &[u8]) -> Result<(Self, usize), PayloadError> {
        let at = |index: usize| {
            payload.get(index).copied().ok_or(PayloadError::Truncated {
                codec: VideoCodecType::Vp8,
                needed: index + 1,
                actual: payload.len(),
            })
        };
        let first = at(0)?;
        let mut offset = 1;
        let mut descriptor = Self {
            non_reference: first & 0x20 != 0,
            start_of_partition: first & 0x10 != 0,
            partition: first & 0x07,
            ..Self::default()
        };
        if first & 0x80 != 0 {
            let extension = at(offset)?;
            offset += 1;
            if extension & 0x80 != 0 {
                let high = at(offset)?;
                offset += 1;
                descriptor.picture_id = Some(if high & 0x80 != 0 {
                    let low = at(offset)?;
                    offset += 1;
                    u16::from(high & 0x7f) << 8 | u16::from(low)
                } else {
                    u16::from(high)
                });
            }
            if extension & 0x40 != 0 {
                descriptor.tl0_pic_idx = Some(at(offset)?);
                offset += 1;
            }
            if extension & 0x30 != 0 {
                let layers = at(offset)?;
                offset += 1;
                if extension & 0x20 != 0 {
                    descriptor.temporal_id = Some(layers >> 6);
                    descriptor.layer_sync = layers & 0x20 != 0;
                }
                if extension & 0x10 != 0 {
                    descriptor.key_idx = Some(layers & 0x1f);
                }
            }
        }
        Ok((descriptor, offset))
    }

    /// Appends the descriptor of one packet: always a 15-bit PictureID, TL0PICIDX and TID for layers.
    pub(crate) fn write(picture_id: u16, first: bool, layer: Option<Vp8Layer>, out: &mut impl Extend<u8>) {
        let [high, low] = (picture_id & 0x7fff).to_be_bytes();
        let start = if first { 0x90 } else { 0x80 };
        match layer {
            None => out.extend([start, 0x80, high | 0x80, low]),
            Some(layer) => {
                let sync = if layer.layer_sync { 0x20 } else { 0 };
                let layers = layer.temporal_id << 6 | sync;
                out.extend([start, 0xe0, high | 0x80, low, layer.tl0_pic_idx, layers]);
            }
        }
    }

    /// True if the packet starts a frame.
    #[must_use]
    pub const fn begins_frame(&self) -> bool {
        self.start_of_partition && self.partition == 0
    }
}

/// Fields of [`Vp8Descriptor::write`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vp8Layer {
    pub(crate) tl0_pic_idx: u8,
    pub(crate) temporal_id: u8,
    pub(crate) layer_sync: bool,
}

/// True if the VP8 data of a frame's first packet belongs to a key frame (RFC 6386 section 9.1).
pub(crate) fn is_key_frame(data: &[u8]) -> bool {
    data.first().is_some_and(|byte| byte & 1 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_descriptor_reads_back() {
        for layer in [None, Some(Vp8Layer { tl0_pic_idx: 0xfe, temporal_id: 2, layer_sync: true })] {
            for first in [true, false] {
                let mut bytes = Vec::new();
                Vp8Descriptor::write(0x7abc, first, layer, &mut bytes);
                let (descriptor, offset) = Vp8Descriptor::parse(&bytes).expect("complete");
                assert_eq!(
                    (descriptor.picture_id, offset),
                    (Some(0x7abc), Vp8Descriptor::written_len(layer.is_some()))
                );
                assert_eq!(descriptor.begins_frame(), first);
                assert_eq!(descriptor.temporal_id, layer.map(|layer| layer.temporal_id));
                assert_eq!(descriptor.tl0_pic_idx, layer.map(|layer| layer.tl0_pic_idx));
                assert_eq!((descriptor.layer_sync, descriptor.key_idx), (layer.is_some(), None));
            }
        }
    }

    #[test]
    fn all_extension_fields_are_read_and_truncation_is_an_error() {
        let bytes = [0xf0, 0xf0, 0x85, 0x01, 0x2a, 0x77];
        let (descriptor, offset) = Vp8Descriptor::parse(&bytes).expect("complete");
        assert_eq!(offset, 6);
        assert_eq!(descriptor.picture_id, Some(0x501));
        assert_eq!(descriptor.tl0_pic_idx, Some(0x2a));
        assert_eq!(descriptor.temporal_id, Some(1));
        assert!(descriptor.layer_sync);
        assert_eq!(descriptor.key_idx, Some(0x17));
        for length in 0..bytes.len() {
            assert!(Vp8Descriptor::parse(&bytes[..length]).is_err());
        }
    }
}
