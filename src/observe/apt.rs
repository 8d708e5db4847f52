//! What apt and dpkg say about packages beyond the state of one: what a call
//! of apt-get(8) would do, who provides a virtual package, and all that is
//! installed.

use super::{HostState, Queries, Query, StateError, reply::Section};
use crate::values::PackageName;
use std::collections::{BTreeMap, BTreeSet};

/// A package that comes, goes, or gets another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageChange {
    /// Its name, with `:architecture` where that is not the host's own.
    pub name: String,
    /// The installed version; none if it is not installed.
    pub before: Option<String>,
    /// The version afterwards; none if it goes.
    pub after: Option<String>,
}

/// What a call of apt-get would do, as its simulation tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    /// Every package that changes, in the order of apt.
    pub changes: Vec<PackageChange>,
    /// The size of the packages that are to be fetched, in bytes.
    pub download: u64,
    /// The space that the installed files take more (or less), in bytes.
    pub disk: i64,
    /// What apt said, if it refuses the call.
    pub refusal: Option<String>,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledPackage {
    /// Its version.
    pub version: String,
    /// Whether it was installed only because another one needs it (apt-mark(8)).
    pub automatic: bool,
    /// Whether it is held at its version.
    pub held: bool,
}

/// The answers about apt.
#[derive(Debug, Clone, Default)]
pub(super) struct AptState {
    transactions: BTreeMap<Vec<String>, Transaction>,
    provided: BTreeMap<PackageName, BTreeSet<String>>,
    providers: BTreeMap<PackageName, BTreeSet<String>>,
    installed: BTreeMap<String, InstalledPackage>,
    /// Packages that are marked as automatic, with `:architecture` where that is not the host's own.
    automatic: BTreeSet<String>,
    /// Packages that dpkg has left unfinished, with their states.
    pub(super) unfinished: BTreeMap<String, super::Unfinished>,
}

impl HostState {
    /// What apt would do if it were called so ([`Query::Transaction`]).
    ///
    /// # Errors
    /// Not asked, or unreadable; so for every question below.
    pub fn transaction(&self, words: &[String]) -> Result<&Transaction, StateError> {
        self.look(Query::Transaction(words.to_vec()), self.apt.transactions.get(words))
    }

    /// The installed packages that provide a name ([`Query::Provided`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn provided(&self, name: &PackageName) -> Result<&BTreeSet<String>, StateError> {
        self.look(Query::Provided(name.clone()), self.apt.provided.get(name))
    }

    /// The packages of the repositories that provide a name ([`Query::Providers`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn providers(&self, name: &PackageName) -> Result<&BTreeSet<String>, StateError> {
        self.look(Query::Providers(name.clone()), self.apt.providers.get(name))
    }

    /// All installed packages by name ([`Query::Packages`]).
    ///
    /// # Errors
    /// Not asked, or unreadable.
    pub fn installed_packages(&self) -> Result<&BTreeMap<String, InstalledPackage>, StateError> {
        self.check(&Query::Packages)?;
        Ok(&self.apt.installed)
    }

    /// Sets what apt would do, for tests and the parser.
    pub fn set_transaction(&mut self, words: &[String], transaction: Transaction) {
        self.asked.ask(Query::Transaction(words.to_vec()));
        self.apt.transactions.insert(words.to_vec(), transaction);
    }

    /// An installed package will provide a name.
    pub fn set_provided(&mut self, name: &PackageName, by: impl IntoIterator<Item = String>) {
        self.asked.ask(Query::Provided(name.clone()));
        self.apt.provided.entry(name.clone()).or_default().extend(by);
    }

    /// Packages that the repositories have for a virtual one, for tests and the parser.
    pub fn set_providers(&mut self, name: &PackageName, providers: BTreeSet<String>) {
        self.asked.ask(Query::Providers(name.clone()));
        self.apt.providers.insert(name.clone(), providers);
    }

    /// A package is in this version, or gone, in the list of all that are
    /// installed; where the version is not known it is left out of it.
    pub(super) fn list_package(&mut self, name: &PackageName, version: Option<&str>) {
        let arch = self.facts.arch.clone();
        let known = self.apt.installed.keys().find(|listed| name.names(listed, &arch)).cloned();
        let before = known.and_then(|listed| self.apt.installed.remove_entry(&listed));
        if let Some(version) = version {
            let (listed, mut package) = before.unwrap_or_else(|| {
                let package = InstalledPackage { version: String::new(), automatic: false, held: false };
                (name.to_string(), package)
            });
            version.clone_into(&mut package.version);
            self.apt.installed.insert(listed, package);
        }
    }

    /// Whether a package is held, in that list.
    pub(super) fn list_hold(&mut self, name: &PackageName, held: bool) {
        let arch = self.facts.arch.clone();
        let listed = self.apt.installed.iter_mut().find(|(listed, _)| name.names(listed, &arch));
        listed.into_iter().for_each(|(_, package)| package.held = held);
    }

    /// Forgets what apt would do.
    pub(super) fn forget_transactions(&mut self) {
        self.apt.transactions.clear();
    }

    /// Whether an installed package is marked as there only for others (apt-mark(8)).
    pub fn is_automatic(&self, name: &PackageName) -> bool {
        self.apt.automatic.iter().any(|listed| name.names(listed, &self.facts.arch))
    }

    /// Marks a package as there only for others, or as wanted for itself.
    pub fn set_automatic(&mut self, name: &PackageName, automatic: bool) {
        let arch = self.facts.arch.clone();
        self.apt.automatic.retain(|listed| !name.names(listed, &arch));
        if automatic {
            self.apt.automatic.insert(name.to_string());
        }
        let listed = self.apt.installed.iter_mut().find(|(listed, _)| name.names(listed, &arch));
        listed.into_iter().for_each(|(_, package)| package.automatic = automatic);
    }
}

