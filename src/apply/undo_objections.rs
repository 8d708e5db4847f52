//! What apt says against calls that an undo would make.

use super::undo::Undo;
use crate::observe::{Query, StateError, Transaction};
use crate::plan::{Op, blame, with_released};
use crate::values::PackageName;
use std::collections::BTreeMap;

impl Undo<'_> {
    /// Which of `count` parts of a call of apt-get it would not do, by themselves or
    /// together, and why; none while apt has not been asked, which is asked for then.
    /// `call`: the operation with these of the parts. `released`: packages whose hold
    /// this undo takes off before.
    pub(super) fn objections(
        &mut self,
        count: usize,
        released: &[PackageName],
        call: impl Fn(&[usize]) -> Op,
    ) -> Vec<(usize, String)> {
        let mut reasons: BTreeMap<Vec<usize>, String> = BTreeMap::new();
        let mut is_refused = |chosen: &[usize]| -> Option<bool> {
            let op = call(chosen);
            // What this undo releases is still held when apt is asked.
            let words = with_released(op.apt_words()?, released.iter());
            let why = match self.states.now.transaction(&words) {
                Ok(found) => objection(found, &op.named_removals(), &self.states.now.facts.arch),
                Err(StateError::NotAsked(_)) => {
                    self.follow_up_queries.ask(Query::Transaction(words));
                    return None;
                }
                Err(error) => Some(error.to_string()),
            };
            let is_refused = why.is_some();
            reasons.extend(why.map(|why| (chosen.to_vec(), why)));
            Some(is_refused)
        };
        let all: Vec<usize> = (0..count).collect();
        if is_refused(&all) != Some(true) {
            return Vec::new();
        }
        let groups = blame::groups(count, is_refused).unwrap_or_default();
        let why = |group: &Vec<usize>| reasons.get(group).or_else(|| reasons.get(&all)).cloned().unwrap_or_default();
        groups.iter().flat_map(|group| group.iter().map(|at| (*at, why(group)))).collect()
    }
}

/// Why apt may not do it: it refuses, or takes away what the call does not name.
fn objection(found: &Transaction, named: &[&PackageName], arch: &str) -> Option<String> {
    if let Some(refusal) = &found.refusal {
        return Some(refusal.clone());
    }
    let is_named = |name: &str| named.iter().any(|one| one.names(name, arch));
    let gone = found.changes.iter().filter(|change| change.after.is_none() && !is_named(&change.name));
    let gone: Vec<&str> = gone.map(|change| change.name.as_str()).collect();
    (!gone.is_empty()).then(|| format!("it would also remove {}", gone.join(", ")))
}
