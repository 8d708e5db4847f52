//! Loading keys.

use super::kit::{Hand, NOW, with};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use stockade_gateway::keys::{KeyError, KeyRing, KeySource, Reload};
use stockade_gateway::token::base64url;

fn put(dir: &Path, name: &str, text: &str, mode: u32) {
    let file = dir.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn load(key: &Value) -> Result<KeyRing, KeyError> {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "one.jwk", &key.to_string(), 0o644);
    KeyRing::load_dir(dir.path())
}

#[track_caller]
fn refused(key: &Value, reason: &str) {
    let error = load(key).expect_err("it was loaded").to_string();
    assert!(error.contains(reason), "{error}");
}

fn ed() -> Value {
    Hand::new("k").jwk()
}

fn rsa_jwk(n: &[u8], e: &[u8]) -> Value {
    json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k", "n": base64url::encode(n), "e": base64url::encode(e)})
}

fn secret(bytes: &[u8]) -> Value {
    json!({"kty": "oct", "alg": "HS256", "use": "sig", "kid": "s", "k": base64url::encode(bytes)})
}

/// Thirty-two bytes that are not all the same.
fn random_bytes() -> Vec<u8> {
    (0..32).map(|n| n * 7 + 3).collect()
}

#[test]
fn a_key_must_say_what_it_is() {
    assert!(load(&ed()).is_ok());
    refused(&with(ed(), "kid", json!(null)), "kid");
    refused(&with(ed(), "kid", json!("")), "kid");
    refused(&with(ed(), "kid", json!("a\nb")), "kid");
    refused(&with(ed(), "kid", json!("k".repeat(256))), "kid");
    refused(&with(ed(), "kid", json!(7)), "wrong JSON type");
    refused(&with(ed(), "kty", json!(null)), "kty");
    refused(&with(ed(), "kty", json!("okp")), "kty");
    refused(&with(ed(), "alg", json!(null)), "alg");
    refused(&with(ed(), "use", json!(null)), "use");
    refused(&with(ed(), "use", json!("enc")), "use");
    refused(&with(ed(), "use", json!("SIG")), "use");
    refused(&with(ed(), "key_ops", json!(["encrypt"])), "key_ops");
    refused(&with(ed(), "key_ops", json!(["verify", "wrapKey"])), "key_ops");
    refused(&with(ed(), "key_ops", json!("verify")), "key_ops");
    assert!(load(&with(ed(), "key_ops", json!(["verify"]))).is_ok());
    for time in [json!("5"), json!(1.5), json!(-1)] {
        refused(&with(ed(), "nbf", time.clone()), "nbf");
        refused(&with(ed(), "exp", time), "exp");
    }
    refused(&with(with(ed(), "nbf", json!(5)), "exp", json!(5)), "exp");
}

#[test]
fn the_algorithm_must_fit_type_and_curve() {
    for alg in ["ES256", "RS256", "HS256", "none", "ES384", "RSA-OAEP", "eddsa"] {
        refused(&with(ed(), "alg", json!(alg)), "alg");
    }
    refused(&with(ed(), "crv", json!("Ed448")), "curve");
    refused(&with(ed(), "crv", json!("X25519")), "curve");
    refused(&with(ed(), "crv", json!("P-256")), "curve");
    refused(&with(ed(), "crv", json!(null)), "crv");
}

#[test]
fn an_ed25519_key_must_be_a_sound_point() {
    for length in [0, 31, 33, 64] {
        refused(&with(ed(), "x", json!(base64url::encode(vec![9u8; length]))), "32 bytes");
    }
    let mut small: Vec<[u8; 32]> = vec![[0; 32], [0xff; 32]];
    small.push({
        let mut one = [0; 32];
        one[0] = 1;
        one
    });
    small.push({
        let mut one = [0; 32];
        one[0] = 1;
        one[31] = 0x80;
        one
    });
    for first in [0xec, 0xed, 0xee, 0xff] {
        small.push({
            let mut y = [0xff; 32];
            y[0] = first;
            y[31] = 0x7f;
            y
        });
    }
    for point in small {
        refused(&with(ed(), "x", json!(base64url::encode(point))), "sound");
    }
    refused(&with(ed(), "x", json!("AAAA====")), "base64url");
}

#[test]
fn a_p256_key_must_lie_on_its_curve() {
    let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k", "x": x, "y": y});
    assert!(load(&key).is_ok());
    refused(&with(key.clone(), "y", json!(x)), "curve");
    let zero = base64url::encode([0u8; 32]);
    refused(&with(with(key.clone(), "x", json!(zero)), "y", json!(zero)), "curve");
    refused(&with(key.clone(), "x", json!(base64url::encode([0xff; 32]))), "curve");
    refused(&with(key.clone(), "crv", json!("P-384")), "curve");
    refused(&with(key.clone(), "crv", json!("secp256k1")), "curve");
    refused(&with(key.clone(), "x", json!(base64url::encode([1u8; 31]))), "32 bytes");
    let mut padded = base64url::decode(x).unwrap();
    padded.insert(0, 0);
    refused(&with(key, "x", json!(base64url::encode(padded))), "32 bytes");
}