/// The calls of apt-get that are simulated, in the order in which they are asked and answered.
pub(super) fn calls(queries: &Queries) -> impl Iterator<Item = &Vec<String>> {
    queries.iter().filter_map(|q| if let Query::Transaction(words) = q { Some(words) } else { None })
}

pub(super) fn transaction(host: &mut HostState, words: &[String], section: &Section) {
    let mut found = Transaction::default();
    for line in section.text().lines() {
        let mut rest = line.split_whitespace();
        let (verb, name) = (rest.next().unwrap_or_default(), rest.next().unwrap_or_default());
        match verb {
            "Inst" => {
                let words: Vec<&str> = rest.take(2).collect();
                let bare = |word: &&str| word.trim_matches(['[', ']', '(', ')']).to_owned();
                let before = words.first().filter(|word| word.starts_with('[')).map(bare);
                let after = words.iter().find(|word| word.starts_with('(')).map(bare);
                found.change(name, before, after);
            }
            "Remv" | "Purg" => {
                let before = rest.next().map(|word| word.trim_matches(['[', ']']).to_owned());
                found.change(name, before, None);
            }
            "Sizes" => {
                let numbers: Vec<i64> = rest.filter_map(|number| number.parse().ok()).collect();
                let Ok(download) = name.parse() else { continue };
                found.download = download;
                let [new, old] = numbers[..] else { continue };
                found.disk = new.saturating_sub(old).saturating_mul(1024);
            }
            _ => {}
        }
    }
    if section.code != 0 {
        found.refusal = Some(reason(section));
    }
    host.set_transaction(words, found);
}

/// What apt said: of its output only what explains, of its errors all.
fn reason(section: &Section) -> String {
    const PREAMBLE: [&str; 8] = [
        "NOTE: This is only a simulation",
        "apt-get needs root privileges",
        "Keep also in mind",
        "so don't depend on the relevance",
        "Reading ",
        "Building ",
        "Calculating ",
        "Inst ",
    ];
    let text = section.text();
    let said = text.lines().filter(|line| !PREAMBLE.iter().any(|start| line.trim_start().starts_with(start)));
    let lines: Vec<&str> =
        said.chain(section.errors.lines()).map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() { format!("apt-get ended with exit code {}", section.code) } else { lines.join("\n") }
}

