//! Live kernel parameters that are put back: those that the run wrote, and those
//! that the kernel has set with them.
//!
//! What sets others goes first. Each is compared with what the steps before it
//! make of it, so that what the kernel puts back by itself is not written.

use super::undo::{CHANGED_SINCE, Undo};
use crate::observe::{HostState, Query, StateError};
use crate::plan::{Action, FieldChange, Op, SystemOp};
use crate::values::SysctlKey;
use std::collections::BTreeMap;

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
        for key in keys {
            let (Some(was), Some(is)) = (before.get(&key), now.get(&key)) else { continue };
            let is_changed = after.get(&key) != Some(is);
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
