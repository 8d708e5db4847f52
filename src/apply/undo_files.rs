//! The files and trees of a run that is taken back.

use super::undo::{CHANGED_SINCE, Undo};
use crate::observe::{Content, Entry, FileType, HostState, Known, PathState, Query, StateError};
use crate::plan::{
    ACCOUNT_FILES, Action, FieldChange, FileOp, Meta, Op, UnitOp, diff_files, diff_unread, is_unit_source,
};
use crate::values::{AbsPath, Secret, sha256};
use std::collections::BTreeSet;

impl Undo<'_> {
    pub(super) fn files(&mut self) -> Result<(), StateError> {
        let (accounts, others): (Vec<AbsPath>, Vec<AbsPath>) =
            self.paths().into_iter().partition(|path| ACCOUNT_FILES.contains(&path.as_str()));
        let back = self.judge_accounts()?;
        self.staying_homes.clone_from(&back.staying_homes);
        let absent = |path: &&AbsPath| matches!(self.states.before.path(path), Ok(PathState::Absent));
        // What goes: the deepest first. What comes back: directories before what is in them.
        let (going, coming): (Vec<&AbsPath>, Vec<&AbsPath>) = others.iter().partition(absent);
        // What was made for a home goes when the home has moved back.
        let holds_home = |path: &&AbsPath| self.record.moved.iter().any(|home| home.is_within(path));
        let (last, going): (Vec<&AbsPath>, Vec<&AbsPath>) = going.into_iter().partition(holds_home);
        let mut units_changed = false;
        for path in going.into_iter().rev() {
            units_changed |= self.file(path)? && is_unit_source(path);
        }
        // What comes back belongs to users and groups as they were.
        self.accounts(&accounts, back)?;
        for path in last.into_iter().rev().chain(coming) {
            units_changed |= self.file(path)? && is_unit_source(path);
        }
        if units_changed {
            let change = FieldChange::new("files", Some("changed"), Some("read again"));
            self.step("service", "systemd".into(), Action::Run, Some(change), vec![Op::Unit(UnitOp::DaemonReload)]);
        }
        Ok(())
    }

    /// Puts one path back; true if there was something to do.
    fn file(&mut self, path: &AbsPath) -> Result<bool, StateError> {
        let kind = "file";
        // A run that ended early, for a reboot say, did not come to all that it was to change.
        if same(&self.states.before, &self.states.now, path)? || same(&self.states.before, &self.states.after, path)? {
            return Ok(false);
        }
        let is_home = self.record.homes.contains(path);
        // It moves back with its user.
        if self.record.moved.contains(path) {
            return Ok(false);
        }
        if self.staying_homes.iter().any(|home| path.is_within(home)) {
            let why = "left alone: its user has been changed since by someone else, and stays";
            self.skip(kind, path.to_string(), why);
            return Ok(false);
        }
        let file_type = |state: &HostState| state.path(path).map(|path| path.entry().map(|entry| entry.file_type));
        let (was, is) = (file_type(&self.states.before)?, file_type(&self.states.now)?);
        // Nothing can be removed, nor renamed over, where something is mounted.
        if was != is && self.now.is_mounted(path) {
            let kind = if is == Some(FileType::Directory) { "directory" } else { kind };
            self.skip(kind, path.to_string(), "left alone: something is mounted there");
            return Ok(false);
        }
        if !is_home && !same(&self.states.after, &self.states.now, path)? {
            self.skip(kind, path.to_string(), CHANGED_SINCE);
            return Ok(false);
        }
        let now = self.states.now.path(path)?.entry().cloned();
        let before = self.states.before.path(path)?.entry().cloned();
        if before.is_none() && is_home {
            return self.home(path);
        }
        let is_directory = |entry: &Option<Entry>| entry.as_ref().is_some_and(|e| e.file_type == FileType::Directory);
        // A directory goes for nothing, or for what stood in its place before.
        let goes = is_directory(&now) && !is_directory(&before) && !is_home;
        if goes && self.now.names(path).is_ok_and(|names| !names.is_empty()) {
            self.skip("directory", path.to_string(), "left alone: there are other files in it");
            return Ok(false);
        }
        let (action, changes, ops) = match (before, now) {
            (None, _) => {
                let op = Op::File(FileOp::Remove { path: path.clone(), recursive: false });
                (Action::Delete, vec![FieldChange::new("state", Some("present"), Some("absent"))], vec![op])
            }
            (Some(before), now) => {
                match put_back(path, &before, now.as_ref(), &self.states.before, &self.states.now)? {
                    Some(ops) => {
                        let action = if now.is_some() { Action::Update } else { Action::Create };
                        (action, differences(&before, now.as_ref()), ops)
                    }
                    None => {
                        self.skip(kind, path.to_string(), "left alone: its bytes were too many to be kept");
                        return Ok(false);
                    }
                }
            }
        };
        let diff = self.diff(path, &ops);
        let separated = self.separated(path, &ops);
        let is_secret = self.is_secret(path);
        self.step(kind, path.to_string(), action, changes, ops);
        if let Some(step) = self.steps.last_mut() {
            step.sensitive = is_secret;
            step.notes.extend(separated);
            step.diff = diff;
            if self.record.trees.contains(path) {
                step.notes.push("the run removed it with all that was in it; that cannot be put back".into());
            }
        }
        Ok(true)
    }

    /// That a file comes back under one of its names only: the others do not lead to it any more.
    fn separated(&self, path: &AbsPath, ops: &[Op]) -> Option<String> {
        let is_written = ops.iter().any(|op| matches!(op, Op::File(FileOp::WriteFile { .. })));
        let count = Some(self.states.before.hard_links(path)).filter(|count| is_written && *count > 1)?;
        Some(format!(
            "before the run {path} was one of {count} hard links to a file: it comes back as a file of its own, and the \
             other names stay as they are"
        ))
    }

    /// Whether a sensitive step of the run had to do with a path.
    fn is_secret(&self, path: &AbsPath) -> bool {
        self.record.secret.as_ref().is_none_or(|secret| secret.contains(path))
    }

    /// The content that comes back, against the one that is there.
    fn diff(&self, path: &AbsPath, ops: &[Op]) -> Option<String> {
        let content = ops.iter().find_map(|op| match op {
            Op::File(FileOp::WriteFile { content, .. }) => Some(content),
            _ => None,
        })?;
        if self.is_secret(path) {
            return Some(format!("{} (sensitive)\n", Secret::MASK));
        }
        match self.states.now.content(path) {
            Ok(Content::Bytes(bytes)) => Some(diff_files(path.as_str(), Some(bytes), Some(content))),
            Ok(Content::Absent) => Some(diff_files(path.as_str(), None, Some(content))),
            Ok(Content::Digest(_) | Content::AfterApply) | Err(_) => Some(diff_unread(content)),
        }
    }

    /// Removes a home that the run made, unless there is more in it than the run
    /// and the skeleton have put there; true if there was something to do.
    fn home(&mut self, path: &AbsPath) -> Result<bool, StateError> {
        if let Some(why) = self.home_stays(path)? {
            self.skip("directory", path.to_string(), &why);
            return Ok(false);
        }
        let change = FieldChange::new("state", Some("present"), Some("absent"));
        let op = Op::File(FileOp::Remove { path: path.clone(), recursive: true });
        self.step("directory", path.to_string(), Action::Delete, [change], vec![op]);
        Ok(true)
    }

    fn home_stays(&self, path: &AbsPath) -> Result<Option<String>, StateError> {
        // A mount of the run is stopped by then.
        let host = &self.now;
        if let Some(mount) = Some(path).filter(|path| host.is_mounted(path)).or_else(|| host.mounted_below(path)) {
            return Ok(Some(format!("left alone: something is mounted at {mount}")));
        }
        let Some(question) = self.record.in_homes() else { return Ok(None) };
        let (Ok(Known::Is(after)), Known::Is(now)) = (self.states.after.output(&question), host.output(&question)?)
        else {
            return Ok(Some("left alone: the record of the run does not tell what it has put there".to_owned()));
        };
        let left: BTreeSet<&str> = after.stdout.lines().collect();
        let within = format!("{path}/");
        let mut others = Vec::new();
        for line in now.stdout.lines().filter(|line| !left.contains(line)) {
            // A line that does not name a path is the rest of a name.
            let Some(name) = line.splitn(4, ' ').nth(3).and_then(|at| at.split('\t').next()?.strip_prefix(&within))
            else {
                continue;
            };
            let goes = path.join(name).is_ok_and(|path| self.now.path(&path) == Ok(&PathState::Absent));
            if !goes {
                others.push(name);
            }
        }
        Ok(others.first().map(|first| {
            let more = if others.len() > 1 { format!(" and {} more", others.len() - 1) } else { String::new() };
            format!("left alone: there is more in it than the run has put there ({first}{more})")
        }))
    }

    /// Owner, group and mode of what is below directories that the run changed as a whole.
    pub(super) fn trees(&mut self) -> Result<(), StateError> {
        let questions = self.record.questions();
        for query in questions.iter() {
            let Query::Tree { top, across } = query else { continue };
            let (before, after, now) = (
                self.states.before.tree(top, *across)?,
                self.states.after.tree(top, *across)?,
                self.states.now.tree(top, *across)?,
            );
            let (mut ops, mut changed_since) = (Vec::new(), 0);
            for (name, was) in &before.entries {
                let (left, is) = (after.entries.get(name), now.entries.get(name));
                let Some(is) = is.filter(|is| *is != was) else { continue };
                let path = top.join(name).ok();
                // What the run touched by itself too is put back as a file.
                if path.as_ref().is_some_and(|path| questions.contains(&Query::Path(path.clone()))) {
                    continue;
                }
                match path {
                    Some(path) if left == Some(is) && is.file_type == was.file_type => {
                        ops.push(Op::File(FileOp::SetMeta {
                            path,
                            owner: Some(was.owner.clone()),
                            group: Some(was.group.clone()),
                            mode: (was.file_type != FileType::Link).then_some(was.mode),
                        }))
                    }
                    _ if left == Some(was) => {}
                    _ => changed_since += 1,
                }
            }
            if !ops.is_empty() {
                let change =
                    FieldChange::new("owner and mode below", Some(format!("{} changed", ops.len())), Some("as before"));
                self.step("directory", top.to_string(), Action::Update, Some(change), ops);
            }
            if changed_since > 0 {
                let why = format!(
                    "{changed_since} entries left alone: changed since by someone else, or named so that they cannot be told"
                );
                self.skip("directory", top.to_string(), &why);
            }
        }
        Ok(())
    }
}

