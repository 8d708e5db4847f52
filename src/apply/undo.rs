//! The plan that takes a run back.
//!
//! Three states decide, for each thing that the run touched: what was there
//! before, what the run left, and what is there now. What is as it was needs
//! nothing; what is no longer as the run left it has been changed by somebody
//! else and is skipped, with the reason; the rest is put back.

use super::Record;
use crate::observe::{HostState, PredictedState, Queries, Query, StateError};
use crate::plan::{Access, Action, FieldChange, FileOp, HostPlan, Op, StepPlan};
use crate::values::{AbsPath, PackageName, UnitName};
use std::collections::{BTreeMap, BTreeSet};

/// The states that decide.
#[derive(Debug)]
pub struct States {
    /// Before the run.
    pub before: HostState,
    /// After the run.
    pub after: HostState,
    /// Now.
    pub now: PredictedState,
}

/// What becomes of the packages of a run that is taken back.
#[derive(Debug, Clone)]
pub enum UndoPackages {
    /// They are left alone.
    Leave,
    /// They are put back, but for those that apt refuses to remove or to bring to
    /// their former version, with its reason.
    Restore(BTreeMap<String, String>),
}

/// A plan that takes a run back.
#[derive(Debug)]
pub struct UndoPlan {
    /// The steps.
    pub plan: HostPlan,
    /// Questions whose answers the plan takes; it is made again with them.
    pub follow_up_queries: Queries,
    /// Packages that apt refuses to remove or to bring to their former versions,
    /// with its reason: they are to be left out.
    pub refused: BTreeMap<String, String>,
}

/// The steps that take a run back, newest change first where order matters.
///
/// # Errors
/// A state does not hold what the record says was asked.
pub fn plan_undo(
    host: &str,
    record: &Record,
    states: &States,
    packages: &UndoPackages,
) -> Result<UndoPlan, StateError> {
    let mut undo = Undo {
        record,
        states,
        now: states.now.clone(),
        steps: Vec::new(),
        packages_go_back: matches!(packages, UndoPackages::Restore(_)),
        staying_homes: Vec::new(),
        left_units: BTreeSet::new(),
        staying: BTreeMap::new(),
        staying_units: BTreeSet::new(),
        follow_up_queries: Queries::new(),
        refused: BTreeMap::new(),
    };
    undo.carriers(packages)?;
    undo.quiet_units()?;
    undo.firewall_off()?;
    undo.files()?;
    undo.trees()?;
    undo.live_values()?;
    undo.units()?;
    undo.packages(packages)?;
    undo.pending();
    undo.remarks();
    let access = Access::of(&states.now);
    undo.steps.iter_mut().for_each(|step| step.guard_for(&access));
    let plan = HostPlan {
        protected_packages: access.packages(),
        login: access.user.clone(),
        ..HostPlan::new(host, undo.steps)
    };
    Ok(UndoPlan { plan, follow_up_queries: undo.follow_up_queries, refused: undo.refused })
}

pub(super) struct Undo<'a> {
    pub(super) record: &'a Record,
    pub(super) states: &'a States,
    /// What will be, as far as the steps so far go.
    pub(super) now: PredictedState,
    pub(super) steps: Vec<StepPlan>,
    /// Whether what the run's packages brought goes, too.
    pub(super) packages_go_back: bool,
    /// Homes of the run's users that somebody else has changed since: these stay.
    pub(super) staying_homes: Vec<AbsPath>,
    /// Units that somebody else has changed since.
    pub(super) left_units: BTreeSet<UnitName>,
    /// Packages of the run that the host is reached by, and those that these need: they stay, with the reason.
    pub(super) staying: BTreeMap<PackageName, String>,
    /// Their units.
    pub(super) staying_units: BTreeSet<UnitName>,
    /// See [`UndoPlan::wants`].
    pub(super) follow_up_queries: Queries,
    /// See [`UndoPlan::refused`].
    pub(super) refused: BTreeMap<String, String>,
}

pub(super) const CHANGED_SINCE: &str = "left alone: it has been changed since by someone else";

impl Undo<'_> {
    pub(super) fn step(
        &mut self,
        kind: &'static str,
        name: String,
        action: Action,
        changes: impl IntoIterator<Item = FieldChange>,
        ops: Vec<Op>,
    ) {
        ops.iter().for_each(|op| op.effect(&mut self.now));
        self.steps.push(StepPlan {
            id: format!("{}", self.steps.len() + 1),
            name,
            kind,
            action: if ops.is_empty() { Action::None } else { action },
            changes: changes.into_iter().collect(),
            ops,
            ..StepPlan::default()
        });
    }

    /// What the operations of the last step print is kept out of logs.
    pub(super) fn hide_output(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.sensitive = true;
        }
    }

    pub(super) fn skip(&mut self, kind: &'static str, name: String, why: &str) {
        self.step(kind, name, Action::None, None, Vec::new());
        self.note(why);
    }

    /// Whether sources of apt that are not there now are put back.
    pub(super) fn brings_sources(&self) -> bool {
        let is_source = |op: &Op| matches!(op, Op::File(FileOp::WriteFile { path, .. }) if path.as_str().starts_with("/etc/apt/sources.list"));
        self.steps.iter().flat_map(|step| &step.ops).any(is_source)
    }

    /// Says something of the last step.
    pub(super) fn note(&mut self, text: &str) {
        if let Some(step) = self.steps.last_mut() {
            step.notes.push(text.to_owned());
        }
    }

    pub(super) fn paths(&self) -> Vec<AbsPath> {
        let path = |query: &Query| if let Query::Path(path) = query { Some(path.clone()) } else { None };
        self.record.questions().iter().filter_map(path).collect()
    }

    pub(super) fn unit_names(&self) -> Vec<UnitName> {
        let unit = |query: &Query| if let Query::Unit(unit) = query { Some(unit.clone()) } else { None };
        self.record.questions().iter().filter_map(unit).collect()
    }

    fn remarks(&mut self) {
        if !self.record.purged.is_empty() {
            let names: Vec<String> = self.record.purged.iter().map(ToString::to_string).collect();
            let text = "the run purged it: its configuration and what its scripts remove cannot be put back";
            self.skip("package", names.join(", "), text);
        }
        if self.record.commands > 0 {
            let text =
                format!("the run carried out {} commands; what they did is not known and stays", self.record.commands);
            self.skip("command", "commands".into(), &text);
        }
    }
}
