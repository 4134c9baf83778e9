use std::sync::Arc;

use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use sora_sdk::VideoSource;

use crate::array::contiguous;
use crate::fork;
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
    /// Without a timestamp the picture counts as captured now. Deprecated: timestamp in seconds since the epoch as of
    /// time.time(), or timestamp_us in microseconds. By position a float is seconds and an int microseconds, as the
    /// documented forms have it; by name both are taken as numbers.
    ///
    /// May be called from any thread and does not block: the picture is converted in the calling thread with the GIL
    /// released, and the array may be changed when the call has returned. Raises TypeError for anything that is no such array and
    /// ValueError for pictures beyond 16383 pixels on a side.
    #[pyo3(
        signature = (ndarray, when = None, *, timestamp = None, timestamp_us = None),
        text_signature = "($self, ndarray, timestamp=None, *, timestamp_us=None)"
    )]
    fn on_captured(
        &self,
        py: Python<'_>,
        ndarray: &Bound<'_, PyAny>,
        when: Option<&Bound<'_, PyAny>>,
        timestamp: Option<f64>,
        timestamp_us: Option<i64>,
    ) -> PyResult<()> {
        fork::check()?;
        let timestamp_us = match (when, timestamp, timestamp_us) {
            (None, None, us) => us,
            (None, Some(seconds), None) => microseconds(seconds),
            (Some(value), None, None) if value.hasattr("__index__")? => Some(value.extract()?),
            (Some(value), None, None) => microseconds(value.extract()?),
            _ => return Err(PyTypeError::new_err("give one of timestamp and timestamp_us")),
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
