//! Encoded frames as Python sees them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{PyArray1, PyReadonlyArrayDyn};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sora_sdk::{
    AudioFrameMetadata, FrameDirection, FrameMetadata, FrameStream, TransformableFrame, VideoFrameMetadata,
};

use crate::array::contiguous;
use crate::enums;

/// An encoded frame on its way, given to on_transform of a transformer. It goes on when it is given to the
/// transformer's enqueue(), after which its data cannot be reached any more.
#[pyclass(frozen, subclass, weakref, module = "sora_sdk")]
pub(crate) struct SoraTransformableFrame {
    frame: Mutex<Option<TransformableFrame>>,
    stream: FrameStream,
    direction: FrameDirection,
}

impl SoraTransformableFrame {
    fn new(frame: TransformableFrame) -> Self {
        let (stream, direction) = (frame.stream(), frame.direction());
        Self { frame: Mutex::new(Some(frame)), stream, direction }
    }

    fn lock(&self) -> MutexGuard<'_, Option<TransformableFrame>> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, look: impl FnOnce(&mut TransformableFrame) -> R) -> PyResult<R> {
        self.lock().as_mut().map(look).ok_or_else(gone)
    }

    /// Takes the frame out, to forward it.
    pub(crate) fn take(&self) -> PyResult<TransformableFrame> {
        self.lock().take().ok_or_else(gone)
    }
}

fn gone() -> PyErr {
    PyRuntimeError::new_err("the frame was given to enqueue() before and is on its way")
}

/// An array that cannot be written to.
fn read_only<'py, T: numpy::Element>(py: Python<'py>, values: Vec<T>) -> PyResult<Bound<'py, PyArray1<T>>> {
    let array = PyArray1::from_vec(py, values);
    array.call_method1("setflags", (false,))?;
    Ok(array)
}

#[pymethods]
impl SoraTransformableFrame {
    /// The encoded frame as a uint8 array of shape (bytes,) that owns its memory and cannot be written to.
    ///
    /// RuntimeError if the frame is on its way already.
    fn get_data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u8>>> {
        read_only(py, self.with(|frame| frame.data.to_vec())?)
    }

    /// Replaces the encoded frame: a uint8 array of shape (bytes,), or bytes. It is copied.
    ///
    /// Receivers, servers and the packetizer read some of it: of H.264 and AV1 the whole structure has to stay, of VP8
    /// the first byte. RuntimeError if the frame is on its way already.
    fn set_data(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = if let Ok(bytes) = data.cast::<PyBytes>() {
            bytes.as_bytes().to_vec()
        } else {
            let array: PyReadonlyArrayDyn<'_, u8> = contiguous(data, 1, "a uint8 array of shape (bytes,) or bytes")?;
            array.as_slice()?.to_vec()
        };
        self.with(|frame| frame.data = data.into())
    }

    /// The RTP payload type.
    #[getter]
    fn payload_type(&self) -> u8 {
        self.stream.payload_type
    }

    /// The synchronisation source of the stream (RFC 3550 section 3).
    #[getter]
    fn ssrc(&self) -> u32 {
        self.stream.ssrc
    }

    /// The RTP timestamp: 90 kHz for pictures, 48 kHz for sound. Can be set while the frame is here.
    #[getter]
    fn rtp_timestamp(&self) -> PyResult<u32> {
        self.with(|frame| frame.rtp_timestamp)
    }

    #[setter]
    fn set_rtp_timestamp(&self, value: u32) -> PyResult<()> {
        self.with(|frame| frame.rtp_timestamp = value)
    }

    /// SoraTransformableFrameDirection.SENDER for what is to be sent, RECEIVER for what was received.
    #[getter]
    fn direction<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        enums::member(py, "SoraTransformableFrameDirection", self.direction as i64)
    }

    /// The media type, for example "video/VP8"; under the name that the reference has for it.
    #[getter]
    fn mine_type(&self) -> &'static str {
        self.stream.mime_type
    }

    /// The media type, for example "video/VP8".
    #[getter]
    fn mime_type(&self) -> &'static str {
        self.stream.mime_type
    }

    fn __repr__(&self) -> String {
        let state = match &*self.lock() {
            Some(frame) => format!("{} bytes", frame.data.len()),
            None => "on its way".to_owned(),
        };
        format!("<encoded {} frame, {state}>", self.stream.mime_type)
    }
}

