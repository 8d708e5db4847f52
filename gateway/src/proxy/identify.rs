//! From the Authorization header to an identity. A verified token is remembered
//! for a short while, by its hash; revocation is asked for every time.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, HeaderMap};

use super::body::refused;
use super::{Proxy, now};
use crate::bearer::Unidentified;
use crate::services::Services;
use crate::sha256::sha256;
use crate::{Identity, Refusal};

/// Most tokens remembered.
const MAX_KNOWN: usize = 4096;
/// A token is verified again after this, so that a key's own end is noticed.
const REMEMBER: Duration = Duration::from_secs(60);
/// Longest token, as it comes.
const MAX_TOKEN: usize = 8 * 1024;

/// Tokens that were verified.
#[derive(Default)]
pub(super) struct Known {
    tokens: RwLock<HashMap<[u8; 32], Entry>>,
}

struct Entry {
    identity: Arc<Identity>,
    generation: u64,
    verified: Instant,
}

impl Known {
    /// Forgets all.
    pub(super) fn forget(&self) {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn find(&self, hash: &[u8; 32], generation: u64, now: u64) -> Option<Arc<Identity>> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let entry = tokens.get(hash)?;
        let fresh =
            entry.generation == generation && entry.verified.elapsed() < REMEMBER && now < entry.identity.expires;
        fresh.then(|| Arc::clone(&entry.identity))
    }

    fn remember(&self, hash: [u8; 32], entry: Entry, now: u64) {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_KNOWN {
            tokens.retain(|_, entry| entry.verified.elapsed() < REMEMBER && now < entry.identity.expires);
        }
        if tokens.len() >= MAX_KNOWN {
            tokens.clear();
        }
        tokens.insert(hash, entry);
    }
}

/// The token of the one Authorization header, scheme Bearer (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        let several = headers.contains_key(AUTHORIZATION);
        let (rule, message) = if several {
            ("token.header", "more than one Authorization header")
        } else {
            ("token.missing", "a token is needed: Authorization: Bearer …")
        };
        return Err(refused(401, rule, message));
    };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= MAX_TOKEN =>
        {
            Ok(token)
        }
        _ => Err(refused(401, "token.header", "the Authorization header is not `Bearer` and a token")),
    }
}

fn unjudged(rule: &str, why: &str) -> Refusal {
    refused(503, rule, &format!("the token cannot be judged: {why}"))
}

impl Proxy {
    /// Whom a request is made for.
    pub(super) async fn identify(&self, services: &Services, headers: &HeaderMap) -> Result<Arc<Identity>, Refusal> {
        let token = bearer(headers)?;
        let (now, generation) = (now(), services.bearer.generation());
        let hash = sha256(&[token.as_bytes()]);
        if let Some(identity) = self.known.find(&hash, generation, now) {
            return Ok(identity);
        }
        match services.bearer.identify(token, now).await {
            Ok(identity) => {
                let identity = Arc::new(identity);
                let entry = Entry { identity: Arc::clone(&identity), generation, verified: Instant::now() };
                self.known.remember(hash, entry, now);
                Ok(identity)
            }
            Err(Unidentified::Refused(why)) => Err(Refusal {
                status: 401,
                message: format!("the token is not valid: {why}"),
                rule: "token.invalid".into(),
                operation: None,
            }),
            Err(Unidentified::Unavailable(why)) => Err(unjudged("store.gone", &why)),
            Err(Unidentified::Keys(why)) => Err(unjudged("issuer.keys", &why)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rule(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers).map_or_else(|refused| refused.rule, str::to_owned)
    }

    #[test]
    fn a_token_comes_in_one_bearer_header() {
        assert_eq!(rule(&["Bearer abc"]), "abc");
        assert_eq!(rule(&["bearer abc"]), "abc");
        assert_eq!(rule(&[]), "token.missing");
        for wrong in [&["Bearer a", "Bearer a"][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["abc"]] {
            assert_eq!(rule(wrong), "token.header", "{wrong:?}");
        }
    }
}
