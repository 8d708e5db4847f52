//! The table of `docs/facts.md`, from the doc comments of the facts. The names
//! are compared with those that templates see.

use super::cell;
use super::rust_source::items;
use serde_json::Value;
use std::fmt::Write;
use stockade::observe::{Disk, Facts};

const SOURCE: &str = "src/observe/facts.rs";

pub fn part() -> String {
    let mut text = String::from("\n## The facts\n\n| fact | type | |\n|---|---|---|\n");
    let mut names = Vec::new();
    rows(&mut text, &mut names, "facts", "pub struct Facts");
    assert_eq!(names, seen("facts", &serde_json::to_value(Facts::default()).unwrap()));
    text.push_str("\nEach element of `facts.disks` is a mounted file system:\n\n| field | type | |\n|---|---|---|\n");
    let mut names = Vec::new();
    rows(&mut text, &mut names, "disk", "pub struct Disk");
    assert_eq!(names, seen("disk", &serde_json::to_value(Disk::default()).unwrap()));
    text.push('\n');
    text
}

fn rows(text: &mut String, names: &mut Vec<String>, prefix: &str, head: &str) {
    for item in items(SOURCE, head) {
        let name = format!("{prefix}.{}", item.name);
        let ty = match item.ty.as_str() {
            "String" => "string",
            "bool" => "boolean",
            "u16" | "u32" | "u64" => "integer",
            "Option<u64>" => "integer, or none",
            "Vec<String>" => "array of strings",
            "Vec<Disk>" => "array of tables",
            table => {
                rows(text, names, &name, &format!("pub struct {table}"));
                continue;
            }
        };
        writeln!(text, "| `{name}` | {ty} | {} |", cell(&item.doc)).unwrap();
        names.push(name);
    }
}

/// The names below a value, as templates see them.
fn seen(prefix: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, value)| seen(&format!("{prefix}.{key}"), value)).collect()
        }
        _ => vec![prefix.to_owned()],
    }
}
