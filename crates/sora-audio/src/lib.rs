//! sora-audio
