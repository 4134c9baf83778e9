//! Links libvpx as a static archive also when it lies in a system directory.
//!
//! `env-libvpx-sys` goes through pkg-config, which takes archives outside `/usr` only. The archive named here comes
//! first on the linker's command line, so nothing is left for the shared library and it is not recorded as needed.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    for variable in ["VPX_STATIC", "VPX_LIB_DIR", "CC"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let wanted = std::env::var_os("VPX_STATIC").is_some();
    let placed_by_hand = std::env::var_os("VPX_LIB_DIR").is_some();
    if !wanted || placed_by_hand {
        return;
    }
    match archive().as_deref().and_then(std::path::Path::parent) {
        Some(directory) => {
            println!("cargo:rustc-link-search=native={}", directory.display());
            println!("cargo:rustc-link-lib=static=vpx");
        }
        None => println!("cargo:warning=libvpx.a not found; linking the shared libvpx"),
    }
}

/// The C compiler knows its library directories; pkg-config files name the wrong one on multiarch systems.
fn archive() -> Option<PathBuf> {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(compiler).arg("-print-file-name=libvpx.a").output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (path.is_absolute() && path.exists()).then_some(path)
}
