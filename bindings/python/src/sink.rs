use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass_init::PyClassInitializer;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyClass, PyTraverseError, PyVisit};
use sora_sdk::{AudioFrame, AudioSink, AudioStreamSink, ReadOutcome, SinkError, Track, VideoSink};

use crate::callbacks::Callbacks;
use crate::frame::{SoraAudioFrame, SoraVideoFrame};
use crate::late::Late;
use crate::track::SoraTrackInterface;
use crate::{fork, gate, signals};

fn sink_error(error: &SinkError) -> PyErr {
    match error {
        SinkError::Kind { .. } => PyTypeError::new_err(error.to_string()),
        SinkError::Frequency(_) | SinkError::Channels(_) => PyValueError::new_err(error.to_string()),
        SinkError::Thread(_) => PyRuntimeError::new_err(error.to_string()),
    }
}

fn store<T>(slot: &Mutex<Option<T>>, value: Option<T>) {
    let old = std::mem::replace(&mut *slot.lock().unwrap_or_else(PoisonError::into_inner), value);
    drop(old);
}

/// Starts or stops a sink after its callback was set. `start` makes it.
fn run<S: Send>(
    py: Python<'_>,
    slot: &Mutex<Option<S>>,
    wanted: bool,
    start: impl FnOnce() -> Result<S, SinkError> + Send,
) -> PyResult<()> {
    if !wanted {
        py.detach(|| store(slot, None));
    } else if is_empty(slot) {
        fork::check()?;
        fork::threads_start();
        let sink = py.detach(start).map_err(|error| sink_error(&error))?;
        store(slot, Some(sink));
    }
    Ok(())
}

/// Calls `on_frame` with a frame of Python's.
fn call_with<T>(callbacks: &Callbacks, frame: T)
where
    T: Into<PyClassInitializer<T>> + PyClass,
{
    gate::enter(|py| {
        if let Ok(frame) = Py::new(py, frame) {
            callbacks.call(py, "on_frame", (frame,));
        }
    });
}

/// What a running sink counts; 0 of one that does not run.
fn count<S>(slot: &Mutex<Option<S>>, of: impl FnOnce(&S) -> u64) -> u64 {
    slot.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, of)
}

fn is_empty<T>(slot: &Mutex<Option<T>>) -> bool {
    slot.lock().unwrap_or_else(PoisonError::into_inner).is_none()
}

/// The track of a sink and the format it is heard in.
struct Output {
    track: Track,
    frequency: i64,
    channels: i64,
}

/// Calls back with a track's pictures, one after the other, on a thread of its own.
///
/// A callback that is slower than the pictures come loses pictures (the oldest first); it delays nobody else.
///
/// track: the video track to receive. Raises TypeError for an audio track.
#[pyclass(frozen, subclass, weakref, module = "sora_sdk")]
#[derive(Default)]
pub(crate) struct SoraVideoSink {
    track: Late<Track>,
    callbacks: Arc<Callbacks>,
    sink: Mutex<Option<VideoSink>>,
}

#[pymethods]
impl SoraVideoSink {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(track)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    fn __init__(&self, track: &Bound<'_, SoraTrackInterface>) -> PyResult<()> {
        let track = track.get().track.clone();
        if track.kind() != sora_sdk::TrackKind::Video {
            let error = SinkError::Kind { expected: sora_sdk::TrackKind::Video, actual: track.kind() };
            return Err(sink_error(&error));
        }
        self.track.set("SoraVideoSink", track)
    }

    /// Called with a SoraVideoFrame for each picture. None stops it.
    #[getter]
    fn on_frame(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.callbacks.get(py, "on_frame")
    }

    #[setter]
    fn set_on_frame(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let track = self.track.get("SoraVideoSink")?;
        self.callbacks.set("on_frame", value)?;
        let callbacks = self.callbacks.clone();
        run(py, &self.sink, !value.is_none(), || {
            VideoSink::new(track, move |frame| call_with(&callbacks, SoraVideoFrame::new(frame)))
        })
    }

    /// Pictures that on_frame missed because it was slow.
    #[getter]
    fn dropped(&self) -> u64 {
        count(&self.sink, VideoSink::frames_dropped)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.callbacks.traverse(&visit)
    }

    fn __clear__(&self) {
        self.callbacks.clear();
    }
}

/// Calls back with every 10 ms of a track's sound, on a thread of its own.
///
/// A callback that falls five seconds behind loses the oldest frames; it delays nobody else.
///
/// track: the audio track to receive. output_frequency: samples per second, -1 for as received.
/// output_channels: channels, 0 for as received. Raises TypeError for a video track and ValueError for a format
/// that cannot be made.
#[pyclass(frozen, subclass, weakref, module = "sora_sdk")]
#[derive(Default)]
pub(crate) struct SoraAudioStreamSink {
    output: Late<Output>,
    callbacks: Arc<Callbacks>,
    sink: Mutex<Option<AudioStreamSink>>,
}

