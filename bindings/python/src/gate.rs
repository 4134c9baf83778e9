//! The way from native threads into Python. At interpreter exit it closes: calls that are in Python are waited for,
//! later ones do not happen. Without it a thread that attaches to a dying interpreter takes the process down.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::{fork, interrupt};

/// How long exit lets callbacks that are still running come to their end.
const GRACE: Duration = Duration::from_millis(100);
/// How long it waits for those it has interrupted.
const EXIT_LIMIT: Duration = Duration::from_millis(1500);

struct State {
    closed: bool,
    inside: usize,
    /// What Python calls the threads inside.
    threads: Vec<u64>,
}

static STATE: Mutex<State> = Mutex::new(State { closed: false, inside: 0, threads: Vec::new() });
static LEFT: Condvar = Condvar::new();

thread_local! {
    /// True on a native thread that is inside a callback.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// What Python calls this thread.
    static IDENT: Cell<Option<u64>> = const { Cell::new(None) };
}

fn ident(py: Python<'_>) -> Option<u64> {
    if IDENT.get().is_none() {
        let ident = py.import("threading").and_then(|module| module.call_method0("get_ident")?.extract());
        IDENT.set(ident.ok());
    }
    IDENT.get()
}

fn lock() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Visit;

impl Drop for Visit {
    fn drop(&mut self) {
        INSIDE.set(false);
        let mut state = lock();
        state.inside -= 1;
        if let Some(place) = state.threads.iter().position(|ident| Some(*ident) == IDENT.get()) {
            state.threads.swap_remove(place);
        }
        drop(state);
        LEFT.notify_all();
    }
}

/// Runs `call` attached to the interpreter, or not at all once it is exiting.
pub(crate) fn enter(call: impl FnOnce(Python<'_>)) {
    // The lock may have been taken by a thread that did not come along.
    if fork::is_orphan() {
        return;
    }
    {
        let mut state = lock();
        if state.closed {
            return;
        }
        state.inside += 1;
    }
    INSIDE.set(true);
    let _visit = Visit;
    Python::attach(|py| {
        if let Some(ident) = ident(py) {
            lock().threads.push(ident);
        }
        call(py);
    });
}

/// True once the interpreter is exiting.
pub(crate) fn is_closed() -> bool {
    lock().closed
}

/// Drops a value that holds Python references, attached to the interpreter. Once that is exiting they are leaked:
/// nobody is left to give them back to.
pub(crate) fn discard<T: Send + 'static>(value: T) {
    let mut value = Some(value);
    enter(|_| drop(value.take()));
    std::mem::forget(value);
}

/// Closes the gate and waits for callbacks to return; those that take long are interrupted by `SystemExit`. Registered
/// with `atexit`.
#[pyfunction]
#[pyo3(name = "_shut_down")]
pub(crate) fn shut_down(py: Python<'_>) {
    if fork::is_orphan() {
        return;
    }
    lock().closed = true;
    if py.detach(|| wait_until_empty(GRACE)) {
        return;
    }
    let own = IDENT.get().filter(|_| INSIDE.get());
    let stuck: Vec<u64> = lock().threads.iter().copied().filter(|ident| Some(*ident) != own).collect();
    stuck.into_iter().for_each(|ident| interrupt::raise_in(py, ident));
    py.detach(|| wait_until_empty(EXIT_LIMIT));
}

/// False if somebody else than this thread is still inside after that time.
fn wait_until_empty(limit: Duration) -> bool {
    let (own, deadline) = (usize::from(INSIDE.get()), Instant::now() + limit);
    let mut state = lock();
    while state.inside > own {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        state = LEFT.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    true
}