#[test]
fn an_rsa_key_must_be_large_and_its_exponent_sound() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let n = super::kit::modulus(&pair);
    let e = [1, 0, 1];
    assert!(load(&rsa_jwk(&n, &e)).is_ok());
    assert!(load(&with(rsa_jwk(&n, &e), "alg", json!("PS256"))).is_ok());
    refused(&with(rsa_jwk(&n, &e), "alg", json!(null)), "alg");
    refused(&with(rsa_jwk(&n, &e), "alg", json!("ES256")), "alg");
    let mut short = vec![0xc1; 128];
    short[127] = 0xc1;
    refused(&rsa_jwk(&short, &e), "2048");
    let mut just_short = n.clone();
    just_short[0] = 0x7f;
    refused(&rsa_jwk(&just_short, &e), "2048");
    refused(&rsa_jwk(&[&n[..], &vec![0x55; 1024]].concat(), &e), "8192");
    refused(&rsa_jwk(&[&[0], &n[..]].concat(), &e), "zero byte");
    refused(&rsa_jwk(&[], &e), "modulus");
    let mut even = n.clone();
    *even.last_mut().unwrap() &= 0xfe;
    refused(&rsa_jwk(&even, &e), "even");
    for wrong in [&[1][..], &[3], &[1, 0, 0], &[1, 0, 2], &[0xff, 0xff], &[0, 1, 0, 1], &[], &[1, 0, 0, 0, 1]] {
        refused(&rsa_jwk(&n, wrong), "exponent");
    }
}

#[test]
fn secrets_and_public_keys_have_rings_of_their_own() {
    refused(&secret(&random_bytes()), "symmetric ring");
    refused(&with(ed(), "k", json!("AAAA")), "secret");
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "symmetric/ed.jwk", &ed().to_string(), 0o600);
    assert!(KeyRing::load_dir(dir.path()).unwrap_err().to_string().contains("only secrets"));
}

#[test]
fn an_hmac_secret_has_at_least_32_bytes() {
    let load = |bytes: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "symmetric/s.jwk", &secret(bytes).to_string(), 0o600);
        KeyRing::load_dir(dir.path()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(load(&random_bytes()), Ok(()));
    for length in [0, 1, 16, 31] {
        assert!(load(&random_bytes()[..length]).unwrap_err().contains("32 bytes"), "{length}");
    }
    assert!(load(&[0; 32]).unwrap_err().contains("random"));
    assert!(load(b"................................").unwrap_err().contains("random"));
}

#[test]
fn a_private_key_is_accepted_in_the_signing_folder_only() {
    let signing = signing_jwk();
    refused(&signing, "private key");
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "signing/k.jwk", &signing.to_string(), 0o600);
    let ring = KeyRing::load_dir(dir.path()).unwrap();
    assert_eq!(ring.signing().len(), 1);
    let published = ring.jwks_public().to_string();
    assert!(published.contains("\"x\"") && !published.contains("\"d\""), "{published}");
    assert!(!published.contains(signing["d"].as_str().unwrap()));
    let shown = format!("{ring:?}");
    assert!(!shown.contains(signing["d"].as_str().unwrap()), "{shown}");
}

#[test]
fn a_private_key_that_does_not_belong_to_its_public_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = with(signing_jwk(), "x", Hand::new("k").jwk()["x"].clone());
    put(dir.path(), "signing/k.jwk", &wrong.to_string(), 0o600);
    assert!(KeyRing::load_dir(dir.path()).unwrap_err().to_string().contains("does not belong"));
}

#[test]
fn a_file_with_a_secret_that_others_can_read_is_refused() {
    for (name, text) in [("signing/k.jwk", signing_jwk()), ("symmetric/s.jwk", secret(&random_bytes()))] {
        for mode in [0o640, 0o604, 0o644, 0o660, 0o610, 0o620] {
            let dir = tempfile::tempdir().unwrap();
            put(dir.path(), name, &text.to_string(), mode);
            let error = KeyRing::load_dir(dir.path()).unwrap_err();
            assert!(matches!(error, KeyError::Mode { .. }), "{name} {mode:o}: {error}");
        }
    }
}

#[test]
fn an_id_names_one_key_over_all_folders() {
    let text = json!({"keys": [ed(), ed()]}).to_string();
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.json", &text, 0o644);
    assert!(matches!(KeyRing::load_dir(dir.path()), Err(KeyError::Duplicate { .. })));
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.jwk", &ed().to_string(), 0o644);
    put(dir.path(), "b.jwk", &ed().to_string(), 0o644);
    assert!(matches!(KeyRing::load_dir(dir.path()), Err(KeyError::Duplicate { .. })));
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.jwk", &with(ed(), "kid", json!("s")).to_string(), 0o644);
    put(dir.path(), "symmetric/s.jwk", &secret(&random_bytes()).to_string(), 0o600);
    assert!(matches!(KeyRing::load_dir(dir.path()), Err(KeyError::Duplicate { .. })));
}

