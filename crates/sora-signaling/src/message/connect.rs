use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::DataChannelOptions;
use crate::redacted::hidden;

/// What a participant does in its channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends and receives.
    SendRecv,
    /// Only sends.
    SendOnly,
    /// Only receives.
    RecvOnly,
    /// Something else; the server decides what to say to it.
    Other(String),
}

impl Role {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Other(word) => word,
        }
    }

    /// True for the roles that send.
    #[must_use]
    pub fn sends(&self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// True for the roles that receive.
    #[must_use]
    pub fn receives(&self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

impl From<String> for Role {
    fn from(word: String) -> Self {
        match word.as_str() {
            "sendrecv" => Self::SendRecv,
            "sendonly" => Self::SendOnly,
            "recvonly" => Self::RecvOnly,
            _ => Self::Other(word),
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// The `video` object; written as plain `true` if nothing is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VideoOptions {
    /// `VP8`, `VP9`, `AV1`, `H264` or `H265`.
    pub codec_type: Option<String>,
    /// kbit/s.
    pub bit_rate: Option<i64>,
    /// `{"profile_id": 0}`
    pub vp9_params: Option<Value>,
    /// `{"profile": 0}`
    pub av1_params: Option<Value>,
    /// `{"profile_level_id": "42e01f"}`
    pub h264_params: Option<Value>,
    /// `{"level_id": 93}`
    pub h265_params: Option<Value>,
}

/// The `audio` object; written as plain `true` if nothing is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AudioOptions {
    /// `OPUS`.
    pub codec_type: Option<String>,
    /// kbit/s.
    pub bit_rate: Option<i64>,
    /// Opus settings the server mirrors into its offer.
    pub opus_params: Option<Value>,
}

/// The first message of a client. Empty strings and zeros are left out, as the reference client does.
#[derive(Clone, Default)]
pub struct Connect {
    /// What to do in the channel.
    pub role: Option<Role>,
    /// The channel, 1 to 255 bytes.
    pub channel_id: String,
    /// Name and version of the client software.
    pub sora_client: String,
    /// Operating system and machine.
    pub environment: String,
    /// True on the connection that follows a redirect.
    pub redirect: bool,
    /// The client's own name for this connection.
    pub client_id: Option<String>,
    /// Name shared by the connections of one user.
    pub bundle_id: Option<String>,
    /// Send several resolutions.
    pub simulcast: Option<bool>,
    /// Deprecated: which simulcast layer to receive.
    pub simulcast_rid: Option<String>,
    /// Which simulcast layer to receive.
    pub simulcast_request_rid: Option<String>,
    /// Receive recent speakers only.
    pub spotlight: Option<bool>,
    /// How many speakers.
    pub spotlight_number: Option<i64>,
    /// Layer for speakers.
    pub spotlight_focus_rid: Option<String>,
    /// Layer for the others.
    pub spotlight_unfocus_rid: Option<String>,
    /// Authentication data. Never shown in `Debug`.
    pub metadata: Option<Value>,
    /// Shown to the others in notifications.
    pub signaling_notify_metadata: Option<Value>,
    /// None: no video.
    pub video: Option<VideoOptions>,
    /// None: no audio.
    pub audio: Option<AudioOptions>,
    /// For the server's transcription.
    pub audio_streaming_language_code: Option<String>,
    /// Move signaling to data channels.
    pub data_channel_signaling: Option<bool>,
    /// Keep the session when the WebSocket goes.
    pub ignore_disconnect_websocket: Option<bool>,
    /// Messaging channels wanted.
    pub data_channels: Vec<DataChannelOptions>,
    /// Deprecated single filter.
    pub forwarding_filter: Option<Value>,
    /// What not to receive.
    pub forwarding_filters: Option<Value>,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("role", &self.role)
            .field("channel_id", &self.channel_id)
            .field("client_id", &self.client_id)
            .field("metadata", &hidden(self.metadata.as_ref()))
            .field("signaling_notify_metadata", &hidden(self.signaling_notify_metadata.as_ref()))
            .finish_non_exhaustive()
    }
}

struct Writer(Map<String, Value>);

impl Writer {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.set(key, value);
        }
    }

    fn flag(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    fn number(&mut self, key: &str, value: Option<i64>) {
        if let Some(value) = value.filter(|value| *value != 0) {
            self.set(key, value);
        }
    }

    fn json(&mut self, key: &str, value: Option<&Value>) {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            self.set(key, value.clone());
        }
    }

    /// `true` if nothing inside was set.
    fn or_true(self) -> Value {
        if self.0.is_empty() { Value::Bool(true) } else { Value::Object(self.0) }
    }
}

/// A string, or nothing if absent or null.
fn text(object: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("expected a string in {key:?}")),
    }
}

fn flag(object: &Map<String, Value>, key: &str) -> Result<Option<bool>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(format!("expected a boolean in {key:?}")),
    }
}

fn number(object: &Map<String, Value>, key: &str) -> Result<Option<i64>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| format!("expected an integer in {key:?}")),
    }
}

fn json(object: &Map<String, Value>, key: &str) -> Option<Value> {
    object.get(key).filter(|value| !value.is_null()).cloned()
}

