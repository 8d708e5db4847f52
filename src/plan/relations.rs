//! What systemd does to other units than the one that a verb of systemctl(1)
//! names: `Also=` and `Alias=` of [Install], and what excludes or requires
//! another unit (systemd.unit(5)).
//!
//! Only units that the plan has asked about are changed, and only where their
//! state is known.

use crate::observe::{HostState, Known, PredictedState, Unit};
use crate::values::{UnitFile, UnitName};
use std::collections::BTreeSet;

/// The other units that a text names.
#[derive(Debug, Default)]
pub(super) struct Related {
    /// `Also=`: enabled and disabled together with it.
    pub(super) also: Vec<String>,
    /// `Alias=`: its further names, once it is enabled.
    pub(super) aliases: Vec<String>,
    /// `Conflicts=`: stopped where it is started, and the other way round.
    pub(super) conflicts: Vec<String>,
    /// `Requires=`, `BindsTo=`: started with it, and it is stopped with them.
    pub(super) requires: Vec<String>,
    /// What it stops with: these, `PartOf=` and `StopPropagatedFrom=`.
    stops_with: Vec<String>,
}

impl Related {
    pub(super) fn of(file: &UnitFile) -> Related {
        let named = |section: &str, keys: &[&str]| -> Vec<String> {
            let values = keys.iter().flat_map(|key| file.values(section, key));
            values.flat_map(str::split_whitespace).map(str::to_owned).collect()
        };
        Related {
            also: named("Install", &["Also"]),
            aliases: named("Install", &["Alias"]),
            conflicts: named("Unit", &["Conflicts"]),
            requires: named("Unit", &["Requires", "BindsTo"]),
            stops_with: named("Unit", &["Requires", "BindsTo", "Requisite", "PartOf", "StopPropagatedFrom"]),
        }
    }

    /// The unit's own file says all of this.
    pub(super) fn replace(self, unit: &mut Unit) {
        (unit.also, unit.conflicts, unit.requires) = (self.also, self.conflicts, self.requires);
    }

    /// A drop-in says this besides.
    pub(super) fn add(self, unit: &mut Unit) {
        unit.also.extend(self.also);
        unit.conflicts.extend(self.conflicts);
        unit.requires.extend(self.requires);
    }
}

/// Names that are not there yet are known as aliases of a unit: their links come
/// when it is enabled.
pub(super) fn named_by(host: &mut PredictedState, unit: &UnitName, aliases: &[String]) {
    for (_, state) in host.units_mut().iter_mut().filter(|(name, _)| aliases.iter().any(|alias| alias == name.as_str()))
    {
        if let Known::Is(found) = state
            && found.load == "not-found"
        {
            found.real = Some(unit.clone());
        }
    }
}

/// The text of a unit's file decides what it stops with from here on. Mounts,
/// slices and devices are required for other settings, too; drop-ins add theirs.
pub(super) fn tied(host: &mut PredictedState, unit: &UnitName, said: &Related) {
    let has_drop_ins = matches!(host.unit(unit), Ok(Known::Is(found)) if !found.drop_ins.is_empty());
    let is_plain = |name: &UnitName| [".service", ".socket"].iter().any(|suffix| name.as_str().ends_with(suffix));
    for (name, state) in host.units_mut().iter_mut().filter(|(name, _)| *name != unit && is_plain(name)) {
        let Known::Is(found) = state else { continue };
        let is_named = names(&said.stops_with, name, found);
        if is_named || !has_drop_ins {
            found.stops.retain(|other| other != unit.as_str());
        }
        found.stops.extend(is_named.then(|| unit.to_string()));
    }
}

/// A unit was enabled or disabled: those that `Also=` names are, too, and its
/// aliases have their links.
pub(super) fn installed(host: &mut PredictedState, name: &UnitName, unit: &Unit, enable: bool) {
    let others = also(host, name, unit);
    // A link of RequiredBy= may be all that has another unit require it.
    for state in host.units_mut().values_mut().filter(|_| !enable) {
        if let Known::Is(found) = state {
            found
                .requires
                .retain(|required| required != name.as_str() && !others.iter().any(|one| one.as_str() == required));
        }
    }
    for other in others {
        if let Some(Known::Is(found)) = host.units_mut().get_mut(&other) {
            match (enable, found.file.as_str()) {
                (true, "disabled" | "linked" | "enabled-runtime") => found.file = "enabled".to_owned(),
                (false, "enabled" | "enabled-runtime" | "linked") => found.file = "disabled".to_owned(),
                _ => {}
            }
        }
    }
    for state in host.units_mut().values_mut().filter(|_| enable) {
        if let Known::Is(found) = state
            && found.load == "not-found"
            && found.real.as_ref() == Some(name)
        {
            *found = Unit { real: Some(name.clone()), ..unit.clone() };
        }
    }
}

