use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

use vpx_sys as vpx;

use super::{Context, check};
use crate::planes::ForeignPicture;
use crate::vpx::VpxCodec;
use crate::{BufferPool, CodecError, I420Buffer};

pub(in crate::vpx) struct Decoder(Context);

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
    pub(in crate::vpx) fn new(codec: VpxCodec, threads: u32) -> Result<Self, CodecError> {
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

    pub(in crate::vpx) fn decode(&mut self, data: &[u8], pool: &BufferPool) -> Result<Option<I420Buffer>, CodecError> {
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
            let formats = [vpx::vpx_img_fmt::VPX_IMG_FMT_I420, vpx::vpx_img_fmt::VPX_IMG_FMT_I42016];
            if !formats.contains(&image.fmt) {
                return Err(CodecError::PixelFormat);
            }
            shown = Some(copy(image, pool)?);
        }
    }
}

fn copy(image: &vpx::vpx_image_t, pool: &BufferPool) -> Result<I420Buffer, CodecError> {
    let [y, u, v, _] = image.planes.map(|plane| plane.cast::<u8>().cast_const());
    let [luma, u_stride, v_stride, _] = image.stride.map(|stride| stride as isize);
    let picture = ForeignPicture {
        width: image.d_w,
        height: image.d_h,
        planes: [y, u, v],
        strides: [luma, u_stride, v_stride],
        bit_depth: image.bit_depth,
    };
    // SAFETY: the image has planes of its size and is valid until the next decode call.
    unsafe { picture.copy_to(pool) }
}
