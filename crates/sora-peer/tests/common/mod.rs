//! Two peer connections joined by a virtual network with a virtual clock.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::time::{Duration, Instant};

use sora_peer::{Certificate, Codec, Event, MediaKind, PeerConfig, PeerConnection, Side, Transmit};

/// Decides about one datagram: false drops it.
pub type Link = Box<dyn FnMut(&Transmit) -> bool>;

pub struct Pair {
    pub now: Instant,
    pub server: PeerConnection,
    pub client: PeerConnection,
    pub server_events: Vec<Event>,
    pub client_events: Vec<Event>,
    pub to_client: Link,
    pub to_server: Link,
}

pub fn supports(kind: MediaKind, codec: &Codec) -> bool {
    match kind {
        MediaKind::Audio => codec.is("opus"),
        MediaKind::Video => codec.is("VP8") || codec.is("VP9"),
        MediaKind::Application => true,
    }
}

pub fn peer(now: Instant, side: Side) -> PeerConnection {
    let config = PeerConfig {
        side,
        certificate: Certificate::generate().expect("a certificate"),
        ntp_now: 0xe000_0000_0000_0000,
        start_bitrate_bps: 2_500_000,
        max_bitrate_bps: 20_000_000,
        ice_failed_timeout: Duration::from_secs(10),
        supports: sora_peer::CodecFilter::new(|kind, _, codec| supports(kind, codec)),
    };
    let mut peer = PeerConnection::new(now, config).expect("a peer connection");
    let port = if side == Side::Offerer { 5000 } else { 5001 };
    peer.add_local_candidate(([127, 0, 0, 1], port).into()).expect("a candidate");
    peer
}

impl Pair {
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            now,
            server: peer(now, Side::Offerer),
            client: peer(now, Side::Answerer),
            server_events: Vec::new(),
            client_events: Vec::new(),
            to_client: Box::new(|_| true),
            to_server: Box::new(|_| true),
        }
    }

    /// One offer/answer exchange.
    pub fn negotiate(&mut self) -> sora_peer::OfferChanges {
        let offer = self.server.create_offer().expect("an offer");
        let changes = self.client.handle_offer(&offer).expect("the offer is accepted");
        let answer = self.client.create_answer(self.now).expect("an answer");
        self.server.handle_answer(self.now, &answer).expect("the answer is accepted");
        changes
    }

    fn exchange(&mut self) -> bool {
        let mut moved = false;
        while let Some(transmit) = self.server.poll_transmit() {
            moved = true;
            if (self.to_client)(&transmit) {
                self.client.handle_datagram(self.now, transmit.remote, transmit.local, &transmit.data);
            }
        }
        while let Some(transmit) = self.client.poll_transmit() {
            moved = true;
            if (self.to_server)(&transmit) {
                self.server.handle_datagram(self.now, transmit.remote, transmit.local, &transmit.data);
            }
        }
        while let Some(event) = self.server.poll_event() {
            self.server_events.push(event);
        }
        while let Some(event) = self.client.poll_event() {
            self.client_events.push(event);
        }
        moved
    }

    /// Runs until `done` or for at most `limit` of virtual time. Returns how long it took.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> Option<Duration> {
        let start = self.now;
        loop {
            while self.exchange() {}
            if done(self) {
                return Some(self.now - start);
            }
            if self.now - start >= limit {
                return None;
            }
            let next = [self.server.poll_timeout(), self.client.poll_timeout()].into_iter().flatten().min();
            let floor = self.now + Duration::from_micros(100);
            self.now = next.unwrap_or(start + limit).clamp(floor, (start + limit).max(floor));
            self.server.handle_timeout(self.now);
            self.client.handle_timeout(self.now);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    pub fn connect(&mut self) -> Duration {
        self.run_until(Duration::from_secs(5), |pair| {
            let connected = sora_peer::ConnectionState::Connected;
            pair.server.state() == connected && pair.client.state() == connected
        })
        .expect("the peers connect")
    }
}
