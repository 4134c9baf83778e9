//! Tests against implementations that share no code with this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::extension;
use crate::openh264;
use crate::process::{Outcome, header, on_path, run, run_visible};
use crate::setup::{self, Environment, Workspace};
use crate::test::OPENH264;

const OURS: [&str; 8] = [
    "numpy",
    "pytest",
    "pytest-timeout",
    "aiortc",
    "aiohttp",
    "opencv-python-headless",
    "sounddevice",
    // As far as its makers have got.
    "ray; python_version < '3.14'",
];
/// What the reference's environment has.
pub(crate) const REFERENCE: [&str; 2] = ["sora_sdk==2025.4.0", "numpy"];
/// The names the tests look for on `PATH`.
const BROWSERS: [&str; 2] = ["chromium", "chromium-browser"];
/// Programs that stand between client and server in real networks, or in the place of devices; and the packages that
/// bring them.
const HELPERS: [(&str, &[&str]); 3] = [
    ("turnserver", &["coturn"]),
    ("tinyproxy", &["tinyproxy"]),
    ("pulseaudio", &["pulseaudio", "libasound2-plugins", "libportaudio2"]),
];
const NODE_PACKAGES: [(&str, &str); 3] =
    [("sora-js-sdk", "2026.1.0"), ("playwright-core", "1.65.1"), ("pyright", "1.1.414")];

/// `cargo xtask interop`.
///
/// # Errors
/// If something needed cannot be had, or a test fails. A missing browser only skips the tests that need it.
pub(crate) fn interop(workspace: &Workspace) -> Outcome {
    header("interop: build");
    setup::system_packages()?;
    let server = workspace.devserver()?;
    let path = extension::install(workspace)?;
    let h264 = openh264::library(workspace)?;
    let missing: Vec<&str> = HELPERS
        .iter()
        .filter(|(program, _)| on_path(program).is_none())
        .flat_map(|(_, packages)| *packages)
        .copied()
        .collect();
    if !missing.is_empty()
        && let Err(reason) = setup::install(&missing)
    {
        eprintln!("interop: tests that need them are skipped: {reason}");
    }
    let (ours, reference, browser) = {
        let _lock = workspace.lock()?;
        let ours = Environment { name: "interop-ours", packages: &OURS, path: Some(&path) }.interpreter(workspace)?;
        let reference = Environment { name: "reference", packages: &REFERENCE, path: None }.interpreter(workspace)?;
        let browser = browser(workspace).map_err(|reason| eprintln!("interop: no browser tests: {reason}")).ok();
        (ours, reference, browser)
    };
    header("interop: cargo test turn_server");
    run_visible(workspace.cargo().args(["test", "--workspace", "--test", "turn_server"]))?;
    header("interop: pytest interop");
    let mut pytest = Command::new(ours);
    pytest
        .current_dir(&workspace.root)
        .args(["-m", "pytest", "interop/", "-p", "no:cacheprovider", "--timeout", "120", "-rs"])
        .env("SORA_DEVSERVER", server)
        .env(OPENH264, h264)
        .env("SORA_REFERENCE_PYTHON", reference);
    match browser {
        Some(packages) => pytest.env("SORA_NPM_DIR", packages),
        None => pytest.env_remove("SORA_NPM_DIR"),
    };
    run_visible(&mut pytest)
}

/// Makes the browser tests possible: Chromium, Node.js, and a folder with `node_modules`, which is returned.
fn browser(workspace: &Workspace) -> Outcome<PathBuf> {
    let npm = on_path("npm").filter(|_| on_path("node").is_some()).ok_or("node and npm are not on PATH")?;
    if !BROWSERS.iter().any(|name| on_path(name).is_some()) {
        setup::install(&["chromium"])?;
    }
    let packages = workspace.target.join("npm");
    if NODE_PACKAGES.iter().all(|(name, version)| installed(&packages, name, version)) {
        return Ok(packages);
    }
    let mut command = Command::new(npm);
    command.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"]).arg(&packages);
    command.args(NODE_PACKAGES.map(|(name, version)| format!("{name}@{version}")));
    std::fs::create_dir_all(&packages).map_err(|error| format!("{}: {error}", packages.display()))?;
    run(&mut command)?;
    Ok(packages)
}

fn installed(packages: &Path, name: &str, version: &str) -> bool {
    let description = packages.join("node_modules").join(name).join("package.json");
    std::fs::read_to_string(description)
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .is_some_and(|value| value["version"] == version)
}
