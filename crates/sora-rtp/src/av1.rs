//! AV1 payload format (AOM "RTP Payload Format For AV1" 1.0). The bitstream on both sides is the low-overhead format:
//! OBUs that carry their size (AV1 specification section 5.2).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{PayloadError, VideoCodecType};

/// OBU types.
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;
const HAS_SIZE: u8 = 0x02;
const HAS_EXTENSION: u8 = 0x04;

/// One packet's part of a temporal unit: OBU elements, the first and last of which may be pieces.
#[derive(Debug, Clone)]
pub(crate) struct Av1Part {
    elements: Vec<Bytes>,
    /// Z: the first element goes on with the last of the packet before.
    pub(crate) continues: bool,
    /// Y: the last element goes on in the packet behind.
    pub(crate) unfinished: bool,
    /// N: a coded video sequence begins, decoding can start here.
    pub(crate) key: bool,
}

fn truncated(needed: usize, actual: usize) -> PayloadError {
    PayloadError::Truncated { codec: VideoCodecType::Av1, needed, actual }
}

/// Reads a LEB128 number of at most 32 bits (AV1 specification section 4.10.5).
fn leb128(data: &mut &[u8]) -> Option<usize> {
    let mut value = 0_u64;
    for index in 0..8 {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return u32::try_from(value).ok().map(|value| value as usize);
        }
    }
    None
}

fn put_leb128(mut value: usize, out: &mut BytesMut) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.put_u8(byte | if value == 0 { 0 } else { 0x80 });
        if value == 0 {
            return;
        }
    }
}

fn leb128_len(value: usize) -> usize {
    (usize::BITS - value.leading_zeros()).div_ceil(7).max(1) as usize
}

/// Reads one payload.
pub(crate) fn read(payload: &Bytes) -> Result<Av1Part, PayloadError> {
    let header = *payload.first().ok_or(truncated(1, 0))?;
    let count = usize::from(header >> 4 & 3);
    let mut elements = Vec::new();
    let mut rest = payload.slice(1..);
    while !rest.is_empty() {
        // W elements, the last of them without a length; or any number, all with one.
        let size = if elements.len() + 1 == count {
            rest.len()
        } else {
            let mut data = &rest[..];
            let size = leb128(&mut data).ok_or(truncated(payload.len() + 1, payload.len()))?;
            rest.advance(rest.len() - data.len());
            size
        };
        if size > rest.len() {
            return Err(truncated(payload.len() - rest.len() + size, payload.len()));
        }
        elements.push(rest.split_to(size));
    }
    if elements.is_empty() || (count > 0 && elements.len() != count) {
        return Err(truncated(payload.len() + 1, payload.len()));
    }
    let (continues, unfinished) = (header & 0x80 != 0, header & 0x40 != 0);
    Ok(Av1Part { elements, continues, unfinished, key: header & 0x08 != 0 && !continues })
}

/// Puts the parts of one temporal unit together; `None` if they do not fit.
pub(crate) fn join(parts: &[Av1Part]) -> Option<Bytes> {
    let mut obus: Vec<BytesMut> = Vec::new();
    let mut open = false;
    for part in parts {
        if part.continues != open {
            return None;
        }
        for (index, element) in part.elements.iter().enumerate() {
            match obus.last_mut() {
                Some(last) if index == 0 && part.continues => last.extend_from_slice(element),
                _ => obus.push(BytesMut::from(&element[..])),
            }
        }
        open = part.unfinished;
    }
    if open {
        return None;
    }
    let mut out = BytesMut::with_capacity(2 + obus.iter().map(|obu| obu.len() + 5).sum::<usize>());
    out.put_slice(&[TEMPORAL_DELIMITER << 3 | HAS_SIZE, 0]);
    for obu in obus {
        let header = *obu.first()?;
        if header & 0x80 != 0 {
            return None;
        }
        let header_length = 1 + usize::from(header & HAS_EXTENSION != 0);
        // A sender may leave the size in.
        let body = if header & HAS_SIZE == 0 {
            obu.get(header_length..)?
        } else {
            let mut data = obu.get(header_length..)?;
            let size = leb128(&mut data)?;
            data.get(..size)?
        };
        if matches!(header >> 3 & 0x0f, TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
            continue;
        }
        out.put_u8(header | HAS_SIZE);
        out.put_slice(&obu[1..header_length]);
        put_leb128(body.len(), &mut out);
        out.put_slice(body);
    }
    Some(out.freeze())
}

/// An OBU without its size field: header, then body.
type Obu<'a> = (Vec<u8>, &'a [u8]);

