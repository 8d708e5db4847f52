//! `apply`: plan, ask, carry out, look again. A host counts as done when the
//! second look finds nothing left to do.

use super::Exit;
use super::operator::{confirm, exit, who};
use super::plan::{PlanArgs, PlanFormat, Planned};
use super::records::Recorder;
use super::select::SelectArgs;
use crate::apply::RunMetadata;
use crate::engine::{
    ApplyOptions, Prepared, QueuedHost, Rolling, SavedPlan, Selection, Share, apply_host, batch_size, is_saved_plan,
    refresh, roll,
};
use crate::report::{self, Console, HostOutcome, Reporter, TextOptions};
use crate::values::hex;
use clap::Args;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Arguments of `apply`; in place of a playbook it takes a saved plan.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    roll: RollArgs,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Seconds until a host puts back a change of access that no new login has confirmed.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(5..=3600))]
    guard_timeout: u16,
    /// Go on with a run that has not ended, where there is one: follow it if it is at work, else plan what is left.
    #[arg(long)]
    resume: bool,
    /// Take back what a run has done on a host where a step fails or something still differs in the end.
    #[arg(long)]
    undo_on_failure: bool,
}

/// Arguments of a rolling run.
#[derive(Debug, Clone, Default, Args)]
pub struct RollArgs {
    /// Hosts in batches of this many, or of this share of all: a batch begins when the one before it has ended.
    #[arg(long, value_name = "N|P%", value_parser = batch_size)]
    serial: Option<Share>,
    /// How many hosts, or which share of all, may fail before no further one begins; with --serial 0 if not given.
    #[arg(long, value_name = "N|P%")]
    max_failures: Option<Share>,
}

/// Makes the hosts what the playbook says.
///
/// # Errors
/// The input is wrong, or the operator said no.
pub fn run(args: &ApplyArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let file = &args.plan.playbook;
    let loaded: Option<SavedPlan<SelectArgs>> = if is_saved_plan(file) { Some(SavedPlan::load(file)?) } else { None };
    let options = match &loaded {
        // How results are shown is the apply's own choice.
        Some(saved) => {
            let mut options = args.plan.clone();
            options.playbook.clone_from(&saved.playbook);
            options.select = saved.select.clone();
            options
        }
        None => args.plan.resolved()?,
    };
    let mut recorder = Recorder::open(&args.plan.record, "apply", who())?;
    let Planned { selection, outcomes, hosts, reporter } = super::plan::plan_all(&options, args.resume, console)?;
    let reporter: Arc<dyn Reporter> = Arc::from(reporter);
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
    let about = RunMetadata {
        who: who(),
        playbook: selection.title(&options.playbook),
        inputs: digest(&selection.all_inputs()),
        stage: None,
        undid: None,
        apply: None,
    };
    let names: Vec<&str> = selection.hosts.iter().map(|host| host.target.name.as_str()).collect();
    recorder.begin(&about, selection.stage(), &names)?;
    let terms = ApplyOptions {
        about,
        guard_timeout: args.guard_timeout,
        undo_on_failure: args.undo_on_failure,
        yes: args.yes,
        ask: Arc::new(report::TerminalAsk::new()),
    };
    let begin = |mut host: Prepared, batch: usize| -> Result<HostOutcome, Box<HostOutcome>> {
        let selected = selection.hosts.iter().find(|selected| selected.target.name == host.plan.name);
        let _lock = selected.map(|selected| recorder.lock(&selected.target, &reporter)).transpose()?;
        // What was seen before the lock, or before other hosts had their turn, may be old.
        if batch > 0 || recorder.locks() {
            refresh(&mut host, args.yes, reporter.as_ref())?;
        }
        Ok(apply_host(host, &terms, reporter.as_ref()))
    };
    let rolling = Rolling { serial: args.roll.serial, max_failures: args.roll.max_failures };
    let turns = turns(&selection, hosts, outcomes);
    let outcomes = roll(turns, &rolling, options.connection.forks(), reporter.as_ref(), |host, batch| {
        begin(host, batch).unwrap_or_else(|given_up| *given_up)
    })?;
    drop(reporter);
    recorder.keep(&outcomes, console);
    show(&options, selection.stage(), &selection.title(&options.playbook), &outcomes, console)?;
    Ok(exit(&outcomes))
}

/// The hosts in the order of the inventory, with those for which there is no plan.
fn turns(selection: &Selection, hosts: Vec<Prepared>, outcomes: Vec<HostOutcome>) -> Vec<QueuedHost<Prepared>> {
    let planned = hosts.into_iter().map(|host| QueuedHost::Waiting(host.plan.name.clone(), host));
    let over = outcomes.into_iter().map(|outcome| QueuedHost::Over(Box::new(outcome)));
    let mut turns: Vec<QueuedHost<Prepared>> = planned.chain(over).collect();
    turns.sort_by_key(|turn| selection.hosts.iter().position(|host| host.target.name == turn.name()));
    turns
}

/// One digest of all input files.
fn digest(inputs: &[(String, Vec<u8>)]) -> String {
    let mut hasher = Sha256::new();
    for (name, bytes) in inputs {
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update(Sha256::digest(bytes));
    }
    hex(&hasher.finalize())
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
