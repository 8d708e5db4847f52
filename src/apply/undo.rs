//! The plan that takes a run back.
//!
//! Three states decide, for each thing that the run touched: what was there
//! before, what the run left, and what is there now. What is as it was needs
//! nothing; what is no longer as the run left it has been changed by somebody
//! else and is skipped, with the reason; the rest is put back.

use super::Record;
use crate::observe::{
    Content, Entry, FileType, HostState, Known, PathState, Queries, Query, REBOOT_PENDING, StateError, Unit,
};
use crate::plan::{ACCOUNT_FILES, Access, Action, FieldChange, HostPlan, Meta, Op, StepPlan, Verb, is_unit_source};
use crate::values::{AbsPath, UnitName};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The states that decide.
#[derive(Debug)]
pub struct States {
    /// Before the run.
    pub before: HostState,
    /// After the run.
    pub after: HostState,
    /// Now.
    pub now: HostState,
}

/// What becomes of the packages of a run that is taken back.
#[derive(Debug, Clone)]
pub enum UndoPackages {
    /// They are left alone.
    Leave,
    /// They are put back, but for those that apt refuses to bring to their
    /// former version, with its reason.
    Restore(BTreeMap<String, String>),
}

/// A plan that takes a run back.
#[derive(Debug)]
pub struct UndoPlan {
    /// The steps.
    pub plan: HostPlan,
    /// Questions whose answers the plan takes; it is made again with them.
    pub wants: Queries,
    /// Packages whose former versions apt refuses, with its reason: they are to be left out.
    pub refused: BTreeMap<String, String>,
}

/// The steps that take a run back, newest change first where order matters.
///
/// # Errors
/// A state does not hold what the record says was asked.
pub fn plan_undo(
    host: &str,
    record: &Record,
    states: &States,
    packages: &UndoPackages,
) -> Result<UndoPlan, StateError> {
    let mut undo = Undo {
        record,
        states,
        now: states.now.clone(),
        steps: Vec::new(),
        accounts_stay: false,
        wants: Queries::new(),
        refused: BTreeMap::new(),
    };
    undo.quiet_units()?;
    undo.firewall_off()?;
    undo.files()?;
    undo.trees()?;
    undo.live_values()?;
    undo.units()?;
    undo.packages(packages)?;
    undo.pending();
    undo.remarks();
    let access = Access::of(&states.now);
    undo.steps.iter_mut().for_each(|step| step.guard_for(&access));
    let plan = HostPlan { spared: access.packages(), ..HostPlan::new(host, undo.steps) };
    Ok(UndoPlan { plan, wants: undo.wants, refused: undo.refused })
}

pub(super) struct Undo<'a> {
    pub(super) record: &'a Record,
    pub(super) states: &'a States,
    /// What will be, as far as the steps so far go.
    now: HostState,
    steps: Vec<StepPlan>,
    /// Somebody else has changed users or groups since: those of the run stay, with their homes.
    accounts_stay: bool,
    /// See [`UndoPlan::wants`].
    pub(super) wants: Queries,
    /// See [`UndoPlan::refused`].
    pub(super) refused: BTreeMap<String, String>,
}

const CHANGED_SINCE: &str = "left alone: it has been changed since by someone else";

