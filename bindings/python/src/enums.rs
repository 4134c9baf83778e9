//! The enums are Python's own `IntEnum`s, defined in `sora_sdk._enums`; this gives their members.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// The member of an enum class by its number.
pub(crate) fn member<'py>(py: Python<'py>, class: &str, value: i64) -> PyResult<Bound<'py, PyAny>> {
    let module = MODULE.get_or_try_init(py, || py.import("sora_sdk._enums").map(Bound::unbind))?;
    module.bind(py).getattr(class)?.call1((value,))
}
