//! The gateway's own access tokens: issued, published and recognised.

use super::{Grant, SignError, Signer, Verifier};
use crate::Identity;
use secrecy::SecretString;
use serde_json::Value;
use std::sync::Arc;

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

/// Issues access tokens and recognises them.
pub struct OwnTokens {
    signer: Signer,
    verifier: Arc<Verifier>,
}

impl OwnTokens {
    /// Signs with one and recognises with the other, which has the same keys.
    pub fn new(signer: Signer, verifier: Arc<Verifier>) -> OwnTokens {
        OwnTokens { signer, verifier }
    }

    /// A signed access token for the grant.
    ///
    /// # Errors
    /// The grant could never be verified, no key may sign now, or the random
    /// source failed.
    pub fn issue(&self, grant: &Grant, now: u64) -> Result<Issued, SignError> {
        let (token, identity) = self.signer.issue(grant, now)?;
        Ok(Issued { token: SecretString::from(token), token_id: identity.token_id, expires: identity.expires })
    }

    /// The public keys, as a JWK set (RFC 7517 §5).
    pub fn jwks(&self) -> Value {
        self.signer.keys().current().jwks_public()
    }

    /// Whom a token that this gateway issued speaks for, its signature verified;
    /// `None` for any other, for an expired one, and for what is no token.
    pub fn identify(&self, token: &str, now: u64) -> Option<Identity> {
        let identity = self.verifier.verify(token, now).ok()?.identity;
        (identity.issuer == self.signer.issuer()).then_some(identity)
    }
}
