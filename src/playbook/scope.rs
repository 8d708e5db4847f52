//! The variables a step sees.
//!
//! Variables stand in layers, the highest wins. Their values may be templates
//! over other variables; they are rendered when first needed, in the scope that
//! needs them, and a circle is an error. What depends on facts that are not
//! known is not known either, and never an error.

use super::code::PathUse;
use super::literal::locate;
use super::model::Unit;
use super::probes::{ProbeAnswers, SeenProbes};
use super::template::{Engine, Fault, FileTemplate, Form, Needs, RAW, form, is_foreign};
use super::{HostScope, Vars};
use crate::values::{Diagnostic, Node, NodeValue, TableEntry, suggest};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tera::Context;

/// What a variable is before it is needed.
#[derive(Debug, Clone)]
pub(super) enum Var {
    /// As written; may hold templates.
    Written(Node),
    /// A value.
    Ready(Value),
    /// Depends on facts or probes that are not known.
    Unknown,
    /// A variable of the playbook that uses this one, which speaks of that one's probes.
    Outer(Arc<Scope>),
}

/// What a name stands for.
#[derive(Debug, Clone)]
enum Found {
    Value(Value),
    Unknown,
    Nothing,
    /// Its own value is wrong, which has been told.
    Bad,
}

type Layer = BTreeMap<String, Var>;

/// Layers of variables, for one host.
#[derive(Debug)]
pub(super) struct Scope {
    engine: Engine,
    /// Lowest first.
    layers: Vec<Arc<Layer>>,
    probes: Arc<SeenProbes>,
    rendered: Mutex<BTreeMap<String, Found>>,
}

fn written(vars: &Vars) -> Arc<Layer> {
    Arc::new(vars.iter().map(|(name, node)| (name.clone(), Var::Written(node.clone()))).collect())
}

impl Scope {
    /// The scope of a playbook's own steps on a host.
    pub fn new(engine: &Engine, playbook: &Unit, host: &HostScope) -> Scope {
        let stage = host.stage.as_ref();
        let own = json!({ "name": host.host, "address": host.address, "groups": host.groups });
        let known = Layer::from([
            ("host".to_owned(), Var::Ready(own)),
            ("stage".to_owned(), Var::Ready(stage.map_or("", |(name, _)| name).into())),
            ("facts".to_owned(), host.facts.clone().map_or(Var::Unknown, Var::Ready)),
        ]);
        let mut layers = vec![written(&playbook.vars), written(&host.vars)];
        layers.extend(stage.map(|(_, vars)| written(vars)));
        layers.push(written(&host.cli));
        layers.push(Arc::new(known));
        let probes = SeenProbes::of(&playbook.probes);
        Scope { engine: engine.clone(), layers, probes, rendered: Mutex::default() }
    }

    /// This scope with variables above all others.
    pub fn above(&self, vars: impl IntoIterator<Item = (String, Var)>) -> Scope {
        let mut layers = self.layers.clone();
        layers.push(Arc::new(vars.into_iter().collect()));
        self.with(layers, Arc::clone(&self.probes))
    }

    /// The scope inside a used playbook: its variables beneath all others,
    /// those given by `with` above; the caller's `item` and probes are not seen.
    pub fn inside(self: &Arc<Self>, unit: &Unit, with: impl IntoIterator<Item = (String, Var)>) -> Scope {
        let hidden = |layer: &&Arc<Layer>| !layer.contains_key("item");
        let mut layers = vec![written(&unit.vars)];
        layers.extend(self.layers.iter().filter(hidden).map(|layer| self.kept(layer)));
        layers.push(Arc::new(with.into_iter().collect()));
        self.with(layers, SeenProbes::of(&unit.probes))
    }

    /// A layer as a used playbook sees it: what speaks of this scope's probes
    /// keeps meaning them.
    fn kept(self: &Arc<Self>, layer: &Arc<Layer>) -> Arc<Layer> {
        let speaks = |var: &Var| matches!(var, Var::Written(node) if node.to_json().to_string().contains("probes"));
        if self.probes.is_empty() || !layer.values().any(speaks) {
            return Arc::clone(layer);
        }
        let kept = |var: &Var| if speaks(var) { Var::Outer(Arc::clone(self)) } else { var.clone() };
        Arc::new(layer.iter().map(|(name, var)| (name.clone(), kept(var))).collect())
    }

    /// This scope where its probes have these answers.
    pub fn at_turn(&self, answers: ProbeAnswers) -> Scope {
        self.with(self.layers.clone(), self.probes.answered(answers))
    }

    /// The scope in which the probes themselves are rendered.
    pub fn for_probes(&self) -> Scope {
        self.with(self.layers.clone(), SeenProbes::within_probes())
    }

