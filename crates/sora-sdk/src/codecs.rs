use std::str::FromStr;
use std::sync::Arc;

use sora_media::{CodecRegistry, OpenH264, OpenH264Error, PreferenceError, VideoCodecPreference, VideoCodecType};
use sora_peer::{Codec, CodecFilter, Direction, MediaKind};

/// Which video codecs a program wants to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecOptions {
    /// Path of an OpenH264 library, or a name that the system's loader finds. Without one there is no H.264.
    pub openh264: Option<String>,
    /// Encoders that need hardware may be used.
    pub use_hardware_encoder: bool,
    /// Who is to encode and decode what; `None` for the best there is.
    pub preference: Option<VideoCodecPreference>,
}

impl Default for CodecOptions {
    fn default() -> Self {
        Self { openh264: None, use_hardware_encoder: true, preference: None }
    }
}

/// What [`CodecOptions::registry`] gives.
#[derive(Debug)]
pub struct Codecs {
    /// The codecs that are there and wanted.
    pub registry: CodecRegistry,
    /// Why the OpenH264 library cannot be used: there is no H.264 then, everything else works.
    pub openh264_error: Option<OpenH264Error>,
}

impl CodecOptions {
    /// Loads what is to be loaded.
    ///
    /// # Errors
    /// [`PreferenceError`] if the preference names what is not there.
    pub fn registry(&self) -> Result<Codecs, PreferenceError> {
        let mut registry = CodecRegistry::default();
        let opened = self.openh264.as_deref().filter(|path| !path.is_empty()).map(OpenH264::open).transpose();
        if let Ok(Some(library)) = &opened {
            registry.add_openh264(library);
        }
        if !self.use_hardware_encoder {
            registry.remove_hardware_encoders();
        }
        if let Some(preference) = &self.preference {
            registry.restrict(preference)?;
        }
        Ok(Codecs { registry, openh264_error: opened.err() })
    }
}

/// VP9 profile 2 has 10 bits per sample.
pub(crate) fn high_bit_depth(codec: &Codec) -> bool {
    codec.is("VP9") && codec.fmtp_value("profile-id") == Some("2")
}

/// Which codecs are accepted in offers.
pub(crate) fn filter(registry: Arc<CodecRegistry>) -> CodecFilter {
    CodecFilter::new(move |kind, offered, codec| match kind {
        MediaKind::Audio => codec.is("opus"),
        MediaKind::Video => accepts(&registry, offered, codec),
        MediaKind::Application => true,
    })
}

fn accepts(registry: &CodecRegistry, offered: Direction, codec: &Codec) -> bool {
    let Ok(codec_type) = VideoCodecType::from_str(&codec.name) else { return false };
    let there =
        (!offered.sends() || registry.decodes(codec_type)) && (!offered.receives() || registry.encodes(codec_type));
    if !there {
        tracing::warn!(codec = codec.name, "not accepted: {}", advice(codec_type));
    }
    there && is_known_profile(codec_type, codec)
}

/// What would make a codec usable.
pub(crate) fn advice(codec: VideoCodecType) -> &'static str {
    match codec {
        VideoCodecType::H264 => "H.264 needs an OpenH264 library, whose path is given as `openh264`",
        VideoCodecType::H265 => "H.265 needs a hardware codec, and there is none",
        _ => "no codec for it in this build, or the video codec preference leaves it out",
    }
}

fn is_known_profile(codec_type: VideoCodecType, codec: &Codec) -> bool {
    match codec_type {
        VideoCodecType::Vp8 | VideoCodecType::H265 => true,
        VideoCodecType::Vp9 => matches!(codec.fmtp_value("profile-id"), None | Some("0" | "2")),
        VideoCodecType::Av1 => matches!(codec.fmtp_value("profile"), None | Some("0")),
        // Baseline, main and high (RFC 6184 section 8.1): what is sent is constrained baseline, a part of all three.
        VideoCodecType::H264 => {
            let profile = codec.fmtp_value("profile-level-id").map_or("42", |id| id.get(..2).unwrap_or_default());
            let mode = codec.fmtp_value("packetization-mode") == Some("1");
            mode && ["42", "4d", "64"].iter().any(|known| profile.eq_ignore_ascii_case(known))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(name: &str, fmtp: &str, offered: Direction) -> bool {
        accepts(&CodecRegistry::default(), offered, &Codec::video(100, name, fmtp))
    }

    #[test]
    fn codecs_are_accepted_for_what_can_be_done_with_them() {
        for (name, fmtp) in [("VP8", ""), ("vp9", "profile-id=0"), ("VP9", "profile-id=2"), ("AV1", "profile=0;tier=0")]
        {
            assert!(accepted(name, fmtp, Direction::SendRecv), "{name} {fmtp}");
        }
        for (name, fmtp) in [("VP9", "profile-id=1"), ("AV1", "profile=1"), ("H264", "packetization-mode=1"), ("x", "")]
        {
            assert!(!accepted(name, fmtp, Direction::RecvOnly), "{name} {fmtp}");
        }
        assert!(accepted("H265", "", Direction::Inactive));
    }

    #[test]
    fn h264_is_accepted_in_the_profiles_that_hold_constrained_baseline() {
        let fits = |fmtp: &str| is_known_profile(VideoCodecType::H264, &Codec::video(100, "H264", fmtp));
        assert!(fits("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"));
        assert!(fits("packetization-mode=1;profile-level-id=640C1F") && fits("packetization-mode=1"));
        assert!(!fits("profile-level-id=42e01f") && !fits("packetization-mode=0;profile-level-id=42e01f"));
        assert!(
            !fits("packetization-mode=1;profile-level-id=f4001f") && !fits("packetization-mode=1;profile-level-id=é")
        );
    }

    #[test]
    fn a_missing_openh264_library_is_told_and_everything_else_works() {
        let options = CodecOptions { openh264: Some("/nonexistent.so".to_owned()), ..CodecOptions::default() };
        let codecs = options.registry().expect("codecs");
        assert!(codecs.openh264_error.is_some_and(|error| error.to_string().contains("/nonexistent.so")));
        assert!(codecs.registry.encodes(VideoCodecType::Av1) && !codecs.registry.encodes(VideoCodecType::H264));
    }
}
