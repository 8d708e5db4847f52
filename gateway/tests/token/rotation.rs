//! Making and exchanging keys.

use super::kit::{AUDIENCE, ISSUER, NOW};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use stockade_gateway::keys::{KeyRing, KeySource, Rotation, init, list, rotate};
use stockade_gateway::token::{Grant, SignError, Signer, TokenError, Verifier, VerifierConfig};
use stockade_gateway::{RoleName, TenantName};

fn grant() -> Grant {
    Grant {
        subject: "ann".into(),
        tenant: Some(TenantName::parse("blue").unwrap()),
        role: RoleName::parse("deploy").unwrap(),
        session: Some("s-1".into()),
        lifetime: Duration::from_secs(600),
    }
}

const AT_ONCE: Rotation = Rotation { delay: 0, overlap: 900 };

#[test]
fn a_token_of_ours_verifies_as_what_was_granted() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), NOW).unwrap();
    let keys = KeySource::follow_dir(dir.path()).unwrap();
    let signer = Signer::new(ISSUER, AUDIENCE, keys.clone());
    let verifier = Verifier::new(VerifierConfig::new(ISSUER, AUDIENCE), keys);
    let (token, identity) = signer.issue(&grant(), NOW).unwrap();
    assert_eq!(verifier.verify(&token, NOW).unwrap().identity, identity);
    assert_eq!(identity.expires, NOW + 600);

    let operator = Grant { tenant: None, session: None, ..grant() };
    let (token, identity) = signer.issue(&operator, NOW).unwrap();
    let verified = verifier.verify(&token, NOW).unwrap();
    assert_eq!(verified.identity, identity);
    assert!(!verified.claims.contains_key("tenant") && !verified.claims.contains_key("sid"));
}

#[test]
fn every_token_has_an_id_of_128_random_bits() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), NOW).unwrap();
    let signer = Signer::new(ISSUER, AUDIENCE, KeyRing::load_dir(dir.path()).unwrap());
    let ids: std::collections::HashSet<String> =
        (0..100).map(|_| signer.issue(&grant(), NOW).unwrap().1.token_id).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| id.len() == 22), "16 bytes in base64url");
}

#[test]
fn nothing_is_issued_that_would_not_verify() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), NOW).unwrap();
    let signer = Signer::new(ISSUER, AUDIENCE, KeyRing::load_dir(dir.path()).unwrap());
    for wrong in [
        Grant { subject: String::new(), ..grant() },
        Grant { subject: "a\nb".into(), ..grant() },
        Grant { session: Some("x".repeat(256)), ..grant() },
    ] {
        assert!(matches!(signer.issue(&wrong, NOW), Err(SignError::Grant(_))), "{wrong:?}");
    }
    for seconds in [0, 901] {
        let wrong = Grant { lifetime: Duration::from_secs(seconds), ..grant() };
        assert!(matches!(signer.issue(&wrong, NOW), Err(SignError::Lifetime(900))));
    }
    assert!(matches!(signer.issue(&grant(), NOW - 1), Err(SignError::NoKey)), "the key begins at NOW");
}

#[test]
fn init_makes_private_files_and_is_harmless_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("deep/keys");
    let text = init(&keys, NOW).unwrap();
    let before = KeyRing::load_dir(&keys).unwrap().jwks_public();
    for entry in std::fs::read_dir(keys.join("signing")).unwrap() {
        let file = entry.unwrap().path();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        let secret = std::fs::read_to_string(&file).unwrap();
        let jwk: serde_json::Value = serde_json::from_str(&secret).unwrap();
        assert!(!text.contains(jwk["d"].as_str().unwrap()));
    }
    assert_eq!(std::fs::metadata(keys.join("signing")).unwrap().permissions().mode() & 0o7777, 0o700);
    assert!(init(&keys, NOW).unwrap().contains("nothing made"));
    assert_eq!(KeyRing::load_dir(&keys).unwrap().jwks_public(), before);
}

#[test]
fn a_rotation_drops_no_session() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), NOW - 1000).unwrap();
    let keys = KeySource::follow_dir(dir.path()).unwrap();
    let signer = Signer::new(ISSUER, AUDIENCE, keys.clone());
    let verifier = Verifier::new(VerifierConfig::new(ISSUER, AUDIENCE), keys.clone());
    let (old, _) = signer.issue(&grant(), NOW).unwrap();

    let text = rotate(dir.path(), AT_ONCE, NOW).unwrap();
    keys.refresh();
    let (new, _) = signer.issue(&grant(), NOW).unwrap();
    let kid = |token: &str| token.split('.').next().unwrap().to_owned();
    assert_ne!(kid(&old), kid(&new));
    assert!(verifier.verify(&old, NOW + 599).is_ok(), "the old token lives on");
    assert!(verifier.verify(&new, NOW + 599).is_ok());
    // Retired: it verifies for the overlap, and its private half is gone.
    assert_eq!(keys.current().signing().len(), 1);
    assert_eq!(keys.current().jwks_public()["keys"].as_array().unwrap().len(), 2);
    assert!(text.contains("verifies until"), "{text}");
    let table = list(dir.path(), NOW).unwrap();
    assert!(table.contains("signs") && table.contains("verifies"), "{table}");

    // After the overlap the next rotation clears it away.
    let later = NOW + 901;
    let (newer, _) = signer.issue(&grant(), later).unwrap();
    assert_eq!(verifier.verify(&old, later).unwrap_err(), TokenError::UnknownKey);
    let text = rotate(dir.path(), AT_ONCE, later).unwrap();
    assert!(text.contains("removed"), "{text}");
    keys.refresh();
    assert_eq!(keys.current().jwks_public()["keys"].as_array().unwrap().len(), 2);
    assert!(verifier.verify(&newer, later).is_ok());
}

