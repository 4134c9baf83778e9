use std::fs;

/// What the server is told about this machine: `[x86_64] Debian GNU/Linux 12 (bookworm)`.
pub(crate) fn environment() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let system = pretty.map_or(std::env::consts::OS, |name| name.trim_matches('"'));
    format!("[{}] {system}", std::env::consts::ARCH)
}
