//! sora-codec
