//! The claims.

use super::kit::{AUDIENCE, ISSUER, NOW, claims, desk, with};
use serde_json::{Value, json};
use stockade_gateway::token::TokenError;

#[test]
fn each_required_claim_is_required() {
    let desk = desk();
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "role"] {
        assert_eq!(desk.claim(name, json!(null)).unwrap_err(), TokenError::ClaimMissing(name));
    }
}

#[test]
fn a_claim_of_the_wrong_type_or_form_is_refused() {
    let desk = desk();
    let texts = [
        json!(1),
        json!(true),
        json!([]),
        json!(["x"]),
        json!({}),
        json!(""),
        json!("a\nb"),
        json!("a\u{0}"),
        json!("a\u{85}"),
    ];
    for name in ["iss", "sub", "jti", "role", "tenant", "sid"] {
        for wrong in texts.iter().cloned().chain([json!("x".repeat(256))]) {
            assert_eq!(desk.claim(name, wrong.clone()).unwrap_err(), TokenError::ClaimForm(name), "{name} {wrong}");
        }
    }
    for name in ["exp", "iat", "nbf"] {
        let soon = NOW + 60;
        for wrong in [
            json!(soon.to_string()),
            json!(soon as f64),
            json!(soon as f64 + 0.5),
            json!(-1),
            json!(true),
            json!([soon]),
            json!({}),
            json!(1u64 << 53),
            json!(u64::MAX),
            json!(1e300),
        ] {
            assert_eq!(desk.claim(name, wrong.clone()).unwrap_err(), TokenError::ClaimForm(name), "{name} {wrong}");
        }
    }
}

#[test]
fn a_null_claim_is_not_an_absent_one() {
    // An absent tenant is the operator's view: nothing may be taken for absent.
    let desk = desk();
    for name in ["tenant", "sid", "nbf"] {
        let mut all = claims();
        all.as_object_mut().unwrap().insert(name.to_owned(), Value::Null);
        assert_eq!(desk.verify(&desk.hand.sign(&all)).unwrap_err(), TokenError::ClaimForm(name));
    }
    let operator = desk.claim("tenant", json!(null)).unwrap();
    assert_eq!(operator.identity.tenant, None);
}

#[test]
fn an_end_of_u64_max_is_refused_and_does_not_overflow() {
    let desk = desk();
    assert_eq!(desk.claim("exp", json!(u64::MAX)).unwrap_err(), TokenError::ClaimForm("exp"));
    let text = claims().to_string().replace(&format!("\"exp\":{}", NOW + 600), "\"exp\":18446744073709551616");
    assert!(text.contains("18446744073709551616"));
    let token = desk.hand.sign_parts(&desk.hand.header().to_string(), text.as_bytes());
    assert_eq!(desk.verify(&token).unwrap_err(), TokenError::ClaimForm("exp"));
    let text = text.replace("18446744073709551616", "1e999");
    let token = desk.hand.sign_parts(&desk.hand.header().to_string(), text.as_bytes());
    assert!(desk.verify(&token).is_err());
}

#[test]
fn the_issuer_must_be_ours_exactly() {
    let desk = desk();
    for wrong in [
        "https://gateway.test/",
        "https://GATEWAY.test",
        "https://gateway.tes",
        "https://gateway.test.evil.test",
        " https://gateway.test",
    ] {
        assert_eq!(desk.claim("iss", json!(wrong)).unwrap_err(), TokenError::Issuer, "{wrong}");
    }
    assert!(desk.claim("iss", json!(ISSUER)).is_ok());
}

#[test]
fn the_audience_must_be_this_gateway_and_no_other() {
    let desk = desk();
    assert!(desk.claim("aud", json!(AUDIENCE)).is_ok());
    assert!(desk.claim("aud", json!([AUDIENCE])).is_ok());
    for wrong in [
        json!("docker://host-2"),
        json!("docker://host-1/"),
        json!("docker://host-11"),
        json!([]),
        json!(["docker://host-2"]),
        json!([AUDIENCE, "docker://host-2"]),
        json!([AUDIENCE, AUDIENCE]),
        json!([[AUDIENCE]]),
        json!([1]),
    ] {
        assert_eq!(desk.claim("aud", wrong.clone()).unwrap_err(), TokenError::Audience, "{wrong}");
    }
    for wrong in [json!(1), json!({"a": AUDIENCE}), json!(true), json!("")] {
        assert_eq!(desk.claim("aud", wrong.clone()).unwrap_err(), TokenError::ClaimForm("aud"), "{wrong}");
    }
}

#[test]
fn a_token_ends_at_exp_to_the_second() {
    let desk = desk();
    let token = desk.hand.sign(&claims());
    assert!(desk.verifier.verify(&token, NOW + 599).is_ok());
    assert_eq!(desk.verifier.verify(&token, NOW + 600).unwrap_err(), TokenError::Expired);
    assert_eq!(desk.verifier.verify(&token, u64::MAX).unwrap_err(), TokenError::Expired);
    assert_eq!(desk.claim("exp", json!(NOW)).unwrap_err(), TokenError::Expired);
    assert_eq!(desk.claim("exp", json!(0)).unwrap_err(), TokenError::Expired);
}