/// Encoded sound on its way: one packet.
#[pyclass(extends = SoraTransformableFrame, frozen, subclass, module = "sora_sdk")]
pub(crate) struct SoraTransformableAudioFrame {
    metadata: AudioFrameMetadata,
}

#[pymethods]
impl SoraTransformableAudioFrame {
    /// Contributing sources as a uint32 array; empty, as an SFU does not mix.
    #[getter]
    fn contributing_sources<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        read_only(py, Vec::new())
    }

    /// The sequence number of its packet, of received ones; else None.
    #[getter]
    fn sequence_number(&self) -> Option<u16> {
        self.metadata.sequence_number
    }

    /// Not known: None.
    #[getter]
    fn absolute_capture_timestamp(&self) -> Option<i64> {
        None
    }

    /// SoraTransformableAudioFrameType.SPEECH, or CN for what announces silence.
    #[getter]
    fn r#type<'py>(self_: PyRef<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // A packet of one or two bytes is one of discontinuous transmission (RFC 6716 section 3.2.1).
        let length = self_.as_super().lock().as_ref().map_or(usize::MAX, |frame| frame.data.len());
        enums::member(py, "SoraTransformableAudioFrameType", [0, 2, 2, 1][length.min(3)])
    }

    /// Not negotiated: None.
    #[getter]
    fn audio_level(&self) -> Option<u8> {
        None
    }

    /// When its packet came, of received ones: milliseconds of time.monotonic(). Else None.
    #[getter]
    fn receive_time(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        let Some(arrival) = self.metadata.arrival else { return Ok(None) };
        let now: f64 = py.import("time")?.call_method0("monotonic")?.extract()?;
        Ok(Some(((now - arrival.elapsed().as_secs_f64()) * 1000.0) as i64))
    }
}

/// An encoded picture on its way.
#[pyclass(extends = SoraTransformableFrame, frozen, subclass, module = "sora_sdk")]
pub(crate) struct SoraTransformableVideoFrame {
    metadata: VideoFrameMetadata,
}

#[pymethods]
impl SoraTransformableVideoFrame {
    /// True if it can be decoded without any earlier one.
    #[getter]
    fn is_key_frame(&self) -> bool {
        self.metadata.key_frame
    }

    /// Its number in its stream, from 1, of pictures that are to be sent; else None.
    #[getter]
    fn frame_id(&self) -> Option<i64> {
        self.metadata.frame_id
    }

    /// Numbers of the pictures it refers to, as an int64 array. Empty for key frames, in streams with temporal layers
    /// and for received pictures.
    #[getter]
    fn frame_dependencies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<i64>>> {
        read_only(py, self.metadata.dependency.into_iter().collect())
    }

    /// Width in pixels; 0 if it is not known before decoding.
    #[getter]
    fn width(&self) -> u32 {
        self.metadata.width
    }

    /// Height in pixels; 0 if it is not known before decoding.
    #[getter]
    fn height(&self) -> u32 {
        self.metadata.height
    }

    /// Its spatial layer.
    #[getter]
    fn spatial_index(&self) -> u8 {
        self.metadata.spatial_index
    }

    /// Its temporal layer.
    #[getter]
    fn temporal_index(&self) -> u8 {
        self.metadata.temporal_index
    }

    /// Contributing sources as a uint32 array; empty, as an SFU does not mix.
    #[getter]
    fn contributing_sources<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        read_only(py, Vec::new())
    }
}

/// The frame as an object of Python's.
pub(crate) fn to_python(py: Python<'_>, frame: TransformableFrame) -> PyResult<Py<PyAny>> {
    let metadata = frame.metadata();
    let base = PyClassInitializer::from(SoraTransformableFrame::new(frame));
    Ok(match metadata {
        FrameMetadata::Audio(metadata) => {
            Py::new(py, base.add_subclass(SoraTransformableAudioFrame { metadata }))?.into_any()
        }
        FrameMetadata::Video(metadata) => {
            Py::new(py, base.add_subclass(SoraTransformableVideoFrame { metadata }))?.into_any()
        }
    })
}
