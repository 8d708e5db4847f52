//! The users and groups that operations make or change, by name.
//!
//! A package or a command of the same run, or somebody else since, may have
//! changed other entries of the same files: only what is named here is taken back.

use crate::values::{GroupName, UserName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What operations make or change of users and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedAccounts {
    /// Users whose entries are made, changed or removed.
    pub users: BTreeSet<UserName>,
    /// The same of groups.
    pub groups: BTreeSet<GroupName>,
    /// Users that join or leave groups.
    pub members: BTreeSet<(UserName, GroupName)>,
}

impl NamedAccounts {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty() && self.members.is_empty()
    }

    /// Adds those of others.
    pub fn add(&mut self, more: &NamedAccounts) {
        self.users.extend(more.users.iter().cloned());
        self.groups.extend(more.groups.iter().cloned());
        self.members.extend(more.members.iter().cloned());
    }

    /// Without those that others name.
    pub fn without(&self, others: &NamedAccounts) -> NamedAccounts {
        NamedAccounts {
            users: self.users.difference(&others.users).cloned().collect(),
            groups: self.groups.difference(&others.groups).cloned().collect(),
            members: self.members.difference(&others.members).cloned().collect(),
        }
    }
}
