//! Outgoing streams: numbering, history for retransmission, counters.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use rtc_rtp::header::Header;

/// About one second of video at 10 Mbit/s.
const HISTORY_PACKETS: usize = 1024;
/// A packet is not sent again sooner than this: several receivers behind one peer ask at once.
const RESEND_INTERVAL: Duration = Duration::from_millis(10);

/// One RTP packet to send. The connection adds SSRC, header extensions and, unless given, the sequence number.
#[derive(Debug, Clone)]
pub struct OutboundRtp {
    /// Payload type as negotiated.
    pub payload_type: u8,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Payload.
    pub payload: Bytes,
    /// Sequence number; `None` numbers on from the last packet. A forwarder gives its own so that gaps stay gaps.
    pub sequence_number: Option<u16>,
    /// The simulcast layer this packet belongs to, if the transceiver sends several.
    pub rid: Option<Arc<str>>,
}

struct Sent {
    sequence: u16,
    header: Header,
    payload: Bytes,
    resent_at: Option<Instant>,
}

/// One SSRC this side sends, with its retransmission SSRC.
pub(crate) struct SendStream {
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) rid: Option<String>,
    next_sequence: u16,
    next_rtx_sequence: u16,
    history: VecDeque<Sent>,
    keeps_history: bool,
    pub(crate) packets_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) header_bytes_sent: u64,
    pub(crate) retransmitted_packets: u64,
    pub(crate) retransmitted_bytes: u64,
    pub(crate) nack_count: u64,
    pub(crate) pli_count: u64,
    pub(crate) fir_count: u64,
    pub(crate) last_timestamp: Option<(u32, Instant)>,
    pub(crate) payload_type: u8,
    pub(crate) remote_report: Option<RemoteReport>,
    /// All round trips that the reports tell of, and their number.
    pub(crate) round_trips: (Duration, u64),
}

/// What the peer last said about this stream (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteReport {
    pub(crate) fraction_lost: f64,
    pub(crate) packets_lost: u32,
    pub(crate) jitter: u32,
    pub(crate) round_trip_time: Option<Duration>,
}

impl SendStream {
    pub(crate) fn new(ssrc: u32, rtx_ssrc: Option<u32>, rid: Option<String>, first_sequence: u16) -> Self {
        Self {
            ssrc,
            rtx_ssrc,
            rid,
            next_sequence: first_sequence,
            next_rtx_sequence: first_sequence.wrapping_add(1),
            history: VecDeque::new(),
            keeps_history: true,
            packets_sent: 0,
            bytes_sent: 0,
            header_bytes_sent: 0,
            retransmitted_packets: 0,
            retransmitted_bytes: 0,
            nack_count: 0,
            pli_count: 0,
            fir_count: 0,
            last_timestamp: None,
            payload_type: 0,
            remote_report: None,
            round_trips: (Duration::ZERO, 0),
        }
    }

    pub(crate) fn set_keeps_history(&mut self, keeps: bool) {
        self.keeps_history = keeps;
    }

    /// The header of the next packet, without extensions.
    pub(crate) fn header(&mut self, packet: &OutboundRtp) -> Header {
        let sequence_number = packet.sequence_number.unwrap_or(self.next_sequence);
        self.next_sequence = sequence_number.wrapping_add(1);
        Header {
            version: 2,
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence_number,
            timestamp: packet.timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        }
    }

    pub(crate) fn sent(&mut self, now: Instant, header: Header, payload: Bytes, header_len: usize) {
        self.packets_sent += 1;
        self.bytes_sent += payload.len() as u64;
        self.header_bytes_sent += header_len as u64;
        self.payload_type = header.payload_type;
        self.last_timestamp = Some((header.timestamp, now));
        if !self.keeps_history {
            return;
        }
        if self.history.len() == HISTORY_PACKETS {
            self.history.pop_front();
        }
        self.history.push_back(Sent { sequence: header.sequence_number, header, payload, resent_at: None });
    }

    /// The packet to send for a NACK: over RTX if negotiated (RFC 4588), else the same packet again.
    pub(crate) fn resend(
        &mut self,
        now: Instant,
        sequence: u16,
        rtx_payload_type: Option<u8>,
    ) -> Option<(Header, Bytes)> {
        let sent = self.history.iter_mut().rev().find(|sent| sent.sequence == sequence)?;
        if sent.resent_at.is_some_and(|at| now.saturating_duration_since(at) < RESEND_INTERVAL) {
            return None;
        }
        sent.resent_at = Some(now);
        self.retransmitted_packets += 1;
        self.retransmitted_bytes += sent.payload.len() as u64;
        let mut header = sent.header.clone();
        header.extensions.clear();
        header.extension = false;
        header.extensions_padding = 0;
        let (Some(ssrc), Some(payload_type)) = (self.rtx_ssrc, rtx_payload_type) else {
            return Some((header, sent.payload.clone()));
        };
        let mut payload = BytesMut::with_capacity(2 + sent.payload.len());
        payload.put_u16(sequence);
        payload.extend_from_slice(&sent.payload);
        header.ssrc = ssrc;
        header.payload_type = payload_type;
        header.sequence_number = self.next_rtx_sequence;
        self.next_rtx_sequence = self.next_rtx_sequence.wrapping_add(1);
        Some((header, payload.freeze()))
    }

    /// The payload type of a packet in the history, to find its RTX format.
    pub(crate) fn payload_type_of(&self, sequence: u16) -> Option<u8> {
        self.history.iter().rev().find(|sent| sent.sequence == sequence).map(|sent| sent.header.payload_type)
    }
}
