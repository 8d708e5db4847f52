//! From the model to the steps of one host.

use super::changes::named;
use super::deferred::{Deferred, Piece};
use super::facts::{speaking_variables, step_speaks};
use super::files::{Folder, Record, StepFiles};
use super::model::{RawAction, RawStep, Unit};
use super::probes::{Probe, rendered};
use super::profile;
use super::renderer::{Rendered, Renderer};
use super::scope::{Scope, Var};
use super::{Step, TagFilter};
use crate::values::{Control, Diagnostic, Node, NodeValue, Span, UnitName};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What a `use` hands down to the steps inside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Above {
    tags: Vec<String>,
    restart: Vec<UnitName>,
    reload: Vec<UnitName>,
    guard: bool,
    sensitive: bool,
    control: Option<Arc<Control>>,
    within: Vec<String>,
    folders: Vec<Folder>,
    /// See [`Step::id`].
    pub id: String,
    /// See [`Step::identity`].
    pub identity: String,
    /// See [`Step::stem`].
    pub stem: String,
    /// See [`Step::items_open`].
    items_open: bool,
}

impl Above {
    /// The control of the `use` steps around.
    pub fn control(&self) -> Option<&Arc<Control>> {
        self.control.as_ref()
    }
}

/// How far steps are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Those of a playbook with probes are left for their turn.
    AtTurn,
    /// What is not known is left out.
    Known,
    /// One item stands for those of an `each` that are not known: for checks.
    All,
    /// One step stands for the items of an `each` that are not known, with no number.
    Outline,
}

/// Renders the steps of a playbook for one host.
pub(super) struct Steps<'a> {
    /// Which steps are wanted.
    pub tags: &'a TagFilter,
    /// The files read so far.
    pub record: &'a Arc<Record>,
    /// How far steps are read.
    depth: Depth,
    /// The steps, so far.
    pub pieces: Vec<Piece>,
    /// The probes of the playbooks that were come by.
    pub probes: Vec<Probe>,
    /// What is wrong, so far.
    pub errors: Vec<Diagnostic>,
}

