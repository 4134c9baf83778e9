use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::call::PyCallArgs;
use pyo3::exceptions::{PySystemExit, PyTypeError};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::gate;

/// The callables a program has set, by name. Held by the Python object and by the thread that calls them.
#[derive(Default)]
pub(crate) struct Callbacks(Mutex<HashMap<&'static str, Py<PyAny>>>);

impl Callbacks {
    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Py<PyAny>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a callback; `None` unsets it.
    pub(crate) fn set(&self, name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let old = if value.is_none() {
            self.lock().remove(name)
        } else if value.is_callable() {
            self.lock().insert(name, value.clone().unbind())
        } else {
            let given = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!("{name} must be callable or None, not {given}")));
        };
        // Outside the lock: the old callback's last reference may run anything.
        drop(old);
        Ok(())
    }

    /// The callback, or `None`.
    pub(crate) fn get(&self, py: Python<'_>, name: &'static str) -> Option<Py<PyAny>> {
        self.lock().get(name).map(|callback| callback.clone_ref(py))
    }

    pub(crate) fn is_set(&self, name: &'static str) -> bool {
        self.lock().contains_key(name)
    }

    /// Calls a callback if it is set. What it raises goes to `sys.unraisablehook` and to logging; the caller goes on.
    pub(crate) fn call<'py>(&self, py: Python<'py>, name: &'static str, arguments: impl PyCallArgs<'py>) {
        let Some(callback) = self.get(py, name) else { return };
        let result = callback.bind(py).call1(arguments);
        if let Err(error) = result {
            // What interrupts callbacks at exit is nobody's fault.
            if gate::is_closed() && error.is_instance_of::<PySystemExit>(py) {
                return;
            }
            tracing::error!(callback = name, "a callback raised {}", error.get_type(py));
            error.write_unraisable(py, Some(callback.bind(py)));
        }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The collector must not wait; what it cannot look at now it looks at next time.
        if let Ok(callbacks) = self.0.try_lock() {
            callbacks.values().try_for_each(|callback| visit.call(callback))?;
        }
        Ok(())
    }

    pub(crate) fn clear(&self) {
        let callbacks = std::mem::take(&mut *self.lock());
        drop(callbacks);
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        let callbacks = std::mem::take(&mut *self.lock());
        if !callbacks.is_empty() {
            crate::gate::discard(callbacks);
        }
    }
}
