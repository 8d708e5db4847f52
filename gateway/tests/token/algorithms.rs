//! Each algorithm with its key: what verifies, and what must not.

use super::kit::{AUDIENCE, Hand, ISSUER, NOW, claims, ring};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use aws_lc_rs::{digest, hmac};
use serde_json::{Value, json};
use stockade_gateway::keys::KeyRing;
use stockade_gateway::token::{Judge, TokenError, Verifier, VerifierConfig, base64url, verify_lines};

fn header(alg: &str, kid: &str) -> String {
    json!({"typ": "at+jwt", "alg": alg, "kid": kid}).to_string()
}

fn signing_input(alg: &str, kid: &str) -> String {
    format!("{}.{}", base64url::encode(header(alg, kid)), base64url::encode(claims().to_string()))
}

fn token(input: &str, signature: impl AsRef<[u8]>) -> String {
    format!("{input}.{}", base64url::encode(signature))
}

fn verifier(keys: &[Value]) -> Verifier {
    Verifier::new(VerifierConfig::new(ISSUER, AUDIENCE), ring(keys))
}

fn judge(keys: &Value, token: &str) -> Value {
    let ring = KeyRing::from_vectors(keys.to_string().as_bytes(), "vector").unwrap();
    let mut out = Vec::new();
    verify_lines(&Judge::SignatureOnly(&ring), token.as_bytes(), &mut out, || NOW).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn the_vectors_of_the_rfcs_verify_and_their_changes_do_not() {
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let vectors = [
        // RFC 7515, A.1
        (
            json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            payload,
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        // RFC 7515, A.2
        (
            json!({"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}),
            "eyJhbGciOiJSUzI1NiJ9",
            payload,
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        // RFC 7515, A.3
        (
            json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
            "eyJhbGciOiJFUzI1NiJ9",
            payload,
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        // RFC 8037, A.4
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            "eyJhbGciOiJFZERTQSJ9",
            "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    for (key, header, payload, signature) in vectors {
        let good = judge(&key, &format!("{header}.{payload}.{signature}"));
        assert_eq!(good["ok"], json!(true), "{key}: {good}");
        let changed = format!("{header}.{}.{signature}", payload.replacen(&payload[..4], "AAAA", 1));
        assert_eq!(judge(&key, &changed)["ok"], json!(false));
        let none = format!("{}.{payload}.", base64url::encode(r#"{"alg":"none"}"#));
        assert_eq!(judge(&key, &none)["ok"], json!(false));
    }
}

struct P256 {
    fixed: EcdsaKeyPair,
    jwk: Value,
}

fn p256() -> P256 {
    let fixed = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = fixed.public_key().as_ref().to_vec();
    let jwk = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "ec",
                     "x": base64url::encode(&point[1..33]), "y": base64url::encode(&point[33..])});
    P256 { fixed, jwk }
}

fn ecdsa(pair: &EcdsaKeyPair, message: &str) -> Vec<u8> {
    pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
}

/// The order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn es256_verifies_and_r_and_s_must_lie_within_their_range() {
    let key = p256();
    let verifier = verifier(std::slice::from_ref(&key.jwk));
    let input = signing_input("ES256", "ec");
    let signature = ecdsa(&key.fixed, &input);
    assert!(verifier.verify(&token(&input, &signature), NOW).is_ok());

    let (r, s) = signature.split_at(32);
    let zero = [0u8; 32];
    let one = {
        let mut one = zero;
        one[31] = 1;
        one
    };
    for (name, r, s) in [
        ("both zero", &zero[..], &zero[..]),
        ("r zero", &zero, s),
        ("s zero", r, &zero),
        ("both one", &one, &one),
        ("r is the order", &ORDER, s),
        ("s is the order", r, &ORDER),
        ("both the order", &ORDER, &ORDER),
        ("r all ones", &[0xff; 32], s),
        ("s all ones", r, &[0xff; 32]),
        ("r zero, s one", &zero, &one),
        ("swapped", s, r),
    ] {
        let forged = [r, s].concat();
        assert_eq!(verifier.verify(&token(&input, &forged), NOW).unwrap_err(), TokenError::Signature, "{name}");
    }
}

#[test]
fn es256_signatures_of_another_length_or_in_der_are_refused() {
    let key = p256();
    let verifier = verifier(std::slice::from_ref(&key.jwk));
    let input = signing_input("ES256", "ec");
    let fixed = ecdsa(&key.fixed, &input);
    let der = {
        let asn1: &'static EcdsaSigningAlgorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = key.fixed.to_pkcs8v1().unwrap();
        ecdsa(&EcdsaKeyPair::from_pkcs8(asn1, pkcs8.as_ref()).unwrap(), &input)
    };
    let padded = [&[0u8][..], &fixed[..32], &[0u8], &fixed[32..]].concat();
    for wrong in [
        der,
        Vec::new(),
        fixed[..63].to_vec(),
        [&fixed[..], &[0]].concat(),
        [&[0], &fixed[..]].concat(),
        padded,
        fixed.repeat(2),
    ] {
        assert_eq!(verifier.verify(&token(&input, &wrong), NOW).unwrap_err(), TokenError::Signature, "{}", wrong.len());
    }
}

#[test]
fn eddsa_signatures_of_another_length_or_with_s_out_of_range_are_refused() {
    let hand = Hand::new("k-1");
    let verifier = verifier(&[hand.jwk()]);
    let input = signing_input("EdDSA", "k-1");
    let good = hand.pair.sign(input.as_bytes()).as_ref().to_vec();
    assert!(verifier.verify(&token(&input, &good), NOW).is_ok());
    // s + L is the same number modulo L: a second spelling unless refused (RFC 8032, 5.1.7).
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut malleable = good.clone();
    let mut carry = 0u16;
    for (byte, add) in malleable[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    for wrong in [malleable, vec![0; 64], vec![], good[..63].to_vec(), [&good[..], &[0]].concat(), vec![0xff; 64]] {
        assert_eq!(verifier.verify(&token(&input, &wrong), NOW).unwrap_err(), TokenError::Signature);
    }
}

fn rsa(size: KeySize) -> (RsaKeyPair, Value) {
    let pair = RsaKeyPair::generate(size).unwrap();
    let jwk = json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "rsa", "e": "AQAB",
                     "n": base64url::encode(super::kit::modulus(&pair))});
    (pair, jwk)
}

fn rsa_signature(pair: &RsaKeyPair, padding: &'static dyn RsaEncoding, message: &str) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    signature
}

#[test]
fn rs256_and_ps256_verify_each_with_its_own_padding_only() {
    let (pair, rs) = rsa(KeySize::Rsa2048);
    let ps = super::kit::with(super::kit::with(rs.clone(), "alg", json!("PS256")), "kid", json!("pss"));
    let verifier = verifier(&[rs, ps]);
    for (alg, kid, own, other) in
        [("RS256", "rsa", &RSA_PKCS1_SHA256, &RSA_PSS_SHA256), ("PS256", "pss", &RSA_PSS_SHA256, &RSA_PKCS1_SHA256)]
    {
        let input = signing_input(alg, kid);
        let good = rsa_signature(&pair, own, &input);
        assert!(verifier.verify(&token(&input, &good), NOW).is_ok(), "{alg}");
        for wrong in [
            rsa_signature(&pair, other, &input),
            [&[0], &good[..]].concat(),
            good[1..].to_vec(),
            vec![0; 256],
            [vec![0; 255], vec![1]].concat(),
            vec![0xff; 256],
            Vec::new(),
        ] {
            assert_eq!(verifier.verify(&token(&input, wrong), NOW).unwrap_err(), TokenError::Signature, "{alg}");
        }
    }
    // One key under the other's id: the key's algorithm counts.
    let input = signing_input("PS256", "rsa");
    let signed = rsa_signature(&pair, &RSA_PSS_SHA256, &input);
    assert_eq!(verifier.verify(&token(&input, signed), NOW).unwrap_err(), TokenError::Algorithm);
}

#[test]
fn a_public_key_never_verifies_as_an_hmac_secret() {
    let (pair, rs) = rsa(KeySize::Rsa2048);
    let ec = p256();
    let hand = Hand::new("ed");
    let spki = {
        use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    };
    let pem = {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(&spki);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    };
    let keys = [rs.clone(), ec.jwk.clone(), hand.jwk()];
    let verifier = verifier(&keys);
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("rsa", pem.clone().into_bytes()),
        ("rsa", pem.trim_end().as_bytes().to_vec()),
        ("rsa", spki),
        ("rsa", rs.to_string().into_bytes()),
        ("rsa", base64url::decode(rs["n"].as_str().unwrap()).unwrap()),
        ("ec", base64url::decode(ec.jwk["x"].as_str().unwrap()).unwrap()),
        ("ec", ec.fixed.public_key().as_ref().to_vec()),
        ("ed", hand.pair.public_key().as_ref().to_vec()),
        ("ed", Vec::new()),
    ];
    for (kid, secret) in secrets {
        let input = signing_input("HS256", kid);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input.as_bytes());
        assert_eq!(verifier.verify(&token(&input, tag.as_ref()), NOW).unwrap_err(), TokenError::Algorithm, "{kid}");
        // Named as the key's own algorithm it is no signature either.
        let own = match kid {
            "rsa" => "RS256",
            "ec" => "ES256",
            _ => "EdDSA",
        };
        let input = signing_input(own, kid);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input.as_bytes());
        assert_eq!(verifier.verify(&token(&input, tag.as_ref()), NOW).unwrap_err(), TokenError::Signature, "{kid}");
    }
}

#[test]
fn hs256_verifies_from_the_symmetric_ring_only() {
    use std::os::unix::fs::PermissionsExt;
    let secret: Vec<u8> = digest::digest(&digest::SHA256, b"a test secret").as_ref().to_vec();
    let jwk = json!({"kty": "oct", "alg": "HS256", "use": "sig", "kid": "hs", "k": base64url::encode(&secret)});
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("symmetric")).unwrap();
    let file = dir.path().join("symmetric/hs.jwk");
    std::fs::write(&file, jwk.to_string()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let keys = KeyRing::load_dir(dir.path()).unwrap();
    assert_eq!(keys.jwks_public(), json!({"keys": []}), "a secret is never published");
    let verifier = Verifier::new(VerifierConfig::new(ISSUER, AUDIENCE), keys);
    let input = signing_input("HS256", "hs");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input.as_bytes()).as_ref().to_vec();
    assert!(verifier.verify(&token(&input, &tag), NOW).is_ok());
    for wrong in [tag[..31].to_vec(), tag[..16].to_vec(), vec![], vec![0; 32], [&tag[..], &[0]].concat()] {
        assert_eq!(verifier.verify(&token(&input, wrong), NOW).unwrap_err(), TokenError::Signature);
    }
    for alg in ["HS384", "HS512", "EdDSA", "hs256"] {
        let input = signing_input(alg, "hs");
        assert_eq!(verifier.verify(&token(&input, &tag), NOW).unwrap_err(), TokenError::Algorithm, "{alg}");
    }
}

#[test]
fn another_keys_signature_under_a_known_id_is_refused() {
    let (hand, other) = (Hand::new("k-1"), Hand::new("k-1"));
    let verifier = verifier(&[hand.jwk()]);
    assert_eq!(verifier.verify(&other.sign(&claims()), NOW).unwrap_err(), TokenError::Signature);
}
