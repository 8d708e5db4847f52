//! Live kernel parameters, and what the kernel sets with one that is written.

use super::reply::Section;
use super::{HostState, Queries, Query};
use crate::values::{SetTo, SysctlKey, SysctlPattern};

/// The parameter that is the name of the running host.
const HOSTNAME: &str = "kernel.hostname";

/// That a step of the run has the kernel set a parameter with another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetWith {
    /// The parameter that is written.
    pub by: SysctlKey,
    /// The step that writes it.
    pub step: String,
    /// What becomes of this one.
    pub to: SetTo,
}

impl SetWith {
    /// Whether it is known what becomes of the parameter.
    pub fn is_certain(&self) -> bool {
        matches!(self.to, SetTo::Value(_))
    }

    /// The reason why a parameter is set again, as a note on its step tells it.
    pub fn reason(&self, key: &SysctlKey) -> String {
        let SetWith { by, step, .. } = self;
        format!("{step} writes {by}, {}: it is set again", self.to.when_written(key))
    }
}

/// A live value that an earlier step of the run wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSysctl {
    /// The parameter.
    pub key: SysctlKey,
    /// Its value.
    pub value: String,
    /// The step, with its name and place.
    pub step: String,
    /// Whether the step keeps its value from being shown.
    pub sensitive: bool,
}

impl HostState {
    /// A step writes a parameter, and the kernel sets others with it.
    pub fn write_sysctl(&mut self, key: &SysctlKey, value: &str) {
        let same = self.sysctl.get(key).is_some_and(|now| now.as_deref().is_some_and(|now| normal(now) == value));
        let is_certain = self.sysctl_set_with.remove(key).is_none_or(|set| set.is_certain());
        self.set_sysctl(key, value);
        if key.as_str() == HOSTNAME {
            self.name_host(value);
        }
        // The kernel sets others with a value that is new.
        if same && is_certain {
            return;
        }
        let step = self.this_step();
        let set: Vec<(SysctlKey, SetTo)> = self
            .sysctl
            .iter()
            .filter(|(_, now)| now.is_some())
            .filter_map(|(other, _)| Some((other.clone(), key.set_to(value, other)?)))
            .collect();
        for (other, to) in set {
            let now = self.sysctl.get(&other).and_then(Option::as_deref).map(normal);
            match &to {
                SetTo::Value(value) => _ = self.sysctl.insert(other.clone(), Some(value.clone())),
                SetTo::Perhaps(value) if now.as_ref() == Some(value) => continue,
                SetTo::Perhaps(_) | SetTo::Unknown => {}
            }
            self.sysctl_set_with.insert(other, SetWith { by: key.clone(), step: step.clone(), to });
        }
    }

    /// The running host gets this name, which is a parameter, too.
    pub fn name_host(&mut self, name: &str) {
        self.facts.hostname = name.to_owned();
        self.fact_is_decided("hostname");
        let parameter = self.sysctl.iter_mut().find(|(key, _)| key.as_str() == HOSTNAME);
        if let Some((_, Some(value))) = parameter {
            *value = name.to_owned();
        }
    }

    /// What has the kernel set this parameter since it was found or written.
    pub fn sysctl_set_with(&self, key: &SysctlKey) -> Option<&SetWith> {
        self.sysctl_set_with.get(key)
    }

    /// A step wants this live value, until a later one wants another.
    pub fn want_sysctl(&mut self, wanted: WantedSysctl) {
        self.wanted_sysctls.retain(|other| other.key != wanted.key);
        self.wanted_sysctls.push(wanted);
    }

    /// The live values that steps before the one at hand want.
    pub fn wanted_sysctls(&self) -> &[WantedSysctl] {
        &self.wanted_sysctls
    }

    /// The live parameters that a pattern stands for, as they were found.
    pub fn sysctls_of<'a>(&'a self, pattern: &'a SysctlPattern) -> impl Iterator<Item = (&'a SysctlKey, &'a str)> {
        let found = self.sysctl.iter().filter(|(key, _)| pattern.matches(key));
        found.filter_map(|(key, value)| Some((key, value.as_deref()?)))
    }
}

/// The kernel separates several numbers by tabs, people by spaces.
fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The answers about the parameters of all interfaces: number of the question,
/// interface, value.
pub(super) fn read(host: &mut HostState, queries: &Queries, section: &Section) {
    let patterns: Vec<&SysctlPattern> = patterns(queries).collect();
    for found in section.fields().chunks_exact(3) {
        let pattern = found[0].parse().ok().and_then(|number: usize| patterns.get(number));
        if let Some(key) = pattern.and_then(|pattern| pattern.of(&found[1])) {
            host.set_sysctl(&key, &found[2]);
        }
    }
    patterns.iter().for_each(|pattern| host.mark_asked(Query::Sysctls((*pattern).clone())));
}

/// The parameters that are asked of all interfaces, in the order in which they are asked and answered.
pub(super) fn patterns(queries: &Queries) -> impl Iterator<Item = &SysctlPattern> {
    let patterns = queries.iter().filter_map(|q| if let Query::Sysctls(pattern) = q { Some(pattern) } else { None });
    patterns.filter(|pattern| pattern.proc_paths().is_some())
}
