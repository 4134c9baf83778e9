//! What our encoders cost beside their libraries called without anything around them: CPU time per picture of the same
//! pictures with the same settings, taken in turns. `cargo bench -p sora-benches --bench bare`.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use cpu_time::ThreadTime;
use libaom_sys as aom;
use openh264_sys2 as openh264;
use openh264_sys2::API as _;
use sora_benches::{picture, registry};
use sora_codec::{BufferPool, I420Buffer, VideoCodecType, VideoEncoder, VideoEncoderConfig};
use vpx_sys as vpx;

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const KILOBITS: u32 = 1500;
const PICTURES: usize = 60;
const ROUNDS: usize = 6;

/// A library's encoder; returns the bytes of a picture.
type Bare = Box<dyn FnMut(&I420Buffer) -> usize>;

fn strides(picture: &I420Buffer) -> [c_int; 3] {
    let chroma = picture.chroma_stride() as c_int;
    [picture.luma_stride() as c_int, chroma, chroma]
}

fn bare_vpx(vp9: bool) -> Bare {
    // SAFETY: the calls are those of libvpx's own example, with structures that live as long as the encoder.
    unsafe {
        let interface = if vp9 { vpx::vpx_codec_vp9_cx() } else { vpx::vpx_codec_vp8_cx() };
        let mut config: vpx::vpx_codec_enc_cfg_t = MaybeUninit::zeroed().assume_init();
        vpx::vpx_codec_enc_config_default(interface, &raw mut config, 0);
        (config.g_w, config.g_h, config.g_threads, config.g_lag_in_frames) = (WIDTH, HEIGHT, 1, 0);
        (config.g_timebase.num, config.g_timebase.den) = (1, 90_000);
        config.g_error_resilient = 0;
        config.rc_end_usage = vpx::vpx_rc_mode::VPX_CBR;
        config.rc_target_bitrate = KILOBITS;
        (config.rc_min_quantizer, config.rc_max_quantizer) = (2, if vp9 { 52 } else { 56 });
        (config.rc_undershoot_pct, config.rc_overshoot_pct) = if vp9 { (50, 50) } else { (100, 15) };
        (config.rc_buf_initial_sz, config.rc_buf_optimal_sz, config.rc_buf_sz) = (500, 600, 1000);
        config.kf_mode = vpx::vpx_kf_mode::VPX_KF_DISABLED;
        let context: &mut vpx::vpx_codec_ctx_t = Box::leak(Box::new(MaybeUninit::zeroed().assume_init()));
        let version = vpx::VPX_ENCODER_ABI_VERSION as c_int;
        vpx::vpx_codec_enc_init_ver(context, interface, &raw const config, 0, version);
        use vpx::vp8e_enc_control_id as id;
        let common = [(id::VP8E_SET_MAX_INTRA_BITRATE_PCT, 900), (id::VP8E_SET_STATIC_THRESHOLD, 1)];
        let of_vp8 =
            [(id::VP8E_SET_CPUUSED, -6), (id::VP8E_SET_NOISE_SENSITIVITY, 0), (id::VP8E_SET_TOKEN_PARTITIONS, 0)];
        let of_vp9 = [(id::VP8E_SET_CPUUSED, 7), (id::VP9E_SET_AQ_MODE, 3), (id::VP9E_SET_FRAME_PARALLEL_DECODING, 0)];
        for (control, value) in common.into_iter().chain(if vp9 { of_vp9 } else { of_vp8 }) {
            vpx::vpx_codec_control_(context, control as c_int, value as c_int);
        }
        let mut time = 0;
        Box::new(move |picture| {
            let mut image: vpx::vpx_image_t = MaybeUninit::zeroed().assume_init();
            image.fmt = vpx::vpx_img_fmt::VPX_IMG_FMT_I420;
            (image.w, image.h, image.d_w, image.d_h) = (WIDTH, HEIGHT, WIDTH, HEIGHT);
            (image.bit_depth, image.bps, image.x_chroma_shift, image.y_chroma_shift) = (8, 12, 1, 1);
            let [y, u, v] = strides(picture);
            image.stride = [y, u, v, 0];
            image.planes.iter_mut().zip(picture.planes()).for_each(|(to, plane)| *to = plane.as_ptr().cast_mut());
            vpx::vpx_codec_encode(context, &raw const image, time, 3000, 0, vpx::VPX_DL_REALTIME as _);
            time += 3000;
            let (mut iterator, mut bytes) = (ptr::null(), 0);
            while let Some(packet) = vpx::vpx_codec_get_cx_data(context, &raw mut iterator).as_ref() {
                bytes += packet.data.frame.sz as usize;
            }
            bytes
        })
    }
}

