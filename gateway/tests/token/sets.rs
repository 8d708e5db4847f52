//! Key sets that are refused whole.

use super::kit::{Hand, modulus, with};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use num_bigint::BigUint;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use stockade_gateway::keys::{KeyError, KeyRing, KeySource};
use stockade_gateway::token::base64url;

fn rsa(kid: &str, n: &[u8]) -> Value {
    json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": base64url::encode(n), "e": "AQAB"})
}

fn secret(kid: &str) -> Value {
    let bytes: Vec<u8> = (1..=32).collect();
    json!({"kty": "oct", "alg": "HS256", "use": "sig", "kid": kid, "k": base64url::encode(bytes)})
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// A set as the gateway's own directory, an outside issuer's file, and vectors.
fn everywhere(keys: &[Value]) -> [Result<KeyRing, KeyError>; 3] {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("set.json"), set(keys)).unwrap();
    [
        KeyRing::load_dir(dir.path()),
        KeyRing::load_outside(&dir.path().join("set.json")),
        KeyRing::from_vectors(set(keys).as_bytes(), "vectors"),
    ]
}

#[track_caller]
fn refused_everywhere(keys: &[Value], reason: &str) {
    for (place, loaded) in ["directory", "outside", "vectors"].iter().zip(everywhere(keys)) {
        let error = loaded.map(|_| ()).expect_err(place).to_string();
        // A directory of public keys refuses a secret before it comes to the set.
        assert!(error.contains(reason), "{place}: {error}");
    }
}

/// The first 126 primes, whose product the faulty library took for keys of 2048 bits.
fn primes() -> Vec<u32> {
    (2..702_u32).filter(|n| (2..*n).all(|d| n % d != 0)).collect()
}

fn random(bits: u64) -> BigUint {
    let mut bytes = vec![0; usize::try_from(bits).unwrap().div_ceil(8)];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    BigUint::from_bytes_be(&bytes) >> (bytes.len() as u64 * 8 - bits)
}

/// Miller and Rabin's test, for numbers that nobody chose to pass it.
fn is_prime(n: &BigUint) -> bool {
    let one = BigUint::from(1_u32);
    let less = n - &one;
    let twos = less.trailing_zeros().unwrap();
    let odd = &less >> twos;
    (0..6).all(|_| {
        let mut power = (random(64) + 2_u32).modpow(&odd, n);
        power == one
            || (0..twos).any(|_| {
                let found = power == less;
                power = power.modpow(&BigUint::from(2_u32), n);
                found
            })
    })
}

/// A modulus as the faulty library makes it: of primes `k·M + (65537^a mod M)`.
fn roca_modulus() -> Vec<u8> {
    let product: BigUint = primes().iter().product();
    assert_eq!((primes().len(), product.bits()), (126, 971));
    let prime = || loop {
        let power = BigUint::from(65537_u32).modpow(&random(256), &product);
        // With the highest two bits of 1024 set, so that the product has 2048.
        let k = ((BigUint::from(3_u32) << 1022_u32) + (random(50) << 971_u32)) / &product;
        let candidate = k * &product + power;
        if candidate.bits() == 1024 && is_prime(&candidate) {
            return candidate;
        }
    };
    let n = prime() * prime();
    assert_eq!(n.bits(), 2048);
    n.to_bytes_be()
}

#[test]
fn an_rsa_key_with_the_roca_fingerprint_is_refused_with_its_whole_set() {
    let good = Hand::new("good").jwk();
    let weak = rsa("weak", &roca_modulus());
    for keys in
        [&[weak.clone()][..], &[good.clone(), weak.clone()], &[good.clone(), with(weak.clone(), "alg", json!("PS256"))]]
    {
        refused_everywhere(keys, "CVE-2017-15361");
    }
    // Also where it would be passed over as one for something else.
    let encrypts = with(with(weak.clone(), "use", json!("enc")), "alg", json!("RSA-OAEP"));
    refused_everywhere(&[good.clone(), encrypts], "CVE-2017-15361");
    // A key alone is a set of one.
    assert!(KeyRing::from_vectors(weak.to_string().as_bytes(), "v").unwrap_err().to_string().contains("ROCA"));
}

