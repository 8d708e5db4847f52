//! The files of users and groups as lines with a name in front (passwd(5),
//! shadow(5), group(5), gshadow(5), subuid(5)), kept byte by byte.

use crate::observe::{Content, HostState, StateError};
use crate::plan::{ACCOUNT_FILES, NamedAccounts};
use crate::values::{AbsPath, sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The files in which a user has lines, in the order in which they are compared.
pub(super) const USER_FILES: [&str; 4] = ["/etc/passwd", "/etc/shadow", "/etc/subuid", "/etc/subgid"];

/// The files in which a group has a line.
pub(super) const GROUP_FILES: [&str; 2] = ["/etc/group", "/etc/gshadow"];

/// The bytes of the files, by their paths. One that is absent has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Texts(BTreeMap<&'static str, Vec<u8>>);

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn fields(line: &[u8]) -> Vec<&[u8]> {
    line.split(|byte| *byte == b':').collect()
}

fn name_of(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b':').next().unwrap_or_default()
}

fn members(line: &[u8]) -> Vec<&[u8]> {
    let list = fields(line).get(3).copied().unwrap_or_default();
    list.split(|byte| *byte == b',').filter(|name| !name.is_empty()).collect()
}

impl Texts {
    /// What a host holds; none where it is known by digests only.
    pub(super) fn of(host: &HostState) -> Result<Option<Texts>, StateError> {
        let mut texts = Texts::default();
        for name in ACCOUNT_FILES.into_iter().filter(|name| !name.ends_with('-')) {
            let Ok(path) = name.parse::<AbsPath>() else { continue };
            let bytes = match host.content(&path)? {
                Content::Bytes(bytes) => bytes.clone(),
                Content::Absent => Vec::new(),
                Content::Digest(_) | Content::AfterApply => return Ok(None),
            };
            texts.0.insert(name, bytes);
        }
        Ok(Some(texts))
    }

    /// The bytes of one of them.
    pub(super) fn get(&self, file: &str) -> &[u8] {
        self.0.get(file).map(Vec::as_slice).unwrap_or_default()
    }

