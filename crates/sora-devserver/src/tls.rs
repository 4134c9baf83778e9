//! TLS for signaling and the page (wss, https), optionally with client certificates.

use std::io;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use crate::Secret;

/// What a server shows and wants to see. All of it is PEM text, not file names.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The server's certificate, then the intermediate ones.
    pub certificates: String,
    /// The private key of the first certificate.
    pub private_key: Secret,
    /// Certificate authorities; with them a client has to show a certificate from one of them.
    pub client_authorities: Option<String>,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
enum TlsConfigError {
    #[error("expected PEM certificates in the {what}: {reason}")]
    Certificates { what: &'static str, reason: String },
    /// The reason names what is wrong with the PEM text and quotes none of it.
    #[error("expected a PEM private key: {0}")]
    PrivateKey(String),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    #[error("certificate authorities for clients: {0}")]
    ClientAuthorities(#[from] rustls::server::VerifierBuilderError),
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let invalid = |reason: String| TlsConfigError::Certificates { what, reason };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(invalid("there is none".to_owned())),
        found => found.map_err(|error| invalid(error.to_string())),
    }
}

fn server_config(tls: &TlsConfig) -> Result<rustls::ServerConfig, TlsConfigError> {
    let chain = certificates("server certificate", &tls.certificates)?;
    let key = PrivateKeyDer::from_pem_slice(tls.private_key.as_bytes())
        .map_err(|error| TlsConfigError::PrivateKey(error.to_string()))?;
    // One crypto provider serves TLS and DTLS.
    let provider = Arc::new(ring::default_provider());
    let builder =
        rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match &tls.client_authorities {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client certificate authorities", pem)? {
                roots.add(certificate)?;
            }
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
            )
        }
    };
    Ok(builder.with_single_cert(chain, key)?)
}

/// # Errors
/// If a text is not the PEM it should be, or key and certificate do not belong together.
pub(crate) fn acceptor(tls: &TlsConfig) -> io::Result<TlsAcceptor> {
    let config = server_config(tls).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
