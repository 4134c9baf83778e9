//! The libvpx calls. Everything `unsafe` about VP8 and VP9 is in this file.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::ptr;

use vpx_sys as vpx;

use super::VpxCodec;
use crate::{BufferPool, CodecError, I420Buffer, VideoEncoderConfig};

/// libvpx counts time in these: the RTP clock.
const TIMEBASE: c_int = 90_000;

fn failed(operation: &'static str, error: vpx::vpx_codec_err_t) -> CodecError {
    // SAFETY: the function returns a static string for every value of the enum.
    let reason = unsafe { CStr::from_ptr(vpx::vpx_codec_err_to_string(error)) };
    CodecError::Library { library: "libvpx", operation, reason: reason.to_string_lossy().into_owned() }
}

fn check(operation: &'static str, error: vpx::vpx_codec_err_t) -> Result<(), CodecError> {
    if error == vpx::vpx_codec_err_t::VPX_CODEC_OK { Ok(()) } else { Err(failed(operation, error)) }
}

/// An initialised libvpx context, boxed because libvpx keeps pointers into it.
struct Context(Box<vpx::vpx_codec_ctx_t>);

// SAFETY: a libvpx context may be used from any thread, one at a time, which `&mut` ensures.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context was initialised by `enc_init` or `dec_init` and is destroyed once.
        unsafe { vpx::vpx_codec_destroy(&raw mut *self.0) };
    }
}

pub(super) struct Encoder {
    context: Context,
    config: vpx::vpx_codec_enc_cfg_t,
    codec: VpxCodec,
    duration: u64,
    pts: i64,
}

// SAFETY: the configuration holds no pointers of its own that outlive a call.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(super) fn new(
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
        // SAFETY: an all-zero context is what init expects; the box keeps it in place for the library.
        let mut context: Box<vpx::vpx_codec_ctx_t> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
        // SAFETY: context, interface and configuration are valid for the call; the ABI number is the bindings' own.
        let result = unsafe {
            vpx::vpx_codec_enc_init_ver(
                &raw mut *context,
                interface,
                &raw const config,
                0,
                vpx::VPX_ENCODER_ABI_VERSION as c_int,
            )
        };
        check("encoder initialisation", result)?;
        let frame_rate = wanted.frame_rate.clamp(1, 240);
        let mut encoder = Self {
            context: Context(context),
            config,
            codec,
            duration: u64::from(TIMEBASE as u32 / frame_rate),
            pts: 0,
        };
        encoder.tune(wanted, threads, frame_rate)?;
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

    pub(super) fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError> {
        self.duration = u64::from(TIMEBASE as u32 / frame_rate.max(1));
        let bitrate = kilobits(bitrate_bps);
        if bitrate == self.config.rc_target_bitrate {
            return Ok(());
        }
        self.config.rc_target_bitrate = bitrate;
        // SAFETY: the context is initialised and the configuration is the one it was made from, but for the rate.
        check("rate change", unsafe { vpx::vpx_codec_enc_config_set(&raw mut *self.context.0, &raw const self.config) })
    }

    /// Encodes one picture of the size the encoder was made for. Returns the bitstream and whether it is a key frame.
    pub(super) fn encode(&mut self, picture: &I420Buffer, key: bool) -> Result<Option<(Vec<u8>, bool)>, CodecError> {
        // SAFETY: zero is a valid value for every field; the ones the encoder reads are set below.
        let mut image: vpx::vpx_image_t = unsafe { MaybeUninit::zeroed().assume_init() };
        image.fmt = vpx::vpx_img_fmt::VPX_IMG_FMT_I420;
        image.cs = vpx::vpx_color_space::VPX_CS_BT_601;
        image.bit_depth = 8;
        image.bps = 12;
        (image.w, image.h) = (picture.width(), picture.height());
        (image.d_w, image.d_h) = (picture.width(), picture.height());
        (image.x_chroma_shift, image.y_chroma_shift) = (1, 1);
        let [y, u, v] = picture.planes();
        for (slot, plane) in image.planes.iter_mut().zip([y, u, v]) {
            *slot = plane.as_ptr().cast_mut();
        }
        let (luma, chroma) = (picture.luma_stride() as c_int, picture.chroma_stride() as c_int);
        image.stride = [luma, chroma, chroma, 0];
        let flags = if key { vpx::VPX_EFLAG_FORCE_KF as _ } else { 0 };
        // SAFETY: the image describes `picture`, which outlives the call and is only read; its planes hold
        // stride x rows bytes for the size given, which is the size the encoder was made for.
        let result = unsafe {
            vpx::vpx_codec_encode(
                &raw mut *self.context.0,
                &raw const image,
                self.pts,
                self.duration as _,
                flags,
                vpx::VPX_DL_REALTIME as _,
            )
        };
        check("encoding", result)?;
        self.pts += self.duration as i64;
        let mut iterator = ptr::null();
        let mut encoded = None;
        loop {
            // SAFETY: the context is initialised; the iterator starts as null and is only passed back.
            let packet = unsafe { vpx::vpx_codec_get_cx_data(&raw mut *self.context.0, &raw mut iterator) };
            // SAFETY: a non-null packet is valid until the next call into the encoder.
            let Some(packet) = (unsafe { packet.as_ref() }) else { return Ok(encoded) };
            if packet.kind != vpx::vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: `kind` says that the union holds a frame, whose buffer has `sz` bytes.
            let (data, flags) = unsafe {
                let frame = &packet.data.frame;
                (std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize), frame.flags)
            };
            encoded = Some((data.to_vec(), flags & vpx::VPX_FRAME_IS_KEY != 0));
        }
    }
}

