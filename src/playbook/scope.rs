//! The variables a step sees.
//!
//! Variables stand in layers, the highest wins. Their values may be templates
//! over other variables; they are rendered when first needed, in the scope that
//! needs them, and a circle is an error. What depends on facts that are not
//! known is not known either, and never an error.

use super::facts::FactsAtTurn;
use super::fault::Fault;
use super::literal::locate;
use super::members::clearer;
use super::model::Unit;
use super::probes::{ProbeAnswers, SeenProbes};
use super::renderer::Renderer;
use super::template::{Engine, FileTemplate, Needs};
use super::{HostScope, Vars};
use crate::values::{Diagnostic, Node};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// What a variable is before it is needed.
#[derive(Debug, Clone)]
pub(super) enum Var {
    /// As written; may hold templates.
    Written(Node),
    /// A value.
    Ready(Value),
    /// Depends on facts or probes that are not known; an example of what it will
    /// be, where its members are known.
    Unknown(Option<Value>),
    /// A variable of the playbook that uses this one, which speaks of that one's probes.
    Outer(Arc<Scope>),
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Value(Value),
    /// See [`Var::Unknown`].
    Unknown(Option<Value>),
    Nothing,
    /// Its own value is wrong, which has been told.
    Bad,
}

pub(super) type Layer = BTreeMap<String, Var>;

/// Layers of variables, for one host.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) engine: Engine,
    /// Lowest first.
    pub(super) layers: Vec<Arc<Layer>>,
    pub(super) probes: Arc<SeenProbes>,
    /// None before a step's turn: then they are as they were found.
    pub(super) facts: Option<Arc<FactsAtTurn>>,
    pub(super) rendered: Mutex<BTreeMap<String, Found>>,
    /// See [`HostScope::open`].
    pub(super) open: bool,
}

fn written(vars: &Vars) -> Arc<Layer> {
    Arc::new(vars.iter().map(|(name, node)| (name.clone(), Var::Written(node.clone()))).collect())
}

impl Scope {
    /// The scope of a playbook's own steps on a host.
    pub fn new(engine: &Engine, playbook: &Unit, host: &HostScope) -> Scope {
        let stage = host.stage.as_ref();
        let own = json!({ "name": host.host, "address": host.address, "groups": host.groups });
        let facts = host.facts.clone().map_or_else(|| Var::Unknown(host.known_facts.clone()), Var::Ready);
        // Of a host that stands for others the members are known, not the values.
        let given = |value: Value| if host.open { Var::Unknown(Some(value)) } else { Var::Ready(value) };
        let known = Layer::from([
            ("host".to_owned(), given(own)),
            ("stage".to_owned(), given(stage.map_or("", |(name, _)| name).into())),
            ("facts".to_owned(), facts),
        ]);
        let mut layers = Vec::new();
        if !host.open {
            layers.extend([written(&playbook.vars), written(&host.vars)]);
            layers.extend(stage.map(|(_, vars)| written(vars)));
            layers.push(written(&host.cli));
        }
        layers.push(Arc::new(known));
        let probes = SeenProbes::of(&playbook.probes);
        Scope { engine: engine.clone(), layers, probes, facts: None, rendered: Mutex::default(), open: host.open }
    }

