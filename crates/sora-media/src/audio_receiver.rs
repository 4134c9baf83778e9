use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sora_audio::{PacketDecoder, ReceiveBuffer, ReceiveStats};
use sora_codec::{CodecError, OpusDecoder};
use sora_rtp::RtpPacket;

use crate::AudioFrame;
use crate::audio_clock::{Ticked, join};
use crate::track::Track;

/// Counters of an [`AudioReceiver`].
pub type AudioReceiverStats = ReceiveStats;

/// Without a packet for this long the sound has ended; concealing on would only cost time.
const IDLE_AFTER: Duration = Duration::from_secs(2);

struct Opus(OpusDecoder);

impl PacketDecoder for Opus {
    fn channels(&self) -> usize {
        self.0.channels()
    }

    fn samples(&self, packet: &[u8]) -> usize {
        OpusDecoder::samples(packet).unwrap_or(0)
    }

    fn is_pause(&self, packet: &[u8]) -> bool {
        OpusDecoder::is_pause(packet)
    }

    fn has_redundancy(&self, packet: &[u8]) -> bool {
        OpusDecoder::has_redundancy(packet)
    }

    fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> bool {
        append(self.0.decode(packet), out)
    }

    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) -> bool {
        append(self.0.recover(next, samples), out)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        if !append(self.0.conceal(samples), out) {
            let silence = out.len() + samples * self.0.channels();
            out.resize(silence, 0);
        }
    }
}

fn append(decoded: Result<Vec<i16>, CodecError>, out: &mut Vec<i16>) -> bool {
    match decoded {
        Ok(samples) => {
            out.extend(samples);
            true
        }
        Err(error) => {
            tracing::debug!(%error, "sound not decoded");
            false
        }
    }
}

struct Inner {
    track: Track,
    buffer: Mutex<ReceiveBuffer<Opus>>,
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
        let buffer = Mutex::new(ReceiveBuffer::new(Opus(OpusDecoder::new(channels)?)));
        let inner = Arc::new(Inner { track: track.clone(), buffer });
        join(&inner).map_err(|error| CodecError::Argument(format!("no thread for the audio clock: {error}")))?;
        Ok(Self(inner))
    }

    /// Takes a packet. Never blocks for longer than another packet takes.
    pub fn push(&self, packet: RtpPacket) {
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner).push(packet);
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> AudioReceiverStats {
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner).stats()
    }
}

impl Ticked for Inner {
    fn tick(&self, now: Instant) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.track.has_consumers() || !buffer.is_active(now, IDLE_AFTER) {
            return;
        }
        let channels = buffer.channels();
        let Some(mut samples) = buffer.pull(now) else { return };
        drop(buffer);
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
