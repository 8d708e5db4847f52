//! What the engine tells while it works. Reporters decide how it looks.

use crate::plan::{HostPlan, StepPlan};
use std::sync::Arc;

/// One thing that happened. `host` is the host's name in the inventory.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // each variant says what its fields are
pub enum Event<'a> {
    /// A connection is being made.
    Connecting { host: &'a str, to: &'a str },
    /// The host is being looked at.
    Observing { host: &'a str, questions: usize },
    /// The plan for a host is ready.
    Planned { plan: &'a HostPlan },
    /// An apply begins.
    Applying { host: &'a str, run: &'a str, operations: usize },
    /// An operation begins; `step` is the step it belongs to.
    Operation { host: &'a str, step: &'a StepPlan, number: usize, of: usize },
    /// A step is done.
    StepDone { host: &'a str, step: &'a StepPlan },
    /// A command was not due when its turn came, and did not run.
    StepNotDue { host: &'a str, step: &'a StepPlan },
    /// A restart that an earlier run has left failed, and is tried again at the end of the run.
    StepLater { host: &'a str, step: &'a StepPlan },
    /// A step failed; `output` holds the last lines of what the host printed.
    StepFailed { host: &'a str, step: &'a StepPlan, message: &'a str, output: &'a str },
    /// After the apply: what a second look at the host still finds different.
    Converged { host: &'a str, changed: usize, seconds: f64 },
    /// A second look still finds differences.
    NotConverged { host: &'a str, plan: &'a HostPlan },
    /// A host is given up; the error's whole chain.
    HostFailed { host: &'a str, error: &'a str },
    /// Something the operator should know that is no error.
    Notice { host: Option<&'a str>, text: &'a str },
}

/// Shows events. Hosts work at the same time: events of several come mixed.
pub trait Reporter: Send + Sync {
    /// Takes note of an event.
    fn event(&self, event: &Event<'_>);

    /// Does something that needs the terminal for itself, such as a question,
    /// with nothing drawn meanwhile.
    fn pause(&self, work: &mut dyn FnMut()) {
        work();
    }
}

impl Reporter for Arc<dyn Reporter> {
    fn event(&self, event: &Event<'_>) {
        self.as_ref().event(event);
    }

    fn pause(&self, work: &mut dyn FnMut()) {
        self.as_ref().pause(work);
    }
}
