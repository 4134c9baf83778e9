use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sora_audio::{Resampler, remix};
use sora_codec::{CodecError, OpusEncoder, OpusParameters};
use sora_rtp::{EncodedFrame, packetize_opus};

use crate::AudioFrame;
use crate::track::{Attachment, Consumer, Track};

/// 20 ms at 48 kHz.
const FRAME: usize = 960;

/// Counters of an [`AudioSender`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AudioSenderStats {
    /// Opus frames made.
    pub frames_encoded: u64,
    /// Samples per channel taken in, at 48 kHz.
    pub samples: u64,
}

type Output = Box<dyn FnMut(EncodedFrame) + Send>;

struct State {
    encoder: OpusEncoder,
    resampler: Option<(u32, usize, Resampler)>,
    pending: Vec<i16>,
    timestamp: u32,
    silent: bool,
    output: Output,
    stats: AudioSenderStats,
}

/// Encodes a track's sound to Opus packets of 20 ms, in the thread that delivers it.
pub struct AudioSender {
    state: Arc<Sender>,
    _attachment: Attachment,
}

impl std::fmt::Debug for AudioSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioSender").finish_non_exhaustive()
    }
}

struct Sender(Mutex<State>);

impl AudioSender {
    /// Starts encoding what the track carries. `source_channels` decides with the receiver's wishes between mono and
    /// stereo. `output` takes the packets; it must not block.
    ///
    /// # Errors
    /// [`CodecError`] if the encoder cannot be made.
    pub fn start(
        track: &Track,
        source_channels: usize,
        parameters: &OpusParameters,
        output: impl FnMut(EncodedFrame) + Send + 'static,
    ) -> Result<Self, CodecError> {
        let encoder = OpusEncoder::new(parameters.channels(source_channels), parameters)?;
        let state = Arc::new(Sender(Mutex::new(State {
            encoder,
            resampler: None,
            pending: Vec::new(),
            timestamp: rand::random(),
            silent: true,
            output: Box::new(output),
            stats: AudioSenderStats::default(),
        })));
        let attachment = track.attach(state.clone());
        Ok(Self { state, _attachment: attachment })
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> AudioSenderStats {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).stats
    }
}

impl Consumer for Sender {
    fn audio(&self, frame: &AudioFrame) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(frame);
    }
}

impl State {
    fn take(&mut self, frame: &AudioFrame) {
        let channels = self.encoder.channels();
        let mixed = remix(&frame.samples, frame.channels, channels);
        let format = (frame.sample_rate, channels);
        let resampler = match &mut self.resampler {
            Some((rate, count, resampler)) if (*rate, *count) == format => resampler,
            slot => &mut slot.insert((format.0, format.1, Resampler::new(format.0, 48_000, format.1))).2,
        };
        self.pending.extend(resampler.process(&mixed));
        while self.pending.len() >= FRAME * channels {
            let samples: Vec<i16> = self.pending.drain(..FRAME * channels).collect();
            self.encode(&samples);
        }
    }

    fn encode(&mut self, samples: &[i16]) {
        let timestamp = self.timestamp;
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        self.stats.samples += FRAME as u64;
        match self.encoder.encode(samples) {
            // Two bytes or less: nothing worth sending (discontinuous transmission).
            Ok(packet) if packet.len() <= 2 => self.silent = true,
            Ok(packet) => {
                self.stats.frames_encoded += 1;
                let talk_spurt = std::mem::take(&mut self.silent);
                (self.output)(packetize_opus(Bytes::from(packet), timestamp, talk_spurt));
            }
            Err(error) => tracing::warn!(%error, "sound not sent"),
        }
    }
}
