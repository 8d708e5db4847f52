//! `verify`: a verdict a line.

use super::kit::{Hand, NOW, claims, desk, with};
use serde_json::{Value, json};
use stockade_gateway::keys::KeyRing;
use stockade_gateway::token::{Judge, base64url, verify_lines};

fn run(judge: &Judge<'_>, input: &[u8]) -> (bool, Vec<Value>) {
    let mut out = Vec::new();
    let good = verify_lines(judge, input, &mut out, || NOW).unwrap();
    let lines = String::from_utf8(out).unwrap();
    (good, lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn vectors(keys: &[Value]) -> KeyRing {
    KeyRing::from_vectors(json!({ "keys": keys }).to_string().as_bytes(), "vectors").unwrap()
}

#[test]
fn each_line_gets_one_verdict_in_its_place() {
    let desk = desk();
    let good = desk.hand.sign(&claims());
    let old = desk.hand.sign(&with(claims(), "exp", json!(NOW)));
    let input = format!("{good}\n\n{old}\r\n{}\nnot a token\n{good}", "x".repeat(100_000));
    let (all_good, verdicts) = run(&Judge::Gateway(&desk.verifier), input.as_bytes());
    assert!(!all_good);
    let ok: Vec<bool> = verdicts.iter().map(|verdict| verdict["ok"].as_bool().unwrap()).collect();
    assert_eq!(ok, [true, false, false, false, false, true]);
    assert_eq!(verdicts[0], json!({"ok": true, "reason": "", "claims": claims()}));
    assert_eq!(verdicts[1]["reason"], "the token is empty");
    assert_eq!(verdicts[2]["reason"], "the token has expired");
    assert_eq!(verdicts[2]["claims"], json!({}));
    assert_eq!(verdicts[3]["reason"], "the token is longer than 8192 bytes");
}

#[test]
fn bytes_that_are_no_text_are_a_refusal_and_not_an_error() {
    let desk = desk();
    let (good, verdicts) = run(&Judge::Gateway(&desk.verifier), b"\xff\xfe\n\0\n");
    assert!(!good);
    assert_eq!(verdicts.len(), 2);
    assert_eq!(run(&Judge::Gateway(&desk.verifier), b""), (true, vec![]));
}

#[test]
fn the_signature_alone_takes_any_payload_and_type_but_keeps_the_rules_of_keys() {
    let hand = Hand::new("k-1");
    let ring = vectors(&[hand.jwk()]);
    let judge = Judge::SignatureOnly(&ring);
    let ok = |token: &str| run(&judge, token.as_bytes()).0;
    let header = r#"{"alg":"EdDSA","kid":"k-1"}"#;
    for payload in [&b"foo"[..], b"", b"\xff\0", b"{\"a\":1,\"a\":2}"] {
        assert!(ok(&hand.sign_parts(header, payload)), "{payload:?}");
    }
    for header in [
        r#"{"alg":"none","kid":"k-1"}"#,
        r#"{"alg":"HS256","kid":"k-1"}"#,
        r#"{"alg":"EdDSA","kid":"k-2"}"#,
        r#"{"alg":"EdDSA","kid":"k-1","crit":["x"]}"#,
        r#"{"alg":"EdDSA","kid":"k-1","jwk":{}}"#,
        r#"{"alg":"EdDSA","kid":"k-1","kid":"k-1"}"#,
        r#"{"kid":"k-1"}"#,
    ] {
        assert!(!ok(&hand.sign_parts(header, b"foo")), "{header}");
    }
    let token = hand.sign_parts(header, b"foo");
    for wrong in
        [token.replacen("Zm9v", "WG9v", 1), format!("{token}."), format!("{token}.foo"), token.replacen("Zm9v", "", 1)]
    {
        assert!(!ok(&wrong), "{wrong}");
    }
}

#[test]
fn a_token_or_key_without_an_id_is_matched_only_if_there_is_no_doubt() {
    let (one, two) = (Hand::new("one"), Hand::new("two"));
    let token = one.sign_parts(r#"{"alg":"EdDSA"}"#, b"foo");
    assert!(run(&Judge::SignatureOnly(&vectors(&[one.jwk()])), token.as_bytes()).0);
    assert!(!run(&Judge::SignatureOnly(&vectors(&[one.jwk(), two.jwk()])), token.as_bytes()).0);
    let nameless = with(one.jwk(), "kid", json!(null));
    let named = one.sign_parts(r#"{"alg":"EdDSA","kid":"anything"}"#, b"foo");
    assert!(run(&Judge::SignatureOnly(&vectors(std::slice::from_ref(&nameless))), named.as_bytes()).0);
    assert!(
        !run(&Judge::SignatureOnly(&vectors(&[nameless, with(two.jwk(), "kid", json!(null))])), named.as_bytes()).0
    );
}

#[test]
fn vectors_may_lack_members_but_what_is_there_must_be_right() {
    let bare =
        |jwk: Value| KeyRing::from_vectors(jwk.to_string().as_bytes(), "vector").unwrap().verifying().next().is_some();
    let jwk = Hand::new("k").jwk();
    assert!(bare(with(with(with(jwk.clone(), "alg", json!(null)), "use", json!(null)), "kid", json!(null))));
    assert!(bare(with(jwk.clone(), "d", json!("ignored"))), "private members are passed over, not used");
    assert!(!bare(with(jwk.clone(), "use", json!("enc"))));
    assert!(!bare(with(jwk.clone(), "alg", json!("HS256"))));
    assert!(!bare(with(jwk, "key_ops", json!(["encrypt"]))));
    assert!(!bare(json!({"kty": "oct", "k": base64url::encode("short")})));
}

#[test]
fn a_key_that_is_not_acceptable_is_passed_over_and_named_and_the_others_judge() {
    let hand = Hand::new("k-1");
    let p521 = json!({"kty": "EC", "crv": "P-521", "alg": "ES512", "use": "sig", "kid": "big", "x": "AA", "y": "AA"});
    let ring = vectors(&[p521, hand.jwk()]);
    assert_eq!(ring.passed_over().len(), 1);
    assert!(ring.passed_over()[0].to_string().contains("key 1"), "{}", ring.passed_over()[0]);
    let judge = Judge::SignatureOnly(&ring);
    assert!(run(&judge, hand.sign(&claims()).as_bytes()).0);
    let other = hand.sign_parts(r#"{"alg":"ES512","kid":"big"}"#, b"foo");
    assert!(!run(&judge, other.as_bytes()).0);
    assert!(KeyRing::from_vectors(b"{", "vector").is_err());
}

#[test]
fn keys_without_a_configuration_judge_all_but_issuer_and_audience() {
    let hand = Hand::new("k-1");
    let ring = vectors(&[hand.jwk()]);
    let ok = |all: &Value| run(&Judge::Keys(&ring), hand.sign(all).as_bytes()).0;
    assert!(ok(&claims()));
    assert!(ok(&with(claims(), "iss", json!("https://other.test"))));
    assert!(!ok(&with(claims(), "iss", json!(null))));
    assert!(!ok(&with(claims(), "exp", json!(NOW))));
    assert!(!ok(&with(claims(), "aud", json!(["a", "b"]))));
    let typ = hand.with_header(&with(hand.header(), "typ", json!("JWT")));
    assert!(!run(&Judge::Keys(&ring), typ.as_bytes()).0);
}
