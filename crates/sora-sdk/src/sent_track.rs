use std::any::Any;
use std::fmt;
use std::sync::Arc;

use sora_media::{AudioSource, Track, VideoSource};

/// What a connection sends: a source of the program's own or a track that another connection receives.
#[derive(Clone)]
pub struct SentTrack {
    track: Track,
    channels: usize,
    /// The source, which ends its track when nobody holds it.
    _source: Option<Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for SentTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentTrack").field("track", &self.track).finish_non_exhaustive()
    }
}

impl SentTrack {
    /// The track.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// Channels of its sound at most.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }
}

impl From<Arc<AudioSource>> for SentTrack {
    fn from(source: Arc<AudioSource>) -> Self {
        Self { track: source.track().clone(), channels: source.channels(), _source: Some(source) }
    }
}

impl From<Arc<VideoSource>> for SentTrack {
    fn from(source: Arc<VideoSource>) -> Self {
        Self { track: source.track().clone(), channels: 0, _source: Some(source) }
    }
}

/// Opus has no more than two channels; fewer are mixed up to what is sent.
impl From<Track> for SentTrack {
    fn from(track: Track) -> Self {
        Self { track, channels: 2, _source: None }
    }
}
