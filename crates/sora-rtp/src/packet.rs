//! What travels between the connection and the media pipelines.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

/// One received RTP packet after decryption, before its payload format is read.
#[derive(Debug, Clone)]
pub struct RtpPacket {
    /// Synchronisation source it came from; that of the original if it was retransmitted.
    pub ssrc: u32,
    /// Payload type as negotiated in the SDP.
    pub payload_type: u8,
    /// Sequence number unwrapped to 64 bits by the receiving session (RFC 3550 appendix A.1).
    pub sequence: u64,
    /// RTP timestamp as it came.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Payload without padding.
    pub payload: Bytes,
    /// When the datagram arrived.
    pub arrival: Instant,
    /// True if it came as a retransmission (RTX or a late duplicate answered to a NACK).
    pub retransmitted: bool,
}

/// All RTP payloads of one encoded picture or one audio frame, in order.
#[derive(Debug, Clone)]
pub struct EncodedFrame {
    /// RTP timestamp in the codec's clock (90 kHz for video, 48 kHz for Opus).
    pub timestamp: u32,
    /// RTP payloads in sending order; video sets the marker bit on the last one.
    pub payloads: Vec<Bytes>,
    /// True if the frame can be decoded without any earlier one.
    pub key_frame: bool,
    /// Marker bit for the last payload (video: true; audio: start of a talk spurt).
    pub marker: bool,
    /// The simulcast layer it belongs to, if the sender has several.
    pub rid: Option<Arc<str>>,
}
