//! The fields of kinds: documentation, schema and errors come from one table.

use super::{Args, Resource};
use crate::values::{Diagnostic, Node, NodeValue, TableEntry, possible_keys, suggest};

/// A resource kind.
pub struct Kind {
    /// The key in a step.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The field that names an instance, for step names made from it.
    pub main: &'static str,
    /// The fields, in the order of the documentation.
    pub fields: &'static [Field],
    /// Makes the resource. The table has passed [`check`]; what is still wrong
    /// goes into the [`Args`] and the result is none.
    pub build: fn(&mut Args<'_>) -> Option<Box<dyn Resource>>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kind({})", self.name)
    }
}

/// A field of a kind.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub ty: Type,
    /// Whether it must be given.
    pub required: bool,
    /// One sentence, without the name; says the default.
    pub doc: &'static str,
}

impl Field {
    /// A field that must be given.
    pub const fn required(name: &'static str, ty: Type, doc: &'static str) -> Field {
        Field { name, ty, required: true, doc }
    }

    /// A field that may be left out.
    pub const fn optional(name: &'static str, ty: Type, doc: &'static str) -> Field {
        Field { name, ty, required: false, doc }
    }
}

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A string.
    String,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// One of these strings.
    Enum(&'static [&'static str]),
    /// An array of strings.
    Strings,
    /// A string, or an array of strings.
    StringOrStrings,
    /// A string, a whole number, a float or a boolean.
    Scalar,
    /// A table of scalars.
    Map,
    /// An array of tables.
    Tables,
    /// Anything; the kind checks it.
    Any,
}

impl Type {
    /// The type as errors name it.
    pub fn describe(self) -> String {
        match self {
            Type::String => "a string".into(),
            Type::Bool => "a boolean".into(),
            Type::Integer => "an integer".into(),
            Type::Enum(words) => {
                format!("one of {}", words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", "))
            }
            Type::Strings => "an array of strings".into(),
            Type::StringOrStrings => "a string or an array of strings".into(),
            Type::Scalar => "a string, number or boolean".into(),
            Type::Map => "a table of strings, numbers and booleans".into(),
            Type::Tables => "an array of tables".into(),
            Type::Any => "a value".into(),
        }
    }

    fn accepts(self, node: &Node) -> bool {
        let scalar = |n: &Node| {
            matches!(n.value, NodeValue::String(_) | NodeValue::Integer(_) | NodeValue::Float(_) | NodeValue::Bool(_))
        };
        let strings = |n: &Node| n.as_array().is_some_and(|items| items.iter().all(|i| i.as_str().is_some()));
        match self {
            Type::String => node.as_str().is_some(),
            Type::Bool => matches!(node.value, NodeValue::Bool(_)),
            Type::Integer => matches!(node.value, NodeValue::Integer(_)),
            Type::Enum(words) => node.as_str().is_some_and(|text| words.contains(&text)),
            Type::Strings => strings(node),
            Type::StringOrStrings => node.as_str().is_some() || strings(node),
            Type::Scalar => scalar(node),
            Type::Map => node.as_table().is_some_and(|entries| entries.iter().all(|e| scalar(&e.node))),
            Type::Tables => node.as_array().is_some_and(|items| items.iter().all(|i| i.as_table().is_some())),
            Type::Any => true,
        }
    }
}

/// Checks a step's table against a kind's fields: unknown, missing and
/// mistyped keys, all of them. A value that is a template (holds `{{` or
/// `{%`) is of unknown type until it is rendered and passes.
pub fn check(kind: &Kind, table: &Node) -> Vec<Diagnostic> {
    let Some(entries) = table.as_table() else {
        return vec![Diagnostic::new(
            table.span.clone(),
            format!("'{}' must be a table, not {}", kind.name, table.type_name()),
        )];
    };
    let names = || kind.fields.iter().map(|field| field.name);
    let mut errors = Vec::new();
    for entry in entries {
        let Some(field) = kind.fields.iter().find(|field| field.name == entry.key) else {
            let message = format!("unknown key '{}' in '{}'", entry.key, kind.name);
            let error = Diagnostic::new(entry.key_span.clone(), message);
            errors.push(error.with_help(possible_keys(&entry.key, names())));
            continue;
        };
        if !is_template(&entry.node) && !field.ty.accepts(&entry.node) {
            errors.push(wrong_type(kind, field, &entry.node));
        }
    }
    // A key that was meant and misspelt is not also missing.
    let meant = |field: &Field| entries.iter().any(|entry| meant(kind, &entry.key) == Some(field.name));
    for field in kind.fields.iter().filter(|field| field.required) {
        if table.get(field.name).is_none() && !meant(field) {
            errors.push(
                Diagnostic::new(table.span.clone(), format!("'{}' needs the key '{}'", kind.name, field.name))
                    .with_help(format!("{}: {}", field.name, field.doc)),
            );
        }
    }
    errors
}

pub(super) fn is_template(node: &Node) -> bool {
    node.as_str().is_some_and(|text| text.contains("{{") || text.contains("{%"))
}

