//! The libopus calls. Everything `unsafe` about Opus is in this file.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use opusic_sys as opus;

use super::OpusParameters;
use crate::CodecError;

const RATE: c_int = 48_000;
/// The longest packet RFC 6716 allows is 1275 bytes a frame; one frame is all that is made here.
const MAX_PACKET: usize = 1276;

fn failed(operation: &'static str, code: c_int) -> CodecError {
    // SAFETY: the function returns a static string for every value.
    let reason = unsafe { CStr::from_ptr(opus::opus_strerror(code)) };
    CodecError::Library { library: "libopus", operation, reason: reason.to_string_lossy().into_owned() }
}

fn check(operation: &'static str, code: c_int) -> Result<usize, CodecError> {
    usize::try_from(code).map_err(|_| failed(operation, code))
}

pub(super) struct Encoder(NonNull<opus::OpusEncoder>);

// SAFETY: an Opus state may be used from any thread, one at a time, which `&mut` ensures.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(super) fn new(sample_rate: u32, channels: usize) -> Result<Self, CodecError> {
        let mut error = 0;
        // Two channels are rather music than a voice; libwebrtc decides alike.
        let application = if channels == 2 { opus::OPUS_APPLICATION_AUDIO } else { opus::OPUS_APPLICATION_VOIP };
        let rate = sample_rate as i32;
        // SAFETY: rate, channel count and application are valid; `error` is valid for writing.
        let state = unsafe { opus::opus_encoder_create(rate, channels as c_int, application, &raw mut error) };
        NonNull::new(state).map(Self).ok_or_else(|| failed("encoder creation", error))
    }

    fn set(&mut self, request: c_int, value: c_int) -> Result<(), CodecError> {
        // SAFETY: every request used in this file takes one int.
        check("encoder control", unsafe { opus::opus_encoder_ctl(self.0.as_ptr(), request, value) }).map(drop)
    }

    pub(super) fn configure(&mut self, parameters: &OpusParameters, bitrate: u32) -> Result<(), CodecError> {
        self.set(opus::OPUS_SET_BITRATE_REQUEST, bitrate as c_int)?;
        self.set(opus::OPUS_SET_COMPLEXITY_REQUEST, 9)?;
        self.set(opus::OPUS_SET_INBAND_FEC_REQUEST, c_int::from(parameters.in_band_fec))?;
        self.set(opus::OPUS_SET_DTX_REQUEST, c_int::from(parameters.dtx))?;
        self.set(opus::OPUS_SET_VBR_REQUEST, c_int::from(!parameters.constant_bitrate))?;
        let bandwidth = match parameters.max_playback_rate {
            Some(..=8_000) => opus::OPUS_BANDWIDTH_NARROWBAND,
            Some(..=12_000) => opus::OPUS_BANDWIDTH_MEDIUMBAND,
            Some(..=16_000) => opus::OPUS_BANDWIDTH_WIDEBAND,
            Some(..=24_000) => opus::OPUS_BANDWIDTH_SUPERWIDEBAND,
            _ => opus::OPUS_BANDWIDTH_FULLBAND,
        };
        self.set(opus::OPUS_SET_MAX_BANDWIDTH_REQUEST, bandwidth)
    }

    pub(super) fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        self.set(opus::OPUS_SET_PACKET_LOSS_PERC_REQUEST, percent.into())
    }

    /// `samples` holds `frames` per channel, which the caller has checked to be an Opus frame length.
    pub(super) fn encode(&mut self, samples: &[i16], frames: usize) -> Result<Vec<u8>, CodecError> {
        let mut packet = vec![0_u8; MAX_PACKET];
        // SAFETY: the state is valid, `samples` holds `frames` for each channel, the packet buffer has the size told.
        let length = unsafe {
            opus::opus_encode(
                self.0.as_ptr(),
                samples.as_ptr(),
                frames as c_int,
                packet.as_mut_ptr(),
                MAX_PACKET as i32,
            )
        };
        packet.truncate(check("encoding", length)?);
        Ok(packet)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the state came from `opus_encoder_create` and is destroyed once.
        unsafe { opus::opus_encoder_destroy(self.0.as_ptr()) };
    }
}

pub(super) struct Decoder(NonNull<opus::OpusDecoder>);

// SAFETY: an Opus state may be used from any thread, one at a time, which `&mut` ensures.
unsafe impl Send for Decoder {}

impl Decoder {
    pub(super) fn new(channels: usize) -> Result<Self, CodecError> {
        let mut error = 0;
        // SAFETY: rate and channel count are valid; `error` is valid for writing.
        let state = unsafe { opus::opus_decoder_create(RATE, channels as c_int, &raw mut error) };
        NonNull::new(state).map(Self).ok_or_else(|| failed("decoder creation", error))
    }

    pub(super) fn decode(
        &mut self,
        packet: Option<&[u8]>,
        recover: bool,
        frames: usize,
        channels: usize,
    ) -> Result<Vec<i16>, CodecError> {
        let frames = frames.min(5760);
        let mut samples = vec![0_i16; frames * channels];
        let (data, length) = packet.map_or((std::ptr::null(), 0), |packet| (packet.as_ptr(), packet.len()));
        let length = i32::try_from(length).map_err(|_| CodecError::Argument("the packet is too large".to_owned()))?;
        // SAFETY: the state is valid, `data` holds `length` bytes or is null with length 0 (concealment), and the
        // output holds `frames` for each of the channels the state was made for.
        let decoded = unsafe {
            opus::opus_decode(
                self.0.as_ptr(),
                data,
                length,
                samples.as_mut_ptr(),
                frames as c_int,
                c_int::from(recover),
            )
        };
        samples.truncate(check("decoding", decoded)? * channels);
        Ok(samples)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the state came from `opus_decoder_create` and is destroyed once.
        unsafe { opus::opus_decoder_destroy(self.0.as_ptr()) };
    }
}

pub(super) fn packet_has_redundancy(packet: &[u8]) -> bool {
    let Some(length) = i32::try_from(packet.len()).ok().filter(|length| *length > 0) else { return false };
    // SAFETY: the packet is valid for `length` bytes and only read.
    unsafe { opus::opus_packet_has_lbrr(packet.as_ptr(), length) == 1 }
}

pub(super) fn packet_samples(packet: &[u8]) -> Option<usize> {
    let length = i32::try_from(packet.len()).ok().filter(|length| *length > 0)?;
    // SAFETY: the packet is valid for `length` bytes and only read.
    let samples = unsafe { opus::opus_packet_get_nb_samples(packet.as_ptr(), length, RATE) };
    usize::try_from(samples).ok().filter(|samples| *samples > 0)
}
