//! Two peers over a virtual network.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::Pair;
use sora_peer::{
    Codec, ConnectionState, DataChannelInit, Direction, Event, MediaKind, OutboundRtp, SendError, SimulcastRid,
    TransceiverId, TransceiverInit,
};

fn video(mid: &str, direction: Direction) -> TransceiverInit {
    TransceiverInit {
        kind: MediaKind::Video,
        mid: mid.to_owned(),
        direction,
        codecs: vec![Codec::video(120, "VP9", "profile-id=0")],
        msid: Some(("SENDER".to_owned(), format!("track-{mid}"))),
        bandwidth_bps: None,
        rids: Vec::new(),
    }
}

fn rtp(timestamp: u32, payload: &'static [u8]) -> OutboundRtp {
    OutboundRtp {
        payload_type: 120,
        timestamp,
        marker: true,
        payload: Bytes::from_static(payload),
        sequence_number: None,
        rid: None,
    }
}

fn received(events: &[Event]) -> Vec<(u64, Bytes, bool)> {
    let mut packets: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Rtp { packet, .. } => Some((packet.sequence, packet.payload.clone(), packet.retransmitted)),
            _ => None,
        })
        .collect();
    packets.sort_by_key(|(sequence, ..)| *sequence);
    packets
}

/// A connected pair with one video downlink.
fn downlink() -> (Pair, TransceiverId) {
    let mut pair = Pair::new();
    let id = pair.server.add_transceiver(video("v0", Direction::SendOnly));
    pair.negotiate();
    pair.connect();
    (pair, id)
}

#[test]
fn set_up_takes_no_timer_worth_noticing() {
    let mut pair = Pair::new();
    pair.negotiate();
    let took = pair.connect();
    assert!(took <= Duration::from_millis(30), "virtual time spent waiting: {took:?}");
}

#[test]
fn data_channels_open_and_carry_messages_both_ways() {
    let mut pair = Pair::new();
    let id = pair.server.open_data_channel(pair.now, DataChannelInit::reliable("#chat")).expect("a channel");
    pair.negotiate();
    pair.connect();
    pair.run_until(Duration::from_secs(2), |p| {
        p.server_events.iter().any(|e| matches!(e, Event::DataChannelOpen { .. }))
    })
    .expect("the channel opens");
    let large = vec![7_u8; 262_144];
    pair.server.send_data(pair.now, id, b"hello", true).expect("sent");
    pair.server.send_data(pair.now, id, &large, false).expect("sent");
    pair.server.send_data(pair.now, id, b"", false).expect("sent");
    let remote = pair
        .client_events
        .iter()
        .find_map(|e| match e {
            Event::DataChannelOpen { id, label } if label == "#chat" => Some(*id),
            _ => None,
        })
        .expect("the client saw the channel");
    pair.client.send_data(pair.now, remote, b"back", false).expect("sent");
    let too_large = vec![0_u8; 262_145];
    let refused = pair.client.send_data(pair.now, remote, &too_large, false);
    assert_eq!(refused, Err(SendError::TooLarge { size: 262_145, limit: 262_144 }));
    pair.run_until(Duration::from_secs(5), |p| {
        p.client_events.iter().filter(|e| matches!(e, Event::DataChannelMessage { .. })).count() == 3
    })
    .expect("all messages arrive");
    let messages: Vec<(usize, bool)> = pair
        .client_events
        .iter()
        .filter_map(|e| match e {
            Event::DataChannelMessage { data, text, .. } => Some((data.len(), *text)),
            _ => None,
        })
        .collect();
    assert_eq!(messages, vec![(5, true), (262_144, false), (0, false)]);
    assert!(
        pair.server_events.iter().any(|e| matches!(e, Event::DataChannelMessage { data, .. } if &data[..] == b"back"))
    );
}

