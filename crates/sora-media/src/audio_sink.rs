use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sora_audio::{MAX_CHANNELS, Resampler, remix};

use crate::queue::Queue;
use crate::track::{Attachment, Consumer, Track, TrackKind};
use crate::{AudioFrame, SinkError};

/// Unread sound beyond this is dropped, oldest first.
const BUFFER_SECONDS: usize = 5;
/// Output frequencies in Hz.
const LOWEST_RATE: u32 = 4000;
const HIGHEST_RATE: u32 = 384_000;
/// Frames that may wait for a slow callback: five seconds.
const STREAM_QUEUE: usize = 100 * BUFFER_SECONDS;
/// How often a waiting read asks whether it should go on.
const POLL_INTERRUPT: Duration = Duration::from_millis(50);

/// Turns frames of any format into the sink's.
struct Converter {
    frequency: Option<u32>,
    channels: Option<usize>,
    resampler: Option<(u32, usize, Resampler)>,
    pending: Vec<i16>,
    format: (u32, usize),
}

impl Converter {
    /// Frequency -1 and channels 0 mean "as received".
    fn new(track: &Track, frequency: i64, channels: i64) -> Result<Self, SinkError> {
        if track.kind() != TrackKind::Audio {
            return Err(SinkError::Kind { expected: TrackKind::Audio, actual: track.kind() });
        }
        let usable = |rate: &u32| (LOWEST_RATE..=HIGHEST_RATE).contains(rate);
        let frequency = match frequency {
            -1 => None,
            _ => Some(u32::try_from(frequency).ok().filter(usable).ok_or(SinkError::Frequency(frequency))?),
        };
        let channels = match usize::try_from(channels) {
            Ok(0) => None,
            Ok(count) if count <= MAX_CHANNELS => Some(count),
            _ => return Err(SinkError::Channels(channels)),
        };
        Ok(Self { frequency, channels, resampler: None, pending: Vec::new(), format: (0, 0) })
    }

    /// Puts out whole frames of 10 ms in the sink's format; of rates that have no whole number of samples in 10 ms, of as
    /// many as are whole, and what is left goes into the next one.
    fn convert(&mut self, frame: &AudioFrame, mut out: impl FnMut(AudioFrame)) {
        let channels = self.channels.unwrap_or(frame.channels);
        let rate = self.frequency.unwrap_or(frame.sample_rate);
        if self.format != (rate, channels) {
            self.format = (rate, channels);
            self.pending.clear();
        }
        if frame.sample_rate == rate && frame.channels == channels && self.pending.is_empty() {
            return out(frame.clone());
        }
        let mixed = remix(&frame.samples, frame.channels, channels);
        let resampler = match &mut self.resampler {
            Some((from, count, resampler)) if (*from, *count) == (frame.sample_rate, channels) => resampler,
            slot => {
                let resampler = Resampler::new(frame.sample_rate, rate, channels);
                &mut slot.insert((frame.sample_rate, channels, resampler)).2
            }
        };
        self.pending.extend(resampler.process(&mixed));
        let size = rate as usize / 100 * channels;
        while self.pending.len() >= size {
            let samples: Vec<i16> = self.pending.drain(..size).collect();
            out(AudioFrame {
                samples: samples.into(),
                sample_rate: rate,
                channels,
                absolute_capture_timestamp_ms: frame.absolute_capture_timestamp_ms,
            });
        }
    }
}

struct StreamInbox {
    converter: Mutex<Converter>,
    queue: Arc<Queue<AudioFrame>>,
}

impl Consumer for StreamInbox {
    fn audio(&self, frame: &AudioFrame) {
        let mut converter = self.converter.lock().unwrap_or_else(PoisonError::into_inner);
        converter.convert(frame, |frame| {
            self.queue.push(frame);
        });
    }
}

/// Calls back with every 10 ms of a track's sound on a thread of its own. A callback that falls five seconds behind
/// loses the oldest frames; it delays nobody else.
pub struct AudioStreamSink {
    track: Track,
    queue: Arc<Queue<AudioFrame>>,
    _attachment: Attachment,
}

impl std::fmt::Debug for AudioStreamSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioStreamSink").field("track", &self.track).finish_non_exhaustive()
    }
}

impl AudioStreamSink {
    /// Starts calling back. `frequency` -1 and `channels` 0 leave the sound as it is. The callback may drop the sink.
    ///
    /// # Errors
    /// [`SinkError`] if the track carries pictures, the output format is out of range or no thread can be started.
    pub fn new(
        track: &Track,
        frequency: i64,
        channels: i64,
        callback: impl FnMut(AudioFrame) + Send + 'static,
    ) -> Result<Self, SinkError> {
        let converter = Mutex::new(Converter::new(track, frequency, channels)?);
        let queue = Arc::new(Queue::new(STREAM_QUEUE));
        queue.call_with_each("sora-audio-sink", callback)?;
        let attachment = track.attach(Arc::new(StreamInbox { converter, queue: queue.clone() }));
        Ok(Self { track: track.clone(), queue, _attachment: attachment })
    }

