//! One host's part of an apply: its plan is carried out, and the host is
//! looked at again. It has converged when the second look finds nothing.

use crate::apply::{About, ApplyError, Program, Ran, Reboot, RunId, execute};
use crate::plan::HostPlan;
use crate::report::{self, Ending, Event, Failure, HostOutcome, Reporter};
use crate::transport::Session;
use std::time::Instant;

/// Carries a plan out on one host and looks again. `again` plans anew; the
/// host has converged when that plan is empty. Where the run ended for a
/// reboot, nothing is looked at: the host goes down.
pub(super) fn carry_out<H>(
    plan: &HostPlan,
    about: &About,
    reporter: &dyn Reporter,
    host: &mut H,
    session: impl Fn(&mut H) -> &mut Session,
    again: impl Fn(&mut H) -> anyhow::Result<HostPlan>,
) -> (HostOutcome, Option<Reboot>) {
    let began = Instant::now();
    let name = &plan.name;
    let changed = plan.summary.differing();
    let mut outcome = HostOutcome::new(name, Ending::Converged);
    let ran = match (plan.is_empty(), compile(plan, about)) {
        (true, _) => Ran { steps: plan.steps.iter().map(|_| report::StepEnding::Unchanged).collect(), result: Ok(()) },
        (false, Err(error)) => Ran { steps: Vec::new(), result: Err(error) },
        (false, Ok((run, program))) => {
            outcome.runs.push(run.to_string());
            execute(session(host), plan, &program, &run, reporter)
        }
    };
    outcome.changed = ran.steps.iter().filter(|ending| **ending == report::StepEnding::Done).count();
    outcome.steps = plan.steps.iter().cloned().zip(ran.steps).collect();
    let mut reboot = None;
    match ran.result {
        Err(ApplyError::Reboot(begun)) => reboot = Some(begun),
        Err(error) => {
            outcome.ending =
                if matches!(error, ApplyError::Transport(_)) { Ending::Unreachable } else { Ending::Failed };
            if let ApplyError::Step(failure) = &error {
                outcome.failure = plan.steps.get(failure.step).map(|step| Failure {
                    step: step.clone(),
                    message: error.to_string(),
                    output: failure.output.clone(),
                });
            }
            outcome.error = Some(error.to_string());
        }
        // Nothing was done, so nothing can have come out differently.
        Ok(()) if changed == 0 => {}
        Ok(()) => match again(host) {
            Ok(rest) if rest.is_empty() => {}
            Ok(rest) => {
                reporter.event(&Event::NotConverged { host: name, plan: &rest });
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
    outcome.seconds = began.elapsed().as_secs_f64();
    match (&outcome.ending, &outcome.error) {
        _ if reboot.is_some() => {}
        (Ending::Converged, _) => {
            reporter.event(&Event::Converged { host: name, changed: outcome.changed, seconds: outcome.seconds });
        }
        (Ending::NotConverged, _) => {}
        (_, Some(error)) if outcome.failure.is_none() => reporter.event(&Event::HostFailed { host: name, error }),
        _ => {}
    }
    (outcome, reboot)
}

fn compile(plan: &HostPlan, about: &About) -> Result<(RunId, Program), ApplyError> {
    let bad = |error: &dyn std::fmt::Display| ApplyError::Program(error.to_string());
    let run = RunId::new().map_err(|error| bad(&error))?;
    let program = Program::compile(plan, &run, about).map_err(|error| bad(&error))?;
    Ok((run, program))
}
