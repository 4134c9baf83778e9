use std::sync::Arc;
use std::time::Duration;

use sora_media::{AudioSource, CodecError, VideoSource};
use sora_signaling::message::{AudioOptions, Connect, Role, VideoOptions};
use sora_transport::TlsOptions;
use sora_transport::proxy::Proxy;

/// What a connection is made from.
#[derive(Debug, Clone)]
pub struct ConnectionConfig {
    /// Signaling URLs (`ws` or `wss`); all are tried at once and the first to answer is used.
    pub signaling_urls: Vec<String>,
    /// The `connect` message. `sora_client` and `environment` are filled in if empty.
    pub connect: Connect,
    /// Sound to send.
    pub audio_source: Option<Arc<AudioSource>>,
    /// Pictures to send.
    pub video_source: Option<Arc<VideoSource>>,
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
    pub proxy: Option<Proxy>,
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
            websocket_connection_timeout: Duration::from_secs(30),
            websocket_close_timeout: Duration::from_secs(3),
            disconnect_wait_timeout: Duration::from_secs(5),
            user_agent: None,
            tls: TlsOptions::default(),
            proxy: None,
        }
    }
}

/// Why a connection cannot be made from a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is nothing to connect to.
    #[error("`signaling_urls` should not be empty")]
    NoUrls,
    /// No certificate, no random numbers.
    #[error("no DTLS certificate: {0}")]
    Certificate(String),
    /// The async runtime could not be started.
    #[error("no async runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// A codec could not be set up.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
