//! The arguments of `create_connection`, in the documented order.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::{PyNotImplementedError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};
use serde_json::Value;
use sora_sdk::{AudioOptions, ConnectionConfig, DataChannelOptions, Pem, Proxy, Role, TlsOptions, VideoOptions};

use crate::json;
use crate::source::{SoraAudioSource, SoraVideoSource};

/// Positional order of 2025; programs written for 2024 pass what differs by keyword.
const NAMES: [&str; 48] = [
    "signaling_urls",
    "role",
    "channel_id",
    "client_id",
    "bundle_id",
    "metadata",
    "signaling_notify_metadata",
    "audio_source",
    "video_source",
    "audio_frame_transformer",
    "video_frame_transformer",
    "audio",
    "video",
    "audio_codec_type",
    "video_codec_type",
    "video_bit_rate",
    "audio_bit_rate",
    "video_vp9_params",
    "video_av1_params",
    "video_h264_params",
    "audio_opus_params",
    "simulcast",
    "spotlight",
    "spotlight_number",
    "simulcast_rid",
    "simulcast_request_rid",
    "spotlight_focus_rid",
    "spotlight_unfocus_rid",
    "forwarding_filter",
    "forwarding_filters",
    "data_channels",
    "data_channel_signaling",
    "ignore_disconnect_websocket",
    "data_channel_signaling_timeout",
    "disconnect_wait_timeout",
    "websocket_close_timeout",
    "websocket_connection_timeout",
    "audio_streaming_language_code",
    "insecure",
    "client_cert",
    "client_key",
    "ca_cert",
    "proxy_url",
    "proxy_username",
    "proxy_password",
    "proxy_agent",
    "degradation_preference",
    "user_agent",
];

/// What is not built yet: asking for it is an error instead of a surprise.
const NOT_YET: [(&str, &str); 3] = [
    ("audio_frame_transformer", "encoded frame transformers"),
    ("video_frame_transformer", "encoded frame transformers"),
    ("degradation_preference", "degradation preferences"),
];

struct Arguments<'py>(HashMap<&'static str, Bound<'py, PyAny>>);

