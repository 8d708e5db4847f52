//! One host's part of a run: its plan is carried out, and the host is looked
//! at again. It has converged when the second look finds nothing.

use super::Host;
use super::outcome::{not_converged, tell};
use super::runs::Runs;
use crate::apply::{ApplyError, ApplyReport, Program, Reboot, Record, RunId, RunMetadata};
use crate::plan::{HostPlan, Op, PackageOp, StepPlan};
use crate::report::{Event, FailedStep, HostOutcome, HostStatus, Reporter, StepStatus};
use crate::transport::{Ask, TransportError};
use std::sync::Arc;
use std::time::Instant;

/// How a run is carried out.
#[derive(Clone)]
pub struct ApplyOptions {
    /// What its record says of it.
    pub about: RunMetadata,
    /// Seconds until a host puts back a change of access that no new login confirms.
    pub guard_timeout: u16,
    /// Whether a run that fails is taken back.
    pub undo_on_failure: bool,
    /// Whether what is found to differ beyond the plan that was shown is carried out without a question.
    pub yes: bool,
    /// Who is asked.
    pub ask: Arc<dyn Ask>,
}

impl ApplyOptions {
    /// Whether the operator says yes; progress is not drawn meanwhile.
    pub(super) fn agrees(&self, question: &str, reporter: &dyn Reporter) -> bool {
        let mut agreed = false;
        reporter.pause(&mut || agreed = self.ask.confirm(question));
        agreed
    }
}

