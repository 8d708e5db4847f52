//! Facts that a step of the run may change.
//!
//! A step that speaks of such a fact, itself or by a variable or a template
//! file, is rendered when its turn comes, as the steps of a playbook with
//! probes are. Facts that no step changes are known before the plan is made.

use super::files::StepFiles;
use super::model::{RawAction, RawStep};
use super::scope::{Scope, Var};
use super::template::{Form, form};
use crate::values::{Node, NodeValue};
use serde_json::Value;
use std::collections::BTreeSet;

/// Facts that stay what they are while a playbook is applied.
pub const LASTING_FACTS: [&str; 11] = [
    "os",
    "machine",
    "arch",
    "cpus",
    "memory_mib",
    "virtualization",
    "init",
    "login_user",
    "login_address",
    "login_port",
    "login_from",
];

/// The facts at a step's turn.
#[derive(Debug, Clone, Default)]
pub struct FactsAtTurn {
    /// All of them, as templates see them.
    pub value: Value,
    /// Those whose values are not known, by their dotted names.
    pub open: BTreeSet<String>,
}

impl FactsAtTurn {
    /// Those that are not known among what a template names below `facts`;
    /// an empty name stands for all.
    pub(super) fn open_in<'a>(&'a self, named: &'a str) -> impl Iterator<Item = &'a str> {
        let shown = move |fact: &&str| named.is_empty() || is_within(fact, named) || is_within(named, fact);
        self.open.iter().map(String::as_str).filter(shown)
    }
}

/// Whether a dotted name is another one or a part of it.
fn is_within(name: &str, whole: &str) -> bool {
    name.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The variables of a scope whose values speak of facts that may change.
pub(super) fn speaking_variables(scope: &Scope) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    loop {
        let before = found.len();
        for (name, var) in scope.variables() {
            if let Var::Written(node) = var
                && !found.contains(name)
                && any_text(node, &mut |text| speaks(text, &found))
            {
                found.insert(name.to_owned());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Whether a step speaks of facts that may change; `variables`: those that do.
pub(super) fn step_speaks(step: &RawStep, variables: &BTreeSet<String>, files: &StepFiles) -> bool {
    let mut test = |text: &str| speaks(text, variables);
    let common = [&step.name, &step.when, &step.each, &step.restart, &step.reload]
        .into_iter()
        .chain([&step.guard, &step.sensitive]);
    if common.flatten().any(|node| any_text(node, &mut test)) {
        return true;
    }
    match &step.action {
        RawAction::Use { with, .. } => with.iter().any(|entry| any_text(&entry.node, &mut test)),
        RawAction::Resource { table, .. } => {
            any_text(table, &mut test)
                || table.get("template").and_then(Node::as_str).is_some_and(|path| {
                    // What cannot be read is told when the step is built.
                    form(path) != Form::Plain
                        || files.with_includes(path).is_ok_and(|files| files.iter().any(|(_, text)| test(text)))
                })
        }
    }
}

/// Whether any string in a value passes a test.
fn any_text(node: &Node, test: &mut dyn FnMut(&str) -> bool) -> bool {
    match &node.value {
        NodeValue::String(text) => test(text),
        NodeValue::Array(items) => items.iter().any(|item| any_text(item, test)),
        NodeValue::Table(entries) => entries.iter().any(|entry| any_text(&entry.node, test)),
        _ => false,
    }
}

/// Whether a text names `facts`, unless it is by a fact that stays, or one of
/// these variables.
fn speaks(text: &str, variables: &BTreeSet<String>) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let from = &rest[start..];
        let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        rest = after;
        if variables.contains(word) {
            return true;
        }
        if word == "facts" {
            let name = after.strip_prefix('.').map(|name| name.split(|c| !is_word(c)).next().unwrap_or_default());
            if !name.is_some_and(|name| LASTING_FACTS.contains(&name)) {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_speaks_of_facts_that_may_change() {
        let variables = BTreeSet::from(["motd".to_owned()]);
        for text in ["{{ facts.hostname }}", "{{ facts }}", "facts['os']", "{{facts.apt.lists_age}}", "{{ motd }}"] {
            assert!(speaks(text, &variables), "{text}");
        }
        for text in ["", "x", "{{ facts.os.id }} {{ facts.cpus }}", "artefacts", "motd2"] {
            assert!(!speaks(text, &variables), "{text}");
        }
    }
}
