//! A relayed transport address on a TURN server (RFC 8656), over the `rtc-turn` client. Sans-IO: the owner carries
//! bytes to and from the server over UDP, TCP or TLS.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc_turn::client::{Client, ClientConfig, Event as TurnEvent};
use sansio::Protocol;

pub use crate::relay_server::{RelayServer, RelayServerError, RelayServerTransport};

use crate::relay_stream::RelayStream;
use crate::{Certificate, PeerError};

/// Datagrams kept per peer while its permission is asked for.
const MAX_WAITING: usize = 8;
/// Peers that may have something waiting. ICE knows a handful of remote candidates.
const MAX_WAITING_PEERS: usize = 64;
/// First retransmission of a request over UDP (RFC 8489 section 6.2.1 asks for half a second or more).
const RETRANSMIT_AFTER_MS: u64 = 500;
/// Time for connecting to the server and for the allocation.
const ALLOCATE_TIMEOUT: Duration = Duration::from_secs(20);

/// What carries requests to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayTransport {
    /// One message per datagram.
    Udp,
    /// A byte stream: TCP, or TLS over it.
    Stream,
}

/// Where to allocate, and as whom.
#[derive(Clone)]
pub struct RelayConfig {
    /// Address of the TURN server.
    pub server: SocketAddr,
    /// This end of the connection to it.
    pub local: SocketAddr,
    /// What the connection is.
    pub transport: RelayTransport,
    /// Long-term credential: user name.
    pub username: String,
    /// Long-term credential: password.
    pub password: String,
}

impl fmt::Debug for RelayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, local, transport, .. } = self;
        f.debug_struct("RelayConfig")
            .field("server", server)
            .field("local", local)
            .field("transport", transport)
            .finish_non_exhaustive()
    }
}

/// What a relay tells its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayEvent {
    /// The server relays for this address now: it is a candidate.
    Allocated(SocketAddr),
    /// There is no allocation and there will be none.
    Failed(String),
    /// A datagram of a peer.
    Datagram {
        /// Who sent it.
        peer: SocketAddr,
        /// What.
        data: BytesMut,
    },
}

/// One allocation, with its permissions and channel bindings, kept fresh until [`Relay::close`].
pub struct Relay {
    client: Client,
    config: RelayConfig,
    stream: Option<RelayStream>,
    relayed: Option<SocketAddr>,
    deadline: Option<Instant>,
    waiting: HashMap<SocketAddr, Vec<Bytes>>,
    permitted: Vec<SocketAddr>,
    events: VecDeque<RelayEvent>,
    failed: bool,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("config", &self.config).field("relayed", &self.relayed).finish_non_exhaustive()
    }
}

impl Relay {
    /// Asks for an allocation. `certificate` brings the crypto provider that the connection uses anyway.
    ///
    /// # Errors
    /// [`PeerError::Core`] if the client refuses to start.
    pub fn allocate(now: Instant, config: RelayConfig, certificate: &Certificate) -> Result<Self, PeerError> {
        let transport_protocol = match config.transport {
            RelayTransport::Udp => TransportProtocol::UDP,
            RelayTransport::Stream => TransportProtocol::TCP,
        };
        let client_config = ClientConfig {
            turn_serv_addr: config.server.to_string(),
            local_addr: config.local,
            transport_protocol,
            username: config.username.clone(),
            password: config.password.clone(),
            rto_in_ms: RETRANSMIT_AFTER_MS,
            ..ClientConfig::default()
        };
        let mut client = Client::new(client_config, certificate.crypto.clone()).map_err(PeerError::core("TURN"))?;
        client.allocate(now).map_err(PeerError::core("TURN"))?;
        let stream = (config.transport == RelayTransport::Stream).then(RelayStream::default);
        Ok(Self {
            client,
            config,
            stream,
            relayed: None,
            deadline: Some(now + ALLOCATE_TIMEOUT),
            waiting: HashMap::new(),
            permitted: Vec::new(),
            events: VecDeque::new(),
            failed: false,
        })
    }

    /// The relayed address, once there is one.
    #[must_use]
    pub fn relayed(&self) -> Option<SocketAddr> {
        self.relayed
    }

