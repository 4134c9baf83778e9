//! Command line of the development server.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sora_devserver::{Options, Secret, Server, ServerConfig};
use sora_signaling::message::IceServer;
use sora_transport::UdpPorts;
use tokio::signal::unix::{SignalKind, signal};

/// A day.
const LONGEST_INTERVAL: Duration = Duration::from_secs(86_400);

/// A Sora-compatible SFU for development on one machine. Production runs on Sora.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address of signaling (/signaling) and the page (/); port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// Address of the HTTP API; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    api_listen: SocketAddr,
    /// Secret of HS256 access tokens; without it everyone is let in.
    #[arg(long)]
    jwt_secret: Option<String>,
    /// Certificate chain for wss, PEM. Not supported yet.
    #[arg(long)]
    tls_cert: Option<String>,
    /// Private key for wss, PEM. Not supported yet.
    #[arg(long)]
    tls_key: Option<String>,
    /// STUN and TURN servers to hand out: a JSON array of {"urls": [], "username": "", "credential": ""}.
    #[arg(long, value_parser = ice_servers, default_value = "[]")]
    ice_servers: IceServers,
    /// UDP ports for media, as LOW-HIGH.
    #[arg(long, value_parser = udp_ports)]
    udp_ports: Option<RangeInclusive<u16>>,
    /// Seconds between two pings on a WebSocket.
    #[arg(long, value_parser = seconds, default_value = "5")]
    ping_interval: Duration,
    /// Seconds between two requests for a client's statistics.
    #[arg(long, value_parser = seconds, default_value = "10")]
    stats_interval: Duration,
    /// Folder to record to. Not supported yet.
    #[arg(long)]
    record: Option<String>,
}

#[derive(Debug, Clone)]
struct IceServers(Vec<IceServer>);

fn ice_servers(text: &str) -> Result<IceServers, String> {
    serde_json::from_str(text).map(IceServers).map_err(|error| error.to_string())
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("SORA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,sora_devserver=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let unsupported = [
        ("--tls-cert", arguments.tls_cert.is_some()),
        ("--tls-key", arguments.tls_key.is_some()),
        ("--record", arguments.record.is_some()),
    ];
    if let Some((option, _)) = unsupported.iter().find(|(_, given)| *given) {
        eprintln!("sora-devserver: {option} is not supported yet; start without it");
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sora-devserver: {error}");
            return ExitCode::FAILURE;
        }
    };
    let options = Options {
        ping_interval: arguments.ping_interval,
        stats_interval: arguments.stats_interval,
        jwt_secret: arguments.jwt_secret.map(Secret::from),
    };
    let config = ServerConfig {
        listen: arguments.listen,
        api_listen: arguments.api_listen,
        ice_servers: arguments.ice_servers.0,
        udp_ports: UdpPorts(arguments.udp_ports),
    };
    let code = runtime.block_on(run(config, options));
    runtime.shutdown_background();
    code
}

async fn run(config: ServerConfig, options: Options) -> ExitCode {
    let public = !config.listen.ip().is_loopback();
    let server = match Server::start_with(config, options).await {
        Ok(server) => server,
        Err(error) => {
            eprintln!("sora-devserver: cannot listen: {error}");
            return ExitCode::FAILURE;
        }
    };
    if public {
        tracing::warn!("listening beyond this machine: this server has no authentication and is for development only");
    }
    let ready = serde_json::json!({
        "ready": true, "signaling_url": server.signaling_url(), "api_url": server.api_url(),
    });
    println!("{ready}");
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            eprintln!("sora-devserver: {error}");
            return ExitCode::FAILURE;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    ExitCode::SUCCESS
}
