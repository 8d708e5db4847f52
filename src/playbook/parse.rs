//! From a document to the model: every key is known, every type right.
//!
//! All that is wrong is told at once; nothing is rendered, but the syntax of
//! every template is checked, so that a step that is seldom reached cannot hide
//! a slip.

use super::load::{Loader, Place};
use super::model::{RawAction, RawStep, Unit};
use super::probes::RawProbes;
use super::scope::diagnose;
use super::template::{Form, form};
use super::{COMMON_KEYS, TOP_KEYS, Vars};
use crate::values::{
    Diagnostic, Document, Node, NodeValue, Source, TableEntry, check_variable, possible_keys, suggest,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Loader<'_> {
    /// The playbook that a text says; none if it is no TOML.
    pub fn parse(&mut self, place: &Place, source: Arc<Source>) -> Option<Unit> {
        let Document { root, syntax, values } = Document::parse(&source);
        let readable = syntax.is_empty();
        self.errors.extend(syntax.into_iter().chain(values));
        if !readable {
            return None;
        }
        let mut unit = Unit {
            source,
            folder: place.folder(),
            name: None,
            hosts: Vec::new(),
            vars: Vars::new(),
            probes: RawProbes::new(),
            steps: Vec::new(),
        };
        let told = self.errors.len();
        for entry in root.as_table().unwrap_or_default() {
            match entry.key.as_str() {
                "name" => unit.name = self.string(entry).map(str::to_owned),
                "hosts" => unit.hosts = self.strings(entry),
                "vars" => unit.vars = self.vars(entry),
                "probes" => unit.probes = self.probes(entry),
                "step" => {
                    for node in self.tables(entry).iter().filter(|node| node.as_table().is_some()) {
                        let step = self.step(place, node);
                        unit.steps.extend(step);
                    }
                }
                unknown => {
                    let near = suggest(unknown, TOP_KEYS.iter().copied());
                    let step = self.kinds.contains(&unknown) || COMMON_KEYS.contains(&unknown);
                    let help = match near {
                        None if step => "it belongs under [[step]]".to_owned(),
                        _ => possible_keys(unknown, TOP_KEYS),
                    };
                    self.say(Some(&entry.key_span), format!("unknown key '{unknown}' in a playbook")).help = Some(help);
                }
            }
        }
        if root.get("step").is_none() && self.errors.len() == told {
            self.say(Some(&root.span), "this playbook has no step".to_owned()).help =
                Some("describe what the host shall have under [[step]]".to_owned());
        }
        self.resolve_controls(place, &mut unit);
        Some(unit)
    }

    /// A string.
    pub fn string<'n>(&mut self, entry: &'n TableEntry) -> Option<&'n str> {
        if entry.node.as_str().is_none() {
            self.wrong_type(entry, "a string");
        }
        entry.node.as_str()
    }

    /// Tells that a value is of another type than wanted.
    pub fn wrong_type(&mut self, entry: &TableEntry, wanted: &str) {
        let message = format!("'{}' must be {wanted}, not {}", entry.key, entry.node.type_name());
        self.say(Some(&entry.node.span), message);
    }

    /// A string or an array of strings.
    fn strings(&mut self, entry: &TableEntry) -> Vec<Node> {
        let items = match &entry.node.value {
            NodeValue::String(_) => std::slice::from_ref(&entry.node),
            NodeValue::Array(items) if items.iter().all(|item| item.as_str().is_some()) => items,
            _ => {
                let other = entry.node.as_array().and_then(|items| items.iter().find(|item| item.as_str().is_none()));
                let within = other.map_or(String::new(), |other| format!(" with {} in it", other.type_name()));
                let found = entry.node.type_name();
                let message = format!("'{}' must be a string or an array of strings, not {found}{within}", entry.key);
                self.say(Some(&entry.node.span), message);
                return Vec::new();
            }
        };
        items.to_vec()
    }

    fn tables<'n>(&mut self, entry: &'n TableEntry) -> &'n [Node] {
        match &entry.node.value {
            NodeValue::Array(items) => {
                for item in items.iter().filter(|item| item.as_table().is_none()) {
                    let message = format!("'{}' takes tables, not {}", entry.key, item.type_name());
                    self.say(Some(&item.span), message).help = Some(format!("write [[{}]]", entry.key));
                }
                items
            }
            other => {
                let message = format!("'{}' must be an array of tables, not {}", entry.key, entry.node.type_name());
                self.say(Some(&entry.key_span), message).help = Some(format!("write [[{}]]", entry.key));
                if matches!(other, NodeValue::Table(_)) { std::slice::from_ref(&entry.node) } else { &[] }
            }
        }
    }

    fn vars(&mut self, entry: &TableEntry) -> Vars {
        let Some(entries) = entry.node.as_table() else {
            self.wrong_type(entry, "a table");
            return Vars::new();
        };
        for entry in entries {
            self.errors.extend(check_variable(&entry.key, &entry.key_span));
            self.syntax(&entry.node);
        }
        entries.iter().map(|entry| (entry.key.clone(), entry.node.clone())).collect()
    }

    /// Tells what is wrong with the templates in a value.
    pub fn syntax(&mut self, node: &Node) {
        match &node.value {
            NodeValue::String(text) => {
                let (checked, offset) = match form(text) {
                    Form::Plain => return,
                    Form::Expression(code, offset) => (self.engine.expression_needs(code), offset),
                    Form::Text => (self.engine.text_needs(text), 0),
                };
                let faults = checked.err().unwrap_or_default();
                self.errors.extend(faults.into_iter().map(|fault| diagnose(node, offset, fault)));
            }
            NodeValue::Array(items) => items.iter().for_each(|item| self.syntax(item)),
            NodeValue::Table(entries) => entries.iter().for_each(|entry| self.syntax(&entry.node)),
            _ => {}
        }
    }

    /// Tells what is wrong with an expression given bare or as `{{ }}`.
    fn expression_syntax(&mut self, node: &Node) {
        let Some(text) = node.as_str() else { return };
        let (code, offset) = match form(text) {
            Form::Expression(code, offset) => (code, offset),
            _ => (text, 0),
        };
        let faults = self.engine.expression_needs(code).err().unwrap_or_default();
        self.errors.extend(faults.into_iter().map(|fault| diagnose(node, offset, fault)));
    }

    fn step(&mut self, place: &Place, node: &Node) -> Option<RawStep> {
        let mut found = BTreeMap::new();
        let mut tags = Vec::new();
        let mut actions: Vec<&TableEntry> = Vec::new();
        let mut with = None;
        let mut control = None;
        let mut unknown = false;
        for entry in node.as_table().unwrap_or_default() {
            let told = self.errors.len();
            let key = entry.key.as_str();
            let text = entry.node.as_str();
            let flag = matches!(entry.node.value, NodeValue::Bool(_));
            match key {
                "name" if text.is_none() => self.wrong_type(entry, "a string"),
                "when" if text.is_none() && !flag => self.wrong_type(entry, "an expression in a string, or a boolean"),
                "each" if text.is_none() && entry.node.as_array().is_none() => {
                    self.wrong_type(entry, "an array, or an expression in a string");
                }
                "guard" | "sensitive" if !flag && !text.is_some_and(|t| t.contains("{{")) => {
                    self.wrong_type(entry, "a boolean");
                }
                "restart" | "reload" => _ = self.strings(entry),
                "tags" => tags = self.tags(entry),
                "with" => with = Some(entry),
                "control" => control = self.control(entry),
                "use" => actions.push(entry),
                _ if COMMON_KEYS.contains(&key) => {}
                _ if self.kinds.contains(&key) => actions.push(entry),
                _ => {
                    unknown = true;
                    self.unknown_key(entry);
                }
            }
            if key == "when" || key == "each" && text.is_some() {
                self.expression_syntax(&entry.node);
            } else if key != "use" && key != "control" {
                self.syntax(&entry.node);
            }
            // What is wrong here is not told again when it is rendered.
            if self.errors.len() == told {
                found.insert(key, entry.node.clone());
            } else if key == "each" {
                // The step has items all the same, of which nothing is known.
                found.insert(key, Node { value: NodeValue::Bool(false), ..entry.node.clone() });
            }
        }
        let action = match actions[..] {
            [entry] if entry.key == "use" => self.used(place, entry, with),
            [entry] => self.resource(entry, with),
            [] => {
                if !unknown {
                    self.say(Some(&node.span), "this step says nothing to do".to_owned()).help =
                        Some(format!("a step needs 'use' or exactly one of: {}", self.kinds.join(", ")));
                }
                None
            }
            [first, second, ..] => {
                let message = format!("a step describes one thing: this one has '{}' and '{}'", first.key, second.key);
                self.say(Some(&second.key_span), message).help =
                    Some("put the second under a [[step]] of its own".to_owned());
                if first.key == "use" { None } else { self.resource(first, None) }
            }
        }?;
        let mut take = |key: &str| found.remove(key);
        Some(RawStep {
            name: take("name"),
            when: take("when"),
            each: take("each"),
            tags,
            restart: take("restart"),
            reload: take("reload"),
            guard: take("guard"),
            sensitive: take("sensitive"),
            control,
            action,
            span: node.span.clone(),
        })
    }

    fn unknown_key(&mut self, entry: &TableEntry) {
        let key = &entry.key;
        // What holds a table can only be meant as a kind.
        let sort = if entry.node.as_table().is_some() { "unknown kind" } else { "unknown key" };
        let error = Diagnostic::new(entry.key_span.clone(), format!("{sort} '{key}' in a step"));
        self.errors.push(error.with_help(possible_keys(key, self.kinds.iter().chain(&COMMON_KEYS).copied())));
    }

    fn tags(&mut self, entry: &TableEntry) -> Vec<String> {
        let nodes = self.strings(entry);
        for node in &nodes {
            if node.as_str().is_some_and(|text| form(text) != Form::Plain) {
                let message = "a tag is not a template: it is chosen before anything is rendered".to_owned();
                self.say(Some(&node.span), message);
            }
        }
        nodes.iter().filter_map(Node::as_str).map(str::to_owned).collect()
    }

    fn resource(&mut self, entry: &TableEntry, with: Option<&TableEntry>) -> Option<RawAction> {
        if let Some(with) = with {
            self.say(Some(&with.key_span), "'with' goes only with 'use'".to_owned()).help =
                Some(format!("what '{}' needs stands in its own table", entry.key));
        }
        if entry.node.as_table().is_none() {
            self.wrong_type(entry, "a table");
            if let Some(error) = self.errors.last_mut() {
                error.help = Some(format!("write {0} = {{ }}, with the keys of '{0}' between the braces", entry.key));
            }
            return None;
        }
        Some(RawAction::Resource {
            kind: entry.key.clone(),
            kind_span: entry.key_span.clone(),
            table: entry.node.clone(),
        })
    }
}
