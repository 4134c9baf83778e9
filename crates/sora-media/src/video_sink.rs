use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::queue::{Popped, Queue};
use crate::track::{Attachment, Consumer, Track, TrackKind};
use crate::{SinkError, VideoFrame};

/// Pictures that may wait for a slow callback.
const QUEUE: usize = 2;

struct Inbox(Queue<VideoFrame>);

impl Consumer for Inbox {
    fn video(&self, frame: &VideoFrame) {
        self.0.push(frame.clone());
    }
}

/// Calls back with a track's pictures on a thread of its own. A slow callback loses pictures; it delays nobody else.
pub struct VideoSink {
    track: Track,
    inbox: Arc<Inbox>,
    _attachment: Attachment,
}

impl std::fmt::Debug for VideoSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoSink").field("track", &self.track).finish_non_exhaustive()
    }
}

impl VideoSink {
    /// Starts calling back. The callback may drop the sink.
    ///
    /// # Errors
    /// [`SinkError`] if the track carries sound or no thread can be started.
    pub fn new(track: &Track, mut callback: impl FnMut(VideoFrame) + Send + 'static) -> Result<Self, SinkError> {
        if track.kind() != TrackKind::Video {
            return Err(SinkError::Kind { expected: TrackKind::Video, actual: track.kind() });
        }
        let inbox = Arc::new(Inbox(Queue::new(QUEUE)));
        let worker = inbox.clone();
        std::thread::Builder::new()
            .name("sora-video-sink".to_owned())
            .spawn(move || {
                while let Popped::Item(frame) = worker.0.pop(None) {
                    if catch_unwind(AssertUnwindSafe(|| callback(frame))).is_err() {
                        tracing::error!("a video callback panicked");
                    }
                }
            })
            .map_err(|error| SinkError::Thread(error.to_string()))?;
        let attachment = track.attach(inbox.clone());
        Ok(Self { track: track.clone(), inbox, _attachment: attachment })
    }

    /// The track it is attached to.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// Pictures lost because the callback was slow.
    #[must_use]
    pub fn frames_dropped(&self) -> u64 {
        self.inbox.0.dropped()
    }
}

impl Drop for VideoSink {
    fn drop(&mut self) {
        // The thread ends by itself; waiting for it here could be waiting for ourselves.
        self.inbox.0.close();
    }
}
