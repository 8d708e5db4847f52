//! From resources and a host's state to that host's plan.

use super::calls::note_unfinished;
use super::contradicted_tree::against_trees;
use super::contradiction::{contradictions, contradictions_beside_commands};
use super::due::{ask_left, leave_stopped, owed};
use super::pending::{ask_for_reboot, hand_on};
use super::planning::Planning;
use super::resting::Resting;
use super::taken::{self, Removal};
use super::transaction::add_transactions;
use super::turn::{later_reboots, more_at_the_end};
use super::whole::{judge, missing_units};
use super::wishes::Wishes;
use super::{Access, DesiredAtTurn, DesiredStep, Forecast, HostPlan, PlanError, StepError, StepPlan, border};
use crate::observe::{HostState, PredictedState, Queries, Query};

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
    let mut planning = Planning::begin(host, steps, gone);
    ask_left(host, &mut planning.follow_up_queries);
    let mut planned: Vec<(usize, &DesiredStep)> = Vec::new();
    for step in steps {
        planned.push((planning.plans.len(), step));
        planning.step(step);
    }
    let Planning { access, mut predicted, mut follow_up_queries, incomplete, mut plans, made, errors, .. } = planning;
    let open: Vec<Query> = predicted.open_places().iter().filter(|query| !host.asked(query)).cloned().collect();
    // While it is not known where links lead, or what a step makes that is left
    // out, a step after it may be refused that is right.
    if !errors.is_empty() && open.is_empty() && !incomplete {
        return Err(errors);
    }
    follow_up_queries.extend(open);
    if !errors.is_empty() {
        let plan = HostPlan::new(name, plans);
        return Ok((Forecast { plan, predicted, follow_up_queries, incomplete: true }, Vec::new()));
    }
    planned.extend(made.iter().map(|(at, step)| (*at, step)));
    planned.sort_by_key(|(at, _)| *at);
    later_reboots(&planned, &mut plans, &predicted);
    more_at_the_end(&planned, &mut plans, &predicted);
    ask_for_reboot(&planned, &mut plans);
    hand_on(&planned, &mut plans, &mut predicted);
    judge(&planned, &mut plans, &predicted, &mut follow_up_queries)?;
    // What probes decide is judged as the next run would decide it: a step that is
    // not due then finds nothing undone.
    let next = if made.is_empty() { Vec::new() } else { in_next_run(steps, &predicted, host) };
    let mut sources = vec![None; plans.len()];
    for (at, step) in &planned {
        let is_made = made.iter().any(|(place, _)| place == at);
        if let Some(source) = sources.get_mut(*at) {
            *source = if is_made { next.iter().find(|next| next.id == step.id) } else { Some(*step) };
        }
    }
    // While answers are missing, a step may plan otherwise than it will.
    if follow_up_queries.is_empty() && !incomplete {
        refuse_contradictions(&sources, &plans, gone, host, &predicted)?;
    }
    // What apt would do is asked once it is certain which packages are wanted.
    let removals = if follow_up_queries.is_empty() {
        let wishes = Wishes::of(&planned, &plans);
        transactions(host, &access, &mut plans, &wishes, &mut follow_up_queries, &sources)?
    } else {
        Vec::new()
    };
    note_unfinished(&mut plans, &predicted);
    let ids: Vec<String> = plans.iter().map(|plan| plan.id.clone()).collect();
    let resting = Resting::of(&planned, host, &predicted);
    leave_stopped(&mut plans, &resting);
    owed(&mut plans, host, &predicted, &resting);
    border::mark(&planned, &mut plans, &ids);
    predicted.forget_all_pending();
    let plan =
        HostPlan { protected_packages: access.packages(), login: access.user.clone(), ..HostPlan::new(name, plans) };
    Ok((Forecast { plan, predicted, follow_up_queries, incomplete }, removals))
}

/// Refuses steps that contradict each other, and units that nothing brings.
fn refuse_contradictions(
    sources: &[Option<&DesiredStep>],
    plans: &[StepPlan],
    gone: &[Removal],
    host: &HostState,
    predicted: &PredictedState,
) -> Result<(), Vec<StepError>> {
    let mut errors = contradictions(sources, &taken::with_removals(plans, gone), host, predicted);
    if errors.is_empty() {
        errors = contradictions_beside_commands(sources, plans, host);
    }
    if errors.is_empty() {
        errors = against_trees(sources, plans, predicted);
    }
    errors.extend(missing_units(plans, predicted));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Adds to the plan what apt says that comes and goes, and tells what goes besides
/// what the steps name; empty while apt has not been asked.
fn transactions(
    host: &HostState,
    access: &Access,
    plans: &mut [StepPlan],
    wishes: &Wishes,
    follow_up_queries: &mut Queries,
    sources: &[Option<&DesiredStep>],
) -> Result<Vec<Removal>, Vec<StepError>> {
    let found = add_transactions(host, &access.packages(), plans, wishes, follow_up_queries).map_err(|refused| {
        let named = |(at, error): (usize, PlanError)| {
            let StepPlan { id, name, span, .. } = &plans[at];
            StepError { id: id.clone(), name: name.clone(), span: span.clone(), error }
        };
        refused.into_iter().map(named).collect::<Vec<_>>()
    })?;
    taken::ask(&found, host, follow_up_queries);
    if !follow_up_queries.is_empty() {
        return Ok(Vec::new());
    }
    let errors = taken::taken_along(sources, plans, &found, host);
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// The steps that those whose turn decides them become in the next run, as far
/// as that is known.
fn in_next_run(steps: &[DesiredStep], predicted: &PredictedState, found: &HostState) -> Vec<DesiredStep> {
    let mut next = Vec::new();
    for step in steps {
        if let Some(Ok(DesiredAtTurn::Steps(parts))) = step.resource.in_next_run(predicted, found) {
            next.extend(in_next_run(&parts, predicted, found));
            next.extend(parts);
        }
    }
    next
}
