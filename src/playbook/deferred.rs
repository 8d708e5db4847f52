//! Steps that are decided when their turn comes: those of a playbook with
//! probes, and those that speak of facts which a step may change.
//!
//! What an earlier step of a run makes is what a later step's probe must find.
//! So such a step is not rendered before the plan is made but in the middle of
//! it, with the answers that hold at its turn.

use super::changes::{Follower, Outline, WHEN_CHANGED};
use super::facts::FactsAtTurn;
use super::files::{Record, StepFiles};
use super::model::{RawAction, RawStep, Unit};
use super::probes::{Probe, ProbeAnswers};
use super::render::{Above, Depth, Steps, default_name};
use super::renderer::Renderer;
use super::scope::{Scope, Var};
use super::template::{Form, form};
use super::{Step, TagFilter, told_once};
use crate::values::{Control, Diagnostic, Node, Span};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A part of what a host shall have, in the order of apply.
#[derive(Debug, Clone)]
pub enum Piece {
    /// A step.
    Step(Box<Step>),
    /// What is decided when its turn comes.
    Deferred(Box<Deferred>),
}

/// A `[[step]]` of a playbook with probes, or one that speaks of facts which a
/// step may change, or one item of its `each`.
#[derive(Debug, Clone)]
pub struct Deferred {
    pub(super) unit: Arc<Unit>,
    pub(super) number: usize,
    pub(super) item: Option<(usize, Var)>,
    pub(super) above: Above,
    pub(super) scope: Arc<Scope>,
    pub(super) probes: Arc<[Probe]>,
    pub(super) tags: TagFilter,
    pub(super) record: Arc<Record>,
    pub(super) outline: Arc<Outline>,
}

/// What the answers of the probes make of a step.
#[derive(Debug, Clone)]
pub struct StepAtTurn {
    /// What it becomes; nothing where `when` is false.
    pub pieces: Vec<Piece>,
    /// The probes that it depends on and whose answers are not known; a fact by
    /// its dotted name with `facts` before it.
    pub open: BTreeSet<String>,
    /// What is wrong with it.
    pub errors: Vec<Diagnostic>,
}

impl Deferred {
    /// See [`Step::id`].
    pub fn id(&self) -> String {
        match &self.item {
            Some((index, _)) => format!("{}[{index}]", self.above.id),
            None => self.above.id.clone(),
        }
    }

    /// See [`Step::identity`] and [`Step::stem`]; none where each item of its
    /// `each` will have its own.
    pub fn identity(&self) -> Option<(String, &str)> {
        match (&self.item, self.step().and_then(|step| step.each.as_ref())) {
            (Some((index, _)), _) => Some((format!("{}[{index}]", self.above.identity), &self.above.stem)),
            (None, Some(_)) => None,
            (None, None) => Some((self.above.identity.clone(), &self.above.stem)),
        }
    }

    /// The commands that may follow its changes, as far as that is known before
    /// its turn.
    pub fn followers(&self) -> Vec<Follower> {
        let mut steps = Steps::new(&self.tags, &self.record, Depth::Outline);
        steps.later(self, &self.scope);
        steps.pieces.iter().filter_map(Piece::step).flat_map(|step| self.outline.followers_of(step)).collect()
    }

    /// Whether it follows the changes of others.
    pub fn is_follower(&self) -> bool {
        matches!(self.step().map(|step| &step.action),
            Some(RawAction::Resource { table, .. }) if table.get(WHEN_CHANGED).is_some())
    }

    /// What it is called, as far as that is known before its turn.
    pub fn name(&self) -> String {
        let told = self.step().and_then(|step| step.name.as_ref()).and_then(Node::as_str);
        match (told.filter(|name| form(name) == Form::Plain), self.step().map(|step| &step.action)) {
            (Some(name), _) => name.to_owned(),
            (None, Some(RawAction::Resource { kind, table, .. })) => default_name(kind, table),
            (None, Some(RawAction::Use { unit, .. })) => {
                format!("use {}", unit.name.as_ref().unwrap_or(&unit.source.name))
            }
            (None, None) => self.above.id.clone(),
        }
    }

