//! A bounded queue to a thread. When it is full the oldest entry goes: media that waits is media that is late.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::SinkError;

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
    dropped: u64,
}

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

/// What a wait on a queue ended with.
pub(crate) enum Popped<T> {
    Item(T),
    TimedOut,
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), closed: false, dropped: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry. Returns true if an older one had to go for it.
    pub(crate) fn push(&self, item: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let full = state.items.len() >= self.capacity;
        let oldest = if full { state.items.pop_front() } else { None };
        state.dropped += u64::from(full);
        state.items.push_back(item);
        drop(state);
        self.changed.notify_one();
        // Outside the lock: dropping an entry may run anything.
        drop(oldest);
        full
    }

    /// Waits for an entry, at most until `deadline`.
    pub(crate) fn pop(&self, deadline: Option<Instant>) -> Popped<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Popped::Closed;
            }
            if let Some(item) = state.items.pop_front() {
                return Popped::Item(item);
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Popped::TimedOut;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Ends every wait, now and later.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let items = std::mem::take(&mut state.items);
        drop(state);
        self.changed.notify_all();
        drop(items);
    }

    /// Entries that had to go.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

impl<T: Send + 'static> Queue<T> {
    /// Calls back with each entry on a thread named `name` until the queue is closed. A panic of the callback is one
    /// lost entry.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn call_with_each(
        self: &Arc<Self>,
        name: &'static str,
        mut callback: impl FnMut(T) + Send + 'static,
    ) -> Result<(), SinkError> {
        let queue = self.clone();
        let worker = move || {
            while let Popped::Item(item) = queue.pop(None) {
                if catch_unwind(AssertUnwindSafe(|| callback(item))).is_err() {
                    tracing::error!("a callback of {name} panicked");
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(worker);
        thread.map(drop).map_err(|error| SinkError::Thread(error.to_string()))
    }
}
