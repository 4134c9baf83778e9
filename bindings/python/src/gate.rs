//! The way from native threads into Python. At interpreter exit it closes: calls that are in Python are waited for,
//! later ones do not happen. Without it a thread that attaches to a dying interpreter takes the process down.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::{fork, interrupt, park};

/// How long exit lets callbacks that are still running come to their end.
const GRACE: Duration = Duration::from_millis(90);
/// How long it waits each time for those it has interrupted.
const INTERRUPTED: Duration = Duration::from_millis(20);
/// How long a thread has to have slept to be taken for one that will not wake in time.
const ASLEEP: Duration = Duration::from_millis(12);
/// How long it waits in all for those that neither end nor sleep.
const EXIT_LIMIT: Duration = Duration::from_millis(1500);

struct State {
    closed: bool,
    inside: usize,
    threads: Vec<Inside>,
}

/// A thread that is in Python.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Inside {
    /// What Python calls it.
    ident: u64,
    /// What the kernel calls it.
    number: c_int,
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
        if let Some(place) = state.threads.iter().position(|thread| Some(thread.ident) == IDENT.get()) {
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
            lock().threads.push(Inside { ident, number: park::thread_number() });
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

/// Closes the gate and waits for callbacks to return; those that take long are interrupted by `SystemExit`, and those that
/// sleep through that are not let back. Registered with `atexit`.
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
    others().into_iter().for_each(|thread| interrupt::raise_in(py, thread.ident));
    let deadline = Instant::now() + EXIT_LIMIT;
    while !py.detach(|| wait_until_empty(INTERRUPTED)) && Instant::now() < deadline {
        park_sleepers();
    }
}

/// The threads inside but for this one.
fn others() -> Vec<Inside> {
    let own = IDENT.get().filter(|_| INSIDE.get());
    lock().threads.iter().copied().filter(|thread| Some(thread.ident) != own).collect()
}

/// Puts those to sleep for good that sleep in a C call. To be called attached: nobody else has the interpreter then.
fn park_sleepers() {
    let before: Vec<_> = others().into_iter().map(|thread| (thread, park::naps(thread.number))).collect();
    std::thread::sleep(ASLEEP);
    for (thread, naps) in before {
        if naps.is_some() && park::naps(thread.number) == naps && park::park(thread.number) {
            let mut state = lock();
            state.inside -= 1;
            state.threads.retain(|other| *other != thread);
        }
    }
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
