//! The command line, and what the server makes of it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use sora_transport::UdpPorts;

use crate::{IceTransportPolicy, Secret, ServerConfig, TlsConfig, parse_ice_servers};

/// A day.
const LONGEST_INTERVAL: Duration = Duration::from_secs(86_400);

/// A Sora-compatible SFU for development on one machine. Production runs on Sora.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Address of signaling (/signaling) and the page (/); port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// Address of the HTTP API; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    api_listen: SocketAddr,
    /// Secret of HS256 access tokens; without it everyone is let in.
    #[arg(long)]
    jwt_secret: Option<String>,
    /// File with the certificate chain, PEM: signaling is wss then and the page https.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// File with the private key of the certificate, PEM.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// File with certificate authorities, PEM: clients have to show a certificate from one of them.
    #[arg(long, requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    // Read later: an error of the command line quotes the value, and there are passwords in it.
    /// STUN and TURN servers to hand out: a JSON array of {"urls": [], "username": "", "credential": ""}.
    #[arg(long, default_value = "[]")]
    ice_servers: String,
    /// Candidates clients may use: all, or relay for those of TURN servers only.
    #[arg(long, default_value = "all")]
    ice_transport_policy: IceTransportPolicy,
    /// UDP ports for media, as LOW-HIGH.
    #[arg(long, value_parser = udp_ports)]
    udp_ports: Option<RangeInclusive<u16>>,
    /// Signaling URL to send clients to that have not been redirected yet.
    #[arg(long)]
    redirect: Option<String>,
    /// Seconds between two pings on a WebSocket.
    #[arg(long, value_parser = seconds, default_value = "5")]
    ping_interval: Duration,
    /// Seconds between two requests for a client's statistics.
    #[arg(long, value_parser = seconds, default_value = "10")]
    stats_interval: Duration,
    /// Folder to record to. Not supported yet.
    #[arg(long)]
    record: Option<PathBuf>,
    /// End when standard input is closed, as it is when whoever started this has ended.
    #[arg(long)]
    pub(crate) end_with_stdin: bool,
}

fn udp_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let parse = |port: &str| port.trim().parse::<u16>().map_err(|error| format!("{port:?}: {error}"));
    let (low, high) = text.split_once('-').ok_or("expected LOW-HIGH, for example 40000-40100")?;
    let (low, high) = (parse(low)?, parse(high)?);
    if low == 0 || low > high { Err("expected 1 <= LOW <= HIGH".to_owned()) } else { Ok(low..=high) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if (Duration::from_millis(1)..=LONGEST_INTERVAL).contains(&duration) {
        Ok(duration)
    } else {
        Err(format!("expected 0.001 to {} seconds", LONGEST_INTERVAL.as_secs()))
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl Arguments {
    /// Reads the files named in the command line.
    ///
    /// # Errors
    /// What cannot be read or is not supported, in words for whoever started the server.
    pub(crate) fn into_config(self) -> Result<ServerConfig, String> {
        if self.record.is_some() {
            return Err("--record is not supported yet; start without it".to_owned());
        }
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificates), Some(key)) => Some(TlsConfig {
                certificates: read(certificates)?,
                private_key: Secret::from(read(key)?),
                client_authorities: self.tls_client_ca.as_deref().map(read).transpose()?,
            }),
            _ => None,
        };
        Ok(ServerConfig {
            listen: self.listen,
            api_listen: self.api_listen,
            ice_servers: parse_ice_servers(&self.ice_servers).map_err(|error| error.to_string())?,
            udp_ports: UdpPorts(self.udp_ports),
            ping_interval: self.ping_interval,
            stats_interval: self.stats_interval,
            jwt_secret: self.jwt_secret.map(Secret::from),
            tls,
            ice_transport_policy: self.ice_transport_policy,
            redirect: self.redirect,
        })
    }
}
