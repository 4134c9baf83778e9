#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access_token;
mod api;
mod arguments;
mod channel;
mod close_notify;
mod codecs;
mod config;
mod counters;
mod forwarding_filter;
mod http;
mod ice;
mod participant;
mod program;
mod secret;
mod simulcast;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sora_peer::Certificate;
use tokio::net::TcpListener;

use counters::Counters;

pub use config::ServerConfig;
pub use ice::{IceServersError, IceTransportPolicy, parse_ice_servers};
pub use program::run_program;
pub use secret::Secret;
pub use tls::TlsConfig;

pub(crate) use channel::Registry;

/// What offers and reports call this server.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-devserver");

/// What every task of a server shares.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) counters: Counters,
    pub(crate) certificate: Certificate,
    pub(crate) media_addresses: Vec<IpAddr>,
    pub(crate) config: ServerConfig,
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
    /// Starts a server.
    ///
    /// # Errors
    /// If something in the configuration is invalid, an address cannot be bound or no certificate can be made.
    pub async fn start(config: ServerConfig) -> io::Result<Self> {
        config.validate()?;
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
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