#[test]
fn with_a_delay_the_old_key_signs_until_the_new_one_is_known_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), NOW - 1000).unwrap();
    let first = KeyRing::load_dir(dir.path()).unwrap().signing_key(NOW).unwrap().kid().to_owned();
    rotate(dir.path(), Rotation { delay: 300, overlap: 900 }, NOW).unwrap();
    let ring = KeyRing::load_dir(dir.path()).unwrap();
    assert_eq!(ring.signing_key(NOW + 299).unwrap().kid(), first);
    assert_ne!(ring.signing_key(NOW + 300).unwrap().kid(), first);
    assert_eq!(ring.jwks_public()["keys"].as_array().unwrap().len(), 2, "published ahead");
    assert!(ring.find(&first, NOW + 1199).is_some());
    assert!(ring.find(&first, NOW + 1200).is_none());
    // A second rotation does not prolong the first key's life.
    rotate(dir.path(), AT_ONCE, NOW + 400).unwrap();
    let ring = KeyRing::load_dir(dir.path()).unwrap();
    assert!(ring.find(&first, NOW + 1200).is_none());
    assert_eq!(ring.signing().len(), 1);
}

#[test]
fn a_rotation_that_stops_halfway_leaves_a_ring_that_loads_and_signs() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), NOW - 1000).unwrap();
    let keep = tempfile::tempdir().unwrap();
    let old = std::fs::read_dir(dir.path().join("signing")).unwrap().next().unwrap().unwrap();
    std::fs::copy(old.path(), keep.path().join("old")).unwrap();
    rotate(dir.path(), AT_ONCE, NOW).unwrap();
    // As if it had stopped before the old private key was removed …
    std::fs::copy(keep.path().join("old"), old.path()).unwrap();
    let ring = KeyRing::load_dir(dir.path()).unwrap();
    assert_eq!(ring.signing().len(), 2);
    let newest = ring.signing_key(NOW).unwrap().kid().to_owned();
    assert_ne!(format!("{newest}.jwk"), old.file_name().to_string_lossy());
    // … and before the old key got its end.
    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("retired-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let ring = KeyRing::load_dir(dir.path()).unwrap();
    assert_eq!(ring.signing_key(NOW).unwrap().kid(), newest);
}

#[test]
fn a_token_ends_with_the_key_that_signed_it() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), NOW - 1000).unwrap();
    let keys = KeySource::follow_dir(dir.path()).unwrap();
    let signer = Signer::new(ISSUER, AUDIENCE, keys.clone());
    let verifier = Verifier::new(VerifierConfig::new(ISSUER, AUDIENCE), keys.clone());
    let (token, _) = signer.issue(&grant(), NOW).unwrap();
    let before = verifier.generation();
    rotate(dir.path(), Rotation { delay: 0, overlap: 100 }, NOW).unwrap();
    keys.refresh();
    assert_ne!(verifier.generation(), before, "what was remembered is verified again");
    assert_eq!(verifier.verify(&token, NOW).unwrap().identity.expires, NOW + 100);
    // A key that is about to end signs nothing beyond its end.
    rotate(dir.path(), Rotation { delay: 50, overlap: 0 }, NOW).unwrap();
    keys.refresh();
    let (short, identity) = signer.issue(&grant(), NOW).unwrap();
    assert_eq!(identity.expires, NOW + 50);
    assert_eq!(verifier.verify(&short, NOW).unwrap().identity, identity);
}

#[test]
fn a_rotation_that_cannot_write_says_so_and_the_ring_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), NOW - 1000).unwrap();
    let kid = KeyRing::load_dir(dir.path()).unwrap().signing_key(NOW).unwrap().kid().to_owned();
    // The retired key's file cannot be begun where a folder lies.
    std::fs::create_dir_all(dir.path().join(format!(".retired-{kid}.jwk.partial/full"))).unwrap();
    let error = rotate(dir.path(), AT_ONCE, NOW).unwrap_err().to_string();
    assert!(error.contains(&kid), "{error}");
    let ring = KeyRing::load_dir(dir.path()).unwrap();
    assert_ne!(ring.signing_key(NOW).unwrap().kid(), kid, "the new key was made first");
    assert!(ring.find(&kid, NOW).is_some(), "and the old one still verifies");
}