#[pymethods]
impl SoraAudioStreamSink {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(track, output_frequency=-1, output_channels=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    #[pyo3(signature = (track, output_frequency = -1, output_channels = 0))]
    fn __init__(
        &self,
        track: &Bound<'_, SoraTrackInterface>,
        output_frequency: i64,
        output_channels: i64,
    ) -> PyResult<()> {
        let track = track.get().track.clone();
        // Checks the arguments now; sound is taken once somebody wants it.
        AudioSink::new(&track, output_frequency, output_channels).map_err(|error| sink_error(&error))?;
        self.output.set("SoraAudioStreamSink", Output { track, frequency: output_frequency, channels: output_channels })
    }

    /// Called with a SoraAudioFrame every 10 ms. None stops it.
    #[getter]
    fn on_frame(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.callbacks.get(py, "on_frame")
    }

    #[setter]
    fn set_on_frame(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let output = self.output.get("SoraAudioStreamSink")?;
        self.callbacks.set("on_frame", value)?;
        let callbacks = self.callbacks.clone();
        run(py, &self.sink, !value.is_none(), || {
            AudioStreamSink::new(&output.track, output.frequency, output.channels, move |frame| {
                call_with(&callbacks, SoraAudioFrame::from_frame(frame));
            })
        })
    }

    /// Frames that on_frame missed because it was more than five seconds behind.
    #[getter]
    fn dropped(&self) -> u64 {
        count(&self.sink, AudioStreamSink::frames_dropped)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.callbacks.traverse(&visit)
    }

    fn __clear__(&self) {
        self.callbacks.clear();
    }
}

/// Buffers a track's sound until it is read: at most five seconds, the oldest goes first.
///
/// track: the audio track to receive. output_frequency: samples per second, -1 for as received.
/// output_channels: channels, 0 for as received. Raises TypeError for a video track and ValueError for a format
/// that cannot be made.
#[pyclass(frozen, subclass, weakref, module = "sora_sdk")]
#[derive(Default)]
pub(crate) struct SoraAudioSink {
    output: Late<(Output, AudioSink)>,
    callbacks: Arc<Callbacks>,
    observer: Mutex<Option<AudioStreamSink>>,
}

impl SoraAudioSink {
    fn observe(&self, py: Python<'_>, name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (output, _) = self.output.get("SoraAudioSink")?;
        self.callbacks.set(name, value)?;
        let wanted = self.callbacks.is_set("on_data") || self.callbacks.is_set("on_format");
        let callbacks = self.callbacks.clone();
        let mut format = (0, 0);
        run(py, &self.observer, wanted, || {
            AudioStreamSink::new(&output.track, output.frequency, output.channels, move |frame| {
                gate::enter(|py| observed(py, &callbacks, &mut format, &frame));
            })
        })
    }
}

fn observed(py: Python<'_>, callbacks: &Callbacks, format: &mut (u32, usize), frame: &AudioFrame) {
    if *format != (frame.sample_rate, frame.channels) {
        *format = (frame.sample_rate, frame.channels);
        callbacks.call(py, "on_format", *format);
    }
    if callbacks.is_set("on_data")
        && let Ok(array) =
            PyArray1::from_slice(py, &frame.samples).reshape([frame.samples_per_channel(), frame.channels])
    {
        callbacks.call(py, "on_data", (array,));
    }
}

#[pymethods]
impl SoraAudioSink {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(track, output_frequency=-1, output_channels=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    #[pyo3(signature = (track, output_frequency = -1, output_channels = 0))]
    fn __init__(
        &self,
        track: &Bound<'_, SoraTrackInterface>,
        output_frequency: i64,
        output_channels: i64,
    ) -> PyResult<()> {
        let track = track.get().track.clone();
        let sink = AudioSink::new(&track, output_frequency, output_channels).map_err(|error| sink_error(&error))?;
        let output = Output { track, frequency: output_frequency, channels: output_channels };
        self.output.set("SoraAudioSink", (output, sink))
    }

    /// Reads frames samples per channel, waiting up to timeout seconds for them. 0 reads whatever there is, at once.
    ///
    /// Returns (True, int16 array of shape (samples, channels)) or (False, None); what there is stays buffered then.
    /// The GIL is released while waiting and Ctrl+C ends the wait.
    #[pyo3(signature = (frames = 0, timeout = 1.0))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        frames: i64,
        timeout: f64,
    ) -> PyResult<(bool, Option<Bound<'py, PyArray2<i16>>>)> {
        fork::check()?;
        let (_, sink) = self.output.get("SoraAudioSink")?;
        let frames = usize::try_from(frames)
            .map_err(|_| PyTypeError::new_err(format!("expected frames of 0 or more, got {frames}")))?;
        // Negative and unusable times do not wait; more than a day is for ever.
        let timeout = if timeout.is_nan() { 0.0 } else { timeout.min(86_400.0) };
        let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
        let (mut interrupt, handles_signals) = (None, frames > 0 && signals::are_handled_here(py));
        let outcome = py.detach(|| {
            sink.read(frames, timeout, || {
                if !handles_signals {
                    return true;
                }
                Python::attach(|py| match py.check_signals() {
                    Ok(()) => true,
                    Err(error) => {
                        interrupt = Some(error);
                        false
                    }
                })
            })
        });
        match (outcome, interrupt) {
            (_, Some(error)) => Err(error),
            (ReadOutcome::Samples { samples, channels }, None) => {
                let shape = [samples.len() / channels.max(1), channels];
                Ok((true, Some(PyArray1::from_vec(py, samples).reshape(shape)?)))
            }
            (ReadOutcome::NotEnough | ReadOutcome::Interrupted, None) => Ok((false, None)),
        }
    }

    /// Samples per channel that were dropped because nobody read them for five seconds.
    #[getter]
    fn dropped(&self) -> PyResult<u64> {
        self.output.get("SoraAudioSink").map(|(_, sink)| sink.samples_dropped())
    }

    /// Deprecated: called with an int16 array of shape (samples, channels) every 10 ms.
    #[getter]
    fn on_data(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.callbacks.get(py, "on_data")
    }

    #[setter]
    fn set_on_data(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.observe(py, "on_data", value)
    }

    /// Deprecated: called with sample rate and channel count when they change.
    #[getter]
    fn on_format(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.callbacks.get(py, "on_format")
    }

    #[setter]
    fn set_on_format(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.observe(py, "on_format", value)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.callbacks.traverse(&visit)
    }

    fn __clear__(&self) {
        self.callbacks.clear();
    }
}
