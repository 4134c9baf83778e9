//! The arguments of `create_connection`, in the documented order.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};
use serde_json::Value;
use sora_sdk::{
    ConnectionConfig, DataChannelOptions, DegradationPreference, PARAMETERS, Parameter, ParameterKind, ParameterValue,
    Pem, Role, SentTrack, TrackKind,
};

use crate::audio_source::SoraAudioSource;
use crate::json;
use crate::kept::Kept;
use crate::track::SoraTrackInterface;
use crate::transformer::{self, SoraAudioFrameTransformer, SoraVideoFrameTransformer};
use crate::video_source::SoraVideoSource;

/// What 2024 did not have. Its positional arguments are those of 2025 less these.
const NEW_IN_2025: [&str; 8] = [
    "audio_frame_transformer",
    "video_frame_transformer",
    "audio_opus_params",
    "simulcast_request_rid",
    "forwarding_filters",
    "ca_cert",
    "degradation_preference",
    "user_agent",
];

/// Names in positional order.
fn names(of_2024: bool) -> Vec<&'static str> {
    let names = PARAMETERS.iter().map(|parameter| parameter.name);
    names.filter(|name| !(of_2024 && NEW_IN_2025.contains(name))).collect()
}

struct Arguments<'py>(HashMap<&'static str, Bound<'py, PyAny>>);

fn type_error(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let given = value.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!("create_connection(): {name} must be {expected}, not {given}"))
}

/// A source of the program's or a track that another connection receives.
fn track(value: &Bound<'_, PyAny>, name: &str, kind: TrackKind) -> PyResult<SentTrack> {
    let wrong = || type_error(name, &format!("a track of {kind}"), value);
    let track = value.cast::<SoraTrackInterface>().map_err(|_| wrong())?.get().track.clone();
    if track.kind() != kind {
        return Err(wrong());
    }
    Ok(if let Ok(source) = value.cast::<SoraAudioSource>() {
        source.get().source.clone().into()
    } else if let Ok(source) = value.cast::<SoraVideoSource>() {
        source.get().source.clone().into()
    } else {
        track.into()
    })
}

/// An int, a bool, a numpy integer, or digits in a str, as the reference takes them.
pub(crate) fn integer(value: &Bound<'_, PyAny>, name: &str) -> PyResult<i64> {
    let number = if value.is_instance_of::<PyInt>() {
        value.extract::<i64>().ok()
    } else if let Ok(text) = value.cast::<PyString>() {
        text.to_string().trim().parse().ok()
    } else if value.hasattr("__index__")? {
        value.call_method0("__index__")?.extract().ok()
    } else {
        None
    };
    number.filter(|number| i32::try_from(*number).is_ok()).ok_or_else(|| {
        let given = value.repr().map(|text| text.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("{name} must be a 32 bit int, not {given}"))
    })
}

impl<'py> Arguments<'py> {
    fn collect(args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        // The tenth is `audio` in 2024 and a transformer in 2025.
        let of_2024 = args.get_item(9).is_ok_and(|value| value.is_instance_of::<PyBool>());
        let positional = names(of_2024);
        if args.len() > positional.len() {
            let (most, given) = (positional.len(), args.len());
            let text = format!("create_connection() takes at most {most} arguments, got {given}");
            return Err(PyTypeError::new_err(text));
        }
        let mut values: HashMap<&'static str, Bound<'py, PyAny>> = positional.into_iter().zip(args.iter()).collect();
        let known = names(false);
        for (key, value) in kwargs.into_iter().flat_map(|kwargs| kwargs.iter()) {
            let key: String = key.extract()?;
            let Some(name) = known.iter().find(|name| **name == key) else {
                return Err(PyTypeError::new_err(format!(
                    "create_connection() got an unexpected keyword argument '{key}'"
                )));
            };
            if values.insert(name, value).is_some() {
                return Err(PyTypeError::new_err(format!("create_connection() got '{name}' twice")));
            }
        }
        for name in ["signaling_urls", "role", "channel_id"] {
            if !values.contains_key(name) {
                return Err(PyTypeError::new_err(format!("create_connection() missing required argument: '{name}'")));
            }
        }
        values.retain(|name, value| !value.is_none() || matches!(*name, "signaling_urls" | "role" | "channel_id"));
        Ok(Self(values))
    }

