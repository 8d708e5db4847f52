//! What was found on a host, and, during planning, what is predicted.

use super::{Facts, Left, Queries, Query, Run};
use crate::values::{AbsPath, Mode, PackageName, Secret, SysctlKey, UnitName};
use std::collections::{BTreeMap, BTreeSet};

/// A value, or the statement that only the apply will tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// It is this.
    Is(T),
    /// It cannot be known before the apply; it is never guessed.
    AfterApply,
}

/// Why the state cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Nobody asked the host: a defect in a resource's `queries`.
    #[error("the host was not asked about {0} (a defect in this resource kind; please report it)")]
    NotAsked(String),
    /// The host was asked and could not tell.
    #[error("{what} could not be read: {why}")]
    Unreadable {
        /// What was asked for.
        what: String,
        /// What the host said.
        why: String,
    },
}

/// The types of files that matter to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket, device, pipe or whatever else.
    Other,
}

impl FileType {
    /// By the letter of find(1).
    pub(super) fn of_letter(letter: &str) -> FileType {
        match letter {
            "f" => FileType::File,
            "d" => FileType::Directory,
            "l" => FileType::Link,
            _ => FileType::Other,
        }
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its type.
    pub file_type: FileType,
    /// Its permission bits.
    pub mode: Mode,
    /// Its owner's name, or number if it has no name.
    pub owner: String,
    /// Its group's name, or number if it has no name.
    pub group: String,
    /// Where it points, for a link.
    pub target: Option<String>,
}

/// Whether something stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathState {
    /// Nothing does.
    Absent,
    /// This does.
    Present(Entry),
    /// Something earlier in the run decides.
    AfterApply,
}

impl PathState {
    /// The entry, if there is one.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            PathState::Present(entry) => Some(entry),
            _ => None,
        }
    }
}

/// What is known of a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There is no regular file.
    Absent,
    /// The bytes.
    Bytes(Vec<u8>),
    /// Their SHA-256, in hexadecimal; the bytes were not asked for or are too many.
    Digest(String),
    /// Something earlier in the run decides.
    AfterApply,
}

/// A line of the user database (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: Known<u32>,
    /// Name of the primary group, or its number if it has no name.
    pub group: String,
    /// The comment (GECOS) field.
    pub comment: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A line of the group database (group(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Group id.
    pub gid: Known<u32>,
    /// Supplementary members.
    pub members: BTreeSet<String>,
}

/// A line of the shadow database (shadow(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The password hash field.
    pub hash: Secret,
    /// Expiry of the account, in days since 1970-01-01.
    pub expires: Option<i64>,
}

/// Whether a package is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Package {
    /// dpkg does not know it.
    Absent,
    /// Removed, with its configuration files left (dpkg's `rc`).
    ConfigFiles,
    /// Installed in this version.
    Installed {
        /// The version, or known after apply.
        version: Known<String>,
        /// Whether it is held back (`apt-mark hold`).
        held: bool,
    },
    /// dpkg was interrupted: unpacked, half-configured, …
    Broken(String),
}

/// What apt would install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The version; none if apt knows no package of the name.
    pub version: Option<String>,
    /// The repositories that offer the candidate, as `apt-cache policy` shows them.
    pub origins: Vec<String>,
}

/// The state of a unit, in systemctl(1)'s words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// The unit's own name, where the one that was asked about is an alias.
    pub real: Option<UnitName>,
    /// `loaded`, `not-found`, `masked`, `error`, …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// `enabled`, `disabled`, `static`, `masked`, `alias`, …; empty if it has no unit file.
    pub file: String,
    /// Whether its files changed since systemd read them.
    pub needs_reload: bool,
    /// The unit file in use.
    pub fragment: String,
    /// The drop-ins in use.
    pub drop_ins: Vec<String>,
    /// How the last run of a failed unit ended, in systemd's words, such as
    /// `exit-code, exit status 203`; empty for others.
    pub result: String,
}

/// The state of a kernel module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Whether it is in /proc/modules.
    pub loaded: bool,
    /// Whether it is part of the kernel image.
    pub builtin: bool,
}

