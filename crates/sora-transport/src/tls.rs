//! TLS for `wss` and for TURN over TLS. One crypto provider (ring) serves TLS and DTLS.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// PEM text, given directly or as a file that is read when a connection is made.
#[derive(Clone)]
pub enum Pem {
    /// A file.
    File(PathBuf),
    /// The text. Never shown in `Debug`: it may be a private key.
    Text(Arc<[u8]>),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(text) => write!(f, "Text(<{} bytes>)", text.len()),
        }
    }
}

impl Pem {
    fn read(&self, what: &'static str) -> Result<Arc<[u8]>, TlsError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => std::fs::read(path).map(Arc::from).map_err(|source| TlsError::File {
                what,
                path: path.clone(),
                source: Arc::new(source),
            }),
        }
    }
}

/// How servers are verified, and what they are shown.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// Accept any certificate. For tests only.
    pub insecure: bool,
    /// Roots that are trusted instead of the system's.
    pub ca_cert: Option<Pem>,
    /// Certificate chain to show to servers that ask for one, own certificate first.
    pub client_cert: Option<Pem>,
    /// Its private key: PKCS#8, PKCS#1 or SEC1, without a pass phrase.
    pub client_key: Option<Pem>,
}

/// Why TLS could not be set up.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TlsError {
    /// The machine has no usable root certificates.
    #[error("no root certificates were found on this system; install the ca-certificates package or give ca_cert")]
    NoRoots,
    /// A file could not be read.
    #[error("{what} cannot be read from {}: {source}", path.display())]
    File {
        /// The option.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// Something that is no PEM, or has not in it what it should.
    #[error("{what}: expected {expected} in PEM, {found}")]
    Pem {
        /// The option.
        what: &'static str,
        /// What should be in it.
        expected: &'static str,
        /// What is.
        found: String,
    },
    /// Only one of the two is given.
    #[error("client_cert and client_key belong together: give both or neither")]
    HalfIdentity,
    /// rustls refused the configuration.
    #[error(transparent)]
    Config(#[from] rustls::Error),
}

/// The system's roots, read once per process: it takes milliseconds and they seldom change.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "root certificate passed over");
        }
        roots.add_parsable_certificates(found.certs);
        Arc::new(roots)
    };
    ROOTS.get_or_init(read).clone()
}

fn certificates(pem: &Pem, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |found: String| TlsError::Pem { what, expected: "certificates", found };
    let text = pem.read(what)?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|e| error(format!("found {e}")))?;
    if certificates.is_empty() { Err(error("found none".to_owned())) } else { Ok(certificates) }
}

fn roots(options: &TlsOptions) -> Result<Arc<RootCertStore>, TlsError> {
    let Some(pem) = &options.ca_cert else {
        let roots = system_roots();
        return if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) };
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "ca_cert")? {
        roots.add(certificate)?;
    }
    Ok(Arc::new(roots))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(options: &TlsOptions) -> Result<Option<Identity>, TlsError> {
    let (cert, key) = match (&options.client_cert, &options.client_key) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        _ => return Err(TlsError::HalfIdentity),
    };
    let chain = certificates(cert, "client_cert")?;
    let key = PrivateKeyDer::from_pem_slice(&key.read("client_key")?).map_err(|error| TlsError::Pem {
        what: "client_key",
        expected: "a private key without a pass phrase",
        found: format!("found {error}"),
    })?;
    Ok(Some((chain, key)))
}

/// Reads files: call it where blocking is allowed.
///
/// # Errors
/// [`TlsError`] if there are no roots, a file cannot be read or used, or the configuration is refused.
pub(crate) fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = if options.insecure {
        tracing::warn!(
            "TLS certificates are NOT verified (insecure=True): anyone on the path can read and alter the connection"
        );
        builder.dangerous().with_custom_certificate_verifier(Arc::new(DangerAcceptAnyCertificate(provider)))
    } else {
        builder.with_root_certificates(roots(options)?)
    };
    let config = match identity(options)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct DangerAcceptAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for DangerAcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pem: &str) -> Option<Pem> {
        Some(Pem::Text(pem.as_bytes().into()))
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let refused = |options: TlsOptions| client_config(&options).expect_err("refused").to_string();
        let missing = Some(Pem::File("/nonexistent/ca.pem".into()));
        let told = refused(TlsOptions { ca_cert: missing, ..TlsOptions::default() });
        assert!(told.starts_with("ca_cert cannot be read from /nonexistent/ca.pem: "), "{told}");
        assert_eq!(
            refused(TlsOptions { ca_cert: text("no pem"), ..TlsOptions::default() }),
            "ca_cert: expected certificates in PEM, found none"
        );
        let half = TlsOptions { insecure: true, client_key: text("x"), ..TlsOptions::default() };
        assert_eq!(refused(half), "client_cert and client_key belong together: give both or neither");
    }

    #[test]
    fn a_key_given_as_text_does_not_show() {
        assert_eq!(format!("{:?}", text("secret")), "Some(Text(<6 bytes>))");
    }
}
