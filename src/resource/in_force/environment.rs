//! Whether a unit's processes get the variables that its files set
//! (systemd.exec(5), "Environment").
//!
//! What a file of EnvironmentFile= says wins over Environment=, in whatever
//! order the two stand; UnsetEnvironment= wins over both. No value is told.

use super::units::{Assignment, assignments, files_of, said_otherwise, variables};
use super::{ConfigFile, Said};
use crate::observe::{Content, HostState, Known, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::resource::environment_file;
use crate::values::{AbsPath, EnvKey, Secret, UnitName};
use std::collections::BTreeMap;

/// What keeps a unit from getting variables from the environment file that a
/// drop-in names: settings that clear it or unset them, and environment files
/// that are read later (systemd.exec(5)). No value is told.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn environment(
    host: &HostState,
    unit: &str,
    drop_in: &AbsPath,
    variables: &BTreeMap<EnvKey, Secret>,
) -> Result<InForce, PlanError> {
    let mut found = InForce::default();
    let Some(files) = files_of(host, unit, drop_in, None, &mut found)? else { return Ok(found) };
    found.overridden.extend(said_otherwise(&files, drop_in, Said::File));
    let all: Vec<Assignment<'_>> = files.iter().flat_map(assignments).collect();
    let own = all.iter().rposition(|a| a.file == drop_in && a.key == "EnvironmentFile");
    let Some(own) = own.filter(|_| found.overridden.is_empty()) else { return Ok(found) };
    for by in all[own + 1..].iter().filter(|a| a.key == "EnvironmentFile" && a.section == all[own].section) {
        let Ok(path) = by.value.trim_start_matches('-').parse::<AbsPath>() else { continue };
        if !host.asked(&Query::Content(path.clone())) {
            found.follow_up_queries.push(Query::Content(path));
            continue;
        }
        let Content::Bytes(bytes) = host.content(&path)? else { continue };
        let other = environment_file::read(bytes);
        let key = variables.iter().find(|(key, value)| other.get(key).is_some_and(|other| other != *value));
        if let Some((key, _)) = key {
            let message = format!("{path} is read later and sets {key} otherwise: remove it from one of the two");
            found.overridden.push(Override::new(by.file, Some(by.line), message));
        }
    }
    let names: Vec<&str> = variables.keys().map(EnvKey::as_str).collect();
    found.overridden.extend(unset(&all, &all[own].section, unit, &names));
    Ok(found)
}

/// The lines that take variables out of the environment.
fn unset(all: &[Assignment<'_>], section: &str, unit: &str, names: &[&str]) -> Vec<Override> {
    let mut found = Vec::new();
    for by in all.iter().filter(|a| a.key == "UnsetEnvironment" && a.section == section) {
        if let Some(name) = names.iter().find(|name| by.value.split_whitespace().any(|word| word == **name)) {
            let message = format!("it takes {name} out of the environment of {unit}: remove that line there");
            found.push(Override::new(by.file, Some(by.line), message));
        }
    }
    found
}

/// What overrides the variables that a unit's file or drop-in sets by
/// Environment=: environment files, of the unit's own file too.
///
/// # Errors
/// The state cannot tell.
pub(super) fn of_files(
    host: &HostState,
    unit: &str,
    files: &[ConfigFile],
    path: &AbsPath,
    said: Said<'_>,
    found: &mut InForce,
) -> Result<(), PlanError> {
    let is_own = |a: &&Assignment<'_>| a.file == path && a.key == "Environment" && said.covers(a.whole);
    let all: Vec<Assignment<'_>> = files.iter().flat_map(assignments).collect();
    let own: Vec<&Assignment<'_>> = all.iter().filter(is_own).collect();
    // What a specifier or an escape stands for is not known.
    let plain = |value: &str| !value.contains(['%', '\\']);
    let mut set: BTreeMap<String, String> = BTreeMap::new();
    for a in &own {
        set.extend(variables(&a.value).into_iter().filter(|(_, value)| plain(value)));
    }
    let Some(section) = own.first().map(|a| a.section.clone()).filter(|_| !set.is_empty()) else { return Ok(()) };
    let vendors = fragment(host, unit, path, found)?;
    let all: Vec<Assignment<'_>> = vendors.iter().flat_map(assignments).chain(all).collect();
    let names: Vec<&str> = set.keys().map(String::as_str).collect();
    found.overridden.extend(unset(&all, &section, unit, &names));
    let mut named: Vec<&Assignment<'_>> = Vec::new();
    for a in all.iter().filter(|a| a.key == "EnvironmentFile" && a.section == section) {
        if a.value.is_empty() { named.clear() } else { named.push(a) }
    }
    let mut last: BTreeMap<&str, (AbsPath, usize, &Assignment<'_>, bool)> = BTreeMap::new();
    for by in named {
        let Ok(file) = by.value.trim_start_matches('-').parse::<AbsPath>() else { continue };
        if file.as_str().contains(['%', '*', '?', '[']) {
            continue;
        }
        if !host.asked(&Query::Content(file.clone())) {
            found.follow_up_queries.push(Query::Content(file));
            continue;
        }
        let Content::Bytes(bytes) = host.content(&file)? else { continue };
        let given = environment_file::read(bytes);
        for (name, value) in &set {
            let Some((_, other)) = given.iter().find(|(key, _)| key.as_str() == name) else { continue };
            last.insert(name, (file.clone(), line_of(bytes, name), by, other.expose() == value));
        }
    }
    for (name, (file, line, by, _)) in last.into_iter().filter(|(_, (.., is_same))| !is_same) {
        let message = format!(
            "it sets {name} otherwise, and {unit} reads it as EnvironmentFile= ({}:{}), which wins over Environment=: set \
             it there, or take it out there",
            by.file, by.line
        );
        found.overridden.push(Override::new(file, Some(line), message));
    }
    Ok(())
}

/// The unit's own file, where `path` is a drop-in of it.
fn fragment(
    host: &HostState,
    unit: &str,
    path: &AbsPath,
    found: &mut InForce,
) -> Result<Option<ConfigFile>, PlanError> {
    let is_drop_in = path.parent().is_some_and(|parent| parent.file_name().ends_with(".d"));
    let Some(name) = unit.parse::<UnitName>().ok().filter(|name| is_drop_in && !name.is_template()) else {
        return Ok(None);
    };
    if !host.asked(&Query::Unit(name.clone())) {
        found.follow_up_queries.push(Query::Unit(name));
        return Ok(None);
    }
    let Known::Is(state) = host.unit(&name)? else { return Ok(None) };
    let Ok(file) = state.fragment.parse::<AbsPath>() else { return Ok(None) };
    if !host.asked(&Query::Content(file.clone())) {
        found.follow_up_queries.push(Query::Content(file));
        return Ok(None);
    }
    let Content::Bytes(bytes) = host.content(&file)? else { return Ok(None) };
    Ok(Some(ConfigFile { text: String::from_utf8_lossy(bytes).into_owned(), path: file }))
}

/// The last line, from 1, that sets a variable in an environment file.
fn line_of(bytes: &[u8], name: &str) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let sets = |line: &str| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
    text.lines().enumerate().filter(|(_, line)| sets(line)).last().map_or(1, |(at, _)| at + 1)
}
