//! Answers to the questions of packages, as debconf-set-selections(1) takes them.

use crate::resource::Args;
use crate::values::{Node, NodeValue, PackageName, Secret};

/// The types of questions (debconf-devel(7)) that can have an answer.
const TYPES: [&str; 6] = ["string", "boolean", "select", "multiselect", "password", "note"];

/// The answers of a step, a line each.
pub(super) fn answers(args: &mut Args<'_>, names: &[PackageName]) -> Option<Secret> {
    let node = args.node("debconf")?;
    let Some(entries) = node.as_table() else {
        args.wrong_value("debconf", format!("'debconf' must be a table of questions, not {}", node.type_name()));
        return None;
    };
    let owner = names.first()?;
    let mut text = String::new();
    for entry in entries {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"/_.+-".contains(&b);
        if !entry.key.contains('/') || !entry.key.bytes().all(legal) {
            args.wrong_value(
                "debconf",
                format!("'{}' is not a question such as \"package/question\"", entry.key.escape_debug()),
            );
            continue;
        }
        match answer(&entry.node) {
            Some((kind, value)) if TYPES.contains(&kind.as_str()) && !value.contains(['\n', '\r', '\0']) => {
                text.push_str(&format!("{} {} {kind} {value}\n", owner.bare(), entry.key));
            }
            Some((kind, _)) if !TYPES.contains(&kind.as_str()) => {
                args.wrong_value("debconf", format!("'{}' is not a type of question: {}", kind.escape_debug(), TYPES.join(", ")));
            }
            _ => args.wrong_value(
                "debconf",
                format!("the answer to '{}' must be one line: a string, a boolean, a number, an array of strings, or a table {{ type, value }}", entry.key),
            ),
        }
    }
    Some(Secret::new(text))
}

/// The type of a question and its answer.
fn answer(node: &Node) -> Option<(String, String)> {
    let plain = |node: &Node| match &node.value {
        NodeValue::String(text) => Some(("string", text.clone())),
        NodeValue::Integer(number) => Some(("string", number.to_string())),
        NodeValue::Bool(flag) => Some(("boolean", flag.to_string())),
        NodeValue::Array(items) => {
            let words: Option<Vec<&str>> = items.iter().map(Node::as_str).collect();
            Some(("multiselect", words?.join(", ")))
        }
        _ => None,
    };
    if let Some(entries) = node.as_table() {
        let known = entries.iter().all(|entry| ["type", "value"].contains(&entry.key.as_str()));
        let kind = node.get("type")?.as_str()?.to_owned();
        let (_, value) = plain(node.get("value")?)?;
        return known.then_some((kind, value));
    }
    plain(node).map(|(kind, value)| (kind.to_owned(), value))
}
