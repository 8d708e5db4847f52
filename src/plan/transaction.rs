//! What apt makes of a plan: all that comes, goes and changes version, not
//! only what the playbook names.
//!
//! The resources say which packages they want. Here apt itself is asked what
//! that takes, by a simulation with the words of the apply. What it would
//! remove without being named by the playbook is a refusal. Where the package
//! lists are updated first, or apt's configuration changes, the answer is known
//! after apply; the host then asks apt once more before it does anything.

use super::apt::with_released;
use super::calls::{Call, calls, joined};
use super::taken::Removal;
use super::wishes::{Wishes, contradiction, place};
use super::{Action, CommandOp, FieldChange, KNOWN_AFTER_APPLY, Mark, Op, PackageOp, PlanError, StepPlan, blame};
use crate::observe::{HostState, PackageChange, Queries, Query, StateError, Transaction};
use crate::values::PackageName;
use std::collections::{BTreeMap, BTreeSet};

/// apt's lists are updated before an install when they are older (seconds);
/// the runner's `apt_has_lists` has the same limit.
pub(crate) const LISTS_ARE_OLD: u64 = 86_400;

/// The field that says that apt may bring, change or remove more than is named.
pub(crate) const OTHER_PACKAGES: &str = "other packages";

/// A refusal, and the index of the step that it belongs to.
pub(super) type Refused = (usize, PlanError);

/// Adds to the steps what apt does besides, and gives what it removes besides. Questions that are open go to
/// `wants`; a plan that waits for an answer is made again when it is there.
///
/// # Errors
/// What apt refuses, and what it would remove without being told to.
pub(super) fn add_transactions(
    host: &HostState,
    protected: &[&'static str],
    steps: &mut [StepPlan],
    wishes: &Wishes,
    follow_up_queries: &mut Queries,
) -> Result<Vec<Removal>, Vec<Refused>> {
    let calls = calls(host, steps);
    let mut removals = Vec::new();
    if calls.is_empty() {
        return Ok(removals);
    }
    let named = Named::of(host, steps);
    let released = steps.iter().enumerate().flat_map(|(index, step)| {
        let released = step.ops.iter().flat_map(|op| match op {
            Op::Package(PackageOp::AptMark { packages, mark: Mark::Unhold }) => packages.as_slice(),
            _ => &[],
        });
        released.map(move |name| (index, name.clone()))
    });
    let released = released.collect();
    let mut apt = Simulation { host, protected, named: &named, wishes, released, follow_up_queries };
    let mut shown = BTreeSet::new();
    let mut refused = Vec::new();
    for call in calls {
        let first = call.first();
        // What the operator's own commands do before may be what apt lacks now.
        let after_command = steps[..first]
            .iter()
            .any(|step| step.ops.iter().any(|op| matches!(op, Op::Command(CommandOp::Run { .. }))));
        if !call.known {
            begin_calls(&call, steps).into_iter().for_each(|at| open(&mut steps[at]));
            continue;
        }
        match apt.ask(&call.op(), call.last()) {
            None => {}
            Some(Err(error)) => refused.push((first, error.into())),
            Some(Ok(found)) if found.refusal.is_some() && after_command => {
                begin_calls(&call, steps).into_iter().for_each(|at| open(&mut steps[at]));
            }
            Some(Ok(found)) => match apt.judge(&call.op(), found, steps) {
                Some(why) => refused.extend(apt.blame(&call, steps, &why).unwrap_or_default()),
                None => {
                    refused.extend(apt.contradictions(&call, steps, found));
                    show(steps, first, found, &named, &mut shown);
                    let gone = found.changes.iter().filter(|change| change.after.is_none());
                    let unshown = gone.filter(|change| !named.shown.contains(&change.name));
                    let (step, purge) = (steps[first].id.clone(), call.op().purges());
                    removals.extend(unshown.filter_map(|change| {
                        Some(Removal { step: step.clone(), name: change.name.parse().ok()?, purge })
                    }));
                }
            },
        }
    }
    if refused.is_empty() { Ok(removals) } else { Err(refused) }
}

/// apt's answers, and what may be done of what it would do.
struct Simulation<'a> {
    host: &'a HostState,
    protected: &'a [&'static str],
    named: &'a Named,
    wishes: &'a Wishes,
    /// What steps of the run release of its hold, with their indices.
    released: Vec<(usize, PackageName)>,
    follow_up_queries: &'a mut Queries,
}

