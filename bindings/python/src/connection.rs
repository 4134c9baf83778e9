use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use pyo3::{PyTraverseError, PyVisit};
use sora_sdk::{CodecRegistry, ConfigError, Connection, ConnectionConfig, ConnectionEvent};
use sora_signaling::Event;

use crate::callbacks::Callbacks;
use crate::kept::Kept;
use crate::track::SoraMediaTrack;
use crate::{enums, fork, gate, signals};

/// How often a waiting disconnect() looks for Ctrl+C.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// A connection to a channel. Made by Sora.create_connection().
///
/// All callbacks come in order on one thread of the connection's own. They may call any method of the connection,
/// raise (the exception goes to sys.unraisablehook and the connection lives on) and drop the last reference to it.
#[pyclass(frozen, weakref, subclass, module = "sora_sdk")]
pub(crate) struct SoraConnection {
    connection: Connection,
    callbacks: Arc<Callbacks>,
    kept: Arc<Kept>,
}

impl SoraConnection {
    pub(crate) fn create(
        py: Python<'_>,
        config: ConnectionConfig,
        registry: Arc<CodecRegistry>,
        kept: Kept,
    ) -> PyResult<Py<Self>> {
        let (callbacks, kept): (Arc<Callbacks>, _) = (Arc::default(), Arc::new(kept));
        let (called, keeps) = (callbacks.clone(), Arc::downgrade(&kept));
        let dispatch = move |event| gate::enter(|py| dispatch(py, &called, &keeps, event));
        let connection = Connection::new(config, registry, dispatch).map_err(|error| config_error(&error))?;
        Py::new(py, Self { connection, callbacks, kept })
    }
}

fn config_error(error: &ConfigError) -> PyErr {
    let text = match error {
        ConfigError::NoUrls => error.to_string(),
        _ => format!("create_connection(): {error}"),
    };
    match error {
        ConfigError::NoUrls | ConfigError::Source { .. } => PyTypeError::new_err(text),
        ConfigError::Proxy(_) => PyValueError::new_err(text),
        ConfigError::NoEncoder { .. }
        | ConfigError::Certificate(_)
        | ConfigError::Runtime(_)
        | ConfigError::Codec(_) => PyRuntimeError::new_err(text),
    }
}

fn dispatch(py: Python<'_>, callbacks: &Callbacks, kept: &Weak<Kept>, event: ConnectionEvent) {
    let event = match event {
        ConnectionEvent::Track(track) => {
            return match SoraMediaTrack::create(py, track, kept.clone()) {
                Ok(track) => callbacks.call(py, "on_track", (track,)),
                Err(error) => error.write_unraisable(py, None),
            };
        }
        ConnectionEvent::Signaling(event) => event,
    };
    match event {
        Event::SetOffer(text) => callbacks.call(py, "on_set_offer", (text,)),
        Event::Notify(text) => callbacks.call(py, "on_notify", (text,)),
        Event::Push(text) => callbacks.call(py, "on_push", (text,)),
        Event::Switched(text) => callbacks.call(py, "on_switched", (text,)),
        Event::DataChannel(label) => callbacks.call(py, "on_data_channel", (label,)),
        Event::Message { label, data } => callbacks.call(py, "on_message", (label, PyBytes::new(py, &data))),
        Event::Rpc(data) => callbacks.call(py, "on_rpc", (PyBytes::new(py, &data),)),
        Event::WsClose { code, reason } => callbacks.call(py, "on_ws_close", (code, reason)),
        Event::SignalingMessage { signal, text, .. } => {
            let transport = enums::member(py, "SoraSignalingType", i64::from(signal.data_channel));
            let direction = enums::member(py, "SoraSignalingDirection", i64::from(!signal.sent));
            match (transport, direction) {
                (Ok(transport), Ok(direction)) => {
                    callbacks.call(py, "on_signaling_message", (transport, direction, text));
                }
                (Err(error), _) | (_, Err(error)) => error.write_unraisable(py, None),
            }
        }
        Event::Disconnected { code, message } => match enums::member(py, "SoraSignalingErrorCode", code as i64) {
            Ok(code) => callbacks.call(py, "on_disconnect", (code, message)),
            Err(error) => error.write_unraisable(py, None),
        },
        Event::Warning(_) => {}
    }
}