/// The OBUs of a temporal unit, and whether there is a sequence header; `None` if it cannot be read.
fn obus(mut frame: &[u8]) -> Option<(Vec<Obu<'_>>, bool)> {
    let (mut found, mut key) = (Vec::new(), false);
    while let Some(header) = frame.first().copied() {
        let header_length = 1 + usize::from(header & HAS_EXTENSION != 0);
        let (head, mut rest) = frame.split_at_checked(header_length)?;
        let size = if header & HAS_SIZE == 0 { rest.len() } else { leb128(&mut rest)? };
        let (body, after) = rest.split_at_checked(size)?;
        frame = after;
        let kind = header >> 3 & 0x0f;
        key |= kind == SEQUENCE_HEADER;
        if !matches!(kind, TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
            let mut head = head.to_vec();
            head[0] &= !HAS_SIZE;
            found.push((head, body));
        }
    }
    Some((found, key))
}

/// Payloads of one temporal unit in sending order; none if it cannot be read.
pub(crate) fn packetize(frame: &[u8], max_payload: usize) -> Vec<Bytes> {
    let Some((obus, key)) = obus(frame) else { return Vec::new() };
    let mut payloads = Vec::new();
    let mut current = BytesMut::with_capacity(max_payload);
    let begin = |current: &mut BytesMut, continues: bool| current.put_u8(if continues { 0x80 } else { 0 });
    begin(&mut current, false);
    for (head, body) in obus {
        let mut left = [&head[..], body].concat();
        while !left.is_empty() {
            // The length that goes before the piece takes up to three bytes.
            let room = max_payload.saturating_sub(current.len());
            if room < 2 + leb128_len(room) {
                payloads.push(current.split().freeze());
                begin(&mut current, false);
                continue;
            }
            let take = left.len().min(room - leb128_len(room));
            put_leb128(take, &mut current);
            current.put_slice(&left[..take]);
            left.drain(..take);
            if !left.is_empty() {
                // W stays 0: every element has its length. Y says that this one goes on.
                current[0] |= 0x40;
                payloads.push(current.split().freeze());
                begin(&mut current, true);
            }
        }
    }
    if current.len() > 1 {
        payloads.push(current.freeze());
    }
    if key && let Some(first) = payloads.first_mut() {
        let mut bytes = first.to_vec();
        bytes[0] |= 0x08;
        *first = bytes.into();
    }
    payloads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obu(kind: u8, length: usize) -> Vec<u8> {
        let mut out = BytesMut::new();
        out.put_u8(kind << 3 | HAS_SIZE);
        put_leb128(length, &mut out);
        out.put_slice(&(0..length).map(|i| i as u8).collect::<Vec<_>>());
        out.to_vec()
    }

    #[test]
    fn what_is_cut_comes_together_again() {
        for sizes in [&[10, 300][..], &[10, 5000], &[0, 1, 2], &[97, 98, 99, 100, 101], &[127, 128, 16_384]] {
            let mut frame = vec![TEMPORAL_DELIMITER << 3 | HAS_SIZE, 0];
            frame.extend(obu(SEQUENCE_HEADER, 11));
            sizes.iter().for_each(|size| frame.extend(obu(6, *size)));
            for max_payload in [100, 200, 1160] {
                let payloads = packetize(&frame, max_payload);
                assert!(payloads.iter().all(|payload| payload.len() <= max_payload && payload.len() > 1));
                let parts: Vec<Av1Part> = payloads.iter().map(|payload| read(payload).expect("own")).collect();
                assert!(parts[0].key && parts[1..].iter().all(|part| !part.key));
                assert_eq!(join(&parts).expect("fits"), frame, "{sizes:?} {max_payload}");
                if parts.len() > 1 {
                    assert!(join(&parts[1..]).is_none() || !parts[1].continues);
                    assert!(join(&parts[..1]).is_none() || !parts[0].unfinished);
                }
            }
        }
    }

    #[test]
    fn counted_elements_are_read() {
        // W = 2: the first with its length, the last without.
        let part = read(&Bytes::from_static(&[0x20, 2, 0x30, 7, 0x30, 8, 9])).expect("sound");
        assert_eq!(part.elements, [&[0x30, 7][..], &[0x30, 8, 9]]);
        assert_eq!(join(&[part]).expect("fits")[..], [0x12, 0, 0x32, 1, 7, 0x32, 2, 8, 9]);
    }

    #[test]
    fn broken_payloads_are_errors() {
        for payload in [&[][..], &[0x00], &[0x10], &[0x00, 5, 1], &[0x20, 0x80], &[0x30, 1, 1, 1, 1], &[0, 0xff, 0xff]]
        {
            assert!(read(&Bytes::copy_from_slice(payload)).is_err(), "{payload:?}");
        }
        assert!(packetize(&[0x32, 0x7f], 1160).is_empty());
    }
}
