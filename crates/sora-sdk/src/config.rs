use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sora_media::{CodecError, CodecRegistry, DegradationPreference, TrackKind, Transformer, VideoCodecType};
use sora_signaling::message::{AudioOptions, Connect, Role, VideoOptions};
use sora_transport::TlsOptions;
use sora_transport::proxy::{Proxy, ProxyError};

use crate::SentTrack;
use crate::codecs::advice;

/// What a connection is made from.
#[derive(Debug, Clone)]
pub struct ConnectionConfig {
    /// Signaling URLs (`ws` or `wss`); all are tried at once and the first to answer is used.
    pub signaling_urls: Vec<String>,
    /// The `connect` message. `sora_client` and `environment` are filled in if empty.
    pub connect: Connect,
    /// Sound to send.
    pub audio_source: Option<SentTrack>,
    /// Pictures to send.
    pub video_source: Option<SentTrack>,
    /// Sees the encoded sound before it is sent.
    pub audio_transformer: Option<Transformer>,
    /// Sees the encoded pictures before they are sent.
    pub video_transformer: Option<Transformer>,
    /// Limit for connecting the WebSocket.
    pub websocket_connection_timeout: Duration,
    /// Limit for the server's closing of the WebSocket.
    pub websocket_close_timeout: Duration,
    /// Limit for the server's closing of the data channels.
    pub disconnect_wait_timeout: Duration,
    /// `User-Agent` of the WebSocket upgrade; `None` for this library's own.
    pub user_agent: Option<String>,
    /// Certificate verification and client certificate, for `wss` and for TURN over TLS.
    pub tls: TlsOptions,
    /// HTTP proxy for signaling and for TURN over TCP and TLS. Media over UDP goes directly.
    pub proxy: ProxyConfig,
    /// What gives way when there is not enough time or bandwidth for the pictures.
    pub degradation_preference: DegradationPreference,
    /// The pictures are text and user interfaces rather than what a camera sees.
    pub screen_content: bool,
    /// Limit for signaling to move to data channels once the server has said that it will.
    pub data_channel_signaling_timeout: Duration,
}

/// An HTTP proxy; none if `url` is empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// `http://HOST:PORT`.
    pub url: String,
    /// User name for Basic authentication.
    pub username: String,
    /// Password for Basic authentication. Never shown in `Debug`.
    pub password: String,
    /// `User-Agent` told to the proxy; empty for none.
    pub agent: String,
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.rsplit('@').next().unwrap_or_default();
        f.debug_struct("ProxyConfig").field("url", &url).field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl ProxyConfig {
    pub(crate) fn proxy(&self) -> Result<Option<Proxy>, ProxyError> {
        let Self { url, username, password, agent } = self;
        (!url.is_empty()).then(|| Proxy::new(url, username, password, agent)).transpose()
    }
}

impl ConnectionConfig {
    /// Audio and video, both with the server's default codecs.
    #[must_use]
    pub fn new(signaling_urls: Vec<String>, role: Role, channel_id: &str) -> Self {
        Self {
            signaling_urls,
            connect: Connect {
                role: Some(role),
                channel_id: channel_id.to_owned(),
                audio: Some(AudioOptions::default()),
                video: Some(VideoOptions::default()),
                ..Connect::default()
            },
            audio_source: None,
            video_source: None,
            audio_transformer: None,
            video_transformer: None,
            websocket_connection_timeout: Duration::from_secs(30),
            websocket_close_timeout: Duration::from_secs(3),
            disconnect_wait_timeout: Duration::from_secs(5),
            user_agent: None,
            tls: TlsOptions::default(),
            proxy: ProxyConfig::default(),
            degradation_preference: DegradationPreference::default(),
            screen_content: false,
            data_channel_signaling_timeout: Duration::from_secs(180),
        }
    }
}

/// Why a connection cannot be made from a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is nothing to connect to.
    #[error("`signaling_urls` should not be empty")]
    NoUrls,
    /// A source carries something else than its name says.
    #[error("{name}: expected a track of {expected}, got one of {found}")]
    Source {
        /// `audio_source` or `video_source`.
        name: &'static str,
        /// What it should carry.
        expected: TrackKind,
        /// What it carries.
        found: TrackKind,
    },
    /// The proxy URL cannot be used.
    #[error("proxy_url: {0}")]
    Proxy(#[from] ProxyError),
    /// No certificate, no random numbers.
    #[error("no DTLS certificate: {0}")]
    Certificate(String),
    /// The async runtime could not be started.
    #[error("no async runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// The pictures of the source could not be sent.
    #[error("video_codec_type: {codec} cannot be encoded: {advice}")]
    NoEncoder {
        /// The codec that was asked for.
        codec: VideoCodecType,
        /// What would help.
        advice: &'static str,
    },
    /// A codec could not be set up.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl ConnectionConfig {
    /// The limit for video in bits per second.
    pub(crate) fn video_bitrate_bps(&self) -> Option<u64> {
        let kbps = self.connect.video.as_ref()?.bit_rate.filter(|kbps| *kbps > 0)?;
        u64::try_from(kbps).ok().map(|kbps| kbps * 1000)
    }

    /// # Errors
    /// What keeps a connection from being made from this.
    pub(crate) fn check(&self, registry: &CodecRegistry) -> Result<(), ConfigError> {
        if self.signaling_urls.is_empty() {
            return Err(ConfigError::NoUrls);
        }
        let sources = [
            ("audio_source", TrackKind::Audio, &self.audio_source),
            ("video_source", TrackKind::Video, &self.video_source),
        ];
        for (name, expected, source) in sources {
            if let Some(found) = source.as_ref().map(|source| source.track().kind()).filter(|found| *found != expected)
            {
                return Err(ConfigError::Source { name, expected, found });
            }
        }
        let wanted = self.connect.video.as_ref().and_then(|video| video.codec_type.as_deref());
        if let Some(codec) = wanted.and_then(|name| VideoCodecType::from_str(name).ok())
            && self.video_source.is_some()
            && !registry.encodes(codec)
        {
            return Err(ConfigError::NoEncoder { codec, advice: advice(codec) });
        }
        self.proxy.proxy()?;
        Ok(())
    }
}
