//! Picture ids and base layer indexes in the payload descriptors of VP8 (RFC 7741) and VP9 (RFC 9628). They count
//! within one stream; a receiver of several layers in turn has to see one count that goes on.

use bytes::{Bytes, BytesMut};
use sora_rtp::{Vp8Descriptor, Vp9Descriptor};

/// Where a counter stands in a payload and how many bits it has.
#[derive(Debug, Clone, Copy)]
struct Field {
    at: usize,
    bits: u8,
    value: u16,
}

impl Field {
    /// A picture id at this place: 15 bits behind a set bit, else 7.
    fn picture(payload: &[u8], at: usize, value: u16) -> Self {
        let is_long = payload.get(at).is_some_and(|first| first & 0x80 != 0);
        Self { at, bits: if is_long { 15 } else { 7 }, value }
    }

    fn write(self, payload: &mut [u8]) {
        let [high, low] = self.value.to_be_bytes();
        let bytes: &[u8] = if self.bits == 15 { &[high | 0x80, low] } else { &[low] };
        if let Some(place) = payload.get_mut(self.at..self.at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

/// Picture id and TL0PICIDX of a payload, if it has them.
fn fields(codec: &str, payload: &[u8]) -> [Option<Field>; 2] {
    let length = |picture: Option<Field>| picture.map_or(0, |field| if field.bits == 15 { 2 } else { 1 });
    match codec {
        "VP8" => {
            let Ok((descriptor, _)) = Vp8Descriptor::parse(payload) else { return [None; 2] };
            let picture = descriptor.picture_id.map(|value| Field::picture(payload, 2, value));
            let at = 2 + length(picture);
            [picture, descriptor.tl0_pic_idx.map(|value| Field { at, bits: 8, value: value.into() })]
        }
        "VP9" => {
            let Ok((descriptor, _)) = Vp9Descriptor::parse(payload) else { return [None; 2] };
            let picture = descriptor.picture_id.map(|value| Field::picture(payload, 1, value));
            // Behind the byte of layer indexes.
            let at = 2 + length(picture);
            [picture, descriptor.tl0_pic_idx.map(|value| Field { at, bits: 8, value: value.into() })]
        }
        _ => [None; 2],
    }
}

/// One count that goes on when the stream behind it changes.
#[derive(Debug, Default)]
struct Counter {
    offset: Option<u16>,
    newest: Option<u16>,
}

impl Counter {
    fn count(&mut self, field: Field) -> Field {
        let mask = (1_u16 << field.bits) - 1;
        let begins = self.offset.is_none();
        let next = self.newest.map_or(0, |newest| newest.wrapping_add(1).wrapping_sub(field.value));
        let value = field.value.wrapping_add(*self.offset.get_or_insert(next)) & mask;
        let ahead = value.wrapping_sub(self.newest.unwrap_or_default()) & mask;
        if begins || (1..=mask / 2).contains(&ahead) {
            self.newest = Some(value);
        }
        Field { value, ..field }
    }
}

/// The counts of one downlink.
#[derive(Debug, Default)]
pub(super) struct PictureIds {
    counters: [Counter; 2],
}

impl PictureIds {
    /// The next payload is of another stream, or of this one after a pause: the counts go on by one.
    pub(super) fn restart(&mut self) {
        for counter in &mut self.counters {
            counter.offset = None;
        }
    }

    /// The payload with this downlink's counts. Within a stream steps and gaps stay as they are.
    pub(super) fn rewrite(&mut self, codec: &str, payload: &Bytes) -> Bytes {
        let mut copy: Option<BytesMut> = None;
        for (counter, field) in self.counters.iter_mut().zip(fields(codec, payload)) {
            let Some(field) = field else { continue };
            let counted = counter.count(field);
            if counted.value != field.value {
                counted.write(copy.get_or_insert_with(|| BytesMut::from(&payload[..])));
            }
        }
        copy.map_or_else(|| payload.clone(), BytesMut::freeze)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vp8(picture: u16, base_layer: u8) -> Bytes {
        let [high, low] = picture.to_be_bytes();
        Bytes::copy_from_slice(&[0x90, 0xe0, high | 0x80, low, base_layer, 0x40, 0xaa, 0xbb])
    }

    fn vp9(picture: u16, base_layer: u8) -> Bytes {
        let [high, low] = picture.to_be_bytes();
        Bytes::copy_from_slice(&[0xa8, high | 0x80, low, 0x20, base_layer, 0xaa, 0xbb])
    }

    fn ids(codec: &str, payload: &[u8]) -> (Option<u16>, Option<u8>) {
        if codec == "VP8" {
            let (descriptor, _) = Vp8Descriptor::parse(payload).expect("readable");
            (descriptor.picture_id, descriptor.tl0_pic_idx)
        } else {
            let (descriptor, _) = Vp9Descriptor::parse(payload).expect("readable");
            (descriptor.picture_id, descriptor.tl0_pic_idx)
        }
    }

    #[test]
    fn counts_go_on_by_one_at_a_switch_and_keep_their_steps_within_a_layer() {
        for (codec, make) in [("VP8", vp8 as fn(u16, u8) -> Bytes), ("VP9", vp9)] {
            let mut pictures = PictureIds::default();
            let rewrite = |pictures: &mut PictureIds, picture, base_layer| {
                let made = make(picture, base_layer);
                let rewritten = pictures.rewrite(codec, &made);
                assert_eq!((rewritten.len(), &rewritten[5 + 1..]), (made.len(), &made[5 + 1..]), "{codec}");
                let (picture, base_layer) = ids(codec, &rewritten);
                (picture.expect("kept"), base_layer.expect("kept"))
            };
            // The first stream keeps its numbers, gaps and late packets too.
            assert_eq!(rewrite(&mut pictures, 0x7ffd, 254), (0x7ffd, 254), "{codec}");
            assert_eq!(rewrite(&mut pictures, 0x7fff, 255), (0x7fff, 255), "{codec}");
            assert_eq!(rewrite(&mut pictures, 0x7ffe, 255), (0x7ffe, 255), "{codec}");
            pictures.restart();
            assert_eq!(rewrite(&mut pictures, 100, 7), (0, 0), "{codec}");
            assert_eq!(rewrite(&mut pictures, 101, 7), (1, 0), "{codec}");
            assert_eq!(rewrite(&mut pictures, 105, 9), (5, 2), "{codec}: a gap stays one");
            assert_eq!(rewrite(&mut pictures, 103, 8), (3, 1), "{codec}: a late packet stays in place");
            pictures.restart();
            assert_eq!(rewrite(&mut pictures, 0x7fff, 0), (6, 3), "{codec}");
            assert_eq!(rewrite(&mut pictures, 0, 0), (7, 3), "{codec}");
        }
    }

    #[test]
    fn ids_of_seven_bits_stay_at_seven() {
        let make = |codec: &str, picture: u8| match codec {
            "VP8" => Bytes::copy_from_slice(&[0x90, 0x80, picture, 0xaa]),
            _ => Bytes::copy_from_slice(&[0x88, picture, 0xaa]),
        };
        for codec in ["VP8", "VP9"] {
            let mut pictures = PictureIds::default();
            pictures.rewrite(codec, &make(codec, 127));
            pictures.restart();
            let rewritten = pictures.rewrite(codec, &make(codec, 9));
            assert_eq!(rewritten, make(codec, 0), "{codec}");
            assert_eq!(pictures.rewrite(codec, &make(codec, 10)), make(codec, 1), "{codec}");
        }
    }

    #[test]
    fn what_has_no_counts_or_cannot_be_read_is_left_as_it_is() {
        let mut pictures = PictureIds::default();
        pictures.rewrite("VP8", &vp8(5, 5));
        pictures.restart();
        let payloads: [(&str, &'static [u8]); 6] = [
            ("VP8", &[0x10, 0xaa]),
            ("VP8", &[0x90, 0xe0, 0x80]),
            ("VP8", &[]),
            ("VP9", &[0x80]),
            ("AV1", &[0x90, 0xe0, 1, 2]),
            ("H264", &[0x65]),
        ];
        for (codec, payload) in payloads {
            assert_eq!(pictures.rewrite(codec, &Bytes::from_static(payload)), payload, "{codec}");
        }
    }

    #[test]
    fn a_stream_that_begins_without_counts_gets_its_own_later() {
        let mut pictures = PictureIds::default();
        assert_eq!(pictures.rewrite("VP8", &Bytes::from_static(&[0x10, 0xaa])), &[0x10, 0xaa][..]);
        assert_eq!(ids("VP8", &pictures.rewrite("VP8", &vp8(300, 3))), (Some(300), Some(3)));
    }
}
