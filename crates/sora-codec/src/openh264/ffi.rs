//! The OpenH264 calls. Everything `unsafe` about H.264 is in this file.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uchar, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use openh264_sys2::{self as sys, API as _, DynamicAPI};

use super::{OpenH264Error, Version};
use crate::planes::ForeignPicture;
use crate::{BufferPool, CodecError, I420Buffer, VideoEncoderConfig};

/// The layout of what an encoder puts out before 2.6.0, which added three numbers to every layer.
#[repr(C)]
#[derive(Clone, Copy)]
struct LayerBefore26 {
    temporal_id: c_uchar,
    spatial_id: c_uchar,
    quality_id: c_uchar,
    frame_type: sys::EVideoFrameType,
    layer_type: c_uchar,
    sub_sequence: c_int,
    nal_count: c_int,
    nal_lengths: *mut c_int,
    buffer: *mut c_uchar,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct FrameBefore26 {
    layer_count: c_int,
    layers: [LayerBefore26; 128],
    frame_type: sys::EVideoFrameType,
    size: c_int,
    timestamp: i64,
}

/// What an encoder puts out, in the layout of its library. Zero is a valid value of both.
union FrameInfo {
    before_26: FrameBefore26,
    current: sys::SFrameBSInfo,
}

/// The functions of one OpenH264 library; cloning shares it.
#[derive(Clone)]
pub(super) struct Library {
    api: Arc<DynamicAPI>,
    pub(super) version: Version,
}

// SAFETY: the function table is never changed after loading and the library keeps no state of its own.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    pub(super) fn open(path: &str) -> Result<Self, OpenH264Error> {
        // SAFETY: loading runs the initialisers of a library that the user has named as OpenH264.
        let loaded = unsafe { sys::libloading::APILoader::new(path) };
        let api = loaded.map_err(|error| OpenH264Error::Open { path: path.to_owned(), reason: error.to_string() })?;
        let symbols = [
            ("WelsCreateSVCEncoder", api.WelsCreateSVCEncoder.is_ok()),
            ("WelsDestroySVCEncoder", api.WelsDestroySVCEncoder.is_ok()),
            ("WelsCreateDecoder", api.WelsCreateDecoder.is_ok()),
            ("WelsDestroyDecoder", api.WelsDestroyDecoder.is_ok()),
            ("WelsGetCodecVersionEx", api.WelsGetCodecVersionEx.is_ok()),
        ];
        if let Some((symbol, _)) = symbols.iter().find(|(_, found)| !found) {
            return Err(OpenH264Error::NotOpenH264 { path: path.to_owned(), symbol });
        }
        let library = Self::with(DynamicAPI::Libloading(api));
        if library.version < super::OLDEST {
            return Err(OpenH264Error::Version { path: path.to_owned(), found: library.version });
        }
        Ok(library)
    }

    #[cfg(feature = "openh264-source")]
    pub(super) fn built_in() -> Self {
        Self::with(DynamicAPI::from_source())
    }

    fn with(api: DynamicAPI) -> Self {
        let mut version = sys::OpenH264Version::default();
        // SAFETY: the function writes the structure it is given and nothing else.
        unsafe { api.WelsGetCodecVersionEx(&raw mut version) };
        let version = Version { major: version.uMajor, minor: version.uMinor, revision: version.uRevision };
        Self { api: Arc::new(api), version }
    }
}

fn failed(operation: &'static str, code: impl std::fmt::Display) -> CodecError {
    CodecError::Library { library: "OpenH264", operation, reason: format!("code {code}") }
}

fn check(operation: &'static str, code: c_int) -> Result<(), CodecError> {
    if code == 0 { Ok(()) } else { Err(failed(operation, code)) }
}

fn clamped<T: TryFrom<u64> + Default>(value: u64, most: u64) -> T {
    T::try_from(value.min(most)).unwrap_or_default()
}

pub(super) struct Encoder {
    library: Library,
    raw: *mut sys::ISVCEncoder,
    info: Box<FrameInfo>,
    clock_us: i64,
    frame_us: i64,
}

// SAFETY: an encoder may be used from any thread, one at a time, which `&mut` ensures.
unsafe impl Send for Encoder {}

