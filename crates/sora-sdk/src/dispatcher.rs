use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use sora_media::Track;
use sora_signaling::Event;

/// Events that may wait for a slow callback. Beyond it messages are dropped and counted; tracks and endings never are.
const QUEUE: usize = 4096;

/// What a connection tells the program, in order, on one thread.
#[derive(Debug, Clone)]
pub enum ConnectionEvent {
    /// The other side sends a track.
    Track(Track),
    /// Something about signaling or messages. `Event::Disconnected` is the last one.
    Signaling(Event),
}

impl ConnectionEvent {
    fn may_be_dropped(&self) -> bool {
        matches!(
            self,
            Self::Signaling(Event::Message { .. } | Event::Notify(_) | Event::Push(_) | Event::SignalingMessage { .. })
        )
    }
}

#[derive(Default)]
struct State {
    events: VecDeque<ConnectionEvent>,
    finished: bool,
    /// The callback for the last event has returned.
    done: bool,
    dropped: u64,
    thread: Option<ThreadId>,
}

/// Hands events to the program's callback on a thread of its own, so that a slow callback delays nothing else.
#[derive(Clone, Default)]
pub(crate) struct Dispatcher(Arc<(Mutex<State>, Condvar)>);

impl Dispatcher {
    pub(crate) fn start(&self, mut callback: impl FnMut(ConnectionEvent) + Send + 'static) -> std::io::Result<()> {
        let shared = self.0.clone();
        let worker = std::thread::Builder::new().name("sora-dispatch".to_owned()).spawn(move || {
            let (mutex, condvar) = &*shared;
            loop {
                let mut state = mutex.lock().unwrap_or_else(PoisonError::into_inner);
                while state.events.is_empty() && !state.finished {
                    state = condvar.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                let Some(event) = state.events.pop_front() else { break };
                drop(state);
                if catch_unwind(AssertUnwindSafe(|| callback(event))).is_err() {
                    tracing::error!("a connection callback panicked");
                }
            }
            // What the callback holds goes before waiters learn that all is over.
            drop(callback);
            mutex.lock().unwrap_or_else(PoisonError::into_inner).done = true;
            condvar.notify_all();
        })?;
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).thread = Some(worker.thread().id());
        Ok(())
    }

    pub(crate) fn push(&self, event: ConnectionEvent) {
        let (mutex, condvar) = &*self.0;
        let mut state = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        if state.events.len() >= QUEUE && event.may_be_dropped() {
            state.dropped += 1;
            if state.dropped.is_power_of_two() {
                tracing::warn!(dropped = state.dropped, "callbacks are too slow: messages are being dropped");
            }
            return;
        }
        state.events.push_back(event);
        drop(state);
        condvar.notify_all();
    }

    /// No more events will come.
    pub(crate) fn finish(&self) {
        let (mutex, condvar) = &*self.0;
        mutex.lock().unwrap_or_else(PoisonError::into_inner).finished = true;
        condvar.notify_all();
    }

    /// True on the thread that calls back.
    pub(crate) fn is_current(&self) -> bool {
        let thread = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).thread;
        thread == Some(std::thread::current().id())
    }

    /// Waits until the last callback has returned. False if it has not by the deadline, or if the caller is a callback.
    pub(crate) fn wait_done(&self, limit: Duration) -> bool {
        let (mutex, condvar) = &*self.0;
        let deadline = Instant::now() + limit;
        let mut state = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        if state.thread == Some(std::thread::current().id()) {
            return false;
        }
        while !state.done {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = condvar.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
