//! Units that systemctl(1) enables, disables, starts or stops together with
//! another one: by `Also=`, `Requires=` and `Conflicts=` in their files
//! (systemd.unit(5)).

use crate::observe::{HostState, Known, Query, Unit};
use crate::plan::{Op, PlanError, Planned, UnitOp, Verb, also, names};
use crate::values::UnitName;
use std::collections::BTreeSet;

/// Whether some of these are not enabled. What must be known of them first goes to the plan's wants.
pub(super) fn leaves_disabled(host: &HostState, name: &UnitName, unit: &Unit, planned: &mut Planned) -> bool {
    let is_disabled = |other: &UnitName| matches!(host.unit(other), Ok(Known::Is(found)) if found.file == "disabled");
    let others = also(host, name, unit);
    let leaves = others.iter().any(is_disabled);
    planned.follow_up_queries.extend(others.into_iter().map(Query::Unit).filter(|query| !host.asked(query)));
    leaves
}

/// What is enabled and disabled together with a unit because `Also=` names it, as
/// changes and operations of the same step: `undo` and guards put it back then.
///
/// # Errors
/// The state cannot tell.
pub(super) fn switched_too(
    host: &HostState,
    name: &UnitName,
    unit: &Unit,
    planned: &mut Planned,
) -> Result<(), PlanError> {
    let last = planned.ops.iter().rposition(
        |op| matches!(op, Op::Unit(UnitOp::Systemctl { verb: Verb::Enable | Verb::Disable, unit }) if unit == name),
    );
    let Some((at, Op::Unit(UnitOp::Systemctl { verb, .. }))) =
        last.and_then(|at| Some((at, planned.ops.get(at)?.clone())))
    else {
        return Ok(());
    };
    let enable = verb == Verb::Enable;
    let mut ops = Vec::new();
    for other in also(host, name, unit) {
        if !host.asked(&Query::Unit(other.clone())) {
            planned.follow_up_queries.push(Query::Unit(other));
            continue;
        }
        let Known::Is(found) = host.unit(&other)? else { continue };
        if found.load != "loaded" || !["enabled", "enabled-runtime", "disabled"].contains(&found.file.as_str()) {
            continue;
        }
        if enable == (found.file == "disabled") {
            let word = |enabled: bool| Some(if enabled { "true" } else { "false" });
            planned.change(format!("{other} enabled"), word(!enable), word(enable));
            let what = if enable { "enables" } else { "disables" };
            planned.notes.push(format!("systemd {what} {other} with {name}, which names it in Also="));
        }
        ops.push(Op::Unit(UnitOp::Systemctl { verb, unit: other }));
    }
    planned.ops.splice(at + 1..at + 1, ops);
    Ok(())
}

/// What systemd starts and stops where it starts a unit, by `Requires=` and
/// `Conflicts=` of their files, as changes and operations of the same step.
///
/// # Errors
/// The state cannot tell.
pub(super) fn runs_too(host: &HostState, name: &UnitName, unit: &Unit, planned: &mut Planned) -> Result<(), PlanError> {
    if !planned
        .ops
        .iter()
        .any(|op| matches!(op, Op::Unit(UnitOp::Systemctl { verb: Verb::Start, unit }) if unit == name))
    {
        return Ok(());
    }
    // Targets, slices and mounts are there on every host that runs.
    let of_interest = |other: &String| [".service", ".socket"].iter().any(|suffix| other.ends_with(suffix));
    let parsed = |other: &String| other.parse().ok().filter(|other: &UnitName| other != name);
    // Those of the run name it in their own texts.
    let by_others = host.known_units().filter(|(_, found)| names(&found.conflicts, name, unit));
    let by_others: Vec<String> = by_others.map(|(other, _)| other.to_string()).collect();
    let excluded = unit.conflicts.iter().chain(&unit.excluded_by).chain(&by_others).map(|other| (other, Verb::Stop));
    let named = excluded.chain(unit.requires.iter().map(|other| (other, Verb::Start)));
    let mut seen = BTreeSet::new();
    for (other, verb) in named.filter(|(other, _)| of_interest(other)) {
        let Some(other) = parsed(other).filter(|other| seen.insert(other.clone())) else { continue };
        if !host.asked(&Query::Unit(other.clone())) {
            planned.follow_up_queries.push(Query::Unit(other));
            continue;
        }
        let Known::Is(found) = host.unit(&other)? else { continue };
        let (own, starts) = (found.real.as_ref().unwrap_or(&other), verb == Verb::Start);
        let moves = match found.active.as_str() {
            "active" | "activating" | "reloading" => !starts,
            "inactive" | "failed" => starts && !found.runs_once && !found.has_conditions,
            _ => false,
        };
        // What the run writes may no longer say so.
        let says = starts || names(&unit.conflicts, &other, found) || names(&found.conflicts, name, unit);
        if !says || own == name || found.load != "loaded" || !moves {
            continue;
        }
        let word = |runs: bool| Some(if runs { "true" } else { "false" });
        planned.change(format!("{own} running"), word(!starts), word(starts));
        planned.notes.push(match starts {
            true => format!("systemd starts {own} with {name}, which requires it"),
            false => format!("systemd stops {own} where {name} starts: they exclude each other (Conflicts=)"),
        });
        planned.ops.push(Op::Unit(UnitOp::Systemctl { verb, unit: own.clone() }));
    }
    Ok(())
}
