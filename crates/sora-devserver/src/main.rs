//! The development server as a program.

mod arguments;

use std::process::ExitCode;

use clap::Parser;
use sora_devserver::{Options, Server, ServerConfig};
use tokio::signal::unix::{SignalKind, signal};

use arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("SORA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,sora_devserver=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let (config, options) = match arguments.into_config() {
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
    let code = runtime.block_on(run(config, options));
    runtime.shutdown_background();
    code
}

async fn run(config: ServerConfig, options: Options) -> ExitCode {
    let public = !config.listen.ip().is_loopback() && options.jwt_secret.is_none();
    let public_api = !config.api_listen.ip().is_loopback();
    let server = match Server::start_with(config, options).await {
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
