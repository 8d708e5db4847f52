//! What goes into a plan, the steps of a playbook as they are rendered for one
//! host, and what comes out of planning.

use super::{HostPlan, MayMake, PendingNames, PlanError, Resource, StepAbout};
use crate::observe::{PredictedState, Queries};
use crate::values::{Span, UnitName};
use std::sync::Arc;

/// A step of a playbook, rendered for one host.
#[derive(Debug)]
pub struct DesiredStep {
    /// See [`StepPlan::id`].
    pub id: String,
    /// See [`StepPlan::name`].
    pub name: String,
    /// The resource kind.
    pub kind: &'static str,
    /// What is described.
    pub resource: Box<dyn Resource>,
    /// Units to restart if this step changes anything.
    pub restart: Vec<UnitName>,
    /// Units to reload if this step changes anything.
    pub reload: Vec<UnitName>,
    /// The commands that follow its changes (`when_changed`), by the names under
    /// which they are pending, whether or not they are part of this run.
    pub followed_by: Vec<String>,
    /// The names of a command that follows the changes of others.
    pub pending: Option<PendingNames>,
    /// Whether values must not be shown.
    pub sensitive: bool,
    /// Whether the operator wants it guarded, whatever it does.
    pub guard: bool,
    /// Where it was written.
    pub span: Option<Span>,
    /// What an audit has to know of it.
    pub about: Arc<StepAbout>,
}

/// What [`Resource::at_turn`] gives.
#[derive(Debug)]
pub enum DesiredAtTurn {
    /// These steps, in the order of apply.
    Steps(Vec<DesiredStep>),
    /// It cannot be decided before what it depends on is done, as in "step 3".
    Open {
        /// What it is called, as far as that is known before its turn; none: as the step.
        name: Option<String>,
        /// What it depends on.
        on: String,
        /// What else the operator should know.
        note: String,
        /// Where it may change something.
        may_make: MayMake,
    },
}

/// A step that could not be planned.
#[derive(Debug, thiserror::Error)]
#[error("step {id} ({name}){}: {error}", place(span))]
pub struct StepError {
    /// The step's id.
    pub id: String,
    /// The step's name.
    pub name: String,
    /// Where it was written.
    pub span: Option<Span>,
    /// Why.
    #[source]
    pub error: PlanError,
}

fn place(span: &Option<Span>) -> String {
    span.as_ref().map(|span| format!(" at {span}")).unwrap_or_default()
}

/// What planning gives: the plan, the predicted state after it, and questions
/// whose answers would make it more exact.
#[derive(Debug)]
pub struct Forecast {
    /// The plan.
    pub plan: HostPlan,
    /// The state after the plan, as far as it can be predicted.
    pub predicted: PredictedState,
    /// Open questions.
    pub follow_up_queries: Queries,
    /// Whether a step is left out that can only be planned with their answers.
    pub incomplete: bool,
}
