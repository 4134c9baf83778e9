//! The way from native threads into Python. At interpreter exit it closes: calls that are in Python are waited for,
//! later ones do not happen. Without it a thread that attaches to a dying interpreter takes the process down.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::fork;

/// How long exit waits for callbacks that are still running.
const EXIT_LIMIT: Duration = Duration::from_millis(1500);

struct State {
    closed: bool,
    inside: usize,
}

static STATE: Mutex<State> = Mutex::new(State { closed: false, inside: 0 });
static LEFT: Condvar = Condvar::new();

thread_local! {
    /// True on a native thread that is inside a callback.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn lock() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Visit;

impl Drop for Visit {
    fn drop(&mut self) {
        INSIDE.set(false);
        lock().inside -= 1;
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
    Python::attach(call);
}

/// Drops a value that holds Python references, attached to the interpreter. Once that is exiting they are leaked:
/// nobody is left to give them back to.
pub(crate) fn discard<T: Send + 'static>(value: T) {
    let mut value = Some(value);
    enter(|_| drop(value.take()));
    std::mem::forget(value);
}

/// Closes the gate and waits for callbacks to return. Registered with `atexit`.
#[pyfunction]
#[pyo3(name = "_shut_down")]
pub(crate) fn shut_down(py: Python<'_>) {
    if fork::is_orphan() {
        return;
    }
    let own = usize::from(INSIDE.get());
    py.detach(|| {
        let deadline = Instant::now() + EXIT_LIMIT;
        let mut state = lock();
        state.closed = true;
        while state.inside > own {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = LEFT.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    });
}
