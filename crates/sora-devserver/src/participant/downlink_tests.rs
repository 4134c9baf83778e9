use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use sora_peer::{Codec, MediaKind, RtpPacket, TransceiverId};
use sora_rtp::{Vp8Descriptor, Vp9Descriptor};

use super::downlink::{Downlink, Taken};
use crate::channel::{MediaPacket, Publication, SenderReport};
use crate::simulcast::Rid::{self, R0, R1, R2};

const SECOND: Duration = Duration::from_secs(1);

/// First packets of a key frame and of another picture, each with what a codec's descriptor can have.
const PAYLOADS: [(&str, &[u8], &[u8]); 5] = [
    ("VP8", &[0x90, 0xe0, 0x80, 0, 0, 0x40, 0x00], &[0x90, 0xe0, 0x80, 0, 0, 0x40, 0x01]),
    ("VP9", &[0xa8, 0x80, 0, 0, 0, 0xaa], &[0xe8, 0x80, 0, 0, 0, 0xaa]),
    ("AV1", &[0x18, 0x0a], &[0x10, 0x32]),
    ("H264", &[0x78, 0, 4, 0x67], &[0x41, 0x9a]),
    ("H265", &[0x60, 1, 0, 4, 0x40], &[0x02, 1]),
];

/// A sender of three layers, each with its own numbers, and one receiver.
struct Scene {
    downlink: Downlink,
    now: Instant,
    key: &'static [u8],
    delta: &'static [u8],
    sequences: [u64; 3],
    pictures: [u16; 3],
    ssrcs: [u32; 3],
    request: Option<Rid>,
}

fn publication(codec: &str, simulcast: bool) -> Publication {
    let codec = Codec::video(120, codec, "");
    Publication { kind: MediaKind::Video, codec, track_id: String::new(), simulcast }
}

impl Scene {
    fn new(codec: &str, request: Option<Rid>) -> Self {
        let (_, key, delta) = *PAYLOADS.iter().find(|(name, ..)| *name == codec).expect("known");
        let mut downlink = Downlink::new(TransceiverId::default(), &publication(codec, true));
        downlink.answered = true;
        Self {
            downlink,
            now: Instant::now(),
            key,
            delta,
            sequences: [70_000, 100_000, 66_000],
            pictures: [0x7ff0, 20, 3000],
            ssrcs: [1, 2, 3],
            request,
        }
    }

    /// One picture of one packet comes in, 33 ms after the last one.
    fn take(&mut self, rid: Rid, payload: &[u8]) -> Taken {
        self.now += Duration::from_millis(33);
        let index = rid as usize;
        self.sequences[index] += 1;
        self.pictures[index] = (self.pictures[index] + 1) & 0x7fff;
        let mut payload = payload.to_vec();
        let at = match payload[0] {
            0x90 if payload.len() == 7 => Some(2),
            0xa8 | 0xe8 => Some(1),
            _ => None,
        };
        if let Some(at) = at {
            let [high, low] = self.pictures[index].to_be_bytes();
            payload[at..at + 2].copy_from_slice(&[high | 0x80, low]);
        }
        let packet = RtpPacket {
            ssrc: 1,
            payload_type: 120,
            sequence: self.sequences[index],
            timestamp: self.sequences[index] as u32 * 3000,
            marker: true,
            payload: Bytes::from(payload),
            arrival: self.now,
            retransmitted: false,
        };
        let (source, ssrc) = ("sender".into(), self.ssrcs[index]);
        let media = MediaPacket { source, kind: MediaKind::Video, rid: Some(rid), ssrc, report: None, packet };
        self.downlink.take(&media, self.request, false)
    }

    fn key(&mut self, rid: Rid) -> Taken {
        self.take(rid, self.key)
    }

    fn delta(&mut self, rid: Rid) -> Taken {
        self.take(rid, self.delta)
    }
}

fn switched(taken: &Taken) -> Option<[String; 5]> {
    let notification: Value = serde_json::from_str(&taken.switch.as_ref()?.notification("sender")).expect("JSON");
    let members = ["previous_rid", "current_rid", "request_rid", "priority", "trigger"];
    Some(members.map(|name| notification[name].as_str().expect("a word").to_owned()))
}

fn step(a: &Taken, b: &Taken) -> (u16, u32) {
    let (a, b) = (a.packet.as_ref().expect("forwarded"), b.packet.as_ref().expect("forwarded"));
    let sequence = b.sequence_number.expect("given").wrapping_sub(a.sequence_number.expect("given"));
    (sequence, b.timestamp.wrapping_sub(a.timestamp))
}

