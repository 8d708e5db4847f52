//! What operations make of packages, and which packages the steps of a plan name.

use super::PredictedState;
use crate::observe::shipped::is_own;
use crate::observe::{Entry, FileType, Known, Package, PathState, Query, ShippedFiles, Transaction, Unit};
use crate::values::{AbsPath, PackageName};
use std::collections::BTreeSet;

impl PredictedState {
    /// A package will be in this state.
    pub fn set_package(&mut self, name: &PackageName, package: Package) {
        self.host.set_package(name, package);
        self.affected.decide(Query::Package(name.clone()));
    }

    /// A package will be in this version, or gone, in the list of all that are
    /// installed; where the version is not known it is left out of it.
    pub(crate) fn list_package(&mut self, name: &PackageName, version: Option<&str>) {
        self.host.list_package(name, version);
    }

    /// A package will be there only for others, or wanted for itself.
    pub fn set_automatic(&mut self, name: &PackageName, automatic: bool) {
        self.host.set_automatic(name, automatic);
    }

    /// An installed package will provide a name.
    pub fn set_provided(&mut self, name: &PackageName, by: impl IntoIterator<Item = String>) {
        self.host.set_provided(name, by);
    }

    /// What apt will do if it is called so.
    pub fn set_transaction(&mut self, words: &[String], transaction: Transaction) {
        self.host.set_transaction(words, transaction);
    }

    /// A package will be held, or no longer.
    pub(crate) fn set_hold(&mut self, name: &PackageName, held: bool) {
        self.host.list_hold(name, held);
        if held {
            self.released.remove(name);
        } else {
            self.released.insert(name.clone());
        }
        if let Some(Package::Installed { held: before, .. }) = self.host.packages.get_mut(name) {
            *before = held;
            self.affected.decide(Query::Package(name.clone()));
        }
    }

    /// Packages that the host holds still and that the run has released so far.
    pub fn released_packages(&self) -> &BTreeSet<PackageName> {
        &self.released
    }

    /// The packages that the steps of the plan want not to be held.
    pub fn unheld_packages(&self) -> &BTreeSet<PackageName> {
        &self.unheld_packages
    }

    /// Sets the packages that the steps of a plan want not to be held.
    pub fn set_unheld_packages(&mut self, names: impl IntoIterator<Item = PackageName>) {
        self.unheld_packages = names.into_iter().collect();
    }

    /// The packages that the steps of the plan want to be there.
    pub fn named_packages(&self) -> &BTreeSet<PackageName> {
        &self.named_packages
    }

    /// Sets the packages that the steps of a plan want to be there.
    pub fn set_named_packages(&mut self, names: impl IntoIterator<Item = PackageName>) {
        self.named_packages = names.into_iter().collect();
    }

    /// The packages that the steps of the plan want in a version of their choice, or held.
    pub fn pinned_packages(&self) -> &BTreeSet<PackageName> {
        &self.pinned_packages
    }

    /// Sets the packages that the steps of a plan want in a version of their choice, or held.
    pub fn set_pinned_packages(&mut self, names: impl IntoIterator<Item = PackageName>) {
        self.pinned_packages = names.into_iter().collect();
    }

    /// What apt was found to do is from here on known after apply.
    pub(crate) fn forget_transactions(&mut self) {
        self.host.forget_transactions();
    }

    /// The package lists will be updated: what apt would install is from here
    /// on known after apply ([`HostState::candidate`](super::HostState::candidate) says that it was not asked).
    pub fn forget_candidates(&mut self) {
        self.host.candidates.clear();
        self.forget_transactions();
    }

    /// The package lists of a sources file, or of all, will be fetched.
    pub fn lists_will_be_fetched(&mut self, sources: Option<&AbsPath>) {
        self.lists_fetched.insert(sources.cloned());
    }

    /// Whether the package lists of a sources file are fetched earlier in the run.
    pub fn lists_are_fetched(&self, sources: &AbsPath) -> bool {
        self.lists_fetched.contains(&None) || self.lists_fetched.contains(&Some(sources.clone()))
    }

