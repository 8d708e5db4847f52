//! JSON in requests: read strictly ([`crate::strict_json`]), and refused with a
//! 400 where it is not that.
//!
//! What must hold: what is checked is what the daemon sees. Go's decoder matches
//! members without regard to case (and folds U+017F to s, U+212A to k) and merges
//! duplicates; here a member is known only by its exact spelling, after `\u`
//! escapes are read.

use serde_json::{Map, Value};

use super::super::{Refusal, strict_json};
use super::refusal::malformed;

/// Reads one JSON value.
///
/// # Errors
/// A 400 that says where the text is not what is asked for.
pub fn parse(text: &[u8]) -> Result<Value, Refusal> {
    strict_json::parse(text).map_err(|fault| malformed("json.form", format!("the JSON is not acceptable: {fault}")))
}

/// Reads a JSON object, the form of every body.
///
/// # Errors
/// As [`parse`], and for any other kind of value.
pub fn parse_object(text: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match parse(text)? {
        Value::Object(map) => Ok(map),
        _ => Err(malformed("json.form", "a JSON object is expected")),
    }
}

/// The text as Go's decoder compares names: ASCII letters small, U+017F as s,
/// U+212A as k.
pub fn folded(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}
