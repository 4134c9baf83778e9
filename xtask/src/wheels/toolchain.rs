//! A C compiler for other platforms and older C libraries: zig's, behind the names that build systems call.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::process::{Context, Outcome, on_path};

use super::Platform;

/// Options of the compiler: C code does not unwind, and nobody walks its stack.
pub(crate) const WITHOUT_UNWINDING: &str = "-fno-unwind-tables -fno-asynchronous-unwind-tables";

/// Programs of a platform.
pub(crate) struct Toolchain {
    /// Where they are.
    pub(crate) bin: PathBuf,
    /// What tells cmake about them.
    pub(crate) cmake: PathBuf,
    /// Where the Python is that has zig.
    environment: PathBuf,
}

impl Toolchain {
    /// Writes them.
    ///
    /// # Errors
    /// If a file cannot be written or meson is missing.
    pub(crate) fn install(python: &Path, platform: &Platform, folder: &Path) -> Outcome<Self> {
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).context(bin.display())?;
        let environment = python.parent().unwrap_or(Path::new("/")).to_owned();
        let python = python.display();
        // Meson knows the linker by this, under the name of the one whose options it takes.
        let linker = "case \" $* \" in *' -Wl,--version '*) echo 'LLD (compatible with GNU linkers)'; exit;; esac";
        // Who takes it for clang names the platform, too, in words that zig does not know.
        let drop = "for word; do shift; case \"$word\" in --target=*);; *) set -- \"$@\" \"$word\";; esac; done";
        // Where it only preprocesses, zig does not know versions of C libraries.
        let plain = platform.zig.split_once('.').map_or(platform.zig, |(plain, _)| plain);
        let choose = format!("case \" $* \" in *' -E '*) target={plain};; *) target={};; esac", platform.zig);
        for tool in ["cc", "c++"] {
            let call = format!("exec {python} -m ziglang {tool} -target $target \"$@\"");
            script(&bin.join(tool), &[linker, drop, &choose, &call].join("\n"))?;
        }
        for tool in ["ar", "ranlib"] {
            script(&bin.join(tool), &format!("exec {python} -m ziglang {tool} \"$@\""))?;
        }
        // What the libraries' makefiles strip is an archive, and goes into something that is stripped itself.
        script(&bin.join("strip"), "exit 0")?;
        // dav1d's build script knows few platforms and calls no other compiler than theirs.
        let cross = folder.join("cross.meson");
        fs::write(&cross, cross_file(&bin, platform)).context(cross.display())?;
        let cmake = folder.join("toolchain.cmake");
        fs::write(&cmake, cmake_file(&bin, platform)).context(cmake.display())?;
        let meson = on_path("meson").ok_or("meson is missing")?;
        let (meson, cross) = (meson.display(), cross.display());
        let set_up = format!("case \"$*\" in *' vendor') exec {meson} \"$@\" --cross-file {cross};; esac");
        script(&bin.join("meson"), &format!("{set_up}\nexec {meson} \"$@\""))?;
        Ok(Self { bin, cmake, environment })
    }

    /// `PATH` with the meson of this platform, and the environment's programs.
    ///
    /// # Errors
    /// If a folder's name cannot be in it.
    pub(crate) fn path(&self) -> Outcome<OsString> {
        // Not all of them: a build script that wants this machine's compiler must not get the platform's.
        let shadow = self.bin.join("only-meson");
        fs::create_dir_all(&shadow).context(shadow.display())?;
        fs::copy(self.bin.join("meson"), shadow.join("meson")).context(shadow.display())?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::join_paths([shadow, self.environment.clone()].into_iter().chain(std::env::split_paths(&path)))
            .context("PATH")
    }
}

fn cross_file(bin: &Path, platform: &Platform) -> String {
    let program = |name: &str| format!("'{}'", bin.join(name).display());
    let (c, ar, strip) = (program("cc"), program("ar"), program("strip"));
    let processor = platform.processor;
    let options = WITHOUT_UNWINDING.replace(' ', "', '");
    format!(
        "[binaries]\nc = {c}\nar = {ar}\nstrip = {strip}\nnasm = 'nasm'\n\n[built-in options]\nc_args = ['{options}']\n\n[host_machine]\nsystem = 'linux'\n\
         cpu_family = '{processor}'\ncpu = '{processor}'\nendian = 'little'\n"
    )
}

fn cmake_file(bin: &Path, platform: &Platform) -> String {
    // Naming the system makes it a cross build: nothing that was built is run.
    let system = format!("set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_SYSTEM_PROCESSOR {})\n", platform.processor);
    let mut text = system + &format!("set(CMAKE_C_FLAGS_INIT \"{WITHOUT_UNWINDING}\")\n");
    for (name, tool) in [("C_COMPILER", "cc"), ("CXX_COMPILER", "c++"), ("AR", "ar"), ("RANLIB", "ranlib")] {
        text += &format!("set(CMAKE_{name} \"{}\")\n", bin.join(tool).display());
    }
    text
}

fn script(path: &Path, body: &str) -> Outcome {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).context(path.display())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).context(path.display())
}
