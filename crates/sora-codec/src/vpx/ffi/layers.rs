//! Temporal layers of VP8 and VP9, spatial layers of VP9.

use std::ffi::c_int;
use std::mem::MaybeUninit;

use sora_rtp::TemporalLayer;
use vpx_sys as vpx;

use super::{Context, check};
use crate::scalability::bitrate_share;
use crate::vpx::VpxCodec;
use crate::{CodecError, ScalabilityMode};

/// The lowest spatial layer has at least so many pixels on each side.
const SMALLEST_LAYER: u32 = 64;

const ONLY_LAST: u32 = vpx::VP8_EFLAG_NO_REF_GF | vpx::VP8_EFLAG_NO_REF_ARF;
const KEEP_OTHERS: u32 = vpx::VP8_EFLAG_NO_UPD_GF | vpx::VP8_EFLAG_NO_UPD_ARF;
const KEEP_ALL: u32 = KEEP_OTHERS | vpx::VP8_EFLAG_NO_UPD_LAST | vpx::VP8_EFLAG_NO_UPD_ENTROPY;
/// Layer 1 of three is kept in the golden buffer, nowhere else.
const INTO_GOLDEN: u32 =
    vpx::VP8_EFLAG_FORCE_GF | vpx::VP8_EFLAG_NO_UPD_LAST | vpx::VP8_EFLAG_NO_UPD_ARF | vpx::VP8_EFLAG_NO_UPD_ENTROPY;

pub(super) struct Layers {
    codec: VpxCodec,
    mode: ScalabilityMode,
    /// Pictures since the last key frame.
    picture: u64,
}

impl Layers {
    /// Small pictures get fewer spatial layers.
    pub(super) fn new(codec: VpxCodec, mut mode: ScalabilityMode, width: u32, height: u32) -> Self {
        let fits = (width.min(height) / SMALLEST_LAYER).checked_ilog2().map_or(1, |halvings| halvings + 1);
        let most = if codec == VpxCodec::Vp9 { fits.min(3) as u8 } else { 1 };
        mode.spatial_layers = mode.spatial_layers.clamp(1, most);
        mode.temporal_layers = mode.temporal_layers.clamp(1, 3);
        Self { codec, mode, picture: 0 }
    }

    fn is_plain(&self) -> bool {
        self.mode.temporal_layers == 1 && self.mode.spatial_layers == 1
    }

    /// Shares the bit rate.
    pub(super) fn configure(&self, config: &mut vpx::vpx_codec_enc_cfg_t) {
        if self.is_plain() {
            return;
        }
        let (spatial, temporal) = (self.mode.spatial_layers, self.mode.temporal_layers);
        config.g_error_resilient = 1;
        (config.ss_number_layers, config.ts_number_layers) = (spatial.into(), temporal.into());
        config.ts_periodicity = if temporal == 3 { 4 } else { temporal.into() };
        let ids: &[u32] = match temporal {
            2 => &[0, 1],
            3 => &[0, 2, 1, 2],
            _ => &[0],
        };
        config.ts_layer_id[..ids.len()].copy_from_slice(ids);
        for id in 0..temporal {
            let share = config.rc_target_bitrate * bitrate_share(temporal, id) as u32 / 100;
            config.ts_target_bitrate[usize::from(id)] = share.max(1);
            config.ts_rate_decimator[usize::from(id)] = 1 << (temporal - 1 - id);
        }
        // Each spatial layer has about four times the pixels of the one below.
        let weights: &[u32] = match spatial {
            2 => &[30, 70],
            3 => &[10, 25, 65],
            _ => &[100],
        };
        for (index, weight) in weights.iter().enumerate() {
            let rate = (config.rc_target_bitrate * weight / 100).max(1);
            config.ss_target_bitrate[index] = rate;
            for id in 0..temporal {
                let share = (rate * bitrate_share(temporal, id) as u32 / 100).max(1);
                config.layer_target_bitrate[index * usize::from(temporal) + usize::from(id)] = share;
            }
        }
        config.temporal_layering_mode = match (self.codec, temporal) {
            (VpxCodec::Vp9, 2) => vpx::VP9E_TEMPORAL_LAYERING_MODE::VP9E_TEMPORAL_LAYERING_MODE_0101 as c_int,
            (VpxCodec::Vp9, 3) => vpx::VP9E_TEMPORAL_LAYERING_MODE::VP9E_TEMPORAL_LAYERING_MODE_0212 as c_int,
            _ => 0,
        };
    }