impl<'a> Steps<'a> {
    /// Nothing rendered yet.
    pub fn new(tags: &'a TagFilter, record: &'a Arc<Record>, depth: Depth) -> Steps<'a> {
        Steps { tags, record, depth, pieces: Vec::new(), probes: Vec::new(), errors: Vec::new() }
    }

    /// Renders all steps of a playbook.
    pub fn playbook(&mut self, unit: &Arc<Unit>, scope: &Arc<Scope>) {
        // A bundled playbook run by its name has its operator's files here.
        let here = match unit.folder {
            Folder::Bundled(_) => vec![Folder::Disk(PathBuf::from("."))],
            Folder::Disk(_) => Vec::new(),
        };
        self.errors.extend(profile::faults(unit, scope, &[]));
        let identity = identity(unit);
        self.unit(unit, scope, &Above { folders: here, stem: identity.clone(), identity, ..Above::default() });
    }

    fn unit(&mut self, unit: &Arc<Unit>, scope: &Arc<Scope>, above: &Above) {
        let mut above = above.clone();
        above.folders.insert(0, unit.folder.clone());
        let probes: Arc<[Probe]> = rendered(&unit.probes, scope, &mut self.errors).into();
        self.probes.extend(probes.iter().cloned());
        let tracks_facts = self.depth == Depth::AtTurn && unit.probes.is_empty() && scope.has_facts();
        let speaking = if tracks_facts { speaking_variables(scope) } else { BTreeSet::new() };
        for (number, step) in unit.steps.iter().enumerate() {
            let dot = if above.id.is_empty() { "" } else { "." };
            let id = format!("{}{dot}{}", above.id, number + 1);
            let mut tags = above.tags.clone();
            tags.extend(step.tags.iter().cloned());
            if self.tags.skips(&tags) {
                continue;
            }
            // A `use` may hold wanted steps though its own tags are not wanted.
            if matches!(step.action, RawAction::Resource { .. }) && !self.tags.wants(&tags) {
                continue;
            }
            let own = own_identity(unit, number);
            let below = |above: &str| format!("{above}\0{own}");
            let (identity, stem) = (below(&above.identity), below(&above.stem));
            let above = Above { id, identity, stem, tags, ..above.clone() };
            let files = || StepFiles {
                folders: above.folders.clone(),
                record: Arc::clone(self.record),
                scope: Arc::clone(scope),
            };
            let speaks = tracks_facts && step_speaks(step, &speaking, &files());
            if self.depth == Depth::AtTurn && (speaks || !unit.probes.is_empty()) {
                self.pieces.push(Piece::Deferred(Box::new(Deferred {
                    unit: Arc::clone(unit),
                    number,
                    item: None,
                    above,
                    scope: Arc::clone(scope),
                    probes: Arc::clone(&probes),
                    tags: self.tags.clone(),
                    record: Arc::clone(self.record),
                    outline: Arc::default(),
                })));
            } else {
                self.step(step, scope, &above);
            }
        }
    }

    fn step(&mut self, step: &RawStep, scope: &Arc<Scope>, above: &Above) {
        match &step.each {
            None => self.once(step, scope, above),
            Some(each) => {
                let items = self.items(each, scope);
                let open = matches!(each.value, NodeValue::String(_)) && matches!(items[..], [Var::Unknown(_)]);
                if self.depth == Depth::Outline && open {
                    let scope = Arc::new(scope.above([("item".to_owned(), Var::Unknown(None))]));
                    self.once(step, &scope, &Above { items_open: true, ..above.clone() });
                    return;
                }
                for (index, item) in items.into_iter().enumerate() {
                    self.of_item(step, scope, above, index, item);
                }
            }
        }
    }

    /// A step as it is for one item of its `each`.
    fn of_item(&mut self, step: &RawStep, scope: &Arc<Scope>, above: &Above, index: usize, item: Var) {
        let scope = Arc::new(scope.above([("item".to_owned(), item)]));
        let of_item = |text: &str| format!("{text}[{index}]");
        let (id, identity) = (of_item(&above.id), of_item(&above.identity));
        self.once(step, &scope, &Above { id, identity, ..above.clone() });
    }

    fn once(&mut self, step: &RawStep, scope: &Arc<Scope>, above: &Above) {
        if self.wanted(step, scope) {
            self.one(step, scope, above);
        }
    }

    /// Renders what was left for its turn, as far as the scope tells.
    pub fn later(&mut self, later: &Deferred, scope: &Arc<Scope>) {
        let Some(step) = later.step() else { return };
        match (&step.each, &later.item) {
            (Some(_), Some((index, item))) => self.of_item(step, scope, &later.above, *index, item.clone()),
            // Each item has a turn of its own.
            (Some(each), None) if self.depth == Depth::AtTurn => {
                for (index, item) in self.items(each, scope).into_iter().enumerate() {
                    let later = Deferred { item: Some((index, item)), ..later.clone() };
                    self.pieces.push(Piece::Deferred(Box::new(later)));
                }
            }
            _ => self.step(step, scope, &later.above),
        }
    }

    /// Whether `when` holds; true where it is not known.
    fn wanted(&mut self, step: &RawStep, scope: &Scope) -> bool {
        let Some(when) = &step.when else { return true };
        let text = match &when.value {
            NodeValue::Bool(flag) => return *flag,
            NodeValue::String(text) => text,
            _ => return true,
        };
        let mut renderer = Renderer::new(scope);
        let outcome = renderer.expression(when, text, true);
        self.errors.append(&mut renderer.errors);
        match outcome {
            Rendered::Value(Value::Bool(flag)) => flag,
            Rendered::Value(other) => {
                let error = format!("'when' must give a boolean, not {}", type_name(&other));
                self.errors.push(
                    Diagnostic::new(when.span.clone(), error)
                        .with_help("compare it: \"x == 'y'\", \"x is defined\", \"x | length > 0\""),
                );
                true
            }
            // What is wrong in a step is told whether or not its condition is right.
            Rendered::Unknown(_) | Rendered::Bad => true,
        }
    }

    /// The items of `each`; where they are wrong or not known there are none, but
    /// for checks.
    fn items(&mut self, each: &Node, scope: &Scope) -> Vec<Var> {
        let mut renderer = Renderer::new(scope);
        let any = |example: Option<Value>| {
            if matches!(self.depth, Depth::All | Depth::Outline) { vec![Var::Unknown(example)] } else { Vec::new() }
        };
        let items = match &each.value {
            NodeValue::String(text) => match renderer.expression(each, text, false) {
                Rendered::Value(Value::Array(items)) => items.into_iter().map(Var::Ready).collect(),
                Rendered::Value(other) => {
                    renderer.errors.push(
                        Diagnostic::new(
                            each.span.clone(),
                            format!("'each' must give an array, not {}", type_name(&other)),
                        )
                        .with_help("write [a, b], or the name of a variable that holds an array"),
                    );
                    any(None)
                }
                Rendered::Unknown(example) => {
                    any(example.and_then(|example| example.as_array().and_then(|items| items.first().cloned())))
                }
                Rendered::Bad => any(None),
            },
            NodeValue::Array(nodes) => nodes.iter().filter_map(|node| renderer.var(node)).collect(),
            _ => any(None),
        };
        self.errors.append(&mut renderer.errors);
        items
    }

    fn one(&mut self, step: &RawStep, scope: &Arc<Scope>, above: &Above) {
        let mut renderer = Renderer::new(scope);
        let mut above = above.clone();
        above.restart.extend(units(&mut renderer, step.restart.as_ref()));
        above.reload.extend(units(&mut renderer, step.reload.as_ref()));
        above.guard |= flag(&mut renderer, "guard", step.guard.as_ref());
        above.sensitive |= flag(&mut renderer, "sensitive", step.sensitive.as_ref());
        if step.control.is_some() {
            above.control.clone_from(&step.control);
        }
        match &step.action {
            RawAction::Use { unit, with } => {
                above.within.extend(text(&mut renderer, "name", step.name.as_ref()));
                let mut given = Vec::new();
                for entry in with {
                    given.extend(renderer.var(&entry.node).map(|var| (entry.key.clone(), var)));
                }
                self.errors.append(&mut renderer.errors);
                let scope = Arc::new(scope.inside(unit, given));
                // A bundled playbook around it is judged for those that it uses.
                let outermost = above.folders.iter().all(|folder| matches!(folder, Folder::Disk(_)));
                if outermost {
                    self.errors.extend(profile::faults(unit, &scope, with));
                }
                self.unit(unit, &scope, &above);
            }
            RawAction::Resource { kind, kind_span, table } => {
                let told = text(&mut renderer, "name", step.name.as_ref());
                let rendered = renderer.node(table).unwrap_or_else(|| table.clone());
                let name = told.unwrap_or_else(|| default_name(kind, &rendered));
                // What could not be rendered is told, and the rest of the step judged.
                let unknown = renderer.unknown || !renderer.errors.is_empty();
                self.errors.append(&mut renderer.errors);
                self.pieces.push(Piece::Step(Box::new(Step {
                    id: above.id,
                    identity: above.identity,
                    stem: above.stem,
                    items_open: above.items_open,
                    name,
                    kind: kind.clone(),
                    kind_span: kind_span.clone(),
                    follows: named(&rendered),
                    followed_by: Vec::new(),
                    table: rendered,
                    files: StepFiles {
                        folders: above.folders,
                        record: Arc::clone(self.record),
                        scope: Arc::clone(scope),
                    },
                    restart: above.restart,
                    reload: above.reload,
                    guard: above.guard,
                    sensitive: above.sensitive,
                    control: above.control,
                    tags: above.tags,
                    within: above.within,
                    unknown,
                    span: step.span.clone(),
                })));
            }
        }
    }
}

