//! The Python package of the working tree: built, put where an interpreter finds it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Context, Outcome, exec};
use crate::setup::{self, Environment, Workspace};

/// The name CPython looks for; one file serves every version from 3.10.
const MODULE: &str = "sora_sdk_ext.abi3.so";

/// Builds the extension if it is out of date and installs the package. Returns the folder that belongs on `sys.path`.
///
/// # Errors
/// If it does not build, or a file cannot be copied.
pub(crate) fn install(workspace: &Workspace) -> Outcome<PathBuf> {
    let library = workspace.target.join("debug/libsora_sdk_ext.so");
    workspace.build(&library)?;
    let _lock = workspace.lock()?;
    let parent = workspace.target.join("python");
    let package = parent.join("sora_sdk");
    fs::create_dir_all(&package).context(package.display())?;
    let source = workspace.root.join("bindings/python/python/sora_sdk");
    let mut kept = vec![OsString::from(MODULE)];
    for entry in fs::read_dir(&source).context(source.display())? {
        let file = entry.context(source.display())?.path();
        let wanted = file.extension().is_some_and(|ending| ["py", "pyi", "typed"].iter().any(|e| ending == *e));
        let Some(name) = file.file_name().filter(|_| wanted) else { continue };
        copy_if_changed(&file, &package.join(name))?;
        kept.push(name.to_owned());
    }
    copy_if_changed(&library, &package.join(MODULE))?;
    // A module that was renamed must not stay importable under its old name.
    for entry in fs::read_dir(&package).context(package.display())? {
        let entry = entry.context(package.display())?;
        if entry.path().is_file() && !kept.contains(&entry.file_name()) {
            fs::remove_file(entry.path()).context(entry.path().display())?;
        }
    }
    Ok(parent)
}

/// Copies by rename, so that a process that has the old file mapped keeps it.
fn copy_if_changed(from: &Path, to: &Path) -> Outcome {
    let content = fs::read(from).context(from.display())?;
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = to.with_file_name(name);
    fs::write(&fresh, content).context(fresh.display())?;
    fs::rename(&fresh, to).context(to.display())
}

/// `cargo xtask python`: becomes the interpreter that has the package.
///
/// # Errors
/// If anything it needs cannot be had.
pub(crate) fn python(workspace: &Workspace, arguments: &[OsString]) -> Outcome {
    setup::system_packages()?;
    let path = install(workspace)?;
    let interpreter = {
        let _lock = workspace.lock()?;
        Environment { name: "main", packages: &["numpy"], path: Some(&path) }.interpreter(workspace)?
    };
    exec(&mut setup::command(&interpreter, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_file_is_left_alone_and_a_changed_one_replaced() -> Outcome {
        let folder = std::env::temp_dir().join(format!("xtask-copy-{}", std::process::id()));
        fs::create_dir_all(&folder).context("folder")?;
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::write(&from, "one").context("write")?;
        copy_if_changed(&from, &to)?;
        let first = fs::metadata(&to).and_then(|data| data.modified()).context("time")?;
        copy_if_changed(&from, &to)?;
        let second = fs::metadata(&to).and_then(|data| data.modified()).context("time")?;
        assert_eq!(first, second);
        fs::write(&from, "two").context("write")?;
        copy_if_changed(&from, &to)?;
        assert_eq!(fs::read_to_string(&to).context("read")?, "two");
        fs::remove_dir_all(&folder).context("clean")
    }
}
