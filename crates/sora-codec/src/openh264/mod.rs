//! H.264 by Cisco's OpenH264: a library that the user names by its path, or the one that is built in.

mod ffi;

use std::fmt;

use bytes::Bytes;

use crate::{
    BufferPool, CodecError, EncodedPicture, I420Buffer, ScalabilityMode, VideoDecoder, VideoEncoder, VideoEncoderConfig,
};

/// A version of the OpenH264 library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub revision: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.revision)
    }
}

/// The oldest version whose structures are known to be laid out as this crate has them.
const OLDEST: Version = Version { major: 2, minor: 3, revision: 0 };
/// The version that changed the layout of what encoders put out.
const LAYOUT_26: Version = Version { major: 2, minor: 6, revision: 0 };
/// The library encodes nothing smaller.
const SMALLEST_SIDE: u32 = 16;

/// Why an OpenH264 library cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenH264Error {
    /// It cannot be loaded.
    #[error("OpenH264 library {path} cannot be loaded: {reason}")]
    Open {
        /// What was asked for.
        path: String,
        /// What the loader said.
        reason: String,
    },
    /// It is some other library.
    #[error("{path} is not an OpenH264 library: it has no function {symbol}")]
    NotOpenH264 {
        /// What was asked for.
        path: String,
        /// The function that is missing.
        symbol: &'static str,
    },
    /// It is too old.
    #[error("OpenH264 library {path} has version {found}; {OLDEST} or newer is needed")]
    Version {
        /// What was asked for.
        path: String,
        /// The version it says it has.
        found: Version,
    },
}

/// A loaded OpenH264 library. Cloning shares it; it stays loaded while anything made from it lives.
#[derive(Clone)]
pub struct OpenH264 {
    library: ffi::Library,
    path: Option<String>,
}

impl fmt::Debug for OpenH264 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenH264").field("path", &self.path).field("version", &self.version()).finish()
    }
}

impl OpenH264 {
    /// Loads the library at a path, or by a name that the system's loader finds.
    ///
    /// # Errors
    /// [`OpenH264Error`] if there is none, if it is another library, or if it is older than 2.3.0.
    pub fn open(path: &str) -> Result<Self, OpenH264Error> {
        Ok(Self { library: ffi::Library::open(path)?, path: Some(path.to_owned()) })
    }

    /// The library that was compiled into this program.
    #[cfg(feature = "openh264-source")]
    #[must_use]
    pub fn built_in() -> Self {
        Self { library: ffi::Library::built_in(), path: None }
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.library.version
    }

    /// Where it came from; `None` if it is built in.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub(crate) fn encoder(&self, config: VideoEncoderConfig) -> OpenH264Encoder {
        OpenH264Encoder { library: self.library.clone(), config, encoder: None, size: (0, 0) }
    }

    pub(crate) fn decoder(&self) -> Result<OpenH264Decoder, CodecError> {
        Ok(OpenH264Decoder {
            decoder: ffi::Decoder::new(&self.library)?,
            library: self.library.clone(),
            broken: false,
            pool: BufferPool::default(),
        })
    }
}

pub(crate) struct OpenH264Encoder {
    library: ffi::Library,
    config: VideoEncoderConfig,
    /// Made at the first picture, whose size it needs.
    encoder: Option<ffi::Encoder>,
    size: (u32, u32),
}

impl VideoEncoder for OpenH264Encoder {
    /// Sizes are even in H.264 with 4:2:0 pictures: the last column or row of an odd size is left out.
    fn encode(&mut self, picture: &I420Buffer, key_frame: bool) -> Result<Option<EncodedPicture>, CodecError> {
        let (width, height) = (picture.width() & !1, picture.height() & !1);
        if width < SMALLEST_SIDE || height < SMALLEST_SIDE {
            let text =
                format!("H.264 pictures have at least 16x16 pixels, got {}x{}", picture.width(), picture.height());
            return Err(CodecError::Argument(text));
        }
        let resized = self.size != (width, height);
        if resized || self.encoder.is_none() {
            self.encoder = None;
            self.encoder = Some(ffi::Encoder::new(&self.library, &self.config, width, height)?);
            self.size = (width, height);
        }
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        let encoded = encoder.encode(picture, key_frame)?;
        Ok(encoded.map(|encoded| EncodedPicture {
            data: Bytes::from(encoded.data),
            key_frame: encoded.key_frame,
            width,
            height,
            temporal: self.config.scalability.layer(encoded.temporal_id),
            spatial: Vec::new(),
        }))
    }

    fn set_rates(&mut self, bitrate_bps: u64, frame_rate: u32) -> Result<(), CodecError> {
        self.config.bitrate_bps = bitrate_bps;
        self.config.frame_rate = frame_rate.clamp(1, 240);
        match &mut self.encoder {
            Some(encoder) => encoder.set_rates(bitrate_bps, self.config.frame_rate),
            None => Ok(()),
        }
    }

    fn set_scalability(&mut self, scalability: ScalabilityMode) {
        if self.config.scalability != scalability {
            self.config.scalability = scalability;
            self.encoder = None;
        }
    }

    fn name(&self) -> &'static str {
        "OpenH264"
    }
}

pub(crate) struct OpenH264Decoder {
    library: ffi::Library,
    decoder: ffi::Decoder,
    /// It holds on to what was broken; a new one begins at the next key frame.
    broken: bool,
    pool: BufferPool,
}

impl VideoDecoder for OpenH264Decoder {
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Buffer>, CodecError> {
        if self.broken {
            if !sora_rtp::is_h264_key_frame(data) {
                return Err(CodecError::Argument("waiting for a key frame after an error".to_owned()));
            }
            self.decoder = ffi::Decoder::new(&self.library)?;
        }
        let decoded = self.decoder.decode(data, &self.pool);
        self.broken = decoded.is_err();
        decoded
    }

    fn name(&self) -> &'static str {
        "OpenH264"
    }
}
