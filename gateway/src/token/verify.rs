//! Verification: from a text to an [`Identity`], or a reason against it.
//!
//! What must hold: this is the only place of the gateway that makes an identity
//! of a signed token; each check of the module's table has been passed by then.

use super::TokenError;
use super::claims::{self, Claims, Expected};
use super::issuer::OutsideIssuer;
use super::jws::{Jws, check_length};
use super::nested::{self, Nested, Opened};
use crate::keys::{KeyRing, KeySource};
use crate::name::{RoleName, TenantName};
use crate::{Identity, TokenVerified};
use serde_json::{Map, Value};
use std::time::Duration;

/// The `typ` of an access token (RFC 9068, 2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// How long a request waits for an outside issuer's keys.
const KEYS_TIMEOUT: Duration = Duration::from_secs(2);

/// What a gateway accepts.
#[derive(Clone)]
pub struct VerifierConfig {
    /// `iss` of our own tokens.
    pub issuer: String,
    /// `aud` of tokens for this gateway.
    pub audience: String,
    /// The longest life of a token, from `iat` to `exp`.
    pub max_lifetime: Duration,
    /// How far the clocks of others may be ahead; never more than 60 s.
    pub leeway: Duration,
    /// Whether nested tokens are accepted.
    pub nested: Nested,
    /// Who else's tokens are accepted.
    pub issuers: Vec<OutsideIssuer>,
}

impl VerifierConfig {
    /// Our own tokens only, with a life of at most 15 minutes and a leeway of 60 s.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> VerifierConfig {
        VerifierConfig {
            issuer: issuer.into(),
            audience: audience.into(),
            max_lifetime: Duration::from_secs(900),
            leeway: Duration::from_secs(60),
            nested: Nested::Refuse,
            issuers: Vec::new(),
        }
    }
}

/// A token that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Whom it speaks for.
    pub identity: Identity,
    /// All of its claims.
    pub claims: Map<String, Value>,
}

/// Verifies tokens with the keys in force.
pub struct Verifier {
    config: VerifierConfig,
    keys: KeySource,
}

impl Verifier {
    /// A verifier of the ring, or of what follows a directory of keys.
    pub fn new(config: VerifierConfig, keys: impl Into<KeySource>) -> Verifier {
        Verifier { config, keys: keys.into() }
    }

    /// The configuration.
    pub fn config(&self) -> &VerifierConfig {
        &self.config
    }

    /// Our own keys.
    pub fn keys(&self) -> &KeySource {
        &self.keys
    }

    /// Changes whenever keys do: what was verified under another generation
    /// has to be verified again.
    pub fn generation(&self) -> u64 {
        let mut all = self.keys.generation();
        for issuer in &self.config.issuers {
            all = all.wrapping_add(issuer.keys.generation());
        }
        if let Nested::Accept(keys) = &self.config.nested {
            for source in [&keys.signed, &keys.encrypted].into_iter().flatten() {
                all = all.wrapping_add(source.generation());
            }
        }
        all
    }

    /// Verifies a token at `now` (seconds since 1970). Whether it has been
    /// revoked is the store's to say.
    ///
    /// # Errors
    /// The first rule that refuses it.
    pub fn verify(&self, token: &str, now: u64) -> Result<Verified, TokenError> {
        check_length(token)?;
        let opened = match &self.config.nested {
            Nested::Accept(keys) if token.bytes().filter(|byte| *byte == b'.').count() == 4 => {
                nested::open_encrypted(token, keys)?
            }
            _ => {
                let jws = Jws::read(token)?;
                match (content_is_token(&jws)?, &self.config.nested) {
                    (false, _) => return self.verify_access(jws, now),
                    (true, Nested::Refuse) => return Err(TokenError::Nested),
                    (true, Nested::Accept(keys)) => nested::open_signed(jws, keys, now)?,
                }
            }
        };
        self.verify_within(&opened, now)
    }

