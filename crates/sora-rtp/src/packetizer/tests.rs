use super::*;
use crate::Vp9Descriptor;

const LENGTHS: [usize; 10] = [1, 150, 196, 197, 198, 199, 200, 390, 1000, 12_345];

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| i as u8).collect()
}

/// What stands behind the descriptors.
fn joined(codec: VideoCodecType, payloads: &[Bytes]) -> Vec<u8> {
    let data = payloads.iter().flat_map(|payload| {
        let offset = match codec {
            VideoCodecType::Vp9 => Vp9Descriptor::parse(payload).expect("own").1,
            _ => Vp8Descriptor::parse(payload).expect("own").1,
        };
        assert!(payload.len() > offset, "no payload without data");
        payload[offset..].to_vec()
    });
    data.collect()
}

#[test]
fn payloads_are_bounded_equal_and_complete() {
    for codec in [VideoCodecType::Vp8, VideoCodecType::Vp9] {
        for max_payload in [100, 200] {
            for count in 0..=3 {
                let mut packetizer = VideoPacketizer::new(codec, max_payload);
                for length in LENGTHS {
                    for place in 0..4 {
                        let id = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1], [0, 2, 1, 2]][count][place];
                        let temporal =
                            (count > 0).then_some(TemporalLayer { id, count: count as u8, switching_up: true });
                        let picture = PictureInfo { key_frame: place == 0, temporal, ..PictureInfo::default() };
                        let payloads = packetizer.packetize(&bytes(length), &picture);
                        assert!(payloads.iter().all(|p| p.len() <= max_payload), "{codec} {length}");
                        assert_eq!(joined(codec, &payloads), bytes(length));
                    }
                }
                assert!(packetizer.packetize(&[], &PictureInfo::default()).is_empty());
            }
        }
    }
}

#[test]
fn without_layers_the_descriptors_are_the_short_ones() {
    let key = PictureInfo { key_frame: true, width: 640, height: 480, ..PictureInfo::default() };
    let mut vp9 = VideoPacketizer::new(VideoCodecType::Vp9, 100);
    assert_eq!(vp9.packetize(&[7, 8], &key), [&[0x8e, 0x80, 0, 0x18, 0x02, 0x80, 0x01, 0xe0, 1, 0x04, 1, 7, 8][..]]);
    let delta = PictureInfo::default();
    assert_eq!(vp9.packetize(&[9], &delta), [&[0xcc, 0x80, 1, 9][..]]);
    let mut vp8 = VideoPacketizer::new(VideoCodecType::Vp8, 100);
    assert_eq!(vp8.packetize(&[7, 8], &key), [&[0x90, 0x80, 0x80, 0, 7, 8][..]]);
    assert_eq!(vp8.packetize(&[9], &delta), [&[0x90, 0x80, 0x80, 1, 9][..]]);
}

#[test]
fn vp8_counts_base_layer_pictures() {
    let mut packetizer = VideoPacketizer::new(VideoCodecType::Vp8, 100);
    let mut described = Vec::new();
    for (id, switching_up) in [(0, false), (2, true), (1, true), (2, false), (0, false)] {
        let temporal = Some(TemporalLayer { id, count: 3, switching_up });
        let payloads = packetizer.packetize(&bytes(150), &PictureInfo { temporal, ..PictureInfo::default() });
        assert_eq!(payloads.len(), 2);
        for payload in &payloads {
            let (descriptor, offset) = Vp8Descriptor::parse(payload).expect("own");
            assert_eq!(offset, 6);
            described.push((descriptor.temporal_id, descriptor.layer_sync, descriptor.tl0_pic_idx));
        }
    }
    let expected = [(0, false, 1), (2, true, 1), (1, true, 1), (2, false, 1), (0, false, 2)];
    assert_eq!(described, expected.map(|(id, sync, idx)| [(Some(id), sync, Some(idx)); 2]).concat());
}

