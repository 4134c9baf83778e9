//! Opus payload format (RFC 7587): one packet is one payload.

use bytes::Bytes;

use crate::EncodedFrame;

/// A payload that is not an Opus packet (RFC 6716 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpusPacketError {
    /// No table-of-contents byte.
    #[error("an Opus packet needs at least 1 byte, got none")]
    Empty,
    /// Code 3 packet without its frame count byte.
    #[error("an Opus packet of code 3 needs at least 2 bytes, got 1")]
    NoFrameCount,
    /// More than 120 ms or no frame at all.
    #[error("an Opus packet holds 1 to 5760 samples at 48 kHz, this one says {0}")]
    Duration(u32),
}

/// Samples per channel at 48 kHz that an Opus packet holds, from its first bytes.
///
/// # Errors
/// [`OpusPacketError`] if the bytes cannot be an Opus packet.
pub fn opus_packet_samples(payload: &[u8]) -> Result<u32, OpusPacketError> {
    let toc = *payload.first().ok_or(OpusPacketError::Empty)?;
    let config = toc >> 3;
    let frame = match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1).ok_or(OpusPacketError::NoFrameCount)? & 0x3f),
    };
    let samples = frame * frames;
    if samples == 0 || samples > 5760 {
        return Err(OpusPacketError::Duration(samples));
    }
    Ok(samples)
}

/// One Opus packet as an [`EncodedFrame`]. `timestamp` counts 48 kHz samples; `talk_spurt` sets the marker bit.
#[must_use]
pub fn packetize_opus(packet: Bytes, timestamp: u32, talk_spurt: bool) -> EncodedFrame {
    EncodedFrame { timestamp, payloads: vec![packet], key_frame: true, marker: talk_spurt, rid: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_the_table_of_contents() {
        assert_eq!(opus_packet_samples(&[0x08]), Ok(960));
        assert_eq!(opus_packet_samples(&[0x18]), Ok(2880));
        assert_eq!(opus_packet_samples(&[0xfc]), Ok(960));
        assert_eq!(opus_packet_samples(&[0xe0]), Ok(120));
        assert_eq!(opus_packet_samples(&[0x03, 3]), Ok(1440));
        assert_eq!(opus_packet_samples(&[]), Err(OpusPacketError::Empty));
        assert_eq!(opus_packet_samples(&[0x03]), Err(OpusPacketError::NoFrameCount));
        assert_eq!(opus_packet_samples(&[0x03, 0]), Err(OpusPacketError::Duration(0)));
        assert_eq!(opus_packet_samples(&[0x1b, 3]), Err(OpusPacketError::Duration(8640)));
    }
}
