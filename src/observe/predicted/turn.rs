//! What earlier steps of a run may have changed when a step's turn comes: whether
//! an assertion still holds, and which step a decision depends on.

use super::PredictedState;
use crate::observe::{Known, Query};
use crate::values::AbsPath;

/// The name under which a host notes that a change asks for a reboot.
pub const REBOOT_PENDING: &str = "reboot:changed";

/// Assertions and the changes that may have made them false.
impl PredictedState {
    /// Notes that an operation changes the host.
    pub fn count_change(&mut self) {
        self.count_change_at(None);
    }

    /// Notes that an operation changes the host; `place`: where, if it does so
    /// nowhere else.
    pub fn count_change_at(&mut self, place: Option<&AbsPath>) {
        self.confined.push(place.cloned());
        self.changes = self.changes.saturating_add(1);
        self.changed_by = Some(self.this_step());
    }

    /// How many changes are planned so far.
    pub fn changes(&self) -> u32 {
        self.changes
    }

    /// Notes that only the turn of the step at hand tells whether it changes
    /// anything: what is planned since there were `before` changes is not certain.
    pub fn changes_are_open(&mut self, before: u32) {
        self.open_changes = self.open_changes.saturating_add(self.changes.saturating_sub(before));
        self.perhaps_changed_by = Some(self.this_step());
    }

    /// Whether a change is planned for certain that no reboot follows.
    pub fn changed_since_reboot(&self) -> bool {
        self.changes > self.rebooted_at.saturating_add(self.open_changes)
    }

    /// The last step that may change something, with no reboot after it.
    pub fn perhaps_changed_since_reboot(&self) -> Option<&str> {
        self.perhaps_changed_by.as_deref()
    }

    /// Whether an earlier run, or an earlier phase of this one, ended before its reboot.
    pub fn owes_reboot(&self) -> bool {
        self.left.pending.contains(REBOOT_PENDING)
    }

    /// Notes that what is done may ask for a reboot.
    pub fn reboot_may_become_required(&mut self) {
        self.reboot_by = Some(self.this_step());
    }

    /// The host will be restarted, and no restart be pending any more.
    pub fn will_reboot(&mut self) {
        self.rebooted_at = self.changes;
        self.open_changes = 0;
        self.perhaps_changed_by = None;
        self.reboot_by = None;
        self.host.left.pending.retain(|owed| owed.starts_with("run:"));
    }

    /// A change will ask for a command that follows it. `open`: the step, where
    /// only its turn tells whether it changes anything.
    pub fn will_be_pending(&mut self, pending: &str, open: bool) {
        if open {
            self.perhaps_pending.insert(pending.to_owned(), self.this_step());
        } else {
            self.host.left.pending.insert(pending.to_owned());
        }
    }

    /// Whether a command that follows a change is pending.
    pub fn is_pending(&self, pending: &str) -> bool {
        self.left.pending.contains(pending)
    }

    /// The step whose turn tells whether a command that follows it is pending.
    pub fn perhaps_pending_by(&self, pending: &str) -> Option<&str> {
        self.perhaps_pending.get(pending).map(String::as_str)
    }

    /// All that was pending is in the plan.
    pub fn forget_all_pending(&mut self) {
        self.host.left.pending.clear();
    }

    /// Nothing asks any more for what was pending.
    pub fn forget_pending(&mut self, pending: &str) {
        self.host.left.pending.remove(pending);
        self.perhaps_pending.remove(pending);
    }
}

/// Which steps of the run may have changed what a later one asks about. What
/// no plan can predict is decided when the later step's turn comes.
impl PredictedState {
    /// The last step that changes anything, as in "step 3".
    pub fn changed_by(&self) -> Option<&str> {
        self.changed_by.as_deref()
    }

    /// The last step that installs packages.
    pub fn packages_by(&self) -> Option<&str> {
        self.packages_by.as_deref()
    }

    /// The step of the run that writes what stands at a path.
    pub fn written_by(&self, path: &AbsPath) -> Option<&str> {
        self.written.get(path).map(String::as_str)
    }

    /// A file or link will be written.
    pub fn will_be_written(&mut self, path: &AbsPath) {
        self.written.insert(path.clone(), self.this_step());
    }

    /// The last step that may change in a way that is not known which packages
    /// apt offers, and in which versions.
    pub fn apt_by(&self) -> Option<&str> {
        self.apt_by.as_deref()
    }

