//! Tunnels through an HTTP proxy (RFC 9110 section 9.3.6).

use std::fmt;
use std::io;

use data_encoding::BASE64;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Url;

/// A response head larger than this is no answer to a CONNECT.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    url: String,
    username: String,
    password: String,
    agent: String,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("url", &self.url).field("agent", &self.agent).finish_non_exhaustive()
    }
}

/// Why there is no tunnel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not `http://HOST:PORT`.
    #[error("expected a proxy URL of the form http://HOST:PORT, got {0:?}")]
    Url(String),
    /// The proxy wants other credentials, or some.
    #[error("the proxy refused the credentials ({0}): check proxy_username and proxy_password")]
    Credentials(u16),
    /// The proxy refused for another reason.
    #[error("the proxy refused the tunnel: {0}")]
    Refused(String),
    /// What came back is not HTTP.
    #[error("the proxy does not answer in HTTP: {0}")]
    NotHttp(String),
    /// The connection to the proxy broke.
    #[error("the connection to the proxy broke: {0}")]
    Broken(String),
}

impl Proxy {
    /// A proxy at `url` (`http://HOST:PORT`). The credentials, if either is not empty, are sent with Basic
    /// authentication (RFC 7617); those in the URL are used where none are given. `agent` is the `User-Agent`; empty
    /// for none.
    ///
    /// # Errors
    /// [`ProxyError::Url`] if the URL is not of that form.
    pub fn new(url: &str, username: &str, password: &str, agent: &str) -> Result<Self, ProxyError> {
        // The text of an error must not show credentials that are in the URL.
        let refused = || ProxyError::Url(url.rsplit('@').next().unwrap_or_default().to_owned());
        let parsed = Url::parse(url).map_err(|_| refused())?;
        let host = parsed.host_str().filter(|_| parsed.scheme() == "http").ok_or_else(refused)?;
        let port = parsed.port_or_known_default().ok_or_else(refused)?;
        let in_url = |part: &str| percent_decoded(part);
        let (username, password) = match (username, password) {
            ("", "") => (in_url(parsed.username()), in_url(parsed.password().unwrap_or_default())),
            _ => (username.to_owned(), password.to_owned()),
        };
        if agent.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(ProxyError::NotHttp("the proxy agent has control characters".to_owned()));
        }
        let mut shown = parsed.clone();
        let _ = shown.set_username("").and_then(|()| shown.set_password(None));
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            // As it was given where nothing has to be hidden: programs compare the texts that name it.
            url: if parsed.username().is_empty() { url.to_owned() } else { shown.to_string() },
            username,
            password,
            agent: agent.to_owned(),
        })
    }

    /// Host name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL without credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn request(&self, host: &str, port: u16) -> String {
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if !(self.username.is_empty() && self.password.is_empty()) {
            let credentials = BASE64.encode(format!("{}:{}", self.username, self.password).as_bytes());
            request += &format!("Proxy-Authorization: Basic {credentials}\r\n");
        }
        if !self.agent.is_empty() {
            request += &format!("User-Agent: {}\r\n", self.agent);
        }
        request + "\r\n"
    }

    /// Asks for a tunnel over a connection to the proxy. After success the stream is one to `host:port`.
    ///
    /// # Errors
    /// [`ProxyError`] if the proxy refuses or says something else.
    pub async fn tunnel(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        host: &str,
        port: u16,
    ) -> Result<(), ProxyError> {
        let broken = |error: io::Error| ProxyError::Broken(error.to_string());
        stream.write_all(self.request(host, port).as_bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut head = Vec::new();
        loop {
            let read = stream.read_buf(&mut head).await.map_err(broken)?;
            if read == 0 {
                return Err(ProxyError::Broken("end of stream".to_owned()));
            }
            if response(&head)? {
                return Ok(());
            }
        }
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Reads a proxy's answer as far as it has come: `true` if there is a tunnel, `false` if more has to come.
///
/// # Errors
/// [`ProxyError`] if there is no tunnel and will be none.
pub fn response(head: &[u8]) -> Result<bool, ProxyError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Err(error) => Err(ProxyError::NotHttp(error.to_string())),
        Ok(httparse::Status::Partial) if head.len() > MAX_HEAD => {
            Err(ProxyError::NotHttp(format!("its answer has more than {MAX_HEAD} bytes of head")))
        }
        Ok(httparse::Status::Partial) => Ok(false),
        Ok(httparse::Status::Complete(length)) => match response.code.unwrap_or_default() {
            // Whoever is behind the tunnel speaks second (TLS, HTTP, STUN): bytes here would be the proxy's.
            200..=299 if length < head.len() => {
                Err(ProxyError::NotHttp("it sent more than the head of its answer".to_owned()))
            }
            200..=299 => Ok(true),
            // Some proxies answer as if they were the origin server.
            code @ (401 | 407) => Err(ProxyError::Credentials(code)),
            code => Err(ProxyError::Refused(format!("{code} {}", response.reason.unwrap_or_default()))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    fn proxy(username: &str, password: &str) -> Proxy {
        Proxy::new("http://proxy.example:3128", username, password, "agent/1").expect("a proxy")
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_with_credentials_and_agent() {
        let (mut ours, mut theirs) = duplex(4096);
        let server = async {
            let mut request = vec![0; 4096];
            let length = theirs.read(&mut request).await.expect("a request");
            theirs.write_all(b"HTTP/1.1 200 Connection established\r\n").await.expect("written");
            theirs.write_all(b"Via: x\r\n\r\n").await.expect("written");
            String::from_utf8(request[..length].to_vec()).expect("text")
        };
        let proxy = proxy("aladdin", "opensesame");
        let (result, request) = tokio::join!(proxy.tunnel(&mut ours, "sora.example", 443), server);
        assert_eq!(result, Ok(()));
        assert_eq!(
            request,
            "CONNECT sora.example:443 HTTP/1.1\r\nHost: sora.example:443\r\n\
             Proxy-Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l\r\nUser-Agent: agent/1\r\n\r\n"
        );
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(response(b"HTTP/1.1 200 OK\r\n"), Ok(false));
        assert_eq!(response(b"HTTP/1.1 200 OK\r\n\r\n"), Ok(true));
        assert_eq!(response(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), Err(ProxyError::Credentials(407)));
        assert_eq!(
            response(b"HTTP/1.1 403 Forbidden\r\nA: b\r\n\r\n").expect_err("refused").to_string(),
            "the proxy refused the tunnel: 403 Forbidden"
        );
        assert!(matches!(response(b"SSH-2.0-x\r\n"), Err(ProxyError::NotHttp(_))));
        assert!(matches!(response(b"HTTP/1.1 200 OK\r\n\r\nextra"), Err(ProxyError::NotHttp(_))));
        let endless = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'x'; MAX_HEAD]].concat();
        assert!(matches!(response(&endless), Err(ProxyError::NotHttp(_))));
    }

    #[test]
    fn credentials_show_neither_in_debug_nor_in_the_url() {
        let proxy = Proxy::new("http://user:p%40ss@127.0.0.1:8080", "", "", "").expect("a proxy");
        assert_eq!((proxy.host(), proxy.port(), proxy.url()), ("127.0.0.1", 8080, "http://127.0.0.1:8080/"));
        assert!(!format!("{proxy:?}").contains("p@ss"));
        let request = proxy.request("::1", 443);
        assert!(request.starts_with("CONNECT [::1]:443 HTTP/1.1\r\n") && request.contains("dXNlcjpwQHNz"), "{request}");
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in ["https://proxy:1", "socks5://proxy:1", "proxy:3128", "", "http://"] {
            assert!(matches!(Proxy::new(url, "", "", ""), Err(ProxyError::Url(_))), "{url}");
        }
    }
}
