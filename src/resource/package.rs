//! `package`: Debian packages that are installed, absent or up to date.
//!
//! What apt would install is told exactly where the package lists on the host
//! can tell it, and is *known after apply* where they are old, missing, or
//! about to be updated: a version is never guessed. What apt does besides what
//! is named here is asked for all steps at once (`plan::transaction`).

mod arguments;
mod debconf;
mod install;
mod on_host;
mod upgrade;

use super::{Field, Kind, Resource, Type};
use crate::observe::{HostState, Known, Package, PredictedState, Queries, Query};
use crate::plan::{Action, AptOptions, AptTarget, KNOWN_AFTER_APPLY, Mark, Op, PackageOp, PlanError, Planned};
use crate::values::{PackageName, Secret};
use install::Install;

pub(super) const KIND: Kind = Kind {
    name: "package",
    summary: "Packages from the host's apt repositories; all packages of a run are one transaction, and nothing is removed that the playbook does not name.",
    main: "name",
    fields: &[
        Field::optional("name", Type::String, "a package, with \":architecture\" for a foreign one"),
        Field::optional("names", Type::Strings, "several packages; instead of 'name'"),
        Field::optional(
            "state",
            Type::Enum(&["present", "absent", "latest"]),
            "default \"present\": installed in any version; \"latest\": in the newest that apt knows",
        ),
        Field::optional("version", Type::String, "exactly this version; a last '*' stands for any ending"),
        Field::optional(
            "origin",
            Type::String,
            "the repository's address or whole parts of it, such as \"download.docker.com\", that a package to be installed must come from",
        ),
        Field::optional(
            "conflicts",
            Type::StringOrStrings,
            "packages that are removed in the same transaction if they are installed",
        ),
        Field::optional(
            "may_remove",
            Type::StringOrStrings,
            "further packages that apt may remove for this step if it has to; it removes no others",
        ),
        Field::optional(
            "purge",
            Type::Bool,
            "with state = \"absent\" or 'autoremove': removes configuration files too, also those that an earlier removal has left; default false",
        ),
        Field::optional(
            "allow_downgrade",
            Type::Bool,
            "whether 'version' may be older than what is installed; default false",
        ),
        Field::optional(
            "held",
            Type::Bool,
            "whether the packages are held at their version (apt-mark hold); with 'version', one that is held is brought to it and held again; false with state = \"absent\" releases it",
        ),
        Field::optional(
            "recommends",
            Type::Bool,
            "whether recommended packages are installed too; default: as the host's apt is configured",
        ),
        Field::optional(
            "default_release",
            Type::String,
            "the release that packages to be installed are taken from, such as \"bookworm-backports\"",
        ),
        Field::optional(
            "deb",
            Type::String,
            "a local package file, such as \"files/app_1.2_amd64.deb\", that is sent to the host; its name tells package and version",
        ),
        Field::optional(
            "path",
            Type::String,
            "instead of names: a package file on the host, which is there or which an earlier step brings, such as \"/root/app.deb\"; package and version are read there",
        ),
        Field::optional(
            "debconf",
            Type::Any,
            "answers to the questions that a package asks when it is installed (one that is installed already is not asked again, which a note says where debconf has another answer), such as { \"iptables-persistent/autosave_v4\" = true }; a value is a string, a boolean, an array, or a table { type, value }",
        ),
        Field::optional(
            "upgrade",
            Type::Enum(&["safe", "full"]),
            "without names: brings all packages up to date, except those that a step gives a version or holds; \"full\" also where others must go for it, which 'may_remove' must name",
        ),
        Field::optional(
            "autoremove",
            Type::Bool,
            "without names: removes packages that were installed only for others that are gone",
        ),
    ],
    build: arguments::build,
};

