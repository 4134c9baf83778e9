//! H.265 payload format (RFC 7798) without DONL fields (sprop-max-don-diff=0). The bitstream on both sides is Annex B.

use bytes::{BufMut, Bytes, BytesMut};

use crate::annexb::{self, Packets, START_CODE, UnitPart, units};
use crate::{PayloadError, VideoCodecType};

/// NAL unit types (H.265 table 7-1, RFC 7798 section 4.4).
const VPS: u8 = 32;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
const UNIT_HEADER: usize = 2;
const FU_HEADER: usize = 3;

fn truncated(needed: usize, actual: usize) -> PayloadError {
    PayloadError::Truncated { codec: VideoCodecType::H265, needed, actual }
}

const fn unknown(unit: u8) -> PayloadError {
    PayloadError::UnknownUnit { codec: VideoCodecType::H265, unit }
}

const fn kind(header: u8) -> u8 {
    header >> 1 & 0x3f
}

/// IDR, CRA and BLA pictures: decoding can start at them.
const fn is_random_access(kind: u8) -> bool {
    16 <= kind && kind <= 23
}

/// Reads one payload.
pub(crate) fn read(payload: &Bytes) -> Result<UnitPart, PayloadError> {
    let header = *payload.first().ok_or(truncated(1, 0))?;
    if payload.len() <= UNIT_HEADER {
        return Err(truncated(UNIT_HEADER + 1, payload.len()));
    }
    match kind(header) {
        AGGREGATION => aggregate(payload),
        FRAGMENTATION => fragment(payload),
        // PACI and what is reserved.
        other @ 50.. => Err(unknown(other)),
        unit => {
            let mut data = BytesMut::with_capacity(START_CODE.len() + payload.len());
            data.put_slice(&START_CODE);
            data.put_slice(payload);
            let intra = is_random_access(unit);
            Ok(UnitPart { data: data.freeze(), continues: false, unfinished: false, key: unit == VPS, intra })
        }
    }
}

/// Aggregation packet: several NAL units with their lengths (RFC 7798 section 4.4.2).
fn aggregate(payload: &Bytes) -> Result<UnitPart, PayloadError> {
    let mut data = BytesMut::with_capacity(payload.len() * 2);
    let (mut rest, mut key, mut intra) = (&payload[UNIT_HEADER..], false, false);
    while !rest.is_empty() {
        let consumed = payload.len() - rest.len();
        let (length, after) = rest.split_first_chunk::<2>().ok_or(truncated(consumed + 2, payload.len()))?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length <= UNIT_HEADER || after.len() < length {
            return Err(truncated(consumed + 2 + length.max(UNIT_HEADER + 1), payload.len()));
        }
        let (unit, after) = after.split_at(length);
        let kind = kind(unit[0]);
        if kind >= AGGREGATION {
            return Err(unknown(kind));
        }
        key |= kind == VPS;
        intra |= is_random_access(kind);
        data.put_slice(&START_CODE);
        data.put_slice(unit);
        rest = after;
    }
    Ok(UnitPart { data: data.freeze(), continues: false, unfinished: false, key, intra })
}

/// Fragmentation unit: a piece of a NAL unit (RFC 7798 section 4.4.3).
fn fragment(payload: &Bytes) -> Result<UnitPart, PayloadError> {
    if payload.len() <= FU_HEADER {
        return Err(truncated(FU_HEADER + 1, payload.len()));
    }
    let header = payload[2];
    let (start, end, kind) = (header & 0x80 != 0, header & 0x40 != 0, header & 0x3f);
    if kind >= AGGREGATION {
        return Err(unknown(kind));
    }
    let data = if start {
        let mut data = BytesMut::with_capacity(START_CODE.len() + payload.len());
        data.put_slice(&START_CODE);
        data.put_slice(&[payload[0] & 0x81 | kind << 1, payload[1]]);
        data.put_slice(&payload[FU_HEADER..]);
        data.freeze()
    } else {
        payload.slice(FU_HEADER..)
    };
    let intra = start && is_random_access(kind);
    Ok(UnitPart { data, continues: !start, unfinished: !end, key: start && kind == VPS, intra })
}

/// True if the access unit is one that decoding can start at: an IDR, CRA or BLA picture (H.265 section 7.4.2.2).
#[must_use]
pub fn is_h265_key_frame(frame: &[u8]) -> bool {
    units(frame).iter().any(|unit| is_random_access(kind(unit[0])))
}

/// Payloads of one access unit in sending order: single units, aggregation packets and fragmentation units; none if a
/// unit has no header, or a type that the payload format uses for itself.
pub(crate) fn packetize(frame: &[u8], max_payload: usize) -> Vec<Bytes> {
    let units = units(frame);
    if units.iter().any(|unit| unit.len() <= UNIT_HEADER || kind(unit[0]) >= AGGREGATION) {
        return Vec::new();
    }
    annexb::packetize::<H265>(units, max_payload)
}

struct H265;

impl Packets for H265 {
    const AGGREGATE_HEADER: usize = UNIT_HEADER;

