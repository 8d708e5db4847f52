//! What planning predicts of a host: its state as the operations so far leave
//! it, and beside that, what of it is not certain any more, and by which step.

mod affected;
mod asserted;
mod packages;
mod paths;
mod settings;
mod sysctl;
mod turn;

pub use affected::Part;
pub use sysctl::{SetWith, WantedSysctl};
pub use turn::REBOOT_PENDING;

use super::{Facts, HostState, Queries, Run};
use crate::values::{AbsPath, PackageName, SysctlKey};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// A host as the operations of a plan leave it. It is read as a [`HostState`];
/// only effects change it.
#[derive(Debug, Clone, Default)]
pub struct PredictedState {
    /// The host with the values that are predicted.
    host: HostState,
    /// The step that is being planned, as in "step 3"; empty outside a plan.
    step: String,
    /// The last step that changes anything.
    changed_by: Option<String>,
    /// The last step that installs packages: what they bring is not known.
    packages_by: Option<String>,
    /// The last step that runs a command of the operator's: what it does is not known.
    command_by: Option<String>,
    /// The last step that may change which packages apt offers in a way that is not predicted.
    apt_by: Option<String>,
    /// The last step that has a service start: what it makes is not known.
    service_by: Option<String>,
    /// The last step that only its turn decides and that may bring anything.
    open_by: Option<String>,
    /// Of the changes since the last reboot, those that are not certain, with the
    /// last step that may make some.
    open_changes: u32,
    perhaps_changed_by: Option<String>,
    /// Commands that may be pending, with the step that decides it.
    perhaps_pending: BTreeMap<String, String>,
    /// Paths that a step has decided since the last package or command of the run.
    decided: BTreeSet<AbsPath>,
    /// Files and links that steps of the run write, with the steps.
    written: BTreeMap<AbsPath, String>,
    /// What earlier steps may have changed beyond what is predicted.
    affected: affected::Affected,
    /// Homes that the run makes, with the step that does: what /etc/skel puts into them is not known.
    new_homes: BTreeMap<AbsPath, String>,
    /// Sources files whose package lists are planned to be fetched; none of them: all.
    lists_fetched: BTreeSet<Option<AbsPath>>,
    /// Set once a kernel module is planned to be loaded: parameters that did
    /// not exist may exist afterwards.
    sysctl_may_appear: bool,
    /// Live kernel parameters that the kernel sets with others that steps write.
    sysctl_set_with: BTreeMap<SysctlKey, SetWith>,
    /// The live values that the steps so far want.
    wanted_sysctls: Vec<WantedSysctl>,
    /// How many changes have been played on this state.
    changes: u32,
    /// Of each of them the one place that it changes, where there is no other.
    confined: Vec<Option<AbsPath>>,
    /// How many of them had been when the host was last restarted.
    rebooted_at: u32,
    /// The last step that may ask for a reboot.
    reboot_by: Option<String>,
    /// Assertions that hold, with the number of changes played before each.
    asserted: BTreeMap<Run, u32>,
    /// What must be known of places that links of the run lead to.
    open_places: Queries,
    /// Set once a step may mount or unmount something.
    mounts_are_open: bool,
    /// The packages that the steps of the plan want.
    named_packages: BTreeSet<PackageName>,
    /// Those of them whose version the steps choose, or that they hold.
    pinned_packages: BTreeSet<PackageName>,
    /// The packages that the steps want not to be held.
    unheld_packages: BTreeSet<PackageName>,
    /// Paths of which only the apply tells what is there, with the step that
    /// may remove or hide it.
    uncertain: BTreeMap<AbsPath, String>,
    /// Packages whose hold the run has lifted.
    released: BTreeSet<PackageName>,
}

impl Deref for PredictedState {
    type Target = HostState;

    fn deref(&self) -> &HostState {
        &self.host
    }
}

impl PredictedState {
    /// The prediction before any step: all that was found holds.
    pub fn of(found: &HostState) -> PredictedState {
        let decided = found.paths.keys().cloned().collect();
        PredictedState { host: found.clone(), decided, ..PredictedState::default() }
    }

    /// Takes what is predicted for found, for planning once more.
    pub fn reset(&mut self) {
        self.changes = 0;
        self.confined.clear();
        self.rebooted_at = 0;
        self.open_changes = 0;
        self.perhaps_changed_by = None;
        self.reboot_by = None;
        self.asserted.clear();
        self.affected = Default::default();
        self.changed_by = None;
        self.packages_by = None;
        self.command_by = None;
        self.apt_by = None;
        self.written.clear();
        self.open_by = None;
        self.service_by = None;
        self.uncertain.clear();
        self.new_homes.clear();
        self.perhaps_pending.clear();
        self.released.clear();
    }

    /// A step's planning begins; what is played from here on is its work.
    pub fn begin_step(&mut self, id: &str) {
        self.step = format!("step {id}");
    }

    fn this_step(&self) -> String {
        if self.step.is_empty() { "an earlier step".to_owned() } else { self.step.clone() }
    }

    /// Has the host asked what only the prediction raises. Its answers are true of
    /// the host as it is: they are for what no operation so far changes.
    ///
    /// # Errors
    /// Those of `ask`.
    pub fn ask_further<E>(&mut self, ask: impl FnOnce(&mut HostState) -> Result<(), E>) -> Result<(), E> {
        ask(&mut self.host)
    }

    /// The facts, for changing.
    pub fn facts_mut(&mut self) -> &mut Facts {
        &mut self.host.facts
    }
}
