//! The variables `skip` and `level` of bundled playbooks that have controls.
//!
//! A condition such as `'S1' not in skip` holds for every misspelt id, and in a
//! string it finds the id in the middle of others. So what they are given is
//! judged before any condition is.

use super::controls::ids_of;
use super::files::Folder;
use super::model::Unit;
use super::renderer::{Rendered, Renderer};
use super::scope::{Scope, Var};
use crate::values::{Diagnostic, Node, NodeValue, Span, TableEntry, suggest};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is wrong with the two variables of a bundled playbook. `with`: what the step
/// gives it that uses it.
pub(super) fn faults(unit: &Unit, scope: &Scope, with: &[TableEntry]) -> Vec<Diagnostic> {
    let Folder::Bundled(name) = &unit.folder else { return Vec::new() };
    let ids = ids_of(unit);
    if ids.is_empty() {
        return Vec::new();
    }
    let value = |variable: &str| unit.vars.contains_key(variable).then(|| value(variable, scope, with)).flatten();
    let skip = value("skip").map(|(skip, span)| faults_of_skip(&skip, &span, name, &ids));
    let level = value("level").and_then(|(level, span)| fault_of_level(&level, span));
    skip.into_iter().flatten().chain(level).collect()
}

/// The value of a variable, and where it was given. None where it cannot be rendered,
/// which is told where it is used.
fn value(variable: &str, scope: &Scope, with: &[TableEntry]) -> Option<(Value, Span)> {
    let set = scope.variables().filter(|(name, _)| *name == variable);
    let written = set.filter_map(|(_, var)| if let Var::Written(node) = var { Some(node) } else { None }).last();
    let given = with.iter().find(|entry| entry.key == variable).map(|entry| &entry.node);
    let span = given.or(written)?.span.clone();
    let node = Node { span: span.clone(), value: NodeValue::String(variable.to_owned()) };
    match Renderer::new(scope).expression(&node, variable, false) {
        Rendered::Value(value) => Some((value, span)),
        Rendered::Unknown(_) | Rendered::Bad => None,
    }
}

fn faults_of_skip(skip: &Value, span: &Span, name: &str, ids: &BTreeSet<String>) -> Vec<Diagnostic> {
    let named: Option<Vec<&str>> = skip.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
    let Some(named) = named else {
        let message = format!("'skip' must be an array of ids of controls, not {skip}");
        return vec![Diagnostic::new(span.clone(), message).with_help("write skip = [\"S1\", \"S2\"]")];
    };
    let known: Vec<&str> = ids.iter().map(String::as_str).collect();
    let unknown = named.into_iter().filter(|id| !ids.contains(*id));
    let fault = |id: &str| {
        let near = suggest(id, known.iter().copied()).map(|near| format!("did you mean '{near}'? "));
        let message = format!("'skip' names the control '{}', which {name} does not have", id.escape_debug());
        let help = format!("{}its controls: {}", near.unwrap_or_default(), known.join(", "));
        Diagnostic::new(span.clone(), message).with_help(help)
    };
    unknown.map(fault).collect()
}

fn fault_of_level(level: &Value, span: Span) -> Option<Diagnostic> {
    let is_right = matches!(level.as_i64(), Some(1 | 2));
    (!is_right).then(|| Diagnostic::new(span, format!("'level' must be 1 or 2, not {level}")))
}
