//! What operations make of accounts, units and kernel modules, and what commands find.

use super::PredictedState;
use crate::observe::{Account, Group, Known, Module, Output, Query, Run, Shadow, Unit};
use crate::values::UnitName;
use std::collections::BTreeMap;

impl PredictedState {
    /// The user database, for changing.
    pub fn users_mut(&mut self) -> &mut BTreeMap<String, Account> {
        &mut self.host.users
    }

    /// The group database, for changing.
    pub fn groups_mut(&mut self) -> &mut BTreeMap<String, Group> {
        &mut self.host.groups
    }

    /// The shadow database, for changing.
    pub fn shadow_mut(&mut self) -> &mut BTreeMap<String, Shadow> {
        &mut self.host.shadow
    }

    /// A user or group that is made, or removed, is one of the local files'.
    pub(crate) fn made_locally(&mut self, user: Option<&str>, group: Option<&str>) {
        if let Some((users, groups)) = &mut self.host.local {
            users.extend(user.map(str::to_owned));
            groups.extend(group.map(str::to_owned));
        }
    }

    /// Whether a package or a command earlier in the run may bring what is not there now.
    pub fn accounts_may_appear(&self) -> bool {
        self.brought_by().is_some()
    }

    /// A unit will be in this state.
    pub fn set_unit(&mut self, name: &UnitName, unit: Known<Unit>) {
        self.host.set_unit(name, unit);
        self.affected.decide(Query::Unit(name.clone()));
    }

    /// As [`PredictedState::leave_open`], for a unit.
    pub(crate) fn leave_unit_open(&mut self, unit: &UnitName) {
        self.set_unit(unit, Known::AfterApply);
    }

    /// The units that were asked about, for changing.
    pub fn units_mut(&mut self) -> &mut BTreeMap<UnitName, Known<Unit>> {
        &mut self.host.units
    }

    /// Every unit's files will have been read again.
    pub fn units_reloaded(&mut self) {
        for unit in self.host.units.values_mut() {
            if let Known::Is(unit) = unit {
                unit.needs_reload = false;
            }
        }
    }

    /// A kernel module will be in this state.
    pub fn set_module(&mut self, name: &str, module: Module) {
        self.host.set_module(name, module);
    }

    /// A kernel module will be loaded: parameters that do not exist may exist then.
    pub fn module_will_load(&mut self) {
        self.sysctl_may_appear = true;
    }

    /// A looking command will give this.
    pub fn set_output(&mut self, run: &Run, output: Known<Output>) {
        self.host.set_output(run, output);
    }
}
