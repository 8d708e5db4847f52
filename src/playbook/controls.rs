//! The key `control` of a step: the control that the step is about.
//!
//! It is a table that describes the control, or the id of one. Which controls a
//! playbook has is known before anything is rendered, so nothing in it is a template.

use super::Playbook;
use super::load::{Loader, Place};
use super::model::{RawAction, RawStep, Unit};
use super::template::{Form, form};
use crate::values::{Control, Demand, Diagnostic, Node, NodeValue, Severity, TableEntry, possible_keys};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the table of a control may say.
const CONTROL_KEYS: &[&str] = &["id", "title", "severity", "level", "refs", "rationale", "breaks", "report_only"];

/// A step of a control, as it was written.
#[derive(Debug, Clone)]
pub struct ControlStep {
    /// Its text in the playbook, without the line `[[step]]`.
    pub text: String,
}

impl Playbook {
    /// The controls that this playbook and those that it uses describe or name,
    /// in the order of their steps, each once.
    pub fn controls(&self) -> Vec<Demand> {
        let mut found = Vec::new();
        collect(&self.unit, &[], None, &mut found);
        found
    }

    /// The steps of a control as they were written, in the order of apply.
    pub fn steps_of(&self, id: &str) -> Vec<ControlStep> {
        let mut found = Vec::new();
        written(&self.unit, id, None, &mut found);
        found
    }
}

fn written(unit: &Unit, id: &str, around: Option<&Arc<Control>>, found: &mut Vec<ControlStep>) {
    for step in &unit.steps {
        let control = step.control.as_ref().or(around);
        match &step.action {
            RawAction::Use { unit, .. } => written(unit, id, control, found),
            RawAction::Resource { .. } if control.is_some_and(|control| control.id == id) => {
                found.push(ControlStep { text: text_of(step) });
            }
            RawAction::Resource { .. } => {}
        }
    }
}

