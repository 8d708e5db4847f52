//! The calls of apt-get that a plan makes, and what each step adds to them.

use super::transaction::LISTS_ARE_OLD;
use super::{Action, Op, PackageOp, StepPlan};
use crate::observe::{HostState, Package, PredictedState};
use crate::values::PackageName;

/// One call of apt-get, and whether its result can be told now.
pub(super) struct Call {
    /// What each step adds to it, in their order.
    pub(super) parts: Vec<(usize, Op)>,
    pub(super) known: bool,
}

impl Call {
    /// The first step that it belongs to.
    pub(super) fn first(&self) -> usize {
        self.parts.first().map_or(0, |(step, _)| *step)
    }

    /// The last step that it belongs to.
    pub(super) fn last(&self) -> usize {
        self.parts.last().map_or(0, |(step, _)| *step)
    }

    /// What it does.
    pub(super) fn op(&self) -> Op {
        joined(self.parts.iter().map(|(_, op)| op))
    }
}

/// What several operations on packages are as one. What goes and what comes is
/// one question: a package may go without what depends on it because another
/// takes its place.
pub(super) fn joined<'a>(ops: impl Iterator<Item = &'a Op>) -> Op {
    fn join<T: Clone + PartialEq>(all: &mut Vec<T>, more: &[T]) {
        let new: Vec<T> = more.iter().filter(|one| !all.contains(one)).cloned().collect();
        all.extend(new);
    }
    let mut all = Op::Package(PackageOp::AptRemove { packages: Vec::new(), purge: false, may_remove: Vec::new() });
    for op in ops {
        match (&mut all, op) {
            (
                Op::Package(PackageOp::AptInstall { packages, remove, .. }),
                Op::Package(PackageOp::AptInstall { packages: more, remove: gone, .. }),
            ) => {
                join(packages, more);
                join(remove, gone);
            }
            (
                Op::Package(PackageOp::AptInstall { remove, .. }),
                Op::Package(PackageOp::AptRemove { packages: gone, .. }),
            ) => join(remove, gone),
            (
                Op::Package(PackageOp::AptRemove { packages: gone, .. }),
                Op::Package(PackageOp::AptRemove { packages: more, .. }),
            ) => join(gone, more),
            (Op::Package(PackageOp::AptRemove { packages: gone, .. }), Op::Package(PackageOp::AptInstall { .. })) => {
                let mut op = op.clone();
                if let Op::Package(PackageOp::AptInstall { remove, .. }) = &mut op {
                    join(remove, gone);
                }
                all = op;
            }
            _ => all = op.clone(),
        }
    }
    all
}

/// Says what dpkg has left unfinished on a host, and that it stays so, where no
/// step of a plan with packages has apt do anything. `predicted`: the state after the plan.
pub(super) fn note_unfinished(steps: &mut [StepPlan], predicted: &PredictedState) {
    let names = [false, true].map(|reinstall| predicted.unfinished_names(reinstall));
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|names| !names.is_empty()).collect();
    let first = steps.iter_mut().find(|step| step.kind == "package" && step.action == Action::None);
    if let (Some(step), false) = (first, names.is_empty()) {
        step.notes.push(format!(
            "dpkg has left packages unfinished on this host, and no step of this run has work for it: {}; 'dpkg \
             --configure -a' there, or 'apt-get install --reinstall', ends that",
            names.join(", ")
        ));
    }
}

/// The calls that a plan makes.
pub(super) fn calls(host: &HostState, steps: &[StepPlan]) -> Vec<Call> {
    // What is open is planned, and asked of apt, when its turn comes.
    let decided = || steps.iter().enumerate().filter(|(_, step)| step.open.is_none());
    let ops = || decided().flat_map(|(index, step)| step.ops.iter().map(move |op| (index, op)));
    let changes_apt = |op: &Op| matches!(op, Op::Package(PackageOp::AptUpdate { .. })) || op.configures_apt();
    let fresh = host.facts.apt.lists_age.is_some_and(|age| age < LISTS_ARE_OLD);
    let lists_stay = fresh && !ops().any(|(_, op)| changes_apt(op));
    let whole = host.dpkg_is_whole();
    let mut calls: Vec<Call> = Vec::new();
    let mut removals: Vec<(usize, Op)> = Vec::new();
    for (index, op) in ops() {
        match op {
            Op::Package(PackageOp::AptInstall { packages, options, .. }) => {
                let broken = |name: &PackageName| matches!(host.package(name), Ok(Package::Broken(_)));
                let from_file = packages.iter().any(|target| target.file.is_some());
                let known = lists_stay && whole && !from_file && !packages.iter().any(|one| broken(&one.name));
                let goes_with = |call: &&mut Call| matches!(call.parts.first(), Some((_, Op::Package(PackageOp::AptInstall { options: o, .. }))) if o == options);
                match calls.iter_mut().find(goes_with) {
                    Some(call) => {
                        call.known &= known;
                        call.parts.push((index, op.clone()));
                    }
                    None => calls.push(Call { parts: vec![(index, op.clone())], known }),
                }
            }
            Op::Package(PackageOp::AptRemove { .. }) => removals.push((index, op.clone())),
            // Both go by what is there when their turn comes.
            Op::Package(PackageOp::AptUpgrade { .. }) => {
                calls.push(Call { parts: vec![(index, op.clone())], known: lists_stay && whole });
            }
            Op::Package(PackageOp::AptAutoremove { .. }) => {
                let first = !ops().any(|(at, other)| {
                    at < index && (other.is_apt() || matches!(other, Op::Package(PackageOp::AptUpgrade { .. })))
                });
                calls.push(Call { parts: vec![(index, op.clone())], known: whole && first });
            }
            _ => {}
        }
    }
    match calls
        .iter_mut()
        .find(|call| matches!(call.parts.first(), Some((_, Op::Package(PackageOp::AptInstall { .. })))))
    {
        Some(call) => {
            call.parts.extend(removals);
            call.parts.sort_by_key(|(step, _)| *step);
        }
        None if removals.is_empty() => {}
        None => calls.push(Call { parts: removals, known: whole }),
    }
    calls
}
