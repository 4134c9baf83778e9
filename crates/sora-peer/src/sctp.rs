//! SCTP over DTLS (RFC 8261) and the data channels on it (RFC 8831, RFC 8832).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rtc_datachannel::data_channel::DataChannel as Dcep;
use rtc_datachannel::message::Message;
use rtc_datachannel::message::message_channel_ack::DataChannelAck;
use rtc_datachannel::message::message_channel_open::DataChannelOpen;
use rtc_sctp::{
    Association, AssociationError, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig,
    Event as SctpCoreEvent, Payload, PayloadProtocolIdentifier as Ppid, ServerConfig, StreamEvent, TransportConfig,
};
use rtc_shared::marshal::{Marshal, Unmarshal};
use rtc_shared::{TransportContext, TransportProtocol};

use crate::SendError;

/// Largest message this side accepts and announces (`a=max-message-size`).
pub(crate) const MAX_MESSAGE_SIZE: usize = 262_144;
/// Bytes that may wait in one channel before sends are refused.
pub(crate) const MAX_BUFFERED: usize = 4 << 20;
/// Channels one peer may open; the reference's sessions have about ten.
const MAX_CHANNELS: usize = 1024;

/// Identifies a data channel within its connection: the SCTP stream id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub(crate) u16);

/// How a data channel is opened (W3C `RTCDataChannelInit`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataChannelInit {
    /// Name both sides see.
    pub label: String,
    /// Deliver in order.
    pub ordered: bool,
    /// Give up on a message after this many milliseconds.
    pub max_packet_life_time: Option<u16>,
    /// Give up on a message after this many retransmissions.
    pub max_retransmits: Option<u16>,
    /// Subprotocol name.
    pub protocol: String,
}

impl DataChannelInit {
    /// An ordered and reliable channel.
    #[must_use]
    pub fn reliable(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            ordered: true,
            max_packet_life_time: None,
            max_retransmits: None,
            protocol: String::new(),
        }
    }
}

/// Where a data channel is in its life (W3C `RTCDataChannelState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelState {
    Connecting,
    Open,
    /// Reset by this side, not yet by the peer.
    Closing,
    Closed,
}

pub(crate) struct Channel {
    pub(crate) init: DataChannelInit,
    pub(crate) state: ChannelState,
    pub(crate) messages_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

impl Channel {
    fn new(init: DataChannelInit, state: ChannelState) -> Self {
        Self { init, state, messages_sent: 0, messages_received: 0, bytes_sent: 0, bytes_received: 0 }
    }
}

pub(crate) enum SctpEvent {
    Opened { id: ChannelId, label: String },
    Message { id: ChannelId, data: Bytes, text: bool },
    Closed { id: ChannelId, label: String },
    Lost,
}

pub(crate) struct SctpTransport {
    endpoint: Option<Endpoint>,
    associations: BTreeMap<usize, Association>,
    /// The association that came up first; a peer that also initiates makes a second one that is dropped.
    active: Option<usize>,
    is_client: bool,
    next_stream: u16,
    max_message_size: usize,
    channels: BTreeMap<ChannelId, Channel>,
    wanted: VecDeque<ChannelId>,
    events: VecDeque<SctpEvent>,
    closed: bool,
}

impl SctpTransport {
    pub(crate) fn new() -> Self {
        Self {
            endpoint: None,
            associations: BTreeMap::new(),
            active: None,
            is_client: false,
            next_stream: 0,
            max_message_size: MAX_MESSAGE_SIZE,
            channels: BTreeMap::new(),
            wanted: VecDeque::new(),
            events: VecDeque::new(),
            closed: false,
        }
    }

    /// Fixes the role: the DTLS client initiates and uses even stream ids (RFC 8832 section 6).
    pub(crate) fn configure(&mut self, is_client: bool, remote_max_message_size: Option<u64>) {
        if self.endpoint.is_some() {
            return;
        }
        self.is_client = is_client;
        // 0 means "any size" (RFC 8841); ours is the limit then.
        self.max_message_size = match remote_max_message_size {
            None => 65_536,
            Some(0) => MAX_MESSAGE_SIZE,
            Some(size) => usize::try_from(size).map_or(MAX_MESSAGE_SIZE, |size| size.min(MAX_MESSAGE_SIZE)),
        };
        let server = ServerConfig::new(Self::transport_config());
        self.endpoint = Some(Endpoint::new(
            TransportContext::default().local_addr,
            TransportProtocol::UDP,
            Arc::new(EndpointConfig::default()),
            Some(Arc::new(server)),
        ));
    }

