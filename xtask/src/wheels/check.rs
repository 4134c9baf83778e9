//! Whether a wheel is one: its size, its platform, its metadata, and that it works where it is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Context, Outcome, header, output, run};
use crate::setup::Workspace;

/// Bytes.
const MOST: u64 = 8_000_000;
/// Versions that are tried where they are installed.
const PYTHONS: [&str; 8] = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.14t", "3.15", "3.15t"];

/// The wheels in a folder.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn wheels(dist: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(dist).context(dist.display())?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.context(dist.display())?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "whl"));
    paths.sort();
    Ok(paths)
}

/// Looks at all of them.
///
/// # Errors
/// What is wrong with which.
pub(crate) fn check(python: &Path, dist: &Path) -> Outcome {
    header("build-wheels: check");
    let wheels = wheels(dist)?;
    run(Command::new(python).args(["-m", "twine", "check", "--strict"]).args(&wheels))?;
    for wheel in &wheels {
        let size = fs::metadata(wheel).context(wheel.display())?.len();
        let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
        eprintln!("{name}: {:.2} MB", size as f64 / 1e6);
        if size > MOST {
            return Err(format!("{name} has {size} bytes, more than {MOST}"));
        }
        if name.contains("musllinux") { needs_only_libc(python, wheel, &name)? } else { audit(python, wheel, &name)? }
    }
    Ok(())
}

/// Whether a wheel runs where its name says.
fn audit(python: &Path, wheel: &Path, name: &str) -> Outcome {
    let shown = output(Command::new(python).args(["-m", "auditwheel", "show"]).arg(wheel))
        .ok_or_else(|| format!("auditwheel cannot read {name}"))?;
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let tag = name.trim_end_matches(".whl").rsplit('-').next().unwrap_or_default();
    // Of several names for the same thing, one.
    let tag = tag.split('.').next().unwrap_or_default();
    if words.contains(&format!("\"{tag}\"")) {
        Ok(())
    } else {
        Err(format!("{name} is not what its name says: {words}"))
    }
}

/// The libraries that the extension of a wheel needs, a line each.
const NEEDED: &str = "import io, sys, zipfile
from elftools.elf.elffile import ELFFile
wheel = zipfile.ZipFile(sys.argv[1])
for name in wheel.namelist():
    if name.endswith('.so'):
        dynamic = ELFFile(io.BytesIO(wheel.read(name))).get_section_by_name('.dynamic')
        print(*[tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == 'DT_NEEDED'], sep='\\n')";

/// musl promises that what was built for one version runs with the later ones; auditwheel looks at such wheels only where
/// musl is the system's library.
fn needs_only_libc(python: &Path, wheel: &Path, name: &str) -> Outcome {
    let needed = output(Command::new(python).args(["-c", NEEDED]).arg(wheel))
        .ok_or_else(|| format!("the extension in {name} cannot be read"))?;
    let others: Vec<&str> = needed.lines().filter(|library| *library != "libc.so").collect();
    if others.is_empty() { Ok(()) } else { Err(format!("{name} needs {}", others.join(", "))) }
}

/// Installs what is for each Python of this machine in it, with nothing else but numpy, and runs its demo. `more` are
/// interpreters beside those that are found.
///
/// # Errors
/// In which Python it does not work.
pub(crate) fn trial(workspace: &Workspace, dist: &Path, more: &[PathBuf]) -> Outcome {
    let mut pythons = Vec::new();
    for version in PYTHONS {
        match interpreter(version) {
            Some(python) => pythons.push(python),
            None => eprintln!("no Python {version} here"),
        }
    }
    pythons.extend_from_slice(more);
    for python in pythons {
        let about =
            output(Command::new(&python).args(["-c", "import sysconfig as c; print(c.get_config_var('SOABI'))"]))
                .ok_or_else(|| format!("{} does not run", python.display()))?;
        if !has_wheel(dist, &about)? {
            eprintln!("no wheel for {about}, which is not built now");
            continue;
        }
        header(&format!("build-wheels: trial with {about}"));
        let folder = workspace.target.join("wheels/trial").join(&about);
        run(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&folder).env_remove("PYTHONPATH"))?;
        let program = folder.join("bin/python");
        let installed = |words: &[&str]| {
            let mut command = Command::new(&program);
            command.current_dir(&folder).env_remove("PYTHONPATH").args(words);
            command
        };
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        // From here and nowhere else: pip takes the wheel that is for this Python.
        let only_ours = ["--no-deps", "--no-index", "sora_sdk_rs", "--find-links"];
        run(installed(&pip).args(only_ours).arg(dist))?;
        run(installed(&pip).arg("numpy"))?;
        run(&mut installed(&["-W", "error", "-m", "sora_sdk", "demo", "--seconds", "3"]))?;
        run(&mut installed(&["-m", "sora_sdk", "doctor"]))?;
    }
    Ok(())
}

/// Whether there is a wheel for a Python, by its binary interface: `cpython-313t-x86_64-linux-gnu`.
fn has_wheel(dist: &Path, interface: &str) -> Outcome<bool> {
    let parts: Vec<&str> = interface.split('-').collect();
    let [_, version, processor, .., libc] = parts[..] else { return Err(format!("{interface} is no interface")) };
    let system = if libc == "musl" { "-musllinux" } else { "-manylinux" };
    let abi = if version.ends_with('t') { format!("-cp{version}-") } else { "-abi3-".to_owned() };
    Ok(wheels(dist)?.iter().any(|path| {
        let name = path.to_string_lossy();
        name.contains(&abi) && name.contains(system) && name.ends_with(&format!("_{processor}.whl"))
    }))
}

/// A CPython of a version: on the path, or one that pyenv keeps.
fn interpreter(version: &str) -> Option<PathBuf> {
    let check = format!(
        "import sys, platform, venv, ensurepip
assert '%d.%d%s' % (*sys.version_info[:2], sys.abiflags) == '{version}'
assert platform.python_implementation() == 'CPython'
print(sys.executable)"
    );
    let mut candidates = vec![PathBuf::from(format!("python{version}"))];
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv")));
    let kept = pyenv.and_then(|root| fs::read_dir(root.join("versions")).ok()).into_iter().flatten().flatten();
    candidates.extend(kept.map(|entry| entry.path().join("bin/python")));
    candidates.iter().find_map(|path| output(Command::new(path).args(["-c", &check]))).map(PathBuf::from)
}
