//! Tokens: signed access tokens in, an identity out; and the other way round.
//!
//! What must hold, each shown by a test of the same words in
//! `tests/token/` (RFC 8725 gives the reasons for most):
//!
//! - the algorithm is the key's, fixed when it was loaded, never the header's;
//! - the header is `typ: at+jwt` with an id of a key, and nothing that brings a
//!   key or changes the rules;
//! - every claim is there, of its type, for this gateway, and for a short time;
//! - one text has one reading: strict base64url, strict JSON, bounded size.

pub mod base64url;
mod claims;
mod error;
mod issuer;
mod jws;
mod lines;
mod nested;
mod own;
mod sign;
mod verify;

pub use error::TokenError;
pub use issuer::{IssuerError, IssuerSettings, MappingRule, OutsideIssuer};
pub use jws::MAX_TOKEN;
pub use lines::{Judge, verify_lines};
pub use nested::{Nested, NestedKeys};
pub use own::{Issued, OwnTokens};
pub use sign::{Grant, SignError, Signer};
pub use verify::{ACCESS_TOKEN_TYPE, Verified, Verifier, VerifierConfig};
