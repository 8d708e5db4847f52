//! What operations make of files, directories and links. Each effect also marks
//! the question as asked, so that a later step may rely on what an earlier one makes.

use super::PredictedState;
use crate::observe::tree::below;
use crate::observe::{Content, Entry, Known, Mount, PathState, Queries, Query};
use crate::values::AbsPath;

impl PredictedState {
    /// Something will stand at a path, or nothing; under every name of the place.
    pub fn set_path(&mut self, path: &AbsPath, state: PathState) {
        let written = self.host.write_path(path, state);
        for name in written.names {
            self.affected.decide(Query::Path(name.clone()));
            self.uncertain.remove(&name);
            self.decided.insert(name);
        }
        self.open_places.extend(written.open.iter().cloned());
    }

    /// A file will have these bytes, under every name of its place.
    pub fn set_content(&mut self, path: &AbsPath, content: Content) {
        for name in self.names_of(path) {
            self.host.put_content(&name, content.clone());
            self.decided.insert(name);
        }
    }

    /// A regular file will have this size.
    pub fn set_size(&mut self, path: &AbsPath, size: Option<u64>) {
        self.host.set_size(path, size);
    }

    /// A regular file will have this many names.
    pub fn set_hard_links(&mut self, path: &AbsPath, count: u32) {
        self.host.set_hard_links(path, count);
    }

    /// What stands at a path from here on, and in it, only the apply tells: the
    /// step at hand may remove or hide it.
    pub(super) fn leave_uncertain(&mut self, path: &AbsPath) {
        self.set_path(path, PathState::AfterApply);
        self.host.put_content(path, Content::AfterApply);
        self.decided.remove(path);
        self.uncertain.insert(path.clone(), self.this_step());
    }

    /// Only the turn of the step at hand tells what it makes at this path, and below it.
    pub(crate) fn leave_open(&mut self, path: &AbsPath) {
        self.leave_tree_uncertain(path);
        self.leave_uncertain(path);
    }

    /// As [`PredictedState::leave_uncertain`], for all that is known at a path and below it.
    pub(crate) fn leave_tree_uncertain(&mut self, top: &AbsPath) {
        let real = self.real_place(top);
        let within = |path: &&AbsPath| self.real_place(path).is_within(&real);
        let paths: Vec<AbsPath> = self.paths.keys().filter(within).cloned().collect();
        paths.iter().for_each(|path| self.leave_uncertain(path));
    }

    /// Everything below a path will be gone, the path too.
    pub fn remove_tree(&mut self, top: &AbsPath) {
        let real = self.real_place(top);
        let goes = |path: &&AbsPath| self.real_place(path).is_within(&real);
        let below: Vec<AbsPath> = self.paths.keys().filter(goes).cloned().collect();
        below.iter().for_each(|path| self.set_path(path, PathState::Absent));
        self.new_homes.retain(|home, _| !home.is_within(top));
        self.host.fragments.iter_mut().filter(|(path, _)| path.is_within(top)).for_each(|(_, files)| files.clear());
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
        for (path, state) in self.host.paths.iter_mut() {
            if let PathState::Present(entry) = state {
                change(Some(path.clone()), entry);
            }
        }
        for ((top, _), tree) in self.host.trees.iter_mut() {
            tree.entries.iter_mut().for_each(|(below, entry)| change(top.join(below).ok(), entry));
        }
    }

    /// A user or group goes: what belongs to it has a number only, or the name of another of the same number.
    pub fn unname(&mut self, name: &str, is_group: bool) {
        let numbers = |host: &PredictedState| -> Vec<(String, Known<u32>)> {
            let users = host.users().into_iter().flatten().map(|(name, user)| (name.clone(), user.uid.clone()));
            let groups = host.groups().into_iter().flatten().map(|(name, group)| (name.clone(), group.gid.clone()));
            if is_group { groups.collect() } else { users.collect() }
        };
        let all = numbers(self);
        let Some((_, Known::Is(number))) = all.iter().find(|(one, _)| one == name) else { return };
        let other = all.iter().find(|(one, of)| one != name && *of == Known::Is(*number));
        let label = other.map_or_else(|| number.to_string(), |(other, _)| other.clone());
        let trees = self.host.trees.values_mut().flat_map(|tree| tree.entries.values_mut());
        let paths = self.host.paths.values_mut().filter_map(|state| match state {
            PathState::Present(entry) => Some(entry),
            PathState::Absent | PathState::AfterApply => None,
        });
        for entry in trees.chain(paths) {
            let field = if is_group { &mut entry.group } else { &mut entry.owner };
            if field == name {
                field.clone_from(&label);
            }
        }
    }

