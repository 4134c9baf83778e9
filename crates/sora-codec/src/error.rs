use sora_rtp::VideoCodecType;

/// Largest picture that is encoded or decoded, in pixels: 8192 by 4320.
pub const MAX_PIXELS: u64 = 8192 * 4320;

/// Why a codec could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No registered backend does this.
    #[error("{codec} {operation} is not possible here; possible is: {supported}")]
    Unsupported {
        /// The codec.
        codec: VideoCodecType,
        /// `encoding` or `decoding`.
        operation: &'static str,
        /// The codecs for which it is.
        supported: String,
    },
    /// The picture is empty or too large.
    #[error("expected a picture of 1 to {MAX_PIXELS} pixels with at most 16383 on a side, got {width}x{height}")]
    PictureSize {
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
    },
    /// The bitstream uses a pixel format this decoder does not put out.
    #[error("expected 4:2:0 pictures, the stream has another format")]
    PixelFormat,
    /// The codec library refused.
    #[error("{library}: {operation} failed: {reason}")]
    Library {
        /// Its name, such as `libvpx`.
        library: &'static str,
        /// What was tried.
        operation: &'static str,
        /// What it said.
        reason: String,
    },
    /// An argument is out of range.
    #[error("{0}")]
    Argument(String),
}
