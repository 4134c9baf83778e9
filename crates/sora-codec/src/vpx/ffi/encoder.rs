use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

use sora_rtp::TemporalLayer;
use vpx_sys as vpx;

use super::layers::Layers;
use super::{Context, check};
use crate::vpx::VpxCodec;
use crate::{CodecError, I420Buffer, VideoEncoderConfig};

/// libvpx counts time in these: the RTP clock.
const TIMEBASE: c_int = 90_000;

pub(in crate::vpx) struct Encoder {
    context: Context,
    config: vpx::vpx_codec_enc_cfg_t,
    codec: VpxCodec,
    layers: Layers,
    duration: u64,
    pts: i64,
    /// Planes of 16 bit words for VP9 profile 2.
    words: Vec<u16>,
}

/// What [`Encoder::encode`] puts out.
pub(in crate::vpx) struct Encoded {
    pub(in crate::vpx) data: Vec<u8>,
    pub(in crate::vpx) key_frame: bool,
    pub(in crate::vpx) temporal: Option<TemporalLayer>,
}

// SAFETY: the configuration holds no pointers of its own that outlive a call.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(in crate::vpx) fn new(
        codec: VpxCodec,
        wanted: &VideoEncoderConfig,
        width: u32,
        height: u32,
        threads: u32,
    ) -> Result<Self, CodecError> {
        // SAFETY: these return pointers to static interface tables.
        let interface = unsafe {
            match codec {
                VpxCodec::Vp8 => vpx::vpx_codec_vp8_cx(),
                VpxCodec::Vp9 => vpx::vpx_codec_vp9_cx(),
            }
        };
        let mut config = MaybeUninit::<vpx::vpx_codec_enc_cfg_t>::zeroed();
        // SAFETY: the function fills the whole structure on success, which is checked before it is read.
        let mut config = unsafe {
            check("default configuration", vpx::vpx_codec_enc_config_default(interface, config.as_mut_ptr(), 0))?;
            config.assume_init()
        };
        config.g_w = width;
        config.g_h = height;
        config.g_threads = threads;
        config.g_timebase.num = 1;
        config.g_timebase.den = TIMEBASE;
        config.g_pass = vpx::vpx_enc_pass::VPX_RC_ONE_PASS;
        config.g_lag_in_frames = 0;
        config.g_error_resilient = u32::from(wanted.error_resilient);
        config.rc_end_usage = vpx::vpx_rc_mode::VPX_CBR;
        config.rc_dropframe_thresh = 0;
        config.rc_resize_allowed = 0;
        config.rc_min_quantizer = if wanted.screen_content { 8 } else { 2 };
        config.rc_max_quantizer = if codec == VpxCodec::Vp8 { 56 } else { 52 };
        config.rc_undershoot_pct = if codec == VpxCodec::Vp8 { 100 } else { 50 };
        config.rc_overshoot_pct = if codec == VpxCodec::Vp8 { 15 } else { 50 };
        config.rc_buf_initial_sz = 500;
        config.rc_buf_optimal_sz = 600;
        config.rc_buf_sz = 1000;
        config.kf_mode = vpx::vpx_kf_mode::VPX_KF_DISABLED;
        config.rc_target_bitrate = kilobits(wanted.bitrate_bps);
        let layers = Layers::new(codec, wanted.scalability, width, height);
        layers.configure(&mut config);
        let high = codec == VpxCodec::Vp9 && wanted.high_bit_depth;
        if high {
            (config.g_profile, config.g_bit_depth, config.g_input_bit_depth) = (2, vpx::vpx_bit_depth::VPX_BITS_10, 10);
        }
        // SAFETY: an all-zero context is what init expects; the box keeps it in place for the library.
        let mut context: Box<vpx::vpx_codec_ctx_t> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
        // SAFETY: context, interface and configuration are valid for the call; the ABI number is the bindings' own.
        let result = unsafe {
            vpx::vpx_codec_enc_init_ver(
                &raw mut *context,
                interface,
                &raw const config,
                if high { vpx::VPX_CODEC_USE_HIGHBITDEPTH as _ } else { 0 },
                vpx::VPX_ENCODER_ABI_VERSION as c_int,
            )
        };
        check("encoder initialisation", result)?;
        let frame_rate = wanted.frame_rate.clamp(1, 240);
        let mut encoder = Self {
            context: Context(context),
            config,
            codec,
            layers,
            duration: u64::from(TIMEBASE as u32 / frame_rate),
            pts: 0,
            words: Vec::new(),
        };
        encoder.tune(wanted, threads, frame_rate)?;
        encoder.layers.start(&mut encoder.context, &encoder.config)?;
        Ok(encoder)
    }

    fn tune(&mut self, wanted: &VideoEncoderConfig, threads: u32, frame_rate: u32) -> Result<(), CodecError> {
        use vpx::vp8e_enc_control_id as id;
        let screen = c_int::from(wanted.screen_content);
        // A key frame may take half of the optimal buffer, spread over the frames of a second.
        let intra = (self.config.rc_buf_optimal_sz * frame_rate / 20).max(300) as c_int;
        self.control(id::VP8E_SET_MAX_INTRA_BITRATE_PCT, intra)?;
        self.control(id::VP8E_SET_STATIC_THRESHOLD, if wanted.screen_content { 100 } else { 1 })?;
        match self.codec {
            VpxCodec::Vp8 => {
                self.control(id::VP8E_SET_CPUUSED, -6)?;
                self.control(id::VP8E_SET_NOISE_SENSITIVITY, 0)?;
                self.control(id::VP8E_SET_TOKEN_PARTITIONS, 0)?;
                self.control(id::VP8E_SET_SCREEN_CONTENT_MODE, screen)
            }
            VpxCodec::Vp9 => {
                self.control(id::VP8E_SET_CPUUSED, 7)?;
                self.control(id::VP9E_SET_AQ_MODE, 3)?;
                self.control(id::VP9E_SET_FRAME_PARALLEL_DECODING, 0)?;
                self.control(id::VP9E_SET_TILE_COLUMNS, threads.ilog2() as c_int)?;
                self.control(id::VP9E_SET_ROW_MT, c_int::from(threads > 1))?;
                self.control(id::VP9E_SET_TUNE_CONTENT, screen)
            }
        }
    }

    fn control(&mut self, id: vpx::vp8e_enc_control_id, value: c_int) -> Result<(), CodecError> {
        // SAFETY: every control used in this file takes one int.
        check("encoder control", unsafe { vpx::vpx_codec_control_(&raw mut *self.context.0, id as c_int, value) })
    }

    pub(in crate::vpx) fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError> {
        self.duration = u64::from(TIMEBASE as u32 / frame_rate.max(1));
        let bitrate = kilobits(bitrate_bps);
        if bitrate == self.config.rc_target_bitrate {
            return Ok(());
        }
        self.config.rc_target_bitrate = bitrate;
        self.layers.configure(&mut self.config);
        // SAFETY: the context is initialised and the configuration is the one it was made from, but for the rate.
        check("rate change", unsafe { vpx::vpx_codec_enc_config_set(&raw mut *self.context.0, &raw const self.config) })
    }

    /// Encodes one picture of the size the encoder was made for. Spatial layers come out as a superframe.
    pub(in crate::vpx) fn encode(&mut self, picture: &I420Buffer, key: bool) -> Result<Option<Encoded>, CodecError> {
        let image = self.image(picture);
        let layer_flags = self.layers.before_picture(&mut self.context, key)?;
        let flags = layer_flags | if key { vpx::VPX_EFLAG_FORCE_KF } else { 0 };
        // SAFETY: the image describes `picture`, which outlives the call and is only read, or `self.words`; its planes
        // hold stride x rows bytes for the size given, which is the size the encoder was made for.
        let result = unsafe {
            vpx::vpx_codec_encode(
                &raw mut *self.context.0,
                &raw const image,
                self.pts,
                self.duration as _,
                flags as _,
                vpx::VPX_DL_REALTIME as _,
            )
        };
        check("encoding", result)?;
        self.pts += self.duration as i64;
        self.output()
    }

    fn output(&mut self) -> Result<Option<Encoded>, CodecError> {
        let mut iterator = ptr::null();
        let mut encoded: Option<Encoded> = None;
        loop {
            // SAFETY: the context is initialised; the iterator starts as null and is only passed back.
            let packet = unsafe { vpx::vpx_codec_get_cx_data(&raw mut *self.context.0, &raw mut iterator) };
            // SAFETY: a non-null packet is valid until the next call into the encoder.
            let Some(packet) = (unsafe { packet.as_ref() }) else { break };
            if packet.kind != vpx::vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: `kind` says that the union holds a frame, whose buffer has `sz` bytes.
            let (data, flags) = unsafe {
                let frame = &packet.data.frame;
                (std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize), frame.flags)
            };
            let key_frame = flags & vpx::VPX_FRAME_IS_KEY != 0;
            encoded = Some(Encoded { data: data.to_vec(), key_frame, temporal: None });
        }
        if let Some(encoded) = &mut encoded {
            encoded.temporal = self.layers.after_picture(&mut self.context, encoded.key_frame)?;
        }
        Ok(encoded)
    }

    /// The picture as libvpx takes it. Its pointers are valid as long as the picture, and until the next call.
    fn image(&mut self, picture: &I420Buffer) -> vpx::vpx_image_t {
        // SAFETY: zero is a valid value for every field; the ones the encoder reads are set below.
        let mut image: vpx::vpx_image_t = unsafe { MaybeUninit::zeroed().assume_init() };
        image.fmt = vpx::vpx_img_fmt::VPX_IMG_FMT_I420;
        image.cs = vpx::vpx_color_space::VPX_CS_BT_601;
        (image.bit_depth, image.bps) = (8, 12);
        (image.w, image.h) = (picture.width(), picture.height());
        (image.d_w, image.d_h) = (picture.width(), picture.height());
        (image.x_chroma_shift, image.y_chroma_shift) = (1, 1);
        let (luma, chroma) = (picture.luma_stride() as c_int, picture.chroma_stride() as c_int);
        image.stride = [luma, chroma, chroma, 0];
        for (slot, plane) in image.planes.iter_mut().zip(picture.planes()) {
            *slot = plane.as_ptr().cast_mut();
        }
        if self.config.g_profile == 2 {
            image.fmt = vpx::vpx_img_fmt::VPX_IMG_FMT_I42016;
            (image.bit_depth, image.bps) = (10, 24);
            image.stride = image.stride.map(|stride| stride * 2);
            self.words.clear();
            for plane in picture.planes() {
                self.words.extend(plane.iter().map(|sample| u16::from(*sample) << 2));
            }
            let mut rest = self.words.as_mut_slice();
            for (slot, plane) in image.planes.iter_mut().zip(picture.planes()) {
                let (own, after) = rest.split_at_mut(plane.len());
                *slot = own.as_mut_ptr().cast();
                rest = after;
            }
        }
        image
    }
}

fn kilobits(bitrate_bps: u64) -> u32 {
    u32::try_from(bitrate_bps / 1000).unwrap_or(u32::MAX).clamp(10, 1_000_000)
}
