//! The users and groups of a run that is taken back.
//!
//! Their files go back to their bytes, all or none. What usermod(8) has done to
//! homes it takes back before: it moves them, and gives their files to a number.

use super::undo::{CHANGED_SINCE, Undo};
use super::undo_files::{put_back, same};
use crate::observe::{Content, HostState, PathState, Query, StateError};
use crate::plan::{Action, FieldChange, Meta, Op};
use crate::values::{AbsPath, UserName};
use std::collections::BTreeMap;

/// A line of passwd(5), as far as it is about a home.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    uid: String,
    home: String,
}

impl Undo<'_> {
    /// Users and groups: their files, all or none.
    pub(super) fn accounts(&mut self, paths: &[AbsPath]) -> Result<(), StateError> {
        let mut differing = Vec::new();
        for path in paths {
            if !same(&self.states.before, &self.states.now, path)? {
                differing.push(path);
            }
        }
        if self.accounts_stay {
            self.skip("user", "users and groups".into(), CHANGED_SINCE);
            return Ok(());
        }
        let mut notes = Vec::new();
        let homes = if differing.is_empty() { Vec::new() } else { self.homes_back(&mut notes)? };
        let mut ops = Vec::new();
        // usermod(8) writes the files anew, and copies of them.
        for path in if homes.is_empty() { differing } else { paths.iter().collect() } {
            let now = self.states.now.path(path)?.entry().cloned();
            match (self.states.before.path(path)?.entry(), self.states.before.content(path)) {
                (Some(before), Ok(Content::Bytes(bytes))) if !homes.is_empty() => {
                    let meta = Meta { owner: before.owner.clone(), group: before.group.clone(), mode: before.mode };
                    ops.push(Op::WriteFile { path: path.clone(), content: bytes.clone(), meta, validate: None });
                }
                (Some(before), _) => {
                    let back = put_back(path, before, now.as_ref(), &self.states.before, &self.states.now)?;
                    ops.extend(back.unwrap_or_default());
                }
                (None, _) if now.is_some() || path.as_str().ends_with('-') => {
                    ops.push(Op::Remove { path: path.clone(), recursive: false });
                }
                (None, _) => {}
            }
        }
        for op in &homes {
            if let Op::UserChange { name, move_home: true, .. } = op
                && let Some(Ok(from)) = lines(&self.states.now).get(name).map(|line| line.home.parse::<AbsPath>())
            {
                self.now.remove_tree(&from);
            }
        }
        if !ops.is_empty() {
            let change = FieldChange::new("files", Some(format!("{} changed", ops.len())), Some("as before"));
            self.step("user", "users and groups".into(), Action::Update, Some(change), [homes, ops].concat());
            notes.iter().for_each(|note| self.note(note));
        }
        Ok(())
    }

    /// What takes back moves of homes and changes of the numbers that what is in them belongs to.
    fn homes_back(&mut self, notes: &mut Vec<String>) -> Result<Vec<Op>, StateError> {
        let (before, now) = (lines(&self.states.before), lines(&self.states.now));
        for user in &self.record.removed_homes {
            if before.contains_key(user) && !now.contains_key(user) {
                notes.push(format!(
                    "the run removed the home of {user} with all that was in it; that cannot be put back"
                ));
            }
        }
        let mut ops = Vec::new();
        for (name, was) in &before {
            let Some(is) = now.get(name).filter(|is| *is != was) else { continue };
            let is_free = |(other, line): (&UserName, &Line)| other == name || line.uid != was.uid;
            let uid = was.uid.parse().ok().filter(|_| was.uid != is.uid && now.iter().all(is_free));
            let moved = is.home.parse().is_ok_and(|home| self.record.moved.contains(&home));
            let home = was.home.parse().ok().filter(|_| moved && was.home != is.home);
            let home = match home {
                Some(home) if self.is_free(&home)? => Some(home),
                Some(home) => {
                    notes.push(format!("{home} is there again: what is in {} stays there", is.home));
                    None
                }
                None => None,
            };
            if uid.is_some() || home.is_some() {
                let move_home = home.is_some();
                let (group, shell, comment) = (None, None, None);
                ops.push(Op::UserChange { name: name.clone(), uid, group, shell, home, move_home, comment });
            }
        }
        Ok(ops)
    }

    /// Whether nothing stands at the place that a home goes back to; the plan
    /// is made again once that is known.
    fn is_free(&mut self, home: &AbsPath) -> Result<bool, StateError> {
        let query = Query::Path(home.clone());
        if !self.states.now.asked(&query) {
            self.wants.ask(query);
            return Ok(true);
        }
        Ok(*self.states.now.path(home)? == PathState::Absent)
    }
}

/// The users of /etc/passwd, as far as its bytes are known.
fn lines(host: &HostState) -> BTreeMap<UserName, Line> {
    let Some(Ok(Content::Bytes(bytes))) = "/etc/passwd".parse().ok().map(|path| host.content(&path)) else {
        return BTreeMap::new();
    };
    let text = String::from_utf8_lossy(bytes);
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, _, _, home, ..] = fields[..] else { return None };
        Some((name.parse().ok()?, Line { uid: uid.to_owned(), home: home.to_owned() }))
    };
    text.lines().filter_map(line).collect()
}
