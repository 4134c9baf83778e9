use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use socket2::{Domain, Protocol, Socket, Type};
use sora_peer::relay::RelayEvent;
use sora_peer::{Certificate, Event, PeerConnection, Transmit};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::Sleep;

use crate::relay_socket::{RelayError, RelayOptions, RelaySocket};

/// Datagrams read in one go before events are handed out.
const READ_BATCH: usize = 64;
/// Larger datagrams do not occur: both ends keep below the usual path MTU.
const MAX_DATAGRAM: usize = 2048;
/// A key frame leaves in one burst; the kernel's default buffers hold only a small one.
const SOCKET_BUFFER: usize = 1 << 20;

/// Which local UDP ports to bind.
#[derive(Debug, Clone, Default)]
pub struct UdpPorts(pub Option<RangeInclusive<u16>>);

/// A [`PeerConnection`] on UDP sockets. One task owns it; nothing in it is locked.
///
/// Call [`Self::wait`] in a `select!`, then [`Self::poll_event`] until `None`, then [`Self::flush`].
pub struct PeerDriver {
    peer: PeerConnection,
    sockets: Vec<(SocketAddr, UdpSocket)>,
    timer: Pin<Box<Sleep>>,
    blocked: Option<Transmit>,
    relays: Vec<RelaySocket>,
    opening: FuturesUnordered<BoxFuture<'static, Result<RelaySocket, (String, RelayError)>>>,
    related_hidden: bool,
    candidates: VecDeque<String>,
    buffer: Box<[u8; MAX_DATAGRAM]>,
}

impl PeerDriver {
    /// A driver without sockets; give it some with [`Self::bind`] and [`Self::open_relays`].
    #[must_use]
    pub fn new(peer: PeerConnection) -> Self {
        Self {
            peer,
            sockets: Vec::new(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            blocked: None,
            relays: Vec::new(),
            opening: FuturesUnordered::new(),
            related_hidden: true,
            candidates: VecDeque::new(),
            buffer: Box::new([0; MAX_DATAGRAM]),
        }
    }

    /// Binds one UDP socket per address and announces it to the peer connection. Addresses that cannot be bound are
    /// passed over.
    ///
    /// # Errors
    /// The last bind error if no address could be bound.
    pub fn bind(&mut self, addresses: &[IpAddr], ports: &UdpPorts) -> io::Result<()> {
        self.related_hidden = false;
        let mut last_error = io::Error::new(io::ErrorKind::AddrNotAvailable, "no local address to bind");
        for address in addresses {
            match bind_udp(*address, ports) {
                Ok(socket) => {
                    let local = socket.local_addr()?;
                    match self.peer.add_local_candidate(local) {
                        Ok(candidate) => {
                            self.candidates.push_back(candidate);
                            self.sockets.push((local, socket));
                        }
                        Err(error) => tracing::debug!(%error, %local, "address is no candidate"),
                    }
                }
                Err(error) => last_error = error,
            }
        }
        if self.sockets.is_empty() { Err(last_error) } else { Ok(()) }
    }

    /// Asks TURN servers for relayed candidates. They come out of [`Self::poll_candidate`] as they are allocated; a
    /// server that gives none is told in the log. Without a call of [`Self::bind`] the connection goes through relays
    /// only, and they do not tell this machine's addresses.
    pub fn open_relays(&mut self, options: &RelayOptions, certificate: &Certificate) {
        for request in options.requests() {
            let certificate = certificate.clone();
            self.opening.push(Box::pin(async move {
                let name = request.name();
                request.open(certificate).await.map_err(|error| (name, error))
            }));
        }
    }

    /// The peer connection. Call [`Self::flush`] after changing it.
    pub fn peer(&mut self) -> &mut PeerConnection {
        &mut self.peer
    }

    /// The next candidate line to tell the peer, without waiting.
    pub fn poll_candidate(&mut self) -> Option<String> {
        self.candidates.pop_front()
    }

    /// The next event, without waiting.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.peer.poll_event()
    }

