//! What came of an apply on one host.

use crate::plan::{FieldChange, HostPlan, Op, Override, PackageOp, StepPlan};
use crate::report::{Event, HostOutcome, HostStatus, Reporter, StepStatus};

/// Tells how it ended for a host, unless that was told already.
pub(super) fn tell(outcome: &HostOutcome, reporter: &dyn Reporter) {
    let host = outcome.name.as_str();
    match (&outcome.ending, &outcome.error) {
        (HostStatus::Converged, _) => {
            let (changed, seconds) = (outcome.changed, outcome.seconds);
            reporter.event(&Event::Converged { host, changed, seconds });
        }
        (HostStatus::NotConverged, _) => {}
        (ending, Some(error)) if outcome.failure.is_none() || *ending == HostStatus::Undone => {
            reporter.event(&Event::HostFailed { host, error });
        }
        _ => {}
    }
}

/// The host is not what was wanted: steps still differ, or are not in force.
pub(super) fn not_converged(outcome: &mut HostOutcome, mut rest: HostPlan, reporter: &dyn Reporter) {
    name_new_owners(outcome, &mut rest);
    reporter.event(&Event::NotConverged { host: &outcome.name, plan: &rest });
    outcome.ending = HostStatus::NotConverged;
    let mut reasons = Vec::new();
    if !rest.is_empty() {
        reasons.push(match rest.summary.differing() {
            1 => "1 step still differs after the apply".to_owned(),
            count => format!("{count} steps still differ after the apply"),
        });
    }
    let by_files = rest.overridden().flat_map(|step| &step.overridden).all(Override::is_file);
    match rest.overridden().count() {
        0 => {}
        1 if !by_files => reasons.push("1 step is not in force".to_owned()),
        count if !by_files => reasons.push(format!("{count} steps are not in force")),
        1 => reasons.push("1 step is not in force: something on the host overrides it".to_owned()),
        count => reasons.push(format!("{count} steps are not in force: something on the host overrides them")),
    }
    outcome.error = Some(reasons.join("; "));
    outcome.remaining = Some(rest);
}

/// Where a package of the run has given a path to an account of its own that an
/// earlier step gives to another: says what can be done.
fn name_new_owners(outcome: &HostOutcome, rest: &mut HostPlan) {
    let installs = |step: &StepPlan| step.ops.iter().any(|op| matches!(op, Op::Package(PackageOp::AptInstall { .. })));
    let done = outcome.steps.iter().filter(|(step, ending)| *ending == StepStatus::Done && installs(step));
    let places = done.filter_map(|(step, _)| rest.steps.iter().position(|other| other.id == step.id));
    let Some(last) = places.max() else { return };
    for step in rest.steps.iter_mut().take(last).filter(|step| matches!(step.kind, "file" | "directory")) {
        let taken =
            |change: &&FieldChange| matches!(change.field.as_str(), "owner" | "group") && change.after.is_some();
        let hints = step.changes.iter().filter(taken).filter_map(|change| {
            let (field, to) = (&change.field, change.before.as_deref()?);
            Some(format!(
                "a package of this run may have set the {field}: say {field} = \"{to}\", put the step after the package's, \
                 or say {field} = \"keep\""
            ))
        });
        let hints: Vec<String> = hints.collect();
        step.notes.extend(hints);
    }
}

/// Two parts as one: what the first has done stays done. `plan` is that of the
/// second; of its steps those that its run was not to come to were not reached.
pub(super) fn join(first: Option<HostOutcome>, mut second: HostOutcome, plan: &HostPlan) -> HostOutcome {
    for (step, ending) in &mut second.steps {
        let planned = plan.steps.iter().find(|planned| planned.id == step.id);
        let left_out = |planned: &StepPlan| planned.open.is_some() || !planned.ops.is_empty();
        if step.ops.is_empty() && planned.is_some_and(left_out) && *ending == StepStatus::Unchanged {
            *ending = StepStatus::NotReached;
        }
    }
    let Some(first) = first else { return second };
    for (step, ending) in first.steps {
        if !matches!(ending, StepStatus::Done | StepStatus::NotDue | StepStatus::Later) {
            continue;
        }
        match second.steps.iter_mut().find(|(other, _)| other.id == step.id) {
            Some(same) if same.1 == StepStatus::Unchanged => *same = (step, ending),
            Some(_) => {}
            None => second.steps.push((step, ending)),
        }
    }
    second.changed = second.steps.iter().filter(|(_, ending)| *ending == StepStatus::Done).count();
    second.runs = [first.runs, second.runs].concat();
    second
}

impl HostOutcome {
    /// Whether operations were done that a failure has left half-way.
    pub(super) fn leaves_a_half(&self) -> bool {
        let some = |wanted: &[StepStatus]| self.steps.iter().any(|(_, ending)| wanted.contains(ending));
        match self.ending {
            HostStatus::Failed | HostStatus::NotConverged => some(&[StepStatus::Done, StepStatus::Failed]),
            // A guard takes back its own steps, not those before it.
            HostStatus::Undone => some(&[StepStatus::Done]),
            _ => false,
        }
    }
}
