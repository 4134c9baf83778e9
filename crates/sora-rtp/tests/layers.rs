//! Streams with layers: any loss, reordering and duplication gives exact pictures, each with all that it refers to.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_rtp::{
    AssemblerEvent, AssemblerLimits, FrameAssembler, PictureInfo, RtpPacket, SpatialLayer, TemporalLayer,
    VideoCodecType, VideoPacketizer,
};

struct Random(u64);

impl Random {
    fn next(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % bound
    }
}

/// One picture of a stream.
struct Picture {
    key: bool,
    temporal_id: u8,
    /// Indices of the pictures that it refers to.
    references: Vec<usize>,
    switching_up: bool,
    /// Layer frames, lowest first.
    layers: Vec<Vec<u8>>,
}

impl Picture {
    /// What has to come out: one frame, or a superframe with its index.
    fn expected(&self) -> Vec<u8> {
        let mut out = self.layers.concat();
        if self.layers.len() > 1 {
            let width = if self.layers.iter().any(|layer| layer.len() > 255) { 2 } else { 1 };
            let marker = 0xc0 | (width as u8 - 1) << 3 | (self.layers.len() as u8 - 1);
            out.push(marker);
            for layer in &self.layers {
                out.extend(&(layer.len() as u32).to_le_bytes()[..width]);
            }
            out.push(marker);
        }
        out
    }
}

fn layers(codec: VideoCodecType, key: bool, count: usize, random: &mut Random) -> Vec<Vec<u8>> {
    let bound = if random.next(3) == 0 { 700 } else { 120 };
    let layer = |index| {
        // No byte is the marker of a superframe index.
        let mut data: Vec<u8> = (0..1 + random.next(bound)).map(|_| random.next(128) as u8).collect();
        data[0] = match (codec, key && index == 0) {
            (VideoCodecType::Vp9, true) => 0x80,
            (VideoCodecType::Vp9, false) => 0x84,
            (_, true) => 0x10,
            (_, false) => 0x11,
        };
        data
    };
    (0..count).map(layer).collect()
}

const KEY_INTERVAL: usize = 40;

/// Temporal patterns with the references of each picture, counted back. In the last ones higher pictures refer to their
/// own layer too, except sometimes.
type Pattern = &'static [(u8, &'static [usize])];
const L1T1: Pattern = &[(0, &[1])];
const L1T2: Pattern = &[(0, &[2]), (1, &[1])];
const L1T3: Pattern = &[(0, &[4]), (2, &[1]), (1, &[2]), (2, &[1])];
const LONG_L1T2: Pattern =
    &[(0, &[2]), (1, &[1]), (0, &[2]), (1, &[1, 2]), (0, &[2]), (1, &[1, 2]), (0, &[2]), (1, &[1, 2])];
const LONG_L1T3: Pattern =
    &[(0, &[4]), (2, &[1]), (1, &[2]), (2, &[1, 2, 3]), (0, &[4]), (2, &[1, 2, 3]), (1, &[2, 4]), (2, &[1, 2, 3])];

fn patterned(
    codec: VideoCodecType,
    pattern: Pattern,
    spatial: usize,
    count: usize,
    random: &mut Random,
) -> Vec<Picture> {
    let picture = |index: usize| {
        let place = index % KEY_INTERVAL;
        let (temporal_id, back) = pattern[place % pattern.len()];
        let references: Vec<usize> = if place == 0 {
            Vec::new()
        } else {
            back.iter().filter(|back| **back <= place).map(|back| index - back).collect()
        };
        let base = place - place % if pattern.iter().any(|(id, _)| *id == 2) { 4 } else { 2 };
        // Y of VP8. All patterns of VP9 may have U anywhere.
        let synced = references.iter().all(|reference| reference % KEY_INTERVAL == base);
        let switching_up = if codec == VideoCodecType::Vp8 { synced && place > 0 } else { random.next(2) == 0 };
        let key = place == 0;
        Picture { key, temporal_id, references, switching_up, layers: layers(codec, key, spatial, random) }
    };
    (0..count).map(picture).collect()
}

