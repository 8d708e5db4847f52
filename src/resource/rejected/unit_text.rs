//! Unit files and drop-ins with values that the host's systemd cannot use: it
//! would go on with its default, or refuse the whole unit.

use super::written;
use crate::observe::{Content, HostState, Query};
use crate::plan::{PlanError, Planned};
use crate::resource::in_force;
use crate::values::{AbsPath, UnitName};

/// Settings whose values grow with systemd and the kernel: one that is not
/// known here is left out of the list, and the rest holds.
const GROWING: [&str; 6] = [
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "SystemCallFilter",
    "SystemCallLog",
];

/// Whose a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::resource) enum Whose {
    /// The step's, which tells of unknown settings itself.
    OwnUnit,
    /// The step's.
    Own,
    /// The host's, and edited: what was there before is not the step's.
    Edited,
}

/// Refuses a unit's text with a value that systemd of the host cannot use.
///
/// # Errors
/// There is such a value.
pub(in crate::resource) fn check_units(host: &HostState, whose: Whose, planned: &mut Planned) -> Result<(), PlanError> {
    if host.facts.init != "systemd" || planned.open.is_some() {
        return Ok(());
    }
    let question = |(path, content): (&AbsPath, &[u8])| {
        let (name, text) = (unit(path)?, std::str::from_utf8(content).ok()?.to_owned());
        Some((path.clone(), Query::UnitText { name, text }))
    };
    let asked: Vec<(AbsPath, Query)> = planned.ops.iter().filter_map(written).filter_map(question).collect();
    for (path, query) in asked {
        if !host.asked(&query) {
            planned.follow_up_queries.push(query);
            continue;
        }
        let Query::UnitText { text, .. } = &query else { continue };
        for fault in host.unit_text(&query)? {
            let line = text.lines().nth(fault.line.saturating_sub(1)).unwrap_or_default();
            let key = line.split('=').next().unwrap_or_default().trim();
            let is_unknown = fault.why.starts_with("Unknown key") || fault.why.starts_with("Unknown section");
            if is_unknown && whose == Whose::OwnUnit {
                continue;
            }
            let said = format!("{path}:{}: systemd of this host cannot use this ({})", fault.line, fault.why);
            if is_unknown || fault.why.starts_with("Unknown lvalue") || GROWING.contains(&key) {
                planned.notes.push(format!("{said} and ignores it"));
            } else if whose == Whose::Edited && stood_before(host, &path, line) {
                planned.notes.push(said);
            } else {
                return Err(PlanError::Refused(format!("{said}: correct the value of {key}=")));
            }
        }
    }
    Ok(())
}

/// The unit that a path is a file of; of a drop-in for several units, any of them.
fn unit(path: &AbsPath) -> Option<UnitName> {
    let name = in_force::unit_of(path)?;
    let name = if name.contains('.') { name } else { format!("stockade.{name}") };
    name.parse().ok()
}

fn stood_before(host: &HostState, path: &AbsPath, line: &str) -> bool {
    match host.content(path) {
        Ok(Content::Bytes(before)) => String::from_utf8_lossy(before).lines().any(|other| other == line),
        _ => false,
    }
}