    /// Changes all that is known to be below a directory, and not below one of `mounts`.
    pub fn change_tree(&mut self, top: &AbsPath, mounts: &[String], change: impl Fn(&Entry) -> Entry) {
        let enters = |name: &str| {
            !mounts.iter().any(|mount| {
                name.strip_prefix(mount.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        for (path, state) in self.host.paths.iter_mut() {
            if let (Some(name), PathState::Present(entry)) = (below(top, path), state)
                && enters(name)
            {
                *entry = change(entry);
            }
        }
        for ((of, _), tree) in self.host.trees.iter_mut() {
            let prefix = of.as_str().trim_end_matches('/').to_owned();
            for (name, entry) in &mut tree.entries {
                let path = format!("{prefix}/{name}");
                let name = path.strip_prefix(top.as_str()).and_then(|rest| rest.strip_prefix('/'));
                if name.is_some_and(enters) {
                    *entry = change(entry);
                }
            }
        }
    }

    /// What stands at a path is expected, and not certain.
    pub fn leave_undecided(&mut self, path: &AbsPath) {
        self.decided.remove(path);
    }

    /// What must be known of the places that links lead to.
    pub fn open_places(&self) -> Queries {
        let mut open = self.open_places.clone();
        for link in self.links.iter() {
            if self.below(link).next().is_some() {
                let end = self.followed(link).0;
                let above: Vec<AbsPath> = end.ancestors().collect();
                open.extend(above.into_iter().chain([end]).filter(|path| path.as_str() != "/").map(Query::Path));
            }
        }
        open
    }

    /// The flag of chattr(1) that keeps a file from being changed: `i` (immutable)
    /// or `a` (append only); none also where the host could not tell, and where an
    /// operator's command earlier in the run may take it off.
    pub fn flag(&self, path: &AbsPath) -> Option<char> {
        self.host.flag(path).filter(|_| self.command_by.is_none())
    }

    /// From here on what is mounted is not known: a mount unit starts or stops,
    /// or the host restarts.
    pub fn mounts_may_change(&mut self) {
        self.mounts_are_open = true;
    }

    pub(super) fn mounts_are_known(&self) -> bool {
        !self.mounts_are_open && self.command_by.is_none() && self.open_by.is_none()
    }

    /// Whether a path is itself a mount point, as far as that is known.
    pub fn is_mounted(&self, path: &AbsPath) -> bool {
        self.mounts_are_known() && self.host.is_mounted(path)
    }

    /// What is mounted at a path, as far as the host could tell.
    pub fn mounted_at(&self, path: &AbsPath) -> Option<&Mount> {
        self.host.mounted_at(path).filter(|_| self.mounts_are_known())
    }

    /// The first mount point below a path, as far as that is known.
    pub fn mounted_below(&self, path: &AbsPath) -> Option<&AbsPath> {
        self.host.mounted_below(path).filter(|_| self.mounts_are_known())
    }

    /// Where the file system is mounted that is read-only and has a path in it.
    pub fn read_only_at(&self, path: &AbsPath) -> Option<AbsPath> {
        self.host.read_only_at(path).filter(|_| self.mounts_are_known())
    }

    /// Where the file system is mounted in which the kernel alone makes files
    /// and that has a path in it.
    pub fn kernel_made_at(&self, path: &AbsPath) -> Option<AbsPath> {
        self.host.kernel_made_at(path).filter(|_| self.mounts_are_known())
    }
}