/// The units that are enabled and disabled with one, those of these included, as
/// far as it is known what their files say. No template can be enabled itself.
pub(crate) fn also(host: &HostState, name: &UnitName, unit: &Unit) -> BTreeSet<UnitName> {
    let parsed = |names: &[String]| -> Vec<UnitName> {
        names.iter().filter_map(|name| name.parse().ok()).filter(|name: &UnitName| !name.is_template()).collect()
    };
    let (mut found, mut todo) = (BTreeSet::new(), parsed(&unit.also));
    while let Some(other) = todo.pop() {
        if other == *name || !found.insert(other.clone()) {
            continue;
        }
        if let Ok(Known::Is(unit)) = host.unit(&other) {
            todo.extend(parsed(&unit.also));
        }
    }
    found
}

/// A unit was started: what it requires is started with it, and what it or they
/// exclude is stopped.
pub(super) fn started(host: &mut PredictedState, name: &UnitName, unit: &Unit) {
    let (mut running, mut todo) = (BTreeSet::new(), vec![(name.clone(), unit.clone())]);
    while let Some((name, unit)) = todo.pop() {
        if !running.insert(name.clone()) {
            continue;
        }
        let excluded = others(host, |other, found| {
            is_up(found) && (names(&unit.conflicts, other, found) || names(&found.conflicts, &name, &unit))
        });
        for (other, mut found) in excluded.into_iter().filter(|(other, _)| !running.contains(other)) {
            found.active = "inactive".to_owned();
            becomes(host, &other, &found.active);
            stop_with(host, &other, &found);
        }
        // Whether conditions are met, and what a unit that runs to its end leaves, is not known here.
        let required = others(host, |other, found| {
            names(&unit.requires, other, found)
                && found.load == "loaded"
                && matches!(found.active.as_str(), "inactive" | "failed")
                && !found.runs_once
                && !found.has_conditions
        });
        for (other, mut found) in required.into_iter().filter(|(other, _)| !running.contains(other)) {
            found.active = "active".to_owned();
            becomes(host, &other, &found.active);
            todo.push((other, found));
        }
    }
}

/// What systemd stops together with a unit, and with those in turn.
pub(super) fn stop_with(host: &mut PredictedState, name: &UnitName, unit: &Unit) {
    let mut going = vec![(name.clone(), unit.clone())];
    while let Some((name, unit)) = going.pop() {
        let goes = others(host, |other, found| {
            is_up(found) && (names(&unit.stops, other, found) || names(&found.requires, &name, &unit))
        });
        for (other, mut found) in goes.into_iter().filter(|(other, _)| *other != name) {
            found.active = "inactive".to_owned();
            becomes(host, &other, &found.active);
            going.push((other, found));
        }
    }
}

/// Why what is done to a unit changes another one, in words.
pub(super) fn reason(host: &HostState, by: &UnitName, other: &UnitName) -> Option<Reason> {
    let (Known::Is(unit), Known::Is(found)) = (host.unit(by).ok()?, host.unit(other).ok()?) else { return None };
    let lasting = |text: String| Some(Reason { text, order_decides: false });
    if names(&unit.conflicts, other, found) {
        return lasting(format!("{by} has Conflicts={other}"));
    }
    if names(&found.conflicts, by, unit) {
        return lasting(format!("{other} has Conflicts={by}"));
    }
    if names(&unit.requires, other, found) {
        return lasting(format!("{by} requires {other}"));
    }
    if names(&found.requires, by, unit) || names(&unit.stops, other, found) {
        return lasting(format!("{other} stops with {by}"));
    }
    let is_named = also(host, by, unit).contains(other);
    is_named.then(|| Reason { text: format!("{by} names {other} in Also="), order_decides: true })
}

/// Why one step takes back what another one makes.
pub(super) struct Reason {
    /// What systemd's units say.
    pub(super) text: String,
    /// Whether both hold where the other step comes last.
    pub(super) order_decides: bool,
}

/// The units of which this is known and holds.
fn others(host: &HostState, holds: impl Fn(&UnitName, &Unit) -> bool) -> Vec<(UnitName, Unit)> {
    let known = host.known_units().filter(|(name, unit)| holds(name, unit));
    known.map(|(name, unit)| (name.clone(), unit.clone())).collect()
}

fn becomes(host: &mut PredictedState, name: &UnitName, active: &str) {
    if let Some(Known::Is(unit)) = host.units_mut().get_mut(name) {
        active.clone_into(&mut unit.active);
    }
}

/// Whether a list has a unit, by its name or, where that is an alias, by its own.
pub(crate) fn names(list: &[String], name: &UnitName, unit: &Unit) -> bool {
    let is_it =
        |listed: &String| listed == name.as_str() || unit.real.as_ref().is_some_and(|real| listed == real.as_str());
    list.iter().any(is_it)
}

fn is_up(unit: &Unit) -> bool {
    matches!(unit.active.as_str(), "active" | "activating" | "reloading")
}
