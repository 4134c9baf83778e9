use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::server::TlsStream;

/// A peer that does not take the last record is left.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

/// TLS that ends with `close_notify` (RFC 8446 section 6.1) when it is dropped. Without it a client cannot tell the end
/// from an attack and reports a truncated stream, even after the closing handshake of its WebSocket.
pub(crate) struct CloseNotify(Option<TlsStream<TcpStream>>);

impl CloseNotify {
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self(Some(stream))
    }

    /// The stream is there until the drop.
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut TlsStream<TcpStream>>> {
        self.get_mut().0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for CloseNotify {
    fn drop(&mut self) {
        // Outside a runtime the process is ending.
        let (Some(mut stream), Ok(runtime)) = (self.0.take(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            let shutdown = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx));
            if !matches!(tokio::time::timeout(SHUTDOWN_LIMIT, shutdown).await, Ok(Ok(()))) {
                tracing::debug!("TLS ended without close_notify");
            }
        });
    }
}

impl AsyncRead for CloseNotify {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for CloseNotify {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
