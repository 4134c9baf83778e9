//! `cargo xtask build-wheels`: what people install, for every platform that can be built from here.

mod check;
mod licences;
mod native;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::process::{Context, Outcome, header, run};
use crate::setup::{self, Environment, Workspace};

use toolchain::Toolchain;

/// Which wheels to build.
#[derive(Args)]
pub(crate) struct Options {
    /// Platform to build for, by its Rust name; may be given several times. All of them if not given
    #[arg(long = "target", value_name = "TRIPLE", value_parser = platform)]
    platforms: Vec<&'static Platform>,
    /// Also build for these free-threaded Pythons; none to leave them out
    #[arg(long, value_name = "VERSION", default_value = FREE_THREADED, value_delimiter = ',')]
    free_threaded: Vec<String>,
    /// Leave out the trial in every Python of this machine
    #[arg(long)]
    no_trial: bool,
    /// Try the wheels with this Python, too; may be given several times
    #[arg(long, value_name = "PATH")]
    python: Vec<PathBuf>,
}

/// A platform wheels are built for.
pub(crate) struct Platform {
    /// What Rust calls it.
    triple: &'static str,
    /// What the C compiler calls it, with the oldest C library it shall run with.
    zig: &'static str,
    /// What wheels call it.
    wheel: &'static str,
    /// What libvpx calls it.
    vpx: &'static str,
    processor: &'static str,
}

const PLATFORMS: [Platform; 4] = [
    Platform {
        triple: "x86_64-unknown-linux-gnu",
        zig: "x86_64-linux-gnu.2.28",
        wheel: "manylinux_2_28",
        vpx: "x86_64-linux-gcc",
        processor: "x86_64",
    },
    Platform {
        triple: "aarch64-unknown-linux-gnu",
        zig: "aarch64-linux-gnu.2.28",
        wheel: "manylinux_2_28",
        vpx: "arm64-linux-gcc",
        processor: "aarch64",
    },
    Platform {
        triple: "x86_64-unknown-linux-musl",
        zig: "x86_64-linux-musl",
        wheel: "musllinux_1_2",
        vpx: "x86_64-linux-gcc",
        processor: "x86_64",
    },
    Platform {
        triple: "aarch64-unknown-linux-musl",
        zig: "aarch64-linux-musl",
        wheel: "musllinux_1_2",
        vpx: "arm64-linux-gcc",
        processor: "aarch64",
    },
];

/// The oldest Python the wheels are for; one wheel serves it and all later ones.
const OLDEST_PYTHON: &str = "3.10";
/// The free-threaded one, which has wheels of its own: until 3.15 it has no stable binary interface.
const FREE_THREADED: &str = "3.14t";

fn platform(text: &str) -> Outcome<&'static Platform> {
    PLATFORMS.iter().find(|platform| platform.triple == text).ok_or_else(|| {
        let names: Vec<_> = PLATFORMS.iter().map(|platform| platform.triple).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// `cargo xtask build-wheels`.
///
/// # Errors
/// What could not be built, or the check that failed.
pub(crate) fn build_wheels(workspace: &Workspace, options: &Options) -> Outcome {
    setup::system_packages()?;
    let folder = workspace.target.join("wheels");
    let python = {
        let _lock = workspace.lock()?;
        let packages = ["maturin>=1.9,<2", "ziglang>=0.15", "auditwheel", "twine"];
        Environment { name: "wheels", packages: &packages, path: None }.interpreter(workspace)?
    };
    let dist = folder.join("dist");
    let _ = fs::remove_dir_all(&dist);
    fs::create_dir_all(&dist).context(dist.display())?;
    let platforms = if options.platforms.is_empty() { PLATFORMS.iter().collect() } else { options.platforms.clone() };
    for platform in platforms {
        header(&format!("build-wheels: {}", platform.triple));
        let builder =
            Builder { workspace, platform, python: &python, folder: folder.join(platform.triple), dist: &dist };
        let free_threaded: Vec<String> = options.free_threaded.iter().filter(|v| *v != "none").cloned().collect();
        builder.build(&free_threaded)?;
    }
    check::check(&python, &dist)?;
    if !options.no_trial {
        check::trial(workspace, &dist, &options.python)?;
    }
    for wheel in check::wheels(&dist)? {
        println!("{}", wheel.display());
    }
    Ok(())
}

struct Builder<'a> {
    workspace: &'a Workspace,
    platform: &'static Platform,
    python: &'a Path,
    /// For what is built for this platform.
    folder: PathBuf,
    dist: &'a Path,
}

impl Builder<'_> {
    fn build(&self, free_threaded: &[String]) -> Outcome {
        let triple = self.platform.triple;
        rust_target(triple)?;
        let toolchain = Toolchain::install(self.python, self.platform, &self.folder)?;
        let vpx = native::vpx(self.workspace, self.platform, &toolchain, &self.folder)?;
        let aom = native::aom(self.workspace, self.platform, &toolchain, &self.folder)?;
        licences::write(self.workspace, triple, &vpx.licence)?;
        for version in std::iter::once(OLDEST_PYTHON).chain(free_threaded.iter().map(String::as_str)) {
            let mut maturin = Command::new(self.python);
            maturin.args(["-m", "maturin", "build", "--profile", "wheel", "--zig", "--target", triple]);
            maturin.args(["--compatibility", self.platform.wheel, "--interpreter", &format!("python{version}")]);
            maturin.arg("--manifest-path").arg(self.workspace.root.join("bindings/python/Cargo.toml"));
            maturin.arg("--target-dir").arg(self.folder.join("cargo")).arg("--out").arg(self.dist);
            maturin.current_dir(&self.workspace.root).env_remove("PYTHONPATH").env("PATH", toolchain.path()?);
            maturin.env(format!("CMAKE_TOOLCHAIN_FILE_{}", triple.replace('-', "_")), &toolchain.cmake);
            maturin.env("LIB_AOM_STATIC_LIB_PATH", aom.join("lib"));
            maturin.env("LIB_AOM_INCLUDE_PATH", aom.join("include"));
            maturin.env("LIB_AOM_PKG_CONFIG_PATH", aom.join("lib/pkgconfig"));
            maturin.env("VPX_LIB_DIR", vpx.prefix.join("lib")).env("VPX_INCLUDE_DIR", vpx.prefix.join("include"));
            maturin.env("VPX_VERSION", &vpx.version).env("VPX_STATIC", "1");
            // The smallest that every pip can read.
            maturin.args(["--compression-level", "9"]);
            run(&mut maturin)?;
        }
        Ok(())
    }
}

/// The standard library for a platform.
fn rust_target(triple: &str) -> Outcome {
    let libraries =
        crate::process::output(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]));
    if libraries.is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Ok(());
    }
    run(Command::new("rustup").args(["target", "add", triple]))
        .map_err(|error| format!("Rust's standard library for {triple} is missing; install it ({error})"))
}
