//! `package`: Debian packages that are installed, absent or up to date.
//!
//! What apt would install is told exactly where the package lists on the host
//! can tell it, and is *known after apply* where they are old, missing, or
//! about to be updated: a version is never guessed.

use super::{Args, Field, Kind, Resource, Type};
use crate::observe::{Candidate, HostState, Known, Package, Queries, Query};
use crate::plan::{Action, AptTarget, KNOWN_AFTER_APPLY, Op, PlanError, Planned};
use crate::values::PackageName;

pub(super) const KIND: Kind = Kind {
    name: "package",
    summary: "Packages from the host's apt repositories; all packages of a run are one transaction.",
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
            "purge",
            Type::Bool,
            "with state = \"absent\": removes its configuration files too; default false",
        ),
    ],
    build,
};

/// apt's lists are updated before an install when they are older (seconds);
/// the runner's `apt_has_lists` has the same limit.
const LISTS_ARE_OLD: u64 = 86_400;

/// The runner's `dpkg_heals` does it.
const INTERRUPTED: &str = "dpkg was interrupted on this host: what it left is configured first";

#[derive(Debug)]
struct Packages {
    names: Vec<PackageName>,
    wanted: Wanted,
    conflicts: Vec<PackageName>,
}

#[derive(Debug)]
enum Wanted {
    Present { version: Option<String>, latest: bool, origin: Option<String> },
    Absent { purge: bool },
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let mut names: Vec<PackageName> = args.parse_list("name");
    if args.node("names").is_some() == args.node("name").is_some() {
        args.refuse("names", "there must be exactly one of 'name' and 'names'");
    }
    names.extend(args.parse_list("names"));
    if names.is_empty() && args.is_clean() {
        args.refuse("names", "'names' is empty");
    }
    let conflicts: Vec<PackageName> = args.parse_list("conflicts");
    if let Some(both) = conflicts.iter().find(|name| names.contains(name)) {
        args.refuse("conflicts", format!("{both} is wanted and in conflict at once"));
    }
    if args.absent() {
        for field in ["version", "origin", "conflicts"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        let wanted = Wanted::Absent { purge: args.bool("purge").unwrap_or(false) };
        return Some(Box::new(Packages { names, wanted, conflicts }));
    }
    if args.node("purge").is_some() {
        args.refuse("purge", "'purge' has a meaning only with state = \"absent\"");
    }
    let latest = args.string("state").as_deref() == Some("latest");
    let version = args.string("version");
    if let Some(text) = &version {
        if latest {
            args.refuse("version", "'version' and state = \"latest\" contradict each other");
        }
        if names.len() > 1 {
            args.refuse("version", "'version' is for one package: give each its own step");
        }
        // Debian Policy 5.6.12, with a last '*' as apt-get(8) takes it.
        let bare = text.strip_suffix('*').unwrap_or(text);
        let legal = |b: u8| b.is_ascii_alphanumeric() || b".+-:~".contains(&b);
        if !bare.starts_with(|c: char| c.is_ascii_digit()) || !bare.bytes().all(legal) {
            args.refuse("version", format!("'{}' is not a version of a package", text.escape_debug()));
        }
    }
    let origin = args.string("origin");
    if origin.as_ref().is_some_and(|part| part.is_empty() || part.contains(char::is_whitespace)) {
        args.refuse("origin", "'origin' must be a part of an address, without blanks");
    }
    Some(Box::new(Packages { names, wanted: Wanted::Present { version, latest, origin }, conflicts }))
}

impl Resource for Packages {
    fn queries(&self, queries: &mut Queries) {
        queries.extend(self.names.iter().chain(&self.conflicts).cloned().map(Query::Package));
        if matches!(&self.wanted, Wanted::Present { latest: true, .. }) {
            queries.extend(self.names.iter().cloned().map(Query::Candidate));
        }
    }

