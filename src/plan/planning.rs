//! A plan in the making: each step is planned on the state that the ones before
//! it will have made, and played on it.

use super::live::keep_live;
use super::mounted::{is_mounted, mounts_anew, point_of};
use super::op::RESTARTS;
use super::pending::PendingNames;
use super::questions::ask_above;
use super::taken::Removal;
use super::turn::leave_unknown_places_open;
use super::unit_files::read_again;
use super::{
    Access, Action, DesiredAtTurn, DesiredStep, Op, PlanError, Planned, StepError, StepPlan, boot, decided_at_its_turn,
    left_open, needed, obstacle,
};
use crate::observe::{HostState, PredictedState, Queries, Query};
use std::collections::BTreeSet;

/// A plan in the making.
pub(super) struct Planning<'a> {
    host: &'a HostState,
    pub(super) access: Access,
    gone: &'a [Removal],
    pub(super) predicted: PredictedState,
    pub(super) follow_up_queries: Queries,
    pub(super) incomplete: bool,
    pub(super) plans: Vec<StepPlan>,
    /// Steps that others became at their turn, with the places of their plans.
    pub(super) made: Vec<(usize, DesiredStep)>,
    pub(super) errors: Vec<StepError>,
    /// Whether earlier phases of the apply have passed the turn of the step at hand.
    passed: bool,
    /// The last step that asks for a restart which has not been done.
    asks_for_restart: Option<String>,
    /// What the steps so far write.
    written: Vec<Op>,
}

