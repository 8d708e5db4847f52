//! TLS with HTTP/1.1 only, certificate and key from PEM files.
//!
//! As Mozilla's "modern" profile has it (Server Side TLS 6.0): TLS 1.3, its three
//! suites, the groups X25519MLKEM768, X25519, P-256 and P-384; TLS 1.2 with the forward-secret AEAD suites
//! where `[tls] min_version` asks for it. There is no renegotiation (rustls has
//! none), no early data, and no ticket that holds a session's keys: what is
//! resumed lies in the memory of this process and ends with it, or with the
//! certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::config::{Tls, TlsVersion};

/// Sessions that can be resumed, each some hundred bytes.
const RESUMABLE: usize = 4096;

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// The server's side of TLS.
///
/// # Errors
/// When a file cannot be read, is not PEM, others may read the key, or
/// certificate and key do not belong together.
pub fn server_config(tls: &Tls) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let of = |path: &Path, error: &dyn std::fmt::Display| TlsError(format!("{}: {error}", path.display()));
    let chain: Vec<_> = CertificateDer::pem_file_iter(&tls.certificate)
        .map_err(|error| of(&tls.certificate, &error))?
        .collect::<Result<_, _>>()
        .map_err(|error| of(&tls.certificate, &error))?;
    if chain.is_empty() {
        return Err(of(&tls.certificate, &"there is no certificate in it"));
    }
    private(&tls.key)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| of(&tls.key, &error))?;
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    let versions: &[&rustls::SupportedProtocolVersion] = match tls.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .map_err(|error| TlsError(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| of(&tls.certificate, &error))?;
    config.ticketer = Arc::new(NoTickets);
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(RESUMABLE);
    config.max_early_data_size = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Makes no ticket that could be opened without the memory of this process.
#[derive(Debug)]
struct NoTickets;

impl rustls::server::ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

fn private(path: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).map_err(|error| TlsError(format!("{}: {error}", path.display())))?;
    let mode = metadata.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(TlsError(format!(
            "{}: everybody may read this key (mode {:o}); make it 0600",
            path.display(),
            mode & 0o777
        )));
    }
    Ok(())
}