/// What dpkg has left unfinished on the host, and what is done about it before
/// anything else; the runner's `dpkg_heals` does it.
fn note_unfinished(host: &HostState, planned: &mut Planned) {
    if planned.ops.is_empty() {
        return;
    }
    let (configured, anew) = (host.unfinished_names(false), host.unfinished_names(true));
    if configured.is_empty() && anew.is_empty() {
        let interrupted = host.facts.apt.interrupted;
        let note = "dpkg was interrupted on this host: what it left is configured first, by 'dpkg --configure -a'";
        planned.notes.extend(interrupted.then(|| note.to_owned()));
        return;
    }
    let mut parts = Vec::new();
    if !configured.is_empty() {
        parts.push(format!("{configured}: configured first, by 'dpkg --configure -a'"));
    }
    if !anew.is_empty() {
        parts.push(format!("{anew}: installed anew first, by 'apt-get install --reinstall'"));
    }
    planned.notes.push(format!("dpkg has left packages unfinished on this host: {}", parts.join("; ")));
}

#[derive(Debug)]
struct Packages {
    names: Vec<PackageName>,
    wanted: DesiredPackages,
    conflicts: Vec<PackageName>,
    may_remove: Vec<PackageName>,
}

#[derive(Debug)]
enum DesiredPackages {
    Present(Present),
    Absent {
        purge: bool,
        /// Whether what is held is released for it.
        release: bool,
    },
}

/// How packages are to be there.
#[derive(Debug)]
struct Present {
    version: Option<String>,
    latest: bool,
    origin: Option<String>,
    options: AptOptions,
    held: Option<bool>,
    /// The package's own file.
    file: Option<Vec<u8>>,
    answers: Option<Secret>,
}

impl Resource for Packages {
    fn queries(&self, queries: &mut Queries) {
        queries.extend(self.names.iter().chain(&self.conflicts).chain(&self.may_remove).cloned().map(Query::Package));
        if let DesiredPackages::Present(Present { answers: Some(answers), .. }) = &self.wanted {
            queries.extend(debconf::query(answers).map(Query::Run));
        }
        if matches!(&self.wanted, DesiredPackages::Present(Present { latest: true, .. })) {
            queries.extend(self.names.iter().cloned().map(Query::Candidate));
        }
    }

    fn named_packages(&self) -> &[PackageName] {
        if matches!(self.wanted, DesiredPackages::Present(_)) { &self.names } else { &[] }
    }

    fn unwanted_packages(&self) -> &[PackageName] {
        if matches!(self.wanted, DesiredPackages::Absent { .. }) { &self.names } else { &self.conflicts }
    }

    fn pinned_packages(&self) -> &[PackageName] {
        match &self.wanted {
            DesiredPackages::Present(Present { version, held, .. }) if version.is_some() || *held == Some(true) => {
                &self.names
            }
            _ => &[],
        }
    }

    fn unheld_packages(&self) -> &[PackageName] {
        match &self.wanted {
            DesiredPackages::Present(Present { held: Some(false), .. })
            | DesiredPackages::Absent { release: true, .. } => &self.names,
            DesiredPackages::Present(_) | DesiredPackages::Absent { release: false, .. } => &[],
        }
    }

    fn has_more_after(&self, op: &Op) -> bool {
        matches!(&self.wanted, DesiredPackages::Present(Present { latest: true, .. })) && op.configures_apt()
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        match &self.wanted {
            DesiredPackages::Absent { purge, release } => self.absent(host, *purge, *release, &mut planned)?,
            DesiredPackages::Present(present) => {
                let mut work = Install::new(host, present);
                for name in &self.names {
                    work.package(name, self.names.len() > 1, &mut planned)?;
                }
                self.carry_out(host, present, work, &mut planned)?;
            }
        }
        note_unfinished(host, &mut planned);
        Ok(planned)
    }
}