    fn aggregate_header(units: &[&[u8]], payload: &mut BytesMut) {
        // F is the or, LayerId and TID the lowest of all (RFC 7798 section 4.4.2).
        let forbidden = units.iter().fold(0, |bits, unit| bits | unit[0] & 0x80);
        let layer = units.iter().map(|unit| (unit[0] & 1) << 5 | unit[1] >> 3).min().unwrap_or(0);
        let temporal = units.iter().map(|unit| unit[1] & 0x07).min().unwrap_or(0);
        payload.put_u8(forbidden | AGGREGATION << 1 | layer >> 5);
        payload.put_u8((layer & 0x1f) << 3 | temporal);
    }

    fn fragments(unit: &[u8], max_payload: usize, payloads: &mut Vec<Bytes>) {
        let (header, body) = unit.split_at(UNIT_HEADER);
        let count = body.len().div_ceil(max_payload - FU_HEADER);
        let share = body.len().div_ceil(count);
        for (index, piece) in body.chunks(share).enumerate() {
            let start = if index == 0 { 0x80 } else { 0 };
            let end = if (index + 1) * share >= body.len() { 0x40 } else { 0 };
            let mut payload = BytesMut::with_capacity(FU_HEADER + piece.len());
            payload.put_u8(header[0] & 0x81 | FRAGMENTATION << 1);
            payload.put_u8(header[1]);
            payload.put_u8(start | end | kind(header[0]));
            payload.put_slice(piece);
            payloads.push(payload.freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(kind: u8, length: usize) -> Vec<u8> {
        let mut out = [&START_CODE[..], &[kind << 1, 1]].concat();
        out.extend((0..length).map(|i| (i % 250 + 1) as u8));
        out
    }

    #[test]
    fn what_is_cut_comes_together_again() {
        for sizes in [&[5000][..], &[95, 96, 97, 98], &[1], &[1, 2, 3000, 1, 2]] {
            let mut frame = [unit(32, 4), unit(33, 10), unit(34, 3)].concat();
            sizes.iter().for_each(|size| frame.extend(unit(19, *size)));
            for max_payload in [100, 500, 1160, 65_000] {
                let payloads = packetize(&frame, max_payload);
                assert!(payloads.iter().all(|payload| payload.len() <= max_payload && payload.len() > UNIT_HEADER));
                let parts: Vec<UnitPart> = payloads.iter().map(|payload| read(payload).expect("own")).collect();
                assert_eq!(parts.iter().flat_map(|part| part.data.to_vec()).collect::<Vec<_>>(), frame);
                assert!(parts[0].key && parts[1..].iter().all(|part| !part.key));
                assert!(parts.iter().any(|part| part.intra));
                // S and E never stand together (RFC 7798 section 4.4.3).
                assert!(!payloads.iter().any(|p| kind(p[0]) == FRAGMENTATION && p[2] & 0xc0 == 0xc0));
            }
        }
    }

    #[test]
    fn headers_are_those_of_the_units() {
        // LayerId 33 and 2, TID 3 and 2.
        let frame = [0, 0, 1, 0x03, 0x0b, 9, 0, 0, 1, 0x82, 0x12, 9];
        let payloads = packetize(&frame, 100);
        assert_eq!(payloads[0][..], [0xe0, 0x12, 0, 3, 0x03, 0x0b, 9, 0, 3, 0x82, 0x12, 9]);
        let frame = [&[0, 0, 1, 0x03, 0x0b][..], &[7; 150]].concat();
        let payloads = packetize(&frame, 100);
        assert_eq!((&payloads[0][..3], &payloads[1][..3]), (&[0x63, 0x0b, 0x81][..], &[0x63, 0x0b, 0x41][..]));
        assert_eq!(read(&payloads[0]).expect("own").data[4..6], [0x03, 0x0b]);
    }

    #[test]
    fn key_frames_are_told() {
        assert!(is_h265_key_frame(&[unit(32, 3), unit(19, 9)].concat()) && is_h265_key_frame(&unit(21, 9)));
        assert!(!is_h265_key_frame(&unit(1, 9)) && !is_h265_key_frame(&unit(32, 9)) && !is_h265_key_frame(b""));
    }

    #[test]
    fn broken_payloads_are_errors() {
        let broken: [&[u8]; 13] = [
            &[],
            &[0x02],
            &[0x02, 1],
            &[0x60, 1],
            &[0x60, 1, 0],
            &[0x60, 1, 0, 2, 2, 1],
            &[0x60, 1, 0, 9, 2, 1, 1],
            &[0x60, 1, 0, 3, 0x60, 1, 1],
            &[0x62, 1, 0x93],
            &[0x62, 1, 0xb1, 4],
            &[0x64, 1, 2, 3],
            &[0x7e, 1, 2, 3],
            &[0x60, 1, 0, 3, 2, 1, 1, 0],
        ];
        for payload in broken {
            assert!(read(&Bytes::copy_from_slice(payload)).is_err(), "{payload:?}");
        }
        assert!(packetize(&[0, 0, 1, 0x60, 1, 2], 100).is_empty());
    }
}
