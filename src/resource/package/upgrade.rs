//! Steps without names: all packages up to date, and those that nothing needs gone.

use crate::observe::{Known, Package, PackageChange, PredictedState, Queries, Query};
use crate::plan::{Action, KNOWN_AFTER_APPLY, LISTS_ARE_OLD, Mark, Op, PackageOp, PlanError, Planned, with_released};
use crate::resource::{Args, Resource};
use crate::values::PackageName;

#[derive(Debug)]
struct All {
    op: Op,
    /// Whether it takes fresh package lists.
    needs_lists: bool,
}

pub(super) fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let upgrade = args.string("upgrade");
    let field = if upgrade.is_some() { "upgrade" } else { "autoremove" };
    if upgrade.is_some() && args.node("autoremove").is_some() {
        args.refuse("autoremove", "'upgrade' and 'autoremove' are two steps");
    }
    let other = ["name", "names", "state"].into_iter().chain(super::arguments::PRESENT_ONLY);
    for other in other.chain(upgrade.is_some().then_some("purge")) {
        if args.node(other).is_some() {
            args.refuse(other, format!("'{other}' has no meaning with '{field}'"));
        }
    }
    let may_remove = args.parse_list("may_remove");
    if !may_remove.is_empty() && upgrade.as_deref() != Some("full") {
        args.refuse("may_remove", "'may_remove' has a meaning only with names or upgrade = \"full\"");
    }
    let (needs_lists, op) = match upgrade.as_deref() {
        Some(word) => (true, Op::Package(PackageOp::AptUpgrade { full: word == "full", may_remove, keep: Vec::new() })),
        None => (
            false,
            Op::Package(PackageOp::AptAutoremove { purge: args.bool("purge").unwrap_or(false), keep: Vec::new() }),
        ),
    };
    Some(Box::new(All { op, needs_lists }))
}

impl Resource for All {
    fn queries(&self, queries: &mut Queries) {
        queries.extend(self.op.apt_words().map(Query::Transaction));
    }

    fn has_more_after(&self, op: &Op) -> bool {
        match (&self.op, op) {
            (
                Op::Package(PackageOp::AptAutoremove { .. }),
                Op::Package(PackageOp::AptRemove { .. } | PackageOp::AptUpgrade { .. }),
            ) => true,
            (
                Op::Package(PackageOp::AptAutoremove { .. }),
                Op::Package(PackageOp::AptInstall { remove, may_remove, .. }),
            ) => !(remove.is_empty() && may_remove.is_empty()),
            (
                Op::Package(PackageOp::AptAutoremove { .. }),
                Op::Package(PackageOp::AptMark { mark: Mark::Auto, .. }),
            ) => true,
            (Op::Package(PackageOp::AptUpgrade { .. }), op) => op.configures_apt(),
            _ => false,
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut planned = Planned::nothing();
        let freed = self.freed(host);
        let (op, follow_up_queries) = self.with_what_stays(host, &freed);
        let words = words(&op, host, &freed).unwrap_or_default();
        planned.follow_up_queries.extend(follow_up_queries);
        let fresh = !self.needs_lists || host.facts.apt.lists_age.is_some_and(|age| age < LISTS_ARE_OLD);
        let found = host.transaction(&words).ok().filter(|_| fresh && host.dpkg_is_whole());
        // What apt will have to offer is not known.
        if let (Some(on), true) = (host.apt_by(), self.needs_lists) {
            planned.leave_open(on);
            planned.change("packages", None::<&str>, Some(KNOWN_AFTER_APPLY));
            return Ok(planned);
        }
        // Where packages or lists change earlier in the run, the answer is gone.
        if let (None, true, Some(on)) = (found, fresh && host.dpkg_is_whole(), host.changed_by()) {
            planned.leave_open(on);
            planned.change("packages", None::<&str>, Some(KNOWN_AFTER_APPLY));
            return Ok(planned);
        }
        match found {
            Some(found) if found.changes.is_empty() && found.refusal.is_none() => {
                let unfinished = host.unfinished_names(false);
                if !self.needs_lists || unfinished.is_empty() {
                    return Ok(planned);
                }
                planned.change("unfinished", Some(unfinished), Some("configured"));
            }
            Some(_) => {}
            None => planned.change("packages", None::<&str>, Some(KNOWN_AFTER_APPLY)),
        }
        planned.action = Some(match (&op, found) {
            (_, None) => Action::Unknown,
            (Op::Package(PackageOp::AptAutoremove { .. }), _) => Action::Delete,
            _ => Action::Update,
        });
        let changes = |name: &PackageName| {
            let is_it = |change: &PackageChange| name.names(&change.name, &host.facts.arch);
            found.is_none_or(|found| found.changes.iter().any(is_it))
        };
        let freed: Vec<PackageName> = freed.into_iter().filter(changes).collect();
        if !freed.is_empty() {
            freed.iter().for_each(|name| planned.change(format!("held {name}"), Some("true"), Some("false")));
            planned.ops.push(Op::Package(PackageOp::AptMark { packages: freed, mark: Mark::Unhold }));
        }
        planned.ops.push(op);
        super::note_unfinished(host, &mut planned);
        Ok(planned)
    }
}

/// The words with which apt is asked what an operation does: what the run has
/// released by then, and what is `freed` for it, is held no longer.
fn words(op: &Op, host: &PredictedState, freed: &[PackageName]) -> Option<Vec<String>> {
    Some(with_released(op.apt_words()?, host.released_packages().iter().chain(freed)))
}

impl All {
    /// What the host holds and a step of the playbook releases, before this one
    /// or after it: an upgrade releases it for its own work.
    fn freed(&self, host: &PredictedState) -> Vec<PackageName> {
        let is_held = |name: &&PackageName| matches!(host.package(name), Ok(Package::Installed { held: true, .. }));
        // What is to be absent needs no new version.
        let stays = |name: &&PackageName| host.named_packages().contains(*name);
        let names = host.unheld_packages().iter().filter(stays).filter(is_held).cloned();
        if matches!(self.op, Op::Package(PackageOp::AptUpgrade { .. })) { names.collect() } else { Vec::new() }
    }

