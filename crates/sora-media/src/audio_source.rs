use std::sync::{Mutex, PoisonError};

use sora_audio::{FormatError, Framer};

use crate::track::{Track, TrackKind};
use crate::{AudioFrame, CaptureError};

/// A timestamp this far after the end of the sound before says that there was a pause.
const JUMP_MS: f64 = 100.0;

/// Sound from the program. A [`Track`] carries it to senders and local sinks in frames of 10 ms.
#[derive(Debug)]
pub struct AudioSource {
    track: Track,
    channels: usize,
    input: Mutex<Input>,
}

#[derive(Debug)]
struct Input {
    framer: Framer,
    /// When the first sample of the next frame was captured, in milliseconds; only if the program says so.
    next_ms: Option<f64>,
}

impl Input {
    /// Takes the time of the next sample. Sound from before a pause goes to `out`, filled up with silence.
    fn stamp(&mut self, timestamp_ms: Option<f64>, out: &mut Vec<AudioFrame>) {
        let waiting_ms = self.framer.pending() as f64 * 1000.0 / f64::from(self.framer.sample_rate());
        let paused = |next: f64, time: f64| time - (next + waiting_ms) > JUMP_MS;
        match (self.next_ms, timestamp_ms) {
            (Some(next), Some(time)) if paused(next, time) => {
                let (sample_rate, channels) = (self.framer.sample_rate(), self.framer.channels());
                self.framer.flush(|samples| out.push(new_frame(samples, sample_rate, channels, Some(next))));
                self.next_ms = Some(time);
            }
            (_, time) => self.next_ms = time.map(|time| time - waiting_ms),
        }
    }

    fn push(&mut self, samples: &[i16], out: &mut Vec<AudioFrame>) {
        let (sample_rate, channels) = (self.framer.sample_rate(), self.framer.channels());
        let next_ms = &mut self.next_ms;
        self.framer.push(samples, |samples| {
            out.push(new_frame(samples, sample_rate, channels, *next_ms));
            *next_ms = next_ms.map(|ms| ms + 10.0);
        });
    }
}

fn new_frame(samples: &[i16], sample_rate: u32, channels: usize, time_ms: Option<f64>) -> AudioFrame {
    let absolute_capture_timestamp_ms = time_ms.map(|ms| ms.round() as i64);
    AudioFrame { samples: samples.into(), sample_rate, channels, absolute_capture_timestamp_ms }
}

impl AudioSource {
    /// A source for interleaved samples.
    ///
    /// # Errors
    /// [`FormatError`] if rate (8 to 192 kHz) or channel count (1 to 8) is out of range.
    pub fn new(channels: i64, sample_rate: i64) -> Result<Self, FormatError> {
        let framer = Framer::new(sample_rate, channels)?;
        let channels = framer.channels();
        let input = Mutex::new(Input { framer, next_ms: None });
        Ok(Self { track: Track::local(TrackKind::Audio), channels, input })
    }

    /// Its track.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// Channels it takes.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Takes any number of interleaved samples of `channels` channels. Whole frames of 10 ms go on at once, the rest
    /// waits for the next call: nothing is lost whatever the chunk size.
    ///
    /// `timestamp_ms` is when the first of them was captured, in milliseconds since the epoch. A step of more than
    /// 100 ms ahead of the sound so far is a pause, which the receiver hears as one; any other difference only moves
    /// the frames' timestamps.
    ///
    /// # Errors
    /// [`CaptureError::Channels`] if the channel count is not the source's.
    pub fn push(&self, samples: &[i16], channels: usize, timestamp_ms: Option<f64>) -> Result<(), CaptureError> {
        if channels != self.channels {
            return Err(CaptureError::Channels { expected: self.channels, actual: channels });
        }
        let mut frames = Vec::new();
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.stamp(timestamp_ms.filter(|ms| ms.is_finite() && ms.abs() < 1e15), &mut frames);
        input.push(samples, &mut frames);
        drop(input);
        let enabled = self.track.enabled();
        for mut frame in frames {
            if !enabled {
                frame.samples = vec![0; frame.samples.len()].into();
            }
            self.track.deliver_audio(&frame);
        }
        Ok(())
    }
}

impl Drop for AudioSource {
    fn drop(&mut self) {
        self.track.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::track::Consumer;

    #[derive(Default)]
    struct Heard(Mutex<Vec<AudioFrame>>);

    impl Consumer for Heard {
        fn audio(&self, frame: &AudioFrame) {
            self.0.lock().expect("a lock").push(frame.clone());
        }
    }

    fn heard(pushes: impl IntoIterator<Item = (usize, Option<f64>)>) -> Vec<(i64, usize)> {
        let source = AudioSource::new(1, 16_000).expect("a source");
        let heard = Arc::new(Heard::default());
        let _attachment = source.track().attach(heard.clone());
        for (samples, time) in pushes {
            source.push(&vec![7; samples], 1, time).expect("taken");
        }
        let frames = heard.0.lock().expect("a lock");
        let account = |frame: &AudioFrame| {
            let loud = frame.samples.iter().filter(|sample| **sample == 7).count();
            (frame.absolute_capture_timestamp_ms.unwrap_or(-1), loud)
        };
        frames.iter().map(account).collect()
    }

    #[test]
    fn timestamps_cost_no_sound_whatever_the_chunk() {
        // 333 samples of 16 kHz are 20.8125 ms; the program's clock is a bit off.
        let frames = heard((0..48).map(|n| (333, Some(1000.0 + f64::from(n) * 20.8125 + f64::from(n % 3)))));
        assert_eq!(frames.len(), 48 * 333 / 160);
        assert!(frames.iter().all(|(_, loud)| *loud == 160));
        assert!(frames.windows(2).all(|pair| (7..=13).contains(&(pair[1].0 - pair[0].0))), "{frames:?}");
        assert_eq!(frames[0].0, 1000);
    }

    #[test]
    fn a_pause_in_the_timestamps_ends_the_frame_before_it() {
        let frames = heard([(200, Some(0.0)), (320, Some(1000.0)), (160, Some(500.0))]);
        assert_eq!(frames, [(0, 160), (10, 40), (1000, 160), (1010, 160), (500, 160)]);
    }

    #[test]
    fn without_timestamps_frames_have_none() {
        assert_eq!(heard([(160, Some(5.0)), (160, None), (160, Some(f64::NAN))]), [(5, 160), (-1, 160), (-1, 160)]);
    }
}
