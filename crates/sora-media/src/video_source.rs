use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use sora_codec::BufferPool;

use crate::colour;
use crate::track::{Track, TrackKind};
use crate::{CaptureError, VideoFrame};

/// Pictures from the program. A [`Track`] carries them to senders and local sinks.
#[derive(Debug)]
pub struct VideoSource {
    track: Track,
    pool: BufferPool,
    started: Instant,
    last_timestamp_us: Mutex<Option<i64>>,
}

impl Default for VideoSource {
    fn default() -> Self {
        Self::new()
    }
}

impl VideoSource {
    /// A source with a track of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            track: Track::local(TrackKind::Video),
            pool: BufferPool::default(),
            started: Instant::now(),
            last_timestamp_us: Mutex::new(None),
        }
    }

    /// Its track.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// Takes a picture of B, G, R bytes in rows of `stride` bytes. Without a timestamp it counts as captured now.
    /// Converts in the caller's thread, then returns; encoding happens elsewhere. An empty picture is ignored.
    ///
    /// # Errors
    /// [`CaptureError`] if the memory does not fit the size or the picture is too large.
    pub fn push_bgr(
        &self,
        bgr: &[u8],
        width: u32,
        height: u32,
        stride: usize,
        timestamp_us: Option<i64>,
    ) -> Result<(), CaptureError> {
        if width == 0 || height == 0 || !self.track.has_consumers() {
            return Ok(());
        }
        let mut buffer = self.pool.take(width, height)?;
        if self.track.enabled() {
            colour::from_bgr(bgr, stride, &mut buffer)?;
        } else {
            buffer.fill_black();
        }
        let now = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        let frame = VideoFrame { buffer: buffer.into(), timestamp_us: self.monotonic(timestamp_us.unwrap_or(now)) };
        self.track.deliver_video(&frame);
        Ok(())
    }

    /// Programs give constant, backward and epoch timestamps; what goes on only has to grow.
    fn monotonic(&self, timestamp_us: i64) -> i64 {
        let mut last = self.last_timestamp_us.lock().unwrap_or_else(PoisonError::into_inner);
        let timestamp_us = match *last {
            Some(last) if timestamp_us <= last => last.saturating_add(1000),
            _ => timestamp_us,
        };
        *last = Some(timestamp_us);
        timestamp_us
    }
}

impl Drop for VideoSource {
    fn drop(&mut self) {
        self.track.end();
    }
}
