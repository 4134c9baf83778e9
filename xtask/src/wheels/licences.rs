//! The licences of everything in a wheel, in one file beside the product's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::{Context, Outcome, output};
use crate::setup::Workspace;

use super::native;

/// The package whose dependencies are in a wheel.
const PRODUCT: &str = "sora-sdk-python";
const NAMES: [&str; 6] = ["LICEN", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE", "PATENTS"];

/// Writes the file; git ignores it.
///
/// # Errors
/// If cargo cannot tell the dependencies or a file cannot be written.
pub(crate) fn write(workspace: &Workspace, triple: &str, vpx: &str) -> Outcome {
    let metadata = native::metadata(workspace)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let tree = output(
        workspace
            .cargo()
            .args(["tree", "--package", PRODUCT, "--edges", "normal", "--target", triple])
            .args(["--prefix", "none", "--format", "{p}"]),
    )
    .ok_or("cargo tree failed")?;
    let used: BTreeSet<(String, String)> = tree.lines().filter_map(name_and_version).collect();
    // Most crates come with the same few texts.
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    texts.entry(vpx.trim().to_owned()).or_default().insert("libvpx".to_owned());
    let mut without = String::new();
    for (name, version) in &used {
        let package = packages.iter().find(|one| one["name"] == **name && one["version"] == **version);
        let Some(package) = package.filter(|package| package["source"].is_string()) else { continue };
        let title = format!("{name} {version}");
        let found = licence_files(package)?;
        if found.is_empty() {
            let _ = writeln!(without, "  {title}: {}", package["license"].as_str().unwrap_or("no licence named"));
        }
        for text in found {
            texts.entry(text).or_default().insert(title.clone());
        }
    }
    let mut all = String::from("What this package contains of others, and its licences.\n");
    for (text, titles) in &texts {
        let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        let _ = write!(all, "\n{}\n{}\n\n{text}\n", "=".repeat(80), titles.join(", "));
    }
    let _ = write!(all, "\n{}\nUnder the licence named, whose text is above:\n{without}", "=".repeat(80));
    let folder = workspace.root.join("bindings/python/licenses");
    fs::create_dir_all(&folder).context(folder.display())?;
    fs::copy(workspace.root.join("LICENSE"), folder.join("LICENSE")).context("LICENSE")?;
    let file = folder.join("THIRD_PARTY.txt");
    fs::write(&file, all).context(file.display())
}

/// Of `name v1.2.3 (proc-macro)`; a crate that only ran while building is not in the wheel.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace().filter(|_| !line.contains("(proc-macro)"));
    Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
}

/// Texts beside the manifest, and in the folders of the C sources that a crate carries.
fn licence_files(package: &Value) -> Outcome<BTreeSet<String>> {
    let manifest = package["manifest_path"].as_str().ok_or("a package without a manifest")?;
    let folder = Path::new(manifest).parent().ok_or("a manifest without a folder")?;
    let mut found = BTreeSet::new();
    let carried = ["", "vendor", "opus", "src", "LICENSES", "licenses"].map(|part| folder.join(part));
    for file in carried.iter().flat_map(|folder| files(folder)) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let code = file.extension().is_some_and(|ending| ["rs", "h", "c"].iter().any(|code| ending == *code));
        if NAMES.iter().any(|start| name.starts_with(start)) && !code {
            let text = String::from_utf8_lossy(&fs::read(&file).context(file.display())?).trim().to_owned();
            found.insert(text);
        }
    }
    Ok(found)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_tree_are_read() {
        let pair = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
        assert_eq!(name_and_version("ring v0.17.14"), pair("ring", "0.17.14"));
        assert_eq!(name_and_version("sora-sdk v0.1.0 (/somewhere) (*)"), pair("sora-sdk", "0.1.0"));
        assert_eq!(name_and_version("serde_derive v1.0.1 (proc-macro)"), None);
        assert_eq!(name_and_version(""), None);
    }
}
