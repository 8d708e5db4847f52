//! Issuing our own access tokens (RFC 9068), signed with Ed25519.

use super::base64url;
use super::claims::is_text;
use super::verify::ACCESS_TOKEN_TYPE;
use crate::keys::{KeyError, KeySource};
use crate::name::{NameError, RoleName, TenantName};
use crate::{Identity, TokenVerified};
use serde_json::{Value, json};
use std::time::Duration;

/// For whom a token is issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `sub`.
    pub subject: String,
    /// The tenant; none is the operator's own view of everything.
    pub tenant: Option<TenantName>,
    /// The role in the policy.
    pub role: RoleName,
    /// The session that the token belongs to.
    pub session: Option<String>,
    /// From issue to end.
    pub lifetime: Duration,
}

/// Why no token is issued.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A value that no verifier would accept.
    #[error("no token can be issued: the {0} is empty, too long, or has characters that it may not have")]
    Grant(&'static str),
    /// The session names a tenant or role that there cannot be.
    #[error("no token can be issued: {0}")]
    Name(#[from] NameError),
    /// The life is zero or longer than allowed.
    #[error("no token can be issued: its life must be from 1 to {0} seconds")]
    Lifetime(u64),
    /// There is no key to sign with at this time.
    #[error("no token can be issued: no signing key may be used now; run 'stockade-gateway keys rotate'")]
    NoKey,
    /// Signing or the random source failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Issues tokens with the newest key in force.
pub struct Signer {
    issuer: String,
    audience: String,
    max_lifetime: Duration,
    keys: KeySource,
}

impl Signer {
    /// A signer for one issuer and audience; tokens live at most 15 minutes.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, keys: impl Into<KeySource>) -> Signer {
        Signer {
            issuer: issuer.into(),
            audience: audience.into(),
            max_lifetime: Duration::from_secs(900),
            keys: keys.into(),
        }
    }

    /// Another longest life: that which the verifier accepts.
    #[must_use]
    pub fn with_max_lifetime(mut self, max_lifetime: Duration) -> Signer {
        self.max_lifetime = max_lifetime;
        self
    }

    /// `iss` of the tokens.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `aud` of the tokens.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The keys, for the published set.
    pub fn keys(&self) -> &KeySource {
        &self.keys
    }

    /// A new token and whom it speaks for. The token is a secret of its bearer:
    /// it is for the answer to the client alone.
    ///
    /// # Errors
    /// The grant could never be verified, or there is no key.
    pub fn issue(&self, grant: &Grant, now: u64) -> Result<(String, Identity), SignError> {
        self.check(grant)?;
        let ring = self.keys.current();
        let key = ring.signing_key(now).ok_or(SignError::NoKey)?;
        let mut id = [0u8; 16];
        getrandom::fill(&mut id).map_err(|_| KeyError::Make("the random source fails"))?;
        let token_id = base64url::encode(id);
        // A token that outlived its key would be refused before its time.
        let ends = now.saturating_add(grant.lifetime.as_secs());
        let expires = key.window().until.map_or(ends, |until| until.min(ends));

        let header = json!({"typ": ACCESS_TOKEN_TYPE, "alg": "EdDSA", "kid": key.kid()});
        let mut claims = json!({
            "iss": self.issuer, "sub": grant.subject, "aud": self.audience,
            "exp": expires, "iat": now, "jti": token_id, "role": grant.role,
        });
        if let Value::Object(all) = &mut claims {
            for (name, value) in [("tenant", grant.tenant.as_deref()), ("sid", grant.session.as_deref())] {
                if let Some(value) = value {
                    all.insert(name.to_owned(), value.into());
                }
            }
        }
        let mut token = base64url::encode(header.to_string());
        token.push('.');
        token.push_str(&base64url::encode(claims.to_string()));
        let signature = key.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url::encode(signature));

        let identity = Identity {
            issuer: self.issuer.clone(),
            subject: grant.subject.clone(),
            tenant: grant.tenant.clone(),
            role: grant.role.clone(),
            session: grant.session.clone(),
            token_id,
            expires,
            proof: TokenVerified(()),
        };
        Ok((token, identity))
    }

    fn check(&self, grant: &Grant) -> Result<(), SignError> {
        if !is_text(&grant.subject) {
            return Err(SignError::Grant("subject"));
        }
        if grant.session.as_deref().is_some_and(|session| !is_text(session)) {
            return Err(SignError::Grant("session"));
        }
        let longest = self.max_lifetime.as_secs();
        if (1..=longest).contains(&grant.lifetime.as_secs()) { Ok(()) } else { Err(SignError::Lifetime(longest)) }
    }
}
