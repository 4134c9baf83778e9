//! The WebSocket that carries signaling (RFC 6455), client side, and the stream both sides share.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt, stream::FuturesUnordered};
use rand::seq::SliceRandom;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

use crate::dial::{self, DialError, Stream, io_reason};
use crate::proxy::Proxy;
use crate::tls::TlsOptions;

/// Offers of a thousand participants and pongs with their statistics stay below this.
const MAX_MESSAGE: usize = 8 << 20;

/// A server that keeps TCP open after the closing handshake is not waited for longer.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Limits both sides use.
#[must_use]
pub fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE))
}

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Certificate verification for `wss`.
    pub tls: TlsOptions,
    /// `User-Agent` header.
    pub user_agent: String,
    /// Proxy to go through, for `ws` too.
    pub proxy: Option<Proxy>,
    /// Time for TCP, TLS and the upgrade of all candidates together.
    pub timeout: Duration,
}

/// Why no signaling URL could be connected to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// None of the URLs is a `ws` or `wss` URL.
    #[error("{}", .0.iter().map(|u| format!("Invalid Signaling URL: {u} | ")).collect::<String>())]
    InvalidUrls(Vec<String>),
    /// Every URL failed; the last failure is told.
    #[error("Failed Websocket handshake: last_ec={reason} last_url={url}")]
    Handshake {
        /// What went wrong.
        reason: String,
        /// With which URL.
        url: String,
    },
    /// No URL had connected when the time was up.
    #[error("Connection timeout")]
    Timeout,
}

/// What comes out of a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebSocketEvent {
    /// A message. Binary messages are read as text, as the reference client does.
    Text(String),
    /// The closing handshake is done. Code 0 means the peer's close frame had none.
    Closed {
        /// Close code.
        code: u16,
        /// Close reason.
        reason: String,
    },
    /// TCP ended without a closing handshake.
    Eof,
    /// TCP was reset.
    Reset,
    /// Anything else.
    Failed(String),
}

/// A connected WebSocket.
pub struct WebSocket {
    stream: WebSocketStream<Box<dyn Stream>>,
    remote: Option<SocketAddr>,
    closed: Option<(u16, String)>,
    /// When TCP should have ended after the closing handshake.
    closing: Option<Instant>,
    ended: bool,
}

impl WebSocket {
    /// Takes over a connection that has been upgraded (server side).
    pub async fn accept_upgraded(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let stream: Box<dyn Stream> = Box::new(stream);
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(websocket_config())).await;
        Self { stream, remote: None, closed: None, closing: None, ended: false }
    }

    /// True if the peer is on this machine.
    #[must_use]
    pub fn remote_is_loopback(&self) -> bool {
        self.remote.is_some_and(|address| address.ip().is_loopback())
    }

    /// The peer's IP address.
    #[must_use]
    pub fn remote_ip(&self) -> Option<IpAddr> {
        self.remote.map(|address| address.ip())
    }

    /// The next event. After anything but `Text` there are no more: the call waits for ever. Cancel safe.
    pub async fn next(&mut self) -> WebSocketEvent {
        loop {
            if self.ended {
                std::future::pending::<()>().await;
            }
            let event = match self.next_frame().await {
                Some(Ok(Message::Text(text))) => return WebSocketEvent::Text(text.as_str().to_owned()),
                Some(Ok(Message::Binary(data))) => {
                    return WebSocketEvent::Text(String::from_utf8_lossy(&data).into_owned());
                }
                Some(Ok(Message::Close(frame))) => {
                    // The reply is queued by the library; the next poll sends it and sees TCP end.
                    let (code, reason) =
                        frame.map_or((0, String::new()), |f| (f.code.into(), f.reason.as_str().to_owned()));
                    self.closed = Some((code, reason));
                    self.closing = Some(Instant::now() + CLOSE_GRACE);
                    continue;
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => match (self.closed.take(), error) {
                    (Some((code, reason)), _) => WebSocketEvent::Closed { code, reason },
                    (None, Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => WebSocketEvent::Eof,
                    (None, Error::Io(error)) => match error.kind() {
                        io::ErrorKind::ConnectionReset => WebSocketEvent::Reset,
                        io::ErrorKind::UnexpectedEof => WebSocketEvent::Eof,
                        _ => WebSocketEvent::Failed(error.to_string()),
                    },
                    (None, error) => WebSocketEvent::Failed(error.to_string()),
                },
                None => match self.closed.take() {
                    Some((code, reason)) => WebSocketEvent::Closed { code, reason },
                    None => WebSocketEvent::Eof,
                },
            };
            self.ended = true;
            return event;
        }
    }

    /// The next frame; after the peer's close frame only until TCP should have ended.
    async fn next_frame(&mut self) -> Option<Result<Message, Error>> {
        match self.closing {
            None => self.stream.next().await,
            Some(deadline) => tokio::time::timeout_at(deadline.into(), self.stream.next()).await.unwrap_or(None),
        }
    }

    /// Sends one text message.
    ///
    /// # Errors
    /// What the connection failed with, as text.
    pub async fn send(&mut self, text: String) -> Result<(), String> {
        self.stream.send(Message::text(text)).await.map_err(|error| error.to_string())
    }

    /// Sends a ping frame.
    ///
    /// # Errors
    /// What the connection failed with, as text.
    pub async fn ping(&mut self) -> Result<(), String> {
        self.stream.send(Message::Ping(Vec::new().into())).await.map_err(|error| error.to_string())
    }

    /// Sends a close frame. Keep calling [`Self::next`] to see the peer's.
    pub async fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: truncated(reason).into() };
        if let Err(error) = self.stream.send(Message::Close(Some(frame))).await {
            tracing::debug!(%error, "close frame not sent");
        }
    }
}

