//! What a plan says about a step and about a host.

use super::{Finding, KNOWN_AFTER_APPLY, Op, Verdict};
use crate::observe::{Query, StateError};
use crate::values::{Secret, Span, UnitName};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// What a step will do, in the words of the plan's JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing differs.
    #[default]
    None,
    /// Something that is absent will be made.
    Create,
    /// Something that is there will be changed.
    Update,
    /// Something that is there will be removed.
    Delete,
    /// A command will run.
    Run,
    /// Whether something differs is decided when the step's turn comes.
    Unknown,
}

/// One field that differs. `None` stands for "there is none".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The field's name in the playbook, or a part of it.
    pub field: String,
    /// What the host has.
    pub before: Option<String>,
    /// What it will have.
    pub after: Option<String>,
}

impl FieldChange {
    /// A change of a field.
    pub fn new(
        field: impl Into<String>,
        before: Option<impl Into<String>>,
        after: Option<impl Into<String>>,
    ) -> FieldChange {
        FieldChange { field: field.into(), before: before.map(Into::into), after: after.map(Into::into) }
    }
}

/// What a resource finds to do; empty operations mean that nothing differs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Planned {
    /// The action; [`Action::None`] exactly when `ops` is empty and nothing is open.
    pub action: Option<Action>,
    /// What the decision depends on, as in "step 3", where it cannot be made
    /// before that is done. The run's phase ends here: the host is observed and
    /// planned again, and the step decided then. `ops` are what is expected, for
    /// the prediction only.
    pub open: Option<String>,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// A unified diff of file content, where there is one to show.
    pub diff: Option<String>,
    /// What to do, in order.
    pub ops: Vec<Op>,
    /// What the operator should know about this step.
    pub notes: Vec<String>,
    /// What was found that no operation is planned for.
    pub finding: Option<Finding>,
    /// Further questions whose answers would make this plan exact: the engine
    /// asks them and plans again. A resource must plan without them too.
    pub follow_up_queries: Vec<Query>,
}

/// What a plan says of a step that an earlier one may change.
pub fn decided_at_its_turn(on: &str) -> String {
    format!("decided at its turn: depends on {on}")
}

impl Planned {
    /// Nothing differs.
    pub fn nothing() -> Planned {
        Planned::default()
    }

    /// Leaves the decision to the step's turn; `on`: what it depends on, as in "step 3".
    pub fn leave_open(&mut self, on: &str) {
        self.open = Some(on.to_owned());
        self.notes.insert(0, decided_at_its_turn(on));
    }

    /// What is to be absent is absent now; where an earlier step may bring it,
    /// its absence is left open.
    pub fn absent_unless_brought(&mut self, on: Option<&str>) {
        if let Some(on) = on {
            self.leave_open(on);
            self.change("state", Some(KNOWN_AFTER_APPLY), Some("absent"));
        }
    }

    /// The action, [`Action::None`] where there is nothing to do.
    pub fn action(&self) -> Action {
        if self.open.is_some() {
            return Action::Unknown;
        }
        if self.ops.is_empty() { Action::None } else { self.action.unwrap_or(Action::Update) }
    }

    /// Notes a field that differs.
    pub fn change(
        &mut self,
        field: impl Into<String>,
        before: Option<impl Into<String>>,
        after: Option<impl Into<String>>,
    ) {
        self.changes.push(FieldChange::new(field, before, after));
    }

    /// Hides what a sensitive step would show.
    pub fn mask(&mut self) {
        let hide = |side: &mut Option<String>| {
            if let Some(text) = side {
                *text = Secret::MASK.to_owned();
            }
        };
        for change in &mut self.changes {
            hide(&mut change.before);
            hide(&mut change.after);
        }
        if self.diff.is_some() {
            self.diff = Some(format!("{} (sensitive)\n", Secret::MASK));
        }
        if let Some(finding) = &mut self.finding {
            finding.mask();
            // An inspection's only notes say its verdict.
            self.notes = match finding.verdict {
                Verdict::Holds | Verdict::NotApplicable(_) => Vec::new(),
                Verdict::Fails => vec!["does not hold".to_owned()],
                Verdict::Unreadable(_) => vec!["cannot be judged".to_owned()],
            };
        }
    }
}