/// What a command gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// What it printed on standard output.
    pub stdout: String,
}

/// All that is known of one host.
#[derive(Debug, Clone, Default)]
pub struct HostState {
    /// What the host is.
    pub facts: Facts,
    pub(super) asked: Queries,
    pub(super) unreadable: BTreeMap<Query, String>,
    pub(super) paths: BTreeMap<AbsPath, PathState>,
    pub(super) contents: BTreeMap<AbsPath, Content>,
    /// Sizes of regular files whose bytes are not known.
    pub(super) sizes: BTreeMap<AbsPath, u64>,
    /// Files that are immutable (`i`) or can only be added to (`a`), see chattr(1).
    pub(super) flags: BTreeMap<AbsPath, char>,
    /// What is itself a mount point.
    pub(super) mounted: BTreeSet<AbsPath>,
    pub(super) names: BTreeMap<AbsPath, BTreeSet<String>>,
    /// By directory, then by name; none of a masked name.
    pub(super) fragments: BTreeMap<AbsPath, BTreeMap<String, Option<Vec<u8>>>>,
    pub(super) trees: BTreeMap<(AbsPath, bool), super::Tree>,
    pub(super) users: BTreeMap<String, Account>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) shadow: BTreeMap<String, Shadow>,
    /// Users and groups of the local files; none where these were not read.
    pub(super) local: Option<(BTreeSet<String>, BTreeSet<String>)>,
    pub(super) packages: BTreeMap<PackageName, Package>,
    pub(super) candidates: BTreeMap<PackageName, Candidate>,
    pub(super) apt: super::apt::AptState,
    pub(super) units: BTreeMap<UnitName, Known<Unit>>,
    pub(super) sysctl: BTreeMap<SysctlKey, Option<String>>,
    pub(super) modules: BTreeMap<String, Module>,
    pub(super) outputs: BTreeMap<Run, Known<Output>>,
    /// The step that is being planned, as in "step 3"; empty outside a plan.
    pub(super) step: String,
    /// The last step that changes anything.
    pub(super) changed_by: Option<String>,
    /// The last step that installs packages: what they bring is not known.
    pub(super) packages_by: Option<String>,
    /// The last step that runs a command of the operator's: what it does is not known.
    pub(super) command_by: Option<String>,
    /// Commands that may be pending, with the step that decides it.
    pub(super) perhaps_pending: BTreeMap<String, String>,
    /// Paths that a step has decided since the last package or command of the run.
    pub(super) decided: BTreeSet<AbsPath>,
    /// Homes that the run makes, with the step that does: what /etc/skel puts into them is not known.
    pub(super) new_homes: BTreeMap<AbsPath, String>,
    /// Sources files whose package lists are planned to be fetched; none of them: all.
    pub(super) lists_fetched: BTreeSet<Option<AbsPath>>,
    /// Set once a kernel module is planned to be loaded: parameters that did
    /// not exist may exist afterwards.
    pub(super) sysctl_may_appear: bool,
    /// How many changes have been played on this state.
    pub(super) changes: u32,
    /// How many of them had been when the host was last restarted.
    pub(super) rebooted_at: u32,
    /// The last step that may ask for a reboot.
    pub(super) reboot_by: Option<String>,
    /// Assertions that hold, with the number of changes played before each.
    pub(super) asserted: BTreeMap<Run, u32>,
    /// What earlier runs left.
    pub left: Left,
}

impl HostState {
    /// Whether the host was asked this.
    pub fn asked(&self, query: &Query) -> bool {
        self.asked.contains(query)
    }

    /// All that the host was asked.
    pub fn questions(&self) -> &Queries {
        &self.asked
    }

    pub(super) fn check(&self, query: Query) -> Result<(), StateError> {
        if let Some(why) = self.unreadable.get(&query) {
            return Err(StateError::Unreadable { what: query.to_string(), why: why.clone() });
        }
        if self.asked.contains(&query) { Ok(()) } else { Err(StateError::NotAsked(query.to_string())) }
    }

