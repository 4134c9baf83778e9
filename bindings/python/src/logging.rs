//! Records of the native half and of the libraries below it go to Python's `logging`, under `sora_sdk`.
//!
//! Whoever logs only puts a record into a bounded queue; one thread takes them to Python. So no thread that carries
//! media waits for a handler, and a handler may log, raise or block.

use std::fmt::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry, reload};

use crate::{fork, gate};

type Handle = reload::Handle<Targets, Registry>;

static HANDLE: OnceLock<Option<Handle>> = OnceLock::new();

/// Records that may wait for Python; newer ones are lost meanwhile.
const QUEUE: usize = 1024;
const LOGGER: &str = "sora_sdk";

/// Ours at the level, the libraries' warnings and errors: what they say below that is of no use to a program.
fn targets(level: LevelFilter) -> Targets {
    let ours = [
        "sora_sdk",
        "sora_transport",
        "sora_peer",
        "sora_media",
        "sora_signaling",
        "sora_codec",
        "sora_sdk_ext",
        "sora_devserver",
    ];
    let all =
        Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets(ours.map(|target| (target, level)));
    // They warn of every connection: that it names no server, which nobody checks in WebRTC, and that it begins before
    // there are candidates.
    let chatty = ["rtc_dtls::config", "rtc_ice::agent"];
    all.with_targets(chatty.map(|target| (target, level.min(LevelFilter::ERROR))))
}

struct Record {
    level: Level,
    target: String,
    text: String,
    file: String,
    line: u32,
    thread: String,
}

/// The message first, then `name=value` of the other fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// The way to the thread that hands over, which does not survive a fork.
struct Carrier {
    process: u32,
    records: SyncSender<Record>,
}

impl Carrier {
    fn start() -> Option<Self> {
        let (records, receiver) = sync_channel(QUEUE);
        std::thread::Builder::new().name("sora-log".into()).spawn(move || carry(&receiver)).ok()?;
        Some(Self { process: std::process::id(), records })
    }
}

/// Starts its thread with the first record.
#[derive(Default)]
struct ToPython(Mutex<Option<Carrier>>);

impl<S: Subscriber> Layer<S> for ToPython {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let record = Record {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            text: text.message + &text.fields,
            file: metadata.file().unwrap_or_default().to_owned(),
            line: metadata.line().unwrap_or_default(),
            thread: std::thread::current().name().unwrap_or_default().to_owned(),
        };
        // The lock may have been taken by a thread that did not come along.
        if fork::is_orphan() {
            return;
        }
        let mut carrier = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if carrier.as_ref().is_none_or(|carrier| carrier.process != std::process::id()) {
            *carrier = Carrier::start();
        }
        if let Some(carrier) = &*carrier {
            // Full means that Python does not keep up: better to lose records than time.
            let _ = carrier.records.try_send(record);
        }
    }
}

/// `sora_transport::client` is `sora_sdk.transport.client`, `rtc_ice::agent` is `sora_sdk.rtc_ice.agent`.
fn logger_name(target: &str) -> String {
    let path = target.replace("::", ".");
    match path.strip_prefix("sora_sdk_ext").or_else(|| path.strip_prefix(LOGGER)) {
        Some(rest) => format!("{LOGGER}{rest}"),
        None => format!("{LOGGER}.{}", path.strip_prefix("sora_").unwrap_or(&path)),
    }
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}

fn hand_over(py: Python<'_>, record: &Record) -> PyResult<()> {
    let name = logger_name(&record.target);
    let logger = py.import("logging")?.call_method1("getLogger", (&name,))?;
    let level = number(record.level);
    if !logger.call_method1("isEnabledFor", (level,))?.is_truthy()? {
        return Ok(());
    }
    let arguments = (&name, level, &record.file, record.line, &record.text, (), py.None());
    let made = logger.call_method1("makeRecord", arguments)?;
    made.setattr("threadName", &record.thread)?;
    logger.call_method1("handle", (made,)).map(drop)
}

fn carry(records: &Receiver<Record>) {
    for record in records {
        gate::enter(|py| {
            if let Err(error) = hand_over(py, &record) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// Sends records to `logging` from now on, warnings and errors first. Called when the module is imported.
pub(crate) fn start() {
    HANDLE.get_or_init(|| {
        let (filter, handle) = reload::Layer::new(targets(LevelFilter::WARN));
        let subscriber = tracing_subscriber::registry().with(filter).with(ToPython::default());
        // Somebody else in the process may have set one up; theirs is used then.
        tracing::subscriber::set_global_default(subscriber).ok()?;
        let _ = tracing_log::LogTracer::init();
        Some(handle)
    });
}

/// Sets the level of the logger "sora_sdk", to which everything below Python logs, and lets it write to stderr if
/// nobody has given it or the root logger a handler.
///
/// severity: a SoraLoggingSeverity or its number, 0 (VERBOSE) to 4 (NONE). Calling it again changes the level.
#[pyfunction]
pub(crate) fn enable_libwebrtc_log(py: Python<'_>, severity: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = || PyTypeError::new_err("enable_libwebrtc_log() expects a SoraLoggingSeverity (0 to 4)");
    let (level, python_level) = match severity.extract::<i64>().map_err(|_| wrong())? {
        0 => (LevelFilter::DEBUG, 10),
        1 => (LevelFilter::INFO, 20),
        2 => (LevelFilter::WARN, 30),
        3 => (LevelFilter::ERROR, 40),
        // Above everything there is.
        4 => (LevelFilter::OFF, 100),
        _ => return Err(wrong()),
    };
    if let Some(Some(handle)) = HANDLE.get() {
        // It fails only when the subscriber is gone, and that lives as long as the process.
        let _ = handle.reload(targets(level));
    }
    py.import("sora_sdk._logging")?.call_method1("set_level", (python_level,)).map(drop)
}
