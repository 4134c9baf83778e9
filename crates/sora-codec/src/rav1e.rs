//! AV1 encoding by rav1e, for builds without a C compiler. It is several times slower than libaom, holds a few pictures
//! back, and starts anew (with a key frame) to change its bit rate by much.

use bytes::Bytes;
use rav1e::prelude::{
    ChromaSampling, Config, Context, EncoderConfig, EncoderStatus, FrameParameters, FrameType, FrameTypeOverride,
    Rational,
};

use crate::{CodecError, EncodedPicture, I420Buffer, ScalabilityMode, VideoEncoder, VideoEncoderConfig};

const SPEED: u8 = 10;
/// Changes of the bit rate by less than a quarter are not worth a key frame.
const WORTH_A_KEY_FRAME: u64 = 4;
/// Pictures between two key frames that nobody asked for; the library takes no more.
const LONGEST_INTERVAL: u64 = 715_827_882;
/// The library encodes nothing smaller.
const SMALLEST_SIDE: u32 = 16;

pub(crate) struct Rav1eEncoder {
    config: VideoEncoderConfig,
    context: Option<Context<u8>>,
    size: (u32, u32),
    /// What the context was made for.
    bitrate_bps: u64,
    /// A key frame was asked for and has not come out yet.
    key_frame_pending: bool,
}

fn failed(operation: &'static str, error: &dyn std::fmt::Display) -> CodecError {
    CodecError::Library { library: "rav1e", operation, reason: error.to_string() }
}

impl Rav1eEncoder {
    pub(crate) fn new(config: VideoEncoderConfig) -> Self {
        Self { config, context: None, size: (0, 0), bitrate_bps: 0, key_frame_pending: false }
    }

    fn context(&self, width: u32, height: u32) -> Result<Context<u8>, CodecError> {
        let mut encoder = EncoderConfig::with_speed_preset(SPEED);
        (encoder.width, encoder.height) = (width as usize, height as usize);
        encoder.chroma_sampling = ChromaSampling::Cs420;
        encoder.time_base = Rational::new(1, u64::from(self.config.frame_rate.clamp(1, 240)));
        encoder.bitrate = i32::try_from(self.config.bitrate_bps.max(10_000)).unwrap_or(i32::MAX);
        encoder.low_latency = true;
        encoder.error_resilient = self.config.error_resilient;
        (encoder.min_key_frame_interval, encoder.max_key_frame_interval) = (0, LONGEST_INTERVAL);
        encoder.speed_settings.rdo_lookahead_frames = 1;
        let threads = self.config.threads.clamp(1, 4) as usize;
        encoder.tiles = threads;
        let config = Config::new().with_encoder_config(encoder).with_threads(threads);
        config.new_context().map_err(|error| failed("encoder initialisation", &error))
    }

    fn renewed(&mut self, width: u32, height: u32) -> Result<&mut Context<u8>, CodecError> {
        let (wanted, made_for) = (self.config.bitrate_bps, self.bitrate_bps);
        let far_off = wanted.abs_diff(made_for) > made_for / WORTH_A_KEY_FRAME;
        if self.context.is_none() || self.size != (width, height) || far_off {
            self.context = Some(self.context(width, height)?);
            (self.size, self.bitrate_bps, self.key_frame_pending) = ((width, height), wanted, true);
        }
        self.context.as_mut().ok_or_else(|| failed("encoding", &"no encoder"))
    }
}

impl VideoEncoder for Rav1eEncoder {
    /// What comes out is an earlier picture, a few after it went in.
    fn encode(&mut self, picture: &I420Buffer, key_frame: bool) -> Result<Option<EncodedPicture>, CodecError> {
        let (width, height) = (picture.width(), picture.height());
        if width < SMALLEST_SIDE || height < SMALLEST_SIDE {
            let text = format!("rav1e encodes pictures of at least 16x16 pixels, got {width}x{height}");
            return Err(CodecError::Argument(text));
        }
        let forced = key_frame && !self.key_frame_pending;
        self.key_frame_pending |= key_frame;
        let context = self.renewed(width, height)?;
        let mut frame = context.new_frame();
        let strides = [picture.luma_stride(), picture.chroma_stride(), picture.chroma_stride()];
        for ((plane, source), stride) in frame.planes.iter_mut().zip(picture.planes()).zip(strides) {
            plane.copy_from_raw_u8(source, stride, 1);
        }
        let frame_type_override = if forced { FrameTypeOverride::Key } else { FrameTypeOverride::No };
        let parameters = FrameParameters { frame_type_override, ..FrameParameters::default() };
        context.send_frame((frame, parameters)).map_err(|error| failed("encoding", &error))?;
        loop {
            match context.receive_packet() {
                Ok(packet) => {
                    let key_frame = packet.frame_type == FrameType::KEY;
                    self.key_frame_pending &= !key_frame;
                    let data = Bytes::from(packet.data);
                    return Ok(Some(EncodedPicture {
                        data,
                        key_frame,
                        width,
                        height,
                        temporal: None,
                        spatial: Vec::new(),
                    }));
                }
                // A picture was encoded that is not shown.
                Err(EncoderStatus::Encoded) => {}
                Err(EncoderStatus::NeedMoreData) => return Ok(None),
                Err(error) => return Err(failed("encoding", &error)),
            }
        }
    }

    fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError> {
        self.config.bitrate_bps = bitrate_bps;
        self.config.frame_rate = frame_rate.clamp(1, 240);
        Ok(())
    }

    /// There are no layers: the stream has one.
    fn set_scalability(&mut self, scalability: ScalabilityMode) {
        self.config.scalability = scalability;
    }

    fn name(&self) -> &'static str {
        "rav1e"
    }
}