impl<'a> Simulation<'a> {
    /// What apt would do when the step of index `last` is done with its part;
    /// none if that is still to be asked.
    fn ask(&mut self, op: &Op, last: usize) -> Option<Result<&'a Transaction, StateError>> {
        let by_then = self.released.iter().filter(|(step, _)| *step <= last).map(|(_, name)| name);
        let words = with_released(op.apt_words()?, by_then);
        let query = Query::Transaction(words.clone());
        if !self.host.asked(&query) {
            self.follow_up_queries.ask(query);
            return None;
        }
        Some(self.host.transaction(&words))
    }

    /// Why apt may not do this; none if it may.
    fn judge(&self, op: &Op, found: &Transaction, steps: &[StepPlan]) -> Option<String> {
        judge(op, found, self.named, self.protected, |gone| {
            let (at, name) = self.wishes.wants_one_of(gone, &self.named.arch)?;
            Some((name.to_owned(), place(steps.get(at)?)))
        })
        .err()
    }

    /// The steps that want a package to be absent which a call brings for another.
    fn contradictions(&mut self, call: &Call, steps: &[StepPlan], found: &Transaction) -> Vec<Refused> {
        let mut refused = Vec::new();
        for (at, name) in self.wishes.brought(found, steps, &self.named.arch) {
            let brings = |op: &Op| match op {
                Op::Package(PackageOp::AptInstall { packages, .. }) => !packages.is_empty(),
                _ => true,
            };
            let parts: Vec<&(usize, Op)> = call.parts.iter().filter(|(_, op)| brings(op)).collect();
            // Of several steps, the one that brings it alone.
            let alone = parts.iter().find(|(_, op)| {
                let found = self.ask(op, call.last());
                let comes = |found: &Transaction| {
                    let is_it = |change: &PackageChange| name.names(&change.name, &self.named.arch);
                    found.changes.iter().any(|change| change.after.is_some() && is_it(change))
                };
                found.and_then(Result::ok).is_some_and(comes)
            });
            let Some((installer, _)) = alone.or(parts.first()) else { continue };
            // What is to be gone after it may be gone if apt can do without it.
            if at > *installer {
                let packages = vec![name.clone()];
                let removal = Op::Package(PackageOp::AptRemove { packages, purge: false, may_remove: Vec::new() });
                let both = joined(call.parts.iter().map(|(_, op)| op).chain([&removal]));
                match self.ask(&both, at) {
                    None => continue,
                    Some(Ok(found)) if self.judge(&both, found, steps).is_none() => continue,
                    Some(_) => {}
                }
            }
            let Some(step) = steps.get(*installer) else { continue };
            if at != *installer {
                refused.push((at, PlanError::Refused(contradiction(step, name))));
            }
        }
        refused
    }

    /// The steps to which it is due that a call may not be made, each with the
    /// reason; none if apt is still to be asked.
    fn blame(&mut self, call: &Call, steps: &[StepPlan], why: &str) -> Option<Vec<Refused>> {
        let Call { parts, .. } = call;
        let op = |chosen: &[usize]| joined(chosen.iter().filter_map(|at| parts.get(*at)).map(|(_, op)| op));
        let mut reasons: BTreeMap<Vec<usize>, String> = BTreeMap::new();
        let groups = blame::groups(parts.len(), |chosen| {
            let op = op(chosen);
            let last = chosen.iter().filter_map(|at| parts.get(*at)).map(|(step, _)| *step).max().unwrap_or_default();
            let found = self.ask(&op, last)?;
            let why = found.map_or_else(|error| Some(error.to_string()), |found| self.judge(&op, found, steps));
            let is_faulty = why.is_some();
            reasons.extend(why.map(|why| (chosen.to_vec(), why)));
            Some(is_faulty)
        })?;
        let refused = groups.into_iter().filter_map(|group| {
            let why = reasons.get(&group).map_or(why, String::as_str);
            let (last, others) = group.split_last()?;
            let others: BTreeSet<usize> =
                others.iter().filter_map(|at| parts.get(*at)).map(|(step, _)| *step).collect();
            let (last, _) = parts.get(*last)?;
            let others: Vec<String> =
                others.iter().filter(|step| *step != last).map(|step| place(&steps[*step])).collect();
            let together =
                if others.is_empty() { String::new() } else { format!("together with {}: ", others.join(" and ")) };
            Some((*last, PlanError::Refused(format!("{together}{why}"))))
        });
        Some(refused.collect())
    }
}

/// The packages that the steps name, as apt writes them.
struct Named {
    /// The host's architecture.
    arch: String,
    wanted: BTreeSet<String>,
    unwanted: BTreeSet<String>,
    /// Those that a step shows itself, as wanted or as unwanted.
    shown: BTreeSet<String>,
}

impl Named {
    fn of(host: &HostState, steps: &[StepPlan]) -> Named {
        let arch = host.facts.arch.clone();
        let plain = |name: &PackageName| plain(name, &arch);
        let (mut wanted, mut unwanted, mut shown) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for op in steps.iter().flat_map(|step| &step.ops) {
            unwanted.extend(op.named_removals().into_iter().map(plain));
            match op {
                Op::Package(PackageOp::AptInstall { packages, remove, .. }) => {
                    wanted.extend(packages.iter().map(|target| plain(&target.name)));
                    shown.extend(remove.iter().map(plain));
                }
                Op::Package(PackageOp::AptRemove { packages, .. }) => shown.extend(packages.iter().map(plain)),
                _ => {}
            }
        }
        Named { wanted, unwanted, shown, arch: arch.clone() }
    }
}

/// A name as apt writes it: without the host's own architecture.
fn plain(name: &PackageName, arch: &str) -> String {
    if name.takes(arch, arch) { name.bare().to_owned() } else { name.to_string() }
}

