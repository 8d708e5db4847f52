//! Keys that open the encrypted outer layer of a nested token (RFC 7516).

use super::jwk;
use aws_lc_rs::agreement::{self, PrivateKey};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// How the content key of an encrypted layer is found. Fixed per key.
pub enum DecryptionKey {
    /// `dir`: the content key itself, 32 bytes for A256GCM.
    Direct(Zeroizing<Vec<u8>>),
    /// `ECDH-ES` on P-256 or X25519; the public half is kept to tell the curve.
    Agreement {
        /// The curve.
        curve: Curve,
        /// The private key.
        key: PrivateKey,
    },
}

/// A curve of key agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// X25519 (RFC 7748).
    X25519,
}

impl Curve {
    /// The library's name of it.
    pub fn algorithm(self) -> &'static agreement::Algorithm {
        match self {
            Curve::P256 => &agreement::ECDH_P256,
            Curve::X25519 => &agreement::X25519,
        }
    }
}

impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DecryptionKey({})", self.algorithm())
    }
}

impl DecryptionKey {
    /// The `alg` of a header that this key fits.
    pub fn algorithm(&self) -> &'static str {
        match self {
            DecryptionKey::Direct(_) => "dir",
            DecryptionKey::Agreement { .. } => "ECDH-ES",
        }
    }

    /// A key and its id from a JWK: `use` is `enc`, `alg` is `dir` or `ECDH-ES`.
    ///
    /// # Errors
    /// The reason it is refused.
    pub fn from_jwk(members: &Map<String, Value>) -> Result<(String, DecryptionKey), &'static str> {
        let kid = jwk::valid_kid(jwk::text(members, "kid")?.ok_or("has no 'kid'")?)?.to_owned();
        if jwk::text(members, "use")? != Some("enc") {
            return Err("has a 'use' other than 'enc'");
        }
        let kty = jwk::required(members, "kty")?;
        let key = match (jwk::text(members, "alg")?, kty) {
            (Some("dir"), "oct") => {
                let secret = Zeroizing::new(jwk::bytes(members, "k")?);
                if secret.len() != 32 {
                    return Err("is a secret for 'dir' that is not 32 bytes long, as A256GCM needs");
                }
                DecryptionKey::Direct(secret)
            }
            (Some("ECDH-ES"), "EC" | "OKP") => {
                let curve = match jwk::required(members, "crv")? {
                    "P-256" if kty == "EC" => Curve::P256,
                    "X25519" if kty == "OKP" => Curve::X25519,
                    _ => return Err("has a curve other than P-256 and X25519"),
                };
                let private = Zeroizing::new(jwk::bytes(members, "d")?);
                let key = PrivateKey::from_private_key(curve.algorithm(), &private)
                    .map_err(|_| "is not a private key of its curve")?;
                let expected = match curve {
                    Curve::P256 => jwk::p256_point(&jwk::bytes(members, "x")?, &jwk::bytes(members, "y")?)?,
                    Curve::X25519 => jwk::bytes(members, "x")?,
                };
                let public = key.compute_public_key().map_err(|_| "is not a private key of its curve")?;
                if public.as_ref() != expected {
                    return Err("has a private key 'd' that does not belong to its public key");
                }
                DecryptionKey::Agreement { curve, key }
            }
            _ => return Err("has an 'alg' other than 'dir' (oct) and 'ECDH-ES' (EC, OKP)"),
        };
        Ok((kid, key))
    }
}
