//! The DTLS transport (RFC 8827) and the SRTP keys it yields (RFC 5764).

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate as DtlsCertificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::error::Error;
use rtc_shared::{TransportContext, TransportProtocol};
use rtc_srtp::context::Context as SrtpContext;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

use crate::PeerError;

/// Records the endpoint may replay-check; retransmissions over RTX come far behind.
const REPLAY_WINDOW: usize = 1024;

/// A self-signed certificate and its fingerprint. Generate one per process or per connection.
#[derive(Clone)]
pub struct Certificate {
    inner: DtlsCertificate,
    fingerprint: String,
    pub(crate) crypto: Arc<dyn RTCCryptoProvider>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Generates an ECDSA P-256 certificate.
    ///
    /// # Errors
    /// [`PeerError::Core`] if the random source or the key generation fails.
    pub fn generate() -> Result<Self, PeerError> {
        let failed = |message: String| PeerError::Core { layer: "DTLS", message };
        let crypto = rtc_crypto::default_provider().map_err(|e| failed(e.to_string()))?;
        let inner = DtlsCertificate::generate_self_signed(vec!["WebRTC".to_owned()], crypto.crypto())
            .map_err(PeerError::core("DTLS"))?;
        let der = inner.certificate.first().ok_or_else(|| failed("the certificate is empty".to_owned()))?;
        let fingerprint = fingerprint(crypto.as_ref(), der.as_ref()).map_err(PeerError::core("DTLS"))?;
        Ok(Self { inner, fingerprint, crypto })
    }

    /// SHA-256 fingerprint as colon separated lower-case hex (RFC 8122).
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

fn fingerprint(crypto: &dyn RTCCryptoProvider, der: &[u8]) -> Result<String, Error> {
    let hash = crypto.crypto().hash(HashAlgorithm::Sha256, der).map_err(|e| Error::Crypto(e.to_string()))?;
    Ok(hash.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":"))
}

pub(crate) struct SrtpKeys {
    pub(crate) local: SrtpContext,
    pub(crate) remote: SrtpContext,
}

pub(crate) enum DtlsEvent {
    Connected(Box<SrtpKeys>),
    Data(BytesMut),
    Closed,
}

pub(crate) struct DtlsTransport {
    certificate: Certificate,
    endpoint: Option<Endpoint>,
    client: Option<Arc<HandshakeConfig>>,
    is_client: bool,
    connected: bool,
    closed: bool,
    srtp_profile: &'static str,
    cipher: String,
    remote_fingerprint: String,
}

/// The endpoint speaks to one peer through whatever pair ICE selected, so one fixed address stands for it.
fn peer() -> std::net::SocketAddr {
    TransportContext::default().peer_addr
}

impl DtlsTransport {
    pub(crate) fn new(certificate: Certificate) -> Self {
        Self {
            certificate,
            endpoint: None,
            client: None,
            is_client: false,
            connected: false,
            closed: false,
            srtp_profile: "",
            cipher: String::new(),
            remote_fingerprint: String::new(),
        }
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn is_started(&self) -> bool {
        self.endpoint.is_some()
    }

    pub(crate) fn is_client(&self) -> bool {
        self.is_client
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected && !self.closed
    }

    pub(crate) fn srtp_profile(&self) -> &'static str {
        self.srtp_profile
    }

    pub(crate) fn cipher(&self) -> &str {
        &self.cipher
    }

    pub(crate) fn remote_fingerprint(&self) -> &str {
        &self.remote_fingerprint
    }

