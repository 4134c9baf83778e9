//! sora-peer