impl Packages {
    fn carry_out(
        &self,
        host: &PredictedState,
        present: &Present,
        work: Install<'_>,
        planned: &mut Planned,
    ) -> Result<(), PlanError> {
        let Install { targets, update, raised, mut freed, unknown, .. } = work;
        let on = host.apt_by().or(host.packages_by().filter(|_| unknown));
        if let (Some(on), false) = (on, targets.is_empty()) {
            // Which packages there are, in which versions, and what goes for them.
            planned.leave_open(on);
        }
        let mut remove = Vec::new();
        for name in &self.conflicts {
            if let Some((before, held)) = installed(host, name)? {
                let frees = held && is_released_later(host, name);
                refuse_held(name, held && !frees, "removed as a conflict", RELEASE_IN_A_STEP)?;
                freed.extend(frees.then(|| name.clone()));
                planned.change(format!("conflict {name}"), Some(before), None::<&str>);
                ask_what_goes(host, name, planned);
                remove.push(name.clone());
            }
        }
        self.marks(host, present, &targets, planned)?;
        let hold =
            planned.ops.iter().position(|op| matches!(op, Op::Package(PackageOp::AptMark { mark: Mark::Hold, .. })));
        let mut hold = hold.map(|at| planned.ops.remove(at));
        if !raised.is_empty() {
            planned.ops.insert(0, Op::Package(PackageOp::AptMark { packages: raised.clone(), mark: Mark::Unhold }));
            match &mut hold {
                Some(Op::Package(PackageOp::AptMark { packages, .. })) => packages.extend(raised),
                _ => hold = Some(Op::Package(PackageOp::AptMark { packages: raised, mark: Mark::Hold })),
            }
        }
        if !(targets.is_empty() && remove.is_empty()) {
            freed.extend(self.may_go_released(host));
        }
        free(&freed, planned);
        if let Some(answers) = &present.answers {
            debconf::plan(answers, &self.names, &targets, host, planned);
        }
        if update {
            planned.ops.push(Op::Package(PackageOp::AptUpdate { only: None }));
        }
        let may_remove = self.may_remove.clone();
        if !targets.is_empty() {
            let options = present.options.clone();
            planned.ops.push(Op::Package(PackageOp::AptInstall { packages: targets, remove, may_remove, options }));
        } else if !remove.is_empty() {
            planned.ops.push(Op::Package(PackageOp::AptRemove { packages: remove, purge: false, may_remove }));
        }
        planned.ops.extend(hold);
        self.wanted_for_themselves(host, planned);
        Ok(())
    }

    /// What the playbook names does not go with the packages that once needed it.
    fn wanted_for_themselves(&self, host: &HostState, planned: &mut Planned) {
        let is_there = |name: &PackageName| matches!(host.package(name), Ok(Package::Installed { .. }));
        let packages: Vec<PackageName> =
            self.names.iter().filter(|name| is_there(name) && host.is_automatic(name)).cloned().collect();
        for name in &packages {
            planned.change(field(name, "automatic", self.names.len() > 1), Some("true"), Some("false"));
        }
        if !packages.is_empty() {
            planned.action.get_or_insert(Action::Update);
            planned.ops.push(Op::Package(PackageOp::AptMark { packages, mark: Mark::Manual }));
        }
    }

    /// Held packages that may go for this step, and that a later one releases.
    fn may_go_released(&self, host: &PredictedState) -> Vec<PackageName> {
        let is_held = |name: &&PackageName| matches!(host.package(name), Ok(Package::Installed { held: true, .. }));
        self.may_remove.iter().filter(|name| is_released_later(host, name)).filter(is_held).cloned().collect()
    }

    /// Holds, or releases before anything else.
    fn marks(
        &self,
        host: &HostState,
        present: &Present,
        targets: &[AptTarget],
        planned: &mut Planned,
    ) -> Result<(), PlanError> {
        let Some(wanted) = present.held else { return Ok(()) };
        let mut packages = Vec::new();
        for name in &self.names {
            let found = match host.package(name)? {
                Package::Installed { held, .. } => Some(*held),
                _ if targets.iter().any(|target| target.name == *name) => None,
                // A name that another package stands for.
                _ => continue,
            };
            if found.unwrap_or(false) != wanted {
                let before = found.map(|held| held.to_string());
                planned.change(field(name, "held", self.names.len() > 1), before, Some(wanted.to_string()));
                packages.push(name.clone());
            }
        }
        if !packages.is_empty() {
            planned.action.get_or_insert(Action::Update);
            planned.ops.push(Op::Package(PackageOp::AptMark {
                packages,
                mark: if wanted { Mark::Hold } else { Mark::Unhold },
            }));
        }
        Ok(())
    }

