//! sora-signaling