/// In what an entry differs from what it was, besides its content.
fn differences(before: &Entry, now: Option<&Entry>) -> Vec<FieldChange> {
    let Some(now) = now else { return vec![FieldChange::new("state", Some("absent"), Some("present"))] };
    let owners = |entry: &Entry| format!("{}:{}", entry.owner, entry.group);
    let fields = [
        ("type", now.file_type.name().to_owned(), before.file_type.name().to_owned()),
        ("target", now.target.clone().unwrap_or_default(), before.target.clone().unwrap_or_default()),
        ("mode", now.mode.to_string(), before.mode.to_string()),
        ("owner", owners(now), owners(before)),
    ];
    let differing = fields.into_iter().filter(|(_, is, was)| is != was);
    differing.map(|(field, is, was)| FieldChange::new(field, Some(is), Some(was))).collect()
}

/// Whether a path is the same in two states: type, owner, group, mode, target, bytes.
pub(super) fn same(one: &HostState, other: &HostState, path: &AbsPath) -> Result<bool, StateError> {
    let (left, right) = (one.path(path)?, other.path(path)?);
    if left != right {
        return Ok(false);
    }
    let is_file = left.entry().is_some_and(|entry| entry.file_type == FileType::File);
    let asked =
        |state: &HostState| state.asked(&Query::Content(path.clone())) || state.asked(&Query::Digest(path.clone()));
    Ok(!is_file || !asked(one) || !asked(other) || digest(one, path)? == digest(other, path)?)
}

