//! Runs that lose their controller, their connection or their runner, and what
//! takes them up again: on real hosts, judged by what came of it there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// A unit whose file changes, with a restart that is owed from then on; a step
/// that waits to be told; and a file after it.
const STEPS: &str = r#"
[[step]]
unit = { name = "hello.service", content = "[Service]\nExecStart=/bin/sleep 100000\n[Install]\nWantedBy=multi-user.target\n" }
[[step]]
service = { name = "hello.service", running = true }
[[step]]
file = { path = "/etc/hello.conf", content = "new\n" }
restart = ["hello.service"]
[[step]]
command = { run = "touch /run/begun; until [ -e /run/go ]; do sleep 0.1; done; touch /srv/x", creates = "/srv/x" }
[[step]]
file = { path = "/srv/after", content = "x" }
"#;

fn begun(project: &Project) -> Child {
    project.playbook(STEPS);
    let mut command = project.command(&["apply", "site.toml", "--yes"]);
    let controller = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    project.on_host("timeout 60 sh -c 'until [ -e /run/begun ]; do sleep 0.05; done'");
    controller
}

/// The runner is killed, and with it what it had begun.
const KILL: &str = "systemctl kill --kill-who=all -s KILL 'stockade-run-*'; \
                    timeout 20 sh -c 'while systemctl -q is-active \"stockade-run-*\"; do sleep 0.05; done'";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_run_of_a_killed_controller_is_followed_to_its_end() {
    let project = Project::new();
    let mut controller = begun(&project);
    controller.kill().unwrap();
    controller.wait().unwrap();

    let planned = project.run(&["plan", "site.toml"]);
    assert_eq!(planned.code, 0, "a plan only looks: {planned:?}");
    let mut resumed = project.command(&["apply", "site.toml", "--yes", "--resume"]);
    let mut resumed = resumed.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(resumed.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut told = String::new();
    for line in lines {
        if line.contains("has not ended; following it") {
            project.on_host("touch /run/go");
        }
        told += &line;
    }
    assert_eq!(resumed.wait().unwrap().code(), Some(0), "{told}");
    assert!(told.contains("following it") && told.contains("has ended: ok"), "{told}");
    assert_eq!(project.on_host("cat /srv/after; ls /var/lib/stockade/runs | wc -l"), "x1", "nothing was done twice");
    assert_eq!(project.run(&["plan", "site.toml", "--detailed-exitcode"]).code, 0);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_run_whose_runner_was_killed_is_shown_and_refused_until_it_is_gone_on_with() {
    let project = Project::new();
    project.playbook(&STEPS[..STEPS.find("[[step]]\nfile").unwrap()]);
    project.converge();
    let before = project.on_host("systemctl show -p MainPID --value hello");
    let controller = begun(&project);
    project.on_host(KILL);
    let output = controller.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stdout));

    let planned = project.run(&["plan", "site.toml"]);
    assert!(planned.err.contains("has not ended") && planned.err.contains("--resume"), "{planned:?}");
    let refused = project.apply();
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.out.contains("has not ended") && refused.out.contains("undo"), "{refused:?}");
    assert_eq!(project.on_host("ls /srv | grep -c after || :"), "0", "nothing was touched");

    project.on_host("touch /run/go");
    let resumed = project.run(&["apply", "site.toml", "--yes", "--resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(resumed.err.contains("was interrupted on the host"), "{resumed:?}");
    assert_eq!(project.run(&["plan", "site.toml", "--detailed-exitcode"]).code, 0);
    assert_ne!(
        project.on_host("systemctl show -p MainPID --value hello"),
        before,
        "the restart that was owed happened"
    );
    let history = project.run(&["history"]);
    assert!(history.out.contains("interrupted") && history.out.contains("ok"), "{history:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_run_that_a_restart_of_the_host_has_cut_short_can_be_taken_back() {
    let mut project = Project::new();
    // The engine may give a container that restarts another address, and writes it to /etc/hosts.
    let tree = "find /etc /srv /home -xdev ! -path '/etc/mtab' -printf '%p %y %m %u %g %l\\n' | sort; find /etc /srv -xdev -type f ! -path /etc/hosts -exec sha256sum {} + | sort -k2";
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    let before = project.on_host(tree);
    let mut controller = begun(&project);
    controller.kill().unwrap();
    controller.wait().unwrap();
    project.host = project.lab.lab.restart(&project.host.name).unwrap();
    assert_ne!(before, project.on_host(tree));
    let name = project.host.name.clone();
    let undone = project.run(&["undo", &name, "--yes"]);
    assert_eq!(undone.code, 0, "{undone:?}");
    assert_eq!(before, project.on_host(tree));
    project.on_host("touch /run/go");
    project.converge();
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_run_that_fails_is_taken_back_where_that_is_wanted() {
    let project = Project::new();
    project.on_host("printf 'old\\n' >/etc/hello.conf; chmod 600 /etc/hello.conf");
    project.playbook(
        r#"
[[step]]
file = { path = "/etc/hello.conf", content = "new\n", mode = "0644" }
[[step]]
user = { name = "deploy" }
[[step]]
command = { run = "echo it broke; exit 7", creates = "/nowhere" }
"#,
    );
    let ran = project.run(&["apply", "site.toml", "--yes", "--undo-on-failure", "--format", "json"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let results: Vec<_> = json["hosts"][0]["steps"].as_array().unwrap().iter().map(|s| s["result"].clone()).collect();
    assert_eq!(results, ["undone", "undone", "failed"], "{json:#}");
    let found = "cat /etc/hello.conf; stat -c %a /etc/hello.conf; getent passwd deploy || echo no deploy; ls -d /home/deploy 2>/dev/null || :";
    assert_eq!(project.on_host(found), "old\n600\nno deploy");
    let history = project.run(&["history"]);
    assert!(history.out.contains("2 runs") && history.out.contains("undo of "), "{history:?}");
    let ran = project.run(&["apply", "site.toml", "--yes"]);
    assert_eq!((ran.code, project.on_host("cat /etc/hello.conf").as_str()), (3, "new"), "only where it is wanted");
}
