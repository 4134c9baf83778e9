//! H.264 payload format, non-interleaved mode (RFC 6184, packetization-mode 1). The bitstream on both sides is Annex B.

use bytes::{BufMut, Bytes, BytesMut};

use crate::annexb::{self, Packets, START_CODE, UnitPart, units};
use crate::{PayloadError, VideoCodecType};

/// NAL unit types.
const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_HEADER: usize = 2;

fn truncated(needed: usize, actual: usize) -> PayloadError {
    PayloadError::Truncated { codec: VideoCodecType::H264, needed, actual }
}

/// Reads one payload.
pub(crate) fn read(payload: &Bytes) -> Result<UnitPart, PayloadError> {
    let header = *payload.first().ok_or(truncated(1, 0))?;
    match header & 0x1f {
        1..=23 => {
            let mut data = BytesMut::with_capacity(START_CODE.len() + payload.len());
            data.put_slice(&START_CODE);
            data.put_slice(payload);
            let key = header & 0x1f == SPS;
            Ok(UnitPart { data: data.freeze(), continues: false, unfinished: false, key, intra: key })
        }
        STAP_A => aggregate(payload),
        FU_A => fragment(payload, header),
        other => Err(PayloadError::UnknownUnit { codec: VideoCodecType::H264, unit: other }),
    }
}

/// STAP-A: several NAL units with their lengths (RFC 6184 section 5.7.1).
fn aggregate(payload: &Bytes) -> Result<UnitPart, PayloadError> {
    let mut data = BytesMut::with_capacity(payload.len() * 2);
    let (mut rest, mut key) = (&payload[1..], false);
    while !rest.is_empty() {
        let consumed = payload.len() - rest.len();
        let (length, after) = rest.split_first_chunk::<2>().ok_or(truncated(consumed + 2, payload.len()))?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || after.len() < length {
            return Err(truncated(consumed + 2 + length.max(1), payload.len()));
        }
        let (unit, after) = after.split_at(length);
        key |= unit[0] & 0x1f == SPS;
        data.put_slice(&START_CODE);
        data.put_slice(unit);
        rest = after;
    }
    if data.is_empty() {
        return Err(truncated(4, payload.len()));
    }
    Ok(UnitPart { data: data.freeze(), continues: false, unfinished: false, key, intra: key })
}

/// FU-A: a piece of a NAL unit (RFC 6184 section 5.8).
fn fragment(payload: &Bytes, indicator: u8) -> Result<UnitPart, PayloadError> {
    if payload.len() <= FU_HEADER {
        return Err(truncated(FU_HEADER + 1, payload.len()));
    }
    let header = payload[1];
    let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
    let data = if start {
        let mut data = BytesMut::with_capacity(START_CODE.len() + payload.len());
        data.put_slice(&START_CODE);
        data.put_u8(indicator & 0xe0 | header & 0x1f);
        data.put_slice(&payload[FU_HEADER..]);
        data.freeze()
    } else {
        payload.slice(FU_HEADER..)
    };
    let key = start && header & 0x1f == SPS;
    Ok(UnitPart { data, continues: !start, unfinished: !end, key, intra: key })
}

/// True if the access unit begins with what a decoder needs to start.
#[must_use]
pub fn is_h264_key_frame(frame: &[u8]) -> bool {
    units(frame).iter().any(|unit| unit[0] & 0x1f == IDR)
}

/// Payloads of one access unit in sending order: single units, STAP-A and FU-A.
pub(crate) fn packetize(frame: &[u8], max_payload: usize) -> Vec<Bytes> {
    annexb::packetize::<H264>(units(frame), max_payload)
}

struct H264;

impl Packets for H264 {
    const AGGREGATE_HEADER: usize = 1;

    fn aggregate_header(units: &[&[u8]], payload: &mut BytesMut) {
        // F is the or, NRI the largest of all (RFC 6184 section 5.7).
        let forbidden = units.iter().fold(0, |bits, unit| bits | unit[0] & 0x80);
        let importance = units.iter().map(|unit| unit[0] & 0x60).max().unwrap_or(0);
        payload.put_u8(forbidden | importance | STAP_A);
    }

    fn fragments(unit: &[u8], max_payload: usize, payloads: &mut Vec<Bytes>) {
        let (header, body) = (unit[0], &unit[1..]);
        let count = body.len().div_ceil(max_payload - FU_HEADER);
        let share = body.len().div_ceil(count);
        for (index, piece) in body.chunks(share).enumerate() {
            let start = if index == 0 { 0x80 } else { 0 };
            let end = if (index + 1) * share >= body.len() { 0x40 } else { 0 };
            let mut payload = BytesMut::with_capacity(FU_HEADER + piece.len());
            payload.put_u8(header & 0xe0 | FU_A);
            payload.put_u8(start | end | header & 0x1f);
            payload.put_slice(piece);
            payloads.push(payload.freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_are_told() {
        assert!(is_h264_key_frame(&[0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 4]) && !is_h264_key_frame(&[0, 0, 1, 0x41, 9]));
    }

    #[test]
    fn what_is_cut_comes_together_again() {
        let large: Vec<u8> = std::iter::once(0x65).chain((0..5000_u32).map(|i| (i % 250 + 1) as u8)).collect();
        let frame = [&START_CODE[..], &[0x67, 1, 2], &START_CODE, &[0x68, 3], &START_CODE, &large].concat();
        for max_payload in [100, 500, 1160, 65_000] {
            let payloads = packetize(&frame, max_payload);
            assert!(payloads.iter().all(|payload| payload.len() <= max_payload));
            let parts: Vec<UnitPart> = payloads.iter().map(|payload| read(payload).expect("own")).collect();
            assert_eq!(parts.iter().flat_map(|part| part.data.to_vec()).collect::<Vec<_>>(), frame);
            assert!(parts[0].key && parts[1..].iter().all(|part| !part.key));
        }
    }

    #[test]
    fn broken_payloads_are_errors() {
        for payload in [&[][..], &[0x18], &[0x18, 0, 0], &[0x18, 0, 9, 1], &[0x7c], &[0x7c, 0x85], &[0x1f, 1], &[0]] {
            assert!(read(&Bytes::copy_from_slice(payload)).is_err(), "{payload:?}");
        }
    }
}
