//! A request as the daemon's language reads it: JSON with members found without
//! regard to case and the last of two counting, queries by `url.ParseQuery`,
//! paths by the table of routes. Written apart from the gateway's own readers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use stockade_gateway::policy::Operation;
use stockade_gateway::policy::routes::{Class, ROUTES};

/// A JSON value with every member that was written, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Flag(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Flag(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(value as f64))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Number(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = access.next_element()? {
                    list.push(value);
                }
                Ok(Json::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = access.next_entry()? {
                    members.push(member);
                }
                Ok(Json::Object(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Letters that Go's decoder takes for one another (`foldFunc` of encoding/json).
fn folded(text: &str) -> String {
    text.replace('\u{17f}', "s").replace('\u{212a}', "k").to_ascii_lowercase()
}

impl Json {
    /// Every value that Go could take for a member of a struct.
    pub fn all<'a>(&'a self, name: &'a str) -> Vec<&'a Json> {
        match self {
            Json::Object(members) => {
                members.iter().filter(|(known, _)| folded(known) == folded(name)).map(|(_, value)| value).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The same along a path.
    pub fn at<'a>(&'a self, path: &[&'a str]) -> Vec<&'a Json> {
        path.iter().fold(vec![self], |found, name| found.into_iter().flat_map(|value| value.all(name)).collect())
    }

    pub fn text(&self) -> &str {
        match self {
            Json::Text(text) => text,
            _ => "",
        }
    }

    pub fn number(&self) -> f64 {
        match self {
            Json::Number(number) => *number,
            _ => 0.0,
        }
    }

    pub fn list(&self) -> &[Json] {
        match self {
            Json::List(list) => list,
            _ => &[],
        }
    }

    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Json::Object(members) => members,
            _ => &[],
        }
    }

    /// Whether it says nothing: Go's zero value.
    pub fn is_zero(&self) -> bool {
        match self {
            Json::Null => true,
            Json::Flag(flag) => !flag,
            Json::Number(number) => *number == 0.0,
            Json::Text(text) => text.is_empty(),
            Json::List(list) => list.is_empty(),
            Json::Object(members) => members.iter().all(|(_, value)| value.is_zero()),
        }
    }
}

/// `url.QueryUnescape`.
pub fn unescaped(text: &str, plus: bool) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            (b'%', ..) => panic!("Go would refuse {text:?}"),
            (b'+', ..) if plus => {
                bytes.push(b' ');
                rest = after;
            }
            (byte, ..) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).expect("UTF-8 after decoding")
}

/// `url.ParseQuery`.
pub fn query(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            assert!(!pair.contains(';'), "Go would refuse {text:?}");
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescaped(key, true), unescaped(value, true))
        })
        .collect()
}

/// The operations whose pattern a method and a decoded path without its version fit.
pub fn operations(method: &str, path: &str) -> Vec<(Operation, Class)> {
    fn fits(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            ([first, rest @ ..], [_, after @ ..]) if first.ends_with("*}") => fits(rest, after) || fits(pattern, after),
            ([first, rest @ ..], [segment, after @ ..]) => {
                (first.starts_with('{') || first == segment) && fits(rest, after)
            }
            _ => false,
        }
    }
    let path: Vec<&str> = path.split('/').collect();
    ROUTES
        .iter()
        .filter(|route| route.method == method && fits(&route.path.split('/').collect::<Vec<_>>(), &path))
        .map(|route| (route.operation, route.class))
        .collect()
}
