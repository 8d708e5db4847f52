//! Random tokens, and what is stored of them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroize as _;

use super::StoreError;
use crate::sha256::{hex, sha256};
use secrecy::SecretString;

/// How an opaque access token starts. No dot, so it is never taken for a JWT.
pub const OPAQUE_PREFIX: &str = "sga_";
/// How a refresh token starts.
pub const REFRESH_PREFIX: &str = "sgr_";

/// The SHA-256 of a token: all that a store knows of it. The tokens are 256
/// random bits, so no salt and no slow hash is needed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token as it was presented.
    pub fn of(token: &str) -> TokenHash {
        TokenHash(sha256(&[token.as_bytes()]))
    }

    /// The hash's bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From bytes that [`TokenHash::bytes`] gave.
    pub fn from_bytes(bytes: [u8; 32]) -> TokenHash {
        TokenHash(bytes)
    }

    /// In hexadecimal, as part of a key.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({:.4}…)", self.hex())
    }
}

/// A new token: the prefix and 256 random bits in base64url.
///
/// # Errors
/// The system's random source failed.
pub fn fresh_token(prefix: &str) -> Result<SecretString, StoreError> {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes)?;
    let token = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
    bytes.zeroize();
    Ok(SecretString::from(token))
}

/// A new identifier: the prefix and 128 random bits in base64url. No secret.
///
/// # Errors
/// The system's random source failed.
pub fn fresh_id(prefix: &str) -> Result<String, StoreError> {
    let mut bytes = [0_u8; 16];
    fill(&mut bytes)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

fn fill(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes)
        .map_err(|error| StoreError::Unavailable { store: "random source".to_owned(), reason: error.to_string() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_token_has_256_bits_and_is_not_seen() {
        let token = fresh_token(REFRESH_PREFIX).unwrap();
        let body = token.expose_secret().strip_prefix(REFRESH_PREFIX).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(body).unwrap().len(), 32);
        assert_ne!(token.expose_secret(), fresh_token(REFRESH_PREFIX).unwrap().expose_secret());
        assert!(!format!("{token:?}").contains(body));
    }
}