    /// The probes whose answers were needed and are not known, so far.
    pub fn open_probes(&self) -> BTreeSet<String> {
        self.probes.open()
    }

    fn with(&self, layers: Vec<Arc<Layer>>, probes: Arc<SeenProbes>) -> Scope {
        Scope { engine: self.engine.clone(), layers, probes, rendered: Mutex::default() }
    }

    fn names(&self) -> BTreeSet<&str> {
        let probes = (!self.probes.is_empty()).then_some("probes");
        self.layers.iter().flat_map(|layer| layer.keys().map(String::as_str)).chain(probes).collect()
    }

    /// Renders a template file (the first) with those it includes.
    pub fn render_files(&self, files: &[(String, String)]) -> Result<String, String> {
        let (name, text) = files.first().map_or(("", ""), |(name, text)| (name, text));
        let place = |fault: &Fault| match (&fault.file, &fault.range) {
            (Some(elsewhere), _) => elsewhere.clone(),
            (None, Some(range)) => {
                let before = text.get(..range.start).unwrap_or("");
                let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
                format!("{name}:{}:{column}", before.matches('\n').count() + 1)
            }
            (None, None) => name.to_owned(),
        };
        let said = |fault: Fault| {
            let help = fault.help.as_ref().map_or(String::new(), |help| format!("; {help}"));
            format!("{}: {}{help}", place(&fault), fault.message)
        };
        let template: FileTemplate = self.engine.files(files).map_err(said)?;
        let mut renderer = Renderer::new(self);
        match renderer.context(&template.needs) {
            Ok(context) => template.render(&context).map_err(|fault| said(clearer(fault, &template.needs, &context))),
            Err(Miss::Unknown) => Ok(text.to_owned()),
            Err(Miss::Wrong(fault)) => {
                // The places of paths are those of their own file, which need not be this one.
                let here = |range: &Range<usize>| text.get(range.clone()).is_some_and(|t| fault.message.contains(t));
                let range = fault.range.clone().filter(here);
                Err(said(Fault { range, ..fault }))
            }
            Err(Miss::Told) => Err(renderer.errors.iter().map(|e| e.message.clone()).collect::<Vec<_>>().join("; ")),
            Err(Miss::Undefined(name, help)) => {
                let word = template.needs.paths.iter().find(|path| path.names[0] == name);
                // The places of paths are those of their own file, which need not be this one.
                let here = |range: &Range<usize>| text.get(range.clone()).is_some_and(|t| t.starts_with(&name));
                let range = word.map(|path| path.range.clone()).filter(here);
                let foreign = range.as_ref().is_some_and(|range| is_foreign(text, range.start));
                let help = if foreign { Some(RAW.to_owned()) } else { help };
                Err(said(Fault { help, ..Fault::new(format!("undefined variable '{name}'"), range) }))
            }
        }
    }
}

/// Why there is no context for a template.
enum Miss {
    /// It depends on facts or probes that are not known.
    Unknown,
    /// What is wrong has been told.
    Told,
    /// What is wrong with the template.
    Wrong(Fault),
    /// A variable is not defined; with advice.
    Undefined(String, Option<String>),
}

/// One rendering: what went wrong, and whether anything is not known.
pub(super) struct Renderer<'s> {
    scope: &'s Scope,
    /// What is wrong.
    pub errors: Vec<Diagnostic>,
    /// Whether something was left as it is for want of facts or probes.
    pub unknown: bool,
    trail: Vec<String>,
}

/// What an expression gives.
pub(super) enum Outcome {
    /// This.
    Value(Value),
    /// Not known without facts or probes.
    Unknown,
    /// An error, which has been told.
    Bad,
}

