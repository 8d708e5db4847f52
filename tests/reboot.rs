//! `reboot` on real hosts: proven by the boot id, gone on with after it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::program;
use crate::support::project::{Project, told};
use std::process::Command;

const BOOT: &str = "cat /proc/sys/kernel/random/boot_id";

/// The runs on the host, oldest first, with their results.
fn history(site: &Project) -> Vec<(String, String)> {
    let history: serde_json::Value = serde_json::from_str(&site.done(&["history", "--json"])).unwrap();
    let runs = history["hosts"][&site.host.name].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    runs.iter().map(|run| (text(&run["id"]), text(&run["result"]))).collect()
}

const THROUGH: &str = r#"
[[step]]
file = { path = "/etc/before", content = "x\n" }
restart = ["cron-like.service"]
[[step]]
unit = { name = "cron-like.service", content = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n" }
[[step]]
service = { name = "cron-like.service", enabled = true, running = true }
[[step]]
name = "into the new kernel"
reboot = { if = "changed", message = "into ${HOME} '$(id)'" }
[[step]]
command = { run = "cat /proc/sys/kernel/random/boot_id >/srv/after", creates = "/srv/after" }
"#;

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_comes_after_a_reboot_is_done_in_the_new_boot_by_the_same_apply() {
    let site = Project::new();
    site.playbook(THROUGH);
    let before = site.on_host(BOOT);
    let (code, planned) = site.told(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(code, 2, "{planned}");
    assert!(planned.contains("reboot: earlier steps change the host"), "{planned}");
    assert!(!planned.contains("restart cron-like.service"), "the reboot restarts it: {planned}");

    let text = site.converge();
    let after = site.on_host(BOOT);
    assert_ne!(before, after, "{text}");
    assert_eq!(site.on_host("cat /srv/after"), after, "the step after it ran in the new boot");
    assert_eq!(site.on_host("systemctl is-active cron-like; cat /etc/before"), "active\nx");
    assert!(text.contains("5 steps changed") && text.contains("with another boot id"), "{text}");
    site.converge();
    assert_eq!(site.on_host(BOOT), after, "nothing changed, so nothing is restarted");

    let log = site.on_host("journalctl -q -b -1 -o cat -u systemd-logind; :");
    assert!(log.contains("into ${HOME} '$(id)'"), "the message is told as it is: {log}");
    // Two runs on the host; each is taken back on its own, the newest first.
    let runs = history(&site);
    let results: Vec<&str> = runs.iter().map(|(_, result)| result.as_str()).collect();
    assert_eq!(results, ["reboot", "ok"]);
    let recorded: serde_json::Value =
        serde_json::from_str(&site.done(&["history", &site.host.name, "--records", "--json"])).unwrap();
    assert_eq!(recorded["runs"][0]["hosts"][0]["runs"], serde_json::json!([runs[0].0, runs[1].0]), "{recorded:#}");
    site.done(&["undo", &site.host.name, &runs[1].0, "--yes"]);
    site.done(&["undo", &site.host.name, &runs[0].0, "--yes"]);
    assert_eq!(
        site.on_host(
            "ls /etc/before 2>/dev/null; systemctl is-enabled cron-like 2>/dev/null | grep enabled || echo gone"
        ),
        "gone"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn whether_packages_ask_for_it_is_found_out_on_the_host() {
    let site = Project::new();
    let steps = |ask: &str, name: &str| {
        format!(
            "[[step]]\ncommand = {{ run = \"{ask}; touch /srv/{name}\", creates = \"/srv/{name}\" }}\n\
             [[step]]\nreboot = {{ timeout = 300 }}\n\
             [[step]]\nfile = {{ path = \"/srv/end-{name}\", content = \"x\\n\" }}\n"
        )
    };
    site.playbook(&steps(":", "quiet"));
    let before = site.on_host(BOOT);
    assert!(site.done(&["plan", "site.toml"]).contains("reboot: (known after apply)"));
    site.converge();
    assert_eq!((site.on_host(BOOT), site.on_host("ls /srv/end-quiet")), (before.clone(), "/srv/end-quiet".into()));

    site.playbook(&steps("touch /run/reboot-required", "asking"));
    site.converge();
    assert_ne!(site.on_host(BOOT), before);
    assert_eq!(
        site.on_host("ls /srv/end-asking; ls /run/reboot-required 2>/dev/null || echo paid"),
        "/srv/end-asking\npaid"
    );
    // What the run before the reboot did not come to is nobody else's change.
    let cut = history(&site).into_iter().find(|(_, result)| result == "reboot").unwrap().0;
    let undo = site.done(&["undo", &site.host.name, &cut, "--plan"]);
    assert!(!undo.contains("changed since") && !undo.contains("end-asking"), "{undo}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_controller_that_dies_during_the_reboot_leaves_the_rest_to_the_next_apply() {
    let site = Project::new();
    site.playbook(THROUGH);
    let before = site.on_host(BOOT);
    let mut child = site.start(&["apply", "site.toml", "--yes"]);
    site.await_on(0, "grep -q ^R /var/lib/stockade/runs/*/journal");
    child.kill().unwrap();
    child.wait().unwrap();
    site.await_on(0, &format!("[ \"$({BOOT})\" != {before} ] && systemctl is-system-running --wait"));
    let after = site.on_host(BOOT);
    assert_eq!(site.on_host("ls /srv/after 2>/dev/null || echo not yet"), "not yet");
    site.converge();
    assert_eq!(site.on_host(BOOT), after, "one reboot is enough");
    assert_eq!(site.on_host("cat /srv/after"), after);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_reboot_that_a_failed_run_did_not_come_to_is_owed_and_one_that_does_not_happen_is_no_success() {
    let site = Project::new();
    let steps = |run: &str| {
        format!(
            "[[step]]\nfile = {{ path = \"/etc/before\", content = \"x\\n\" }}\n\
             [[step]]\ncommand = {{ run = \"{run}\", unless = \"test -e /srv/fixed\" }}\n\
             [[step]]\nreboot = {{ if = \"changed\", timeout = 8 }}\n"
        )
    };
    site.playbook(&steps("exit 9"));
    let before = site.on_host(BOOT);
    assert_eq!(site.told(&["apply", "site.toml", "--yes"]).0, 3);
    site.on_host("touch /srv/fixed");
    let planned = site.done(&["plan", "site.toml"]);
    assert!(planned.contains("reboot: left pending by an earlier run"), "{planned}");

    // A host that refuses to go down: the connection stays, and so does the boot id.
    site.on_host("mv /usr/bin/systemctl /usr/bin/systemctl.real; printf '#!/bin/sh\\n[ \"$1\" != reboot ] || exit 0\\nexec /usr/bin/systemctl.real \"$@\"\\n' >/usr/bin/systemctl; chmod 755 /usr/bin/systemctl");
    let (code, text) = site.told(&["apply", "site.toml", "--yes"]);
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("did not come back within 8 s") && text.contains("its boot id is still the old one"),
        "{text}"
    );
    assert_eq!(site.on_host(BOOT), before);

    site.on_host("mv /usr/bin/systemctl.real /usr/bin/systemctl");
    site.playbook(&steps("exit 9").replace("timeout = 8", "timeout = 300"));
    site.converge();
    assert_ne!(site.on_host(BOOT), before);
}

#[test]
fn this_machine_is_never_rebooted_from_within() {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !root && !Command::new("sudo").args(["-n", "true"]).status().is_ok_and(|status| status.success()) {
        panic!("root, or sudo without a password, is needed");
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("inventory.toml"), "[hosts.here]\nconnection = \"local\"\n").unwrap();
    std::fs::write(dir.path().join("site.toml"), "hosts = [\"all\"]\n[[step]]\nreboot = { if = \"changed\" }\n")
        .unwrap();
    let mut command = program(dir.path());
    let (code, text) = told(command.args(["apply", "site.toml", "--yes", "--record", "none"]).output().unwrap());
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("cannot be rebooted from within an apply") && text.contains("site.toml:"), "{text}");
}
