//! Tokens within tokens.

use super::kit::{AUDIENCE, Hand, ISSUER, NOW, claims, ring, with};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;
use stockade_gateway::keys::{KeyError, KeyRing};
use stockade_gateway::token::{Nested, NestedKeys, TokenError, Verifier, VerifierConfig, base64url};

struct Desk {
    inner: Hand,
    outer: Hand,
    verifier: Verifier,
}

impl Desk {
    fn verdict(&self, token: &str) -> Result<String, TokenError> {
        self.verifier.verify(token, NOW).map(|verified| verified.identity.subject)
    }

    fn wrap(&self, header: &Value, inner: &str) -> String {
        self.outer.sign_parts(&header.to_string(), inner.as_bytes())
    }

    fn token(&self) -> String {
        self.inner.sign(&claims())
    }
}

fn outer_header() -> Value {
    json!({"alg": "EdDSA", "kid": "outer", "cty": "JWT"})
}

/// A ring of decryption keys.
fn opening(keys: &[Value]) -> Result<KeyRing, KeyError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("any.jwk"), Hand::new("any").jwk().to_string()).unwrap();
    std::fs::create_dir(dir.path().join("encryption")).unwrap();
    let file = dir.path().join("encryption/keys.json");
    std::fs::write(&file, json!({"keys": keys}).to_string()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    KeyRing::load_dir(dir.path())
}

fn desk(decryption: &[Value]) -> Desk {
    let (inner, outer) = (Hand::new("k-1"), Hand::new("outer"));
    let mut config = VerifierConfig::new(ISSUER, AUDIENCE);
    let encrypted = (!decryption.is_empty()).then(|| opening(decryption).unwrap().into());
    config.nested = Nested::Accept(NestedKeys { signed: Some(ring(&[outer.jwk()]).into()), encrypted });
    let verifier = Verifier::new(config, ring(&[inner.jwk()]));
    Desk { inner, outer, verifier }
}

#[test]
fn nested_tokens_are_refused_unless_configured() {
    let desk = super::kit::desk();
    for cty in ["JWT", "jwt", "Jwt"] {
        assert_eq!(desk.header("cty", json!(cty)).unwrap_err(), TokenError::Nested, "{cty}");
    }
    for cty in ["json", "", "application/jwt"] {
        assert_eq!(desk.header("cty", json!(cty)).unwrap_err(), TokenError::HeaderForbidden("cty"), "{cty}");
    }
    assert_eq!(desk.verify("a.b.c.d.e").unwrap_err(), TokenError::Parts);
}

#[test]
fn every_layer_is_verified_with_its_own_key() {
    let desk = desk(&[]);
    let token = desk.token();
    assert_eq!(desk.verdict(&token).as_deref(), Ok("ann"), "not nested is fine too");
    assert_eq!(desk.verdict(&desk.wrap(&outer_header(), &token)).as_deref(), Ok("ann"));
    assert_eq!(desk.verdict(&desk.wrap(&with(outer_header(), "typ", json!("JWT")), &token)).as_deref(), Ok("ann"));

    let other = Hand::new("outer");
    let forged = other.sign_parts(&outer_header().to_string(), token.as_bytes());
    assert_eq!(desk.verdict(&forged).unwrap_err(), TokenError::Signature);
    let forged = desk.wrap(&outer_header(), &Hand::new("k-1").sign(&claims()));
    assert_eq!(desk.verdict(&forged).unwrap_err(), TokenError::Signature);
    // The key of the tokens within does not sign outer layers, nor the other way round.
    let swapped = desk.inner.sign_parts(&with(outer_header(), "kid", json!("k-1")).to_string(), token.as_bytes());
    assert_eq!(desk.verdict(&swapped).unwrap_err(), TokenError::UnknownKey);
    assert_eq!(desk.verdict(&desk.outer.sign(&claims())).unwrap_err(), TokenError::UnknownKey);
}

#[test]
fn the_token_within_is_checked_in_full() {
    let desk = desk(&[]);
    let wrap = |inner: String| desk.verdict(&desk.wrap(&outer_header(), &inner)).unwrap_err();
    assert_eq!(wrap(desk.inner.sign(&with(claims(), "exp", json!(NOW)))), TokenError::Expired);
    assert_eq!(wrap(desk.inner.sign(&with(claims(), "aud", json!("x")))), TokenError::Audience);
    assert_eq!(wrap(desk.inner.with_header(&with(desk.inner.header(), "typ", json!("JWT")))), TokenError::Type);
    assert_eq!(
        wrap(desk.inner.with_header(&with(desk.inner.header(), "alg", json!("None")))),
        TokenError::AlgorithmNone
    );
    assert_eq!(wrap(claims().to_string()), TokenError::Parts);
    assert_eq!(wrap(String::new()), TokenError::Empty);
}

