//! From resources and a host's state to that host's plan.

use super::calls::note_unfinished;
use super::contradicted_tree::against_trees;
use super::contradiction::{contradictions, contradictions_beside_commands};
use super::due::{leave_stopped, owed};
use super::left_open;
use super::pending::{PendingNames, ask_for_reboot, hand_on};
use super::questions::ask_above;
use super::reach::RESTARTS;
use super::taken::{self, Removal};
use super::transaction::add_transactions;
use super::turn::{later_reboots, leave_unknown_places_open, more_at_the_end};
use super::unit_files::read_again;
use super::whole::{judge, missing_units};
use super::wishes::Wishes;
use super::{
    Access, Action, DesiredAtTurn, DesiredStep, Forecast, HostPlan, PlanError, Planned, StepError, StepPlan, boot,
    border, decided_at_its_turn, needed, obstacle,
};
use crate::observe::{HostState, Queries, Query};
use std::collections::BTreeSet;

/// How often a plan is made anew because of what apt removes for it.
const ROUNDS: usize = 4;

/// Plans all steps, each against what the ones before it will have made, and
/// what apt removes for them.
///
/// # Errors
/// Every step that could not be planned; a plan with a hole in it is none.
pub fn plan_host(name: &str, steps: &[DesiredStep], host: &HostState) -> Result<Forecast, Vec<StepError>> {
    let mut gone: Vec<Removal> = Vec::new();
    let (mut forecast, mut removals) = plan_without(name, steps, host, &gone)?;
    for _ in 0..ROUNDS {
        if removals.iter().all(|removal| gone.contains(removal)) {
            break;
        }
        gone = removals;
        (forecast, removals) = plan_without(name, steps, host, &gone)?;
    }
    Ok(forecast)
}

/// Plans all steps where these packages go besides for some, and tells which
/// ones apt then says that go.
fn plan_without(
    name: &str,
    steps: &[DesiredStep],
    host: &HostState,
    gone: &[Removal],
) -> Result<(Forecast, Vec<Removal>), Vec<StepError>> {
    let access = Access::of(host);
    let mut planning = Planning {
        host,
        access,
        gone,
        predicted: host.clone(),
        wants: Queries::new(),
        incomplete: false,
        plans: Vec::new(),
        made: Vec::new(),
        errors: Vec::new(),
        passed: host.left.resumed_at.as_deref().is_some_and(|id| !id.is_empty()),
        asks_for_restart: None,
    };
    planning.predicted.set_named_packages(steps.iter().flat_map(|step| step.resource.named_packages()).cloned());
    planning.predicted.set_pinned_packages(steps.iter().flat_map(|step| step.resource.pinned_packages()).cloned());
    planning.predicted.set_unheld_packages(steps.iter().flat_map(|step| step.resource.unheld_packages()).cloned());
    if host.left.resumed_at.is_none()
        && host.left.owed.iter().any(|owed| owed.starts_with("restart:") || owed.starts_with("reload:"))
    {
        let by = "what an earlier run has left to restart";
        planning.predicted.may_be_changed_by(RESTARTS, by);
        planning.predicted.service_will_start(Some(by));
    }
    let mut planned: Vec<(usize, &DesiredStep)> = Vec::new();
    for step in steps {
        planned.push((planning.plans.len(), step));
        planning.step(step);
    }
    let Planning { access, mut predicted, mut wants, incomplete, mut plans, made, errors, .. } = planning;
    let open: Vec<Query> = predicted.open_places().iter().filter(|query| !host.asked(query)).cloned().collect();
    // While it is not known where links lead, or what a step makes that is left
    // out, a step after it may be refused that is right.
    if !errors.is_empty() && (!open.is_empty() || incomplete) {
        wants.extend(open);
        let plan = HostPlan::new(name, plans);
        return Ok((Forecast { plan, predicted, wants, incomplete: true }, Vec::new()));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    wants.extend(open);
    planned.extend(made.iter().map(|(at, step)| (*at, step)));
    planned.sort_by_key(|(at, _)| *at);
    later_reboots(&planned, &mut plans, &predicted);
    more_at_the_end(&planned, &mut plans, &predicted);
    ask_for_reboot(&planned, &mut plans);
    hand_on(&planned, &mut plans, &mut predicted);
    judge(&planned, &mut plans, &predicted, &mut wants)?;
    let mut sources = vec![None; plans.len()];
    for (at, step) in &planned {
        if let Some(source) = sources.get_mut(*at) {
            *source = Some(*step);
        }
    }
    // What probes decide is judged as the next run would decide it: a step that is
    // not due then finds nothing undone.
    let next = if made.is_empty() { Vec::new() } else { in_next_run(steps, &predicted, host) };
    for (at, step) in &made {
        if let Some(source) = sources.get_mut(*at) {
            *source = next.iter().find(|next| next.id == step.id);
        }
    }
    // While answers are missing, a step may plan otherwise than it will.
    if wants.is_empty() && !incomplete {
        let mut errors = contradictions(&sources, &taken::with_removals(&plans, gone), host, &predicted);
        if errors.is_empty() {
            errors = contradictions_beside_commands(&sources, &plans, host);
        }
        if errors.is_empty() {
            errors = against_trees(&sources, &plans, &predicted);
        }
        errors.extend(missing_units(&plans, &predicted));
        if !errors.is_empty() {
            return Err(errors);
        }
    }
    let mut removals = Vec::new();
    // What apt would do is asked once it is certain which packages are wanted.
    if wants.is_empty() {
        let wishes = Wishes::of(&planned, &plans);
        match add_transactions(host, &access.packages(), &mut plans, &wishes, &mut wants) {
            Ok(found) => {
                taken::ask(&found, host, &mut wants);
                if wants.is_empty() {
                    let errors = taken::taken_along(&sources, &plans, &found, host);
                    if !errors.is_empty() {
                        return Err(errors);
                    }
                    removals = found;
                }
            }
            Err(refused) => {
                let named = |(at, error): (usize, PlanError)| {
                    let StepPlan { id, name, span, .. } = &plans[at];
                    StepError { id: id.clone(), name: name.clone(), span: span.clone(), error }
                };
                return Err(refused.into_iter().map(named).collect());
            }
        }
    }
    note_unfinished(&mut plans, &predicted);
    let ids: Vec<String> = plans.iter().map(|plan| plan.id.clone()).collect();
    leave_stopped(&planned, &mut plans);
    owed(&mut plans, host, &predicted);
    border::mark(&planned, &mut plans, &ids);
    predicted.left.owed.clear();
    let plan = HostPlan { spared: access.packages(), login: access.user.clone(), ..HostPlan::new(name, plans) };
    Ok((Forecast { plan, predicted, wants, incomplete }, removals))
}

/// A plan in the making.
struct Planning<'a> {
    host: &'a HostState,
    access: Access,
    gone: &'a [Removal],
    predicted: HostState,
    wants: Queries,
    incomplete: bool,
    plans: Vec<StepPlan>,
    /// Steps that others became at their turn, with the places of their plans.
    made: Vec<(usize, DesiredStep)>,
    errors: Vec<StepError>,
    /// Whether earlier phases of the apply have passed the turn of the step at hand.
    passed: bool,
    /// The last step that asks for a restart which has not been done.
    asks_for_restart: Option<String>,
}

