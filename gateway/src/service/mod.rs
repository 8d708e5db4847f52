//! The token service: refresh, revocation, keys and metadata over HTTP, and
//! what the operator asks for over the admin socket.
//!
//! Pure functions of request and store: who calls them owns the sockets, reads
//! at most [`LARGEST_FORM`] bytes of body, and limits rates. What must hold: a
//! token is in no log and no error; an answer that holds one is `no-store`; a
//! store that cannot be asked is a 503, never a success.

pub mod admin;
mod answer;
mod form;
mod metadata;
pub mod opaque;
pub mod peer;
mod revoke;
pub mod socket;
mod token;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response};

use super::name::RoleName;
use super::store::{Store, Tenants};
use super::token::OwnTokens;
use answer::{method_not_allowed, oauth_error, public};
pub use form::LARGEST_FORM;

/// Where refresh tokens are exchanged.
pub const TOKEN_PATH: &str = "/token";
/// Where tokens are revoked (RFC 7009).
pub const REVOKE_PATH: &str = "/revoke";
/// Where the public keys are.
pub const JWKS_PATH: &str = "/.well-known/jwks.json";
/// Where the metadata is (RFC 8414).
pub const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// How long what is issued lives. Times in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `iss`: an https address without a path, under which this service is reached.
    pub issuer: String,
    /// How long an access token lives unless it is asked for otherwise.
    pub lifetime: u64,
    /// The longest an access token may live.
    pub longest_lifetime: u64,
    /// The longest an opaque token may live.
    pub longest_opaque: u64,
    /// How long a session lives, however often it is refreshed.
    pub session: u64,
    /// The roles that tokens are issued for; none: whatever the role's name is.
    pub roles: Option<Vec<RoleName>>,
}

impl Settings {
    /// The defaults: access tokens 15 minutes, opaque ones 90 days at most,
    /// sessions 30 days.
    pub fn new(issuer: impl Into<String>) -> Settings {
        Settings {
            issuer: issuer.into(),
            lifetime: 900,
            longest_lifetime: 900,
            longest_opaque: 90 * 86_400,
            session: 30 * 86_400,
            roles: None,
        }
    }
}

/// The token service.
pub struct Service {
    store: Arc<dyn Store>,
    tenants: Arc<Tenants>,
    own: OwnTokens,
    settings: Settings,
}

impl Service {
    /// A service over a store and a signer.
    pub fn new(store: Arc<dyn Store>, own: OwnTokens, settings: Settings) -> Service {
        let tenants = Arc::new(Tenants::new(Arc::clone(&store)));
        Service { store, tenants, own, settings }
    }

    /// The same, which tells these of the tenants that it issues sessions for.
    #[must_use]
    pub fn with_tenants(mut self, tenants: Arc<Tenants>) -> Service {
        self.tenants = tenants;
        self
    }

    /// Whether a path is one of the service's own and not of the Engine API.
    pub fn serves(path: &str) -> bool {
        [TOKEN_PATH, REVOKE_PATH, JWKS_PATH, METADATA_PATH].contains(&path)
    }

    /// Answers a request to one of the service's paths, with its whole body.
    pub async fn handle(&self, parts: &http::request::Parts, body: &[u8], now: u64) -> Response<Bytes> {
        let post = matches!(parts.uri.path(), TOKEN_PATH | REVOKE_PATH);
        match (parts.uri.path(), &parts.method) {
            (TOKEN_PATH, &Method::POST) => match self.form(parts, body) {
                Ok(form) => self.token(&form, now).await,
                Err(answer) => answer,
            },
            (REVOKE_PATH, &Method::POST) => match self.form(parts, body) {
                Ok(form) => self.revoke(&form, now).await,
                Err(answer) => answer,
            },
            (JWKS_PATH, &Method::GET | &Method::HEAD) => public(&self.own.jwks()),
            (METADATA_PATH, &Method::GET | &Method::HEAD) => metadata::metadata(&self.settings),
            _ if Service::serves(parts.uri.path()) => method_not_allowed(if post { "POST" } else { "GET, HEAD" }),
            _ => oauth_error(404, "invalid_request", "there is nothing at this path"),
        }
    }

    /// The form of a request, or the refusal.
    #[allow(clippy::unused_self, clippy::result_large_err)] // the refusal is the answer itself
    fn form(&self, parts: &http::request::Parts, body: &[u8]) -> Result<form::Form, Response<Bytes>> {
        let refuse = |status, description| oauth_error(status, "invalid_request", description);
        if parts.uri.query().is_some() {
            return Err(refuse(400, "parameters belong into the body, not into the address"));
        }
        let mut types = parts.headers.get_all(http::header::CONTENT_TYPE).iter();
        let exact = types.next().is_some_and(|value| value.as_bytes() == b"application/x-www-form-urlencoded");
        if !exact || types.next().is_some() {
            return Err(refuse(415, "the content type must be application/x-www-form-urlencoded"));
        }
        if parts.headers.contains_key(http::header::CONTENT_ENCODING) {
            return Err(refuse(415, "the body must not be compressed"));
        }
        let status = if body.len() > LARGEST_FORM { 413 } else { 400 };
        form::Form::parse(body).map_err(|reason| refuse(status, reason))
    }
}
