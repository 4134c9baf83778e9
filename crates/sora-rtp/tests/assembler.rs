//! Any loss, reordering and duplication gives exact pictures or a clean gap.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_rtp::{
    AssemblerEvent, AssemblerLimits, FrameAssembler, PictureInfo, RtpPacket, VideoCodecType, VideoPacketizer,
};

const CODECS: [VideoCodecType; 5] = VideoCodecType::ALL;

struct Random(u64);

impl Random {
    fn next(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn picture(codec: VideoCodecType, key: bool, length: usize, random: &mut Random) -> Vec<u8> {
    let mut data: Vec<u8> = (0..length).map(|_| random.next(256) as u8).collect();
    match codec {
        VideoCodecType::H264 | VideoCodecType::H265 => return unit_picture(codec, key, data),
        VideoCodecType::Av1 => return av1_picture(key, &data),
        _ => {}
    }
    data[0] = match (codec, key) {
        (VideoCodecType::Vp9, true) => 0x80,
        (VideoCodecType::Vp9, false) => 0x84,
        (_, true) => 0x10,
        (_, false) => 0x11,
    };
    data
}

/// An access unit in Annex B, with parameter sets before an IDR slice, sometimes in two slices.
fn unit_picture(codec: VideoCodecType, key: bool, mut data: Vec<u8>) -> Vec<u8> {
    // No start codes by chance, none of the trailing zeros that belong to the next one.
    data.iter_mut().for_each(|byte| *byte |= 1);
    let (sets, header): (&[&[u8]], &[u8]) = match (codec, key) {
        (VideoCodecType::H265, true) => (&[&[0x40, 1, 5], &[0x42, 1, 9, 9], &[0x44, 1, 3]], &[0x26, 1]),
        (VideoCodecType::H265, false) => (&[], &[0x02, 1]),
        (_, true) => (&[&[0x67, 0x42, 1], &[0x68, 3]], &[0x65]),
        (_, false) => (&[], &[0x41]),
    };
    let mut out = Vec::new();
    for set in sets {
        out.extend([0, 0, 0, 1]);
        out.extend(*set);
    }
    let middle = data.len() / 2;
    let whole = data[0] & 2 == 0 || middle == 0;
    let slices = if whole { vec![&data[..]] } else { vec![&data[..middle], &data[middle..]] };
    for slice in slices {
        out.extend([0, 0, 0, 1]);
        out.extend(header);
        out.extend(slice);
    }
    out
}

/// A temporal unit in the low-overhead format, with a sequence header before a key frame.
fn av1_picture(key: bool, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x12, 0];
    if key {
        out.extend([0x0a, 3, 1, 2, 3]);
    }
    out.push(0x32);
    let mut size = data.len();
    loop {
        let byte = (size & 0x7f) as u8;
        size >>= 7;
        out.push(byte | if size == 0 { 0 } else { 0x80 });
        if size == 0 {
            break;
        }
    }
    out.extend(data);
    out
}

fn packets(codec: VideoCodecType, frames: &[(bool, Vec<u8>)], start: Instant, padding: bool) -> Vec<RtpPacket> {
    let mut packetizer = VideoPacketizer::new(codec, 200);
    let mut sequence = 65_530;
    let mut packets = Vec::new();
    for (index, (key, data)) in frames.iter().enumerate() {
        let payloads =
            packetizer.packetize(data, &PictureInfo { key_frame: *key, width: 640, height: 480, ..Default::default() });
        let count = payloads.len();
        let mut push = |payload, marker| {
            packets.push(RtpPacket {
                ssrc: 1,
                payload_type: 96,
                sequence,
                timestamp: (index as u32).wrapping_mul(3000).wrapping_sub(9000),
                marker,
                payload,
                arrival: start + Duration::from_millis(33 * index as u64),
                retransmitted: false,
            });
            sequence += 1;
        };
        for (number, payload) in payloads.into_iter().enumerate() {
            push(payload, number + 1 == count);
        }
        if padding && index % 3 == 0 {
            push(Bytes::new(), false);
        }
    }
    packets
}

fn collect(assembler: &mut FrameAssembler, frames: &mut Vec<(u32, bool, Bytes)>, asked: &mut u32) {
    while let Some(event) = assembler.poll() {
        match event {
            AssemblerEvent::Frame(f) => frames.push((f.timestamp, f.key_frame, f.data)),
            AssemblerEvent::KeyFrameNeeded => *asked += 1,
        }
    }
}

#[test]
fn an_undisturbed_stream_comes_out_whole() {
    for codec in CODECS {
        let mut random = Random(7);
        let frames: Vec<_> =
            (0..50).map(|i| (i == 0, picture(codec, i == 0, 1 + random.next(3000) as usize, &mut random))).collect();
        let mut assembler = FrameAssembler::new(codec, AssemblerLimits::default());
        let (mut out, mut asked) = (Vec::new(), 0);
        for packet in packets(codec, &frames, Instant::now(), true) {
            assembler.push(packet);
            collect(&mut assembler, &mut out, &mut asked);
        }
        assert_eq!(out.len(), 50);
        assert_eq!(asked, 0);
        assert!(out.iter().zip(&frames).all(|(got, sent)| got.2 == sent.1));
    }
}

#[test]
fn reordering_and_duplicates_alone_lose_nothing() {
    for seed in 1..120 {
        let codec = CODECS[seed as usize % CODECS.len()];
        let mut random = Random(seed * 7919);
        let frames: Vec<_> =
            (0..40).map(|i| (i == 0, picture(codec, i == 0, 1 + random.next(1500) as usize, &mut random))).collect();
        let mut list = packets(codec, &frames, Instant::now(), false);
        // Each packet late by up to five places, some of them twice; arrival times stay in order.
        let arrivals: Vec<_> = list.iter().map(|packet| packet.arrival).collect();
        let mut placed: Vec<(u64, RtpPacket)> = Vec::new();
        for (index, packet) in list.drain(..).enumerate() {
            if random.next(10) == 0 {
                placed.push((index as u64 + random.next(6), packet.clone()));
            }
            placed.push((index as u64 + random.next(6), packet));
        }
        placed.sort_by_key(|(place, _)| *place);
        for (place, mut packet) in placed {
            packet.arrival = arrivals[(place as usize).min(arrivals.len() - 1)];
            list.push(packet);
        }
        let mut assembler = FrameAssembler::new(codec, AssemblerLimits::default());
        let (mut out, mut asked) = (Vec::new(), 0);
        for packet in list {
            assembler.push(packet);
            collect(&mut assembler, &mut out, &mut asked);
        }
        assert_eq!(out.len(), 40, "seed {seed}");
        assert!(out.iter().zip(&frames).all(|(got, sent)| got.2 == sent.1));
    }
}

#[test]
fn any_damage_gives_exact_pictures_or_a_clean_gap() {
    for seed in 1..400u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let codec = CODECS[seed as usize % CODECS.len()];
        let frames: Vec<_> = (0..120)
            .map(|i| {
                let key = i % 15 == 0;
                (key, picture(codec, key, 1 + random.next(2500) as usize, &mut random))
            })
            .collect();
        let loss = random.next(30);
        let mut list = packets(codec, &frames, Instant::now(), seed % 3 == 0);
        list.retain(|_| random.next(100) >= loss);
        for index in 1..list.len() {
            if random.next(4) == 0 {
                let other = index.saturating_sub(random.next(20) as usize);
                list.swap(index, other);
            }
            if random.next(8) == 0 {
                list[index] = list[random.next(index as u64) as usize].clone();
            }
            if random.next(200) == 0 {
                list[index].payload = Bytes::from(vec![random.next(256) as u8; 2]);
            }
        }
        let mut assembler = FrameAssembler::new(codec, AssemblerLimits::default());
        let (mut out, mut asked) = (Vec::new(), 0);
        let mut newest = list[0].arrival;
        for mut packet in list {
            newest = newest.max(packet.arrival);
            packet.arrival = newest;
            assembler.push(packet);
            collect(&mut assembler, &mut out, &mut asked);
        }
        let mut previous: Option<usize> = None;
        for (timestamp, key, data) in &out {
            let index = (timestamp.wrapping_add(9000) / 3000) as usize;
            // A two byte overwritten payload may itself read as a picture: only data of the right length is ours.
            if data.len() != frames[index].1.len() && data.len() <= 1 {
                previous = None;
                continue;
            }
            if let Some(previous) = previous {
                assert!(index > previous, "seed {seed}: decode order");
                assert!(*key || index == previous + 1, "seed {seed}: gap before an inter picture");
            }
            previous = Some(index);
        }
        let stats = assembler.stats();
        assert_eq!(stats.frames as usize, out.len());
    }
}

