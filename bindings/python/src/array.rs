//! Arrays from the program. Contiguous ones of the right type are read in place, others are copied once.

use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView};

/// A contiguous array of `T` with the wanted number of dimensions.
///
/// Arrays of another numeric type are converted like `astype`, arrays that are not C-contiguous are copied, and a
/// `memoryview` of an array is taken like the array. Everything else is a `TypeError`.
pub(crate) fn contiguous<'py, T: numpy::Element>(
    value: &Bound<'py, PyAny>,
    dimensions: usize,
    expected: &str,
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    let py = value.py();
    let wrong = |given: String| PyTypeError::new_err(format!("expected {expected}, got {given}"));
    let array = if value.is_instance_of::<PyMemoryView>() {
        py.import("numpy")?.call_method1("asarray", (value,))?
    } else {
        value.clone()
    };
    let Ok(untyped) = array.cast::<PyUntypedArray>() else {
        return Err(wrong(value.get_type().name()?.to_string()));
    };
    if untyped.ndim() != dimensions {
        return Err(wrong(format!("an array of {} dimensions", untyped.ndim())));
    }
    if let Ok(typed) = array.cast::<PyArrayDyn<T>>()
        && typed.is_c_contiguous()
        && let Ok(readonly) = typed.try_readonly()
    {
        return Ok(readonly);
    }
    let dtype = untyped.dtype();
    let kind: String = dtype.getattr("kind")?.extract()?;
    if !matches!(kind.as_str(), "b" | "i" | "u" | "f") || dtype.getattr("byteorder")?.extract::<String>()? == ">" {
        return Err(wrong(format!("an array of {dtype}")));
    }
    let options = PyDict::new(py);
    options.set_item("order", "C")?;
    options.set_item("casting", "unsafe")?;
    options.set_item("copy", true)?;
    let converted = array.call_method("astype", (numpy::dtype::<T>(py),), Some(&options))?;
    let converted = converted.cast_into::<PyArrayDyn<T>>().map_err(|error| wrong(error.to_string()))?;
    Ok(converted.readonly())
}
