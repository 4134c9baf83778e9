//! A relay kept alive for half an hour of its own time against a real TURN server, coturn. Skipped, with a word, where
//! that is not installed; `cargo xtask interop` installs it.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sora_peer::Certificate;
use sora_peer::relay::{Relay, RelayConfig, RelayEvent, RelayTransport};

const DEADLINE: Duration = Duration::from_secs(15);
/// STUN methods (RFC 8656 section 17), as requests.
const REFRESH: u16 = 0x0004;
const CREATE_PERMISSION: u16 = 0x0008;
const CHANNEL_BIND: u16 = 0x0009;

struct Coturn {
    child: Child,
    address: SocketAddr,
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `None` if coturn is not installed.
fn coturn() -> Option<Coturn> {
    let free = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let database = std::env::temp_dir().join(format!("turn-{}.db", std::process::id()));
    let child = Command::new("turnserver")
        .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--allow-loopback-peers", "--lt-cred-mech"])
        .args(["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--realm=test", "--user=user:password"])
        .args(["--log-file=stdout", "--pidfile=", "--min-port=49152", "--max-port=65535"])
        .arg(format!("--listening-port={}", free.port()))
        .arg(format!("--userdb={}", database.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match child {
        Ok(child) => Some(Coturn { child, address: free }),
        Err(error) => {
            eprintln!("skipped: coturn (turnserver) cannot be started: {error}");
            None
        }
    }
}

/// A relay on a socket, with a clock that runs when it is told to.
struct Client {
    relay: Relay,
    socket: UdpSocket,
    now: Instant,
    sent: Vec<u16>,
    events: Vec<RelayEvent>,
}

impl Client {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(server).expect("connected");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a time limit");
        let now = Instant::now();
        let config = RelayConfig {
            server,
            local: socket.local_addr().expect("bound"),
            transport: RelayTransport::Udp,
            username: "user".to_owned(),
            password: "password".to_owned(),
        };
        let certificate = Certificate::generate().expect("a certificate");
        let relay = Relay::allocate(now, config, &certificate).expect("a relay");
        Self { relay, socket, now, sent: Vec::new(), events: Vec::new() }
    }

    /// Sends what there is to send and takes what comes, without letting its time pass.
    fn exchange(&mut self) {
        while let Some(message) = self.relay.poll_transmit() {
            self.sent.push(u16::from_be_bytes([message[0], message[1]]));
            // Refused while coturn is starting: repeated by the relay.
            let _ = self.socket.send(&message);
        }
        let mut buffer = [0; 2048];
        if let Ok(length) = self.socket.recv(&mut buffer) {
            self.relay.handle_data(self.now, &buffer[..length]);
        }
        while let Some(event) = self.relay.poll_event() {
            self.events.push(event);
        }
    }

    /// Until an event comes. Only then real time counts: coturn may still be starting.
    fn event<T>(&mut self, what: &str, wanted: impl Fn(&RelayEvent) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = self.events.iter().find_map(&wanted) {
                self.events.clear();
                return found;
            }
            assert!(begin.elapsed() < DEADLINE, "no {what}: {:?}", self.events);
            let before = Instant::now();
            self.exchange();
            self.now += before.elapsed();
            self.relay.handle_timeout(self.now);
        }
    }

    fn count(&self, method: u16) -> usize {
        self.sent.iter().filter(|kind| **kind == method).count()
    }
}

#[test]
fn an_allocation_stays_alive_and_is_given_back() {
    let Some(server) = coturn() else { return };
    let mut client = Client::new(server.address);
    let relayed = client.event("allocation", |event| match event {
        RelayEvent::Allocated(address) => Some(*address),
        _ => None,
    });
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    peer.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    let address = peer.local_addr().expect("bound");
    // Half an hour in steps of a minute: allocation, permission and channel would all have run out.
    for minute in 0..30_u8 {
        client.relay.send(client.now, address, &[minute]);
        for _ in 0..4 {
            client.exchange();
        }
        let mut buffer = [0; 16];
        let (length, from) = peer.recv_from(&mut buffer).expect("the datagram");
        assert_eq!((&buffer[..length], from), (&[minute][..], relayed));
        peer.send_to(&[minute, 1], relayed).expect("sent");
        let echoed = client.event("datagram", |event| match event {
            RelayEvent::Datagram { peer, data } => Some((*peer, data.to_vec())),
            _ => None,
        });
        assert_eq!(echoed, (address, vec![minute, 1]));
        client.now += Duration::from_secs(60);
        client.relay.handle_timeout(client.now);
        client.exchange();
    }
    let counts = [REFRESH, CREATE_PERMISSION, CHANNEL_BIND].map(|method| client.count(method));
    assert!(counts[0] >= 4 && counts[1] >= 10 && counts[2] >= 4, "refreshes, permissions, channels: {counts:?}");
    client.relay.close(client.now);
    client.exchange();
    assert_eq!(client.count(REFRESH), counts[0] + 1);
    assert!(!client.events.iter().any(|event| matches!(event, RelayEvent::Failed(_))), "{:?}", client.events);
}
