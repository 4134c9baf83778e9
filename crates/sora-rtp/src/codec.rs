//! Names of the video codecs that Sora negotiates.

use std::fmt;
use std::str::FromStr;

/// A video codec by the name it has in SDP and in Sora's `connect` message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VideoCodecType {
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// AV1.
    Av1,
    /// H.264 (RFC 6184).
    H264,
    /// H.265 (RFC 7798).
    H265,
}

impl VideoCodecType {
    /// Every codec, in Sora's order of preference.
    pub const ALL: [Self; 5] = [Self::Vp9, Self::Vp8, Self::Av1, Self::H264, Self::H265];

    /// The encoding name in `a=rtpmap` (`VP8`, `VP9`, `AV1`, `H264`, `H265`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::H264 => "H264",
            Self::H265 => "H265",
        }
    }
}

impl fmt::Display for VideoCodecType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for VideoCodecType {
    type Err = String;

    /// Reads an SDP encoding name, in any case.
    ///
    /// # Errors
    /// The text itself if it names none of the five codecs.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text)).ok_or_else(|| text.to_owned())
    }
}
