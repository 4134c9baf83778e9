use pyo3::prelude::*;
use sora_sdk::Track;

use crate::enums;

/// A track: sound or pictures from one source.
#[pyclass(subclass, frozen, module = "sora_sdk")]
pub(crate) struct SoraTrackInterface {
    pub(crate) track: Track,
}

#[pymethods]
impl SoraTrackInterface {
    /// "audio" or "video".
    #[getter]
    fn kind(&self) -> &'static str {
        self.track.kind().as_str()
    }

    /// The track's id.
    #[getter]
    fn id(&self) -> &str {
        self.track.id()
    }

    /// False while muted.
    #[getter]
    fn enabled(&self) -> bool {
        self.track.enabled()
    }

    /// SoraTrackState.LIVE or SoraTrackState.ENDED.
    #[getter]
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        enums::member(py, "SoraTrackState", self.track.state() as i64)
    }

    /// Mutes (False) or unmutes (True): a muted track carries silence or black pictures.
    ///
    /// Returns True if that changed anything.
    fn set_enabled(&self, enable: bool) -> bool {
        self.track.set_enabled(enable)
    }

    fn __repr__(&self) -> String {
        format!("<{} track {:?}>", self.kind(), self.id())
    }
}

/// A track received from the server.
#[pyclass(extends = SoraTrackInterface, frozen, subclass, module = "sora_sdk")]
pub(crate) struct SoraMediaTrack;

impl SoraMediaTrack {
    pub(crate) fn create(py: Python<'_>, track: Track) -> PyResult<Py<Self>> {
        Py::new(py, PyClassInitializer::from(SoraTrackInterface { track }).add_subclass(Self))
    }
}

#[pymethods]
impl SoraMediaTrack {
    /// The stream the track belongs to: the sender's connection id.
    #[getter]
    fn stream_id(self_: PyRef<'_, Self>) -> String {
        self_.as_super().track.stream_id().unwrap_or_default().to_owned()
    }
}
