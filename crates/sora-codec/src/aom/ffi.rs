//! The libaom calls. Everything `unsafe` about encoding AV1 is in this file.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr;

use libaom_sys as aom;
use sora_rtp::TemporalLayer;

use crate::scalability::bitrate_share;
use crate::{CodecError, I420Buffer, ScalabilityMode, VideoEncoderConfig};

/// libaom counts time in these: the RTP clock.
const TIMEBASE: c_int = 90_000;
const MIN_QUANTIZER: c_uint = 10;
const MAX_QUANTIZER: c_uint = 56;

fn check(operation: &'static str, error: aom::aom_codec_err_t) -> Result<(), CodecError> {
    if error == aom::AOM_CODEC_OK {
        return Ok(());
    }
    // SAFETY: the function returns a static string for every value.
    let reason = unsafe { CStr::from_ptr(aom::aom_codec_err_to_string(error)) };
    Err(CodecError::Library { library: "libaom", operation, reason: reason.to_string_lossy().into_owned() })
}

/// An initialised libaom context, boxed because libaom keeps pointers into it.
struct Context(Box<aom::aom_codec_ctx_t>);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context was initialised by `enc_init` and is destroyed once.
        unsafe { aom::aom_codec_destroy(&raw mut *self.0) };
    }
}

pub(super) struct Encoder {
    context: Context,
    config: aom::aom_codec_enc_cfg_t,
    scalability: ScalabilityMode,
    duration: u64,
    pts: i64,
}

