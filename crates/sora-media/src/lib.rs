//! sora-media
