//! Tokens: what is not rightly signed is refused, whatever it looks like, and
//! of what is rightly signed only what RFC 9068 and our rules ask for is
//! accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use stockade_fuzz::Bytes;
use stockade_fuzz::identity::{AUDIENCE, ISSUER, NOW, claims, desk, header};

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    match bytes.byte() % 3 {
        0 => unsigned(bytes.0),
        1 => tampered(&mut bytes),
        _ => signed(&mut bytes),
    }
});

/// Anything at all.
fn unsigned(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(desk().verifier.verify(text, NOW).is_err(), "accepted without a signature: {text:?}");
    }
}

/// A good token with bytes changed, put in, or taken out.
fn tampered(bytes: &mut Bytes<'_>) {
    let good = desk().sign(header().to_string().as_bytes(), claims("deploy", Some("team")).to_string().as_bytes());
    assert!(desk().verifier.verify(&good, NOW).is_ok());
    let mut token = good.clone().into_bytes();
    while !bytes.is_empty() && !token.is_empty() {
        let (what, at) = (bytes.byte(), usize::from(bytes.byte()) << 8 | usize::from(bytes.byte()));
        let at = at % token.len();
        match what % 4 {
            0 => token[at] = bytes.byte(),
            1 => token.insert(at, bytes.byte()),
            2 => drop(token.remove(at)),
            _ => token[at] ^= 1 << (what >> 5),
        }
    }
    if let Ok(text) = std::str::from_utf8(&token) {
        assert!(text == good || desk().verifier.verify(text, NOW).is_err(), "accepted though changed: {text}");
    }
}

/// Good ones with members changed, or any text at all, rightly signed.
fn signed(bytes: &mut Bytes<'_>) {
    let (mut head, mut body) = (header(), claims("deploy", Some("team")));
    let names = [
        "typ", "alg", "kid", "crit", "b64", "jku", "x5u", "jwk", "x5c", "cty", "zip", "iss", "sub", "aud", "exp",
        "iat", "nbf", "jti", "role", "tenant", "sid",
    ];
    let values = [
        "null",
        "true",
        "0",
        "-1",
        "1800000000",
        "1800000060",
        "1800000061",
        "1800000900",
        "1800000901",
        "1799999999",
        "18446744073709551615",
        "1e400",
        "1.8e9",
        "\"\"",
        "\"none\"",
        "\"HS256\"",
        "\"at+jwt\"",
        "\"AT+JWT\"",
        "\"JWT\"",
        "\"gateway.test\"",
        "[\"gateway.test\"]",
        "[\"gateway.test\",\"x\"]",
        "{}",
        "[]",
        "\"k\"",
        "\"x\"",
        "\"library\"",
    ];
    let raw = bytes.byte();
    while !bytes.is_empty() {
        let (name, value) = (bytes.of(&names), bytes.of(&values));
        let Ok(value) = serde_json::from_str::<Value>(value) else { continue };
        if bytes.byte() % 2 == 0 { head[name] = value } else { body[name] = value }
    }
    let (mut head, mut body) = (head.to_string(), body.to_string());
    match raw % 8 {
        // A member twice: the second would be taken by some readers.
        6 => body = body.replacen('{', "{\"exp\":1800000100,", 1),
        7 => head = head.replacen('{', "{\"alg\":\"none\",", 1),
        _ => {}
    }
    let token = desk().sign(head.as_bytes(), body.as_bytes());
    let Ok(verified) = desk().verifier.verify(&token, NOW) else { return };
    assert!(raw % 8 < 6, "accepted with a member twice: {head} {body}");
    let (head, body): (Value, Value) = (serde_json::from_str(&head).unwrap(), serde_json::from_str(&body).unwrap());
    assert_eq!((&head["typ"], &head["alg"], &head["kid"]), (&"at+jwt".into(), &"EdDSA".into(), &"k".into()), "{head}");
    for member in ["crit", "b64", "jku", "x5u", "jwk", "x5c", "cty", "zip"] {
        assert!(head.get(member).is_none(), "accepted with {member}: {head}");
    }
    let number = |name: &str| body[name].as_u64().unwrap_or_else(|| panic!("{name} of {body}"));
    let text =
        |name: &str| body[name].as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("{name} of {body}"));
    assert_eq!(text("iss"), ISSUER);
    assert!(body["aud"] == AUDIENCE || body["aud"] == serde_json::json!([AUDIENCE]), "{body}");
    assert!(number("exp") > NOW.saturating_sub(60) && number("exp") - number("iat") <= 900, "{body}");
    assert!(number("iat") <= NOW + 60 && body.get("nbf").is_none_or(|_| number("nbf") <= NOW + 60), "{body}");
    let identity = verified.identity;
    assert_eq!((identity.subject.as_str(), identity.token_id.as_str()), (text("sub"), text("jti")));
    assert_eq!((identity.role.as_str(), identity.expires), (text("role"), number("exp")));
    assert_eq!(identity.tenant.as_deref(), body.get("tenant").and_then(Value::as_str));
}
