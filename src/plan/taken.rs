//! What apt removes besides what the steps name as their own, and what that
//! makes of the steps around it.
//!
//! Which packages go for a step is told by apt once it is known what all steps
//! want. A step before it whose work goes with them is contradicted. The steps
//! after it are then planned anew, on a host where these packages are gone.

use super::contradiction::contradictions;
use super::{DesiredStep, Op, PackageOp, StepError, StepPlan};
use crate::observe::{HostState, PredictedState, Queries, Query};
use crate::values::PackageName;

/// A package that goes besides those that a step names as its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Removal {
    /// The id of the step for which it goes.
    pub(super) step: String,
    /// The package.
    pub(super) name: PackageName,
    /// Whether its configuration goes, too.
    pub(super) purge: bool,
}

impl Removal {
    pub(super) fn op(&self) -> Op {
        Op::Package(PackageOp::AptRemove {
            packages: vec![self.name.clone()],
            purge: self.purge,
            may_remove: Vec::new(),
        })
    }
}

/// The plans with what goes for them as the first of their operations: what a
/// step installs may bring the same files and units again.
pub(super) fn with_removals(plans: &[StepPlan], removals: &[Removal]) -> Vec<StepPlan> {
    let mut plans = plans.to_vec();
    for removal in removals {
        if let Some(plan) = plans.iter_mut().find(|plan| plan.id == removal.step) {
            plan.ops.insert(0, removal.op());
        }
    }
    plans
}

/// Asks what must be known of these packages: their state and their files.
pub(super) fn ask(removals: &[Removal], host: &HostState, follow_up_queries: &mut Queries) {
    let questions = removals
        .iter()
        .flat_map(|removal| [Query::Shipped(removal.name.clone()), Query::Package(removal.name.clone())])
        .filter(|query| !host.asked(query));
    follow_up_queries.extend(questions.collect::<Vec<_>>());
}

/// Every step whose work goes with a package that apt removes for another step,
/// beside those that the step itself names.
pub(super) fn taken_along(
    steps: &[Option<&DesiredStep>],
    plans: &[StepPlan],
    removals: &[Removal],
    host: &HostState,
) -> Vec<StepError> {
    if removals.is_empty() {
        return Vec::new();
    }
    let plans = with_removals(plans, removals);
    let mut predicted = PredictedState::of(host);
    plans.iter().flat_map(|plan| &plan.ops).for_each(|op| op.effect(&mut predicted));
    contradictions(steps, &plans, host, &predicted)
}
