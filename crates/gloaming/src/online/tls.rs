//! Which certificates are believed: the system's, a file's, or exactly one, known by its fingerprint.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::failure::{Exit, Failure};

/// An HTTP client. `pin` is the SHA-256 of the one certificate that is believed; `authorities` a file of others to
/// believe beside the system's.
pub(crate) fn http(pin: Option<&str>, authorities: Option<&Path>) -> Result<reqwest::Client, Failure> {
    client(pin, authorities, |builder| builder)
}

/// The same for connections that become something else: a WebSocket begins as HTTP/1.1.
pub(crate) fn upgradable(pin: Option<&str>, authorities: Option<&Path>) -> Result<reqwest::Client, Failure> {
    client(pin, authorities, reqwest::ClientBuilder::http1_only)
}

fn client(
    pin: Option<&str>,
    authorities: Option<&Path>,
    adjust: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, Failure> {
    let base = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("gloaming/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(std::time::Duration::from_secs(10))
            .read_timeout(std::time::Duration::from_secs(60))
            // A server that sends its clients elsewhere is not the server that was named.
            .redirect(reqwest::redirect::Policy::none());
        adjust(builder)
    };
    let built = |builder: reqwest::ClientBuilder| {
        builder.build().map_err(|error| Failure::new(Exit::Bug, "no_http", error.to_string()))
    };
    let mut certificates = Vec::new();
    if let Some(path) = authorities {
        let pem = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
        certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| {
            let message = format!("{} holds no certificate in PEM; name another file", path.display());
            Failure::new(Exit::Usage, "bad_certificate", message)
        })?;
    }
    if let Some(pin) = pin {
        let digits: String = pin.chars().filter(char::is_ascii_hexdigit).collect();
        let fingerprint = hex::decode(digits).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let fingerprint = fingerprint.ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "bad_fingerprint",
                "a certificate's fingerprint is 64 hexadecimal digits",
            )
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { fingerprint, provider }))
            .with_no_client_auth();
        return built(base().tls_backend_preconfigured(config));
    }
    // A small system may have no certificates at all. That is no reason not to speak with a server on this machine, or
    // with one whose certificate is in the file; any other is then refused.
    let with_systems = base().tls_certs_merge(certificates.clone()).build();
    with_systems.or_else(|_| built(base().tls_certs_only(certificates)))
}

/// Believes one certificate, whoever signed it and whenever it ends, and no other.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if gloaming_keys::sha256(end_entity) == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
