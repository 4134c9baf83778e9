//! With a certificate, signaling is wss and the page https; with an authority for clients, they need one too.

mod common;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use common::{Client, DEADLINE, config, connect};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use sora_devserver::{Secret, Server, ServerConfig, TlsConfig};

/// A certificate authority made for one test.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key, PEM.
    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        params.extended_key_usages = vec![usage];
        (params.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }

    fn server(&self, client_authorities: Option<String>) -> TlsConfig {
        let (certificates, key) = self.issue("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
        TlsConfig { certificates, private_key: Secret::from(key), client_authorities }
    }
}

async fn start(tls: TlsConfig) -> Server {
    let config = ServerConfig { tls: Some(tls), ..config() };
    Server::start(config).await.expect("a server")
}

/// Fetches the page as a client that trusts `authority` and shows a certificate if it has one.
async fn page(server: &Server, authority: &Authority, client: Option<(String, String)>) -> io::Result<String> {
    let request = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let answer = exchange(server, authority, client, request.to_vec()).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Sends `request` and reads until the server ends TLS; an error if it does so without a word.
async fn exchange(
    server: &Server,
    authority: &Authority,
    client: Option<(String, String)>,
    request: Vec<u8>,
) -> io::Result<Vec<u8>> {
    let address = server.signaling_url().trim_start_matches("wss://").trim_end_matches("/signaling").to_owned();
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&authority.pem)).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    let builder = builder.with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((pem, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(vec![certificate(&pem)], key).expect("a client certificate")
        }
    };
    let fetching = tokio::task::spawn_blocking(move || {
        let tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(DEADLINE))?;
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        stream.write_all(&request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    });
    fetching.await.expect("no panic")
}

#[tokio::test]
async fn a_whole_session_works_over_wss() {
    let server = start(Authority::new().server(None)).await;
    let url = server.signaling_url();
    assert!(url.starts_with("wss://127.0.0.1:"), "{url}");
    let client = Client::connected(&url, connect("sendrecv", json!({}))).await;
    client.send(json!({ "type": "disconnect", "reason": "NO-ERROR" }));
    assert_eq!(client.closed().await, (1000, "TYPE-DISCONNECT".to_owned()));
}

#[tokio::test]
async fn the_page_is_there_by_https_for_those_who_trust_the_authority() {
    let authority = Authority::new();
    let server = start(authority.server(None)).await;
    let answer = page(&server, &authority, None).await.expect("a page");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(page(&server, &Authority::new(), None).await.is_err(), "an unknown authority is not trusted");
}

#[tokio::test]
async fn clients_need_a_certificate_of_the_authority_for_clients() {
    let authority = Authority::new();
    let for_clients = Authority::new();
    let server = start(authority.server(Some(for_clients.pem.clone()))).await;
    let usage = ExtendedKeyUsagePurpose::ClientAuth;
    let good = for_clients.issue("client", usage.clone());
    let answer = page(&server, &authority, Some(good)).await.expect("a page");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(page(&server, &authority, None).await.is_err(), "no certificate");
    let foreign = authority.issue("client", usage);
    assert!(page(&server, &authority, Some(foreign)).await.is_err(), "a certificate of another authority");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_at_once() {
    let authority = Authority::new();
    let good = authority.server(None);
    let empty = TlsConfig { certificates: String::new(), ..good.clone() };
    let no_key = TlsConfig { private_key: Secret::from("no key".to_owned()), ..good.clone() };
    let other_key = TlsConfig { private_key: authority.server(None).private_key, ..good.clone() };
    let no_authority = TlsConfig { client_authorities: Some("none".to_owned()), ..good };
    for tls in [empty, no_key, other_key, no_authority] {
        let config = ServerConfig { tls: Some(tls), ..config() };
        let error = Server::start(config).await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }
}

#[tokio::test]
async fn after_the_websocket_has_closed_tls_ends_with_close_notify() {
    let authority = Authority::new();
    let server = start(authority.server(None)).await;
    let mut request = b"GET /signaling HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    // A text frame that is no message, and the answer to the close frame it brings (RFC 6455 section 5.2). A mask of
    // zeros leaves the text as it is.
    request.extend(*b"\x81\x82\0\0\0\0{}\x88\x80\0\0\0\0");
    let answer = exchange(&server, &authority, None, request).await.expect("an end with close_notify");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 101") && answer.ends_with("INVALID-MESSAGE"), "{answer:?}");
}
