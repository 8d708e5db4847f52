//! `undo`: puts back what a run changed, and `history`: the runs of a host.

use super::operator::{confirm, exit, who};
use super::records::{self, RecordArgs, Recorder, counted};
use super::select::HostArgs;
use super::{Exit, exit_of};
use crate::apply::{Record, RunMetadata};
use crate::engine::{ApplyOptions, Host, Remote, Replan, Runs, carry_out, for_each_host, look_again};
use crate::plan::HostPlan;
use crate::report::{self, Console, HostOutcome, HostStatus, Reporter, TextOptions};
use crate::transport::{Ask, Connector, Policy, Target};
use clap::Args;
use std::sync::Arc;

/// Arguments of `undo`.
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The host, as the inventory names it, or its address.
    #[arg(value_name = "HOST")]
    name: String,
    /// The run to take back, as `history` names it; without it all phases of the last apply.
    run: Option<String>,
    #[command(flatten)]
    hosts: HostArgs,
    /// Remove packages that the run installed, bring back those it removed, and others to their former versions.
    #[arg(long)]
    packages: bool,
    /// Only show what would be put back.
    #[arg(long)]
    plan: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    record: RecordArgs,
    /// Seconds until the host puts back a change of access that no new login has confirmed.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(5..=3600))]
    guard_timeout: u16,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only this host, as the inventory names it, or its address.
    #[arg(value_name = "HOST")]
    name: Option<String>,
    /// From the records of applies, without asking a host.
    #[arg(long)]
    records: bool,
    /// The scores of audits that were kept with --record, without asking a host.
    #[arg(long, conflicts_with = "records")]
    audits: bool,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    hosts: HostArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A host whose last words were a run, and what is to become of it.
struct Undoing<'a> {
    host: Remote,
    record: &'a Record,
    packages: bool,
}

impl Replan for Undoing<'_> {
    fn host(&mut self) -> &mut dyn Host {
        &mut self.host
    }

    fn plan_again(&mut self) -> anyhow::Result<HostPlan> {
        Runs::new(&mut self.host).plan_undo(self.record, self.packages)
    }
}

fn connector(target: Target, ask: &Arc<dyn Ask>) -> Connector {
    Connector { target, policy: Policy::default(), ask: Arc::clone(ask) }
}

/// Puts back what a run changed.
///
/// # Errors
/// The host cannot be reached, there is no such run, or the operator said no.
pub fn undo(args: &UndoArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let ask: Arc<dyn Ask> = Arc::new(report::TerminalAsk::new());
    let target = args.hosts.target_named(&args.name)?;
    let name = target.name.clone();
    let mut recorder = Recorder::open(&args.record, "undo", who())?;
    let reporter: Arc<dyn Reporter> = Arc::from(report::reporter(console, false));
    let lock = if args.plan { Ok(None) } else { recorder.lock(&target, &reporter) };
    let Ok(_lock) = lock else { return Ok(Exit::Failed) };
    let mut remote = Remote::open(connector(target, &ask))?;
    let history = Runs::new(&mut remote).history()?;
    let chosen = chosen(&history, args.run.as_deref());
    let Some((last, result)) = chosen.first() else {
        anyhow::bail!("{}: there is no such run; 'stockade history' lists them. Nothing was touched", args.name);
    };
    if result == "unfinished" {
        remote.settle(&last.id, reporter.as_ref())?;
    }
    let records: Vec<&Record> = chosen.iter().map(|(record, _)| record).collect();
    let plans = Runs::new(&mut remote).plan_undo_all(&records, args.packages)?;
    for (record, plan) in records.iter().zip(&plans) {
        console.line(&format!("undo of run {} ({}, {})", record.id, record.playbook, record.time));
        console
            .print(&report::plan_text(std::slice::from_ref(plan), TextOptions { verbose: true, color: console.color }));
    }
    let nothing_to_do = plans.iter().all(HostPlan::is_empty);
    let taken_back = |(other, result): &&(Record, String)| result == "ok" && other.undid.as_ref() == Some(&last.id);
    if let (true, Some((by, _))) = (nothing_to_do, history.iter().rev().find(taken_back)) {
        console.line(&format!("run {} took it back already; name the run that is to be taken back", by.id));
    }
    if args.plan || nothing_to_do {
        return Ok(Exit::Done);
    }
    if !args.yes {
        confirm(console, reporter.as_ref(), 1)?;
    }
    let terms = |record: &Record| ApplyOptions {
        about: RunMetadata::of_undo(record, &who()),
        guard_timeout: args.guard_timeout,
        undo_on_failure: false,
        yes: args.yes,
        ask: Arc::clone(&ask),
    };
    let about = terms(last).about;
    recorder.begin(&about, about.stage.as_deref(), &[&name])?;
    let mut outcome: Option<HostOutcome> = None;
    let mut host = Undoing { host: remote, record: last, packages: args.packages };
    for record in records {
        host.record = record;
        // What was left for the last one is looked at as it is by now.
        let plan = look_again(&mut host, &name, reporter.as_ref())?;
        if plan.is_empty() {
            continue;
        }
        let next = carry_out(&plan, &terms(record), reporter.as_ref(), &mut host);
        let goes_on = next.ending == HostStatus::Converged;
        outcome = Some(match outcome {
            Some(before) => both(before, next),
            None => next,
        });
        if !goes_on {
            break;
        }
    }
    drop(reporter);
    let outcomes: Vec<HostOutcome> = outcome.into_iter().collect();
    recorder.keep(&outcomes, console);
    console.print(&report::apply_text(&outcomes, TextOptions { verbose: false, color: console.color }));
    Ok(exit(&outcomes))
}

