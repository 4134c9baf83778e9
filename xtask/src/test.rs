//! The tests of this workspace, and the checks a change has to pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::extension;
use crate::interop::interop;
use crate::openh264;
use crate::process::{Context, Outcome, header, on_path, run_visible};
use crate::setup::{self, Environment, Workspace};

/// Crates that take the time as an argument.
const SANS_IO: [&str; 5] = ["sora-signaling", "sora-rtp", "sora-codec", "sora-audio", "sora-peer"];
/// Tests of H.264 find their library by this.
pub(crate) const OPENH264: &str = "SORA_OPENH264";
const CLOCKS: [&str; 3] = ["Instant::now", "SystemTime::now", "thread::sleep"];

/// Runs steps to the end, whatever fails, so that one run tells everything.
#[derive(Default)]
struct Steps {
    failed: Vec<String>,
}

impl Steps {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) {
        header(name);
        if let Err(reason) = work() {
            eprintln!("{name}: {reason}");
            self.failed.push(name.to_owned());
        }
    }

    fn end(self) -> Outcome {
        if self.failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", self.failed.join(", "))) }
    }
}

/// `cargo xtask test`.
///
/// # Errors
/// The steps that failed.
pub(crate) fn test(workspace: &Workspace) -> Outcome {
    setup::system_packages()?;
    header("test: build OpenH264");
    let h264 = openh264::library(workspace)?;
    let mut steps = Steps::default();
    if on_path("cargo-nextest").is_some() {
        steps.step("test: cargo nextest", || {
            run_visible(
                workspace.cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]).env(OPENH264, &h264),
            )
        });
    } else {
        steps.step("test: cargo test", || {
            run_visible(
                workspace.cargo().args(["test", "--workspace", "--tests", "--no-fail-fast"]).env(OPENH264, &h264),
            )
        });
    }
    steps.step("test: AV1 without native code", || {
        let features = ["--no-default-features", "--features", "rav1e,dav1d"];
        run_visible(workspace.cargo().args(["test", "--package", "sora-codec", "--test", "rav1e"]).args(features))
    });
    steps.step("test: documentation examples", || {
        // The whole workspace again: leaving crates out would change features and compile half of it once more.
        run_visible(workspace.cargo().args(["test", "--doc", "--workspace", "--no-fail-fast"]))
    });
    steps.step("test: pytest bindings/python/tests", || python_tests(workspace, &h264));
    steps.end()
}

fn python_tests(workspace: &Workspace, h264: &Path) -> Outcome {
    let server = workspace.devserver()?;
    let path = extension::install(workspace)?;
    let packages = ["numpy", "pytest", "pytest-timeout", "mypy"];
    let interpreter = {
        let _lock = workspace.lock()?;
        Environment { name: "test", packages: &packages, path: Some(&path) }.interpreter(workspace)?
    };
    header("test: stubtest");
    run_visible(Command::new(&interpreter).current_dir(&workspace.target).args([
        "-m",
        "mypy.stubtest",
        "sora_sdk",
        "--concise",
        "--ignore-disjoint-bases",
    ]))?;
    run_visible(
        Command::new(interpreter)
            .current_dir(&workspace.root)
            .args(["-W", "error", "-m", "pytest", "bindings/python/tests"])
            .args(["-W", "error", "-p", "no:cacheprovider", "--timeout", "60"])
            .env("SORA_DEVSERVER", server)
            .env(OPENH264, h264),
    )
}

/// `cargo xtask ci`.
///
/// # Errors
/// The steps that failed.
pub(crate) fn ci(workspace: &Workspace) -> Outcome {
    setup::system_packages()?;
    let mut steps = Steps::default();
    steps.step("ci: format", || run_visible(workspace.cargo().args(["fmt", "--all", "--check"])));
    steps.step("ci: clippy", || {
        run_visible(workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    steps.step("ci: no clock in sans-IO crates", || no_clock(workspace));
    steps.step("ci: test", || test(workspace));
    steps.step("ci: interop", || interop(workspace));
    steps.end()
}

fn no_clock(workspace: &Workspace) -> Outcome {
    let mut found = Vec::new();
    for name in SANS_IO {
        for file in rust_files(&workspace.root.join("crates").join(name).join("src"))? {
            let text = fs::read_to_string(&file).context(file.display())?;
            let shown = file.strip_prefix(&workspace.root).unwrap_or(&file);
            found.extend(
                clock_calls(&text).into_iter().map(|(line, call)| format!("{}:{line}: {call}", shown.display())),
            );
        }
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("these crates take the time as an argument and never wait:\n{}", found.join("\n")))
    }
}

fn rust_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).context(folder.display())? {
        let path = entry.context(folder.display())?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Line numbers of calls that ask the system for the time or wait, before the file's tests begin.
fn clock_calls(text: &str) -> Vec<(usize, &'static str)> {
    let product = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    product
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter_map(|(number, line)| CLOCKS.iter().find(|call| line.contains(**call)).map(|call| (number + 1, *call)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_product_code_is_found_by_line() {
        assert_eq!(clock_calls("fn f() {\n    let now = Instant::now();\n}\n"), [(2, "Instant::now")]);
    }

    #[test]
    fn a_clock_in_tests_or_comments_is_allowed() {
        assert_eq!(clock_calls("// no Instant::now here\n#[cfg(test)]\nmod tests { thread::sleep(x) }\n"), []);
    }
}