/// A control frame holds 125 bytes, two of them the code (RFC 6455 section 5.5).
fn truncated(reason: &str) -> String {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}

/// Connects to all URLs at once, in random order; the first one to finish its upgrade wins and the others are closed.
///
/// # Errors
/// [`ConnectError`] if no URL is valid, all fail, or none has finished within the time limit.
pub async fn connect(urls: &[String], options: &ConnectOptions) -> Result<(WebSocket, String), ConnectError> {
    let mut candidates: Vec<(String, Url)> = urls
        .iter()
        .filter_map(|text| {
            let url = Url::parse(text).ok()?;
            let usable = matches!(url.scheme(), "ws" | "wss") && url.host_str().is_some();
            usable.then(|| (text.clone(), url))
        })
        .collect();
    if candidates.is_empty() {
        return Err(ConnectError::InvalidUrls(urls.to_vec()));
    }
    candidates.shuffle(&mut rand::rng());
    let mut attempts: FuturesUnordered<_> =
        candidates.into_iter().map(|(text, url)| async move { (connect_one(&url, options).await, text) }).collect();
    let race = async {
        let mut last = ConnectError::InvalidUrls(urls.to_vec());
        while let Some((result, url)) = attempts.next().await {
            match result {
                Ok(socket) => return Ok((socket, url)),
                Err(reason) => last = ConnectError::Handshake { reason, url },
            }
        }
        Err(last)
    };
    tokio::time::timeout(options.timeout, race).await.unwrap_or(Err(ConnectError::Timeout))
}

