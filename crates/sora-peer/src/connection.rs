use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_rtp::RtpPacket;

use crate::codec_filter::CodecFilter;
use crate::dtls::{Certificate, DtlsEvent, DtlsTransport};
use crate::ice::{IceEvent, IceTransport};
use crate::rtp::reports::NtpClock;
use crate::rtp::send::{OutboundRtp, SendStream};
use crate::rtp::session::{MediaRoute, RtpEvent, RtpSession};
use crate::sctp::{ChannelId, DataChannelInit, SctpEvent, SctpTransport};
use crate::sdp::{MediaDescription, MediaKind, SessionDescription, Setup};
use crate::traffic::Traffic;
use crate::transceiver::{Slot, Transceiver, TransceiverId, TransceiverInfo};
use crate::{PeerError, SendError};

/// DTLS datagrams that arrive before ICE has selected a pair, kept so that no flight has to be repeated.
const MAX_EARLY_DATAGRAMS: usize = 16;

/// Which half of the offer/answer exchange this side plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A server: offers, controls ICE, waits for the DTLS handshake.
    Offerer,
    /// A client: answers, starts the DTLS handshake.
    Answerer,
}

/// What a peer connection is made from.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// Offerer or answerer.
    pub side: Side,
    /// The DTLS certificate.
    pub certificate: Certificate,
    /// NTP time (32.32 fixed point, seconds since 1900) at the `now` given to [`PeerConnection::new`].
    pub ntp_now: u64,
    /// Bandwidth estimate to start from, in bit/s.
    pub start_bitrate_bps: u64,
    /// Bandwidth estimate never to exceed, in bit/s.
    pub max_bitrate_bps: u64,
    /// How long connectivity checks may fail before the connection is `Failed`.
    pub ice_failed_timeout: Duration,
    /// Says whether a codec offered by the peer can be used (answerer only).
    pub supports: CodecFilter,
}

/// State of ICE and DTLS together (W3C `RTCPeerConnectionState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// Nothing negotiated yet.
    New,
    /// Checks and handshake under way.
    Connecting,
    /// Media and data can flow.
    Connected,
    /// Checks are failing; may recover.
    Disconnected,
    /// Checks have failed for good.
    Failed,
    /// Closed, by either side.
    Closed,
}

/// What the connection tells its owner.
#[derive(Debug)]
pub enum Event {
    /// The state changed.
    State(ConnectionState),
    /// A media packet arrived, original or repaired.
    Rtp {
        /// The m-line it belongs to.
        transceiver: TransceiverId,
        /// Its source.
        ssrc: u32,
        /// Its simulcast layer, if the source named one.
        rid: Option<String>,
        /// The packet.
        packet: RtpPacket,
    },
    /// The peer wants a key frame (PLI or FIR).
    KeyFrameRequested {
        /// The m-line it is about.
        transceiver: TransceiverId,
        /// The simulcast layer it is about.
        rid: Option<String>,
    },
    /// The bandwidth estimate toward the peer changed, in bit/s.
    TargetBitrate(u64),
    /// The peer says which share (0 to 1) of what it was sent since its last report it did not get (RFC 3550 section
    /// 6.4.1).
    LossReported {
        /// The m-line it is about.
        transceiver: TransceiverId,
        /// The share.
        fraction: f32,
    },
    /// A sender report tied a source's RTP time to its wall clock (RFC 3550 section 6.4.1).
    SenderReport {
        /// The m-line it is about.
        transceiver: TransceiverId,
        /// The source.
        ssrc: u32,
        /// Its simulcast layer, if the source named one.
        rid: Option<String>,
        /// NTP time, 32.32 fixed point.
        ntp_time: u64,
        /// RTP time at that instant.
        rtp_time: u32,
    },
    /// A data channel is open in both directions.
    DataChannelOpen {
        /// Its id.
        id: ChannelId,
        /// Its label.
        label: String,
    },
    /// A data channel message.
    DataChannelMessage {
        /// The channel.
        id: ChannelId,
        /// The message as it came.
        data: Bytes,
        /// True if it was sent as text.
        text: bool,
    },
    /// A data channel closed.
    DataChannelClosed {
        /// Its id.
        id: ChannelId,
        /// Its label.
        label: String,
    },
}