/// The runs to be taken back, the newest first: the one that is named, or all
/// phases of the last apply.
fn chosen<'a>(history: &'a [(Record, String)], named: Option<&str>) -> Vec<&'a (Record, String)> {
    let counts = |(record, result): &&(Record, String)| result != "locked" && record.undid.is_none();
    match named {
        Some(run) => history.iter().filter(|(record, _)| record.id == run).collect(),
        None => {
            let first = history.iter().rev().find(counts).map(|(record, _)| first_of(record, history));
            let belongs = |(record, _): &&(Record, String)| Some(first_of(record, history)) == first;
            history.iter().rev().filter(counts).filter(belongs).collect()
        }
    }
}

/// The first run of the apply that a run belongs to. One that was resumed names
/// the phase after which it had been cut.
fn first_of<'a>(record: &'a Record, history: &'a [(Record, String)]) -> &'a str {
    let mut first = record.first_of_apply();
    for _ in history {
        let above = history.iter().map(|(other, _)| other).find(|other| other.id == first);
        first = above.map_or(first, Record::first_of_apply);
    }
    first
}

/// Two undone runs as one outcome: that of the second, with what the first has done.
fn both(first: HostOutcome, second: HostOutcome) -> HostOutcome {
    HostOutcome {
        runs: [first.runs, second.runs].concat(),
        changed: first.changed + second.changed,
        seconds: first.seconds + second.seconds,
        steps: [first.steps, second.steps].concat(),
        ..second
    }
}

/// Lists the runs of hosts.
///
/// # Errors
/// The input is wrong. A host that cannot be reached is named on standard error.
pub fn history(args: &HistoryArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let ask: Arc<dyn Ask> = Arc::new(report::TerminalAsk::new());
    if args.audits {
        return super::audit_records::list(&args.record, args.name.as_deref(), args.json, console);
    }
    if args.records || args.record.given() {
        return records::list(&args.record, args.name.as_deref(), args.json, console);
    }
    let targets = match &args.name {
        Some(name) => vec![args.hosts.target_named(name)?],
        None => args.hosts.targets()?,
    };
    let results = for_each_host(targets, 20, |target| {
        let name = target.name.clone();
        let history = || Runs::new(&mut Remote::open(connector(target, &ask))?).history();
        (name.clone(), history())
    })?;
    let mut exit = Exit::Done;
    let mut all = serde_json::Map::new();
    for (name, result) in results {
        match result {
            Err(error) => {
                console.remark(&format!("{error:#}"));
                exit = exit_of(&error);
            }
            Ok(runs) if args.json => {
                let run = |(record, result): &(Record, String)| {
                    serde_json::json!({
                        "id": record.id, "time": record.time, "who": record.who, "playbook": record.playbook,
                        "inputs": record.inputs, "stage": record.stage, "undid": record.undid,
                        "apply": first_of(record, &runs),
                        "changes": record.steps, "result": result,
                    })
                };
                all.insert(name, runs.iter().map(run).collect());
            }
            Ok(runs) => {
                console.line(&format!("{name}: {}", counted(runs.len())));
                for (record, result) in &runs {
                    let stage = record.stage.as_ref().map(|stage| format!(" [{stage}]")).unwrap_or_default();
                    let phase = phase(record, &runs);
                    let changes = record.steps.len();
                    console.line(&report::visible(&format!(
                        "  {}  {result:<10}  {changes} changes  {}{stage}  by {}{phase}",
                        record.id, record.playbook, record.who
                    )));
                }
            }
        }
    }
    if args.json {
        console.line(&serde_json::to_string_pretty(&serde_json::json!({ "format_version": 1, "hosts": all }))?);
    }
    Ok(exit)
}

/// Which phase of its apply a run is, where that has several.
fn phase(record: &Record, runs: &[(Record, String)]) -> String {
    let first = first_of(record, runs);
    let phases: Vec<&str> =
        runs.iter().map(|(other, _)| other).filter(|other| first_of(other, runs) == first).map(|r| &*r.id).collect();
    match phases.iter().position(|id| *id == record.id) {
        Some(at) if phases.len() > 1 => {
            let of = if at == 0 { String::new() } else { format!(" of the apply that began with run {first}") };
            format!("  (phase {}{of})", at + 1)
        }
        _ => String::new(),
    }
}
