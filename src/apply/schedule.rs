//! The order of operations.
//!
//! Steps are applied in their order: none is moved across one that it could
//! affect. Three things keep an apply short all the same. Package and
//! repository steps that follow each other, or have only files in /srv or /home
//! between them, are one transaction, as long as that is what they would do one
//! after the other. Units are reloaded by systemd once
//! before the next operation that needs it, not after every file. A new user is
//! made with its groups.

use crate::plan::{AccountOp, Action, AptOptions, AptTarget, FileOp, HostPlan, Mark, Op, PackageOp, UnitOp};
use crate::values::{AbsPath, PackageName};

/// One operation and the step it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// Index into [`HostPlan::steps`].
    pub step: usize,
    /// Steps that this operation completes besides `step`.
    pub also: Vec<usize>,
    /// What is done.
    pub op: Op,
}

/// The operations of a plan in the order in which they will be done.
pub fn schedule(plan: &HostPlan) -> Vec<Scheduled> {
    let mut operations: Vec<Scheduled> = Vec::new();
    let mut apt = AptWork::default();
    // What comes between two of its steps and is nothing to packages.
    let mut between: Vec<Scheduled> = Vec::new();
    for (step, planned) in plan.steps.iter().enumerate().filter(|(_, planned)| !planned.ops.is_empty()) {
        let is_apt = planned.ops.iter().any(Op::is_apt);
        let scheduled = join_at_once(&planned.ops).map(|op| Scheduled { step, also: Vec::new(), op });
        if apt.has_begun() && !is_apt && !planned.guard && planned.ops.iter().all(is_nothing_to_packages) {
            between.extend(scheduled);
            continue;
        }
        // What follows a step that may change nothing depends on its changes alone.
        let alone = planned.action == Action::Unknown && !planned.makes_pending().is_empty();
        if !is_apt || !apt.takes(&planned.ops) || apt.guarded != planned.guard || apt.alone || alone {
            operations.extend(std::mem::take(&mut apt).operations());
            operations.append(&mut between);
        }
        if is_apt {
            (apt.guarded, apt.alone) = (planned.guard, alone);
            planned.ops.iter().for_each(|op| apt.add(step, op));
        } else {
            operations.extend(scheduled);
        }
    }
    operations.extend(apt.operations());
    operations.append(&mut between);
    let guarded = |step: usize| plan.steps.get(step).is_some_and(|step| step.guard);
    merge_reloads(operations, guarded)
}

/// The part of a plan that one run on the host can do: up to the first step
/// that restarts the host, that is decided only when its turn comes, or before
/// which the host is looked at again. What comes after it is planned again.
pub fn one_phase(plan: &HostPlan) -> HostPlan {
    let mut part = plan.clone();
    let reboot = part.steps.iter().position(|step| step.open.is_none() && step.ops.iter().any(Op::reboots));
    let open = part.steps.iter().position(|step| step.open.is_some() || step.looked_at_before);
    let ends = [reboot.map(|at| at + 1), open].into_iter().flatten().min();
    part.left_open = open.filter(|open| reboot.is_none_or(|at| at > *open));
    part.steps.iter_mut().skip(ends.unwrap_or(usize::MAX)).for_each(|step| step.ops.clear());
    part
}

/// Whether an operation makes no difference to packages, nor they to it: it
/// stays within directories that are the operator's alone (FHS 3.0, /srv and
/// /home).
fn is_nothing_to_packages(op: &Op) -> bool {
    let own = |path: &AbsPath| ["/srv/", "/home/"].iter().any(|top| path.as_str().starts_with(top));
    match op {
        Op::File(
            FileOp::WriteFile { path, validate: None, .. }
            | FileOp::MakeDirectory { path, .. }
            | FileOp::MakeLink { path, .. },
        ) => own(path),
        _ => false,
    }
}

/// One transaction in the making: files of repositories, updates of the lists,
/// an install, removals, in this order.
#[derive(Default)]
struct AptWork {
    guarded: bool,
    /// Whether no other step may join it.
    alone: bool,
    files: Vec<Scheduled>,
    updates: Vec<Scheduled>,
    install: Option<Install>,
    /// Removals and the marks of what is there by then.
    last: Vec<Scheduled>,
}

/// One install of several steps.
struct Install {
    options: AptOptions,
    packages: Vec<AptTarget>,
    remove: Vec<PackageName>,
    may_remove: Vec<PackageName>,
    steps: Vec<usize>,
}

/// Adds what is not there yet.
fn join<T: Clone + PartialEq>(all: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
}

