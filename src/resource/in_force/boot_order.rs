//! Which kernel parameters a boot sets again with others that it sets later.
//!
//! systemd-sysctl writes what all files say in the order in which a parameter
//! is named, or named with another value than before (systemd's
//! sysctl/sysctl.c); the kernel sets others with some of them
//! ([`SysctlKey::set_to`]). Patterns are left out: they set what no name does.

use super::ConfigFile;
use super::sysctl::{normal, statement};
use crate::plan::Override;
use crate::values::{SetTo, SysctlKey};
use std::collections::BTreeMap;

/// One value that a boot writes.
struct Assignment<'a> {
    key: SysctlKey,
    value: String,
    file: &'a ConfigFile,
    line: usize,
}

/// What is written after a parameter and has the kernel set it to another
/// value; `ufw`: the file that ufw applies when it starts.
pub(super) fn reset(files: &[ConfigFile], ufw: Option<&ConfigFile>, key: &str, value: &str) -> Option<Override> {
    let own: SysctlKey = key.parse().ok()?;
    let mut assignments = assignments(files);
    // sysctl(8) writes line after line.
    assignments.extend(ufw.into_iter().flat_map(statements));
    let at = assignments.iter().position(|assignment| assignment.key == own)?;
    let sets = |assignment: &Assignment<'_>| assignment.key.set_to(&assignment.value, &own).is_some();
    if !assignments.iter().skip(at + 1).any(sets) {
        return None;
    }
    let mut values: BTreeMap<&SysctlKey, (String, Option<&Assignment<'_>>)> = BTreeMap::new();
    for assignment in &assignments {
        let before = values.get(&assignment.key).map(|(value, _)| value.as_str()).or(assignment.key.at_start());
        let is_new = assignment.key.at_start().is_none() || before != Some(assignment.value.as_str());
        values.insert(&assignment.key, (assignment.value.clone(), None));
        for other in assignments.iter().map(|other| &other.key).filter(|other| is_new && **other != assignment.key) {
            if let Some(SetTo::Value(set)) = assignment.key.set_to(&assignment.value, other) {
                values.insert(other, (set, Some(assignment)));
            }
        }
    }
    let (ends_as, by) = values.get(&own)?;
    let by = by.filter(|_| *ends_as != normal(value))?;
    let setter = &by.key;
    let message = format!(
        "a boot writes it later, and with {setter} = {} the kernel sets {own} to {ends_as}: put both into one file \
         with a 'file' step, {setter} first",
        by.value
    );
    Some(Override::new(&by.file.path, Some(by.line), message))
}

/// Whether the kernel sets a parameter with others that a boot writes.
pub(super) fn is_set_with_others(files: &[ConfigFile], ufw: Option<&ConfigFile>, key: &str) -> bool {
    let Ok(own) = key.parse::<SysctlKey>() else { return true };
    let sets = |assignment: &Assignment<'_>| assignment.key.set_to(&assignment.value, &own).is_some();
    assignments(files).iter().any(sets) || ufw.into_iter().flat_map(statements).any(|assignment| sets(&assignment))
}

/// What systemd-sysctl writes, in order.
fn assignments(files: &[ConfigFile]) -> Vec<Assignment<'_>> {
    let mut all: Vec<Assignment<'_>> = Vec::new();
    for file in files {
        for found in file.lines().filter_map(|(number, line)| statement(number, line)) {
            let Ok(key) = found.shown.parse::<SysctlKey>() else { continue };
            let known = all.iter().position(|other| other.key == key);
            if known.is_some_and(|at| all.get(at).map(|other| &other.value) == found.value.as_ref()) {
                continue;
            }
            known.map(|at| all.remove(at));
            all.extend(found.value.map(|value| Assignment { key, value, file, line: found.line }));
        }
    }
    all
}

/// All that a file says.
fn statements(file: &ConfigFile) -> impl Iterator<Item = Assignment<'_>> {
    let found = file.lines().filter_map(|(number, line)| statement(number, line));
    found.filter_map(move |found| {
        Some(Assignment { key: found.shown.parse().ok()?, value: found.value?, file, line: found.line })
    })
}
