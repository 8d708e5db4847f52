//! Writes what differs into the tables.

use super::rows::Row;
use serde_json::Value;
use std::collections::BTreeMap;

/// A value as TOML has it on one line.
pub fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        // What has quotes or escapes of its own is read more easily as it is.
        Value::String(text)
            if text.contains(['"', '\\']) && !text.contains('\'') && !text.chars().any(char::is_control) =>
        {
            format!("'{text}'")
        }
        // The escapes of JSON are those of a basic string, but for this one.
        other => other.to_string().replace('\u{7f}', "\\u007F"),
    }
}

/// Answers, each under its key.
pub type Answers = Vec<(&'static str, Value)>;

/// Replaces the lines of the answers that differ, and empties the `why` of their rows.
pub fn write(updates: &[(&Row, Answers)]) {
    let mut files: BTreeMap<String, Vec<(usize, &Answers)>> = BTreeMap::new();
    for (row, differing) in updates {
        let span = &row.node.get("op").unwrap().span;
        let (line, _) = span.source.position(span.range.start);
        files.entry(span.source.name.clone()).or_default().push((line - 1, differing));
    }
    for (name, mut rows) in files {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let mut lines: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
        // From the last to the first, so that the places of the others stay.
        rows.sort_by_key(|(line, _)| std::cmp::Reverse(*line));
        for (line, differing) in rows {
            let first = (0..line).rev().find(|at| lines[*at].starts_with("[[")).unwrap() + 1;
            let mut end = (line..lines.len()).find(|at| lines[*at].starts_with('[')).unwrap_or(lines.len());
            while lines[end - 1].trim().is_empty() || lines[end - 1].starts_with('#') {
                end -= 1;
            }
            let why = ("why", Value::String(String::new()));
            for (key, value) in differing.iter().chain([&why]) {
                let text = format!("{key} = {}", toml(value));
                match (first..end).find(|at| lines[*at].starts_with(&format!("{key} = "))) {
                    Some(at) => lines[at] = text,
                    None if *key != "why" => {
                        lines.insert(end, text);
                        end += 1;
                    }
                    None => lines.insert(first, text),
                }
            }
        }
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    }
}
