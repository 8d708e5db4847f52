//! What planning writes into a host's state: the effects of operations.

use super::*;
use crate::values::{AbsPath, PackageName, SysctlKey, UnitName};
use std::collections::{BTreeMap, BTreeSet};

/// What a prediction writes. Each also marks the question as asked, so that a
/// later step may rely on what an earlier one makes.
impl HostState {
    /// Something will stand at a path, or nothing; under every name of the place.
    pub fn set_path(&mut self, path: &AbsPath, state: PathState) {
        let names = self.names_of(path);
        let is_link = |state: &PathState| super::alias::link_target(state).is_some();
        let leads = is_link(&state) || names.iter().any(|name| self.links.contains(name));
        let changes = leads && self.paths.get(path) != Some(&state);
        let before = if changes { self.places_through(&names) } else { Vec::new() };
        names.iter().for_each(|name| self.put_path(name, state.clone()));
        for (name, place) in before {
            let real = self.real_place(&name);
            if real != place {
                self.lead_elsewhere(&name, &real);
            }
        }
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
        self.decided.insert(path.clone());
        self.affected.decide(Query::Path(path.clone()));
        self.set_in_trees(path, &state);
        if super::alias::link_target(&state).is_some() {
            self.links.insert(path.clone());
        } else {
            self.links.remove(path);
        }
        self.uncertain.remove(path);
        self.paths.insert(path.clone(), state);
    }

    /// What stands at a path from here on, and in it, only the apply tells: the
    /// step at hand may remove or hide it.
    pub(super) fn leave_uncertain(&mut self, path: &AbsPath) {
        self.set_path(path, PathState::AfterApply);
        self.put_content(path, Content::AfterApply);
        self.decided.remove(path);
        self.uncertain.insert(path.clone(), self.this_step());
    }

    /// Only the turn of the step at hand tells what it makes at this path, and below it.
    pub(crate) fn leave_open(&mut self, path: &AbsPath) {
        self.leave_tree_uncertain(path);
        self.leave_uncertain(path);
    }

    /// As [`HostState::leave_open`], for a unit.
    pub(crate) fn leave_unit_open(&mut self, unit: &UnitName) {
        self.set_unit(unit, Known::AfterApply);
    }

    /// As [`HostState::leave_uncertain`], for all that is known at a path and below it.
    pub(crate) fn leave_tree_uncertain(&mut self, top: &AbsPath) {
        let real = self.real_place(top);
        let within = |path: &&AbsPath| self.real_place(path).is_within(&real);
        let paths: Vec<AbsPath> = self.paths.keys().filter(within).cloned().collect();
        paths.iter().for_each(|path| self.leave_uncertain(path));
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

    /// A file will have these bytes, under every name of its place.
    pub fn set_content(&mut self, path: &AbsPath, content: Content) {
        self.names_of(path).iter().for_each(|name| self.put_content(name, content.clone()));
    }

    pub(super) fn put_content(&mut self, path: &AbsPath, content: Content) {
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
        let real = self.real_place(top);
        let goes = |path: &&AbsPath| self.real_place(path).is_within(&real);
        let below: Vec<AbsPath> = self.paths.keys().filter(goes).cloned().collect();
        below.iter().for_each(|path| self.set_path(path, PathState::Absent));
        self.new_homes.retain(|home, _| !home.is_within(top));
        self.fragments.iter_mut().filter(|(path, _)| path.is_within(top)).for_each(|(_, files)| files.clear());
        self.set_path(top, PathState::Absent);
    }

    /// A user's, or a group's, number changes: what belongs to the old number has
    /// no owner of a name any more, unless it is below `home`, and what belongs to
    /// the new one has (chown(2) knows numbers only).
    pub fn renumber(&mut self, name: &str, numbers: (u32, u32), is_group: bool, home: Option<&AbsPath>) {
        let (old, new) = (numbers.0.to_string(), numbers.1.to_string());
        let change = |path: Option<AbsPath>, entry: &mut Entry| {
            let field = if is_group { &mut entry.group } else { &mut entry.owner };
            let goes_along = home.is_some_and(|home| path.is_some_and(|path| path.is_within(home)));
            if field == name && !goes_along {
                field.clone_from(&old);
            } else if *field == new {
                name.clone_into(field);
            }
        };
        for (path, state) in &mut self.paths {
            if let PathState::Present(entry) = state {
                change(Some(path.clone()), entry);
            }
        }
        for ((top, _), tree) in &mut self.trees {
            tree.entries.iter_mut().for_each(|(below, entry)| change(top.join(below).ok(), entry));
        }
    }

    /// A file has a flag that keeps it from being changed.
    pub fn set_flag(&mut self, path: AbsPath, flag: char) {
        self.flags.insert(path, flag);
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
        self.affected.decide(Query::Package(name.clone()));
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
        self.affected.decide(Query::Unit(name.clone()));
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

    /// A kernel parameter cannot be set on this host.
    pub fn set_sysctl_read_only(&mut self, key: &SysctlKey) {
        self.sysctl_read_only.insert(key.clone());
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