/// VP9 pictures of random layers with random references, up to three.
fn tangled(spatial: usize, temporal: u8, count: usize, random: &mut Random) -> Vec<Picture> {
    let mut pictures: Vec<Picture> = Vec::new();
    for index in 0..count {
        let start = index - index % KEY_INTERVAL;
        let key = index == start;
        let temporal_id = if key { 0 } else { random.next(u64::from(temporal)) as u8 };
        let mut references = BTreeSet::new();
        if !key {
            let eligible: Vec<usize> = (start..index).filter(|i| pictures[*i].temporal_id <= temporal_id).collect();
            let base = eligible.iter().rev().find(|i| pictures[**i].temporal_id == 0).expect("the key frame");
            references.insert(if temporal_id == 0 { *base } else { eligible[eligible.len() - 1] });
            for _ in 0..random.next(3) {
                references.insert(eligible[eligible.len().saturating_sub(1 + random.next(6) as usize)]);
            }
        }
        let layers = layers(VideoCodecType::Vp9, key, spatial, random);
        let references = references.into_iter().collect();
        pictures.push(Picture { key, temporal_id, references, switching_up: false, layers });
    }
    // U, as RFC 9628 defines it.
    for index in 0..count {
        let own = pictures[index].temporal_id;
        let reaches =
            |picture: &Picture| picture.references.iter().any(|r| *r < index && pictures[*r].temporal_id > own);
        let later = pictures.iter().skip(index + 1).take_while(|picture| !picture.key);
        pictures[index].switching_up = !later.filter(|picture| picture.temporal_id > own).any(reaches);
    }
    pictures
}

fn packet(sequence: usize, picture: usize, marker: bool, payload: Bytes, start: Instant) -> RtpPacket {
    RtpPacket {
        ssrc: 1,
        payload_type: 96,
        sequence: sequence as u64 + 65_500,
        timestamp: picture as u32 * 3000,
        marker,
        payload,
        arrival: start + Duration::from_millis(33 * picture as u64),
        retransmitted: false,
    }
}

/// Packets of our own packetizer.
fn packetized(codec: VideoCodecType, temporal: u8, pictures: &[Picture]) -> Vec<RtpPacket> {
    let mut packetizer = VideoPacketizer::new(codec, 150);
    let (mut packets, start) = (Vec::new(), Instant::now());
    for (index, picture) in pictures.iter().enumerate() {
        let layer = |(id, layer): (usize, &Vec<u8>)| SpatialLayer {
            len: layer.len(),
            width: 160 << id,
            height: 90 << id,
            inter_layer: id > 0,
        };
        let several = picture.layers.len() > 1;
        let info = PictureInfo {
            key_frame: picture.key,
            width: 640,
            height: 360,
            temporal: (temporal > 0).then_some(TemporalLayer {
                id: picture.temporal_id,
                count: temporal,
                switching_up: picture.switching_up,
            }),
            spatial: if several { picture.layers.iter().enumerate().map(layer).collect() } else { Vec::new() },
        };
        let payloads = packetizer.packetize(&picture.layers.concat(), &info);
        let last = payloads.len() - 1;
        for (number, payload) in payloads.into_iter().enumerate() {
            packets.push(packet(packets.len(), index, number == last, payload, start));
        }
    }
    packets
}

