//! One host's part of a run: its plan is carried out, and the host is looked
//! at again. It has converged when the second look finds nothing.

use super::runs::Runs;
use crate::apply::{About, ApplyError, Program, Ran, Reach, Reboot, Record, RunId, execute};
use crate::plan::{HostPlan, Op};
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

/// Carries a plan out on one host and looks again; the host has converged
/// when nothing is left to do. Where the run ended for a reboot nothing is
/// looked at: the host goes down.
pub(super) fn carry_out(
    plan: &HostPlan,
    terms: &Terms,
    reporter: &dyn Reporter,
    host: &mut impl Worked,
) -> (HostOutcome, Option<Reboot>) {
    let began = Instant::now();
    let mut outcome = HostOutcome::new(&plan.name, Ending::Converged);
    let mut reboot = None;
    let record = match (plan.is_empty(), compile(plan, terms)) {
        (true, _) => {
            outcome.steps = plan.steps.iter().map(|step| (step.clone(), StepEnding::Unchanged)).collect();
            None
        }
        (false, Err(error)) => {
            outcome.ending = Ending::Failed;
            outcome.error = Some(error.to_string());
            None
        }
        (false, Ok((run, program))) => {
            outcome.runs.push(run.to_string());
            let ran = execute(&mut host.reach(), plan, &program, &run, reporter);
            reboot = judge(plan, ran, reporter, host, &mut outcome);
            Some(program.undo.record)
        }
    };
    if let Some(record) = record.filter(|_| terms.undo_on_failure && outcome.leaves_a_half()) {
        take_back(plan, &record, terms, reporter, host, &mut outcome);
    }
    outcome.seconds = began.elapsed().as_secs_f64();
    match (&outcome.ending, &outcome.error) {
        _ if reboot.is_some() => {}
        (Ending::Converged, _) => {
            let (host, changed, seconds) = (plan.name.as_str(), outcome.changed, outcome.seconds);
            reporter.event(&Event::Converged { host, changed, seconds });
        }
        (Ending::NotConverged, _) => {}
        (ending, Some(error)) if outcome.failure.is_none() || *ending == Ending::Undone => {
            reporter.event(&Event::HostFailed { host: &plan.name, error });
        }
        _ => {}
    }
    (outcome, reboot)
}

/// What came of a run, and of the second look if it came to its end; the
/// reboot that it ended for.
fn judge(
    plan: &HostPlan,
    ran: Ran,
    reporter: &dyn Reporter,
    host: &mut impl Worked,
    outcome: &mut HostOutcome,
) -> Option<Reboot> {
    outcome.changed = ran.steps.iter().filter(|ending| **ending == StepEnding::Done).count();
    outcome.steps = plan.steps.iter().cloned().zip(ran.steps).collect();
    match ran.result {
        Err(ApplyError::Reboot(reboot)) => return Some(reboot),
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
        }
        Ok(()) => match second_look(host, &plan.name, reporter) {
            Ok(rest) if rest.is_empty() => {}
            Ok(rest) => {
                reporter.event(&Event::NotConverged { host: &plan.name, plan: &rest });
                outcome.ending = Ending::NotConverged;
                outcome.error = Some(format!("{} steps still differ after the apply", rest.summary.differing()));
                outcome.remaining = Some(rest);
            }
            Err(error) => {
                outcome.ending = Ending::Failed;
                outcome.error = Some(format!("the second look failed: {error:#}"));
            }
        },
    }
    None
}

/// Looks again; over a new connection if the old one fails meanwhile.
fn second_look(host: &mut impl Worked, name: &str, reporter: &dyn Reporter) -> anyhow::Result<HostPlan> {
    host.plan_again(name).or_else(|error| {
        let failed = error.downcast::<TransportError>()?;
        let text = format!("{failed}; connecting again");
        reporter.event(&Event::Notice { host: Some(name), text: &text });
        host.reach().renew(failed)?;
        host.plan_again(name)
    })
}

/// Undoes a run that did not come to its end.
fn take_back(
    plan: &HostPlan,
    record: &Record,
    terms: &Terms,
    reporter: &dyn Reporter,
    host: &mut impl Worked,
    outcome: &mut HostOutcome,
) {
    let before = outcome.error.clone().unwrap_or_default();
    let undone = (|| -> anyhow::Result<Vec<String>> {
        let undo = Runs::new(host.reach().session, &plan.name).plan_undo(record, false)?;
        let told = undo.steps.iter().filter(|step| step.ops.is_empty() && !step.notes.is_empty());
        let left = told.map(|step| format!("{} ({})", step.name, step.notes.join(", "))).collect();
        if undo.is_empty() {
            return Ok(left);
        }
        reporter.event(&Event::Notice { host: Some(&plan.name), text: "taking back what was done" });
        let about = About::of_undo(record, &terms.about.who);
        let (run, program) = compile(&undo, &Terms { about, ..terms.clone() })?;
        outcome.runs.push(run.to_string());
        let ran = execute(&mut host.reach(), &undo, &program, &run, reporter);
        ran.result?;
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
    fn leaves_a_half(&self) -> bool {
        let some = |wanted: &[StepEnding]| self.steps.iter().any(|(_, ending)| wanted.contains(ending));
        match self.ending {
            Ending::Failed | Ending::NotConverged => some(&[StepEnding::Done, StepEnding::Failed]),
            // A guard takes back its own steps, not those before it.
            Ending::Undone => some(&[StepEnding::Done]),
            _ => false,
        }
    }
}
