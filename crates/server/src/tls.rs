use std::{path::Path, sync::Arc, time::Duration};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::{
    NamedGroup, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

use crate::{Config, StartError, Tls, data_dir};

/// How long our own certificate is good for: under the 825 days that Apple's systems accept of any.
const LIFETIME: Duration = Duration::from_secs(800 * 24 * 60 * 60);
/// When so little is left, a start makes a new one.
const RENEW: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// TLS, ready to accept.
pub(crate) struct Served {
    pub(crate) acceptor: TlsAcceptor,
    /// Of our own certificate: nobody else vouches for it.
    pub(crate) fingerprint: Option<String>,
}

pub(crate) fn load(config: &Config) -> Result<Option<Served>, StartError> {
    let (cert, key, own) = match &config.tls {
        Tls::Off => return Ok(None),
        Tls::SelfSigned => {
            let dir = config.data.join("tls");
            let pem = self_signed(config, &dir)?;
            (pem.0, pem.1, true)
        }
        Tls::Files { cert, key } => (read(cert)?, read(key)?, false),
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&cert)
        .collect::<Result<_, _>>()
        .map_err(|e| StartError::Tls(format!("the chain does not read as PEM: {e}")))?;
    let first = chain.first().ok_or_else(|| StartError::Tls("the chain is empty".into()))?;
    let fingerprint = own.then(|| {
        let digest = Sha256::digest(first);
        digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    });
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|e| StartError::Tls(format!("the key does not read as PEM: {e}")))?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| StartError::Tls(e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| StartError::Tls(format!("certificate and key do not go together: {e}")))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Served { acceptor: TlsAcceptor::from(Arc::new(server)), fingerprint }))
}

/// aws-lc-rs with the post-quantum hybrid first: what is recorded today stays closed to tomorrow's computers.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.sort_by_key(|group| group.name() != NamedGroup::X25519MLKEM768);
    provider
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|e| StartError::io(path.display().to_string(), e))
}

/// What our own certificate was made for.
#[derive(PartialEq, Serialize, Deserialize)]
struct Made {
    names: Vec<String>,
    /// Seconds since 1970.
    until: u64,
}

/// Chain and key of our own certificate, kept so that its fingerprint stays the same; made anew when names change or
/// its time is nearly over.
fn self_signed(config: &Config, dir: &Path) -> Result<(Vec<u8>, Vec<u8>), StartError> {
    data_dir::make(dir)?;
    let (cert, key, made) = (dir.join("cert.pem"), dir.join("key.pem"), dir.join("made.json"));
    let names = names(config);
    let now = (config.clock)().as_secs();
    let before = std::fs::read(&made).ok().and_then(|made| serde_json::from_slice::<Made>(&made).ok());
    if before.is_some_and(|made| made.names == names && made.until > now + RENEW.as_secs()) {
        return Ok((read(&cert)?, read(&key)?));
    }
    let fault = |e: rcgen::Error| StartError::Tls(e.to_string());
    let mut params = CertificateParams::new(names.clone()).map_err(fault)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Gloaming");
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    // An hour back, for devices whose clocks are behind.
    params.not_before = epoch + Duration::from_secs(now.saturating_sub(60 * 60));
    params.not_after = epoch + Duration::from_secs(now) + LIFETIME;
    let pair = KeyPair::generate().map_err(fault)?;
    let certificate = params.self_signed(&pair).map_err(fault)?;
    data_dir::write(&key, pair.serialize_pem().as_bytes())?;
    data_dir::write(&cert, certificate.pem().as_bytes())?;
    let until = now + LIFETIME.as_secs();
    data_dir::write(&made, &serde_json::to_vec(&Made { names, until }).expect("names and a number"))?;
    Ok((read(&cert)?, read(&key)?))
}

/// Names and addresses by which people may reach the server.
fn names(config: &Config) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Some(host) = config.public_url.as_ref().and_then(|url| url.host_str()) {
        names.push(host.trim_matches(['[', ']']).to_owned());
    }
    if !config.listen.ip().is_unspecified() {
        names.push(config.listen.ip().to_string());
    }
    names.sort();
    names.dedup();
    names
}
