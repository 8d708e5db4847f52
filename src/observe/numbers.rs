//! The numbers behind the names of owners and groups. Two names of one number
//! are one owner: chown(2) and the kernel know numbers only.

use super::{HostState, Known};
use std::collections::BTreeMap;

/// Numbers by names, as the host gives them and as earlier steps leave them.
#[derive(Debug, Clone, Default)]
pub struct AccountNumbers {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl AccountNumbers {
    /// Whether two owners are one: the names are the same, or have the same number.
    pub fn is_same_user(&self, one: &str, other: &str) -> bool {
        one == other || is_same(number(&self.users, one), number(&self.users, other))
    }

    /// As [`AccountNumbers::is_same_user`], for groups.
    pub fn is_same_group(&self, one: &str, other: &str) -> bool {
        one == other || is_same(number(&self.groups, one), number(&self.groups, other))
    }
}

/// The number of a name that may be a number itself; root has one on every host.
fn number(known: &BTreeMap<String, u32>, name: &str) -> Option<u32> {
    if name == "root" { Some(0) } else { name.parse().ok().or_else(|| known.get(name).copied()) }
}

/// What has no known number is the same as nothing else.
fn is_same(one: Option<u32>, other: Option<u32>) -> bool {
    one.is_some() && one == other
}

impl HostState {
    /// The numbers of all names that are known. What earlier steps decide of an
    /// account counts, not what was found of its files.
    pub fn account_numbers(&self) -> AccountNumbers {
        let mut numbers = self.numbers.clone();
        for (name, account) in self.users.iter() {
            note(&mut numbers.users, name, &account.uid);
        }
        for (name, group) in self.groups.iter() {
            note(&mut numbers.groups, name, &group.gid);
        }
        numbers
    }

    /// Whether two owners are one, by their numbers.
    pub fn is_same_user(&self, one: &str, other: &str) -> bool {
        let number = |name: &str| self.number_of(name, &self.numbers.users, self.users.get(name).map(|a| &a.uid));
        one == other || is_same(number(one), number(other))
    }

    /// Whether two groups are one, by their numbers.
    pub fn is_same_group(&self, one: &str, other: &str) -> bool {
        let number = |name: &str| self.number_of(name, &self.numbers.groups, self.groups.get(name).map(|g| &g.gid));
        one == other || is_same(number(one), number(other))
    }

    fn number_of(&self, name: &str, found: &BTreeMap<String, u32>, account: Option<&Known<u32>>) -> Option<u32> {
        match account {
            Some(Known::Is(number)) if name != "root" => Some(*number),
            Some(Known::AfterApply) => None,
            Some(Known::Is(_)) | None => number(found, name),
        }
    }

    /// Notes the numbers of an owner and a group, as a host tells them beside
    /// the names: `name:number`. Gives the names.
    pub(super) fn read_owner(&mut self, owner: &str, group: &str) -> (String, String) {
        (read(&mut self.numbers.users, owner), read(&mut self.numbers.groups, group))
    }
}

fn note(known: &mut BTreeMap<String, u32>, name: &str, number: &Known<u32>) {
    match number {
        Known::Is(number) => _ = known.insert(name.to_owned(), *number),
        Known::AfterApply => _ = known.remove(name),
    }
}

/// The name before the colon, which no name holds (passwd(5)). What earlier
/// versions have kept of a run has no number.
fn read(known: &mut BTreeMap<String, u32>, field: &str) -> String {
    let Some((name, number)) = field.split_once(':') else { return field.to_owned() };
    if let Ok(number) = number.parse() {
        known.insert(name.to_owned(), number);
    }
    name.to_owned()
}