/// A datagram to send.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// The socket's address.
    pub local: SocketAddr,
    /// Where to.
    pub remote: SocketAddr,
    /// What.
    pub data: Bytes,
}

/// The peer connection. See the crate documentation.
pub struct PeerConnection {
    pub(crate) config: PeerConfig,
    pub(crate) ice: IceTransport,
    pub(crate) dtls: DtlsTransport,
    pub(crate) sctp: SctpTransport,
    pub(crate) rtp: RtpSession,
    pub(crate) transceivers: Vec<Transceiver>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) session_id: u64,
    pub(crate) session_version: u64,
    pub(crate) negotiating: bool,
    pub(crate) application_mid: String,
    pub(crate) remote_description: Option<SessionDescription>,
    pub(crate) state: ConnectionState,
    pub(crate) traffic: Traffic,
    /// How often the pair of addresses in use has changed.
    pub(crate) pair_changes: u64,
    early: Vec<(SocketAddr, SocketAddr, Bytes)>,
    events: VecDeque<Event>,
    now: Instant,
    sctp_packets: Vec<Bytes>,
}

impl PeerConnection {
    /// Makes a connection that has negotiated nothing yet.
    ///
    /// # Errors
    /// [`PeerError::Core`] if the ICE agent refuses to start.
    pub fn new(now: Instant, config: PeerConfig) -> Result<Self, PeerError> {
        let controlling = config.side == Side::Offerer;
        let ice = IceTransport::new(now, controlling, config.ice_failed_timeout, &config.certificate.crypto)?;
        let clock = NtpClock { origin: now, ntp_at_origin: config.ntp_now };
        let rtp = RtpSession::new(clock, config.start_bitrate_bps, config.max_bitrate_bps);
        Ok(Self {
            ice,
            dtls: DtlsTransport::new(config.certificate.clone()),
            sctp: SctpTransport::new(),
            rtp,
            transceivers: Vec::new(),
            slots: Vec::new(),
            session_id: u64::from(rand::random::<u32>()) + 1,
            session_version: 1,
            negotiating: false,
            application_mid: "data".to_owned(),
            remote_description: None,
            state: ConnectionState::New,
            traffic: Traffic::default(),
            pair_changes: 0,
            early: Vec::new(),
            events: VecDeque::new(),
            now,
            sctp_packets: Vec::new(),
            config,
        })
    }

    /// Announces a bound UDP socket as a host candidate and returns its candidate line. Call before the first
    /// description is made, so that the line is in it.
    ///
    /// # Errors
    /// [`PeerError::Core`] if the address cannot be a candidate.
    pub fn add_local_candidate(&mut self, address: SocketAddr) -> Result<String, PeerError> {
        self.ice.add_local_host(address)
    }

    /// Announces an address that a TURN server relays, and returns its candidate line. Datagrams from and to it carry
    /// the relayed address as their local address. May be called at any time; trickle the line if a description is out.
    ///
    /// # Errors
    /// [`PeerError::Core`] if the address cannot be a candidate.
    pub fn add_local_relay_candidate(&mut self, relayed: SocketAddr, related: SocketAddr) -> Result<String, PeerError> {
        self.ice.add_local_relay(relayed, related)
    }

    /// The user name fragment that local candidates carry.
    #[must_use]
    pub fn local_ufrag(&self) -> String {
        self.ice.local_credentials().0
    }

    /// Adds a candidate the peer trickled. Candidates that cannot be used here (TCP, names) are passed over.
    ///
    /// # Errors
    /// [`PeerError::Candidate`] if the line cannot be read.
    pub fn add_remote_candidate(&mut self, line: &str) -> Result<(), PeerError> {
        self.ice.add_remote(line)
    }

