//! `when_changed`: which steps a command follows.
//!
//! It names steps, tags, or `"previous"`. A name that no step of the playbook
//! has is an error; one whose step is left out for this host (`when`, `--tags`)
//! is none: it changes nothing.

use super::model::{RawAction, RawStep, Unit};
use super::render::default_name;
use super::template::{Form, form};
use super::{Piece, Step};
use crate::values::{Diagnostic, Node, NodeValue, suggest};
use std::collections::{BTreeMap, BTreeSet};

/// The steps whose changes a step follows, by its id.
pub(super) type Follows = BTreeMap<String, Vec<String>>;

const PREVIOUS: &str = "previous";

/// Finds the steps that each `when_changed` names.
pub(super) fn resolve(unit: &Unit, pieces: &mut Vec<Piece>, errors: &mut Vec<Diagnostic>) {
    let mut steps: Vec<Step> = std::mem::take(pieces).into_iter().filter_map(Piece::into_step).collect();
    each(unit, &mut steps, errors);
    pieces.extend(steps.into_iter().map(|step| Piece::Step(Box::new(step))));
}

fn each(unit: &Unit, steps: &mut [Step], errors: &mut Vec<Diagnostic>) {
    let mut written: Option<BTreeSet<String>> = None;
    for at in 0..steps.len() {
        let Some(named) = steps[at].table.get("when_changed").cloned() else { continue };
        let mut follows = Vec::new();
        for node in names(&named) {
            let Some(name) = node.as_str().filter(|name| form(name) == Form::Plain) else { continue };
            let found = match name {
                PREVIOUS => previous(steps, at),
                name => by_name(steps, at, name, written.get_or_insert_with(|| all_names(unit))),
            };
            match found {
                Ok(ids) => follows.extend(ids),
                Err((message, help)) => {
                    let error = Diagnostic::new(node.span.clone(), message);
                    errors.push(help.map_or(error.clone(), |help| error.with_help(help)));
                }
            }
        }
        steps[at].follows = follows;
    }
}

type Found = Result<Vec<String>, (String, Option<String>)>;

fn names(node: &Node) -> &[Node] {
    match &node.value {
        NodeValue::Array(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// The step that stands before this one in the same playbook, with all its parts.
fn previous(steps: &[Step], at: usize) -> Found {
    let id = steps[at].id.as_str();
    let own = id.rfind('[').filter(|_| id.ends_with(']')).map_or(id, |bracket| &id[..bracket]);
    let (above, number) = own.rsplit_once('.').map_or(("", own), |(above, number)| (above, number));
    let before = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).filter(|number| *number > 0);
    let Some(before) = before else {
        return Err((format!("there is no step before this one that '{PREVIOUS}' could mean"), None));
    };
    let before = if above.is_empty() { before.to_string() } else { format!("{above}.{before}") };
    let is_part = |step: &&Step| {
        step.id.strip_prefix(before.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    Ok(steps.iter().filter(is_part).map(|step| step.id.clone()).collect())
}

fn by_name(steps: &[Step], at: usize, name: &str, written: &BTreeSet<String>) -> Found {
    let is_meant = |step: &Step| step.name == name || step.tags.iter().chain(&step.within).any(|label| label == name);
    let ids = |steps: &[Step]| -> Vec<String> {
        steps.iter().filter(|step| is_meant(step)).map(|step| step.id.clone()).collect()
    };
    let before = ids(&steps[..at]);
    if !before.is_empty() {
        return Ok(before);
    }
    if let Some(later) = ids(&steps[at + 1..]).first() {
        let help = "a command follows what comes before it: put it after that step".to_owned();
        return Err((format!("'{name}' is step {later}, which comes after this one"), Some(help)));
    }
    if is_meant(&steps[at]) {
        return Err((format!("'{name}' is this step itself"), None));
    }
    if written.iter().any(|written| fits(written, name)) {
        return Ok(Vec::new());
    }
    let known = steps.iter().flat_map(|step| step.tags.iter().chain(&step.within).chain([&step.name]));
    let mut known: BTreeSet<&str> = known.map(String::as_str).collect();
    known.extend(written.iter().map(String::as_str));
    known.insert(PREVIOUS);
    let help = match suggest(name, known) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("give a step's name or tag, or '{PREVIOUS}'"),
    };
    Err((format!("no step has the name or the tag '{name}'"), Some(help)))
}

/// Whether a name as it is written, perhaps with templates in it, can become this one.
fn fits(written: &str, name: &str) -> bool {
    let (Some(begin), Some(end)) = (written.find("{{"), written.rfind("}}")) else { return written == name };
    let (head, tail) = (&written[..begin], written.get(end + 2..).unwrap_or_default());
    name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
}

/// Every name and tag that a step has as it is written.
fn all_names(unit: &Unit) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut add = |step: &RawStep| {
        all.extend(step.tags.iter().cloned());
        match (&step.name, &step.action) {
            (Some(name), _) => all.extend(name.as_str().map(str::to_owned)),
            (None, RawAction::Resource { kind, table, .. }) => _ = all.insert(default_name(kind, table)),
            (None, RawAction::Use { .. }) => {}
        }
    };
    unit.walk(&mut |unit| unit.steps.iter().for_each(&mut add));
    all
}
