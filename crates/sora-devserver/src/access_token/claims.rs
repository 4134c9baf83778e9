use std::time::Duration;

use serde_json::{Map, Value};
use sora_signaling::message::{AudioOptions, Connect, VideoOptions};

use super::Refused;
use crate::simulcast::Encodings;

/// A year; longer limits are mistakes.
const LONGEST_LIFETIME: u64 = 365 * 86_400;

/// What a token grants. Claims not named here have no meaning to this server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Claims {
    channel_id: String,
    exp: Option<f64>,
    nbf: Option<f64>,
    audio: Option<bool>,
    video: Option<bool>,
    video_codec_type: Option<String>,
    video_bit_rate: Option<i64>,
    simulcast: Option<bool>,
    simulcast_request_rid: Option<String>,
    pub(super) simulcast_encodings: Option<Encodings>,
    pub(super) connection_lifetime: Option<Duration>,
}

/// Nothing if the claim is absent, refused if it has another type.
fn claim<'a, T>(
    claims: &'a Map<String, Value>,
    name: &str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, Refused> {
    claims.get(name).map(|value| read(value).ok_or(Refused::Invalid)).transpose()
}

fn encodings(value: &Value) -> Option<Encodings> {
    match Encodings::parse(value) {
        Ok(encodings) => Some(encodings),
        Err(error) => {
            tracing::info!(%error, "simulcast_encodings refused");
            None
        }
    }
}

impl Claims {
    pub(super) fn parse(claims: &Map<String, Value>) -> Result<Self, Refused> {
        let lifetime = claim(claims, "connection_lifetime", Value::as_u64)?;
        if lifetime.is_some_and(|seconds| !(1..=LONGEST_LIFETIME).contains(&seconds)) {
            return Err(Refused::Invalid);
        }
        Ok(Self {
            channel_id: claim(claims, "channel_id", Value::as_str)?.ok_or(Refused::Invalid)?.to_owned(),
            exp: claim(claims, "exp", Value::as_f64)?,
            nbf: claim(claims, "nbf", Value::as_f64)?,
            audio: claim(claims, "audio", Value::as_bool)?,
            video: claim(claims, "video", Value::as_bool)?,
            video_codec_type: claim(claims, "video_codec_type", Value::as_str)?.map(str::to_owned),
            video_bit_rate: claim(claims, "video_bit_rate", Value::as_i64)?,
            simulcast: claim(claims, "simulcast", Value::as_bool)?,
            simulcast_request_rid: claim(claims, "simulcast_request_rid", Value::as_str)?.map(str::to_owned),
            simulcast_encodings: claim(claims, "simulcast_encodings", encodings)?,
            connection_lifetime: lifetime.map(Duration::from_secs),
        })
    }

    pub(super) fn check(&self, channel_id: &str, now: f64) -> Result<(), Refused> {
        if self.exp.is_some_and(|exp| now >= exp) {
            return Err(Refused::Expired);
        }
        if self.nbf.is_some_and(|nbf| now < nbf) {
            return Err(Refused::NotYetValid);
        }
        if self.channel_id == channel_id { Ok(()) } else { Err(Refused::OtherChannel) }
    }

    /// What the token says goes before what the client asks for, as with Sora's authentication webhook.
    pub(super) fn apply(&self, connect: &mut Connect) {
        match self.audio {
            Some(true) if connect.audio.is_none() => connect.audio = Some(AudioOptions::default()),
            Some(false) => connect.audio = None,
            _ => {}
        }
        match self.video {
            Some(true) if connect.video.is_none() => connect.video = Some(VideoOptions::default()),
            Some(false) => connect.video = None,
            _ => {}
        }
        if let Some(video) = &mut connect.video {
            if let Some(codec_type) = &self.video_codec_type {
                video.codec_type = Some(codec_type.clone());
            }
            video.bit_rate = self.video_bit_rate.or(video.bit_rate);
        }
        connect.simulcast = self.simulcast.or(connect.simulcast);
        if self.simulcast_request_rid.is_some() {
            connect.simulcast_request_rid.clone_from(&self.simulcast_request_rid);
        }
    }
}
