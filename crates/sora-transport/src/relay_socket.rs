//! The connection to a TURN server, over UDP, TCP or TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use sora_peer::relay::{
    Relay, RelayConfig, RelayEvent, RelayServer, RelayServerError, RelayServerTransport, RelayTransport,
};
use sora_peer::{Certificate, PeerError};
use sora_signaling::message::IceServer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UdpSocket;

use crate::dial::{self, DialError, Stream};
use crate::proxy::Proxy;
use crate::tls::TlsOptions;

/// Servers beyond these are not asked. Sora hands out one with three URLs.
const MAX_RELAYS: usize = 8;
/// Time for resolving, TCP, proxy and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that may wait for TCP: half a second at 4 Mbit/s. What comes on top is lost, as on any full link.
const MAX_OUTGOING: usize = 256 << 10;
/// Messages read in one go before others get their turn.
const READ_BATCH: usize = 64;

/// TURN servers to get relayed candidates from.
#[derive(Debug, Clone, Default)]
pub struct RelayOptions {
    /// The servers with their credentials. STUN URLs in them are passed over: a server with a public address needs no
    /// server-reflexive candidates of its clients.
    pub servers: Vec<IceServer>,
    /// Certificate verification for `turns`.
    pub tls: TlsOptions,
    /// Proxy for TURN over TCP and TLS; UDP goes directly.
    pub proxy: Option<Proxy>,
}

