//! What is decided only when a step's turn comes, or at the end of the run.

use super::{Action, DesiredStep, FileOp, KNOWN_AFTER_APPLY, Op, Planned, StepPlan, decided_at_its_turn};
use crate::observe::{PathState, PredictedState, Queries, Query};
use crate::values::AbsPath;

/// A step that makes or removes something at a place of which only the apply
/// tells what is there, or above it, is decided at its turn.
pub(super) fn leave_unknown_places_open(planned: &mut Planned, host: &PredictedState) {
    let unknown = |path: &AbsPath| host.path(path) == Ok(&PathState::AfterApply);
    let place = |op: &Op| match op.file()? {
        FileOp::WriteFile { path, .. }
        | FileOp::Download { path, .. }
        | FileOp::MakeDirectory { path, .. }
        | FileOp::MakeLink { path, .. }
        | FileOp::Remove { path, .. } => std::iter::once(path.clone()).chain(path.ancestors()).find(unknown),
        FileOp::SetMeta { .. } | FileOp::SetTree { .. } => None,
    };
    if planned.open.is_some() {
        return;
    }
    let Some(place) = planned.ops.iter().find_map(place) else { return };
    planned.leave_open(host.uncertain_by(&place));
    planned.notes.push(format!("what {place} is: {KNOWN_AFTER_APPLY}"));
    planned.diff = None;
    for change in &mut planned.changes {
        change.before = Some(KNOWN_AFTER_APPLY.to_owned());
    }
}

/// A step to which one after it may give more to do is decided once more at the
/// end of the run: an `autoremove` before a removal, a package in its newest
/// version before a repository that has a newer one.
/// Where a step after it may remove the place of what it describes, that is known then, too.
pub(super) fn more_at_the_end(planned: &[(usize, &DesiredStep)], plans: &mut [StepPlan], predicted: &PredictedState) {
    for (at, step) in planned {
        let gives_more = |later: &&StepPlan| later.ops.iter().any(|op| step.resource.has_more_after(op));
        let by = plans.iter().skip(at + 1).find(gives_more).map(|later| format!("step {}", later.id));
        let Some(by) = by.or_else(|| place_goes(step, predicted)) else { continue };
        let Some(plan) = plans.get_mut(*at).filter(|plan| plan.id == step.id && plan.open.is_none()) else { continue };
        plan.again_at_end = true;
        let sort = if plan.action == Action::None {
            plan.action = Action::Unknown;
            "decided"
        } else {
            "done once more where that is due"
        };
        plan.notes.push(format!("{sort} at the end of the run: depends on {by}"));
    }
}

/// The step that may remove the place of what another describes.
fn place_goes(step: &DesiredStep, predicted: &PredictedState) -> Option<String> {
    let mut queries = Queries::new();
    step.resource.queries(&mut queries);
    let is_uncertain = |query: &Query| matches!(query, Query::Path(path) if predicted.is_uncertain(path));
    if !queries.iter().any(is_uncertain) {
        return None;
    }
    let mut planned = step.resource.plan(predicted).ok()?;
    leave_unknown_places_open(&mut planned, predicted);
    planned.open
}

/// A reboot that is due only where packages ask for it becomes due, too, where
/// that is asked for after its turn and no other reboot follows: then it is
/// done at the end of the run.
pub(super) fn later_reboots(planned: &[(usize, &DesiredStep)], plans: &mut [StepPlan], predicted: &PredictedState) {
    for (at, step) in planned.iter().filter(|(_, step)| step.resource.may_become_due()) {
        let plan = plans.get_mut(*at).filter(|plan| plan.id == step.id && plan.action == Action::None);
        let (Some(plan), Ok(later)) = (plan, step.resource.plan(predicted)) else { continue };
        if later.action() == Action::None {
            continue;
        }
        plan.action = Action::Unknown;
        plan.notes.push(match &later.open {
            Some(on) => decided_at_its_turn(on),
            None => "the host asks for it since: decided at the end of the run".to_owned(),
        });
    }
}
