//! VP8 and VP9 by libvpx, set up for real time: constant bit rate, no look-ahead, key frames only on request.

mod ffi;
mod header;

use bytes::Bytes;

use crate::video::EncodedPicture;
use crate::{BufferPool, CodecError, I420Buffer, MAX_PIXELS, VideoDecoder, VideoEncoder, VideoEncoderConfig};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VpxCodec {
    Vp8,
    Vp9,
}

pub(crate) struct VpxEncoder {
    codec: VpxCodec,
    config: VideoEncoderConfig,
    /// Made at the first picture, whose size it needs.
    encoder: Option<ffi::Encoder>,
    size: (u32, u32),
}

impl VpxEncoder {
    pub(crate) fn new(codec: VpxCodec, config: VideoEncoderConfig) -> Self {
        Self { codec, config, encoder: None, size: (0, 0) }
    }

    /// Threads pay off for large VP9 pictures only; VP8's threads spin and cost more than they bring.
    fn threads(&self, width: u32, height: u32) -> u32 {
        match self.codec {
            VpxCodec::Vp8 => 1,
            VpxCodec::Vp9 if width * height < 960 * 540 => 1,
            VpxCodec::Vp9 => self.config.threads.clamp(1, 4),
        }
    }
}

impl VideoEncoder for VpxEncoder {
    fn encode(&mut self, picture: &I420Buffer, key_frame: bool) -> Result<Option<EncodedPicture>, CodecError> {
        let (width, height) = (picture.width(), picture.height());
        if self.size != (width, height) || self.encoder.is_none() {
            self.encoder = None;
            let threads = self.threads(width, height);
            self.encoder = Some(ffi::Encoder::new(self.codec, &self.config, width, height, threads)?);
            self.size = (width, height);
        }
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        let encoded = encoder.encode(picture, key_frame)?;
        Ok(encoded.map(|(data, key_frame)| EncodedPicture { data: Bytes::from(data), key_frame, width, height }))
    }

    fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError> {
        self.config.bitrate_bps = bitrate_bps;
        self.config.frame_rate = frame_rate.clamp(1, 240);
        match &mut self.encoder {
            Some(encoder) => encoder.set_rates(bitrate_bps, self.config.frame_rate),
            None => Ok(()),
        }
    }

    fn name(&self) -> &'static str {
        "libvpx"
    }
}

pub(crate) struct VpxDecoder {
    codec: VpxCodec,
    decoder: ffi::Decoder,
    pool: BufferPool,
}

impl VpxDecoder {
    pub(crate) fn new(codec: VpxCodec, threads: u32) -> Result<Self, CodecError> {
        Ok(Self { codec, decoder: ffi::Decoder::new(codec, threads.clamp(1, 8))?, pool: BufferPool::default() })
    }
}

impl VideoDecoder for VpxDecoder {
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Buffer>, CodecError> {
        // Before the library allocates what a hostile header asks for.
        let frames = match self.codec {
            VpxCodec::Vp8 => vec![data],
            VpxCodec::Vp9 => header::vp9_frames(data),
        };
        for (width, height) in frames.iter().filter_map(|frame| header::parse(self.codec, frame)?.size) {
            let (width, height) = (u64::from(width), u64::from(height));
            if width * height > MAX_PIXELS {
                return Err(CodecError::PictureSize { width, height });
            }
        }
        self.decoder.decode(data, &self.pool)
    }

    fn name(&self) -> &'static str {
        "libvpx"
    }
}
