//! Signals such as Ctrl+C while a call waits. Python handles them on its main thread only; the others must not come back
//! to the interpreter before their wait is over, for it may be gone.

use pyo3::prelude::*;

/// True if this is the thread that handles signals.
pub(crate) fn are_handled_here(py: Python<'_>) -> bool {
    let is_main = || {
        let threading = py.import("threading")?;
        let main = threading.call_method0("main_thread")?.getattr("ident")?;
        main.eq(threading.call_method0("get_ident")?)
    };
    is_main().unwrap_or(false)
}
