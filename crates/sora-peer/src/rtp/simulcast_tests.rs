//! Two RTP sessions without a transport between them: one sends three layers, the other receives them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc_srtp::context::Context as SrtpContext;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::extensions::ExtensionIds;
use super::reports::NtpClock;
use super::send::{OutboundRtp, SendStream};
use super::session::{MediaRoute, RtpEvent, RtpSession};
use crate::dtls::SrtpKeys;
use crate::sdp::{Codec, MediaKind};

const RIDS: [&str; 3] = ["r0", "r1", "r2"];
/// The layers' sources; their retransmissions have numbers one higher.
const SSRCS: [u32; 3] = [100, 200, 300];
const EXTENSIONS: ExtensionIds =
    ExtensionIds { mid: Some(4), rid: Some(10), repaired_rid: Some(11), transport_cc: None };

fn keys(local: u8, remote: u8) -> Box<SrtpKeys> {
    let provider = rtc_crypto::default_provider().expect("a provider");
    let context = |byte: u8| {
        let profile = ProtectionProfile::AeadAes128Gcm;
        SrtpContext::new(&[byte; 16], &[byte; 12], profile, None, None, provider.crypto()).expect("a context")
    };
    Box::new(SrtpKeys { local: context(local), remote: context(remote) })
}

fn session(now: Instant, receives: bool, extensions: ExtensionIds) -> RtpSession {
    let mut session = RtpSession::new(NtpClock { origin: now, ntp_at_origin: 1 << 60 }, 1_000_000, 10_000_000);
    session.extensions = extensions;
    session.set_keys(now, if receives { keys(1, 2) } else { keys(2, 1) });
    session.set_routes(vec![MediaRoute {
        transceiver: 0,
        mid: "video_up".to_owned(),
        kind: MediaKind::Video,
        codecs: vec![Codec::video(120, "VP8", "")],
        rids: if receives { RIDS.map(str::to_owned).to_vec() } else { Vec::new() },
        receives,
        remote_ssrcs: Vec::new(),
        remote_fid: Vec::new(),
    }]);
    session
}

struct Pair {
    now: Instant,
    sender: RtpSession,
    receiver: RtpSession,
}

impl Pair {
    fn new(extensions: ExtensionIds) -> Self {
        let now = Instant::now();
        let mut sender = session(now, false, extensions);
        for (rid, ssrc) in RIDS.into_iter().zip(SSRCS) {
            sender.add_send_stream(0, SendStream::new(ssrc, Some(ssrc + 1), Some(rid.to_owned()), 1000));
        }
        Self { now, sender, receiver: session(now, true, EXTENSIONS) }
    }

    /// One packet of a layer; what it leads to on the wire is lost unless it is carried over.
    fn send(&mut self, rid: &str, payload: &'static [u8]) -> Bytes {
        let packet = OutboundRtp {
            payload_type: 120,
            timestamp: 0,
            marker: true,
            payload: Bytes::from_static(payload),
            sequence_number: None,
            rid: Some(rid.into()),
        };
        assert!(self.sender.send(self.now, 0, &packet));
        self.sender.poll_transmit().expect("a datagram")
    }

    fn deliver(&mut self, rid: &str, payload: &'static [u8]) {
        let datagram = self.send(rid, payload);
        self.receiver.handle_datagram(self.now, &datagram);
    }

    /// Carries feedback over, and what it leads to back.
    fn exchange(&mut self) {
        while let Some(feedback) = self.receiver.poll_transmit() {
            self.sender.handle_datagram(self.now, &feedback);
        }
        while let Some(datagram) = self.sender.poll_transmit() {
            self.receiver.handle_datagram(self.now, &datagram);
        }
    }

    /// What arrived: layer, source, payload and whether it was repaired.
    fn received(&mut self) -> Vec<(Option<String>, u32, Bytes, bool)> {
        std::iter::from_fn(|| self.receiver.poll_event())
            .filter_map(|event| match event {
                RtpEvent::Packet { ssrc, rid, packet, .. } => Some((rid, ssrc, packet.payload, packet.retransmitted)),
                _ => None,
            })
            .collect()
    }

