//! TLS 1.3 and 1.2 with HTTP/1.1 only, certificate and key from PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::config::Tls;

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
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| of(&tls.certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
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
