use std::sync::Arc;

use crate::queue::Queue;
use crate::track::{Attachment, Consumer, Track, TrackKind};
use crate::{SinkError, VideoFrame};

/// Pictures that may wait for a slow callback.
const QUEUE: usize = 2;

struct Inbox(Arc<Queue<VideoFrame>>);

impl Consumer for Inbox {
    fn video(&self, frame: &VideoFrame) {
        self.0.push(frame.clone());
    }
}

/// Calls back with a track's pictures on a thread of its own. A slow callback loses pictures; it delays nobody else.
pub struct VideoSink {
    track: Track,
    queue: Arc<Queue<VideoFrame>>,
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
    pub fn new(track: &Track, callback: impl FnMut(VideoFrame) + Send + 'static) -> Result<Self, SinkError> {
        if track.kind() != TrackKind::Video {
            return Err(SinkError::Kind { expected: TrackKind::Video, actual: track.kind() });
        }
        let queue = Arc::new(Queue::new(QUEUE));
        queue.call_with_each("sora-video-sink", callback)?;
        let attachment = track.attach(Arc::new(Inbox(queue.clone())));
        Ok(Self { track: track.clone(), queue, _attachment: attachment })
    }

    /// The track it is attached to.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// Pictures lost because the callback was slow.
    #[must_use]
    pub fn frames_dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl Drop for VideoSink {
    fn drop(&mut self) {
        // The thread ends by itself; waiting for it here could be waiting for ourselves.
        self.queue.close();
    }
}
