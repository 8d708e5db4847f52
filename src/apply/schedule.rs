//! The order of operations.
//!
//! Steps are applied in their order, with three exceptions that keep an apply
//! short without changing what it makes: the work of apt is brought together
//! (all repositories, one update, one install), units are reloaded by systemd
//! once before the next operation that needs it, not after every file, and a
//! new user is made with its groups.

use crate::plan::{AptOptions, AptTarget, HostPlan, Mark, Op};
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
        groups.push(join_at_once(&planned.ops).map(|op| Scheduled { step, also: Vec::new(), op }).collect());
    }
    settle(&mut groups, apt.take());
    let guarded = |step: usize| plan.steps.get(step).is_some_and(|step| step.guard);
    merge_reloads(groups.into_iter().flatten().collect(), guarded)
}

/// The part of a plan that one run on the host can do: up to the first step
/// that restarts the host, or that is decided only when its turn comes. What
/// comes after it is planned again.
pub fn one_phase(plan: &HostPlan) -> HostPlan {
    let mut part = plan.clone();
    let reboot = part.steps.iter().position(|step| step.open.is_none() && step.ops.iter().any(Op::reboots));
    let open = part.steps.iter().position(|step| step.open.is_some());
    let ends = [reboot.map(|at| at + 1), open].into_iter().flatten().min();
    part.left_open = open.filter(|open| ends == Some(*open));
    part.steps.iter_mut().skip(ends.unwrap_or(usize::MAX)).for_each(|step| step.ops.clear());
    part
}

