use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use sora_sdk::CodecRegistry;

use crate::audio_source::SoraAudioSource;
use crate::connection::SoraConnection;
use crate::video_source::SoraVideoSource;
use crate::{arguments, codecs};

/// Makes sources and connections.
#[pyclass(subclass, frozen, weakref, module = "sora_sdk")]
pub(crate) struct Sora {
    registry: Arc<CodecRegistry>,
}

#[pymethods]
impl Sora {
    /// use_hardware_encoder: False leaves hardware encoders out. openh264: path of an OpenH264 library for H.264; if it
    /// cannot be used, a RuntimeWarning says why. video_codec_preference: a SoraVideoCodecPreference; RuntimeError if it
    /// names what is not there. Both generations' order of arguments is understood: Sora(True, path) and
    /// Sora(path, preference).
    #[new]
    #[pyo3(signature = (use_hardware_encoder = None, openh264 = None, video_codec_preference = None))]
    fn new(
        py: Python<'_>,
        use_hardware_encoder: Option<&Bound<'_, PyAny>>,
        openh264: Option<&Bound<'_, PyAny>>,
        video_codec_preference: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let options = codecs::options(use_hardware_encoder, openh264, video_codec_preference)?;
        Ok(Self { registry: Arc::new(codecs::registry(py, &options)?) })
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
