//! Outside issuers: whose tokens are accepted besides our own, and for whom.
//!
//! What must hold: an issuer's tokens verify with its own pinned keys only, for
//! its own audience; who may do what follows from exact values of claims by a
//! table of the operator, never from a role or tenant that the issuer names.

use super::TokenError;
use super::claims::{is_role, is_tenant};
use crate::gateway::keys::{KeyError, KeySource};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// An outside issuer as configured: `[[issuer]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The value of `iss`, exactly.
    pub issuer: String,
    /// A file with the issuer's public keys (a JWK set). A timer may renew it
    /// by renaming a new one into place; the gateway itself fetches nothing.
    pub jwks: PathBuf,
    /// The value of `aud` that this issuer puts into tokens for this gateway.
    pub audience: String,
    /// The longest life of its tokens, in seconds.
    #[serde(default = "one_quarter_hour")]
    pub max_lifetime_seconds: u64,
    /// Whether the header may say `typ: JWT`, or nothing, in place of `at+jwt`.
    #[serde(default)]
    pub plain_jwt: bool,
    /// Who its subjects are here; the first rule that fits decides, and none refuses.
    #[serde(default, rename = "rule")]
    pub rules: Vec<MappingRule>,
}

/// One row of the table from claims to tenant and role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingRule {
    /// Claims that must all be there with exactly these text values.
    pub claims: BTreeMap<String, String>,
    /// The tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// In place of a tenant: the operator's view of everything.
    #[serde(default)]
    pub operator: bool,
    /// The role.
    pub role: String,
}

fn one_quarter_hour() -> u64 {
    900
}

/// Why an issuer cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// Its keys do not load.
    #[error("issuer '{issuer}': {source}")]
    Keys {
        /// Which.
        issuer: String,
        /// Why.
        source: KeyError,
    },
    /// A setting is not acceptable.
    #[error("issuer '{issuer}': {reason}")]
    Setting {
        /// Which.
        issuer: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// An outside issuer with its keys.
#[derive(Clone)]
pub struct OutsideIssuer {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) keys: KeySource,
    pub(super) max_lifetime: Duration,
    pub(super) plain_jwt: bool,
    rules: Vec<MappingRule>,
}

impl OutsideIssuer {
    /// Checks the settings and loads the keys, which are followed from then on.
    ///
    /// # Errors
    /// The keys do not load, or a setting is not acceptable.
    pub fn open(settings: IssuerSettings) -> Result<OutsideIssuer, IssuerError> {
        let keys = KeySource::follow_outside(&settings.jwks)
            .map_err(|source| IssuerError::Keys { issuer: settings.issuer.clone(), source })?;
        OutsideIssuer::with_keys(settings, keys)
    }

    /// As [`OutsideIssuer::open`], with keys that are loaded already.
    ///
    /// # Errors
    /// A setting is not acceptable.
    pub fn with_keys(settings: IssuerSettings, keys: KeySource) -> Result<OutsideIssuer, IssuerError> {
        let wrong = |reason| IssuerError::Setting { issuer: settings.issuer.clone(), reason };
        if settings.issuer.is_empty() || settings.audience.is_empty() {
            return Err(wrong("needs an 'issuer' and an 'audience'"));
        }
        for rule in &settings.rules {
            if rule.claims.is_empty() {
                return Err(wrong("has a rule without claims, which would let everybody in"));
            }
            if rule.tenant.is_some() == rule.operator {
                return Err(wrong("has a rule that does not say either 'tenant' or 'operator = true'"));
            }
            if rule.tenant.as_deref().is_some_and(|tenant| !is_tenant(tenant)) {
                return Err(wrong("has a rule whose 'tenant' is not a name of a-z, 0-9, '-', '_', '.'"));
            }
            if !is_role(&rule.role) {
                return Err(wrong("has a rule whose 'role' is not a name of letters, digits, '-', '_'"));
            }
        }
        Ok(OutsideIssuer {
            issuer: settings.issuer,
            audience: settings.audience,
            keys,
            max_lifetime: Duration::from_secs(settings.max_lifetime_seconds),
            plain_jwt: settings.plain_jwt,
            rules: settings.rules,
        })
    }

    /// The tenant and role of verified claims.
    pub(super) fn map(&self, claims: &Map<String, Value>) -> Result<(Option<String>, String), TokenError> {
        let fits = |rule: &&MappingRule| {
            rule.claims.iter().all(|(name, value)| claims.get(name).and_then(Value::as_str) == Some(value))
        };
        let rule = self.rules.iter().find(fits).ok_or(TokenError::NoMapping)?;
        Ok((rule.tenant.clone(), rule.role.clone()))
    }
}
