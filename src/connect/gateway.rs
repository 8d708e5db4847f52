//! Connections to a gateway: TLS to a pinned authority, HTTP/1.1, and the two
//! forms of the token service (RFC 6749, 6 and RFC 7009).

use super::access::{AccessError, Granted, Renew};
use crate::values::Secret;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A body on its way to or from the gateway.
pub(super) type RelayBody = BoxBody<Bytes, hyper::Error>;

/// For TCP and TLS together, and for an answer of the token service.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of an answer of the token service.
const ANSWER: usize = 64 * 1024;

/// Why the gateway could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The authority's certificate is none.
    #[error("the authority's certificate cannot be used: {0}")]
    Authority(String),
    /// A name that no certificate can have.
    #[error("'{0}' is not the name or address of a server")]
    Name(String),
    /// No connection.
    #[error("the gateway at {address} cannot be reached: {why}")]
    Unreachable {
        /// Its address and port.
        address: String,
        /// What went wrong.
        why: String,
    },
}

/// Where the gateway is, and by what it is known.
#[derive(Clone)]
pub struct Gateway {
    address: String,
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl Gateway {
    /// The gateway at `address` (`host:port`), whose certificate is for `name`
    /// and signed by one of the authorities in `authority` (PEM).
    ///
    /// # Errors
    /// There is no certificate in `authority`, or the name is none.
    pub fn new(address: &str, name: &str, authority: &[u8]) -> Result<Gateway, GatewayError> {
        let bad = |error: &dyn std::fmt::Display| GatewayError::Authority(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority) {
            roots.add(certificate.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
        }
        if roots.is_empty() {
            return Err(bad(&"there is none in it"));
        }
        let name = ServerName::try_from(name.to_owned()).map_err(|_| GatewayError::Name(name.to_owned()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Gateway { address: address.to_owned(), name, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// The value of `Host`.
    pub fn authority(&self) -> &str {
        &self.address
    }

    /// A new connection; it lives for as long as the sender does, and for an
    /// upgraded stream beyond that.
    pub(super) async fn open(&self) -> Result<SendRequest<RelayBody>, GatewayError> {
        let unreachable = |why: String| GatewayError::Unreachable { address: self.address.clone(), why };
        let connect = async {
            let socket = TcpStream::connect(&self.address).await?;
            socket.set_nodelay(true)?;
            self.tls.connect(self.name.clone(), socket).await
        };
        let stream = match tokio::time::timeout(PATIENCE, connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    /// Whether it is there and is who it should be.
    ///
    /// # Errors
    /// It cannot be reached, or its certificate is not one of the authority's.
    pub async fn check(&self) -> Result<(), GatewayError> {
        self.open().await.map(drop)
    }

    /// Sends a form; the status and the whole answer.
    async fn form(&self, path: &'static str, fields: &[(&str, &str)]) -> Result<(u16, Bytes), String> {
        let ask = async {
            let mut sender = self.open().await.map_err(|error| error.to_string())?;
            let body = Full::new(Bytes::from(encode(fields))).map_err(|never| match never {}).boxed();
            let request = http::Request::post(path)
                .header(http::header::HOST, self.authority())
                .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body)
                .map_err(|error| error.to_string())?;
            let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER).collect().await.map_err(|error| error.to_string())?;
            Ok((status, body.to_bytes()))
        };
        let late = || format!("the gateway at {} did not answer within {} s", self.address, PATIENCE.as_secs());
        tokio::time::timeout(PATIENCE, ask).await.unwrap_or_else(|_| Err(late()))
    }

    /// Revokes a token and, with a refresh token, its session (RFC 7009, 2.1).
    ///
    /// # Errors
    /// There was no answer that says so.
    pub async fn revoke(&self, token: &Secret) -> Result<(), String> {
        match self.form("/revoke", &[("token", token.expose())]).await? {
            (200, _) => Ok(()),
            (status, _) => Err(format!("the gateway answered {status}")),
        }
    }
}

impl Renew for Gateway {
    fn renew<'a>(
        &'a self,
        refresh: &'a Secret,
    ) -> Pin<Box<dyn Future<Output = Result<Granted, AccessError>> + Send + 'a>> {
        Box::pin(async {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose())];
            match self.form("/token", &fields).await.map_err(AccessError::Failed)? {
                (200, body) => Granted::parse(&body),
                (400 | 401 | 403, body) => Err(AccessError::Ended(refusal(&body))),
                (status, _) => Err(AccessError::Failed(format!("the token service answered {status}"))),
            }
        })
    }
}

/// `error` of RFC 6749, 5.2: an error code, so short and plain or not shown.
fn refusal(body: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|answer| answer.get("error")?.as_str().map(str::to_owned))
        .filter(|code| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        .unwrap_or_else(|| "refused by the token service".to_owned())
}

/// `application/x-www-form-urlencoded`.
fn encode(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_add_a_field_to_a_form() {
        assert_eq!(encode(&[("a", "x&b=%c +"), ("d", "é")]), "a=x%26b%3D%25c%20%2B&d=%C3%A9");
    }

    #[test]
    fn what_a_service_says_is_shown_only_if_it_is_an_error_code() {
        assert_eq!(refusal(br#"{"error":"invalid_grant"}"#), "invalid_grant");
        assert_eq!(refusal(b"{\"error\":\"a\\u001b[2J\"}"), "refused by the token service");
    }
}