    /// What dpkg has left is brought to its end before apt does anything else.
    pub(crate) fn dpkg_will_be_whole(&mut self) {
        self.host.facts.apt.interrupted = false;
        self.host.apt.unfinished.clear();
    }

    /// Packages will be installed: units that systemd does not know, accounts
    /// that do not exist and outputs of commands are from here on known after apply.
    pub fn packages_will_appear(&mut self) {
        self.packages_by = Some(self.this_step());
        self.reboot_may_become_required();
        self.decided.clear();
        self.units_may_appear();
    }

    /// A package will go, and with it its files and the units that they are of.
    pub(crate) fn shipped_files_go(&mut self, name: &PackageName, purge: bool) {
        let Some(shipped) = self.shipped.get(name).cloned() else { return };
        let is_file = |state: &PathState| match state {
            PathState::Present(Entry { file_type, .. }) => *file_type != FileType::Directory,
            PathState::Absent | PathState::AfterApply => false,
        };
        let goes = |(path, state): &(&AbsPath, &PathState)| is_file(state) && shipped.takes(path.as_str(), purge);
        let going: Vec<AbsPath> = self.paths.iter().filter(goes).map(|(path, _)| path.clone()).collect();
        going.iter().for_each(|path| self.set_path(path, PathState::Absent));
        self.directories_go(&shipped, purge);
        for (name, unit) in self.host.units.iter_mut() {
            if let Known::Is(found) = unit
                && shipped.takes_unit(name, found, purge)
            {
                let (load, active) = ("not-found".to_owned(), "inactive".to_owned());
                *found = Unit { load, active, ..Unit::default() };
            }
        }
    }

