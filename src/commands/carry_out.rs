//! One host's part of a run: its plan is carried out, and the host is looked
//! at again. It has converged when the second look finds nothing.

use super::runs::Runs;
use crate::apply::{About, ApplyError, Program, Ran, Reach, Reboot, Record, RunId, execute};
use crate::plan::{FieldChange, HostPlan, Op, Override, StepPlan};
use crate::report::{self, Ending, Event, Failure, HostOutcome, Reporter, StepEnding};
use crate::transport::TransportError;
use std::time::Instant;

/// How a run is carried out.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What its record says of it.
    pub about: About,
    /// Seconds until a host puts back a change of access that no new login confirms.
    pub guard_timeout: u16,
    /// Whether a run that fails is taken back.
    pub undo_on_failure: bool,
    /// Whether what is found to differ beyond the plan that was shown is carried out without a question.
    pub yes: bool,
}

/// A host that a plan can be carried out on.
pub trait Worked {
    /// The conversation, and a way to another one.
    fn reach(&mut self) -> Reach<'_>;
    /// Looks and plans anew.
    ///
    /// # Errors
    /// The host cannot be read any more.
    fn plan_again(&mut self, name: &str) -> anyhow::Result<HostPlan>;
}

/// One run on a host, as a part of an apply or of an undo.
pub(super) struct Part {
    /// What came of it.
    pub(super) outcome: HostOutcome,
    /// How the run ended.
    pub(super) end: PartEnd,
    /// What the host remembers of the run; none where there was nothing to do.
    pub(super) record: Option<Record>,
}

/// How a run on a host ended.
pub(super) enum PartEnd {
    /// All operations were done.
    Through,
    /// The host restarts.
    Reboot(Reboot),
    /// An operation failed, or the run never began: the outcome says so.
    Failed,
}

