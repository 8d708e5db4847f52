//! A TOML tree that remembers where each part was written.

use std::{fmt, ops::Range, sync::Arc};

/// A text that was read, with the name it is shown under.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// How diagnostics name it: a path as the operator gave it, or `bundled:docker`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// Wraps a text for sharing. Line ends of Windows become those of the
    /// hosts: an editor's choice must not reach files through their content.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        Arc::new(Source { name: name.into(), text: text.into().replace("\r\n", "\n") })
    }

    /// Line and column (both from 1, columns in characters) of a byte offset.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.text[..end];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// The text of a line (from 1), without its end.
    pub fn line(&self, number: usize) -> &str {
        self.text.lines().nth(number.saturating_sub(1)).unwrap_or("")
    }
}

/// A range of bytes in a [`Source`].
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    /// Where it was written.
    pub source: Arc<Source>,
    /// Which bytes.
    pub range: Range<usize>,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Span {
    /// `file:line:column`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.position(self.range.start);
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it was written.
    pub span: Span,
    /// What it is.
    pub value: NodeValue,
}

/// The values TOML has; a date keeps its text.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    /// A string.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A date, time or both, as written.
    Datetime(String),
    /// An array.
    Array(Vec<Node>),
    /// A table, in the order it was written.
    Table(Vec<TableEntry>),
}

/// One `key = value` of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableEntry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub node: Node,
}

impl Node {
    /// What sort of value this is, as errors name it.
    pub fn type_name(&self) -> &'static str {
        match self.value {
            NodeValue::String(_) => "a string",
            NodeValue::Integer(_) => "an integer",
            NodeValue::Float(_) => "a float",
            NodeValue::Bool(_) => "a boolean",
            NodeValue::Datetime(_) => "a date",
            NodeValue::Array(_) => "an array",
            NodeValue::Table(_) => "a table",
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The entries, if this is a table.
    pub fn as_table(&self) -> Option<&[TableEntry]> {
        match &self.value {
            NodeValue::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Node]> {
        match &self.value {
            NodeValue::Array(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// The value under a key, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_table()?.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The tree without its places, as JSON data (a date becomes its text).
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.value {
            NodeValue::String(text) | NodeValue::Datetime(text) => Value::String(text.clone()),
            NodeValue::Integer(number) => Value::from(*number),
            NodeValue::Float(number) => Value::from(*number),
            NodeValue::Bool(flag) => Value::Bool(*flag),
            NodeValue::Array(nodes) => nodes.iter().map(Node::to_json).collect(),
            NodeValue::Table(entries) => {
                Value::Object(entries.iter().map(|e| (e.key.clone(), e.node.to_json())).collect())
            }
        }
    }

    /// A tree from JSON data, all of it standing at one place; `null` has no
    /// TOML form and becomes an empty string.
    pub fn from_json(value: &serde_json::Value, span: &Span) -> Node {
        use serde_json::Value;
        let value = match value {
            Value::Null => NodeValue::String(String::new()),
            Value::Bool(flag) => NodeValue::Bool(*flag),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => NodeValue::Integer(whole),
                None => NodeValue::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => NodeValue::String(text.clone()),
            Value::Array(values) => NodeValue::Array(values.iter().map(|v| Node::from_json(v, span)).collect()),
            Value::Object(map) => NodeValue::Table(
                map.iter()
                    .map(|(key, v)| TableEntry {
                        key: key.clone(),
                        key_span: span.clone(),
                        node: Node::from_json(v, span),
                    })
                    .collect(),
            ),
        };
        Node { span: span.clone(), value }
    }
}