#[test]
fn losses_without_corruption_give_only_exact_pictures() {
    for seed in 1..200u64 {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let codec = CODECS[seed as usize % CODECS.len()];
        let frames: Vec<_> = (0..120)
            .map(|i| {
                let key = i % 20 == 0;
                (key, picture(codec, key, 1 + random.next(2500) as usize, &mut random))
            })
            .collect();
        let mut list = packets(codec, &frames, Instant::now(), false);
        let loss = random.next(10);
        list.retain(|_| random.next(100) >= loss);
        let mut assembler = FrameAssembler::new(codec, AssemblerLimits::default());
        let (mut out, mut asked) = (Vec::new(), 0);
        for packet in list {
            assembler.push(packet);
            collect(&mut assembler, &mut out, &mut asked);
        }
        for (timestamp, key, data) in &out {
            let index = (timestamp.wrapping_add(9000) / 3000) as usize;
            assert_eq!((key, data.as_ref()), (&frames[index].0, frames[index].1.as_slice()));
        }
    }
}

#[test]
fn a_gap_that_stays_open_asks_for_a_key_frame_and_drops_until_it() {
    let codec = VideoCodecType::Vp8;
    let mut random = Random(3);
    let frames: Vec<_> =
        (0..30).map(|i| (i == 0 || i == 20, picture(codec, i == 0 || i == 20, 500, &mut random))).collect();
    let mut list = packets(codec, &frames, Instant::now(), false);
    list.remove(10);
    let mut assembler = FrameAssembler::new(codec, AssemblerLimits::default());
    let (mut out, mut asked) = (Vec::new(), 0);
    for packet in list {
        assembler.push(packet);
        collect(&mut assembler, &mut out, &mut asked);
    }
    assert_eq!(asked, 2, "once when the gap is old, once 200 ms later");
    assert_eq!(out.len(), 3 + 10);
    assert!(out[3].1, "continues with the key frame");
}