    pub(super) fn look<T>(&self, query: Query, found: Option<T>) -> Result<T, StateError> {
        let what = query.to_string();
        self.check(query)?;
        found.ok_or(StateError::NotAsked(what))
    }

    /// What stands at a path ([`Query::Path`]).
    ///
    /// # Errors
    /// Not asked, or unreadable; so for every question below.
    pub fn path(&self, path: &AbsPath) -> Result<&PathState, StateError> {
        self.look(Query::Path(path.clone()), self.paths.get(path))
    }

    /// What is known of a file's bytes ([`Query::Digest`] or [`Query::Content`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn content(&self, path: &AbsPath) -> Result<&Content, StateError> {
        let content = Query::Content(path.clone());
        let query = if self.asked.contains(&content) { content } else { Query::Digest(path.clone()) };
        self.look(query, self.contents.get(path))
    }

    /// The size of a regular file in bytes ([`Query::Path`]); none where there
    /// is no such file or only the apply can tell.
    pub fn size(&self, path: &AbsPath) -> Option<u64> {
        match self.contents.get(path) {
            Some(Content::Bytes(bytes)) => u64::try_from(bytes.len()).ok(),
            _ => self.sizes.get(path).copied(),
        }
    }

    /// The flag of chattr(1) that keeps a file from being changed: `i` (immutable)
    /// or `a` (append only); none also where the host could not tell, and where an
    /// operator's command earlier in the run may take it off.
    pub fn flag(&self, path: &AbsPath) -> Option<char> {
        self.flags.get(path).copied().filter(|_| self.command_by.is_none())
    }

    /// Whether a path is itself a mount point, as far as the host could tell.
    pub fn is_mounted(&self, path: &AbsPath) -> bool {
        self.mounted.contains(path)
    }

    /// The names in a directory ([`Query::Names`]); empty if there is no directory.
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn names(&self, path: &AbsPath) -> Result<&BTreeSet<String>, StateError> {
        self.look(Query::Names(path.clone()), self.names.get(path))
    }

    /// The files in a directory of fragments, by name, with what the run will
    /// write there ([`Query::Fragments`], [`Query::DropIns`]); none for a name
    /// that is masked by the null device. What cannot be known is left out.
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn fragments(&self, directory: &AbsPath) -> Result<BTreeMap<String, Option<&[u8]>>, StateError> {
        let found = self.look(Query::Fragments(directory.clone()), self.fragments.get(directory))?;
        let mut files: BTreeMap<String, Option<&[u8]>> =
            found.iter().map(|(name, bytes)| (name.clone(), bytes.as_deref())).collect();
        for (path, state) in self.paths.iter().filter(|(path, _)| path.parent().as_ref() == Some(directory)) {
            let name = path.file_name().to_owned();
            match (state, self.contents.get(path)) {
                (PathState::Present(entry), Some(Content::Bytes(bytes))) if entry.file_type == FileType::File => {
                    files.insert(name, Some(bytes));
                }
                (PathState::Present(Entry { target: Some(target), .. }), _) if target == "/dev/null" => {
                    files.insert(name, None);
                }
                (PathState::Absent, _) => {
                    files.remove(&name);
                }
                // Known by its digest, by where it points, or after apply only.
                (PathState::Present(_) | PathState::AfterApply, _) => {}
            }
        }
        Ok(files)
    }

    /// A user ([`Query::Accounts`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn user(&self, name: &str) -> Result<Option<&Account>, StateError> {
        self.check(Query::Accounts)?;
        Ok(self.users.get(name))
    }

    /// All users ([`Query::Accounts`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn users(&self) -> Result<&BTreeMap<String, Account>, StateError> {
        self.check(Query::Accounts)?;
        Ok(&self.users)
    }

    /// A group ([`Query::Accounts`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn group(&self, name: &str) -> Result<Option<&Group>, StateError> {
        self.check(Query::Accounts)?;
        Ok(self.groups.get(name))
    }

    /// All groups ([`Query::Accounts`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn groups(&self) -> Result<&BTreeMap<String, Group>, StateError> {
        self.check(Query::Accounts)?;
        Ok(&self.groups)
    }

    /// A user's shadow line ([`Query::Accounts`]); none if there is none.
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn shadow(&self, name: &str) -> Result<Option<&Shadow>, StateError> {
        self.check(Query::Accounts)?;
        Ok(self.shadow.get(name))
    }

    /// Whether a package or a command earlier in the run may bring what is not there now.
    pub fn accounts_may_appear(&self) -> bool {
        self.brought_by().is_some()
    }

    /// Whether there is a user of this name ([`Query::User`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn has_user(&self, name: &str) -> Result<bool, StateError> {
        self.exists(Query::User(name.to_owned()), self.users.contains_key(name))
    }

    /// Whether there is a group of this name ([`Query::Group`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn has_group(&self, name: &str) -> Result<bool, StateError> {
        self.exists(Query::Group(name.to_owned()), self.groups.contains_key(name))
    }

    fn exists(&self, query: Query, found: bool) -> Result<bool, StateError> {
        // An earlier step may make what nobody asked the host about.
        if found { Ok(true) } else { self.check(query).map(|()| false) }
    }

    /// Whether a user comes from another source of names than /etc/passwd, so
    /// that the host's own tools cannot change it ([`Query::Accounts`]).
    pub fn is_remote_user(&self, name: &str) -> bool {
        self.local.as_ref().is_some_and(|(users, _)| !users.contains(name)) && self.users.contains_key(name)
    }

    /// As [`HostState::is_remote_user`], for a group and /etc/group.
    pub fn is_remote_group(&self, name: &str) -> bool {
        self.local.as_ref().is_some_and(|(_, groups)| !groups.contains(name)) && self.groups.contains_key(name)
    }

    /// Whether the package lists of a sources file are fetched earlier in the run.
    pub fn lists_are_fetched(&self, sources: &AbsPath) -> bool {
        self.lists_fetched.contains(&None) || self.lists_fetched.contains(&Some(sources.clone()))
    }

    /// Whether a kernel module loaded earlier in the run may bring parameters with it.
    pub fn sysctl_may_appear(&self) -> bool {
        self.sysctl_may_appear
    }

    /// A package ([`Query::Package`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn package(&self, name: &PackageName) -> Result<&Package, StateError> {
        self.look(Query::Package(name.clone()), self.packages.get(name))
    }

    /// What apt would install ([`Query::Candidate`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn candidate(&self, name: &PackageName) -> Result<&Candidate, StateError> {
        self.look(Query::Candidate(name.clone()), self.candidates.get(name))
    }

    /// A unit ([`Query::Unit`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn unit(&self, name: &UnitName) -> Result<&Known<Unit>, StateError> {
        self.look(Query::Unit(name.clone()), self.units.get(name))
    }

    /// A live kernel parameter ([`Query::Sysctl`]); none if the kernel has no such key.
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn sysctl(&self, key: &SysctlKey) -> Result<Option<&str>, StateError> {
        Ok(self.look(Query::Sysctl(key.clone()), self.sysctl.get(key))?.as_deref())
    }

    /// A kernel module ([`Query::Module`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn module(&self, name: &str) -> Result<&Module, StateError> {
        self.look(Query::Module(name.to_owned()), self.modules.get(name))
    }

    /// What a command gave ([`Query::Run`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn output(&self, run: &Run) -> Result<&Known<Output>, StateError> {
        self.look(Query::Run(run.clone()), self.outputs.get(run))
    }
}

