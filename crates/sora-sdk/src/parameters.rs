//! Every parameter of a connection, defined once: the builder methods of [`ConnectionConfig`], the table other
//! languages make their arguments from, and the place of each value in the `connect` message follow from it.

use std::time::Duration;

use serde_json::Value;
use sora_media::{DegradationPreference, Transformer};
use sora_signaling::message::{DataChannelOptions, Role};
use sora_transport::Pem;

use crate::{ConnectionConfig, SentTrack};

/// A parameter of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in every language.
    pub name: &'static str,
    /// What it takes.
    pub kind: ParameterKind,
    /// JSON pointer (RFC 6901) to its value in the `connect` message; `None` if it is not sent.
    pub json: Option<&'static str>,
    /// What it is for.
    pub doc: &'static str,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident($type:ty);)*) => {
        /// What a parameter takes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ParameterKind { $($(#[doc = $doc])+ $kind,)* }

        /// A value for [`ConnectionConfig::set`].
        #[derive(Debug, Clone)]
        pub enum ParameterValue { $($(#[doc = $doc])+ $kind($type),)* }

        impl ParameterValue {
            /// What it is a value of.
            #[must_use]
            pub fn kind(&self) -> ParameterKind {
                match self { $(Self::$kind(_) => ParameterKind::$kind,)* }
            }
        }

        macro_rules! type_of { $(($kind) => { $type };)* }
    };
}

kinds! {
    /// A list of URLs.
    Urls(Vec<String>);
    /// A role.
    Role(Role);
    /// Text; empty is not sent.
    Text(String);
    /// Yes or no.
    Flag(bool);
    /// A number; 0 is not sent.
    Integer(i64);
    /// A time limit.
    Seconds(Duration);
    /// Any JSON value.
    Json(Value);
    /// A forwarding filter.
    ForwardingFilter(Value);
    /// Messaging channels.
    DataChannels(Vec<DataChannelOptions>);
    /// A source of sound.
    AudioSource(SentTrack);
    /// A source of pictures.
    VideoSource(SentTrack);
    /// A transformer of encoded sound.
    AudioTransformer(Transformer);
    /// A transformer of encoded pictures.
    VideoTransformer(Transformer);
    /// PEM, as text or in a file.
    Pem(Pem);
    /// What gives way when there is not enough time or bandwidth.
    Degradation(DegradationPreference);
}

/// Why [`ConnectionConfig::set`] did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// There is no such parameter.
    #[error("there is no parameter {0:?}")]
    Unknown(String),
    /// It takes something else.
    #[error("{name} takes {expected:?}, not {found:?}")]
    Kind {
        /// The parameter.
        name: &'static str,
        /// What it takes.
        expected: ParameterKind,
        /// What was given.
        found: ParameterKind,
    },
}

macro_rules! pointer {
    () => {
        None
    };
    ($json:literal) => {
        Some($json)
    };
}

macro_rules! parameters {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident $(=> $json:literal)?, |$config:ident, $value:ident| $apply:expr;)*) => {
        /// All parameters, in the order their values may be given by position.
        pub const PARAMETERS: &[Parameter] = &[$(Parameter {
            name: stringify!($name),
            kind: ParameterKind::$kind,
            json: pointer!($($json)?),
            doc: concat!($($doc),+),
        },)*];

        /// One method per parameter.
        impl ConnectionConfig {
            $($(#[doc = $doc])+
            #[must_use]
            pub fn $name(mut self, value: impl Into<type_of!($kind)>) -> Self {
                let ($config, $value): (&mut Self, type_of!($kind)) = (&mut self, value.into());
                $apply;
                self
            })*

            /// Sets a parameter by name. Options of audio or video are without effect while it is off.
            ///
            /// # Errors
            /// [`ParameterError`] if there is no such parameter or it takes something else.
            pub fn set(&mut self, name: &str, value: ParameterValue) -> Result<(), ParameterError> {
                match (name, value) {
                    $((stringify!($name), ParameterValue::$kind($value)) => {
                        let $config = self;
                        $apply;
                        Ok(())
                    })*
                    (name, value) => Err(refusal(name, &value)),
                }
            }
        }
    };
}

