//! Outside issuers.

use super::kit::{AUDIENCE, Hand, ISSUER, NOW, claims, ring, with};
use serde_json::{Value, json};
use stockade_gateway::keys::{KeyRing, Remotes};
use stockade_gateway::token::{IssuerSettings, OutsideIssuer, TokenError, Verifier, VerifierConfig};
use stockade_gateway::{RoleName, TenantName};

const CI: &str = "https://ci.test";

struct Desk {
    own: Hand,
    ci: Hand,
    verifier: Verifier,
}

fn settings(jwks: &std::path::Path, extra: &str) -> Result<IssuerSettings, toml::de::Error> {
    toml::from_str(&format!(
        "issuer = '{CI}'\njwks = '{}'\naudience = 'stockade-ci'\nmax_lifetime_seconds = 600\n{extra}",
        jwks.display()
    ))
}

const RULES: &str = "
plain_jwt = true
[[rule]]
claims = { repository = 'acme/shop', ref = 'refs/heads/main' }
tenant = 'shop'
role = 'deploy'
[[rule]]
claims = { repository = 'acme/shop' }
tenant = 'shop'
role = 'read'
[[rule]]
claims = { repository = 'acme/ops', sub = 'ops' }
operator = true
role = 'operator'
";

fn desk_with(rules: &str) -> Desk {
    // Both have a key of the same id: the issuer decides whose counts.
    let (own, ci) = (Hand::new("k-1"), Hand::new("k-1"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ci.json");
    std::fs::write(&file, json!({"keys": [ci.jwk()]}).to_string()).unwrap();
    let mut config = VerifierConfig::new(ISSUER, AUDIENCE);
    config.issuers = vec![OutsideIssuer::open(settings(&file, rules).unwrap(), &Remotes::default()).unwrap()];
    let verifier = Verifier::new(config, ring(&[own.jwk()]));
    Desk { own, ci, verifier }
}

fn ci_claims() -> Value {
    json!({"iss": CI, "sub": "repo:acme/shop", "aud": "stockade-ci", "exp": NOW + 300, "iat": NOW, "jti": "ci-1",
           "repository": "acme/shop", "ref": "refs/heads/main"})
}

impl Desk {
    fn ci(&self, claims: &Value) -> Result<(Option<TenantName>, RoleName), TokenError> {
        let header = json!({"typ": "JWT", "alg": "EdDSA", "kid": "k-1", "x5t": "thumb"}).to_string();
        let token = self.ci.sign_parts(&header, claims.to_string().as_bytes());
        self.verifier.verify(&token, NOW).map(|verified| (verified.identity.tenant, verified.identity.role))
    }
}

#[test]
fn exact_values_of_claims_decide_on_tenant_and_role() {
    let desk = desk_with(RULES);
    let shop = |role: &str| Ok((Some(TenantName::parse("shop").unwrap()), RoleName::parse(role).unwrap()));
    assert_eq!(desk.ci(&ci_claims()), shop("deploy"));
    assert_eq!(desk.ci(&with(ci_claims(), "ref", json!("refs/heads/main2"))), shop("read"));
    assert_eq!(desk.ci(&with(ci_claims(), "ref", json!("refs/heads/"))), shop("read"));
    let ops = with(with(ci_claims(), "repository", json!("acme/ops")), "sub", json!("ops"));
    assert_eq!(desk.ci(&ops), Ok((None, RoleName::parse("operator").unwrap())));
    for repository in
        [json!("acme/shop-evil"), json!("acme"), json!("ACME/shop"), json!(["acme/shop"]), json!(1), json!(null)]
    {
        let verdict = desk.ci(&with(ci_claims(), "repository", repository.clone()));
        assert_eq!(verdict, Err(TokenError::NoMapping), "{repository}");
    }
}

#[test]
fn an_issuer_cannot_name_tenant_or_role_itself() {
    let desk = desk_with(RULES);
    let greedy = with(with(with(ci_claims(), "role", json!("operator")), "tenant", json!("bank")), "sid", json!("s"));
    assert_eq!(desk.ci(&greedy), Ok((Some(TenantName::parse("shop").unwrap()), RoleName::parse("deploy").unwrap())));
    let unknown = with(greedy, "repository", json!("evil/x"));
    assert_eq!(desk.ci(&unknown), Err(TokenError::NoMapping));
}

#[test]
fn an_issuers_key_verifies_its_own_tokens_only() {
    let desk = desk_with(RULES);
    // Theirs, saying it is ours; ours, saying it is theirs.
    assert_eq!(desk.verifier.verify(&desk.ci.sign(&claims()), NOW).unwrap_err(), TokenError::Signature);
    assert_eq!(desk.verifier.verify(&desk.own.sign(&ci_claims()), NOW).unwrap_err(), TokenError::Signature);
    assert!(desk.verifier.verify(&desk.own.sign(&claims()), NOW).is_ok());
    assert!(desk.verifier.verify(&desk.ci.sign(&ci_claims()), NOW).is_ok());
    for issuer in ["https://ci.test/", "https://other.test", "https://ci.test.evil.test"] {
        assert_eq!(desk.ci(&with(ci_claims(), "iss", json!(issuer))), Err(TokenError::Issuer));
    }
}

#[test]
fn an_issuer_has_its_own_audience_and_longest_life() {
    let desk = desk_with(RULES);
    assert_eq!(desk.ci(&with(ci_claims(), "aud", json!(AUDIENCE))), Err(TokenError::Audience));
    assert_eq!(desk.ci(&with(ci_claims(), "exp", json!(NOW + 601))), Err(TokenError::Lifetime));
    assert_eq!(desk.ci(&with(ci_claims(), "jti", json!(null))), Err(TokenError::ClaimMissing("jti")));
}

#[test]
fn a_plain_jwt_is_accepted_only_where_it_is_configured() {
    let strict = desk_with(&RULES.replace("plain_jwt = true", ""));
    assert_eq!(strict.ci(&ci_claims()), Err(TokenError::Type));
    assert!(strict.verifier.verify(&strict.ci.sign(&ci_claims()), NOW).is_ok());
    // And never for tokens of our own.
    let lax = desk_with(RULES);
    let token = lax.own.with_header(&with(lax.own.header(), "typ", json!("JWT")));
    assert_eq!(lax.verifier.verify(&token, NOW).unwrap_err(), TokenError::Type);
    for typ in ["dpop+jwt", "logout+jwt", "jwt"] {
        let header = json!({"typ": typ, "alg": "EdDSA", "kid": "k-1"}).to_string();
        let token = lax.ci.sign_parts(&header, ci_claims().to_string().as_bytes());
        assert_eq!(lax.verifier.verify(&token, NOW).unwrap_err(), TokenError::Type, "{typ}");
    }
}

#[test]
fn a_mapping_that_would_let_everybody_in_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ci.json");
    std::fs::write(&file, json!({"keys": [Hand::new("k").jwk()]}).to_string()).unwrap();
    let open = |rules: &str| settings(&file, rules).map(|settings| OutsideIssuer::open(settings, &Remotes::default()));
    for wrong in [
        "[[rule]]\nclaims = { sub = 'x' }\ntenant = ''\nrole = 'read'",
        "[[rule]]\nclaims = { sub = 'x' }\ntenant = 'A b'\nrole = 'read'",
        "[[rule]]\nclaims = { sub = 'x' }\ntenant = 'a'\nrole = ''",
    ] {
        assert!(open(wrong).is_err(), "{wrong}");
    }
    for wrong in [
        "[[rule]]\nclaims = {}\ntenant = 'a'\nrole = 'read'",
        "[[rule]]\nclaims = { sub = 'x' }\nrole = 'read'",
        "[[rule]]\nclaims = { sub = 'x' }\ntenant = 'a'\noperator = true\nrole = 'read'",
    ] {
        assert!(open(wrong).unwrap().is_err(), "{wrong}");
    }
    assert!(open("[[rule]]\nclaims = { sub = 1 }\ntenant = 'a'\nrole = 'read'").is_err());
    assert!(open("[[rule]]\nclaims = { sub = 'x' }\ntenant = 'a'\nrole = 'read'\nprefix = true").is_err());
    // Without a rule nobody gets in.
    let desk = desk_with("plain_jwt = true");
    assert_eq!(desk.ci(&ci_claims()), Err(TokenError::NoMapping));
}

#[test]
fn a_pinned_key_set_may_hold_other_keys_but_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ci.json");
    let load = |keys: Value| {
        std::fs::write(&file, json!({ "keys": keys }).to_string()).unwrap();
        KeyRing::load_outside(&file)
    };
    let good = Hand::new("good").jwk();
    let encryption = with(with(good.clone(), "use", json!("enc")), "kid", json!("enc"));
    let p384 = json!({"kty": "EC", "crv": "P-384", "alg": "ES384", "use": "sig", "kid": "big", "x": "AA", "y": "AA"});
    let ring = load(json!([good, encryption, p384])).unwrap();
    assert_eq!(ring.jwks_public()["keys"].as_array().unwrap().len(), 1);
    assert!(load(json!([encryption])).is_err(), "nothing to verify with");
    assert!(load(json!([good, with(good.clone(), "d", json!("AAAA"))])).is_err());
    assert!(load(json!([good, {"kty": "oct", "use": "sig", "kid": "s", "k": "AAAA"}])).is_err());
    assert!(load(json!([with(good.clone(), "kid", json!(null))])).is_err());
    assert!(load(json!([good, good])).is_err());
}