    fn plan(&self, host: &HostState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        match &self.wanted {
            Wanted::Absent { purge } => self.absent(host, *purge, &mut planned)?,
            Wanted::Present { version, latest, origin } => {
                let mut work = Install { host, version, latest: *latest, origin, update: false, targets: vec![] };
                for name in &self.names {
                    work.package(name, self.names.len() > 1, &mut planned)?;
                }
                let (targets, update) = (work.targets, work.update);
                self.carry_out(host, targets, update, &mut planned)?;
            }
        }
        if !planned.ops.is_empty() && host.facts.apt.interrupted {
            planned.notes.push(INTERRUPTED.to_owned());
        }
        Ok(planned)
    }
}

impl Packages {
    fn carry_out(
        &self,
        host: &HostState,
        targets: Vec<AptTarget>,
        update: bool,
        planned: &mut Planned,
    ) -> Result<(), PlanError> {
        let mut remove = Vec::new();
        for name in &self.conflicts {
            if let Some((before, held)) = installed(host, name)? {
                refuse_held(name, held, "removed as a conflict")?;
                planned.change(format!("conflict {name}"), Some(before), None::<&str>);
                remove.push(name.clone());
            }
        }
        if update {
            planned.ops.push(Op::AptUpdate { only: None });
        }
        if !targets.is_empty() {
            planned.ops.push(Op::AptInstall { packages: targets, remove });
        } else if !remove.is_empty() {
            planned.ops.push(Op::AptRemove { packages: remove, purge: false });
        }
        Ok(())
    }

    fn absent(&self, host: &HostState, purge: bool, planned: &mut Planned) -> Result<(), PlanError> {
        let mut packages = Vec::new();
        for name in &self.names {
            if let Some((before, held)) = installed(host, name)? {
                refuse_held(name, held, "removed")?;
                planned.change(field(name, "version", self.names.len() > 1), Some(before), None::<&str>);
                packages.push(name.clone());
            }
        }
        if packages.len() < self.names.len() {
            // A package of an earlier step may depend on it.
            planned.absent_unless_brought(host.packages_by());
        }
        if !packages.is_empty() {
            planned.action = Some(Action::Delete);
            planned.ops.push(Op::AptRemove { packages, purge });
        }
        Ok(())
    }
}

/// The version that is installed, or the half that is, and whether it is held; none if there is none.
fn installed(host: &HostState, name: &PackageName) -> Result<Option<(String, bool)>, PlanError> {
    match host.package(name)? {
        Package::Absent => Ok(None),
        Package::Installed { version: Known::Is(version), held } => Ok(Some((version.clone(), *held))),
        Package::Installed { version: Known::AfterApply, held } => Ok(Some((KNOWN_AFTER_APPLY.to_owned(), *held))),
        Package::Broken(state) => Ok(Some((state.clone(), false))),
    }
}

fn refuse_held(name: &PackageName, held: bool, what: &str) -> Result<(), PlanError> {
    if !held {
        return Ok(());
    }
    Err(PlanError::Refused(format!(
        "package {name} is held on this host and cannot be {what}: run 'apt-mark unhold {name}' there if it may be"
    )))
}

fn field(name: &PackageName, what: &str, several: bool) -> String {
    if several { name.to_string() } else { what.to_owned() }
}

/// The packages of a step on their way into one transaction.
struct Install<'a> {
    host: &'a HostState,
    version: &'a Option<String>,
    latest: bool,
    origin: &'a Option<String>,
    /// Whether the lists must be updated first, because they are known not to help.
    update: bool,
    targets: Vec<AptTarget>,
}

