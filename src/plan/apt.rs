//! What the operations on packages are made of, and the words with which they
//! call apt-get(8): a plan simulates with the same words as an apply works.

use super::{Op, PackageOp};
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
    pub(super) fn words(&self) -> Vec<String> {
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
    /// The words of apt-get for this operation (see [`PackageOp::apt_words`]).
    pub fn apt_words(&self) -> Option<Vec<String>> {
        self.package().and_then(PackageOp::apt_words)
    }

    /// Whether configuration goes with the packages that it removes.
    pub(super) fn purges(&self) -> bool {
        self.package().is_some_and(PackageOp::purges)
    }

    /// The packages that the playbook names to go with this operation.
    pub fn named_removals(&self) -> Vec<&PackageName> {
        self.package().map(PackageOp::named_removals).unwrap_or_default()
    }
}

/// Whether apt reads what stands at a path: its sources, preferences and settings.
pub(super) fn reads(path: &AbsPath) -> bool {
    path.as_str().starts_with("/etc/apt/")
}

/// Whether apt's sources are read from a path.
pub(super) fn reads_sources(path: &AbsPath) -> bool {
    path.as_str() == "/etc/apt/sources.list" || path.as_str().starts_with("/etc/apt/sources.list.d")
}