impl Transaction {
    /// Notes a change; a package that apt removes and installs again is one.
    fn change(&mut self, name: &str, before: Option<String>, after: Option<String>) {
        if name.is_empty() {
            return;
        }
        if let Some(known) = self.changes.iter_mut().find(|change| change.name == name) {
            known.before = known.before.take().or(before);
            known.after = after;
        } else {
            self.changes.push(PackageChange { name: name.to_owned(), before, after });
        }
    }
}

/// Lines `status<TAB>package<TAB>provides` of all packages.
pub(super) fn provided(host: &mut HostState, queries: &Queries, section: &Section) {
    let text = section.text();
    for query in queries.iter() {
        let Query::Provided(name) = query else { continue };
        if section.code != 0 {
            host.set_unreadable(query.clone(), section.errors.clone());
            continue;
        }
        let by = text.lines().filter_map(|line| {
            let [status, package, provides] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
            let names = provides.split(',').map(|one| one.split(['(', ' ']).find(|word| !word.is_empty()));
            let gives = names.flatten().any(|one| one == name.as_str());
            (status == "installed" && gives).then(|| package.to_owned())
        });
        host.set_provided(name, by.collect::<BTreeSet<_>>());
    }
}

/// The answer of `apt-cache showpkg`.
pub(super) fn providers(host: &mut HostState, queries: &Queries, section: &Section) {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (mut package, mut inside) = (String::new(), false);
    for line in section.text().lines() {
        if let Some(name) = line.strip_prefix("Package: ") {
            (package, inside) = (name.trim().to_owned(), false);
        } else if line.starts_with("Reverse Provides:") {
            inside = true;
        } else if inside {
            // "postfix 3.7.11-0+deb12u1 (= )"; those of other architectures carry theirs.
            if let Some(name) = line.split_whitespace().next().filter(|name| !name.contains(':')) {
                found.entry(package.clone()).or_default().insert(name.to_owned());
            }
        }
    }
    for query in queries.iter() {
        let Query::Providers(name) = query else { continue };
        host.set_providers(name, found.get(name.as_str()).cloned().unwrap_or_default());
    }
}

/// Lines `package:architecture` of apt's marks.
fn marked(text: &str, native: &str) -> BTreeSet<String> {
    text.lines().filter(|line| !line.is_empty()).map(|line| without_own(line, native)).collect()
}

/// A name without the architecture where that is the host's own: apt has the
/// packages for all architectures under it, dpkg has not.
fn without_own(name: &str, native: &str) -> String {
    match name.split_once(':') {
        Some((bare, arch)) if arch == native || arch == "all" => bare.to_owned(),
        _ => name.to_owned(),
    }
}

/// The packages that are marked as automatic.
pub(super) fn automatic(host: &mut HostState, section: &Section) {
    host.apt.automatic = marked(&section.text(), &host.facts.arch);
}

/// All installed packages, then a line `--`, then those that are marked as automatic.
pub(super) fn installed(host: &mut HostState, section: &Section) {
    host.mark_asked(Query::Packages);
    if section.code != 0 {
        host.set_unreadable(Query::Packages, section.errors.clone());
        return;
    }
    let text = section.text();
    let (packages, marks) = text.split_once("\n--\n").unwrap_or((&text, ""));
    // What a run has kept has no facts beside it: dpkg is of the host's own architecture.
    let of_dpkg = packages.lines().find_map(|line| line.strip_prefix("dpkg\t")?.split('\t').next());
    let native = of_dpkg.unwrap_or(&host.facts.arch).to_owned();
    let marks = marked(marks, &native);
    host.apt.installed = packages
        .lines()
        .filter_map(|line| {
            // Runs before this form have kept nothing of holds.
            let (name, arch, version, held) = match line.split('\t').collect::<Vec<_>>()[..] {
                [name, arch, version, "installed"] => (name, arch, version, false),
                [name, arch, version, "installed", want] => (name, arch, version, want == "hold"),
                _ => return None,
            };
            let bare = name.split(':').next().unwrap_or(name);
            let automatic = marks.contains(&without_own(&format!("{bare}:{arch}"), &native));
            Some((name.to_owned(), InstalledPackage { version: version.to_owned(), automatic, held }))
        })
        .collect();
}

#[cfg(test)]
#[path = "apt_tests.rs"]
mod tests;