/// VP9 packets with descriptors made here: flexible mode with P_DIFFs, or the other without a picture group.
fn described(flexible: bool, short_ids: bool, pictures: &[Picture]) -> Vec<RtpPacket> {
    let (mut packets, start, mut tl0_pic_idx) = (Vec::new(), Instant::now(), 250_u8);
    for (index, picture) in pictures.iter().enumerate() {
        tl0_pic_idx = tl0_pic_idx.wrapping_add(u8::from(picture.temporal_id == 0));
        for (spatial_id, layer) in picture.layers.iter().enumerate() {
            let pieces: Vec<&[u8]> = layer.chunks(130).collect();
            for (number, piece) in pieces.iter().enumerate() {
                let (first, last) = (number == 0, number + 1 == pieces.len());
                let flag = |set: bool, bit: u8| if set { bit } else { 0 };
                let predicted = !picture.key;
                let mut payload =
                    vec![0xa0 | flag(predicted, 0x40) | flag(flexible, 0x10) | flag(first, 8) | flag(last, 4)];
                let id = 32_700 + index as u16;
                let id = if short_ids { vec![id as u8 & 0x7f] } else { vec![0x80 | (id >> 8) as u8, id as u8] };
                payload.extend(id);
                let up = flag(picture.switching_up, 0x10);
                payload.push(picture.temporal_id << 5 | up | (spatial_id as u8) << 1 | u8::from(spatial_id > 0));
                if !flexible {
                    payload.push(tl0_pic_idx);
                } else if predicted {
                    let more = |i: usize| u8::from(i + 1 < picture.references.len());
                    let diffs = picture.references.iter().enumerate();
                    payload.extend(diffs.map(|(i, reference)| ((index - reference) as u8) << 1 | more(i)));
                }
                payload.extend(*piece);
                let marker = last && spatial_id + 1 == picture.layers.len();
                packets.push(packet(packets.len(), index, marker, payload.into(), start));
            }
        }
    }
    packets
}

/// A stream of each kind in turn, with its packets.
fn stream(kind: u64, count: usize, random: &mut Random) -> (VideoCodecType, Vec<Picture>, Vec<RtpPacket>) {
    let (vp8, vp9) = (VideoCodecType::Vp8, VideoCodecType::Vp9);
    let spatial = 1 + random.next(3) as usize;
    let (codec, pattern, layers, spatial) = match kind % 10 {
        0 => (vp8, L1T2, 2, 1),
        1 => (vp8, L1T3, 3, 1),
        2 => (vp8, LONG_L1T2, 2, 1),
        3 => (vp8, LONG_L1T3, 3, 1),
        4 => (vp9, L1T2, 2, spatial),
        5 => (vp9, L1T3, 3, spatial),
        6 => (vp9, L1T1, 0, 1 + spatial),
        other => {
            let temporal = 1 + random.next(4) as u8;
            let pictures = tangled(spatial, temporal, count, random);
            let packets = described(other % 2 == 0, random.next(2) == 0, &pictures);
            return (vp9, pictures, packets);
        }
    };
    let pictures = patterned(codec, pattern, spatial, count, random);
    let packets = packetized(codec, layers, &pictures);
    (codec, pictures, packets)
}

/// Puts packets through an assembler: indices of the pictures that came out, and how often a key frame was asked for.
fn assemble(codec: VideoCodecType, pictures: &[Picture], packets: Vec<RtpPacket>, name: &str) -> (Vec<usize>, u32) {
    let mut assembler = FrameAssembler::new(codec, AssemblerLimits::default());
    let (mut out, mut asked) = (Vec::new(), 0);
    let mut newest = packets[0].arrival;
    for mut packet in packets {
        newest = newest.max(packet.arrival);
        packet.arrival = newest;
        assembler.push(packet);
        while let Some(event) = assembler.poll() {
            match event {
                AssemblerEvent::KeyFrameNeeded => asked += 1,
                AssemblerEvent::Frame(frame) => {
                    let index = (frame.timestamp / 3000) as usize;
                    assert_eq!(frame.data, pictures[index].expected(), "{name}: picture {index}");
                    assert_eq!(frame.key_frame, pictures[index].key, "{name}: picture {index}");
                    assert!(out.last().is_none_or(|last| *last < index), "{name}: decode order");
                    for reference in &pictures[index].references {
                        assert!(out.contains(reference), "{name}: picture {index} without {reference}");
                    }
                    out.push(index);
                }
            }
        }
    }
    (out, asked)
}

#[test]
fn undisturbed_streams_come_out_whole() {
    for seed in 1..60 {
        let mut random = Random(seed * 7919);
        let (codec, pictures, packets) = stream(seed, 100, &mut random);
        let (out, asked) = assemble(codec, &pictures, packets, &format!("seed {seed}"));
        assert_eq!((out.len(), asked), (100, 0), "seed {seed}");
    }
}

