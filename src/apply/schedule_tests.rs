//! Tests of `schedule`.

use super::*;
use crate::plan::{CommandOp, StepPlan, SystemOp};

fn step(id: &str, ops: Vec<Op>) -> StepPlan {
    StepPlan { id: id.to_owned(), name: id.to_owned(), kind: "test", action: Action::Run, ops, ..StepPlan::default() }
}

fn install(name: &str) -> Op {
    let (remove, may_remove) = (Vec::new(), Vec::new());
    let packages = vec![AptTarget::new(name.parse().unwrap())];
    Op::Package(PackageOp::AptInstall { packages, remove, may_remove, options: AptOptions::default() })
}

fn reboot() -> Op {
    Op::System(SystemOp::Reboot { timeout: 600, message: String::new() })
}

fn order(steps: Vec<Op>) -> Vec<(usize, Vec<usize>)> {
    let steps = steps.into_iter().enumerate().map(|(n, op)| step(&n.to_string(), vec![op])).collect();
    schedule(&HostPlan::new("h", steps)).into_iter().map(|one| (one.step, one.also)).collect()
}

fn write(path: &str) -> Op {
    Op::File(FileOp::WriteFile {
        path: path.parse().unwrap(),
        content: Vec::new(),
        meta: crate::plan::Meta::root(0o644),
        validate: None,
    })
}

fn removal(name: &str) -> Op {
    Op::Package(PackageOp::AptRemove { packages: vec![name.parse().unwrap()], purge: false, may_remove: Vec::new() })
}

#[test]
fn packages_that_follow_each_other_are_one_transaction_and_none_is_moved_across_another_step() {
    assert_eq!(
        order(vec![install("aa"), write("/srv/x"), install("bb"), write("/etc/y")]),
        [(0, vec![2]), (1, vec![]), (3, vec![])]
    );
    let group = || Op::Account(AccountOp::GroupAdd { name: "docker".parse().unwrap(), gid: None, system: false });
    for between in [reboot(), group(), Op::Unit(UnitOp::DaemonReload), write("/etc/x")] {
        let steps = vec![install("aa"), install("bb"), between, install("cc"), install("dd")];
        assert_eq!(order(steps), [(0, vec![1]), (2, vec![]), (3, vec![4])]);
    }
}

#[test]
fn one_transaction_does_what_its_steps_would_do_one_after_the_other() {
    let update = || Op::Package(PackageOp::AptUpdate { only: None });
    // The lists that an install goes by are not updated before their time.
    assert_eq!(
        order(vec![update(), install("aa"), update(), install("bb")]),
        [(0, vec![]), (1, vec![]), (2, vec![]), (3, vec![])]
    );
    // What is removed first is not installed again by what it depends on.
    assert_eq!(order(vec![removal("aa"), install("bb")]), [(0, vec![]), (1, vec![])]);
    assert_eq!(order(vec![install("bb"), removal("bb")]), [(0, vec![]), (1, vec![])]);
    assert_eq!(order(vec![install("bb"), install("cc"), removal("aa")]), [(0, vec![1]), (2, vec![])]);
}

#[test]
fn units_are_read_anew_before_a_guarded_phase_and_not_within_it() {
    let reload = Op::Unit(UnitOp::Systemctl { verb: crate::plan::Verb::Reload, unit: "ssh.service".parse().unwrap() });
    let dropin = step("dropin", vec![write("/etc/systemd/system/a.service.d/b.conf"), Op::Unit(UnitOp::DaemonReload)]);
    let sshd = StepPlan { guard: true, ..step("sshd", vec![write("/etc/ssh/sshd_config.d/a.conf")]) };
    let due = StepPlan { guard: true, ..step("reload", vec![reload]) };
    let plan = HostPlan::new("h", vec![dropin, step("file", vec![write("/etc/other")]), sshd, due]);
    let order: Vec<usize> = schedule(&plan).into_iter().map(|one| one.step).collect();
    assert_eq!(order, [0, 1, 0, 2, 3]);
    assert_eq!(crate::apply::guard::phases(&plan, &schedule(&plan)).len(), 1);
}

#[test]
fn guarded_steps_share_a_phase_where_what_is_between_them_can_be_put_back() {
    let command = || {
        Op::Command(CommandOp::Run {
            script: "true".into(),
            guard: None,
            environment: Default::default(),
            user: None,
            directory: None,
            postconditions: Vec::new(),
        })
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
fn a_phase_ends_after_a_reboot_and_before_what_is_open() {
    let done = |plan: Vec<StepPlan>| -> (Vec<bool>, Option<usize>) {
        let part = one_phase(&HostPlan::new("h", plan));
        (part.steps.iter().map(|step| !step.ops.is_empty()).collect(), part.left_open)
    };
    let open = |op: Op| StepPlan { open: Some("step 1".into()), ..step("open", vec![op]) };
    let (aa, bb) = (|| step("a", vec![install("aa")]), || step("b", vec![install("bb")]));
    let again = || step("r", vec![reboot()]);
    assert_eq!(done(vec![aa(), again(), bb(), again()]), (vec![true, true, false, false], None));
    assert_eq!(done(vec![aa(), open(install("xx")), again()]), (vec![true, false, false], Some(1)));
    assert_eq!(done(vec![again(), open(install("xx"))]), (vec![true, false], None));
    assert_eq!(done(vec![open(reboot()), bb()]), (vec![false, false], Some(0)));
    assert_eq!(done(vec![aa(), bb()]), (vec![true, true], None));
}
