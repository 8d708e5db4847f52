//! The names of tenants and of roles: read once, where they come in, and known
//! to be names from there on.
//!
//! What must hold: there is one rule for each. A tenant that a token, a session,
//! an issuer's rule or the administrator may name is one that the policy can
//! serve, and the other way round.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shown::shown;

/// The longest name, in bytes.
const LONGEST: usize = 63;

/// Why a text is no name. It holds the text as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No tenant's.
    #[error(
        "'{0}' cannot be a tenant: at most 63 of a-z, 0-9, '-', '_', '.', as the first part of an image's \
         name; without '__', not 'library'"
    )]
    Tenant(String),
    /// No role's.
    #[error("'{0}' cannot be a role: at most 63 letters, digits, '-' and '_'")]
    Role(String),
}

/// What a tenant may be called: `shop`, `team-2`.
///
/// The name becomes part of labels, of names on the host (`shop__web`) and of
/// image names (`shop/web`), so it is a part of an image's path as Docker reads
/// it. `library` cannot be one: under it lie the official images that all share.
/// Nor can one with `__`, which ends the tenant's part of a name on the host.
fn is_tenant(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= LONGEST
        && text.bytes().next().is_some_and(letter)
        && text.bytes().next_back().is_some_and(letter)
        && text.bytes().all(|b| letter(b) || matches!(b, b'-' | b'_' | b'.'))
        && !text.contains("..")
        && !text.contains("__")
        && text != "library"
}

/// What a role may be called: `deploy`, `CI_nightly`.
fn is_role(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rule:ident, $error:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// The text is not one.
            pub fn parse(text: &str) -> Result<$name, NameError> {
                if $rule(text) { Ok($name(text.into())) } else { Err(NameError::$error(shown(text))) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<$name, NameError> {
                $name::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = String::deserialize(deserializer)?;
                $name::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// The name of a tenant.
    TenantName,
    is_tenant,
    Tenant
);
name!(
    /// The name of a role.
    RoleName,
    is_role,
    Role
);

/// A name as a record of the store has it. One that was written under an older
/// rule may not be a name any more: the record is still there to be listed and
/// revoked, but nobody is served by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredName<N> {
    /// It is one.
    Name(N),
    /// It is none, and why.
    Refused {
        /// As it is stored.
        text: String,
        /// Why it is none.
        error: NameError,
    },
}

impl<N: Deref<Target = str>> StoredName<N> {
    /// The name.
    ///
    /// # Errors
    /// The record does not have one.
    pub fn name(&self) -> Result<&N, NameError> {
        match self {
            StoredName::Name(name) => Ok(name),
            StoredName::Refused { error, .. } => Err(error.clone()),
        }
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            StoredName::Name(name) => name,
            StoredName::Refused { text, .. } => text,
        }
    }
}

impl<N: std::str::FromStr<Err = NameError>> From<String> for StoredName<N> {
    fn from(text: String) -> StoredName<N> {
        match text.parse() {
            Ok(name) => StoredName::Name(name),
            Err(error) => StoredName::Refused { text, error },
        }
    }
}

impl<N: std::str::FromStr<Err = NameError>> From<&str> for StoredName<N> {
    fn from(text: &str) -> StoredName<N> {
        text.to_owned().into()
    }
}

impl<N: Deref<Target = str>> Serialize for StoredName<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, N: std::str::FromStr<Err = NameError>> Deserialize<'de> for StoredName<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoredName<N>, D::Error> {
        String::deserialize(deserializer).map(StoredName::from)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::reference::Reference;

    #[test]
    fn a_name_is_one_by_its_rule() {
        for name in ["shop", "team-2", "a", "1.2_3--4", &"a".repeat(63)] {
            assert_eq!(TenantName::parse(name).unwrap(), name);
        }
        for text in
            ["", "library", "a__b", "Shop", "shop-", "-shop", ".a", "a..b", "a/b", "a b", "a\n", "é", &"a".repeat(64)]
        {
            assert!(TenantName::parse(text).is_err(), "{text:?}");
            assert!(matches!(StoredName::<TenantName>::from(text), StoredName::Refused { .. }), "{text:?}");
        }
        for name in ["deploy", "CI_nightly", "-", &"a".repeat(63)] {
            assert_eq!(RoleName::parse(name).unwrap(), name);
        }
        for text in ["", "a b", "a.b", "a/b", "a\n", "é", &"a".repeat(64)] {
            assert!(RoleName::parse(text).is_err(), "{text:?}");
        }
        let message = TenantName::parse("a\u{1b}[31m").unwrap_err().to_string();
        assert!(message.starts_with("'a\\u{1b}[31m' cannot be a tenant"), "{message}");
    }

    proptest::proptest! {
        /// What is a tenant's name is the first part of an image's path, and
        /// whatever is such a part and not too long, shared or doubtful is one.
        #[test]
        fn a_tenants_name_is_a_part_of_an_image_name(text in "[a-c0._/A-]{0,8}") {
            let under = Reference::read(&format!("localhost/{text}/x")).is_some_and(|found| found.is_under(&text));
            proptest::prop_assert_eq!(TenantName::parse(&text).is_ok(), under && !text.contains("__"));
        }
    }
}
