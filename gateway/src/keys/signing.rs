//! The private half: Ed25519 keys that this gateway signs its tokens with.

use super::jwk::{self, Common, Origin, Window};
use super::{Algorithm, KeyError};
use crate::token::base64url;
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// A key that signs. Its seed is in the library's keeping, which wipes it.
pub struct SigningKey {
    kid: String,
    window: Window,
    pair: Ed25519KeyPair,
    public: Value,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

impl SigningKey {
    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// When it may be used.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Shortens its life to what its public file says.
    pub(super) fn end_at(&mut self, until: Option<u64>) {
        self.window.until = match (self.window.until, until) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
    }

    /// The public half as a JWK.
    pub fn public_jwk(&self) -> &Value {
        &self.public
    }

    /// Signs.
    ///
    /// # Errors
    /// The library refuses (it has no memory left).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.pair.try_sign(message).map_err(|_| KeyError::Make("signing failed"))?;
        Ok(signature.as_ref().to_vec())
    }

    /// A private key from its members (RFC 8037, 2): `d` and `x` must belong together.
    ///
    /// # Errors
    /// The reason it is refused.
    pub fn from_jwk(members: &Map<String, Value>) -> Result<SigningKey, &'static str> {
        let common = Common::read(members, Origin::Ring)?;
        if jwk::required(members, "kty")? != "OKP" || jwk::required(members, "crv")? != "Ed25519" {
            return Err("is not an Ed25519 key; this gateway signs with Ed25519 only");
        }
        let algorithm = common.algorithm_or(Algorithm::EdDsa, &[Algorithm::EdDsa])?;
        let seed = Zeroizing::new(jwk::bytes(members, "d").map_err(|_| "has no private key 'd'")?);
        let x = jwk::bytes(members, "x")?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &x)
            .map_err(|_| "has a private key 'd' that does not belong to its public key 'x'")?;
        let public = common.jwk("OKP", algorithm, &[("crv", "Ed25519".into()), ("x", base64url::encode(&x))]);
        Ok(SigningKey { kid: common.kid, window: common.window, pair, public })
    }

    /// A new key from the random source, as the text of its private JWK and its id.
    /// The id is random, so that it tells nothing and is never used twice.
    ///
    /// # Errors
    /// The random source fails.
    pub(super) fn generate(from: u64) -> Result<(String, Zeroizing<String>), KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Make("no Ed25519 key could be generated"))?;
        let seed = pair.seed().map_err(|_| KeyError::Make("the new key has no seed"))?;
        let seed = seed.as_be_bytes().map_err(|_| KeyError::Make("the new key has no seed"))?;
        let mut id = [0u8; 12];
        getrandom::fill(&mut id).map_err(|_| KeyError::Make("the random source fails"))?;
        let kid = base64url::encode(id);
        let (d, x) = (Zeroizing::new(base64url::encode(seed.as_ref())), base64url::encode(pair.public_key().as_ref()));
        let text = Zeroizing::new(format!(
            "{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"EdDSA\",\"use\":\"sig\",\"kid\":\"{kid}\",\
             \"nbf\":{from},\"x\":\"{x}\",\"d\":\"{}\"}}\n",
            *d
        ));
        Ok((kid, text))
    }
}
