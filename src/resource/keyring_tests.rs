//! Tests of `keyring`.

use super::*;

const ONE: &str = include_str!("../../tests/fixtures/keys/one.asc");
const BOTH: &str = include_str!("../../tests/fixtures/keys/both.asc");
/// As gpg --list-keys shows them.
const FINGERPRINTS: [&str; 2] =
    ["825CFEAE8CF5FEED7DAB4D5B78AFE4A4D467B2CC", "1D8F5DF9543751FACC22C61D713657FBCC566BA2"];

#[test]
fn fingerprints_are_those_that_gpg_shows() {
    assert_eq!(Keyring::parse(ONE.as_bytes()).unwrap().fingerprints, FINGERPRINTS[..1]);
    assert_eq!(Keyring::parse(BOTH.as_bytes()).unwrap().fingerprints, FINGERPRINTS);
}

#[test]
fn binary_and_armored_keys_are_the_same_and_are_written_back_from_their_packets() {
    let armored = Keyring::parse(ONE.as_bytes()).unwrap();
    assert_eq!(Keyring::parse(&armored.packets).unwrap(), armored);
    assert_eq!(armored.armored(), ONE);
    let with_more =
        format!("deb evil\n{}\nTrusted: yes\n", ONE.replace("BLOCK-----\n\n", "BLOCK-----\nVersion: 1\n\n"));
    assert_eq!(Keyring::parse(with_more.as_bytes()).unwrap().armored(), ONE);
}

#[test]
fn what_is_no_public_key_is_refused_with_the_reason() {
    let private = ONE.replace("PUBLIC", "PRIVATE");
    let damaged = ONE.replacen("mDME", "mDMF", 1);
    let cut = &ONE[..ONE.len() / 2];
    for (text, part) in [
        ("", "not an OpenPGP public key"),
        ("hello", "not an OpenPGP public key"),
        (private.as_str(), "private key"),
        (damaged.as_str(), "checksum is wrong"),
        (cut, "damaged"),
        (&format!("{ONE}{ONE}"), "several armored blocks"),
    ] {
        let why = Keyring::parse(text.as_bytes()).unwrap_err();
        assert!(why.contains(part), "{part}: {why}");
    }
    let packets = Keyring::parse(ONE.as_bytes()).unwrap().packets;
    for end in 1..packets.len() {
        // Cut anywhere: an error, or whole packets only; never a panic.
        let _ = Keyring::parse(&packets[..end]);
    }
    let secret = [&[0xC0 | 5, 1, 4][..], &packets].concat();
    assert!(Keyring::parse(&secret).unwrap_err().contains("private key"));
}

#[test]
fn a_fingerprint_is_whole_or_none() {
    assert_eq!(parse_fingerprint("825c feae 8cf5 feed 7dab  4d5b 78af e4a4 d467 b2cc").unwrap(), FINGERPRINTS[0]);
    for bad in ["", "D467B2CC", "78AFE4A4D467B2CC", &"G".repeat(40)] {
        assert!(parse_fingerprint(bad).is_err(), "{bad}");
    }
}
