use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use rand::RngExt;

use crate::transform::Transformer;
use crate::{AudioFrame, VideoFrame};

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl TrackKind {
    /// `audio` or `video`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl fmt::Display for TrackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a track will ever carry anything again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackState {
    /// It may.
    Live = 0,
    /// It will not.
    Ended = 1,
}

/// Takes what a track carries. Calls come from the source's or the decoder's thread and must not block.
pub(crate) trait Consumer: Send + Sync {
    fn video(&self, _frame: &VideoFrame) {}
    fn audio(&self, _frame: &AudioFrame) {}
}

type Consumers = Vec<(u64, Arc<dyn Consumer>)>;
type Watcher = Box<dyn Fn() + Send + Sync>;

struct Inner {
    kind: TrackKind,
    id: String,
    stream_id: Option<String>,
    enabled: AtomicBool,
    ended: AtomicBool,
    next: AtomicU64,
    /// Swapped whole, so that delivery holds no lock while consumers run.
    consumers: RwLock<Arc<Consumers>>,
    on_first_consumer: Mutex<Option<Watcher>>,
    transformer: RwLock<Option<Transformer>>,
}

/// A track: pictures or sound from one source to any number of consumers. Cloning gives another handle.
#[derive(Clone)]
pub struct Track(Arc<Inner>);

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track").field("kind", &self.0.kind).field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// Keeps a consumer attached; detaches it when dropped.
pub(crate) struct Attachment {
    track: Weak<Inner>,
    key: u64,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some(track) = self.track.upgrade() {
            track.change(|consumers| consumers.retain(|(key, _)| *key != self.key));
        }
    }
}

impl Inner {
    fn change(&self, change: impl FnOnce(&mut Consumers)) -> bool {
        let mut slot = self.consumers.write().unwrap_or_else(PoisonError::into_inner);
        let was_empty = slot.is_empty();
        let mut consumers = (**slot).clone();
        change(&mut consumers);
        let old = std::mem::replace(&mut *slot, Arc::new(consumers));
        let first = was_empty && !slot.is_empty();
        drop(slot);
        // Outside the lock: this may drop the last reference to a consumer, which may do anything.
        drop(old);
        first
    }
}

/// 16 random characters of `A-Za-z0-9+/`, as sources and streams are named.
#[must_use]
pub fn random_name() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = rand::rng();
    (0..16).map(|_| char::from(ALPHABET[random.random_range(0..64)])).collect()
}

impl Track {
    /// A local track with a random id.
    #[must_use]
    pub fn local(kind: TrackKind) -> Self {
        Self::new(kind, random_name(), None)
    }

    /// A received track.
    #[must_use]
    pub fn remote(kind: TrackKind, id: String, stream_id: String) -> Self {
        Self::new(kind, id, Some(stream_id))
    }

    fn new(kind: TrackKind, id: String, stream_id: Option<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            id,
            stream_id,
            enabled: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            next: AtomicU64::new(0),
            consumers: RwLock::default(),
            on_first_consumer: Mutex::new(None),
            transformer: RwLock::new(None),
        }))
    }

    /// What it carries.
    #[must_use]
    pub fn kind(&self) -> TrackKind {
        self.0.kind
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The stream it belongs to; received tracks only. Sora gives the sender's connection id here.
    #[must_use]
    pub fn stream_id(&self) -> Option<&str> {
        self.0.stream_id.as_deref()
    }

    /// False while muted.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.0.enabled.load(Ordering::Relaxed)
    }

    /// Mutes or unmutes: a muted track carries black pictures or silence. Returns true if that changed anything.
    pub fn set_enabled(&self, enabled: bool) -> bool {
        self.0.enabled.swap(enabled, Ordering::Relaxed) != enabled
    }

    /// Lets a transformer see the encoded frames of a received track before they are decoded, from the next one on.
    pub fn set_transformer(&self, transformer: Option<Transformer>) {
        let wanted = transformer.is_some();
        let old = {
            let mut slot = self.0.transformer.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *slot, transformer)
        };
        // Outside the lock: the last reference to a transformer may run anything.
        drop(old);
        if wanted {
            self.tell_watcher();
        }
    }

    pub(crate) fn transformer(&self) -> Option<Transformer> {
        self.0.transformer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell_watcher(&self) {
        if let Some(watcher) = &*self.0.on_first_consumer.lock().unwrap_or_else(PoisonError::into_inner) {
            watcher();
        }
    }

    /// Whether it may carry anything again.
    #[must_use]
    pub fn state(&self) -> TrackState {
        if self.0.ended.load(Ordering::Relaxed) { TrackState::Ended } else { TrackState::Live }
    }

    /// Ends it for good.
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::Relaxed);
        self.set_transformer(None);
    }

    /// True if somebody wants what it carries.
    #[must_use]
    pub fn has_consumers(&self) -> bool {
        !self.consumers().is_empty()
    }

    fn consumers(&self) -> Arc<Consumers> {
        self.0.consumers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn attach(&self, consumer: Arc<dyn Consumer>) -> Attachment {
        let key = self.0.next.fetch_add(1, Ordering::Relaxed);
        let first = self.0.change(|consumers| consumers.push((key, consumer)));
        if first {
            self.tell_watcher();
        }
        Attachment { track: Arc::downgrade(&self.0), key }
    }

    /// Called whenever the number of consumers goes from none to one, and when there is a new transformer.
    pub(crate) fn watch_first_consumer(&self, watcher: Option<Watcher>) {
        *self.0.on_first_consumer.lock().unwrap_or_else(PoisonError::into_inner) = watcher;
    }

    pub(crate) fn deliver_video(&self, frame: &VideoFrame) {
        for (_, consumer) in self.consumers().iter() {
            consumer.video(frame);
        }
    }

    pub(crate) fn deliver_audio(&self, frame: &AudioFrame) {
        for (_, consumer) in self.consumers().iter() {
            consumer.audio(frame);
        }
    }
}
