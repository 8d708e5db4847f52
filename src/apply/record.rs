//! What a run leaves on its host, so that it can be shown and undone.
//!
//! In `/var/lib/stockade/runs/<id>/` (root, 0700) stand `meta` (a [`Record`]),
//! `result`, and in `undo/` two answers of the probe: `before`, with the bytes
//! of the files that the run is about to change, and `after`, with digests
//! only. New secrets are in neither; the bytes of a file that was there before
//! are, readable by root alone, as they were in the file itself.

use super::RunId;
use crate::observe::{HostState, Malformed, Queries, Query, probe};
use crate::plan::{HostPlan, Op, StepPlan, Verb};
use crate::shell::{Command, NulByte, Script};
use crate::values::{AbsPath, UnitName, UserName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One run, as its host remembers it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The run's name.
    pub id: String,
    /// When it began (RFC 3339, UTC).
    pub time: String,
    /// Who ran it, as `user@machine`.
    pub who: String,
    /// The playbook's name or file.
    pub playbook: String,
    /// A digest of the playbook's and all other inputs' bytes.
    pub inputs: String,
    /// The stage.
    pub stage: Option<String>,
    /// The run that this one took back.
    pub undid: Option<String>,
    /// The first run of the apply that this one is a later phase of; none for the first itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<String>,
    /// What it was to change, a line a step.
    pub steps: Vec<String>,
    /// What it may have changed.
    pub(super) touched: Vec<Query>,
    /// Homes of users that it made.
    pub(super) homes: Vec<AbsPath>,
    /// Where it moved homes of users to.
    #[serde(default)]
    pub(super) moved: Vec<AbsPath>,
    /// Users whose homes it removed; these cannot be put back.
    #[serde(default)]
    pub(super) removed_homes: Vec<UserName>,
    /// Trees that it removed whole; they cannot be put back.
    pub(super) trees: Vec<AbsPath>,
    /// Units that it restarted or reloaded.
    pub(super) restarted: Vec<UnitName>,
    /// What its changes made pending: restarts, reloads, commands.
    #[serde(default)]
    pub(super) pending: Vec<String>,
    /// Commands that it ran; what they did is not known.
    pub(super) commands: usize,
    pub(super) nonce: String,
}

/// What the operator's side adds to a record.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Who runs it, as `user@machine`.
    pub who: String,
    /// The playbook's name or file.
    pub playbook: String,
    /// A digest of all inputs.
    pub inputs: String,
    /// The stage.
    pub stage: Option<String>,
    /// The run that this one takes back.
    pub undid: Option<String>,
    /// See [`Record::apply`].
    pub apply: Option<String>,
}

impl About {
    /// What the record of an undo says.
    pub fn of_undo(record: &Record, who: &str) -> About {
        About {
            who: who.to_owned(),
            playbook: format!("undo of {}", record.id),
            inputs: record.inputs.clone(),
            stage: record.stage.clone(),
            undid: Some(record.id.clone()),
            apply: None,
        }
    }
}

/// The unit that is to be restarted or reloaded where this is pending.
fn unit_of(pending: &str) -> Option<UnitName> {
    pending.strip_prefix("restart:").or_else(|| pending.strip_prefix("reload:"))?.parse().ok()
}