    fn transport_config() -> TransportConfig {
        TransportConfig::default()
            .with_sctp_port(5000)
            .with_max_message_size(MAX_MESSAGE_SIZE as u32)
            .with_max_receive_buffer_size(1 << 20)
    }

    pub(crate) fn is_configured(&self) -> bool {
        self.endpoint.is_some()
    }

    /// DTLS is up: the client initiates.
    pub(crate) fn start(&mut self, now: Instant) {
        let Some(endpoint) = self.endpoint.as_mut().filter(|_| self.is_client) else { return };
        let config = ClientConfig::new(Self::transport_config());
        match endpoint.connect(now, config, TransportContext::default().peer_addr) {
            Ok((handle, association)) => {
                self.associations.insert(handle.0, association);
            }
            Err(error) => tracing::warn!(%error, "SCTP association could not start"),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.active.is_some()
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = (ChannelId, &Channel)> {
        self.channels.iter().map(|(id, channel)| (*id, channel))
    }

    /// Opens a channel, now or as soon as the association is up.
    pub(crate) fn open(&mut self, now: Instant, init: DataChannelInit) -> Option<ChannelId> {
        if self.channels.len() >= MAX_CHANNELS {
            return None;
        }
        let parity = u16::from(!self.is_client);
        let id = ChannelId(self.next_stream * 2 + parity);
        self.next_stream += 1;
        self.channels.insert(id, Channel::new(init, ChannelState::Connecting));
        self.wanted.push_back(id);
        self.send_opens(now);
        Some(id)
    }

    fn send_opens(&mut self, now: Instant) {
        let Some(association) = self.active.and_then(|handle| self.associations.get_mut(&handle)) else { return };
        while let Some(id) = self.wanted.pop_front() {
            let Some(channel) = self.channels.get(&id) else { continue };
            let init = &channel.init;
            let (channel_type, reliability_parameter) = Dcep::get_channel_type_and_reliability_parameter(
                init.ordered,
                init.max_retransmits,
                init.max_packet_life_time,
            );
            let open = Message::DataChannelOpen(DataChannelOpen {
                channel_type,
                priority: 256,
                reliability_parameter,
                label: init.label.clone().into_bytes(),
                protocol: init.protocol.clone().into_bytes(),
            });
            let (unordered, reliability) = Dcep::get_reliability_params(channel_type);
            let sent = open.marshal().and_then(|open| {
                let mut stream = association.open_stream(id.0, Ppid::Binary)?;
                // The OPEN itself goes ordered and reliable (RFC 8832 section 6).
                stream.write_with_ppi(now, &open, Ppid::Dcep)?;
                stream.set_reliability_params(unordered, reliability, reliability_parameter)
            });
            if let Err(error) = sent {
                tracing::warn!(%error, "data channel could not be opened");
            }
        }
    }

    pub(crate) fn send(&mut self, now: Instant, id: ChannelId, data: &[u8], text: bool) -> Result<(), SendError> {
        if data.len() > self.max_message_size {
            return Err(SendError::TooLarge { size: data.len(), limit: self.max_message_size });
        }
        let channel = self.channels.get_mut(&id).filter(|c| c.state == ChannelState::Open).ok_or(SendError::NotOpen)?;
        let association =
            self.active.and_then(|handle| self.associations.get_mut(&handle)).ok_or(SendError::NotOpen)?;
        let mut stream = association.stream(id.0).map_err(|_| SendError::NotOpen)?;
        let buffered = stream.buffered_amount().map_err(|_| SendError::NotOpen)?;
        if buffered + data.len() > MAX_BUFFERED {
            return Err(SendError::BufferFull { buffered, limit: MAX_BUFFERED });
        }
        // SCTP cannot carry an empty message: one zero byte under its own identifier stands for it (RFC 8831).
        let (payload, ppid): (&[u8], Ppid) = match (data.is_empty(), text) {
            (true, true) => (&[0], Ppid::StringEmpty),
            (true, false) => (&[0], Ppid::BinaryEmpty),
            (false, true) => (data, Ppid::String),
            (false, false) => (data, Ppid::Binary),
        };
        stream.write_with_ppi(now, payload, ppid).map_err(|_| SendError::NotOpen)?;
        channel.messages_sent += 1;
        channel.bytes_sent += data.len() as u64;
        Ok(())
    }

    pub(crate) fn buffered_amount(&mut self, id: ChannelId) -> usize {
        self.active
            .and_then(|handle| self.associations.get_mut(&handle))
            .and_then(|association| association.stream(id.0).ok()?.buffered_amount().ok())
            .unwrap_or(0)
    }

    /// Resets the channel's stream (RFC 8831 section 6.7). It is closed when the peer has reset it too.
    pub(crate) fn close_channel(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let association = self.active.and_then(|handle| self.associations.get_mut(&handle));
        match association.and_then(|association| association.stream(id.0).ok()) {
            Some(mut stream) if channel.state == ChannelState::Open => {
                channel.state = ChannelState::Closing;
                if let Err(error) = stream.close(now) {
                    tracing::debug!(%error, "data channel close");
                }
            }
            Some(_) if channel.state == ChannelState::Closing => {}
            _ => self.mark_closed(id),
        }
    }

    fn mark_closed(&mut self, id: ChannelId) {
        if let Some(channel) = self.channels.get_mut(&id)
            && channel.state != ChannelState::Closed
        {
            channel.state = ChannelState::Closed;
            self.events.push_back(SctpEvent::Closed { id, label: channel.init.label.clone() });
        }
    }

    pub(crate) fn handle_packet(&mut self, now: Instant, data: BytesMut) {
        let Some(endpoint) = &mut self.endpoint else { return };
        let remote = TransportContext::default().peer_addr;
        if let Some((handle, event)) = endpoint.handle(now, remote, None, data.freeze()) {
            match event {
                DatagramEvent::NewAssociation(association) => {
                    self.associations.insert(handle.0, association);
                }
                DatagramEvent::AssociationEvent(event) => {
                    if let Some(association) = self.associations.get_mut(&handle.0) {
                        association.handle_event(event);
                    }
                }
                _ => {}
            }
        }
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        let handles: Vec<usize> = self.associations.keys().copied().collect();
        for handle in handles {
            while let Some(event) = self.associations.get_mut(&handle).and_then(Association::poll) {
                self.handle_core_event(now, handle, event);
            }
        }
        let mut drained = Vec::new();
        for (handle, association) in &mut self.associations {
            while let Some(event) = association.poll_endpoint_event() {
                drained.push((*handle, event));
            }
        }
        for (handle, event) in drained {
            if let Some(endpoint) = &mut self.endpoint {
                endpoint.handle_event(AssociationHandle(handle), event);
            }
            self.associations.remove(&handle);
            if self.active == Some(handle) {
                self.lost();
            }
        }
    }

    fn handle_core_event(&mut self, now: Instant, handle: usize, event: SctpCoreEvent) {
        match event {
            SctpCoreEvent::Connected if self.active.is_none() => {
                self.active = Some(handle);
                self.send_opens(now);
            }
            SctpCoreEvent::Stream(StreamEvent::Readable { id }) => self.read(now, handle, id),
            // The peer reset this one stream; the library has answered in kind.
            SctpCoreEvent::AssociationLost { reason: AssociationError::Reset, id } => self.mark_closed(ChannelId(id)),
            SctpCoreEvent::AssociationLost { reason, .. } => {
                tracing::debug!(%reason, "SCTP association lost");
                if self.active == Some(handle) {
                    self.lost();
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self) {
        self.active = None;
        let ids: Vec<ChannelId> = self.channels.keys().copied().collect();
        for id in ids {
            self.mark_closed(id);
        }
        if !self.closed {
            self.events.push_back(SctpEvent::Lost);
        }
        self.closed = true;
    }

    fn read(&mut self, now: Instant, handle: usize, stream_id: u16) {
        let id = ChannelId(stream_id);
        loop {
            let Some(association) = self.associations.get_mut(&handle) else { return };
            let chunks = match association.stream(stream_id).and_then(|mut stream| stream.read_sctp()) {
                Ok(Some(chunks)) => chunks,
                Ok(None) => return,
                Err(_) => return self.mark_closed(id),
            };
            let Ok(payload) = chunks.to_payload(MAX_MESSAGE_SIZE) else {
                tracing::warn!(stream_id, "data channel message above {MAX_MESSAGE_SIZE} bytes dropped");
                continue;
            };
            match chunks.ppi {
                Ppid::Dcep => self.dcep(now, handle, id, &payload),
                Ppid::String => self.message(id, payload.freeze(), true),
                Ppid::Binary => self.message(id, payload.freeze(), false),
                Ppid::StringEmpty => self.message(id, Bytes::new(), true),
                Ppid::BinaryEmpty => self.message(id, Bytes::new(), false),
                _ => {}
            }
        }
    }

    fn message(&mut self, id: ChannelId, data: Bytes, text: bool) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.messages_received += 1;
        channel.bytes_received += data.len() as u64;
        // Data may overtake the ACK on an unordered channel: it proves the peer has opened (RFC 8832 section 6).
        if channel.state == ChannelState::Connecting {
            channel.state = ChannelState::Open;
            let label = channel.init.label.clone();
            self.events.push_back(SctpEvent::Opened { id, label });
        }
        self.events.push_back(SctpEvent::Message { id, data, text });
    }

    fn dcep(&mut self, now: Instant, handle: usize, id: ChannelId, payload: &[u8]) {
        let mut reader = payload;
        match Message::unmarshal(&mut reader) {
            Ok(Message::DataChannelOpen(open)) => self.accept(now, handle, id, open),
            Ok(Message::DataChannelAck(_)) => {
                if let Some(channel) = self.channels.get_mut(&id)
                    && channel.state == ChannelState::Connecting
                {
                    channel.state = ChannelState::Open;
                    let label = channel.init.label.clone();
                    self.events.push_back(SctpEvent::Opened { id, label });
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "DCEP message dropped"),
        }
    }

    fn accept(&mut self, now: Instant, handle: usize, id: ChannelId, open: DataChannelOpen) {
        let taken = self.channels.get(&id).is_some_and(|channel| channel.state != ChannelState::Closed);
        if self.channels.len() >= MAX_CHANNELS || taken {
            return;
        }
        let (Ok(label), Ok(protocol)) = (String::from_utf8(open.label), String::from_utf8(open.protocol)) else {
            tracing::debug!("data channel with a label that is not UTF-8 refused");
            return;
        };
        let (unordered, reliability) = Dcep::get_reliability_params(open.channel_type);
        let limit = u16::try_from(open.reliability_parameter).unwrap_or(u16::MAX);
        let init = DataChannelInit {
            label: label.clone(),
            ordered: !unordered,
            max_packet_life_time: (reliability == rtc_sctp::ReliabilityType::Timed).then_some(limit),
            max_retransmits: (reliability == rtc_sctp::ReliabilityType::Rexmit).then_some(limit),
            protocol,
        };
        let Some(association) = self.associations.get_mut(&handle) else { return };
        let acknowledged = Message::DataChannelAck(DataChannelAck {}).marshal().and_then(|ack| {
            let mut stream = association.stream(id.0)?;
            stream.write_with_ppi(now, &ack, Ppid::Dcep)?;
            stream.set_reliability_params(unordered, reliability, open.reliability_parameter)
        });
        if let Err(error) = acknowledged {
            tracing::debug!(%error, "data channel not acknowledged");
            return;
        }
        self.channels.insert(id, Channel::new(init, ChannelState::Open));
        self.events.push_back(SctpEvent::Opened { id, label });
    }

    pub(crate) fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    /// SCTP packets to encrypt.
    pub(crate) fn poll_transmit(&mut self, now: Instant, out: &mut Vec<Bytes>) {
        for association in self.associations.values_mut() {
            while let Some(transmit) = association.poll_transmit(now) {
                if let Payload::RawEncode(packets) = transmit.message {
                    out.extend(packets);
                }
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.associations.values().filter_map(Association::poll_timeout).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for association in self.associations.values_mut() {
            if association.poll_timeout().is_some_and(|at| at <= now) {
                association.handle_timeout(now);
            }
        }
        self.drain(now);
    }

    /// Aborts the association: the peer sees all channels close at once.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        for association in self.associations.values_mut() {
            if let Err(error) = association.abort() {
                tracing::debug!(%error, "SCTP abort");
            }
        }
    }
}
