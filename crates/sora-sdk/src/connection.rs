use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sora_media::CodecRegistry;
use sora_peer::Certificate;
use sora_signaling::SessionConfig;
use sora_transport::client::{ClientHandle, ClientOptions, spawn};
use sora_transport::websocket::ConnectOptions;

use crate::codecs;
use crate::config::{ConfigError, ConnectionConfig};
use crate::dispatcher::{ConnectionEvent, Dispatcher};
use crate::environment::environment;
use crate::runtime;
use crate::session::MediaSession;

/// Bandwidth assumed until the network has told otherwise.
const START_BITRATE: u64 = 2_500_000;
const MAX_BITRATE: u64 = 50_000_000;
/// Callbacks get this much beyond the protocol's own time limits to return.
const CALLBACK_GRACE: Duration = Duration::from_secs(2);

/// A call that the connection's state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It was disconnected before.
    #[error("Already disconnected. Please create another Sora instance to establish a new connection.")]
    Disconnected,
}

enum State {
    Idle { callback: Box<dyn FnMut(ConnectionEvent) + Send> },
    Running { handle: Option<ClientHandle> },
    Disconnected,
}

/// One connection to a channel. Dropping it disconnects without waiting.
pub struct Connection {
    config: ConnectionConfig,
    registry: Arc<CodecRegistry>,
    dispatcher: Dispatcher,
    state: Mutex<State>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("channel_id", &self.config.connect.channel_id).finish_non_exhaustive()
    }
}

/// One certificate serves the process: making one takes longer than connecting.
fn certificate() -> Result<Certificate, ConfigError> {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    if let Some(certificate) = CERTIFICATE.get() {
        return Ok(certificate.clone());
    }
    let made = Certificate::generate().map_err(|error| ConfigError::Certificate(error.to_string()))?;
    Ok(CERTIFICATE.get_or_init(|| made).clone())
}

impl Connection {
    /// A connection that has not started. `callback` is called for everything that happens, in order, on one thread
    /// of the connection's own; it may call this connection's methods.
    ///
    /// # Errors
    /// [`ConfigError`] if something in the configuration cannot be used.
    pub fn new(
        mut config: ConnectionConfig,
        registry: Arc<CodecRegistry>,
        callback: impl FnMut(ConnectionEvent) + Send + 'static,
    ) -> Result<Self, ConfigError> {
        config.check(&registry)?;
        let connect = &mut config.connect;
        if connect.sora_client.is_empty() {
            connect.sora_client = concat!("Sora Rust SDK ", env!("CARGO_PKG_VERSION")).to_owned();
        }
        if connect.environment.is_empty() {
            connect.environment = environment();
        }
        let state = Mutex::new(State::Idle { callback: Box::new(callback) });
        Ok(Self { config, registry, dispatcher: Dispatcher::default(), state })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts connecting and returns at once; what comes of it is told to the callback. A second call does nothing.
    ///
    /// # Errors
    /// [`StateError`] wrapped in a box if it was disconnected before; [`ConfigError`] if the machine has no
    /// certificate or runtime for it.
    pub fn connect(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut state = self.lock();
        match *state {
            State::Running { .. } => return Ok(()),
            State::Disconnected => return Err(Box::new(StateError::Disconnected)),
            State::Idle { .. } => {}
        }
        let runtime = runtime::handle()?;
        let options = self.options()?;
        let start_bitrate_bps = options.start_bitrate_bps;
        let State::Idle { callback } = std::mem::replace(&mut *state, State::Disconnected) else { return Ok(()) };
        self.dispatcher.start(callback)?;
        let config = &self.config;
        let handle = spawn(&runtime, options, |frames, key_frames| {
            let (dispatcher, registry) = (self.dispatcher.clone(), self.registry.clone());
            MediaSession::new(config, dispatcher, registry, start_bitrate_bps, frames, key_frames)
        });
        *state = State::Running { handle: Some(handle) };
        Ok(())
    }

    fn options(&self) -> Result<ClientOptions, ConfigError> {
        let config = &self.config;
        let agent = concat!("sora-sdk/", env!("CARGO_PKG_VERSION"));
        let mut session = SessionConfig::new(config.connect.clone());
        session.websocket_connection_timeout = config.websocket_connection_timeout;
        session.websocket_close_timeout = config.websocket_close_timeout;
        session.disconnect_wait_timeout = config.disconnect_wait_timeout;
        session.data_channel_signaling_timeout = config.data_channel_signaling_timeout;
        Ok(ClientOptions {
            urls: config.signaling_urls.clone(),
            connect: ConnectOptions {
                tls: config.tls.clone(),
                proxy: config.proxy.proxy()?,
                user_agent: config.user_agent.clone().unwrap_or_else(|| agent.to_owned()),
                timeout: config.websocket_connection_timeout,
            },
            session,
            certificate: certificate()?,
            start_bitrate_bps: config.video_bitrate_bps().map_or(START_BITRATE, |limit| limit.max(300_000)),
            max_bitrate_bps: MAX_BITRATE,
            supports: codecs::filter(self.registry.clone()),
        })
    }

    fn handle(&self) -> Option<ClientHandle> {
        match &*self.lock() {
            State::Running { handle } => handle.clone(),
            _ => None,
        }
    }

    /// Says goodbye and waits until the last callback has returned, at most for the configured time limits. Called
    /// from a callback it does not wait. Calling it again, or before [`Self::connect`], does nothing.
    pub fn disconnect(&self) {
        if let Some(limit) = self.begin_disconnect() {
            self.wait_finished(limit);
        }
    }

    /// Says goodbye without waiting. Returns how long [`Self::wait_finished`] may take; `None` if there is nothing to
    /// wait for.
    pub fn begin_disconnect(&self) -> Option<Duration> {
        let handle = match std::mem::replace(&mut *self.lock(), State::Disconnected) {
            State::Running { handle } => handle?,
            // The callback is dropped here, outside the lock: it may hold anything.
            State::Idle { .. } | State::Disconnected => return None,
        };
        handle.disconnect();
        Some(self.config.disconnect_wait_timeout + self.config.websocket_close_timeout + CALLBACK_GRACE)
    }

    /// Waits until the last callback has returned. False if it has not within `limit`.
    pub fn wait_finished(&self, limit: Duration) -> bool {
        self.dispatcher.wait_done(limit)
    }

    /// True on the thread that runs this connection's callbacks.
    #[must_use]
    pub fn is_dispatcher(&self) -> bool {
        self.dispatcher.is_current()
    }

    /// Sends a message on a `#` data channel. True if it was accepted for an open channel.
    #[must_use]
    pub fn send_data_channel(&self, label: &str, data: &[u8]) -> bool {
        self.handle().is_some_and(|handle| handle.send_message(label, data))
    }

    /// Statistics as a JSON array with the members of W3C webrtc-stats; `[]` before and after the connection.
    #[must_use]
    pub fn stats(&self) -> String {
        let stats = self.handle().map(|handle| handle.stats()).unwrap_or_default();
        serde_json::to_string(&stats).unwrap_or_else(|_| "[]".to_owned())
    }
}
