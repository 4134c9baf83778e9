use std::sync::OnceLock;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, reload};

type Handle = reload::Handle<Targets, Registry>;

static HANDLE: OnceLock<Option<Handle>> = OnceLock::new();

fn targets(level: LevelFilter) -> Targets {
    let ours =
        ["sora_sdk", "sora_transport", "sora_peer", "sora_media", "sora_signaling", "sora_codec", "sora_sdk_ext"];
    Targets::new().with_targets(ours.map(|target| (target, level)))
}

/// Writes log lines of the given severity and above to stderr. Off until called; calling it again changes the level.
///
/// severity: a SoraLoggingSeverity or its number, 0 (VERBOSE) to 4 (NONE).
#[pyfunction]
pub(crate) fn enable_libwebrtc_log(severity: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = || PyTypeError::new_err("enable_libwebrtc_log() expects a SoraLoggingSeverity (0 to 4)");
    let level = match severity.extract::<i64>().map_err(|_| wrong())? {
        0 => LevelFilter::DEBUG,
        1 => LevelFilter::INFO,
        2 => LevelFilter::WARN,
        3 => LevelFilter::ERROR,
        4 => LevelFilter::OFF,
        _ => return Err(wrong()),
    };
    let handle = HANDLE.get_or_init(|| {
        let (filter, handle) = reload::Layer::new(targets(level));
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(filter).with(lines);
        // Somebody else in the process may have set one up; theirs is used then.
        tracing::subscriber::set_global_default(subscriber).ok().map(|()| handle)
    });
    if let Some(handle) = handle {
        // It fails only when the subscriber is gone, and that lives as long as the process.
        let _ = handle.reload(targets(level));
    }
    Ok(())
}
