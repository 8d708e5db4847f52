//! Operations on packages and on what apt goes by.

use super::reach::{PACKAGES, PACKAGES_WRITE};
use super::{Answers, Traits};
use crate::observe::{Known, Package, Part, PredictedState, Query, Transaction};
use crate::plan::{Access, AptOptions, AptTarget, LISTS_ARE_OLD, Mark, OpScript, PlanError, with_released};
use crate::shell::{Command, NulByte};
use crate::values::{AbsPath, PackageName, Secret};

/// Operations on packages and on what apt goes by.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the fields carry the names of the tools' own arguments
pub enum PackageOp {
    /// Updates the package lists. `only` restricts it to one sources file.
    AptUpdate {
        only: Option<AbsPath>,
    },
    /// One transaction: installs and, with it, removes what is in the way.
    /// Nothing else goes than these and `may_remove`; so for those below.
    AptInstall {
        packages: Vec<AptTarget>,
        remove: Vec<PackageName>,
        may_remove: Vec<PackageName>,
        options: AptOptions,
    },
    AptRemove {
        packages: Vec<PackageName>,
        purge: bool,
        may_remove: Vec<PackageName>,
    },
    /// Brings all packages to their candidates; `full` may remove some for it.
    AptUpgrade {
        full: bool,
        may_remove: Vec<PackageName>,
        /// Those that stay at the version that they have.
        keep: Vec<(PackageName, String)>,
    },
    /// Removes what was installed only for packages that are gone.
    AptAutoremove {
        purge: bool,
        /// Those that the playbook names, and that stay for that.
        keep: Vec<PackageName>,
    },
    /// Marks packages.
    AptMark {
        packages: Vec<PackageName>,
        mark: Mark,
    },
    /// Answers questions of packages before they are asked (debconf-set-selections(1));
    /// the answers may be secret.
    Debconf {
        answers: Secret,
    },
}

impl Answers for PackageOp {
    fn script(&self, out: &mut OpScript) -> Result<(), NulByte> {
        let words = || self.apt_words().unwrap_or_default();
        match self {
            PackageOp::AptUpdate { only } => {
                let command = Command::new("apt_update");
                out.run(if let Some(file) = only { command.arg(file) } else { command });
            }
            PackageOp::AptInstall { packages, options, .. } => {
                before_install(out, packages);
                let verb = if options.any_version { "apt_again" } else { "apt_get" };
                out.run(Command::new(verb).args(words()));
            }
            PackageOp::AptRemove { .. } | PackageOp::AptUpgrade { .. } => {
                out.run(Command::new("apt_get").args(words()));
            }
            PackageOp::AptAutoremove { .. } => out.run(Command::new("apt_clean").args(words())),
            PackageOp::AptMark { packages, mark } => {
                out.run(Command::new("apt-mark").arg(mark.word()).arg("--").args(packages));
            }
            PackageOp::Debconf { answers } => {
                let number = out.payload(answers.expose().to_owned());
                out.run(Command::new("debconf_answers").arg(number));
            }
        }
        Ok(())
    }

    fn effect(&self, host: &mut PredictedState) {
        match self {
            PackageOp::AptUpdate { only } => {
                host.facts_mut().apt.lists_age = Some(0);
                host.lists_will_be_fetched(only.as_ref());
                host.forget_candidates();
            }
            PackageOp::AptInstall { packages, remove, .. } => will_be_installed(host, packages, remove),
            PackageOp::AptRemove { packages, purge, .. } => {
                host.forget_transactions();
                let left = if *purge { Package::Absent } else { Package::ConfigFiles };
                packages.iter().for_each(|name| host.set_package(name, left.clone()));
                packages.iter().for_each(|name| host.shipped_files_go(name, *purge));
                packages.iter().for_each(|name| host.list_package(name, None));
            }
            PackageOp::AptUpgrade { .. } => {
                if host.facts.apt.lists_age.is_none_or(|age| age >= LISTS_ARE_OLD) {
                    host.facts_mut().apt.lists_age = Some(0);
                    host.forget_candidates();
                }
                // What an upgrade leaves over is known after it.
                host.forget_transactions();
                self.nothing_will_be_left(host);
            }
            PackageOp::AptAutoremove { .. } => self.nothing_will_be_left(host),
            PackageOp::AptMark { packages, mark } => {
                for name in packages {
                    match mark {
                        Mark::Hold | Mark::Unhold => host.set_hold(name, *mark == Mark::Hold),
                        Mark::Auto | Mark::Manual => host.set_automatic(name, *mark == Mark::Auto),
                    }
                }
            }
            PackageOp::Debconf { .. } => {}
        }
    }

