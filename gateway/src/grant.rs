//! What a token is issued for, and who issues it: the contract between the
//! token service, which decides, and the signer, which signs.

use secrecy::SecretString;

/// What an access token shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `sub`.
    pub subject: String,
    /// `tenant`; `None` is the operator's own view.
    pub tenant: Option<String>,
    /// `role`.
    pub role: String,
    /// `sid`: the session (refresh family) it belongs to.
    pub session: Option<String>,
    /// `exp - iat`, in seconds.
    pub lifetime: u64,
}

/// An access token that was just issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The token itself.
    pub token: SecretString,
    /// Its `jti`.
    pub token_id: String,
    /// Its `exp`, in seconds since 1970.
    pub expires: u64,
}

/// What must be known of an access token to revoke it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRef {
    /// Its `jti`.
    pub token_id: String,
    /// Its `sid`.
    pub session: Option<String>,
    /// Its `exp`, in seconds since 1970.
    pub expires: u64,
}

/// No token could be issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no token can be issued: {0}")]
pub struct IssueError(pub String);

/// Signs access tokens with the key that is current.
pub trait Issue: Send + Sync {
    /// A signed access token for the grant.
    ///
    /// # Errors
    /// There is no key that may sign now, or the random source failed.
    fn issue(&self, grant: &Grant, now: u64) -> Result<Issued, IssueError>;

    /// The public keys, as a JWK set (RFC 7517 §5).
    fn jwks(&self) -> serde_json::Value;

    /// What a token that this gateway issued is called, its signature verified;
    /// `None` for any other, for an expired one, and for what is no token.
    fn identify(&self, token: &str, now: u64) -> Option<TokenRef>;
}
