//! Whole applies on scripted hosts.

#![allow(clippy::unwrap_used)]

use super::scripted::{Act, World, fails, scripted, writes};
use super::*;
use crate::apply::{ApplyError, Reboot, RunMetadata, StepFailure};
use crate::playbook::{self, HostScope, Playbook};
use crate::report::{Event, HostOutcome, HostStatus, Reporter};
use crate::resource::KINDS;
use crate::transport::{Ask, Policy, TransportError};
use crate::values::Secret;
use std::sync::{Arc, Mutex};

const ONE: &str = "[[step]]\nfile = { path = \"/srv/a\", content = \"new\\n\" }\n";

/// The file by which packages ask for a reboot.
const ASKS: &str = "/run/reboot-required";

/// Keeps what is said.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn event(&self, event: &Event<'_>) {
        let text = match event {
            Event::Notice { text, .. } => (*text).to_owned(),
            Event::HostFailed { error, .. } => format!("failed: {error}"),
            _ => return,
        };
        self.0.lock().unwrap().push(text);
    }
}

/// Says the same to every question.
struct Says(bool);

impl Ask for Says {
    fn secret(&self, _: &str) -> Option<Secret> {
        None
    }
    fn confirm(&self, _: &str) -> bool {
        self.0
    }
}

fn loaded(text: &str) -> Playbook {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("playbook.toml");
    std::fs::write(&path, text).unwrap();
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    playbook::load(&path, &kinds).map_err(InputErrors).unwrap()
}

fn prepared(
    text: &str,
    files: &[(&str, &str)],
    acts: Vec<Act>,
    before: impl FnOnce(&mut World),
    resume: bool,
    heard: &Heard,
) -> (anyhow::Result<Prepared>, Arc<Mutex<World>>) {
    let (host, world) = scripted(files, acts);
    before(&mut world.lock().unwrap());
    let (playbook, policy, ask) = (loaded(text), Policy::default(), Arc::new(Says(false)) as Arc<dyn Ask>);
    let run = Run { playbook: &playbook, policy: &policy, ask: &ask, reporter: heard, resume };
    let scope = HostScope { host: "scripted".into(), address: "192.0.2.1".into(), ..HostScope::default() };
    (run.prepare_on(Box::new(host), &scope, None), world)
}

fn terms(yes: bool, says: bool) -> ApplyOptions {
    let about = RunMetadata {
        who: "ann@desk".into(),
        playbook: "test".into(),
        inputs: String::new(),
        stage: None,
        undid: None,
        apply: None,
    };
    ApplyOptions { about, guard_timeout: 60, undo_on_failure: false, yes, ask: Arc::new(Says(says)) }
}

fn applied(text: &str, files: &[(&str, &str)], acts: Vec<Act>) -> (HostOutcome, Vec<String>) {
    let heard = Heard::default();
    let (host, world) = prepared(text, files, acts, |_| {}, false, &heard);
    let outcome = apply_host(host.unwrap(), &terms(true, false), &heard);
    let log = world.lock().unwrap().log.clone();
    (outcome, log)
}

fn closed() -> TransportError {
    TransportError::Closed { host: "scripted".into(), said: String::new() }
}

#[test]
fn a_host_that_is_as_wanted_gets_no_run() {
    let (outcome, log) = applied(ONE, &[("/srv/a", "new\n")], vec![]);
    assert_eq!((outcome.ending, outcome.changed, log), (HostStatus::Converged, 0, vec![]));
}

#[test]
fn a_host_has_converged_when_the_second_look_finds_nothing() {
    let (outcome, log) = applied(ONE, &[("/srv/a", "old\n")], vec![writes(&[("/srv/a", "new\n")])]);
    assert_eq!((outcome.ending, outcome.changed, log), (HostStatus::Converged, 1, vec!["run 1".to_owned()]));
}

#[test]
fn what_still_differs_after_a_run_is_not_converged() {
    let (outcome, log) = applied(ONE, &[], vec![writes(&[("/srv/a", "other\n")])]);
    assert_eq!((outcome.ending, log.len()), (HostStatus::NotConverged, 1));
    assert_eq!(outcome.remaining.unwrap().summary.differing(), 1);
}

#[test]
fn a_failed_step_ends_the_apply() {
    let failure = StepFailure { step: 0, id: "1".into(), code: 7, output: "no space left".into() };
    let (outcome, log) = applied(ONE, &[], vec![fails(ApplyError::Step(failure))]);
    assert_eq!((outcome.ending, outcome.changed, log.len()), (HostStatus::Failed, 0, 1));
    assert_eq!(outcome.failure.unwrap().message, "step 1 failed with exit code 7");
}

#[test]
fn a_change_of_access_that_was_put_back_is_undone() {
    let reverted = ApplyError::Reverted { why: "no new login within 60 s".into(), failure: None };
    let (outcome, _) = applied(ONE, &[], vec![fails(reverted)]);
    assert_eq!(outcome.ending, HostStatus::Undone);
    assert!(outcome.error.unwrap().contains("no new login within 60 s"));
}

#[test]
fn a_connection_that_is_lost_before_the_second_look_is_made_anew() {
    let act: Act = Box::new(|world, _| {
        world.files.insert("/srv/a".into(), b"new\n".to_vec());
        world.lost.push_back(closed());
        Ok(())
    });
    let (outcome, log) = applied(ONE, &[], vec![act]);
    assert_eq!((outcome.ending, log), (HostStatus::Converged, vec!["run 1".to_owned(), "renew".to_owned()]));
}

