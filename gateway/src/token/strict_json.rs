//! JSON as a signed text may be read: one meaning only.
//!
//! Two parsers that disagree about a repeated member see two tokens in one.
//! So a member may occur once, at every level, after its escapes are undone;
//! the text is UTF-8; nothing follows it but white space (RFC 8725, 2.4;
//! RFC 7515, 4: names must be unique).

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Why a text is not accepted as JSON. Holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, not UTF-8, nested too deeply, or followed by something.
    #[error("is not one well-formed JSON value")]
    Malformed,
    /// A member occurs twice in one object.
    #[error("holds a member twice")]
    Duplicate,
    /// Something other than an object.
    #[error("is not a JSON object")]
    NotAnObject,
}

/// Parses one JSON object.
///
/// # Errors
/// See [`JsonError`]. Depth is bounded by the parser (128 levels).
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    match parse(bytes)? {
        Value::Object(map) => Ok(map),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Parses one JSON value of any type.
///
/// # Errors
/// See [`JsonError`].
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::Malformed)?;
    let mut source = serde_json::Deserializer::from_str(text);
    // The visitor below raises one error of its own; all others are the parser's.
    let value = Strict.deserialize(&mut source).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => JsonError::Duplicate,
        _ => JsonError::Malformed,
    })?;
    source.end().map_err(|_| JsonError::Malformed)?;
    Ok(value)
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_member_is_refused_at_every_level_and_under_every_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"x":[{"a":1},{"a":1,"a":2}]}"#,
        ] {
            assert_eq!(parse_object(text.as_bytes()), Err(JsonError::Duplicate), "{text}");
        }
        assert!(parse_object(br#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#).is_ok());
    }

    #[test]
    fn what_follows_the_object_is_refused() {
        for text in ["{}{}", "{} x", "{},", "{}\0", "\u{feff}{}", "", "{", r#"{"a":1,}"#, "{'a':1}", "{\"a\":NaN}"] {
            assert_eq!(parse_object(text.as_bytes()), Err(JsonError::Malformed), "{text:?}");
        }
        assert!(parse_object(b" {} \r\n").is_ok());
    }

    #[test]
    fn what_is_not_utf8_or_a_lone_surrogate_is_refused() {
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), Err(JsonError::Malformed));
        assert_eq!(parse_object(br#"{"a":"\ud800"}"#), Err(JsonError::Malformed));
    }

    #[test]
    fn an_array_is_not_an_object_and_depth_is_bounded() {
        assert_eq!(parse_object(b"[]"), Err(JsonError::NotAnObject));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(4000), "]".repeat(4000));
        assert_eq!(parse_object(deep.as_bytes()), Err(JsonError::Malformed));
    }
}
