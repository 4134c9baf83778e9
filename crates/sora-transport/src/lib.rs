//! sora-transport
