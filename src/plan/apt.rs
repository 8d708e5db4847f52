//! What the operations on packages are made of, and the words with which they
//! call apt-get(8): a plan simulates with the same words as an apply works.

use super::Op;
use crate::values::{AbsPath, PackageName};
use std::collections::BTreeSet;

/// A package in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptTarget {
    /// Its name.
    pub name: PackageName,
    /// The exact version wanted; none means apt's candidate.
    pub version: Option<String>,
    /// A part of the repository address that the candidate must come from;
    /// checked on the host after the lists are updated and before the install.
    pub origin: Option<String>,
    /// The virtual package that it is installed for.
    pub stands_for: Option<PackageName>,
    /// The package's file, where it comes from the operator and not from a repository.
    pub file: Option<Vec<u8>>,
    /// The package's file on the host.
    pub path: Option<AbsPath>,
    /// Whether it is left out where no package has the name and one that is there provides it.
    pub unless_provided: bool,
}

impl AptTarget {
    /// apt's candidate of a package.
    pub fn new(name: PackageName) -> AptTarget {
        AptTarget {
            name,
            version: None,
            origin: None,
            stands_for: None,
            file: None,
            path: None,
            unless_provided: false,
        }
    }
}

/// How a transaction is made; packages with different options are different transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AptOptions {
    /// Whether recommended packages come too; none leaves it to the host's configuration.
    pub recommends: Option<bool>,
    /// The release that candidates are taken from.
    pub default_release: Option<String>,
    /// Whether a package may get an older version.
    pub allow_downgrade: bool,
    /// Whether a version that is no longer offered is replaced by the candidate.
    pub any_version: bool,
}

/// A mark of apt-mark(8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It stays at its version.
    Hold,
    /// It no longer does.
    Unhold,
    /// It was installed for another package, and may go with it.
    Auto,
    /// It is wanted for itself, and stays when no other package needs it.
    Manual,
}

impl Mark {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Mark::Hold => "hold",
            Mark::Unhold => "unhold",
            Mark::Auto => "auto",
            Mark::Manual => "manual",
        }
    }
}

impl AptOptions {
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.recommends.map(|yes| {
            let word = if yes { "--install-recommends" } else { "--no-install-recommends" };
            word.to_owned()
        }));
        words.extend(self.default_release.as_ref().map(|release| format!("--target-release={release}")));
        words.extend(self.allow_downgrade.then(|| "--allow-downgrades".to_owned()));
        words
    }
}

/// The words of a simulation in which packages are not held any more, although
/// the host still holds them: the probe simulates with a list of packages in
/// which they are not.
pub(crate) fn with_released<'a>(mut words: Vec<String>, names: impl Iterator<Item = &'a PackageName>) -> Vec<String> {
    // In one order, so that the same question is asked once.
    for name in names.collect::<BTreeSet<_>>() {
        let released = format!("{RELEASED}{}", name.bare());
        words.splice(1..1, ["-o".to_owned(), released]);
    }
    words
}

/// How a simulation is told of a package that is released; `q_transaction` reads it.
const RELEASED: &str = "Stockade::Released::=";

impl Op {
    /// The words of apt-get for this operation: a verb, options, and names
    /// after `--`. None for what apt-get does not do. Packages that come as
    /// files are not among them: where they stand only the apply knows.
    pub fn apt_words(&self) -> Option<Vec<String>> {
        let mut words = Vec::new();
        match self {
            Op::AptInstall { packages, remove, options, .. } => {
                words.push("install".to_owned());
                words.extend(options.words());
                words.push("--".to_owned());
                let from_lists = packages.iter().filter(|target| target.file.is_none());
                words.extend(from_lists.map(|target| match (&target.path, &target.version) {
                    (Some(path), _) => path.to_string(),
                    (None, Some(version)) => format!("{}={version}", target.name),
                    (None, None) => target.name.to_string(),
                }));
                // apt-get(8): a package name followed by a hyphen is removed in the same transaction.
                words.extend(remove.iter().map(|name| format!("{name}-")));
            }
            Op::AptRemove { packages, purge, .. } => {
                words.extend([if *purge { "purge" } else { "remove" }.to_owned(), "--".to_owned()]);
                words.extend(packages.iter().map(ToString::to_string));
            }
            Op::AptUpgrade { full, keep, .. } => {
                words.push(if *full { "dist-upgrade" } else { "upgrade" }.to_owned());
                // As apt(8) upgrades: what an update newly needs is installed, nothing is removed.
                words.extend((!full).then(|| "--with-new-pkgs".to_owned()));
                // The version that is named becomes the candidate, so that no newer one is.
                words.extend((!keep.is_empty()).then(|| "--".to_owned()));
                words.extend(keep.iter().map(|(name, version)| format!("{name}={version}")));
            }
            Op::AptAutoremove { purge, keep } => {
                words.push("autoremove".to_owned());
                words.extend(purge.then(|| "--purge".to_owned()));
                // apt-get(8): a name followed by a plus sign is to be installed, and so stays.
                words.extend((!keep.is_empty()).then(|| "--".to_owned()));
                words.extend(keep.iter().map(|name| format!("{name}+")));
            }
            _ => return None,
        }
        Some(words)
    }

    /// Whether configuration goes with the packages that it removes.
    pub(super) fn purges(&self) -> bool {
        matches!(self, Op::AptRemove { purge: true, .. } | Op::AptAutoremove { purge: true, .. })
    }

    /// The packages that the playbook names to go with this operation.
    pub fn named_removals(&self) -> Vec<&PackageName> {
        match self {
            Op::AptInstall { remove, may_remove, .. } => remove.iter().chain(may_remove).collect(),
            Op::AptRemove { packages, may_remove, .. } => packages.iter().chain(may_remove).collect(),
            Op::AptUpgrade { may_remove, .. } => may_remove.iter().collect(),
            _ => Vec::new(),
        }
    }
}