impl Install<'_> {
    fn package(&mut self, name: &PackageName, several: bool, planned: &mut Planned) -> Result<(), PlanError> {
        let before = installed(self.host, name)?;
        if let Package::Broken(state) = self.host.package(name)? {
            // Whatever half there is, apt brings the whole.
            let after = self.version.clone().unwrap_or_else(|| KNOWN_AFTER_APPLY.to_owned());
            planned.action.get_or_insert(Action::Update);
            planned.change(field(name, "version", several), Some(state.as_str()), Some(after));
            self.target(name);
            return Ok(());
        }
        let installed = before.as_ref().map(|(version, _)| version.as_str());
        let held = before.as_ref().is_some_and(|(_, held)| *held);
        let after = match (installed, self.version) {
            (Some(found), Some(pin)) if matches_pin(found, pin) => return Ok(()),
            (_, Some(pin)) => {
                refuse_held(name, held, &format!("brought to version {pin}"))?;
                let offered = self.candidate(name, planned).and_then(|candidate| candidate.version.as_deref());
                self.update |= self.lists_are_fresh() && offered.is_some_and(|offered| !matches_pin(offered, pin));
                pin.clone()
            }
            (Some(_), None) if !self.latest => return Ok(()),
            // What an earlier step of this run installs is the newest there is.
            (Some(found), None) if found == KNOWN_AFTER_APPLY => return Ok(()),
            (Some(found), None) => match self.newer(name, found, planned) {
                None => return Ok(()),
                Some(_) if held => {
                    planned.notes.push(format!("package {name} is held on this host at {found} and is left alone"));
                    return Ok(());
                }
                Some(newer) => newer,
            },
            (None, None) => self.first(name, planned),
        };
        planned.action = Some(match (planned.action, installed) {
            (Some(Action::Create), _) | (_, None) => Action::Create,
            (None | Some(Action::Unknown), Some(_)) if after == KNOWN_AFTER_APPLY => Action::Unknown,
            _ => Action::Update,
        });
        planned.change(field(name, "version", several), installed, Some(after));
        self.target(name);
        Ok(())
    }

    fn target(&mut self, name: &PackageName) {
        let target = AptTarget { name: name.clone(), version: self.version.clone(), origin: self.origin.clone() };
        self.targets.push(target);
    }

    fn lists_are_fresh(&self) -> bool {
        self.host.facts.apt.lists_age.is_some_and(|age| age < LISTS_ARE_OLD)
    }

    /// What apt would install, if that is known and will still be so at apply;
    /// otherwise it is asked for, where asking can help.
    fn candidate(&self, name: &PackageName, planned: &mut Planned) -> Option<&Candidate> {
        if !self.lists_are_fresh() {
            return None;
        }
        let known = self.host.candidate(name).ok();
        if known.is_none() {
            planned.wants.push(Query::Candidate(name.clone()));
        }
        known
    }

    /// The version in which a package that is not there will be installed.
    fn first(&mut self, name: &PackageName, planned: &mut Planned) -> String {
        let Some(candidate) = self.candidate(name, planned) else { return KNOWN_AFTER_APPLY.to_owned() };
        let (version, origins) = (candidate.version.clone(), candidate.origins.clone());
        let Some(version) = version else {
            planned.notes.push(format!(
                "apt on this host knows no package {name} yet: the lists are updated first, and the apply fails if that does not help"
            ));
            self.update = true;
            return KNOWN_AFTER_APPLY.to_owned();
        };
        match self.origin {
            Some(part) if !origins.iter().any(|origin| is_from(origin, part)) => {
                planned.notes.push(format!(
                    "{name} {version} comes from {} now, not from {part}: this is checked again before the install, which fails if it is still so",
                    if origins.is_empty() { "nowhere".to_owned() } else { origins.join(", ") }
                ));
                KNOWN_AFTER_APPLY.to_owned()
            }
            _ => version,
        }
    }

    /// The version that is newer than the installed one, if there is one or may be one.
    fn newer(&mut self, name: &PackageName, found: &str, planned: &mut Planned) -> Option<String> {
        match self.candidate(name, planned) {
            // No repository offers it (any longer): what is there is the newest.
            Some(Candidate { version: None, .. }) => None,
            Some(Candidate { version: Some(version), .. }) => (version != found).then(|| version.clone()),
            None if self.lists_are_fresh() => Some(KNOWN_AFTER_APPLY.to_owned()),
            None => {
                planned.notes.push(format!(
                    "the package lists are old: whether {name} has a newer version is known after their update"
                ));
                self.update = true;
                Some(KNOWN_AFTER_APPLY.to_owned())
            }
        }
    }
}

fn matches_pin(version: &str, pin: &str) -> bool {
    pin.strip_suffix('*').map_or(version == pin, |start| version.starts_with(start))
}

/// Whether a line of apt-cache(8) policy names this address, or one with these
/// whole parts; the runner's `candidate_from` asks the same. `docker.com` is no
/// part of `docker.com.example.org`.
fn is_from(line: &str, part: &str) -> bool {
    line.match_indices(part).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_none_or(|c| " /.@".contains(c));
        let after = line[at + part.len()..].chars().next().is_none_or(|c| " /:".contains(c));
        before && (after || part.ends_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::is_from;

    #[test]
    fn an_address_is_compared_by_whole_parts() {
        let line = "https://download.docker.com/linux/ubuntu noble/stable amd64 Packages";
        for part in [
            "download.docker.com",
            "docker.com",
            "https://download.docker.com/linux/ubuntu",
            "https://download.docker.com/",
        ] {
            assert!(is_from(line, part), "{part}");
        }
        for part in ["ocker.com", "download.docker", "docker.com/lin", "example.org"] {
            assert!(!is_from(line, part), "{part}");
        }
        for other in [
            "https://download.docker.com.example.org/ noble",
            "https://not-docker.com/ noble",
            "http://example.org/?docker.com_x",
        ] {
            assert!(!is_from(other, "docker.com"), "{other}");
        }
    }
}