    /// What it is called where the probes have these answers and the facts are
    /// these: what is known stands in it, what is not stays as it is written.
    pub fn name_at_turn(&self, answers: ProbeAnswers, facts: &Arc<FactsAtTurn>) -> String {
        let scope = self.scope_at_turn(answers, facts);
        let Some(step) = self.step() else { return self.name() };
        let mut renderer = Renderer::new(&scope);
        match (step.name.as_ref(), &step.action) {
            (Some(name), _) => renderer.known_parts(name).as_str().map_or_else(|| self.name(), str::to_owned),
            (None, RawAction::Resource { kind, table, .. }) => default_name(kind, &renderer.known_parts(table)),
            (None, RawAction::Use { .. }) => self.name(),
        }
    }

    /// Its table where the probes have these answers and the facts are these: what
    /// is not known stays as it is written. None for a `use`.
    pub fn table_at_turn(&self, answers: ProbeAnswers, facts: &Arc<FactsAtTurn>) -> Option<Node> {
        let Some(RawAction::Resource { table, .. }) = self.step().map(|step| &step.action) else { return None };
        Some(Renderer::new(&self.scope_at_turn(answers, facts)).known_parts(table))
    }

    fn scope_at_turn(&self, answers: ProbeAnswers, facts: &Arc<FactsAtTurn>) -> Arc<Scope> {
        let scope = Arc::new(self.scope.at_turn(answers, facts));
        match &self.item {
            Some((_, item)) => Arc::new(scope.above([("item".to_owned(), item.clone())])),
            None => scope,
        }
    }

    /// Its kind, or `use`.
    pub fn kind(&self) -> &str {
        match self.step().map(|step| &step.action) {
            Some(RawAction::Resource { kind, .. }) => kind,
            _ => "use",
        }
    }

    /// The control that it is part of.
    pub fn control(&self) -> Option<Arc<Control>> {
        self.step().and_then(|step| step.control.clone()).or_else(|| self.above.control().cloned())
    }

    /// Where it stands.
    pub fn span(&self) -> Option<&Span> {
        self.step().map(|step| &step.span)
    }

    /// The probes of its playbook.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    pub(super) fn step(&self) -> Option<&RawStep> {
        self.unit.steps.get(self.number)
    }

    /// What it becomes where the probes have these answers and the facts are these.
    pub fn at_turn(&self, answers: ProbeAnswers, facts: &Arc<FactsAtTurn>) -> StepAtTurn {
        let scope = Arc::new(self.scope.at_turn(answers, facts));
        let mut steps = Steps::new(&self.tags, &self.record, Depth::AtTurn);
        steps.later(self, &scope);
        steps.pieces.iter_mut().for_each(|piece| piece.follow(&self.outline));
        StepAtTurn { pieces: steps.pieces, open: scope.open_probes(), errors: told_once(steps.errors) }
    }

    /// The steps that it may become, before any probe is answered, with the
    /// probes of the playbooks that they are of. Where a step's own table depends
    /// on probes it is marked as unknown.
    pub fn foreseen(&self) -> (Vec<Step>, Vec<Probe>) {
        let mut steps = Steps::new(&self.tags, &self.record, Depth::All);
        steps.later(self, &self.scope);
        (steps.pieces.into_iter().filter_map(Piece::into_step).collect(), steps.probes)
    }
}

impl Piece {
    /// Tells it which commands follow its changes.
    pub(super) fn follow(&mut self, outline: &Arc<Outline>) {
        match self {
            Piece::Step(step) => step.followed_by = outline.followers_of(step),
            Piece::Deferred(later) => later.outline = Arc::clone(outline),
        }
    }

    /// The step, if this is one.
    pub(super) fn step(&self) -> Option<&Step> {
        match self {
            Piece::Step(step) => Some(step),
            Piece::Deferred(_) => None,
        }
    }

    /// The files that the step may name, if this is a step.
    pub fn files(&self) -> Option<&StepFiles> {
        match self {
            Piece::Step(step) => Some(&step.files),
            Piece::Deferred(_) => None,
        }
    }

    /// The step, if this is one.
    pub fn into_step(self) -> Option<Step> {
        match self {
            Piece::Step(step) => Some(*step),
            Piece::Deferred(_) => None,
        }
    }
}
