//! What a run leaves on its host, so that it can be shown and undone.
//!
//! In `/var/lib/stockade/runs/<id>/` (root, 0700) stand `meta` (a [`Record`]),
//! `result`, and in `undo/` two answers of the probe: `before`, with the bytes
//! of the files that the run is about to change, and `after`, with digests
//! only. New secrets are in neither; the bytes of a file that was there before
//! are, readable by root alone, as they were in the file itself.

use super::account_files::Texts;
use super::found::{Found, found};
use super::undo_sysctl::{applies_files, set_by_files};
use super::{RunId, Scheduled};
use crate::observe::{Content, HostState, Malformed, Queries, Query, Run, probe};
use crate::plan::{
    ACCOUNT_FILES, AccountOp, CommandOp, FileOp, HostPlan, NamedAccounts, Op, PackageOp, StepPlan, UnitOp, Verb,
};
use crate::shell::{Command, NulByte, Script};
use crate::values::{AbsPath, PackageName, UnitName, UserName};
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
    /// Packages that it purged; their configuration cannot be put back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) purged: Vec<PackageName>,
    /// Paths of sensitive steps; where they were not recorded, each may be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Vec<AbsPath>>,
    /// Users and groups that it names, as they were when it began; those of a run that was
    /// recorded without their names stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) accounts: Option<NamedAccounts>,
    /// What it finds only when it comes to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) found: Vec<Found>,
    /// Whether a package or command of the run had changed users or groups before a step named them.
    #[serde(skip)]
    pub(super) accounts_found: bool,
    pub(super) nonce: String,
}