    fn undo_scope(&self) -> Vec<Query> {
        match self {
            // What goes or comes with a package is known only when it has happened.
            PackageOp::AptInstall { .. }
            | PackageOp::AptRemove { .. }
            | PackageOp::AptUpgrade { .. }
            | PackageOp::AptAutoremove { .. }
            | PackageOp::AptMark { .. } => vec![Query::Packages],
            PackageOp::AptUpdate { .. } | PackageOp::Debconf { .. } => Vec::new(),
        }
    }

    fn can_cut(&self, _access: &Access) -> bool {
        match self {
            // What a login goes through is never removed (see `needed`), and no
            // guard puts packages back.
            PackageOp::AptUpdate { .. }
            | PackageOp::AptInstall { .. }
            | PackageOp::AptRemove { .. }
            | PackageOp::AptUpgrade { .. }
            | PackageOp::AptAutoremove { .. }
            | PackageOp::AptMark { .. }
            | PackageOp::Debconf { .. } => false,
        }
    }

    fn obstacle(&self, _host: &PredictedState, _notes: &mut Vec<String>) -> Result<(), PlanError> {
        match self {
            // Apt is asked itself (see `transaction`).
            PackageOp::AptUpdate { .. }
            | PackageOp::AptInstall { .. }
            | PackageOp::AptRemove { .. }
            | PackageOp::AptUpgrade { .. }
            | PackageOp::AptAutoremove { .. }
            | PackageOp::AptMark { .. }
            | PackageOp::Debconf { .. } => Ok(()),
        }
    }

    fn traits(&self) -> Traits {
        match self {
            PackageOp::AptInstall { .. }
            | PackageOp::AptRemove { .. }
            | PackageOp::AptUpgrade { .. }
            | PackageOp::AptAutoremove { .. } => Traits {
                outlasts_undo: true,
                may_undo_others: true,
                may_fail_midway: true,
                may_require_reboot: true,
                calls_dpkg: true,
                may_change: PACKAGES,
                may_undo: PACKAGES_WRITE,
                ..Traits::default()
            },
            PackageOp::AptUpdate { .. } => Traits {
                outlasts_undo: true,
                is_without_trace: true,
                ..Traits::reaching(&[Part::Paths("/var/"), Part::Fact("apt"), Part::Fact("disks")])
            },
            PackageOp::AptMark { .. } | PackageOp::Debconf { .. } => {
                Traits { outlasts_undo: true, ..Traits::reaching(&[Part::Paths("/var/")]) }
            }
        }
    }
}