/// What [`Encoder::encode`] puts out.
pub(super) struct Encoded {
    pub(super) data: Vec<u8>,
    pub(super) key_frame: bool,
    pub(super) temporal_id: u8,
}

impl Encoder {
    pub(super) fn new(
        library: &Library,
        config: &VideoEncoderConfig,
        width: u32,
        height: u32,
    ) -> Result<Self, CodecError> {
        let mut raw = ptr::null_mut();
        // SAFETY: the function writes a pointer to a new encoder or leaves null.
        check("making an encoder", unsafe { library.api.WelsCreateSVCEncoder(&raw mut raw) })?;
        if raw.is_null() {
            return Err(failed("making an encoder", "null"));
        }
        // SAFETY: zero is a valid value of every field.
        let info = Box::new(unsafe { MaybeUninit::<FrameInfo>::zeroed().assume_init() });
        let mut encoder = Self { library: library.clone(), raw, info, clock_us: 0, frame_us: 33_333 };
        encoder.initialise(config, width as c_int, height as c_int)?;
        Ok(encoder)
    }

    fn table(&self) -> &sys::ISVCEncoderVtbl {
        // SAFETY: the pointer came from the library, is not null and lives until `drop`; it points to the C++ object,
        // which begins with its function table.
        unsafe { &**self.raw }
    }

    fn initialise(&mut self, config: &VideoEncoderConfig, width: c_int, height: c_int) -> Result<(), CodecError> {
        self.option(sys::ENCODER_OPTION_TRACE_LEVEL, sys::WELS_LOG_QUIET as c_int)?;
        let mut parameters = sys::SEncParamExt::default();
        let defaults = self.table().GetDefaultParams.ok_or_else(|| failed("default parameters", "no function"))?;
        // SAFETY: the structure is that of the newest layout; older libraries write a prefix of it.
        check("default parameters", unsafe { defaults(self.raw, &raw mut parameters) })?;
        let bitrate = clamped(config.bitrate_bps, 1_000_000_000);
        parameters.iUsageType =
            if config.screen_content { sys::SCREEN_CONTENT_REAL_TIME } else { sys::CAMERA_VIDEO_REAL_TIME };
        (parameters.iPicWidth, parameters.iPicHeight) = (width, height);
        (parameters.iTargetBitrate, parameters.iMaxBitrate) = (bitrate, 0);
        parameters.iRCMode = sys::RC_BITRATE_MODE;
        parameters.fMaxFrameRate = config.frame_rate.clamp(1, 240) as f32;
        parameters.bEnableFrameSkip = true;
        parameters.uiIntraPeriod = 0;
        parameters.uiMaxNalSize = 0;
        // One thread: slices on several cost quality and bring no time (measured).
        parameters.iMultipleThreadIdc = 1;
        parameters.iTemporalLayerNum = c_int::from(config.scalability.temporal_layers);
        parameters.iSpatialLayerNum = 1;
        parameters.iComplexityMode = sys::LOW_COMPLEXITY;
        parameters.bEnableDenoise = false;
        parameters.bEnableSceneChangeDetect = false;
        let layer = &mut parameters.sSpatialLayers[0];
        (layer.iVideoWidth, layer.iVideoHeight) = (width, height);
        layer.fFrameRate = parameters.fMaxFrameRate;
        (layer.iSpatialBitrate, layer.iMaxSpatialBitrate) = (bitrate, 0);
        layer.uiProfileIdc = sys::PRO_BASELINE;
        layer.sSliceArgument.uiSliceMode = sys::SM_SINGLE_SLICE;
        let initialise = self.table().InitializeExt.ok_or_else(|| failed("initialisation", "no function"))?;
        // SAFETY: the parameters are those of the newest layout; older libraries read a prefix of it.
        check("encoder initialisation", unsafe { initialise(self.raw, &raw const parameters) })?;
        self.frame_us = 1_000_000 / i64::from(config.frame_rate.clamp(1, 240));
        Ok(())
    }

    fn option<T>(&mut self, id: sys::ENCODER_OPTION, mut value: T) -> Result<(), CodecError> {
        let set = self.table().SetOption.ok_or_else(|| failed("option", "no function"))?;
        // SAFETY: every caller gives the type that the option is documented to take; it is only read.
        check("option", unsafe { set(self.raw, id, (&raw mut value).cast::<c_void>()) })
    }

