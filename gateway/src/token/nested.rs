//! The outer layer of a nested token (RFC 7519, 5.2; RFC 7516), when one is
//! accepted at all.
//!
//! What must hold: the outer layer has keys of its own, never those of the
//! token within; what it wraps is again a token that is verified in full; it is
//! the only layer around it. Encryption is A256GCM, with the key itself (`dir`)
//! or one agreed on (`ECDH-ES`); nothing is ever unpacked, and no key is ever
//! derived from a password.

use super::jws::{Header, Jws};
use super::{TokenError, base64url};
use crate::keys::{Curve, DecryptionKey, KeyRing, KeySource};
use crate::sha256::sha256;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, UnparsedPublicKey};
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

/// Whether nested tokens are accepted.
#[derive(Clone, Default)]
pub enum Nested {
    /// They are refused.
    #[default]
    Refuse,
    /// They are accepted, one layer around a token.
    Accept(NestedKeys),
}

/// The keys of outer layers.
#[derive(Clone, Default)]
pub struct NestedKeys {
    /// Keys that sign outer layers; not the ring of the tokens within.
    pub signed: Option<KeySource>,
    /// The ring whose folder `encryption` opens outer layers.
    pub encrypted: Option<KeySource>,
}

/// What an outer layer held.
pub(super) struct Opened {
    /// The token within.
    pub inner: Zeroizing<String>,
    /// The outer header, which may repeat claims.
    pub header: Map<String, Value>,
    /// When the life of the outer layer's key ends.
    pub key_ends: Option<u64>,
}

impl Opened {
    /// Claims that the outer header repeats must be those within (RFC 7519, 5.3).
    pub(super) fn agrees_with(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let repeated = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti"];
        let differs = |name: &str| self.header.get(name).is_some_and(|outer| claims.get(name) != Some(outer));
        if repeated.into_iter().any(differs) { Err(TokenError::NestedClaims) } else { Ok(()) }
    }
}

/// Verifies a signed outer layer.
pub(super) fn open_signed(outer: Jws<'_>, keys: &NestedKeys, now: u64) -> Result<Opened, TokenError> {
    let ring = keys.signed.as_ref().ok_or(TokenError::Nested)?.current();
    check_type(&outer.header)?;
    outer.header.without_thumbprint()?;
    let key = ring.find(outer.header.kid()?, now).ok_or(TokenError::UnknownKey)?;
    outer.verify(key)?;
    let key_ends = key.window().until;
    let inner = String::from_utf8(outer.payload).map_err(|_| TokenError::Encoding)?;
    Ok(Opened { inner: Zeroizing::new(inner), header: outer.header.members, key_ends })
}

/// Opens an encrypted outer layer: header, encrypted key, nonce, content, tag.
pub(super) fn open_encrypted(token: &str, keys: &NestedKeys) -> Result<Opened, TokenError> {
    let ring = keys.encrypted.as_ref().ok_or(TokenError::Nested)?.current();
    let parts: Vec<&str> = token.split('.').collect();
    let [header_part, wrapped, nonce, content, tag] = parts[..] else { return Err(TokenError::Parts) };
    let header = Header::read(header_part)?;
    check_type(&header)?;
    header.without_thumbprint()?;
    if header.cty.as_deref() != Some("JWT") {
        return Err(TokenError::Encryption("its 'cty' is not 'JWT'"));
    }
    if header.members.get("enc").and_then(Value::as_str) != Some("A256GCM") {
        return Err(TokenError::Encryption("its 'enc' is not A256GCM"));
    }
    if !wrapped.is_empty() {
        return Err(TokenError::Encryption("it brings an encrypted key"));
    }
    let content_key = content_key(&header, &ring)?;
    let nonce = base64url::decode(nonce).ok_or(TokenError::Encoding)?;
    let nonce =
        Nonce::try_assume_unique_for_key(&nonce).map_err(|_| TokenError::Encryption("its nonce is not 12 bytes"))?;
    let tag = base64url::decode(tag).ok_or(TokenError::Encoding)?;
    if tag.len() != 16 {
        return Err(TokenError::Encryption("its tag is not 16 bytes"));
    }
    let mut content = Zeroizing::new(base64url::decode(content).ok_or(TokenError::Encoding)?);
    let key =
        UnboundKey::new(&AES_256_GCM, &content_key).map_err(|_| TokenError::Encryption("its key is not 32 bytes"))?;
    LessSafeKey::new(key)
        .open_in_place_separate_tag(nonce, Aad::from(header_part.as_bytes()), &tag, &mut content)
        .map_err(|_| TokenError::Encryption("it does not open with this key"))?;
    let inner = std::str::from_utf8(&content).map_err(|_| TokenError::Encoding)?.to_owned();
    Ok(Opened { inner: Zeroizing::new(inner), header: header.members, key_ends: None })
}

