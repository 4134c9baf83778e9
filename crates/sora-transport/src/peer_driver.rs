use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use sora_peer::{Event, PeerConnection, Transmit};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::Sleep;

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
    candidates: Vec<String>,
    buffer: Box<[u8; MAX_DATAGRAM]>,
}

impl PeerDriver {
    /// Binds one socket per address and announces it to the peer connection. Addresses that cannot be bound are
    /// passed over.
    ///
    /// # Errors
    /// The last bind error if no address could be bound.
    pub fn bind(mut peer: PeerConnection, addresses: &[IpAddr], ports: &UdpPorts) -> io::Result<Self> {
        let mut sockets = Vec::new();
        let mut candidates = Vec::new();
        let mut last_error = io::Error::new(io::ErrorKind::AddrNotAvailable, "no local address to bind");
        for address in addresses {
            match bind_udp(*address, ports) {
                Ok(socket) => {
                    let local = socket.local_addr()?;
                    match peer.add_local_candidate(local) {
                        Ok(candidate) => {
                            candidates.push(candidate);
                            sockets.push((local, socket));
                        }
                        Err(error) => tracing::debug!(%error, %local, "address is no candidate"),
                    }
                }
                Err(error) => last_error = error,
            }
        }
        if sockets.is_empty() {
            return Err(last_error);
        }
        Ok(Self {
            peer,
            sockets,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            blocked: None,
            candidates,
            buffer: Box::new([0; MAX_DATAGRAM]),
        })
    }

    /// The peer connection. Call [`Self::flush`] after changing it.
    pub fn peer(&mut self) -> &mut PeerConnection {
        &mut self.peer
    }

    /// Candidate lines of the bound sockets.
    #[must_use]
    pub fn candidates(&self) -> &[String] {
        &self.candidates
    }

    /// The next event, without waiting.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.peer.poll_event()
    }

    /// Sends what the peer connection has queued. What the socket does not take at once waits for it in
    /// [`Self::wait`].
    pub fn flush(&mut self) {
        while let Some(transmit) = self.blocked.take().or_else(|| self.peer.poll_transmit()) {
            let Some((_, socket)) = self.sockets.iter().find(|(local, _)| *local == transmit.local) else { continue };
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
                    Poll::Ready(Err(error)) => tracing::trace!(%error, "datagram not received"),
                    Poll::Pending => break,
                }
            }
        }
        if let Some(deadline) = self.peer.poll_timeout() {
            if self.timer.deadline().into_std() != deadline {
                self.timer.as_mut().reset(deadline.into());
            }
            if self.timer.as_mut().poll(cx).is_ready() {
                progress = true;
                self.peer.handle_timeout(Instant::now());
            }
        }
        if progress { Poll::Ready(()) } else { Poll::Pending }
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
    use sora_peer::{Certificate, ConnectionState, PeerConfig, Side};

    fn driver(side: Side) -> PeerDriver {
        let config = PeerConfig {
            side,
            certificate: Certificate::generate().expect("a certificate"),
            ntp_now: crate::ntp_now(),
            start_bitrate_bps: 1_000_000,
            max_bitrate_bps: 10_000_000,
            ice_failed_timeout: Duration::from_secs(10),
            supports: |_, _| true,
        };
        let peer = PeerConnection::new(Instant::now(), config).expect("a peer connection");
        PeerDriver::bind(peer, &[IpAddr::from([127, 0, 0, 1])], &UdpPorts::default()).expect("a socket")
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