    fn get(&self, name: &str) -> Option<&Bound<'py, PyAny>> {
        self.0.get(name)
    }

    fn text(&self, name: &str) -> PyResult<Option<String>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if !value.is_instance_of::<PyString>() {
            return Err(type_error(name, "a str", value));
        }
        value.extract().map(Some).map_err(|_| type_error(name, "a str without lone surrogates", value))
    }

    fn required_text(&self, name: &str) -> PyResult<String> {
        self.text(name)?.ok_or_else(|| PyTypeError::new_err(format!("create_connection(): {name} must be a str")))
    }

    /// The value of a parameter, if one is given and is not what stands for none.
    fn value(&self, parameter: &Parameter) -> PyResult<Option<ParameterValue>> {
        let name = parameter.name;
        let Some(value) = self.get(name) else { return Ok(None) };
        Ok(Some(match parameter.kind {
            ParameterKind::Urls => ParameterValue::Urls(self.urls()?),
            ParameterKind::Role => ParameterValue::Role(Role::from(self.required_text(name)?)),
            ParameterKind::Text => ParameterValue::Text(self.required_text(name)?),
            ParameterKind::Flag => {
                let flag = value.cast::<PyBool>().map_err(|_| type_error(name, "a bool", value))?;
                ParameterValue::Flag(flag.is_true())
            }
            ParameterKind::Integer => ParameterValue::Integer(integer(value, name)?),
            ParameterKind::Seconds => match u64::try_from(integer(value, name)?) {
                Ok(seconds) => ParameterValue::Seconds(Duration::from_secs(seconds)),
                Err(_) => return Ok(None),
            },
            ParameterKind::Json => ParameterValue::Json(json::from_python(value, name)?),
            ParameterKind::ForwardingFilter => ParameterValue::ForwardingFilter(forwarding_filter(value)?),
            ParameterKind::DataChannels => ParameterValue::DataChannels(data_channels(value)?),
            ParameterKind::AudioSource => ParameterValue::AudioSource(track(value, name, TrackKind::Audio)?),
            ParameterKind::VideoSource => ParameterValue::VideoSource(track(value, name, TrackKind::Video)?),
            ParameterKind::AudioTransformer => {
                let transformer = transformer::of::<SoraAudioFrameTransformer>(value);
                let wrong = || type_error(name, "a SoraAudioFrameTransformer", value);
                ParameterValue::AudioTransformer(transformer.ok_or_else(wrong)?)
            }
            ParameterKind::VideoTransformer => {
                let transformer = transformer::of::<SoraVideoFrameTransformer>(value);
                let wrong = || type_error(name, "a SoraVideoFrameTransformer", value);
                ParameterValue::VideoTransformer(transformer.ok_or_else(wrong)?)
            }
            ParameterKind::Degradation => ParameterValue::Degradation(degradation(value)?),
            ParameterKind::Pem => return Ok(pem(value, name)?.map(ParameterValue::Pem)),
        }))
    }

    fn urls(&self) -> PyResult<Vec<String>> {
        let wrong = || PyTypeError::new_err("`signaling_urls` should be a list of strings");
        let value = self.get("signaling_urls").ok_or_else(wrong)?;
        let sequence = value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>();
        let urls: Vec<String> = if sequence { value.extract().map_err(|_| wrong())? } else { return Err(wrong()) };
        if urls.is_empty() {
            return Err(PyTypeError::new_err("`signaling_urls` should not be empty"));
        }
        Ok(urls)
    }
}