/// Something on the host that keeps a step from being in force although its
/// own file is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Override {
    /// The file that wins, or that should name the step's file and does not; or
    /// the name of a unit that systemd cannot use.
    pub file: String,
    /// The line in it, from 1; none where the whole file is meant.
    pub line: Option<usize>,
    /// What it does, and what to do about it.
    pub message: String,
    /// Where it is an exception for some, the line itself: one that a step of
    /// the same playbook says is meant.
    #[serde(skip)]
    pub exception: Option<String>,
}

impl Override {
    /// An override by a line of a file.
    pub fn new(file: impl ToString, line: Option<usize>, message: impl Into<String>) -> Override {
        Override { file: file.to_string(), line, message: message.into(), exception: None }
    }

    /// The same by a line that is an exception for some.
    pub fn exception(self, line: &str) -> Override {
        Override { exception: Some(line.to_owned()), ..self }
    }

    /// Whether a file wins; otherwise it is a unit that is not as it should be.
    pub fn is_file(&self) -> bool {
        self.file.starts_with('/')
    }

    /// The file, with its line.
    pub fn place(&self) -> String {
        self.line.map_or_else(|| self.file.clone(), |line| format!("{}:{line}", self.file))
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A unit overrides nothing: systemd says something of it.
        let by = if self.is_file() { "overridden by " } else { "" };
        write!(f, "{by}{}: {}", self.place(), self.message)
    }
}

/// Whether a step is in force once its own operations are done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InForce {
    /// What keeps it from being so; none: it is in force.
    pub overridden: Vec<Override>,
    /// Questions whose answers would make this exact, as [`Planned::follow_up_queries`].
    pub follow_up_queries: Vec<Query>,
    /// What nothing overrides, and is not in effect yet.
    pub dormant: Vec<Dormant>,
}

/// Something of a file that is in effect only when it is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dormant {
    /// What it is, and when it takes effect.
    pub text: String,
    /// The unit that reads it when it is restarted.
    pub until: UnitName,
}

/// Why a step cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// What is wanted would do harm or cannot be: nothing is touched (exit code 1).
    #[error("{0}")]
    Refused(String),
    /// What the step is about is not on the host (exit code 1); for an audit, it
    /// does not belong there.
    #[error("{0}")]
    Missing(String),
    /// The host could not tell what must be known (exit code 3).
    #[error(transparent)]
    State(#[from] StateError),
}

/// A step of a plan, for one host.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StepPlan {
    /// Stable within a playbook: its number, with those of the `use` steps and
    /// `each` items it came through, e.g. `3.2[1]`.
    pub id: String,
    /// As the operator named it, or made from the kind and its main field.
    pub name: String,
    /// The resource kind.
    pub kind: &'static str,
    /// What will be done.
    pub action: Action,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// A unified diff, masked for sensitive steps.
    pub diff: Option<String>,
    /// Remarks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What keeps it from being in force after the run, although its own file is right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<Override>,
    /// The operations.
    #[serde(skip)]
    pub ops: Vec<Op>,
    /// See [`Planned::open`].
    #[serde(skip)]
    pub open: Option<String>,
    /// Units to restart at the end if this step changes anything.
    #[serde(skip)]
    pub restart: Vec<UnitName>,
    /// Units to reload at the end if this step changes anything.
    #[serde(skip)]
    pub reload: Vec<UnitName>,
    /// Commands that follow this step (`when_changed`), by the names under which
    /// the host notes that they are pending.
    #[serde(skip)]
    pub followed_by: Vec<String>,
    /// Whether the host is looked at again before it: an earlier step may have
    /// undone what an unchanged one describes.
    #[serde(skip)]
    pub looked_at_before: bool,
    /// Whether it is unchanged and looked at again because of that.
    #[serde(skip)]
    pub may_be_undone: bool,
    /// Whether it is decided once more at the end of the run: a step after it
    /// may give it more to do.
    #[serde(skip)]
    pub again_at_end: bool,
    /// Whether output of its operations must be kept out of logs.
    #[serde(skip)]
    pub sensitive: bool,
    /// Whether it is confirmed by a new login, or else put back.
    #[serde(skip)]
    pub guard: bool,
    /// Where it was written.
    #[serde(skip)]
    pub span: Option<Span>,
    /// What was found that no operation is planned for.
    #[serde(skip)]
    pub finding: Option<Finding>,
    /// Whether what is written is right and not in effect before a restart.
    #[serde(skip)]
    pub dormant: bool,
}

