//! Measurements. They tell; they judge nothing.

use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::extension;
use crate::interop::REFERENCE;
use crate::openh264;
use crate::process::{Outcome, on_path, run_visible};
use crate::setup::{self, Environment, Workspace};
use crate::test::OPENH264;

/// What to measure.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Bench {
    /// Codecs, colour, packets, resampling, by criterion.
    Media,
    /// Time to connect and to leave.
    Connections,
    /// Time the interpreter takes to end, from every state a program can be in.
    Endings,
    /// How speech sounds after bad networks, on a virtual clock and live beside the reference: about eight minutes.
    AudioNetwork,
}

/// `cargo xtask bench NAME`.
///
/// # Errors
/// If something needed cannot be had, or the measurement fails.
pub(crate) fn bench(workspace: &Workspace, name: Bench) -> Outcome {
    setup::system_packages()?;
    match name {
        Bench::AudioNetwork => audio_network(workspace),
        Bench::Media => {
            let h264 = openh264::library(workspace)?;
            run_visible(workspace.cargo().args(["bench", "--profile", "dev", "-p", "sora-benches"]).env(OPENH264, h264))
        }
        Bench::Connections => script(workspace, "connections.py"),
        Bench::Endings => script(workspace, "endings.py"),
    }
}

/// A measurement written in Python that needs nothing but the package.
fn script(workspace: &Workspace, name: &str) -> Outcome {
    let server = workspace.devserver()?;
    let path = extension::install(workspace)?;
    let interpreter = {
        let _lock = workspace.lock()?;
        Environment { name: "main", packages: &["numpy"], path: Some(&path) }.interpreter(workspace)?
    };
    run_visible(Command::new(interpreter).arg(workspace.root.join("benches").join(name)).env("SORA_DEVSERVER", server))
}

/// What the measurement needs besides what the interop tests do.
const AUDIO_NETWORK: [&str; 4] = ["numpy", "aiohttp", "av", "pesq"];

fn audio_network(workspace: &Workspace) -> Outcome {
    if !Path::new("/usr/share/asterisk/sounds/en_US_f_Allison").exists()
        && on_path("espeak-ng").is_none()
        && let Err(reason) = setup::install(&["asterisk-core-sounds-en-g722"])
    {
        eprintln!("no recorded speech: {reason}");
    }
    let server = workspace.devserver()?;
    run_visible(workspace.cargo().args(["build", "-p", "sora-benches", "--bin", "audio-network"]))?;
    let path = extension::install(workspace)?;
    let _lock = workspace.lock()?;
    let ours =
        Environment { name: "audio-network", packages: &AUDIO_NETWORK, path: Some(&path) }.interpreter(workspace)?;
    let reference = Environment { name: "reference", packages: &REFERENCE, path: None }.interpreter(workspace)?;
    let script = workspace.root.join("benches/audio_network");
    let simulation = workspace.target.join("debug/audio-network");
    run_visible(
        Command::new(ours)
            .arg(script)
            .env("SORA_DEVSERVER", server)
            .env("SORA_AUDIO_NETWORK", simulation)
            .env("SORA_REFERENCE_PYTHON", reference),
    )
}
