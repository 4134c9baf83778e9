//! AV1 decoding by dav1d.

mod ffi;

use crate::{BufferPool, CodecError, I420Buffer, VideoDecoder};

pub(crate) struct Dav1dDecoder {
    decoder: ffi::Decoder,
    pool: BufferPool,
}

impl Dav1dDecoder {
    pub(crate) fn new(threads: u32) -> Result<Self, CodecError> {
        Ok(Self { decoder: ffi::Decoder::new(threads)?, pool: BufferPool::default() })
    }
}

impl VideoDecoder for Dav1dDecoder {
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Buffer>, CodecError> {
        self.decoder.decode(data, &self.pool)
    }

    fn name(&self) -> &'static str {
        "dav1d"
    }
}
