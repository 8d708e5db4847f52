//! What apt makes of a plan: all that comes, goes and changes version, not
//! only what the playbook names.
//!
//! The resources say which packages they want. Here apt itself is asked what
//! that takes, by a simulation with the words of the apply. What it would
//! remove without being named by the playbook is a refusal. Where the package
//! lists are updated first, or apt's configuration changes, the answer is known
//! after apply; the host then asks apt once more before it does anything.

use super::{Action, FieldChange, KNOWN_AFTER_APPLY, Mark, Op, PlanError, StepPlan};
use crate::observe::{HostState, Package, PackageChange, Queries, Query, Transaction};
use crate::values::{PackageName, Secret};
use std::collections::BTreeSet;

/// apt's lists are updated before an install when they are older (seconds);
/// the runner's `apt_has_lists` has the same limit.
pub(crate) const LISTS_ARE_OLD: u64 = 86_400;

/// A refusal, and the index of the step that it belongs to.
pub(super) type Refused = (usize, PlanError);

/// Adds to the steps what apt does besides. Questions that are open go to
/// `wants`; a plan that waits for an answer is made again when it is there.
///
/// # Errors
/// What apt refuses, and what it would remove without being told to.
pub(super) fn add_transactions(
    host: &HostState,
    protected: &[&'static str],
    steps: &mut [StepPlan],
    wants: &mut Queries,
) -> Result<(), Vec<Refused>> {
    let calls = calls(host, steps);
    if calls.is_empty() {
        return Ok(());
    }
    let named = Named::of(host, steps);
    let mut shown = BTreeSet::new();
    let mut refused = Vec::new();
    // What a step releases is still held when apt is asked; the apply asks again without this.
    let is_release = |op: &Op| matches!(op, Op::AptMark { mark: Mark::Unhold, .. });
    let releases = steps.iter().flat_map(|step| &step.ops).any(is_release);
    for call in calls {
        let Call { step, op, known } = call;
        // What the operator's own commands do before may be what apt lacks now.
        let after_command = steps[..step].iter().any(|step| step.ops.iter().any(|op| matches!(op, Op::Run { .. })));
        let Some(mut words) = op.apt_words().filter(|_| known) else {
            open(&mut steps[step]);
            continue;
        };
        if releases {
            words.insert(1, "--allow-change-held-packages".to_owned());
        }
        let query = Query::Transaction(words.clone());
        if !host.asked(&query) {
            wants.ask(query);
            continue;
        }
        match host.transaction(&words) {
            Err(error) => refused.push((step, error.into())),
            Ok(found) if found.refusal.is_some() && after_command => open(&mut steps[step]),
            Ok(found) => match judge(&op, found, &named, protected) {
                Err(why) => refused.push((step, PlanError::Refused(why))),
                Ok(()) => show(steps, step, found, &named, &mut shown),
            },
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(refused) }
}

/// One call of apt-get, and whether its result can be told now.
struct Call {
    /// The first step that it belongs to.
    step: usize,
    op: Op,
    known: bool,
}

/// The calls that a plan makes. What goes and what comes is one question: a
/// package may go without what depends on it because another takes its place.
fn calls(host: &HostState, steps: &[StepPlan]) -> Vec<Call> {
    let ops = || steps.iter().enumerate().flat_map(|(index, step)| step.ops.iter().map(move |op| (index, op)));
    let changes_apt = |op: &Op| match op {
        Op::AptUpdate { .. } => true,
        Op::WriteFile { path, .. }
        | Op::Download { path, .. }
        | Op::MakeLink { path, .. }
        | Op::Remove { path, .. } => path.as_str().starts_with("/etc/apt/"),
        _ => false,
    };
    let fresh = host.facts.apt.lists_age.is_some_and(|age| age < LISTS_ARE_OLD);
    let lists_stay = fresh && !ops().any(|(_, op)| changes_apt(op));
    let whole = !host.facts.apt.interrupted;
    let mut calls: Vec<Call> = Vec::new();
    let mut removals: Vec<(usize, &Op)> = Vec::new();
    for (index, op) in ops() {
        match op {
            Op::AptInstall { packages, remove, options, .. } => {
                let broken = |name: &PackageName| matches!(host.package(name), Ok(Package::Broken(_)));
                let from_file = packages.iter().any(|target| target.file.is_some());
                let is_known = lists_stay && whole && !from_file && !packages.iter().any(|one| broken(&one.name));
                let same =
                    calls.iter_mut().find(|call| matches!(&call.op, Op::AptInstall { options: o, .. } if o == options));
                match same {
                    Some(Call { op: Op::AptInstall { packages: all, remove: gone, .. }, known, .. }) => {
                        *known &= is_known;
                        all.extend(packages.iter().filter(|one| !all.contains(one)).cloned().collect::<Vec<_>>());
                        gone.extend(remove.iter().filter(|one| !gone.contains(one)).cloned().collect::<Vec<_>>());
                    }
                    _ => calls.push(Call { step: index, op: op.clone(), known: is_known }),
                }
            }
            Op::AptRemove { .. } => removals.push((index, op)),
            // Both go by what is there when their turn comes.
            Op::AptUpgrade { .. } => calls.push(Call { step: index, op: op.clone(), known: lists_stay && whole }),
            Op::AptAutoremove { .. } => {
                let first =
                    !ops().any(|(at, other)| at < index && (other.is_apt() || matches!(other, Op::AptUpgrade { .. })));
                calls.push(Call { step: index, op: op.clone(), known: whole && first });
            }
            _ => {}
        }
    }
    let gone = || {
        removals
            .iter()
            .filter_map(|(_, op)| if let Op::AptRemove { packages, .. } = op { Some(packages) } else { None })
    };
    match (calls.iter_mut().find(|call| matches!(call.op, Op::AptInstall { .. })), removals.first()) {
        (Some(Call { op: Op::AptInstall { remove, .. }, .. }), Some(_)) => {
            remove.extend(gone().flatten().cloned());
        }
        (_, Some((index, _))) => {
            let packages = gone().flatten().cloned().collect();
            let op = Op::AptRemove { packages, purge: false, may_remove: Vec::new() };
            calls.push(Call { step: *index, op, known: whole });
        }
        _ => {}
    }
    calls
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
                Op::AptInstall { packages, remove, .. } => {
                    wanted.extend(packages.iter().map(|target| plain(&target.name)));
                    shown.extend(remove.iter().map(plain));
                }
                Op::AptRemove { packages, .. } => shown.extend(packages.iter().map(plain)),
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
fn judge(op: &Op, found: &Transaction, named: &Named, protected: &[&'static str]) -> Result<(), String> {
    if let Some(reason) = &found.refusal {
        let advice = if reason.contains("--allow-downgrades") { "\nallow_downgrade = true permits it" } else { "" };
        return Err(format!("apt refuses this:\n{reason}{advice}"));
    }
    let gone: Vec<&PackageChange> = found.changes.iter().filter(|change| change.after.is_none()).collect();
    if let Some(change) = gone.iter().find(|change| protected.contains(&change.name.as_str())) {
        return Err(format!("apt would remove {}, which you log in with", change.name));
    }
    // What nothing needs any more is what this step names.
    if matches!(op, Op::AptAutoremove { .. }) {
        return Ok(());
    }
    let unnamed: Vec<String> = gone
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
    step.changes.push(FieldChange::new("other packages", None::<&str>, Some(KNOWN_AFTER_APPLY)));
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
    if step.sensitive {
        step.changes.iter_mut().flat_map(|change| [&mut change.before, &mut change.after]).flatten().for_each(|text| {
            *text = Secret::MASK.to_owned();
        });
    }
}

/// Where a step could not tell in which version its package comes, apt has.
fn tell_version(steps: &mut [StepPlan], found: &PackageChange, arch: &str) {
    let Some(version) = &found.after else { return };
    for step in steps.iter_mut().filter(|step| step.action != Action::None && !step.sensitive) {
        let is_it = |name: &PackageName| plain(name, arch) == found.name;
        let is_target =
            |op: &Op| matches!(op, Op::AptInstall { packages, .. } if packages.iter().any(|one| is_it(&one.name)));
        if !step.ops.iter().any(is_target) {
            continue;
        }
        let single = step.ops.iter().any(|op| matches!(op, Op::AptInstall { packages, .. } if packages.len() == 1));
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
