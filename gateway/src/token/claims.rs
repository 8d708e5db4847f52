//! The claims of a token, each by its type and rule (RFC 7519, 4.1; RFC 9068, 2.2).

use super::TokenError;
use crate::strict_json;
use serde_json::{Map, Value};
use std::time::Duration;

/// The longest text claim, in bytes.
const MAX_TEXT: usize = 255;

/// What the claims must say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// The issuer; none only when a key set is checked without a configuration.
    pub issuer: Option<&'a str>,
    /// The audience; none likewise.
    pub audience: Option<&'a str>,
    pub max_lifetime: Duration,
    pub leeway: Duration,
}

/// The registered claims, checked.
#[derive(Debug)]
pub(super) struct Claims {
    pub issuer: String,
    pub subject: String,
    pub token_id: String,
    pub expires: u64,
    pub all: Map<String, Value>,
}

impl Claims {
    /// Parses a payload.
    pub(super) fn parse(payload: &[u8]) -> Result<Map<String, Value>, TokenError> {
        strict_json::parse_object(payload).map_err(TokenError::ClaimsJson)
    }

    /// Checks every registered claim against what is expected at `now`.
    pub(super) fn check(all: Map<String, Value>, expected: Expected<'_>, now: u64) -> Result<Claims, TokenError> {
        let issuer = text(&all, "iss")?.to_owned();
        if expected.issuer.is_some_and(|expected| expected != issuer) {
            return Err(TokenError::Issuer);
        }
        check_audience(&all, expected.audience)?;
        let (subject, token_id) = (text(&all, "sub")?.to_owned(), text(&all, "jti")?.to_owned());
        let expires = seconds(&all, "exp")?.ok_or(TokenError::ClaimMissing("exp"))?;
        let issued = seconds(&all, "iat")?.ok_or(TokenError::ClaimMissing("iat"))?;
        let not_before = seconds(&all, "nbf")?;
        // No leeway for the end: a token is good until `exp` and not a second more.
        if now >= expires {
            return Err(TokenError::Expired);
        }
        let latest = now.saturating_add(expected.leeway.as_secs().min(60));
        if issued > latest {
            return Err(TokenError::IssuedInFuture);
        }
        if not_before.is_some_and(|not_before| not_before > latest) {
            return Err(TokenError::NotYetValid);
        }
        match expires.checked_sub(issued) {
            Some(life) if life > 0 && life <= expected.max_lifetime.as_secs() => {}
            _ => return Err(TokenError::Lifetime),
        }
        Ok(Claims { issuer, subject, token_id, expires, all })
    }
}

/// The audience is this gateway and nobody else: as a text, or as a list of one.
fn check_audience(all: &Map<String, Value>, expected: Option<&str>) -> Result<(), TokenError> {
    let found = match all.get("aud") {
        None => return Err(TokenError::ClaimMissing("aud")),
        Some(Value::String(one)) => one,
        Some(Value::Array(list)) => match list.as_slice() {
            [Value::String(one)] => one,
            _ => return Err(TokenError::Audience),
        },
        Some(_) => return Err(TokenError::ClaimForm("aud")),
    };
    if !is_text(found) {
        return Err(TokenError::ClaimForm("aud"));
    }
    if expected.is_some_and(|expected| expected != found) { Err(TokenError::Audience) } else { Ok(()) }
}

/// A required text claim.
pub(super) fn text<'a>(all: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, TokenError> {
    optional_text(all, name)?.ok_or(TokenError::ClaimMissing(name))
}

/// A text claim that may be absent; null is not absent.
pub(super) fn optional_text<'a>(
    all: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, TokenError> {
    match all.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if is_text(text) => Ok(Some(text)),
        Some(_) => Err(TokenError::ClaimForm(name)),
    }
}

/// Not empty, at most 255 bytes, no control characters (which end in logs).
pub(super) fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}

/// Whole seconds since 1970, below 2^53 so that every reader sees one number.
fn seconds(all: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, TokenError> {
    match all.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(seconds) if seconds < 1 << 53 => Ok(Some(seconds)),
            _ => Err(TokenError::ClaimForm(name)),
        },
    }
}