    fn lines_of<'a>(&'a self, file: &str, name: &str) -> Vec<&'a [u8]> {
        lines(self.get(file)).filter(|line| name_of(line) == name.as_bytes()).collect()
    }

    /// A field of somebody's first line, from 0.
    pub(super) fn field(&self, file: &str, name: &str, field: usize) -> Option<String> {
        let line = self.lines_of(file, name).first().copied()?;
        fields(line).get(field).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Who else has this value in a field.
    pub(super) fn others_with(&self, file: &str, name: &str, field: usize, value: &str) -> Vec<String> {
        let has = |line: &&[u8]| {
            name_of(line) != name.as_bytes() && fields(line).get(field).is_some_and(|bytes| *bytes == value.as_bytes())
        };
        lines(self.get(file)).filter(has).map(|line| String::from_utf8_lossy(name_of(line)).into_owned()).collect()
    }

    /// All lines of a user, as the host's own digest takes them (`named_accounts.rs`).
    pub(super) fn user(&self, name: &str) -> Vec<u8> {
        let lines = USER_FILES.iter().flat_map(|file| self.lines_of(file, name));
        lines.flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
    }

    /// Name and number of a group, likewise; nothing where there is none.
    pub(super) fn group(&self, name: &str) -> Vec<u8> {
        let number = self.field("/etc/group", name, 2);
        number.map(|number| format!("{name}:{number}\n").into_bytes()).unwrap_or_default()
    }

    /// Adds the users and groups whose entries differ from those of another state.
    pub(super) fn name_differing(&self, other: &Texts, named: &mut NamedAccounts) {
        let names = |file: &'static str| [self, other].into_iter().flat_map(move |texts| lines(texts.get(file)));
        let parsed = |line: &[u8]| String::from_utf8(name_of(line).to_vec()).ok();
        let users = names("/etc/passwd").filter_map(parsed).filter(|name| self.user(name) != other.user(name));
        named.users.extend(users.filter_map(|name| name.parse().ok()));
        let groups = names("/etc/group").filter_map(parsed).filter(|name| self.group(name) != other.group(name));
        named.groups.extend(groups.filter_map(|name| name.parse().ok()));
    }

    pub(super) fn user_digest(&self, name: &str) -> String {
        sha256(&self.user(name))
    }

    pub(super) fn group_digest(&self, name: &str) -> String {
        sha256(&self.group(name))
    }

    pub(super) fn is_member(&self, user: &str, group: &str) -> bool {
        self.members_of(group).iter().any(|member| member == user)
    }

    pub(super) fn members_of(&self, group: &str) -> Vec<String> {
        let lines = self.lines_of("/etc/group", group);
        lines.into_iter().flat_map(members).map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// These files with the entries that are named as `before` has them; all others stay.
    pub(super) fn with(&self, before: &Texts, named: &NamedAccounts) -> Texts {
        let mut texts = self.clone();
        let users: BTreeSet<&[u8]> = named.users.iter().map(|user| user.as_str().as_bytes()).collect();
        let groups: BTreeSet<&[u8]> = named.groups.iter().map(|group| group.as_str().as_bytes()).collect();
        for file in USER_FILES {
            texts.0.insert(file, with_lines(self.get(file), before.get(file), &users));
        }
        // Who is made or removed is so in all groups.
        let is_there = |texts: &Texts, name: &[u8]| lines(texts.get("/etc/passwd")).any(|line| name_of(line) == name);
        let everywhere: BTreeSet<&[u8]> =
            users.into_iter().filter(|user| is_there(self, user) != is_there(before, user)).collect();
        let takes_part = |user: &[u8], group: &[u8]| {
            let is_pair = |(one, other): &(crate::values::UserName, crate::values::GroupName)| {
                one.as_str().as_bytes() == user && other.as_str().as_bytes() == group
            };
            everywhere.contains(user) || named.members.iter().any(is_pair)
        };
        for file in GROUP_FILES {
            let mut text = Vec::new();
            for line in lines(self.get(file)) {
                let name = name_of(line);
                let was = lines(before.get(file)).find(|line| name_of(line) == name);
                let line = with_members(line, was.unwrap_or_default(), |user| takes_part(user, name));
                // The number of a group that was there goes back; its members are judged one by one.
                let number = was.filter(|_| file == "/etc/group" && groups.contains(name)).map(fields);
                text.extend(with_field(&line, 2, number.and_then(|fields| fields.get(2).copied())));
                text.push(b'\n');
            }
            let is_in = |text: &[u8], name: &[u8]| lines(text).any(|line| name_of(line) == name);
            let come_or_go: BTreeSet<&[u8]> =
                groups.iter().copied().filter(|name| is_in(&text, name) != is_in(before.get(file), name)).collect();
            texts.0.insert(file, with_lines(&text, before.get(file), &come_or_go));
        }
        texts
    }
}

/// `now`, where the lines of some names are those of `before`, in their places there.
fn with_lines(now: &[u8], before: &[u8], names: &BTreeSet<&[u8]>) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut done: BTreeSet<&[u8]> = BTreeSet::new();
    for line in lines(now) {
        let name = name_of(line);
        match names.contains(name) {
            false => kept.push(line),
            true if done.insert(name) => kept.extend(lines(before).filter(|line| name_of(line) == name)),
            true => {}
        }
    }
    let mut above: Option<&[u8]> = None;
    for line in lines(before) {
        let name = name_of(line);
        if names.contains(name) && !done.contains(name) {
            let after_above = above.and_then(|above| kept.iter().rposition(|kept| name_of(kept) == above));
            kept.insert(after_above.map_or(0, |at| at + 1), line);
        }
        above = Some(name);
    }
    kept.into_iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

/// A line of a group whose members are as before, as far as they take part.
fn with_members(line: &[u8], was: &[u8], takes_part: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let (found, before) = (members(line), members(was));
    let stays = |name: &&[u8]| !takes_part(name) || before.contains(name);
    let mut list: Vec<&[u8]> = found.iter().copied().filter(stays).collect();
    let back = before.iter().copied().filter(|name| takes_part(name) && !found.contains(name));
    list.extend(back.collect::<Vec<_>>());
    let is_as_before = list.iter().collect::<BTreeSet<_>>() == before.iter().collect::<BTreeSet<_>>();
    with_field(line, 3, Some(&(if is_as_before { before } else { list }).join(&b","[..])))
}

fn with_field(line: &[u8], field: usize, value: Option<&[u8]>) -> Vec<u8> {
    let mut all = fields(line);
    if let (Some(place), Some(value)) = (all.get_mut(field), value) {
        *place = value;
    }
    all.join(&b":"[..])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "account_files_tests.rs"]
mod tests;
