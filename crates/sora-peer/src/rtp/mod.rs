//! RTP sessions (RFC 3550) of one connection: streams, retransmission, feedback, congestion control.

pub(crate) mod extensions;
pub(crate) mod feedback;
pub(crate) mod nack;
pub(crate) mod receive;
pub(crate) mod reports;
pub(crate) mod send;
pub(crate) mod session;
#[cfg(test)]
mod simulcast_tests;
pub(crate) mod twcc;
