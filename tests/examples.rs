//! Every project under `examples/` is checked as it stands, then planned and
//! applied on a fresh lab host, and planned again: nothing may be left to do.
//!
//! The second part is ignored unless it is asked for, as `tests/run.sh` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::sample::share;
use crate::support::{TestLab, program};
use stockade::lab::UpOptions;

/// Each folder with a playbook.
fn projects() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("playbook.toml").is_file())
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn name(project: &Path) -> String {
    project.file_name().unwrap().to_str().unwrap().to_owned()
}

/// `stockade VERB playbook.toml`, run in the project's folder as its user would.
fn stockade(project: &Path, verb: &str, inventory: &Path, more: &[&str]) -> Output {
    program(project).args([verb, "playbook.toml", "-i"]).arg(inventory).args(more).output().unwrap()
}

/// Asserts the exit code; what was said, for what the test asks next.
fn ended(output: &Output, code: i32, what: &str) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}:\n{said}\n{complaint}");
    said
}

/// A copy of a project, with certificates for the hosts of an inventory where
/// it says that it needs them.
fn copy(project: &Path, inventory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-R").arg(project.join(".")).arg(copy.path()).output().unwrap();
    ended(&copied, 0, &format!("copy {}", name(project)));
    if std::fs::read_to_string(project.join("playbook.toml")).unwrap().contains("stockade ca init ca\n") {
        let ca = |words: &[&str]| program(copy.path()).arg("ca").args(words).output().unwrap();
        ended(&ca(&["init", "ca"]), 0, "ca init");
        ended(&ca(&["issue", "ca", "-i", inventory.to_str().unwrap()]), 0, "ca issue");
    }
    copy
}

#[test]
fn every_example_is_free_of_errors_for_the_hosts_and_stages_its_inventory_names() {
    for project in projects() {
        let copy = copy(&project, Path::new("inventory.toml"));
        let output = stockade(copy.path(), "check", Path::new("inventory.toml"), &[]);
        ended(&output, 0, &format!("check {}", name(&project)));
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn every_example_brings_a_fresh_host_to_where_nothing_is_left_to_do() {
    let test = TestLab::new();
    let projects = share(projects());
    // One host an example, of the base that can be had wherever apt packages can.
    let hosts = test
        .lab
        .up(&UpOptions {
            count: projects.len(),
            base: Some("debootstrap:bookworm".parse().unwrap()),
            groups: ["docker", "web"].map(str::to_owned).to_vec(),
            ..TestLab::options()
        })
        .unwrap();
    let inventory = test.lab.inventory_path();
    std::thread::scope(|scope| {
        for (project, host) in projects.iter().zip(&hosts) {
            scope.spawn(|| brings_to_nothing_to_do(project, &inventory, &host.name));
        }
    });
}

fn brings_to_nothing_to_do(project: &Path, inventory: &Path, host: &str) {
    let name = name(project);
    let copy = copy(project, inventory);
    let project = copy.path();
    let mut common = vec!["--limit", host];
    if project.join("stages/dev.toml").is_file() {
        common.extend(["--stage", "dev"]);
    }
    let with = |more: &[&'static str]| [&common[..], more].concat();

    let planned = stockade(project, "plan", inventory, &with(&["--detailed-exitcode"]));
    ended(&planned, 2, &format!("plan {name} on a fresh host"));
    let applied = stockade(project, "apply", inventory, &with(&["--yes"]));
    ended(&applied, 0, &format!("apply {name}"));
    let again = stockade(project, "plan", inventory, &with(&["--detailed-exitcode"]));
    ended(&again, 0, &format!("plan {name} after the apply"));
}