#[test]
fn an_apply_goes_on_after_a_reboot_with_what_is_left() {
    let text = format!("[[step]]\nreboot = {{}}\n{ONE}");
    let reboot: Act = Box::new(|world, _| {
        world.files.remove(ASKS);
        Err(ApplyError::Reboot(Reboot { step: 0, from: "boot-1".into(), timeout: 60 }))
    });
    let (outcome, log) = applied(&text, &[(ASKS, "")], vec![reboot, writes(&[("/srv/a", "new\n")])]);
    assert_eq!(outcome.ending, HostStatus::Converged, "{:?}", outcome.error);
    assert_eq!(log[..2], ["run 1".to_owned(), "boot after boot-1".to_owned()]);
    assert_eq!(outcome.runs.len(), 2);
}

#[test]
fn an_apply_that_ends_at_an_open_step_with_nothing_to_do_is_concluded() {
    let text = "[[step]]\ncommand = { run = \"make it\", creates = \"/srv/a\" }\n\
        [[step]]\nfile = { path = \"/srv/a\", mode = \"0644\" }\n";
    let (outcome, log) = applied(text, &[], vec![writes(&[("/srv/a", "made\n")])]);
    assert_eq!(outcome.ending, HostStatus::Converged, "{:?}", outcome.error);
    assert_eq!(log, ["run 1", "conclude"]);
    // A phase that another follows is not.
    let acts = vec![writes(&[("/srv/a", "made\n")]), writes(&[("/srv/b", "b\n")])];
    let more = format!("{text}[[step]]\nfile = {{ path = \"/srv/b\", content = \"b\\n\" }}\n");
    let (outcome, log) = applied(&more, &[], acts);
    assert_eq!((outcome.ending, log.last().map(String::as_str)), (HostStatus::Converged, Some("run 3")), "{log:?}");
}

#[test]
fn a_run_that_has_not_ended_is_not_run_over() {
    let heard = Heard::default();
    let left = |world: &mut World| world.left.unfinished.push("r1".into());
    let (host, world) = prepared(ONE, &[], vec![], left, false, &heard);
    let outcome = apply_host(host.unwrap(), &terms(true, false), &heard);
    assert_eq!(outcome.ending, HostStatus::Failed);
    assert!(outcome.error.unwrap().contains("run r1 has not ended"));
    assert!(world.lock().unwrap().log.is_empty());
}

#[test]
fn resume_settles_what_has_not_ended_and_plans_anew() {
    let heard = Heard::default();
    let left = |world: &mut World| world.left.unfinished.push("r1".into());
    let (host, world) = prepared(ONE, &[], vec![writes(&[("/srv/a", "new\n")])], left, true, &heard);
    let outcome = apply_host(host.unwrap(), &terms(true, false), &heard);
    assert_eq!(outcome.ending, HostStatus::Converged);
    assert_eq!(world.lock().unwrap().log, ["settle r1", "run 1"]);
}

#[test]
fn a_system_that_is_no_debian_is_refused_before_it_is_planned_for() {
    let heard = Heard::default();
    let other = |world: &mut World| world.os = ("fedora", "Fedora Linux 43");
    let error = prepared(ONE, &[], vec![], other, false, &heard).0.err().unwrap();
    assert!(is_failure(&error) && error.to_string().contains("Fedora Linux 43"), "{error:#}");
}

#[test]
fn a_plan_that_is_another_one_at_the_hosts_turn_needs_a_yes() {
    for (yes, ends) in [(false, Some(HostStatus::Failed)), (true, None)] {
        let heard = Heard::default();
        let (host, world) = prepared(ONE, &[("/srv/a", "new\n")], vec![], |_| {}, false, &heard);
        let mut host = host.unwrap();
        world.lock().unwrap().files.insert("/srv/a".into(), b"old\n".to_vec());
        let refused = refresh(&mut host, yes, &heard).err();
        assert_eq!(refused.map(|outcome| outcome.ending), ends);
        assert!(heard.0.lock().unwrap().iter().any(|text| text.contains("the plan has changed")));
        assert_eq!(host.plan.summary.differing(), usize::from(yes), "the plan that is carried out");
    }
}

#[test]
fn what_a_later_phase_does_beyond_the_plan_is_asked_for() {
    // The command is decided at its turn; meanwhile the first file is changed by somebody else.
    let text = "[[step]]\nfile = { path = \"/srv/a\", content = \"a\\n\" }\n\
        [[step]]\nfile = { path = \"/srv/z\", content = \"z\\n\" }\n\
        [[step]]\nreboot = {}\n";
    for (says, ends) in [(false, HostStatus::Failed), (true, HostStatus::Converged)] {
        let heard = Heard::default();
        let reboot: Act = Box::new(|world, _| {
            world.files.remove(ASKS);
            world.files.insert("/srv/z".into(), b"z\n".to_vec());
            world.files.insert("/srv/a".into(), b"drifted\n".to_vec());
            Err(ApplyError::Reboot(Reboot { step: 2, from: "boot-1".into(), timeout: 60 }))
        });
        let acts = vec![reboot, writes(&[("/srv/a", "a\n")])];
        let (host, world) = prepared(text, &[("/srv/a", "a\n"), (ASKS, "")], acts, |_| {}, false, &heard);
        let outcome = apply_host(host.unwrap(), &terms(false, says), &heard);
        assert_eq!(outcome.ending, ends, "{:?} {:?}", outcome.error, heard.0.lock().unwrap());
        assert!(heard.0.lock().unwrap().iter().any(|text| text.contains("differs beyond the plan")));
        assert_eq!(
            world.lock().unwrap().log.iter().filter(|line| line.starts_with("run")).count(),
            1 + usize::from(says)
        );
    }
}
