//! What is judged when all steps are planned: what keeps a step from being in
//! force, and units that no step of the run brings.

use super::{Action, DesiredStep, FileOp, Op, Override, PackageOp, PlanError, StepError, StepPlan, UnitOp, Verb};
use crate::observe::{Known, PredictedState, Queries};
use crate::values::{AbsPath, Secret, UnitName};
use std::collections::BTreeSet;

/// Says of each step what keeps it from being in force on the state that the
/// whole run leaves: a later step may take away what overrides an earlier one.
pub(super) fn judge(
    planned: &[(usize, &DesiredStep)],
    plans: &mut [StepPlan],
    predicted: &PredictedState,
    follow_up_queries: &mut Queries,
) -> Result<(), Vec<StepError>> {
    let layers = planned.iter().filter_map(|(_, step)| step.resource.layer());
    let layers: BTreeSet<String> = layers.map(ToString::to_string).collect();
    let restarted: BTreeSet<UnitName> = plans.iter().flat_map(restarts).cloned().collect();
    let mut errors = Vec::new();
    for (at, step) in planned {
        // A step that is decided at its turn may have no plan of its own.
        let Some(plan) = plans.get_mut(*at).filter(|plan| plan.id == step.id && plan.open.is_none()) else { continue };
        match step.resource.in_force(predicted) {
            Ok(found) => {
                follow_up_queries.extend(found.follow_up_queries.into_iter().filter(|query| !predicted.asked(query)));
                // A drop-in of the playbook's own says what it overrides on purpose.
                let overridden = found.overridden.into_iter().filter(|by| !layers.contains(&by.file));
                plan.overridden.extend(overridden.filter(|by| !is_meant(by, planned)));
                let mut dormant = found.dormant;
                dormant.retain(|found| !restarted.contains(&found.until));
                plan.dormant = !dormant.is_empty();
                plan.notes.extend(dormant.into_iter().filter(|_| !step.sensitive).map(|found| found.text));
                if step.sensitive {
                    plan.overridden.iter_mut().for_each(|by| by.message = Secret::MASK.to_owned());
                }
            }
            Err(error) => {
                errors.push(StepError { id: step.id.clone(), name: step.name.clone(), span: step.span.clone(), error });
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The units that a step has restarted.
fn restarts(plan: &StepPlan) -> impl Iterator<Item = &UnitName> {
    let by_op = |op| match op {
        &Op::Unit(
            UnitOp::Systemctl { verb: Verb::Restart, ref unit } | UnitOp::Pending { verb: Verb::Restart, ref unit, .. },
        ) => Some(unit),
        _ => None,
    };
    let asked = plan.restart.iter().filter(|_| plan.action != Action::None);
    asked.chain(plan.ops.iter().filter_map(by_op))
}

/// Whether what overrides is an exception that a step of the playbook says.
fn is_meant(by: &Override, planned: &[(usize, &DesiredStep)]) -> bool {
    let Some(line) = &by.exception else { return false };
    planned.iter().any(|(_, step)| step.resource.says(&by.file, line))
}

/// Every step that changes something and has a unit restarted or reloaded that
/// is not on the host and that no step of the run may bring.
pub(super) fn missing_units(plans: &[StepPlan], predicted: &PredictedState) -> Vec<StepError> {
    if predicted.facts.init != "systemd" {
        return Vec::new();
    }
    let is_missing = |unit: &UnitName| {
        matches!(predicted.unit(unit), Ok(Known::Is(found)) if found.load == "not-found")
            && !plans.iter().any(|plan| may_bring(plan, unit))
    };
    let mut errors = Vec::new();
    for plan in plans.iter().filter(|plan| plan.action != Action::None) {
        for (field, units) in [("restart", &plan.restart), ("reload", &plan.reload)] {
            for unit in units.iter().filter(|unit| is_missing(unit)) {
                let error = PlanError::Refused(format!(
                    "there is no unit {unit} on this host, which '{field}' names: correct the name, or have a step of \
                     the run bring it: its package, or a 'unit' step"
                ));
                errors.push(StepError { id: plan.id.clone(), name: plan.name.clone(), span: plan.span.clone(), error });
            }
        }
    }
    errors
}

/// Whether a step may bring a unit in a way that the predicted state does not
/// show: its turn decides what it does, or it writes what systemd makes the
/// unit of.
fn may_bring(plan: &StepPlan, unit: &UnitName) -> bool {
    let edits_text = matches!(plan.kind, "line" | "block" | "setting" | "replace");
    let (stem, _) = unit.as_str().rsplit_once('.').unwrap_or((unit.as_str(), ""));
    let word = stem.split_once('@').map_or(stem, |(template, _)| template);
    let is_source = |path: &AbsPath| {
        let place = path.as_str();
        ["/etc/fstab", "/etc/crypttab"].contains(&place)
            || (["/systemd/", "/init.d/"].iter().any(|folder| place.contains(folder))
                && path.file_name().starts_with(word))
    };
    let brings = |op: &Op| match op {
        Op::File(FileOp::WriteFile { path, .. } | FileOp::MakeLink { path, .. } | FileOp::Download { path, .. }) => {
            is_source(path)
        }
        Op::Package(PackageOp::AptUpgrade { .. }) => true,
        _ => false,
    };
    (plan.open.is_some() && !edits_text) || plan.ops.iter().any(brings)
}