    fn absent(
        &self,
        host: &PredictedState,
        purge: bool,
        release: bool,
        planned: &mut Planned,
    ) -> Result<(), PlanError> {
        let (mut packages, mut released) = (Vec::new(), Vec::new());
        for name in &self.names {
            let left = match host.package(name)? {
                Package::ConfigFiles if purge => Some("its configuration files".to_owned()),
                _ => None,
            };
            if let Some((before, held)) = installed(host, name)?.or(left.map(|left| (left, false))) {
                let release = release || is_released_later(host, name);
                refuse_held(name, held && !release, "removed", ", or say held = false in this step")?;
                if held {
                    planned.change(field(name, "held", self.names.len() > 1), Some("true"), None::<&str>);
                    released.push(name.clone());
                }
                planned.change(field(name, "version", self.names.len() > 1), Some(before), None::<&str>);
                ask_what_goes(host, name, planned);
                packages.push(name.clone());
            }
        }
        if packages.len() < self.names.len() {
            // A package of an earlier step may depend on it.
            planned.absent_unless_brought(host.packages_by());
        }
        if !packages.is_empty() {
            planned.action = Some(Action::Delete);
            free(&self.may_go_released(host), planned);
            if !released.is_empty() {
                planned.ops.push(Op::Package(PackageOp::AptMark { packages: released, mark: Mark::Unhold }));
            }
            planned.ops.push(Op::Package(PackageOp::AptRemove {
                packages,
                purge,
                may_remove: self.may_remove.clone(),
            }));
        }
        Ok(())
    }
}

/// The version that is installed, or the half that is, and whether it is held; none if there is none.
fn installed(host: &HostState, name: &PackageName) -> Result<Option<(String, bool)>, PlanError> {
    match host.package(name)? {
        Package::Absent | Package::ConfigFiles => Ok(None),
        Package::Installed { version: Known::Is(version), held } => Ok(Some((version.clone(), *held))),
        Package::Installed { version: Known::AfterApply, held } => Ok(Some((KNOWN_AFTER_APPLY.to_owned(), *held))),
        Package::Broken(state) => Ok(Some((state.clone(), false))),
    }
}

/// What goes with a package may be what another step wants.
fn ask_what_goes(host: &HostState, name: &PackageName, planned: &mut Planned) {
    let is_there =
        matches!(host.package(name), Ok(Package::Installed { version: Known::Is(_), .. } | Package::ConfigFiles));
    if is_there && host.shipped(name).is_err() {
        planned.follow_up_queries.push(Query::Shipped(name.clone()));
    }
}

/// Whether a step of the plan releases a package, which need not wait for it.
fn is_released_later(host: &PredictedState, name: &PackageName) -> bool {
    host.unheld_packages().contains(name)
}

/// Releases, before anything else, what is in the way of this step and what a later one releases.
fn free(packages: &[PackageName], planned: &mut Planned) {
    if packages.is_empty() {
        return;
    }
    packages.iter().for_each(|name| planned.change(format!("held {name}"), Some("true"), Some("false")));
    planned.ops.insert(0, Op::Package(PackageOp::AptMark { packages: packages.to_vec(), mark: Mark::Unhold }));
}

/// What else helps where a package is held that is to go for another.
const RELEASE_IN_A_STEP: &str = ", or release it by a step with state = \"absent\" and held = false";

/// `advice` is what else helps, as the end of a sentence.
fn refuse_held(name: &PackageName, held: bool, what: &str, advice: &str) -> Result<(), PlanError> {
    if !held {
        return Ok(());
    }
    Err(PlanError::Refused(format!(
        "package {name} is held on this host and cannot be {what}: run 'apt-mark unhold {name}' there if it may be{advice}"
    )))
}

fn field(name: &PackageName, what: &str, several: bool) -> String {
    match (several, what) {
        (false, _) => what.to_owned(),
        (true, "version") => name.to_string(),
        (true, _) => format!("{what} {name}"),
    }
}
