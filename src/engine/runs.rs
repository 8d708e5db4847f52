//! The runs that a host remembers: what they did, and what takes them back.

use super::{Host, RunFailed};
use crate::apply::{Record, States, UndoPackages, plan_undo};
use crate::observe::{HostState, PredictedState, Query};
use crate::plan::HostPlan;
use crate::shell::Script;
use anyhow::Context;
use std::collections::BTreeMap;

/// A host whose runs are of interest.
pub struct Runs<'a> {
    host: &'a mut dyn Host,
}

impl<'a> Runs<'a> {
    /// Those of this host.
    pub fn new(host: &'a mut dyn Host) -> Runs<'a> {
        Runs { host }
    }

    /// The records of all runs with their results, oldest first.
    ///
    /// # Errors
    /// The host cannot be reached, or a record cannot be read.
    pub fn history(&mut self) -> anyhow::Result<Vec<(Record, String)>> {
        let mut script = Script::new();
        script.line(
            "for r in /var/lib/stockade/runs/*/; do [ -f \"$r/meta\" ] || continue; cat \"$r/meta\"; printf '\\n%s\\n%s\\n' \
             \"$(cat \"$r/result\" 2>/dev/null || echo unfinished)\" \"$(cat \"$r/number\" 2>/dev/null || echo 0)\"; done",
        );
        let output = String::from_utf8_lossy(&self.host.read(&script)?).into_owned();
        let lines: Vec<&str> = output.lines().collect();
        let name = self.host.name();
        let record = |pair: &[&str]| {
            let record = serde_json::from_str(pair[0]).with_context(|| format!("{name}: a damaged record"))?;
            let number = pair[2].parse::<u64>().with_context(|| format!("{name}: a damaged number of a run"))?;
            Ok((number, record, pair[1].to_owned()))
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
        Ok(self.host.read(&script)? == b"none\n")
    }

    /// What a run found and left, and what is there now, which `planned` would
    /// have changed by then.
    fn states(&mut self, record: &Record, packages: bool, planned: &[HostPlan]) -> anyhow::Result<(Record, States)> {
        let mut halves = Vec::new();
        for half in ["before", "after"] {
            let mut script = Script::new();
            script.set("F", &format!("/var/lib/stockade/runs/{}/undo/{half}", record.id));
            script.line("cat -- \"$F\" 2>/dev/null || { echo \"the run kept no state to go back to\"; exit 1; }");
            halves.push(self.host.read(&script)?);
        }
        let (mut before, after) = record.states(&halves[0], &halves[1]).map_err(|e| RunFailed(e.to_string()))?;
        let mut found = Vec::new();
        for number in 1..=record.found_later() {
            let mut script = Script::new();
            script.set("F", &format!("/var/lib/stockade/runs/{}/undo/found-{number}", record.id));
            // What the run did not come to it has not changed.
            script.line("! [ -e \"$F\" ] || cat -- \"$F\"");
            found.push(Some(self.host.read(&script)?).filter(|kept| !kept.is_empty()));
        }
        let record = record.reached(&mut before, &found, packages).map_err(|e| RunFailed(e.to_string()))?;
        let mut questions = record.questions();
        // A directory that the run made goes only if nothing else is in it by then.
        let made = |query: &Query| match query {
            Query::Path(path) => Some(Query::Names(path.clone())),
            _ => None,
        };
        questions.extend(record.questions().iter().filter_map(made).collect::<Vec<_>>());
        questions.extend(record.in_homes().map(Query::Run));
        let mut now = HostState::default();
        self.host.look(&mut now, &questions, true)?;
        let ops = planned.iter().flat_map(|plan| &plan.steps).flat_map(|step| &step.ops);
        let mut now = PredictedState::of(&now);
        ops.for_each(|op| op.effect(&mut now));
        Ok((record, States { before, after, now }))
    }

    /// What takes a run back.
    ///
    /// # Errors
    /// The host did not keep what it takes, or cannot be read.
    pub fn plan_undo(&mut self, record: &Record, packages: bool) -> anyhow::Result<HostPlan> {
        if self.never_began(record)? {
            return Ok(HostPlan::new(self.host.name(), Vec::new()));
        }
        self.plan_undo_after(record, packages, &[])
    }

    /// What takes runs back, one after the other, the newest first: each planned
    /// on what those before it leave.
    ///
    /// # Errors
    /// The host did not keep what it takes, or cannot be read.
    pub fn plan_undo_all(&mut self, records: &[&Record], packages: bool) -> anyhow::Result<Vec<HostPlan>> {
        let mut plans = Vec::with_capacity(records.len());
        for record in records {
            let plan = match self.never_began(record)? {
                true => HostPlan::new(self.host.name(), Vec::new()),
                false => self.plan_undo_after(record, packages, &plans)?,
            };
            plans.push(plan);
        }
        Ok(plans)
    }

    fn plan_undo_after(&mut self, record: &Record, packages: bool, before: &[HostPlan]) -> anyhow::Result<HostPlan> {
        let (record, mut states) = self.states(record, packages, before)?;
        let mut refused = BTreeMap::new();
        // What apt is asked may raise further questions, but not for ever.
        for _ in 0..16 {
            let how = if packages { UndoPackages::Restore(refused.clone()) } else { UndoPackages::Leave };
            let undo =
                plan_undo(self.host.name(), &record, &states, &how).map_err(|error| RunFailed(error.to_string()))?;
            if undo.follow_up_queries.is_empty() && undo.refused.is_empty() {
                return Ok(undo.plan);
            }
            refused.extend(undo.refused);
            states.now.ask_further(|now| self.host.look(now, &undo.follow_up_queries, false))?;
        }
        Err(RunFailed(format!("{}: apt on this host gives other answers each time it is asked", self.host.name()))
            .into())
    }
}
