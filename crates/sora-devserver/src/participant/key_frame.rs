//! Where key frames begin, read from RTP payloads without decoding them.

use sora_rtp::{Vp8Descriptor, Vp9Descriptor};

/// True for the first packet of a key frame. Codecs that are not known here never wait for one.
pub(super) fn starts_key_frame(codec: &str, payload: &[u8]) -> bool {
    match codec {
        "VP8" => vp8(payload),
        "VP9" => vp9(payload),
        "AV1" => av1(payload),
        "H264" => h264(payload),
        "H265" => h265(payload),
        _ => true,
    }
}

/// RFC 7741 section 4.3: the P bit of the payload header is clear.
fn vp8(payload: &[u8]) -> bool {
    let Ok((descriptor, offset)) = Vp8Descriptor::parse(payload) else { return false };
    let is_first = descriptor.start_of_partition && descriptor.partition == 0;
    is_first && payload.get(offset).is_some_and(|header| header & 0x01 == 0)
}

/// RFC 9628 section 4.2: the lowest layer of a picture that refers to no other.
fn vp9(payload: &[u8]) -> bool {
    Vp9Descriptor::parse(payload).is_ok_and(|(descriptor, _)| {
        descriptor.begins_layer_frame && !descriptor.inter_predicted && descriptor.spatial_id.unwrap_or(0) == 0
    })
}

/// AV1 RTP specification section 4.4: the N bit begins a coded video sequence.
fn av1(payload: &[u8]) -> bool {
    payload.first().is_some_and(|aggregation_header| aggregation_header & 0x08 != 0)
}

/// RFC 6184 section 5: an IDR slice, or the parameter sets that come before one.
fn h264(payload: &[u8]) -> bool {
    let is_key = |unit: u8| matches!(unit & 0x1f, 5 | 7);
    match payload {
        // STAP-A: the first unit follows its two bytes of size.
        [stap, _, _, unit, ..] if stap & 0x1f == 24 => is_key(*unit),
        // FU-A: with the start bit.
        [fu, header, ..] if fu & 0x1f == 28 => header & 0x80 != 0 && is_key(*header),
        [unit, ..] => is_key(*unit),
        [] => false,
    }
}

/// RFC 7798 section 4.4: an intra random access point, or the parameter sets that come before one.
fn h265(payload: &[u8]) -> bool {
    let is_key = |unit: u8| matches!(unit, 16..=23 | 32..=34);
    match payload {
        // Aggregation packet: the first unit follows the two bytes of header and its two bytes of size.
        [ap, _, _, _, unit, ..] if (ap >> 1) & 0x3f == 48 => is_key((unit >> 1) & 0x3f),
        // Fragmentation unit: with the start bit.
        [fu, _, header, ..] if (fu >> 1) & 0x3f == 49 => header & 0x80 != 0 && is_key(header & 0x3f),
        [unit, ..] => is_key((unit >> 1) & 0x3f),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sora_rtp::{PictureInfo, VideoCodecType, VideoPacketizer};

    #[test]
    fn only_the_first_packet_of_a_key_frame_starts_one() {
        // A key frame of VP8 has a clear bit first, one of VP9 the frame marker and no more.
        let cases = [(VideoCodecType::Vp8, "VP8", 0x00, 0x01), (VideoCodecType::Vp9, "VP9", 0x82, 0x86)];
        for (codec, name, key, delta) in cases {
            let mut packetizer = VideoPacketizer::new(codec, 100);
            let mut starts = |first: u8, is_key: bool| -> Vec<bool> {
                let mut frame = vec![first; 1];
                frame.resize(250, 0);
                let picture = PictureInfo { key_frame: is_key, width: 64, height: 64, ..PictureInfo::default() };
                let payloads = packetizer.packetize(&frame, &picture);
                payloads.iter().map(|payload| starts_key_frame(name, payload)).collect()
            };
            let key = starts(key, true);
            assert!(key.len() > 1 && key[0] && !key[1..].contains(&true), "{name} {key:?}");
            assert!(!starts(delta, false).contains(&true), "{name}");
        }
    }

    #[test]
    fn the_other_codecs_are_told_by_their_headers() {
        let starts: [(&str, &[u8]); 7] = [
            ("AV1", &[0x18]),
            ("H264", &[0x65]),
            ("H264", &[0x78, 0, 4, 0x67]),
            ("H264", &[0x7c, 0x85]),
            ("H265", &[0x26, 1]),
            ("H265", &[0x60, 1, 0, 4, 0x40]),
            ("H265", &[0x62, 1, 0x93]),
        ];
        for (codec, payload) in starts {
            assert!(starts_key_frame(codec, payload), "{codec} {payload:x?}");
        }
        let others: [(&str, &[u8]); 6] = [
            ("AV1", &[0x10]),
            ("H264", &[0x41]),
            ("H264", &[0x7c, 0x05]),
            ("H265", &[0x02, 1]),
            ("H265", &[0x62, 1, 0x13]),
            ("H265", &[0x62, 1]),
        ];
        for (codec, payload) in others {
            assert!(!starts_key_frame(codec, payload), "{codec} {payload:x?}");
        }
        for codec in ["VP8", "VP9", "AV1", "H264", "H265"] {
            assert!(!starts_key_frame(codec, &[]), "{codec}");
        }
    }
}