fn refusal(name: &str, value: &ParameterValue) -> ParameterError {
    match PARAMETERS.iter().find(|parameter| parameter.name == name) {
        None => ParameterError::Unknown(name.to_owned()),
        Some(parameter) => ParameterError::Kind { name: parameter.name, expected: parameter.kind, found: value.kind() },
    }
}

parameters! {
    /// Signaling URLs (ws or wss); all are tried at once and the first to answer is used.
    signaling_urls: Urls, |config, value| config.signaling_urls = value;
    /// sendonly, recvonly or sendrecv.
    role: Role => "/role", |config, value| config.connect.role = Some(value);
    /// The channel to join, 1 to 255 bytes.
    channel_id: Text => "/channel_id", |config, value| config.connect.channel_id = value;
    /// The program's own name for this connection, shown to the others; at most 255 bytes.
    client_id: Text => "/client_id", |config, value| config.connect.client_id = Some(value);
    /// Name shared by the connections of one user, which do not receive each other; at most 255 bytes.
    bundle_id: Text => "/bundle_id", |config, value| config.connect.bundle_id = Some(value);
    /// Authentication data: any JSON value, for example {"access_token": TOKEN}. Never logged.
    metadata: Json => "/metadata", |config, value| config.connect.metadata = Some(value);
    /// Shown to the others in notifications: any JSON value.
    signaling_notify_metadata: Json => "/signaling_notify_metadata",
        |config, value| config.connect.signaling_notify_metadata = Some(value);
    /// Sound to send: a source, or a track that another connection receives.
    audio_source: AudioSource, |config, value| config.audio_source = Some(value);
    /// Pictures to send: a source, or a track that another connection receives.
    video_source: VideoSource, |config, value| config.video_source = Some(value);
    /// Sees the encoded sound before it is sent.
    audio_frame_transformer: AudioTransformer, |config, value| config.audio_transformer = Some(value);
    /// Sees the encoded pictures before they are sent.
    video_frame_transformer: VideoTransformer, |config, value| config.video_transformer = Some(value);
    /// Whether sound is sent and received; it is unless this is false.
    audio: Flag => "/audio", |config, value| config.connect.audio = value.then(Default::default);
    /// Whether pictures are sent and received; they are unless this is false.
    video: Flag => "/video", |config, value| config.connect.video = value.then(Default::default);
    /// Codec for sound: OPUS; the server's choice if not given.
    audio_codec_type: Text => "/audio/codec_type",
        |config, value| if let Some(audio) = &mut config.connect.audio { audio.codec_type = Some(value) };
    /// Codec for pictures: VP8, VP9, AV1, H264 or H265; the server's choice if not given, VP9 for Sora.
    video_codec_type: Text => "/video/codec_type",
        |config, value| if let Some(video) = &mut config.connect.video { video.codec_type = Some(value) };
    /// Bit rate of pictures in kbit/s, 1 to 50000; the server's choice if not given.
    video_bit_rate: Integer => "/video/bit_rate",
        |config, value| if let Some(video) = &mut config.connect.video { video.bit_rate = Some(value) };
    /// Bit rate of sound in kbit/s, 6 to 510; the server's choice if not given.
    audio_bit_rate: Integer => "/audio/bit_rate",
        |config, value| if let Some(audio) = &mut config.connect.audio { audio.bit_rate = Some(value) };
    /// VP9 settings, for example {"profile_id": 0}.
    video_vp9_params: Json => "/video/vp9_params",
        |config, value| if let Some(video) = &mut config.connect.video { video.vp9_params = Some(value) };
    /// AV1 settings, for example {"profile": 0}.
    video_av1_params: Json => "/video/av1_params",
        |config, value| if let Some(video) = &mut config.connect.video { video.av1_params = Some(value) };
    /// H.264 settings, for example {"profile_level_id": "42e01f"}.
    video_h264_params: Json => "/video/h264_params",
        |config, value| if let Some(video) = &mut config.connect.video { video.h264_params = Some(value) };
    /// Opus settings, which the server puts into its offer, for example {"stereo": true, "usedtx": true}.
    audio_opus_params: Json => "/audio/opus_params",
        |config, value| if let Some(audio) = &mut config.connect.audio { audio.opus_params = Some(value) };
    /// Send pictures in several sizes, of which each receiver gets one.
    simulcast: Flag => "/simulcast", |config, value| config.connect.simulcast = Some(value);
    /// Receive recent speakers only.
    spotlight: Flag => "/spotlight", |config, value| config.connect.spotlight = Some(value);
    /// How many speakers are received, 1 to 8.
    spotlight_number: Integer => "/spotlight_number", |config, value| config.connect.spotlight_number = Some(value);
    /// Simulcast layer to receive: r0, r1 or r2. Newer servers read simulcast_request_rid.
    simulcast_rid: Text => "/simulcast_rid", |config, value| config.connect.simulcast_rid = Some(value);
    /// Simulcast layer to receive: none, r0, r1 or r2.
    simulcast_request_rid: Text => "/simulcast_request_rid",
        |config, value| config.connect.simulcast_request_rid = Some(value);
    /// Simulcast layer to receive of speakers: none, r0, r1 or r2.
    spotlight_focus_rid: Text => "/spotlight_focus_rid",
        |config, value| config.connect.spotlight_focus_rid = Some(value);
    /// Simulcast layer to receive of the others: none, r0, r1 or r2.
    spotlight_unfocus_rid: Text => "/spotlight_unfocus_rid",
        |config, value| config.connect.spotlight_unfocus_rid = Some(value);
    /// What to receive and what not: rules of field, operator and values. Newer servers read forwarding_filters.
    forwarding_filter: ForwardingFilter => "/forwarding_filter",
        |config, value| config.connect.forwarding_filter = Some(value);
    /// What to receive and what not: a list of filters.
    forwarding_filters: Json => "/forwarding_filters",
        |config, value| config.connect.forwarding_filters = Some(value);
    /// Channels for messages of the program: label (begins with #), direction (sendonly, recvonly, sendrecv), and as wanted
    /// ordered, max_packet_life_time, max_retransmits, protocol, compress, header.
    data_channels: DataChannels => "/data_channels", |config, value| config.connect.data_channels = value;
    /// Move signaling to data channels.
    data_channel_signaling: Flag => "/data_channel_signaling",
        |config, value| config.connect.data_channel_signaling = Some(value);
    /// Go on without the WebSocket once signaling has moved.
    ignore_disconnect_websocket: Flag => "/ignore_disconnect_websocket",
        |config, value| config.connect.ignore_disconnect_websocket = Some(value);
    /// Limit for signaling to move to data channels, in seconds; 180 if not given.
    data_channel_signaling_timeout: Seconds, |config, value| config.data_channel_signaling_timeout = value;
    /// Limit for the server's closing of the data channels, in seconds; 5 if not given.
    disconnect_wait_timeout: Seconds, |config, value| config.disconnect_wait_timeout = value;
    /// Limit for the server's closing of the WebSocket, in seconds; 3 if not given.
    websocket_close_timeout: Seconds, |config, value| config.websocket_close_timeout = value;
    /// Limit for connecting the WebSocket, in seconds; 30 if not given.
    websocket_connection_timeout: Seconds, |config, value| config.websocket_connection_timeout = value;
    /// Language that is spoken, for the server's transcription, for example ja-JP.
    audio_streaming_language_code: Text => "/audio_streaming_language_code",
        |config, value| config.connect.audio_streaming_language_code = Some(value);
    /// Accept any server certificate. For tests only.
    insecure: Flag, |config, value| config.tls.insecure = value;
    /// Certificate chain to show to a server that asks for one: a path, or PEM itself.
    client_cert: Pem, |config, value| config.tls.client_cert = Some(value);
    /// Private key of client_cert: a path, or PEM itself. Never logged.
    client_key: Pem, |config, value| config.tls.client_key = Some(value);
    /// Certificates of the authorities to trust instead of the system's: a path, or PEM itself.
    ca_cert: Pem, |config, value| config.tls.ca_cert = Some(value);
    /// HTTP proxy (http://HOST:PORT) for signaling and for TURN over TCP and TLS.
    proxy_url: Text, |config, value| config.proxy.url = value;
    /// User name for the proxy.
    proxy_username: Text, |config, value| config.proxy.username = value;
    /// Password for the proxy. Never logged.
    proxy_password: Text, |config, value| config.proxy.password = value;
    /// User-Agent told to the proxy; none if not given.
    proxy_agent: Text, |config, value| config.proxy.agent = value;
    /// What gives way when there is not enough time or bandwidth for the pictures: their size, their number, or both.
    degradation_preference: Degradation, |config, value| config.degradation_preference = value;
    /// User-Agent of the WebSocket upgrade; this library's own if not given.
    user_agent: Text, |config, value| config.user_agent = Some(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(kind: ParameterKind) -> Option<(ParameterValue, Value)> {
        let json = serde_json::json!({"a": [1, 9_007_199_254_740_993_u64, 0.1, "\u{0}あ"]});
        let channel = r##"[{"label": "#a", "direction": "sendrecv"}]"##;
        Some(match kind {
            ParameterKind::Role => (ParameterValue::Role("recvonly".to_owned().into()), "recvonly".into()),
            ParameterKind::Text => (ParameterValue::Text("text".to_owned()), "text".into()),
            ParameterKind::Flag => (ParameterValue::Flag(true), true.into()),
            ParameterKind::Integer => (ParameterValue::Integer(7), 7.into()),
            ParameterKind::Json => (ParameterValue::Json(json.clone()), json),
            ParameterKind::ForwardingFilter => (ParameterValue::ForwardingFilter(json.clone()), json),
            ParameterKind::DataChannels => {
                let channels = serde_json::from_str(channel).ok()?;
                (ParameterValue::DataChannels(channels), serde_json::from_str(channel).ok()?)
            }
            _ => return None,
        })
    }

    fn config() -> ConnectionConfig {
        ConnectionConfig::new(vec!["ws://x".to_owned()], Role::SendRecv, "channel")
    }

    #[test]
    fn every_parameter_that_is_sent_arrives_at_its_place_unchanged() {
        for parameter in PARAMETERS {
            let Some(pointer) = parameter.json else { continue };
            let mut config = config();
            let (value, expected) = example(parameter.kind).expect("kinds that are sent have an example");
            config.set(parameter.name, value).expect(parameter.name);
            let message: Value = serde_json::from_str(&config.connect.to_json()).expect("JSON");
            assert_eq!(message.pointer(pointer), Some(&expected), "{}", parameter.name);
        }
    }

    #[test]
    fn parameters_that_are_not_sent_leave_the_message_alone() {
        let before = config().connect.to_json();
        for parameter in PARAMETERS.iter().filter(|parameter| parameter.json.is_none()) {
            let value = match parameter.kind {
                ParameterKind::Seconds => ParameterValue::Seconds(Duration::from_secs(1)),
                ParameterKind::Pem => ParameterValue::Pem(Pem::Text(b"x"[..].into())),
                ParameterKind::Degradation => ParameterValue::Degradation(DegradationPreference::Balanced),
                kind => match example(kind) {
                    Some((value, _)) => value,
                    None => continue,
                },
            };
            let mut config = config();
            config.set(parameter.name, value).expect(parameter.name);
            assert_eq!(config.connect.to_json(), before, "{}", parameter.name);
        }
    }

    #[test]
    fn builder_methods_do_what_set_does() {
        let built = config().client_id("me").video_bit_rate(500).insecure(true).metadata("token").audio(false);
        let mut set = config();
        set.set("client_id", ParameterValue::Text("me".to_owned())).expect("set");
        set.set("video_bit_rate", ParameterValue::Integer(500)).expect("set");
        set.set("metadata", ParameterValue::Json("token".into())).expect("set");
        set.set("audio", ParameterValue::Flag(false)).expect("set");
        assert_eq!(built.connect.to_json(), set.connect.to_json());
        assert!(built.tls.insecure && !set.tls.insecure);
    }

    #[test]
    fn what_cannot_be_set_is_told() {
        let refused = config().set("nonsense", ParameterValue::Flag(true));
        assert_eq!(refused, Err(ParameterError::Unknown("nonsense".to_owned())));
        let refused = config().set("client_id", ParameterValue::Flag(true)).expect_err("refused").to_string();
        assert_eq!(refused, "client_id takes Text, not Flag");
    }
}
