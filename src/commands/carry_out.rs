//! One host's part of an apply: its plan is carried out, and the host is
//! looked at again. It has converged when the second look finds nothing.

use super::engine::Prepared;
use crate::apply::{About, ApplyError, Program, Ran, RunId, execute};
use crate::plan::HostPlan;
use crate::report::{self, Ending, Event, Failure, HostOutcome, Reporter};
use crate::transport::Session;
use std::time::Instant;

/// Carries a host's plan out and looks again.
pub(super) fn apply_host(mut host: Prepared, about: &About, reporter: &dyn Reporter) -> HostOutcome {
    let plan = host.plan.clone();
    let about = About { stage: host.stage.clone(), ..about.clone() };
    carry_out(&plan, &about, reporter, &mut host, |host| &mut host.session, |host| host.again(&plan.name))
}

/// Carries a plan out on one host and looks again. `again` plans anew; the
/// host has converged when that plan is empty.
pub(super) fn carry_out<H>(
    plan: &HostPlan,
    about: &About,
    reporter: &dyn Reporter,
    host: &mut H,
    session: impl Fn(&mut H) -> &mut Session,
    again: impl Fn(&mut H) -> anyhow::Result<HostPlan>,
) -> HostOutcome {
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
    match ran.result {
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
        (Ending::Converged, _) => {
            reporter.event(&Event::Converged { host: name, changed: outcome.changed, seconds: outcome.seconds });
        }
        (Ending::NotConverged, _) => {}
        (_, Some(error)) if outcome.failure.is_none() => reporter.event(&Event::HostFailed { host: name, error }),
        _ => {}
    }
    outcome
}

fn compile(plan: &HostPlan, about: &About) -> Result<(RunId, Program), ApplyError> {
    let bad = |error: &dyn std::fmt::Display| ApplyError::Program(error.to_string());
    let run = RunId::new().map_err(|error| bad(&error))?;
    let program = Program::compile(plan, &run, about).map_err(|error| bad(&error))?;
    Ok((run, program))
}
