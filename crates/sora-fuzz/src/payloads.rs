//! RTP payloads, both ways, and the header extension that comes with them.

use std::time::{Duration, Instant};

use sora_rtp::dependency_descriptor::{DependencyDescriptor, DependencyStructure};
use sora_rtp::{
    AssembledFrame, AssemblerEvent, AssemblerLimits, FrameAssembler, PictureInfo, RtpPacket, SpatialLayer,
    TemporalLayer, VideoCodecType, VideoPacketizer, is_h265_key_frame,
};

use crate::pieces;

/// The longest payload of the packetizers here.
const MAX_PAYLOAD: usize = 200;

/// RTP payloads to pictures: the first byte chooses the codec; each piece begins with a byte of flags (marker, new
/// timestamp) and one of sequence number.
pub fn pictures(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let codecs =
        [VideoCodecType::Vp8, VideoCodecType::Vp9, VideoCodecType::H264, VideoCodecType::Av1, VideoCodecType::H265];
    let codec = codecs[usize::from(*first) % codecs.len()];
    let mut assembler = FrameAssembler::new(codec, AssemblerLimits::default());
    let (begin, mut timestamp) = (Instant::now(), 0_u32);
    for (index, piece) in pieces(rest).take(256).enumerate() {
        let [flags, sequence, payload @ ..] = piece else { continue };
        timestamp = timestamp.wrapping_add(if flags & 2 == 0 { 0 } else { 3000 });
        assembler.push(RtpPacket {
            ssrc: 1,
            payload_type: 96,
            sequence: u64::from(*sequence),
            timestamp,
            marker: flags & 1 != 0,
            payload: payload.to_vec().into(),
            // Slow enough for gaps to grow old.
            arrival: begin + Duration::from_millis(index as u64 * if flags & 4 == 0 { 10 } else { 300 }),
            retransmitted: false,
        });
        while assembler.poll().is_some() {}
    }
    let mut packetizer = VideoPacketizer::new(codec, MAX_PAYLOAD);
    let picture = PictureInfo { key_frame: true, width: 64, height: 64, ..PictureInfo::default() };
    assert!(packetizer.packetize(rest, &picture).iter().all(|payload| payload.len() <= MAX_PAYLOAD));
}

/// Payloads of one picture at a new assembler.
fn assemble(codec: VideoCodecType, payloads: Vec<bytes::Bytes>) -> Option<AssembledFrame> {
    let mut assembler = FrameAssembler::new(codec, AssemblerLimits::default());
    let (arrival, last) = (Instant::now(), payloads.len().saturating_sub(1));
    for (index, payload) in payloads.into_iter().enumerate() {
        assembler.push(RtpPacket {
            ssrc: 1,
            payload_type: 96,
            sequence: index as u64,
            timestamp: 1,
            marker: index == last,
            payload,
            arrival,
            retransmitted: false,
        });
    }
    std::iter::from_fn(|| assembler.poll()).find_map(|event| match event {
        AssemblerEvent::Frame(frame) => Some(frame),
        AssemblerEvent::KeyFrameNeeded => None,
    })
}

/// Pictures with layers to payloads: the first byte has the codec and the temporal layers; each piece begins with a
/// byte of flags (key frame, switching up, temporal layer) and one that cuts it into spatial layers. A key frame that
/// can be sent can be received.
pub fn layers(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let codec = if first & 1 == 0 { VideoCodecType::Vp8 } else { VideoCodecType::Vp9 };
    let count = first >> 1 & 7;
    let mut packetizer = VideoPacketizer::new(codec, MAX_PAYLOAD);
    for piece in pieces(rest).take(64) {
        let [flags, cuts, frame @ ..] = piece else { continue };
        let temporal = TemporalLayer { id: flags >> 2 & 7, count, switching_up: flags & 2 != 0 };
        let layer = |len| SpatialLayer { len, width: 16, height: 16, inter_layer: flags & 32 != 0 };
        let size = usize::from(*cuts).max(1);
        let picture = PictureInfo {
            key_frame: flags & 1 != 0,
            width: 64,
            height: 64,
            temporal: (count > 0).then_some(temporal),
            spatial: if *cuts == 0 { Vec::new() } else { frame.chunks(size).map(|chunk| layer(chunk.len())).collect() },
        };
        let payloads = packetizer.packetize(frame, &picture);
        assert!(payloads.iter().all(|payload| payload.len() <= MAX_PAYLOAD));
        if let Some(received) = assemble(codec, payloads) {
            assert!(received.key_frame);
            assert!(*cuts > 0 || received.data == frame);
        }
    }
}

/// H.265 access units in Annex B: what can be sent comes back as the same units.
pub fn h265(data: &[u8]) {
    let codec = VideoCodecType::H265;
    let packetize = |frame: &[u8]| VideoPacketizer::new(codec, MAX_PAYLOAD).packetize(frame, &PictureInfo::default());
    let payloads = packetize(data);
    assert!(payloads.iter().all(|payload| payload.len() <= MAX_PAYLOAD));
    if let Some(received) = assemble(codec, payloads.clone()) {
        assert!(received.key_frame && is_h265_key_frame(data) && is_h265_key_frame(&received.data));
        assert_eq!(packetize(&received.data), payloads);
    }
}

/// Dependency descriptors, each with the last structure that came; the first byte says which one that is at first.
/// What can be read can be written and read again.
pub fn dependency_descriptor(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let mut structure = match first % 4 {
        0 => None,
        1 => Some(DependencyStructure::l1t1()),
        2 => Some(DependencyStructure::l1t2()),
        _ => Some(DependencyStructure::l1t3()),
    };
    for piece in pieces(rest).take(64) {
        let Ok(read) = DependencyDescriptor::parse(piece, structure.as_ref()) else { continue };
        let written = read.write(structure.as_ref()).expect("what was read can be written");
        assert_eq!(DependencyDescriptor::parse(&written, structure.as_ref()).as_ref(), Ok(&read));
        structure = read.structure.or(structure);
    }
}
