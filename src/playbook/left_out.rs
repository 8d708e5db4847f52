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
use crate::values::{Diagnostic, Node, NodeValue, TableEntry, suggest};
use serde_json::Value;

/// What is wrong with the values that a bundled playbook has of the two. `with`: what
/// the step gives it that uses it.
pub(super) fn judged(unit: &Unit, scope: &Scope, with: &[TableEntry]) -> Vec<Diagnostic> {
    let Folder::Bundled(name) = &unit.folder else { return Vec::new() };
    let ids = ids_of(unit);
    if ids.is_empty() {
        return Vec::new();
    }
    let mut errors = Vec::new();
    let value = |variable: &str| {
        let set = scope.variables().filter(|(name, _)| *name == variable);
        let written = set.filter_map(|(_, var)| if let Var::Written(node) = var { Some(node) } else { None }).last();
        let given = with.iter().find(|entry| entry.key == variable).map(|entry| &entry.node);
        let span = given.or(written)?.span.clone();
        let node = Node { span: span.clone(), value: NodeValue::String(variable.to_owned()) };
        let known = unit.vars.contains_key(variable);
        // What cannot be rendered is told where it is used.
        match known.then(|| Renderer::new(scope).expression(&node, variable, false)) {
            Some(Rendered::Value(value)) => Some((value, span)),
            _ => None,
        }
    };
    let skip = value("skip");
    let level = value("level");
    if let Some((skip, span)) = skip {
        let named: Option<Vec<&str>> = skip.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
        match named {
            None => errors.push(
                Diagnostic::new(span, format!("'skip' must be an array of ids of controls, not {skip}"))
                    .with_help("write skip = [\"S1\", \"S2\"]"),
            ),
            Some(named) => errors.extend(named.into_iter().filter(|id| !ids.contains(*id)).map(|id| {
                let known: Vec<&str> = ids.iter().map(String::as_str).collect();
                let near = suggest(id, known.iter().copied()).map(|near| format!("did you mean '{near}'? "));
                let message = format!("'skip' names the control '{}', which {name} does not have", id.escape_debug());
                Diagnostic::new(span.clone(), message).with_help(format!(
                    "{}its controls: {}",
                    near.unwrap_or_default(),
                    known.join(", ")
                ))
            })),
        }
    }
    if let Some((level, span)) = level
        && !matches!(level.as_i64(), Some(1 | 2))
    {
        errors.push(Diagnostic::new(span, format!("'level' must be 1 or 2, not {level}")));
    }
    errors
}
