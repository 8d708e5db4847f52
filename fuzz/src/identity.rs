//! Tokens of a key that the fuzzer has, and the identities they stand for.

use std::sync::OnceLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use stockade_gateway::Identity;
use stockade_gateway::keys::KeyRing;
use stockade_gateway::token::{Verifier, VerifierConfig, base64url};

pub const NOW: u64 = 1_800_000_000;
pub const ISSUER: &str = "https://gateway.test";
pub const AUDIENCE: &str = "gateway.test";

/// A key, and a verifier that knows it.
pub struct Desk {
    pair: Ed25519KeyPair,
    pub verifier: Verifier,
}

/// The one of this process; always the same key, so that inputs stay good.
pub fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k",
                         "x": base64url::encode(pair.public_key().as_ref())});
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("jwks.json"), json!({"keys": [jwk]}).to_string()).expect("a key file");
        let ring = KeyRing::load_dir(dir.path()).expect("a ring");
        Desk { pair, verifier: Verifier::new(VerifierConfig::new(ISSUER, AUDIENCE), ring) }
    })
}

impl Desk {
    /// A token with this header and payload, rightly signed.
    pub fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        let signed = format!("{}.{}", base64url::encode(header), base64url::encode(payload));
        let signature = base64url::encode(self.pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}

/// Claims that are good.
pub fn claims(role: &str, tenant: Option<&str>) -> Value {
    let mut claims = json!({"iss": ISSUER, "sub": "fuzz", "aud": AUDIENCE, "exp": NOW + 600, "iat": NOW,
                            "jti": "t", "role": role});
    if let Some(tenant) = tenant {
        claims["tenant"] = tenant.into();
    }
    claims
}

/// The header of a good token.
pub fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "k"})
}

/// Whom a good token speaks for: there is no other way to an identity.
pub fn identity(role: &str, tenant: Option<&str>) -> Identity {
    let desk = desk();
    let token = desk.sign(header().to_string().as_bytes(), claims(role, tenant).to_string().as_bytes());
    desk.verifier.verify(&token, NOW).expect("a good token").identity
}
