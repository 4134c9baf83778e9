//! The codecs the server forwards, with the payload types it gives them everywhere.

use serde_json::Value;
use sora_peer::Codec;
use sora_signaling::message::{AudioOptions, VideoOptions};

/// What a client gets that does not say which video codec it wants.
pub(crate) const DEFAULT_VIDEO: &str = "VP9";

/// The video codec for a `codec_type`, or `None` if the server does not know it.
pub(crate) fn video(options: &VideoOptions) -> Option<Codec> {
    let name = options.codec_type.as_deref().unwrap_or(DEFAULT_VIDEO);
    Some(match name {
        "VP8" => Codec::video(120, "VP8", ""),
        "VP9" => {
            let profile = number(options.vp9_params.as_ref(), "profile_id").unwrap_or(0);
            Codec::video(122, "VP9", &format!("profile-id={profile}"))
        }
        "AV1" => Codec::video(124, "AV1", "level-idx=5;profile=0;tier=0"),
        "H264" => {
            let profile = options.h264_params.as_ref().and_then(|p| p["profile_level_id"].as_str()).unwrap_or("42e01f");
            let fmtp = format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}");
            Codec::video(118, "H264", &fmtp)
        }
        "H265" => Codec::video(116, "H265", "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"),
        _ => return None,
    })
}

fn number(params: Option<&Value>, key: &str) -> Option<u64> {
    params?.get(key)?.as_u64()
}

/// Opus, with the client's `opus_params` mirrored into the format parameters as Sora does.
pub(crate) fn opus(options: &AudioOptions) -> Codec {
    let mut fmtp = vec!["minptime=10".to_owned(), "useinbandfec=1".to_owned()];
    if let Some(Value::Object(params)) = &options.opus_params {
        for (key, value) in params {
            let name = match key.as_str() {
                "sprop_stereo" => "sprop-stereo",
                "maxplaybackrate" | "minptime" | "ptime" | "stereo" | "useinbandfec" | "usedtx" => key,
                _ => continue,
            };
            let value = match value {
                Value::Bool(flag) => u64::from(*flag),
                other => match other.as_u64() {
                    Some(number) => number,
                    None => continue,
                },
            };
            fmtp.retain(|entry| !entry.starts_with(&format!("{name}=")));
            fmtp.push(format!("{name}={value}"));
        }
    }
    if let Some(kbps) = options.bit_rate {
        fmtp.push(format!("maxaveragebitrate={}", kbps.clamp(6, 510) * 1000));
    }
    Codec::opus(109, &fmtp.join(";"))
}
