use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use sora_sdk::{AudioFrame, VideoFrame};

/// A received picture. Can be pickled.
#[pyclass(frozen, subclass, module = "sora_sdk")]
pub(crate) struct SoraVideoFrame {
    /// `None` for one that was pickled: all there is of it is its array.
    frame: Option<VideoFrame>,
    array: PyOnceLock<Py<PyArray3<u8>>>,
}

impl SoraVideoFrame {
    pub(crate) fn new(frame: VideoFrame) -> Self {
        Self { frame: Some(frame), array: PyOnceLock::new() }
    }
}

/// What makes an object, and what of.
type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyArray3<u8>>,));

/// A picture from a BGR array: what a pickled one is made of again.
#[pyfunction]
#[pyo3(name = "_video_frame")]
pub(crate) fn video_frame(py: Python<'_>, picture: Bound<'_, PyArray3<u8>>) -> PyResult<SoraVideoFrame> {
    let shape = picture.shape();
    if shape[0] == 0 || shape[1] == 0 || shape[2] != 3 {
        return Err(PyTypeError::new_err(format!("expected an array of shape (height, width, 3), got {shape:?}")));
    }
    let array = PyOnceLock::new();
    array.get_or_init(py, || picture.unbind());
    Ok(SoraVideoFrame { frame: None, array })
}

#[pymethods]
impl SoraVideoFrame {
    /// The picture as a writable uint8 array of shape (height, width, 3) in BGR order, as cv2.imshow wants it.
    ///
    /// The array owns its memory: it stays valid when the frame is gone. Every call returns the same array.
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray3<u8>>> {
        let array = self.array.get_or_try_init(py, || {
            let frame = self.frame.as_ref().ok_or_else(|| PyRuntimeError::new_err("the frame has no picture"))?;
            let (height, width) = (frame.height() as usize, frame.width() as usize);
            let pixels = py.detach(|| {
                let mut pixels = vec![0; height * width * 3];
                frame.write_bgr(&mut pixels).map(|()| pixels)
            });
            let pixels = pixels.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
            PyArray1::from_vec(py, pixels).reshape([height, width, 3]).map(Bound::unbind)
        })?;
        Ok(array.bind(py).clone())
    }

    /// Pickled as its array: what was written to that goes along.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Reduced<'py>> {
        let make = py.import("sora_sdk.sora_sdk_ext")?.getattr("_video_frame")?;
        Ok((make, (self.data(py)?,)))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        if let Some(frame) = &self.frame {
            return Ok(format!("<video frame {}x{}>", frame.width(), frame.height()));
        }
        let picture = self.data(py)?;
        Ok(format!("<video frame {}x{}>", picture.shape()[1], picture.shape()[0]))
    }
}

/// 10 ms of received sound. Can be pickled.
#[pyclass(subclass, module = "sora_sdk")]
pub(crate) struct SoraAudioFrame {
    frame: AudioFrame,
    array: PyOnceLock<Py<PyArray2<i16>>>,
}

impl SoraAudioFrame {
    pub(crate) fn from_frame(frame: AudioFrame) -> Self {
        Self { frame, array: PyOnceLock::new() }
    }

    pub(crate) fn format(&self) -> (u32, usize) {
        (self.frame.sample_rate, self.frame.channels)
    }

    /// The samples as they are now: the program may have written to the array it got.
    pub(crate) fn with_samples<R>(&self, py: Python<'_>, use_them: impl FnOnce(&[i16]) -> R) -> R {
        if let Some(array) = self.array.get(py)
            && let Ok(array) = array.bind(py).try_readonly()
            && let Ok(samples) = array.as_slice()
        {
            return use_them(samples);
        }
        use_them(&self.frame.samples)
    }
}

type AudioState = (Vec<u16>, usize, usize, u32, Option<i64>);

#[pymethods]
impl SoraAudioFrame {
    #[new]
    fn new() -> Self {
        let samples = Vec::new().into();
        Self::from_frame(AudioFrame { samples, sample_rate: 48_000, channels: 1, absolute_capture_timestamp_ms: None })
    }

    /// The samples as a writable int16 array of shape (samples per channel, channels).
    ///
    /// The array owns its memory: it stays valid when the frame is gone. Every call returns the same array.
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i16>>> {
        let array = self.array.get_or_try_init(py, || {
            let shape = [self.frame.samples_per_channel(), self.frame.channels];
            PyArray1::from_slice(py, &self.frame.samples).reshape(shape).map(Bound::unbind)
        })?;
        Ok(array.bind(py).clone())
    }

    /// Samples per channel.
    #[getter]
    fn samples_per_channel(&self) -> usize {
        self.frame.samples_per_channel()
    }

    /// Channels: 1 mono, 2 stereo.
    #[getter]
    fn num_channels(&self) -> usize {
        self.frame.channels
    }

    /// Samples per second.
    #[getter]
    fn sample_rate_hz(&self) -> u32 {
        self.frame.sample_rate
    }

    /// Wall-clock capture time in milliseconds, or None.
    #[getter]
    fn absolute_capture_timestamp_ms(&self) -> Option<i64> {
        self.frame.absolute_capture_timestamp_ms
    }

    fn __getstate__(&self, py: Python<'_>) -> AudioState {
        let samples = self.with_samples(py, |samples| samples.iter().map(|sample| sample.cast_unsigned()).collect());
        let frame = &self.frame;
        let timestamp = frame.absolute_capture_timestamp_ms;
        (samples, frame.samples_per_channel(), frame.channels, frame.sample_rate, timestamp)
    }

    fn __setstate__(&mut self, state: AudioState) -> PyResult<()> {
        let (samples, samples_per_channel, channels, sample_rate, absolute_capture_timestamp_ms) = state;
        if channels == 0 || channels > 8 || samples_per_channel.checked_mul(channels) != Some(samples.len()) {
            return Err(PyTypeError::new_err(format!(
                "expected samples_per_channel * channels samples, got {} for {samples_per_channel} * {channels}",
                samples.len()
            )));
        }
        let samples: Vec<i16> = samples.into_iter().map(u16::cast_signed).collect();
        *self = Self::from_frame(AudioFrame {
            samples: samples.into(),
            sample_rate,
            channels,
            absolute_capture_timestamp_ms,
        });
        Ok(())
    }

    fn __repr__(&self) -> String {
        let frame = &self.frame;
        format!(
            "<audio frame {} samples, {} channels, {} Hz>",
            frame.samples_per_channel(),
            frame.channels,
            frame.sample_rate
        )
    }
}