async fn connect_one(url: &Url, options: &ConnectOptions) -> Result<WebSocket, String> {
    let host = url.host_str().ok_or("the URL has no host")?;
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let reason = |error: DialError| error.to_string();
    let tcp = dial::tunnelled(host, port, options.proxy.as_ref()).await.map_err(reason)?;
    let remote = tcp.peer_addr().ok();
    let stream: Box<dyn Stream> = if url.scheme() == "wss" {
        let config = dial::tls_config(&options.tls).await.map_err(reason)?;
        dial::tls(tcp, host, config).await.map_err(reason)?
    } else {
        Box::new(tcp)
    };
    let mut request = url.as_str().into_client_request().map_err(|error| error.to_string())?;
    let agent =
        HeaderValue::from_str(&options.user_agent).map_err(|_| "the user agent has invalid characters".to_owned())?;
    request.headers_mut().insert("User-Agent", agent);
    match tokio_tungstenite::client_async_with_config(request, stream, Some(websocket_config())).await {
        Ok((stream, _)) => Ok(WebSocket { stream, remote, closed: None, closing: None, ended: false }),
        Err(Error::Protocol(ProtocolError::HandshakeIncomplete)) => Err("end of stream".to_owned()),
        Err(Error::Http(_)) => Err("The WebSocket handshake was declined by the remote peer".to_owned()),
        Err(Error::Io(error)) => Err(io_reason(&error)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn options() -> ConnectOptions {
        ConnectOptions {
            tls: TlsOptions::default(),
            user_agent: "test".to_owned(),
            proxy: None,
            timeout: Duration::from_secs(10),
        }
    }

    async fn server() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let url = format!("ws://{}/signaling", listener.local_addr().expect("bound"));
        (listener, url)
    }

    #[tokio::test]
    async fn the_first_url_that_answers_wins() {
        let (listener, url) = server().await;
        let urls = vec!["bogus".to_owned(), "ws://127.0.0.1:1/x".to_owned(), url.clone()];
        let accepting = async {
            let (tcp, _) = listener.accept().await.expect("a connection");
            tokio_tungstenite::accept_async(tcp).await.expect("an upgrade")
        };
        let options = options();
        let (connected, mut accepted) = tokio::join!(connect(&urls, &options), accepting);
        let (mut socket, winner) = connected.expect("connected");
        assert_eq!(winner, url);
        assert!(socket.remote_is_loopback());
        accepted.send(Message::text("hello")).await.expect("sent");
        assert_eq!(socket.next().await, WebSocketEvent::Text("hello".to_owned()));
    }

    #[tokio::test]
    async fn close_code_and_reason_are_reported() {
        let (listener, url) = server().await;
        let urls = vec![url];
        let accepting = async {
            let (tcp, _) = listener.accept().await.expect("a connection");
            let mut socket = tokio_tungstenite::accept_async(tcp).await.expect("an upgrade");
            let frame = CloseFrame { code: CloseCode::from(4490), reason: "AUTH-FAILURE".into() };
            socket.close(Some(frame)).await.expect("sent");
            while let Some(Ok(_)) = socket.next().await {}
        };
        let options = options();
        let client = async {
            let (mut socket, _) = connect(&urls, &options).await.expect("connected");
            socket.next().await
        };
        let (event, ()) = tokio::join!(client, accepting);
        assert_eq!(event, WebSocketEvent::Closed { code: 4490, reason: "AUTH-FAILURE".to_owned() });
    }

    #[tokio::test]
    async fn a_server_that_keeps_tcp_open_after_its_close_frame_is_not_waited_for() {
        let (listener, url) = server().await;
        let urls = vec![url];
        let accepting = async {
            let (tcp, _) = listener.accept().await.expect("a connection");
            let mut socket = tokio_tungstenite::accept_async(tcp).await.expect("an upgrade");
            socket.send(Message::Close(None)).await.expect("sent");
            socket
        };
        let options = options();
        let (connected, _kept_open) = tokio::join!(connect(&urls, &options), accepting);
        let (mut socket, _) = connected.expect("connected");
        let event = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("an end in time");
        assert_eq!(event, WebSocketEvent::Closed { code: 0, reason: String::new() });
    }

    #[tokio::test]
    async fn a_dropped_tcp_connection_is_an_eof() {
        let (listener, url) = server().await;
        let urls = vec![url];
        let accepting = async {
            let (tcp, _) = listener.accept().await.expect("a connection");
            drop(tokio_tungstenite::accept_async(tcp).await.expect("an upgrade"));
        };
        let options = options();
        let client = async {
            let (mut socket, _) = connect(&urls, &options).await.expect("connected");
            socket.next().await
        };
        let (event, ()) = tokio::join!(client, accepting);
        assert_eq!(event, WebSocketEvent::Eof);
    }

    #[tokio::test]
    async fn refused_and_invalid_urls_are_told_apart() {
        let refused = connect(&["ws://127.0.0.1:1/x".to_owned()], &options()).await.err().expect("fails").to_string();
        assert_eq!(refused, "Failed Websocket handshake: last_ec=Connection refused last_url=ws://127.0.0.1:1/x");
        let invalid =
            connect(&["foo".to_owned(), "http://x".to_owned()], &options()).await.err().expect("fails").to_string();
        assert_eq!(invalid, "Invalid Signaling URL: foo | Invalid Signaling URL: http://x | ");
    }

    #[test]
    fn a_long_close_reason_is_cut_at_a_character() {
        assert_eq!(truncated(&"あ".repeat(60)).len(), 123);
        assert_eq!(truncated("short"), "short");
    }
}
