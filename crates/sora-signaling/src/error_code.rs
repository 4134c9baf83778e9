/// How a connection ended; the numbers are those of the reference's `SoraSignalingErrorCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Closed as asked.
    CloseSucceeded = 0,
    /// Closed, but the goodbye did not complete.
    CloseFailed = 1,
    /// Something inside went wrong, or a time limit passed.
    InternalError = 2,
    /// An argument cannot be used.
    InvalidParameter = 3,
    /// No signaling URL could be connected to.
    WebsocketHandshakeFailed = 4,
    /// The server closed the WebSocket.
    WebsocketOnclose = 5,
    /// The WebSocket broke.
    WebsocketOnerror = 6,
    /// ICE or DTLS failed after having been set up.
    PeerConnectionStateFailed = 7,
    /// The offer could not be applied or answered.
    IceFailed = 8,
}
