//! Steps that contradict each other: what one makes, a later one takes back.
//!
//! Such a playbook never converges: each run finds the first step undone and
//! does both again. So all steps are planned a second time, on the state that
//! the plan predicts; where a step finds something to do there, the steps are
//! played once more to find the one that took its work back.
//!
//! What cannot be predicted is no contradiction: operators' commands, checks,
//! reboots, steps that are open, and what a package brings.

use super::live::keep_live;
use super::relations::{self, Reason};
use super::turn::leave_unknown_places_open;
use super::{
    Action, CommandOp, DesiredStep, KNOWN_AFTER_APPLY, Op, PlanError, Planned, StepError, StepPlan, SystemOp, UnitOp,
};
use crate::observe::{HostState, Known, PredictedState};

/// Every step that a later one contradicts, with the place of both. `steps` are
/// those that `plans` were made for on `host`, none where that is not known;
/// `predicted` is the state after them.
pub(super) fn contradictions(
    steps: &[Option<&DesiredStep>],
    plans: &[StepPlan],
    host: &HostState,
    predicted: &PredictedState,
) -> Vec<StepError> {
    // Where nothing is done, the predicted state is that of the first plan.
    if plans.iter().all(|plan| plan.ops.is_empty()) {
        return Vec::new();
    }
    let known = steps.iter().zip(plans).enumerate().filter_map(|(index, (step, plan))| Some((index, (*step)?, plan)));
    let undone = known.filter(|(_, step, plan)| remains(step, plan, predicted).is_some());
    undone.filter_map(|(index, step, _)| contradicted(index, step, plans, host)).collect()
}

/// The same where commands and packages, and what else nobody can predict, do
/// nothing: what comes to light only after these is in the playbook already. An
/// apply that has begun has been judged before.
pub(super) fn contradictions_beside_commands(
    steps: &[Option<&DesiredStep>],
    plans: &[StepPlan],
    host: &HostState,
) -> Vec<StepError> {
    if host.left.resumed_at.is_some() || plans.iter().all(is_predictable) {
        return Vec::new();
    }
    let mut state = PredictedState::of(host);
    let known: Vec<StepPlan> =
        steps.iter().zip(plans).map(|(step, plan)| only_predictable(*step, plan, &mut state)).collect();
    contradictions(steps, &known, host, &state)
}

/// The plan of a step after what is predictable of those before it; nothing is
/// known of one that is not.
fn only_predictable(step: Option<&DesiredStep>, plan: &StepPlan, state: &mut PredictedState) -> StepPlan {
    let nothing = || StepPlan { action: Action::Unknown, ops: Vec::new(), ..plan.clone() };
    state.begin_step(&plan.id);
    let Some(step) = step.filter(|step| !matches!(step.kind, "command" | "check" | "reboot" | "flush")) else {
        return nothing();
    };
    let Ok(mut planned) = step.resource.plan(state) else { return nothing() };
    leave_unknown_places_open(&mut planned, state);
    if planned.open.is_some() || !planned.follow_up_queries.is_empty() || planned.ops.iter().any(Op::is_opaque) {
        return nothing();
    }
    planned.ops.iter().for_each(|op| op.effect(state));
    keep_live(step, state);
    StepPlan { action: planned.action(), ops: planned.ops, ..plan.clone() }
}

