//! The order of operations.
//!
//! Steps are applied in their order, with two exceptions that keep an apply
//! short without changing what it makes: the work of apt is brought together
//! (all repositories, one update, one install), and units are reloaded by
//! systemd once before the next operation that needs it, not after every file.

use crate::plan::{AptTarget, HostPlan, Op};
use crate::values::PackageName;

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
    let mut groups: Vec<Vec<Scheduled>> = Vec::new();
    let mut apt: Option<AptWork> = None;
    for (step, planned) in plan.steps.iter().enumerate() {
        if planned.ops.is_empty() {
            continue;
        }
        if planned.ops.iter().any(Op::is_apt) {
            let work = apt.get_or_insert_with(|| {
                groups.push(Vec::new());
                AptWork { group: groups.len() - 1, ..AptWork::default() }
            });
            planned.ops.iter().for_each(|op| work.add(step, op));
            continue;
        }
        // What runs the operator's own text, or changes apt itself, may be
        // what a later package needs: nothing is moved across it, nor across a reboot.
        if planned.ops.iter().any(is_barrier) {
            settle(&mut groups, apt.take());
        }
        groups.push(planned.ops.iter().map(|op| Scheduled { step, also: Vec::new(), op: op.clone() }).collect());
    }
    settle(&mut groups, apt.take());
    merge_reloads(groups.into_iter().flatten().collect())
}

/// The part of a plan that one run on the host can do: up to the first step
/// that restarts the host for certain. What comes after it is planned again.
pub fn until_reboot(plan: &HostPlan) -> HostPlan {
    let mut part = plan.clone();
    if let Some(at) = part.steps.iter().position(|step| step.ops.iter().any(Op::reboots)) {
        part.steps.iter_mut().skip(at + 1).for_each(|step| step.ops.clear());
    }
    part
}

fn is_barrier(op: &Op) -> bool {
    match op {
        Op::Run { .. } | Op::Exec { .. } | Op::Check(_) | Op::Reboot { .. } => true,
        Op::WriteFile { path, .. }
        | Op::EditFile { path, .. }
        | Op::Remove { path, .. }
        | Op::Download { path, .. } => {
            path.as_str().starts_with("/etc/apt/") || path.as_str().starts_with("/etc/dpkg/")
        }
        _ => false,
    }
}

#[derive(Default)]
struct AptWork {
    group: usize,
    files: Vec<Scheduled>,
    updates: Vec<Scheduled>,
    install: Vec<AptTarget>,
    remove: Vec<PackageName>,
    steps: Vec<usize>,
    removals: Vec<Scheduled>,
}

impl AptWork {
    fn add(&mut self, step: usize, op: &Op) {
        let scheduled = || Scheduled { step, also: Vec::new(), op: op.clone() };
        match op {
            Op::AptUpdate { .. } => self.updates.push(scheduled()),
            Op::AptRemove { .. } => self.removals.push(scheduled()),
            Op::AptInstall { packages, remove } => {
                for target in packages {
                    if !self.install.contains(target) {
                        self.install.push(target.clone());
                    }
                }
                for name in remove {
                    if !self.remove.contains(name) {
                        self.remove.push(name.clone());
                    }
                }
                self.steps.push(step);
            }
            _ => self.files.push(scheduled()),
        }
    }
}

fn settle(groups: &mut [Vec<Scheduled>], apt: Option<AptWork>) {
    let Some(work) = apt else { return };
    let group = &mut groups[work.group];
    group.extend(work.files);
    group.extend(work.updates);
    if let [step, also @ ..] = &work.steps[..] {
        let op = Op::AptInstall { packages: work.install, remove: work.remove };
        group.push(Scheduled { step: *step, also: also.to_vec(), op });
    }
    group.extend(work.removals);
}

/// Leaves out a daemon-reload that another one follows before anything that
/// systemd must know the new files for.
fn merge_reloads(ops: Vec<Scheduled>) -> Vec<Scheduled> {
    let mut kept: Vec<Scheduled> = Vec::with_capacity(ops.len());
    let mut waiting: Option<Scheduled> = None;
    for scheduled in ops {
        let passive = matches!(
            scheduled.op,
            Op::WriteFile { .. }
                | Op::EditFile { .. }
                | Op::MakeDirectory { .. }
                | Op::MakeLink { .. }
                | Op::Remove { .. }
                | Op::SetMeta { .. }
        );
        if scheduled.op == Op::DaemonReload {
            let mut next = scheduled;
            if let Some(before) = waiting.take() {
                next.also.extend(before.also);
                next.also.push(before.step);
            }
            waiting = Some(next);
            continue;
        }
        if !passive {
            kept.extend(waiting.take());
        }
        kept.push(scheduled);
    }
    kept.extend(waiting);
    kept
}
