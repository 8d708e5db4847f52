//! The fields of kinds: documentation, schema and errors come from one table.

use super::{Args, Resource};
use crate::values::{Diagnostic, Node, NodeValue};

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
    let mut errors = Vec::new();
    for entry in entries {
        let Some(field) = kind.fields.iter().find(|field| field.name == entry.key) else {
            errors.push(
                Diagnostic::new(entry.key_span.clone(), format!("unknown key '{}' in '{}'", entry.key, kind.name))
                    .with_suggestion(&entry.key, kind.fields.iter().map(|f| f.name)),
            );
            continue;
        };
        let template = entry.node.as_str().is_some_and(|text| text.contains("{{") || text.contains("{%"));
        if template || field.ty.accepts(&entry.node) {
            continue;
        }
        let found = match (&field.ty, entry.node.as_str()) {
            (Type::Enum(_), Some(text)) => format!("\"{}\"", text.escape_debug()),
            _ => entry.node.type_name().to_owned(),
        };
        let mut error = Diagnostic::new(
            entry.node.span.clone(),
            format!("'{}' of '{}' must be {}, not {found}", field.name, kind.name, field.ty.describe()),
        );
        if let (Type::Enum(words), Some(text)) = (&field.ty, entry.node.as_str()) {
            error = error.with_suggestion(text, words.iter().copied());
        }
        errors.push(error);
    }
    for field in kind.fields.iter().filter(|field| field.required) {
        if table.get(field.name).is_none() {
            errors.push(
                Diagnostic::new(table.span.clone(), format!("'{}' needs the key '{}'", kind.name, field.name))
                    .with_help(format!("{}: {}", field.name, field.doc)),
            );
        }
    }
    errors
}
