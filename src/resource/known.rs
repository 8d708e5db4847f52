//! What is wrong with a step of which not all is known yet.
//!
//! A value that depends on facts or probes is rendered when they are known.
//! What the other values are wrong for can be told before that, so that a run
//! is not half done when it comes to light. The resource is made with stand-ins
//! for what is not known; of what it finds wrong, only that counts which is due
//! to one known value, whatever the others will be.

use super::fields::{as_meant, is_template};
use super::{Args, Assets, Field, Kind, Type, check};
use crate::values::{Diagnostic, Node, NodeValue, Span, TableEntry};

/// Stand-ins for strings: what a field takes may be a name, a path, a unit or a mode.
const STAND_INS: [&str; 4] = ["stand-in", "/stand-in", "stand-in.service", "0644"];

/// Everything that is certain to be wrong with a table in which strings may be
/// templates that are not rendered yet.
pub fn check_known(kind: &'static Kind, table: &Node, assets: &dyn Assets) -> Vec<Diagnostic> {
    let errors = check(kind, table);
    let (meant, mistyped) = as_meant(kind, table);
    wrong_values(kind, &meant, &mistyped, assets, errors)
}

/// What is wrong with a table beside the `errors` that [`check`] finds in it.
pub(super) fn beside(
    kind: &'static Kind,
    table: &Node,
    assets: &dyn Assets,
    mut errors: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let (meant, mistyped) = as_meant(kind, table);
    let missing = kind.fields.iter().any(|field| field.required && meant.get(field.name).is_none());
    if missing || !mistyped.is_empty() {
        return wrong_values(kind, &meant, &mistyped, assets, errors);
    }
    let mut args = Args::new(kind, &meant, assets);
    _ = (kind.build)(&mut args);
    let told: Vec<Option<Span>> = errors.iter().map(|error| error.span.clone()).collect();
    errors.extend(args.into_errors().into_iter().filter(|error| error.span.is_none() || !told.contains(&error.span)));
    errors
}

/// Adds what is wrong with known values: not those with templates in them, nor
/// those of the `mistyped` fields, nor any that is told already.
fn wrong_values(
    kind: &'static Kind,
    table: &Node,
    mistyped: &[&'static str],
    assets: &dyn Assets,
    mut errors: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let mut unknown: Vec<Span> = errors.iter().filter_map(|error| error.span.clone()).collect();
    unknown.retain(|span| *span != table.span);
    unknown.extend(mistyped.iter().filter_map(|name| Some(table.get(name)?.span.clone())));
    templates(table, &mut unknown);
    // The text of a template's file may be what is not known, where there is one.
    let template = table.get("template").filter(|node| node.as_str().is_none_or(|path| assets.read(path).is_ok()));
    unknown.extend(template.map(|node| node.span.clone()));
    let mut lacking: Option<Vec<Diagnostic>> = None;
    for at in 0..STAND_INS.len() {
        let table = with_stand_ins(kind, table, mistyped, at);
        let mut args = Args::new(kind, &table, assets);
        _ = (kind.build)(&mut args);
        let (values, missing) = args.into_wrong_values();
        // It counts only where it is missing whatever the values are.
        lacking = Some(match lacking {
            None => missing,
            Some(before) => before.into_iter().filter(|error| missing.contains(error)).collect(),
        });
        for error in values {
            let is_known = error.span.as_ref().is_some_and(|span| !unknown.iter().any(|other| overlap(other, span)));
            if is_known && !errors.contains(&error) {
                errors.push(error);
            }
        }
    }
    errors.extend(lacking.unwrap_or_default());
    errors
}

fn overlap(one: &Span, other: &Span) -> bool {
    one.range.start < other.range.end && other.range.start < one.range.end
}

/// The places of all strings that are not known.
fn templates(node: &Node, found: &mut Vec<Span>) {
    match &node.value {
        NodeValue::Array(items) => items.iter().for_each(|item| templates(item, found)),
        NodeValue::Table(entries) => entries.iter().for_each(|entry| templates(&entry.node, found)),
        _ if is_template(node) => found.push(node.span.clone()),
        _ => {}
    }
}

/// The table with values of the fields' types in place of those that are not known.
fn with_stand_ins(kind: &Kind, table: &Node, mistyped: &[&'static str], at: usize) -> Node {
    let entry = |entry: &TableEntry| {
        let field = kind.fields.iter().find(|field| field.name == entry.key)?;
        let open = is_template(&entry.node) || mistyped.contains(&field.name);
        let node = if open { of_type(field, &entry.node, at)? } else { within(&entry.node, at) };
        Some(TableEntry { key: entry.key.clone(), key_span: entry.key_span.clone(), node })
    };
    let entries = table.as_table().unwrap_or_default().iter().filter_map(entry);
    Node { span: table.span.clone(), value: NodeValue::Table(entries.collect()) }
}

/// A stand-in for a field's whole value; none where it is left out.
fn of_type(field: &Field, node: &Node, at: usize) -> Option<Node> {
    let text = |text: &str| NodeValue::String(text.to_owned());
    let word = STAND_INS[at % STAND_INS.len()];
    let value = match field.ty {
        Type::String | Type::StringOrStrings | Type::Scalar => text(word),
        Type::Bool => NodeValue::Bool(at.is_multiple_of(2)),
        Type::Integer => NodeValue::Integer(1),
        Type::Enum(words) => text(words.get(at % words.len().max(1))?),
        Type::Strings => NodeValue::Array(vec![Node { span: node.span.clone(), value: text(word) }]),
        Type::Map | Type::Tables | Type::Any => return None,
    };
    Some(Node { span: node.span.clone(), value })
}

/// A value with stand-ins for the strings in it that are not known.
fn within(node: &Node, at: usize) -> Node {
    let value = match &node.value {
        NodeValue::Array(items) => NodeValue::Array(items.iter().map(|item| within(item, at)).collect()),
        NodeValue::Table(entries) => NodeValue::Table(
            entries
                .iter()
                .map(|entry| TableEntry {
                    key: entry.key.clone(),
                    key_span: entry.key_span.clone(),
                    node: within(&entry.node, at),
                })
                .collect(),
        ),
        _ if is_template(node) => NodeValue::String(STAND_INS[at % STAND_INS.len()].to_owned()),
        other => other.clone(),
    };
    Node { span: node.span.clone(), value }
}