fn bare_aom() -> Bare {
    // SAFETY: the calls are those of libaom's own example, with structures that live as long as the encoder.
    unsafe {
        let interface = aom::aom_codec_av1_cx();
        let mut config: aom::aom_codec_enc_cfg_t = MaybeUninit::zeroed().assume_init();
        aom::aom_codec_enc_config_default(interface, &raw mut config, aom::AOM_USAGE_REALTIME);
        (config.g_w, config.g_h, config.g_threads, config.g_lag_in_frames) = (WIDTH, HEIGHT, 1, 0);
        (config.g_timebase.num, config.g_timebase.den) = (1, 90_000);
        (config.rc_end_usage, config.rc_target_bitrate) = (aom::AOM_CBR, KILOBITS);
        (config.rc_min_quantizer, config.rc_max_quantizer) = (10, 56);
        (config.rc_undershoot_pct, config.rc_overshoot_pct) = (50, 50);
        (config.rc_buf_initial_sz, config.rc_buf_optimal_sz, config.rc_buf_sz) = (600, 600, 1000);
        config.kf_mode = aom::AOM_KF_DISABLED;
        let context: &mut aom::aom_codec_ctx_t = Box::leak(Box::new(MaybeUninit::zeroed().assume_init()));
        let version = aom::AOM_ENCODER_ABI_VERSION as c_int;
        aom::aom_codec_enc_init_ver(context, interface, &raw const config, 0, version);
        let off = [
            aom::AV1E_SET_TILE_COLUMNS,
            aom::AV1E_SET_ROW_MT,
            aom::AV1E_SET_ENABLE_PALETTE,
            aom::AV1E_SET_ENABLE_TPL_MODEL,
            aom::AV1E_SET_DELTAQ_MODE,
            aom::AV1E_SET_ENABLE_ORDER_HINT,
            aom::AV1E_SET_ENABLE_OBMC,
            aom::AV1E_SET_NOISE_SENSITIVITY,
            aom::AV1E_SET_ENABLE_WARPED_MOTION,
            aom::AV1E_SET_ENABLE_GLOBAL_MOTION,
            aom::AV1E_SET_ENABLE_REF_FRAME_MVS,
            aom::AV1E_SET_ENABLE_CFL_INTRA,
            aom::AV1E_SET_ENABLE_SMOOTH_INTRA,
            aom::AV1E_SET_ENABLE_ANGLE_DELTA,
            aom::AV1E_SET_ENABLE_FILTER_INTRA,
            aom::AV1E_SET_ENABLE_DIST_WTD_COMP,
            aom::AV1E_SET_ENABLE_DIFF_WTD_COMP,
            aom::AV1E_SET_ENABLE_DUAL_FILTER,
            aom::AV1E_SET_ENABLE_INTERINTRA_COMP,
            aom::AV1E_SET_ENABLE_INTERINTRA_WEDGE,
            aom::AV1E_SET_ENABLE_INTRA_EDGE_FILTER,
            aom::AV1E_SET_ENABLE_MASKED_COMP,
            aom::AV1E_SET_ENABLE_PAETH_INTRA,
            aom::AV1E_SET_ENABLE_QM,
            aom::AV1E_SET_ENABLE_RECT_PARTITIONS,
            aom::AV1E_SET_ENABLE_RESTORATION,
            aom::AV1E_SET_ENABLE_SMOOTH_INTERINTRA,
            aom::AV1E_SET_ENABLE_TX64,
        ]
        .map(|control| (control, 0));
        let on = [
            (aom::AOME_SET_CPUUSED, 10),
            (aom::AOME_SET_MAX_INTRA_BITRATE_PCT, 300),
            (aom::AV1E_SET_AQ_MODE, 3),
            (aom::AV1E_SET_ENABLE_CDEF, 1),
            (aom::AV1E_SET_COEFF_COST_UPD_FREQ, 3),
            (aom::AV1E_SET_MODE_COST_UPD_FREQ, 3),
            (aom::AV1E_SET_MV_COST_UPD_FREQ, 3),
            (aom::AV1E_SET_SUPERBLOCK_SIZE, aom::AOM_SUPERBLOCK_SIZE_DYNAMIC as c_int),
            (aom::AV1E_SET_INTRA_DEFAULT_TX_ONLY, 1),
            (aom::AV1E_SET_DISABLE_TRELLIS_QUANT, 1),
            (aom::AV1E_SET_MAX_REFERENCE_FRAMES, 3),
        ];
        for (control, value) in on.into_iter().chain(off) {
            aom::aom_codec_control(context, control as c_int, value as c_int);
        }
        let mut time = 0;
        Box::new(move |picture| {
            let mut image: aom::aom_image_t = MaybeUninit::zeroed().assume_init();
            image.fmt = aom::AOM_IMG_FMT_I420;
            (image.w, image.h, image.d_w, image.d_h) = (WIDTH, HEIGHT, WIDTH, HEIGHT);
            (image.bit_depth, image.bps, image.x_chroma_shift, image.y_chroma_shift) = (8, 12, 1, 1);
            image.stride = strides(picture);
            image.planes.iter_mut().zip(picture.planes()).for_each(|(to, plane)| *to = plane.as_ptr().cast_mut());
            aom::aom_codec_encode(context, &raw const image, time, 3000, 0);
            time += 3000;
            let (mut iterator, mut bytes) = (ptr::null(), 0);
            while let Some(packet) = aom::aom_codec_get_cx_data(context, &raw mut iterator).as_ref() {
                bytes += packet.data.frame.sz;
            }
            bytes
        })
    }
}

