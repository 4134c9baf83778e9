//! VP8 and VP9 by libvpx, set up for real time: constant bit rate, no look-ahead, key frames only on request.

mod ffi;
mod header;

use bytes::Bytes;
use sora_rtp::SpatialLayer;

use crate::video::EncodedPicture;
use crate::{
    BufferPool, CodecError, I420Buffer, MAX_PIXELS, ScalabilityMode, VideoDecoder, VideoEncoder, VideoEncoderConfig,
};

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
    /// Sizes of the spatial layers since the last key frame.
    layer_sizes: Vec<(u32, u32)>,
}

impl VpxEncoder {
    pub(crate) fn new(codec: VpxCodec, config: VideoEncoderConfig) -> Self {
        Self { codec, config, encoder: None, size: (0, 0), layer_sizes: Vec::new() }
    }

    /// Threads pay off for large VP9 pictures only; VP8's threads spin and cost more than they bring.
    fn threads(&self, width: u32, height: u32) -> u32 {
        match self.codec {
            VpxCodec::Vp8 => 1,
            VpxCodec::Vp9 if width * height < 960 * 540 => 1,
            VpxCodec::Vp9 => self.config.threads.clamp(1, 4),
        }
    }

    /// The layer frames of a superframe one after another, without its index; nothing to do for a single layer.
    fn split_layers(&mut self, data: Vec<u8>, key_frame: bool) -> (Vec<u8>, Vec<SpatialLayer>) {
        if self.codec == VpxCodec::Vp8 || self.config.scalability.spatial_layers < 2 {
            return (data, Vec::new());
        }
        let frames = header::vp9_frames(&data);
        if key_frame {
            let size = |frame: &&[u8]| header::parse(self.codec, frame).and_then(|header| header.size);
            let own = self.size;
            // Layers above the first refer to it and may not write their size again.
            let count = frames.len();
            let halved =
                |index: usize| (own.0.div_ceil(1 << (count - 1 - index)), own.1.div_ceil(1 << (count - 1 - index)));
            self.layer_sizes =
                frames.iter().enumerate().map(|(index, frame)| size(frame).unwrap_or_else(|| halved(index))).collect();
        }
        if frames.len() < 2 {
            return (data, Vec::new());
        }
        let depends = key_frame || !self.config.scalability.key_frames_only;
        let layers = frames.iter().enumerate().map(|(index, frame)| {
            let (width, height) = self.layer_sizes.get(index).copied().unwrap_or(self.size);
            let (width, height) = (width as u16, height as u16);
            SpatialLayer { len: frame.len(), width, height, inter_layer: index > 0 && depends }
        });
        (frames.concat(), layers.collect())
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
        let Some(encoded) = encoder.encode(picture, key_frame)? else { return Ok(None) };
        let (data, spatial) = self.split_layers(encoded.data, encoded.key_frame);
        let (key_frame, temporal) = (encoded.key_frame, encoded.temporal);
        Ok(Some(EncodedPicture { data: Bytes::from(data), key_frame, width, height, temporal, spatial }))
    }

    fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError> {
        self.config.bitrate_bps = bitrate_bps;
        self.config.frame_rate = frame_rate.clamp(1, 240);
        match &mut self.encoder {
            Some(encoder) => encoder.set_rates(bitrate_bps, self.config.frame_rate),
            None => Ok(()),
        }
    }

    fn set_scalability(&mut self, scalability: ScalabilityMode) {
        if self.config.scalability != scalability {
            self.config.scalability = scalability;
            self.encoder = None;
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
    /// A VP9 picture as the library gets it.
    superframe: Vec<u8>,
}

impl VpxDecoder {
    pub(crate) fn new(codec: VpxCodec, threads: u32) -> Result<Self, CodecError> {
        let decoder = ffi::Decoder::new(codec, threads.clamp(1, 8))?;
        Ok(Self { codec, decoder, pool: BufferPool::default(), superframe: Vec::new() })
    }

    /// Refuses a frame before the library allocates what its header asks for.
    fn check(&self, frame: &[u8]) -> Result<(), CodecError> {
        let header = header::parse(self.codec, frame).ok_or_else(|| self.broken("the frame header cannot be read"))?;
        match header.size.map(|(width, height)| (u64::from(width), u64::from(height))) {
            Some((width, height)) if width * height > MAX_PIXELS => Err(CodecError::PictureSize { width, height }),
            _ => Ok(()),
        }
    }

    fn broken(&self, reason: &str) -> CodecError {
        CodecError::Library { library: "libvpx", operation: "decoding", reason: reason.to_owned() }
    }
}

impl VideoDecoder for VpxDecoder {
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Buffer>, CodecError> {
        if self.codec == VpxCodec::Vp8 {
            self.check(data)?;
            return self.decoder.decode(data, &self.pool);
        }
        let frames = header::vp9_frames(data);
        frames.iter().try_for_each(|frame| self.check(frame))?;
        if !header::write_superframe(&frames, &mut self.superframe) {
            return Err(self.broken("there is no frame in it"));
        }
        self.decoder.decode(&self.superframe, &self.pool)
    }

    fn name(&self) -> &'static str {
        "libvpx"
    }
}