    /// The directories that are a package's alone go with it where nothing else is
    /// in them, and those that its script removes when it is purged.
    fn directories_go(&mut self, shipped: &ShippedFiles, purge: bool) {
        for path in &shipped.files {
            if let Some(owners) = self.host.directory_owners.get_mut(path) {
                *owners = owners.saturating_sub(1);
            }
        }
        let is_directory = |path: &AbsPath| matches!(self.paths.get(path), Some(PathState::Present(entry)) if entry.file_type == FileType::Directory);
        let is_empty = |path: &AbsPath| {
            let is_other = |below: &AbsPath, state: &PathState| {
                below != path && below.is_within(path) && matches!(state, PathState::Present(_)) && !is_directory(below)
            };
            !self.paths.iter().any(|(below, state)| is_other(below, state))
        };
        let goes = |path: &AbsPath| {
            shipped.takes(path.as_str(), purge) && self.directory_owners.get(path.as_str()) == Some(&0)
        };
        let own: Vec<AbsPath> =
            self.paths.keys().filter(|path| is_directory(path) && goes(path) && is_empty(path)).cloned().collect();
        own.iter().for_each(|path| self.leave_uncertain(path));
        let stays = |path: &str| self.directory_owners.get(path).is_some_and(|owners| *owners > 0);
        let scripted = shipped.scripted.iter().filter(|path| purge && is_own(path) && !stays(path));
        let scripted: Vec<AbsPath> = scripted.filter_map(|path| path.parse().ok()).collect();
        scripted.iter().for_each(|path| self.leave_tree_uncertain(path));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::observe::reply::Section;
    use crate::observe::shipped::read;
    use crate::observe::{HostState, Queries};
    use crate::plan::{Op, PackageOp};

    fn section(text: &str) -> Section {
        Section { output: text.as_bytes().to_vec(), code: 0, errors: String::new() }
    }

    fn host() -> HostState {
        let mut host = HostState::default();
        let mut queries = Queries::new();
        let names: Vec<PackageName> = ["app", "lib"].map(|name| name.parse().unwrap()).to_vec();
        queries.extend(names.into_iter().map(Query::Shipped));
        let dpkg = "P\tapp\tamd64\n /.\n /etc\n /etc/app.conf\n /lib/systemd/system/app.service\n /usr/bin/app\nC\n\n \
                    /etc/app.conf 0123 obsolete\nP\tlib\tamd64\n /.\n /usr/lib/lib.so\nC\n\n";
        read(&mut host, &queries, &section(dpkg));
        let unit = Unit {
            load: "loaded".into(),
            active: "active".into(),
            fragment: "/usr/lib/systemd/system/app.service".into(),
            ..Unit::default()
        };
        host.set_unit(&"app.service".parse().unwrap(), Known::Is(unit));
        for path in ["/etc/app.conf", "/usr/bin/app", "/usr/lib/lib.so"] {
            let meta = Entry {
                file_type: FileType::File,
                mode: "0644".parse().unwrap(),
                owner: "root".into(),
                group: "root".into(),
                target: None,
            };
            host.set_path(&path.parse().unwrap(), PathState::Present(meta));
        }
        host
    }

    fn after(purge: bool) -> Vec<bool> {
        let mut host = PredictedState::of(&host());
        Op::Package(PackageOp::AptRemove { packages: vec!["app".parse().unwrap()], purge, may_remove: Vec::new() })
            .effect(&mut host);
        let there = ["/etc/app.conf", "/usr/bin/app", "/usr/lib/lib.so"]
            .map(|path| host.path(&path.parse().unwrap()).unwrap().entry().is_some());
        let unit = matches!(host.unit(&"app.service".parse().unwrap()), Ok(Known::Is(unit)) if unit.load == "loaded");
        there.into_iter().chain([unit]).collect()
    }

    #[test]
    fn directories_go_where_they_are_the_package_s_alone_and_empty() {
        let package: PackageName = "keeper".parse().unwrap();
        let mut queries = Queries::new();
        queries.ask(Query::Shipped(package.clone()));
        let dpkg = "P\tkeeper\tall\n /.\n /etc\n /etc/keeper\n /etc/keeper/keeper.conf\n /usr/share/keeper\n /usr/share/keeper/a\n\
                    C\n\n /etc/keeper/keeper.conf 0123\nD\t9\t/etc\nD\t1\t/etc/keeper\nD\t1\t/usr/share/keeper\nD\t3\t/var/lib/shared\n\
                    R\tkeeper\t/var/lib/keeper\nR\tkeeper\t/var/lib\nR\tkeeper\t/var/lib/shared\n";
        let after = |purge: bool| {
            let mut host = HostState::default();
            read(&mut host, &queries, &section(dpkg));
            let entry = |file_type| Entry {
                file_type,
                mode: "0755".parse().unwrap(),
                owner: "root".into(),
                group: "root".into(),
                target: None,
            };
            let directories =
                ["/etc", "/etc/keeper", "/usr/share/keeper", "/var/lib", "/var/lib/keeper", "/var/lib/shared"];
            for path in directories {
                host.set_path(&path.parse().unwrap(), PathState::Present(entry(FileType::Directory)));
            }
            for path in ["/etc/keeper/keeper.conf", "/usr/share/keeper/a", "/var/lib/keeper/state"] {
                host.set_path(&path.parse().unwrap(), PathState::Present(entry(FileType::File)));
            }
            let mut host = PredictedState::of(&host);
            host.shipped_files_go(&package, purge);
            let unknown = |path: &&str| host.path(&path.parse().unwrap()) == Ok(&PathState::AfterApply);
            directories.into_iter().chain(["/var/lib/keeper/state"]).filter(unknown).collect::<Vec<_>>()
        };
        assert_eq!(after(false), ["/usr/share/keeper"], "a configuration file stays in its directory");
        assert_eq!(after(true), ["/etc/keeper", "/usr/share/keeper", "/var/lib/keeper", "/var/lib/keeper/state"]);
    }

    #[test]
    fn files_and_units_go_with_their_package_and_configuration_when_it_is_purged() {
        assert_eq!(after(false), [true, false, true, false]);
        assert_eq!(after(true), [false, false, true, false]);
    }
}