    pub(super) fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError> {
        let rate = frame_rate.clamp(1, 240);
        self.frame_us = 1_000_000 / i64::from(rate);
        self.option(sys::ENCODER_OPTION_FRAME_RATE, rate as f32)?;
        let bitrate = sys::SBitrateInfo {
            iLayer: sys::SPATIAL_LAYER_ALL,
            iBitrate: clamped(bitrate_bps.max(1000), 1_000_000_000),
        };
        self.option(sys::ENCODER_OPTION_BITRATE, bitrate)
    }

    /// Encodes one picture of at least the size the encoder was made for. `None` if the rate control skipped it.
    pub(super) fn encode(&mut self, picture: &I420Buffer, key_frame: bool) -> Result<Option<Encoded>, CodecError> {
        if key_frame {
            let force = self.table().ForceIntraFrame.ok_or_else(|| failed("key frame", "no function"))?;
            // SAFETY: the encoder is initialised.
            check("key frame", unsafe { force(self.raw, true) })?;
        }
        let mut source = sys::SSourcePicture { iColorFormat: sys::videoFormatI420, ..Default::default() };
        (source.iPicWidth, source.iPicHeight) = (picture.width() as c_int & !1, picture.height() as c_int & !1);
        let (luma, chroma) = (picture.luma_stride() as c_int, picture.chroma_stride() as c_int);
        source.iStride = [luma, chroma, chroma, 0];
        for (slot, plane) in source.pData.iter_mut().zip(picture.planes()) {
            *slot = plane.as_ptr().cast_mut();
        }
        source.uiTimeStamp = self.clock_us / 1000;
        self.clock_us += self.frame_us;
        let encode = self.table().EncodeFrame.ok_or_else(|| failed("encoding", "no function"))?;
        let info = (&raw mut *self.info).cast::<sys::SFrameBSInfo>();
        // SAFETY: the source describes `picture`, which outlives the call and is only read. The union is as large as
        // the larger of both layouts.
        check("encoding", unsafe { encode(self.raw, &raw const source, info) })?;
        // SAFETY: the library has filled the structure in the layout of its version; its pointers are valid until the
        // next call into the encoder.
        unsafe { self.output() }
    }

    /// # Safety
    /// Right after a successful `EncodeFrame`.
    unsafe fn output(&self) -> Result<Option<Encoded>, CodecError> {
        let mut data = Vec::new();
        let mut temporal_id = 0;
        // SAFETY: the version tells which field of the union the library has filled.
        let (frame_type, layer_count) = unsafe {
            if self.library.version < super::LAYOUT_26 {
                (self.info.before_26.frame_type, self.info.before_26.layer_count)
            } else {
                (self.info.current.eFrameType, self.info.current.iLayerNum)
            }
        };
        if frame_type == sys::videoFrameTypeSkip || frame_type == sys::videoFrameTypeInvalid {
            return Ok(None);
        }
        for index in 0..usize::try_from(layer_count).unwrap_or(0).min(128) {
            // SAFETY: as above; `index` is below the number of layers.
            let (count, lengths, buffer, id) = unsafe {
                if self.library.version < super::LAYOUT_26 {
                    let layer = &self.info.before_26.layers[index];
                    (layer.nal_count, layer.nal_lengths, layer.buffer, layer.temporal_id)
                } else {
                    let layer = &self.info.current.sLayerInfo[index];
                    (layer.iNalCount, layer.pNalLengthInByte, layer.pBsBuf, layer.uiTemporalId)
                }
            };
            temporal_id = temporal_id.max(id);
            if lengths.is_null() || buffer.is_null() {
                return Err(failed("encoding", "a layer without data"));
            }
            // SAFETY: the library says that there are `count` lengths, and that many bytes in the buffer.
            unsafe {
                let lengths = std::slice::from_raw_parts(lengths, usize::try_from(count).unwrap_or(0));
                let size = lengths.iter().map(|length| usize::try_from(*length).unwrap_or(0)).sum();
                data.extend_from_slice(std::slice::from_raw_parts(buffer, size));
            }
        }
        let key_frame = frame_type == sys::videoFrameTypeIDR;
        Ok((!data.is_empty()).then_some(Encoded { data, key_frame, temporal_id }))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if let Some(uninitialise) = self.table().Uninitialize {
            // SAFETY: the library allows this in every state; the encoder is destroyed once, right after.
            unsafe { uninitialise(self.raw) };
        }
        // SAFETY: the encoder came from this library and is not used again.
        unsafe { self.library.api.WelsDestroySVCEncoder(self.raw) };
    }
}

