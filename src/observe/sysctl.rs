//! Live kernel parameters of all interfaces.

use super::reply::Section;
use super::{HostState, Queries, Query};
use crate::values::{SysctlKey, SysctlPattern};

impl HostState {
    /// The live parameters that a pattern stands for, as they were found.
    pub fn sysctls_of<'a>(&'a self, pattern: &'a SysctlPattern) -> impl Iterator<Item = (&'a SysctlKey, &'a str)> {
        let found = self.sysctl.iter().filter(|(key, _)| pattern.matches(key));
        found.filter_map(|(key, value)| Some((key, value.as_deref()?)))
    }
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
