//! JSON as strictly as it can be read: one meaning only, for tokens, keys and the
//! bodies of requests.
//!
//! Two parsers that disagree about a text see two: a token whose claims mean one
//! thing here and another elsewhere, a body that is checked as one and acted on
//! as another. So the text is UTF-8; it is one value and nothing follows but
//! white space; a member occurs once, at every level, after its escapes are
//! undone; and there are at most [`DEPTH`] levels (RFC 8725, 2.4; RFC 7515, 4).

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// How deeply values may be nested.
pub const DEPTH: usize = 32;

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

/// Why, and where in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it {error} (line {line}, column {column})")]
pub struct JsonFault {
    /// Why.
    pub error: JsonError,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl From<JsonFault> for JsonError {
    fn from(fault: JsonFault) -> JsonError {
        fault.error
    }
}

/// Parses one JSON object.
///
/// # Errors
/// See [`JsonError`].
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    match parse(bytes)? {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(JsonError::NotAnObject)
        }
    }
}

/// Parses one JSON value of any type.
///
/// # Errors
/// See [`JsonError`].
pub fn parse(bytes: &[u8]) -> Result<Value, JsonFault> {
    let duplicate = Cell::new(false);
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0, duplicate: &duplicate }.deserialize(&mut source);
    value.and_then(|value| source.end().map(|()| value)).map_err(|error| JsonFault {
        error: if duplicate.get() { JsonError::Duplicate } else { JsonError::Malformed },
        line: error.line(),
        column: error.column(),
    })
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    /// Whether that is what is wrong.
    duplicate: &'a Cell<bool>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
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

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
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
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if map.insert(name, value).is_some() {
                self.duplicate.set(true);
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
    fn a_fault_is_told_with_its_place_and_without_the_text() {
        let fault = parse(b"{\"secret\": 1,\n \"secret\": 2}").unwrap_err();
        assert_eq!(fault.to_string(), "it holds a member twice (line 2, column 13)");
    }

    #[test]
    fn an_array_is_not_an_object_and_depth_is_bounded() {
        assert_eq!(parse_object(b"[]"), Err(JsonError::NotAnObject));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(4000), "]".repeat(4000));
        assert_eq!(parse_object(deep.as_bytes()), Err(JsonError::Malformed));
    }
}