impl<'s> Renderer<'s> {
    /// A rendering in a scope.
    pub fn new(scope: &'s Scope) -> Renderer<'s> {
        Renderer { scope, errors: Vec::new(), unknown: false, trail: Vec::new() }
    }

    /// Renders every string in a value. None: the value is null and stands for
    /// "not given".
    pub fn node(&mut self, node: &Node) -> Option<Node> {
        let value = match &node.value {
            NodeValue::String(text) => return self.string(node, text),
            NodeValue::Array(items) => NodeValue::Array(items.iter().filter_map(|item| self.node(item)).collect()),
            NodeValue::Table(entries) => {
                let rendered = entries.iter().filter_map(|entry| {
                    let node = self.node(&entry.node)?;
                    Some(TableEntry { key: entry.key.clone(), key_span: entry.key_span.clone(), node })
                });
                NodeValue::Table(rendered.collect())
            }
            other => other.clone(),
        };
        Some(Node { span: node.span.clone(), value })
    }

    fn string(&mut self, node: &Node, text: &str) -> Option<Node> {
        let outcome = match form(text) {
            Form::Plain => return Some(node.clone()),
            Form::Expression(code, offset) => self.code(node, code, offset, false),
            Form::Text => self.text(node, text),
        };
        match outcome {
            Outcome::Value(Value::Null) => None,
            Outcome::Value(value) => Some(Node::from_json(&value, &node.span)),
            Outcome::Unknown => {
                self.unknown = true;
                Some(node.clone())
            }
            Outcome::Bad => Some(node.clone()),
        }
    }

    fn text(&mut self, node: &Node, text: &str) -> Outcome {
        let needs = match self.scope.engine.text_needs(text) {
            Ok(needs) => needs,
            Err(fault) => return self.fault(node, 0, fault),
        };
        let context = match self.context_at(node, 0, &needs) {
            Ok(context) => context,
            Err(outcome) => return outcome,
        };
        match self.scope.engine.text(text, &context) {
            Ok(text) => Outcome::Value(text.into()),
            Err(fault) => self.fault(node, 0, clearer(fault, &needs, &context)),
        }
    }

    /// The value of an expression, given bare or as one whole `{{ }}`. `strict`:
    /// a path that leads nowhere is an error even where it is only compared.
    pub fn expression(&mut self, node: &Node, text: &str, strict: bool) -> Outcome {
        match form(text) {
            Form::Expression(code, offset) => self.code(node, code, offset, strict),
            _ => self.code(node, text, 0, strict),
        }
    }

    fn code(&mut self, node: &Node, code: &str, offset: usize, strict: bool) -> Outcome {
        let needs = match self.scope.engine.expression_needs(code) {
            Ok(needs) => needs,
            Err(fault) => return self.fault(node, offset, fault),
        };
        let context = match self.context_at(node, offset, &needs) {
            Ok(context) => context,
            Err(outcome) => return outcome,
        };
        if strict && let Some(fault) = dead_end(&needs, &context) {
            return self.fault(node, offset, fault);
        }
        match self.scope.engine.value(code, &context) {
            Ok(value) => Outcome::Value(value),
            Err(fault) => self.fault(node, offset, clearer(fault, &needs, &context)),
        }
    }

    /// Tells what is wrong with a string of the playbook.
    fn fault(&mut self, node: &Node, offset: usize, fault: Fault) -> Outcome {
        self.errors.push(diagnose(node, offset, fault));
        Outcome::Bad
    }

    fn context_at(&mut self, node: &Node, offset: usize, needs: &Needs) -> Result<Context, Outcome> {
        self.context(needs).map_err(|miss| match miss {
            Miss::Unknown => Outcome::Unknown,
            Miss::Told => Outcome::Bad,
            Miss::Wrong(fault) => self.fault(node, offset, fault),
            Miss::Undefined(name, help) => {
                let range = needs.paths.iter().find(|path| path.names[0] == name).map(|path| path.range.clone());
                let range = range.map(|r| r.start..r.start + name.len());
                let text = node.as_str().unwrap_or_default();
                let foreign = range.as_ref().is_some_and(|range| is_foreign(text, range.start + offset));
                let help = if foreign { Some(RAW.to_owned()) } else { help };
                let fault = Fault { help, ..Fault::new(format!("undefined variable '{name}'"), range) };
                self.fault(node, offset, fault)
            }
        })
    }

    /// The values of the variables a template needs.
    fn context(&mut self, needs: &Needs) -> Result<Context, Miss> {
        let mut context = Context::new();
        let mut unknown = false;
        for name in &needs.variables {
            if name == "probes" {
                match self.scope.probes.value(needs).map_err(Miss::Wrong)? {
                    Some(value) => context.insert(name.clone(), &value),
                    None => unknown = true,
                }
                continue;
            }
            match self.variable(name) {
                Found::Value(value) => context.insert(name.clone(), &value),
                Found::Unknown => unknown = true,
                Found::Bad => return Err(Miss::Told),
                Found::Nothing => {
                    let guarded = |path: &PathUse| path.names.len() == 1 && path.names[0] == *name && path.guarded;
                    if !needs.paths.iter().any(guarded) {
                        return Err(Miss::Undefined(name.clone(), self.advice(name)));
                    }
                }
            }
        }
        if unknown { Err(Miss::Unknown) } else { Ok(context) }
    }

    fn advice(&self, name: &str) -> Option<String> {
        if name == "item" {
            return Some("'item' exists only in a step with 'each'".to_owned());
        }
        if name == "env" {
            return Some("the environment of a stage never enters templates; use the kind 'env'".to_owned());
        }
        Some(match suggest(name, self.scope.names()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => "set it in [vars], in the inventory, in the stage or with --var".to_owned(),
        })
    }

    /// Tells of a circle of variables, in the same words from wherever it is
    /// entered.
    fn circle(&self, start: usize) -> Diagnostic {
        let mut circle = self.trail[start..].to_vec();
        let first = circle.iter().enumerate().min_by_key(|(_, name)| *name).map_or(0, |(at, _)| at);
        circle.rotate_left(first);
        let name = circle[0].clone();
        circle.push(name.clone());
        let message = format!("the variable '{name}' is made from itself: {}", circle.join(" → "));
        match self.scope.layers.iter().rev().find_map(|layer| layer.get(&name)) {
            Some(Var::Written(node)) => Diagnostic::new(node.span.clone(), message),
            _ => Diagnostic::general(message),
        }
    }

    fn variable(&mut self, name: &str) -> Found {
        if let Some(found) = self.scope.rendered.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return found.clone();
        }
        let Some(var) = self.scope.layers.iter().rev().find_map(|layer| layer.get(name)) else {
            return Found::Nothing;
        };
        let node = match var {
            Var::Ready(value) => return Found::Value(value.clone()),
            Var::Unknown => return Found::Unknown,
            Var::Outer(scope) => {
                let mut outer = Renderer::new(scope);
                let found = outer.variable(name);
                self.errors.append(&mut outer.errors);
                self.scope.probes.note_open(scope.open_probes());
                return found;
            }
            Var::Written(node) => node,
        };
        if let Some(start) = self.trail.iter().position(|known| known == name) {
            let circle = self.circle(start);
            self.errors.push(circle);
            return Found::Bad;
        }
        self.trail.push(name.to_owned());
        let told = self.errors.len();
        let outer = std::mem::take(&mut self.unknown);
        let rendered = self.node(node);
        let found = match rendered {
            _ if self.errors.len() > told => Found::Bad,
            _ if self.unknown => Found::Unknown,
            Some(node) => Found::Value(node.to_json()),
            None => Found::Value(Value::Null),
        };
        self.unknown = outer;
        self.trail.pop();
        // A value that is wrong because it stands in a circle is wrong from any
        // point of it, so it may be remembered like any other.
        self.scope.rendered.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), found.clone());
        found
    }
}

