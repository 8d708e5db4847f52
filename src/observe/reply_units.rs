//! Units in the probe's answer.

use super::reply::Section;
use super::{HostState, Known, Queries, Query, Unit, sysv};
use crate::values::UnitName;
use std::collections::BTreeSet;

pub(super) fn units(host: &mut HostState, queries: &Queries, section: &Section) {
    let text = section.text();
    let (text, rc_links) = text.split_once(sysv::SEPARATOR).unwrap_or((&text, ""));
    let (text, conditions) = text.split_once("\n++\n").unwrap_or((text, ""));
    let (text, aliases) = text.split_once("\n--\n").unwrap_or((text, ""));
    let mut blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    for query in queries.iter() {
        let Query::Unit(name) = query else { continue };
        // systemctl show answers in the order of the question.
        let Some(block) = blocks.next() else {
            let why = if section.errors.is_empty() { "no answer from systemctl" } else { &section.errors };
            host.set_unreadable(query.clone(), why.to_owned());
            continue;
        };
        let field = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        let names = |keys: &[&str]| -> Vec<String> {
            let all = keys.iter().flat_map(|key| field(key).split_whitespace().map(str::to_owned).collect::<Vec<_>>());
            all.collect::<BTreeSet<_>>().into_iter().collect()
        };
        let own: Option<UnitName> = match field("LoadState").as_str() {
            // The link of an alias is there only while the unit is enabled.
            "not-found" => alias_of(aliases, name),
            // The link of an alias outlives a mask: it leads to the unit, which cannot be loaded by it then.
            "error" if field("UnitFileState") == "masked" => unit_of_file(&field("FragmentPath")),
            _ => field("Id").parse().ok(),
        };
        let source = field("SourcePath");
        let rc_links = source.strip_prefix(sysv::SCRIPTS).map(|script| sysv::links_of(script, rc_links));
        let unit = Unit {
            real: own.filter(|own| own != name),
            load: field("LoadState"),
            active: field("ActiveState"),
            file: rc_links.as_ref().map_or_else(|| field("UnitFileState"), |links| sysv::state_of(links).to_owned()),
            needs_reload: field("NeedDaemonReload") == "yes",
            fragment: field("FragmentPath"),
            result: failure_of(&field("ActiveState"), &field("Result"), &field("ExecMainStatus")),
            has_conditions: conditions.lines().any(|unit| unit == field("Id")),
            drop_ins: field("DropInPaths").split_whitespace().map(str::to_owned).collect(),
            // systemd.unit(5): what these name the other way round.
            stops: names(&["RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo"]),
            also: also_of(conditions, &field("Id"), &field("Also")),
            conflicts: names(&["Conflicts"]),
            excluded_by: names(&["ConflictedBy"]),
            requires: names(&["Requires", "BindsTo"]),
            started_by: names(&["TriggeredBy", "WantedBy", "RequiredBy", "BoundBy", "UpheldBy"]),
            starts: if field("Accept") == "no" { names(&["Triggers"]) } else { Vec::new() },
            runs_once: field("Type") == "oneshot" && field("RemainAfterExit") == "no",
            cannot_reload: field("LoadState") == "loaded" && field("CanReload") == "no",
            is_on_bus: field("Type") == "dbus",
            rc_links,
        };
        host.set_unit(name, Known::Is(unit));
    }
}

/// What `Also=` names in the files of a unit; lines are `unit<TAB>names`. Without
/// systemd a field of the unit's tells.
fn also_of(lines: &str, id: &str, field: &str) -> Vec<String> {
    let told = lines.lines().filter_map(|line| line.split_once('\t')).filter(|(unit, _)| *unit == id);
    told.flat_map(|(_, names)| names.split_whitespace()).chain(field.split_whitespace()).map(str::to_owned).collect()
}

/// How a unit that failed, or is about to be started again, ended.
fn failure_of(active: &str, result: &str, status: &str) -> String {
    match (active, result, status) {
        ("active" | "reloading", ..) | (_, "" | "success", _) => String::new(),
        (_, result, "" | "0") => result.to_owned(),
        (_, result, status) => format!("{result}, exit status {status}"),
    }
}

/// The unit whose file says that this is its alias; lines are `path:Alias=names`.
fn alias_of(lines: &str, name: &UnitName) -> Option<UnitName> {
    lines.lines().find_map(|line| {
        let (path, names) = line.split_once(":Alias=")?;
        let says = names.split_whitespace().any(|alias| alias == name.as_str());
        says.then(|| unit_of_file(path)).flatten()
    })
}

fn unit_of_file(path: &str) -> Option<UnitName> {
    path.rsplit('/').next().unwrap_or(path).parse().ok()
}
