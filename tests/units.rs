//! Units that do not run: each is started once with all that is new, what is
//! pending for them never fails for ever, and the plan says why systemd does
//! not start one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

mod support;

use support::project::Project;

#[test]
fn a_failed_unit_that_a_run_repairs_is_started_once_and_never_hits_the_start_limit() {
    let Some(project) = Project::new() else { return };
    // Each attempt to start leaves a line; two within ten minutes are systemd's limit.
    let steps = "[[step]]\nunit = { name = \"bk\", content = \"\"\"\n[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=2\n\
        [Service]\nType=exec\nExecStartPre=/bin/sh -c 'echo x >>/srv/starts'\nExecStart=/srv/bk infinity\n\
        [Install]\nWantedBy=multi-user.target\n\"\"\" }\nrestart = [\"bk.service\"]\n\
        [[step]]\nservice = { name = \"bk\", enabled = true, running = true }\n";
    project.playbook(steps);
    let starts = || project.on_host("wc -l </srv/starts");
    for attempt in ["1", "2", "3"] {
        let failed = project.apply();
        assert_eq!(failed.code, 3, "{failed:?}");
        assert_eq!(starts(), attempt, "{failed:?}");
        assert!(!failed.out.contains("start-limit") && !failed.out.contains('#'), "{failed:?}");
    }
    project.playbook(&format!("[[step]]\nlink = {{ path = \"/srv/bk\", target = \"/bin/sleep\" }}\n{steps}"));
    let text = project.converge();
    assert!(!text.contains('#'), "{text}");
    assert_eq!(starts(), "4", "{text}");
    // What was new when it was started is no longer pending.
    assert_eq!(project.on_host("ls /var/lib/stockade/owed"), "");

    // A restart that is due, where nothing says that the unit runs: one start, too.
    project
        .on_host("rm /srv/bk; systemctl kill -s KILL bk; systemctl start bk 2>/dev/null || :; systemctl is-failed bk");
    let before: usize = starts().parse().unwrap();
    project.playbook(
        "[[step]]\nlink = { path = \"/srv/bk\", target = \"/bin/sleep\" }\nrestart = [\"bk.service\"]\n\
         [[step]]\nfile = { path = \"/etc/bk.conf\", content = \"x\" }\nreload = [\"bk.service\"]\n",
    );
    project.converge();
    assert_eq!(starts(), (before + 1).to_string());
}

#[test]
fn a_pending_reload_of_a_unit_that_does_not_run_is_no_error() {
    let Some(project) = Project::new() else { return };
    let unit = |reload: &str| {
        format!(
            "[[step]]\nunit = {{ name = \"rl\", content = \"\"\"\n[Service]\nExecStart=/bin/sleep infinity\n{reload}\
             [Install]\nWantedBy=multi-user.target\n\"\"\" }}\n"
        )
    };
    let running = "[[step]]\nservice = { name = \"rl\", running = true }\n";
    let with_reload = unit("ExecReload=/bin/true\n");
    project.playbook(&format!("{with_reload}{running}"));
    project.converge();
    let file = |text: &str| {
        format!("[[step]]\nfile = {{ path = \"/etc/rl.conf\", content = \"{text}\" }}\nreload = [\"rl.service\"]\n")
    };
    let fails = "[[step]]\ncommand = { run = \"exit 7\", creates = \"/nowhere\" }\n";
    let fail_and_kill = |steps: &str, text: &str| {
        project.playbook(&format!("{steps}{}{fails}", file(text)));
        assert_eq!(project.apply().code, 3);
        assert_eq!(project.on_host("ls /var/lib/stockade/owed"), "reload:rl.service");
        project.on_host("systemctl kill -s KILL rl; until systemctl -q is-failed rl; do sleep 0.05; done");
    };
    fail_and_kill("", "one");
    project.playbook(&file("one"));
    project.converge();
    assert_eq!(project.on_host("systemctl is-active rl || :"), "failed", "nothing says that it runs");
    project.on_host("systemctl start rl");

    fail_and_kill("", "two");
    project.playbook(&format!("{}{running}", file("two")));
    project.converge();
    assert_eq!(project.on_host("systemctl is-active rl; ls /var/lib/stockade/owed"), "active");

    // One that has no way to reload takes up what is new by a restart.
    let pid = || project.on_host("systemctl show -p MainPID --value rl");
    project.playbook(&format!("{}{running}", unit("")));
    project.converge();
    let before = pid();
    project.playbook(&format!("{}{}{running}", unit(""), file("three")));
    project.converge();
    assert_ne!(pid(), before);
}

#[test]
fn a_unit_that_systemd_does_not_start_is_told_with_its_condition() {
    let Some(project) = Project::new() else { return };
    project.playbook(
        "[[step]]\nunit = { name = \"co\", content = \"\"\"\n[Unit]\nConditionPathExists=/etc/passwd\n\
         ConditionPathExists=/srv/wanted\n[Service]\nExecStart=/bin/sleep infinity\n\"\"\" }\n\
         [[step]]\nservice = { name = \"co\", running = true }\n",
    );
    let applied = project.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    let told = "systemd does not start co.service while ConditionPathExists=/srv/wanted is not met";
    assert!(applied.err.contains("NOT CONVERGED") && applied.out.contains(told), "{applied:?}");
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains(told), "{plan:?}");
    project.on_host("touch /srv/wanted");
    project.converge();

    // An assertion in a drop-in.
    project.playbook(
        "[[step]]\ndropin = { unit = \"co\", name = \"assert\", content = \"[Unit]\\nAssertPathExists=/srv/other\\n\" }\n\
         [[step]]\nservice = { name = \"co\", running = true }\n",
    );
    project.on_host("systemctl stop co");
    let applied = project.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("AssertPathExists=/srv/other is not met"), "{plan:?}");
    project.on_host("touch /srv/other");
    project.converge();
}

#[test]
fn a_restart_that_an_earlier_run_has_left_is_tried_again_at_the_end() {
    let Some(project) = Project::new() else { return };
    project.on_host(
        "printf '[Service]\\nType=exec\\nExecStartPre=/usr/bin/test -e /srv/needed\\nExecStart=/bin/sleep infinity\\n' \
         >/etc/systemd/system/late.service; touch /srv/needed; systemctl daemon-reload; systemctl start late",
    );
    project.playbook(
        "[[step]]\nfile = { path = \"/etc/late.conf\", content = \"x\" }\nrestart = [\"late.service\"]\n\
         [[step]]\ncommand = { run = \"exit 7\", creates = \"/nowhere\" }\n",
    );
    assert_eq!(project.apply().code, 3);
    project.on_host("rm /srv/needed");
    project.playbook("[[step]]\nfile = { path = \"/srv/needed\", content = \"x\" }\n");
    project.converge();
    assert_eq!(project.on_host("systemctl is-active late; ls /var/lib/stockade/owed"), "active");
}
