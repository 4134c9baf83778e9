#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access_token;
mod api;
mod channel;
mod close_notify;
mod codecs;
mod counters;
mod forwarding_filter;
mod http;
mod ice;
mod options;
mod participant;
mod secret;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sora_peer::Certificate;
use sora_signaling::message::IceServer;
use sora_transport::UdpPorts;
use tokio::net::TcpListener;

use counters::Counters;

pub use ice::{IceServersError, IceTransportPolicy, parse_ice_servers};
pub use options::Options;
pub use secret::Secret;
pub use tls::TlsConfig;

pub(crate) use channel::Registry;

/// What offers and reports call this server.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-devserver");

/// How a server runs.
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
}

/// What every task of a server shares.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) counters: Counters,
    pub(crate) certificate: Certificate,
    pub(crate) media_addresses: Vec<IpAddr>,
    pub(crate) config: ServerConfig,
    pub(crate) options: Options,
}

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct Server {
    signaling: SocketAddr,
    is_tls: bool,
    api: SocketAddr,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Server {
    /// Starts an open server.
    ///
    /// # Errors
    /// If an address cannot be bound or no certificate can be made.
    pub async fn start(config: ServerConfig) -> io::Result<Self> {
        Self::start_with(config, Options::default()).await
    }

    /// Starts a server that does what the options say.
    ///
    /// # Errors
    /// If an option is invalid, an address cannot be bound or no certificate can be made.
    pub async fn start_with(config: ServerConfig, options: Options) -> io::Result<Self> {
        options.validate()?;
        ice::validate(&config.ice_servers, options.ice_transport_policy)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let tls = options.tls.as_ref().map(tls::acceptor).transpose()?;
        let is_tls = tls.is_some();
        let signaling_listener = TcpListener::bind(config.listen).await?;
        let api_listener = TcpListener::bind(config.api_listen).await?;
        let signaling = signaling_listener.local_addr()?;
        let api = api_listener.local_addr()?;
        let media_addresses =
            if signaling.ip().is_unspecified() { sora_transport::local_addresses(true) } else { vec![signaling.ip()] };
        let certificate = Certificate::generate().map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            registry: Registry::default(),
            counters: Counters::default(),
            certificate,
            media_addresses,
            config,
            options,
        });
        let tasks = [
            tokio::spawn(http::serve_signaling(signaling_listener, tls, shared.clone())),
            tokio::spawn(http::serve_api(api_listener, shared)),
        ];
        Ok(Self { signaling, is_tls, api, tasks })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn signaling_url(&self) -> String {
        let scheme = if self.is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}/signaling", self.signaling)
    }

    /// Where the HTTP API is.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}/", self.api)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