#[test]
fn any_damage_gives_exact_pictures_with_all_that_they_refer_to() {
    let mut total = 0;
    for seed in 1..800 {
        let mut random = Random(seed * 0x9e37_79b9);
        let (codec, pictures, mut packets) = stream(seed, 160, &mut random);
        let loss = random.next(12);
        packets.retain(|_| random.next(100) >= loss);
        for index in 1..packets.len() {
            if seed % 2 == 0 && random.next(4) == 0 {
                packets.swap(index, index.saturating_sub(random.next(12) as usize));
            }
            if seed % 3 == 0 && random.next(10) == 0 {
                packets[index] = packets[random.next(index as u64) as usize].clone();
            }
        }
        let (out, _) = assemble(codec, &pictures, packets, &format!("seed {seed}"));
        total += out.len();
    }
    assert!(total > 800 * 40, "{total} pictures");
}

/// A whole key frame ends every wait, so pictures shortly before it may be passed over.
const fn before_key_frame(index: usize) -> bool {
    index % KEY_INTERVAL > KEY_INTERVAL - 10
}

/// Loses packets of higher layers only.
fn lossy(seed: u64, random: &mut Random) -> (VideoCodecType, Vec<Picture>, Vec<RtpPacket>, BTreeSet<usize>) {
    let (codec, pictures, mut packets) = stream(seed, 160, random);
    let mut lost = BTreeSet::new();
    packets.retain(|packet| {
        let index = (packet.timestamp / 3000) as usize;
        let keep = pictures[index].temporal_id == 0 || random.next(100) >= 6;
        if !keep {
            lost.insert(index);
        }
        keep
    });
    (codec, pictures, packets, lost)
}

#[test]
fn losses_of_higher_layers_cost_no_key_frame() {
    for seed in 1..300 {
        let mut random = Random(seed * 0x2545_f491);
        let (codec, pictures, packets, _) = lossy(seed, &mut random);
        let newest = packets.last().map_or(0, |packet| packet.timestamp / 3000) as usize;
        let (out, asked) = assemble(codec, &pictures, packets, &format!("seed {seed}"));
        assert_eq!(asked, 0, "seed {seed}");
        // The last gap may still be open.
        for (index, picture) in pictures.iter().enumerate().take(newest.saturating_sub(20)) {
            let excused = picture.temporal_id > 0 || before_key_frame(index);
            assert!(excused || out.contains(&index), "seed {seed}: picture {index}");
        }
    }
}

#[test]
fn where_references_are_told_all_that_can_be_decoded_comes_out() {
    // VP9 by its picture group, VP9 in flexible mode.
    for seed in (1..300).filter(|seed| matches!(seed % 10, 4 | 5 | 8)) {
        let mut random = Random(seed * 0x1234_5677);
        let (codec, pictures, packets, lost) = lossy(seed, &mut random);
        let (out, _) = assemble(codec, &pictures, packets, &format!("seed {seed}"));
        let mut decodable = BTreeSet::new();
        for (index, picture) in pictures.iter().enumerate().take(140) {
            if !lost.contains(&index) && picture.references.iter().all(|reference| decodable.contains(reference)) {
                decodable.insert(index);
                assert!(before_key_frame(index) || out.contains(&index), "seed {seed}: picture {index}");
            }
        }
    }
}

#[test]
fn a_lost_base_layer_asks_for_a_key_frame() {
    for seed in 1..60 {
        let mut random = Random(seed * 104_729);
        let (codec, pictures, mut packets) = stream(seed, 36, &mut random);
        let base = (4..16).find(|index| pictures[*index].temporal_id == 0).unwrap_or(0);
        packets.retain(|packet| packet.timestamp as usize / 3000 != base);
        let (out, asked) = assemble(codec, &pictures, packets, &format!("seed {seed}"));
        assert!(base == 0 || asked > 0, "seed {seed}");
        assert!(out.iter().all(|index| *index < base) || base == 0, "seed {seed}");
    }
}
