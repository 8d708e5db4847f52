//! The header.

use super::kit::{claims, desk, with};
use serde_json::json;
use stockade_gateway::token::TokenError;

#[test]
fn a_typ_other_than_exactly_at_jwt_is_refused() {
    let desk = desk();
    for typ in ["JWT", "AT+JWT", "at+JWT", "application/at+jwt", "at+jwt ", "dpop+jwt", "logout+jwt", ""] {
        assert_eq!(desk.header("typ", json!(typ)).unwrap_err(), TokenError::Type, "{typ}");
    }
    assert_eq!(desk.header("typ", json!(null)).unwrap_err(), TokenError::Type, "absent");
    assert_eq!(desk.header("typ", json!(["at+jwt"])).unwrap_err(), TokenError::HeaderMember("typ"));
}

#[test]
fn alg_none_is_refused_in_every_case_variant() {
    let desk = desk();
    for bits in 0..16u32 {
        let alg: String = "none"
            .chars()
            .enumerate()
            .map(|(at, c)| if bits >> at & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        assert_eq!(desk.header("alg", json!(alg)).unwrap_err(), TokenError::AlgorithmNone, "{alg}");
        // As the attack sends it: without a signature.
        let unsigned = desk.hand.with_header(&with(desk.hand.header(), "alg", json!(alg)));
        let (signed, _) = unsigned.rsplit_once('.').unwrap();
        assert_eq!(desk.verify(&format!("{signed}.")).unwrap_err(), TokenError::AlgorithmNone);
    }
}

#[test]
fn an_algorithm_that_is_not_the_keys_is_refused() {
    let desk = desk();
    for alg in ["HS256", "ES256", "RS256", "PS256", "eddsa", "EDDSA", "Ed25519", "ES256K", "RS1", ""] {
        assert_eq!(desk.header("alg", json!(alg)).unwrap_err(), TokenError::Algorithm, "{alg}");
    }
    assert_eq!(desk.header("alg", json!(null)).unwrap_err(), TokenError::HeaderMember("alg"));
    assert_eq!(desk.header("alg", json!(["EdDSA"])).unwrap_err(), TokenError::HeaderMember("alg"));
}

#[test]
fn a_kid_is_an_exact_map_key_and_nothing_else() {
    let desk = desk();
    for kid in [
        "k-2",
        "K-1",
        "k-1 ",
        "k-1\0",
        "",
        "k",
        "k-1.jwk",
        "../../../../../../dev/null",
        "/proc/self/environ",
        "' OR '1'='1",
        "k-1'; DROP TABLE keys; --",
        "x' UNION SELECT 'aaaa",
        "k-1|id",
        "*",
        "%6b-1",
        "\u{212a}-1",
        "http://127.0.0.1/jwks.json",
    ] {
        assert_eq!(desk.header("kid", json!(kid)).unwrap_err(), TokenError::UnknownKey, "{kid}");
    }
    assert_eq!(desk.header("kid", json!("k".repeat(4000))).unwrap_err(), TokenError::UnknownKey);
    assert_eq!(desk.header("kid", json!(null)).unwrap_err(), TokenError::HeaderMember("kid"), "absent");
    for wrong in [json!(1), json!(["k-1"]), json!({"k": "k-1"}), json!(true)] {
        assert_eq!(desk.header("kid", wrong).unwrap_err(), TokenError::HeaderMember("kid"));
    }
}

#[test]
fn a_header_that_brings_or_points_to_a_key_is_refused() {
    let desk = desk();
    let own = desk.hand.jwk();
    for (name, value) in [
        ("jku", json!("https://attacker.test/jwks.json")),
        ("x5u", json!("https://attacker.test/cert.pem")),
        ("jwk", own),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("abc")),
        ("x5t#S256", json!("abc")),
    ] {
        // Not even with a value that means nothing.
        for value in [value, json!(""), json!({})] {
            assert_eq!(desk.header(name, value).unwrap_err(), TokenError::HeaderForbidden(name), "{name}");
        }
    }
}

#[test]
fn a_null_header_member_is_there_all_the_same() {
    let desk = desk();
    let text = r#"{"typ":"at+jwt","alg":"EdDSA","kid":"k-1","jwk":null}"#;
    let token = desk.hand.sign_parts(text, claims().to_string().as_bytes());
    assert_eq!(desk.verify(&token).unwrap_err(), TokenError::HeaderForbidden("jwk"));
}

#[test]
fn any_crit_is_refused() {
    let desk = desk();
    for crit in [json!([]), json!(["exp"]), json!(["alg"]), json!(["b64"]), json!("x"), json!(["urn:x"]), json!(false)]
    {
        assert_eq!(desk.header("crit", crit).unwrap_err(), TokenError::HeaderForbidden("crit"));
    }
}

#[test]
fn b64_and_zip_and_password_members_are_refused() {
    let desk = desk();
    for (name, value) in
        [("b64", json!(false)), ("b64", json!(true)), ("zip", json!("DEF")), ("p2c", json!(1)), ("p2s", json!("x"))]
    {
        assert_eq!(desk.header(name, value).unwrap_err(), TokenError::HeaderForbidden(name));
    }
}

#[test]
fn a_detached_unencoded_payload_is_refused() {
    // RFC 7797: the payload as it is, which would make one text mean two things.
    let desk = desk();
    let header = r#"{"typ":"at+jwt","alg":"EdDSA","kid":"k-1","b64":false,"crit":["b64"]}"#;
    let signed = format!("{}.{}", stockade_gateway::token::base64url::encode(header), "payloads");
    let signature = stockade_gateway::token::base64url::encode(desk.hand.pair.sign(signed.as_bytes()).as_ref());
    assert!(matches!(desk.verify(&format!("{signed}.{signature}")), Err(TokenError::HeaderForbidden(_))));
}

#[test]
fn duplicate_header_members_are_refused() {
    let desk = desk();
    for text in [
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":"k-1","kid":"k-1"}"#,
        r#"{"typ":"at+jwt","alg":"none","alg":"EdDSA","kid":"k-1"}"#,
        r#"{"typ":"at+jwt","alg":"EdDSA","\u0061lg":"EdDSA","kid":"k-1"}"#,
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":"k-1","x":{"a":1,"a":2}}"#,
    ] {
        let token = desk.hand.sign_parts(text, claims().to_string().as_bytes());
        assert!(matches!(desk.verify(&token), Err(TokenError::HeaderJson(_))), "{text}");
    }
}

#[test]
fn an_escaped_member_name_is_the_member_it_spells() {
    let desk = desk();
    let text = r#"{"typ":"at+jwt","alg":"EdDSA","kid":"k-1","\u006aku":"https://attacker.test/"}"#;
    let token = desk.hand.sign_parts(text, claims().to_string().as_bytes());
    assert_eq!(desk.verify(&token).unwrap_err(), TokenError::HeaderForbidden("jku"));
    let text = r#"{"\u0074yp":"at+jwt","al\u0067":"EdDS\u0041","kid":"k-1"}"#;
    assert!(desk.verify(&desk.hand.sign_parts(text, claims().to_string().as_bytes())).is_ok());
    // Case counts: these are other members, and the real ones are missing.
    let text = r#"{"typ":"at+jwt","Alg":"EdDSA","kid":"k-1"}"#;
    assert!(desk.verify(&desk.hand.sign_parts(text, claims().to_string().as_bytes())).is_err());
}