    /// The variables by their names, from all layers.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.layers.iter().flat_map(|layer| layer.iter().map(|(name, var)| (name.as_str(), var)))
    }

    /// Whether the facts are known.
    pub fn has_facts(&self) -> bool {
        self.variables().any(|(name, var)| name == "facts" && matches!(var, Var::Ready(_)))
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
        let mut layers = Vec::new();
        if !self.open {
            layers.push(written(&unit.vars));
        }
        layers.extend(self.layers.iter().filter(hidden).map(|layer| self.kept(layer)));
        layers.push(Arc::new(with.into_iter().collect()));
        self.with(layers, SeenProbes::of(&unit.probes))
    }

    /// A layer as a used playbook sees it: what speaks of this scope's probes
    /// keeps meaning them.
    pub(super) fn kept(self: &Arc<Self>, layer: &Arc<Layer>) -> Arc<Layer> {
        let speaks = |var: &Var| matches!(var, Var::Written(node) if node.to_json().to_string().contains("probes"));
        if self.probes.is_empty() || !layer.values().any(speaks) {
            return Arc::clone(layer);
        }
        let kept = |var: &Var| if speaks(var) { Var::Outer(Arc::clone(self)) } else { var.clone() };
        Arc::new(layer.iter().map(|(name, var)| (name.clone(), kept(var))).collect())
    }

    /// This scope where its probes have these answers and the facts are these.
    pub fn at_turn(&self, answers: ProbeAnswers, facts: &Arc<FactsAtTurn>) -> Scope {
        let now = |layer: &Arc<Layer>| match layer.get("facts") {
            Some(Var::Ready(_)) => {
                let mut layer = Layer::clone(layer);
                layer.insert("facts".to_owned(), Var::Ready(facts.value.clone()));
                Arc::new(layer)
            }
            _ => Arc::clone(layer),
        };
        let layers = self.layers.iter().map(now).collect();
        Scope { facts: Some(Arc::clone(facts)), ..self.with(layers, self.probes.answered(answers)) }
    }

    /// The scope in which the probes themselves are rendered.
    pub fn for_probes(&self) -> Scope {
        self.with(self.layers.clone(), SeenProbes::within_probes())
    }

    /// The probes whose answers were needed and are not known, so far.
    pub fn open_probes(&self) -> BTreeSet<String> {
        self.probes.open()
    }

    pub(super) fn with(&self, layers: Vec<Arc<Layer>>, probes: Arc<SeenProbes>) -> Scope {
        let facts = self.facts.clone();
        Scope { engine: self.engine.clone(), layers, probes, facts, rendered: Mutex::default(), open: self.open }
    }

    /// Of the facts that a template names those that are not known, with the word `facts`.
    pub(super) fn open_facts(&self, needs: &Needs) -> Vec<String> {
        let Some(facts) = &self.facts else { return Vec::new() };
        let paths = needs.paths.iter().filter(|path| path.names[0] == "facts");
        let mut named: Vec<String> = paths.map(|path| path.names[1..].join(".")).collect();
        if named.is_empty() {
            named.push(String::new());
        }
        named.iter().flat_map(|named| facts.open_in(named)).map(|fact| format!("facts.{fact}")).collect()
    }

    pub(super) fn names(&self) -> BTreeSet<&str> {
        let probes = (!self.probes.is_empty()).then_some("probes");
        self.layers.iter().flat_map(|layer| layer.keys().map(String::as_str)).chain(probes).collect()
    }

    /// Renders a template file (the first) with those it includes.
    ///
    /// # Errors
    /// All that is wrong, each with its place.
    pub fn render_files(&self, files: &[(String, String)]) -> Result<String, Vec<String>> {
        let (name, text) = files.first().map_or(("", ""), |(name, text)| (name, text));
        let place = |fault: &Fault| match (&fault.file, &fault.range) {
            (Some(elsewhere), _) => elsewhere.clone(),
            (None, Some(range)) => place_in(name, text, range.start),
            (None, None) => name.to_owned(),
        };
        let said = |fault: Fault| {
            let help = fault.help.as_ref().or(fault.possible.as_ref());
            let help = help.map_or(String::new(), |help| format!("; {help}"));
            format!("{}: {}{help}", place(&fault), fault.message)
        };
        let all = |faults: Vec<Fault>| faults.into_iter().map(said).collect::<Vec<_>>();
        let template: FileTemplate = self.engine.files(files).map_err(all)?;
        let mut renderer = Renderer::new(self);
        match renderer.context(text, &template.needs) {
            Ok(context) => template.render(&context).map_err(|faults| all(clearer(faults, &template.needs, &context))),
            Err(Miss::Unknown) => Ok(text.to_owned()),
            Err(Miss::Wrong(faults)) => {
                let told = renderer.errors.iter().map(|error| error.message.clone());
                Err(told.chain(all(faults)).collect())
            }
        }
    }
}

/// Why there is no context for a template.
pub(super) enum Miss {
    /// It depends on facts or probes that are not known.
    Unknown,
    /// What is wrong with the template, beside what has been told.
    Wrong(Vec<Fault>),
}

/// What is wrong with a string of a document; `offset` is where in the string
/// the faulty code begins.
pub(super) fn diagnose(node: &Node, offset: usize, fault: Fault) -> Diagnostic {
    let span = match (&fault.range, node.as_str()) {
        (Some(range), Some(text)) => locate(&node.span, text, &(range.start + offset..range.end + offset)),
        _ => node.span.clone(),
    };
    let advice = fault.advice();
    let place = fault.file.map_or(String::new(), |file| format!("{file}: "));
    let error = Diagnostic::new(span, format!("{place}{}", fault.message));
    match advice {
        Some(advice) => error.with_help(advice),
        None => error,
    }
}

/// `file:line:column` of a place in a text.
pub(super) fn place_in(name: &str, text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or("");
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{name}:{}:{column}", before.matches('\n').count() + 1)
}