/// Why a TURN server cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error(transparent)]
    Server(#[from] RelayServerError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("connecting took more than {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// One server to open a relay on.
pub(crate) struct RelayRequest {
    server: RelayServer,
    username: String,
    password: String,
    tls: TlsOptions,
    proxy: Option<Proxy>,
}

impl RelayOptions {
    /// The usable servers. Others are told in the log.
    pub(crate) fn requests(&self) -> Vec<RelayRequest> {
        let mut requests = Vec::new();
        for ice_server in &self.servers {
            for url in ice_server.urls.iter().filter(|url| !url.starts_with("stun:") && !url.starts_with("stuns:")) {
                match url.parse::<RelayServer>() {
                    Ok(_) if requests.len() == MAX_RELAYS => tracing::warn!(url, "more than {MAX_RELAYS} TURN servers"),
                    Ok(server) => requests.push(RelayRequest {
                        server,
                        username: ice_server.username.clone(),
                        password: ice_server.credential.clone(),
                        tls: self.tls.clone(),
                        proxy: self.proxy.clone(),
                    }),
                    Err(error) => tracing::warn!(%error, url, "TURN server not used"),
                }
            }
        }
        requests
    }
}

enum Carrier {
    Datagrams(UdpSocket),
    Stream { stream: Box<dyn Stream>, outgoing: BytesMut },
}

/// A relay and what carries it.
pub(crate) struct RelaySocket {
    relay: Relay,
    carrier: Carrier,
    name: String,
    broken: bool,
}

impl RelayRequest {
    pub(crate) fn name(&self) -> String {
        self.server.to_string()
    }

    /// Connects to the server and asks for an allocation.
    pub(crate) async fn open(self, certificate: Certificate) -> Result<RelaySocket, RelayError> {
        let (carrier, local, server) =
            tokio::time::timeout(CONNECT_TIMEOUT, self.connect()).await.map_err(|_| RelayError::Timeout)??;
        let transport = match carrier {
            Carrier::Datagrams(_) => RelayTransport::Udp,
            Carrier::Stream { .. } => RelayTransport::Stream,
        };
        let name = self.name();
        let config = RelayConfig { server, local, transport, username: self.username, password: self.password };
        let relay = Relay::allocate(Instant::now(), config, &certificate)?;
        Ok(RelaySocket { relay, carrier, name, broken: false })
    }

    async fn connect(&self) -> Result<(Carrier, SocketAddr, SocketAddr), RelayError> {
        let RelayServer { host, port, transport } = &self.server;
        let tcp = match transport {
            RelayServerTransport::Udp => return udp(host, *port).await,
            _ => dial::tunnelled(host, *port, self.proxy.as_ref()).await?,
        };
        let (local, server) = (tcp.local_addr()?, tcp.peer_addr()?);
        let stream: Box<dyn Stream> = if *transport == RelayServerTransport::Tls {
            dial::tls(tcp, host, dial::tls_config(&self.tls).await?).await?
        } else {
            Box::new(tcp)
        };
        Ok((Carrier::Stream { stream, outgoing: BytesMut::new() }, local, server))
    }
}

async fn udp(host: &str, port: u16) -> Result<(Carrier, SocketAddr, SocketAddr), RelayError> {
    let mut last = RelayError::Dial(DialError::HostNotFound);
    for server in dial::resolve(host, port).await? {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let bound = async {
            let socket = UdpSocket::bind((any, 0)).await?;
            socket.connect(server).await?;
            let local = socket.local_addr()?;
            io::Result::Ok((Carrier::Datagrams(socket), local, server))
        };
        match bound.await {
            Ok(opened) => return Ok(opened),
            Err(error) => last = RelayError::Socket(error),
        }
    }
    Err(last)
}

impl RelaySocket {
    /// The TURN URI, for the log.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The relayed address, once there is one.
    pub(crate) fn relayed(&self) -> Option<SocketAddr> {
        self.relay.relayed()
    }

    /// This end of the connection to the server.
    pub(crate) fn local(&self) -> SocketAddr {
        self.relay.local()
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        self.relay.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.relay.handle_timeout(now);
    }

    pub(crate) fn poll_event(&mut self) -> Option<RelayEvent> {
        self.relay.poll_event()
    }

    /// Sends a datagram to a peer through the relay.
    pub(crate) fn send(&mut self, now: Instant, peer: SocketAddr, data: &[u8]) {
        self.relay.send(now, peer, data);
        self.flush();
    }

    /// Gives the allocation back.
    pub(crate) fn close(&mut self, now: Instant) {
        self.relay.close(now);
        self.flush();
    }

    /// Writes what can be written at once; [`Self::poll`] waits for the rest.
    fn flush(&mut self) {
        self.write(&mut Context::from_waker(Waker::noop()));
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        while let Some(message) = self.relay.poll_transmit() {
            match &mut self.carrier {
                Carrier::Datagrams(socket) => {
                    if let Err(error) = socket.try_send(&message) {
                        tracing::trace!(%error, "datagram to the TURN server not sent");
                    }
                }
                Carrier::Stream { outgoing, .. } if outgoing.len() + message.len() <= MAX_OUTGOING => {
                    outgoing.extend_from_slice(&message);
                }
                Carrier::Stream { .. } => tracing::trace!("the connection to the TURN server is full"),
            }
        }
        let Carrier::Stream { stream, outgoing } = &mut self.carrier else { return };
        while !outgoing.is_empty() && !self.broken {
            match Pin::new(&mut *stream).poll_write(cx, outgoing) {
                Poll::Ready(Ok(written)) if written > 0 => outgoing.advance(written),
                Poll::Ready(_) => self.broken = true,
                Poll::Pending => break,
            }
        }
        if !self.broken {
            // TLS may hold back what it has taken.
            self.broken = matches!(Pin::new(stream).poll_flush(cx), Poll::Ready(Err(_)));
        }
    }

    /// Reads and writes; ready if there may be events. An error means that the connection to the server is gone.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<()>> {
        self.write(cx);
        let mut progress = false;
        for _ in 0..READ_BATCH {
            let mut filled = ReadBuf::new(buffer);
            let read = match &mut self.carrier {
                Carrier::Datagrams(socket) => socket.poll_recv(cx, &mut filled),
                Carrier::Stream { stream, .. } => Pin::new(stream).poll_read(cx, &mut filled),
            };
            match (read, &self.carrier) {
                (Poll::Pending, _) => break,
                (Poll::Ready(Ok(())), Carrier::Stream { .. }) if filled.filled().is_empty() => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                (Poll::Ready(Ok(())), _) => self.relay.handle_data(Instant::now(), filled.filled()),
                (Poll::Ready(Err(error)), Carrier::Stream { .. }) => return Poll::Ready(Err(error)),
                // ICMP: the relay's own time limit decides.
                (Poll::Ready(Err(error)), Carrier::Datagrams(_)) => {
                    tracing::trace!(%error, "datagram of the TURN server not received");
                }
            }
            progress = true;
        }
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if progress {
            self.write(cx);
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}
