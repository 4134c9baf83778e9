//! Measurements. They tell; they judge nothing.

use std::process::Command;

use clap::ValueEnum;

use crate::extension;
use crate::openh264;
use crate::process::{Outcome, run_visible};
use crate::setup::{self, Environment, Workspace};
use crate::test::OPENH264;

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
        Bench::Media => {
            let h264 = openh264::library(workspace)?;
            run_visible(workspace.cargo().args(["bench", "--profile", "dev", "-p", "sora-benches"]).env(OPENH264, h264))
        }
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
