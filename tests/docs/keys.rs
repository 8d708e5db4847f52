//! Tables of the keys of playbooks and inventories, from the JSON Schema that
//! the program prints of them.

use super::cell;
use serde_json::Value;
use std::fmt::Write;
use stockade::commands::schema::{Document, text};
use stockade::playbook::{COMMON_KEYS, TOP_KEYS};

fn schema(of: Document) -> Value {
    serde_json::from_str(&text(of).unwrap()).unwrap()
}

/// What a key takes, in words.
fn takes(schema: &Value) -> String {
    let one = |word: &str| match word {
        "array" => "an array",
        "object" => "a table",
        "integer" => "an integer",
        "boolean" => "a boolean",
        _ => "a string",
    };
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.as_str().unwrap())).collect();
        return words.join(" or ");
    }
    match (&schema["type"], &schema["anyOf"]) {
        (Value::String(word), _) => one(word).to_owned(),
        (Value::Array(words), _) => words.iter().filter_map(Value::as_str).map(one).collect::<Vec<_>>().join(" or "),
        (_, Value::Array(choices)) => {
            // A template that gives such a value is a string, which goes without saying.
            let choices = choices.iter().filter(|choice| choice.get("pattern").is_none());
            choices.map(takes).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

fn table(properties: &Value, keys: &[&str]) -> String {
    let mut text = String::from("\n| key | takes | |\n|---|---|---|\n");
    for key in keys {
        let schema = &properties[*key];
        let doc = schema["description"].as_str().unwrap_or_else(|| panic!("{key} has no description"));
        writeln!(text, "| `{key}` | {} | {} |", takes(schema), cell(doc)).unwrap();
    }
    text.push('\n');
    text
}

pub fn of_a_playbook() -> String {
    table(&schema(Document::Playbook)["properties"], &TOP_KEYS)
}

pub fn of_a_step() -> String {
    table(&schema(Document::Playbook)["properties"]["step"]["items"]["properties"], &COMMON_KEYS)
}

pub fn of_an_inventory() -> String {
    let schema = schema(Document::Inventory);
    let of = |table: &str| -> Value {
        let schema = &schema["properties"][table];
        let inner = if schema["properties"].is_object() { schema } else { &schema["additionalProperties"] };
        inner["properties"].clone()
    };
    let (common, host) = (of("defaults"), of("hosts"));
    let common_keys: Vec<&str> = common.as_object().unwrap().keys().map(String::as_str).collect();
    let host_keys: Vec<&str> =
        host.as_object().unwrap().keys().map(String::as_str).filter(|key| !common_keys.contains(key)).collect();
    assert!(!common_keys.is_empty() && !host_keys.is_empty());
    format!(
        "\n`[defaults]`, `[groups.NAME]` and `[hosts.NAME]` take:\n{}`[hosts.NAME]` takes these, too:\n{}",
        table(&common, &common_keys),
        table(&host, &host_keys)
    )
}