#[test]
fn vp9_layer_frames_are_groups_of_packets() {
    let mut packetizer = VideoPacketizer::new(VideoCodecType::Vp9, 100);
    let lengths = [90, 250, 400];
    let spatial: Vec<_> = (0..3)
        .map(|i| SpatialLayer { len: lengths[i], width: 320 << i, height: 180 << i, inter_layer: i == 1 })
        .collect();
    for (number, id) in [0, 2, 1, 2, 0].into_iter().enumerate() {
        let temporal = Some(TemporalLayer { id, count: 3, switching_up: id == 0 });
        let picture = PictureInfo { key_frame: number == 0, temporal, spatial: spatial.clone(), ..Default::default() };
        let payloads = packetizer.packetize(&bytes(740), &picture);
        let descriptors: Vec<_> = payloads.iter().map(|p| Vp9Descriptor::parse(p).expect("own").0).collect();
        assert_eq!(joined(VideoCodecType::Vp9, &payloads), bytes(740));
        let (mut sid, mut inside) = (0, false);
        for descriptor in &descriptors {
            assert_eq!(descriptor.begins_layer_frame, !inside);
            assert_eq!((descriptor.spatial_id, descriptor.temporal_id), (Some(sid), Some(id)));
            assert_eq!((descriptor.inter_layer, descriptor.not_a_reference), (sid == 1, sid > 0));
            assert_eq!((descriptor.inter_predicted, descriptor.switching_up), (number > 0, id == 0));
            assert_eq!(descriptor.tl0_pic_idx, Some(if number == 4 { 2 } else { 1 }));
            assert_eq!(descriptor.picture_id, Some(number as u16));
            inside = !descriptor.ends_layer_frame;
            sid += u8::from(!inside);
        }
        assert_eq!(sid, 3);
        let first = &descriptors[0];
        if number == 0 {
            assert_eq!(first.resolutions, [(320, 180), (640, 360), (1280, 720)]);
            let group: Vec<_> = first.picture_group.iter().map(|p| (p.temporal_id, &p.reference_diffs[..])).collect();
            assert_eq!(group, [(0, &[4][..]), (2, &[1]), (1, &[2]), (2, &[1])]);
        }
        assert!(descriptors[usize::from(number == 0)..].iter().all(|descriptor| descriptor.resolutions.is_empty()));
    }
}

#[test]
fn layers_that_make_no_sense_give_no_payloads() {
    let layer = |id, count| Some(TemporalLayer { id, count, switching_up: false });
    let picture = |key_frame, temporal| PictureInfo { key_frame, temporal, ..PictureInfo::default() };
    for codec in [VideoCodecType::Vp8, VideoCodecType::Vp9] {
        let mut packetizer = VideoPacketizer::new(codec, 100);
        for (key, temporal) in [(true, layer(1, 2)), (true, layer(0, 0)), (false, layer(2, 2)), (false, layer(4, 5))] {
            assert!(packetizer.packetize(&[1], &picture(key, temporal)).is_empty(), "{codec} {temporal:?}");
        }
    }
    let mut packetizer = VideoPacketizer::new(VideoCodecType::Vp9, 100);
    let mut sent = |key, temporal| !packetizer.packetize(&[1], &picture(key, temporal)).is_empty();
    assert!(!sent(false, layer(0, 3)), "no key frame yet");
    assert!(sent(true, layer(0, 3)) && sent(false, layer(2, 3)) && !sent(false, layer(2, 3)));
    assert!(!sent(false, layer(1, 3)), "nothing before the next key frame");
    assert!(sent(true, layer(0, 2)) && sent(false, layer(1, 2)) && sent(false, layer(0, 2)));
    assert!(!sent(false, None), "a group of two goes on");
    let spatial = |lengths: &[usize]| PictureInfo {
        key_frame: true,
        spatial: lengths.iter().map(|len| SpatialLayer { len: *len, ..SpatialLayer::default() }).collect(),
        ..PictureInfo::default()
    };
    for lengths in [&[1, 1][..], &[3, 0], &[usize::MAX, 4], &[4], &[1; 9]] {
        assert!(packetizer.packetize(&bytes(if lengths.len() == 9 { 9 } else { 3 }), &spatial(lengths)).is_empty());
    }
    assert_eq!(packetizer.packetize(&bytes(3), &spatial(&[1, 2])).len(), 2);
}