    /// Turns VP9's layers on, after the encoder was made.
    pub(super) fn start(&self, context: &mut Context, config: &vpx::vpx_codec_enc_cfg_t) -> Result<(), CodecError> {
        use vpx::vp8e_enc_control_id as id;
        if self.is_plain() || self.codec == VpxCodec::Vp8 {
            return Ok(());
        }
        // SAFETY: zero is a valid value of every field.
        let mut parameters: vpx::vpx_svc_extra_cfg_t = unsafe { MaybeUninit::zeroed().assume_init() };
        let (spatial, temporal) = (self.mode.spatial_layers, self.mode.temporal_layers);
        for index in 0..usize::from(spatial * temporal) {
            parameters.max_quantizers[index] = config.rc_max_quantizer as c_int;
            parameters.min_quantizers[index] = config.rc_min_quantizer as c_int;
        }
        for layer in 0..spatial {
            parameters.scaling_factor_num[usize::from(layer)] = 1;
            parameters.scaling_factor_den[usize::from(layer)] = 1 << (spatial - 1 - layer);
            parameters.speed_per_layer[usize::from(layer)] = 7;
        }
        parameters.temporal_layering_mode = config.temporal_layering_mode;
        // Prediction from the layer below: always, or (2) in key frames only.
        let prediction: c_int = if self.mode.key_frames_only { 2 } else { 0 };
        let raw = &raw mut *context.0;
        // SAFETY: the first and the last control take an int, the second a pointer that is read during the call.
        unsafe {
            check("layers", vpx::vpx_codec_control_(raw, id::VP9E_SET_SVC as c_int, 1 as c_int))?;
            let control = id::VP9E_SET_SVC_PARAMETERS as c_int;
            check("layers", vpx::vpx_codec_control_(raw, control, &raw mut parameters))?;
            let control = id::VP9E_SET_SVC_INTER_LAYER_PRED as c_int;
            check("layers", vpx::vpx_codec_control_(raw, control, prediction))
        }
    }

    /// Flags for the next picture of VP8, which leaves the pattern to its user.
    pub(super) fn before_picture(&mut self, context: &mut Context, key: bool) -> Result<u32, CodecError> {
        if self.codec == VpxCodec::Vp9 || self.mode.temporal_layers == 1 {
            return Ok(0);
        }
        if key {
            self.picture = 0;
        }
        let layer = self.mode.pattern(self.picture).map_or(0, |layer| layer.id);
        let control = vpx::vp8e_enc_control_id::VP8E_SET_TEMPORAL_LAYER_ID as c_int;
        // SAFETY: the control takes an int.
        let result = unsafe { vpx::vpx_codec_control_(&raw mut *context.0, control, c_int::from(layer)) };
        check("layer", result)?;
        Ok(match (layer, self.mode.temporal_layers) {
            _ if self.picture == 0 => 0,
            (0, _) => ONLY_LAST | KEEP_OTHERS,
            (1, 3) => ONLY_LAST | INTO_GOLDEN,
            (2, 3) if self.picture % 4 == 3 => vpx::VP8_EFLAG_NO_REF_ARF | KEEP_ALL,
            _ => ONLY_LAST | KEEP_ALL,
        })
    }

    /// The layer of the picture that has just been encoded, if there are several.
    pub(super) fn after_picture(
        &mut self,
        context: &mut Context,
        key_frame: bool,
    ) -> Result<Option<TemporalLayer>, CodecError> {
        if self.mode.temporal_layers == 1 {
            return Ok(None);
        }
        if self.codec == VpxCodec::Vp8 {
            if key_frame {
                self.picture = 0;
            }
            let layer = self.mode.pattern(self.picture);
            self.picture += 1;
            return Ok(layer);
        }
        // SAFETY: zero is a valid value of every field.
        let mut id: vpx::vpx_svc_layer_id_t = unsafe { MaybeUninit::zeroed().assume_init() };
        let control = vpx::vp8e_enc_control_id::VP9E_GET_SVC_LAYER_ID as c_int;
        // SAFETY: the control takes a pointer that is written during the call.
        let result = unsafe { vpx::vpx_codec_control_(&raw mut *context.0, control, &raw mut id) };
        check("layer", result)?;
        Ok(self.mode.layer(if key_frame { 0 } else { u8::try_from(id.temporal_layer_id).unwrap_or(0) }))
    }
}
