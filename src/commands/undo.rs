//! `undo`: puts back what a run changed, and `history`: the runs of a host.

use super::apply::{confirm, exit, who};
use super::carry_out::{Terms, Worked, carry_out};
use super::engine::for_each_host;
use super::records::{self, RecordArgs, Recorder};
use super::runs::{Runs, settle};
use super::select::HostArgs;
use super::{Exit, exit_of};
use crate::apply::{About, Reach, Record};
use crate::plan::HostPlan;
use crate::report::{self, Console, Reporter, TextOptions};
use crate::transport::{Ask, Connector, Policy, Session, Target};
use clap::Args;
use std::sync::Arc;

/// Arguments of `undo`.
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// The host, as the inventory names it, or its address.
    #[arg(value_name = "HOST")]
    name: String,
    /// The run to take back, as `history` names it; without it the last one.
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
    connector: Connector,
    session: Session,
    record: &'a Record,
    packages: bool,
}

impl Worked for Undoing<'_> {
    fn reach(&mut self) -> Reach<'_> {
        Reach { session: &mut self.session, dial: &mut self.connector }
    }

    fn plan_again(&mut self, name: &str) -> anyhow::Result<HostPlan> {
        Runs::new(&mut self.session, name).plan_undo(self.record, self.packages)
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
    let mut connector = connector(target, &ask);
    let mut session = connector.open()?;
    let history = Runs::new(&mut session, &name).history()?;
    let record = match &args.run {
        Some(run) => history.iter().find(|(record, _)| record.id == *run),
        None => history.iter().rev().find(|(record, result)| result != "locked" && record.undid.is_none()),
    };
    let Some((record, result)) = record else {
        anyhow::bail!("{}: there is no such run; 'stockade history' lists them. Nothing was touched", args.name);
    };
    if result == "unfinished" {
        settle(&mut Reach { session: &mut session, dial: &mut connector }, &name, &record.id, reporter.as_ref())?;
    }
    let mut host = Undoing { connector, session, record, packages: args.packages };
    let plan = host.plan_again(&name)?;
    console.line(&format!("undo of run {} ({}, {})", record.id, record.playbook, record.time));
    let shown: Vec<HostPlan> = vec![plan.clone()];
    console.print(&report::plan_text(&shown, TextOptions { verbose: true, color: console.color }));
    let taken_back = |(other, result): &&(Record, String)| result == "ok" && other.undid.as_ref() == Some(&record.id);
    if let (true, Some((by, _))) = (plan.is_empty(), history.iter().rev().find(taken_back)) {
        console.line(&format!("run {} took it back already; name the run that is to be taken back", by.id));
    }
    if args.plan || plan.is_empty() {
        return Ok(Exit::Done);
    }
    if !args.yes {
        confirm(console, reporter.as_ref(), 1)?;
    }
    let about = About::of_undo(record, &who());
    let terms = Terms { about, guard_timeout: args.guard_timeout, undo_on_failure: false, yes: args.yes };
    recorder.begin(&terms.about, terms.about.stage.as_deref(), &[&name])?;
    let outcome = carry_out(&plan, &terms, reporter.as_ref(), &mut host);
    drop(reporter);
    let outcomes = [outcome];
    recorder.keep(&outcomes, console);
    console.print(&report::apply_text(&outcomes, TextOptions { verbose: false, color: console.color }));
    Ok(exit(&outcomes))
}

/// Lists the runs of hosts.
///
/// # Errors
/// The input is wrong. A host that cannot be reached is named on standard error.
pub fn history(args: &HistoryArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let ask: Arc<dyn Ask> = Arc::new(report::TerminalAsk::new());
    if args.records || args.record.given() {
        return records::list(&args.record, args.name.as_deref(), args.json, console);
    }
    let targets = match &args.name {
        Some(name) => vec![args.hosts.target_named(name)?],
        None => args.hosts.targets()?,
    };
    let results = for_each_host(targets, 20, |target| {
        let name = target.name.clone();
        let history = || Runs::new(&mut connector(target, &ask).open()?, &name).history();
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
                        "changes": record.steps, "result": result,
                    })
                };
                all.insert(name, runs.iter().map(run).collect());
            }
            Ok(runs) => {
                console.line(&format!("{name}: {}", counted(runs.len())));
                for (record, result) in &runs {
                    let stage = record.stage.as_ref().map(|stage| format!(" [{stage}]")).unwrap_or_default();
                    let changes = record.steps.len();
                    console.line(&report::visible(&format!(
                        "  {}  {result:<10}  {changes} changes  {}{stage}  by {}",
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

/// `1 run`, `2 runs`.
pub(super) fn counted(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}