/// What a playbook is known by on a host: its name, which stays when its file is
/// called otherwise, or else its file's.
fn identity(unit: &Unit) -> String {
    unit.name.as_ref().map_or_else(|| file_name(unit), |name| format!("playbook {name}"))
}

/// The name of a playbook's file, with its folder where all such files have one name.
fn file_name(unit: &Unit) -> String {
    let mut parts = unit.source.name.rsplit('/');
    match (parts.next().unwrap_or_default(), parts.next()) {
        (file @ "playbook.toml", Some(folder)) => format!("{folder}/{file}"),
        (file, _) => file.to_owned(),
    }
}

/// What tells a step from the others of its playbook: its name, or else its
/// kind, and which of those with the same it is.
fn own_identity(unit: &Unit, number: usize) -> String {
    let word = |step: &RawStep| match (step.name.as_ref().and_then(Node::as_str), &step.action) {
        (Some(name), _) => format!("name {name}"),
        (None, RawAction::Use { unit, .. }) => format!("use {}", identity(unit)),
        (None, RawAction::Resource { kind, .. }) => format!("kind {kind}"),
    };
    let Some(own) = unit.steps.get(number).map(word) else { return String::new() };
    let before = unit.steps.iter().take(number).filter(|step| word(step) == own).count();
    format!("{own}#{before}")
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

fn wrong(renderer: &mut Renderer<'_>, span: &Span, message: String) {
    renderer.errors.push(Diagnostic::new(span.clone(), message));
}

/// A rendered string; none if it is not given, not known or wrong.
fn text(renderer: &mut Renderer<'_>, key: &str, node: Option<&Node>) -> Option<String> {
    let told = renderer.errors.len();
    let node = renderer.node(node?)?;
    if renderer.errors.len() > told {
        return None;
    }
    match &node.value {
        NodeValue::String(text) => Some(text.clone()),
        NodeValue::Integer(number) => Some(number.to_string()),
        _ => {
            wrong(renderer, &node.span, format!("'{key}' must give a string, not {}", node.type_name()));
            None
        }
    }
}

/// A rendered boolean; true where it is not known (the careful side of both keys).
fn flag(renderer: &mut Renderer<'_>, key: &str, node: Option<&Node>) -> bool {
    let Some(node) = node else { return false };
    let told = renderer.errors.len();
    let Some(rendered) = renderer.node(node) else { return false };
    match rendered.value {
        NodeValue::Bool(flag) => flag,
        NodeValue::String(ref text)
            if renderer.errors.len() > told || super::template::form(text) != super::template::Form::Plain =>
        {
            true
        }
        _ => {
            wrong(renderer, &node.span, format!("'{key}' must give a boolean, not {}", rendered.type_name()));
            true
        }
    }
}

/// Rendered unit names, from a string or an array; those not known are left out.
fn units(renderer: &mut Renderer<'_>, node: Option<&Node>) -> Vec<UnitName> {
    let Some(node) = node else { return Vec::new() };
    let told = renderer.errors.len();
    let Some(rendered) = renderer.node(node) else { return Vec::new() };
    if renderer.errors.len() > told {
        return Vec::new();
    }
    let items = match &rendered.value {
        NodeValue::Array(items) => items.as_slice(),
        _ => std::slice::from_ref(&rendered),
    };
    let mut names = Vec::new();
    for item in items {
        match item.as_str() {
            Some(text) if super::template::form(text) != super::template::Form::Plain => {}
            Some(text) => match UnitName::named(text) {
                Ok(name) if name.is_template() => wrong(
                    renderer,
                    &item.span,
                    format!("{name} is a template: name an instance of it, with a word between '@' and '.'"),
                ),
                Ok(name) => names.push(name),
                Err(error) => wrong(renderer, &item.span, format!("{error}")),
            },
            None => wrong(renderer, &item.span, format!("a unit name is a string, not {}", item.type_name())),
        }
    }
    names
}

/// `file /etc/motd`: the kind, and what tells this one from others.
pub(super) fn default_name(kind: &str, table: &Node) -> String {
    let telling =
        ["path", "name", "names", "key", "option", "unit", "user", "value"].into_iter().find_map(|key| table.get(key));
    let what = telling.and_then(|node| match &node.value {
        NodeValue::String(text) => Some(text.clone()),
        NodeValue::Array(items) => Some(items.iter().filter_map(Node::as_str).collect::<Vec<_>>().join(", ")),
        _ => None,
    });
    what.map_or_else(|| kind.to_owned(), |what| format!("{kind} {what}"))
}
