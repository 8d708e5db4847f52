//! The users and groups of a run that is taken back.
//!
//! Entry by entry: those that the run's steps made or changed go back, those of
//! packages, commands and others stay. Where nobody else has changed a file it is
//! byte for byte what it was. What usermod(8) has done to homes it takes back
//! before: it moves them, and gives their files to a number.

use super::account_files::{GROUP_FILES, Texts, USER_FILES};
use super::undo::{CHANGED_SINCE, Undo};
use super::undo_files::same;
use crate::observe::{Content, HostState, Known, PathState, Query, StateError};
use crate::plan::{ACCOUNT_FILES, AccountOp, Action, FieldChange, FileOp, Meta, NamedAccounts, Op};
use crate::values::{AbsPath, UserName};
use std::collections::{BTreeMap, BTreeSet};

/// A line of passwd(5), as far as it is about a home.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    uid: String,
    home: String,
}

/// What becomes of the users and groups that a run names.
#[derive(Debug, Default)]
pub(super) struct AccountsBack {
    /// Those that go back.
    named: NamedAccounts,
    /// The files as they are then; none where their bytes are not known.
    texts: Option<(Texts, Texts)>,
    changes: Vec<FieldChange>,
    /// Who is left alone, and why.
    left: Vec<(String, String)>,
    /// Homes of users that the run made and that stay.
    pub(super) staying_homes: Vec<AbsPath>,
}

