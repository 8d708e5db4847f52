//! What was found on a host. What planning predicts on it is a [`PredictedState`](super::PredictedState).

use super::{
    Account, Candidate, Content, Entry, Facts, FileType, Group, Known, Module, Output, Package, PathState, Queries,
    Query, Run, Shadow, Shared, StateError, UnfinishedWork, Unit,
};
use crate::values::{AbsPath, PackageName, SysctlKey, UnitName};
use std::collections::{BTreeMap, BTreeSet};

/// The files of a directory by their names; none for a masked name.
type Fragments = BTreeMap<String, Option<Vec<u8>>>;

/// All that was found on one host.
#[derive(Debug, Clone, Default)]
pub struct HostState {
    /// What the host is.
    pub facts: Facts,
    /// The host's date when it was asked, in days since 1970-01-01.
    pub day: Option<i64>,
    pub(super) asked: Shared<Queries>,
    pub(super) unreadable: Shared<BTreeMap<Query, String>>,
    pub(super) paths: Shared<BTreeMap<AbsPath, PathState>>,
    pub(super) contents: Shared<BTreeMap<AbsPath, Content>>,
    /// The paths at which links stand.
    pub(super) links: Shared<BTreeSet<AbsPath>>,
    /// Sizes of regular files whose bytes are not known.
    pub(super) sizes: Shared<BTreeMap<AbsPath, u64>>,
    /// Regular files that have more names than one, with how many.
    pub(super) hard_links: Shared<BTreeMap<AbsPath, u32>>,
    /// Files that are immutable (`i`) or can only be added to (`a`), see chattr(1).
    pub(super) flags: Shared<BTreeMap<AbsPath, char>>,
    /// What is mounted, by its mount point.
    pub(super) mounts: BTreeMap<AbsPath, super::Mount>,
    pub(super) names: Shared<BTreeMap<AbsPath, BTreeSet<String>>>,
    /// By directory, then by name; none of a masked name.
    pub(super) fragments: Shared<BTreeMap<AbsPath, Fragments>>,
    pub(super) trees: Shared<BTreeMap<(AbsPath, bool), super::Tree>>,
    /// The numbers of owners and groups, as far as files have told them.
    pub(super) numbers: super::AccountNumbers,
    pub(super) users: Shared<BTreeMap<String, Account>>,
    pub(super) groups: Shared<BTreeMap<String, Group>>,
    pub(super) shadow: Shared<BTreeMap<String, Shadow>>,
    /// Users and groups of the local files; none where these were not read.
    pub(super) local: Option<(BTreeSet<String>, BTreeSet<String>)>,
    pub(super) packages: Shared<BTreeMap<PackageName, Package>>,
    pub(super) candidates: Shared<BTreeMap<PackageName, Candidate>>,
    pub(super) apt: Shared<super::apt::AptState>,
    /// The files of packages that may go.
    pub(super) shipped: Shared<BTreeMap<PackageName, super::ShippedFiles>>,
    /// How many packages a directory belongs to that is one of theirs.
    pub(super) directory_owners: Shared<BTreeMap<String, usize>>,
    pub(super) units: Shared<BTreeMap<UnitName, Known<Unit>>>,
    pub(super) sysctl: Shared<BTreeMap<SysctlKey, Option<String>>>,
    /// Live kernel parameters that nobody can set on this host.
    pub(super) sysctl_read_only: Shared<BTreeSet<SysctlKey>>,
    /// What runs, as far as that was asked.
    pub(super) processes: Shared<Vec<super::Process>>,
    pub(super) modules: Shared<BTreeMap<String, Module>>,
    pub(super) outputs: Shared<BTreeMap<Run, Known<Output>>>,
    /// What the host's shell finds wrong with texts.
    pub(super) syntax: Shared<BTreeMap<String, Option<String>>>,
    /// What systemd finds wrong with the texts of units.
    pub(super) unit_texts: Shared<BTreeMap<Query, Vec<super::UnitFault>>>,
    /// What has an access control list.
    pub(super) acls: Shared<BTreeSet<AbsPath>>,
    /// What earlier runs left.
    pub left: UnfinishedWork,
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