    fn key_frames_asked(&mut self) -> Vec<Option<String>> {
        std::iter::from_fn(|| self.sender.poll_event())
            .filter_map(|event| match event {
                RtpEvent::KeyFrameRequested { rid, .. } => Some(rid),
                _ => None,
            })
            .collect()
    }
}

fn some(rid: &str) -> Option<String> {
    Some(rid.to_owned())
}

#[test]
fn each_layer_is_told_by_its_rid() {
    let mut pair = Pair::new(EXTENSIONS);
    for rid in ["r2", "r0", "r1", "r2"] {
        pair.deliver(rid, b"x");
    }
    let layers: Vec<_> = pair.received().into_iter().map(|(rid, ssrc, ..)| (rid, ssrc)).collect();
    assert_eq!(layers, [(some("r2"), 300), (some("r0"), 100), (some("r1"), 200), (some("r2"), 300)]);
}

#[test]
fn without_mid_the_rid_finds_the_m_line() {
    let mut pair = Pair::new(ExtensionIds { mid: None, ..EXTENSIONS });
    for rid in RIDS {
        pair.deliver(rid, b"x");
    }
    assert_eq!(pair.received().len(), 3);
}

#[test]
fn a_source_that_names_no_negotiated_layer_is_not_taken_for_one() {
    let mut pair = Pair::new(ExtensionIds { rid: None, ..EXTENSIONS });
    pair.deliver("r0", b"x");
    let mut other = Pair::new(EXTENSIONS);
    other.sender.add_send_stream(0, SendStream::new(400, None, some("r9"), 1));
    other.deliver("r9", b"x");
    assert_eq!((pair.received(), other.received()), (Vec::new(), Vec::new()));
}

#[test]
fn what_a_layer_lost_is_asked_of_it_and_its_repair_goes_to_it() {
    let mut pair = Pair::new(EXTENSIONS);
    for rid in RIDS {
        pair.deliver(rid, b"first");
    }
    pair.send("r1", b"lost");
    for rid in RIDS {
        pair.deliver(rid, b"third");
    }
    pair.received();
    pair.now += Duration::from_millis(10);
    pair.receiver.handle_timeout(pair.now);
    pair.exchange();
    let nacks: Vec<u64> = pair.sender.send_streams.iter().map(|(_, stream)| stream.nack_count).collect();
    assert_eq!(nacks, [0, 1, 0]);
    assert_eq!(pair.received(), [(some("r1"), 200, Bytes::from_static(b"lost"), true)]);
}

#[test]
fn a_repair_that_names_no_layer_is_not_given_to_any() {
    let mut pair = Pair::new(ExtensionIds { repaired_rid: None, ..EXTENSIONS });
    pair.deliver("r0", b"first");
    pair.send("r0", b"lost");
    pair.deliver("r0", b"third");
    pair.received();
    pair.now += Duration::from_millis(10);
    pair.receiver.handle_timeout(pair.now);
    pair.exchange();
    assert_eq!(pair.received(), Vec::new());
}

#[test]
fn a_key_frame_is_asked_of_one_layer_or_of_all() {
    let mut pair = Pair::new(EXTENSIONS);
    pair.deliver("r0", b"x");
    pair.deliver("r2", b"x");
    pair.receiver.request_key_frame(0, Some("r2"));
    pair.exchange();
    assert_eq!(pair.key_frames_asked(), [some("r2")]);
    pair.receiver.request_key_frame(0, Some("r1"));
    pair.exchange();
    assert_eq!(pair.key_frames_asked(), Vec::new(), "nothing is known of this layer's source yet");
    pair.receiver.request_key_frame(0, None);
    pair.exchange();
    let mut asked = pair.key_frames_asked();
    asked.sort();
    assert_eq!(asked, [some("r0"), some("r2")]);
}

#[test]
fn a_layer_with_a_new_source_leaves_the_old_one() {
    let mut pair = Pair::new(EXTENSIONS);
    pair.deliver("r0", b"old");
    pair.sender.remove_send_streams(0);
    for ssrc in (1000..6000).step_by(2) {
        pair.sender.remove_send_streams(0);
        pair.sender.add_send_stream(0, SendStream::new(ssrc, Some(ssrc + 1), some("r0"), 1));
        pair.deliver("r0", b"new");
    }
    assert_eq!(pair.received().len(), 2501);
    assert_eq!(pair.receiver.receive_streams.len(), 1);
}
