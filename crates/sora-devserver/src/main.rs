//! The development server as a program.

mod arguments;

use std::process::ExitCode;

use clap::Parser;
use sora_devserver::{Server, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use arguments::Arguments;

fn log_to_stderr() -> Result<(), ParseError> {
    let directives = std::env::var("SORA_LOG").unwrap_or_else(|_| "warn,sora_devserver=info".to_owned());
    let targets: Targets = directives.parse()?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(targets);
    tracing_subscriber::registry().with(layer).init();
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = log_to_stderr() {
        eprintln!("sora-devserver: SORA_LOG: {error}; expected for example warn,sora_devserver=debug");
        return ExitCode::from(2);
    }
    let config = match arguments.into_config() {
        Ok(config) => config,
        Err(reason) => {
            eprintln!("sora-devserver: {reason}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sora-devserver: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(config));
    runtime.shutdown_background();
    code
}

async fn run(config: ServerConfig) -> ExitCode {
    let public = !config.listen.ip().is_loopback() && config.jwt_secret.is_none();
    let public_api = !config.api_listen.ip().is_loopback();
    let server = match Server::start(config).await {
        Ok(server) => server,
        Err(error) => {
            eprintln!("sora-devserver: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    if public {
        tracing::warn!("listening beyond this machine without --jwt-secret: everyone is let in");
    }
    if public_api {
        tracing::warn!("the HTTP API listens beyond this machine and has no authentication");
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
