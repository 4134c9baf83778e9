use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use sora_sdk::{AudioFrame, VideoFrame};

/// A received picture.
#[pyclass(frozen, subclass, module = "sora_sdk")]
pub(crate) struct SoraVideoFrame {
    frame: VideoFrame,
    array: PyOnceLock<Py<PyArray3<u8>>>,
}

impl SoraVideoFrame {
    pub(crate) fn new(frame: VideoFrame) -> Self {
        Self { frame, array: PyOnceLock::new() }
    }
}

#[pymethods]
impl SoraVideoFrame {
    /// The picture as a writable uint8 array of shape (height, width, 3) in BGR order, as cv2.imshow wants it.
    ///
    /// The array owns its memory: it stays valid when the frame is gone. Every call returns the same array.
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray3<u8>>> {
        let array = self.array.get_or_try_init(py, || {
            let (height, width) = (self.frame.height() as usize, self.frame.width() as usize);
            let pixels = py.detach(|| {
                let mut pixels = vec![0; height * width * 3];
                self.frame.write_bgr(&mut pixels).map(|()| pixels)
            });
            let pixels = pixels.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
            PyArray1::from_vec(py, pixels).reshape([height, width, 3]).map(Bound::unbind)
        })?;
        Ok(array.bind(py).clone())
    }

    fn __repr__(&self) -> String {
        format!("<video frame {}x{}>", self.frame.width(), self.frame.height())
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