impl AptWork {
    fn has_begun(&self) -> bool {
        !(self.files.is_empty() && self.updates.is_empty() && self.install.is_none() && self.last.is_empty())
    }

    /// Whether a step can become part of it and still do what it would do after it.
    fn takes(&self, ops: &[Op]) -> bool {
        ops.iter().all(|op| match op {
            Op::Package(PackageOp::AptRemove { packages, .. }) => {
                let installed = |name: &PackageName| {
                    self.install.as_ref().is_some_and(|install| install.packages.iter().any(|t| t.name == *name))
                };
                !packages.iter().any(installed)
            }
            Op::Package(PackageOp::AptInstall { packages, remove, options, .. }) => {
                let clash = |one: &AptTarget, names: &[PackageName]| names.contains(&one.name);
                let goes_with = |install: &Install| {
                    install.options == *options
                        && !packages.iter().any(|target| clash(target, &install.remove))
                        && !install.packages.iter().any(|target| clash(target, remove))
                };
                self.last.is_empty() && self.install.as_ref().is_none_or(goes_with)
            }
            // Answers come before all that is installed together with their package,
            // which another package may bring.
            Op::Package(PackageOp::Debconf { .. }) => {
                let debconf = |target: &AptTarget| target.name.bare() == "debconf";
                !self.install.as_ref().is_some_and(|install| install.packages.iter().any(debconf))
            }
            // What is installed before a repository comes, or before the lists
            // are updated, is what the lists have offered until then.
            _ => self.install.is_none() && self.last.is_empty(),
        })
    }

    fn add(&mut self, step: usize, op: &Op) {
        let scheduled = || Scheduled { step, also: Vec::new(), op: op.clone() };
        match op {
            Op::Package(PackageOp::AptUpdate { .. }) => self.updates.push(scheduled()),
            Op::Package(
                PackageOp::AptRemove { .. } | PackageOp::AptMark { mark: Mark::Hold | Mark::Auto | Mark::Manual, .. },
            ) => self.last.push(scheduled()),
            Op::Package(PackageOp::AptInstall { packages, remove, may_remove, options }) => {
                let install = self.install.get_or_insert_with(|| Install {
                    options: options.clone(),
                    packages: Vec::new(),
                    remove: Vec::new(),
                    may_remove: Vec::new(),
                    steps: Vec::new(),
                });
                join(&mut install.packages, packages);
                join(&mut install.remove, remove);
                join(&mut install.may_remove, may_remove);
                install.steps.push(step);
            }
            _ => self.files.push(scheduled()),
        }
    }

    fn operations(self) -> Vec<Scheduled> {
        let mut all = self.files;
        all.extend(self.updates);
        if let Some(Install { options, packages, remove, may_remove, steps }) = self.install
            && let [step, also @ ..] = &steps[..]
        {
            let op = Op::Package(PackageOp::AptInstall { packages, remove, may_remove, options });
            all.push(Scheduled { step: *step, also: also.to_vec(), op });
        }
        all.extend(self.last);
        all
    }
}

/// A new user is made with the groups that it joins right then.
fn join_at_once(ops: &[Op]) -> impl Iterator<Item = Op> {
    let mut kept: Vec<Op> = Vec::with_capacity(ops.len());
    for op in ops {
        match (kept.last_mut(), op) {
            (
                Some(Op::Account(AccountOp::UserAdd { name, groups, .. })),
                Op::Account(AccountOp::Join { user, group }),
            ) if name == user => {
                groups.push(group.clone());
            }
            _ => kept.push(op.clone()),
        }
    }
    kept.into_iter()
}

/// Leaves out a daemon-reload that another one follows before anything that
/// systemd must know the new files for. None waits until a guarded phase is
/// under way: that would make two of it.
fn merge_reloads(ops: Vec<Scheduled>, guarded: impl Fn(usize) -> bool) -> Vec<Scheduled> {
    let mut kept: Vec<Scheduled> = Vec::with_capacity(ops.len());
    let mut waiting: Option<Scheduled> = None;
    for scheduled in ops {
        if scheduled.op == Op::Unit(UnitOp::DaemonReload) {
            let mut next = scheduled;
            if let Some(before) = waiting.take() {
                next.also.extend(before.also);
                next.also.push(before.step);
            }
            waiting = Some(next);
            continue;
        }
        let begins = |waiting: &Scheduled| guarded(scheduled.step) && !guarded(waiting.step);
        if !scheduled.op.may_precede_reload() || waiting.as_ref().is_some_and(begins) {
            kept.extend(waiting.take());
        }
        kept.push(scheduled);
    }
    kept.extend(waiting);
    kept
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "schedule_tests.rs"]
mod tests;