#[test]
fn closing_one_data_channel_closes_it_on_both_sides_and_no_other() {
    let mut pair = Pair::new();
    let first = pair.server.open_data_channel(pair.now, DataChannelInit::reliable("#first")).expect("a channel");
    let second = pair.server.open_data_channel(pair.now, DataChannelInit::reliable("#second")).expect("a channel");
    pair.negotiate();
    pair.connect();
    let opened = |p: &Pair| p.server_events.iter().filter(|e| matches!(e, Event::DataChannelOpen { .. })).count();
    pair.run_until(Duration::from_secs(2), |p| opened(p) == 2).expect("both open");
    pair.server.close_data_channel(pair.now, first);
    assert_eq!(pair.server.send_data(pair.now, first, b"late", false), Err(SendError::NotOpen));
    let closed = |events: &[Event]| -> Vec<String> {
        let label = |e: &Event| match e {
            Event::DataChannelClosed { label, .. } => Some(label.clone()),
            _ => None,
        };
        events.iter().filter_map(label).collect()
    };
    pair.run_until(Duration::from_secs(2), |p| !closed(&p.server_events).is_empty()).expect("closed by both");
    assert_eq!(
        (closed(&pair.server_events), closed(&pair.client_events)),
        (vec!["#first".to_owned()], vec!["#first".to_owned()])
    );
    pair.server.send_data(pair.now, second, b"still here", false).expect("sent");
    pair.run_until(Duration::from_secs(2), |p| {
        p.client_events.iter().any(|e| matches!(e, Event::DataChannelMessage { .. }))
    })
    .expect("the other goes on");
}

#[test]
fn media_flows_down_and_the_track_is_announced() {
    let (mut pair, id) = downlink();
    let info = pair.client.transceivers().next().expect("one transceiver");
    assert_eq!(info.remote_msid, Some(("SENDER".to_owned(), "track-v0".to_owned())));
    assert!(info.remote_sends);
    for i in 0..10 {
        assert!(pair.server.send_rtp(pair.now, id, &rtp(i * 3000, b"frame")));
    }
    pair.run_for(Duration::from_millis(10));
    assert_eq!(received(&pair.client_events).len(), 10);
}

#[test]
fn lost_packets_come_back_over_rtx() {
    let (mut pair, id) = downlink();
    let mut count = 0;
    pair.to_client = Box::new(move |transmit| {
        let media = (128..=191).contains(&transmit.data[0]) && !(192..=223).contains(&transmit.data[1]);
        count += usize::from(media);
        !(media && count % 5 == 0 && count < 60)
    });
    for i in 0..50 {
        pair.server.send_rtp(pair.now, id, &rtp(i * 3000, b"frame"));
        pair.run_for(Duration::from_millis(33));
    }
    pair.run_for(Duration::from_millis(300));
    let packets = received(&pair.client_events);
    assert_eq!(packets.len(), 50);
    assert!(packets.iter().filter(|(.., retransmitted)| *retransmitted).count() >= 9);
    let gaps = packets.windows(2).filter(|w| w[1].0 != w[0].0 + 1).count();
    assert_eq!(gaps, 0);
}

#[test]
fn the_uplink_sends_once_a_sender_is_set_and_key_frames_can_be_asked_for() {
    let mut pair = Pair::new();
    pair.server.add_transceiver(video("up", Direction::RecvOnly));
    let offer = pair.server.create_offer().expect("an offer");
    let changes = pair.client.handle_offer(&offer).expect("accepted");
    let id = changes.added[0];
    pair.client.set_sender(id, "stream", "track", &[]).expect("a sender");
    let answer = pair.client.create_answer(pair.now).expect("an answer");
    assert!(answer.contains("a=sendonly\r\na=msid:stream track"));
    pair.server.handle_answer(pair.now, &answer).expect("accepted");
    pair.connect();
    assert!(pair.client.send_rtp(pair.now, id, &rtp(0, b"up")));
    pair.run_for(Duration::from_millis(5));
    assert_eq!(received(&pair.server_events).len(), 1);
    let up = pair.server.transceivers().next().expect("one transceiver").id;
    pair.server.request_key_frame(pair.now, up, None);
    pair.run_for(Duration::from_millis(5));
    assert!(
        pair.client_events
            .iter()
            .any(|e| matches!(e, Event::KeyFrameRequested { transceiver, .. } if *transceiver == id))
    );
}