pub(super) struct Decoder {
    library: Library,
    raw: *mut sys::ISVCDecoder,
}

// SAFETY: a decoder may be used from any thread, one at a time, which `&mut` ensures.
unsafe impl Send for Decoder {}

impl Decoder {
    pub(super) fn new(library: &Library) -> Result<Self, CodecError> {
        let mut raw = ptr::null_mut();
        // SAFETY: the function writes a pointer to a new decoder or leaves null.
        let code = unsafe { library.api.WelsCreateDecoder(&raw mut raw) };
        if code != 0 || raw.is_null() {
            return Err(failed("making a decoder", code));
        }
        let decoder = Self { library: library.clone(), raw };
        let mut quiet = sys::WELS_LOG_QUIET as c_int;
        let mut parameters = sys::SDecodingParam { eEcActiveIdc: sys::ERROR_CON_DISABLE, ..Default::default() };
        parameters.sVideoProperty.size = size_of::<sys::SVideoProperty>() as u32;
        parameters.sVideoProperty.eVideoBsType = sys::VIDEO_BITSTREAM_AVC;
        let (Some(set), Some(initialise)) = (decoder.table().SetOption, decoder.table().Initialize) else {
            return Err(failed("making a decoder", "no function"));
        };
        // SAFETY: the option takes an int, which is only read; the parameters are valid for the call.
        let code = unsafe {
            set(raw, sys::DECODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast::<c_void>());
            initialise(raw, &raw const parameters)
        };
        if code == 0 { Ok(decoder) } else { Err(failed("decoder initialisation", code)) }
    }

    fn table(&self) -> &sys::ISVCDecoderVtbl {
        // SAFETY: the pointer came from the library, is not null and lives until `drop`; it points to the C++ object,
        // which begins with its function table.
        unsafe { &**self.raw }
    }

    pub(super) fn decode(&mut self, data: &[u8], pool: &BufferPool) -> Result<Option<I420Buffer>, CodecError> {
        let length =
            c_int::try_from(data.len()).map_err(|_| CodecError::Argument("the frame is too large".to_owned()))?;
        if length == 0 {
            return Err(CodecError::Argument("the frame is empty".to_owned()));
        }
        let decode = self.table().DecodeFrameNoDelay.ok_or_else(|| failed("decoding", "no function"))?;
        let mut planes: [*mut c_uchar; 3] = [ptr::null_mut(); 3];
        let mut info = sys::SBufferInfo::default();
        // SAFETY: the data is valid for `length` bytes and only read during the call; the library writes three plane
        // pointers and the structure.
        let state = unsafe { decode(self.raw, data.as_ptr(), length, planes.as_mut_ptr(), &raw mut info) };
        if state != 0 {
            return Err(failed("decoding", format_args!("{state:#x}")));
        }
        if info.iBufferStatus != 1 {
            return Ok(None);
        }
        // SAFETY: a status of 1 says that the union holds this.
        let memory = unsafe { info.UsrData.sSystemBuffer };
        let (Ok(width), Ok(height)) = (u32::try_from(memory.iWidth), u32::try_from(memory.iHeight)) else {
            return Err(failed("decoding", "a negative size"));
        };
        let [luma, chroma] = memory.iStride.map(|stride| stride as isize);
        let picture = ForeignPicture {
            width,
            height,
            planes: planes.map(<*mut c_uchar>::cast_const),
            strides: [luma, chroma, chroma],
            bit_depth: 8,
        };
        // SAFETY: the library's picture is valid until the next call into the decoder.
        unsafe { picture.copy_to(pool) }.map(Some)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        if let Some(uninitialise) = self.table().Uninitialize {
            // SAFETY: the library allows this in every state; the decoder is destroyed once, right after.
            unsafe { uninitialise(self.raw) };
        }
        // SAFETY: the decoder came from this library and is not used again.
        unsafe { self.library.api.WelsDestroyDecoder(self.raw) };
    }
}
