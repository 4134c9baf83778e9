//! sora-sdk
