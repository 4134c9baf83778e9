//! The byte stream of H.264 and H.265 (annex B of both): NAL units behind start codes.

use bytes::{BufMut, Bytes, BytesMut};

pub(crate) const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// One packet's part of an access unit.
pub(crate) struct UnitPart {
    /// Annex B, or the middle of a NAL unit.
    pub(crate) data: Bytes,
    /// It goes on with a NAL unit of the packet before.
    pub(crate) continues: bool,
    /// Its NAL unit goes on in the packet behind.
    pub(crate) unfinished: bool,
    /// It has the parameter set that comes first: decoding can start here if the picture allows it.
    pub(crate) key: bool,
    /// A unit begins in it that makes the picture one to start with.
    pub(crate) intra: bool,
}

/// The NAL units of a bitstream, without start codes.
pub(crate) fn units(frame: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    let (mut begin, mut at) = (None, 0);
    while at + 3 <= frame.len() {
        if frame[at..at + 3] == [0, 0, 1] {
            if let Some(begin) = begin {
                units.push(trimmed(&frame[begin..at]));
            }
            begin = Some(at + 3);
            at += 3;
        } else {
            at += 1;
        }
    }
    if let Some(begin) = begin {
        units.push(trimmed(&frame[begin..]));
    }
    units.retain(|unit| !unit.is_empty());
    units
}

/// Zeros before a start code belong to it, not to the NAL unit (annex B.1).
fn trimmed(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &unit[..end]
}

/// How a payload format writes its packets.
pub(crate) trait Packets {
    /// Bytes of the header of an aggregation packet.
    const AGGREGATE_HEADER: usize;
    /// One packet with several units, of which there are at least two.
    fn aggregate_header(units: &[&[u8]], payload: &mut BytesMut);
    /// Packets with a unit that is longer than one packet.
    fn fragments(unit: &[u8], max_payload: usize, payloads: &mut Vec<Bytes>);
}

/// Payloads of one access unit in sending order. Small units share a packet, large ones are cut into equal pieces.
pub(crate) fn packetize<P: Packets>(units: Vec<&[u8]>, max_payload: usize) -> Vec<Bytes> {
    let mut payloads = Vec::new();
    let mut together: Vec<&[u8]> = Vec::new();
    let mut size = P::AGGREGATE_HEADER;
    for unit in units {
        let large = unit.len() > max_payload;
        if large || size + 2 + unit.len() > max_payload {
            flush::<P>(&mut together, &mut payloads);
            size = P::AGGREGATE_HEADER;
        }
        if large {
            P::fragments(unit, max_payload, &mut payloads);
        } else {
            size += 2 + unit.len();
            together.push(unit);
        }
    }
    flush::<P>(&mut together, &mut payloads);
    payloads
}

fn flush<P: Packets>(together: &mut Vec<&[u8]>, payloads: &mut Vec<Bytes>) {
    match together.as_slice() {
        [] => {}
        [unit] => payloads.push(Bytes::copy_from_slice(unit)),
        units => {
            let size = P::AGGREGATE_HEADER + units.iter().map(|unit| 2 + unit.len()).sum::<usize>();
            let mut payload = BytesMut::with_capacity(size);
            P::aggregate_header(units, &mut payload);
            for unit in units {
                payload.put_u16(unit.len() as u16);
                payload.put_slice(unit);
            }
            payloads.push(payload.freeze());
        }
    }
    together.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_behind_both_start_codes() {
        let frame = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 4, 0, 0];
        assert_eq!(units(&frame), [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 4]]);
        assert!(units(b"").is_empty() && units(b"no start code").is_empty() && units(&[0, 0, 1]).is_empty());
    }
}
