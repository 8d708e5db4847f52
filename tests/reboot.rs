//! `reboot` on real hosts: proven by the boot id, gone on with after it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

mod support;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use stockade::lab::LabHost;
use support::{TestLab, on_host};

/// Generous: what is awaited comes, or the test is wrong.
const PATIENCE: Duration = Duration::from_secs(180);
const BOOT: &str = "cat /proc/sys/kernel/random/boot_id";

struct Site {
    lab: TestLab,
    host: LabHost,
}

impl Site {
    fn new() -> Option<Site> {
        let (lab, mut hosts) = TestLab::with_hosts(1)?;
        Some(Site { lab, host: hosts.remove(0) })
    }

    fn playbook(&self, steps: &str) {
        let text = format!("name = \"Site\"\nhosts = [\"all\"]\n{steps}");
        std::fs::write(self.lab.dir.path().join("site.toml"), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
        command.args(arguments).arg("-i").arg(self.lab.lab.inventory_path()).current_dir(self.lab.dir.path());
        command.env("NO_COLOR", "1").env("XDG_STATE_HOME", self.lab.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        told(self.command(arguments).output().unwrap())
    }

    fn done(&self, arguments: &[&str]) -> String {
        let (code, text) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {text}");
        text
    }

    /// Applies, and expects that nothing differs then.
    fn converge(&self) -> String {
        let text = self.done(&["apply", "site.toml", "--yes"]);
        let (code, again) = self.run(&["plan", "site.toml", "--detailed-exitcode"]);
        assert_eq!(code, 0, "a second plan must be empty: {again}");
        text
    }

    fn on(&self, text: &str) -> String {
        on_host(&self.host, text)
    }

    /// Waits until shell text succeeds on the host, whether it is up or not.
    fn await_on(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.host.exec(&["sh", "-c", text]).is_ok_and(|output| output.status.success()) {
            assert!(Instant::now() < end, "never: {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The runs on the host, oldest first, with their results.
    fn history(&self) -> Vec<(String, String)> {
        let history: serde_json::Value = serde_json::from_str(&self.done(&["history", "--json"])).unwrap();
        let runs = history["hosts"][&self.host.name].as_array().unwrap().clone();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        runs.iter().map(|run| (text(&run["id"]), text(&run["result"]))).collect()
    }
}

/// The exit code and all that was printed.
fn told(output: Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text.into_owned())
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
fn what_comes_after_a_reboot_is_done_in_the_new_boot_by_the_same_apply() {
    let Some(site) = Site::new() else { return };
    site.playbook(THROUGH);
    let before = site.on(BOOT);
    let (code, planned) = site.run(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(code, 2, "{planned}");
    assert!(planned.contains("reboot: earlier steps change the host"), "{planned}");
    assert!(!planned.contains("restart cron-like.service"), "the reboot restarts it: {planned}");

    let text = site.converge();
    let after = site.on(BOOT);
    assert_ne!(before, after, "{text}");
    assert_eq!(site.on("cat /srv/after"), after, "the step after it ran in the new boot");
    assert_eq!(site.on("systemctl is-active cron-like; cat /etc/before"), "active\nx");
    assert!(text.contains("5 steps changed") && text.contains("with another boot id"), "{text}");
    site.converge();
    assert_eq!(site.on(BOOT), after, "nothing changed, so nothing is restarted");

    let log = site.on("journalctl -q -b -1 -o cat -u systemd-logind; :");
    assert!(log.contains("into ${HOME} '$(id)'"), "the message is told as it is: {log}");
    // Two runs on the host; each is taken back on its own, the newest first.
    let runs = site.history();
    let results: Vec<&str> = runs.iter().map(|(_, result)| result.as_str()).collect();
    assert_eq!(results, ["reboot", "ok"]);
    let recorded: serde_json::Value =
        serde_json::from_str(&site.done(&["history", &site.host.name, "--records", "--json"])).unwrap();
    assert_eq!(recorded["runs"][0]["hosts"][0]["runs"], serde_json::json!([runs[0].0, runs[1].0]), "{recorded:#}");
    site.done(&["undo", &site.host.name, &runs[1].0, "--yes"]);
    site.done(&["undo", &site.host.name, &runs[0].0, "--yes"]);
    assert_eq!(
        site.on("ls /etc/before 2>/dev/null; systemctl is-enabled cron-like 2>/dev/null | grep enabled || echo gone"),
        "gone"
    );
}

#[test]
fn whether_packages_ask_for_it_is_found_out_on_the_host() {
    let Some(site) = Site::new() else { return };
    let steps = |ask: &str, name: &str| {
        format!(
            "[[step]]\ncommand = {{ run = \"{ask}; touch /srv/{name}\", creates = \"/srv/{name}\" }}\n\
             [[step]]\nreboot = {{ timeout = 300 }}\n\
             [[step]]\nfile = {{ path = \"/srv/end-{name}\", content = \"x\\n\" }}\n"
        )
    };
    site.playbook(&steps(":", "quiet"));
    let before = site.on(BOOT);
    assert!(site.done(&["plan", "site.toml"]).contains("reboot: (known after apply)"));
    site.converge();
    assert_eq!((site.on(BOOT), site.on("ls /srv/end-quiet")), (before.clone(), "/srv/end-quiet".into()));

    site.playbook(&steps("touch /run/reboot-required", "asking"));
    site.converge();
    assert_ne!(site.on(BOOT), before);
    assert_eq!(
        site.on("ls /srv/end-asking; ls /run/reboot-required 2>/dev/null || echo paid"),
        "/srv/end-asking\npaid"
    );
    // What the run before the reboot did not come to is nobody else's change.
    let cut = site.history().into_iter().find(|(_, result)| result == "reboot").unwrap().0;
    let undo = site.done(&["undo", &site.host.name, &cut, "--plan"]);
    assert!(!undo.contains("changed since") && !undo.contains("end-asking"), "{undo}");
}

#[test]
fn a_controller_that_dies_during_the_reboot_leaves_the_rest_to_the_next_apply() {
    let Some(site) = Site::new() else { return };
    site.playbook(THROUGH);
    let before = site.on(BOOT);
    let mut child = site.command(&["apply", "site.toml", "--yes"]).spawn().unwrap();
    site.await_on("grep -q ^R /var/lib/stockade/runs/*/journal");
    child.kill().unwrap();
    child.wait().unwrap();
    site.await_on(&format!("[ \"$({BOOT})\" != {before} ] && systemctl is-system-running --wait"));
    let after = site.on(BOOT);
    assert_eq!(site.on("ls /srv/after 2>/dev/null || echo not yet"), "not yet");
    site.converge();
    assert_eq!(site.on(BOOT), after, "one reboot is enough");
    assert_eq!(site.on("cat /srv/after"), after);
}

#[test]
fn a_reboot_that_a_failed_run_did_not_come_to_is_owed_and_one_that_does_not_happen_is_no_success() {
    let Some(site) = Site::new() else { return };
    let steps = |run: &str| {
        format!(
            "[[step]]\nfile = {{ path = \"/etc/before\", content = \"x\\n\" }}\n\
             [[step]]\ncommand = {{ run = \"{run}\", unless = \"test -e /srv/fixed\" }}\n\
             [[step]]\nreboot = {{ if = \"changed\", timeout = 8 }}\n"
        )
    };
    site.playbook(&steps("exit 9"));
    let before = site.on(BOOT);
    assert_eq!(site.run(&["apply", "site.toml", "--yes"]).0, 3);
    site.on("touch /srv/fixed");
    let planned = site.done(&["plan", "site.toml"]);
    assert!(planned.contains("reboot: owed by an earlier run"), "{planned}");

    // A host that refuses to go down: the connection stays, and so does the boot id.
    site.on("mv /usr/bin/systemctl /usr/bin/systemctl.real; printf '#!/bin/sh\\n[ \"$1\" != reboot ] || exit 0\\nexec /usr/bin/systemctl.real \"$@\"\\n' >/usr/bin/systemctl; chmod 755 /usr/bin/systemctl");
    let (code, text) = site.run(&["apply", "site.toml", "--yes"]);
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("did not come back within 8 s") && text.contains("its boot id is still the old one"),
        "{text}"
    );
    assert_eq!(site.on(BOOT), before);

    site.on("mv /usr/bin/systemctl.real /usr/bin/systemctl");
    site.playbook(&steps("exit 9").replace("timeout = 8", "timeout = 300"));
    site.converge();
    assert_ne!(site.on(BOOT), before);
}

#[test]
fn this_machine_is_never_rebooted_from_within() {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !root && !Command::new("sudo").args(["-n", "true"]).status().is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("STOCKADE_NO_SKIP").is_none_or(|value| value != "1"), "root is needed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("inventory.toml"), "[hosts.here]\nconnection = \"local\"\n").unwrap();
    std::fs::write(dir.path().join("site.toml"), "hosts = [\"all\"]\n[[step]]\nreboot = { if = \"changed\" }\n")
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
    command.args(["apply", "site.toml", "--yes", "--record", "none"]).current_dir(dir.path()).stdin(Stdio::null());
    let (code, text) = told(command.output().unwrap());
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("cannot be rebooted from within an apply") && text.contains("site.toml:"), "{text}");
}
