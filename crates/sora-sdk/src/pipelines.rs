//! The pipelines of a connection, and what they add to its statistics with the members of W3C webrtc-stats.

use serde_json::{Value, json};
use sora_media::{AudioReceiver, AudioReceiverStats, AudioSender, VideoReceiver, VideoSender};

pub(crate) enum Receiver {
    Audio(AudioReceiver),
    Video(VideoReceiver),
}

pub(crate) enum Sender {
    Audio(AudioSender),
    Video(VideoSender),
}

impl Sender {
    /// Its source.
    pub(crate) fn media_source(&self, track_id: &str, timestamp: &Value) -> Value {
        match self {
            Self::Audio(sender) => {
                let level = sender.stats().level;
                json!({
                    "type": "media-source", "id": "SA1", "timestamp": timestamp,
                    "trackIdentifier": track_id, "kind": "audio",
                    "audioLevel": level.level, "totalAudioEnergy": level.total_energy,
                    "totalSamplesDuration": level.total_duration,
                })
            }
            Self::Video(sender) => {
                let stats = sender.stats();
                json!({
                    "type": "media-source", "id": "SV2", "timestamp": timestamp,
                    "trackIdentifier": track_id, "kind": "video",
                    "width": stats.source_size.0, "height": stats.source_size.1, "frames": stats.source_frames,
                    "framesPerSecond": stats.frames_per_second,
                })
            }
        }
    }

    /// Of the stream with this name, or of the only one.
    pub(crate) fn stats(&self, rid: Option<&str>) -> Value {
        match self {
            Self::Audio(_) => json!({}),
            Self::Video(sender) => {
                let stats = sender.stats();
                let of_rid = stats.layers.iter().find(|layer| layer.rid.as_deref() == rid);
                let Some(layer) = of_rid else { return json!({ "encoderImplementation": stats.encoder }) };
                json!({
                    "active": layer.active, "scalabilityMode": layer.scalability.to_string(),
                    "framesEncoded": layer.frames_encoded, "keyFramesEncoded": layer.key_frames_encoded,
                    "framesSent": layer.frames_sent,
                    "totalEncodeTime": layer.total_encode_time, "frameWidth": layer.width, "frameHeight": layer.height,
                    "framesPerSecond": stats.frames_per_second, "targetBitrate": layer.target_bitrate_bps,
                    "encoderImplementation": stats.encoder, "qualityLimitationReason": stats.limitation.as_str(),
                    "powerEfficientEncoder": false,
                })
            }
        }
    }
}

impl Receiver {
    /// Of what is received.
    pub(crate) fn stats(&self) -> Value {
        match self {
            Self::Audio(receiver) => {
                let AudioReceiverStats { buffer: stats, level } = receiver.stats();
                json!({
                    "audioLevel": level.level, "totalAudioEnergy": level.total_energy,
                    "totalSamplesDuration": level.total_duration,
                    "totalSamplesReceived": stats.total_samples, "concealedSamples": stats.concealed_samples,
                    "concealmentEvents": stats.concealment_events, "packetsDiscarded": stats.packets_discarded,
                    "silentConcealedSamples": stats.silent_concealed_samples,
                    "removedSamplesForAcceleration": stats.removed_samples,
                    "insertedSamplesForDeceleration": stats.inserted_samples,
                    "jitterBufferTargetDelay": stats.target_delay_sum as f64 / 48_000.0,
                    "jitterBufferDelay": stats.delay_sum as f64 / 48_000.0,
                    "jitterBufferEmittedCount": stats.total_samples,
                })
            }
            Self::Video(receiver) => {
                let stats = receiver.stats();
                json!({
                    "framesReceived": stats.frames_received, "framesDecoded": stats.frames_decoded,
                    "keyFramesDecoded": stats.key_frames_decoded, "framesDropped": stats.frames_dropped,
                    "totalDecodeTime": stats.total_decode_time, "frameWidth": stats.width, "frameHeight": stats.height,
                    "decoderImplementation": stats.decoder,
                    "framesPerSecond": stats.frames_per_second, "totalInterFrameDelay": stats.total_inter_frame_delay,
                    "totalSquaredInterFrameDelay": stats.total_squared_inter_frame_delay, "powerEfficientDecoder": false,
                })
            }
        }
    }
}

/// Adds members.
pub(crate) fn extend(stat: &mut Value, more: &Value) {
    if let (Some(stat), Some(more)) = (stat.as_object_mut(), more.as_object()) {
        stat.extend(more.clone());
    }
}
