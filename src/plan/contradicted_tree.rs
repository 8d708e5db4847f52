//! Steps that describe something below a directory which another step gives an
//! owner, a group or modes as a whole, and describe it otherwise.
//!
//! Each takes back what the other makes, in whichever order they come. What
//! commands and packages bring between them is no excuse: the plan tells of it
//! although the turn of the directory decides what is in it by then.

use super::contradiction::{differences, is_open, is_predictable};
use super::{Action, DesiredStep, GivenTree, PlanError, Planned, StepError, StepPlan};
use crate::observe::{PredictedState, Queries, Query};
use crate::values::AbsPath;

/// Every step that a tree of another one contradicts. `predicted`: the state after
/// all of them.
pub(super) fn against_trees(
    steps: &[Option<&DesiredStep>],
    plans: &[StepPlan],
    predicted: &PredictedState,
) -> Vec<StepError> {
    let known = || steps.iter().zip(plans).filter_map(|(step, plan)| Some(((*step)?, plan)));
    let trees: Vec<_> = known().filter_map(|(step, plan)| Some((step, plan, step.resource.tree()?))).collect();
    if trees.is_empty() {
        return Vec::new();
    }
    let mut settled = predicted.clone();
    settled.reset();
    let mut errors = Vec::new();
    for (by, by_plan, tree) in trees {
        let mut state = settled.clone();
        let numbers = state.account_numbers();
        let mounts = match predicted.tree(tree.top, tree.across) {
            Ok(found) if !tree.across => found.mounts.clone(),
            Ok(_) | Err(_) => Vec::new(),
        };
        state.change_tree(tree.top, &mounts, |entry| tree.meta.of(entry, &numbers));
        let others = known().filter(|(step, plan)| step.id != by.id && is_below(step, tree) && describes(plan));
        for (step, _) in others {
            let Some(what) = differs(step, &settled, &state) else { continue };
            let what = if step.sensitive || by.sensitive { String::new() } else { what };
            let place = by_plan.span.as_ref().map(|span| format!(" at {span}")).unwrap_or_default();
            let error = PlanError::Refused(format!(
                "step {} ({}){place} gives all that is below {} another owner, group or mode than this step{what}: the \
                 host would never be as both say; name another directory there, or make them agree",
                by.id, by.name, tree.top
            ));
            errors.push(StepError { id: step.id.clone(), name: step.name.clone(), span: step.span.clone(), error });
        }
    }
    errors
}

/// Whether a step is about something below a directory.
fn is_below(step: &DesiredStep, tree: GivenTree<'_>) -> bool {
    let inside = |path: &AbsPath| path != tree.top && path.is_within(tree.top);
    let mut queries = Queries::new();
    step.resource.queries(&mut queries);
    queries.iter().any(|query| matches!(query, Query::Path(path) if inside(path)))
}

/// Whether a step describes what lasts. One whose own turn decides it may do so.
fn describes(plan: &StepPlan) -> bool {
    is_predictable(plan) || plan.kind == "directory"
}

/// In what a step that is content with one state differs from another.
fn differs(step: &DesiredStep, content: &PredictedState, state: &PredictedState) -> Option<String> {
    let is_content = |planned: &Planned| planned.action() == Action::None;
    if !step.resource.plan(content).is_ok_and(|planned| is_content(&planned)) {
        return None;
    }
    match step.resource.plan(state) {
        Ok(planned) if matches!(planned.action(), Action::None | Action::Unknown | Action::Run) => None,
        Ok(planned) if is_open(&planned) => None,
        Ok(planned) => Some(differences(&planned)),
        Err(PlanError::Refused(why) | PlanError::Missing(why)) => Some(format!(" ({why})")),
        Err(PlanError::State(_)) => None,
    }
}