/// What the operator's side adds to a record.
#[derive(Debug, Clone, Default)]
pub struct RunMetadata {
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

impl RunMetadata {
    /// What the record of an undo says.
    pub fn of_undo(record: &Record, who: &str) -> RunMetadata {
        RunMetadata {
            who: who.to_owned(),
            playbook: format!("undo of {}", record.id),
            inputs: record.inputs.clone(),
            stage: record.stage.clone(),
            undid: Some(record.id.clone()),
            apply: None,
        }
    }
}

/// Prints what is in homes: of a directory only that it is there, of all else its
/// size, time and target too. What is too long to be a new home's is cut off.
const IN_HOMES: &str = include_str!("in_homes.sh");

/// The unit that is to be restarted or reloaded where this is pending.
fn unit_of(pending: &str) -> Option<UnitName> {
    pending.strip_prefix("restart:").or_else(|| pending.strip_prefix("reload:"))?.parse().ok()
}

impl Record {
    /// The record of a run that is about to begin.
    pub(super) fn new(
        plan: &HostPlan,
        operations: &[Scheduled],
        run: &RunId,
        about: &RunMetadata,
        nonce: String,
    ) -> Record {
        let ops = || plan.steps.iter().flat_map(|step| &step.ops);
        let mut touched = Queries::new();
        ops().for_each(|op| touched.extend(op.undo_scope()));
        let homes = ops().filter_map(|op| match op {
            Op::Account(AccountOp::UserAdd { home, .. }) => home.clone(),
            _ => None,
        });
        let moved = ops().filter_map(|op| match op {
            Op::Account(AccountOp::UserChange { home, move_home: true, .. }) => home.clone(),
            _ => None,
        });
        let removed_homes = ops().filter_map(|op| match op {
            Op::Account(AccountOp::UserRemove { name, remove_home: true }) => Some(name.clone()),
            _ => None,
        });
        let trees = ops().filter_map(|op| match op {
            Op::File(FileOp::Remove { path, recursive: true }) => Some(path.clone()),
            _ => None,
        });
        let purged = ops().flat_map(|op| match op {
            Op::Package(PackageOp::AptRemove { packages, purge: true, .. }) => packages.clone(),
            _ => Vec::new(),
        });
        let sensitive = plan.steps.iter().filter(|step| step.sensitive).flat_map(|step| &step.ops);
        let secret: BTreeSet<AbsPath> = sensitive
            .flat_map(Op::undo_scope)
            .filter_map(|query| match query {
                Query::Content(path) | Query::Path(path) => Some(path),
                _ => None,
            })
            .collect();
        let secret = secret.iter();
        let restarted = ops().filter_map(|op| match op {
            Op::Unit(UnitOp::Systemctl { verb: Verb::Restart | Verb::Reload, unit } | UnitOp::Pending { unit, .. }) => {
                Some(unit.clone())
            }
            _ => None,
        });
        let differing = plan.steps.iter().filter(|step| !step.ops.is_empty());
        let pending: Vec<String> = differing.clone().flat_map(StepPlan::makes_pending).collect();
        // What these changes ask for may be done by a later phase; it is these that a
        // unit must take up again when they are taken back.
        let asked_for: Vec<UnitName> = pending.iter().filter_map(|name| unit_of(name)).collect();
        touched.extend(asked_for.iter().cloned().map(Query::Unit));
        let restarted: Vec<UnitName> = restarted.chain(asked_for).collect();
        if restarted.iter().any(applies_files) {
            touched.extend(set_by_files(plan));
        }
        let (accounts, found) = found(operations);
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
            restarted,
            pending,
            // What a program with known outcomes does is kept with its files.
            commands: ops().filter(|op| matches!(op, Op::Command(CommandOp::Run { .. }))).count(),
            purged: purged.collect(),
            secret: Some(secret.cloned().collect()),
            accounts: Some(accounts),
            found,
            accounts_found: false,
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

    /// The same questions with digests in place of bytes, and what is asked after the run alone.
    fn digests(&self) -> Queries {
        let mut queries = Queries::new();
        queries.extend(self.entries().into_iter().chain(self.in_homes()).map(Query::Run));
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

    /// The programs that write down what it finds when it comes to it.
    pub(super) fn found_programs(&self) -> Result<Vec<String>, NulByte> {
        self.found.iter().map(|found| self.program(&found.questions())).collect()
    }

    /// All users and groups that it names.
    fn named_accounts(&self) -> NamedAccounts {
        let mut named = self.accounts.clone().unwrap_or_default();
        self.found.iter().for_each(|found| named.add(&found.accounts));
        named
    }

    /// The question for what is in the homes that it made.
    pub fn in_homes(&self) -> Option<Run> {
        let homes = self.homes.iter().map(AbsPath::as_str);
        let words = ["sh", "-c", IN_HOMES, "sh"].into_iter().chain(homes);
        (!self.homes.is_empty()).then(|| Run::new(words))
    }

    /// The question that tells whether these are as it left them.
    pub(super) fn entries(&self) -> Option<Run> {
        super::named_accounts::question(&self.named_accounts())
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

    /// How many files tell what the run found when it came to it, `found-1` and so on.
    pub fn found_later(&self) -> usize {
        self.found.len()
    }

    /// The record of what the run came to, where `before` is brought to what each
    /// of its steps found. `packages`: they go back too, with what they brought.
    ///
    /// # Errors
    /// The host did not keep it whole.
    pub fn reached(
        &self,
        before: &mut HostState,
        found: &[Option<Vec<u8>>],
        packages: bool,
    ) -> Result<Record, Malformed> {
        let mut record = self.clone();
        for (found, kept) in self.found.iter().zip(found) {
            let Some(kept) = kept else {
                record.touched.retain(|query| !found.paths.contains(query));
                continue;
            };
            if let Some(accounts) = &mut record.accounts {
                accounts.add(&found.accounts);
            }
            if packages && found.by_packages {
                continue;
            }
            let mut then = HostState::default();
            probe::read_reply(&mut then, &found.questions(), false, &self.nonce, kept)?;
            for query in &found.paths {
                let (Query::Path(path) | Query::Content(path)) = query else { continue };
                if let Ok(state) = then.path(path) {
                    before.set_path(path, state.clone());
                }
                if let (Query::Content(_), Ok(content)) = (query, then.content(path)) {
                    before.set_content(path, content.clone());
                }
            }
            if let (Ok(Some(was)), Ok(Some(is))) = (Texts::of(before), Texts::of(&then)) {
                record.accounts_found |= !found.accounts.is_empty();
                bring_accounts(before, &then, &was.with(&is, &found.accounts));
            }
        }
        Ok(record)
    }
}

/// Gives a state these files of users and groups; one that was not there is as `then` had it.
fn bring_accounts(before: &mut HostState, then: &HostState, texts: &Texts) {
    for path in ACCOUNT_FILES.iter().filter_map(|file| file.parse::<AbsPath>().ok()) {
        let bytes = texts.get(path.as_str());
        if before.content(&path).is_ok_and(|content| *content == Content::Absent) {
            let (Ok(state), false) = (then.path(&path), bytes.is_empty()) else { continue };
            before.set_path(&path, state.clone());
        }
        if !path.as_str().ends_with('-') {
            before.set_content(&path, Content::Bytes(bytes.to_vec()));
        }
    }
}
