use crate::sdp::SdpError;

/// Why a peer connection could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The remote description could not be read.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// The remote description can be read but not used.
    #[error("{0}")]
    Negotiation(String),
    /// An offer is out and not answered, or an answer came without an offer.
    #[error("expected signaling state {expected}, it is {found}")]
    SignalingState {
        /// The state the call needs.
        expected: &'static str,
        /// The state the connection is in.
        found: &'static str,
    },
    /// No such transceiver.
    #[error("no transceiver with id {0}")]
    NoTransceiver(usize),
    /// A candidate line could not be read.
    #[error("cannot read ICE candidate: {0}")]
    Candidate(String),
    /// A protocol core refused to start.
    #[error("{layer}: {message}")]
    Core {
        /// `ICE`, `DTLS`, `SRTP` or `SCTP`.
        layer: &'static str,
        /// What it said.
        message: String,
    },
}

impl PeerError {
    pub(crate) fn core(layer: &'static str) -> impl Fn(rtc_shared::error::Error) -> Self {
        move |error| Self::Core { layer, message: error.to_string() }
    }
}

/// Why a message was not accepted for a data channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The channel does not exist or is not open.
    #[error("the data channel is not open")]
    NotOpen,
    /// The message is larger than the peer accepts.
    #[error("message of {size} bytes, the peer accepts at most {limit}")]
    TooLarge {
        /// Bytes offered.
        size: usize,
        /// Bytes the peer accepts (`a=max-message-size`).
        limit: usize,
    },
    /// The channel's send buffer is full; try again after it has drained.
    #[error("{buffered} bytes are waiting to be sent, at most {limit} may")]
    BufferFull {
        /// Bytes waiting.
        buffered: usize,
        /// Bytes that may wait.
        limit: usize,
    },
}
