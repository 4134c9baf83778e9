//! Measurements. They tell; they judge nothing.

use std::process::Command;

use clap::ValueEnum;

use crate::extension;
use crate::process::{Outcome, run_visible};
use crate::setup::{self, Environment, Workspace};

/// What to measure.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Bench {
    /// Codecs, colour, packets, resampling, by criterion.
    Media,
    /// Time to connect and to leave.
    Connections,
}

/// `cargo xtask bench NAME`.
///
/// # Errors
/// If something needed cannot be had, or the measurement fails.
pub(crate) fn bench(workspace: &Workspace, name: Bench) -> Outcome {
    setup::system_packages()?;
    match name {
        Bench::Media => run_visible(workspace.cargo().args(["bench", "-p", "sora-benches"])),
        Bench::Connections => {
            let server = workspace.devserver()?;
            let path = extension::install(workspace)?;
            let interpreter = {
                let _lock = workspace.lock()?;
                Environment { name: "main", packages: &["numpy"], path: Some(&path) }.interpreter(workspace)?
            };
            let script = workspace.root.join("benches/connections.py");
            run_visible(Command::new(interpreter).arg(script).env("SORA_DEVSERVER", server))
        }
    }
}