impl Undo<'_> {
    pub(super) fn step(
        &mut self,
        kind: &'static str,
        name: String,
        action: Action,
        changes: impl IntoIterator<Item = FieldChange>,
        ops: Vec<Op>,
    ) {
        ops.iter().for_each(|op| op.effect(&mut self.now));
        self.steps.push(StepPlan {
            id: format!("{}", self.steps.len() + 1),
            name,
            kind,
            action: if ops.is_empty() { Action::None } else { action },
            changes: changes.into_iter().collect(),
            ops,
            sensitive: true,
            ..StepPlan::default()
        });
    }

    pub(super) fn skip(&mut self, kind: &'static str, name: String, why: &str) {
        self.step(kind, name, Action::None, None, Vec::new());
        self.note(why);
    }

    /// Says something of the last step.
    pub(super) fn note(&mut self, text: &str) {
        if let Some(step) = self.steps.last_mut() {
            step.notes.push(text.to_owned());
        }
    }

    fn paths(&self) -> Vec<AbsPath> {
        let path = |query: &Query| if let Query::Path(path) = query { Some(path.clone()) } else { None };
        self.record.questions().iter().filter_map(path).collect()
    }

    fn unit_names(&self) -> Vec<UnitName> {
        let unit = |query: &Query| if let Query::Unit(unit) = query { Some(unit.clone()) } else { None };
        self.record.questions().iter().filter_map(unit).collect()
    }

    /// Units that the run brought must not run when their files go.
    fn quiet_units(&mut self) -> Result<(), StateError> {
        for name in self.unit_names() {
            let (Known::Is(before), Known::Is(now)) = (self.states.before.unit(&name)?, self.states.now.unit(&name)?)
            else {
                continue;
            };
            if before.load != "not-found" || now.load == "not-found" {
                continue;
            }
            let mut ops = Vec::new();
            if now.active != "inactive" {
                ops.push(Op::Systemctl { verb: Verb::Stop, unit: name.clone() });
            }
            if now.file.starts_with("enabled") {
                ops.push(Op::Systemctl { verb: Verb::Disable, unit: name.clone() });
            }
            if !ops.is_empty() {
                let change =
                    FieldChange::new("state", Some(format!("{} {}", now.active, now.file)), Some("stopped, disabled"));
                self.step("service", name.to_string(), Action::Update, Some(change), ops);
            }
        }
        Ok(())
    }

    /// A firewall that the run turned on is turned off before its files go.
    fn firewall_off(&mut self) -> Result<(), StateError> {
        let Ok(conf) = "/etc/ufw/ufw.conf".parse::<AbsPath>() else { return Ok(()) };
        if !self.record.questions().contains(&Query::Content(conf.clone())) {
            return Ok(());
        }
        let enabled = |state: &HostState| -> Result<bool, StateError> {
            Ok(matches!(state.content(&conf)?, Content::Bytes(bytes)
                if String::from_utf8_lossy(bytes).lines().any(|line| line.trim() == "ENABLED=yes")))
        };
        if enabled(&self.states.now)? && !enabled(&self.states.before)? {
            let argv = ["ufw", "--force", "disable"].map(str::to_owned).to_vec();
            let change = FieldChange::new("enabled", Some("true"), Some("false"));
            self.step(
                "firewall",
                "ufw".into(),
                Action::Update,
                Some(change),
                vec![Op::Exec { argv, achieves: Vec::new() }],
            );
        }
        Ok(())
    }

    fn files(&mut self) -> Result<(), StateError> {
        let (accounts, others): (Vec<AbsPath>, Vec<AbsPath>) =
            self.paths().into_iter().partition(|path| ACCOUNT_FILES.contains(&path.as_str()));
        for path in &accounts {
            // The copies that end in '-' follow the files; only the files decide.
            let is_as = |state: &HostState| same(state, &self.states.now, path);
            self.accounts_stay |=
                !path.as_str().ends_with('-') && !is_as(&self.states.after)? && !is_as(&self.states.before)?;
        }
        let absent = |path: &&AbsPath| matches!(self.states.before.path(path), Ok(PathState::Absent));
        // What goes: the deepest first. What comes back: directories before what is in them.
        let (going, coming): (Vec<&AbsPath>, Vec<&AbsPath>) = others.iter().partition(absent);
        let mut units_changed = false;
        for path in going.into_iter().rev().chain(coming) {
            units_changed |= self.file(path)? && is_unit_source(path);
        }
        if units_changed {
            let change = FieldChange::new("files", Some("changed"), Some("read again"));
            self.step("service", "systemd".into(), Action::Run, Some(change), vec![Op::DaemonReload]);
        }
        self.accounts(&accounts)
    }

    /// Puts one path back; true if there was something to do.
    fn file(&mut self, path: &AbsPath) -> Result<bool, StateError> {
        let kind = "file";
        // A run that ended early, for a reboot say, did not come to all that it was to change.
        if same(&self.states.before, &self.states.now, path)? || same(&self.states.before, &self.states.after, path)? {
            return Ok(false);
        }
        let is_home = self.record.homes.contains(path);
        let within_home = self.record.homes.iter().any(|home| path.is_within(home));
        if self.accounts_stay && within_home {
            self.skip(
                kind,
                path.to_string(),
                "left alone: users have been changed since by someone else, so its user stays",
            );
            return Ok(false);
        }
        if !is_home && !same(&self.states.after, &self.states.now, path)? {
            self.skip(kind, path.to_string(), CHANGED_SINCE);
            return Ok(false);
        }
        let now = self.states.now.path(path)?.entry().cloned();
        let before = self.states.before.path(path)?.entry().cloned();
        let (action, change, ops) = match (before, now) {
            (None, Some(entry)) if entry.file_type == FileType::Directory => {
                if !is_home && self.now.names(path).is_ok_and(|names| !names.is_empty()) {
                    self.skip("directory", path.to_string(), "left alone: there are other files in it");
                    return Ok(false);
                }
                let op = Op::Remove { path: path.clone(), recursive: is_home };
                (Action::Delete, FieldChange::new("state", Some("present"), Some("absent")), vec![op])
            }
            (None, _) => {
                let op = Op::Remove { path: path.clone(), recursive: false };
                (Action::Delete, FieldChange::new("state", Some("present"), Some("absent")), vec![op])
            }
            (Some(before), now) => {
                match put_back(path, &before, now.as_ref(), &self.states.before, &self.states.now)? {
                    Some(ops) => {
                        let action = if now.is_some() { Action::Update } else { Action::Create };
                        (action, FieldChange::new("mode", now.map(|e| shown(&e)), Some(shown(&before))), ops)
                    }
                    None => {
                        self.skip(kind, path.to_string(), "left alone: its bytes were too many to be kept");
                        return Ok(false);
                    }
                }
            }
        };
        let note = self.record.trees.contains(path);
        self.step(kind, path.to_string(), action, Some(change), ops);
        if let (true, Some(step)) = (note, self.steps.last_mut()) {
            step.notes.push("the run removed it with all that was in it; that cannot be put back".into());
        }
        Ok(true)
    }

    /// Owner, group and mode of what is below directories that the run changed as a whole.
    fn trees(&mut self) -> Result<(), StateError> {
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
                    Some(path) if left == Some(is) && is.file_type == was.file_type => ops.push(Op::SetMeta {
                        path,
                        owner: Some(was.owner.clone()),
                        group: Some(was.group.clone()),
                        mode: (was.file_type != FileType::Link).then_some(was.mode),
                    }),
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

    /// Users and groups: their files, all or none.
    fn accounts(&mut self, paths: &[AbsPath]) -> Result<(), StateError> {
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
        let mut ops = Vec::new();
        for path in differing {
            let now = self.states.now.path(path)?.entry().cloned();
            match self.states.before.path(path)?.entry() {
                Some(before) => {
                    ops.extend(
                        put_back(path, before, now.as_ref(), &self.states.before, &self.states.now)?
                            .unwrap_or_default(),
                    );
                }
                None => ops.push(Op::Remove { path: path.clone(), recursive: false }),
            }
        }
        if !ops.is_empty() {
            let change = FieldChange::new("files", Some(format!("{} changed", ops.len())), Some("as before"));
            self.step("user", "users and groups".into(), Action::Update, Some(change), ops);
        }
        Ok(())
    }

    /// Kernel parameters, modules and the host's name, where they are live.
    fn live_values(&mut self) -> Result<(), StateError> {
        for query in self.record.questions().iter() {
            match query {
                Query::Sysctl(key) => {
                    let (before, now) = (self.states.before.sysctl(key)?, self.states.now.sysctl(key)?);
                    let Some(value) = before.filter(|_| before != now).map(str::to_owned) else { continue };
                    if self.states.after.sysctl(key)? != now {
                        self.skip("sysctl", key.to_string(), CHANGED_SINCE);
                        continue;
                    }
                    let change = FieldChange::new("live", now, Some(value.as_str()));
                    self.step(
                        "sysctl",
                        key.to_string(),
                        Action::Update,
                        Some(change),
                        vec![Op::Sysctl { key: key.clone(), value }],
                    );
                }
                Query::Module(name) => {
                    let (before, now) = (self.states.before.module(name)?.loaded, self.states.now.module(name)?.loaded);
                    if before != now {
                        let change = FieldChange::new("loaded", Some(now.to_string()), Some(before.to_string()));
                        let op = Op::Module { name: name.clone(), load: before };
                        self.step("kernel_module", name.clone(), Action::Update, Some(change), vec![op]);
                    }
                }
                Query::Content(path) if path.as_str() == "/etc/hostname" => {
                    if let (false, Content::Bytes(bytes)) =
                        (same(&self.states.before, &self.states.now, path)?, self.states.before.content(path)?)
                    {
                        let name = String::from_utf8_lossy(bytes).trim().to_owned();
                        let change = FieldChange::new("live", None::<&str>, Some(name.as_str()));
                        self.step(
                            "hostname",
                            name.clone(),
                            Action::Update,
                            Some(change),
                            vec![Op::SetHostname { name }],
                        );
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Units that were there before go back to how they were, and those that
    /// the run restarted for its new files are restarted for the old ones.
    fn units(&mut self) -> Result<(), StateError> {
        let changed = self.steps.iter().any(|step| !step.ops.is_empty());
        for name in self.unit_names() {
            let (Known::Is(before), Known::Is(after), Known::Is(now)) =
                (self.states.before.unit(&name)?, self.states.after.unit(&name)?, self.states.now.unit(&name)?)
            else {
                continue;
            };
            // A unit that is gone comes back only with its file.
            let stays_gone = matches!(self.now.unit(&name)?, Known::Is(unit) if unit.load == "not-found");
            if before.load == "not-found" || stays_gone {
                continue;
            }
            let state = |unit: &Unit| (is_up(unit), unit.file.clone());
            if state(after) != state(now) {
                self.skip("service", name.to_string(), CHANGED_SINCE);
                continue;
            }
            let verb = |verb| Op::Systemctl { verb, unit: name.clone() };
            let mut ops = Vec::new();
            match (before.file.as_str(), now.file.as_str()) {
                (b, n) if b == n => {}
                ("masked", _) => ops.extend([verb(Verb::Stop), verb(Verb::Mask)]),
                (b, "masked") => {
                    ops.push(verb(Verb::Unmask));
                    if b == "enabled" {
                        ops.push(verb(Verb::Enable));
                    }
                }
                ("enabled", _) => ops.push(verb(Verb::Enable)),
                (_, "enabled") => ops.push(verb(Verb::Disable)),
                _ => {}
            }
            match (is_up(before), is_up(now)) {
                (true, false) => ops.push(verb(Verb::Start)),
                (false, true) => ops.push(verb(Verb::Stop)),
                (true, true) if changed && self.record.restarted.contains(&name) => ops.push(verb(Verb::Restart)),
                _ => {}
            }
            if !ops.is_empty() {
                let text = |unit: &Unit| format!("{} {}", unit.active, unit.file);
                let change = FieldChange::new("state", Some(text(now)), Some(text(before)));
                self.step("service", name.to_string(), Action::Update, Some(change), ops);
            }
        }
        Ok(())
    }

    /// What the run's changes ask for and nobody has done is not asked for any more.
    fn pending(&mut self) {
        let noted = &self.states.now.left.owed;
        for pending in self.record.pending.iter().filter(|name| noted.contains(*name)).cloned().collect::<Vec<_>>() {
            let (name, what) = match pending.strip_prefix("run:") {
                Some(_) => ("pending command".to_owned(), "run".to_owned()),
                None if pending == REBOOT_PENDING => ("pending reboot".to_owned(), "reboot".to_owned()),
                None => (format!("pending {}", pending.replacen(':', " of ", 1)), pending.clone()),
            };
            let change = FieldChange::new("pending", Some(what), None::<&str>);
            self.step("service", name, Action::Delete, Some(change), vec![Op::Forget { pending }]);
        }
    }

    fn remarks(&mut self) {
        if self.record.commands > 0 {
            let text =
                format!("the run carried out {} commands; what they did is not known and stays", self.record.commands);
            self.skip("command", "commands".into(), &text);
        }
    }
}

/// Whether a unit runs; a reload that is under way does not stop it.
fn is_up(unit: &Unit) -> bool {
    matches!(unit.active.as_str(), "active" | "reloading" | "activating")
}

fn shown(entry: &Entry) -> String {
    format!("{} {}:{}", entry.mode, entry.owner, entry.group)
}

/// Whether a path is the same in two states: type, owner, group, mode, target, bytes.
fn same(one: &HostState, other: &HostState, path: &AbsPath) -> Result<bool, StateError> {
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
        Content::Bytes(bytes) => Some(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()),
        Content::Digest(digest) => Some(digest.clone()),
        Content::Absent | Content::AfterApply => None,
    })
}

/// The operations that make a path what it was; none if its bytes were not kept.
fn put_back(
    path: &AbsPath,
    before: &Entry,
    now: Option<&Entry>,
    then: &HostState,
    state: &HostState,
) -> Result<Option<Vec<Op>>, StateError> {
    let meta = Meta { owner: before.owner.clone(), group: before.group.clone(), mode: before.mode };
    let set_meta = Op::SetMeta {
        path: path.clone(),
        owner: Some(meta.owner.clone()),
        group: Some(meta.group.clone()),
        mode: (before.file_type != FileType::Link).then_some(meta.mode),
    };
    let same_type = now.is_some_and(|now| now.file_type == before.file_type);
    Ok(match before.file_type {
        FileType::Directory if same_type => Some(vec![set_meta]),
        FileType::Directory => Some(vec![Op::MakeDirectory { path: path.clone(), meta }]),
        FileType::Link => {
            Some(vec![Op::MakeLink { path: path.clone(), target: before.target.clone().unwrap_or_default() }])
        }
        FileType::File if same_type && digest(then, path)? == digest(state, path)? => Some(vec![set_meta]),
        FileType::File => match then.content(path)? {
            Content::Bytes(bytes) => {
                Some(vec![Op::WriteFile { path: path.clone(), content: bytes.clone(), meta, validate: None }])
            }
            _ => None,
        },
        FileType::Other => same_type.then(|| vec![set_meta]),
    })
}
