//! TCP and TLS connections, directly or through a proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::proxy::{Proxy, ProxyError};
use crate::tls::{TlsError, TlsOptions, client_config};

/// The next address is tried after this time if the one before has neither answered nor failed (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Any byte stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why there is no connection. The first words are those programs written for the reference client compare.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DialError {
    #[error("Host not found (authoritative)")]
    HostNotFound,
    #[error("{0}")]
    Io(String),
    #[error("{0}")]
    TlsHandshake(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl From<&io::Error> for DialError {
    fn from(error: &io::Error) -> Self {
        Self::Io(io_reason(error))
    }
}

pub(crate) fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "Connection reset by peer".to_owned(),
        io::ErrorKind::UnexpectedEof => "end of stream".to_owned(),
        io::ErrorKind::NetworkUnreachable => "Network is unreachable".to_owned(),
        io::ErrorKind::HostUnreachable => "No route to host".to_owned(),
        io::ErrorKind::TimedOut => "Connection timed out".to_owned(),
        _ => error.to_string(),
    }
}

fn tls_reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "stream truncated (the server ended the connection in the TLS handshake)".to_owned();
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "CERTIFICATE_VERIFY_FAILED (the server's certificate is not from a trusted authority; \
             give that authority's certificate as ca_cert)"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(reason)) => {
            format!("CERTIFICATE_VERIFY_FAILED (the server's certificate was not accepted: {reason})")
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "stream truncated (the server does not speak TLS; is it a ws:// server?)".to_owned()
        }
        Some(other) => other.to_string(),
        None => io_reason(error),
    }
}

/// Alternates between address families, so that a dead IPv6 costs one attempt and not all of them.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_ipv6);
    let mut second = second.into_iter();
    let mut mixed: Vec<SocketAddr> =
        first.into_iter().flat_map(|address| [Some(address), second.next()]).flatten().collect();
    mixed.extend(second);
    mixed
}

/// Addresses of a host name or address literal (without brackets).
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|_| DialError::HostNotFound)?;
    let addresses = interleaved(found.collect());
    if addresses.is_empty() { Err(DialError::HostNotFound) } else { Ok(addresses) }
}

/// A TCP connection to the first address that answers ("happy eyeballs", RFC 8305).
pub(crate) async fn tcp(host: &str, port: u16) -> Result<TcpStream, DialError> {
    let mut waiting = resolve(host, port).await?.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = DialError::HostNotFound;
    loop {
        match waiting.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY");
                    }
                    return Ok(stream);
                }
                Err(error) => last = DialError::from(&error),
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if more => {}
        }
    }
}

/// A TCP connection, through the proxy if there is one.
pub(crate) async fn tunnelled(host: &str, port: u16, proxy: Option<&Proxy>) -> Result<TcpStream, DialError> {
    let Some(proxy) = proxy else { return tcp(host, port).await };
    let mut stream = tcp(proxy.host(), proxy.port()).await?;
    proxy.tunnel(&mut stream, host, port).await?;
    Ok(stream)
}

/// The configuration, made where reading files is allowed.
pub(crate) async fn tls_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, DialError> {
    let options = options.clone();
    let made = tokio::task::spawn_blocking(move || client_config(&options)).await;
    Ok(made.map_err(|error| DialError::TlsHandshake(error.to_string()))??)
}

/// TLS over a connection, with the server's name verified.
pub(crate) async fn tls(
    stream: impl Stream + 'static,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<Box<dyn Stream>, DialError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| DialError::TlsHandshake(error.to_string()))?;
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(DialError::TlsHandshake(tls_reason(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_and_the_first_stays_first() {
        let addresses = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(|text| text.parse().expect("an address"));
        let order: Vec<String> = interleaved(addresses.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    }

    #[tokio::test]
    async fn a_dead_address_does_not_stand_in_the_way() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("bound").port();
        // localhost is ::1 and 127.0.0.1 on most machines; only one of them listens.
        let stream = tcp("localhost", port).await.expect("connected");
        assert_eq!(stream.peer_addr().expect("connected").port(), port);
    }
}
