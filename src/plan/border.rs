//! Where a run looks at the host again although nothing is open.
//!
//! A command may undo what an unchanged step before the next command has found
//! right. Were that mended only after the last step, whatever runs in between
//! would have seen the host as no step describes it. So the phase ends before
//! the next step that runs something, and what was undone is mended first.

use super::{Action, CommandOp, DesiredStep, Op, StepPlan, UnitOp};
use crate::observe::{Part, Queries};
use std::collections::BTreeMap;

/// How many steps a note names.
const NAMED: usize = 3;

/// Marks the steps before which the host is looked at again. `sources`: what
/// the plans were made for.
pub(super) fn mark(sources: &[(usize, &DesiredStep)], plans: &mut [StepPlan], ids: &[String]) {
    let asked: BTreeMap<&str, &DesiredStep> =
        sources.iter().filter_map(|(at, step)| Some((ids.get(*at)?.as_str(), *step))).collect();
    let mut ran: Vec<RunningStep> = Vec::new();
    let mut perhaps_undone: Vec<usize> = Vec::new();
    for at in 0..plans.len() {
        let step = &plans[at];
        if step.open.is_some() {
            (ran, perhaps_undone) = (Vec::new(), Vec::new());
            continue;
        }
        if step.action == Action::None {
            let describes = asked.get(step.id.as_str()).filter(|_| is_description(step.kind));
            if describes.is_some_and(|step| ran.iter().any(|ran| ran.may_undo(step))) {
                perhaps_undone.push(at);
            }
            continue;
        }
        let runs = step.ops.iter().any(|op| op.is_opaque() || matches!(op, Op::Command(CommandOp::Check(_))));
        let one_with = |ran: &RunningStep| ran.is_apt && step.ops.iter().all(Op::is_apt) || ran.guard && step.guard;
        if runs && !perhaps_undone.is_empty() && !ran.iter().all(one_with) {
            let names = |indices: &[usize]| names(indices.iter().filter_map(|at| plans.get(*at)));
            let by: Vec<usize> = ran.iter().map(|ran| ran.at).collect();
            let note = format!(
                "the host is looked at again before this step: {} may change what {} found right",
                names(&by),
                names(&perhaps_undone)
            );
            perhaps_undone.iter().for_each(|at| plans[*at].may_be_undone = true);
            plans[at].looked_at_before = true;
            plans[at].notes.push(note);
            (ran, perhaps_undone) = (Vec::new(), Vec::new());
        }
        if plans[at].ops.iter().any(Op::reboots) {
            (ran, perhaps_undone) = (Vec::new(), Vec::new());
        // A restart that was pending may fail, and is tried again at the end.
        } else if plans[at].ops.iter().any(|op| op.is_opaque() && !matches!(op, Op::Unit(UnitOp::Pending { .. }))) {
            ran.push(RunningStep::of(at, &plans[at]));
        }
    }
}

/// Whether a step of this kind describes something that can be undone.
fn is_description(kind: &str) -> bool {
    !matches!(kind, "command" | "check" | "reboot" | "flush")
}

/// A step that runs something.
struct RunningStep {
    at: usize,
    parts: Vec<Part>,
    is_apt: bool,
    guard: bool,
}

impl RunningStep {
    fn of(at: usize, step: &StepPlan) -> RunningStep {
        let parts = step.ops.iter().flat_map(|op| op.may_undo()).copied().collect();
        RunningStep { at, parts, is_apt: step.ops.iter().all(Op::is_apt), guard: step.guard }
    }

    fn may_undo(&self, step: &DesiredStep) -> bool {
        let mut queries = Queries::new();
        step.resource.queries(&mut queries);
        queries.iter().any(|query| self.parts.iter().any(|part| part.covers(query)))
    }
}

fn names<'a>(steps: impl Iterator<Item = &'a StepPlan>) -> String {
    let ids: Vec<&str> = steps.map(|step| step.id.as_str()).collect();
    match ids.len() {
        1 => format!("step {}", ids[0]),
        count if count > NAMED => format!("steps {} and {} more", ids[..NAMED].join(", "), count - NAMED),
        _ => format!("steps {}", ids.join(", ")),
    }
}
