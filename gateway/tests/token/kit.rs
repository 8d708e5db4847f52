//! A ring, a signer of anything, and a verifier to try it on.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use stockade_gateway::keys::KeyRing;
use stockade_gateway::token::{TokenError, Verified, Verifier, VerifierConfig, base64url};

pub const NOW: u64 = 1_800_000_000;
pub const ISSUER: &str = "https://gateway.test";
pub const AUDIENCE: &str = "docker://host-1";

/// An Ed25519 key that signs whatever it is given.
pub struct Hand {
    pub pair: Ed25519KeyPair,
    pub kid: &'static str,
}

impl Hand {
    pub fn new(kid: &'static str) -> Hand {
        Hand { pair: Ed25519KeyPair::generate().unwrap(), kid }
    }

    pub fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid,
               "x": base64url::encode(self.pair.public_key().as_ref())})
    }

    pub fn sign_parts(&self, header: &str, payload: &[u8]) -> String {
        let signed = format!("{}.{}", base64url::encode(header), base64url::encode(payload));
        let signature = base64url::encode(self.pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }

    pub fn header(&self) -> Value {
        json!({"typ": "at+jwt", "alg": "EdDSA", "kid": self.kid})
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_parts(&self.header().to_string(), claims.to_string().as_bytes())
    }

    /// A good token but for this header.
    pub fn with_header(&self, header: &Value) -> String {
        self.sign_parts(&header.to_string(), claims().to_string().as_bytes())
    }
}

/// Claims that are good.
pub fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "ann", "aud": AUDIENCE, "exp": NOW + 600, "iat": NOW, "jti": "t-1",
           "tenant": "blue", "role": "deploy", "sid": "s-1"})
}

/// `value` with one member changed; null removes it.
pub fn with(mut value: Value, name: &str, member: Value) -> Value {
    let map = value.as_object_mut().unwrap();
    if member.is_null() {
        map.shift_remove(name);
    } else {
        map.insert(name.to_owned(), member);
    }
    value
}

pub fn ring(keys: &[Value]) -> KeyRing {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("jwks.json"), json!({"keys": keys}).to_string()).unwrap();
    KeyRing::load_dir(dir.path()).unwrap()
}

pub struct Desk {
    pub hand: Hand,
    pub verifier: Verifier,
}

/// A key and a verifier that knows it.
pub fn desk() -> Desk {
    let hand = Hand::new("k-1");
    let verifier = Verifier::new(VerifierConfig::new(ISSUER, AUDIENCE), ring(&[hand.jwk()]));
    Desk { hand, verifier }
}

impl Desk {
    pub fn verify(&self, token: &str) -> Result<Verified, TokenError> {
        self.verifier.verify(token, NOW)
    }

    /// The verdict on good claims with one changed.
    pub fn claim(&self, name: &str, member: Value) -> Result<Verified, TokenError> {
        self.verify(&self.hand.sign(&with(claims(), name, member)))
    }

    /// The verdict on a good header with one member changed.
    pub fn header(&self, name: &str, member: Value) -> Result<Verified, TokenError> {
        self.verify(&self.hand.with_header(&with(self.hand.header(), name, member)))
    }
}

/// The modulus of a 2048-bit RSA key whose exponent is 65537, from its DER form
/// (RFC 8017, A.1.1: a sequence of two integers).
pub fn modulus(pair: &aws_lc_rs::rsa::KeyPair) -> Vec<u8> {
    let der = pair.public_key().as_ref();
    assert_eq!(der.len(), 270);
    assert_eq!(der[265..], [2, 3, 1, 0, 1][..]);
    der[9..265].to_vec()
}