fn kilobits(bitrate_bps: u64) -> u32 {
    u32::try_from(bitrate_bps / 1000).unwrap_or(u32::MAX).clamp(10, 1_000_000)
}

pub(super) struct Decoder(Context);

fn decoder_interface(codec: VpxCodec) -> *mut vpx::vpx_codec_iface_t {
    // SAFETY: these return pointers to static interface tables.
    unsafe {
        match codec {
            VpxCodec::Vp8 => vpx::vpx_codec_vp8_dx(),
            VpxCodec::Vp9 => vpx::vpx_codec_vp9_dx(),
        }
    }
}

impl Decoder {
    pub(super) fn new(codec: VpxCodec, threads: u32) -> Result<Self, CodecError> {
        let config = vpx::vpx_codec_dec_cfg_t { threads, w: 0, h: 0 };
        // SAFETY: an all-zero context is what init expects; the box keeps it in place for the library.
        let mut context: Box<vpx::vpx_codec_ctx_t> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
        // SAFETY: context, interface and configuration are valid for the call; the ABI number is the bindings' own.
        let result = unsafe {
            vpx::vpx_codec_dec_init_ver(
                &raw mut *context,
                decoder_interface(codec),
                &raw const config,
                0,
                vpx::VPX_DECODER_ABI_VERSION as c_int,
            )
        };
        check("decoder initialisation", result)?;
        Ok(Self(Context(context)))
    }

    pub(super) fn decode(&mut self, data: &[u8], pool: &BufferPool) -> Result<Option<I420Buffer>, CodecError> {
        let length =
            u32::try_from(data.len()).map_err(|_| CodecError::Argument("the frame is too large".to_owned()))?;
        // An empty buffer means "flush" to the library.
        if length == 0 {
            return Err(CodecError::Argument("the frame is empty".to_owned()));
        }
        // SAFETY: the data is valid for `length` bytes and only read during the call.
        let result = unsafe { vpx::vpx_codec_decode(&raw mut *self.0.0, data.as_ptr(), length, ptr::null_mut(), 0) };
        check("decoding", result)?;
        let mut iterator = ptr::null();
        let mut shown = None;
        loop {
            // SAFETY: the context is initialised; the iterator starts as null and is only passed back.
            let image = unsafe { vpx::vpx_codec_get_frame(&raw mut *self.0.0, &raw mut iterator) };
            // SAFETY: a non-null image is valid until the next decode call.
            let Some(image) = (unsafe { image.as_ref() }) else { return Ok(shown) };
            if image.fmt != vpx::vpx_img_fmt::VPX_IMG_FMT_I420 || image.bit_depth > 8 {
                return Err(CodecError::PixelFormat);
            }
            shown = Some(copy(image, pool)?);
        }
    }
}

fn copy(image: &vpx::vpx_image_t, pool: &BufferPool) -> Result<I420Buffer, CodecError> {
    let mut picture = pool.take(image.d_w, image.d_h)?;
    let (width, height) = (image.d_w as usize, image.d_h as usize);
    let strides = [picture.luma_stride(), picture.chroma_stride(), picture.chroma_stride()];
    let sizes = [(width, height), (width.div_ceil(2), height.div_ceil(2)), (width.div_ceil(2), height.div_ceil(2))];
    for (index, plane) in picture.planes_mut().into_iter().enumerate() {
        let (row_len, rows) = sizes[index];
        let source = image.planes[index];
        let source_stride = image.stride[index] as isize;
        for (row, target) in plane.chunks_exact_mut(strides[index]).take(rows).enumerate() {
            // SAFETY: an I420 image has `rows` rows of at least `row_len` bytes, `source_stride` apart, in each plane.
            let from = unsafe { std::slice::from_raw_parts(source.offset(row as isize * source_stride), row_len) };
            target[..row_len].copy_from_slice(from);
        }
    }
    Ok(picture)
}
