//! Steps about the same users, planned one after the other on the state that
//! the ones before predict; and the bundled playbook `users`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a case that cannot be set up must stop the test

use crate::support::files::Files;
use std::path::Path;
use stockade::observe::{Content, FileType, HostState, PathState, PredictedState, Queries, Query};
use stockade::plan::Planned;
use stockade::playbook::{self, HostScope};
use stockade::resource::{self, KINDS, Resource};
use stockade::values::AbsPath;

const KEY_A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v a";
const KEY_B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINocinsDp91Dc70suRj1rzzasKQ6uQIBJuUtwd6l8YTP b";

/// The resources of a playbook that stands beside a folder `keys` with two keys.
fn resources(text: &str) -> Vec<Box<dyn Resource>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    std::fs::write(folder.path().join("keys/a.pub"), format!("{KEY_A}\n")).unwrap();
    std::fs::write(folder.path().join("keys/b.pub"), format!("{KEY_B}\n")).unwrap();
    std::fs::write(folder.path().join("p.toml"), text).unwrap();
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let loaded = playbook::load(&folder.path().join("p.toml"), &kinds).unwrap_or_else(|errors| panic!("{}", errors[0]));
    let steps = loaded.render(&HostScope::default()).unwrap_or_else(|errors| panic!("{}", errors[0]));
    steps
        .iter()
        .map(|step| {
            let kind = resource::kind(&step.kind).unwrap();
            resource::build(kind, &step.table, &Files(step, None)).unwrap_or_else(|errors| panic!("{}", errors[0]))
        })
        .collect()
}

/// A bare host that has sudo and was asked all that the resources ask.
fn bare(resources: &[Box<dyn Resource>]) -> HostState {
    let mut queries = Queries::new();
    resources.iter().for_each(|resource| resource.queries(&mut queries));
    let mut host = HostState::default();
    host.facts.login_user = "ubuntu".into();
    for query in queries.iter() {
        match query {
            Query::Path(path) => host.set_path(path, PathState::Absent),
            Query::Content(path) | Query::Digest(path) => host.set_content(path, Content::Absent),
            other => host.mark_asked(other.clone()),
        }
    }
    for directory in ["/", "/home", "/etc/sudoers.d"] {
        let entry = stockade::observe::Entry {
            file_type: FileType::Directory,
            mode: "0755".parse().unwrap(),
            owner: "root".into(),
            group: "root".into(),
            target: None,
        };
        host.set_path(&path(directory), PathState::Present(entry));
    }
    host
}

fn path(text: &str) -> AbsPath {
    text.parse().unwrap()
}

/// Plans all resources in order, playing each plan on the state.
fn pass(resources: &[Box<dyn Resource>], host: &mut PredictedState) -> Vec<Planned> {
    resources
        .iter()
        .map(|resource| {
            let planned = resource.plan(host).unwrap_or_else(|error| panic!("{error}"));
            assert!(planned.follow_up_queries.is_empty(), "{:?}", planned.follow_up_queries);
            planned.ops.iter().for_each(|op| op.effect(host));
            planned
        })
        .collect()
}

/// Plans twice; the second time nothing may be left.
fn settled(text: &str) -> PredictedState {
    let resources = resources(text);
    let mut host = PredictedState::of(&bare(&resources));
    let first = pass(&resources, &mut host);
    assert!(first.iter().any(|planned| !planned.ops.is_empty()));
    for planned in pass(&resources, &mut host) {
        assert!(planned.ops.is_empty() && planned.changes.is_empty(), "{planned:#?}");
    }
    host
}

fn text_of(host: &HostState, name: &str) -> String {
    match host.content(&path(name)).unwrap() {
        Content::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn keys_of_several_steps_for_one_user_add_up() {
    let host = settled(&format!(
        "[[step]]\nuser = {{ name = 'jane', authorized_keys = ['keys/a.pub'] }}\n\
         [[step]]\nauthorized_keys = {{ user = 'jane', keys = ['{KEY_B}'], options = 'restrict' }}\n\
         [[step]]\nauthorized_keys = {{ user = 'jane', keys = 'keys/*.pub' }}\n"
    ));
    assert_eq!(text_of(&host, "/home/jane/.ssh/authorized_keys"), format!("{KEY_A}\nrestrict {KEY_B}\n"));
}

#[test]
fn a_group_made_by_one_step_is_there_for_the_next() {
    let host = settled(
        "[[step]]\ngroup = { name = 'app', gid = 1500 }\n\
         [[step]]\nuser = { name = 'jane', groups = ['app'] }\n\
         [[step]]\nuser = { name = 'app', system = true }\n",
    );
    assert!(host.group("app").unwrap().unwrap().members.contains("jane"));
    assert_eq!(host.user("app").unwrap().unwrap().group, "app");
}

#[test]
fn the_bundled_playbook_makes_what_its_variables_say_and_no_more() {
    let host = settled(
        "[[step]]\nuse = 'users'\n[step.with]\ngroups = ['app']\nusers = [\n\
         { name = 'jane.doe', keys = ['keys/*.pub'], sudo = 'nopasswd', groups = ['app'], shell = '/bin/sh', uid = 1500 },\n\
         { name = 'joe' },\n]\n",
    );
    assert_eq!(text_of(&host, "/home/jane.doe/.ssh/authorized_keys"), format!("{KEY_A}\n{KEY_B}\n"));
    assert!(
        text_of(&host, "/etc/sudoers.d/90-stockade-jane%2Edoe").ends_with("\njane.doe ALL=(ALL:ALL) NOPASSWD: ALL\n")
    );
    let jane = host.user("jane.doe").unwrap().unwrap();
    assert_eq!((jane.shell.as_str(), &jane.uid), ("/bin/sh", &stockade::observe::Known::Is(1500)));
    assert!(host.group("app").unwrap().unwrap().members.contains("jane.doe"));
    assert_eq!(host.user("joe").unwrap().unwrap().shell, "/bin/bash");
    assert!(!host.asked(&Query::Path(path("/etc/sudoers.d/90-stockade-joe"))), "nothing is said of joe's sudo");
}

#[test]
fn the_bundled_playbook_alone_has_nothing_to_do() {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let loaded = playbook::load(Path::new("users"), &kinds).unwrap_or_else(|errors| panic!("{}", errors[0]));
    assert!(loaded.render(&HostScope::default()).unwrap().is_empty());
}
