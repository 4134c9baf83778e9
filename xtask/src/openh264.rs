//! A shared OpenH264 library from the sources that come with a crate: for tests, demonstrations and whoever builds for
//! themselves. Handing it out needs a patent licence.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::{Context, Outcome, run, to_stderr};
use crate::setup::{self, Workspace};

const CRATE: &str = "openh264-sys2";

/// Builds the library if it is not there yet and tells where it is.
///
/// # Errors
/// If it does not build.
pub(crate) fn library(workspace: &Workspace) -> Outcome<PathBuf> {
    let folder = workspace.target.join("openh264");
    let library = folder.join("libopenh264.so");
    let archives = archives(workspace)?;
    let _lock = workspace.lock()?;
    if newer(&library, &archives) {
        return Ok(library);
    }
    std::fs::create_dir_all(&folder).context(folder.display())?;
    let fresh = folder.join("libopenh264.so.new");
    let mut link = Command::new("cc");
    link.args(["-shared", "-o"]).arg(&fresh).arg("-Wl,--whole-archive").args(&archives);
    link.args(["-Wl,--no-whole-archive", "-Wl,-Bsymbolic", "-lstdc++", "-lm", "-lpthread"]);
    run(&mut link)?;
    std::fs::rename(&fresh, &library).context(library.display())?;
    Ok(library)
}

fn newer(library: &Path, than: &[PathBuf]) -> bool {
    let time = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let Some(built) = time(library) else { return false };
    than.iter().all(|archive| time(archive).is_some_and(|time| time <= built))
}

/// The static libraries that the crate's build script makes.
fn archives(workspace: &Workspace) -> Outcome<Vec<PathBuf>> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--quiet", "--package", "sora-codec", "--features", "openh264-source"]);
    cargo.arg("--message-format=json-render-diagnostics").stderr(to_stderr()).stdin(Stdio::null());
    let output = cargo.output().context("cargo build")?;
    if !output.status.success() {
        return Err(format!("OpenH264 does not build: cargo ended with {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let folder = text.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let executed = message["reason"] == "build-script-executed";
        let of_crate = message["package_id"].as_str()?.contains(CRATE);
        (executed && of_crate).then(|| message["out_dir"].as_str().map(PathBuf::from)).flatten()
    });
    let folder = folder.ok_or_else(|| format!("cargo named no folder of {CRATE}"))?;
    let files = std::fs::read_dir(&folder).context(folder.display())?;
    let paths = files.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut archives: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "a")).collect();
    archives.sort();
    if archives.is_empty() { Err(format!("no library in {}", folder.display())) } else { Ok(archives) }
}

/// `cargo xtask openh264`: prints the path of the library.
///
/// # Errors
/// If it does not build.
pub(crate) fn openh264(workspace: &Workspace) -> Outcome {
    setup::system_packages()?;
    println!("{}", library(workspace)?.display());
    Ok(())
}
