//! `schema`: JSON Schema (draft 2020-12) of what the operator writes.
//!
//! Made from the tables that the program itself goes by, so that an editor and
//! the program cannot disagree on a key. `schema/*.json` hold the output, for
//! editors that take a schema by address; a test keeps them current.

use super::Exit;
use crate::playbook::{PROBE_KINDS, PROBE_OPTIONS, bundled_names};
use crate::report::Console;
use crate::resource::{Field, KINDS, Kind, Type};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

/// `stockade schema WHAT`
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Of what.
    #[arg(value_enum)]
    of: Document,
}

/// The documents that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// A playbook.
    Playbook,
    /// An inventory.
    Inventory,
    /// A file of a stage.
    Stage,
}

/// Runs the command.
///
/// # Errors
/// None; the signature is that of every command.
pub fn run(args: &SchemaArgs, console: &mut Console) -> anyhow::Result<Exit> {
    console.print(&text(args.of)?);
    Ok(Exit::Done)
}

/// The schema of a document as text.
///
/// # Errors
/// It cannot be written as JSON.
pub fn text(of: Document) -> serde_json::Result<String> {
    let schema = match of {
        Document::Playbook => playbook(),
        Document::Inventory => inventory(),
        Document::Stage => stage(),
    };
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// The keys that every step takes beside its kind, with their schema.
fn common_keys() -> [(&'static str, Value); 11] {
    let units = || or_template(json!({ "type": "array", "items": { "type": "string" } }));
    [
        ("name", described(json!({ "type": "string" }), "what the step is called; made from its kind if not given")),
        (
            "when",
            described(
                json!({ "type": ["string", "boolean"] }),
                "an expression; the step is left out where it is false, such as \"facts.os.id == 'ubuntu'\"",
            ),
        ),
        (
            "each",
            described(
                json!({ "type": ["array", "string"] }),
                "an array, or an expression that gives one; the step is there for each element, which is 'item'",
            ),
        ),
        ("tags", described(strings(), "names by which --tags and --skip-tags choose steps")),
        ("restart", described(units(), "units to restart once, at the end, if this step changed something")),
        ("reload", described(units(), "units to reload once, at the end, if this step changed something")),
        (
            "guard",
            described(
                or_template(json!({ "type": "boolean" })),
                "what this step changes is reverted by the host itself unless a new login confirms it",
            ),
        ),
        (
            "sensitive",
            described(or_template(json!({ "type": "boolean" })), "values and diffs of this step are masked everywhere"),
        ),
        ("control", described(control(), "the control that this step is part of, for audits: its table, or its id")),
        (
            "use",
            described(
                json!({ "type": "string", "examples": bundled_names().collect::<Vec<_>>() }),
                "another playbook whose steps stand here: the name of a bundled one, or a path",
            ),
        ),
        ("with", described(json!({ "type": "object" }), "variables for the playbook that is used")),
    ]
}

fn head(title: &str, description: &str, properties: Value) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// A schema with a description.
fn described(mut schema: Value, text: &str) -> Value {
    schema["description"] = json!(text);
    schema
}

/// A control: its id, or the table that describes it.
fn control() -> Value {
    let text = || json!({ "type": "string", "minLength": 1 });
    let table = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "title", "severity"],
        "properties": {
            "id": described(text(), "its id, such as \"S4\": letters, digits, '.', '_' and '-'"),
            "title": described(text(), "what it demands, in a line"),
            "severity": described(
                json!({ "enum": ["low", "medium", "high", "critical"] }),
                "how bad it is where it does not hold",
            ),
            "level": described(json!({ "enum": [1, 2] }), "from which level on it applies, default 1: safe anywhere"),
            "refs": described(json!({ "type": "array", "items": text() }), "its sources"),
            "rationale": described(text(), "why it is demanded"),
            "breaks": described(text(), "what putting it in force may break"),
            "report_only": described(text(), "why it is reported and never changed"),
        },
    });
    json!({ "anyOf": [text(), table] })
}

fn template() -> Value {
    json!({ "type": "string", "pattern": "\\{[\\{%]" })
}

/// A schema, or a template that will give such a value.
fn or_template(schema: Value) -> Value {
    match schema["type"].as_str() {
        Some("string") if schema.get("enum").is_none() => schema,
        _ => json!({ "anyOf": [schema, template()] }),
    }
}

fn strings() -> Value {
    json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
}

fn of_type(ty: Type) -> Value {
    let scalar = || json!({ "type": ["string", "number", "boolean"] });
    match ty {
        Type::String => json!({ "type": "string" }),
        Type::Bool => or_template(json!({ "type": "boolean" })),
        Type::Integer => or_template(json!({ "type": "integer" })),
        Type::Enum(words) => or_template(json!({ "type": "string", "enum": words })),
        Type::Strings => or_template(json!({ "type": "array", "items": { "type": "string" } })),
        Type::StringOrStrings => strings(),
        Type::Scalar => scalar(),
        Type::Map => or_template(json!({ "type": "object", "additionalProperties": scalar() })),
        Type::Tables => or_template(json!({ "type": "array", "items": { "type": "object" } })),
        Type::Any => json!({}),
    }
}

