//! Follows the walk of `CONTRIBUTING.md` that adds a kind: literally, in a copy of
//! the working tree, up to a test host that has converged.
//!
//! A block whose info string has the word `walk` is a part of it:
//!
//! | info string | what the test does |
//! |---|---|
//! | `rust walk`, `toml walk` | writes the file that the line before the block names in bold |
//! | `diff walk` | applies the change with `git apply` |
//! | `console walk` | runs each `$ command` in the copy and compares what it prints |
//! | `console walk host` | the same beside a lab host, which is `web1` |
//!
//! The copy and its build are in `target/contributing`. What the main build has made
//! of other people's packages is taken over, so that only this package is compiled.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "contributing/copy.rs"]
mod copy;
#[allow(dead_code)] // the book needs more of it
#[path = "contributing/walk.rs"]
mod walk;

use crate::support::{TestLab, on_host};
use copy::Copy;
use serde_json::Value;
use std::path::Path;
use walk::Part;

const PAGE: &str = "CONTRIBUTING.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_walk_that_adds_a_kind_ends_with_a_host_that_has_converged() {
    let parts = walk::parts(&crate::book::markdown::read(PAGE));
    let hosts = parts.iter().position(Part::needs_host).expect("no part of the walk needs a host");
    let (local, on_a_host) = parts.split_at(hosts);
    assert!(on_a_host.iter().all(Part::needs_host), "what needs a host comes last in {PAGE}");
    let copy = Copy::make();

    local.iter().for_each(|part| part.follow(&copy.tree));
    let kinds = copy.read("docs/kinds.md");
    assert!(kinds.contains("\n## motd\n"), "docs/kinds.md has no section of the kind");
    let schema: Value = serde_json::from_str(&copy.read("schema/playbook.json")).unwrap();
    let fields = &schema["properties"]["step"]["items"]["properties"]["motd"]["properties"];
    let names: Vec<&str> = fields.as_object().expect("the schema lacks the kind").keys().map(String::as_str).collect();
    assert_eq!(names, ["text", "state"], "the fields in schema/playbook.json");

    let (lab, lab_hosts) = TestLab::with_host_named("web1");
    copy.link_lab(lab.lab.dir());
    let before = on_host(&lab_hosts[0], "cat /etc/motd 2>/dev/null || :");
    on_a_host.iter().for_each(|part| part.follow(&copy.tree));
    let playbook = copy.read("motd.toml");
    let after = on_host(&lab_hosts[0], "cat /etc/motd");
    assert_ne!(before, after, "the host had the message before");
    assert!(playbook.contains(&format!("text = \"{after}\"")), "/etc/motd says {after:?}, the playbook {playbook}");
    assert_eq!(on_host(&lab_hosts[0], "stat -c '%a %U:%G %F' /etc/motd"), "644 root:root regular file");
}

#[test]
fn a_change_that_does_not_fit_ends_the_walk() {
    let follow = |text: &str| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "one\ntwo\nthree\n").unwrap();
        let parts = walk::parts(text);
        let done = std::panic::catch_unwind(|| parts.iter().for_each(|part| part.follow(dir.path())));
        (done.is_ok(), std::fs::read_to_string(dir.path().join("a")).unwrap())
    };
    let change =
        |old: &str| format!("```diff walk\n--- a/a\n+++ b/a\n@@ -1,3 +1,4 @@\n one\n {old}\n+between\n three\n```\n");
    assert_eq!(follow(&change("two")), (true, "one\ntwo\nbetween\nthree\n".to_owned()));
    assert!(!follow(&change("four")).0, "a change of another text is applied");
    let written = "Write **a**:\n\n```toml walk\nx = 1\n```\n";
    assert_eq!(follow(written), (true, "x = 1\n".to_owned()));
    assert!(follow("```console walk\n$ cat a\none\n…\n```\n").0);
    assert!(!follow("```console walk\n$ cat a\none\n```\n").0, "other output than is shown passes");
    assert!(!follow("```console walk\n$ false\n```\n").0, "a command that fails passes");
}
