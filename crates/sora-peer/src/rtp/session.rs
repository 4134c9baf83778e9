//! One RTP session over one BUNDLE transport (RFC 3550, RFC 8843): demultiplexing, SRTP, feedback.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rtc_rtcp::Packet as RtcpPacket;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{TransportLayerNack, nack_pairs_from_sequence_numbers};
use rtc_rtp::header::Header;
use rtc_shared::marshal::{Marshal, MarshalSize, Unmarshal};
use sora_rtp::RtpPacket;

use super::extensions::{self, ExtensionIds};
use super::feedback::Feedback;
use super::receive::{ReceiveStream, RemoteSent};
use super::reports::{self, NtpClock, REPORT_INTERVAL};
use super::send::{OutboundRtp, SendStream};
use super::twcc::{TwccRecorder, TwccSender};
use crate::dtls::SrtpKeys;
use crate::sdp::{Codec, MediaKind};

/// A peer that invents sources without end is cut off here.
const MAX_RECEIVE_STREAMS: usize = 1024;
/// Mid and rid go on the first packets of a stream, until the receiver has surely bound the SSRC (RFC 8843 9.1).
const IDENTIFIED_PACKETS: u64 = 256;

/// What the session knows of a transceiver.
#[derive(Debug, Clone)]
pub(crate) struct MediaRoute {
    pub(crate) transceiver: usize,
    pub(crate) mid: String,
    pub(crate) kind: MediaKind,
    pub(crate) codecs: Vec<Codec>,
    /// Simulcast layers to receive; each is a source of its own. Empty for a single stream.
    pub(crate) rids: Vec<String>,
    pub(crate) receives: bool,
    pub(crate) remote_ssrcs: Vec<u32>,
    pub(crate) remote_fid: Vec<(u32, u32)>,
}

pub(crate) enum RtpEvent {
    Packet { transceiver: usize, ssrc: u32, rid: Option<String>, packet: RtpPacket },
    KeyFrameRequested { transceiver: usize, rid: Option<String> },
    TargetBitrate(u64),
    LossReported { transceiver: usize, fraction: f32 },
    SenderReport { transceiver: usize, ssrc: u32, rid: Option<String>, ntp_time: u64, rtp_time: u32 },
}

pub(crate) struct RtpSession {
    srtp: Option<Box<SrtpKeys>>,
    pub(crate) extensions: ExtensionIds,
    routes: Vec<MediaRoute>,
    pub(crate) send_streams: Vec<(usize, SendStream)>,
    pub(crate) receive_streams: HashMap<u32, ReceiveStream>,
    rtx: HashMap<u32, u32>,
    pub(crate) twcc_sender: TwccSender,
    twcc_recorder: TwccRecorder,
    clock: NtpClock,
    local_ssrc: u32,
    next_report: Option<Instant>,
    events: VecDeque<RtpEvent>,
    out: VecDeque<Bytes>,
}

