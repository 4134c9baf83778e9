#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod codecs;
mod config;
mod connection;
mod dispatcher;
mod environment;
mod parameters;
mod pipelines;
mod runtime;
mod sent_track;
mod session;
mod simulcast;

pub use codecs::{CodecOptions, Codecs};
pub use config::{ConfigError, ConnectionConfig, ProxyConfig};
pub use connection::{Connection, StateError};
pub use dispatcher::ConnectionEvent;
pub use parameters::{PARAMETERS, Parameter, ParameterError, ParameterKind, ParameterValue};
pub use sent_track::SentTrack;
pub use sora_media::{
    AudioFrame, AudioFrameMetadata, AudioSink, AudioSource, AudioStreamSink, Capability, CaptureError, CodecPreference,
    CodecRegistry, DegradationPreference, FormatError, FrameDirection, FrameMetadata, FrameStream, FrameTransformer,
    Implementation, OpenH264Error, PreferenceError, ReadOutcome, SinkError, Track, TrackKind, TrackState,
    TransformableFrame, Transformer, TransformerThread, VideoCodecPreference, VideoCodecType, VideoFrame,
    VideoFrameMetadata, VideoSink, VideoSource,
};
pub use sora_signaling::message::{
    AudioOptions, Connect, DataChannelDirection, DataChannelOptions, Role, VideoOptions, is_valid_label,
};
pub use sora_signaling::{ErrorCode, Signal};
pub use sora_transport::proxy::ProxyError;
pub use sora_transport::{Pem, TlsOptions};
/// Detection of voice in an [`AudioFrame`].
pub use sora_vad as vad;
