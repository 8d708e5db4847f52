//! How an apply ended, host by host: what the closing summary and the JSON of
//! an apply are made from.

use crate::plan::{HostPlan, StepPlan};
use serde::Serialize;

/// How it ended for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostStatus {
    /// A second look found nothing left to do.
    Converged,
    /// A step failed, or the plan could not be made.
    Failed,
    /// No connection, or the host's key did not match.
    Unreachable,
    /// Everything ran, and yet something still differs.
    NotConverged,
    /// What was changed was put back.
    Undone,
    /// The host's turn did not come: too many before it failed. Nothing was touched.
    NotBegun,
}

impl HostStatus {
    /// The word, as the JSON has it.
    pub const fn word(self) -> &'static str {
        match self {
            HostStatus::Converged => "converged",
            HostStatus::Failed => "failed",
            HostStatus::Unreachable => "unreachable",
            HostStatus::NotConverged => "not-converged",
            HostStatus::Undone => "undone",
            HostStatus::NotBegun => "not-begun",
        }
    }
}

/// How it ended for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// There was nothing to do.
    Unchanged,
    /// Done.
    Done,
    /// Its guard, asked when its turn came, said that there was nothing to do.
    NotDue,
    /// It could not be done at its turn; it was tried again at the end of the run.
    Later,
    /// Failed.
    Failed,
    /// Done, and put back again.
    Undone,
    /// Not begun, because an earlier step failed.
    NotReached,
}

/// What a failed step left behind.
#[derive(Debug, Clone)]
pub struct FailedStep {
    /// The step.
    pub step: StepPlan,
    /// What went wrong, in one sentence.
    pub message: String,
    /// The last lines of what the host printed; not shown for a sensitive step.
    pub output: String,
}

/// How an apply ended for one host.
#[derive(Debug, Clone)]
pub struct HostOutcome {
    /// The host's name in the inventory.
    pub name: String,
    /// The result.
    pub ending: HostStatus,
    /// Why, where it did not converge; the error's whole chain.
    pub error: Option<String>,
    /// The runs on the host, as it names them; two where a reboot lies between.
    pub runs: Vec<String>,
    /// How many steps changed something.
    pub changed: usize,
    /// Whether the step that failed has changed something, or may have.
    pub partly: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The steps that were planned, in order of apply; empty if there was no plan.
    pub steps: Vec<(StepPlan, StepStatus)>,
    /// The step that failed.
    pub failure: Option<FailedStep>,
    /// What a second look still found different.
    pub remaining: Option<HostPlan>,
}

impl HostOutcome {
    /// An outcome with nothing but its name and result.
    pub fn new(name: impl Into<String>, ending: HostStatus) -> HostOutcome {
        HostOutcome {
            name: name.into(),
            ending,
            error: None,
            runs: Vec::new(),
            changed: 0,
            partly: false,
            seconds: 0.0,
            steps: Vec::new(),
            failure: None,
            remaining: None,
        }
    }

    /// The steps that were done and not put back.
    pub fn stays(&self) -> impl Iterator<Item = &StepPlan> {
        self.steps.iter().filter(|(_, ending)| *ending == StepStatus::Done).map(|(step, _)| step)
    }

    /// The error, unless the failed step says the same already.
    pub(super) fn error_beside_failure(&self) -> Option<&str> {
        let said = self.failure.as_ref().map(|failure| failure.message.as_str());
        self.error.as_deref().filter(|error| said != Some(error))
    }
}
