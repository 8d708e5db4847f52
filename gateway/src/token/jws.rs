//! The compact form of a signed token (RFC 7515, 7.1), read strictly.
//!
//! What must hold: nothing is decoded of a token that is too long; the header
//! chooses neither key nor algorithm beyond naming an id in the ring; headers
//! that bring or point to a key, or extend the rules, are refused.

use super::{TokenError, base64url};
use crate::keys::VerifyKey;
use crate::strict_json;
use serde_json::{Map, Value};

/// The longest token, in bytes, before anything is decoded.
pub const MAX_TOKEN: usize = 8 * 1024;

/// Header members that are never accepted: they bring or point to a key
/// (RFC 7515, 4.1.2 to 4.1.6), extend the rules (4.1.11; RFC 7797), compress
/// (RFC 7516, 4.1.3) or make guessing a password work (RFC 7518, 4.8.1).
const FORBIDDEN: &[&str] = &["jku", "x5u", "jwk", "x5c", "crit", "b64", "zip", "p2s", "p2c"];
/// Certificate thumbprints: harmless, but only outside issuers have a use for them.
const THUMBPRINTS: &[&str] = &["x5t", "x5t#S256"];

/// What a header says, after the checks that hold for every token.
#[derive(Debug)]
pub(super) struct Header {
    pub alg: String,
    pub kid: Option<String>,
    pub typ: Option<String>,
    pub cty: Option<String>,
    /// The first certificate thumbprint, if there is one.
    pub thumbprint: Option<&'static str>,
    /// The whole of it.
    pub members: Map<String, Value>,
}

impl Header {
    /// Reads the first part of a token.
    pub(super) fn read(part: &str) -> Result<Header, TokenError> {
        let bytes = base64url::decode(part).ok_or(TokenError::Encoding)?;
        let members = strict_json::parse_object(&bytes).map_err(TokenError::HeaderJson)?;
        if let Some(name) = FORBIDDEN.iter().find(|name| members.contains_key(**name)) {
            return Err(TokenError::HeaderForbidden(name));
        }
        let thumbprint = THUMBPRINTS.iter().find(|name| members.contains_key(**name)).copied();
        let text = |name: &'static str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(TokenError::HeaderMember(name)),
        };
        let alg = text("alg")?.ok_or(TokenError::HeaderMember("alg"))?;
        if alg.eq_ignore_ascii_case("none") {
            return Err(TokenError::AlgorithmNone);
        }
        Ok(Header { alg, kid: text("kid")?, typ: text("typ")?, cty: text("cty")?, thumbprint, members })
    }

    /// Refuses certificate thumbprints.
    pub(super) fn without_thumbprint(&self) -> Result<(), TokenError> {
        self.thumbprint.map_or(Ok(()), |name| Err(TokenError::HeaderForbidden(name)))
    }

    /// The key's id.
    pub(super) fn kid(&self) -> Result<&str, TokenError> {
        self.kid.as_deref().ok_or(TokenError::HeaderMember("kid"))
    }
}

/// A signed token taken apart, its signature not yet verified.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    pub header: Header,
    pub payload: Vec<u8>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub(super) fn read(token: &'a str) -> Result<Jws<'a>, TokenError> {
        let (signed, header, payload, signature) = split(token)?;
        let signature = base64url::decode(signature).ok_or(TokenError::Encoding)?;
        let payload = base64url::decode(payload).ok_or(TokenError::Encoding)?;
        Ok(Jws { header: Header::read(header)?, payload, signed, signature })
    }

    /// Whether the key made the signature with its own algorithm, which the
    /// header must name exactly.
    pub(super) fn verify(&self, key: &VerifyKey) -> Result<(), TokenError> {
        if self.header.alg != key.algorithm().name() {
            return Err(TokenError::Algorithm);
        }
        if key.verify(self.signed.as_bytes(), &self.signature) { Ok(()) } else { Err(TokenError::Signature) }
    }
}

/// Checks the length before anything else looks at the token.
pub(super) fn check_length(token: &str) -> Result<(), TokenError> {
    match token.len() {
        0 => Err(TokenError::Empty),
        length if length > MAX_TOKEN => Err(TokenError::TooLong),
        _ => Ok(()),
    }
}

fn split(token: &str) -> Result<(&str, &str, &str, &str), TokenError> {
    check_length(token)?;
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Parts)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Parts)?;
    if payload.contains('.') {
        return Err(TokenError::Parts);
    }
    Ok((signed, header, payload, signature))
}
