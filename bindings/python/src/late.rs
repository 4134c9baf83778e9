use std::sync::OnceLock;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// What `__init__` makes. It is apart from `__new__`, which takes anything, so that a subclass may have arguments of
/// its own and calls `super().__init__()` with ours.
pub(crate) struct Late<T>(OnceLock<T>);

impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Late<T> {
    /// Called by `__init__`.
    pub(crate) fn set(&self, class: &str, value: T) -> PyResult<()> {
        self.0.set(value).map_err(|_| PyRuntimeError::new_err(format!("{class}.__init__() was called before")))
    }

    pub(crate) fn get(&self, class: &str) -> PyResult<&T> {
        let missing = || PyRuntimeError::new_err(format!("{class}.__init__() was not called"));
        self.0.get().ok_or_else(missing)
    }
}