/// A host for which a plan can be made again.
pub trait Replan {
    /// The host.
    fn host(&mut self) -> &mut dyn Host;
    /// Looks and plans anew.
    ///
    /// # Errors
    /// The host cannot be read any more.
    fn plan_again(&mut self) -> anyhow::Result<HostPlan>;
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
pub fn carry_out(
    plan: &HostPlan,
    terms: &ApplyOptions,
    reporter: &dyn Reporter,
    host: &mut impl Replan,
) -> HostOutcome {
    let began = Instant::now();
    let Part { mut outcome, end, .. } = run_part(plan, terms, reporter, host);
    if let PartEnd::Through = end {
        match look_again(host, &plan.name, reporter) {
            Ok(rest) if rest.is_converged() => {}
            Ok(rest) => not_converged(&mut outcome, rest, reporter),
            Err(error) => {
                outcome.ending = HostStatus::Failed;
                outcome.error = Some(format!("the second look failed: {error:#}"));
            }
        }
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    tell(&outcome, reporter);
    outcome
}

/// Carries out what one run on the host can do.
pub(super) fn run_part(plan: &HostPlan, terms: &ApplyOptions, reporter: &dyn Reporter, host: &mut impl Replan) -> Part {
    let mut outcome = HostOutcome::new(&plan.name, HostStatus::Converged);
    if plan.steps.iter().all(|step| step.ops.is_empty()) {
        outcome.steps = plan.steps.iter().map(|step| (step.clone(), StepStatus::Unchanged)).collect();
        return Part { outcome, end: PartEnd::Through, record: None };
    }
    match compile(plan, terms) {
        Err(error) => {
            outcome.ending = HostStatus::Failed;
            outcome.error = Some(error.to_string());
            Part { outcome, end: PartEnd::Failed, record: None }
        }
        Ok((run, program)) => {
            outcome.runs.push(run.to_string());
            let ran = host.host().execute(plan, &program, &run, reporter);
            let end = judge(plan, ran, &mut outcome);
            explain(plan, host, &mut outcome, reporter);
            Part { outcome, end, record: Some(program.undo.record) }
        }
    }
}

/// Which of the steps that share a transaction apt refuses is told by a plan
/// with the package lists that the host has by then.
fn explain(plan: &HostPlan, host: &mut impl Replan, outcome: &mut HostOutcome, reporter: &dyn Reporter) {
    let installs = |step: &StepPlan| step.ops.iter().any(|op| matches!(op, Op::Package(PackageOp::AptInstall { .. })));
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
                    Op::Package(PackageOp::AptInstall { packages, .. }) => {
                        packages.iter().any(|target| said.contains(&target.name.bare()))
                    }
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
fn judge(plan: &HostPlan, ran: ApplyReport, outcome: &mut HostOutcome) -> PartEnd {
    outcome.partly = ran.partly;
    outcome.changed = ran.steps.iter().filter(|ending| **ending == StepStatus::Done).count();
    outcome.steps = plan.steps.iter().cloned().zip(ran.steps).collect();
    match ran.result {
        Ok(()) => PartEnd::Through,
        Err(ApplyError::Reboot(reboot)) => PartEnd::Reboot(reboot),
        Err(error) => {
            outcome.ending = match &error {
                ApplyError::Transport(_) | ApplyError::OutOfReach { .. } => HostStatus::Unreachable,
                ApplyError::Reverted { .. } => HostStatus::Undone,
                _ => HostStatus::Failed,
            };
            if let ApplyError::Step(failure) | ApplyError::Reverted { failure: Some(failure), .. } = &error {
                outcome.failure = plan.steps.get(failure.step).map(|step| FailedStep {
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

/// Looks again; over a new connection if the old one fails meanwhile.
///
/// # Errors
/// The host cannot be reached or read any more.
pub fn look_again(host: &mut impl Replan, name: &str, reporter: &dyn Reporter) -> anyhow::Result<HostPlan> {
    host.plan_again().or_else(|error| {
        let failed = error.downcast::<TransportError>()?;
        let text = format!("{failed}; connecting again");
        reporter.event(&Event::Notice { host: Some(name), text: &text });
        host.host().renew(failed)?;
        host.plan_again()
    })
}

/// Undoes an apply that did not come to its end: its runs, the newest first.
pub(super) fn take_back(
    records: &[Record],
    terms: &ApplyOptions,
    reporter: &dyn Reporter,
    host: &mut impl Replan,
    outcome: &mut HostOutcome,
) {
    let name = outcome.name.clone();
    let before = outcome.error.clone().unwrap_or_default();
    let undone = (|| -> anyhow::Result<Vec<String>> {
        let mut left = Vec::new();
        for record in records.iter().rev() {
            let undo = Runs::new(host.host()).plan_undo(record, false)?;
            let told = undo.steps.iter().filter(|step| step.ops.is_empty() && !step.notes.is_empty());
            left.extend(told.map(|step| format!("{} ({})", step.name, step.notes.join(", "))));
            if undo.is_empty() {
                continue;
            }
            reporter.event(&Event::Notice { host: Some(&name), text: "taking back what was done" });
            let about = RunMetadata::of_undo(record, &terms.about.who);
            let (run, program) = compile(&undo, &ApplyOptions { about, ..terms.clone() })?;
            outcome.runs.push(run.to_string());
            host.host().execute(&undo, &program, &run, reporter).result?;
        }
        Ok(left)
    })();
    match undone {
        Ok(left) => {
            outcome.ending = HostStatus::Undone;
            let except = if left.is_empty() { String::new() } else { format!(", but not: {}", left.join("; ")) };
            outcome.error = Some(format!("{before}; what the run had done was taken back{except}"));
            for (step, ending) in outcome.steps.iter_mut().filter(|(_, ending)| *ending == StepStatus::Done) {
                if !step.ops.iter().all(Op::outlasts_undo) {
                    *ending = StepStatus::Undone;
                }
            }
            outcome.changed = outcome.steps.iter().filter(|(_, ending)| *ending == StepStatus::Done).count();
            outcome.partly = false;
        }
        Err(error) => {
            outcome.ending = HostStatus::Failed;
            outcome.error = Some(format!("{before}; it could not be taken back: {error:#}"));
        }
    }
}

fn compile(plan: &HostPlan, terms: &ApplyOptions) -> Result<(RunId, Program), ApplyError> {
    let bad = |error: &dyn std::fmt::Display| ApplyError::Program(error.to_string());
    let run = RunId::new().map_err(|error| bad(&error))?;
    let program = Program::compile(plan, &run, &terms.about, terms.guard_timeout).map_err(|error| bad(&error))?;
    Ok((run, program))
}