fn is_barrier(op: &Op) -> bool {
    match op {
        Op::Run { .. }
        | Op::Exec { .. }
        | Op::Check(_)
        | Op::Reboot { .. }
        | Op::AptUpgrade { .. }
        | Op::AptAutoremove { .. } => true,
        Op::WriteFile { path, .. } | Op::Remove { path, .. } | Op::Download { path, .. } => {
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
    installs: Vec<Install>,
    /// Removals and the marks of what is there by then.
    last: Vec<Scheduled>,
}

/// One transaction of several steps.
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
    fn add(&mut self, step: usize, op: &Op) {
        let scheduled = || Scheduled { step, also: Vec::new(), op: op.clone() };
        match op {
            Op::AptUpdate { .. } => self.updates.push(scheduled()),
            Op::AptRemove { .. } | Op::AptMark { mark: Mark::Hold | Mark::Auto, .. } => self.last.push(scheduled()),
            Op::AptInstall { packages, remove, may_remove, options } => {
                let at = self.installs.iter().position(|one| one.options == *options).unwrap_or_else(|| {
                    let options = options.clone();
                    let (packages, remove, may_remove, steps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
                    self.installs.push(Install { options, packages, remove, may_remove, steps });
                    self.installs.len() - 1
                });
                if let Some(install) = self.installs.get_mut(at) {
                    join(&mut install.packages, packages);
                    join(&mut install.remove, remove);
                    join(&mut install.may_remove, may_remove);
                    install.steps.push(step);
                }
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
    for Install { options, packages, remove, may_remove, steps } in work.installs {
        if let [step, also @ ..] = &steps[..] {
            let op = Op::AptInstall { packages, remove, may_remove, options };
            group.push(Scheduled { step: *step, also: also.to_vec(), op });
        }
    }
    group.extend(work.last);
}

/// A new user is made with the groups that it joins right then.
fn join_at_once(ops: &[Op]) -> impl Iterator<Item = Op> {
    let mut kept: Vec<Op> = Vec::with_capacity(ops.len());
    for op in ops {
        match (kept.last_mut(), op) {
            (Some(Op::UserAdd { name, groups, .. }), Op::Join { user, group }) if name == user => {
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
        let passive = matches!(
            scheduled.op,
            Op::WriteFile { .. }
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
        let begins = |waiting: &Scheduled| guarded(scheduled.step) && !guarded(waiting.step);
        if !passive || waiting.as_ref().is_some_and(begins) {
            kept.extend(waiting.take());
        }
        kept.push(scheduled);
    }
    kept.extend(waiting);
    kept
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plan::{Action, StepPlan};

    fn step(id: &str, ops: Vec<Op>) -> StepPlan {
        StepPlan {
            id: id.to_owned(),
            name: id.to_owned(),
            kind: "test",
            action: Action::Run,
            ops,
            ..StepPlan::default()
        }
    }

    fn install(name: &str) -> Op {
        let (remove, may_remove) = (Vec::new(), Vec::new());
        let packages = vec![AptTarget::new(name.parse().unwrap())];
        Op::AptInstall { packages, remove, may_remove, options: AptOptions::default() }
    }

    fn reboot() -> Op {
        Op::Reboot { timeout: 600, message: String::new() }
    }

    #[test]
    fn no_work_of_apt_is_moved_across_a_reboot() {
        let steps = [install("aa"), install("bb"), reboot(), install("cc"), install("dd")];
        let steps = steps.into_iter().enumerate().map(|(n, op)| step(&n.to_string(), vec![op])).collect();
        let order: Vec<(usize, Vec<usize>)> =
            schedule(&HostPlan::new("h", steps)).into_iter().map(|one| (one.step, one.also)).collect();
        assert_eq!(order, [(0, vec![1]), (2, vec![]), (3, vec![4])]);
    }

    #[test]
    fn units_are_read_anew_before_a_guarded_phase_and_not_within_it() {
        let write = |path: &str| Op::WriteFile {
            path: path.parse().unwrap(),
            content: Vec::new(),
            meta: crate::plan::Meta::root(0o644),
            validate: None,
        };
        let reload = Op::Systemctl { verb: crate::plan::Verb::Reload, unit: "ssh.service".parse().unwrap() };
        let dropin = step("dropin", vec![write("/etc/systemd/system/a.service.d/b.conf"), Op::DaemonReload]);
        let sshd = StepPlan { guard: true, ..step("sshd", vec![write("/etc/ssh/sshd_config.d/a.conf")]) };
        let due = StepPlan { guard: true, ..step("reload", vec![reload]) };
        let plan = HostPlan::new("h", vec![dropin, step("file", vec![write("/etc/other")]), sshd, due]);
        let order: Vec<usize> = schedule(&plan).into_iter().map(|one| one.step).collect();
        assert_eq!(order, [0, 1, 0, 2, 3]);
        assert_eq!(crate::apply::guard::phases(&plan, &schedule(&plan)).len(), 1);
    }

    #[test]
    fn guarded_steps_share_a_phase_where_what_is_between_them_can_be_put_back() {
        let write = |path: &str| Op::WriteFile {
            path: path.parse().unwrap(),
            content: Vec::new(),
            meta: crate::plan::Meta::root(0o644),
            validate: None,
        };
        let command = || Op::Run {
            script: "true".into(),
            guard: None,
            environment: Vec::new(),
            user: None,
            directory: None,
            achieves: Vec::new(),
        };
        let phases = |between: Vec<Op>| {
            let guarded = |id: &str| StepPlan { guard: true, ..step(id, vec![write("/etc/ssh/x")]) };
            let steps = vec![step("0", vec![write("/a")]), guarded("1"), step("2", between), guarded("3")];
            let plan = HostPlan::new("h", steps);
            let phases = crate::apply::guard::phases(&plan, &schedule(&plan));
            phases.into_iter().map(|phase| (phase.number, phase.operations)).collect::<Vec<_>>()
        };
        assert_eq!(phases(vec![]), [(1, 1..3)]);
        assert_eq!(phases(vec![write("/b"), write("/c")]), [(1, 1..5)]);
        assert_eq!(phases(vec![command()]), [(1, 1..2), (2, 3..4)]);
        assert_eq!(phases(vec![write("/b"), command()]), [(1, 1..2), (2, 4..5)]);
        assert_eq!(phases(vec![install("aa")]), [(1, 1..2), (2, 3..4)]);
    }

    #[test]
    fn a_run_ends_at_the_first_reboot_and_before_the_first_open_step() {
        let done = |open: Option<usize>| {
            let ops = [install("aa"), install("bb"), reboot(), install("cc"), reboot()];
            let steps = ops.into_iter().enumerate().map(|(n, op)| step(&n.to_string(), vec![op]));
            let mut steps: Vec<StepPlan> = steps.collect();
            if let Some(open) = open {
                steps[open].open = Some("an earlier step".to_owned());
            }
            let part = one_phase(&HostPlan::new("h", steps));
            let done: Vec<bool> = part.steps.iter().map(|step| !step.ops.is_empty()).collect();
            (done, part.left_open)
        };
        assert_eq!(done(None), (vec![true, true, true, false, false], None));
        assert_eq!(done(Some(1)), (vec![true, false, false, false, false], Some(1)));
        assert_eq!(done(Some(3)), (vec![true, true, true, false, false], Some(3)));
    }
}
