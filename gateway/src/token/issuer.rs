//! Outside issuers: whose tokens are accepted besides our own, and for whom.
//!
//! What must hold: an issuer's tokens verify with its own pinned keys only, for
//! its own audience; who may do what follows from exact values of claims by a
//! table of the operator, never from a role or tenant that the issuer names.

use super::TokenError;
use crate::keys::{KeyError, KeySource, RemoteSettings, Remotes};
use crate::name::{RoleName, TenantName};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// An outside issuer as configured: `[[issuers]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The value of `iss`, exactly.
    pub issuer: String,
    /// A file with the issuer's public keys (a JWK set); followed, so that a new
    /// one may be renamed into its place. Either this or `jwks_url`.
    pub jwks: Option<PathBuf>,
    /// Where the issuer publishes them: `https://…`, fetched in the background.
    pub jwks_url: Option<String>,
    /// The authority (PEM) that vouches for that server, in place of the system's.
    pub jwks_ca: Option<PathBuf>,
    /// Seconds between two fetches.
    #[serde(default = "five_minutes")]
    pub jwks_refresh_seconds: u64,
    /// Seconds that the last good keys count while the issuer is away; after
    /// that none of its tokens is accepted.
    #[serde(default = "one_day")]
    pub jwks_max_age_seconds: u64,
    /// The least seconds between two fetches: after one that failed, and when
    /// tokens name keys that are not known.
    #[serde(default = "half_a_minute")]
    pub jwks_retry_seconds: u64,
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
    pub tenant: Option<TenantName>,
    /// In place of a tenant: the operator's view of everything.
    #[serde(default)]
    pub operator: bool,
    /// The role.
    pub role: RoleName,
}

fn half_a_minute() -> u64 {
    30
}

fn five_minutes() -> u64 {
    300
}

fn one_day() -> u64 {
    86_400
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
    /// Those of a URL are among `remotes`, and need not have come yet.
    ///
    /// # Errors
    /// The keys do not load, or a setting is not acceptable.
    pub fn open(settings: IssuerSettings, remotes: &Remotes) -> Result<OutsideIssuer, IssuerError> {
        let keys = match (&settings.jwks, &settings.jwks_url) {
            (Some(file), None) if settings.jwks_ca.is_none() => KeySource::follow_outside(file),
            (None, Some(url)) => remotes
                .open(RemoteSettings {
                    url: url.clone(),
                    ca: settings.jwks_ca.clone(),
                    refresh: Duration::from_secs(settings.jwks_refresh_seconds),
                    max_age: Duration::from_secs(settings.jwks_max_age_seconds),
                    retry: Duration::from_secs(settings.jwks_retry_seconds),
                })
                .map(KeySource::Remote),
            _ => {
                let reason = "needs either 'jwks', a file, or 'jwks_url' (and 'jwks_ca' only with that)";
                return Err(IssuerError::Setting { issuer: settings.issuer, reason });
            }
        };
        let keys = keys.map_err(|source| IssuerError::Keys { issuer: settings.issuer.clone(), source })?;
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

    /// The tenants that its rules name.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantName> {
        self.rules.iter().filter_map(|rule| rule.tenant.as_ref())
    }

    /// The tenant and role of verified claims.
    pub(super) fn map(&self, claims: &Map<String, Value>) -> Result<(Option<TenantName>, RoleName), TokenError> {
        let fits = |rule: &&MappingRule| {
            rule.claims.iter().all(|(name, value)| claims.get(name).and_then(Value::as_str) == Some(value))
        };
        let rule = self.rules.iter().find(fits).ok_or(TokenError::NoMapping)?;
        Ok((rule.tenant.clone(), rule.role.clone()))
    }
}
