use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

/// What has happened since the server started. Each number is exact; together they are no snapshot.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    created: AtomicU64,
    destroyed: AtomicU64,
    failed: AtomicU64,
    duration_ms: AtomicU64,
}

impl Counters {
    /// A connection's media is up.
    pub(crate) fn created(&self) {
        self.created.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection that was up has gone.
    pub(crate) fn destroyed(&self, lasted: Duration) {
        self.duration_ms.fetch_add(u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.destroyed.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was refused or ended before it was up.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// As `GetStatsReport` gives them.
    pub(crate) fn report(&self) -> Value {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (destroyed, seconds) = (read(&self.destroyed), read(&self.duration_ms) / 1000);
        let created = read(&self.created);
        json!({
            "version": crate::VERSION,
            "total_connection_created": created,
            "total_connection_destroyed": destroyed,
            "total_ongoing_connections": created.saturating_sub(destroyed),
            "total_failed_connections": read(&self.failed),
            "total_duration_sec": seconds,
            "average_duration_sec": seconds.checked_div(destroyed).unwrap_or(0),
        })
    }
}
