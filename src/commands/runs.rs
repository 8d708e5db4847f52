//! The runs that a host remembers: what they did, and what ends one that has
//! lost its runner.

use super::RunFailed;
use super::engine::look;
use crate::apply::{LOCK, Line, Reach, Record, States, UndoPackages, Watch, follow, plan_undo};
use crate::observe::{HostState, Query};
use crate::plan::HostPlan;
use crate::report::{Event, Reporter};
use crate::shell::Script;
use crate::transport::Session;
use anyhow::Context;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the program that settles a run ends with if somebody else is at work.
const LOCKED: i32 = 3;
const LOOK: Duration = Duration::from_secs(120);
/// How often a run is followed whose runner cannot be told from a dead one.
const ATTEMPTS: usize = 5;

/// A host whose runs are of interest.
pub(super) struct Runs<'a> {
    session: &'a mut Session,
    name: &'a str,
}

impl<'a> Runs<'a> {
    /// Asked over this conversation.
    pub(super) fn new(session: &'a mut Session, name: &'a str) -> Runs<'a> {
        Runs { session, name }
    }

    fn read(&mut self, script: &Script) -> anyhow::Result<Vec<u8>> {
        let reply = self.session.run(script, &[], LOOK)?;
        if reply.code == 0 {
            return Ok(reply.output);
        }
        Err(RunFailed(format!("{}: {}", self.name, String::from_utf8_lossy(&reply.output).trim())).into())
    }

    /// The records of all runs with their results, oldest first.
    pub(super) fn history(&mut self) -> anyhow::Result<Vec<(Record, String)>> {
        let mut script = Script::new();
        script.line(
            "for r in /var/lib/stockade/runs/*/; do [ -f \"$r/meta\" ] || continue; cat \"$r/meta\"; printf '\\n%s\\n%s\\n' \
             \"$(cat \"$r/result\" 2>/dev/null || echo unfinished)\" \"$(cat \"$r/number\" 2>/dev/null || echo 0)\"; done",
        );
        let output = String::from_utf8_lossy(&self.read(&script)?).into_owned();
        let lines: Vec<&str> = output.lines().collect();
        let record = |pair: &[&str]| {
            let record = serde_json::from_str(pair[0]).with_context(|| format!("{}: a damaged record", self.name))?;
            Ok((pair[2].parse::<u64>().unwrap_or(0), record, pair[1].to_owned()))
        };
        let mut runs = lines.chunks_exact(3).map(record).collect::<anyhow::Result<Vec<(u64, Record, String)>>>()?;
        // By name they are sorted by the controllers' clocks, which decide only where the host has not counted.
        runs.sort_by_key(|(number, _, _)| *number);
        Ok(runs.into_iter().map(|(_, record, result)| (record, result)).collect())
    }

    /// Whether a run ended before its first operation, so that it may not even
    /// have written down what was there.
    fn never_began(&mut self, record: &Record) -> anyhow::Result<bool> {
        let mut script = Script::new();
        script.set("J", &format!("/var/lib/stockade/runs/{}/journal", record.id));
        script.line("! [ -e \"$J\" ] || grep -q '^B ' \"$J\" || echo none");
        Ok(self.read(&script)? == b"none\n")
    }

    /// What a run found and left, and what is there now, which `planned` would
    /// have changed by then.
    fn states(&mut self, record: &Record, planned: &[HostPlan]) -> anyhow::Result<States> {
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
        look(self.session, &mut now, &questions, true)?;
        let ops = planned.iter().flat_map(|plan| &plan.steps).flat_map(|step| &step.ops);
        ops.for_each(|op| op.effect(&mut now));
        Ok(States { before, after, now })
    }

    /// What takes a run back.
    ///
    /// # Errors
    /// The host did not keep what it takes, or cannot be read.
    pub(super) fn plan_undo(&mut self, record: &Record, packages: bool) -> anyhow::Result<HostPlan> {
        if self.never_began(record)? {
            return Ok(HostPlan::new(self.name, Vec::new()));
        }
        self.plan_undo_after(record, packages, &[])
    }

    /// What takes runs back, one after the other, the newest first: each planned
    /// on what those before it leave.
    ///
    /// # Errors
    /// The host did not keep what it takes, or cannot be read.
    pub(super) fn plan_undo_all(&mut self, records: &[&Record], packages: bool) -> anyhow::Result<Vec<HostPlan>> {
        let mut plans = Vec::with_capacity(records.len());
        for record in records {
            let plan = match self.never_began(record)? {
                true => HostPlan::new(self.name, Vec::new()),
                false => self.plan_undo_after(record, packages, &plans)?,
            };
            plans.push(plan);
        }
        Ok(plans)
    }

    fn plan_undo_after(&mut self, record: &Record, packages: bool, before: &[HostPlan]) -> anyhow::Result<HostPlan> {
        let mut states = self.states(record, before)?;
        let mut refused = BTreeMap::new();
        // What apt is asked may raise further questions, but not for ever.
        for _ in 0..16 {
            let how = if packages { UndoPackages::Restore(refused.clone()) } else { UndoPackages::Leave };
            let undo = plan_undo(self.name, record, &states, &how).map_err(|error| RunFailed(error.to_string()))?;
            if undo.wants.is_empty() && undo.refused.is_empty() {
                return Ok(undo.plan);
            }
            refused.extend(undo.refused);
            look(self.session, &mut states.now, &undo.wants, false)?;
        }
        Err(RunFailed(format!("{}: apt on this host gives other answers each time it is asked", self.name)).into())
    }
}