impl Undo<'_> {
    /// Decides, entry by entry, which users and groups go back.
    pub(super) fn judge_accounts(&self) -> Result<AccountsBack, StateError> {
        let mut back = AccountsBack::default();
        let questions = self.record.questions();
        let is_asked = |file: &str| file.parse().is_ok_and(|path| questions.contains(&Query::Content(path)));
        if !ACCOUNT_FILES.iter().all(|file| is_asked(file)) {
            return Ok(back);
        }
        let (before, now) = (Texts::of(&self.states.before)?, Texts::of(&self.states.now)?);
        let (Some(before), Some(now)) = (before, now) else { return Ok(back) };
        let Some(named) = &self.record.accounts else {
            if before != now {
                let why = "left alone: the record of this run is of an earlier version and does not name them";
                back.left.push(("users and groups".to_owned(), why.to_owned()));
            }
            return Ok(back);
        };
        let mut named = named.clone();
        // What only its packages can have made goes with them.
        if self.packages_go_back && self.record.commands == 0 && self.accounts_are_as_left()? {
            now.name_differing(&before, &mut named);
        }
        let named = &named;
        self.judge_users(named, &before, &now, &mut back)?;
        let users = now.with(&before, &back.named);
        self.judge_groups(named, &before, &users, &mut back)?;
        let stays = |user: &UserName| named.users.contains(user) && !back.named.users.contains(user);
        for (user, group) in &named.members {
            let is_made = now.field("/etc/passwd", user.as_str(), 0).is_some()
                && before.field("/etc/passwd", user.as_str(), 0).is_none();
            let (was, is) =
                (before.is_member(user.as_str(), group.as_str()), now.is_member(user.as_str(), group.as_str()));
            if is_made && stays(user) || was == is {
                continue;
            }
            if !back.named.groups.contains(group) && !back.named.users.contains(user) {
                let word = |is: bool| Some(if is { "a member" } else { "no member" });
                back.changes.push(FieldChange::new(format!("{user} in group {group}"), word(is), word(was)));
            }
            back.named.members.insert((user.clone(), group.clone()));
        }
        let texts = now.with(&before, &back.named);
        back.texts = Some((texts, before));
        Ok(back)
    }

    fn accounts_are_as_left(&self) -> Result<bool, StateError> {
        for path in USER_FILES.iter().chain(&GROUP_FILES).filter_map(|file| file.parse::<AbsPath>().ok()) {
            if !same(&self.states.after, &self.states.now, &path)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn judge_users(
        &self,
        named: &NamedAccounts,
        before: &Texts,
        now: &Texts,
        back: &mut AccountsBack,
    ) -> Result<(), StateError> {
        for user in &named.users {
            let name = user.as_str();
            let (was, is) = (before.user(name), now.user(name));
            if was == is {
                continue;
            }
            let left = self.left_entry(&USER_FILES, "user", name, |texts| texts.user(name), now.user_digest(name))?;
            let (uid, has_uid) = (before.field("/etc/passwd", name, 2), now.field("/etc/passwd", name, 2));
            let taken = uid.filter(|uid| has_uid.as_ref() != Some(uid)).and_then(|uid| {
                let other = now.others_with("/etc/passwd", name, 2, &uid).into_iter().next()?;
                Some(format!("left alone: its UID {uid} is that of {other} by now"))
            });
            let why = if left { taken } else { Some(CHANGED_SINCE.to_owned()) };
            let Some(why) = why else {
                back.changes.push(entry_change("user", name, !was.is_empty(), !is.is_empty()));
                back.named.users.insert(user.clone());
                continue;
            };
            back.left.push((format!("user {name}"), why));
            let home = now.field("/etc/passwd", name, 5).and_then(|home| home.parse::<AbsPath>().ok());
            back.staying_homes.extend(home.filter(|home| was.is_empty() && self.record.homes.contains(home)));
        }
        Ok(())
    }

    fn judge_groups(
        &self,
        named: &NamedAccounts,
        before: &Texts,
        users: &Texts,
        back: &mut AccountsBack,
    ) -> Result<(), StateError> {
        for group in &named.groups {
            let name = group.as_str();
            let (was, is) = (before.group(name), users.group(name));
            if was == is {
                continue;
            }
            let left =
                self.left_entry(&GROUP_FILES[..1], "group", name, |texts| texts.group(name), users.group_digest(name))?;
            let is_ours = |user: &String| {
                before.is_member(user, name)
                    || named.members.iter().any(|(one, other)| one.as_str() == user && other == group)
                    || named.users.iter().any(|one| one.as_str() == user)
            };
            let others: Vec<String> = users.members_of(name).into_iter().filter(|user| !is_ours(user)).collect();
            let gid = users.field("/etc/group", name, 2).unwrap_or_default();
            let primary = users.others_with("/etc/passwd", "", 3, &gid);
            let why = match (left, was.is_empty()) {
                (false, _) => Some(CHANGED_SINCE.to_owned()),
                (true, true) if !primary.is_empty() => {
                    Some(format!("left alone: it is the primary group of {}", primary.join(", ")))
                }
                (true, true) if !others.is_empty() => Some(format!("left alone: {} joined it", others.join(", "))),
                (true, _) => None,
            };
            match why {
                Some(why) => back.left.push((format!("group {name}"), why)),
                None => {
                    back.changes.push(entry_change("group", name, !was.is_empty(), !is.is_empty()));
                    back.named.groups.insert(group.clone());
                }
            }
        }
        Ok(())
    }

    /// Whether an entry is as the run has left it.
    fn left_entry(
        &self,
        files: &[&str],
        sort: &str,
        name: &str,
        of: impl Fn(&Texts) -> Vec<u8>,
        digest: String,
    ) -> Result<bool, StateError> {
        let mut all_same = true;
        for path in files.iter().filter_map(|file| file.parse::<AbsPath>().ok()) {
            all_same &= same(&self.states.after, &self.states.now, &path)?;
        }
        if all_same {
            return Ok(true);
        }
        if let (Ok(Some(after)), Some(now)) = (Texts::of(&self.states.after), Texts::of(&self.states.now)?) {
            return Ok(of(&after) == of(&now));
        }
        let Some(run) = self.record.entries() else { return Ok(false) };
        let Ok(Known::Is(output)) = self.states.after.output(&run) else { return Ok(false) };
        let line = format!("{sort} {name} {digest}");
        Ok(output.stdout.lines().any(|known| known.split("  ").next() == Some(&line)))
    }

    /// Puts back the files of users and groups, as far as the run has changed what is in them.
    pub(super) fn accounts(&mut self, paths: &[AbsPath], back: AccountsBack) -> Result<(), StateError> {
        let AccountsBack { named, texts, changes, left, .. } = back;
        if let Some((texts, before)) = texts {
            let mut notes = Vec::new();
            let homes = self.homes_back(&named.users, &mut notes)?;
            let is_copy = |path: &AbsPath| path.as_str().ends_with('-');
            let mut files = BTreeMap::new();
            for path in paths.iter().filter(|path| !is_copy(path)) {
                files.extend(self.account_file(path, &texts, &before, !homes.is_empty())?.map(|op| (path, op)));
            }
            // The copies are those of before where their files are.
            let is_whole = |path: &AbsPath| {
                let file = path.as_str().trim_end_matches('-');
                !self.record.accounts_found && texts.get(file) == before.get(file)
            };
            if !files.is_empty() {
                for path in paths.iter().filter(|path| is_copy(path) && is_whole(path)) {
                    files.extend(self.account_copy(path, !homes.is_empty())?.map(|op| (path, op)));
                }
            }
            let ops: Vec<Op> = files.into_values().collect();
            self.homes_move(&homes);
            if !ops.is_empty() || !homes.is_empty() {
                self.step("user", "users and groups".into(), Action::Update, changes, [homes, ops].concat());
                self.hide_output();
                notes.iter().for_each(|note| self.note(note));
            } else {
                notes.iter().for_each(|note| self.skip("user", "homes".into(), note));
            }
        }
        for (name, why) in left {
            self.skip("user", name, &why);
        }
        Ok(())
    }

    /// What gives a file of users or groups its new bytes; `rewritten`: usermod(8) writes it anew before.
    fn account_file(
        &self,
        path: &AbsPath,
        texts: &Texts,
        before: &Texts,
        rewritten: bool,
    ) -> Result<Option<Op>, StateError> {
        let (was, is) = (self.states.before.path(path)?.entry(), self.states.now.path(path)?.entry());
        let text = texts.get(path.as_str());
        let found = matches!(self.states.now.content(path)?, Content::Bytes(bytes) if bytes == text)
            || text.is_empty() && is.is_none();
        if found && !rewritten {
            return Ok(None);
        }
        if text.is_empty() && was.is_none() {
            let gone = Op::File(FileOp::Remove { path: path.clone(), recursive: false });
            return Ok(is.map(|_| gone));
        }
        // Whose whole file is as before has its owner and mode too.
        let entry = if text == before.get(path.as_str()) { was.or(is) } else { is.or(was) };
        let Some(entry) = entry else { return Ok(None) };
        let meta = Meta { owner: entry.owner.clone(), group: entry.group.clone(), mode: entry.mode };
        Ok(Some(Op::File(FileOp::WriteFile { path: path.clone(), content: text.to_vec(), meta, validate: None })))
    }

    /// What puts back the copy that the tools keep of such a file.
    fn account_copy(&self, path: &AbsPath, rewritten: bool) -> Result<Option<Op>, StateError> {
        if !rewritten && same(&self.states.before, &self.states.now, path)? {
            return Ok(None);
        }
        let now = self.states.now.path(path)?.entry();
        match (self.states.before.path(path)?.entry(), self.states.before.content(path)) {
            (Some(before), Ok(Content::Bytes(bytes))) => {
                let meta = Meta { owner: before.owner.clone(), group: before.group.clone(), mode: before.mode };
                Ok(Some(Op::File(FileOp::WriteFile {
                    path: path.clone(),
                    content: bytes.clone(),
                    meta,
                    validate: None,
                })))
            }
            (Some(_), _) => Ok(None),
            (None, _) if now.is_some() || rewritten => {
                Ok(Some(Op::File(FileOp::Remove { path: path.clone(), recursive: false })))
            }
            (None, _) => Ok(None),
        }
    }

    /// What was known of homes that move is not known any more.
    fn homes_move(&mut self, ops: &[Op]) {
        for op in ops {
            if let Op::Account(AccountOp::UserChange { name, move_home: true, .. }) = op
                && let Some(Ok(from)) = lines(&self.states.now).get(name).map(|line| line.home.parse::<AbsPath>())
            {
                self.now.remove_tree(&from);
            }
        }
    }

    /// What takes back moves of homes and changes of the numbers that what is in them belongs to.
    fn homes_back(&mut self, users: &BTreeSet<UserName>, notes: &mut Vec<String>) -> Result<Vec<Op>, StateError> {
        let (before, now) = (lines(&self.states.before), lines(&self.states.now));
        for user in &self.record.removed_homes {
            if before.contains_key(user) && !now.contains_key(user) {
                notes.push(format!(
                    "the run removed the home of {user} with all that was in it; that cannot be put back"
                ));
            }
        }
        let mut ops = Vec::new();
        for (name, was) in before.iter().filter(|(name, _)| users.contains(*name)) {
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
                ops.push(Op::Account(AccountOp::UserChange {
                    name: name.clone(),
                    uid,
                    group,
                    shell,
                    home,
                    move_home,
                    comment,
                }));
            }
        }
        Ok(ops)
    }

    /// Whether nothing stands at the place that a home goes back to; the plan
    /// is made again once that is known.
    fn is_free(&mut self, home: &AbsPath) -> Result<bool, StateError> {
        let query = Query::Path(home.clone());
        if !self.states.now.asked(&query) {
            self.follow_up_queries.ask(query);
            return Ok(true);
        }
        Ok(*self.states.now.path(home)? == PathState::Absent)
    }
}

/// How an entry that was there before, or is now, changes.
fn entry_change(sort: &str, name: &str, was: bool, is: bool) -> FieldChange {
    let (from, to) = match (was, is) {
        (true, true) => ("changed", "as before"),
        (was, is) => (if is { "present" } else { "absent" }, if was { "present" } else { "absent" }),
    };
    FieldChange::new(format!("{sort} {name}"), Some(from), Some(to))
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