/// Carries a plan out on one host and looks again; the host has converged
/// when nothing is left to do.
pub(super) fn carry_out(
    plan: &HostPlan,
    terms: &Terms,
    reporter: &dyn Reporter,
    host: &mut impl Worked,
) -> HostOutcome {
    let began = Instant::now();
    let Part { mut outcome, end, .. } = run_part(plan, terms, reporter, host);
    if let PartEnd::Through = end {
        match look_again(host, &plan.name, reporter) {
            Ok(rest) if rest.is_converged() => {}
            Ok(rest) => not_converged(&mut outcome, rest, reporter),
            Err(error) => {
                outcome.ending = Ending::Failed;
                outcome.error = Some(format!("the second look failed: {error:#}"));
            }
        }
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    tell(&outcome, reporter);
    outcome
}

/// Carries out what one run on the host can do.
pub(super) fn run_part(plan: &HostPlan, terms: &Terms, reporter: &dyn Reporter, host: &mut impl Worked) -> Part {
    let mut outcome = HostOutcome::new(&plan.name, Ending::Converged);
    if plan.steps.iter().all(|step| step.ops.is_empty()) {
        outcome.steps = plan.steps.iter().map(|step| (step.clone(), StepEnding::Unchanged)).collect();
        return Part { outcome, end: PartEnd::Through, record: None };
    }
    match compile(plan, terms) {
        Err(error) => {
            outcome.ending = Ending::Failed;
            outcome.error = Some(error.to_string());
            Part { outcome, end: PartEnd::Failed, record: None }
        }
        Ok((run, program)) => {
            outcome.runs.push(run.to_string());
            let ran = execute(&mut host.reach(), plan, &program, &run, reporter);
            let end = judge(plan, ran, &mut outcome);
            explain(plan, host, &mut outcome, reporter);
            Part { outcome, end, record: Some(program.undo.record) }
        }
    }
}

/// Tells how it ended for a host, unless that was told already.
pub(super) fn tell(outcome: &HostOutcome, reporter: &dyn Reporter) {
    let host = outcome.name.as_str();
    match (&outcome.ending, &outcome.error) {
        (Ending::Converged, _) => {
            let (changed, seconds) = (outcome.changed, outcome.seconds);
            reporter.event(&Event::Converged { host, changed, seconds });
        }
        (Ending::NotConverged, _) => {}
        (ending, Some(error)) if outcome.failure.is_none() || *ending == Ending::Undone => {
            reporter.event(&Event::HostFailed { host, error });
        }
        _ => {}
    }
}

/// Which of the steps that share a transaction apt refuses is told by a plan
/// with the package lists that the host has by then.
fn explain(plan: &HostPlan, host: &mut impl Worked, outcome: &mut HostOutcome, reporter: &dyn Reporter) {
    let installs = |step: &StepPlan| step.ops.iter().any(|op| matches!(op, Op::AptInstall { .. }));
    let Some(failure) = outcome.failure.as_mut().filter(|failure| installs(&failure.step)) else { return };
    if plan.steps.iter().filter(|step| installs(step)).count() < 2 {
        return;
    }
    let found = match look_again(host, &plan.name, reporter) {
        Err(error) => format!("planned again, the host says: {error:#}"),
        // Then the host's words tell, as far as they name packages.
        Ok(_) => {
            let said: Vec<&str> =
                failure.output.split(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).collect();
            let is_told = |step: &&StepPlan| {
                step.ops.iter().any(|op| match op {
                    Op::AptInstall { packages, .. } => packages.iter().any(|target| said.contains(&target.name.bare())),
                    _ => false,
                })
            };
            let told = plan.steps.iter().filter(|step| installs(step)).filter(is_told);
            let place = |step: &StepPlan| step.span.as_ref().map(|span| format!(" at {span}")).unwrap_or_default();
            let told: Vec<String> =
                told.map(|step| format!("step {} ({}){}", step.id, step.name, place(step))).collect();
            if told.is_empty() {
                return;
            }
            format!("what it says is about {}", told.join(" and "))
        }
    };
    let text = format!("several steps install packages together; {found}");
    reporter.event(&Event::Notice { host: Some(&plan.name), text: &text });
    failure.message = format!("{}; {text}", failure.message);
}

/// What came of a run's operations.
fn judge(plan: &HostPlan, ran: Ran, outcome: &mut HostOutcome) -> PartEnd {
    outcome.partly = ran.partly;
    outcome.changed = ran.steps.iter().filter(|ending| **ending == StepEnding::Done).count();
    outcome.steps = plan.steps.iter().cloned().zip(ran.steps).collect();
    match ran.result {
        Ok(()) => PartEnd::Through,
        Err(ApplyError::Reboot(reboot)) => PartEnd::Reboot(reboot),
        Err(error) => {
            outcome.ending = match &error {
                ApplyError::Transport(_) => Ending::Unreachable,
                ApplyError::Reverted { .. } => Ending::Undone,
                _ => Ending::Failed,
            };
            if let ApplyError::Step(failure) | ApplyError::Reverted { failure: Some(failure), .. } = &error {
                outcome.failure = plan.steps.get(failure.step).map(|step| Failure {
                    step: step.clone(),
                    message: format!("step {} failed with exit code {}", failure.id, failure.code),
                    output: failure.output.clone(),
                });
            }
            outcome.error = Some(error.to_string());
            PartEnd::Failed
        }
    }
}

/// The host is not what was wanted: steps still differ, or are not in force.
pub(super) fn not_converged(outcome: &mut HostOutcome, mut rest: HostPlan, reporter: &dyn Reporter) {
    name_new_owners(outcome, &mut rest);
    reporter.event(&Event::NotConverged { host: &outcome.name, plan: &rest });
    outcome.ending = Ending::NotConverged;
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
    let installs = |step: &StepPlan| step.ops.iter().any(|op| matches!(op, Op::AptInstall { .. }));
    let done = outcome.steps.iter().filter(|(step, ending)| *ending == StepEnding::Done && installs(step));
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

/// Looks again; over a new connection if the old one fails meanwhile.
pub(super) fn look_again(host: &mut impl Worked, name: &str, reporter: &dyn Reporter) -> anyhow::Result<HostPlan> {
    host.plan_again(name).or_else(|error| {
        let failed = error.downcast::<TransportError>()?;
        let text = format!("{failed}; connecting again");
        reporter.event(&Event::Notice { host: Some(name), text: &text });
        host.reach().renew(failed)?;
        host.plan_again(name)
    })
}

/// Undoes an apply that did not come to its end: its runs, the newest first.
pub(super) fn take_back(
    records: &[Record],
    terms: &Terms,
    reporter: &dyn Reporter,
    host: &mut impl Worked,
    outcome: &mut HostOutcome,
) {
    let name = outcome.name.clone();
    let before = outcome.error.clone().unwrap_or_default();
    let undone = (|| -> anyhow::Result<Vec<String>> {
        let mut left = Vec::new();
        for record in records.iter().rev() {
            let undo = Runs::new(host.reach().session, &name).plan_undo(record, false)?;
            let told = undo.steps.iter().filter(|step| step.ops.is_empty() && !step.notes.is_empty());
            left.extend(told.map(|step| format!("{} ({})", step.name, step.notes.join(", "))));
            if undo.is_empty() {
                continue;
            }
            reporter.event(&Event::Notice { host: Some(&name), text: "taking back what was done" });
            let about = About::of_undo(record, &terms.about.who);
            let (run, program) = compile(&undo, &Terms { about, ..terms.clone() })?;
            outcome.runs.push(run.to_string());
            execute(&mut host.reach(), &undo, &program, &run, reporter).result?;
        }
        Ok(left)
    })();
    match undone {
        Ok(left) => {
            outcome.ending = Ending::Undone;
            let except = if left.is_empty() { String::new() } else { format!(", but not: {}", left.join("; ")) };
            outcome.error = Some(format!("{before}; what the run had done was taken back{except}"));
            for (step, ending) in outcome.steps.iter_mut().filter(|(_, ending)| *ending == StepEnding::Done) {
                if !step.ops.iter().all(Op::outlasts_undo) {
                    *ending = StepEnding::Undone;
                }
            }
            outcome.changed = outcome.steps.iter().filter(|(_, ending)| *ending == StepEnding::Done).count();
            outcome.partly = false;
        }
        Err(error) => {
            outcome.ending = Ending::Failed;
            outcome.error = Some(format!("{before}; it could not be taken back: {error:#}"));
        }
    }
}

fn compile(plan: &HostPlan, terms: &Terms) -> Result<(RunId, Program), ApplyError> {
    let bad = |error: &dyn std::fmt::Display| ApplyError::Program(error.to_string());
    let run = RunId::new().map_err(|error| bad(&error))?;
    let program = Program::compile(plan, &run, &terms.about, terms.guard_timeout).map_err(|error| bad(&error))?;
    Ok((run, program))
}

impl report::HostOutcome {
    /// Whether operations were done that a failure has left half-way.
    pub(super) fn leaves_a_half(&self) -> bool {
        let some = |wanted: &[StepEnding]| self.steps.iter().any(|(_, ending)| wanted.contains(ending));
        match self.ending {
            Ending::Failed | Ending::NotConverged => some(&[StepEnding::Done, StepEnding::Failed]),
            // A guard takes back its own steps, not those before it.
            Ending::Undone => some(&[StepEnding::Done]),
            _ => false,
        }
    }
}