    /// Prepares the handshake; a client sends its hello at [`Self::connect`].
    pub(crate) fn start(
        &mut self,
        is_client: bool,
        algorithm: &str,
        remote_fingerprint: &str,
    ) -> Result<(), PeerError> {
        if algorithm != "sha-256" {
            return Err(PeerError::Negotiation(format!("expected a sha-256 fingerprint, got {algorithm}")));
        }
        self.is_client = is_client;
        self.remote_fingerprint = remote_fingerprint.to_owned();
        let expected = remote_fingerprint.to_owned();
        let crypto = self.certificate.crypto.clone();
        let config = ConfigBuilder::default()
            .with_crypto_provider(crypto.clone())
            .with_certificates(vec![self.certificate.inner.clone()])
            .with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
                SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            ])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // The certificate is self-signed by design: what is verified is its fingerprint from the signaling.
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(move |chain, _| {
                let leaf = chain.first().ok_or(Error::ErrNonCertificate)?;
                if fingerprint(crypto.as_ref(), leaf)? == expected {
                    Ok(())
                } else {
                    Err(Error::ErrNoMatchingCertificateFingerprint)
                }
            })))
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .build(is_client, None)
            .map_err(PeerError::core("DTLS"))?;
        let config = Arc::new(config);
        let local = TransportContext::default().local_addr;
        self.endpoint = Some(Endpoint::new(local, TransportProtocol::UDP, (!is_client).then(|| config.clone())));
        self.client = is_client.then_some(config);
        Ok(())
    }

    /// Sends the ClientHello, once, if this side is the client.
    pub(crate) fn connect(&mut self, now: Instant) {
        if let (Some(config), Some(endpoint)) = (self.client.take(), &mut self.endpoint)
            && let Err(error) = endpoint.connect(now, peer(), config, None)
        {
            tracing::warn!(%error, "DTLS handshake could not start");
        }
    }

    pub(crate) fn handle_record(&mut self, now: Instant, data: &[u8], events: &mut Vec<DtlsEvent>) {
        let Some(endpoint) = self.endpoint.as_mut().filter(|_| !self.closed) else { return };
        let received = match endpoint.read(now, peer(), None, BytesMut::from(data)) {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "DTLS record dropped");
                return;
            }
        };
        for event in received {
            match event {
                EndpointEvent::HandshakeComplete => match self.export_keys() {
                    Ok(keys) => {
                        self.connected = true;
                        events.push(DtlsEvent::Connected(Box::new(keys)));
                    }
                    Err(error) => tracing::warn!(%error, "DTLS handshake without usable SRTP keys"),
                },
                EndpointEvent::ApplicationData(data) => events.push(DtlsEvent::Data(data)),
                EndpointEvent::PeerClosed => {
                    self.closed = true;
                    events.push(DtlsEvent::Closed);
                }
                _ => {}
            }
        }
    }

    fn export_keys(&mut self) -> Result<SrtpKeys, Error> {
        let state = self
            .endpoint
            .as_ref()
            .and_then(|endpoint| endpoint.get_connection_state(peer()))
            .ok_or(Error::ErrDtlsTransportNotStarted)?;
        let (profile, name) = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => (ProtectionProfile::AeadAes128Gcm, "AEAD_AES_128_GCM"),
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm => (ProtectionProfile::AeadAes256Gcm, "AEAD_AES_256_GCM"),
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => {
                (ProtectionProfile::Aes128CmHmacSha1_80, "AES_CM_128_HMAC_SHA1_80")
            }
            _ => return Err(Error::ErrNoSuchSrtpProfile),
        };
        let mut config = rtc_srtp::config::Config { profile, ..Default::default() };
        let material = state.export_keying_material(
            rtc_srtp::config::LABEL_EXTRACTOR_DTLS_SRTP,
            &[],
            config.keying_material_len(),
        )?;
        config.set_session_keys_from_keying_material(material.as_ref(), state.is_client())?;
        let cipher = state.cipher_suite().map(|suite| suite.id().to_string()).unwrap_or_default();
        let keys = &config.keys;
        let crypto = self.certificate.crypto.crypto();
        let local = SrtpContext::new(&keys.local_master_key, &keys.local_master_salt, profile, None, None, crypto)?;
        let remote = SrtpContext::new(
            &keys.remote_master_key,
            &keys.remote_master_salt,
            profile,
            Some(srtp_replay_protection(REPLAY_WINDOW)),
            Some(srtcp_replay_protection(REPLAY_WINDOW)),
            crypto,
        )?;
        self.srtp_profile = name;
        self.cipher = cipher;
        Ok(SrtpKeys { local, remote })
    }

    /// Encrypts one SCTP packet.
    pub(crate) fn write(&mut self, now: Instant, data: &[u8]) {
        if let Some(endpoint) = self.endpoint.as_mut().filter(|_| !self.closed)
            && let Err(error) = endpoint.write(now, peer(), data)
        {
            tracing::debug!(%error, "DTLS record not written");
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        Some(self.endpoint.as_mut()?.poll_transmit()?.message.freeze())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.as_ref()?.poll_timeout(&peer())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(endpoint) = &mut self.endpoint
            && endpoint.poll_timeout(&peer()).is_some_and(|at| at <= now)
            && let Err(error) = endpoint.handle_timeout(peer(), now)
        {
            tracing::debug!(%error, "DTLS timer");
        }
    }

    /// Queues the close_notify alert.
    pub(crate) fn close(&mut self, now: Instant) {
        if let Some(endpoint) = self.endpoint.as_mut().filter(|_| !self.closed)
            && let Err(error) = endpoint.close(now)
        {
            tracing::debug!(%error, "DTLS close");
        }
        self.closed = true;
    }
}
