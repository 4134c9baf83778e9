use std::sync::Weak;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sora_sdk::{Track, TrackKind};

use crate::kept::Kept;
use crate::transformer::{self, SoraAudioFrameTransformer, SoraVideoFrameTransformer};
use crate::{enums, fork};

/// A track: sound or pictures from one source.
#[pyclass(subclass, frozen, module = "sora_sdk")]
pub(crate) struct SoraTrackInterface {
    pub(crate) track: Track,
}

#[pymethods]
impl SoraTrackInterface {
    /// What it carries: "audio" or "video".
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

fn wrong_transformer(expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let given = value.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!("set_frame_transformer(): expected {expected} or None, not {given}"))
}

/// A track received from the server.
#[pyclass(extends = SoraTrackInterface, frozen, subclass, module = "sora_sdk")]
pub(crate) struct SoraMediaTrack {
    /// What its connection keeps, while there is one.
    kept: Weak<Kept>,
}

impl SoraMediaTrack {
    pub(crate) fn create(py: Python<'_>, track: Track, kept: Weak<Kept>) -> PyResult<Py<Self>> {
        Py::new(py, PyClassInitializer::from(SoraTrackInterface { track }).add_subclass(Self { kept }))
    }
}

#[pymethods]
impl SoraMediaTrack {
    /// The stream the track belongs to: the sender's connection id.
    #[getter]
    fn stream_id(self_: PyRef<'_, Self>) -> String {
        self_.as_super().track.stream_id().unwrap_or_default().to_owned()
    }

    /// Lets a transformer see the encoded frames of the track before they are decoded, from the next one on; None ends
    /// that. A SoraAudioFrameTransformer for sound, a SoraVideoFrameTransformer for pictures.
    fn set_frame_transformer(self_: PyRef<'_, Self>, transformer: &Bound<'_, PyAny>) -> PyResult<()> {
        let track = &self_.as_super().track;
        let wanted = if transformer.is_none() {
            None
        } else if track.kind() == TrackKind::Audio {
            let wrong = || wrong_transformer("a SoraAudioFrameTransformer", transformer);
            Some(transformer::of::<SoraAudioFrameTransformer>(transformer).ok_or_else(wrong)?)
        } else {
            let wrong = || wrong_transformer("a SoraVideoFrameTransformer", transformer);
            Some(transformer::of::<SoraVideoFrameTransformer>(transformer).ok_or_else(wrong)?)
        };
        fork::check()?;
        let (py, track) = (self_.py(), track.clone());
        // A connection that is gone has no frames for it either.
        let Some(kept) = self_.kept.upgrade() else { return Ok(()) };
        kept.keep_for(&track, Some(transformer).filter(|object| !object.is_none()));
        py.detach(|| track.set_transformer(wanted));
        Ok(())
    }
}
