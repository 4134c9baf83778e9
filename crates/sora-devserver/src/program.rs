//! The server as a program.

use std::ffi::OsString;

use clap::Parser;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Arguments;
use crate::{Server, ServerConfig};

/// Runs the program `sora-devserver` with a command line, of which the first word is the name to show, until SIGINT or
/// SIGTERM. Returns its exit status. Prints one line of JSON with its URLs once it listens; `--help` lists the options.
///
/// Logs through `tracing`; takes over the process's handling of both signals.
pub fn run_program(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let end_with_stdin = arguments.end_with_stdin;
    let config = match arguments.into_config() {
        Ok(config) => config,
        Err(reason) => {
            eprintln!("sora-devserver: {reason}");
            return 2;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sora-devserver: {error}");
            return 1;
        }
    };
    let code = runtime.block_on(run(config, end_with_stdin));
    runtime.shutdown_background();
    code
}

async fn run(config: ServerConfig, end_with_stdin: bool) -> u8 {
    let public = !config.listen.ip().is_loopback() && config.jwt_secret.is_none();
    let public_api = !config.api_listen.ip().is_loopback();
    // Before anybody is told that it runs, and may end it.
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = signals else {
        eprintln!("sora-devserver: cannot take SIGTERM and SIGINT");
        return 1;
    };
    let server = match Server::start(config).await {
        Ok(server) => server,
        Err(error) => {
            eprintln!("sora-devserver: cannot start: {error}");
            return 1;
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
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_closes(), if end_with_stdin => {}
    }
    0
}

async fn stdin_closes() {
    let (mut stdin, mut unused) = (tokio::io::stdin(), [0; 1024]);
    while stdin.read(&mut unused).await.is_ok_and(|count| count > 0) {}
}