// SAFETY: a libaom context may be used from any thread, one at a time, which `&mut` ensures; the configuration holds
// no pointers that outlive a call.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(super) fn new(wanted: &VideoEncoderConfig, width: u32, height: u32, threads: u32) -> Result<Self, CodecError> {
        // SAFETY: returns a pointer to a static interface table.
        let interface = unsafe { aom::aom_codec_av1_cx() };
        let mut config = MaybeUninit::<aom::aom_codec_enc_cfg_t>::zeroed();
        // SAFETY: the function fills the whole structure on success, which is checked before it is read.
        let mut config = unsafe {
            let usage = aom::AOM_USAGE_REALTIME;
            check("default configuration", aom::aom_codec_enc_config_default(interface, config.as_mut_ptr(), usage))?;
            config.assume_init()
        };
        (config.g_w, config.g_h, config.g_threads) = (width, height, threads);
        (config.g_timebase.num, config.g_timebase.den) = (1, TIMEBASE);
        config.g_pass = aom::AOM_RC_ONE_PASS;
        config.g_lag_in_frames = 0;
        config.g_error_resilient = u32::from(wanted.error_resilient);
        config.rc_end_usage = aom::AOM_CBR;
        config.rc_dropframe_thresh = 0;
        (config.rc_min_quantizer, config.rc_max_quantizer) = (MIN_QUANTIZER, MAX_QUANTIZER);
        (config.rc_undershoot_pct, config.rc_overshoot_pct) = (50, 50);
        (config.rc_buf_initial_sz, config.rc_buf_optimal_sz, config.rc_buf_sz) = (600, 600, 1000);
        config.kf_mode = aom::AOM_KF_DISABLED;
        config.rc_target_bitrate = kilobits(wanted.bitrate_bps);
        // SAFETY: an all-zero context is what init expects; the box keeps it in place for the library.
        let mut context: Box<aom::aom_codec_ctx_t> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
        // SAFETY: context, interface and configuration are valid for the call; the ABI number is the bindings' own.
        let result = unsafe {
            let abi = aom::AOM_ENCODER_ABI_VERSION as c_int;
            aom::aom_codec_enc_init_ver(&raw mut *context, interface, &raw const config, 0, abi)
        };
        check("encoder initialisation", result)?;
        let frame_rate = wanted.frame_rate.clamp(1, 240);
        let mut encoder = Self {
            context: Context(context),
            config,
            scalability: wanted.scalability,
            duration: u64::from(TIMEBASE as u32 / frame_rate),
            pts: 0,
        };
        encoder.tune(wanted, threads)?;
        encoder.set_layers()?;
        Ok(encoder)
    }

    /// Leaves out what costs more time than it saves bits in real time.
    fn tune(&mut self, wanted: &VideoEncoderConfig, threads: u32) -> Result<(), CodecError> {
        let screen = c_int::from(wanted.screen_content);
        let content = if wanted.screen_content { aom::AOM_CONTENT_SCREEN } else { aom::AOM_CONTENT_DEFAULT };
        let controls: [(aom::aome_enc_control_id, c_int); 40] = [
            (aom::AOME_SET_CPUUSED, 10),
            (aom::AOME_SET_MAX_INTRA_BITRATE_PCT, 300),
            (aom::AV1E_SET_TILE_COLUMNS, threads.ilog2() as c_int),
            (aom::AV1E_SET_ROW_MT, c_int::from(threads > 1)),
            (aom::AV1E_SET_TUNE_CONTENT, content as c_int),
            (aom::AV1E_SET_ENABLE_PALETTE, screen),
            (aom::AV1E_SET_AQ_MODE, 3),
            (aom::AV1E_SET_ENABLE_CDEF, 1),
            (aom::AV1E_SET_ENABLE_TPL_MODEL, 0),
            (aom::AV1E_SET_DELTAQ_MODE, 0),
            (aom::AV1E_SET_ENABLE_ORDER_HINT, 0),
            (aom::AV1E_SET_COEFF_COST_UPD_FREQ, 3),
            (aom::AV1E_SET_MODE_COST_UPD_FREQ, 3),
            (aom::AV1E_SET_MV_COST_UPD_FREQ, 3),
            (aom::AV1E_SET_ENABLE_OBMC, 0),
            (aom::AV1E_SET_NOISE_SENSITIVITY, 0),
            (aom::AV1E_SET_ENABLE_WARPED_MOTION, 0),
            (aom::AV1E_SET_ENABLE_GLOBAL_MOTION, 0),
            (aom::AV1E_SET_ENABLE_REF_FRAME_MVS, 0),
            (aom::AV1E_SET_SUPERBLOCK_SIZE, aom::AOM_SUPERBLOCK_SIZE_DYNAMIC as c_int),
            (aom::AV1E_SET_ENABLE_CFL_INTRA, 0),
            (aom::AV1E_SET_ENABLE_SMOOTH_INTRA, 0),
            (aom::AV1E_SET_ENABLE_ANGLE_DELTA, 0),
            (aom::AV1E_SET_ENABLE_FILTER_INTRA, 0),
            (aom::AV1E_SET_INTRA_DEFAULT_TX_ONLY, 1),
            (aom::AV1E_SET_DISABLE_TRELLIS_QUANT, 1),
            (aom::AV1E_SET_ENABLE_DIST_WTD_COMP, 0),
            (aom::AV1E_SET_ENABLE_DIFF_WTD_COMP, 0),
            (aom::AV1E_SET_ENABLE_DUAL_FILTER, 0),
            (aom::AV1E_SET_ENABLE_INTERINTRA_COMP, 0),
            (aom::AV1E_SET_ENABLE_INTERINTRA_WEDGE, 0),
            (aom::AV1E_SET_ENABLE_INTRA_EDGE_FILTER, 0),
            (aom::AV1E_SET_ENABLE_MASKED_COMP, 0),
            (aom::AV1E_SET_ENABLE_PAETH_INTRA, 0),
            (aom::AV1E_SET_ENABLE_QM, 0),
            (aom::AV1E_SET_ENABLE_RECT_PARTITIONS, 0),
            (aom::AV1E_SET_ENABLE_RESTORATION, 0),
            (aom::AV1E_SET_ENABLE_SMOOTH_INTERINTRA, 0),
            (aom::AV1E_SET_ENABLE_TX64, 0),
            (aom::AV1E_SET_MAX_REFERENCE_FRAMES, 3),
        ];
        for (id, value) in controls {
            // SAFETY: every control of the table takes one int.
            check("encoder control", unsafe { aom::aom_codec_control(&raw mut *self.context.0, id as c_int, value) })?;
        }
        Ok(())
    }

    /// Tells how the bit rate is shared by temporal layers; nothing without them.
    fn set_layers(&mut self) -> Result<(), CodecError> {
        let layers = self.scalability.temporal_layers;
        if layers < 2 {
            return Ok(());
        }
        // SAFETY: zero is a valid value of every field.
        let mut parameters: aom::aom_svc_params_t = unsafe { MaybeUninit::zeroed().assume_init() };
        (parameters.number_spatial_layers, parameters.number_temporal_layers) = (1, c_int::from(layers));
        (parameters.scaling_factor_num[0], parameters.scaling_factor_den[0]) = (1, 1);
        for id in 0..layers {
            let index = usize::from(id);
            parameters.max_quantizers[index] = MAX_QUANTIZER as c_int;
            parameters.min_quantizers[index] = MIN_QUANTIZER as c_int;
            parameters.framerate_factor[index] = 1 << (layers - 1 - id);
            let rate = u64::from(self.config.rc_target_bitrate) * bitrate_share(layers, id) / 100;
            parameters.layer_target_bitrate[index] = rate.max(1) as c_int;
        }
        let id = aom::AV1E_SET_SVC_PARAMS as c_int;
        // SAFETY: the control takes a pointer to this structure and reads it during the call.
        check("layers", unsafe { aom::aom_codec_control(&raw mut *self.context.0, id, &raw mut parameters) })
    }

    /// What the next picture may use and what it stands in for: layer 0 in buffer 0, layer 1 of three in buffer 1.
    fn set_references(&mut self, layer: TemporalLayer, second_half: bool) -> Result<(), CodecError> {
        let mut id = aom::aom_svc_layer_id_t { spatial_layer_id: 0, temporal_layer_id: c_int::from(layer.id) };
        // SAFETY: zero is a valid value of every field.
        let mut references: aom::aom_svc_ref_frame_config_t = unsafe { MaybeUninit::zeroed().assume_init() };
        // LAST is buffer 0, GOLDEN (index 3) buffer 1.
        references.ref_idx[3] = 1;
        references.reference[0] = 1;
        match (layer.id, layer.count) {
            (0, _) => references.refresh[0] = 1,
            (1, 3) => references.refresh[1] = 1,
            (2, 3) if second_half => references.reference[3] = 1,
            _ => {}
        }
        let context = &raw mut *self.context.0;
        // SAFETY: the controls take pointers to these structures and read them during the call.
        unsafe {
            check("layer", aom::aom_codec_control(context, aom::AV1E_SET_SVC_LAYER_ID as c_int, &raw mut id))?;
            let control = aom::AV1E_SET_SVC_REF_FRAME_CONFIG as c_int;
            check("references", aom::aom_codec_control(context, control, &raw mut references))
        }
    }

    pub(super) fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError> {
        self.duration = u64::from(TIMEBASE as u32 / frame_rate.max(1));
        let bitrate = kilobits(bitrate_bps);
        if bitrate == self.config.rc_target_bitrate {
            return Ok(());
        }
        self.config.rc_target_bitrate = bitrate;
        // SAFETY: the context is initialised and the configuration is the one it was made from, but for the rate.
        check("rate change", unsafe {
            aom::aom_codec_enc_config_set(&raw mut *self.context.0, &raw const self.config)
        })?;
        self.set_layers()
    }

    /// Encodes one picture of the size the encoder was made for. Returns the bitstream and whether it is a key frame.
    pub(super) fn encode(
        &mut self,
        picture: &I420Buffer,
        key: bool,
        layer: Option<(TemporalLayer, bool)>,
    ) -> Result<Option<(Vec<u8>, bool)>, CodecError> {
        if let Some((layer, second_half)) = layer {
            self.set_references(layer, second_half)?;
        }
        // SAFETY: zero is a valid value for every field; the ones the encoder reads are set below.
        let mut image: aom::aom_image_t = unsafe { MaybeUninit::zeroed().assume_init() };
        image.fmt = aom::AOM_IMG_FMT_I420;
        (image.bit_depth, image.bps) = (8, 12);
        (image.w, image.h) = (picture.width(), picture.height());
        (image.d_w, image.d_h) = (picture.width(), picture.height());
        (image.x_chroma_shift, image.y_chroma_shift) = (1, 1);
        image.range = aom::AOM_CR_STUDIO_RANGE;
        for (slot, plane) in image.planes.iter_mut().zip(picture.planes()) {
            *slot = plane.as_ptr().cast_mut();
        }
        let (luma, chroma) = (picture.luma_stride() as c_int, picture.chroma_stride() as c_int);
        image.stride = [luma, chroma, chroma];
        let flags = if key { aom::AOM_EFLAG_FORCE_KF } else { 0 };
        // SAFETY: the image describes `picture`, which outlives the call and is only read (no denoising is set); its
        // planes hold stride x rows bytes for the size given, which is the size the encoder was made for.
        let result = unsafe {
            let context = &raw mut *self.context.0;
            aom::aom_codec_encode(context, &raw const image, self.pts, self.duration as _, flags.into())
        };
        check("encoding", result)?;
        self.pts += self.duration as i64;
        self.output()
    }

    fn output(&mut self) -> Result<Option<(Vec<u8>, bool)>, CodecError> {
        let mut iterator = ptr::null();
        let mut encoded: Option<(Vec<u8>, bool)> = None;
        loop {
            // SAFETY: the context is initialised; the iterator starts as null and is only passed back.
            let packet = unsafe { aom::aom_codec_get_cx_data(&raw mut *self.context.0, &raw mut iterator) };
            // SAFETY: a non-null packet is valid until the next call into the encoder.
            let Some(packet) = (unsafe { packet.as_ref() }) else { return Ok(encoded) };
            if packet.kind != aom::AOM_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: `kind` says that the union holds a frame, whose buffer has `sz` bytes.
            let (data, flags) = unsafe {
                let frame = &packet.data.frame;
                (std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz), frame.flags)
            };
            let (all, key) = encoded.get_or_insert_with(|| (Vec::with_capacity(data.len()), false));
            all.extend_from_slice(data);
            *key |= flags & aom::AOM_FRAME_IS_KEY != 0;
        }
    }
}

fn kilobits(bitrate_bps: u64) -> u32 {
    u32::try_from(bitrate_bps / 1000).unwrap_or(u32::MAX).clamp(10, 1_000_000)
}