#[test]
fn more_than_two_layers_are_refused() {
    let desk = desk(&[]);
    let two = desk.wrap(&outer_header(), &desk.token());
    let three = desk.wrap(&outer_header(), &two);
    assert_eq!(desk.verdict(&three).unwrap_err(), TokenError::NestedTooDeep);
}

#[test]
fn an_outer_header_with_typ_at_jwt_crit_or_a_key_is_refused() {
    let desk = desk(&[]);
    let token = desk.token();
    let verdict = |name, value| desk.verdict(&desk.wrap(&with(outer_header(), name, value), &token)).unwrap_err();
    assert_eq!(verdict("typ", json!("at+jwt")), TokenError::Type);
    assert_eq!(verdict("crit", json!([])), TokenError::HeaderForbidden("crit"));
    assert_eq!(verdict("jwk", desk.outer.jwk()), TokenError::HeaderForbidden("jwk"));
    assert_eq!(verdict("x5t", json!("x")), TokenError::HeaderForbidden("x5t"));
    assert_eq!(verdict("alg", json!("RS256")), TokenError::Algorithm);
}

#[test]
fn a_claim_repeated_in_the_outer_header_must_agree() {
    let desk = desk(&[]);
    let wrap = |name, value| desk.verdict(&desk.wrap(&with(outer_header(), name, value), &desk.token()));
    assert!(wrap("iss", json!(ISSUER)).is_ok());
    for (name, value) in
        [("iss", json!("x")), ("sub", json!("eve")), ("aud", json!([AUDIENCE])), ("exp", json!(1)), ("nbf", json!(1))]
    {
        assert_eq!(wrap(name, value).unwrap_err(), TokenError::NestedClaims, "{name}");
    }
}

// --- encrypted outer layers ---

fn content_key() -> Vec<u8> {
    (0..32).map(|n| n * 5 + 1).collect()
}

fn dir_jwk() -> Value {
    json!({"kty": "oct", "use": "enc", "alg": "dir", "kid": "box", "k": base64url::encode(content_key())})
}

fn dir_header() -> Value {
    json!({"alg": "dir", "enc": "A256GCM", "kid": "box", "cty": "JWT"})
}

fn seal_with(algorithm: &'static Algorithm, key: &[u8], header: &Value, inner: &str) -> String {
    let header = base64url::encode(header.to_string());
    let nonce = [7u8; 12];
    let mut content = inner.as_bytes().to_vec();
    let tag = LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap())
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header.as_bytes()), &mut content)
        .unwrap();
    let [nonce, content, tag] = [&nonce[..], &content, tag.as_ref()].map(base64url::encode);
    format!("{header}..{nonce}.{content}.{tag}")
}

fn seal(key: &[u8], header: &Value, inner: &str) -> String {
    seal_with(&AES_256_GCM, key, header, inner)
}

