//! `apply`: plan, ask, carry out, look again. A host counts as done when the
//! second look finds nothing left to do.

use super::engine::{Prepared, for_each_host};
use super::plan::{PlanArgs, PlanFormat, Planned};
use super::{Exit, saved};
use crate::apply::{About, ApplyError, Program, Ran, RunId, execute};
use crate::plan::HostPlan;
use crate::report::{self, Console, Ending, Event, Failure, HostOutcome, Reporter, TextOptions};
use crate::transport::Session;
use clap::Args;
use sha2::{Digest, Sha256};
use std::time::Instant;

/// Arguments of `apply`; in place of a playbook it takes a saved plan.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// Makes the hosts what the playbook says.
///
/// # Errors
/// The input is wrong, or the operator said no.
pub fn run(args: &ApplyArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let file = &args.plan.playbook;
    let loaded = if saved::SavedPlan::is_one(file) { Some(saved::SavedPlan::load(file)?) } else { None };
    let options = loaded.as_ref().map_or_else(|| args.plan.clone(), |saved| saved.options(&args.plan));
    let Planned { selection, outcomes, hosts, reporter } = super::plan::plan_all(&options, console)?;
    if let Some(saved) = &loaded {
        saved.verify(&selection, &hosts)?;
    }
    let machine = options.format != PlanFormat::Text;
    let plans: Vec<_> = hosts.iter().map(|host| host.plan.clone()).collect();
    if !machine {
        console.print(&report::plan_text(&plans, TextOptions { verbose: options.verbose, color: console.color }));
    }
    let differing = hosts.iter().filter(|host| !host.plan.is_empty()).count();
    if differing > 0 && !args.yes && loaded.is_none() {
        confirm(console, reporter.as_ref(), differing)?;
    }
    let about = About {
        who: who(),
        playbook: selection.title(&options.playbook),
        inputs: digest(&selection.all_inputs()),
        stage: None,
        undid: None,
    };
    let forks = options.forks();
    let applied = for_each_host(hosts, forks, |host| apply_host(host, &about, reporter.as_ref()))?;

    let outcomes: Vec<HostOutcome> = applied.into_iter().chain(outcomes).collect();
    drop(reporter);
    show(&options, selection.stage(), &selection.title(&options.playbook), &outcomes, console)?;
    Ok(exit(&outcomes))
}

/// The operator, as records and locks name them.
pub(super) fn who() -> String {
    format!("{}@{}", login_name(), rustix::system::uname().nodename().to_string_lossy())
}

/// One digest of all input files.
fn digest(inputs: &[(String, Vec<u8>)]) -> String {
    let mut hasher = Sha256::new();
    for (name, bytes) in inputs {
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update(Sha256::digest(bytes));
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn login_name() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|key| std::env::var(key).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
}

pub(super) fn confirm(console: &Console, reporter: &dyn Reporter, hosts: usize) -> anyhow::Result<()> {
    anyhow::ensure!(
        console.interactive,
        "there is no terminal to ask on; give --yes to apply without a question. Nothing was touched"
    );
    let question = format!("Apply this to {hosts} host{}?", if hosts == 1 { "" } else { "s" });
    let mut agreed = false;
    reporter.pause(&mut || agreed = crate::transport::Ask::confirm(&report::TerminalAsk::new(), &question));
    anyhow::ensure!(agreed, "not confirmed; nothing was touched");
    Ok(())
}

fn apply_host(mut host: Prepared, about: &About, reporter: &dyn Reporter) -> HostOutcome {
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
        (false, Ok((run, program))) => execute(session(host), plan, &program, &run, reporter),
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

fn show(
    options: &PlanArgs,
    stage: Option<&str>,
    playbook: &str,
    outcomes: &[HostOutcome],
    console: &mut Console,
) -> anyhow::Result<()> {
    let text = match options.format {
        PlanFormat::Text => {
            report::apply_text(outcomes, TextOptions { verbose: options.verbose, color: console.color })
        }
        PlanFormat::Json => {
            format!("{}\n", serde_json::to_string_pretty(&report::apply_json(stage, playbook, outcomes))?)
        }
        PlanFormat::Markdown => report::apply_markdown(stage, playbook, outcomes),
    };
    console.print(&text);
    Ok(())
}

/// The worst ending decides: a failed host over an unreachable one.
pub(super) fn exit(outcomes: &[HostOutcome]) -> Exit {
    let any = |test: fn(Ending) -> bool| outcomes.iter().any(|outcome| test(outcome.ending));
    if any(|e| matches!(e, Ending::Failed | Ending::NotConverged)) {
        Exit::Failed
    } else if any(|e| e == Ending::Unreachable) {
        Exit::Unreachable
    } else if any(|e| e == Ending::Undone) {
        Exit::Undone
    } else {
        Exit::Done
    }
}
