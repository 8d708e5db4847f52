//! Steps of a playbook with probes: decided when their turn comes.
//!
//! What an earlier step of a run makes is what a later step's probe must find.
//! So such a step is not rendered before the plan is made but in the middle of
//! it, with the answers that hold at its turn.

use super::changes::Follows;
use super::files::{Record, StepFiles};
use super::model::{RawAction, RawStep, Unit};
use super::probes::{Probe, ProbeAnswers};
use super::render::{Above, Depth, Steps, default_name};
use super::scope::{Scope, Var};
use super::template::{Form, form};
use super::{Step, TagFilter, told_once};
use crate::values::{Diagnostic, Node, Span};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A part of what a host shall have, in the order of apply.
#[derive(Debug, Clone)]
pub enum Piece {
    /// A step.
    Step(Box<Step>),
    /// What is decided when its turn comes.
    Later(Box<Later>),
}

/// A `[[step]]` of a playbook with probes, or one item of its `each`.
#[derive(Debug, Clone)]
pub struct Later {
    pub(super) unit: Arc<Unit>,
    pub(super) number: usize,
    pub(super) item: Option<(usize, Var)>,
    pub(super) above: Above,
    pub(super) scope: Arc<Scope>,
    pub(super) probes: Arc<[Probe]>,
    pub(super) tags: TagFilter,
    pub(super) record: Arc<Record>,
    pub(super) follows: Arc<Follows>,
}

/// What the answers of the probes make of a step.
#[derive(Debug, Clone)]
pub struct Turn {
    /// What it becomes; nothing where `when` is false.
    pub pieces: Vec<Piece>,
    /// The probes that it depends on and whose answers are not known.
    pub open: BTreeSet<String>,
    /// What is wrong with it.
    pub errors: Vec<Diagnostic>,
}

impl Later {
    /// See [`Step::id`].
    pub fn id(&self) -> String {
        match &self.item {
            Some((index, _)) => format!("{}[{index}]", self.above.id),
            None => self.above.id.clone(),
        }
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

    /// Its kind, or `use`.
    pub fn kind(&self) -> &str {
        match self.step().map(|step| &step.action) {
            Some(RawAction::Resource { kind, .. }) => kind,
            _ => "use",
        }
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

    /// What it becomes where the probes have these answers.
    pub fn at_turn(&self, answers: ProbeAnswers) -> Turn {
        let scope = Arc::new(self.scope.at_turn(answers));
        let mut steps = Steps::new(&self.tags, &self.record, Depth::AtTurn);
        steps.later(self, &scope);
        steps.pieces.iter_mut().for_each(|piece| piece.follow(&self.follows));
        Turn { pieces: steps.pieces, open: scope.open_probes(), errors: told_once(steps.errors) }
    }

    /// The steps that it may become, before any probe is answered, with the
    /// probes of the playbooks that they are of. Where a step's own table depends
    /// on probes it is marked as unknown.
    pub fn foreseen(&self) -> (Vec<Step>, Vec<Probe>) {
        let mut steps = Steps::new(&self.tags, &self.record, Depth::All);
        steps.later(self, &self.scope);
        steps.pieces.iter_mut().for_each(|piece| piece.follow(&self.follows));
        (steps.pieces.into_iter().filter_map(Piece::into_step).collect(), steps.probes)
    }
}

impl Piece {
    /// Tells it the steps whose changes it follows.
    pub(super) fn follow(&mut self, follows: &Arc<Follows>) {
        match self {
            Piece::Step(step) => step.follows = follows.get(&step.id).cloned().unwrap_or_default(),
            Piece::Later(later) => later.follows = Arc::clone(follows),
        }
    }

    /// The files that the step may name, if this is a step.
    pub fn files(&self) -> Option<&StepFiles> {
        match self {
            Piece::Step(step) => Some(&step.files),
            Piece::Later(_) => None,
        }
    }

    /// The step, if this is one.
    pub fn into_step(self) -> Option<Step> {
        match self {
            Piece::Step(step) => Some(*step),
            Piece::Later(_) => None,
        }
    }
}
