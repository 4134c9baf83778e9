#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adaptation;
mod allocation;
mod audio_clock;
mod audio_receiver;
mod audio_sender;
mod audio_sink;
mod audio_source;
mod colour;
mod frame;
mod level;
mod opus_packets;
mod outgoing;
mod pace;
mod queue;
mod scale;
mod track;
mod transform;
mod video_layer;
mod video_receiver;
mod video_sender;
mod video_sink;
mod video_source;

pub use adaptation::{DegradationPreference, QualityLimitation};
pub use audio_receiver::{AudioReceiver, AudioReceiverStats};
pub use audio_sender::{AudioSender, AudioSenderStats, AudioSenderTransform};
pub use audio_sink::{AudioSink, AudioStreamSink, ReadOutcome};
pub use audio_source::AudioSource;
pub use frame::{AudioFrame, CaptureError, SinkError, VideoFrame};
pub use level::AudioLevel;
pub use opus_packets::OpusPackets;
pub use scale::Scaler;
pub use sora_audio::FormatError;
pub use sora_codec::{
    Capability, CodecError, CodecPreference, CodecRegistry, Implementation, OpenH264, OpenH264Error, OpusParameters,
    PreferenceError, ScalabilityMode, VideoCodecPreference, VideoCodecType,
};
pub use track::{Track, TrackKind, TrackState, random_name};
pub use transform::{
    AudioFrameMetadata, FrameDirection, FrameMetadata, FrameStream, FrameTransformer, TransformableFrame, Transformer,
    TransformerThread, VideoFrameMetadata,
};
pub use video_layer::{LayerScale, VideoLayerConfig, VideoLayerStats};
pub use video_receiver::{VideoReceiver, VideoReceiverStats};
pub use video_sender::{VideoSender, VideoSenderConfig, VideoSenderStats};
pub use video_sink::VideoSink;
pub use video_source::VideoSource;
