//! What is decided only when a step's turn comes, or at the end of the run.

use super::{Action, KNOWN_AFTER_APPLY, Op, Planned, StepPlan, Wanted, decided_at_its_turn};
use crate::observe::{HostState, PathState};
use crate::values::AbsPath;

/// A step that makes or removes something at a place of which only the apply
/// tells what is there, or above it, is decided at its turn.
pub(super) fn leave_unknown_places_open(planned: &mut Planned, host: &HostState) {
    let unknown = |path: &AbsPath| host.path(path) == Ok(&PathState::AfterApply);
    let place = |op: &Op| match op {
        Op::WriteFile { path, .. }
        | Op::Download { path, .. }
        | Op::MakeDirectory { path, .. }
        | Op::MakeLink { path, .. }
        | Op::Remove { path, .. } => std::iter::once(path.clone()).chain(path.ancestors()).find(unknown),
        _ => None,
    };
    if planned.open.is_some() {
        return;
    }
    let Some(place) = planned.ops.iter().find_map(place) else { return };
    planned.leave_open(host.brought_by().unwrap_or("an earlier step"));
    planned.notes.push(format!("what {place} is: {KNOWN_AFTER_APPLY}"));
    planned.diff = None;
    for change in &mut planned.changes {
        change.before = Some(KNOWN_AFTER_APPLY.to_owned());
    }
}

/// A reboot that is due only where packages ask for it becomes due, too, where
/// that is asked for after its turn and no other reboot follows: then it is
/// done at the end of the run.
pub(super) fn later_reboots(planned: &[(usize, &Wanted)], plans: &mut [StepPlan], predicted: &HostState) {
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