/// Follows a run that has no result to its end, or ends it if its runner has
/// died. Guards that are open are confirmed, or put back by the host.
///
/// # Errors
/// The host cannot be reached, or another run is at work.
pub(super) fn settle(reach: &mut Reach<'_>, name: &str, run: &str, reporter: &dyn Reporter) -> anyhow::Result<String> {
    let say = |text: &str| reporter.event(&Event::Notice { host: Some(name), text });
    say(&format!("run {run} has not ended; following it"));
    // Somebody else may settle it at the same time: then it is done when the lock is free.
    let mut script = Script::new();
    script.set("R", &format!("/var/lib/stockade/runs/{run}")).line(LOCK).line(
        "take_lock 10 || { cat \"$L\"; exit 3; }\n\
         [ -e \"$R/settle\" ] || { rm -rf -- \"$R\"; exit 0; }\n\
         [ -e \"$R/result\" ] || sh \"$R/settle\" interrupted </dev/null >/dev/null 2>&1 9>&-\n\
         cat \"$R/result\" 2>/dev/null || :",
    );
    let mut tries = 0;
    let answer = loop {
        let told = follow(reach, run, None, &mut Follower { name, reporter });
        let result = match told {
            Ok(told) => told.result,
            // A run that never got as far as a journal.
            Err(crate::apply::ApplyError::Lost(_)) => String::new(),
            Err(crate::apply::ApplyError::Transport(error)) => return Err(error.into()),
            Err(error) => return Err(RunFailed(format!("{name}: {error}")).into()),
        };
        if !result.is_empty() {
            break result;
        }
        let reply = reach.session.run(&script, &[], LOOK)?;
        let answer = String::from_utf8_lossy(&reply.output).trim().to_owned();
        tries += 1;
        match reply.code {
            0 => break answer,
            // It is this very run that holds the lock: its runner had only not begun.
            LOCKED if answer.ends_with(run) && tries < ATTEMPTS => {}
            LOCKED => {
                return Err(RunFailed(format!("{name}: another run is at work on this host: {answer}")).into());
            }
            _ => return Err(RunFailed(format!("{name}: run {run} cannot be ended on this host: {answer}")).into()),
        }
    };
    if !answer.is_empty() && answer != "interrupted" {
        say(&format!("run {run} has ended: {answer}"));
        return Ok(answer);
    }
    say(&format!("run {run} was interrupted on the host; what is left to do is planned anew"));
    Ok("interrupted".to_owned())
}

/// Tells of a run that somebody else began: its steps are not known here.
struct Follower<'a> {
    name: &'a str,
    reporter: &'a dyn Reporter,
}

impl Watch for Follower<'_> {
    fn line(&mut self, line: &Line) {
        let text = match line {
            Line::Ended(number) => format!("operation {number} is done"),
            Line::Failed(number, code, _) => format!("operation {number} failed with exit code {code}"),
            Line::Reverted(_, why) => format!("a change of access was put back: {why}"),
            Line::Noted(text) => text.clone(),
            _ => return,
        };
        self.notice(&text);
    }

    fn notice(&mut self, text: &str) {
        self.reporter.event(&Event::Notice { host: Some(self.name), text });
    }
}