fn digest(state: &HostState, path: &AbsPath) -> Result<Option<String>, StateError> {
    Ok(match state.content(path)? {
        Content::Bytes(bytes) => Some(sha256(bytes)),
        Content::Digest(digest) => Some(digest.clone()),
        Content::Absent | Content::AfterApply => None,
    })
}

/// The operations that make a path what it was; none if its bytes were not kept.
pub(super) fn put_back(
    path: &AbsPath,
    before: &Entry,
    now: Option<&Entry>,
    then: &HostState,
    state: &HostState,
) -> Result<Option<Vec<Op>>, StateError> {
    let meta = Meta { owner: before.owner.clone(), group: before.group.clone(), mode: before.mode };
    let set_meta = Op::File(FileOp::SetMeta {
        path: path.clone(),
        owner: Some(meta.owner.clone()),
        group: Some(meta.group.clone()),
        mode: (before.file_type != FileType::Link).then_some(meta.mode),
    });
    let same_type = now.is_some_and(|now| now.file_type == before.file_type);
    let mut ops = Vec::new();
    // A rename puts nothing in the place of a directory, nor a directory in the place of anything.
    if !same_type && now.is_some_and(|now| [now.file_type, before.file_type].contains(&FileType::Directory)) {
        ops.push(Op::File(FileOp::Remove { path: path.clone(), recursive: false }));
    }
    match before.file_type {
        FileType::Directory if same_type => ops.push(set_meta),
        FileType::Directory => ops.push(Op::File(FileOp::MakeDirectory { path: path.clone(), meta })),
        FileType::Link => {
            let same = same_type && now.is_some_and(|now| now.target == before.target);
            if !same {
                ops.push(Op::File(FileOp::MakeLink {
                    path: path.clone(),
                    target: before.target.clone().unwrap_or_default(),
                }));
            }
            // A new link is root's.
            if same || meta.owner != "root" || meta.group != "root" {
                ops.push(set_meta);
            }
        }
        FileType::File if same_type && digest(then, path)? == digest(state, path)? => ops.push(set_meta),
        FileType::File => match then.content(path)? {
            Content::Bytes(bytes) => {
                ops.push(Op::File(FileOp::WriteFile {
                    path: path.clone(),
                    content: bytes.clone(),
                    meta,
                    validate: None,
                }));
            }
            _ => return Ok(None),
        },
        FileType::Other if same_type => ops.push(set_meta),
        FileType::Other => return Ok(None),
    }
    Ok(Some(ops))
}
