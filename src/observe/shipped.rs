//! The files of installed packages: what goes from the host when a package does.

use super::{Entry, FileType, HostState, Known, PathState, Queries, Query, StateError, Unit, reply::Section};
use crate::values::{AbsPath, PackageName, UnitName};
use std::collections::BTreeSet;

/// The files of a package, as dpkg-query(1) lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShippedFiles {
    /// All of them, with the directories that they are in.
    pub files: BTreeSet<String>,
    /// Its configuration files, which stay unless it is purged.
    pub configuration: BTreeSet<String>,
    /// The paths that its script names which runs when it has been removed.
    pub scripted: BTreeSet<String>,
}

/// Depths below which a directory is no package's own, by its beginning (FHS 3.0).
const SHARED_DEPTHS: [(&str, usize); 3] = [("/usr/local/", 4), ("/usr/", 3), ("/var/", 3)];

/// Whether a path lies deep enough to be one package's own.
fn is_own(path: &str) -> bool {
    let depth = path.split('/').filter(|name| !name.is_empty()).count();
    let least = SHARED_DEPTHS.iter().find(|(top, _)| path.starts_with(top)).map_or(2, |(_, depth)| *depth);
    depth >= least
}

impl ShippedFiles {
    /// Whether a file goes with the package.
    fn takes(&self, path: &str, purge: bool) -> bool {
        // Where /lib is a link to /usr/lib a file has two names, of which dpkg knows one.
        let other = path.strip_prefix("/usr").map_or_else(|| format!("/usr{path}"), str::to_owned);
        let is_in = |files: &BTreeSet<String>| files.contains(path) || files.contains(&other);
        if is_in(&self.configuration) { purge } else { is_in(&self.files) }
    }

    /// Whether what systemd made a unit of goes with the package.
    fn takes_unit(&self, name: &UnitName, unit: &Unit, purge: bool) -> bool {
        let stem = name.as_str().strip_suffix(".service").unwrap_or(name.as_str());
        // systemd-sysv-generator(8) makes units of the scripts in /etc/init.d.
        let is_generated = unit.fragment.starts_with("/run/systemd/generator.late/");
        self.takes(&unit.fragment, purge) || is_generated && self.takes(&format!("/etc/init.d/{stem}"), purge)
    }
}

impl HostState {
    /// The files of an installed package ([`Query::Shipped`]); none where dpkg cannot tell them.
    ///
    /// # Errors
    /// Not asked.
    pub fn shipped(&self, name: &PackageName) -> Result<&ShippedFiles, StateError> {
        self.look(Query::Shipped(name.clone()), self.shipped.get(name))
    }

    /// Sets what a package holds, for tests and the parser.
    pub fn set_shipped(&mut self, name: &PackageName, files: ShippedFiles) {
        self.mark_asked(Query::Shipped(name.clone()));
        self.shipped.insert(name.clone(), files);
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
        for (name, unit) in &mut self.units {
            if let Known::Is(found) = unit
                && shipped.takes_unit(name, found, purge)
            {
                let (load, active) = ("not-found".to_owned(), "inactive".to_owned());
                *found = Unit { load, active, ..Unit::default() };
            }
        }
    }
}

impl HostState {
    /// The directories that are a package's alone go with it where nothing else is
    /// in them, and those that its script removes when it is purged.
    fn directories_go(&mut self, shipped: &ShippedFiles, purge: bool) {
        for path in &shipped.files {
            if let Some(owners) = self.directory_owners.get_mut(path) {
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

    /// Sets how many packages a directory belongs to, for tests and the parser.
    pub fn set_directory_owners(&mut self, path: &str, owners: usize) {
        self.directory_owners.insert(path.to_owned(), owners);
    }
}

/// What dpkg-query(1) is asked to write of each package.
pub(super) const FORMAT: &str = "P\\t${Package}\\t${Architecture}\\n${db-fsys:Files}\\nC\\n${Conffiles}\\n";

/// Of each package a line with its name, its files, a line `C`, and its
/// configuration files with their digests. A package that is not there has no part.
/// Then the directories among them with the number of packages that have them, and
/// the paths that scripts name.
pub(super) fn read(host: &mut HostState, queries: &Queries, section: &Section) {
    let native = host.facts.arch.clone();
    let mut packages: Vec<(String, String, ShippedFiles)> = Vec::new();
    let mut is_configuration = false;
    let mut scripted: Vec<(String, String)> = Vec::new();
    for line in section.text().lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["P", name, arch] => {
                packages.push((name.to_owned(), arch.to_owned(), ShippedFiles::default()));
                is_configuration = false;
            }
            ["D", owners, path] => {
                if let Ok(owners) = owners.parse() {
                    host.set_directory_owners(path, owners);
                }
            }
            ["R", name, path] => scripted.push((name.to_owned(), path.to_owned())),
            ["C"] => is_configuration = true,
            _ => {}
        }
        let Some((_, _, shipped)) = packages.last_mut() else { continue };
        match line.trim_start() {
            path if !path.starts_with('/') => {}
            line if is_configuration => {
                let line = line.trim_end_matches(" obsolete").trim_end_matches(" remove-on-upgrade");
                shipped.configuration.extend(line.rsplit_once(' ').map(|(path, _)| path.to_owned()));
            }
            path => _ = shipped.files.insert(path.to_owned()),
        }
    }
    for query in queries.iter() {
        let Query::Shipped(wanted) = query else { continue };
        let is_it =
            |(name, arch, _): &&(String, String, ShippedFiles)| name == wanted.bare() && wanted.takes(arch, &native);
        let mut found = packages.iter().find(is_it).map(|(_, _, shipped)| shipped.clone()).unwrap_or_default();
        let of_this = scripted.iter().filter(|(name, _)| name == wanted.bare());
        found.scripted.extend(of_this.map(|(_, path)| path.clone()));
        host.set_shipped(wanted, found);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
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
        let mut host = host();
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
