//! One file of a stage, from text to variables, environment and declarations.

use crate::values::{Diagnostic, EnvKey, Node, NodeValue, Secret, Source, Span, TableEntry, parse_document};
use std::sync::Arc;

/// The tables that a stage file may have.
const TABLES: [&str; 2] = ["vars", "env"];

/// What a file says.
pub(super) struct StageFile {
    /// Its name, for advice.
    pub name: String,
    pub vars: Vec<(String, Node)>,
    pub env: Vec<(EnvKey, EnvValue)>,
    pub required: Vec<TableEntry>,
}

/// A value of the environment. Its place is in a text in which values are masked.
#[derive(Clone)]
pub(super) struct EnvValue {
    pub text: Secret,
    pub span: Span,
}

impl StageFile {
    /// Understands a file; none if it is not TOML. What is wrong goes into `errors`.
    pub fn parse(name: &str, bytes: &[u8], errors: &mut Vec<Diagnostic>) -> Option<StageFile> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            let line = bytes.split(|b| *b == b'\n').take_while(|line| std::str::from_utf8(line).is_ok()).count() + 1;
            errors.push(Diagnostic::general(format!("{name}:{line}: the file is not UTF-8")));
            return None;
        };
        let source = Source::new(name, text);
        let (root, mut found) = parse_document(&source);
        // Where the text is no TOML, it cannot be told which parts are values.
        let masked = Source::new(name, if found.is_empty() { mask_env(text, &root) } else { mask_lines(text) });
        let broken = !found.is_empty();
        let mut file = StageFile { name: name.to_owned(), vars: vec![], env: vec![], required: vec![] };
        if !broken {
            file.read(&root, &mut found);
        }
        let veil = |span: &mut Span| span.source = Arc::clone(&masked);
        found.iter_mut().filter_map(|error| error.span.as_mut()).for_each(veil);
        file.env.iter_mut().for_each(|(_, value)| veil(&mut value.span));
        file.required.iter_mut().for_each(|entry| {
            veil(&mut entry.key_span);
            veil(&mut entry.node.span);
        });
        errors.extend(found);
        (!broken).then_some(file)
    }

    fn read(&mut self, root: &Node, errors: &mut Vec<Diagnostic>) {
        for entry in root.as_table().unwrap_or_default() {
            match (entry.key.as_str(), entry.node.as_table()) {
                ("vars", Some(vars)) => self.vars = vars.iter().map(|e| (e.key.clone(), e.node.clone())).collect(),
                ("env", Some(env)) => env.iter().for_each(|entry| self.read_env(entry, errors)),
                ("vars" | "env", None) => errors.push(Diagnostic::new(
                    entry.node.span.clone(),
                    format!("'{}' must be a table, not {}", entry.key, entry.node.type_name()),
                )),
                _ => errors.push(
                    Diagnostic::new(entry.key_span.clone(), format!("unknown key '{}' in a stage", entry.key))
                        .with_suggestion(&entry.key, TABLES)
                        .or_help("a stage has the tables [vars], [env] and [env.required]"),
                ),
            }
        }
    }

    fn read_env(&mut self, entry: &TableEntry, errors: &mut Vec<Diagnostic>) {
        let TableEntry { key, key_span, node } = entry;
        if key == "required" {
            match node.as_table() {
                Some(required) => self.required = required.to_vec(),
                None => errors.push(
                    Diagnostic::new(key_span.clone(), "'required' cannot be the name of a variable in [env]")
                        .with_help(
                            "[env.required] declares which variables must be there, such as DATABASE_URL = \"url\"",
                        ),
                ),
            }
            return;
        }
        let key = match key.parse::<EnvKey>() {
            Ok(key) => key,
            Err(why) => return errors.push(Diagnostic::new(key_span.clone(), why.to_string())),
        };
        let text = match &node.value {
            NodeValue::String(text) if text.contains('\0') => {
                let message = format!("the value of '{key}' has a NUL character, which no environment can carry");
                return errors.push(Diagnostic::new(node.span.clone(), message));
            }
            NodeValue::String(text) => text.clone(),
            NodeValue::Integer(number) => number.to_string(),
            // Debug keeps the ".0" of a whole number.
            NodeValue::Float(number) => format!("{number:?}"),
            NodeValue::Bool(flag) => flag.to_string(),
            NodeValue::Datetime(_) | NodeValue::Array(_) | NodeValue::Table(_) => {
                let message = format!("'{key}' must be a string, number or boolean, not {}", node.type_name());
                return errors.push(
                    Diagnostic::new(key_span.clone(), message)
                        .with_help("an environment has no other values; write it as a string"),
                );
            }
        };
        self.env.push((key, EnvValue { text: Secret::new(text), span: node.span.clone() }));
    }
}

/// The text with every value hidden that is, or may be meant as, part of the
/// environment; offsets are kept.
fn mask_env(text: &str, root: &Node) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let entries = root.as_table().unwrap_or_default();
    entries.iter().filter(|entry| entry.key != "vars").for_each(|entry| hide_values(&mut bytes, entry));
    String::from_utf8(bytes).unwrap_or_default()
}

fn hide_values(bytes: &mut [u8], entry: &TableEntry) {
    match entry.node.as_table() {
        Some(_) if entry.key == "required" => {}
        Some(entries) => entries.iter().for_each(|entry| hide_values(bytes, entry)),
        None => hide(bytes, entry.node.span.range.clone()),
    }
}

/// The text with everything hidden that could be a value: what follows the
/// first `=` of a line, and lines that are neither that nor a head of a table.
fn mask_lines(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        match line.find('=') {
            Some(at) => hide(&mut bytes, start + at + 1..end),
            None if line.trim_start().starts_with('[') => {}
            None => hide(&mut bytes, start..end),
        }
        start = end;
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Replaces all but white space by asterisks, byte by byte.
fn hide(bytes: &mut [u8], range: std::ops::Range<usize>) {
    let range = range.start.min(bytes.len())..range.end.min(bytes.len());
    bytes[range].iter_mut().filter(|b| !b.is_ascii_whitespace()).for_each(|b| *b = b'*');
}

/// Advice where no better one was found.
trait OrHelp {
    fn or_help(self, help: &str) -> Self;
}

impl OrHelp for Diagnostic {
    fn or_help(self, help: &str) -> Diagnostic {
        if self.help.is_some() { self } else { self.with_help(help) }
    }
}
