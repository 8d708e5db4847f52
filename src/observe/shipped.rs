//! The files of installed packages: what goes from the host when a package does.

use super::{HostState, Queries, Query, StateError, Unit, reply::Section};
use crate::values::{PackageName, UnitName};
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
pub(super) fn is_own(path: &str) -> bool {
    let depth = path.split('/').filter(|name| !name.is_empty()).count();
    let least = SHARED_DEPTHS.iter().find(|(top, _)| path.starts_with(top)).map_or(2, |(_, depth)| *depth);
    depth >= least
}

impl ShippedFiles {
    /// Whether a file goes with the package.
    pub(super) fn takes(&self, path: &str, purge: bool) -> bool {
        // Where /lib is a link to /usr/lib a file has two names, of which dpkg knows one.
        let other = path.strip_prefix("/usr").map_or_else(|| format!("/usr{path}"), str::to_owned);
        let is_in = |files: &BTreeSet<String>| files.contains(path) || files.contains(&other);
        if is_in(&self.configuration) { purge } else { is_in(&self.files) }
    }

    /// Whether what systemd made a unit of goes with the package.
    pub(super) fn takes_unit(&self, name: &UnitName, unit: &Unit, purge: bool) -> bool {
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
}

impl HostState {
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
