//! Raising an exception in another thread, which has no safe form.
#![allow(unsafe_code)]

use std::ffi::c_long;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;

/// Raises `SystemExit` in the thread that Python calls by this number, at its next instruction.
pub(crate) fn raise_in(py: Python<'_>, ident: u64) {
    let kind = py.get_type::<PySystemExit>();
    // SAFETY: this thread is attached, and the second argument is a class of exceptions that lives on. A number that
    // names no thread does nothing.
    unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(ident as c_long, kind.as_ptr()) };
}
