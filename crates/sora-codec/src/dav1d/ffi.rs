//! The dav1d calls. Everything `unsafe` about decoding AV1 is in this file.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

use libdav1d_sys as sys;

use crate::planes::ForeignPicture;
use crate::{BufferPool, CodecError, I420Buffer, MAX_PIXELS};

fn failed(operation: &'static str, code: i32) -> CodecError {
    CodecError::Library { library: "dav1d", operation, reason: format!("code {code}") }
}

pub(super) struct Decoder(*mut sys::Dav1dContext);

// SAFETY: a decoder may be used from any thread, one at a time, which `&mut` ensures.
unsafe impl Send for Decoder {}

impl Decoder {
    pub(super) fn new(threads: u32) -> Result<Self, CodecError> {
        let mut settings = MaybeUninit::<sys::Dav1dSettings>::zeroed();
        // SAFETY: the function fills the whole structure.
        let mut settings = unsafe {
            sys::dav1d_default_settings(settings.as_mut_ptr());
            settings.assume_init()
        };
        settings.n_threads = threads.clamp(1, 8) as _;
        // A frame comes out with the data that completes it.
        settings.max_frame_delay = 1;
        settings.all_layers = 0;
        settings.frame_size_limit = MAX_PIXELS as _;
        settings.logger.callback = None;
        let mut context = ptr::null_mut();
        // SAFETY: the settings are valid for the call, which writes a pointer to a new decoder or fails.
        let code = unsafe { sys::dav1d_open(&raw mut context, &raw const settings) };
        if code != 0 || context.is_null() {
            return Err(failed("decoder initialisation", code));
        }
        Ok(Self(context))
    }

    /// Decodes one temporal unit and returns the last picture it shows.
    pub(super) fn decode(&mut self, data: &[u8], pool: &BufferPool) -> Result<Option<I420Buffer>, CodecError> {
        if data.is_empty() {
            return Err(CodecError::Argument("the frame is empty".to_owned()));
        }
        // SAFETY: zero is the documented empty state.
        let mut input: sys::Dav1dData = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the function allocates memory of the given size or returns null.
        let memory = unsafe { sys::dav1d_data_create(&raw mut input, data.len()) };
        if memory.is_null() {
            return Err(failed("allocation", -12));
        }
        // SAFETY: the memory is new and has the size of the data.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), memory, data.len()) };
        let mut shown = None;
        let result = loop {
            // SAFETY: the decoder takes what it can of the input and updates it.
            let sent = unsafe { sys::dav1d_send_data(self.0, &raw mut input) };
            if sent < 0 && sent != sys::DAV1D_ERR_AGAIN {
                break Err(failed("decoding", sent));
            }
            match self.pictures(pool) {
                Ok(picture) => shown = picture.or(shown),
                Err(error) => break Err(error),
            }
            // Nothing came out and nothing went in: it will not go on.
            if input.sz == 0 || (sent == sys::DAV1D_ERR_AGAIN && shown.is_none()) {
                break Ok(shown);
            }
        };
        // SAFETY: what the decoder has not taken is freed; an empty input is allowed.
        unsafe { sys::dav1d_data_unref(&raw mut input) };
        if result.is_err() {
            // SAFETY: drops what is left inside, so that decoding starts anew at the next sequence header.
            unsafe { sys::dav1d_flush(self.0) };
        }
        result
    }

    fn pictures(&mut self, pool: &BufferPool) -> Result<Option<I420Buffer>, CodecError> {
        let mut shown = None;
        loop {
            // SAFETY: zero is the documented empty state.
            let mut picture: sys::Dav1dPicture = unsafe { MaybeUninit::zeroed().assume_init() };
            // SAFETY: the function fills the picture, whose reference is then ours, or fails.
            let code = unsafe { sys::dav1d_get_picture(self.0, &raw mut picture) };
            match code {
                0 => {}
                sys::DAV1D_ERR_AGAIN => return Ok(shown),
                code => return Err(failed("decoding", code)),
            }
            let copied = copy(&picture, pool);
            // SAFETY: the reference is ours and given up once.
            unsafe { sys::dav1d_picture_unref(&raw mut picture) };
            shown = Some(copied?);
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the decoder was opened by `dav1d_open` and is closed once.
        unsafe { sys::dav1d_close(&raw mut self.0) };
    }
}

fn copy(picture: &sys::Dav1dPicture, pool: &BufferPool) -> Result<I420Buffer, CodecError> {
    let grey = picture.p.layout == sys::Dav1dPixelLayout::DAV1D_PIXEL_LAYOUT_I400;
    if !grey && picture.p.layout != sys::Dav1dPixelLayout::DAV1D_PIXEL_LAYOUT_I420 {
        return Err(CodecError::PixelFormat);
    }
    let (Ok(width), Ok(height)) = (u32::try_from(picture.p.w), u32::try_from(picture.p.h)) else {
        return Err(CodecError::PixelFormat);
    };
    let [y, u, v] = picture.data.map(|plane| plane.cast::<u8>().cast_const());
    let [luma, chroma] = picture.stride;
    let planes = if grey { [y, ptr::null(), ptr::null()] } else { [y, u, v] };
    let bit_depth = u32::try_from(picture.p.bpc).unwrap_or(8);
    let foreign = ForeignPicture { width, height, planes, strides: [luma, chroma, chroma], bit_depth };
    // SAFETY: the picture is referenced by the caller and not changed; its planes and strides are dav1d's own.
    unsafe { foreign.copy_to(pool) }
}
