//! Live kernel parameters that are put back: those that the run wrote, those that
//! the kernel has set with them, and those of files that a restart of the run applied.
//!
//! What sets others goes first. Each is compared with what the steps before it
//! make of it, so that what the kernel puts back by itself is not written.

use super::undo::{CHANGED_SINCE, Undo};
use super::undo_files::same;
use crate::observe::Content;
use crate::observe::{HostState, Query, StateError};
use crate::plan::{Action, FieldChange, FileOp, HostPlan, Op, SystemOp};
use crate::values::{AbsPath, SetTo, SysctlKey, SysctlPattern, UnitName, sysctl_assignments, sysctl_named};
use std::collections::BTreeMap;

/// The unit that applies the files of sysctl.d(5), and another name of it.
const APPLIERS: [&str; 2] = ["systemd-sysctl.service", "procps.service"];

/// Where these files are.
const DIRECTORIES: [&str; 4] = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"];
const MAIN: &str = "/etc/sysctl.conf";

/// Whether a unit applies the files of sysctl.d(5).
pub(super) fn applies_files(unit: &UnitName) -> bool {
    APPLIERS.contains(&unit.as_str())
}

fn is_applied(path: &AbsPath) -> bool {
    path.as_str() == MAIN || path.parent().is_some_and(|parent| DIRECTORIES.contains(&parent.as_str()))
}

/// The parameters that the files of a run set, with what the kernel sets with
/// them, where the run has the files applied.
pub(super) fn set_by_files(plan: &HostPlan) -> Vec<Query> {
    let written = plan.steps.iter().flat_map(|step| &step.ops).filter_map(|op| match op {
        Op::File(FileOp::WriteFile { path, content, .. }) if is_applied(path) => Some(content),
        _ => None,
    });
    let mut queries = Vec::new();
    for content in written {
        for (name, _) in sysctl_assignments(&String::from_utf8_lossy(content)) {
            let (keys, pattern) = sysctl_named(name);
            let written = |key| Op::System(SystemOp::Sysctl { key, value: String::new() });
            queries.extend(keys.into_iter().flat_map(|key| written(key).undo_scope()));
            queries.extend(pattern.map(Query::Sysctls));
        }
    }
    queries
}

/// Parameters of which a file of the run says what they are.
struct Assigned {
    keys: Vec<SysctlKey>,
    pattern: Option<SysctlPattern>,
    value: String,
}

impl Assigned {
    /// Whether this value comes of it, or may come of it.
    fn explains(&self, key: &SysctlKey, is: &str) -> bool {
        let named = self.keys.contains(key) || self.pattern.as_ref().is_some_and(|pattern| pattern.matches(key));
        named && normal(is) == self.value
            || self.keys.iter().filter_map(|by| by.set_to(&self.value, key)).any(|to| match to {
                SetTo::Value(value) | SetTo::Perhaps(value) => value == normal(is),
                SetTo::Unknown => true,
            })
    }
}

/// The kernel separates several numbers by tabs, people by spaces.
fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Undo<'_> {
    pub(super) fn live_parameters(&mut self) -> Result<(), StateError> {
        let states = self.states;
        let (before, after, now) =
            (self.parameters(&states.before)?, self.parameters(&states.after)?, self.parameters(&states.now)?);
        // What is gone since, as the parameters of an interface, has nothing to put back.
        let mut keys: Vec<SysctlKey> = before.keys().filter(|key| now.contains_key(*key)).cloned().collect();
        // Of two that set each other to 0, the one that was 0 becomes so with the other.
        let was_zero = |key: &SysctlKey| before.get(key).is_some_and(|value| value == "0");
        keys.sort_by_key(|key| (key.is_set_with_one_of(before.keys()), was_zero(key)));
        self.apply_files()?;
        let later = self.applied_later()?;
        for key in keys {
            let (Some(was), Some(is)) = (before.get(&key), now.get(&key)) else { continue };
            // What the run's files have asked for may have been done by a later phase.
            let is_as_before = after.get(&key) == Some(was);
            let is_explained = is_as_before && later.iter().any(|assigned| assigned.explains(&key, is));
            let is_changed = after.get(&key) != Some(is) && !is_explained;
            let wanted = if is_changed { is } else { was };
            let will_be = self.now.sysctl(&key)?;
            let is_certain = self.now.sysctl_set_with(&key).is_none_or(|set| set.is_certain());
            if will_be != Some(wanted.as_str()) || !is_certain {
                let change = FieldChange::new("live", will_be, Some(wanted.as_str()));
                let op = Op::System(SystemOp::Sysctl { key: key.clone(), value: wanted.clone() });
                self.step("sysctl", key.to_string(), Action::Update, Some(change), vec![op]);
            } else if is_changed && was != is {
                self.skip("sysctl", key.to_string(), CHANGED_SINCE);
            }
        }
        Ok(())
    }

    /// What the files of the run say, where it had them applied by a pending restart.
    fn applied_later(&self) -> Result<Vec<Assigned>, StateError> {
        let is_pending = |unit: &&str| self.record.pending.contains(&format!("restart:{unit}"));
        if !APPLIERS.iter().any(is_pending) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for path in self.paths_with_content().iter().filter(|path| is_applied(path)) {
            if !same(&self.states.after, &self.states.now, path)? {
                continue;
            }
            let Content::Bytes(bytes) = self.states.now.content(path)? else { continue };
            found.extend(sysctl_assignments(&String::from_utf8_lossy(bytes)).map(|(name, value)| {
                let (keys, pattern) = sysctl_named(name);
                Assigned { keys, pattern, value: normal(value) }
            }));
        }
        Ok(found)
    }

    fn paths_with_content(&self) -> Vec<AbsPath> {
        let path = |query: &Query| if let Query::Content(path) = query { Some(path.clone()) } else { None };
        self.record.questions().iter().filter_map(path).collect()
    }

    /// The parameters that the record asks for, as a state has them.
    fn parameters(&self, state: &HostState) -> Result<BTreeMap<SysctlKey, String>, StateError> {
        let mut found = BTreeMap::new();
        for query in self.record.questions().iter() {
            match query {
                Query::Sysctl(key) => found.extend(state.sysctl(key)?.map(|value| (key.clone(), value.to_owned()))),
                Query::Sysctls(pattern) => {
                    found.extend(state.sysctls_of(pattern).map(|(key, value)| (key.clone(), value.to_owned())));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}
