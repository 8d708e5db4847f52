//! Whatever is sent: no panic, and nothing verifies that was not signed.

use super::kit::{Desk, NOW, claims, desk};
use proptest::prelude::*;
use serde_json::json;
use std::sync::OnceLock;
use stockade_gateway::keys::KeyRing;
use stockade_gateway::strict_json;
use stockade_gateway::token::{Judge, base64url, verify_lines};

fn shared() -> &'static (Desk, String) {
    static DESK: OnceLock<(Desk, String)> = OnceLock::new();
    DESK.get_or_init(|| {
        let desk = desk();
        let token = desk.hand.sign(&claims());
        (desk, token)
    })
}

/// Pieces that attacks on parsers are made of.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(".".to_owned()),
        Just("..".to_owned()),
        Just("eyJhbGciOiJub25lIn0".to_owned()),
        Just(base64url::encode(r#"{"typ":"at+jwt","alg":"EdDSA","kid":"k-1"}"#)),
        Just(base64url::encode(r#"{"typ":"at+jwt","alg":"EdDSA","kid":"k-1","cty":"JWT"}"#)),
        Just(base64url::encode(claims().to_string())),
        "[A-Za-z0-9_=-]{0,90}",
        "\\PC{0,12}",
    ]
}

proptest! {
    #[test]
    fn random_text_never_verifies(text in any::<String>()) {
        prop_assert!(shared().0.verify(&text).is_err());
    }

    #[test]
    fn random_pieces_never_verify(pieces in proptest::collection::vec(piece(), 0..8)) {
        prop_assert!(shared().0.verify(&pieces.concat()).is_err());
    }

    #[test]
    fn a_changed_token_never_verifies(at in any::<prop::sample::Index>(), cut in 0usize..4, put in "[A-Za-z0-9_.=\\x00-]{0,4}") {
        let (desk, token) = shared();
        let start = at.index(token.len());
        let end = (start + cut).min(token.len());
        let changed = format!("{}{put}{}", &token[..start], &token[end..]);
        prop_assert_eq!(desk.verify(&changed).is_ok(), changed == *token);
    }

    #[test]
    fn any_signed_header_and_payload_are_judged_without_a_panic(header in any::<Vec<u8>>(), payload in any::<Vec<u8>>()) {
        let (desk, _) = shared();
        let header = String::from_utf8_lossy(&header).into_owned();
        prop_assert!(desk.verify(&desk.hand.sign_parts(&header, &payload)).is_err());
        prop_assert!(desk.verify(&desk.hand.sign_parts(&desk.hand.header().to_string(), &payload)).is_err());
    }

    #[test]
    fn any_number_as_a_time_is_judged_without_overflow(exp in any::<u64>(), iat in any::<u64>(), nbf in any::<u64>(), now in any::<u64>()) {
        let (desk, _) = shared();
        let mut all = claims();
        for (name, value) in [("exp", exp), ("iat", iat), ("nbf", nbf)] {
            all[name] = json!(value);
        }
        if let Ok(verified) = desk.verifier.verify(&desk.hand.sign(&all), now) {
            prop_assert!(now < exp && exp - iat <= 900 && iat <= now + 60 && nbf <= now + 60);
            prop_assert_eq!(verified.identity.expires, exp);
        }
    }

    #[test]
    fn any_bytes_are_judged_line_by_line(input in any::<Vec<u8>>()) {
        let (desk, _) = shared();
        let mut out = Vec::new();
        verify_lines(&Judge::Gateway(&desk.verifier), &input[..], &mut out, || NOW).unwrap();
        let text = String::from_utf8(out).unwrap();
        let unended = usize::from(input.last().is_some_and(|last| *last != b'\n'));
        prop_assert_eq!(text.lines().count(), input.iter().filter(|byte| **byte == b'\n').count() + unended);
    }

    #[test]
    fn any_bytes_as_a_key_file_or_json_are_judged_without_a_panic(bytes in any::<Vec<u8>>(), text in "[\\{\\}\\[\\]\",:a-c0-9\\\\u ]{0,40}") {
        let _ = KeyRing::from_vectors(&bytes, "random");
        let _ = strict_json::parse(&bytes);
        // What is accepted reads the same by the ordinary parser.
        if let Ok(value) = strict_json::parse(text.as_bytes()) {
            prop_assert_eq!(value, serde_json::from_str::<serde_json::Value>(&text).unwrap());
        }
    }

    #[test]
    fn any_key_member_is_judged_without_a_panic(n in any::<Vec<u8>>(), e in any::<Vec<u8>>(), x in any::<[u8; 32]>(), y in any::<[u8; 32]>()) {
        for jwk in [
            json!({"kty": "RSA", "n": base64url::encode(&n), "e": base64url::encode(&e)}),
            json!({"kty": "EC", "crv": "P-256", "x": base64url::encode(x), "y": base64url::encode(y)}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(x)}),
            json!({"kty": "oct", "k": base64url::encode(&n)}),
        ] {
            let _ = KeyRing::from_vectors(jwk.to_string().as_bytes(), "random");
        }
    }
}