/// A step's text, without its header, its control and comments.
fn text_of(step: &RawStep) -> String {
    let (line, _) = step.span.source.position(step.span.range.start);
    let is_told = |line: &&str| {
        let line = line.trim_start();
        !line.starts_with("[[step]]") && !line.starts_with("control") && !line.starts_with('#')
    };
    let mut lines = step.span.source.text.lines().skip(line - 1);
    let first = lines.next().into_iter();
    let lines = first.chain(lines.take_while(|line| !line.trim_start().starts_with("[["))).filter(is_told);
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The ids of the controls of a playbook and of those that it uses.
pub(super) fn ids_of(unit: &Unit) -> BTreeSet<String> {
    let mut found = Vec::new();
    collect(unit, &[], None, &mut found);
    found.into_iter().map(|demand| demand.control.id.clone()).collect()
}

fn collect(unit: &Unit, above: &[String], around: Option<&Arc<Control>>, found: &mut Vec<Demand>) {
    for step in &unit.steps {
        let mut conditions = above.to_vec();
        conditions.extend(step.when.as_ref().and_then(Node::as_str).map(str::to_owned));
        let control = step.control.as_ref().or(around);
        if let RawAction::Use { unit, .. } = &step.action {
            collect(unit, &conditions, control, found);
            continue;
        }
        let Some(control) = control else { continue };
        if !found.iter().any(|known| known.control.id == control.id) {
            found.push(Demand { control: Arc::clone(control), conditions });
        }
    }
}

/// What a control's id is made of.
fn is_id(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    first && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

impl Loader<'_> {
    /// The control that a step names or describes.
    pub(super) fn control(&mut self, entry: &TableEntry) -> Option<Arc<Control>> {
        let told = self.errors.len();
        let mut control = Control {
            id: String::new(),
            title: None,
            severity: Severity::Medium,
            level: 1,
            refs: Vec::new(),
            rationale: None,
            breaks: None,
            report_only: None,
            group: String::new(),
            span: entry.node.span.clone(),
        };
        match &entry.node.value {
            NodeValue::String(id) => control.id.clone_from(id),
            NodeValue::Table(entries) => self.control_table(entry, entries, &mut control),
            _ => self.wrong_type(entry, "a string or a table"),
        }
        let id = entry.node.get("id").unwrap_or(&entry.node);
        if self.errors.len() == told && !is_id(&control.id) {
            let message = format!("'{}' is not the id of a control", control.id.escape_debug());
            self.say(Some(&id.span), message).help =
                Some("letters, digits, '.', '_' and '-', such as \"S4\" or \"5.1.19\"; at most 64".to_owned());
        }
        (self.errors.len() == told).then(|| Arc::new(control))
    }

    fn control_table(&mut self, whole: &TableEntry, entries: &[TableEntry], control: &mut Control) {
        for needed in ["id", "title", "severity"] {
            if !entries.iter().any(|entry| entry.key == needed) {
                self.say(Some(&whole.node.span), format!("a control needs '{needed}'"));
            }
        }
        for entry in entries {
            match entry.key.as_str() {
                "id" => control.id = self.line(entry).unwrap_or_default(),
                "title" => control.title = self.line(entry),
                "rationale" => control.rationale = self.line(entry),
                "breaks" => control.breaks = self.line(entry),
                "report_only" => control.report_only = self.line(entry),
                "severity" => match self.line(entry).map(|text| text.parse()) {
                    Some(Ok(severity)) => control.severity = severity,
                    Some(Err(why)) => _ = self.say(Some(&entry.node.span), why),
                    None => {}
                },
                "level" => match entry.node.value {
                    NodeValue::Integer(1) => control.level = 1,
                    NodeValue::Integer(2) => control.level = 2,
                    _ => _ = self.say(Some(&entry.node.span), "a control's level is 1 or 2".to_owned()),
                },
                "refs" => match entry.node.as_array() {
                    Some(items) if items.iter().all(|item| item.as_str().is_some()) => {
                        control.refs = items.iter().filter_map(Node::as_str).map(str::to_owned).collect();
                    }
                    _ => self.wrong_type(entry, "an array of strings"),
                },
                unknown => {
                    let error =
                        Diagnostic::new(entry.key_span.clone(), format!("unknown key '{unknown}' in a control"));
                    self.errors.push(error.with_help(possible_keys(unknown, CONTROL_KEYS.iter().copied())));
                }
            }
        }
    }

    /// A string that is no template and not empty.
    fn line(&mut self, entry: &TableEntry) -> Option<String> {
        let text = self.string(entry)?.trim();
        if form(text) != Form::Plain {
            self.say(Some(&entry.node.span), "what describes a control is not a template".to_owned());
        } else if text.is_empty() {
            self.say(Some(&entry.node.span), format!("'{}' is empty", entry.key));
        } else {
            return Some(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        None
    }

    /// Gives the steps that name a control the one that another step describes.
    pub(super) fn resolve_controls(&mut self, place: &Place, unit: &mut Unit) {
        let group = match place {
            Place::Bundled(name, _) => name.clone(),
            Place::Disk(path) => unit.name.clone().unwrap_or_else(|| {
                path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
            }),
        };
        let mut described: BTreeMap<String, Arc<Control>> = BTreeMap::new();
        for step in &mut unit.steps {
            let Some(control) = step.control.as_mut() else { continue };
            Arc::make_mut(control).group.clone_from(&group);
            if control.title.is_none() {
                continue;
            }
            if let Some(first) = described.insert(control.id.clone(), Arc::clone(control)) {
                let message = format!("the control {} is described twice", control.id);
                self.say(Some(&control.span), message).help = Some(format!(
                    "at {} for the first time; a further step says control = \"{}\"",
                    first.span, control.id
                ));
            }
        }
        let missing = |step: &mut RawStep| {
            let control = step.control.as_mut()?;
            let known = described.get(&control.id)?;
            *control = Arc::clone(known);
            Some(())
        };
        unit.steps.iter_mut().for_each(|step| _ = missing(step));
    }
}
