use std::io;
use std::time::Duration;

use url::Url;

use crate::{IceTransportPolicy, Secret, TlsConfig};

/// What a server does beyond listening. Every member has a default: an open server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Time between two `ping` messages on a WebSocket.
    pub ping_interval: Duration,
    /// Time between two requests for a client's statistics.
    pub stats_interval: Duration,
    /// Secret that access tokens are signed with; `None` lets everyone in.
    pub jwt_secret: Option<Secret>,
    /// TLS for signaling and the page; `None` is plain ws and http.
    pub tls: Option<TlsConfig>,
    /// Handed to clients in offers.
    pub ice_transport_policy: IceTransportPolicy,
    /// Signaling URL of another server. Clients are sent there unless they say that they have been redirected.
    pub redirect: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        // Real Sora pings at about this pace.
        Self {
            ping_interval: Duration::from_secs(5),
            stats_interval: Duration::from_secs(10),
            jwt_secret: None,
            tls: None,
            ice_transport_policy: IceTransportPolicy::All,
            redirect: None,
        }
    }
}

impl Options {
    /// Says what cannot work before anything is started.
    pub(crate) fn validate(&self) -> io::Result<()> {
        let invalid = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        if self.ping_interval.is_zero() || self.stats_interval.is_zero() {
            return invalid("expected intervals longer than zero");
        }
        if self.jwt_secret.as_ref().is_some_and(|secret| secret.as_bytes().is_empty()) {
            return invalid("expected a JWT secret that is not empty");
        }
        if self.redirect.as_deref().is_some_and(|url| !is_signaling_url(url)) {
            return invalid("expected a ws or wss URL to redirect to");
        }
        Ok(())
    }
}

fn is_signaling_url(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "ws" | "wss") && url.host_str().is_some())
}
