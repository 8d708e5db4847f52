//! What is written down of a host: by the parser of its answers, by tables of
//! tests, and by a prediction, which notes beside it what it decides.

use super::alias::{Written, link_target};
use super::*;
use crate::values::{AbsPath, PackageName, SysctlKey, UnitName};
use std::collections::{BTreeMap, BTreeSet};

/// Each also marks the question as asked.
impl HostState {
    /// Something stands at a path, or nothing; under every name of the place.
    pub fn set_path(&mut self, path: &AbsPath, state: PathState) {
        self.write_path(path, state);
    }

    /// As [`HostState::set_path`]; gives what is written by it.
    pub(super) fn write_path(&mut self, path: &AbsPath, state: PathState) -> Written {
        let names = self.names_of(path);
        let is_link = |state: &PathState| link_target(state).is_some();
        let leads = is_link(&state) || names.iter().any(|name| self.links.contains(name));
        let changes = leads && self.paths.get(path) != Some(&state);
        let before = if changes { self.places_through(&names) } else { Vec::new() };
        names.iter().for_each(|name| self.put_path(name, state.clone()));
        let mut written = Written { names, open: Queries::new() };
        for (name, place) in before {
            let real = self.real_place(&name);
            if real != place {
                self.lead_elsewhere(&name, &real, &mut written);
            }
        }
        written
    }

    /// Something stands at a path, or nothing, as the host said of this name.
    pub(super) fn put_path(&mut self, path: &AbsPath, state: PathState) {
        self.sizes.remove(path);
        self.hard_links.remove(path);
        self.asked.ask(Query::Path(path.clone()));
        if !matches!(&state, PathState::Present(entry) if entry.file_type == FileType::File) {
            self.put_content(path, Content::Absent);
        }
        if let (PathState::Absent, Some(parent)) = (&state, path.parent()) {
            if let Some(names) = self.names.get_mut(&parent) {
                names.remove(path.file_name());
            }
        } else if let Some(names) = path.parent().and_then(|parent| self.names.get_mut(&parent)) {
            names.insert(path.file_name().to_owned());
        }
        self.set_in_trees(path, &state);
        if link_target(&state).is_some() {
            self.links.insert(path.clone());
        } else {
            self.links.remove(path);
        }
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

    /// A regular file has this many names.
    pub fn set_hard_links(&mut self, path: &AbsPath, count: u32) {
        let is_file =
            matches!(self.paths.get(path), Some(PathState::Present(entry)) if entry.file_type == FileType::File);
        if is_file && count > 1 {
            self.hard_links.insert(path.clone(), count);
        }
    }

    /// A file has these bytes, under every name of its place.
    pub fn set_content(&mut self, path: &AbsPath, content: Content) {
        self.names_of(path).iter().for_each(|name| self.put_content(name, content.clone()));
    }

    pub(super) fn put_content(&mut self, path: &AbsPath, content: Content) {
        self.asked.ask(Query::Digest(path.clone()));
        self.asked.ask(Query::Content(path.clone()));
        self.contents.insert(path.clone(), content);
    }

    /// What the host answered about a file's bytes. Only the question that was
    /// put counts as asked: the bytes behind a digest can still be asked for.
    pub(super) fn answer_content(&mut self, query: &Query, path: &AbsPath, content: Content) {
        self.asked.ask(query.clone());
        self.contents.insert(path.clone(), content);
    }

    /// A file has a flag that keeps it from being changed.
    pub fn set_flag(&mut self, path: AbsPath, flag: char) {
        self.flags.insert(path, flag);
    }

    /// The names in /etc/passwd and /etc/group; others come from other sources.
    pub fn set_local_accounts(&mut self, users: BTreeSet<String>, groups: BTreeSet<String>) {
        self.local = Some((users, groups));
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

    /// A package is in this state.
    pub fn set_package(&mut self, name: &PackageName, package: Package) {
        self.asked.ask(Query::Package(name.clone()));
        self.packages.insert(name.clone(), package);
    }

    /// A unit is in this state.
    pub fn set_unit(&mut self, name: &UnitName, unit: Known<Unit>) {
        self.asked.ask(Query::Unit(name.clone()));
        self.units.insert(name.clone(), unit);
    }

    /// A kernel parameter has this live value.
    pub fn set_sysctl(&mut self, key: &SysctlKey, value: &str) {
        self.asked.ask(Query::Sysctl(key.clone()));
        self.sysctl.insert(key.clone(), Some(value.to_owned()));
    }

    /// A kernel parameter cannot be set on this host.
    pub fn set_sysctl_read_only(&mut self, key: &SysctlKey) {
        self.sysctl_read_only.insert(key.clone());
    }

    /// The kernel has no such parameter, for tests.
    pub fn set_sysctl_absent(&mut self, key: &SysctlKey) {
        self.asked.ask(Query::Sysctl(key.clone()));
        self.sysctl.insert(key.clone(), None);
    }

    /// A kernel module is in this state.
    pub fn set_module(&mut self, name: &str, module: Module) {
        self.asked.ask(Query::Module(name.to_owned()));
        self.modules.insert(name.to_owned(), module);
    }

    /// A looking command gives this.
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
