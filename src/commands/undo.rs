//! `undo`: puts back what a run changed, and `history`: the runs of a host.

use super::apply::{confirm, exit, who};
use super::carry_out::carry_out;
use super::engine::{for_each_host, look};
use super::records::{self, RecordArgs, Recorder};
use super::select::HostArgs;
use super::{Exit, RunFailed, exit_of};
use crate::apply::{About, Record, States, plan_undo};
use crate::observe::{HostState, Query};
use crate::plan::HostPlan;
use crate::report::{self, Console, Reporter, TextOptions};
use crate::shell::Script;
use crate::transport::{self, Ask, Policy, Session, Target};
use anyhow::Context;
use clap::Args;
use std::sync::Arc;
use std::time::Duration;

const LOOK: Duration = Duration::from_secs(120);

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
    /// Remove packages that the run installed, and bring back those it removed.
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

/// A connection to a host whose runs are of interest.
struct Open {
    session: Session,
    name: String,
}

impl Open {
    fn new(target: &Target, ask: &Arc<dyn Ask>) -> anyhow::Result<Open> {
        let link = transport::connect(target, &Policy::default(), ask)?;
        Ok(Open { session: Session::open(&target.name, link)?, name: target.name.clone() })
    }

    fn read(&mut self, script: &Script) -> anyhow::Result<Vec<u8>> {
        let reply = self.session.run(script, &[], LOOK)?;
        if reply.code == 0 {
            return Ok(reply.output);
        }
        Err(RunFailed(format!("{}: {}", self.name, String::from_utf8_lossy(&reply.output).trim())).into())
    }

    /// The records of all runs with their results, oldest first.
    fn history(&mut self) -> anyhow::Result<Vec<(Record, String)>> {
        let mut script = Script::new();
        script.line(
            "for r in /var/lib/stockade/runs/*/; do [ -f \"$r/meta\" ] || continue; cat \"$r/meta\"; printf '\\n%s\\n' \
             \"$(cat \"$r/result\" 2>/dev/null || echo unfinished)\"; done",
        );
        let output = String::from_utf8_lossy(&self.read(&script)?).into_owned();
        let lines: Vec<&str> = output.lines().collect();
        let record = |pair: &[&str]| {
            let record = serde_json::from_str(pair[0]).with_context(|| format!("{}: a damaged record", self.name))?;
            Ok((record, pair[1].to_owned()))
        };
        lines.chunks_exact(2).map(record).collect()
    }

    /// What a run found and left, and what is there now.
    fn states(&mut self, record: &Record) -> anyhow::Result<States> {
        let mut halves = Vec::new();
        for half in ["before", "after"] {
            let mut script = Script::new();
            script.set("F", &format!("/var/lib/stockade/runs/{}/undo/{half}", record.id));
            script.line("cat -- \"$F\" 2>/dev/null || { echo \"the run kept no state to go back to\"; exit 1; }");
            halves.push(self.read(&script)?);
        }
        let (before, after) = record.states(&halves[0], &halves[1]).map_err(|e| RunFailed(e.to_string()))?;
        let mut questions = record.questions();
        // A directory that the run made goes only if nothing else is in it by then.
        let made = |query: &Query| match query {
            Query::Path(path) => Some(Query::Names(path.clone())),
            _ => None,
        };
        questions.extend(record.questions().iter().filter_map(made).collect::<Vec<_>>());
        let mut now = HostState::default();
        look(&mut self.session, &mut now, &questions, true)?;
        Ok(States { before, after, now })
    }

    fn plan(&mut self, record: &Record, packages: bool) -> anyhow::Result<HostPlan> {
        let states = self.states(record)?;
        plan_undo(&self.name, record, &states, packages).map_err(|error| RunFailed(error.to_string()).into())
    }
}

/// Puts back what a run changed.
///
/// # Errors
/// The host cannot be reached, there is no such run, or the operator said no.
pub fn undo(args: &UndoArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let ask: Arc<dyn Ask> = Arc::new(report::TerminalAsk::new());
    let target = args.hosts.target_named(&args.name)?;
    let mut recorder = Recorder::open(&args.record, "undo", who())?;
    let reporter: Arc<dyn Reporter> = Arc::from(report::reporter(console, false));
    let lock = if args.plan { Ok(None) } else { recorder.lock(&target, &reporter) };
    let Ok(_lock) = lock else { return Ok(Exit::Failed) };
    let mut host = Open::new(&target, &ask)?;
    let history = host.history()?;
    let record = match &args.run {
        Some(run) => history.iter().find(|(record, _)| record.id == *run),
        None => history.iter().rev().find(|(record, result)| result != "locked" && record.undid.is_none()),
    };
    let Some((record, result)) = record else {
        anyhow::bail!("{}: there is no such run; 'stockade history' lists them. Nothing was touched", args.name);
    };
    anyhow::ensure!(result != "unfinished", "{}: run {} has not ended; nothing was touched", args.name, record.id);

    let plan = host.plan(record, args.packages)?;
    console.line(&format!("undo of run {} ({}, {})", record.id, record.playbook, record.time));
    let shown: Vec<HostPlan> = vec![plan.clone()];
    console.print(&report::plan_text(&shown, TextOptions { verbose: true, color: console.color }));
    if args.plan || plan.is_empty() {
        return Ok(Exit::Done);
    }
    if !args.yes {
        confirm(console, reporter.as_ref(), 1)?;
    }
    let about = About {
        who: who(),
        playbook: format!("undo of {}", record.id),
        inputs: record.inputs.clone(),
        stage: record.stage.clone(),
        undid: Some(record.id.clone()),
    };
    recorder.begin(&about, about.stage.as_deref(), &[&args.name])?;
    let (outcome, _) =
        carry_out(&plan, &about, reporter.as_ref(), &mut host, |h| &mut h.session, |h| h.plan(record, args.packages));
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
        (target.name.clone(), Open::new(&target, &ask).and_then(|mut host| host.history()))
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
                console.line(&format!("{name}: {} runs", runs.len()));
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