fn bare_openh264(path: &str) -> Bare {
    // SAFETY: the calls are those of OpenH264's own example; the library is 2.6 or newer, whose layout the bindings have.
    unsafe {
        let api: &'static openh264::DynamicAPI =
            Box::leak(Box::new(openh264::DynamicAPI::from_blob_path_unchecked(path).expect("a library")));
        let mut raw = ptr::null_mut();
        api.WelsCreateSVCEncoder(&raw mut raw);
        let table = &**raw;
        let mut quiet = openh264::WELS_LOG_QUIET as c_int;
        let set = table.SetOption.expect("a function");
        set(raw, openh264::ENCODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast::<c_void>());
        let mut parameters = openh264::SEncParamExt::default();
        (table.GetDefaultParams.expect("a function"))(raw, &raw mut parameters);
        let bitrate = KILOBITS as c_int * 1000;
        (parameters.iPicWidth, parameters.iPicHeight) = (WIDTH as c_int, HEIGHT as c_int);
        (parameters.iTargetBitrate, parameters.iMaxBitrate) = (bitrate, 0);
        (parameters.iRCMode, parameters.fMaxFrameRate) = (openh264::RC_BITRATE_MODE, 30.0);
        (parameters.bEnableFrameSkip, parameters.uiIntraPeriod, parameters.iMultipleThreadIdc) = (true, 0, 1);
        (parameters.bEnableDenoise, parameters.bEnableSceneChangeDetect) = (false, false);
        parameters.iComplexityMode = openh264::LOW_COMPLEXITY;
        let layer = &mut parameters.sSpatialLayers[0];
        (layer.iVideoWidth, layer.iVideoHeight, layer.fFrameRate) = (WIDTH as c_int, HEIGHT as c_int, 30.0);
        (layer.iSpatialBitrate, layer.iMaxSpatialBitrate) = (bitrate, 0);
        layer.uiProfileIdc = openh264::PRO_BASELINE;
        (table.InitializeExt.expect("a function"))(raw, &raw const parameters);
        let mut info = Box::new(openh264::SFrameBSInfo::default());
        let mut time = 0;
        Box::new(move |picture| {
            let mut source = openh264::SSourcePicture { iColorFormat: openh264::videoFormatI420, ..Default::default() };
            (source.iPicWidth, source.iPicHeight, source.uiTimeStamp) = (WIDTH as c_int, HEIGHT as c_int, time);
            let [y, u, v] = strides(picture);
            source.iStride = [y, u, v, 0];
            source.pData.iter_mut().zip(picture.planes()).for_each(|(to, plane)| *to = plane.as_ptr().cast_mut());
            (table.EncodeFrame.expect("a function"))(raw, &raw const source, &raw mut *info);
            time += 33;
            usize::try_from(info.iFrameSizeInBytes).unwrap_or(0)
        })
    }
}