/// An outer layer is no access token itself.
fn check_type(header: &Header) -> Result<(), TokenError> {
    if matches!(header.typ.as_deref(), None | Some("JWT")) { Ok(()) } else { Err(TokenError::Type) }
}

fn content_key(header: &Header, ring: &KeyRing) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    let key = ring.decryption_key(header.kid()?).ok_or(TokenError::UnknownKey)?;
    if header.alg != key.algorithm() {
        return Err(TokenError::Algorithm);
    }
    match key {
        DecryptionKey::Direct(secret) => {
            if header.members.contains_key("epk") {
                return Err(TokenError::Encryption("it brings a key where none is agreed on"));
            }
            Ok(secret.clone())
        }
        DecryptionKey::Agreement { curve, key } => {
            let peer = ephemeral_key(header, *curve)?;
            let party = |name: &'static str| match header.members.get(name) {
                None => Ok(Vec::new()),
                Some(Value::String(text)) => base64url::decode(text).ok_or(TokenError::Encoding),
                Some(_) => Err(TokenError::HeaderMember(name)),
            };
            let (apu, apv) = (party("apu")?, party("apv")?);
            let refused = TokenError::Encryption("its ephemeral key is not sound");
            agreement::agree(key, UnparsedPublicKey::new(curve.algorithm(), peer), refused.clone(), |shared| {
                // A shared secret of zeros comes of a point of small order (RFC 7748, 6.1).
                if shared.iter().all(|byte| *byte == 0) {
                    return Err(refused);
                }
                Ok(concat_kdf(shared, b"A256GCM", &apu, &apv, 32))
            })
        }
    }
}

/// The sender's ephemeral public key, which must be of our key's curve.
fn ephemeral_key(header: &Header, curve: Curve) -> Result<Vec<u8>, TokenError> {
    let Some(Value::Object(epk)) = header.members.get("epk") else { return Err(TokenError::HeaderMember("epk")) };
    if epk.contains_key("d") {
        return Err(TokenError::Encryption("its ephemeral key is a private one"));
    }
    let is = |name: &str, value: &str| epk.get(name).and_then(Value::as_str) == Some(value);
    let coordinate = |name: &str| {
        let bytes = epk.get(name).and_then(Value::as_str).and_then(base64url::decode);
        bytes.filter(|bytes| bytes.len() == 32).ok_or(TokenError::Encryption("its ephemeral key is not well formed"))
    };
    match curve {
        Curve::P256 if is("kty", "EC") && is("crv", "P-256") => {
            Ok([&[4u8][..], &coordinate("x")?, &coordinate("y")?].concat())
        }
        Curve::X25519 if is("kty", "OKP") && is("crv", "X25519") => coordinate("x"),
        _ => Err(TokenError::Encryption("its ephemeral key is of another curve")),
    }
}

/// The Concat KDF with SHA-256 (RFC 7518, 4.6.2; NIST SP 800-56A, 5.8.1) for
/// keys of at most one hash.
fn concat_kdf(shared: &[u8], algorithm: &[u8], apu: &[u8], apv: &[u8], bytes: usize) -> Zeroizing<Vec<u8>> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let (of_algorithm, of_apu, of_apv) = (length(algorithm), length(apu), length(apv));
    let bits = u32::try_from(bytes * 8).unwrap_or(u32::MAX).to_be_bytes();
    let mut hash = sha256(&[&1u32.to_be_bytes(), shared, &of_algorithm, algorithm, &of_apu, apu, &of_apv, apv, &bits]);
    let mut key = Zeroizing::new(hash.to_vec());
    hash.zeroize();
    key.truncate(bytes);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7518, appendix C.
    #[test]
    fn the_key_derivation_gives_the_key_of_its_rfc() {
        let shared = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128,
            106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let key = concat_kdf(&shared, b"A128GCM", b"Alice", b"Bob", 16);
        assert_eq!(base64url::encode(&*key), "VqqN6vgjbSBcIijNcacQGg");
    }
}
