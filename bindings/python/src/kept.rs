//! Objects that a connection keeps for as long as it needs them: a program need not, and the collector sees them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use sora_sdk::{Track, TrackState};

/// The transformers of a connection. Those of a track go with it.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<(Option<Track>, Py<PyAny>)>>);

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Vec<(Option<Track>, Py<PyAny>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an object for the connection's whole life.
    pub(crate) fn keep(&self, object: &Bound<'_, PyAny>) {
        self.lock().push((None, object.clone().unbind()));
    }

    /// Keeps an object for a track, in the place of what was kept for it.
    pub(crate) fn keep_for(&self, track: &Track, object: Option<&Bound<'_, PyAny>>) {
        let mut kept = self.lock();
        let all = std::mem::take(&mut *kept);
        let stays =
            |of: &Option<Track>| of.as_ref().is_none_or(|of| of.id() != track.id() && of.state() == TrackState::Live);
        let (mut stay, go): (Vec<_>, Vec<_>) = all.into_iter().partition(|(of, _)| stays(of));
        stay.extend(object.map(|object| (Some(track.clone()), object.clone().unbind())));
        *kept = stay;
        drop(kept);
        // Outside the lock: the last reference to an object may run anything.
        drop(go);
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The collector must not wait; what it cannot look at now it looks at next time.
        if let Ok(kept) = self.0.try_lock() {
            kept.iter().try_for_each(|(_, object)| visit.call(object))?;
        }
        Ok(())
    }

    pub(crate) fn clear(&self) {
        let kept = std::mem::take(&mut *self.lock());
        drop(kept);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let kept = std::mem::take(&mut *self.lock());
        if !kept.is_empty() {
            crate::gate::discard(kept);
        }
    }
}