    /// As [`Verifier::verify`]; but where an outside issuer's key is not known,
    /// or none of its keys is there, its keys are asked for again if that was not
    /// done just now. Waits for them a moment at most.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub async fn verify_freshly(&self, token: &str, now: u64) -> Result<Verified, TokenError> {
        let verdict = self.verify(token, now);
        if let Err(TokenError::UnknownKey | TokenError::IssuerKeys(_)) = &verdict
            && let Some(KeySource::Remote(keys)) = self.outside_of(token).map(|outside| &outside.keys)
            && keys.ask_again(KEYS_TIMEOUT).await
        {
            return self.verify(token, now);
        }
        verdict
    }

    /// Fetches the keys of all outside issuers that have a URL, for one that
    /// verifies once and ends.
    pub async fn fetch_outside(&self) {
        for outside in &self.config.issuers {
            if let KeySource::Remote(keys) = &outside.keys {
                keys.fetch().await;
            }
        }
    }

    /// The outside issuer that a token says it is of; nothing of it is proved.
    fn outside_of(&self, token: &str) -> Option<&OutsideIssuer> {
        let jws = Jws::read(token).ok()?;
        let claims = Claims::parse(&jws.payload).ok()?;
        let named = claims::text(&claims, "iss").ok()?;
        self.config.issuers.iter().find(|outside| outside.issuer == named)
    }

    fn verify_within(&self, opened: &Opened, now: u64) -> Result<Verified, TokenError> {
        let inner = Jws::read(&opened.inner)?;
        if content_is_token(&inner)? {
            return Err(TokenError::NestedTooDeep);
        }
        let mut verified = self.verify_access(inner, now)?;
        opened.agrees_with(&verified.claims)?;
        end_with_key(&mut verified.identity.expires, opened.key_ends);
        Ok(verified)
    }

    /// Verifies an access token itself.
    fn verify_access(&self, jws: Jws<'_>, now: u64) -> Result<Verified, TokenError> {
        if self.config.issuers.is_empty() {
            return self.verify_own(jws, None, now);
        }
        // Which keys count is for the issuer to say; that it is who it says is
        // for those keys to prove, and the claim is checked again after that.
        let claims = Claims::parse(&jws.payload)?;
        let named = claims::text(&claims, "iss")?.to_owned();
        if named == self.config.issuer {
            return self.verify_own(jws, Some(claims), now);
        }
        let outside = self.config.issuers.iter().find(|outside| outside.issuer == named).ok_or(TokenError::Issuer)?;
        self.verify_outside(jws, claims, outside, now)
    }

    fn verify_own(&self, jws: Jws<'_>, parsed: Option<Map<String, Value>>, now: u64) -> Result<Verified, TokenError> {
        if jws.header.typ.as_deref() != Some(ACCESS_TOKEN_TYPE) {
            return Err(TokenError::Type);
        }
        jws.header.without_thumbprint()?;
        let key_ends = verify_signature(&jws, &self.keys.current(), now)?;
        let all = match parsed {
            Some(all) => all,
            None => Claims::parse(&jws.payload)?,
        };
        let expected = Expected {
            issuer: Some(&self.config.issuer),
            audience: Some(&self.config.audience),
            max_lifetime: self.config.max_lifetime,
            leeway: self.config.leeway,
        };
        let mut checked = Claims::check(all, expected, now)?;
        end_with_key(&mut checked.expires, key_ends);
        let tenant = claims::optional_text(&checked.all, "tenant")?.map(TenantName::parse);
        let tenant = tenant.transpose().map_err(|_| TokenError::ClaimForm("tenant"))?;
        let role = RoleName::parse(claims::text(&checked.all, "role")?).map_err(|_| TokenError::ClaimForm("role"))?;
        let session = claims::optional_text(&checked.all, "sid")?.map(str::to_owned);
        Ok(identify(checked, tenant, role, session))
    }

    fn verify_outside(
        &self,
        jws: Jws<'_>,
        all: Map<String, Value>,
        outside: &OutsideIssuer,
        now: u64,
    ) -> Result<Verified, TokenError> {
        match jws.header.typ.as_deref() {
            Some(ACCESS_TOKEN_TYPE) => {}
            Some("JWT") | None if outside.plain_jwt => {}
            _ => return Err(TokenError::Type),
        }
        let keys = outside.keys.usable().map_err(TokenError::IssuerKeys)?;
        let key_ends = verify_signature(&jws, &keys, now)?;
        let expected = Expected {
            issuer: Some(&outside.issuer),
            audience: Some(&outside.audience),
            max_lifetime: outside.max_lifetime,
            leeway: self.config.leeway,
        };
        let mut checked = Claims::check(all, expected, now)?;
        end_with_key(&mut checked.expires, key_ends);
        let (tenant, role) = outside.map(&checked.all)?;
        Ok(identify(checked, tenant, role, None))
    }
}

/// Whether the header says that the content is again a token.
fn content_is_token(jws: &Jws<'_>) -> Result<bool, TokenError> {
    match jws.header.cty.as_deref() {
        None => Ok(false),
        Some(cty) if cty.eq_ignore_ascii_case("JWT") => Ok(true),
        Some(_) => Err(TokenError::HeaderForbidden("cty")),
    }
}

/// Verifies the signature; returns when the key's own life ends.
fn verify_signature(jws: &Jws<'_>, ring: &KeyRing, now: u64) -> Result<Option<u64>, TokenError> {
    let key = ring.find(jws.header.kid()?, now).ok_or(TokenError::UnknownKey)?;
    jws.verify(key)?;
    Ok(key.window().until)
}

/// No token outlives its key, nor does a remembered verdict or an open stream.
fn end_with_key(expires: &mut u64, key_ends: Option<u64>) {
    *expires = key_ends.map_or(*expires, |ends| ends.min(*expires));
}

fn identify(claims: Claims, tenant: Option<TenantName>, role: RoleName, session: Option<String>) -> Verified {
    let identity = Identity {
        issuer: claims.issuer,
        subject: claims.subject,
        tenant,
        role,
        session,
        token_id: claims.token_id,
        expires: claims.expires,
        proof: TokenVerified(()),
    };
    Verified { identity, claims: claims.all }
}
