//! AV1 encoding by libaom, set up for real time: constant bit rate, no look-ahead, key frames only on request.

mod ffi;

use bytes::Bytes;

use crate::{CodecError, EncodedPicture, I420Buffer, ScalabilityMode, VideoEncoder, VideoEncoderConfig};

pub(crate) struct AomEncoder {
    config: VideoEncoderConfig,
    /// Made at the first picture, whose size it needs.
    encoder: Option<ffi::Encoder>,
    size: (u32, u32),
    /// Pictures since the last key frame.
    picture: u64,
}

impl AomEncoder {
    pub(crate) fn new(config: VideoEncoderConfig) -> Self {
        Self { config, encoder: None, size: (0, 0), picture: 0 }
    }

    fn threads(&self, width: u32, height: u32) -> u32 {
        if width * height < 960 * 540 { 1 } else { self.config.threads.clamp(1, 4) }
    }
}

impl VideoEncoder for AomEncoder {
    fn encode(&mut self, picture: &I420Buffer, key_frame: bool) -> Result<Option<EncodedPicture>, CodecError> {
        let (width, height) = (picture.width(), picture.height());
        let renewed = self.size != (width, height) || self.encoder.is_none();
        if renewed {
            self.encoder = None;
            self.encoder = Some(ffi::Encoder::new(&self.config, width, height, self.threads(width, height))?);
            self.size = (width, height);
        }
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        if renewed || key_frame {
            self.picture = 0;
        }
        let temporal = self.config.scalability.pattern(self.picture);
        let second_half = self.picture % 4 == 3;
        let encoded = encoder.encode(picture, key_frame, temporal.map(|layer| (layer, second_half)))?;
        self.picture += 1;
        Ok(encoded.map(|(data, key_frame)| EncodedPicture {
            data: Bytes::from(data),
            key_frame,
            width,
            height,
            temporal,
            spatial: Vec::new(),
        }))
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
        "libaom"
    }
}
