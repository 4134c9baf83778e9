use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_audio::{ReceiveBuffer, ReceiveStats};
use sora_codec::CodecError;
use sora_rtp::RtpPacket;

use crate::AudioFrame;
use crate::audio_clock::{Ticked, join};
use crate::level::AudioLevel;
use crate::opus_packets::OpusPackets;
use crate::track::Track;
use crate::transform::{AudioFrameMetadata, FrameDirection, FrameMetadata, FrameStream, TransformableFrame, Way};

/// Counters of an [`AudioReceiver`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AudioReceiverStats {
    /// Of its receive buffer.
    pub buffer: ReceiveStats,
    /// How loud what came out of it is.
    pub level: AudioLevel,
}

/// Without a packet for this long the sound has ended; concealing on would only cost time.
const IDLE_AFTER: Duration = Duration::from_secs(2);

struct Inner {
    track: Track,
    buffer: Mutex<ReceiveBuffer<OpusPackets>>,
    level: Mutex<AudioLevel>,
}

/// Turns a received track's Opus packets into 10 ms frames on the process's audio clock, while somebody wants them.
pub struct AudioReceiver(Arc<Inner>);

impl std::fmt::Debug for AudioReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioReceiver").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl AudioReceiver {
    /// Starts. `channels` is what to decode to, 1 or 2.
    ///
    /// # Errors
    /// [`CodecError`] if the decoder or the clock cannot be started.
    pub fn start(track: &Track, channels: usize) -> Result<Self, CodecError> {
        let buffer = Mutex::new(ReceiveBuffer::new(OpusPackets::new(channels)?));
        let inner = Arc::new(Inner { track: track.clone(), buffer, level: Mutex::default() });
        join(&inner).map_err(|error| CodecError::Argument(format!("no thread for the audio clock: {error}")))?;
        Ok(Self(inner))
    }

    /// Takes a packet. Never blocks for longer than another packet takes.
    pub fn push(&self, packet: RtpPacket) {
        let Some(transformer) = self.0.track.transformer() else { return self.0.buffer().push(packet) };
        let stream = FrameStream { ssrc: packet.ssrc, payload_type: packet.payload_type, mime_type: "audio/opus" };
        let metadata =
            AudioFrameMetadata { sequence_number: Some(packet.sequence as u16), arrival: Some(packet.arrival) };
        transformer.0.transform(TransformableFrame::new(
            (packet.payload.clone(), packet.timestamp),
            (stream, FrameDirection::Receiver),
            FrameMetadata::Audio(metadata),
            Receiving { inner: Arc::downgrade(&self.0), packet },
        ));
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> AudioReceiverStats {
        let level = *self.0.level.lock().unwrap_or_else(PoisonError::into_inner);
        AudioReceiverStats { buffer: self.0.buffer().stats(), level }
    }
}

/// The way of a packet that was received.
struct Receiving {
    inner: Weak<Inner>,
    packet: RtpPacket,
}

impl Way for Receiving {
    fn forward(self: Box<Self>, payload: Bytes, timestamp: u32) {
        // The buffer has to learn how long packets take to get here, with what the program adds.
        let arrival = Instant::now();
        let Some(inner) = self.inner.upgrade() else { return };
        inner.buffer().push(RtpPacket { payload, timestamp, arrival, ..self.packet });
    }
}

impl Inner {
    fn buffer(&self) -> MutexGuard<'_, ReceiveBuffer<OpusPackets>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticked for Inner {
    fn tick(&self, now: Instant) {
        let mut buffer = self.buffer();
        if !self.track.has_consumers() || !buffer.is_active(now, IDLE_AFTER) {
            return;
        }
        let channels = buffer.channels();
        let Some(mut samples) = buffer.pull(now) else { return };
        drop(buffer);
        self.level.lock().unwrap_or_else(PoisonError::into_inner).count(&samples, 0.01);
        if !self.track.enabled() {
            samples.fill(0);
        }
        self.track.deliver_audio(&AudioFrame {
            samples: samples.into(),
            sample_rate: 48_000,
            channels,
            absolute_capture_timestamp_ms: None,
        });
    }
}