#[test]
fn a_receiver_gets_one_layer_and_a_change_waits_for_its_key_frame() {
    for (codec, ..) in PAYLOADS {
        let mut scene = Scene::new(codec, Some(R0));
        let waits = scene.delta(R0);
        assert!(waits.packet.is_none() && waits.key_frame == Some(Some(R0)), "{codec} {waits:?}");
        let first = scene.key(R0);
        assert_eq!(switched(&first), Some(["none", "r0", "r0", "higher", "receiver"].map(str::to_owned)), "{codec}");
        assert!(scene.key(R2).packet.is_none() && scene.delta(R1).packet.is_none(), "{codec}");
        scene.request = Some(R2);
        let asks = scene.delta(R0);
        assert!(asks.packet.is_some() && asks.key_frame == Some(Some(R2)), "{codec}: the old layer goes on {asks:?}");
        let old = scene.delta(R0);
        assert!(old.packet.is_some() && old.key_frame.is_none(), "{codec} {old:?}");
        assert!(scene.delta(R2).packet.is_none(), "{codec}: not without a key frame");
        assert!(scene.key(R0).switch.is_none(), "{codec}: not at another layer's key frame");
        let before = scene.delta(R0);
        let new = scene.key(R2);
        assert_eq!(switched(&new), Some(["r0", "r2", "r2", "higher", "receiver"].map(str::to_owned)), "{codec}");
        assert_eq!(step(&before, &new), (1, 2970), "{codec}");
        assert!(scene.delta(R0).packet.is_none(), "{codec}");
        let next = scene.delta(R2);
        assert_eq!(step(&new, &next), (1, 3000), "{codec}");
    }
}

#[test]
fn pictures_are_counted_on_across_switches() {
    for codec in ["VP8", "VP9"] {
        let mut scene = Scene::new(codec, Some(R0));
        let picture = |taken: &Taken| {
            let payload = &taken.packet.as_ref().expect("forwarded").payload;
            match codec {
                "VP8" => Vp8Descriptor::parse(payload).expect("readable").0.picture_id,
                _ => Vp9Descriptor::parse(payload).expect("readable").0.picture_id,
            }
            .expect("kept")
        };
        let first = picture(&scene.key(R0));
        let mut expected = first;
        for rid in [R2, R1, R0, R2] {
            scene.request = Some(rid);
            for taken in [scene.key(rid), scene.delta(rid)] {
                expected = (expected + 1) & 0x7fff;
                assert_eq!(picture(&taken), expected, "{codec}");
            }
        }
    }
}

#[test]
fn a_key_frame_is_asked_for_again_while_it_does_not_come() {
    let mut scene = Scene::new("VP8", Some(R0));
    scene.key(R0);
    scene.key(R1);
    scene.request = Some(R1);
    let asked: Vec<_> = (0..40).filter_map(|_| scene.delta(R1).key_frame).collect();
    assert_eq!(asked, [Some(R1), Some(R1), Some(R1)], "40 pictures take 1.3 s");
    assert!(scene.downlink.key_frame_of() == Some(Some(R0)), "its decoder still shows the old layer");
}

#[test]
fn a_layer_that_falls_silent_is_replaced_and_taken_up_again() {
    let mut scene = Scene::new("VP8", Some(R2));
    scene.key(R0);
    scene.key(R2);
    assert_eq!(scene.downlink.key_frame_of(), Some(Some(R2)));
    let asked: Vec<_> = (0..31).filter_map(|_| scene.delta(R0).key_frame).collect();
    assert_eq!(asked, [Some(R0)]);
    let down = scene.key(R0);
    assert_eq!(switched(&down), Some(["r2", "r0", "r2", "lower", "sender"].map(str::to_owned)));
    assert_eq!(scene.delta(R2).key_frame, Some(Some(R2)), "it is there again");
    let up = scene.key(R2);
    assert_eq!(switched(&up), Some(["r0", "r2", "r2", "higher", "sender"].map(str::to_owned)));
}

#[test]
fn a_change_that_is_taken_back_leaves_everything_as_it_was() {
    let mut scene = Scene::new("VP8", Some(R0));
    let first = scene.key(R0);
    scene.key(R1);
    scene.request = Some(R1);
    scene.delta(R0);
    scene.request = Some(R0);
    let last = scene.delta(R0);
    assert_eq!((step(&first, &last), last.key_frame), ((2, 6000), None));
    assert!(scene.key(R1).packet.is_none());
}

#[test]
fn none_forwards_nothing_and_after_it_pictures_begin_with_a_key_frame() {
    let mut scene = Scene::new("VP8", Some(R1));
    let before = scene.key(R1);
    scene.request = None;
    let stops = scene.delta(R1);
    assert_eq!(switched(&stops), Some(["r1", "none", "none", "lower", "receiver"].map(str::to_owned)));
    assert!(stops.packet.is_none() && stops.key_frame.is_none());
    let quiet = scene.key(R1);
    assert!(quiet.packet.is_none() && quiet.switch.is_none() && quiet.key_frame.is_none());
    assert_eq!(scene.downlink.key_frame_of(), None);
    scene.request = Some(R1);
    assert!(scene.delta(R1).packet.is_none());
    let again = scene.key(R1);
    assert_eq!(step(&before, &again), (1, 33 * 4 * 90));
}