/// Assertions and the changes that may have made them false.
impl HostState {
    /// Whether a looking command that succeeds here still does when its step's
    /// turn comes: nothing is changed between its last success and that step.
    pub fn still_holds(&self, run: &Run) -> bool {
        self.asserted.get(run).copied().unwrap_or(0) == self.changes
    }

    /// Notes that an operation changes the host.
    pub fn count_change(&mut self) {
        self.changes = self.changes.saturating_add(1);
        self.changed_by = Some(self.this_step());
    }

    /// Notes that a looking command has succeeded at this point.
    pub fn set_asserted(&mut self, run: &Run) {
        self.set_output(run, Known::Is(Output { code: 0, stdout: String::new() }));
        self.asserted.insert(run.clone(), self.changes);
    }

    /// Whether a change is planned that no reboot follows.
    pub fn changed_since_reboot(&self) -> bool {
        self.changes > self.rebooted_at
    }

    /// Whether an earlier run ended before its reboot.
    pub fn owes_reboot(&self) -> bool {
        self.left.owed.contains("reboot:changed")
    }

    /// Notes that what is done may ask for a reboot.
    pub fn reboot_may_become_required(&mut self) {
        self.reboot_by = Some(self.this_step());
    }

    /// The host will be restarted, and no restart be pending any more.
    pub fn will_reboot(&mut self) {
        self.rebooted_at = self.changes;
        self.reboot_by = None;
        self.left.owed.retain(|owed| owed.starts_with("run:"));
    }

