//! Docker's `filters` query: an object of names to sets of values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::super::Refusal;
use super::json;
use super::refusal::malformed;

/// Filters, read strictly; written anew in the form `{"label":{"a=b":true}}`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// Reads filters in either of Docker's forms; an empty text is none at all.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn read(text: &str) -> Result<Filters, Refusal> {
        let mut filters = Filters::default();
        if text.is_empty() {
            return Ok(filters);
        }
        let bad = || malformed("query.filters", "the filters are not acceptable");
        let given = match json::parse(text.as_bytes())? {
            Value::Object(map) => map,
            Value::Null => return Ok(filters),
            _ => return Err(malformed("json.form", "the filters must be a JSON object")),
        };
        for (name, values) in given {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!".contains(&b);
            if name.is_empty() || !name.bytes().all(plain) {
                return Err(bad());
            }
            if values.is_null() {
                continue;
            }
            let set = filters.0.entry(name).or_default();
            match values {
                Value::Object(map) => {
                    for (value, on) in map {
                        if on != Value::Bool(true) {
                            return Err(bad());
                        }
                        set.insert(value);
                    }
                }
                Value::Array(list) => {
                    for value in list {
                        set.insert(value.as_str().ok_or_else(bad)?.to_owned());
                    }
                }
                _ => return Err(bad()),
            }
        }
        if filters.0.values().flatten().any(|value| value.chars().any(char::is_control)) {
            return Err(bad());
        }
        Ok(filters)
    }

    /// Takes out the values of a filter.
    pub fn take(&mut self, name: &str) -> BTreeSet<String> {
        self.0.remove(name).unwrap_or_default()
    }

    /// Asks for a value besides what is there.
    pub fn add(&mut self, name: &str, value: String) {
        self.0.entry(name.to_owned()).or_default().insert(value);
    }

    /// Asks for a label besides what is there; label filters are all required.
    pub fn require_label(&mut self, label: &str) {
        self.0.entry("label".to_owned()).or_default().insert(label.to_owned());
    }

    /// As JSON; nothing for no filters.
    pub fn write(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let object: Map<String, Value> = self
            .0
            .iter()
            .map(|(name, values)| {
                let set: Map<String, Value> = values.iter().map(|value| (value.clone(), Value::Bool(true))).collect();
                (name.clone(), Value::Object(set))
            })
            .collect();
        Value::Object(object).to_string()
    }
}