#[test]
fn a_life_longer_than_allowed_is_refused() {
    let desk = desk();
    assert!(desk.claim("exp", json!(NOW + 900)).is_ok());
    assert_eq!(desk.claim("exp", json!(NOW + 901)).unwrap_err(), TokenError::Lifetime);
    // Not even if most of it is over already.
    let old = with(with(claims(), "iat", json!(NOW - 10_000)), "exp", json!(NOW + 60));
    assert_eq!(desk.verify(&desk.hand.sign(&old)).unwrap_err(), TokenError::Lifetime);
    assert_eq!(desk.claim("iat", json!(0)).unwrap_err(), TokenError::Lifetime);
    // Ending before it begins.
    let reversed = with(with(claims(), "iat", json!(NOW + 50)), "exp", json!(NOW + 40));
    assert_eq!(desk.verify(&desk.hand.sign(&reversed)).unwrap_err(), TokenError::Lifetime);
    let none = with(with(claims(), "iat", json!(NOW + 50)), "exp", json!(NOW + 50));
    assert_eq!(desk.verify(&desk.hand.sign(&none)).unwrap_err(), TokenError::Lifetime);
}

#[test]
fn iat_and_nbf_may_be_ahead_by_the_leeway_and_no_more() {
    let desk = desk();
    for (name, error) in [("iat", TokenError::IssuedInFuture), ("nbf", TokenError::NotYetValid)] {
        assert!(desk.claim(name, json!(NOW + 60)).is_ok(), "{name}");
        assert_eq!(desk.claim(name, json!(NOW + 61)).unwrap_err(), error, "{name}");
    }
    assert!(desk.claim("nbf", json!(NOW - 5)).is_ok());
}

#[test]
fn a_leeway_of_more_than_a_minute_counts_as_a_minute() {
    use super::kit::{Hand, ring};
    use std::time::Duration;
    use stockade_gateway::token::{Verifier, VerifierConfig};
    let hand = Hand::new("k-1");
    let mut config = VerifierConfig::new(ISSUER, AUDIENCE);
    config.leeway = Duration::from_secs(86_400);
    let verifier = Verifier::new(config, ring(&[hand.jwk()]));
    let token = hand.sign(&with(claims(), "iat", json!(NOW + 61)));
    assert_eq!(verifier.verify(&token, NOW).unwrap_err(), TokenError::IssuedInFuture);
}

#[test]
fn a_clock_that_jumps_back_does_not_bring_a_token_into_force_early() {
    let desk = desk();
    let token = desk.hand.sign(&claims());
    assert_eq!(desk.verifier.verify(&token, NOW - 61).unwrap_err(), TokenError::IssuedInFuture);
    assert_eq!(desk.verifier.verify(&token, 0).unwrap_err(), TokenError::IssuedInFuture);
}

#[test]
fn duplicate_claims_are_refused() {
    let desk = desk();
    let good = claims().to_string();
    for extra in
        [r#""role":"read""#, r#""tenant":"blue""#, r#""\u0074enant":"red""#, r#""sub":"ann""#, r#""x":{"a":1,"a":1}"#]
    {
        let text = format!("{},{extra}}}", &good[..good.len() - 1]);
        let token = desk.hand.sign_parts(&desk.hand.header().to_string(), text.as_bytes());
        assert!(matches!(desk.verify(&token), Err(TokenError::ClaimsJson(_))), "{extra}");
    }
}

#[test]
fn a_claim_in_another_letter_case_is_another_claim() {
    let desk = desk();
    let all = with(with(claims(), "tenant", json!(null)), "Tenant", json!("red"));
    assert_eq!(desk.verify(&desk.hand.sign(&all)).unwrap().identity.tenant, None);
    let all = with(with(claims(), "jti", json!(null)), "JTI", json!("x"));
    assert_eq!(desk.verify(&desk.hand.sign(&all)).unwrap_err(), TokenError::ClaimMissing("jti"));
}

#[test]
fn a_tenant_or_role_is_a_plain_name() {
    let desk = desk();
    for tenant in ["Blue", "blue/red", "../red", "blue red", "-blue", ".", "blue,red", "bl\u{fc}e", "*"] {
        assert_eq!(desk.claim("tenant", json!(tenant)).unwrap_err(), TokenError::ClaimForm("tenant"), "{tenant}");
    }
    assert_eq!(desk.claim("tenant", json!("b".repeat(64))).unwrap_err(), TokenError::ClaimForm("tenant"));
    for role in ["../operator", "a b", "deploy\u{200b}", "r/w", "*"] {
        assert_eq!(desk.claim("role", json!(role)).unwrap_err(), TokenError::ClaimForm("role"), "{role}");
    }
}