impl<'a> Planning<'a> {
    /// A plan without steps yet, of all of these. `gone`: what apt removes for some.
    pub(super) fn begin(host: &'a HostState, steps: &[DesiredStep], gone: &'a [Removal]) -> Planning<'a> {
        let mut predicted = PredictedState::of(host);
        predicted.set_named_packages(steps.iter().flat_map(|step| step.resource.named_packages()).cloned());
        predicted.set_pinned_packages(steps.iter().flat_map(|step| step.resource.pinned_packages()).cloned());
        predicted.set_unheld_packages(steps.iter().flat_map(|step| step.resource.unheld_packages()).cloned());
        if host.left.resumed_at.is_none()
            && host.left.pending.iter().any(|owed| owed.starts_with("restart:") || owed.starts_with("reload:"))
        {
            let by = "what an earlier run has left to restart";
            predicted.may_be_changed_by(RESTARTS, by);
            predicted.service_will_start(Some(by));
        }
        Planning {
            host,
            access: Access::of(host),
            gone,
            predicted,
            follow_up_queries: Queries::new(),
            incomplete: false,
            plans: Vec::new(),
            made: Vec::new(),
            errors: Vec::new(),
            passed: host.left.resumed_at.as_deref().is_some_and(|id| !id.is_empty()),
            asks_for_restart: None,
            written: Vec::new(),
        }
    }

    /// Plans a step on the predicted state, and plays it there.
    pub(super) fn step(&mut self, step: &DesiredStep) {
        if self.host.left.resumed_at.as_ref() == Some(&step.id) {
            self.passed = false;
        }
        self.predicted.begin_step(&step.id);
        if let Some(decided) = step.resource.at_turn(&self.predicted, self.passed) {
            return self.decided(step, decided);
        }
        match self.planned(step) {
            Ok(planned) => self.play(step, planned),
            Err(error) => self.fail(step, error),
        }
    }

    /// A step whose turn decides what it is.
    fn decided(&mut self, step: &DesiredStep, decided: Result<DesiredAtTurn, PlanError>) {
        match decided {
            Ok(DesiredAtTurn::Steps(parts)) => {
                let due_again = self.due_again(step);
                for part in parts {
                    if self.answered(&part) {
                        let at = self.plans.len();
                        match &due_again {
                            Some(due) if self.is_passed(&part) && !due.contains(&part.id) => self.leave_done(&part),
                            _ => self.step(&part),
                        }
                        self.made.push((at, part));
                    }
                }
            }
            Ok(DesiredAtTurn::Open { name, on, note, may_make }) => {
                let changes = self.predicted.changes();
                left_open::play(step.kind, &may_make, &mut self.predicted);
                self.predicted.changes_are_open(changes);
                self.leave_open(step, name, on, note);
            }
            Err(error) => self.fail(step, error),
        }
    }

    /// What a step does, refused where it is known to fail or to do harm.
    fn planned(&self, step: &DesiredStep) -> Result<Planned, PlanError> {
        let mut planned = step.resource.plan(&self.predicted)?;
        // What asks for it only after its turn is heeded at the end of the run.
        if self.passed && step.resource.may_become_due() || self.has_run(step) {
            planned = Planned::nothing();
        }
        let Planned { ops, notes, .. } = &mut planned;
        ops.iter().try_for_each(|op| op.obstacle(&self.predicted, notes))?;
        let besides: Vec<_> = match planned.ops.is_empty() {
            true => Vec::new(),
            false => self.removals(step).map(|removal| removal.name.clone()).collect(),
        };
        needed::check(&self.access, &besides, &self.predicted, &mut planned)?;
        boot::check(&mut planned, &self.predicted, step.sensitive)?;
        read_again(&mut planned, &self.predicted);
        leave_unknown_places_open(&mut planned, &self.predicted);
        obstacle::masks(&mut planned, &self.predicted);
        Ok(planned)
    }

    /// What apt removes for a step besides what it names.
    fn removals(&self, step: &DesiredStep) -> impl Iterator<Item = &Removal> {
        self.gone.iter().filter(|removal| removal.step == step.id)
    }

    /// Plays a step on the predicted state, and adds it to the plan.
    fn play(&mut self, step: &DesiredStep, mut planned: Planned) {
        self.follow_up_queries
            .extend(planned.follow_up_queries.iter().filter(|query| !self.host.asked(query)).cloned());
        let changes = self.predicted.changes();
        if !planned.ops.is_empty() {
            let gone: Vec<Op> = self.removals(step).map(Removal::op).collect();
            gone.iter().for_each(|op| op.effect(&mut self.predicted));
        }
        planned.ops.iter().for_each(|op| op.effect(&mut self.predicted));
        keep_live(step, &mut self.predicted);
        if planned.action() == Action::Unknown {
            self.predicted.changes_are_open(changes);
        }
        if step.sensitive {
            planned.mask();
        }
        let mut step_plan = StepPlan {
            id: step.id.clone(),
            name: step.name.clone(),
            kind: step.kind,
            action: planned.action(),
            changes: planned.changes,
            diff: planned.diff,
            notes: each_once(planned.notes),
            ops: planned.ops,
            open: planned.open,
            restart: step.restart.clone(),
            reload: step.reload.clone(),
            followed_by: step.followed_by.clone(),
            sensitive: step.sensitive,
            guard: step.guard,
            span: step.span.clone(),
            finding: planned.finding,
            ..StepPlan::default()
        };
        step_plan.guard_for(&self.access);
        if step_plan.action != Action::None {
            let open = step_plan.action == Action::Unknown;
            step_plan.followed_by.iter().for_each(|pending| self.predicted.will_be_pending(pending, open));
        }
        self.restarts(&step_plan);
        self.plans.push(step_plan);
    }

    /// Whether an earlier phase of this apply has run a command, and no change
    /// has asked for it since.
    fn has_run(&self, step: &DesiredStep) -> bool {
        let asks = |name: &String| self.predicted.is_pending(name) || self.predicted.perhaps_pending_by(name).is_some();
        self.host.left.done.contains(&step.id) && !step.pending.iter().flat_map(PendingNames::all).any(asks)
    }

    /// Of a step whose turn earlier phases have passed: what it would become
    /// were it decided now, as far as that is known. What is done once may be
    /// changed by the steps after it.
    fn due_again(&self, step: &DesiredStep) -> Option<BTreeSet<String>> {
        if !self.passed {
            return None;
        }
        match step.resource.in_next_run(&self.predicted, self.host) {
            Some(Ok(DesiredAtTurn::Steps(parts))) => Some(parts.into_iter().map(|part| part.id).collect()),
            _ => None,
        }
    }

    fn is_passed(&self, step: &DesiredStep) -> bool {
        self.passed && self.host.left.resumed_at.as_ref() != Some(&step.id)
    }

    /// An earlier phase has done it, and nothing asks for it any more.
    fn leave_done(&mut self, step: &DesiredStep) {
        let (id, name, kind, span) = (step.id.clone(), step.name.clone(), step.kind, step.span.clone());
        self.plans.push(StepPlan { id, name, kind, span, ..StepPlan::default() });
    }

    /// Notes what the restarts may change that a step asks for, from where they
    /// are done: after a guarded step, or else at the next `flush`.
    fn restarts(&mut self, step: &StepPlan) {
        if step.action != Action::None && !(step.restart.is_empty() && step.reload.is_empty()) {
            self.asks_for_restart = Some(step.id.clone());
        }
        self.mounts(step);
        if (step.guard || step.kind == "flush")
            && let Some(id) = self.asks_for_restart.take()
        {
            self.predicted.may_be_changed_by(RESTARTS, &format!("step {id}"));
            self.predicted.service_will_start(Some(&format!("step {id}")));
        }
    }

    /// Where a step has a mount unit restarted that is mounted anew by it, what
    /// is below it is decided after that.
    fn mounts(&mut self, step: &StepPlan) {
        if step.action == Action::None {
            return;
        }
        self.written.extend(step.ops.iter().filter(|op| op.replaced().is_some()).cloned());
        for unit in step.restart.iter().filter(|unit| is_mounted(unit, self.host)) {
            if self.written.iter().any(|op| mounts_anew(op, unit, self.host)) {
                self.predicted.mounts_may_change();
                point_of(unit).iter().for_each(|at| self.predicted.leave_tree_uncertain(at));
            }
        }
    }

    fn leave_open(&mut self, step: &DesiredStep, name: Option<String>, on: String, note: String) {
        step.followed_by.iter().for_each(|pending| self.predicted.will_be_pending(pending, true));
        self.plans.push(StepPlan {
            id: step.id.clone(),
            name: name.unwrap_or_else(|| step.name.clone()),
            kind: step.kind,
            action: Action::Unknown,
            notes: vec![decided_at_its_turn(&on), note],
            open: Some(on),
            span: step.span.clone(),
            ..StepPlan::default()
        });
    }

    /// Whether the host was asked all that a step decided in the middle of the
    /// plan needs; where it was not, the questions are open and the step waits
    /// for the plan that is made with the answers.
    fn answered(&mut self, step: &DesiredStep) -> bool {
        let mut queries = Queries::new();
        step.resource.queries(&mut queries);
        queries.extend(step.restart.iter().chain(&step.reload).cloned().map(Query::Unit));
        ask_above(&mut queries);
        let open: Vec<Query> = queries.iter().filter(|query| !self.host.asked(query)).cloned().collect();
        let answered = open.is_empty();
        self.incomplete |= !answered;
        self.follow_up_queries.extend(open);
        answered
    }

    fn fail(&mut self, step: &DesiredStep, error: PlanError) {
        self.errors.push(StepError { id: step.id.clone(), name: step.name.clone(), span: step.span.clone(), error });
    }
}

/// The notes of a step without repetitions, in their order.
fn each_once(notes: Vec<String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::with_capacity(notes.len());
    for note in notes {
        if !once.contains(&note) {
            once.push(note);
        }
    }
    once
}
