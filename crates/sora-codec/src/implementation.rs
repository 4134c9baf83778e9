use std::fmt;
use std::str::FromStr;

/// Who implements a codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Implementation {
    /// Software that is part of this library.
    Internal = 0,
    /// A library of Cisco's OpenH264.
    CiscoOpenH264 = 1,
    /// Intel Video Processing Library.
    IntelVpl = 2,
    /// NVIDIA Video Codec SDK.
    NvidiaVideoCodecSdk = 3,
    /// AMD Advanced Media Framework.
    AmdAmf = 4,
}

impl Implementation {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Internal, Self::CiscoOpenH264, Self::IntelVpl, Self::NvidiaVideoCodecSdk, Self::AmdAmf];

    /// The name in JSON: `internal`, `cisco_openh264`, `intel_vpl`, `nvidia_video_codec_sdk`, `amd_amf`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::CiscoOpenH264 => "cisco_openh264",
            Self::IntelVpl => "intel_vpl",
            Self::NvidiaVideoCodecSdk => "nvidia_video_codec_sdk",
            Self::AmdAmf => "amd_amf",
        }
    }

    /// True if it needs hardware of its own.
    #[must_use]
    pub const fn is_hardware(self) -> bool {
        matches!(self, Self::IntelVpl | Self::NvidiaVideoCodecSdk | Self::AmdAmf)
    }
}

impl fmt::Display for Implementation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Implementation {
    type Err = String;

    /// Reads what [`Implementation::name`] gives.
    ///
    /// # Errors
    /// The text itself if it names none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| text.to_owned())
    }
}
