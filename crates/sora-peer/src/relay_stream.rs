use bytes::{Buf, BytesMut};

/// STUN message header (RFC 8489 section 5).
const STUN_HEADER: usize = 20;
/// `ChannelData` header (RFC 8656 section 12.4).
const CHANNEL_DATA_HEADER: usize = 4;

/// The stream carries something that is neither a STUN message nor `ChannelData`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the TURN server's stream is not STUN or ChannelData: it begins with {0:#06x}")]
pub(crate) struct NotTurn(u16);

/// Finds the messages in the stream from a TURN server (RFC 8656 section 12.5): what is in its buffer after the last
/// call of [`Self::next_message`] is less than one message, 64 KiB at most.
#[derive(Default)]
pub(crate) struct RelayStream(BytesMut);

impl RelayStream {
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }

    /// The next whole message.
    pub(crate) fn next_message(&mut self) -> Result<Option<BytesMut>, NotTurn> {
        let Some(&[kind_high, kind_low, length_high, length_low]) = self.0.first_chunk::<4>() else { return Ok(None) };
        let kind = u16::from_be_bytes([kind_high, kind_low]);
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (size, padded) = match kind >> 14 {
            0 if length % 4 == 0 => (STUN_HEADER + length, STUN_HEADER + length),
            1 => (CHANNEL_DATA_HEADER + length, CHANNEL_DATA_HEADER + length.next_multiple_of(4)),
            _ => return Err(NotTurn(kind)),
        };
        if self.0.len() < padded {
            return Ok(None);
        }
        let message = self.0.split_to(size);
        self.0.advance(padded - size);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(stream: &mut RelayStream) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| stream.next_message().expect("sound")).map(|message| message.to_vec()).collect()
    }

    fn stun(length: u8) -> Vec<u8> {
        let mut message = vec![0x01, 0x03, 0, length];
        message.extend(vec![7; 16 + usize::from(length)]);
        message
    }

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let channel_data = [0x40, 0x00, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
        let expected = vec![stun(8), channel_data[..9].to_vec(), stun(0)];
        let bytes = [stun(8), channel_data.to_vec(), stun(0)].concat();
        for size in 1..bytes.len() {
            let mut stream = RelayStream::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                stream.push(piece);
                found.extend(messages(&mut stream));
            }
            assert_eq!(found, expected, "pieces of {size}");
        }
    }

    #[test]
    fn another_protocol_is_an_error() {
        let mut stream = RelayStream::default();
        stream.push(b"HTTP/1.1 200 OK\r\n");
        // "HT" has the first bits of ChannelData; its length is never reached or leads to a foreign header.
        let mut outcome = stream.next_message();
        while outcome == Ok(None) {
            stream.push(&[0xFF; 4096]);
            outcome = stream.next_message();
        }
        while let Ok(Some(_)) = outcome {
            stream.push(&[0xFF; 64]);
            outcome = stream.next_message();
        }
        assert_eq!(outcome, Err(NotTurn(0xFFFF)));
    }
}