impl StepPlan {
    /// Whether it is a restart or reload that other steps ask for, not a step of the playbook.
    pub fn is_due(&self) -> bool {
        self.kind == "service" && self.id.contains(':')
    }

    /// The names under which the host notes, before the step's first operation,
    /// what is pending from then on.
    pub fn makes_pending(&self) -> Vec<String> {
        let restarts = self.restart.iter().map(|unit| format!("restart:{unit}"));
        let reloads = self.reload.iter().map(|unit| format!("reload:{unit}"));
        restarts.chain(reloads).chain(self.followed_by.iter().cloned()).collect()
    }
}

/// How many steps have each action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Summary {
    pub none: usize,
    pub create: usize,
    pub update: usize,
    pub delete: usize,
    pub run: usize,
    pub unknown: usize,
}

impl Summary {
    /// Steps that will do something.
    pub fn differing(&self) -> usize {
        self.create + self.update + self.delete + self.run + self.unknown
    }

    /// Counts one more step.
    pub fn count(&mut self, action: Action) {
        match action {
            Action::None => self.none += 1,
            Action::Create => self.create += 1,
            Action::Update => self.update += 1,
            Action::Delete => self.delete += 1,
            Action::Run => self.run += 1,
            Action::Unknown => self.unknown += 1,
        }
    }
}

/// The plan for one host.
#[derive(Debug, Clone, Default, Serialize)]
pub struct HostPlan {
    /// The host's name in the inventory.
    pub name: String,
    /// Its steps, in order of apply.
    pub steps: Vec<StepPlan>,
    /// The counts.
    pub summary: Summary,
    /// Packages that a run must not take away: the login goes through them.
    #[serde(skip)]
    pub protected_packages: Vec<&'static str>,
    /// The user that logs in; empty where nobody does.
    #[serde(skip)]
    pub login: String,
    /// Index of the first step that is left to a later phase of the run, where
    /// this is the part of a plan that one phase carries out.
    #[serde(skip)]
    pub left_open: Option<usize>,
}

impl HostPlan {
    /// A plan from its steps.
    pub fn new(name: impl Into<String>, steps: Vec<StepPlan>) -> HostPlan {
        let mut summary = Summary::default();
        steps.iter().for_each(|step| summary.count(step.action));
        HostPlan {
            name: name.into(),
            steps,
            summary,
            protected_packages: Vec::new(),
            login: String::new(),
            left_open: None,
        }
    }

    /// The packages that the playbook names to go: a run removes no others.
    pub fn named_removals(&self) -> BTreeSet<String> {
        let ops = self.steps.iter().flat_map(|step| &step.ops);
        ops.flat_map(Op::named_removals).map(ToString::to_string).collect()
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.summary.differing() == 0
    }

    /// Whether nothing differs and every step is in force.
    pub fn is_converged(&self) -> bool {
        self.is_empty() && self.overridden().next().is_none()
    }

    /// The steps that are not in force although their own files are or will be right.
    pub fn overridden(&self) -> impl Iterator<Item = &StepPlan> {
        self.steps.iter().filter(|step| !step.overridden.is_empty())
    }
}
