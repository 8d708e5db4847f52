//! Who a verified token speaks for.

use super::name::{RoleName, TenantName};

/// Proof that a token was verified: key, signature, header and every claim.
/// It has no public constructor; `token` makes it and nothing else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenVerified(pub(crate) ());

/// Whom a request is made for. Exists only for a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The tenant whose objects may be seen and touched; `None` is the
    /// operator's own view of everything.
    pub tenant: Option<TenantName>,
    /// The role in the policy.
    pub role: RoleName,
    /// The session (refresh family) the token belongs to, if it has one.
    pub session: Option<String>,
    /// `jti`, or the identifier of an opaque token.
    pub token_id: String,
    /// `exp`, in seconds since 1970.
    pub expires: u64,
    /// The proof.
    pub proof: TokenVerified,
}
