//! Messages of compressed data channels are each one zlib stream (RFC 1950).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// What one message may grow to when inflated.
pub const MAX_INFLATED: usize = 16 << 20;

/// Why a message could not be inflated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// It is not a zlib stream.
    #[error("expected a zlib stream: {0}")]
    NotZlib(String),
    /// It inflates to more than this many bytes.
    #[error("the message inflates to more than {0} bytes")]
    TooLarge(usize),
}

/// Compresses one message.
#[must_use]
pub fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(data.len() / 2 + 16), Compression::default());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(data);
    encoder.finish().unwrap_or_default()
}

/// Inflates one message.
///
/// # Errors
/// [`CompressionError`] if it is not zlib or inflates beyond [`MAX_INFLATED`].
pub fn inflate(data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    inflate_within(data, MAX_INFLATED)
}

/// Inflates one message to at most `limit` bytes; no more than that is ever held.
///
/// # Errors
/// [`CompressionError`] if it is not zlib or inflates beyond the limit.
pub fn inflate_within(data: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut inflated = Vec::new();
    ZlibDecoder::new(data)
        .take((limit as u64).saturating_add(1))
        .read_to_end(&mut inflated)
        .map_err(|error| CompressionError::NotZlib(error.to_string()))?;
    if inflated.len() > limit {
        return Err(CompressionError::TooLarge(limit));
    }
    Ok(inflated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_and_carry_the_zlib_header() {
        let packed = deflate(b"{\"type\":\"ping\"}");
        assert_eq!(packed[..2], [0x78, 0x9c]);
        assert_eq!(inflate(&packed).expect("zlib"), b"{\"type\":\"ping\"}");
    }

    #[test]
    fn a_bomb_and_garbage_are_errors() {
        let bomb = deflate(&vec![0; MAX_INFLATED + 1]);
        assert!(bomb.len() < 20_000);
        assert_eq!(inflate(&bomb), Err(CompressionError::TooLarge(MAX_INFLATED)));
        assert!(matches!(inflate(b"not zlib"), Err(CompressionError::NotZlib(_))));
    }

    #[test]
    fn a_truncated_stream_and_a_wrong_checksum_are_errors() {
        let mut packed = deflate(b"some message that is long enough to be cut");
        assert!(inflate(&packed[..packed.len() - 6]).is_err());
        *packed.last_mut().expect("not empty") ^= 1;
        assert!(inflate(&packed).is_err());
    }

    #[test]
    fn the_limit_is_inclusive() {
        let packed = deflate(&[7; 100]);
        assert_eq!(inflate_within(&packed, 100).map(|data| data.len()), Ok(100));
        assert_eq!(inflate_within(&packed, 99), Err(CompressionError::TooLarge(99)));
    }
}