#[test]
fn ordinary_rsa_keys_do_not_have_the_fingerprint() {
    for _ in 0..12 {
        let n = modulus(&RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        for loaded in everywhere(&[rsa("k", &n)]) {
            loaded.unwrap();
        }
    }
}

#[test]
fn a_set_that_mixes_secrets_and_public_keys_is_refused_whole() {
    let hand = Hand::new("one").jwk();
    for keys in [[hand.clone(), secret("two")], [secret("two"), hand.clone()]] {
        refused_everywhere(&keys, "mixes secrets");
    }
    // Of whatever use the other one is.
    let other = with(with(hand.clone(), "use", json!("enc")), "kid", json!("enc"));
    refused_everywhere(&[secret("two"), other], "mixes secrets");
    assert!(KeyRing::from_vectors(set(&[secret("one"), secret("two")]).as_bytes(), "v").is_ok());
}

#[test]
fn a_set_that_has_one_id_twice_is_refused_whole() {
    let (one, two) = (Hand::new("same").jwk(), Hand::new("same").jwk());
    refused_everywhere(&[one.clone(), Hand::new("other").jwk(), two.clone()], "'same' is taken already");
    refused_everywhere(&[one.clone(), one.clone()], "'same' is taken already");
    // One of them may be of no use here.
    let useless =
        json!({"kty": "EC", "crv": "P-521", "use": "sig", "alg": "ES512", "kid": "same", "x": "AA", "y": "AA"});
    refused_everywhere(&[one.clone(), useless], "'same' is taken already");
    // Over the files of a directory, public and secret ones alike.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.jwk"), one.to_string()).unwrap();
    std::fs::write(dir.path().join("b.json"), set(&[two])).unwrap();
    assert!(matches!(KeyRing::load_dir(dir.path()), Err(KeyError::Duplicate { .. })));
    std::fs::remove_file(dir.path().join("b.json")).unwrap();
    let hmac = dir.path().join("symmetric");
    std::fs::create_dir(&hmac).unwrap();
    std::fs::write(hmac.join("s.jwk"), secret("same").to_string()).unwrap();
    std::fs::set_permissions(hmac.join("s.jwk"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert!(matches!(KeyRing::load_dir(dir.path()), Err(KeyError::Duplicate { .. })));
}

#[test]
fn an_issuer_that_publishes_what_is_secret_or_contradicts_itself_is_not_trusted() {
    let good = Hand::new("good").jwk();
    let rsa = rsa("rsa", &modulus(&RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
    let load = |keys: &[Value]| {
        KeyRing::from_outside(set(keys).as_bytes(), "set").map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(load(&[good.clone(), rsa.clone()]), Ok(()));
    for (bad, reason) in [
        (with(with(rsa.clone(), "d", json!("AQ")), "use", json!("enc")), "private key"),
        (with(with(rsa.clone(), "p", json!("AQ")), "alg", json!("RSA-OAEP")), "private key"),
        (with(rsa.clone(), "k", json!("AQ")), "secret"),
        (with(with(rsa.clone(), "alg", json!("ES512")), "use", json!("sig")), "does not fit"),
        (with(rsa.clone(), "alg", json!("HS512")), "does not fit"),
        (with(rsa.clone(), "alg", json!("EdDSA")), "does not fit"),
        (with(with(rsa.clone(), "kty", json!("EC")), "alg", json!("RS512")), "does not fit"),
    ] {
        let error = load(&[good.clone(), bad.clone()]).expect_err(&bad.to_string());
        assert!(error.contains(reason), "{bad}: {error}");
    }
    for keys in
        [&[secret("s")][..], &[with(secret("s"), "alg", json!("HS512"))], &[with(secret("s"), "use", json!("enc"))]]
    {
        assert!(load(keys).unwrap_err().contains("secret"), "{keys:?}");
    }
    // What is there for something else, and says so consistently, is passed over as before.
    let other = json!({"kty": "EC", "crv": "P-521", "use": "sig", "alg": "ES512", "kid": "o", "x": "AA", "y": "AA"});
    let oaep = with(with(with(rsa, "use", json!("enc")), "alg", json!("RSA-OAEP-256")), "kid", json!("e"));
    assert_eq!(load(&[good, other, oaep]), Ok(()));
}

/// `verify` with a set: exit code, standard output and standard error.
fn verify(words: &[&str], keys: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade-gateway"));
    command.args(["verify", "--jwks"]).arg(keys).args(words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may end before it has read.
    let _ = child.stdin.take().unwrap().write_all(b"a.b.c\n");
    let out = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn verify_and_a_running_ring_refuse_such_a_set_and_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("set.json");
    let good = Hand::new("good").jwk();
    let weak = rsa("weak", &roca_modulus());
    std::fs::write(&file, set(std::slice::from_ref(&good))).unwrap();
    let source = KeySource::follow_dir(dir.path()).unwrap();
    for words in [&[][..], &["--signature-only"]] {
        assert_eq!(verify(words, &file).0, Some(0));
    }
    for (keys, reason) in [
        (vec![good.clone(), secret("s")], "mixes secrets"),
        (vec![good.clone(), good.clone()], "taken already"),
        (vec![good.clone(), weak], "CVE-2017-15361"),
    ] {
        std::fs::write(&file, set(&keys)).unwrap();
        for words in [&[][..], &["--signature-only"]] {
            let (code, out, err) = verify(words, &file);
            assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
            assert!(err.contains(reason) && err.contains("set.json"), "{err}");
        }
        // A running gateway keeps what it had.
        source.refresh();
        assert!(source.fault().unwrap().contains(reason));
        assert!(source.current().find("good", 1).is_some());
    }
}