#[test]
fn an_encrypted_layer_with_dir_opens_with_its_key_only() {
    let desk = desk(&[dir_jwk()]);
    let token = desk.token();
    assert_eq!(desk.verdict(&seal(&content_key(), &dir_header(), &token)).as_deref(), Ok("ann"));
    let wrong = seal(&[9; 32], &dir_header(), &token);
    assert!(matches!(desk.verdict(&wrong), Err(TokenError::Encryption(_))));
    // What it wraps is a signed token, never claims alone.
    assert!(desk.verdict(&seal(&content_key(), &dir_header(), &claims().to_string())).is_err());
    let unsigned = format!(
        "{}.{}.",
        base64url::encode(r#"{"typ":"at+jwt","alg":"none"}"#),
        base64url::encode(claims().to_string())
    );
    assert_eq!(desk.verdict(&seal(&content_key(), &dir_header(), &unsigned)).unwrap_err(), TokenError::AlgorithmNone);
    let twice = seal(&content_key(), &dir_header(), &seal(&content_key(), &dir_header(), &token));
    assert_eq!(desk.verdict(&twice).unwrap_err(), TokenError::Parts);
    let signed_within = seal(&content_key(), &dir_header(), &desk.wrap(&outer_header(), &token));
    assert_eq!(desk.verdict(&signed_within).unwrap_err(), TokenError::NestedTooDeep);
}

#[test]
fn other_encryption_zip_and_passwords_are_refused() {
    let desk = desk(&[dir_jwk()]);
    let token = desk.token();
    let verdict = |header: Value| desk.verdict(&seal(&content_key(), &header, &token)).unwrap_err();
    assert_eq!(verdict(with(dir_header(), "zip", json!("DEF"))), TokenError::HeaderForbidden("zip"));
    assert_eq!(verdict(with(dir_header(), "p2c", json!(100_000_000))), TokenError::HeaderForbidden("p2c"));
    assert_eq!(verdict(with(dir_header(), "crit", json!(["exp"]))), TokenError::HeaderForbidden("crit"));
    assert_eq!(verdict(with(dir_header(), "jwk", json!({}))), TokenError::HeaderForbidden("jwk"));
    for alg in
        ["PBES2-HS256+A128KW", "RSA1_5", "RSA-OAEP", "A256KW", "A256GCMKW", "ECDH-ES", "ECDH-ES+A256KW", "DIR", ""]
    {
        assert_eq!(verdict(with(dir_header(), "alg", json!(alg))), TokenError::Algorithm, "{alg}");
    }
    assert_eq!(verdict(with(dir_header(), "alg", json!("none"))), TokenError::AlgorithmNone);
    for enc in [json!("A128GCM"), json!("A256CBC-HS512"), json!("a256gcm"), json!(["A256GCM"])] {
        assert!(matches!(verdict(with(dir_header(), "enc", enc)), TokenError::Encryption(_)));
    }
    for cty in [json!("json"), json!("jwt"), Value::Null] {
        assert!(matches!(verdict(with(dir_header(), "cty", cty)), TokenError::Encryption(_)));
    }
    assert_eq!(verdict(with(dir_header(), "kid", json!("other"))), TokenError::UnknownKey);
    let weak = seal_with(&AES_128_GCM, &content_key()[..16], &dir_header(), &token);
    assert!(matches!(desk.verdict(&weak), Err(TokenError::Encryption(_))));
}

#[test]
fn a_changed_encrypted_layer_does_not_open() {
    let desk = desk(&[dir_jwk()]);
    let token = seal(&content_key(), &dir_header(), &desk.token());
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(desk.verdict(&String::from_utf8(bytes).unwrap()).is_err(), "letter {at}");
    }
    // A shortened tag is no tag.
    let parts: Vec<&str> = token.split('.').collect();
    let short = base64url::encode(&base64url::decode(parts[4]).unwrap()[..12]);
    let cut = [parts[0], parts[1], parts[2], parts[3], &short].join(".");
    assert!(matches!(desk.verdict(&cut), Err(TokenError::Encryption(_))));
    let keyed = [parts[0], "AAAA", parts[2], parts[3], parts[4]].join(".");
    assert!(matches!(desk.verdict(&keyed), Err(TokenError::Encryption(_))));
}

struct Agreed {
    jwk: Value,
    public: Vec<u8>,
    algorithm: &'static agreement::Algorithm,
}

fn p256_receiver() -> Agreed {
    let key = PrivateKey::generate(&agreement::ECDH_P256).unwrap();
    let d: EcPrivateKeyBin<'_> = key.as_be_bytes().unwrap();
    let public = key.compute_public_key().unwrap().as_ref().to_vec();
    let jwk = json!({"kty": "EC", "crv": "P-256", "use": "enc", "alg": "ECDH-ES", "kid": "box",
        "x": base64url::encode(&public[1..33]), "y": base64url::encode(&public[33..]), "d": base64url::encode(d.as_ref())});
    Agreed { jwk, public, algorithm: &agreement::ECDH_P256 }
}

fn x25519_receiver() -> Agreed {
    let key = PrivateKey::generate(&agreement::X25519).unwrap();
    let d: Curve25519SeedBin<'_> = key.as_be_bytes().unwrap();
    let public = key.compute_public_key().unwrap().as_ref().to_vec();
    let jwk = json!({"kty": "OKP", "crv": "X25519", "use": "enc", "alg": "ECDH-ES", "kid": "box",
        "x": base64url::encode(&public), "d": base64url::encode(d.as_ref())});
    Agreed { jwk, public, algorithm: &agreement::X25519 }
}

fn epk(algorithm: &'static agreement::Algorithm, public: &[u8]) -> Value {
    if algorithm == &agreement::X25519 {
        json!({"kty": "OKP", "crv": "X25519", "x": base64url::encode(public)})
    } else {
        json!({"kty": "EC", "crv": "P-256", "x": base64url::encode(&public[1..33]), "y": base64url::encode(&public[33..])})
    }
}

