//! `verify`: a verdict on each token of an input, one a line.

use super::TokenError;
use super::claims::{Claims, Expected};
use super::jws::{Jws, MAX_TOKEN};
use super::verify::{ACCESS_TOKEN_TYPE, Verifier};
use crate::keys::KeyRing;
use crate::strict_json;
use serde_json::{Map, Value, json};
use std::io::{self, BufRead, Write};
use std::time::Duration;

/// By what tokens are judged.
pub enum Judge<'a> {
    /// Everything, as the gateway would (`--config`).
    Gateway(&'a Verifier),
    /// Everything but who the issuer and the audience are, which only a
    /// configuration can tell (`--jwks` alone).
    Keys(&'a KeyRing),
    /// The signed layer alone: form, header, key, algorithm, signature; any
    /// payload and any `typ` (`--jwks --signature-only`).
    SignatureOnly(&'a KeyRing),
}

/// Reads tokens, one a line, and writes for each a line of JSON:
/// `{"ok":bool,"reason":"…","claims":{…}}`. Returns whether all were good.
/// `now` is asked for every line. No line of the input, however long, is held
/// in memory beyond what a token may have.
///
/// # Errors
/// Reading or writing fails.
pub fn verify_lines(
    judge: &Judge<'_>,
    mut input: impl BufRead,
    mut output: impl Write,
    now: impl Fn() -> u64,
) -> io::Result<bool> {
    let mut all_good = true;
    let mut line = Vec::new();
    while read_line(&mut input, &mut line)? {
        let verdict = match std::str::from_utf8(&line) {
            Ok(token) => judge.claims(token, now()),
            Err(_) => Err(TokenError::Encoding),
        };
        let shown = match verdict {
            Ok(claims) => json!({"ok": true, "reason": "", "claims": claims}),
            Err(error) => {
                all_good = false;
                json!({"ok": false, "reason": error.to_string(), "claims": {}})
            }
        };
        writeln!(output, "{shown}")?;
    }
    output.flush()?;
    Ok(all_good)
}

impl Judge<'_> {
    fn claims(&self, token: &str, now: u64) -> Result<Map<String, Value>, TokenError> {
        match self {
            Judge::Gateway(verifier) => verifier.verify(token, now).map(|verified| verified.claims),
            Judge::Keys(ring) => {
                let jws = Jws::read(token)?;
                if jws.header.cty.is_some() {
                    return Err(TokenError::Nested);
                }
                if jws.header.typ.as_deref() != Some(ACCESS_TOKEN_TYPE) {
                    return Err(TokenError::Type);
                }
                jws.header.without_thumbprint()?;
                verify_with(&jws, ring, now)?;
                let expected = Expected {
                    issuer: None,
                    audience: None,
                    max_lifetime: Duration::from_secs(900),
                    leeway: Duration::from_secs(60),
                };
                Claims::check(Claims::parse(&jws.payload)?, expected, now).map(|claims| claims.all)
            }
            Judge::SignatureOnly(ring) => {
                let jws = Jws::read(token)?;
                verify_with(&jws, ring, now)?;
                Ok(strict_json::parse_object(&jws.payload).unwrap_or_default())
            }
        }
    }
}

/// As for the gateway, but a header without an id means the only key of its
/// algorithm, and a key without an id may be meant by any header.
fn verify_with(jws: &Jws<'_>, ring: &KeyRing, now: u64) -> Result<(), TokenError> {
    let mut fit = ring.verifying().filter(|key| {
        let named = match &jws.header.kid {
            Some(kid) => key.kid() == kid || key.kid().is_empty(),
            None => key.algorithm().name() == jws.header.alg,
        };
        named && key.window().contains(now)
    });
    let key = fit.next().ok_or(TokenError::UnknownKey)?;
    if fit.next().is_some() {
        return Err(TokenError::UnknownKey);
    }
    jws.verify(key)
}

/// One line without its end, cut off once it is longer than any token.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut begun = false;
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            break;
        }
        begun = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = (MAX_TOKEN + 2).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(begun)
}