macro_rules! callback_properties {
    ($($(#[$doc:meta])* $name:ident, $setter:ident;)*) => {
        #[pymethods]
        impl SoraConnection {
            $(
                $(#[$doc])*
                #[getter]
                fn $name(&self, py: Python<'_>) -> Option<Py<PyAny>> {
                    self.callbacks.get(py, stringify!($name))
                }

                #[setter]
                fn $setter(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
                    self.callbacks.set(stringify!($name), value)
                }
            )*

            /// Starts connecting and returns at once; what comes of it is told to the callbacks.
            ///
            /// A second call does nothing; after disconnect() it raises RuntimeError.
            fn connect(&self, py: Python<'_>) -> PyResult<()> {
                fork::check()?;
                fork::threads_start();
                py.detach(|| self.connection.connect()).map_err(|error| PyRuntimeError::new_err(error.to_string()))
            }

            /// Says goodbye and waits until on_disconnect has returned. Called from a callback it does not wait.
            ///
            /// The GIL is released while waiting and Ctrl+C ends the wait.
            fn disconnect(&self, py: Python<'_>) -> PyResult<()> {
                fork::check()?;
                let Some(limit) = py.detach(|| self.connection.begin_disconnect()) else { return Ok(()) };
                if self.connection.is_dispatcher() {
                    return Ok(());
                }
                if !signals::are_handled_here(py) {
                    py.detach(|| self.connection.wait_finished(limit));
                    return Ok(());
                }
                let deadline = Instant::now() + limit;
                while !py.detach(|| self.connection.wait_finished(SIGNAL_CHECK)) && Instant::now() < deadline {
                    py.check_signals()?;
                }
                Ok(())
            }

            /// Statistics as a JSON array with the members of W3C webrtc-stats; "[]" before and after the connection.
            fn get_stats(&self, py: Python<'_>) -> PyResult<String> {
                fork::check()?;
                Ok(py.detach(|| self.connection.stats()))
            }

            /// Sends bytes on a data channel whose label begins with "#".
            ///
            /// Returns True if the message was accepted for an open channel, else False.
            fn send_data_channel(
                &self,
                py: Python<'_>,
                label: &Bound<'_, PyString>,
                data: &Bound<'_, PyBytes>,
            ) -> PyResult<bool> {
                fork::check()?;
                let (label, data) = (label.to_string(), data.as_bytes());
                Ok(py.detach(|| self.connection.send_data_channel(&label, data)))
            }

            fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
                self.callbacks.traverse(&visit)?;
                self.kept.traverse(&visit)
            }

            fn __clear__(&self) {
                self.callbacks.clear();
                self.kept.clear();
            }
        }
    };
}

callback_properties! {
    /// Called with the text of the offer when it has been applied.
    on_set_offer, set_on_set_offer;
    /// Called with (SoraSignalingErrorCode, text) once, at the end.
    on_disconnect, set_on_disconnect;
    /// Called with the JSON text of each notification.
    on_notify, set_on_notify;
    /// Called with the JSON text of each push.
    on_push, set_on_push;
    /// Called with (label, bytes) for each message on a "#" data channel.
    on_message, set_on_message;
    /// Called with bytes for each message on the rpc data channel.
    on_rpc, set_on_rpc;
    /// Called with the JSON text when signaling has moved to data channels.
    on_switched, set_on_switched;
    /// Called with a SoraMediaTrack for each track the server sends.
    on_track, set_on_track;
    /// Called with the label of each data channel of the offer when it is open.
    on_data_channel, set_on_data_channel;
    /// Called with (code, reason) when the WebSocket is gone; code 0 without a close frame.
    on_ws_close, set_on_ws_close;
    /// Called with (SoraSignalingType, SoraSignalingDirection, text) for each signaling message.
    on_signaling_message, set_on_signaling_message;
}