    /// What the playbook pins to a version or holds is left out of an upgrade,
    /// whether its own step comes before or after it.
    ///
    /// What the playbook names is not removed because no other package needs
    /// it, however it was installed. Where apt would, it is asked once more.
    fn with_what_stays(&self, host: &PredictedState, freed: &[PackageName]) -> (Op, Option<Query>) {
        // Where packages have changed in the run, only the step's turn tells.
        let is_known = self.op.apt_words().is_some_and(|words| host.transaction(&words).is_ok());
        let asks =
            |op: &Op| words(op, host, freed).map(Query::Transaction).filter(|query| is_known && !host.asked(query));
        let purge = match &self.op {
            Op::Package(PackageOp::AptAutoremove { purge, .. }) => *purge,
            Op::Package(PackageOp::AptUpgrade { full, may_remove, .. }) => {
                let op = Op::Package(PackageOp::AptUpgrade {
                    full: *full,
                    may_remove: may_remove.clone(),
                    keep: pinned(host),
                });
                let query = asks(&op);
                return (op, query);
            }
            _ => return (self.op.clone(), None),
        };
        let found = words(&self.op, host, freed).and_then(|words| host.transaction(&words).ok());
        let goes = |name: &PackageName| {
            let is_it = |change: &PackageChange| change.after.is_none() && name.names(&change.name, &host.facts.arch);
            found.is_some_and(|found| found.changes.iter().any(is_it))
        };
        let keep: Vec<PackageName> = host.named_packages().iter().filter(|name| goes(name)).cloned().collect();
        let op = Op::Package(PackageOp::AptAutoremove { purge, keep });
        let query = asks(&op);
        (op, query)
    }
}

/// The packages that are there and whose version the playbook chooses, or that it holds.
fn pinned(host: &PredictedState) -> Vec<(PackageName, String)> {
    let version = |name: &PackageName| match host.package(name) {
        Ok(Package::Installed { version: Known::Is(version), .. }) => Some(version.clone()),
        _ => None,
    };
    host.pinned_packages().iter().filter_map(|name| Some((name.clone(), version(name)?))).collect()
}
