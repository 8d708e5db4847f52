//! Units that a run leaves stopped, masked or gone: what is pending for them is
//! not done any more, for a restart would start what is not to run.
//!
//! Units are compared by their own names: a step, or an earlier run, may name one
//! by an alias (systemd.unit(5)).

use super::mounted::is_mounted;
use super::unit_files::removes_file_of;
use super::{Action, DesiredStep, Op, StepPlan};
use crate::observe::{HostState, Known, PredictedState, Unit};
use crate::values::UnitName;
use std::collections::BTreeMap;

/// What the steps of a run say of units: whether each runs, by the last step that tells.
pub(super) struct Resting<'a> {
    pub(super) host: &'a HostState,
    predicted: &'a PredictedState,
    wanted: BTreeMap<UnitName, (bool, &'a str)>,
}

impl<'a> Resting<'a> {
    /// What these steps say.
    pub(super) fn of(
        planned: &[(usize, &'a DesiredStep)],
        host: &'a HostState,
        predicted: &'a PredictedState,
    ) -> Resting<'a> {
        let mut resting = Resting { host, predicted, wanted: BTreeMap::new() };
        for (_, step) in planned {
            let Some((unit, runs)) = step.resource.keeps_running() else { continue };
            // The mask of an alias has the alias's name, and the unit runs on.
            let is_masked = matches!(predicted.unit(unit), Ok(Known::Is(found)) if found.load == "masked");
            let name = if is_masked { unit.clone() } else { resting.own_name(unit) };
            resting.wanted.insert(name, (runs, step.id.as_str()));
        }
        resting
    }

    /// The unit's own name, where this one is known to be an alias.
    pub(super) fn own_name(&self, unit: &UnitName) -> UnitName {
        let real = |state: &HostState| match state.unit(unit) {
            Ok(Known::Is(Unit { real: Some(real), .. })) => Some(real.clone()),
            _ => None,
        };
        // An alias may come with the run.
        real(self.host).or_else(|| real(self.predicted)).unwrap_or_else(|| unit.clone())
    }

    /// Whether a unit is a mount point at which something is mounted.
    pub(super) fn is_mounted(&self, unit: &UnitName) -> bool {
        is_mounted(unit, self.host)
    }

    /// The step that wants a unit, by its own name, to be stopped.
    pub(super) fn stopped_by(&self, unit: &UnitName) -> Option<&'a str> {
        self.wanted.get(unit).and_then(|(runs, by)| (!*runs).then_some(*by))
    }

    /// Why what an earlier run has left pending for a unit, by its own name, is not done.
    pub(super) fn why(&self, unit: &UnitName, steps: &[StepPlan]) -> Option<String> {
        if let Some(by) = self.stopped_by(unit) {
            return Some(format!("step {by} wants it stopped"));
        }
        let load = |host: &HostState| match host.unit(unit) {
            Ok(Known::Is(found)) => found.load.clone(),
            _ => String::new(),
        };
        match load(self.predicted).as_str() {
            "masked" => return Some("it is masked".to_owned()),
            "not-found" if load(self.host) == "not-found" && self.predicted.brought_by().is_none() => {
                return Some("it is no longer there".to_owned());
            }
            "loaded" if load(self.host) != "loaded" => return None,
            _ => {}
        }
        let changing = || steps.iter().filter(|step| step.action != Action::None);
        let is_wanted = self.wanted.contains_key(unit)
            || changing().any(|step| step.restart.contains(unit) || step.reload.contains(unit));
        let removes = |op: &Op| removes_file_of(op, unit, self.predicted);
        let step = changing().find(|step| step.ops.iter().any(removes)).filter(|_| !is_wanted)?;
        Some(format!("step {} removes its file", step.id))
    }
}