    /// Sends what the peer connection has queued. What the socket does not take at once waits for it in
    /// [`Self::wait`].
    pub fn flush(&mut self) {
        while let Some(transmit) = self.blocked.take().or_else(|| self.peer.poll_transmit()) {
            let Some((_, socket)) = self.sockets.iter().find(|(local, _)| *local == transmit.local) else {
                if let Some(relay) = self.relays.iter_mut().find(|relay| relay.relayed() == Some(transmit.local)) {
                    relay.send(Instant::now(), transmit.remote, &transmit.data);
                }
                continue;
            };
            match socket.try_send_to(&transmit.data, transmit.remote) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = Some(transmit);
                    return;
                }
                // Unreachable ports and networks: ICE finds out by itself.
                Err(error) => tracing::trace!(%error, remote = %transmit.remote, "datagram not sent"),
                Ok(_) => {}
            }
        }
    }

    /// Flushes, then waits until there may be an event. Cancel safe: nothing is lost if the future is dropped.
    pub async fn wait(&mut self) {
        self.flush();
        poll_fn(|cx| self.poll(cx)).await;
        self.flush();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut progress = false;
        if let Some(blocked) = &self.blocked
            && let Some((_, socket)) = self.sockets.iter().find(|(local, _)| *local == blocked.local)
            && socket.poll_send_ready(cx).is_ready()
        {
            progress = true;
        }
        for (local, socket) in &self.sockets {
            for _ in 0..READ_BATCH {
                let mut buffer = ReadBuf::new(&mut self.buffer[..]);
                match socket.poll_recv_from(cx, &mut buffer) {
                    Poll::Ready(Ok(remote)) => {
                        progress = true;
                        self.peer.handle_datagram(Instant::now(), *local, remote, buffer.filled());
                    }
                    // ICMP errors of earlier sends surface here.
                    Poll::Ready(Err(error)) => {
                        progress = true;
                        tracing::trace!(%error, "datagram not received");
                    }
                    Poll::Pending => break,
                }
            }
        }
        progress |= self.poll_relays(cx);
        let deadlines = self.relays.iter_mut().map(RelaySocket::poll_timeout).chain([self.peer.poll_timeout()]);
        if let Some(deadline) = deadlines.flatten().min() {
            if self.timer.deadline().into_std() != deadline {
                self.timer.as_mut().reset(deadline.into());
            }
            if self.timer.as_mut().poll(cx).is_ready() {
                progress = true;
                let now = Instant::now();
                self.peer.handle_timeout(now);
                for relay in &mut self.relays {
                    relay.handle_timeout(now);
                }
            }
        }
        if progress { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl PeerDriver {
    /// True if anything happened.
    fn poll_relays(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while let Poll::Ready(Some(opened)) = self.opening.poll_next_unpin(cx) {
            progress = true;
            match opened {
                Ok(relay) => self.relays.push(relay),
                Err((server, error)) => tracing::warn!(server, %error, "TURN server not used"),
            }
        }
        let mut index = 0;
        while index < self.relays.len() {
            let alive = match self.relays[index].poll(cx, &mut self.buffer[..]) {
                Poll::Ready(Ok(())) => {
                    progress = true;
                    true
                }
                Poll::Ready(Err(error)) => {
                    tracing::warn!(server = self.relays[index].name(), %error, "connection to the TURN server lost");
                    false
                }
                Poll::Pending => true,
            };
            if alive && self.relay_events(index) {
                index += 1;
            } else {
                progress = true;
                self.relays.swap_remove(index);
            }
        }
        progress
    }

    /// False if the relay is of no more use.
    fn relay_events(&mut self, index: usize) -> bool {
        while let Some(event) = self.relays[index].poll_event() {
            let relay = &self.relays[index];
            match event {
                RelayEvent::Allocated(relayed) => {
                    let hidden = if relayed.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    let related = hidden.parse().ok().filter(|_| self.related_hidden).unwrap_or(relay.local());
                    match self.peer.add_local_relay_candidate(relayed, related) {
                        Ok(candidate) => self.candidates.push_back(candidate),
                        Err(error) => tracing::warn!(%error, %relayed, "relayed address is no candidate"),
                    }
                }
                RelayEvent::Failed(reason) => {
                    tracing::warn!(server = relay.name(), reason, "TURN server not used");
                    return false;
                }
                RelayEvent::Datagram { peer, data } => {
                    if let Some(relayed) = relay.relayed() {
                        self.peer.handle_datagram(Instant::now(), relayed, peer, &data);
                    }
                }
            }
        }
        true
    }

    /// Gives relays back to their servers. The peer connection is closed by its owner.
    pub fn close_relays(&mut self) {
        let now = Instant::now();
        for relay in &mut self.relays {
            relay.close(now);
        }
    }
}

fn bind_udp(address: IpAddr, ports: &UdpPorts) -> io::Result<UdpSocket> {
    let Some(range) = &ports.0 else { return udp_socket(SocketAddr::new(address, 0)) };
    let count = u32::from(*range.end()).saturating_sub((*range.start()).into()) + 1;
    // Starting anywhere in the range spreads many connections over it without a table of who has what.
    let start = rand::random::<u32>() % count;
    let mut last_error = io::Error::new(io::ErrorKind::AddrInUse, "the UDP port range is used up");
    for offset in 0..count {
        let port = u32::from(*range.start()) + (start + offset) % count;
        match udp_socket(SocketAddr::new(address, port as u16)) {
            Ok(socket) => return Ok(socket),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

fn udp_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The kernel caps these silently; any gain helps.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sora_peer::{Certificate, CodecFilter, ConnectionState, PeerConfig, Side};

    fn driver(side: Side) -> PeerDriver {
        let config = PeerConfig {
            side,
            certificate: Certificate::generate().expect("a certificate"),
            ntp_now: crate::ntp_now(),
            start_bitrate_bps: 1_000_000,
            max_bitrate_bps: 10_000_000,
            ice_failed_timeout: Duration::from_secs(10),
            supports: CodecFilter::default(),
        };
        let mut driver = PeerDriver::new(PeerConnection::new(Instant::now(), config).expect("a peer connection"));
        driver.bind(&[IpAddr::from([127, 0, 0, 1])], &UdpPorts::default()).expect("a socket");
        driver
    }

    #[tokio::test]
    async fn two_drivers_connect_over_loopback() {
        let (mut server, mut client) = (driver(Side::Offerer), driver(Side::Answerer));
        let offer = server.peer().create_offer().expect("an offer");
        client.peer().handle_offer(&offer).expect("accepted");
        let answer = client.peer().create_answer(Instant::now()).expect("an answer");
        server.peer().handle_answer(Instant::now(), &answer).expect("accepted");
        let connected = async {
            loop {
                tokio::select! {
                    () = server.wait() => {}
                    () = client.wait() => {}
                }
                let both = [server.peer().state(), client.peer().state()];
                if both == [ConnectionState::Connected; 2] {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), connected).await.expect("connected in time");
    }

    #[tokio::test]
    async fn ports_come_from_the_range() {
        let range = UdpPorts(Some(39_000..=39_050));
        let first = bind_udp(IpAddr::from([127, 0, 0, 1]), &range).expect("a port");
        let second = bind_udp(IpAddr::from([127, 0, 0, 1]), &range).expect("another port");
        for socket in [first, second] {
            let port = socket.local_addr().expect("bound").port();
            assert!((39_000..=39_050).contains(&port));
        }
    }
}