/// The contradiction of one step by the first later one that takes its work back.
fn contradicted(index: usize, step: &DesiredStep, plans: &[StepPlan], host: &HostState) -> Option<StepError> {
    let plan = plans.get(index)?;
    let mut state = PredictedState::of(host);
    let play = |state: &mut PredictedState, plan: &StepPlan| plan.ops.iter().for_each(|op| op.effect(state));
    plans[..=index].iter().for_each(|plan| play(&mut state, plan));
    // A step that is not done by its own work is another matter.
    if remains(step, plan, &state).is_some() {
        return None;
    }
    for later in plans.iter().skip(index + 1).filter(|plan| !plan.ops.is_empty()) {
        play(&mut state, later);
        let Some(what) = remains(step, plan, &state) else { continue };
        if !is_predictable(later) {
            return None;
        }
        let what = if step.sensitive || later.sensitive { String::new() } else { what };
        let why = because(step, later, &state);
        let remedy = match &why {
            Some(why) if why.order_decides => "put this step after that one, or make them agree",
            _ => "the host would never be as both say; remove one of the two, or make them agree",
        };
        let why = why.map(|why| format!(": {}", why.text)).unwrap_or_default();
        let place = later.span.as_ref().map(|span| format!(" at {span}")).unwrap_or_default();
        let error = PlanError::Refused(format!(
            "step {} ({}){place} takes back what this step makes{what}{why}: {remedy}",
            later.id, later.name
        ));
        let (id, name, span) = (step.id.clone(), step.name.clone(), step.span.clone());
        return Some(StepError { id, name, span, error });
    }
    None
}

/// What systemd's units say of each other that makes one step take back the other.
fn because(step: &DesiredStep, later: &StepPlan, state: &HostState) -> Option<Reason> {
    let Known::Is(found) = state.unit(step.resource.unit()?).ok()? else { return None };
    let unit = found.real.as_ref().or(step.resource.unit())?;
    let told = later.ops.iter().filter_map(|op| match op {
        Op::Unit(UnitOp::Systemctl { unit, .. }) => Some(unit),
        _ => None,
    });
    told.filter(|other| *other != unit).find_map(|other| relations::reason(state, other, unit))
}

/// What a step would still change on a state, in words; none if that is
/// nothing, or nothing that can be known.
fn remains(step: &DesiredStep, plan: &StepPlan, state: &PredictedState) -> Option<String> {
    if !is_predictable(plan) {
        return None;
    }
    let planned = step.resource.plan(state).map(|mut planned| {
        leave_unknown_places_open(&mut planned, state);
        planned
    });
    match planned {
        Ok(planned) if matches!(planned.action(), Action::None | Action::Unknown | Action::Run) => None,
        // A unit that was stopped does not run, whatever becomes of its file.
        Ok(planned) if plan.kind == "service" && stays_stopped(&planned) => Some(differences(&planned)),
        Ok(planned) if is_open(&planned) => None,
        Ok(planned) => Some(differences(&planned)),
        Err(PlanError::Refused(why) | PlanError::Missing(why)) if !why.contains("known after") => {
            Some(format!(" ({why})"))
        }
        // What was not asked cannot be known.
        Err(_) => None,
    }
}

/// Whether what a step does, and whether it is due, is known when it is planned.
pub(super) fn is_predictable(plan: &StepPlan) -> bool {
    let opaque = |op: &Op| {
        matches!(op, Op::Command(CommandOp::Run { .. } | CommandOp::Check(_)) | Op::System(SystemOp::Reboot { .. }))
    };
    !matches!(plan.kind, "command" | "check" | "reboot")
        && plan.action != Action::Unknown
        && !plan.ops.iter().any(opaque)
}

/// Whether a change depends on something that only the apply will tell, or
/// only has systemd read again what a later step writes.
pub(super) fn is_open(planned: &Planned) -> bool {
    let unknown = |side: &Option<String>| side.as_deref() == Some(KNOWN_AFTER_APPLY);
    planned.changes.iter().any(|change| unknown(&change.before)) || planned.ops == [Op::Unit(UnitOp::DaemonReload)]
}

/// Whether a unit is to run that is known not to.
fn stays_stopped(planned: &Planned) -> bool {
    planned.changes.iter().any(|change| change.field == "running" && change.before.as_deref() == Some("false"))
}

pub(super) fn differences(planned: &Planned) -> String {
    let known = planned.changes.iter().filter(|change| change.before.as_deref() != Some(KNOWN_AFTER_APPLY));
    let shown = known.take(3).map(|change| {
        let side = |side: &Option<String>| side.as_deref().unwrap_or("nothing").escape_debug().to_string();
        format!("{}: {} instead of {}", change.field, side(&change.before), side(&change.after))
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) }
}