impl PackageOp {
    /// The words of apt-get for this operation: a verb, options, and names
    /// after `--`. None for what apt-get does not do. Packages that come as
    /// files are not among them: where they stand only the apply knows.
    pub fn apt_words(&self) -> Option<Vec<String>> {
        let mut words = Vec::new();
        match self {
            PackageOp::AptInstall { packages, remove, options, .. } => {
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
            PackageOp::AptRemove { packages, purge, .. } => {
                words.extend([if *purge { "purge" } else { "remove" }.to_owned(), "--".to_owned()]);
                words.extend(packages.iter().map(ToString::to_string));
            }
            PackageOp::AptUpgrade { full, keep, .. } => {
                words.push(if *full { "dist-upgrade" } else { "upgrade" }.to_owned());
                // As apt(8) upgrades: what an update newly needs is installed, nothing is removed.
                words.extend((!full).then(|| "--with-new-pkgs".to_owned()));
                // The version that is named becomes the candidate, so that no newer one is.
                words.extend((!keep.is_empty()).then(|| "--".to_owned()));
                words.extend(keep.iter().map(|(name, version)| format!("{name}={version}")));
            }
            PackageOp::AptAutoremove { purge, keep } => {
                words.push("autoremove".to_owned());
                words.extend(purge.then(|| "--purge".to_owned()));
                // apt-get(8): a name followed by a plus sign is to be installed, and so stays.
                words.extend((!keep.is_empty()).then(|| "--".to_owned()));
                words.extend(keep.iter().map(|name| format!("{name}+")));
            }
            PackageOp::AptUpdate { .. } | PackageOp::AptMark { .. } | PackageOp::Debconf { .. } => return None,
        }
        Some(words)
    }

    /// Whether configuration goes with the packages that it removes.
    pub(in crate::plan) fn purges(&self) -> bool {
        match self {
            PackageOp::AptRemove { purge, .. } | PackageOp::AptAutoremove { purge, .. } => *purge,
            PackageOp::AptUpdate { .. }
            | PackageOp::AptInstall { .. }
            | PackageOp::AptUpgrade { .. }
            | PackageOp::AptMark { .. }
            | PackageOp::Debconf { .. } => false,
        }
    }

    /// The packages that the playbook names to go with this operation.
    pub fn named_removals(&self) -> Vec<&PackageName> {
        match self {
            PackageOp::AptInstall { remove, may_remove, .. } => remove.iter().chain(may_remove).collect(),
            PackageOp::AptRemove { packages, may_remove, .. } => packages.iter().chain(may_remove).collect(),
            PackageOp::AptUpgrade { may_remove, .. } => may_remove.iter().collect(),
            PackageOp::AptUpdate { .. }
            | PackageOp::AptAutoremove { .. }
            | PackageOp::AptMark { .. }
            | PackageOp::Debconf { .. } => Vec::new(),
        }
    }

    /// Whether it installs packages from files, which may hold the sources of a repository.
    pub(super) fn may_bring_repositories(&self) -> bool {
        match self {
            PackageOp::AptInstall { packages, .. } => {
                packages.iter().any(|target| target.file.is_some() || target.path.is_some())
            }
            PackageOp::AptUpdate { .. }
            | PackageOp::AptRemove { .. }
            | PackageOp::AptUpgrade { .. }
            | PackageOp::AptAutoremove { .. }
            | PackageOp::AptMark { .. }
            | PackageOp::Debconf { .. } => false,
        }
    }

    fn nothing_will_be_left(&self, host: &mut PredictedState) {
        if let Some(words) = self.apt_words() {
            let words = with_released(words, host.released_packages().iter());
            host.set_transaction(&words, Transaction::default());
        }
    }
}

fn before_install(out: &mut OpScript, packages: &[AptTarget]) {
    for target in packages {
        if let Some(origin) = &target.origin {
            out.run(Command::new("candidate_from").args([target.name.as_str(), origin]));
        }
        if target.unless_provided {
            out.run(Command::new("unless_provided").arg(&target.name));
        }
        if let Some(file) = &target.file {
            let number = out.payload(file.clone());
            let version = target.version.as_deref().unwrap_or_default();
            out.run(Command::new("apt_file").args([number.as_str(), target.name.bare(), version]));
        }
    }
}

fn will_be_installed(host: &mut PredictedState, packages: &[AptTarget], remove: &[PackageName]) {
    let there = |target: &AptTarget| matches!(host.package(&target.name), Ok(Package::Installed { .. }));
    let brings_more = !packages.iter().all(there);
    host.forget_transactions();
    remove.iter().for_each(|name| host.shipped_files_go(name, false));
    for target in packages {
        host.set_automatic(&target.name, false);
        host.list_package(&target.name, target.version.as_deref());
        let version = match &target.version {
            Some(version) => Known::Is(version.clone()),
            None => match host.candidate(&target.name) {
                Ok(candidate) => candidate.version.clone().map_or(Known::AfterApply, Known::Is),
                Err(_) => Known::AfterApply,
            },
        };
        let held = matches!(host.package(&target.name), Ok(Package::Installed { held: true, .. }));
        host.set_package(&target.name, Package::Installed { version, held });
        if let Some(name) = &target.stands_for {
            host.set_provided(name, [target.name.to_string()]);
        }
    }
    remove.iter().for_each(|name| host.set_package(name, Package::ConfigFiles));
    remove.iter().for_each(|name| host.list_package(name, None));
    if brings_more {
        host.packages_will_appear();
    }
}
