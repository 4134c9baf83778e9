//! What is left in a process made by `fork`: the memory, but none of the native threads. Whoever only imported the
//! package or made sources before the fork may use all of it in the child; after that there is only a clear refusal.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

static STARTED: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// Notes that this process has native threads, which a child would miss.
pub(crate) fn threads_start() {
    STARTED.store(true, Ordering::Relaxed);
}

/// True in a child whose parent had native threads.
pub(crate) fn is_orphan() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Refuses to work in such a child.
pub(crate) fn check() -> PyResult<()> {
    if is_orphan() {
        return Err(PyRuntimeError::new_err(
            "sora_sdk was in use before this process was forked and its threads are not here; start the process with \
             multiprocessing.get_context(\"spawn\"), or fork before connecting",
        ));
    }
    Ok(())
}

/// Registered with `os.register_at_fork`.
#[pyfunction]
#[pyo3(name = "_after_fork")]
pub(crate) fn after_fork() {
    if STARTED.load(Ordering::Relaxed) {
        FORKED.store(true, Ordering::Relaxed);
    }
}
