use std::fmt;
use std::str::FromStr;

use rtc_ice::url::{ProtoType, SchemeType, Url};

/// Where a TURN server listens and over what, from a `turn:` or `turns:` URI (RFC 7065).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayServer {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it is reached.
    pub transport: RelayServerTransport,
}

/// How a TURN server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayServerTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl fmt::Display for RelayServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, transport } = self;
        let (scheme, protocol) = match transport {
            RelayServerTransport::Udp => ("turn", "udp"),
            RelayServerTransport::Tcp => ("turn", "tcp"),
            RelayServerTransport::Tls => ("turns", "tcp"),
        };
        if host.contains(':') {
            write!(f, "{scheme}:[{host}]:{port}?transport={protocol}")
        } else {
            write!(f, "{scheme}:{host}:{port}?transport={protocol}")
        }
    }
}

/// A URI that names no TURN server this library can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayServerError {
    /// Not a `turn:` or `turns:` URI.
    #[error("expected turn:HOST:PORT?transport=udp|tcp or turns:HOST:PORT?transport=tcp")]
    NotTurn,
    /// TURN over DTLS.
    #[error("TURN over DTLS (turns: with transport=udp) is not supported")]
    Dtls,
}

impl FromStr for RelayServer {
    type Err = RelayServerError;

    fn from_str(uri: &str) -> Result<Self, Self::Err> {
        let url = Url::parse_url(uri).map_err(|_| RelayServerError::NotTurn)?;
        let transport = match (url.scheme, url.proto) {
            (SchemeType::Turn, ProtoType::Udp) => RelayServerTransport::Udp,
            (SchemeType::Turn, ProtoType::Tcp) => RelayServerTransport::Tcp,
            (SchemeType::Turns, ProtoType::Tcp) => RelayServerTransport::Tls,
            (SchemeType::Turns, ProtoType::Udp) => return Err(RelayServerError::Dtls),
            _ => return Err(RelayServerError::NotTurn),
        };
        if url.host.is_empty() || url.port == 0 {
            return Err(RelayServerError::NotTurn);
        }
        Ok(Self { host: url.host.trim_matches(['[', ']']).to_owned(), port: url.port, transport })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_with_their_defaults() {
        let shown = |uri: &str| uri.parse::<RelayServer>().map(|server| server.to_string());
        assert_eq!(shown("turn:turn.example"), Ok("turn:turn.example:3478?transport=udp".to_owned()));
        assert_eq!(shown("turn:192.0.2.1:80?transport=tcp"), Ok("turn:192.0.2.1:80?transport=tcp".to_owned()));
        assert_eq!(shown("turns:turn.example?transport=tcp"), Ok("turns:turn.example:5349?transport=tcp".to_owned()));
        assert_eq!(shown("turns:turn.example:443"), Ok("turns:turn.example:443?transport=tcp".to_owned()));
        assert_eq!(shown("turn:[2001:db8::1]:3478"), Ok("turn:[2001:db8::1]:3478?transport=udp".to_owned()));
    }

    #[test]
    fn others_are_refused() {
        for uri in ["stun:stun.example", "http://x", "turn:", "", "turn:x:99999", "turn:x?transport=sctp"] {
            assert!(uri.parse::<RelayServer>().is_err(), "{uri}");
        }
        assert_eq!("turns:x?transport=udp".parse::<RelayServer>(), Err(RelayServerError::Dtls));
    }
}
