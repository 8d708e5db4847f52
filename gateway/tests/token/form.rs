//! Size and form.

use super::kit::{Desk, claims, desk};
use serde_json::json;
use stockade_gateway::token::{MAX_TOKEN, TokenError, base64url};

fn good(desk: &Desk) -> String {
    desk.hand.sign(&claims())
}

#[test]
fn a_good_token_speaks_for_whom_it_says() {
    let desk = desk();
    let verified = desk.verify(&good(&desk)).unwrap();
    let identity = verified.identity;
    assert_eq!(identity.subject, "ann");
    assert_eq!(identity.tenant.as_deref(), Some("blue"));
    assert_eq!(identity.role, "deploy");
    assert_eq!(identity.session.as_deref(), Some("s-1"));
    assert_eq!(identity.token_id, "t-1");
    assert_eq!(identity.expires, super::kit::NOW + 600);
    assert_eq!(verified.claims.get("jti"), Some(&json!("t-1")));
}

#[test]
fn a_token_of_8_kib_is_read_and_a_byte_more_is_not() {
    let desk = desk();
    let padded = |bytes: usize| desk.hand.sign(&super::kit::with(claims(), "pad", json!("x".repeat(bytes))));
    let spare = MAX_TOKEN - padded(1).len();
    let mut bytes = spare * 3 / 4 - 8;
    let mut largest = padded(bytes);
    while padded(bytes + 1).len() <= MAX_TOKEN {
        bytes += 1;
        largest = padded(bytes);
    }
    assert!(largest.len() > MAX_TOKEN - 3);
    assert!(desk.verify(&largest).is_ok());
    let mut too_long = padded(bytes + 1);
    assert_eq!(desk.verify(&too_long), Err(TokenError::TooLong));
    too_long.truncate(MAX_TOKEN + 1);
    assert_eq!(desk.verify(&too_long), Err(TokenError::TooLong));
    // The length is judged before anything is decoded.
    assert_eq!(desk.verify(&"\u{0}".repeat(MAX_TOKEN + 1)), Err(TokenError::TooLong));
}

#[test]
fn other_than_exactly_three_parts_is_refused() {
    let desk = desk();
    let token = good(&desk);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    for wrong in [
        String::from("x"),
        format!("{header}.{payload}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{token}.."),
    ] {
        assert_eq!(desk.verify(&wrong).unwrap_err(), TokenError::Parts, "{wrong}");
    }
    assert_eq!(desk.verify(""), Err(TokenError::Empty));
    assert!(desk.verify("..").is_err());
    assert_eq!(desk.verify(&format!("{header}..{signature}")).unwrap_err(), TokenError::Signature);
    assert_eq!(desk.verify(&format!("{header}.{payload}.")).unwrap_err(), TokenError::Signature);
    assert!(desk.verify(&format!(".{payload}.{signature}")).is_err());
}

#[test]
fn the_json_serialisation_is_refused() {
    let desk = desk();
    let token = good(&desk);
    let parts: Vec<&str> = token.split('.').collect();
    let flat = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string();
    assert!(desk.verify(&flat).is_err());
}

#[test]
fn padding_white_space_and_the_other_alphabet_are_refused() {
    let desk = desk();
    let token = good(&desk);
    for wrong in [format!("{token}="), format!("{token}=="), format!(" {token}"), format!("{token}\n"), {
        token.replacen('.', "\n.", 1)
    }] {
        assert_eq!(desk.verify(&wrong).unwrap_err(), TokenError::Encoding, "{wrong:?}");
    }
    let standard = |part: &str| part.replace('-', "+").replace('_', "/");
    // Sign until the signature has a letter that the two alphabets spell differently.
    let differing = (0..200)
        .map(|n| desk.hand.sign(&super::kit::with(claims(), "jti", json!(format!("t-{n}")))))
        .find(|token| token.contains(['-', '_']))
        .unwrap();
    assert!(desk.verify(&differing).is_ok());
    assert_eq!(desk.verify(&standard(&differing)).unwrap_err(), TokenError::Encoding);
}

#[test]
fn trailing_bits_of_the_signature_are_refused() {
    // 64 bytes end in a letter with four unused bits: sixteen spellings of one
    // signature, of which one counts.
    let desk = desk();
    let token = good(&desk);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let good_spellings = alphabet
        .chars()
        .filter(|letter| {
            let mut other = token.clone();
            other.pop();
            other.push(*letter);
            desk.verify(&other).is_ok()
        })
        .count();
    assert_eq!(good_spellings, 1);
}

#[test]
fn a_payload_or_header_that_is_not_strict_json_is_refused() {
    let desk = desk();
    let header = desk.hand.header().to_string();
    let good = claims().to_string();
    for payload in [
        Vec::new(),
        b"foo".to_vec(),
        b"[]".to_vec(),
        b"\"x\"".to_vec(),
        b"null".to_vec(),
        [good.as_bytes(), b"{}"].concat(),
        [good.as_bytes(), b"\0"].concat(),
        [b"\xef\xbb\xbf", good.as_bytes()].concat(),
        [&good.as_bytes()[..good.len() - 1], b",\"x\":\"\xff\"}"].concat(),
    ] {
        let token = desk.hand.sign_parts(&header, &payload);
        assert!(matches!(desk.verify(&token), Err(TokenError::ClaimsJson(_))), "{payload:?}");
    }
    for wrong in ["", "[]", "\"x\"", "{", "{} {}"] {
        let token = desk.hand.sign_parts(wrong, good.as_bytes());
        assert!(matches!(desk.verify(&token), Err(TokenError::HeaderJson(_))), "{wrong:?}");
    }
    let trailing = format!("{header}{header}");
    assert!(desk.verify(&desk.hand.sign_parts(&trailing, good.as_bytes())).is_err());
}

#[test]
fn deeply_nested_json_is_refused_without_overflowing_the_stack() {
    let desk = desk();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(2500), "]".repeat(2500));
    let token = desk.hand.sign_parts(&desk.hand.header().to_string(), deep.as_bytes());
    assert!(matches!(desk.verify(&token), Err(TokenError::ClaimsJson(_))));
}

#[test]
fn any_changed_letter_is_refused() {
    let desk = desk();
    let token = good(&desk);
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(desk.verify(&changed).is_err(), "letter {at}");
    }
}

#[test]
fn a_refusal_tells_nothing_of_the_token() {
    let desk = desk();
    let secret = "hunter2-in-a-claim";
    let token = desk.hand.sign(&super::kit::with(claims(), "sub", json!([secret])));
    let error = desk.verify(&token).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(secret) && !shown.contains(&base64url::encode(secret)), "{shown}");
}