    /// The track it is attached to.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// Frames lost because the callback was slow.
    #[must_use]
    pub fn frames_dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl Drop for AudioStreamSink {
    fn drop(&mut self) {
        // The thread ends by itself; waiting for it here could be waiting for ourselves.
        self.queue.close();
    }
}

/// What [`AudioSink::read`] came back with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Interleaved samples.
    Samples {
        /// The samples.
        samples: Vec<i16>,
        /// Channels they have.
        channels: usize,
    },
    /// Not enough within the time; what there is stays.
    NotEnough,
    /// The caller's `keep_waiting` said no.
    Interrupted,
}

#[derive(Default)]
struct Buffer {
    samples: VecDeque<i16>,
    channels: usize,
    rate: u32,
    dropped: u64,
    converter: Option<Converter>,
}

struct SinkInbox {
    buffer: Mutex<Buffer>,
    arrived: Condvar,
}

impl Consumer for SinkInbox {
    fn audio(&self, frame: &AudioFrame) {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut converter) = buffer.converter.take() else { return };
        let mut news = Vec::new();
        converter.convert(frame, |frame| news.push(frame));
        buffer.converter = Some(converter);
        for frame in news {
            if (buffer.rate, buffer.channels) != (frame.sample_rate, frame.channels) {
                (buffer.rate, buffer.channels) = (frame.sample_rate, frame.channels);
                buffer.samples.clear();
            }
            buffer.samples.extend(frame.samples.iter());
            let limit = BUFFER_SECONDS * buffer.rate as usize * buffer.channels;
            let surplus = buffer.samples.len().saturating_sub(limit);
            buffer.samples.drain(..surplus);
            buffer.dropped += surplus as u64;
        }
        drop(buffer);
        self.arrived.notify_all();
    }
}

/// Buffers a track's sound until it is read. What nobody reads is dropped after five seconds, oldest first.
pub struct AudioSink {
    track: Track,
    inbox: Arc<SinkInbox>,
    _attachment: Attachment,
}

impl std::fmt::Debug for AudioSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioSink").field("track", &self.track).finish_non_exhaustive()
    }
}

impl AudioSink {
    /// Starts buffering. `frequency` -1 and `channels` 0 leave the sound as it is.
    ///
    /// # Errors
    /// [`SinkError`] if the track carries pictures or the output format is out of range.
    pub fn new(track: &Track, frequency: i64, channels: i64) -> Result<Self, SinkError> {
        let converter = Some(Converter::new(track, frequency, channels)?);
        let inbox = Arc::new(SinkInbox {
            buffer: Mutex::new(Buffer { converter, ..Buffer::default() }),
            arrived: Condvar::new(),
        });
        let attachment = track.attach(inbox.clone());
        Ok(Self { track: track.clone(), inbox, _attachment: attachment })
    }

    /// The track it is attached to.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// Samples dropped because nobody read them.
    #[must_use]
    pub fn samples_dropped(&self) -> u64 {
        self.inbox.buffer.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }

    /// Reads `frames` samples per channel, waiting up to `timeout` for them; 0 reads whatever there is, at once.
    /// `keep_waiting` is asked about twenty times a second.
    pub fn read(&self, frames: usize, timeout: Duration, mut keep_waiting: impl FnMut() -> bool) -> ReadOutcome {
        let deadline = Instant::now().checked_add(timeout);
        let mut buffer = self.inbox.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let channels = buffer.channels;
            let wanted = if frames == 0 { buffer.samples.len() } else { frames.saturating_mul(channels) };
            if channels > 0 && wanted > 0 && buffer.samples.len() >= wanted {
                return ReadOutcome::Samples { samples: buffer.samples.drain(..wanted).collect(), channels };
            }
            let left = deadline.map_or(POLL_INTERRUPT, |d| d.saturating_duration_since(Instant::now()));
            if frames == 0 || left.is_zero() {
                return ReadOutcome::NotEnough;
            }
            let (guard, waited) = self
                .inbox
                .arrived
                .wait_timeout(buffer, left.min(POLL_INTERRUPT))
                .unwrap_or_else(PoisonError::into_inner);
            buffer = guard;
            if waited.timed_out() {
                drop(buffer);
                if !keep_waiting() {
                    return ReadOutcome::Interrupted;
                }
                buffer = self.inbox.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}
