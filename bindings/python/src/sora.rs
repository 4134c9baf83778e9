use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use sora_sdk::CodecRegistry;

use crate::audio_source::SoraAudioSource;
use crate::connection::SoraConnection;
use crate::late::Late;
use crate::video_source::SoraVideoSource;
use crate::{arguments, codecs, fork};

/// Makes sources and connections.
///
/// use_hardware_encoder: False leaves hardware encoders out. openh264: path of an OpenH264 library for H.264; if it
/// cannot be used, a RuntimeWarning says why. video_codec_preference: a SoraVideoCodecPreference; RuntimeError if it
/// names what is not there. force_i420_conversion is taken and changes nothing: pictures are always converted. Both
/// generations' order of arguments is understood: Sora(True, path) and Sora(path, preference, force_i420_conversion).
#[pyclass(subclass, frozen, weakref, module = "sora_sdk")]
#[derive(Default)]
pub(crate) struct Sora {
    registry: Late<Arc<CodecRegistry>>,
}

#[pymethods]
impl Sora {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(use_hardware_encoder=None, openh264=None, video_codec_preference=None, force_i420_conversion=None)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    #[pyo3(signature = (use_hardware_encoder = None, openh264 = None, video_codec_preference = None, force_i420_conversion = None))]
    fn __init__(
        &self,
        py: Python<'_>,
        use_hardware_encoder: Option<&Bound<'_, PyAny>>,
        openh264: Option<&Bound<'_, PyAny>>,
        video_codec_preference: Option<&Bound<'_, PyAny>>,
        force_i420_conversion: Option<bool>,
    ) -> PyResult<()> {
        fork::check()?;
        // Pictures are I420 before they are encoded, whatever it says.
        let _ = force_i420_conversion;
        let options = codecs::options(use_hardware_encoder, openh264, video_codec_preference)?;
        self.registry.set("Sora", Arc::new(codecs::registry(py, &options)?))
    }

    /// Makes a source for sound.
    ///
    /// channels: 1 to 8. sample_rate: 8000 to 192000 Hz. Raises ValueError for anything else.
    fn create_audio_source(
        &self,
        py: Python<'_>,
        channels: &Bound<'_, PyAny>,
        sample_rate: &Bound<'_, PyAny>,
    ) -> PyResult<Py<SoraAudioSource>> {
        let channels = arguments::integer(channels, "channels")?;
        SoraAudioSource::create(py, channels, arguments::integer(sample_rate, "sample_rate")?)
    }

    /// Makes a source for pictures.
    fn create_video_source(&self, py: Python<'_>) -> PyResult<Py<SoraVideoSource>> {
        SoraVideoSource::create(py)
    }

    #[doc = include_str!("create_connection.txt")]
    #[pyo3(
        signature = (*args, **kwargs),
        text_signature = "($self, signaling_urls, role, channel_id, client_id=None, bundle_id=None, metadata=None, \
            signaling_notify_metadata=None, audio_source=None, video_source=None, audio_frame_transformer=None, \
            video_frame_transformer=None, audio=None, video=None, audio_codec_type=None, video_codec_type=None, \
            video_bit_rate=None, audio_bit_rate=None, video_vp9_params=None, video_av1_params=None, \
            video_h264_params=None, audio_opus_params=None, simulcast=None, spotlight=None, \
            spotlight_number=None, simulcast_rid=None, simulcast_request_rid=None, spotlight_focus_rid=None, \
            spotlight_unfocus_rid=None, forwarding_filter=None, forwarding_filters=None, data_channels=None, \
            data_channel_signaling=None, ignore_disconnect_websocket=None, data_channel_signaling_timeout=None, \
            disconnect_wait_timeout=None, websocket_close_timeout=None, websocket_connection_timeout=None, \
            audio_streaming_language_code=None, insecure=None, client_cert=None, client_key=None, ca_cert=None, \
            proxy_url=None, proxy_username=None, proxy_password=None, proxy_agent=None, \
            degradation_preference=None, user_agent=None)"
    )]
    fn create_connection(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<SoraConnection>> {
        fork::check()?;
        let (config, kept) = arguments::connection_config(args, kwargs)?;
        SoraConnection::create(py, config, self.registry.get("Sora")?.clone(), kept)
    }
}