    /// State of the connection.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.state
    }

    /// All transceivers, stopped ones too.
    pub fn transceivers(&self) -> impl Iterator<Item = TransceiverInfo> {
        self.transceivers.iter().map(Transceiver::info)
    }

    /// One transceiver.
    #[must_use]
    pub fn transceiver(&self, id: TransceiverId) -> Option<TransceiverInfo> {
        self.transceivers.get(id.0).map(Transceiver::info)
    }

    // ---- media ---------------------------------------------------------------------------------------------------

    /// Sends one RTP packet on a transceiver. Returns false if it cannot be sent now (not connected, or this side
    /// does not send on that transceiver).
    pub fn send_rtp(&mut self, now: Instant, transceiver: TransceiverId, packet: &OutboundRtp) -> bool {
        self.now = now;
        self.rtp.send(now, transceiver.0, packet)
    }

    /// Asks the peer for a key frame on a transceiver.
    pub fn request_key_frame(&mut self, now: Instant, transceiver: TransceiverId, rid: Option<&str>) {
        self.now = now;
        self.rtp.request_key_frame(transceiver.0, rid);
    }

    /// The current bandwidth estimate toward the peer, in bit/s.
    #[must_use]
    pub fn target_bitrate(&self) -> u64 {
        self.rtp.twcc_sender.estimate()
    }

    /// Makes the SSRCs of a transceiver this side sends on: one, or one per simulcast layer.
    pub(crate) fn ensure_send_streams(&mut self, index: usize, rids: &[String]) {
        let transceiver = &mut self.transceivers[index];
        if transceiver.is_sender() {
            return;
        }
        let has_rtx = transceiver.codecs.iter().any(|codec| codec.rtx.is_some());
        let keeps_history = transceiver.kind == MediaKind::Video;
        let mut add = |rid: Option<String>| {
            let (ssrc, rtx) = (rand::random(), has_rtx.then(rand::random));
            // A first number in the lower half leaves the peer room to unwrap packets that overtake each other.
            let mut stream = SendStream::new(ssrc, rtx, rid, rand::random::<u16>() & 0x7fff);
            stream.set_keeps_history(keeps_history);
            self.rtp.add_send_stream(index, stream);
            (ssrc, rtx)
        };
        if rids.is_empty() {
            transceiver.ssrc = Some(add(None));
        } else {
            transceiver.layer_ssrcs = rids.iter().map(|rid| add(Some(rid.clone())).0).collect();
            transceiver.sent_rids = rids.to_vec();
        }
    }

    pub(crate) fn update_routes(&mut self) {
        let routes = self
            .transceivers
            .iter()
            .filter(|transceiver| !transceiver.stopped)
            .map(|transceiver| {
                let remote = transceiver.remote.as_ref();
                MediaRoute {
                    transceiver: transceiver.id,
                    mid: transceiver.mid.clone(),
                    kind: transceiver.kind,
                    codecs: transceiver.codecs.clone(),
                    rids: transceiver.negotiated_rids(),
                    receives: remote.is_some_and(|media| media.direction.sends()),
                    remote_ssrcs: remote.map(|media| media.ssrcs.iter().map(|s| s.ssrc).collect()).unwrap_or_default(),
                    remote_fid: remote.map(|media| media.fid_groups.clone()).unwrap_or_default(),
                }
            })
            .collect();
        self.rtp.set_routes(routes);
    }

    // ---- data ----------------------------------------------------------------------------------------------------

    /// Opens a data channel, or queues the opening until SCTP is up. `None` if there are too many.
    pub fn open_data_channel(&mut self, now: Instant, init: DataChannelInit) -> Option<ChannelId> {
        self.now = now;
        self.sctp.open(now, init)
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`SendError`] if the channel is not open, the message too large or the send buffer full. The message is then
    /// not sent in part either.
    pub fn send_data(&mut self, now: Instant, id: ChannelId, data: &[u8], text: bool) -> Result<(), SendError> {
        self.now = now;
        self.sctp.send(now, id, data, text)
    }

    /// Bytes waiting in a channel's send buffer.
    pub fn buffered_amount(&mut self, id: ChannelId) -> usize {
        self.sctp.buffered_amount(id)
    }

    /// Closes one data channel.
    pub fn close_data_channel(&mut self, now: Instant, id: ChannelId) {
        self.now = now;
        self.sctp.close_channel(now, id);
        self.pump();
    }

    // ---- transport -----------------------------------------------------------------------------------------------

    /// Starts ICE and DTLS from the peer's description, the first time; later it only takes new candidates.
    pub(crate) fn start_transport(
        &mut self,
        now: Instant,
        media: &MediaDescription,
        remote_is_lite: bool,
    ) -> Result<(), PeerError> {
        let missing = |attribute| {
            let mid = media.mid.clone();
            PeerError::Sdp(crate::sdp::SdpError::Missing { mid, attribute })
        };
        let ufrag = media.ice_ufrag.as_deref().ok_or_else(|| missing("ice-ufrag"))?;
        let pwd = media.ice_pwd.as_deref().ok_or_else(|| missing("ice-pwd"))?;
        let (algorithm, fingerprint) = media.fingerprint.as_ref().ok_or_else(|| missing("fingerprint"))?;
        if !self.dtls.is_started() {
            let is_client = match (self.config.side, media.setup) {
                (Side::Answerer, Some(Setup::Active)) => false,
                (Side::Answerer, _) => true,
                (Side::Offerer, Some(Setup::Passive)) => true,
                (Side::Offerer, _) => false,
            };
            self.dtls.start(is_client, algorithm, fingerprint)?;
            self.set_state(ConnectionState::Connecting);
        }
        for candidate in &media.candidates {
            if let Err(error) = self.ice.add_remote(candidate) {
                tracing::debug!(%error, "candidate passed over");
            }
        }
        self.ice.start(now, ufrag, pwd, remote_is_lite)?;
        self.now = now;
        self.pump();
        Ok(())
    }

    /// Takes one datagram in. What cannot belong to this session is dropped.
    pub fn handle_datagram(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, data: &[u8]) {
        self.now = now;
        self.traffic.received(now, data.len(), matches!(data.first(), Some(0..=3)));
        // The first byte tells the protocols apart (RFC 7983).
        match data.first() {
            Some(0..=3) => self.ice.handle_stun(now, local, remote, data),
            Some(20..=63) => {
                if !self.ice.is_selected() {
                    if self.early.len() < MAX_EARLY_DATAGRAMS {
                        self.early.push((local, remote, Bytes::copy_from_slice(data)));
                    }
                } else if self.ice.is_known(now, local, remote) {
                    self.handle_dtls(now, data);
                }
            }
            Some(128..=191) if self.ice.is_known(now, local, remote) => self.rtp.handle_datagram(now, data),
            _ => return,
        }
        self.pump();
    }

    fn handle_dtls(&mut self, now: Instant, data: &[u8]) {
        let mut events = Vec::new();
        self.dtls.handle_record(now, data, &mut events);
        for event in events {
            match event {
                DtlsEvent::Connected(keys) => {
                    self.rtp.set_keys(now, keys);
                    self.sctp.start(now);
                    self.set_state(ConnectionState::Connected);
                }
                DtlsEvent::Data(data) => self.sctp.handle_packet(now, data),
                DtlsEvent::Closed => self.set_state(ConnectionState::Closed),
            }
        }
    }

    /// Moves what one layer produced to the layer above it, until nothing moves.
    pub(crate) fn pump(&mut self) {
        let now = self.now;
        while let Some(event) = self.ice.poll_event() {
            match event {
                IceEvent::Selected => {
                    self.pair_changes += 1;
                    self.dtls.connect(now);
                    for (local, remote, data) in std::mem::take(&mut self.early) {
                        if self.ice.is_known(now, local, remote) {
                            self.handle_dtls(now, &data);
                        }
                    }
                    if self.dtls.is_connected() {
                        self.set_state(ConnectionState::Connected);
                    }
                }
                IceEvent::Disconnected => self.set_state(ConnectionState::Disconnected),
                IceEvent::Failed => self.set_state(ConnectionState::Failed),
            }
        }
        while let Some(event) = self.sctp.poll_event() {
            self.events.push_back(match event {
                SctpEvent::Opened { id, label } => Event::DataChannelOpen { id, label },
                SctpEvent::Message { id, data, text } => Event::DataChannelMessage { id, data, text },
                SctpEvent::Closed { id, label } => Event::DataChannelClosed { id, label },
                SctpEvent::Lost => {
                    self.set_state(ConnectionState::Closed);
                    continue;
                }
            });
        }
        while let Some(event) = self.rtp.poll_event() {
            self.events.push_back(match event {
                RtpEvent::Packet { transceiver, ssrc, rid, packet } => {
                    Event::Rtp { transceiver: TransceiverId(transceiver), ssrc, rid, packet }
                }
                RtpEvent::KeyFrameRequested { transceiver, rid } => {
                    Event::KeyFrameRequested { transceiver: TransceiverId(transceiver), rid }
                }
                RtpEvent::TargetBitrate(bitrate) => Event::TargetBitrate(bitrate),
                RtpEvent::LossReported { transceiver, fraction } => {
                    Event::LossReported { transceiver: TransceiverId(transceiver), fraction }
                }
                RtpEvent::SenderReport { transceiver, ssrc, rid, ntp_time, rtp_time } => {
                    Event::SenderReport { transceiver: TransceiverId(transceiver), ssrc, rid, ntp_time, rtp_time }
                }
            });
        }
    }

    fn set_state(&mut self, state: ConnectionState) {
        let ended = matches!(self.state, ConnectionState::Closed | ConnectionState::Failed);
        if self.state == state || ended {
            return;
        }
        self.state = state;
        self.events.push_back(Event::State(state));
    }

    /// The next datagram to send. Call until `None` after every other call.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.ice.poll_transmit() {
            self.traffic.sent(self.now, transmit.data.len(), true);
            return Some(transmit);
        }
        if self.dtls.is_connected() {
            self.sctp.poll_transmit(self.now, &mut self.sctp_packets);
            for packet in self.sctp_packets.drain(..) {
                self.dtls.write(self.now, &packet);
            }
        }
        let data = self.dtls.poll_transmit().or_else(|| self.rtp.poll_transmit())?;
        let (local, remote) = self.ice.pair()?;
        self.traffic.sent(self.now, data.len(), false);
        Some(Transmit { local, remote, data })
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if matches!(self.state, ConnectionState::Closed | ConnectionState::Failed) {
            return None;
        }
        let ice = self.ice.poll_timeout();
        [ice, self.dtls.poll_timeout(), self.sctp.poll_timeout(), self.rtp.poll_timeout()].into_iter().flatten().min()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if self.ice.poll_timeout().is_some_and(|at| at <= now) {
            self.ice.handle_timeout(now);
        }
        self.dtls.handle_timeout(now);
        self.sctp.handle_timeout(now);
        self.rtp.handle_timeout(now);
        self.pump();
    }

    /// Says goodbye: SCTP abort and DTLS close_notify, to be fetched with [`Self::poll_transmit`].
    pub fn close(&mut self, now: Instant) {
        self.now = now;
        if self.dtls.is_connected() {
            self.sctp.close();
            self.sctp.poll_transmit(now, &mut self.sctp_packets);
            for packet in self.sctp_packets.drain(..) {
                self.dtls.write(now, &packet);
            }
        }
        self.dtls.close(now);
        self.set_state(ConnectionState::Closed);
    }
}