    /// A change will ask for a command that follows it. `open`: the step, where
    /// only its turn tells whether it changes anything.
    pub fn will_be_pending(&mut self, pending: &str, open: bool) {
        if open {
            self.perhaps_pending.insert(pending.to_owned(), self.this_step());
        } else {
            self.left.owed.insert(pending.to_owned());
        }
    }

    /// Whether a command that follows a change is pending.
    pub fn is_pending(&self, pending: &str) -> bool {
        self.left.owed.contains(pending)
    }

    /// The step whose turn tells whether a command that follows it is pending.
    pub fn perhaps_pending_by(&self, pending: &str) -> Option<&str> {
        self.perhaps_pending.get(pending).map(String::as_str)
    }

    /// Nothing asks any more for what was pending.
    pub fn forget_pending(&mut self, pending: &str) {
        self.left.owed.remove(pending);
        self.perhaps_pending.remove(pending);
    }

    /// Takes the predicted state for a found one, for planning once more.
    pub fn settle(&mut self) {
        self.changes = 0;
        self.rebooted_at = 0;
        self.reboot_by = None;
        self.asserted.clear();
        self.changed_by = None;
        self.packages_by = None;
        self.command_by = None;
        self.new_homes.clear();
        self.perhaps_pending.clear();
    }
}

/// Which steps of the run may have changed what a later one asks about. What
/// no plan can predict is decided when the later step's turn comes.
impl HostState {
    /// A step's planning begins; what is played from here on is its work.
    pub fn begin_step(&mut self, id: &str) {
        self.step = format!("step {id}");
    }

    fn this_step(&self) -> String {
        if self.step.is_empty() { "an earlier step".to_owned() } else { self.step.clone() }
    }

    /// The last step that changes anything, as in "step 3".
    pub fn changed_by(&self) -> Option<&str> {
        self.changed_by.as_deref()
    }

    /// The last step that installs packages.
    pub fn packages_by(&self) -> Option<&str> {
        self.packages_by.as_deref()
    }

    /// The last step that runs a command of the operator's, unless a step after
    /// it has decided what stands at this path.
    pub fn commanded_by(&self, path: &AbsPath) -> Option<&str> {
        self.command_by.as_deref().filter(|_| !self.decided.contains(path))
    }

    /// The last step whose effect on files, units and accounts is not known: it
    /// runs a command of the operator's, or else installs packages.
    pub fn brought_by(&self) -> Option<&str> {
        self.command_by.as_deref().or(self.packages_by.as_deref())
    }

    /// The last step that may ask for a reboot.
    pub fn reboot_by(&self) -> Option<&str> {
        self.reboot_by.as_deref()
    }

    /// The step that may change the file at this path in a way that is not
    /// known, or that makes the home it is in; none where a step after it has
    /// written the file.
    pub fn rewritten_by(&self, path: &AbsPath) -> Option<&str> {
        if self.decided.contains(path) {
            return None;
        }
        let home = || self.new_homes.iter().find(|(home, _)| path != *home && path.is_within(home));
        self.brought_by().or_else(|| home().map(|(_, step)| step.as_str()))
    }

    /// A home will be made, with what /etc/skel of the host holds (useradd(8)).
    pub fn home_will_be_made(&mut self, home: &AbsPath) {
        self.decided.retain(|path| !path.is_within(home));
        self.new_homes.insert(home.clone(), self.this_step());
    }