/// Whether apt may do this.
fn judge(
    op: &Op,
    found: &Transaction,
    named: &Named,
    protected: &[&'static str],
    wanted: impl FnOnce(&[&PackageChange]) -> Option<(String, String)>,
) -> Result<(), String> {
    if let Some(reason) = &found.refusal {
        let advice = if reason.contains("--allow-downgrades") { "\nallow_downgrade = true permits it" } else { "" };
        return Err(format!("apt refuses this:\n{reason}{advice}"));
    }
    let gone: Vec<&PackageChange> = found.changes.iter().filter(|change| change.after.is_none()).collect();
    if let Some(change) = gone.iter().find(|change| protected.contains(&change.name.as_str())) {
        return Err(format!("apt would remove {}, which you log in with", change.name));
    }
    // What nothing needs any more is what this step names.
    if matches!(op, Op::Package(PackageOp::AptAutoremove { .. })) {
        return Ok(());
    }
    // Also what may go for a step, and another one wants.
    let besides: Vec<&PackageChange> = gone.into_iter().filter(|change| !named.shown.contains(&change.name)).collect();
    if let Some((name, by)) = wanted(&besides) {
        return Err(format!(
            "apt would also remove {name}, which {by} wants: the host would never be as both say; remove one of the \
             two, or make them agree"
        ));
    }
    let unnamed: Vec<String> = besides
        .iter()
        .filter(|change| !named.unwanted.contains(&change.name))
        .map(|change| format!("{} {}", change.name, change.before.as_deref().unwrap_or_default()).trim_end().to_owned())
        .collect();
    if unnamed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "apt would also remove {}, which the playbook does not name: put {} in 'may_remove' of this step if that is wanted",
        unnamed.join(", "),
        if unnamed.len() == 1 { "it" } else { "them" }
    ))
}

/// Says that more than what is named may come or change.
fn open(step: &mut StepPlan) {
    step.changes.push(FieldChange::new(OTHER_PACKAGES, None::<&str>, Some(KNOWN_AFTER_APPLY)));
}

/// The steps with which apt is called: the first, and each that comes first
/// after the end of a phase, for what a phase ends before waits with it.
fn begin_calls(call: &Call, steps: &[StepPlan]) -> Vec<usize> {
    let ends_phase = |step: &StepPlan| step.open.is_some() || step.ops.iter().any(Op::reboots);
    let mut begin: Vec<usize> = Vec::new();
    let mut last = None;
    for (at, _) in &call.parts {
        let apart = |last: usize| steps.get(last..=*at).is_some_and(|between| between.iter().any(ends_phase));
        if last != Some(*at) && last.is_none_or(apart) {
            begin.push(*at);
        }
        last = Some(*at);
    }
    begin
}

fn show(steps: &mut [StepPlan], first: usize, found: &Transaction, named: &Named, shown: &mut BTreeSet<String>) {
    for change in &found.changes {
        if named.wanted.contains(&change.name) {
            tell_version(steps, change, &named.arch);
            continue;
        }
        if named.shown.contains(&change.name) || !shown.insert(change.name.clone()) {
            continue;
        }
        let field = format!("package {}", change.name);
        steps[first].changes.push(FieldChange::new(field, change.before.clone(), change.after.clone()));
    }
    let step = &mut steps[first];
    if found.download > 0 {
        step.changes.push(FieldChange::new("download", None::<&str>, Some(size(found.download))));
    }
    if found.disk != 0 {
        let word = if found.disk > 0 { "more" } else { "less" };
        let text = format!("{} {word}", size(found.disk.unsigned_abs()));
        step.changes.push(FieldChange::new("disk space", None::<&str>, Some(text)));
    }
}

/// Where a step could not tell in which version its package comes, apt has.
fn tell_version(steps: &mut [StepPlan], found: &PackageChange, arch: &str) {
    let Some(version) = &found.after else { return };
    for step in steps.iter_mut().filter(|step| step.action != Action::None && !step.sensitive) {
        let is_it = |name: &PackageName| plain(name, arch) == found.name;
        let is_target = |op: &Op| matches!(op, Op::Package(PackageOp::AptInstall { packages, .. }) if packages.iter().any(|one| is_it(&one.name)));
        if !step.ops.iter().any(is_target) {
            continue;
        }
        let single = step
            .ops
            .iter()
            .any(|op| matches!(op, Op::Package(PackageOp::AptInstall { packages, .. }) if packages.len() == 1));
        let change = step.changes.iter_mut().find(|change| {
            change.after.as_ref().is_some_and(|after| after == KNOWN_AFTER_APPLY || after.ends_with('*'))
                && (change.field.parse().is_ok_and(|name| is_it(&name)) || single && change.field == "version")
        });
        if let Some(change) = change {
            change.after = Some(version.clone());
        }
    }
}

/// A size as apt writes it: decimal units, three digits.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 || unit == "GB" {
            return if unit == "B" || value >= 100.0 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1000.0;
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_as_apt_writes_them() {
        assert_eq!(
            [0, 999, 50_300, 98_304, 12_345_678, 4_000_000_000].map(size),
            ["0 B", "999 B", "50.3 kB", "98.3 kB", "12.3 MB", "4.0 GB"]
        );
    }
}
