use std::sync::Arc;

use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyFloat;
use sora_sdk::VideoSource;

use crate::array::contiguous;
use crate::track::SoraTrackInterface;

/// Pictures from the program. Made by Sora.create_video_source().
#[pyclass(extends = SoraTrackInterface, frozen, subclass, module = "sora_sdk")]
pub(crate) struct SoraVideoSource {
    pub(crate) source: Arc<VideoSource>,
}

impl SoraVideoSource {
    pub(crate) fn create(py: Python<'_>) -> PyResult<Py<Self>> {
        let source = VideoSource::new();
        let base = SoraTrackInterface { track: source.track().clone() };
        Py::new(py, PyClassInitializer::from(base).add_subclass(Self { source: Arc::new(source) }))
    }
}

fn microseconds(seconds: f64) -> Option<i64> {
    let us = seconds * 1e6;
    (us.is_finite() && us.abs() < 9e15).then_some(us as i64)
}

#[pymethods]
impl SoraVideoSource {
    /// Takes a picture: a uint8 array of shape (height, width, 3) in BGR order.
    ///
    /// Without a timestamp the picture counts as captured now. Deprecated: timestamp in seconds since the epoch (float)
    /// or timestamp_us in microseconds (int). The picture is converted in the calling thread with the GIL released;
    /// the array may be changed when the call has returned. Raises TypeError for anything that is no such array and
    /// ValueError for pictures beyond 16383 pixels on a side.
    #[pyo3(signature = (ndarray, timestamp = None, *, timestamp_us = None))]
    fn on_captured(
        &self,
        py: Python<'_>,
        ndarray: &Bound<'_, PyAny>,
        timestamp: Option<&Bound<'_, PyAny>>,
        timestamp_us: Option<i64>,
    ) -> PyResult<()> {
        let timestamp_us = match (timestamp, timestamp_us) {
            (None, us) => us,
            (Some(_), Some(_)) => return Err(PyTypeError::new_err("give timestamp or timestamp_us, not both")),
            // A float is seconds, an int microseconds, as the documented overloads have it.
            (Some(value), None) if value.is_instance_of::<PyFloat>() => microseconds(value.extract()?),
            (Some(value), None) => Some(value.extract()?),
        };
        let array: PyReadonlyArrayDyn<'_, u8> = contiguous(ndarray, 3, "a uint8 array of shape (height, width, 3)")?;
        let [height, width, 3] = array.shape()[..] else {
            return Err(PyTypeError::new_err(format!(
                "expected a uint8 array of shape (height, width, 3), got shape {:?}",
                array.shape()
            )));
        };
        let pixels = array.as_slice()?;
        let size = |side: usize| u32::try_from(side).map_err(|_| PyValueError::new_err("the picture is too large"));
        let (width, height) = (size(width)?, size(height)?);
        py.detach(|| self.source.push_bgr(pixels, width, height, width as usize * 3, timestamp_us))
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
