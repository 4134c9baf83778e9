use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sora_signaling::message::IceServer;
use sora_transport::UdpPorts;
use url::Url;

use crate::{IceTransportPolicy, Secret, TlsConfig, ice};

/// How a server runs. The default is an open server on free ports of loopback.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address of signaling and the page; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Address of the HTTP API; port 0 picks a free one.
    pub api_listen: SocketAddr,
    /// Handed to clients in offers.
    pub ice_servers: Vec<IceServer>,
    /// Where to take UDP ports from.
    pub udp_ports: UdpPorts,
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

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            api_listen: (Ipv4Addr::LOCALHOST, 0).into(),
            ice_servers: Vec::new(),
            udp_ports: UdpPorts::default(),
            // Real Sora pings at about this pace.
            ping_interval: Duration::from_secs(5),
            stats_interval: Duration::from_secs(10),
            jwt_secret: None,
            tls: None,
            ice_transport_policy: IceTransportPolicy::All,
            redirect: None,
        }
    }
}

impl ServerConfig {
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
        ice::validate(&self.ice_servers, self.ice_transport_policy)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

fn is_signaling_url(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "ws" | "wss") && url.host_str().is_some())
}
