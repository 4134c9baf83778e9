use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the development server with a command line until it is told to end. Returns its exit status.
#[pyfunction]
#[pyo3(name = "_devserver")]
pub(crate) fn devserver(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| sora_devserver::run_program(arguments))
}