#[test]
fn memory_stays_bounded_without_a_key_frame() {
    let codec = VideoCodecType::Vp9;
    let limits = AssemblerLimits { max_packets: 64, ..AssemblerLimits::default() };
    let mut assembler = FrameAssembler::new(codec, limits);
    let now = Instant::now();
    for sequence in 0..10_000u64 {
        assembler.push(RtpPacket {
            ssrc: 1,
            payload_type: 96,
            sequence: sequence * 2,
            timestamp: 1,
            marker: false,
            payload: Bytes::from_static(&[0x88, 1, 0x80]),
            arrival: now,
            retransmitted: false,
        });
        while assembler.poll().is_some() {}
    }
    let stats = assembler.stats();
    assert!(stats.packets - stats.dropped <= 65);
}

#[test]
fn h265_parameter_sets_alone_do_not_start_decoding() {
    let vps = [0_u8, 0, 0, 1, 0x40, 1, 5];
    let unit = |header: u8| [&vps[..], &[0, 0, 0, 1, header, 1, 9]].concat();
    // A trailing picture, then a clean random access picture, then a trailing picture again, each with a VPS.
    let frames = [(false, unit(0x02)), (true, unit(0x2a)), (false, unit(0x02))];
    let mut assembler = FrameAssembler::new(VideoCodecType::H265, AssemblerLimits::default());
    let (mut out, mut asked) = (Vec::new(), 0);
    for packet in packets(VideoCodecType::H265, &frames, Instant::now(), false) {
        assembler.push(packet);
        collect(&mut assembler, &mut out, &mut asked);
    }
    let got: Vec<_> = out.into_iter().map(|(_, key, data)| (key, data.to_vec())).collect();
    assert_eq!(got, frames[1..]);
}

#[test]
fn a_flood_of_parameter_sets_is_walked_over_once_a_packet_and_ends_with_the_next_key_frame() {
    // Nothing but starts of key frames, all of one picture that never ends; looking for a whole picture from each of
    // them each time would take hours.
    let mut assembler = FrameAssembler::new(VideoCodecType::H264, AssemblerLimits::default());
    let start = Instant::now();
    let flood = 100_000_u64;
    let (mut out, mut asked) = (Vec::new(), 0);
    let packet = |sequence: u64, timestamp: u32, marker: bool, payload: &'static [u8]| RtpPacket {
        ssrc: 1,
        payload_type: 96,
        sequence,
        timestamp,
        marker,
        payload: Bytes::from_static(payload),
        arrival: start + Duration::from_micros(sequence * 20),
        retransmitted: false,
    };
    for sequence in 0..flood {
        assembler.push(packet(sequence, 1, false, &[0x67, 0]));
        collect(&mut assembler, &mut out, &mut asked);
    }
    let stats = assembler.stats();
    assert!(stats.packets - stats.dropped <= AssemblerLimits::default().max_packets as u64 + 1, "{stats:?}");
    for (offset, marker, payload) in [(0, false, &[0x67, 1][..]), (1, false, &[0x68, 2]), (2, true, &[0x65, 3])] {
        assembler.push(packet(flood + offset, 2, marker, payload));
        collect(&mut assembler, &mut out, &mut asked);
    }
    assert!(asked >= 1);
    // What was left of the flood has an end now, and is for a decoder to refuse.
    assert_eq!(out.last().map(|(timestamp, key, _)| (*timestamp, *key)), Some((2, true)));
    assert!(out.len() <= 2);
}
