//! The users and groups that a run makes or changes, by name.
//!
//! A package or a command of the same run, or somebody else since, may have
//! changed other entries of the same files: only what is named here is taken back.

use crate::observe::Run;
use crate::plan::Op;
use crate::values::{GroupName, UserName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Prints digests of the entries of users and groups: of the lines that
/// [`super::account_files`] compares.
const DIGESTS: &str = include_str!("account_digests.sh");

/// What operations make or change of users and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NamedAccounts {
    /// Users whose entries are made, changed or removed.
    pub(super) users: BTreeSet<UserName>,
    /// The same of groups.
    pub(super) groups: BTreeSet<GroupName>,
    /// Users that join or leave groups.
    pub(super) members: BTreeSet<(UserName, GroupName)>,
}

impl NamedAccounts {
    /// Those of one operation.
    pub(super) fn of(op: &Op) -> NamedAccounts {
        let mut named = NamedAccounts::default();
        match op {
            Op::UserAdd { name, groups, .. } => {
                named.users.insert(name.clone());
                // A group of the user's own name comes with it.
                named.groups.extend(name.as_str().parse());
                named.members.extend(groups.iter().map(|group| (name.clone(), group.clone())));
            }
            Op::UserRemove { name, .. } => {
                named.users.insert(name.clone());
                named.groups.extend(name.as_str().parse());
            }
            Op::UserChange { name: user, .. }
            | Op::SetPasswordHash { user, .. }
            | Op::LockPassword { user, .. }
            | Op::SetExpiry { user, .. } => _ = named.users.insert(user.clone()),
            Op::GroupAdd { name, .. } | Op::GroupChange { name, .. } | Op::GroupRemove { name } => {
                named.groups.insert(name.clone());
            }
            Op::Join { user, group } | Op::Leave { user, group } => {
                named.members.insert((user.clone(), group.clone()));
            }
            Op::WriteFile { .. }
            | Op::MakeDirectory { .. }
            | Op::MakeLink { .. }
            | Op::Remove { .. }
            | Op::SetMeta { .. }
            | Op::SetTree { .. }
            | Op::AptUpdate { .. }
            | Op::AptInstall { .. }
            | Op::AptRemove { .. }
            | Op::AptUpgrade { .. }
            | Op::AptAutoremove { .. }
            | Op::AptMark { .. }
            | Op::Debconf { .. }
            | Op::DaemonReload
            | Op::Systemctl { .. }
            | Op::Pending { .. }
            | Op::Forget { .. }
            | Op::Sysctl { .. }
            | Op::Module { .. }
            | Op::SetHostname { .. }
            | Op::SetTimezone { .. }
            | Op::Download { .. }
            | Op::Run { .. }
            | Op::Exec { .. }
            | Op::Check(_)
            | Op::Reboot { .. } => {}
        }
        named
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty() && self.members.is_empty()
    }

    pub(super) fn add(&mut self, more: &NamedAccounts) {
        self.users.extend(more.users.iter().cloned());
        self.groups.extend(more.groups.iter().cloned());
        self.members.extend(more.members.iter().cloned());
    }

    /// Without those that others name.
    pub(super) fn without(&self, others: &NamedAccounts) -> NamedAccounts {
        NamedAccounts {
            users: self.users.difference(&others.users).cloned().collect(),
            groups: self.groups.difference(&others.groups).cloned().collect(),
            members: self.members.difference(&others.members).cloned().collect(),
        }
    }

    /// The question for digests of their entries, which hold no secret.
    pub(super) fn question(&self) -> Option<Run> {
        if self.users.is_empty() && self.groups.is_empty() {
            return None;
        }
        let users = self.users.iter().map(|user| user.as_str());
        let groups = self.groups.iter().map(|group| group.as_str());
        let words = ["sh", "-c", DIGESTS, "sh"].into_iter().chain(users).chain(["--"]).chain(groups);
        Some(Run::new(words))
    }
}
