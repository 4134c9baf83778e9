//! sora-devserver
