//! One function per thing that reads bytes of strangers. Each takes any bytes and must neither panic nor take long; what
//! else has to hold is asserted. `cargo fuzz` looks for bytes that break them, the tests run them over the corpora.
#![forbid(unsafe_code)]

mod payloads;
mod session;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sora_peer::relay::{Relay, RelayConfig, RelayTransport};
use sora_peer::{Certificate, DataChannelInit, PeerConfig, PeerConnection, Side};
use sora_signaling::message::{ClientMessage, ServerMessage};

pub use payloads::{dependency_descriptor, h265, layers, pictures};
pub use session::session;

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 11] = [
    ("messages", messages),
    ("session", session),
    ("inflate", inflate),
    ("description", description),
    ("datagrams", datagrams),
    ("proxy_response", proxy_response),
    ("relay", relay),
    ("pictures", pictures),
    ("layers", layers),
    ("h265", h265),
    ("dependency_descriptor", dependency_descriptor),
];

/// Signaling messages of either side. What can be read can be written and read again.
pub fn messages(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(message) = ServerMessage::parse(&text) {
        assert!(ServerMessage::parse(&message.to_json()).is_ok(), "{text}");
    }
    if let Ok(message) = ClientMessage::parse(&text) {
        assert!(ClientMessage::parse(&message.to_json()).is_ok(), "{text}");
    }
}

/// Compressed data channel messages: never more than the limit comes out.
pub fn inflate(data: &[u8]) {
    if let Ok(inflated) = sora_signaling::inflate(data) {
        assert!(inflated.len() <= sora_signaling::MAX_INFLATED);
    }
}

/// Session descriptions and candidates, as offer and as answer.
pub fn description(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let now = Instant::now();
    let mut client = peer(now, Side::Answerer);
    if client.handle_offer(&text).is_ok() && client.create_answer(now).is_ok() {
        let _ = client.handle_offer(&text).is_ok_and(|_| client.create_answer(now).is_ok());
    }
    let mut server = peer(now, Side::Offerer);
    server.open_data_channel(now, DataChannelInit::reliable("#x"));
    if server.create_offer().is_ok() {
        let _ = server.handle_answer(now, &text);
    }
    for line in text.lines().take(100) {
        let _ = client.add_remote_candidate(line);
    }
}

/// Datagrams at a peer connection that is connecting: two bytes of length before each.
pub fn datagrams(data: &[u8]) {
    let (mut client, now) = connecting();
    let (local, remote): (SocketAddr, SocketAddr) = (([127, 0, 0, 1], 5001).into(), ([127, 0, 0, 1], 5000).into());
    for (index, datagram) in pieces(data).take(64).enumerate() {
        let now = now + Duration::from_millis(index as u64 * 20);
        client.handle_datagram(now, local, remote, datagram);
        if client.poll_timeout().is_some_and(|at| at <= now) {
            client.handle_timeout(now);
        }
        while client.poll_transmit().is_some() {}
        while client.poll_event().is_some() {}
    }
}

/// The answer of an HTTP proxy, however it is cut.
pub fn proxy_response(data: &[u8]) {
    let whole = sora_transport::proxy::response(data);
    for end in 0..data.len().min(256) {
        // A tunnel that is there does not go away by more bytes, except that there must be none.
        if sora_transport::proxy::response(&data[..end]) == Ok(true) {
            assert!(whole.is_err() || end == data.len());
        }
    }
}

/// What a TURN server sends: the first byte says over what, then two bytes of length before each piece.
pub fn relay(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let transport = if first.is_multiple_of(2) { RelayTransport::Udp } else { RelayTransport::Stream };
    let now = Instant::now();
    let address: SocketAddr = ([127, 0, 0, 1], 3478).into();
    let config = RelayConfig {
        server: address,
        local: address,
        transport,
        username: "user".to_owned(),
        password: "password".to_owned(),
    };
    let Ok(mut relay) = Relay::allocate(now, config, certificate()) else { return };
    for (index, piece) in pieces(rest).take(64).enumerate() {
        let now = now + Duration::from_millis(index as u64 * 100);
        relay.handle_data(now, piece);
        relay.send(now, address, b"data");
        relay.handle_timeout(now);
        while relay.poll_transmit().is_some() {}
        while relay.poll_event().is_some() {}
    }
    relay.close(now);
}

/// Splits bytes by the lengths among them.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        data = rest;
        Some(piece)
    })
}

fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| Certificate::generate().expect("this machine can make a certificate"))
}

fn peer(now: Instant, side: Side) -> PeerConnection {
    let config = PeerConfig {
        side,
        certificate: certificate().clone(),
        ntp_now: 0,
        start_bitrate_bps: 1_000_000,
        max_bitrate_bps: 10_000_000,
        ice_failed_timeout: Duration::from_secs(10),
        supports: sora_peer::CodecFilter::default(),
    };
    let mut peer = PeerConnection::new(now, config).expect("a peer connection needs nothing from outside");
    let port = if side == Side::Offerer { 5000 } else { 5001 };
    peer.add_local_candidate(([127, 0, 0, 1], port).into()).expect("a candidate");
    peer
}

/// A client that has answered the offer of a server.
fn connecting() -> (PeerConnection, Instant) {
    let now = Instant::now();
    let (mut server, mut client) = (peer(now, Side::Offerer), peer(now, Side::Answerer));
    server.open_data_channel(now, DataChannelInit::reliable("#x"));
    let offer = server.create_offer().expect("an offer");
    client.handle_offer(&offer).expect("our own offer");
    client.create_answer(now).expect("an answer");
    (client, now)
}