    /// A command of the operator's will run: what it does is not known.
    pub fn command_will_run(&mut self) {
        self.command_by = Some(self.this_step());
        self.decided.clear();
        self.units_may_appear();
    }

    fn units_may_appear(&mut self) {
        for unit in self.units.values_mut() {
            if matches!(unit, Known::Is(unit) if unit.load == "not-found") {
                *unit = Known::AfterApply;
            }
        }
    }
}

/// What a prediction writes. Each also marks the question as asked, so that a
/// later step may rely on what an earlier one makes.
impl HostState {
    /// Something will stand at a path, or nothing.
    pub fn set_path(&mut self, path: &AbsPath, state: PathState) {
        self.sizes.remove(path);
        self.asked.ask(Query::Path(path.clone()));
        if !matches!(&state, PathState::Present(entry) if entry.file_type == FileType::File) {
            self.set_content(path, Content::Absent);
        }
        if let (PathState::Absent, Some(parent)) = (&state, path.parent()) {
            if let Some(names) = self.names.get_mut(&parent) {
                names.remove(path.file_name());
            }
        } else if let Some(names) = path.parent().and_then(|parent| self.names.get_mut(&parent)) {
            names.insert(path.file_name().to_owned());
        }
        self.decided.insert(path.clone());
        self.set_in_trees(path, &state);
        self.paths.insert(path.clone(), state);
    }

    /// A regular file has this size.
    pub fn set_size(&mut self, path: &AbsPath, size: Option<u64>) {
        let is_file =
            matches!(self.paths.get(path), Some(PathState::Present(entry)) if entry.file_type == FileType::File);
        if let Some(size) = size.filter(|_| is_file) {
            self.sizes.insert(path.clone(), size);
        }
    }

    /// A file will have these bytes.
    pub fn set_content(&mut self, path: &AbsPath, content: Content) {
        self.asked.ask(Query::Digest(path.clone()));
        self.asked.ask(Query::Content(path.clone()));
        self.decided.insert(path.clone());
        self.contents.insert(path.clone(), content);
    }

    /// What the host answered about a file's bytes. Only the question that was
    /// put counts as asked: the bytes behind a digest can still be asked for.
    pub(super) fn answer_content(&mut self, query: &Query, path: &AbsPath, content: Content) {
        self.asked.ask(query.clone());
        self.contents.insert(path.clone(), content);
    }

    /// Everything below a path will be gone, the path too.
    pub fn remove_tree(&mut self, top: &AbsPath) {
        let below: Vec<AbsPath> = self.paths.keys().filter(|path| path.is_within(top)).cloned().collect();
        below.iter().for_each(|path| self.set_path(path, PathState::Absent));
        self.new_homes.retain(|home, _| !home.is_within(top));
        self.fragments.iter_mut().filter(|(path, _)| path.is_within(top)).for_each(|(_, files)| files.clear());
        self.set_path(top, PathState::Absent);
    }

    /// A file has a flag that keeps it from being changed.
    pub fn set_flag(&mut self, path: AbsPath, flag: char) {
        self.flags.insert(path, flag);
    }

    /// These are mount points.
    pub fn set_mounted(&mut self, paths: impl IntoIterator<Item = AbsPath>) {
        self.mounted.extend(paths);
    }

    /// The names in /etc/passwd and /etc/group; others come from other sources.
    pub fn set_local_accounts(&mut self, users: BTreeSet<String>, groups: BTreeSet<String>) {
        self.local = Some((users, groups));
    }

    /// A user or group that is made, or removed, is one of the local files'.
    pub(crate) fn made_locally(&mut self, user: Option<&str>, group: Option<&str>) {
        if let Some((users, groups)) = &mut self.local {
            users.extend(user.map(str::to_owned));
            groups.extend(group.map(str::to_owned));
        }
    }

    /// The user database, for changing.
    pub fn users_mut(&mut self) -> &mut BTreeMap<String, Account> {
        &mut self.users
    }

    /// The group database, for changing.
    pub fn groups_mut(&mut self) -> &mut BTreeMap<String, Group> {
        &mut self.groups
    }

