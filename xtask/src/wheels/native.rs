//! The C libraries of a wheel, built for its platform: libvpx from the distribution's source package, libaom from the
//! source that its crate carries, without what real-time encoding does not use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{Context, Outcome, output, run};
use crate::setup::{self, Workspace};

use super::Platform;
use super::toolchain::{Toolchain, WITHOUT_UNWINDING};

/// libvpx as it was built.
pub(crate) struct Vpx {
    /// Where `lib` and `include` are.
    pub(crate) prefix: PathBuf,
    pub(crate) version: String,
    /// Its licence's text.
    pub(crate) licence: String,
}

/// Builds libvpx, unless it was built before.
///
/// # Errors
/// What is missing, or what failed.
pub(crate) fn vpx(workspace: &Workspace, platform: &Platform, toolchain: &Toolchain, folder: &Path) -> Outcome<Vpx> {
    let source = vpx_source(workspace)?;
    let prefix = folder.join("vpx");
    let version = source
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix("libvpx-").map(str::to_owned))
        .ok_or_else(|| format!("no version in {}", source.display()))?;
    let licence = fs::read_to_string(source.join("LICENSE")).context("the licence of libvpx")?;
    let vpx = Vpx { prefix, version, licence };
    if vpx.prefix.join("lib/libvpx.a").is_file() {
        return Ok(vpx);
    }
    let build = folder.join("vpx-build");
    let _ = fs::remove_dir_all(&build);
    fs::create_dir_all(&build).context(build.display())?;
    let tool = |name: &str| toolchain.bin.join(name);
    let mut configure = Command::new(source.join("configure"));
    configure
        .current_dir(&build)
        .arg(format!("--target={}", platform.vpx))
        .arg(format!("--prefix={}", vpx.prefix.display()));
    configure.args(["--enable-pic", "--enable-static", "--disable-shared", "--enable-vp9-highbitdepth"]);
    configure.args(["--disable-examples", "--disable-tools", "--disable-docs", "--disable-unit-tests"]);
    configure.args(["--enable-runtime-cpu-detect", "--enable-realtime-only", "--disable-webm-io", "--disable-libyuv"]);
    configure.arg(format!("--extra-cflags={WITHOUT_UNWINDING}"));
    configure.env("CC", tool("cc")).env("CXX", tool("c++")).env("LD", tool("cc")).env("AR", tool("ar"));
    configure
        .env("STRIP", tool("strip"))
        .env("AS", if platform.processor == "x86_64" { "nasm".into() } else { tool("cc") });
    run(&mut configure)?;
    run(Command::new("make").current_dir(&build).args(["-j", &jobs(), "install"]))?;
    Ok(vpx)
}

/// The source package of the distribution, with its security fixes.
fn vpx_source(workspace: &Workspace) -> Outcome<PathBuf> {
    let folder = workspace.target.join("wheels/source");
    if let Some(found) = unpacked(&folder) {
        return Ok(found);
    }
    if output(Command::new("dpkg-source").arg("--version")).is_none() {
        setup::install(&["dpkg-dev"])?;
    }
    let sources = folder.join("sources");
    for part in ["sources", "lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(part)).context(folder.display())?;
    }
    let system = Path::new("/etc/apt");
    let mut files = vec![system.join("sources.list")];
    files.extend(fs::read_dir(system.join("sources.list.d")).into_iter().flatten().flatten().map(|entry| entry.path()));
    for file in files {
        let (Some(name), Ok(text)) = (file.file_name(), fs::read_to_string(&file)) else { continue };
        let lines = text.lines().map(|line| match line.trim_end() {
            "Types: deb" => "Types: deb-src".to_owned(),
            line if line.starts_with("deb ") => line.replacen("deb ", "deb-src ", 1),
            line => line.to_owned(),
        });
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        fs::write(sources.join(name), text).context(sources.display())?;
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(&folder).args(["-q", "-o", "Dir::Etc::SourceList=/dev/null"]);
        for (option, place) in
            [("Dir::Etc::SourceParts", "sources"), ("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")]
        {
            command.arg("-o").arg(format!("{option}={}", folder.join(place).display()));
        }
        run(command.args(arguments))
    };
    apt(&["update"]).and_then(|()| apt(&["source", "libvpx"])).map_err(|error| {
        format!("the source package of libvpx cannot be had; wheels are built on Debian or Ubuntu ({error})")
    })?;
    unpacked(&folder).ok_or_else(|| format!("apt-get left no libvpx in {}", folder.display()))
}

fn unpacked(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries
        .filter(|path| path.join("configure").is_file())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libvpx-")))
}

/// Builds libaom's real-time encoder, unless it was built before. Returns where `lib` and `include` are.
///
/// # Errors
/// What failed.
pub(crate) fn aom(
    workspace: &Workspace,
    platform: &Platform,
    toolchain: &Toolchain,
    folder: &Path,
) -> Outcome<PathBuf> {
    let prefix = folder.join("aom");
    if prefix.join("lib/libaom.a").is_file() {
        return Ok(prefix);
    }
    let build = folder.join("aom-build");
    let _ = fs::remove_dir_all(&build);
    let mut cmake = Command::new("cmake");
    cmake.arg("-S").arg(crate_folder(workspace, "libaom-sys")?.join("vendor")).arg("-B").arg(&build);
    cmake.arg(format!("-DCMAKE_TOOLCHAIN_FILE={}", toolchain.cmake.display()));
    cmake.arg(format!(
        "-DAOM_TARGET_CPU={}",
        if platform.processor == "aarch64" { "arm64" } else { platform.processor }
    ));
    cmake.arg(format!("-DCMAKE_INSTALL_PREFIX={}", prefix.display()));
    cmake.args(["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_POSITION_INDEPENDENT_CODE=1"]);
    cmake.args(["-DCONFIG_AV1_DECODER=0", "-DCONFIG_REALTIME_ONLY=1", "-DCONFIG_AV1_HIGHBITDEPTH=0"]);
    for part in ["DOCS", "EXAMPLES", "TESTDATA", "TESTS", "TOOLS"] {
        cmake.arg(format!("-DENABLE_{part}=0"));
    }
    run(&mut cmake)?;
    run(Command::new("cmake").arg("--build").arg(&build).args(["--target", "install", "-j", &jobs()]))?;
    Ok(prefix)
}

/// Where the source of a crate that the workspace depends on is.
fn crate_folder(workspace: &Workspace, name: &str) -> Outcome<PathBuf> {
    let metadata = metadata(workspace)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let manifest =
        packages.iter().find(|package| package["name"] == name).and_then(|one| one["manifest_path"].as_str());
    let folder = manifest.and_then(|path| Path::new(path).parent());
    folder.map(Path::to_owned).ok_or_else(|| format!("the workspace does not depend on {name}"))
}

/// What cargo knows of the workspace and its dependencies.
///
/// # Errors
/// If cargo cannot tell.
pub(crate) fn metadata(workspace: &Workspace) -> Outcome<Value> {
    let text = output(workspace.cargo().args(["metadata", "--format-version", "1", "--locked"]))
        .ok_or("cargo metadata failed")?;
    serde_json::from_str(&text).context("cargo metadata")
}

fn jobs() -> String {
    std::thread::available_parallelism().map_or(2, usize::from).to_string()
}
