//! What has to be there before anything is built or run: folders, system packages, Python environments.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{Context, Outcome, on_path, output, run};

/// How long another apt may hold its lock, and how often it is looked at.
const LOCK_LIMIT: Duration = Duration::from_secs(120);
const LOCK_INTERVAL: Duration = Duration::from_secs(3);
/// Interpreters to try, best first.
const PYTHONS: [&str; 6] = ["python3.11", "python3", "python3.12", "python3.13", "python3.10", "python"];
/// Prints the path of an interpreter that can make virtual environments, or fails.
const PYTHON_CHECK: &str = "import sys, platform, venv, ensurepip
assert sys.version_info >= (3, 10) and platform.python_implementation() == 'CPython'
print(sys.executable)";

/// The folders of this workspace.
pub(crate) struct Workspace {
    /// Where the root `Cargo.toml` is.
    pub(crate) root: PathBuf,
    /// `CARGO_TARGET_DIR`, or `target` in the root.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the folders.
    ///
    /// # Errors
    /// If the current directory is needed and gone.
    pub(crate) fn find() -> Outcome<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().ok_or("xtask has to lie in the workspace")?.to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR").filter(|path| !path.is_empty()) {
            Some(path) => std::path::absolute(path).context("CARGO_TARGET_DIR")?,
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// `cargo` in the root, building into [`Self::target`].
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Builds the development server and tells where it is.
    ///
    /// # Errors
    /// If it does not build.
    pub(crate) fn devserver(&self) -> Outcome<PathBuf> {
        let program = self.target.join("debug/sora-devserver");
        self.build(&program)?;
        Ok(program)
    }

    /// Builds the server and the extension; silent if `product` was built before and cargo has nothing to report.
    ///
    /// Always both: a build of one alone unifies features differently, and compiles every heavy dependency again.
    ///
    /// # Errors
    /// If they do not build.
    pub(crate) fn build(&self, product: &Path) -> Outcome {
        let mut cargo = self.cargo();
        cargo.args(["build", "--package", "sora-devserver", "--package", "sora-sdk-python"]);
        if product.exists() {
            cargo.arg("--quiet");
        }
        run(&mut cargo)?;
        if product.is_file() { Ok(()) } else { Err(format!("cargo built no {}", product.display())) }
    }

    /// Lets one of these programs at a time change environments and installed files.
    ///
    /// # Errors
    /// If the lock file cannot be written.
    pub(crate) fn lock(&self) -> Outcome<File> {
        fs::create_dir_all(&self.target).context(self.target.display())?;
        let path = self.target.join("xtask.lock");
        let file = File::create(&path).context(path.display())?;
        file.lock().context(path.display())?;
        Ok(file)
    }
}

/// Installs the libraries and tools the crates need, if they are missing and this user may.
///
/// # Errors
/// What to install, where this program cannot.
pub(crate) fn system_packages() -> Outcome {
    let mut missing = Vec::new();
    if output(Command::new("cc").arg("--version")).is_none() {
        missing.push("build-essential");
    }
    // A linker that does not know the archive answers with the bare name.
    let archive = output(Command::new("cc").arg("-print-file-name=libvpx.a"));
    if !archive.is_some_and(|path| Path::new(&path).is_absolute()) {
        missing.push("libvpx-dev");
    }
    let tools = [("cmake", "cmake"), ("pkg-config", "pkg-config"), ("meson", "meson"), ("ninja", "ninja-build")];
    for (tool, package) in tools.into_iter().chain([("nasm", "nasm"), ("perl", "perl")]) {
        if output(Command::new(tool).arg("--version")).is_none() {
            missing.push(package);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

/// Installs Debian packages.
///
/// # Errors
/// The command a person has to run, if this user may not or there is no apt.
pub(crate) fn install(packages: &[&str]) -> Outcome {
    let wanted = packages.join(" ");
    if !is_root() || on_path("apt-get").is_none() {
        return Err(format!("missing: {wanted}; on Debian or Ubuntu: sudo apt-get install {wanted}"));
    }
    eprintln!("installing {wanted}");
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "DPkg::Lock::Timeout=120"]);
        command
    };
    update(apt)?;
    run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

/// `apt-get update`, which unlike the installation does not wait for another apt, and a fresh machine runs one.
fn update(apt: impl Fn() -> Command) -> Outcome {
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        let output = apt().arg("update").output().context("apt-get update")?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Ok(());
        }
        if !text.contains("Could not get lock") || Instant::now() > deadline {
            return Err(format!("`apt-get update` ended with {}: {}", output.status, text.trim()));
        }
        eprintln!("waiting for another apt to end");
        std::thread::sleep(LOCK_INTERVAL);
    }
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn find_python() -> Option<PathBuf> {
    PYTHONS.iter().find_map(|name| output(Command::new(name).args(["-c", PYTHON_CHECK]))).map(PathBuf::from)
}

/// CPython 3.10 or newer that can make virtual environments.
fn python() -> Outcome<PathBuf> {
    if let Some(found) = find_python() {
        return Ok(found);
    }
    install(&["python3-venv"]).map_err(|error| format!("no CPython 3.10 or newer with venv and ensurepip; {error}"))?;
    find_python().ok_or_else(|| "no CPython 3.10 or newer with venv and ensurepip was found on PATH".to_owned())
}

/// A virtual environment under the target directory.
pub(crate) struct Environment<'a> {
    /// Its folder's name.
    pub(crate) name: &'a str,
    /// What pip installs, as on its command line.
    pub(crate) packages: &'a [&'a str],
    /// A folder put on `sys.path`.
    pub(crate) path: Option<&'a Path>,
}

impl Environment<'_> {
    /// Makes it, or makes it again if what it should contain has changed. Returns its interpreter.
    ///
    /// # Errors
    /// If there is no Python, or pip cannot install a package.
    pub(crate) fn interpreter(&self, workspace: &Workspace) -> Outcome<PathBuf> {
        let folder = workspace.target.join("venv").join(self.name);
        let interpreter = folder.join("bin/python");
        let stamp_file = folder.join("requirements.stamp");
        let stamp = format!("{}\n{}\n", self.packages.join("\n"), self.path.unwrap_or(Path::new("")).display());
        let same = fs::read_to_string(&stamp_file).is_ok_and(|written| written == stamp);
        if same && output(Command::new(&interpreter).args(["-c", "pass"])).is_some() {
            return Ok(interpreter);
        }
        let python = python()?;
        eprintln!("preparing Python environment `{}`: {}", self.name, self.packages.join(" "));
        run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
        run(Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(self.packages))?;
        if let Some(path) = self.path {
            let code = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
            let site = output(Command::new(&interpreter).args(["-c", code]))
                .ok_or_else(|| format!("{}: it does not run", interpreter.display()))?;
            let file = Path::new(&site).join("sora_sdk_workspace.pth");
            fs::write(&file, format!("{}\n", path.display())).context(file.display())?;
        }
        fs::write(&stamp_file, stamp).context(stamp_file.display())?;
        Ok(interpreter)
    }
}

/// The program and its arguments as one command.
pub(crate) fn command(program: &Path, arguments: &[OsString]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}
