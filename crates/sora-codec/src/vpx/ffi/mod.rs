//! The libvpx calls. Everything `unsafe` about VP8 and VP9 is in this folder.
#![allow(unsafe_code)]

mod decoder;
mod encoder;
mod layers;

use std::ffi::CStr;

use vpx_sys as vpx;

use crate::CodecError;

pub(super) use decoder::Decoder;
pub(super) use encoder::Encoder;

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
