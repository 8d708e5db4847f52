//! Connections to a gateway: TLS to a pinned authority, HTTP/1.1, and the two
//! forms of the token service (RFC 6749, 6 and RFC 7009).

use super::access::{AccessError, Granted, Renew};
use super::tunnel::Tunnel;
use crate::values::Secret;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A body on its way to or from the gateway.
pub(super) type RelayBody = BoxBody<Bytes, hyper::Error>;

/// For TCP and TLS together, and for an answer of the token service.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
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
    tunnel: Option<Arc<Tunnel>>,
}

/// What TLS is spoken over.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

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
        Ok(Gateway { address: address.to_owned(), name, tls: TlsConnector::from(Arc::new(config)), tunnel: None })
    }

    /// The same gateway, whose port is reached by a tunnel; its certificate must
    /// be for the same name all the same.
    #[must_use]
    pub fn through(&self, tunnel: Arc<Tunnel>) -> Gateway {
        Gateway { tunnel: Some(tunnel), ..self.clone() }
    }

    /// The value of `Host`.
    pub fn authority(&self) -> &str {
        &self.address
    }

    /// A new connection; it lives for as long as the sender does, and for an
    /// upgraded stream beyond that.
    pub(super) async fn open(&self) -> Result<SendRequest<RelayBody>, GatewayError> {
        self.open_within(CONNECT_TIMEOUT).await
    }

    async fn open_within(&self, limit: Duration) -> Result<SendRequest<RelayBody>, GatewayError> {
        let unreachable = |why: String| GatewayError::Unreachable { address: self.address.clone(), why };
        let connect = async {
            let carrier: Box<dyn Carrier> = match &self.tunnel {
                Some(tunnel) => Box::new(tunnel.dial().await.map_err(unreachable)?),
                None => {
                    let socket =
                        TcpStream::connect(&self.address).await.map_err(|error| unreachable(no_tcp(&error)))?;
                    // A small message that waits is only slower.
                    let _ = socket.set_nodelay(true);
                    Box::new(socket)
                }
            };
            match self.tls.connect(self.name.clone(), carrier).await {
                Ok(stream) => Ok(stream),
                Err(error) => Err(unreachable(self.no_tls(&error).await)),
            }
        };
        let stream = tokio::time::timeout(limit, connect).await.unwrap_or_else(|_| {
            let seconds = limit.as_secs();
            Err(unreachable(match self.tunnel {
                Some(_) => format!("no answer within {seconds} s over SSH"),
                None => format!(
                    "no answer within {seconds} s: a firewall may drop the connection (variable 'gateway_allow_from' \
                     of the playbook 'gateway')"
                ),
            }))
        })?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    /// Why there is no TLS, and what to do.
    async fn no_tls(&self, error: &std::io::Error) -> String {
        let why = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        match (why, &self.tunnel) {
            (Some(rustls::Error::InvalidCertificate(why)), _) => wrong_certificate(why, &self.name.to_str()),
            // A connection that ends before a word: the host did not let it through to the port.
            (None, Some(tunnel)) => tunnel.refusal().await.unwrap_or_else(|| error.to_string()),
            _ => format!("{error}; is it a gateway that listens there?"),
        }
    }

    /// Whether it is there and is who it should be; asked for as long as `limit`.
    ///
    /// # Errors
    /// It cannot be reached, or its certificate is not one of the authority's.
    pub async fn check(&self, limit: Duration) -> Result<(), GatewayError> {
        self.open_within(limit).await.map(drop)
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
        let late = || format!("the gateway at {} did not answer within {} s", self.address, CONNECT_TIMEOUT.as_secs());
        tokio::time::timeout(CONNECT_TIMEOUT, ask).await.unwrap_or_else(|_| Err(late()))
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

/// Why there is no TCP connection, and what to do.
fn no_tcp(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused: nothing listens on this port, or it is another \
             address ('--gateway ADDRESS:PORT'); is the gateway running ('systemctl status stockade-gateway' on the \
             host)?"
            .to_owned(),
        _ => error.to_string(),
    }
}

/// What is wrong with a certificate, and what to do.
fn wrong_certificate(why: &CertificateError, name: &str) -> String {
    const SIGN: &str = "then apply the playbook again";
    match why {
        CertificateError::NotValidForName => format!(
            "its certificate is not for '{name}': make one that is ('stockade ca issue DIR --san {name}', {SIGN}), or \
             give a name that it is for (--server-name)"
        ),
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "its certificate is for {}, not for '{name}': make one that is ('stockade ca issue DIR --san {name}', \
             {SIGN}), or give one of those names (--server-name)",
            presented.iter().map(|name| plain_name(name)).collect::<Vec<_>>().join(", ")
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not signed by the authority that is trusted: the host's own, or that of --ca; another \
             service may listen there"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired: make another ('stockade ca issue DIR --renew', {SIGN})")
        }
        other => format!("its certificate cannot be trusted: {other}"),
    }
}

/// A certificate's name without rustls' word for its kind: `DnsName("web1")`.
fn plain_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

/// `error` of RFC 6749, 5.2: an error code, so short and plain or not shown.
fn refusal(body: &[u8]) -> String {
    let code = error_code(body);
    match code.as_str() {
        "invalid_grant" => {
            "it was revoked, it has reached its end, or its refresh token was used elsewhere: invalid_grant".to_owned()
        }
        _ => code,
    }
}

fn error_code(body: &[u8]) -> String {
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
    fn a_certificate_of_another_name_is_told_with_the_names_that_it_has() {
        let presented = vec!["DnsName(\"web1\")".to_owned(), "IpAddress(192.0.2.1)".to_owned()];
        let expected = ServerName::try_from("web2").unwrap_or_else(|_| unreachable!());
        let text = wrong_certificate(&CertificateError::NotValidForNameContext { expected, presented }, "web2");
        assert!(text.starts_with("its certificate is for web1, 192.0.2.1, not for 'web2'"), "{text}");
        assert!(text.contains("stockade ca issue DIR --san web2") && text.contains("--server-name"), "{text}");
    }

    #[test]
    fn what_a_service_says_is_shown_only_if_it_is_an_error_code() {
        assert!(refusal(br#"{"error":"invalid_grant"}"#).ends_with(": invalid_grant"));
        assert_eq!(refusal(br#"{"error":"invalid_scope"}"#), "invalid_scope");
        assert_eq!(refusal(b"{\"error\":\"a\\u001b[2J\"}"), "refused by the token service");
    }
}