impl Planning<'_> {
    fn step(&mut self, step: &DesiredStep) {
        if self.host.left.resumed_at.as_ref() == Some(&step.id) {
            self.passed = false;
        }
        self.predicted.begin_step(&step.id);
        if let Some(decided) = step.resource.at_turn(&self.predicted, self.passed) {
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
            return;
        }
        let mut planned = match step.resource.plan(&self.predicted) {
            Ok(planned) => planned,
            Err(error) => return self.fail(step, error),
        };
        // What asks for it only after its turn is heeded at the end of the run.
        if self.passed && step.resource.may_become_due() || self.has_run(step) {
            planned = Planned::nothing();
        }
        let Planned { ops, notes, .. } = &mut planned;
        if let Err(error) = ops.iter().try_for_each(|op| obstacle::check(op, &self.predicted, notes)) {
            return self.fail(step, error);
        }
        let besides = self.gone.iter().filter(|removal| removal.step == step.id).map(|removal| removal.name.clone());
        let besides: Vec<_> = besides.filter(|_| !planned.ops.is_empty()).collect();
        if let Err(error) = needed::check(&self.access, &besides, &self.predicted, &mut planned) {
            return self.fail(step, error);
        }
        if let Err(error) = boot::check(&mut planned, &self.predicted, step.sensitive) {
            return self.fail(step, error);
        }
        read_again(&mut planned, &self.predicted);
        leave_unknown_places_open(&mut planned, &self.predicted);
        obstacle::masks(&mut planned, &self.predicted);
        self.wants.extend(planned.wants.iter().filter(|query| !self.host.asked(query)).cloned());
        let changes = self.predicted.changes();
        let gone = self.gone.iter().filter(|removal| removal.step == step.id && !planned.ops.is_empty());
        gone.for_each(|removal| removal.op().effect(&mut self.predicted));
        planned.ops.iter().for_each(|op| op.effect(&mut self.predicted));
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
            overridden: Vec::new(),
            ops: planned.ops,
            open: planned.open,
            restart: step.restart.clone(),
            reload: step.reload.clone(),
            followed_by: step.followed_by.clone(),
            looked_at_before: false,
            may_be_undone: false,
            again_at_end: false,
            sensitive: step.sensitive,
            guard: step.guard,
            span: step.span.clone(),
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
        if (step.guard || step.kind == "flush")
            && let Some(id) = self.asks_for_restart.take()
        {
            self.predicted.may_be_changed_by(RESTARTS, &format!("step {id}"));
            self.predicted.service_will_start(Some(&format!("step {id}")));
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
        self.wants.extend(open);
        answered
    }

    fn fail(&mut self, step: &DesiredStep, error: PlanError) {
        self.errors.push(StepError { id: step.id.clone(), name: step.name.clone(), span: step.span.clone(), error });
    }
}

/// The steps that those whose turn decides them become in the next run, as far
/// as that is known.
fn in_next_run(steps: &[DesiredStep], predicted: &HostState, found: &HostState) -> Vec<DesiredStep> {
    let mut next = Vec::new();
    for step in steps {
        if let Some(Ok(DesiredAtTurn::Steps(parts))) = step.resource.in_next_run(predicted, found) {
            next.extend(in_next_run(&parts, predicted, found));
            next.extend(parts);
        }
    }
    next
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