fn type_error(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let given = value.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!("create_connection(): {name} must be {expected}, not {given}"))
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
        if args.len() > NAMES.len() {
            return Err(PyTypeError::new_err(format!(
                "create_connection() takes at most {} arguments, got {}",
                NAMES.len(),
                args.len()
            )));
        }
        let mut values: HashMap<&'static str, Bound<'py, PyAny>> = NAMES.into_iter().zip(args.iter()).collect();
        for (key, value) in kwargs.into_iter().flat_map(|kwargs| kwargs.iter()) {
            let key: String = key.extract()?;
            let Some(name) = NAMES.into_iter().find(|name| *name == key) else {
                return Err(PyTypeError::new_err(format!(
                    "create_connection() got an unexpected keyword argument '{key}'"
                )));
            };
            if values.insert(name, value).is_some() {
                return Err(PyTypeError::new_err(format!("create_connection() got '{name}' twice")));
            }
        }
        if let Some(value) = values.get("audio_frame_transformer").filter(|value| value.is_instance_of::<PyBool>()) {
            let given = value.repr()?;
            return Err(PyTypeError::new_err(format!(
                "create_connection(): the 10th argument is audio_frame_transformer, got {given}; pass audio by keyword"
            )));
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

    fn flag(&self, name: &str) -> PyResult<Option<bool>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.cast::<PyBool>().map(|flag| Some(flag.is_true())).map_err(|_| type_error(name, "a bool", value))
    }

    fn number(&self, name: &str) -> PyResult<Option<i64>> {
        self.get(name).map(|value| integer(value, name)).transpose()
    }

    fn seconds(&self, name: &str, usual: Duration) -> PyResult<Duration> {
        Ok(self.number(name)?.and_then(|n| u64::try_from(n).ok()).map_or(usual, Duration::from_secs))
    }

    fn json(&self, name: &str) -> PyResult<Option<Value>> {
        self.get(name).map(|value| json::from_python(value, name)).transpose()
    }

    /// A path as 2024 takes it, or the PEM itself as 2025 does. Empty means none.
    fn pem(&self, name: &str) -> PyResult<Option<Pem>> {
        let Some(value) = self.get(name) else { return Ok(None) };
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

    fn proxy(&self) -> PyResult<Option<Proxy>> {
        let part = |name| Ok::<_, PyErr>(self.text(name)?.unwrap_or_default());
        let (url, agent) = (part("proxy_url")?, part("proxy_agent")?);
        let (username, password) = (part("proxy_username")?, part("proxy_password")?);
        if url.is_empty() {
            return Ok(None);
        }
        let proxy = Proxy::new(&url, &username, &password, &agent);
        proxy.map(Some).map_err(|error| PyValueError::new_err(format!("create_connection(): proxy_url: {error}")))
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

    fn refuse_what_is_not_built(&self) -> PyResult<()> {
        let refuse = |name: &str, what: &str| {
            Err(PyNotImplementedError::new_err(format!("create_connection(): {name}: {what} are not supported yet")))
        };
        for (name, what) in NOT_YET {
            if self.get(name).is_some_and(|value| value.is_truthy().unwrap_or(true)) {
                return refuse(name, what);
            }
        }
        for (name, what) in [("simulcast", "simulcast layers"), ("spotlight", "spotlights")] {
            if self.flag(name)? == Some(true) {
                return refuse(name, what);
            }
        }
        if let Some(codec) = self.text("video_codec_type")?.filter(|codec| ["AV1", "H264", "H265"].contains(&&**codec))
        {
            return refuse("video_codec_type", &format!("{codec} pictures"));
        }
        Ok(())
    }

    fn data_channels(&self) -> PyResult<Vec<DataChannelOptions>> {
        let Some(mut value) = self.json("data_channels")? else { return Ok(Vec::new()) };
        let invalid = || PyTypeError::new_err("Invalid data_channels");
        for channel in value.as_array_mut().ok_or_else(invalid)? {
            let object = channel.as_object_mut().ok_or_else(invalid)?;
            object.retain(|_, value| !value.is_null());
        }
        serde_json::from_value(value).map_err(|_| invalid())
    }

    fn forwarding_filter(&self) -> PyResult<Option<Value>> {
        let filter = self.json("forwarding_filter")?;
        if filter.as_ref().is_some_and(|filter| !is_forwarding_filter(filter)) {
            return Err(PyTypeError::new_err("Invalid forwarding_filter"));
        }
        Ok(filter)
    }
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

pub(crate) fn connection_config(
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<ConnectionConfig> {
    let arguments = Arguments::collect(args, kwargs)?;
    let urls = arguments.urls()?;
    let role = Role::from(arguments.required_text("role")?);
    let mut config = ConnectionConfig::new(urls, role, &arguments.required_text("channel_id")?);
    arguments.refuse_what_is_not_built()?;
    if let Some(source) = arguments.get("audio_source") {
        let source = source.cast::<SoraAudioSource>();
        let source =
            source.map_err(|_| PyTypeError::new_err("create_connection(): audio_source must be a SoraAudioSource"))?;
        config.audio_source = Some(source.get().source.clone());
    }
    if let Some(source) = arguments.get("video_source") {
        let source = source.cast::<SoraVideoSource>();
        let source =
            source.map_err(|_| PyTypeError::new_err("create_connection(): video_source must be a SoraVideoSource"))?;
        config.video_source = Some(source.get().source.clone());
    }
    config.websocket_connection_timeout =
        arguments.seconds("websocket_connection_timeout", config.websocket_connection_timeout)?;
    config.websocket_close_timeout = arguments.seconds("websocket_close_timeout", config.websocket_close_timeout)?;
    config.disconnect_wait_timeout = arguments.seconds("disconnect_wait_timeout", config.disconnect_wait_timeout)?;
    // Accepted for programs written for the reference, where it has no effect either.
    arguments.number("data_channel_signaling_timeout")?;
    config.user_agent = arguments.text("user_agent")?;
    config.tls = TlsOptions {
        insecure: arguments.flag("insecure")?.unwrap_or(false),
        ca_cert: arguments.pem("ca_cert")?,
        client_cert: arguments.pem("client_cert")?,
        client_key: arguments.pem("client_key")?,
    };
    config.proxy = arguments.proxy()?;
    let connect = &mut config.connect;
    connect.sora_client = concat!("Sora Python SDK ", env!("CARGO_PKG_VERSION")).to_owned();
    connect.client_id = arguments.text("client_id")?;
    connect.bundle_id = arguments.text("bundle_id")?;
    connect.metadata = arguments.json("metadata")?;
    connect.signaling_notify_metadata = arguments.json("signaling_notify_metadata")?;
    connect.audio = audio(&arguments)?;
    connect.video = video(&arguments)?;
    connect.simulcast = arguments.flag("simulcast")?;
    connect.spotlight = arguments.flag("spotlight")?;
    connect.spotlight_number = arguments.number("spotlight_number")?;
    connect.simulcast_rid = arguments.text("simulcast_rid")?;
    connect.simulcast_request_rid = arguments.text("simulcast_request_rid")?;
    connect.spotlight_focus_rid = arguments.text("spotlight_focus_rid")?;
    connect.spotlight_unfocus_rid = arguments.text("spotlight_unfocus_rid")?;
    connect.forwarding_filter = arguments.forwarding_filter()?;
    connect.forwarding_filters = arguments.json("forwarding_filters")?;
    connect.data_channels = arguments.data_channels()?;
    connect.data_channel_signaling = arguments.flag("data_channel_signaling")?;
    connect.ignore_disconnect_websocket = arguments.flag("ignore_disconnect_websocket")?;
    connect.audio_streaming_language_code = arguments.text("audio_streaming_language_code")?;
    Ok(config)
}

fn audio(arguments: &Arguments<'_>) -> PyResult<Option<AudioOptions>> {
    let options = AudioOptions {
        codec_type: arguments.text("audio_codec_type")?,
        bit_rate: arguments.number("audio_bit_rate")?,
        opus_params: arguments.json("audio_opus_params")?,
    };
    Ok(arguments.flag("audio")?.unwrap_or(true).then_some(options))
}

fn video(arguments: &Arguments<'_>) -> PyResult<Option<VideoOptions>> {
    let options = VideoOptions {
        codec_type: arguments.text("video_codec_type")?,
        bit_rate: arguments.number("video_bit_rate")?,
        vp9_params: arguments.json("video_vp9_params")?,
        av1_params: arguments.json("video_av1_params")?,
        h264_params: arguments.json("video_h264_params")?,
        ..VideoOptions::default()
    };
    Ok(arguments.flag("video")?.unwrap_or(true).then_some(options))
}
