use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};
use sora_sdk::CodecRegistry;

use crate::arguments;
use crate::connection::SoraConnection;
use crate::source::{SoraAudioSource, SoraVideoSource};

/// Makes sources and connections.
#[pyclass(subclass, frozen, weakref, module = "sora_sdk")]
pub(crate) struct Sora {
    registry: Arc<CodecRegistry>,
}

#[pymethods]
impl Sora {
    /// use_hardware_encoder: accepted; there are no hardware encoders yet, so it changes nothing.
    /// openh264: path of the OpenH264 library; H.264 is not supported yet, so it is not loaded.
    #[new]
    #[pyo3(signature = (use_hardware_encoder = None, openh264 = None))]
    fn new(use_hardware_encoder: Option<&Bound<'_, PyAny>>, openh264: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        // 2024 put use_hardware_encoder first, 2025 openh264: a str there is the latter.
        if let Some(first) = use_hardware_encoder.filter(|value| !value.is_none())
            && !(first.is_instance_of::<PyBool>() || first.is_instance_of::<PyString>() && openh264.is_none())
        {
            return Err(PyTypeError::new_err("Sora(): use_hardware_encoder must be a bool or None"));
        }
        if let Some(path) = openh264.filter(|value| !value.is_none())
            && !path.is_instance_of::<PyString>()
        {
            return Err(PyTypeError::new_err("Sora(): openh264 must be a str or None"));
        }
        Ok(Self { registry: Arc::new(CodecRegistry::default()) })
    }

    /// Makes a source for sound.
    ///
    /// channels: 1 to 8. sample_rate: 8000 to 192000 Hz. Raises ValueError for anything else.
    fn create_audio_source(
        &self,
        py: Python<'_>,
        channels: &Bound<'_, PyAny>,
        sample_rate: &Bound<'_, PyAny>,
    ) -> PyResult<Py<SoraAudioSource>> {
        let channels = arguments::integer(channels, "channels")?;
        SoraAudioSource::create(py, channels, arguments::integer(sample_rate, "sample_rate")?)
    }

    /// Makes a source for pictures.
    fn create_video_source(&self, py: Python<'_>) -> PyResult<Py<SoraVideoSource>> {
        SoraVideoSource::create(py)
    }

    /// Makes a connection. It connects when its connect() is called. See the stub file for all arguments.
    #[pyo3(signature = (*args, **kwargs))]
    fn create_connection(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<SoraConnection>> {
        let config = arguments::connection_config(args, kwargs)?;
        SoraConnection::create(py, config, self.registry.clone())
    }
}
