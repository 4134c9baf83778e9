use std::sync::Arc;

use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple};
use sora_sdk::AudioSource;

use crate::array::contiguous;
use crate::fork;
use crate::memory::copy_samples;
use crate::track::SoraTrackInterface;

/// Sound from the program. Made by Sora.create_audio_source().
#[pyclass(extends = SoraTrackInterface, frozen, subclass, module = "sora_sdk")]
pub(crate) struct SoraAudioSource {
    pub(crate) source: Arc<AudioSource>,
}

impl SoraAudioSource {
    pub(crate) fn create(py: Python<'_>, channels: i64, sample_rate: i64) -> PyResult<Py<Self>> {
        let source =
            AudioSource::new(channels, sample_rate).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let base = SoraTrackInterface { track: source.track().clone() };
        Py::new(py, PyClassInitializer::from(base).add_subclass(Self { source: Arc::new(source) }))
    }
}

/// The arguments of one form of `on_data`, by their names.
struct Form<'py, const N: usize> {
    names: [&'static str; N],
    values: [Option<Bound<'py, PyAny>>; N],
}

impl<'py, const N: usize> Form<'py, N> {
    fn bind(
        names: [&'static str; N],
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let wrong = |text: String| Err(PyTypeError::new_err(format!("on_data({}): {text}", names.join(", "))));
        if args.len() > N {
            return wrong(format!("expected at most {N} arguments, got {}", args.len()));
        }
        let mut values = [const { None }; N];
        for (value, slot) in args.iter().zip(&mut values) {
            *slot = Some(value);
        }
        for (key, value) in kwargs.into_iter().flatten() {
            let key = key.cast::<PyString>()?.to_string();
            let Some(place) = names.iter().position(|name| *name == key) else {
                return wrong(format!("unexpected argument '{key}'"));
            };
            if values[place].replace(value).is_some() {
                return wrong(format!("two values for '{key}'"));
            }
        }
        Ok(Self { names, values })
    }

    fn required(&self, place: usize) -> PyResult<&Bound<'py, PyAny>> {
        let missing =
            || PyTypeError::new_err(format!("on_data({}): '{}' is missing", self.names.join(", "), self.names[place]));
        self.values[place].as_ref().ok_or_else(missing)
    }

    fn integer(&self, place: usize) -> PyResult<i128> {
        let value = self.required(place)?;
        if !value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>() {
            let given = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!("expected an int for {}, got {given}", self.names[place])));
        }
        let too_large = |_| PyValueError::new_err(format!("{} is too large: {value}", self.names[place]));
        value.extract().map_err(too_large)
    }

    /// The last argument, seconds since the epoch, in milliseconds.
    fn timestamp_ms(&self) -> PyResult<Option<f64>> {
        match &self.values[N - 1] {
            Some(value) if !value.is_none() => Ok(Some(value.extract::<f64>()? * 1000.0)),
            _ => Ok(None),
        }
    }
}

#[pymethods]
impl SoraAudioSource {
    /// on_data(ndarray)
    /// on_data(ndarray, timestamp)
    /// on_data(data, samples_per_channel)
    /// on_data(data, samples_per_channel, timestamp)
    ///
    /// Takes sound of any length; it is sent in packets as soon as it fills them. Nothing is lost whatever the chunks.
    ///
    /// ndarray: an int16 array of shape (samples per channel, channels), C-contiguous to be read without a copy.
    ///
    /// data, samples_per_channel: the address of 16-bit samples, channels interleaved, as an int (array.ctypes.data,
    /// ctypes.addressof), and how many there are for each channel. The samples are copied during the call. Zero,
    /// negative or odd addresses and negative counts raise ValueError. That there are
    /// samples_per_channel * channels initialised samples at the address and that nobody changes or frees them during
    /// the call is for the caller to guarantee: anything else may end the process.
    ///
    /// timestamp (deprecated): when the first sample was captured, in seconds since the epoch as of time.time().
    /// Without it the sound continues what was given before. A timestamp more than 100 ms after the end of the sound
    /// before is a pause and heard as one; any other difference only moves absolute_capture_timestamp_ms.
    ///
    /// Raises ValueError if the channel count is not the source's and TypeError for anything else than these forms.
    /// May be called from any thread; releases the GIL and does not block.
    #[pyo3(signature = (*args, **kwargs))]
    fn on_data(&self, py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        fork::check()?;
        let named = |name| kwargs.is_some_and(|kwargs| kwargs.contains(name).unwrap_or(false));
        let is_address = args.get_item(0).is_ok_and(|first| first.is_instance_of::<PyInt>());
        if is_address || named("data") {
            self.take_memory(py, &Form::bind(["data", "samples_per_channel", "timestamp"], args, kwargs)?)
        } else {
            self.take_array(py, &Form::bind(["ndarray", "timestamp"], args, kwargs)?)
        }
    }
}

impl SoraAudioSource {
    fn take_array(&self, py: Python<'_>, form: &Form<'_, 2>) -> PyResult<()> {
        let timestamp_ms = form.timestamp_ms()?;
        let array: PyReadonlyArrayDyn<'_, i16> =
            contiguous(form.required(0)?, 2, "an int16 array of shape (samples, channels)")?;
        let (samples, channels) = (array.as_slice()?, array.shape()[1]);
        if samples.is_empty() {
            return Ok(());
        }
        py.detach(|| self.source.push(samples, channels, timestamp_ms))
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    #[allow(unsafe_code)]
    fn take_memory(&self, py: Python<'_>, form: &Form<'_, 3>) -> PyResult<()> {
        let (address, count, timestamp_ms) = (form.integer(0)?, form.integer(1)?, form.timestamp_ms()?);
        let channels = self.source.channels();
        py.detach(|| {
            // SAFETY: passed on to the program, as the method's documentation says.
            let samples = unsafe { copy_samples(address, count, channels) }.map_err(|error| error.to_string())?;
            self.source.push(&samples, channels, timestamp_ms).map_err(|error| error.to_string())
        })
        .map_err(PyValueError::new_err)
    }
}
