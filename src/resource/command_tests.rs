//! Tests of `command`.

use super::*;
use crate::plan::UnitOp;

#[test]
fn a_guard_that_an_earlier_package_may_satisfy_is_asked_again_on_the_host() {
    let unless = Run::shell("docker info | grep 'x'");
    let shell = Shell {
        run: "make it".into(),
        creates: None,
        removes: None,
        unless: Some(unless.clone()),
        pending: None,
        environment: Environment::default(),
        user: None,
        directory: None,
    };
    let mut host = HostState::default();
    host.set_output(&unless, Known::Is(crate::observe::Output { code: 127, stdout: String::new() }));
    shell.texts().for_each(|(_, text)| host.set_syntax(text, None));
    let mut host = PredictedState::of(&host);
    assert_eq!(shell.plan(&host).unwrap().action(), Action::Run);
    host.packages_will_appear();
    let planned = shell.plan(&host).unwrap();
    assert_eq!(planned.action(), Action::Unknown);
    let [Op::Command(CommandOp::Run { guard: Some(_), .. })] = &planned.ops[..] else { panic!("{:?}", planned.ops) };
    planned.ops[0].effect(&mut host);
    // It may be one of several that bring about together what the guard asks for.
    assert_eq!(shell.plan(&host).unwrap().action(), Action::Unknown);
    host.reset();
    assert_eq!(shell.plan(&host).unwrap().action(), Action::None);
    // A change after it may undo what it has made.
    Op::Unit(UnitOp::DaemonReload).effect(&mut host);
    let again = shell.plan(&host).unwrap();
    assert_eq!(again.action(), Action::Unknown);
    assert_eq!(again.notes, ["decided at its turn: depends on an earlier step"]);
    let [Op::Command(CommandOp::Run { guard: Some(guard), .. })] = &again.ops[..] else { panic!("{:?}", again.ops) };
    assert_eq!(guard.unless.as_deref(), Some("docker info | grep 'x'"));
    again.ops[0].effect(&mut host);
    host.reset();
    assert_eq!(shell.plan(&host).unwrap().action(), Action::None);
}