impl Record {
    /// The record of a run that is about to begin.
    pub(super) fn new(plan: &HostPlan, run: &RunId, about: &About, nonce: String) -> Record {
        let ops = || plan.steps.iter().flat_map(|step| &step.ops);
        let mut touched = Queries::new();
        ops().for_each(|op| touched.extend(op.touches()));
        let homes = ops().filter_map(|op| match op {
            Op::UserAdd { home, .. } => home.clone(),
            _ => None,
        });
        let moved = ops().filter_map(|op| match op {
            Op::UserChange { home, move_home: true, .. } => home.clone(),
            _ => None,
        });
        let removed_homes = ops().filter_map(|op| match op {
            Op::UserRemove { name, remove_home: true } => Some(name.clone()),
            _ => None,
        });
        let trees = ops().filter_map(|op| match op {
            Op::Remove { path, recursive: true } => Some(path.clone()),
            _ => None,
        });
        let restarted = ops().filter_map(|op| match op {
            Op::Systemctl { verb: Verb::Restart | Verb::Reload, unit } | Op::Pending { unit, .. } => Some(unit.clone()),
            _ => None,
        });
        let differing = plan.steps.iter().filter(|step| !step.ops.is_empty());
        let pending: Vec<String> = differing.clone().flat_map(StepPlan::makes_pending).collect();
        // What these changes ask for may be done by a later phase; it is these that a
        // unit must take up again when they are taken back.
        let asked_for: Vec<UnitName> = pending.iter().filter_map(|name| unit_of(name)).collect();
        touched.extend(asked_for.iter().cloned().map(Query::Unit));
        Record {
            id: run.to_string(),
            time: jiff::Timestamp::now().to_string(),
            who: about.who.clone(),
            playbook: about.playbook.clone(),
            inputs: about.inputs.clone(),
            stage: about.stage.clone(),
            undid: about.undid.clone(),
            apply: about.apply.clone(),
            steps: differing
                .map(|step| format!("{:?} {} {}", step.action, step.kind, step.name).to_lowercase())
                .collect(),
            touched: touched.iter().cloned().collect(),
            homes: homes.collect(),
            moved: moved.collect(),
            removed_homes: removed_homes.collect(),
            trees: trees.collect(),
            restarted: restarted.chain(asked_for).collect(),
            pending,
            commands: ops().filter(|op| matches!(op, Op::Run { .. } | Op::Exec { .. })).count(),
            nonce,
        }
    }

    /// The first run of the apply that it belongs to.
    pub fn first_of_apply(&self) -> &str {
        self.apply.as_deref().unwrap_or(&self.id)
    }

    /// What the run may have changed, as questions with the files' bytes.
    pub fn questions(&self) -> Queries {
        let mut queries = Queries::new();
        queries.extend(self.touched.iter().cloned());
        queries
    }

    /// The same questions with digests in place of bytes.
    fn digests(&self) -> Queries {
        let mut queries = Queries::new();
        queries.extend(self.touched.iter().cloned().map(|query| match query {
            Query::Content(path) => Query::Digest(path),
            other => other,
        }));
        queries
    }

    /// The program that writes down what is there before the run.
    pub(super) fn before(&self) -> Result<String, NulByte> {
        self.program(&self.questions())
    }

    /// The program that writes down what is there after the run.
    pub(super) fn after(&self) -> Result<String, NulByte> {
        self.program(&self.digests())
    }

    /// The program that ends the run in place of its runner.
    pub(super) fn settle(&self) -> Result<String, NulByte> {
        let mut script = Script::new();
        script.set("ID", &self.id).line(include_str!("settle.sh"));
        // A run that has told its result has left nothing half-made.
        script.line("[ \"$1\" != dead ] || [ ! -e \"$R/result\" ] || { rm -rf -- \"$P\"; exit 0; }");
        let questions = self.questions();
        let folders: BTreeSet<AbsPath> = questions
            .iter()
            .filter_map(|query| match query {
                Query::Content(path) | Query::Path(path) => path.parent(),
                _ => None,
            })
            .collect();
        folders.iter().for_each(|folder| _ = script.run(Command::new("clean").arg(folder)));
        script.line("if [ \"$1\" = dead ]; then dead; else settled \"$1\"; fi");
        Ok(script.build()?.to_owned())
    }

    fn program(&self, queries: &Queries) -> Result<String, NulByte> {
        let mut script = Script::new();
        script.set("N", &self.nonce).append(&probe::program(queries, false));
        Ok(script.build()?.to_owned())
    }

    /// What was there before the run and after it, from what the host kept.
    ///
    /// # Errors
    /// The host did not keep it whole.
    pub fn states(&self, before: &[u8], after: &[u8]) -> Result<(HostState, HostState), Malformed> {
        let (mut then, mut now) = (HostState::default(), HostState::default());
        probe::read_reply(&mut then, &self.questions(), false, &self.nonce, before)?;
        probe::read_reply(&mut now, &self.digests(), false, &self.nonce, after)?;
        Ok((then, now))
    }
}