fn of_field(field: &Field) -> Value {
    let mut schema = of_type(field.ty);
    schema["description"] = field.doc.into();
    schema
}

fn of_kind(kind: &Kind) -> Value {
    let properties: Map<String, Value> =
        kind.fields.iter().map(|field| (field.name.to_owned(), of_field(field))).collect();
    let required: Vec<&str> = kind.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "description": kind.summary,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}

fn playbook() -> Value {
    let mut properties = Map::new();
    for (key, schema) in common_keys() {
        properties.insert(key.to_owned(), schema);
    }
    let mut choices = vec![json!({ "required": ["use"] })];
    for kind in KINDS {
        properties.insert(kind.name.to_owned(), of_kind(kind));
        choices.push(json!({ "required": [kind.name] }));
    }
    let step = json!({
        "type": "object",
        "description": "one thing that the host shall have: exactly one kind, or 'use'",
        "additionalProperties": false,
        "properties": properties,
        "oneOf": choices,
        "dependentRequired": { "with": ["use"] },
    });
    let mut hosts = strings();
    hosts["description"] =
        "the hosts it is for: names, groups, 'all', patterns such as 'web*', '!name' to leave out".into();
    let mut schema = head(
        "Stockade playbook",
        "Steps that describe what a host shall have. All strings are templates, rendered per host.",
        json!({
            "name": { "type": "string", "description": "what the playbook is called" },
            "hosts": hosts,
            "vars": variables("variables of the lowest precedence; values may be templates over others"),
            "probes": probes(),
            "step": { "type": "array", "items": step, "description": "the steps, in the order of apply" },
        }),
    );
    schema["required"] = json!(["step"]);
    schema
}

/// The table `[probes]`: each asks for one thing.
fn probes() -> Value {
    let mut properties = Map::new();
    for kind in &PROBE_KINDS {
        let fields: Vec<&str> = kind.fields.iter().map(|field| field.name).collect();
        let description = format!("{}; gives {}", kind.doc, fields.join(", "));
        properties.insert(kind.key.to_owned(), json!({ "type": "string", "description": description }));
    }
    for (key, doc) in PROBE_OPTIONS {
        properties.insert(key.to_owned(), json!({ "type": "string", "description": doc }));
    }
    let choices: Vec<Value> = PROBE_KINDS.iter().map(|kind| json!({ "required": [kind.key] })).collect();
    json!({
        "type": "object",
        "description": "what is asked of the host before it is decided: 'probes.NAME.FIELD' in templates and 'when'",
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
        "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
            "oneOf": choices,
            "dependentRequired": { "as": ["command"] },
        },
    })
}

fn variables(description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "propertyNames": {
            "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
            "not": { "enum": crate::values::RESERVED_VARIABLES },
        },
    })
}

fn inventory() -> Value {
    let settings = || {
        let mut key = strings();
        key["description"] = "private keys to log in with; relative to this file, '~/' is the home directory".into();
        let mut known_hosts = strings();
        known_hosts["description"] = "files of known host keys; relative to this file".into();
        json!({
            "user": { "type": "string", "description": "whom to log in as" },
            "port": { "type": "integer", "minimum": 1, "maximum": 65535, "description": "the port of sshd" },
            "key": key,
            "known_hosts": known_hosts,
            "jump": { "type": "string", "description": "the host to go through: a host of this file, an alias of ssh_config, or user@address:port" },
            "stage": { "type": "string", "description": "the stage it belongs to", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]*$" },
            "connection": { "enum": ["ssh", "local"], "description": "'local' is this machine, without SSH" },
            "chroot": { "type": "string", "pattern": "^/", "description": "a root file system on this machine, for image builds" },
            "vars": variables("variables; a host's win over its groups', those over the defaults"),
        })
    };
    let table =
        |properties: Value| json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let mut host = settings();
    host["address"] = json!({ "type": "string", "description": "what is connected to; the host's name if not given" });
    host["groups"] = strings();
    host["groups"]["description"] = "the groups it is in; of two groups the later wins".into();
    let mut schema = head(
        "Stockade inventory",
        "Which hosts there are, how they are reached, and what they are told.",
        json!({
            "defaults": table(settings()),
            "groups": { "type": "object", "additionalProperties": table(settings()) },
            "hosts": { "type": "object", "additionalProperties": table(host), "minProperties": 1 },
        }),
    );
    schema["required"] = json!(["hosts"]);
    schema
}

fn stage() -> Value {
    let types = ["string", "integer", "boolean", "url", "port", "path"];
    head(
        "Stockade stage",
        "What one stage (development, production) tells its hosts: stages/NAME.toml, above stages/common.toml.",
        json!({
            "vars": variables("variables for playbooks; they win over the inventory's"),
            "env": {
                "type": "object",
                "description": "the environment that the kind 'env' writes; its values are secrets",
                "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
                "properties": {
                    "required": {
                        "type": "object",
                        "description": "which variables must be there, and their type",
                        "additionalProperties": { "enum": types },
                    },
                },
                "additionalProperties": { "type": ["string", "number", "boolean"] },
            },
        }),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "schema_tests.rs"]
mod tests;