#[test]
fn a_key_frame_whose_first_packet_comes_late_is_no_place_to_switch() {
    let mut scene = Scene::new("VP8", Some(R0));
    scene.key(R0);
    scene.request = Some(R1);
    scene.delta(R1);
    scene.sequences[R1 as usize] -= 2;
    assert!(scene.key(R1).switch.is_none());
    scene.sequences[R1 as usize] += 5;
    assert!(scene.key(R1).switch.is_some());
}

#[test]
fn a_layer_with_a_new_source_begins_again_with_a_key_frame() {
    let mut scene = Scene::new("VP8", Some(R0));
    scene.key(R0);
    let before = scene.delta(R0);
    scene.ssrcs[0] = 9;
    scene.sequences[0] = 65_536;
    let other = scene.delta(R0);
    assert!(other.packet.is_none() && other.key_frame == Some(Some(R0)), "{other:?}");
    let again = scene.key(R0);
    assert_eq!((step(&before, &again), again.switch.is_none()), ((1, 33 * 2 * 90), true));
}

#[test]
fn nothing_goes_out_before_the_track_is_negotiated() {
    let mut scene = Scene::new("VP8", Some(R0));
    scene.downlink.answered = false;
    let early = scene.key(R0);
    assert!(early.packet.is_none() && early.switch.is_none() && early.key_frame.is_none());
    scene.downlink.answered = true;
    assert!(scene.key(R0).packet.is_some());
}

#[test]
fn a_single_stream_is_forwarded_whatever_layer_is_asked_for() {
    let mut downlink = Downlink::new(TransceiverId::default(), &publication("VP8", false));
    downlink.answered = true;
    let now = Instant::now();
    let mut take = |payload: &'static [u8], withheld: bool, sequence: u64, after: Duration| {
        let packet = RtpPacket {
            ssrc: 1,
            payload_type: 120,
            sequence,
            timestamp: 0,
            marker: true,
            payload: Bytes::from_static(payload),
            arrival: now + after,
            retransmitted: false,
        };
        let source = "sender".into();
        let media = MediaPacket { source, kind: MediaKind::Video, rid: None, ssrc: 1, report: None, packet };
        downlink.take(&media, Some(R2), withheld)
    };
    let (key, delta): (&[u8], &[u8]) = (&[0x10, 0x00], &[0x10, 0x01]);
    assert!(take(delta, false, 1, Duration::ZERO).packet.is_some(), "nothing was withheld yet");
    assert!(take(key, true, 2, Duration::ZERO).packet.is_none());
    let asked = [Duration::ZERO, Duration::ZERO, SECOND / 2].map(|after| take(delta, false, 3, after).key_frame);
    assert_eq!(asked, [Some(None), None, Some(None)]);
    assert!(take(key, false, 4, SECOND).packet.is_some());
    assert!(take(delta, false, 5, SECOND).packet.is_some());
}

#[test]
fn whatever_a_sender_sends_is_taken_and_goes_out_with_its_length() {
    let mut state = 1_u64;
    let mut random = |below: u64| {
        // Knuth's generator; the low bits are of no use.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for (codec, ..) in PAYLOADS {
        let mut downlink = Downlink::new(TransceiverId::default(), &publication(codec, true));
        downlink.answered = true;
        let (start, mut forwarded) = (Instant::now(), 0);
        for _ in 0..20_000 {
            let payload: Bytes = (0..random(12)).map(|_| random(256) as u8).collect();
            let packet = RtpPacket {
                ssrc: 1,
                payload_type: 120,
                sequence: random(1 << 20) << (random(2) * 43),
                timestamp: random(1 << 31) as u32 * 2,
                marker: random(2) == 0,
                payload: payload.clone(),
                arrival: start + Duration::from_millis(random(10_000)),
                retransmitted: random(2) == 0,
            };
            let report = SenderReport { ntp_time: random(1 << 31) << random(33), rtp_time: random(1 << 31) as u32 * 2 };
            let media = MediaPacket {
                source: "sender".into(),
                kind: MediaKind::Video,
                rid: [None, Some(R0), Some(R1), Some(R2)][random(4) as usize],
                ssrc: random(20) as u32 / 19,
                report: (random(2) == 0).then_some(report),
                packet,
            };
            let request = [None, Some(R0), Some(R1), Some(R2)][(random(400) / 100) as usize];
            if let Some(packet) = downlink.take(&media, request, false).packet {
                assert_eq!(packet.payload.len(), payload.len());
                forwarded += 1;
            }
        }
        assert!(forwarded > 0, "{codec}");
    }
}
