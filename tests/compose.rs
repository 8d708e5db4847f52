//! Steps of different kinds, planned one after another: what one makes, the
//! next one counts on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what cannot be set up must stop the test

use std::collections::{BTreeMap, BTreeSet};
use stockade::observe::{
    Candidate, Content, Entry, FileType, HostState, Known, Module, Package, PathState, PredictedState, Queries, Query,
    Tree, Unit,
};
use stockade::plan::{Op, PackageOp, PlanError, Planned, UnitOp, Verb};
use stockade::resource::{self, Assets, Resource};
use stockade::values::{EnvKey, Mode, Secret, Source, parse_document};

struct Nothing;

impl Assets for Nothing {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(path.to_owned())
    }
    fn render(&self, path: &str) -> Result<String, String> {
        Err(path.to_owned())
    }
    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
    fn stage_env(&self) -> Option<&BTreeMap<EnvKey, Secret>> {
        None
    }
}

/// The steps of a document, one a line: `kind = { … }`.
fn steps(text: &str) -> Vec<Box<dyn Resource>> {
    let step = |line: &str| {
        let (tree, errors) = parse_document(&Source::new("case", line));
        assert!(errors.is_empty(), "{}", errors[0]);
        let entry = &tree.as_table().unwrap()[0];
        let kind = resource::kind(&entry.key).unwrap();
        resource::build(kind, &entry.node, &Nothing).unwrap_or_else(|errors| panic!("{}", errors[0]))
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(step).collect()
}

/// Directories that every host has.
const DIRECTORIES: [&str; 4] = ["/etc", "/etc/docker", "/etc/systemd/system", "/etc/sysctl.d"];

fn directory() -> PathState {
    PathState::Present(Entry {
        file_type: FileType::Directory,
        mode: Mode::from_bits(0o755),
        owner: "root".into(),
        group: "root".into(),
        target: None,
    })
}

/// A host with systemd on which nothing of what is asked for is there.
fn bare_host(steps: &[Box<dyn Resource>]) -> HostState {
    let mut queries = Queries::new();
    steps.iter().for_each(|step| step.queries(&mut queries));
    let mut host = HostState::default();
    host.facts.init = "systemd".to_owned();
    for query in queries.iter() {
        match query {
            Query::Path(path) if DIRECTORIES.contains(&path.as_str()) => host.set_path(path, directory()),
            Query::Path(path) => host.set_path(path, PathState::Absent),
            Query::Digest(path) | Query::Content(path) => host.set_content(path, Content::Absent),
            Query::Names(path) => host.set_names(path, BTreeSet::new()),
            Query::Tree { top, across } => host.set_tree(top, *across, Tree::default()),
            Query::Fragments(path) => host.set_fragments(path, BTreeMap::new()),
            Query::DropIns(name) => {
                host.mark_asked(query.clone());
                for path in stockade::observe::probe::drop_in_directories(name) {
                    host.set_fragments(&path, BTreeMap::new());
                }
            }
            Query::Package(name) => host.set_package(name, Package::Absent),
            Query::Candidate(name) => host.set_candidate(name, Candidate::default()),
            Query::Unit(name) => {
                let (load, active) = ("not-found".to_owned(), "inactive".to_owned());
                host.set_unit(name, Known::Is(Unit { load, active, ..Unit::default() }));
            }
            Query::Sysctl(key) => host.set_sysctl_absent(key),
            Query::Module(name) => host.set_module(name, Module { loaded: false, builtin: false }),
            Query::Acl(path) => host.set_acl(path, false),
            other => panic!("{other}"),
        }
    }
    host
}

/// Plans each step against what the ones before it make; planned once more,
/// nothing may be left.
fn plan(text: &str) -> Result<Vec<Planned>, PlanError> {
    let steps = steps(text);
    let mut host = PredictedState::of(&bare_host(&steps));
    let mut plans = Vec::new();
    for step in &steps {
        let planned = step.plan(&host)?;
        planned.ops.iter().for_each(|op| op.effect(&mut host));
        plans.push(planned);
    }
    for (step, line) in steps.iter().zip(text.lines().map(str::trim).filter(|line| !line.is_empty())) {
        let again = step.plan(&host)?;
        assert!(again.ops.is_empty(), "still to do: {line}: {again:#?}");
    }
    Ok(plans)
}

fn verbs(planned: &Planned) -> Vec<Verb> {
    planned
        .ops
        .iter()
        .filter_map(|op| if let Op::Unit(UnitOp::Systemctl { verb, .. }) = op { Some(*verb) } else { None })
        .collect()
}

#[test]
fn a_unit_written_earlier_can_be_enabled_and_started() {
    let plans = plan(
        r#"
        unit = { name = "app", content = "[Service]\nExecStart=/bin/app\n[Install]\nWantedBy=multi-user.target\n" }
        dropin = { unit = "app", name = "env", content = "[Service]\nEnvironment=A=1\n" }
        service = { name = "app", enabled = true, running = true }
        "#,
    )
    .unwrap();
    assert_eq!(verbs(&plans[2]), [Verb::Enable, Verb::Start]);
    assert!(
        !plans[2].ops.contains(&Op::Unit(UnitOp::DaemonReload)),
        "the unit and the drop-in have had systemd read them"
    );
}

#[test]
fn a_unit_file_written_as_a_plain_file_is_read_before_the_service_starts() {
    let plans = plan(
        r#"
        file = { path = "/etc/systemd/system/app.service", content = "[Service]\nExecStart=/bin/app\n" }
        service = { name = "app", running = true }
        "#,
    )
    .unwrap();
    assert_eq!(plans[1].ops.first(), Some(&Op::Unit(UnitOp::DaemonReload)));
    assert_eq!(verbs(&plans[1]), [Verb::Start]);
}

#[test]
fn an_instance_comes_from_a_template_written_earlier_and_is_not_enabled_without_an_install_section() {
    let plans = plan(
        r#"
        unit = { name = "job@.service", content = "[Service]\nExecStart=/bin/job %i\n" }
        service = { name = "job@one", enabled = true, running = true }
        "#,
    )
    .unwrap();
    assert_eq!(verbs(&plans[1]), [Verb::Start]);
    assert!(plans[1].notes[0].contains("static"), "{:?}", plans[1].notes);
}

#[test]
fn a_service_without_anything_that_brings_it_is_refused_and_with_a_package_it_is_not() {
    let service = r#"service = { name = "nginx", running = true }"#;
    assert!(plan(service).is_err());
    let plans = plan(&format!("package = {{ name = \"nginx\" }}\n{service}")).unwrap();
    assert_eq!(plans[1].changes[0].before.as_deref(), Some("(known after apply)"));
}

#[test]
fn a_directory_made_earlier_holds_the_next_one() {
    assert!(plan(r#"directory = { path = "/srv/a/b" }"#).is_err());
    let both =
        "directory = { path = \"/srv\" }\ndirectory = { path = \"/srv/a\" }\ndirectory = { path = \"/srv/a/b\" }";
    assert_eq!(plan(both).unwrap().len(), 3);
}

#[test]
fn a_module_loaded_earlier_brings_its_parameters() {
    let parameter = r#"sysctl = { key = "net.bridge.bridge-nf-call-iptables", value = 1 }"#;
    assert!(plan(parameter).is_err());
    let plans = plan(&format!("kernel_module = {{ name = \"br_netfilter\" }}\n{parameter}")).unwrap();
    assert_eq!(plans[1].changes[1].before.as_deref(), Some("(known after apply)"));
}

#[test]
fn hosts_in_daemon_json_need_the_drop_in_before_them() {
    let hosts = r#"file = { path = "/etc/docker/daemon.json", content = '{"hosts": ["unix:///run/docker.sock"]}' }"#;
    let drop_in =
        r#"dropin = { unit = "docker", name = "x", content = "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd\n" }"#;
    assert!(plan(hosts).unwrap_err().to_string().contains("exclude each other"));
    assert_eq!(plan(&format!("{drop_in}\n{hosts}")).unwrap().len(), 2);
    let with_flag = drop_in.replace("/dockerd\\n", "/dockerd -H fd://\\n");
    assert!(plan(&format!("{with_flag}\n{hosts}")).is_err());
}

#[test]
fn two_steps_edit_one_file_whether_it_is_known_or_not() {
    let edits = "line = { path = \"/etc/f\", line = \"a\", create = true }\nline = { path = \"/etc/f\", line = \"b\" }";
    let plans = plan(edits).unwrap();
    assert!(plans[1].diff.as_ref().unwrap().contains(" a\n+b\n"));
    let plans = plan(&format!("package = {{ name = \"f-tools\" }}\n{edits}")).unwrap();
    assert!(plans[1..].iter().all(|planned| planned.open.is_some() && planned.ops.is_empty()), "{plans:#?}");
}

#[test]
fn after_a_repository_no_version_is_taken_from_the_lists_before_it() {
    let plans = plan(
        r#"
        apt_repository = { name = "x", uris = "https://x.example/", suites = "./", signed_by = "https://x.example/k.asc", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
        package = { name = "x-tool", state = "latest" }
        "#,
    )
    .unwrap();
    assert_eq!(plans[1].changes[0].after.as_deref(), Some("(known after apply)"));
    assert!(matches!(plans[1].ops[..], [Op::Package(PackageOp::AptInstall { .. })]), "the lists are not fetched twice");
}