#[test]
fn participants_come_go_and_their_m_lines_are_reused() {
    let (mut pair, first) = downlink();
    let second = pair.server.add_transceiver(video("v1", Direction::SendOnly));
    assert_eq!(pair.negotiate().added.len(), 1);
    pair.server.stop_transceiver(first);
    let changes = pair.negotiate();
    assert_eq!((changes.added.len(), changes.stopped.len()), (0, 1));
    let third = pair.server.add_transceiver(video("v2", Direction::SendOnly));
    let changes = pair.negotiate();
    assert_eq!((changes.added.len(), changes.stopped.len()), (1, 0));
    let offer = pair.server.create_offer().expect("an offer");
    assert_eq!(offer.matches("m=video").count(), 2, "the freed m-line was taken over");
    for id in [second, third] {
        assert!(pair.server.send_rtp(pair.now, id, &rtp(0, b"x")));
    }
    assert!(!pair.server.send_rtp(pair.now, first, &rtp(0, b"x")), "a stopped transceiver sends nothing");
    pair.run_for(Duration::from_millis(5));
    let mids: Vec<String> = pair
        .client_events
        .iter()
        .filter_map(|e| match e {
            Event::Rtp { transceiver, .. } => pair.client.transceiver(*transceiver).map(|t| t.mid),
            _ => None,
        })
        .collect();
    assert_eq!(mids, ["v1", "v2"]);
}

#[test]
fn the_congestion_estimate_reaches_the_sender() {
    let (mut pair, id) = downlink();
    static PAYLOAD: [u8; 1000] = [1; 1000];
    for i in 0..400 {
        for _ in 0..4 {
            pair.server.send_rtp(pair.now, id, &rtp(i * 900, &PAYLOAD));
        }
        pair.run_for(Duration::from_millis(10));
    }
    assert!(pair.server_events.iter().any(|e| matches!(e, Event::TargetBitrate(_))), "feedback moved the estimate");
    assert!(pair.server.target_bitrate() >= 2_500_000, "estimate {}", pair.server.target_bitrate());
}

#[test]
fn closing_one_side_closes_the_other_at_once() {
    let mut pair = Pair::new();
    pair.server.open_data_channel(pair.now, DataChannelInit::reliable("a"));
    pair.negotiate();
    pair.connect();
    pair.run_for(Duration::from_millis(50));
    pair.client.close(pair.now);
    pair.run_for(Duration::from_millis(5));
    assert_eq!(pair.server.state(), ConnectionState::Closed);
    assert!(pair.server_events.iter().any(|e| matches!(e, Event::DataChannelClosed { .. })));
}

#[test]
fn a_vanished_peer_is_noticed() {
    let (mut pair, _) = downlink();
    pair.to_client = Box::new(|_| false);
    pair.to_server = Box::new(|_| false);
    pair.run_until(Duration::from_secs(30), |p| p.client.state() == ConnectionState::Failed).expect("failed in time");
}

#[test]
fn a_live_m_line_cannot_change_its_mid() {
    let (mut pair, _) = downlink();
    let offer = pair.server.create_offer().expect("an offer").replace("a=mid:v0", "a=mid:v9");
    let error = pair.client.handle_offer(&offer).expect_err("refused").to_string();
    assert!(error.starts_with("The order of m-lines"), "{error}");
}

#[test]
fn random_datagrams_and_descriptions_harm_nothing() {
    let (mut pair, _) = downlink();
    let mut seed = 1_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let offer = pair.server.create_offer().expect("an offer");
    for _ in 0..2000 {
        let data: Vec<u8> = (0..random() % 200).map(|_| random() as u8).collect();
        let now = pair.now;
        pair.client.handle_datagram(now, ([127, 0, 0, 1], 5001).into(), ([127, 0, 0, 1], 5000).into(), &data);
        let mut bytes = offer.clone().into_bytes();
        for _ in 0..4 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        let mut victim = common::peer(now, sora_peer::Side::Answerer);
        if victim.handle_offer(&String::from_utf8_lossy(&bytes)).is_ok() {
            let _ = victim.create_answer(now);
        }
    }
    assert_eq!(pair.client.state(), ConnectionState::Connected);
}