fn bare(codec: VideoCodecType) -> Option<Bare> {
    match codec {
        VideoCodecType::Vp8 => Some(bare_vpx(false)),
        VideoCodecType::Vp9 => Some(bare_vpx(true)),
        VideoCodecType::Av1 => Some(bare_aom()),
        VideoCodecType::H264 => std::env::var("SORA_OPENH264").ok().map(|path| bare_openh264(&path)),
        VideoCodecType::H265 => None,
    }
}

/// Milliseconds of CPU time per picture.
fn measure(pictures: &[I420Buffer], mut encode: impl FnMut(&I420Buffer) -> usize) -> (f64, usize) {
    let started = ThreadTime::now();
    let bytes = pictures.iter().map(&mut encode).sum();
    (started.elapsed().as_secs_f64() * 1000.0 / pictures.len() as f64, bytes)
}

fn best(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn main() {
    let (registry, pool) = (registry(), BufferPool::default());
    let pictures: Vec<_> = (0..PICTURES).map(|n| picture(&pool, WIDTH, HEIGHT, n).expect("a picture")).collect();
    println!("{WIDTH}x{HEIGHT}, {KILOBITS} kbit/s, CPU ms per picture, best of {ROUNDS} rounds in turns");
    println!("codec   ours    bare  difference   bytes ours / bare");
    for codec in VideoCodecType::ALL {
        let config = VideoEncoderConfig { bitrate_bps: u64::from(KILOBITS) * 1000, ..Default::default() };
        let (Ok(mut encoder), Some(mut bare)) = (registry.encoder(codec, config), bare(codec)) else { continue };
        let mut ours = |picture: &I420Buffer| encoded_bytes(&mut *encoder, picture);
        let (mut our_times, mut bare_times, mut bytes) = (Vec::new(), Vec::new(), (0, 0));
        for _ in 0..ROUNDS {
            let (time, size) = measure(&pictures, &mut ours);
            our_times.push(time);
            bytes.0 += size;
            let (time, size) = measure(&pictures, &mut bare);
            bare_times.push(time);
            bytes.1 += size;
        }
        let (ours, bare) = (best(&our_times), best(&bare_times));
        println!(
            "{codec:<5} {ours:>6.2}  {bare:>6.2}  {:>+8.1} %   {} / {}",
            (ours / bare - 1.0) * 100.0,
            bytes.0,
            bytes.1
        );
    }
}

fn encoded_bytes(encoder: &mut dyn VideoEncoder, picture: &I420Buffer) -> usize {
    encoder.encode(picture, false).expect("encoded").map_or(0, |encoded| encoded.data.len())
}