/// The numbers of SoraDegradationPreference.
fn degradation(value: &Bound<'_, PyAny>) -> PyResult<DegradationPreference> {
    match integer(value, "degradation_preference")? {
        0 => Ok(DegradationPreference::Disabled),
        1 => Ok(DegradationPreference::MaintainFramerate),
        2 => Ok(DegradationPreference::MaintainResolution),
        3 => Ok(DegradationPreference::Balanced),
        _ => Err(type_error("degradation_preference", "a SoraDegradationPreference", value)),
    }
}

/// A path as 2024 takes it, or the PEM itself as 2025 does. Empty means none.
fn pem(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Pem>> {
    if let Ok(text) = value.cast::<PyBytes>() {
        let text = text.as_bytes();
        return Ok((!text.is_empty()).then(|| Pem::Text(text.into())));
    }
    if let Some(text) = value.extract::<String>().ok().filter(|text| text.contains("-----BEGIN")) {
        return Ok(Some(Pem::Text(text.into_bytes().into())));
    }
    let path: PathBuf =
        value.extract().map_err(|_| type_error(name, "a path (str or os.PathLike) or PEM as bytes", value))?;
    Ok((!path.as_os_str().is_empty()).then_some(Pem::File(path)))
}

fn data_channels(value: &Bound<'_, PyAny>) -> PyResult<Vec<DataChannelOptions>> {
    let mut value = json::from_python(value, "data_channels")?;
    let invalid = || PyTypeError::new_err("Invalid data_channels");
    for channel in value.as_array_mut().ok_or_else(invalid)? {
        let object = channel.as_object_mut().ok_or_else(invalid)?;
        object.retain(|_, value| !value.is_null());
    }
    serde_json::from_value(value).map_err(|_| invalid())
}

fn forwarding_filter(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    let filter = json::from_python(value, "forwarding_filter")?;
    if is_forwarding_filter(&filter) { Ok(filter) } else { Err(PyTypeError::new_err("Invalid forwarding_filter")) }
}

fn is_forwarding_filter(filter: &Value) -> bool {
    let is_rule = |rule: &Value| {
        rule["field"].is_string()
            && rule["operator"].is_string()
            && rule["values"].as_array().is_some_and(|values| values.iter().all(Value::is_string))
    };
    filter["rules"].as_array().is_some_and(|rules| {
        rules.iter().all(|rule| rule.as_array().is_some_and(|conditions| conditions.iter().all(is_rule)))
    })
}

/// What the arguments ask for, and the objects among them that the connection has to keep.
pub(crate) fn connection_config(
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<(ConnectionConfig, Kept)> {
    let arguments = Arguments::collect(args, kwargs)?;
    let urls = arguments.urls()?;
    let role = Role::from(arguments.required_text("role")?);
    let mut config = ConnectionConfig::new(urls, role, &arguments.required_text("channel_id")?);
    config.connect.sora_client = concat!("Sora Python SDK ", env!("CARGO_PKG_VERSION")).to_owned();
    let kept = Kept::default();
    for parameter in PARAMETERS {
        if let Some(value) = arguments.value(parameter)? {
            if matches!(value, ParameterValue::AudioTransformer(_) | ParameterValue::VideoTransformer(_)) {
                arguments.get(parameter.name).into_iter().for_each(|object| kept.keep(object));
            }
            config.set(parameter.name, value).map_err(|error| PyTypeError::new_err(error.to_string()))?;
        }
    }
    Ok((config, kept))
}

/// The arguments of create_connection() by position, for tools: name, kind, what it is for.
#[pyfunction(name = "_parameters")]
pub(crate) fn parameters() -> Vec<(&'static str, String, &'static str)> {
    let described = |parameter: &Parameter| (parameter.name, format!("{:?}", parameter.kind), parameter.doc.trim());
    PARAMETERS.iter().map(described).collect()
}