    /// The shadow database, for changing.
    pub fn shadow_mut(&mut self) -> &mut BTreeMap<String, Shadow> {
        &mut self.shadow
    }

    /// A package will be in this state.
    pub fn set_package(&mut self, name: &PackageName, package: Package) {
        self.asked.ask(Query::Package(name.clone()));
        self.packages.insert(name.clone(), package);
    }

    /// The package lists of a sources file, or of all, will be fetched.
    pub fn lists_will_be_fetched(&mut self, sources: Option<&AbsPath>) {
        self.lists_fetched.insert(sources.cloned());
    }

    /// The package lists will be updated: what apt would install is from here
    /// on known after apply ([`HostState::candidate`] says that it was not asked).
    pub fn forget_candidates(&mut self) {
        self.candidates.clear();
        self.forget_transactions();
    }

    /// Packages will be installed: units that systemd does not know, accounts
    /// that do not exist and outputs of commands are from here on known after apply.
    pub fn packages_will_appear(&mut self) {
        self.packages_by = Some(self.this_step());
        self.reboot_may_become_required();
        self.decided.clear();
        self.units_may_appear();
    }

    /// A unit will be in this state.
    pub fn set_unit(&mut self, name: &UnitName, unit: Known<Unit>) {
        self.asked.ask(Query::Unit(name.clone()));
        self.units.insert(name.clone(), unit);
    }

    /// The units that were asked about, for changing.
    pub fn units_mut(&mut self) -> &mut BTreeMap<UnitName, Known<Unit>> {
        &mut self.units
    }

    /// Every unit's files will have been read again.
    pub fn units_reloaded(&mut self) {
        for unit in self.units.values_mut() {
            if let Known::Is(unit) = unit {
                unit.needs_reload = false;
            }
        }
    }

    /// A kernel parameter will have this live value.
    pub fn set_sysctl(&mut self, key: &SysctlKey, value: &str) {
        self.asked.ask(Query::Sysctl(key.clone()));
        self.sysctl.insert(key.clone(), Some(value.to_owned()));
    }

    /// The kernel has no such parameter, for tests.
    pub fn set_sysctl_absent(&mut self, key: &SysctlKey) {
        self.asked.ask(Query::Sysctl(key.clone()));
        self.sysctl.insert(key.clone(), None);
    }

    /// A kernel module will be in this state.
    pub fn set_module(&mut self, name: &str, module: Module) {
        self.asked.ask(Query::Module(name.to_owned()));
        self.modules.insert(name.to_owned(), module);
    }

    /// A kernel module will be loaded: parameters that do not exist may exist then.
    pub fn module_will_load(&mut self) {
        self.sysctl_may_appear = true;
    }

    /// A looking command will give this.
    pub fn set_output(&mut self, run: &Run, output: Known<Output>) {
        self.asked.ask(Query::Run(run.clone()));
        self.outputs.insert(run.clone(), output);
    }

    /// Installs what the host was found to be, for tests and for the fake host.
    pub fn mark_asked(&mut self, query: Query) {
        self.asked.ask(query);
    }

    /// What a repository would offer, for tests.
    pub fn set_candidate(&mut self, name: &PackageName, candidate: Candidate) {
        self.asked.ask(Query::Candidate(name.clone()));
        self.candidates.insert(name.clone(), candidate);
    }

    /// What a directory holds, for tests.
    pub fn set_names(&mut self, path: &AbsPath, names: BTreeSet<String>) {
        self.asked.ask(Query::Names(path.clone()));
        self.names.insert(path.clone(), names);
    }

    /// What a directory of fragments holds, for tests and the parser.
    pub fn set_fragments(&mut self, directory: &AbsPath, files: BTreeMap<String, Option<Vec<u8>>>) {
        self.asked.ask(Query::Fragments(directory.clone()));
        self.fragments.insert(directory.clone(), files);
    }

    /// A question that the host could not answer, for tests and the parser.
    pub fn set_unreadable(&mut self, query: Query, why: String) {
        self.asked.ask(query.clone());
        self.unreadable.insert(query, why);
    }
}
