//! What the plan asks of the kinds: one trait, which `crate::resource` implements.

use super::{DesiredAtTurn, InForce, Op, PendingNames, PlanError, Planned, TreeMeta};
use crate::observe::{HostState, PredictedState, Queries};
use crate::values::{AbsPath, PackageName, SysctlKey, UnitName};
use std::fmt::Debug;

/// Something on a host that a step describes.
pub trait Resource: Debug + Send + Sync {
    /// The questions whose answers [`Resource::plan`] needs.
    fn queries(&self, queries: &mut Queries);

    /// What differs between the description and the host, and what to do about
    /// it. Must be pure; played on the state, its operations must leave nothing
    /// to plan.
    ///
    /// # Errors
    /// What is wanted is refused, or the state cannot tell.
    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError>;

    /// Tells a command that follows the changes of others under which names a
    /// host notes that it is pending, from one run to the next, whatever else is
    /// corrected in it.
    fn identify(&mut self, _names: &PendingNames) {}

    /// The packages that it wants to be there.
    fn named_packages(&self) -> &[PackageName] {
        &[]
    }

    /// The packages that it wants to be absent.
    fn unwanted_packages(&self) -> &[PackageName] {
        &[]
    }

    /// Whether every change before it asks for it: a reboot after changes.
    fn follows_all(&self) -> bool {
        false
    }

    /// The packages that it wants to be at a version of its own choice, or held.
    fn pinned_packages(&self) -> &[PackageName] {
        &[]
    }

    /// The packages that it wants not to be held.
    fn unheld_packages(&self) -> &[PackageName] {
        &[]
    }

    /// Whether this operation of a step after it may give it more to do: another
    /// package that nothing needs, a newer version that apt offers.
    fn has_more_after(&self, _op: &Op) -> bool {
        false
    }

    /// Whether it waits for something that steps after it can bring about: a
    /// reboot that packages ask for.
    fn may_become_due(&self) -> bool {
        false
    }

    /// What keeps the description from being in force on a host whose own file
    /// of it is right, judged on the state that the whole run leaves. Pure, as
    /// [`Resource::plan`]; what cannot be known overrides nothing.
    ///
    /// # Errors
    /// The state cannot tell.
    fn in_force(&self, _host: &PredictedState) -> Result<InForce, PlanError> {
        Ok(InForce::default())
    }

    /// The file that this writes over others on purpose, such as a drop-in:
    /// what it overrides of other steps is meant.
    fn layer(&self) -> Option<&AbsPath> {
        None
    }

    /// The directory below which it gives everything an owner, a group or modes.
    fn tree(&self) -> Option<GivenTree<'_>> {
        None
    }

    /// The unit of which it says whether it is enabled, runs or is masked.
    fn unit(&self) -> Option<&UnitName> {
        None
    }

    /// The unit of which it says whether it runs.
    fn keeps_running(&self) -> Option<(&UnitName, bool)> {
        None
    }

    /// The live value of a kernel parameter that it wants.
    fn live_parameter(&self) -> Option<(&SysctlKey, &str)> {
        None
    }

    /// Whether it says this line of the file at `path`.
    fn says(&self, _path: &str, _line: &str) -> bool {
        false
    }

    /// For what is no resource itself but becomes steps when its turn comes:
    /// those steps. `predicted` is the host as earlier steps leave it. `decided`:
    /// an earlier phase of the same apply has passed its turn, and what was
    /// decided then stays.
    ///
    /// # Errors
    /// What it becomes is wrong, or the state cannot tell.
    fn at_turn(&self, _predicted: &PredictedState, _decided: bool) -> Option<Result<DesiredAtTurn, PlanError>> {
        None
    }

    /// The same as the run after this one would find it: `predicted` is the host
    /// as this run leaves it, and nothing is decided by that.
    fn in_next_run(&self, _predicted: &PredictedState, _found: &HostState) -> Option<Result<DesiredAtTurn, PlanError>> {
        None
    }
}

/// What a step gives to all that is below a directory.
#[derive(Debug, Clone, Copy)]
pub struct GivenTree<'a> {
    /// The directory.
    pub top: &'a AbsPath,
    /// Whether what is mounted below is entered.
    pub across: bool,
    /// What it gives.
    pub meta: &'a TreeMeta,
}