#[test]
fn a_ring_is_loaded_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(KeyRing::load_dir(dir.path()), Err(KeyError::Empty { .. })));
    assert!(matches!(KeyRing::load_dir(&dir.path().join("none")), Err(KeyError::Io { .. })));
    put(dir.path(), "a.jwk", &ed().to_string(), 0o644);
    put(dir.path(), ".b.jwk.partial", "{", 0o644);
    put(dir.path(), "README", "not a key", 0o644);
    assert!(KeyRing::load_dir(dir.path()).is_ok());
    for wrong in ["", "{", "[]", "{\"keys\":{}}", "{\"keys\":[1]}", "{\"kty\":\"OKP\",\"kty\":\"OKP\"}"] {
        put(dir.path(), "b.jwk", wrong, 0o644);
        assert!(matches!(KeyRing::load_dir(dir.path()), Err(KeyError::Refused { .. })), "{wrong:?}");
    }
    std::fs::remove_file(dir.path().join("b.jwk")).unwrap();
    std::fs::create_dir(dir.path().join("b.jwk")).unwrap();
    assert!(KeyRing::load_dir(dir.path()).unwrap_err().to_string().contains("not a regular file"));
    std::fs::remove_dir(dir.path().join("b.jwk")).unwrap();
    put(dir.path(), "b.jwk", &" ".repeat((1 << 20) + 1), 0o644);
    assert!(KeyRing::load_dir(dir.path()).unwrap_err().to_string().contains("1 MiB"));
}

#[test]
fn a_key_is_used_within_its_window_only() {
    let dir = tempfile::tempdir().unwrap();
    let key = with(with(ed(), "nbf", json!(NOW)), "exp", json!(NOW + 10));
    put(dir.path(), "a.jwk", &key.to_string(), 0o644);
    let ring = KeyRing::load_dir(dir.path()).unwrap();
    let usable = |now| ring.find("k", now).is_some();
    assert_eq!([usable(NOW - 1), usable(NOW), usable(NOW + 9), usable(NOW + 10)], [false, true, true, false]);
}

#[test]
fn a_half_written_file_keeps_the_old_keys_and_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let first = with(ed(), "kid", json!("first"));
    put(dir.path(), "a.jwk", &first.to_string(), 0o644);
    let keys = KeySource::follow_dir(dir.path()).unwrap();
    assert!(matches!(keys.refresh(), Reload::Same));

    let second = with(ed(), "kid", json!("second")).to_string();
    put(dir.path(), "b.jwk", &second[..second.len() / 2], 0o644);
    assert!(matches!(keys.refresh(), Reload::Kept(_)));
    assert!(keys.fault().unwrap().contains("b.jwk"));
    assert!(keys.current().find("first", NOW).is_some());
    assert_eq!(keys.generation(), 0);

    put(dir.path(), "b.jwk", &second, 0o644);
    assert!(matches!(keys.refresh(), Reload::Loaded));
    assert_eq!(keys.fault(), None);
    assert!(keys.current().find("first", NOW).is_some() && keys.current().find("second", NOW).is_some());
    assert_eq!(keys.generation(), 1);

    std::fs::remove_file(dir.path().join("a.jwk")).unwrap();
    assert!(matches!(keys.refresh(), Reload::Loaded));
    assert!(keys.current().find("first", NOW).is_none());

    // All keys gone is a fault, not an empty ring.
    std::fs::remove_file(dir.path().join("b.jwk")).unwrap();
    assert!(matches!(keys.refresh(), Reload::Kept(_)));
    assert!(keys.current().find("second", NOW).is_some());
}

#[test]
fn changed_keys_come_into_force_without_being_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.jwk", &with(ed(), "kid", json!("first")).to_string(), 0o644);
    let keys = KeySource::follow_dir(dir.path()).unwrap();
    put(dir.path(), "a.jwk", &with(ed(), "kid", json!("second")).to_string(), 0o644);
    let begun = std::time::Instant::now();
    while keys.current().find("second", NOW).is_none() {
        assert!(begun.elapsed().as_secs() < 30, "the new key was never seen");
        std::thread::yield_now();
    }
    assert!(keys.current().find("first", NOW).is_none());
    assert_eq!(keys.generation(), 1);
}

#[test]
fn a_ring_that_never_loaded_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.jwk", "{", 0o644);
    assert!(KeySource::follow_dir(dir.path()).is_err());
}

fn signing_jwk() -> Value {
    let dir = tempfile::tempdir().unwrap();
    stockade_gateway::keys::init(dir.path(), NOW).unwrap();
    let file = std::fs::read_dir(dir.path().join("signing")).unwrap().next().unwrap().unwrap().path();
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}