impl Connect {
    /// The message as JSON, keys in the order the reference client writes them.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = Writer(Map::new());
        out.set("type", "connect");
        out.set("role", self.role.as_ref().map_or("", Role::as_str));
        out.set("channel_id", self.channel_id.as_str());
        out.set("sora_client", self.sora_client.as_str());
        out.set("environment", self.environment.as_str());
        if self.redirect {
            out.set("redirect", true);
        }
        out.text("client_id", self.client_id.as_deref());
        out.text("bundle_id", self.bundle_id.as_deref());
        out.flag("simulcast", self.simulcast);
        out.text("simulcast_rid", self.simulcast_rid.as_deref());
        out.text("simulcast_request_rid", self.simulcast_request_rid.as_deref());
        out.flag("spotlight", self.spotlight);
        out.number("spotlight_number", self.spotlight_number.filter(|n| *n > 0));
        out.text("spotlight_focus_rid", self.spotlight_focus_rid.as_deref());
        out.text("spotlight_unfocus_rid", self.spotlight_unfocus_rid.as_deref());
        out.json("metadata", self.metadata.as_ref());
        out.json("signaling_notify_metadata", self.signaling_notify_metadata.as_ref());
        out.set("video", self.video.as_ref().map_or(Value::Bool(false), VideoOptions::to_value));
        out.set("audio", self.audio.as_ref().map_or(Value::Bool(false), AudioOptions::to_value));
        out.text("audio_streaming_language_code", self.audio_streaming_language_code.as_deref());
        out.flag("data_channel_signaling", self.data_channel_signaling);
        out.flag("ignore_disconnect_websocket", self.ignore_disconnect_websocket);
        if !self.data_channels.is_empty() {
            let channels: Vec<Value> = self.data_channels.iter().map(DataChannelOptions::to_value).collect();
            out.set("data_channels", channels);
        }
        out.json("forwarding_filter", self.forwarding_filter.as_ref());
        out.json("forwarding_filters", self.forwarding_filters.as_ref());
        Value::Object(out.0).to_string()
    }

    /// Reads a `connect` message (server side).
    pub(super) fn from_object(object: &Map<String, Value>) -> Result<Self, String> {
        let text = |key| text(object, key);
        let flag = |key| flag(object, key);
        let json = |key| json(object, key);
        let data_channels = match object.get("data_channels") {
            None | Some(Value::Null) => Vec::new(),
            Some(value) => serde_json::from_value(value.clone()).map_err(|error| format!("data_channels: {error}"))?,
        };
        Ok(Self {
            role: Some(text("role")?.ok_or("expected a string in \"role\"")?.into()),
            channel_id: text("channel_id")?.ok_or("expected a string in \"channel_id\"")?,
            sora_client: text("sora_client")?.unwrap_or_default(),
            environment: text("environment")?.unwrap_or_default(),
            redirect: flag("redirect")?.unwrap_or(false),
            client_id: text("client_id")?,
            bundle_id: text("bundle_id")?,
            simulcast: flag("simulcast")?,
            simulcast_rid: text("simulcast_rid")?,
            simulcast_request_rid: text("simulcast_request_rid")?,
            spotlight: flag("spotlight")?,
            spotlight_number: number(object, "spotlight_number")?,
            spotlight_focus_rid: text("spotlight_focus_rid")?,
            spotlight_unfocus_rid: text("spotlight_unfocus_rid")?,
            metadata: json("metadata"),
            signaling_notify_metadata: json("signaling_notify_metadata"),
            video: VideoOptions::from_value(object.get("video"))?,
            audio: AudioOptions::from_value(object.get("audio"))?,
            audio_streaming_language_code: text("audio_streaming_language_code")?,
            data_channel_signaling: flag("data_channel_signaling")?,
            ignore_disconnect_websocket: flag("ignore_disconnect_websocket")?,
            data_channels,
            forwarding_filter: json("forwarding_filter"),
            forwarding_filters: json("forwarding_filters"),
        })
    }
}

impl VideoOptions {
    fn to_value(&self) -> Value {
        let mut out = Writer(Map::new());
        out.text("codec_type", self.codec_type.as_deref());
        out.number("bit_rate", self.bit_rate);
        out.json("vp9_params", self.vp9_params.as_ref());
        out.json("av1_params", self.av1_params.as_ref());
        out.json("h264_params", self.h264_params.as_ref());
        out.json("h265_params", self.h265_params.as_ref());
        out.or_true()
    }

    /// Absent means on, as the JS client relies on.
    fn from_value(value: Option<&Value>) -> Result<Option<Self>, String> {
        match value {
            Some(Value::Bool(false)) => Ok(None),
            None | Some(Value::Null | Value::Bool(true)) => Ok(Some(Self::default())),
            Some(Value::Object(video)) => Ok(Some(Self {
                codec_type: text(video, "codec_type")?,
                bit_rate: number(video, "bit_rate")?,
                vp9_params: json(video, "vp9_params"),
                av1_params: json(video, "av1_params"),
                h264_params: json(video, "h264_params"),
                h265_params: json(video, "h265_params"),
            })),
            Some(_) => Err("expected a boolean or an object in \"video\"".to_owned()),
        }
    }
}

impl AudioOptions {
    fn to_value(&self) -> Value {
        let mut out = Writer(Map::new());
        out.text("codec_type", self.codec_type.as_deref());
        out.number("bit_rate", self.bit_rate);
        out.json("opus_params", self.opus_params.as_ref());
        out.or_true()
    }

    fn from_value(value: Option<&Value>) -> Result<Option<Self>, String> {
        match value {
            Some(Value::Bool(false)) => Ok(None),
            None | Some(Value::Null | Value::Bool(true)) => Ok(Some(Self::default())),
            Some(Value::Object(audio)) => Ok(Some(Self {
                codec_type: text(audio, "codec_type")?,
                bit_rate: number(audio, "bit_rate")?,
                opus_params: json(audio, "opus_params"),
            })),
            Some(_) => Err("expected a boolean or an object in \"audio\"".to_owned()),
        }
    }
}