    pub(super) fn check(&self, query: &Query) -> Result<(), StateError> {
        if let Some(why) = self.unreadable.get(query) {
            return Err(StateError::Unreadable { what: query.to_string(), why: why.clone() });
        }
        if self.asked.contains(query) { Ok(()) } else { Err(StateError::NotAsked(query.to_string())) }
    }

    pub(super) fn look<T>(&self, query: Query, found: Option<T>) -> Result<T, StateError> {
        self.check(&query)?;
        found.ok_or_else(|| StateError::NotAsked(query.to_string()))
    }

    /// What stands at a path ([`Query::Path`]).
    ///
    /// # Errors
    /// Not asked, or unreadable; so for every question below.
    pub fn path(&self, path: &AbsPath) -> Result<&PathState, StateError> {
        self.look(Query::Path(path.clone()), self.paths.get(path))
    }

    /// Whether something may stand at a path: it does, or only the apply tells.
    pub fn may_be_there(&self, path: &AbsPath) -> bool {
        !matches!(self.path(path), Ok(PathState::Absent))
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

    /// How many names a regular file has ([`Query::Path`]).
    pub fn hard_links(&self, path: &AbsPath) -> u32 {
        self.hard_links.get(path).copied().unwrap_or(1)
    }

    /// The flag of chattr(1) that keeps a file from being changed: `i` (immutable)
    /// or `a` (append only); none also where the host could not tell.
    pub(super) fn flag(&self, path: &AbsPath) -> Option<char> {
        self.flags.get(path).copied()
    }

    /// The names in a directory ([`Query::Names`]); empty if there is no directory.
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn names(&self, path: &AbsPath) -> Result<&BTreeSet<String>, StateError> {
        self.look(Query::Names(path.clone()), self.names.get(path))
    }

    /// The files in a directory of fragments, by name, with what is known of their
    /// own paths ([`Query::Fragments`], [`Query::DropIns`]); none for a name
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
        self.check(&Query::Accounts)?;
        Ok(self.users.get(name))
    }

    /// All users ([`Query::Accounts`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn users(&self) -> Result<&BTreeMap<String, Account>, StateError> {
        self.check(&Query::Accounts)?;
        Ok(&self.users)
    }

    /// A group ([`Query::Accounts`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn group(&self, name: &str) -> Result<Option<&Group>, StateError> {
        self.check(&Query::Accounts)?;
        Ok(self.groups.get(name))
    }

    /// All groups ([`Query::Accounts`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn groups(&self) -> Result<&BTreeMap<String, Group>, StateError> {
        self.check(&Query::Accounts)?;
        Ok(&self.groups)
    }

    /// A user's shadow line ([`Query::Accounts`]); none if there is none.
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn shadow(&self, name: &str) -> Result<Option<&Shadow>, StateError> {
        self.check(&Query::Accounts)?;
        Ok(self.shadow.get(name))
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
        if found { Ok(true) } else { self.check(&query).map(|()| false) }
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

    /// The units of which something is known.
    pub(crate) fn known_units(&self) -> impl Iterator<Item = (&UnitName, &Unit)> {
        self.units.iter().filter_map(|(name, unit)| if let Known::Is(unit) = unit { Some((name, unit)) } else { None })
    }

    /// A live kernel parameter ([`Query::Sysctl`]); none if the kernel has no such key.
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn sysctl(&self, key: &SysctlKey) -> Result<Option<&str>, StateError> {
        Ok(self.look(Query::Sysctl(key.clone()), self.sysctl.get(key))?.as_deref())
    }

    /// Whether a live kernel parameter cannot be set here, not even by root: in a
    /// container, or because the kernel only tells it.
    pub(super) fn sysctl_is_read_only(&self, key: &SysctlKey) -> bool {
        self.sysctl_read_only.contains(key)
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
