use std::sync::Arc;

use crate::sdp::{Codec, Direction, MediaKind};

type Supports = dyn Fn(MediaKind, Direction, &Codec) -> bool + Send + Sync;

/// Which offered codecs are answered. By default all are.
#[derive(Clone)]
pub struct CodecFilter(Arc<Supports>);

impl CodecFilter {
    /// Asks `supports` about each codec of each m-line. The direction is the offer's: what it sends has to be
    /// decoded here, what it receives has to be encoded.
    pub fn new(supports: impl Fn(MediaKind, Direction, &Codec) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(supports))
    }

    pub(crate) fn accepts(&self, kind: MediaKind, direction: Direction, codec: &Codec) -> bool {
        (self.0)(kind, direction, codec)
    }
}

impl Default for CodecFilter {
    fn default() -> Self {
        Self::new(|_, _, _| true)
    }
}

impl std::fmt::Debug for CodecFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodecFilter").finish_non_exhaustive()
    }
}