    /// What apt offers is known from here on only when a later step's turn comes.
    pub fn apt_may_change(&mut self) {
        self.apt_by = Some(self.this_step());
        self.forget_candidates();
    }

    /// The last step that runs a command of the operator's, unless a step after
    /// it has decided what stands at this path.
    pub fn commanded_by(&self, path: &AbsPath) -> Option<&str> {
        self.command_by.as_deref().filter(|_| !self.decided.contains(path))
    }

    /// The last step whose effect on files, units and accounts is not known: it
    /// runs a command of the operator's, or else installs packages, or else
    /// only its turn tells what it does.
    pub fn brought_by(&self) -> Option<&str> {
        self.command_by.as_deref().or(self.packages_by.as_deref()).or(self.open_by.as_deref())
    }

    /// A service will start, by the step at hand unless another is named: what it
    /// makes on its way is not known.
    pub fn service_will_start(&mut self, by: Option<&str>) {
        self.service_by = Some(by.map_or_else(|| self.this_step(), str::to_owned));
    }

    /// The last step that has a service start which may make what is not at this
    /// path; none where a step after it has decided what stands there.
    fn served_by(&self, path: &AbsPath) -> Option<&str> {
        let may_appear = |_: &&str| self.affected_by(&Query::Path(path.clone())).is_some();
        self.service_by.as_deref().filter(may_appear)
    }

    /// The last step that may make a directory that is not there: as
    /// [`PredictedState::brought_by`], or else by a service that it starts.
    pub fn made_by(&self, path: &AbsPath) -> Option<&str> {
        self.brought_by().or_else(|| self.served_by(path))
    }

    /// The step that may make a file that is not there: as
    /// [`PredictedState::rewritten_by`], or else by a service that it starts.
    pub fn appears_by(&self, path: &AbsPath) -> Option<&str> {
        self.rewritten_by(path).or_else(|| self.served_by(path))
    }

    /// The step that makes only the apply tell what stands at a path.
    pub fn uncertain_by(&self, path: &AbsPath) -> &str {
        let by = self.uncertain.get(path).map(String::as_str);
        by.or_else(|| self.brought_by()).unwrap_or("an earlier step")
    }

    /// Whether a step may remove or hide what stands at a path.
    pub fn is_uncertain(&self, path: &AbsPath) -> bool {
        self.uncertain.contains_key(path)
    }

    /// All steps that [`PredictedState::brought_by`] chooses from, as in "step 1 or step 3".
    pub fn brought_by_any(&self) -> Option<String> {
        let mut steps: Vec<&str> =
            [&self.packages_by, &self.command_by, &self.open_by].into_iter().flatten().map(String::as_str).collect();
        steps.dedup();
        (!steps.is_empty()).then(|| steps.join(" or "))
    }

    /// Notes that only the turn of this step tells what it does, and that it may
    /// make accounts, or, with `files`, anything.
    pub fn may_bring(&mut self, files: bool) {
        self.count_change();
        self.open_by = Some(self.this_step());
        if files {
            self.reboot_may_become_required();
            self.decided.clear();
            self.units_may_appear();
        }
    }

    /// The last step that may ask for a reboot.
    pub fn reboot_by(&self) -> Option<&str> {
        self.reboot_by.as_deref()
    }

    /// The step that may change the file at this path in a way that is not
    /// known, or that makes the home it is in; none where a step after it has
    /// written the file.
    pub fn rewritten_by(&self, path: &AbsPath) -> Option<&str> {
        if self.decided.contains(path) {
            return None;
        }
        let home = || self.new_homes.iter().find(|(home, _)| path != *home && path.is_within(home));
        self.brought_by().or_else(|| home().map(|(_, step)| step.as_str()))
    }

    /// A home will be made, with what /etc/skel of the host holds (useradd(8)).
    pub fn home_will_be_made(&mut self, home: &AbsPath) {
        self.decided.retain(|path| !path.is_within(home));
        self.new_homes.insert(home.clone(), self.this_step());
    }

    /// A command of the operator's will run: what it does is not known.
    pub fn command_will_run(&mut self) {
        self.command_by = Some(self.this_step());
        self.decided.clear();
        self.units_may_appear();
    }

    pub(super) fn units_may_appear(&mut self) {
        for unit in self.host.units.values_mut() {
            if matches!(unit, Known::Is(unit) if unit.load == "not-found") {
                *unit = Known::AfterApply;
            }
        }
    }
}