/// An offered uplink with three layers, the highest paused.
fn simulcast_uplink(pair: &mut Pair) -> (TransceiverId, String) {
    let rids = [("r0", true), ("r1", true), ("r2", false)];
    let rids = rids.map(|(rid, active)| SimulcastRid { rid: rid.to_owned(), active }).to_vec();
    let id = pair.server.add_transceiver(TransceiverInit { rids, ..video("v0", Direction::RecvOnly) });
    (id, pair.server.create_offer().expect("an offer"))
}

#[test]
fn an_offer_names_the_layers_and_the_extensions_that_tell_them_apart() {
    let (_, offer) = simulcast_uplink(&mut Pair::new());
    for line in ["a=rid:r0 recv", "a=rid:r1 recv", "a=rid:r2 recv", "a=simulcast:recv r0;r1;~r2"] {
        assert!(offer.contains(&format!("\r\n{line}\r\n")), "{line} in {offer}");
    }
    for extension in ["sdes:mid", "sdes:rtp-stream-id", "sdes:repaired-rtp-stream-id"] {
        assert!(offer.contains(&format!(" urn:ietf:params:rtp-hdrext:{extension}\r\n")), "{extension} in {offer}");
    }
}

#[test]
fn the_layers_are_those_the_answer_agrees_to() {
    let agreed = |lines: &str| {
        let mut pair = Pair::new();
        let (id, offer) = simulcast_uplink(&mut pair);
        let changes = pair.client.handle_offer(&offer).expect("accepted");
        pair.client.set_sender(changes.added[0], "stream", "track", &[]).expect("an uplink");
        let plain = pair.client.create_answer(pair.now).expect("an answer");
        let kept = plain.lines().filter(|line| !line.starts_with("a=rid:") && !line.starts_with("a=simulcast:"));
        let answer = kept.map(|line| format!("{line}\r\n")).collect::<String>() + lines;
        pair.server.handle_answer(pair.now, &answer).expect("accepted");
        pair.server.transceiver(id).expect("known").remote_rids
    };
    let all = "a=rid:r0 send\r\na=rid:r1 send\r\na=rid:r2 send\r\na=simulcast:send r0;r1;~r2\r\n";
    assert_eq!(agreed(all), ["r0", "r1", "r2"]);
    assert_eq!(agreed("a=rid:r1 send\r\na=rid:x send\r\na=simulcast:send r1;x\r\n"), ["r1"]);
    assert_eq!(agreed(""), Vec::<String>::new());
    assert_eq!(agreed("a=rid:r0 send\r\n"), Vec::<String>::new());
}

/// How often a silent peer's partner is to be woken up, at most: connectivity checks and retransmissions are some a
/// second.
const WAKE_UPS_A_SECOND: usize = 60;

#[test]
fn silence_of_the_peer_wakes_nobody_without_need() {
    let mut pair = Pair::new();
    let channel = pair.server.open_data_channel(pair.now, DataChannelInit::reliable("#chat")).expect("a channel");
    pair.server.add_transceiver(video("v0", Direction::SendOnly));
    pair.negotiate();
    pair.connect();
    pair.run_until(Duration::from_secs(2), |p| {
        p.server_events.iter().any(|e| matches!(e, Event::DataChannelOpen { .. }))
    })
    .expect("open");
    pair.server.send_data(pair.now, channel, b"into the void", false).expect("sent");
    for (name, peer) in [("client", &mut pair.client), ("server", &mut pair.server)] {
        let (begin, mut now, mut wake_ups) = (pair.now, pair.now, 0_usize);
        while now - begin < Duration::from_secs(10) {
            let Some(deadline) = peer.poll_timeout() else { break };
            now = now.max(deadline);
            peer.handle_timeout(now);
            while peer.poll_transmit().is_some() {}
            wake_ups += 1;
            assert!(wake_ups < 10 * WAKE_UPS_A_SECOND, "{name}: {wake_ups} wake-ups within {:?}", now - begin);
        }
    }
}