impl RtpSession {
    pub(crate) fn new(clock: NtpClock, start_bitrate: u64, max_bitrate: u64) -> Self {
        Self {
            srtp: None,
            extensions: ExtensionIds::default(),
            routes: Vec::new(),
            send_streams: Vec::new(),
            receive_streams: HashMap::new(),
            rtx: HashMap::new(),
            twcc_sender: TwccSender::new(start_bitrate, 100_000, max_bitrate),
            twcc_recorder: TwccRecorder::new(clock.origin),
            clock,
            local_ssrc: rand::random(),
            next_report: None,
            events: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    pub(crate) fn set_keys(&mut self, now: Instant, keys: Box<SrtpKeys>) {
        self.srtp = Some(keys);
        self.next_report = Some(now + REPORT_INTERVAL);
    }

    /// Replaces the routing table after a negotiation.
    pub(crate) fn set_routes(&mut self, routes: Vec<MediaRoute>) {
        self.receive_streams
            .retain(|_, stream| routes.iter().any(|route| route.transceiver == stream.transceiver && route.receives));
        let streams = &self.receive_streams;
        self.rtx.retain(|_, media| streams.contains_key(media));
        for route in &routes {
            self.rtx.extend(route.remote_fid.iter().map(|(media, rtx)| (*rtx, *media)));
        }
        self.routes = routes;
    }

    pub(crate) fn add_send_stream(&mut self, transceiver: usize, stream: SendStream) {
        self.send_streams.push((transceiver, stream));
    }

    pub(crate) fn remove_send_streams(&mut self, transceiver: usize) {
        self.send_streams.retain(|(of, _)| *of != transceiver);
    }

    fn route(&self, transceiver: usize) -> Option<&MediaRoute> {
        self.routes.iter().find(|route| route.transceiver == transceiver)
    }

    // ---- sending -------------------------------------------------------------------------------------------------

    pub(crate) fn send(&mut self, now: Instant, transceiver: usize, packet: &OutboundRtp) -> bool {
        if self.srtp.is_none() {
            return false;
        }
        let Some(index) = self.send_streams.iter().position(|(of, stream)| {
            *of == transceiver && (packet.rid.is_none() || stream.rid.as_deref() == packet.rid.as_deref())
        }) else {
            return false;
        };
        let header = self.send_streams[index].1.header(packet);
        let (header, size) = self.transmit(now, index, header, &packet.payload, false);
        self.send_streams[index].1.sent(now, header, packet.payload.clone(), size - packet.payload.len());
        true
    }

    /// Adds the extensions, encrypts and queues. Returns the header as sent and the plain packet's size.
    fn transmit(
        &mut self,
        now: Instant,
        index: usize,
        mut header: Header,
        payload: &Bytes,
        repair: bool,
    ) -> (Header, usize) {
        let (transceiver, stream) = &self.send_streams[index];
        let (mid, transport_cc) = self.route(*transceiver).map_or((None, false), |route| {
            let cc = route.codecs.iter().any(|codec| codec.has_feedback("transport-cc"));
            (Some(Bytes::copy_from_slice(route.mid.as_bytes())), cc)
        });
        let mut add = |id: Option<u8>, value: Bytes| {
            if let Some(id) = id
                && let Err(error) = header.set_extension(id, value)
            {
                tracing::debug!(%error, "header extension left out");
            }
        };
        if stream.packets_sent < IDENTIFIED_PACKETS {
            if let Some(mid) = mid {
                add(self.extensions.mid, mid);
            }
            if let Some(rid) = &stream.rid {
                let id = if repair { self.extensions.repaired_rid } else { self.extensions.rid };
                add(id, Bytes::copy_from_slice(rid.as_bytes()));
            }
        }
        let transport_cc = self.extensions.transport_cc.filter(|_| transport_cc);
        let twcc_sequence = transport_cc.map(|id| {
            let sequence = self.twcc_sender.next_sequence();
            add(Some(id), Bytes::copy_from_slice(&sequence.to_be_bytes()));
            sequence
        });
        let header_len = header.marshal_size();
        let size = header_len + payload.len();
        let mut plain = BytesMut::zeroed(header_len);
        let encrypted = header.marshal_to(&mut plain).map(|_| plain.extend_from_slice(payload)).and_then(|()| {
            let srtp = self.srtp.as_mut().ok_or(rtc_shared::error::Error::ErrDtlsTransportNotStarted)?;
            srtp.local.encrypt_rtp_with_header(&plain, &header)
        });
        match encrypted {
            Ok(encrypted) => {
                if let Some(sequence) = twcc_sequence {
                    self.twcc_sender.sent(now, header.ssrc, header.sequence_number, sequence, encrypted.len());
                }
                self.out.push_back(encrypted.freeze());
            }
            Err(error) => tracing::warn!(%error, "RTP packet not sent"),
        }
        (header, size)
    }

    fn retransmit(&mut self, now: Instant, ssrc: u32, lost: &[u16]) {
        let Some(index) = self.send_streams.iter().position(|(_, stream)| stream.ssrc == ssrc) else { return };
        self.send_streams[index].1.nack_count += 1;
        for sequence in lost {
            let (transceiver, stream) = &self.send_streams[index];
            let rtx = stream
                .payload_type_of(*sequence)
                .and_then(|pt| self.route(*transceiver)?.codecs.iter().find(|codec| codec.payload_type == pt)?.rtx);
            if let Some((header, payload)) = self.send_streams[index].1.resend(now, *sequence, rtx) {
                self.transmit(now, index, header, &payload, true);
            }
        }
    }

    /// Asks the peer for a key frame (RFC 4585 section 6.3.1).
    pub(crate) fn request_key_frame(&mut self, transceiver: usize, rid: Option<&str>) {
        let mut ssrcs: Vec<u32> = self
            .receive_streams
            .values_mut()
            .filter(|stream| stream.transceiver == transceiver && (rid.is_none() || stream.rid.as_deref() == rid))
            .map(|stream| {
                stream.pli_count += 1;
                stream.ssrc
            })
            .collect();
        // An announced source says nothing of the layer it will carry.
        if ssrcs.is_empty() && rid.is_none() {
            ssrcs.extend(self.route(transceiver).and_then(|route| route.remote_ssrcs.first().copied()));
        }
        let sender_ssrc = self.sender_ssrc();
        for media_ssrc in ssrcs {
            self.send_rtcp(&[Box::new(PictureLossIndication { sender_ssrc, media_ssrc })]);
        }
    }

    fn sender_ssrc(&self) -> u32 {
        self.send_streams.first().map_or(self.local_ssrc, |(_, stream)| stream.ssrc)
    }

    fn send_rtcp(&mut self, packets: &[Box<dyn RtcpPacket>]) {
        let Some(srtp) = &mut self.srtp else { return };
        match rtc_rtcp::packet::marshal(packets).and_then(|plain| srtp.local.encrypt_rtcp(&plain)) {
            Ok(encrypted) => self.out.push_back(encrypted.freeze()),
            Err(error) => tracing::warn!(%error, "RTCP packet not sent"),
        }
    }

    // ---- receiving -----------------------------------------------------------------------------------------------

    pub(crate) fn handle_datagram(&mut self, now: Instant, data: &[u8]) {
        if rtc_shared::util::is_rtcp(data) {
            self.handle_rtcp(now, data);
        } else {
            self.handle_rtp(now, data);
        }
    }

    fn handle_rtp(&mut self, now: Instant, data: &[u8]) {
        let Some(srtp) = &mut self.srtp else { return };
        let mut reader = data;
        let Ok(header) = Header::unmarshal(&mut reader) else { return };
        let header_len = header.marshal_size();
        let plain = match srtp.remote.decrypt_rtp_with_header(data, &header) {
            Ok(plain) => plain.freeze(),
            Err(error) => {
                tracing::trace!(%error, ssrc = header.ssrc, "SRTP packet dropped");
                return;
            }
        };
        if let Some(sequence) = extensions::u16_be(&header, self.extensions.transport_cc) {
            self.twcc_recorder.record(now, header.ssrc, sequence);
        }
        let Some(payload) = strip_padding(&header, plain, header_len) else { return };
        if payload.is_empty() {
            // A probe. It still counts for congestion control, and its sequence number is not a loss.
            if let Some(stream) = self.receive_streams.get_mut(&header.ssrc) {
                stream.received(now, header.sequence_number, header.timestamp, 0, header_len);
            }
            return;
        }
        if self.is_rtx(&header) {
            self.handle_repair(now, &header, &payload, header_len);
            return;
        }
        if !self.receive_streams.contains_key(&header.ssrc) && !self.bind(&header) {
            return;
        }
        self.deliver(
            now,
            header.ssrc,
            &header,
            header.sequence_number,
            header.payload_type,
            payload,
            header_len,
            false,
        );
    }

    #[expect(clippy::too_many_arguments, reason = "one packet's fields, original or repaired")]
    fn deliver(
        &mut self,
        now: Instant,
        ssrc: u32,
        header: &Header,
        sequence: u16,
        payload_type: u8,
        payload: Bytes,
        header_len: usize,
        retransmitted: bool,
    ) {
        let Some(stream) = self.receive_streams.get_mut(&ssrc) else { return };
        stream.payload_type = payload_type;
        let sequence = stream.received(now, sequence, header.timestamp, payload.len(), header_len);
        if retransmitted {
            stream.retransmitted_received += 1;
        }
        self.events.push_back(RtpEvent::Packet {
            transceiver: stream.transceiver,
            ssrc,
            rid: stream.rid.clone(),
            packet: RtpPacket {
                ssrc,
                payload_type,
                sequence,
                timestamp: header.timestamp,
                marker: header.marker,
                payload,
                arrival: now,
                retransmitted,
            },
        });
    }

    fn is_rtx(&self, header: &Header) -> bool {
        self.rtx.contains_key(&header.ssrc)
            || (!self.receive_streams.contains_key(&header.ssrc)
                && self.routes.iter().any(|r| r.codecs.iter().any(|c| c.rtx == Some(header.payload_type))))
    }

    /// Restores the original packet (RFC 4588 section 4).
    fn handle_repair(&mut self, now: Instant, header: &Header, payload: &Bytes, header_len: usize) {
        let media = match self.rtx.get(&header.ssrc) {
            Some(media) => *media,
            None => match self.bind_repair(header) {
                Some(media) => media,
                None => return,
            },
        };
        let [high, low, ..] = payload[..] else { return };
        let sequence = u16::from_be_bytes([high, low]);
        let Some(transceiver) = self.receive_streams.get(&media).map(|stream| stream.transceiver) else { return };
        let original = self
            .route(transceiver)
            .and_then(|route| route.codecs.iter().find(|codec| codec.rtx == Some(header.payload_type)))
            .map(|codec| codec.payload_type);
        if let (Some(payload_type), true) = (original, payload.len() > 2) {
            self.deliver(now, media, header, sequence, payload_type, payload.slice(2..), header_len, true);
        }
    }

    fn bind_repair(&mut self, header: &Header) -> Option<u32> {
        if self.rtx.len() >= MAX_RECEIVE_STREAMS {
            return None;
        }
        let rid = extensions::text(header, self.extensions.repaired_rid);
        let route = self.route_of(header, rid.as_deref(), true)?;
        // Of several layers it has to say which one it repairs (RFC 8852 section 3.2).
        if rid.is_none() && !route.rids.is_empty() {
            return None;
        }
        let transceiver = route.transceiver;
        let media = self
            .receive_streams
            .values()
            .find(|stream| stream.transceiver == transceiver && (rid.is_none() || stream.rid == rid))?
            .ssrc;
        self.rtx.insert(header.ssrc, media);
        Some(media)
    }

    /// Finds the m-line of an SSRC: named by the mid extension, announced in the description, the one that has the
    /// simulcast layer, or the only one that has its payload type (RFC 8843 section 9.2).
    fn route_of(&self, header: &Header, rid: Option<&str>, repair: bool) -> Option<&MediaRoute> {
        let carries = |route: &&MediaRoute| {
            route.receives
                && route.codecs.iter().any(|codec| {
                    if repair {
                        codec.rtx == Some(header.payload_type)
                    } else {
                        codec.payload_type == header.payload_type
                    }
                })
        };
        if let Some(mid) = extensions::text(header, self.extensions.mid) {
            return self.routes.iter().find(|route| route.mid == mid && route.receives);
        }
        let announced = self.routes.iter().find(|route| route.receives && route.remote_ssrcs.contains(&header.ssrc));
        let layer = |route: &&MediaRoute| rid.is_some_and(|rid| route.rids.iter().any(|known| known == rid));
        announced.or_else(|| self.routes.iter().filter(carries).find(layer)).or_else(|| {
            let taken = |route: &&MediaRoute| {
                !route.remote_ssrcs.is_empty()
                    || self.receive_streams.values().any(|stream| stream.transceiver == route.transceiver)
            };
            self.routes.iter().filter(carries).find(|route| repair || !taken(route))
        })
    }

    fn bind(&mut self, header: &Header) -> bool {
        if self.receive_streams.len() >= MAX_RECEIVE_STREAMS {
            return false;
        }
        let rid = extensions::text(header, self.extensions.rid);
        let Some(route) = self.route_of(header, rid.as_deref(), false) else { return false };
        // What names no negotiated layer cannot be told from the others; a single stream needs no name.
        let rid = rid.filter(|rid| route.rids.contains(rid));
        if rid.is_none() && !route.rids.is_empty() {
            return false;
        }
        let Some(codec) = route.codecs.iter().find(|codec| codec.payload_type == header.payload_type) else {
            return false;
        };
        let nack = route.kind == MediaKind::Video && codec.has_feedback("nack");
        let stream = ReceiveStream::new(header.ssrc, route.transceiver, rid, codec.clock_rate, nack);
        tracing::debug!(ssrc = header.ssrc, mid = %route.mid, rid = stream.rid, "new incoming stream");
        self.forget_layer(stream.transceiver, stream.rid.as_deref());
        self.receive_streams.insert(header.ssrc, stream);
        true
    }

    /// A layer has one source at a time: the sender has given it a new one.
    fn forget_layer(&mut self, transceiver: usize, rid: Option<&str>) {
        if rid.is_some() {
            self.receive_streams.retain(|_, old| old.transceiver != transceiver || old.rid.as_deref() != rid);
            let streams = &self.receive_streams;
            self.rtx.retain(|_, media| streams.contains_key(media));
        }
    }

    fn handle_rtcp(&mut self, now: Instant, data: &[u8]) {
        let Some(srtp) = &mut self.srtp else { return };
        let packets = match srtp.remote.decrypt_rtcp(data).and_then(|mut plain| rtc_rtcp::packet::unmarshal(&mut plain))
        {
            Ok(packets) => packets,
            Err(error) => {
                tracing::trace!(%error, "SRTCP packet dropped");
                return;
            }
        };
        for packet in &packets {
            match Feedback::read(packet.as_ref()) {
                Feedback::Nack { ssrc, lost } => self.retransmit(now, ssrc, &lost),
                Feedback::PictureLoss { ssrc } => self.key_frame_requested(ssrc, |stream| stream.pli_count += 1),
                Feedback::FullIntra { ssrcs } => {
                    for ssrc in ssrcs {
                        self.key_frame_requested(ssrc, |stream| stream.fir_count += 1);
                    }
                }
                Feedback::TransportCc(feedback) => {
                    if let Some(target) = self.twcc_sender.feedback(now, feedback) {
                        self.events.push_back(RtpEvent::TargetBitrate(target));
                    }
                }
                Feedback::MaximumBitrate(bitrate) if self.extensions.transport_cc.is_none() => {
                    self.events.push_back(RtpEvent::TargetBitrate(bitrate));
                }
                Feedback::SenderReport { report } => {
                    self.sender_report(now, report);
                    self.remote_reports(now, &report.reports);
                }
                Feedback::ReceiverReport(reports) => self.remote_reports(now, reports),
                Feedback::MaximumBitrate(_) | Feedback::Other => {}
            }
        }
    }

    fn key_frame_requested(&mut self, ssrc: u32, count: impl Fn(&mut SendStream)) {
        if let Some((transceiver, stream)) = self.send_streams.iter_mut().find(|(_, stream)| stream.ssrc == ssrc) {
            count(stream);
            self.events.push_back(RtpEvent::KeyFrameRequested { transceiver: *transceiver, rid: stream.rid.clone() });
        }
    }

    fn sender_report(&mut self, now: Instant, report: &rtc_rtcp::sender_report::SenderReport) {
        let (ssrc, ntp_time, rtp_time) = (report.ssrc, report.ntp_time, report.rtp_time);
        if let Some(stream) = self.receive_streams.get_mut(&ssrc) {
            stream.last_sender_report = Some((ntp_time, now));
            stream.remote_sent = RemoteSent {
                packets: report.packet_count,
                bytes: report.octet_count,
                reports: stream.remote_sent.reports + 1,
            };
            let (transceiver, rid) = (stream.transceiver, stream.rid.clone());
            self.events.push_back(RtpEvent::SenderReport { transceiver, ssrc, rid, ntp_time, rtp_time });
        }
    }

    fn remote_reports(&mut self, now: Instant, reports: &[rtc_rtcp::reception_report::ReceptionReport]) {
        for report in reports {
            let stream = self.send_streams.iter_mut().find(|(_, stream)| stream.ssrc == report.ssrc);
            if let Some((transceiver, stream)) = stream {
                let report = reports::remote_report(self.clock, now, report);
                let fraction = report.fraction_lost as f32;
                if let Some(time) = report.round_trip_time {
                    stream.round_trips.0 += time;
                    stream.round_trips.1 += 1;
                }
                stream.remote_report = Some(report);
                self.events.push_back(RtpEvent::LossReported { transceiver: *transceiver, fraction });
            }
        }
    }

    // ---- time and output -----------------------------------------------------------------------------------------

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let nack = self.receive_streams.values().filter_map(|stream| stream.nack.as_ref()?.poll_timeout()).min();
        [nack, self.twcc_recorder.poll_timeout(), self.next_report].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.srtp.is_none() {
            return;
        }
        let sender_ssrc = self.sender_ssrc();
        if let Some(feedback) = self.twcc_recorder.feedback(now, sender_ssrc) {
            self.send_rtcp(&[Box::new(feedback)]);
        }
        let mut nacks: Vec<Box<dyn RtcpPacket>> = Vec::new();
        for stream in self.receive_streams.values_mut() {
            let lost = stream.nack.as_mut().map(|nack| nack.due(now)).unwrap_or_default();
            if !lost.is_empty() {
                stream.nack_count += 1;
                let nacks_pairs = nack_pairs_from_sequence_numbers(&lost);
                nacks.push(Box::new(TransportLayerNack { sender_ssrc, media_ssrc: stream.ssrc, nacks: nacks_pairs }));
            }
        }
        if !nacks.is_empty() {
            self.send_rtcp(&nacks);
        }
        if self.next_report.is_some_and(|at| at <= now) {
            self.next_report = Some(now + REPORT_INTERVAL);
            self.send_reports(now, sender_ssrc);
        }
    }

    fn send_reports(&mut self, now: Instant, sender_ssrc: u32) {
        let mut packets: Vec<Box<dyn RtcpPacket>> = Vec::new();
        for (transceiver, stream) in &self.send_streams {
            let clock_rate = self
                .route(*transceiver)
                .and_then(|r| r.codecs.iter().find(|c| c.payload_type == stream.payload_type))
                .map_or(90_000, |codec| codec.clock_rate);
            packets.extend(reports::sender_report(self.clock, now, stream, clock_rate));
        }
        let blocks: Vec<_> = self.receive_streams.values_mut().filter_map(|stream| stream.report(now)).collect();
        packets.extend(reports::receiver_reports(sender_ssrc, &blocks));
        // One report a datagram keeps any number of streams below the path's MTU.
        for packet in packets {
            self.send_rtcp(&[packet]);
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<RtpEvent> {
        self.events.pop_front()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        self.out.pop_front()
    }
}

fn strip_padding(header: &Header, plain: Bytes, header_len: usize) -> Option<Bytes> {
    let payload = (plain.len() >= header_len).then(|| plain.slice(header_len..))?;
    if !header.padding {
        return Some(payload);
    }
    let padding = usize::from(*payload.last()?);
    (padding <= payload.len()).then(|| payload.slice(..payload.len() - padding))
}
