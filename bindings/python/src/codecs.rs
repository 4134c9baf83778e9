//! Which video codecs there are and which are used.

use std::str::FromStr;

use pyo3::exceptions::{PyRuntimeError, PyRuntimeWarning, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};
use sora_sdk::{CodecOptions, CodecPreference, CodecRegistry, Implementation, VideoCodecPreference, VideoCodecType};

/// The order of the codecs in a capability.
const ORDER: [VideoCodecType; 5] =
    [VideoCodecType::Vp8, VideoCodecType::Vp9, VideoCodecType::H264, VideoCodecType::H265, VideoCodecType::Av1];

/// Reads the arguments of `Sora()` in both generations' order: `(use_hardware_encoder, openh264)` and
/// `(openh264, video_codec_preference)`.
pub(crate) fn options(
    first: Option<&Bound<'_, PyAny>>,
    second: Option<&Bound<'_, PyAny>>,
    preference: Option<&Bound<'_, PyAny>>,
) -> PyResult<CodecOptions> {
    let (first, second, mut preference) = (given(first), given(second), given(preference));
    // Third in 2025.5 is force_i420_conversion.
    preference = preference.filter(|preference| !preference.is_instance_of::<PyBool>());
    let mut options = CodecOptions::default();
    let mut path = None;
    if let Some(first) = first {
        if first.is_instance_of::<PyBool>() {
            options.use_hardware_encoder = first.extract()?;
        } else if first.is_instance_of::<PyString>() {
            path = Some(first);
        } else {
            return Err(PyTypeError::new_err("Sora(): use_hardware_encoder must be a bool or None"));
        }
    }
    if let Some(second) = second {
        if second.is_instance_of::<PyString>() && path.is_none() {
            path = Some(second);
        } else if second.hasattr("codecs")? && preference.is_none() {
            preference = Some(second);
        } else {
            return Err(PyTypeError::new_err("Sora(): openh264 must be a str or None"));
        }
    }
    options.openh264 = path.map(|path| path.extract()).transpose()?;
    options.preference = preference.as_ref().map(read_preference).transpose()?;
    Ok(options)
}

fn given<'py>(value: Option<&Bound<'py, PyAny>>) -> Option<Bound<'py, PyAny>> {
    value.filter(|value| !value.is_none()).cloned()
}

fn read_preference(value: &Bound<'_, PyAny>) -> PyResult<VideoCodecPreference> {
    let wrong = || PyTypeError::new_err("Sora(): video_codec_preference must be a SoraVideoCodecPreference or None");
    if value.get_type().name()?.to_str()? != "SoraVideoCodecPreference" {
        return Err(wrong());
    }
    let mut codecs = Vec::new();
    for entry in value.getattr("codecs")?.try_iter()? {
        let entry = entry?;
        let name: String = entry.getattr("type")?.getattr("name")?.extract()?;
        let codec = VideoCodecType::from_str(&name).map_err(|_| wrong())?;
        let implementation = |part: &str| -> PyResult<Option<Implementation>> {
            let value = entry.getattr(part)?;
            if value.is_none() {
                return Ok(None);
            }
            let name: String = value.getattr("name")?.extract()?;
            Implementation::from_str(&name.to_lowercase()).map(Some).map_err(|_| wrong())
        };
        codecs.push(CodecPreference {
            codec,
            encoder: implementation("encoder")?,
            decoder: implementation("decoder")?,
        });
    }
    Ok(VideoCodecPreference { codecs })
}

/// Loads what the options name. A library that cannot be used is a warning, as programs go on without it; a preference
/// that cannot be met is an error.
pub(crate) fn registry(py: Python<'_>, options: &CodecOptions) -> PyResult<CodecRegistry> {
    let wanted_from_library =
        |preference: &VideoCodecPreference| preference.has_implementation(Implementation::CiscoOpenH264);
    let loaded = py.detach(|| options.registry());
    let codecs = match loaded {
        Ok(codecs) => codecs,
        Err(error) => {
            let without = CodecOptions { preference: None, ..options.clone() };
            let reason = without.registry().ok().and_then(|codecs| codecs.openh264_error);
            let reason = reason.filter(|_| options.preference.as_ref().is_some_and(wanted_from_library));
            let reason = reason.map(|reason| format!("; {reason}")).unwrap_or_default();
            return Err(PyRuntimeError::new_err(format!("{error}{reason}")));
        }
    };
    if let Some(error) = &codecs.openh264_error {
        let text = std::ffi::CString::new(format!("{error}; H.264 is not used")).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 2)?;
    }
    Ok(codecs.registry)
}

type Codec = (&'static str, bool, bool, Option<String>, Option<String>);

/// Each implementation's name with its codecs: name, encoder, decoder, version, path.
#[pyfunction]
#[pyo3(name = "_video_codec_capability")]
pub(crate) fn video_codec_capability(
    py: Python<'_>,
    openh264: Option<String>,
) -> PyResult<Vec<(&'static str, Vec<Codec>)>> {
    let registry = registry(py, &CodecOptions { openh264, ..CodecOptions::default() })?;
    let mut engines = Vec::new();
    for implementation in Implementation::ALL {
        let of_it: Vec<_> = registry.capabilities().filter(|c| c.implementation == implementation).collect();
        if of_it.is_empty() {
            continue;
        }
        let codecs = ORDER.map(|codec| {
            let mut all = of_it.iter().filter(|c| c.codec == codec);
            let (encoder, decoder) = (all.clone().any(|c| c.encoder), all.clone().any(|c| c.decoder));
            let library = all.find(|c| c.version.is_some());
            let version = library.and_then(|c| c.version.clone());
            (codec.name(), encoder, decoder, version, library.and_then(|c| c.path.clone()))
        });
        engines.push((implementation.name(), codecs.to_vec()));
    }
    Ok(engines)
}
