//! The development server as a program.

use std::process::ExitCode;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn log_to_stderr() -> Result<(), ParseError> {
    let directives = std::env::var("SORA_LOG").unwrap_or_else(|_| "warn,sora_devserver=info".to_owned());
    let targets: Targets = directives.parse()?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(targets);
    tracing_subscriber::registry().with(layer).init();
    Ok(())
}

fn main() -> ExitCode {
    if let Err(error) = log_to_stderr() {
        eprintln!("sora-devserver: SORA_LOG: {error}; expected for example warn,sora_devserver=debug");
        return ExitCode::from(2);
    }
    sora_devserver::run_program(std::env::args_os()).into()
}