/// The field that an unknown key was meant to be.
fn meant(kind: &Kind, key: &str) -> Option<&'static str> {
    let names = || kind.fields.iter().map(|field| field.name);
    if names().any(|name| name == key) { None } else { suggest(key, names()) }
}

fn wrong_type(kind: &Kind, field: &Field, node: &Node) -> Diagnostic {
    let strange = |items: &[Node]| {
        let other = |item: &&Node| match field.ty {
            Type::Tables => item.as_table().is_none(),
            _ => item.as_str().is_none(),
        };
        items.iter().find(other).map(Node::type_name)
    };
    let found = match (&field.ty, node.as_str()) {
        (Type::Enum(_), Some(text)) => format!("\"{}\"", text.escape_debug()),
        (Type::Strings | Type::StringOrStrings | Type::Tables, _)
            if node.as_array().is_some_and(|items| strange(items).is_some()) =>
        {
            format!("an array with {} in it", node.as_array().and_then(strange).unwrap_or("others"))
        }
        _ => node.type_name().to_owned(),
    };
    let message = format!("'{}' of '{}' must be {}, not {found}", field.name, kind.name, field.ty.describe());
    let error = Diagnostic::new(node.span.clone(), message);
    match (&field.ty, &node.value) {
        (Type::Enum(words), NodeValue::String(text)) => error.with_suggestion(text, words.iter().copied()),
        (Type::Strings | Type::StringOrStrings, NodeValue::Array(items)) => {
            let advice = items.iter().find(|item| item.as_str().is_none()).and_then(as_string);
            match advice {
                Some(advice) => error.with_help(advice),
                None => error,
            }
        }
        (Type::String | Type::StringOrStrings | Type::Enum(_), _) => match as_string(node) {
            Some(advice) => error.with_help(advice),
            None => error,
        },
        (Type::Bool, NodeValue::String(text)) if ["true", "false"].contains(&text.as_str()) => {
            error.with_help(format!("write it without quotes: {text}"))
        }
        (Type::Bool, NodeValue::String(text)) if ["yes", "no", "on", "off"].contains(&text.as_str()) => {
            error.with_help("write true or false, without quotes")
        }
        (Type::Integer, NodeValue::String(text)) if text.parse::<i64>().is_ok() => {
            error.with_help(format!("write it without quotes: {text}"))
        }
        (Type::Strings | Type::Tables, NodeValue::String(_) | NodeValue::Table(_)) => {
            error.with_help(format!("write it in brackets: [{}]", one_line(written(node))))
        }
        (Type::Integer, NodeValue::String(_)) if written(node).contains("{{") => {
            error.with_help("write {{ expression | int }}, which turns a string into an integer")
        }
        _ => error,
    }
}

/// How a number or boolean becomes the string that is wanted.
fn as_string(node: &Node) -> Option<String> {
    if !matches!(node.value, NodeValue::Integer(_) | NodeValue::Float(_) | NodeValue::Bool(_)) {
        return None;
    }
    let text = written(node);
    Some(match text.trim_matches(['"', '\'']).strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) {
        Some(code) => format!("write {{{{ {} | str }}}}, which turns the value into a string", code.trim()),
        None if text.contains("{{") => "write {{ expression | str }}, which turns the value into a string".to_owned(),
        None => format!("write it in quotes: \"{text}\""),
    })
}

/// A text, shortened where it is more than one line.
fn one_line(text: &str) -> &str {
    if text.contains('\n') { "…" } else { text }
}

/// A value as it stands in its document.
fn written(node: &Node) -> &str {
    node.span.source.text.get(node.span.range.clone()).unwrap_or_default()
}

/// The table as it was probably meant, for telling what else is wrong with it:
/// misspelt keys by their names, unknown ones left out, numbers where strings
/// are wanted as strings. With the fields whose values are of a wrong type.
pub(super) fn as_meant(kind: &'static Kind, table: &Node) -> (Node, Vec<&'static str>) {
    let mut entries: Vec<TableEntry> = Vec::new();
    let mut open = Vec::new();
    for entry in table.as_table().unwrap_or_default() {
        let name = match kind.fields.iter().find(|field| field.name == entry.key) {
            Some(field) => field.name,
            None => match meant(kind, &entry.key) {
                Some(name) if table.get(name).is_none() => name,
                _ => continue,
            },
        };
        let Some(field) = kind.fields.iter().find(|field| field.name == name) else { continue };
        let mut node = entry.node.clone();
        if !field.ty.accepts(&node) {
            match (&field.ty, &node.value) {
                (Type::String | Type::StringOrStrings, NodeValue::Integer(number)) => {
                    node.value = NodeValue::String(number.to_string());
                }
                _ => open.push(field.name),
            }
        }
        entries.push(TableEntry { key: name.to_owned(), key_span: entry.key_span.clone(), node });
    }
    (Node { span: table.span.clone(), value: NodeValue::Table(entries) }, open)
}
