//! Which gateway a session belongs to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sha256::{hex, sha256};

/// A gateway as a store knows it: by issuer and audience, so that gateways that
/// share both share their sessions, and no others do.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Binding(Arc<str>);

impl Binding {
    /// Of a gateway with this issuer (`iss`) and audience (`aud`).
    #[must_use]
    pub fn new(issuer: &str, audience: &str) -> Binding {
        // The length keeps apart what would otherwise read alike.
        let length = (issuer.len() as u64).to_be_bytes();
        Binding(hex(&sha256(&[&length, issuer.as_bytes(), audience.as_bytes()])).into())
    }

    /// As it is stored: the SHA-256 of both names in hexadecimal.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// An identifier of a token as it is stored: two gateways' never meet.
    pub(super) fn scoped(&self, token_id: &str) -> String {
        format!("{}:{token_id}", self.0)
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({:.8})", self.0)
    }
}

/// A record with the gateway it belongs to. One that was stored before there
/// were bindings has none, and belongs to nobody.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Bound<T> {
    gateway: Option<String>,
    #[serde(flatten)]
    record: T,
}

impl<T> Bound<T> {
    pub(super) fn new(binding: &Binding, record: T) -> Bound<T> {
        Bound { gateway: Some(binding.as_str().to_owned()), record }
    }

    pub(super) fn is_of(&self, binding: &Binding) -> bool {
        self.gateway.as_deref() == Some(binding.as_str())
    }

    /// The record, if it belongs to that gateway.
    pub(super) fn of(self, binding: &Binding) -> Option<T> {
        self.is_of(binding).then_some(self.record)
    }

    /// The record, whosever it is.
    pub(super) fn record(&self) -> &T {
        &self.record
    }

    pub(super) fn gateway(&self) -> Option<&str> {
        self.gateway.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_and_audience_both_tell_gateways_apart() {
        let one = Binding::new("https://a", "x");
        assert_eq!(one, Binding::new("https://a", "x"));
        for other in [Binding::new("https://a", "y"), Binding::new("https://b", "x"), Binding::new("https://", "ax")] {
            assert_ne!(one, other);
        }
    }
}
