//! One question for a key set over HTTPS.
//!
//! What must hold: the name is proved by the system's roots or by the one
//! authority that the operator pinned, never by both; no redirect is followed;
//! time and size of an answer are bounded; what is not a plain 200 is no answer.

use super::KeyError;
use bytes::Bytes;
use http::{StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For name, connection, handshake and answer together.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest key set, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Roots(String),
    #[error("it cannot be reached: {0}")]
    Unreachable(std::io::Error),
    #[error("its TLS is refused: {0}")]
    Tls(std::io::Error),
    #[error("no whole answer within {} s", FETCH_TIMEOUT.as_secs())]
    Late,
    #[error("it answers with a redirect ({0}), and none is followed: configure the address where the keys are")]
    Redirect(u16),
    #[error("it answers {0}")]
    Status(u16),
    #[error("its answer is larger than {} KiB", MAX_ANSWER / 1024)]
    Large,
    #[error("its answer is compressed, which was not asked for")]
    Encoded,
    #[error("its answer is broken: {0}")]
    Broken(String),
}

/// An address of a key set, and by whom its server is vouched for.
#[derive(Debug)]
pub(super) struct HttpsSource {
    host: String,
    port: u16,
    name: ServerName<'static>,
    target: String,
    authority: String,
    ca: Option<PathBuf>,
}

impl HttpsSource {
    /// Checks the address and that there is somebody who can vouch for it.
    pub(super) fn new(url: &str, ca: Option<&Path>) -> Result<HttpsSource, KeyError> {
        let wrong = |reason| KeyError::Refused { place: shown(url), reason };
        let uri: Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
        if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
            return Err(wrong("is not https: keys that anybody on the way could exchange are no keys"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') || url.contains('#') {
            return Err(wrong("may have neither a user nor a fragment"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name =
            ServerName::try_from(host.clone()).map_err(|_| wrong("names no host that a certificate can be for"))?;
        let source = HttpsSource {
            host,
            port: authority.port_u16().unwrap_or(443),
            name,
            target: uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned(),
            authority: authority.to_string(),
            ca: ca.map(Path::to_owned),
        };
        let place = || ca.map_or_else(|| shown(url), |ca| ca.display().to_string());
        match roots(ca) {
            Ok(_) => Ok(source),
            Err(_) if ca.is_some() => {
                Err(KeyError::Refused { place: place(), reason: "holds no certificate that can be used" })
            }
            Err(_) => Err(KeyError::Refused {
                place: place(),
                reason: "cannot be verified: the system has no root certificates; name one with 'jwks_ca'",
            }),
        }
    }

    /// Asks once.
    pub(super) async fn get(&self) -> Result<Bytes, FetchError> {
        tokio::time::timeout(FETCH_TIMEOUT, self.ask()).await.unwrap_or(Err(FetchError::Late))
    }

    async fn ask(&self) -> Result<Bytes, FetchError> {
        // Read every time: an authority that was replaced counts from then on.
        let ca = self.ca.clone();
        let roots = tokio::task::spawn_blocking(move || roots(ca.as_deref()));
        let roots = roots.await.map_err(|error| FetchError::Roots(error.to_string()))?.map_err(FetchError::Roots)?;
        let tls = tls(roots).map_err(|error| FetchError::Roots(error.to_string()))?;
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(FetchError::Unreachable)?;
        let stream = tls.connect(self.name.clone(), socket).await.map_err(FetchError::Tls)?;
        let broken = |error: hyper::Error| FetchError::Broken(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let exchange = async {
            let request = http::Request::get(&self.target)
                .header(header::HOST, &self.authority)
                .header(header::ACCEPT, "application/jwk-set+json, application/json")
                .header(header::USER_AGENT, "stockade-gateway")
                .header(header::CONNECTION, "close")
                .body(Empty::<Bytes>::new())
                .map_err(|error| FetchError::Broken(error.to_string()))?;
            let answer = sender.send_request(request).await.map_err(broken)?;
            match answer.status() {
                StatusCode::OK => {}
                status if status.is_redirection() => return Err(FetchError::Redirect(status.as_u16())),
                status => return Err(FetchError::Status(status.as_u16())),
            }
            if answer.headers().contains_key(header::CONTENT_ENCODING) {
                return Err(FetchError::Encoded);
            }
            match Limited::new(answer.into_body(), MAX_ANSWER).collect().await {
                Ok(body) => Ok(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(FetchError::Large),
                Err(error) => Err(FetchError::Broken(error.to_string())),
            }
        };
        // The connection is served while its answer is awaited, and not longer.
        let served = async {
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! {
            answer = exchange => answer,
            () = served => Err(FetchError::Late),
        }
    }
}

/// An address as it may be shown: a query and a user may hold a secret.
pub(super) fn shown(url: &str) -> String {
    let address = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{}{host}{path}", if scheme.is_empty() { "" } else { "://" })
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match ca {
        Some(path) => {
            let pinned = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| pinned(&error))? {
                let certificate = certificate.map_err(|error| pinned(&error))?;
                store.add(certificate).map_err(|error| pinned(&error))?;
            }
        }
        // One certificate of many that is odd is no reason to trust none.
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() { Err("there is no root certificate".to_owned()) } else { Ok(store) }
}

fn tls(roots: RootCertStore) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_an_https_address_of_a_host_is_taken_and_no_query_is_shown() {
        let made = rcgen::generate_simple_self_signed(vec!["ci.test".into()]).unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), made.cert.pem()).unwrap();
        let open = |url: &str| HttpsSource::new(url, Some(ca.path()));
        for (url, reason) in [
            ("http://ci.test/keys?key=hunter2", "https"),
            ("ci.test/keys", "URL"),
            ("https://user:hunter2@ci.test/", "user"),
            ("https://ci.test/#hunter2", "fragment"),
            ("https:///keys", "URL"),
            ("https://-/keys", "host"),
            ("file:///etc/passwd", ""),
        ] {
            let error = open(url).unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let source = open("https://[::1]:8443/a/keys?x=y").unwrap();
        assert_eq!((source.host.as_str(), source.port, source.target.as_str()), ("::1", 8443, "/a/keys?x=y"));
        std::fs::write(ca.path(), "no certificate").unwrap();
        assert!(open("https://ci.test/").unwrap_err().to_string().contains("no certificate that can be used"));
    }
}