/// What is wrong with a string of a document; `offset` is where in the string
/// the faulty code begins.
pub(super) fn diagnose(node: &Node, offset: usize, fault: Fault) -> Diagnostic {
    let span = match (&fault.range, node.as_str()) {
        (Some(range), Some(text)) => locate(&node.span, text, &(range.start + offset..range.end + offset)),
        _ => node.span.clone(),
    };
    let place = fault.file.map_or(String::new(), |file| format!("{file}: "));
    let error = Diagnostic::new(span, format!("{place}{}", fault.message));
    match fault.help {
        Some(help) => error.with_help(help),
        None => error,
    }
}

/// A fault in the engine's words, in ours where it is about an undefined value.
fn clearer(fault: Fault, needs: &Needs, context: &Context) -> Fault {
    let about = ["is undefined", "is not defined", "undefined value"];
    if fault.file.is_some() || !about.iter().any(|words| fault.message.contains(words)) {
        return fault;
    }
    dead_end(needs, context).unwrap_or(fault)
}

/// The first path that leads to nothing though nothing says it may.
fn dead_end(needs: &Needs, context: &Context) -> Option<Fault> {
    let guarded: Vec<&[String]> = needs.paths.iter().filter(|p| p.guarded).map(|p| p.names.as_slice()).collect();
    needs.paths.iter().find_map(|path| {
        let mut value = context.get(&path.names[0]).filter(|_| needs.variables.contains(&path.names[0]))?;
        for (depth, name) in path.names.iter().enumerate().skip(1) {
            let so_far = &path.names[..=depth];
            match value.get_from_path(name) {
                Some(inner) if !inner.is_undefined() => value = inner,
                _ if guarded.iter().any(|known| so_far.starts_with(known) || known.starts_with(so_far)) => return None,
                _ => {
                    let names = value.as_map().map(|map| map.keys().filter_map(|key| key.as_str()));
                    let names: Vec<&str> = names.into_iter().flatten().collect();
                    let help = match suggest(name, names.iter().copied()) {
                        Some(near) => Some(format!("did you mean '{near}'?")),
                        None if names.is_empty() => None,
                        None => Some(format!("'{}' has: {}", path.names[..depth].join("."), names.join(", "))),
                    };
                    let message = format!("'{}' is undefined", path.names.join("."));
                    return Some(Fault { help, ..Fault::new(message, Some(path.range.clone())) });
                }
            }
        }
        None
    })
}