    /// This end of the connection to the server.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.config.local
    }

    /// Takes what came from the server: one datagram, or any piece of the stream.
    pub fn handle_data(&mut self, now: Instant, data: &[u8]) {
        let Some(stream) = &mut self.stream else { return self.message(now, data) };
        stream.push(data);
        loop {
            let next = self.stream.as_mut().map(RelayStream::next_message);
            match next {
                Some(Ok(Some(message))) => self.message(now, &message),
                Some(Err(error)) => return self.fail(error.to_string()),
                Some(Ok(None)) | None => return,
            }
        }
    }

    fn message(&mut self, now: Instant, data: &[u8]) {
        let transport = TransportContext {
            local_addr: self.config.local,
            peer_addr: self.config.server,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        if let Err(error) = self.client.handle_read(TransportMessage { now, transport, message: BytesMut::from(data) })
        {
            tracing::debug!(%error, "message of the TURN server dropped");
        }
        self.collect(now);
    }

    /// Turns the client's events into ours.
    fn collect(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            match event {
                TurnEvent::AllocateResponse(_, relayed) => {
                    self.relayed = Some(relayed);
                    self.deadline = None;
                    self.events.push_back(RelayEvent::Allocated(relayed));
                }
                TurnEvent::AllocateError(_, error) => self.fail(error.to_string()),
                TurnEvent::TransactionTimeout(_) if self.relayed.is_none() => {
                    self.fail("the TURN server does not answer".to_owned());
                }
                TurnEvent::CreatePermissionResponse(_, peer) => {
                    if !self.permitted.contains(&peer) {
                        self.permitted.push(peer);
                    }
                    for data in self.waiting.remove(&peer).unwrap_or_default() {
                        self.send(now, peer, &data);
                    }
                }
                TurnEvent::CreatePermissionError(_, error) => {
                    // Whose permission it was is not said. Whoever still wants to send asks again.
                    tracing::debug!(%error, "no permission on the TURN server");
                    self.waiting.clear();
                }
                TurnEvent::DataIndicationOrChannelData(_, peer, data) => {
                    self.events.push_back(RelayEvent::Datagram { peer, data });
                }
                TurnEvent::TransactionTimeout(_) | TurnEvent::BindingResponse(..) | TurnEvent::BindingError(..) => {}
                other => tracing::trace!(?other, "event of the TURN client"),
            }
        }
    }

    fn fail(&mut self, reason: String) {
        if !std::mem::replace(&mut self.failed, true) {
            self.deadline = None;
            self.events.push_back(RelayEvent::Failed(reason));
        }
    }

    /// Sends a datagram to a peer. The first ones wait for the peer's permission; more than a few are dropped, as any
    /// network may.
    pub fn send(&mut self, now: Instant, peer: SocketAddr, data: &[u8]) {
        let Some(relayed) = self.relayed.filter(|_| !self.failed) else { return };
        let Ok(mut relay) = self.client.relay(relayed) else { return };
        let result = if self.permitted.contains(&peer) {
            relay.send_to(now, data, peer)
        } else if let Some(waiting) = self.waiting.get_mut(&peer) {
            if waiting.len() < MAX_WAITING {
                waiting.push(Bytes::copy_from_slice(data));
            }
            return;
        } else if self.waiting.len() < MAX_WAITING_PEERS {
            self.waiting.insert(peer, vec![Bytes::copy_from_slice(data)]);
            relay.create_permission(now, peer).map(drop)
        } else {
            return;
        };
        if let Err(error) = result {
            tracing::trace!(%error, "datagram not relayed");
        }
    }

    /// The next message for the server.
    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        self.client.poll_write().map(|message| message.message)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<RelayEvent> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if self.failed {
            return None;
        }
        [self.client.poll_timeout(), self.deadline].into_iter().flatten().min()
    }

    /// Repeats requests, refreshes allocation and permissions.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.fail("the TURN server does not answer".to_owned());
        }
        if let Err(error) = self.client.handle_timeout(now) {
            tracing::debug!(%error, "TURN timer");
        }
        self.collect(now);
    }

    /// Gives the allocation back. Send what [`Self::poll_transmit`] has then; the answer need not be waited for.
    pub fn close(&mut self, now: Instant) {
        if let Some(relayed) = self.relayed.take()
            && let Ok(mut relay) = self.client.relay(relayed)
            && let Err(error) = relay.close(now)
        {
            tracing::debug!(%error, "TURN allocation not given back");
        }
    }
}
