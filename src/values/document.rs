//! TOML text to [`Node`], with every syntax error, not just the first.

use super::{Diagnostic, Node, NodeValue, Source, Span, TableEntry, suggest};
use std::sync::Arc;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A file's bytes as a text to parse.
///
/// # Errors
/// They are not UTF-8; says at which line and column.
pub fn utf8_source(name: &str, bytes: &[u8]) -> Result<Arc<Source>, Diagnostic> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let at = error.valid_up_to();
            let good = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default()).into_owned();
            let place = span(&Source::new(name, good), at..at);
            let byte = bytes.get(at).copied().unwrap_or_default();
            if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
                return Err(Diagnostic::new(place, "this file is UTF-16, not UTF-8").with_help("save it as UTF-8"));
            }
            Err(Diagnostic::new(place, format!("this file is not UTF-8: byte {at} is 0x{byte:02x}"))
                .with_help("save it as UTF-8"))
        }
    }
}

/// A document as far as it could be understood.
#[derive(Debug)]
pub struct Document {
    /// What it says.
    pub root: Node,
    /// What cannot be read: where there is any, what `root` lacks tells nothing.
    pub syntax: Vec<Diagnostic>,
    /// Values and keys that are wrong, though all of the document can be read.
    pub values: Vec<Diagnostic>,
}

impl Document {
    /// Parses a document.
    pub fn parse(source: &Arc<Source>) -> Document {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        let errors = errors.iter().map(|error| plain(source, error.span().unwrap_or(0..0), error.message()));
        let (mut values, syntax): (Vec<Diagnostic>, Vec<Diagnostic>) =
            errors.partition(|error| error.message == DUPLICATE);
        let place = table.span();
        let root = Node { span: span(source, place), value: table_value(source, table.get_ref(), &mut values) };
        Document { root, syntax, values }
    }
}

/// Parses a document; what could be understood comes back beside the errors.
pub fn parse_document(source: &Arc<Source>) -> (Node, Vec<Diagnostic>) {
    let Document { root, mut syntax, values } = Document::parse(source);
    syntax.extend(values);
    (root, syntax)
}

const DUPLICATE: &str = "duplicate key";

/// An error of the TOML parser, with advice, and in plainer words where its own
/// speak of its grammar.
fn plain(source: &Arc<Source>, place: std::ops::Range<usize>, message: &str) -> Diagnostic {
    let rest = source.text.get(place.start..).unwrap_or_default();
    let word = rest.split([',', '}', ']', '\n', '#']).next().unwrap_or_default().trim_end();
    let bare = word.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '~' | '.' | '$' | '*'));
    let whole = span(source, place.start..place.start + word.len());
    let at = span(source, place);
    match message {
        DUPLICATE => Diagnostic::new(at, message).with_help("a table has a key once: remove or rename one of the two"),
        // The word itself may be a secret, which no advice repeats.
        _ if message.starts_with("invalid boolean") => match suggest(word, ["true", "false"]) {
            Some(near) => {
                Diagnostic::new(at, message).with_help(format!("did you mean {near}? a string stands in quotes"))
            }
            None => Diagnostic::new(at, message).with_help("write true or false; a string stands in quotes"),
        },
        // The word itself may be a secret, which no advice repeats.
        _ if message.starts_with("invalid boolean") => match suggest(word, ["true", "false"]) {
            Some(near) => {
                Diagnostic::new(at, message).with_help(format!("did you mean {near}? a string stands in quotes"))
            }
            None => Diagnostic::new(at, message).with_help("write true or false; a string stands in quotes"),
        },
        _ if message.starts_with("string values must be quoted") || bare && message.starts_with("invalid ") => {
            Diagnostic::new(whole, "string values must be quoted").with_help("put it between \" and \"")
        }
        _ if message.starts_with("invalid ") && rest.starts_with(|c: char| c.is_control() && c != '\n') => {
            let code = rest.chars().next().map_or(0, u32::from);
            Diagnostic::new(at, format!("a control character (0x{code:02x}) stands here"))
                .with_help(format!("leave it out, or write it as \\u{code:04x} in a string with \"…\""))
        }
        _ if message.starts_with("key with no value") => Diagnostic::new(at, message)
            .with_help("this is read as TOML: write key = value, or [table] on a line of its own"),
        _ if message.starts_with("missing comma") => {
            Diagnostic::new(at, message).with_help("put ',' after the value before it")
        }
        _ => Diagnostic::new(at, message),
    }
}

fn span(source: &Arc<Source>, range: std::ops::Range<usize>) -> Span {
    Span { source: Arc::clone(source), range }
}

fn table_value(source: &Arc<Source>, table: &DeTable<'_>, errors: &mut Vec<Diagnostic>) -> NodeValue {
    let entries = table.iter().map(|(key, value)| TableEntry {
        key: key.get_ref().to_string(),
        key_span: span(source, key.span()),
        node: node(source, value, errors),
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|entry| entry.key_span.range.start);
    NodeValue::Table(entries)
}

fn node(source: &Arc<Source>, value: &Spanned<DeValue<'_>>, errors: &mut Vec<Diagnostic>) -> Node {
    let place = span(source, value.span());
    let mut refuse = |what: String| {
        errors.push(Diagnostic::new(place.clone(), what));
        // A number that is right almost everywhere: nothing more is told of it.
        NodeValue::Integer(1)
    };
    let value = match value.get_ref() {
        DeValue::String(text) => NodeValue::String(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            match i64::from_str_radix(&digits, number.radix()) {
                Ok(whole) => NodeValue::Integer(whole),
                Err(_) => refuse(format!("the integer {digits} does not fit in 64 bits")),
            }
        }
        DeValue::Float(number) => match number.as_str().replace('_', "").parse() {
            Ok(float) => NodeValue::Float(float),
            Err(_) => refuse("this is not a floating-point number".to_owned()),
        },
        DeValue::Boolean(flag) => NodeValue::Bool(*flag),
        DeValue::Datetime(date) => NodeValue::Datetime(date.to_string()),
        DeValue::Array(items) => NodeValue::Array(items.iter().map(|item| node(source, item, errors)).collect()),
        DeValue::Table(table) => table_value(source, table, errors),
    };
    Node { span: place, value }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line_and_column() {
        let source = Source::new("a.toml", "[[step]]\nname = \"x\"\nfile = { mode = 0x1F }\n");
        let (root, errors) = parse_document(&source);
        assert!(errors.is_empty(), "{errors:?}");
        let step = &root.get("step").unwrap().as_array().unwrap()[0];
        let mode = step.get("file").unwrap().get("mode").unwrap();
        assert_eq!(mode.span.to_string(), "a.toml:3:17");
        assert_eq!(mode.value, NodeValue::Integer(31));
    }

    #[test]
    fn two_syntax_errors_are_both_told() {
        let source = Source::new("a.toml", "a = \nb = \"x\"\nc = tru\n");
        let (root, errors) = parse_document(&source);
        assert!(errors.len() >= 2, "{errors:?}");
        assert_eq!(root.get("b").unwrap().as_str(), Some("x"));
    }
}