/// The sender's side, written from RFC 7518, 4.6.
fn seal_agreed(to: &Agreed, inner: &str) -> String {
    let mine = PrivateKey::generate(to.algorithm).unwrap();
    let mut header =
        json!({"alg": "ECDH-ES", "enc": "A256GCM", "kid": "box", "cty": "JWT", "apu": base64url::encode("ann")});
    header["epk"] = epk(to.algorithm, mine.compute_public_key().unwrap().as_ref());
    let key = agreement::agree(&mine, UnparsedPublicKey::new(to.algorithm, &to.public), (), |z| {
        let mut hash = Sha256::new();
        hash.update([0, 0, 0, 1]);
        hash.update(z);
        hash.update([0, 0, 0, 7]);
        hash.update("A256GCM");
        hash.update([0, 0, 0, 3]);
        hash.update("ann");
        hash.update([0, 0, 0, 0]);
        hash.update([0, 0, 1, 0]);
        Ok(hash.finalize().to_vec())
    })
    .unwrap();
    seal(&key, &header, inner)
}

#[test]
fn an_encrypted_layer_with_ecdh_es_opens_on_both_curves() {
    for receiver in [p256_receiver(), x25519_receiver()] {
        let desk = desk(std::slice::from_ref(&receiver.jwk));
        assert_eq!(desk.verdict(&seal_agreed(&receiver, &desk.token())).as_deref(), Ok("ann"));
    }
}

#[test]
fn an_ephemeral_key_that_is_not_sound_is_refused() {
    for receiver in [p256_receiver(), x25519_receiver()] {
        let desk = desk(std::slice::from_ref(&receiver.jwk));
        let good = epk(receiver.algorithm, &receiver.public);
        let x25519 = receiver.algorithm == &agreement::X25519;
        let other = if x25519 { p256_receiver() } else { x25519_receiver() };
        let mut wrong = vec![
            json!(null),
            json!("x"),
            json!({}),
            with(good.clone(), "x", json!(base64url::encode([1u8; 31]))),
            with(good.clone(), "crv", json!("P-521")),
            with(good.clone(), "d", json!("AAAA")),
            with(good.clone(), "x", json!(null)),
            epk(other.algorithm, &other.public),
        ];
        if x25519 {
            // Points of small order give a shared secret of zeros.
            wrong.push(with(good.clone(), "x", json!(base64url::encode([0u8; 32]))));
            wrong.push(with(
                good,
                "x",
                json!(base64url::encode({
                    let mut one = [0u8; 32];
                    one[0] = 1;
                    one
                })),
            ));
        } else {
            wrong.push(with(good.clone(), "y", json!(base64url::encode([1u8; 32])))); // not on the curve
        }
        for epk in wrong {
            let header = json!({"alg": "ECDH-ES", "enc": "A256GCM", "kid": "box", "cty": "JWT", "epk": epk});
            // Sealed with the key that a shared secret of zeros would give.
            let mut hash = Sha256::new();
            hash.update([0, 0, 0, 1]);
            hash.update([0u8; 32]);
            hash.update([0, 0, 0, 7]);
            hash.update("A256GCM");
            hash.update([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
            let token = seal(&hash.finalize(), &header, &desk.token());
            assert!(desk.verdict(&token).is_err(), "{epk}");
        }
    }
}

#[test]
fn a_decryption_key_is_checked_when_it_is_loaded() {
    assert!(opening(&[dir_jwk()]).is_ok());
    let (ec, okp) = (p256_receiver().jwk, x25519_receiver().jwk);
    for wrong in [
        with(dir_jwk(), "use", json!("sig")),
        with(dir_jwk(), "use", Value::Null),
        with(dir_jwk(), "alg", Value::Null),
        with(dir_jwk(), "alg", json!("PBES2-HS256+A128KW")),
        with(dir_jwk(), "alg", json!("ECDH-ES")),
        with(dir_jwk(), "k", json!(base64url::encode([1u8; 16]))),
        with(dir_jwk(), "kid", Value::Null),
        with(ec.clone(), "d", Value::Null),
        with(ec.clone(), "d", p256_receiver().jwk["d"].clone()),
        with(ec.clone(), "d", json!(base64url::encode([0u8; 32]))),
        with(ec, "crv", json!("P-384")),
        with(okp.clone(), "x", x25519_receiver().jwk["x"].clone()),
        with(okp, "alg", json!("dir")),
    ] {
        assert!(matches!(opening(std::slice::from_ref(&wrong)), Err(KeyError::Refused { .. })), "{wrong}");
    }
}
