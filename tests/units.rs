//! Units that do not run: each is started once with all that is new, what is
//! pending for them never fails for ever, and the plan says why systemd does
//! not start one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_failed_unit_that_a_run_repairs_is_started_once_and_never_hits_the_start_limit() {
    let project = Project::new();
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
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_pending_reload_of_a_unit_that_does_not_run_is_no_error() {
    let project = Project::new();
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
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_unit_that_systemd_does_not_start_is_told_with_its_condition() {
    let project = Project::new();
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
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_restart_that_an_earlier_run_has_left_is_tried_again_at_the_end() {
    let project = Project::new();
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

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_mask_on_an_alias_leaves_the_unit_itself_alone() {
    let project = Project::new();
    project.playbook(
        "[[step]]\neach = [\"ctrl-alt-del.target\", \"dbus-org.freedesktop.timedate1.service\", \"autovt@tty3.service\"]\n\
         service = { name = \"{{ item }}\", masked = true }\n",
    );
    project.converge();
    let masked = "readlink /etc/systemd/system/ctrl-alt-del.target /etc/systemd/system/dbus-org.freedesktop.timedate1.service \
                  /etc/systemd/system/autovt@tty3.service; systemctl show -p LoadState --value reboot.target \
                  systemd-timedated.service getty@tty3.service | grep .";
    assert_eq!(project.on_host(masked), "/dev/null\n/dev/null\n/dev/null\nloaded\nloaded\nloaded");
    project.playbook("[[step]]\nservice = { name = \"ctrl-alt-del.target\", masked = false }\n");
    project.converge();
    assert_eq!(project.on_host("ls /etc/systemd/system/ctrl-alt-del.target 2>/dev/null || :"), "");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn restarts_of_many_applies_do_not_reach_the_limit_of_starts() {
    let project = Project::new();
    project.on_host(
        "printf '[Unit]\\nStartLimitIntervalSec=600\\nStartLimitBurst=2\\n[Service]\\nExecStart=/bin/sleep infinity\\n' \
         >/etc/systemd/system/rl.service; systemctl daemon-reload; systemctl start rl",
    );
    for n in 1..=4 {
        project.playbook(&format!(
            "[[step]]\nfile = {{ path = \"/etc/rl.conf\", content = \"{n}\" }}\nrestart = [\"rl.service\"]\n"
        ));
        project.converge();
    }
    assert_eq!(project.on_host("systemctl is-active rl"), "active");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn systemd_reads_units_again_whatever_kind_of_step_writes_them() {
    let project = Project::new();
    project.on_host(
        "for d in /etc/systemd/system /usr/local/lib/systemd/system; do mkdir -p $d; done; \
         printf '[Service]\\nEnvironment=WORD=old\\nExecStart=/bin/sleep infinity\\n' | tee /etc/systemd/system/dr1.service \
         >/usr/local/lib/systemd/system/dr2.service; systemctl daemon-reload; systemctl start dr1 dr2",
    );
    let environment = |unit: &str| {
        project
            .on_host(&format!("tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value {unit})/environ | grep WORD"))
    };
    let new = "[Service]\\nEnvironment=WORD=new\\nExecStart=/bin/sleep infinity\\n";
    project.playbook(&format!(
        "[[step]]\nline = {{ path = \"/etc/systemd/system/dr1.service\", match = \"^Environment=\", line = \"Environment=WORD=new\" }}\n\
         restart = [\"dr1.service\"]\n\
         [[step]]\nfile = {{ path = \"/usr/local/lib/systemd/system/dr2.service\", content = \"{new}\" }}\n\
         [[step]]\ncommand = {{ run = \"systemctl restart dr2\", when_changed = \"previous\" }}\n"
    ));
    project.converge();
    assert_eq!((environment("dr1"), environment("dr2")), ("WORD=new".into(), "WORD=new".into()));
    // What somebody else has changed is read before the restart, too.
    project.on_host("sed -i s/new/third/ /etc/systemd/system/dr1.service");
    project.playbook("[[step]]\nfile = { path = \"/etc/dr.conf\", content = \"x\" }\nrestart = [\"dr1.service\"]\n");
    project.converge();
    assert_eq!(environment("dr1"), "WORD=third");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn systemd_takes_its_own_settings_up() {
    let project = Project::new();
    let limit = "systemctl show -p DefaultLimitNOFILE --value";
    assert_ne!(project.on_host(limit), "65536");
    project.playbook(
        "[[step]]\nsetting = { path = \"/etc/systemd/system.conf\", section = \"Manager\", key = \"DefaultLimitNOFILE\", value = \"65536\" }\n\
         [[step]]\nfile = { path = \"/etc/systemd/system.conf.d/t.conf\", content = \"[Manager]\\nDefaultTimeoutStopSec=33s\\n\", parents = true }\n",
    );
    project.converge();
    assert_eq!(project.on_host(limit), "65536");
    assert_eq!(project.on_host("systemctl show -p DefaultTimeoutStopUSec --value"), "33s");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_unit_that_is_dead_after_its_restart_has_not_converged() {
    let project = Project::new();
    project.on_host(
        "printf '[Service]\\nExecStart=/bin/sh -c \"test ! -e /etc/dies || exit 3; exec sleep infinity\"\\n' \
         >/etc/systemd/system/dies.service; systemctl daemon-reload; systemctl start dies",
    );
    project.playbook("[[step]]\nfile = { path = \"/etc/dies\", content = \"x\" }\nrestart = [\"dies.service\"]\n");
    let applied = project.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    assert!(
        applied.err.contains("dies.service: the run has restarted it, and it does not run: exit-code, exit status 3"),
        "{applied:?}"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_links_of_an_enabled_unit_follow_its_install_section() {
    let project = Project::new();
    let unit = |install: &str| {
        format!(
            "[[step]]\nunit = {{ name = \"ins\", content = \"[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\n{install}\\n\" }}\n\
             [[step]]\nservice = {{ name = \"ins\", enabled = true, running = true }}\n"
        )
    };
    project.playbook(&unit("WantedBy=multi-user.target"));
    project.converge();
    project.playbook(&unit("WantedBy=graphical.target\\nAlias=other.service"));
    project.converge();
    let links = "cd /etc/systemd/system; find . -name ins.service -type l -o -name other.service | sort";
    assert_eq!(project.on_host(links), "./graphical.target.wants/ins.service\n./other.service");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_systemd_does_not_know_in_a_unit_is_told_and_what_it_refuses_is_not_in_force() {
    let project = Project::new();
    project.playbook(
        "[[step]]\nunit = { name = \"bad\", content = \"[Service]\\nType=oneshot\\n[Srvice]\\nA=b\\n\" }\n\
         [[step]]\nunit = { name = \"odd\", content = \"[Service]\\nExecStart=/bin/true\\nMemoryMx=1G\\nX-Ours=1\\n\" }\n",
    );
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("does not know MemoryMx= in [Service]"), "{plan:?}");
    assert!(plan.out.contains("ignores the section [Srvice]") && !plan.out.contains("know X-Ours="), "{plan:?}");
    let applied = project.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    assert!(applied.err.contains("bad.service: systemd refuses to use it (bad-setting)"), "{applied:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_service_may_come_by_a_link_an_init_script_a_vendors_folder_or_fstab() {
    let project = Project::new();
    let unit = "[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n";
    let script = "#!/bin/sh\\n### BEGIN INIT INFO\\n# Provides: lsb\\n# Required-Start:\\n# Required-Stop:\\n\
                  # Default-Start: 2 3 4 5\\n# Default-Stop: 0 1 6\\n### END INIT INFO\\nexit 0\\n";
    project.playbook(&format!(
        "[[step]]\nfile = {{ path = \"/srv/linked.service\", content = \"{unit}\" }}\n\
         [[step]]\nlink = {{ path = \"/etc/systemd/system/linked.service\", target = \"/srv/linked.service\" }}\n\
         [[step]]\nservice = {{ name = \"linked\", running = true }}\n\
         [[step]]\nfile = {{ path = \"/usr/lib/systemd/system/vendor.service\", content = \"{unit}\" }}\n\
         [[step]]\nservice = {{ name = \"vendor\", enabled = true, running = true }}\n\
         [[step]]\nfile = {{ path = \"/etc/init.d/lsb\", content = \"{script}\", mode = \"0755\" }}\n\
         [[step]]\nservice = {{ name = \"lsb\", running = true }}\n\
         [[step]]\ndirectory = {{ path = \"/mnt/t\" }}\n\
         [[step]]\nline = {{ path = \"/etc/fstab\", line = \"tmpfs /mnt/t tmpfs noauto,mode=0755 0 0\" }}\n\
         [[step]]\nservice = {{ name = \"mnt-t.mount\", running = true }}\n"
    ));
    project.converge();
    let active = "systemctl is-active linked vendor lsb mnt-t.mount";
    assert_eq!(project.on_host(active), "active\nactive\nactive\nactive");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_stops_with_a_unit_is_in_the_plan_where_a_later_step_wants_it() {
    let project = Project::new();
    project.on_host(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/coll.service; \
         (printf '[Unit]\\nPartOf=coll.service\\n'; cat /etc/systemd/system/coll.service) >/etc/systemd/system/part.service; \
         systemctl daemon-reload; systemctl enable --now coll part",
    );
    project.playbook(
        "[[step]]\nservice = { name = \"coll\", running = false, enabled = false }\n\
         [[step]]\nservice = { name = \"part\", running = true, enabled = true }\n",
    );
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("2 to update"), "{plan:?}");
    let text = project.converge();
    assert!(!text.contains("beyond the plan"), "{text}");
    assert_eq!(project.on_host("systemctl is-active part coll || :"), "active\ninactive");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn sshd_moves_from_its_socket_to_its_service_in_one_guarded_phase() {
    let project = Project::new();
    project.playbook(
        "[[step]]\nservice = { name = \"ssh.socket\", running = false, enabled = false, masked = true }\n\
         [[step]]\neach = [\"/etc/systemd/system/ssh.service.requires/ssh.socket\", \"/etc/systemd/system/sockets.target.wants/ssh.socket\"]\n\
         file = { path = \"{{ item }}\", state = \"absent\" }\n\
         [[step]]\nservice = { name = \"ssh.service\", running = true, enabled = true }\n",
    );
    project.converge();
    assert_eq!(
        project.on_host("systemctl is-active ssh.service ssh.socket || :; systemctl is-enabled ssh.service"),
        "active\ninactive\nenabled"
    );
}

/// Of each text: the unit, its content and what the plan says of it.
const UNUSABLE: [(&str, &str, &str); 6] = [
    (
        "a.service",
        "[Service]\\nExecStart=/bin/true\\nRestart=allways\\n",
        "a.service:3: systemd of this host cannot use this",
    ),
    ("b.service", "[Service]\\nExecStart=/bin/true\\nType=fork\\n", "correct the value of Type="),
    ("c.timer", "[Timer]\\nOnCalendar=Mon *-*-* 99:00\\n", "c.timer:2: systemd of this host cannot use this"),
    ("d.service", "[Service]\\nExecStart=bin/true\\n", "d.service:2: systemd of this host cannot use this"),
    ("e@.service", "[Service]\\nExecStart=/bin/echo %i\\nTimeoutStartSec=soon\\n", "e@.service:3: "),
    ("f.service", "[Service]\\nExecStart=/bin/true\\nEnvironment=hunter2\\n", "correct the value of Environment="),
];

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_value_that_systemd_cannot_use_is_refused_before_it_is_written() {
    let project = Project::new();
    let units = UNUSABLE
        .map(|(name, content, _)| format!("[[step]]\nunit = {{ name = \"{name}\", content = \"{content}\" }}\n"));
    project.playbook(&units.concat());
    let plan = project.run(&["plan", "site.toml"]);
    assert_eq!(plan.code, 1, "{plan:?}");
    for (_, _, part) in UNUSABLE {
        assert!(plan.err.contains(part), "{part}: {plan:?}");
    }
    // The value may be a secret.
    assert!(!plan.err.contains("hunter2"), "{plan:?}");
    // Drop-ins, files and edits are judged in the same way; what is right is taken.
    project.on_host("printf '[Service]\\nExecStart=/bin/true\\nRestart=no\\n' >/etc/systemd/system/g.service");
    for step in [
        "dropin = { unit = \"g\", name = \"x\", content = \"[Service]\\nRestart=nevr\\n\" }",
        "file = { path = \"/etc/systemd/system/service.d/x.conf\", parents = true, content = \"[Service]\\nKillMode=x\\n\" }",
        "line = { path = \"/etc/systemd/system/g.service\", match = \"^Restart=\", line = \"Restart=nevr\" }",
    ] {
        project.playbook(&format!("[[step]]\n{step}\n"));
        let plan = project.run(&["plan", "site.toml"]);
        assert!(plan.code == 1 && plan.err.contains("systemd of this host cannot use this"), "{step}: {plan:?}");
    }
    project.playbook(
        "[[step]]\nunit = { name = \"h@.service\", content = \"[Service]\\nExecStart=/bin/echo %i\\nKillMode=none\\nStandardOutput=syslog\\n\" }\n\
         [[step]]\nunit = { name = \"i.timer\", content = \"[Timer]\\nOnCalendar=hourly\\nUnit=none.service\\n\" }\n",
    );
    let applied = project.apply();
    assert!(applied.code == 3 && applied.err.contains("i.timer: systemd does not start it"), "{applied:?}");
    assert_eq!(project.on_host("systemctl start i.timer >/dev/null 2>&1 || echo failed"), "failed");
    assert_eq!(project.on_host("ls /run | grep -c stockade-verify || :"), "0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_pending_restart_of_a_unit_that_is_to_rest_is_forgotten_and_an_aliass_is_done_once() {
    let project = Project::new();
    let unit = "[Service]\\nType=exec\\nExecStartPre=/bin/sh -c 'echo x >>/srv/starts'\\nExecStart=/bin/sleep infinity\\n\
                [Install]\\nWantedBy=multi-user.target\\nAlias=nick.service\\n";
    project.on_host(&format!("printf \"{unit}\" >/etc/systemd/system/rest.service; systemctl daemon-reload"));
    let starts = || project.on_host("wc -l </srv/starts");
    let owed = || project.on_host("ls /var/lib/stockade/owed");
    // What a run that failed has left: noted by the unit's name, by its alias, or by both.
    let leave = |names: &[&str]| {
        project.on_host("systemctl unmask rest; systemctl enable --now rest; rm -f /etc/left.conf");
        let noted = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        project.playbook(&format!(
            "[[step]]\nfile = {{ path = \"/etc/left.conf\", content = \"x\" }}\nrestart = [{noted}]\n\
             [[step]]\ncommand = {{ run = \"exit 7\", creates = \"/nowhere\" }}\n"
        ));
        assert_eq!(project.apply().code, 3);
    };
    leave(&["rest.service"]);
    assert_eq!(owed(), "restart:rest.service");
    // By the alias, it is the unit's own restart from the beginning.
    leave(&["nick.service", "rest.service"]);
    assert_eq!(owed(), "restart:rest.service");
    // A run of a former version noted the alias: one restart, under the unit's name.
    project.on_host("cd /var/lib/stockade/owed; cp restart:rest.service restart:nick.service");
    let before: usize = starts().parse().unwrap();
    project.playbook("[[step]]\nfile = { path = \"/etc/other.conf\", content = \"x\" }\n");
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("restart rest.service") && !plan.out.contains("nick"), "{plan:?}");
    project.converge();
    assert_eq!((starts(), owed()), ((before + 1).to_string(), String::new()));

    for steps in [
        "[[step]]\nservice = { name = \"rest\", running = false }\n",
        // By its alias, and with nothing left to stop.
        "[[step]]\nservice = { name = \"nick\", running = false, enabled = false }\n",
        "[[step]]\nunit = { name = \"rest\", state = \"absent\" }\n",
    ] {
        leave(&["rest.service"]);
        if steps.contains("nick") {
            project.on_host(
                "cd /var/lib/stockade/owed; cp restart:rest.service restart:nick.service; systemctl stop rest",
            );
        }
        let before = starts();
        project.playbook(steps);
        let plan = project.run(&["plan", "site.toml"]);
        assert!(plan.out.contains("rest.service is not restarted"), "{plan:?}");
        project.converge();
        assert_eq!((starts(), owed()), (before, String::new()), "{steps}");
        assert_ne!(project.on_host("systemctl is-active rest || :"), "active", "{steps}");
    }
    // One of a package's: the mask goes where the file does not stand.
    project.on_host(&format!(
        "rm -f /etc/systemd/system/nick.service; printf \"{unit}\" >/usr/lib/systemd/system/rest.service; systemctl daemon-reload"
    ));
    leave(&["rest.service"]);
    let before = starts();
    project.playbook("[[step]]\nservice = { name = \"rest\", masked = true }\n");
    project.converge();
    assert_eq!((starts(), owed()), (before.clone(), String::new()));
    // Masked by somebody else, nothing can start it: the plan is empty.
    leave(&["rest.service"]);
    project.on_host("systemctl mask --now rest");
    let before = starts();
    project.playbook("[[step]]\nfile = { path = \"/etc/other.conf\", content = \"x\" }\n");
    project.converge();
    assert_eq!(starts(), before);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_script_of_init_d_is_enabled_by_its_links_and_undo_puts_these_back() {
    let project = Project::new();
    let script = "#!/bin/sh\\n### BEGIN INIT INFO\\n# Provides: sv\\n# Required-Start:\\n# Required-Stop:\\n\
                  # Default-Start: 2 3 4 5\\n# Default-Stop: 0 1 6\\n### END INIT INFO\\nexit 0\\n";
    project.on_host(&format!(
        "printf '{script}' | tee /etc/init.d/sv >/etc/init.d/other; chmod 755 /etc/init.d/sv /etc/init.d/other; \
         ln -s ../init.d/sv /etc/rc3.d/S77sv; \
         for l in 2 3 4 5; do ln -s ../init.d/late /etc/rc$l.d/K33late; done; cp -p /etc/init.d/sv /etc/init.d/late; ln -s ../init.d/other /etc/rc5.d/S01other; systemctl daemon-reload"
    ));
    let links = |name: &str| project.on_host(&format!("find /etc/rc?.d -name '???{name}' -printf '%p %l\\n' | sort"));
    let is_enabled = |name: &str| project.on_host(&format!("systemctl is-enabled {name} 2>/dev/null || :"));
    let service = |name: &str, enabled: bool| {
        project.playbook(&format!("[[step]]\nservice = {{ name = \"{name}\", enabled = {enabled} }}\n"));
    };
    let undo = || project.done(&["undo", &project.host.name, "--yes"]);
    let (before, other) = (links("sv"), links("other"));
    assert_eq!(before, "/etc/rc3.d/S77sv ../init.d/sv");
    let late = links("late");
    service("late", true);
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("enabled: false → true"), "{plan:?}");
    project.converge();
    assert_eq!(is_enabled("late"), "enabled");
    undo();
    assert_eq!(links("late"), late);
    service("sv", false);
    project.converge();
    assert!(!links("sv").contains("/S"), "{}", links("sv"));
    undo();
    assert_eq!(links("sv"), before);
    // What is as it should be is left alone.
    service("other", true);
    let plan = project.run(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    service("other", false);
    project.converge();
    assert_eq!(
        (is_enabled("other").as_str(), project.on_host("systemctl show -p WantedBy --value other")),
        ("disabled", String::new())
    );
    undo();
    assert_eq!(links("other"), other);
    assert_eq!(is_enabled("other"), "enabled");

    // One that the run itself brings goes with its links.
    project.playbook(&format!(
        "[[step]]\nfile = {{ path = \"/etc/init.d/new\", content = \"{}\", mode = \"0755\" }}\n\
         [[step]]\nservice = {{ name = \"new\", enabled = true }}\n",
        script.replace("Provides: sv", "Provides: new")
    ));
    project.converge();
    assert!(links("new").contains("/etc/rc5.d/S"), "{}", links("new"));
    undo();
    assert_eq!((links("new"), project.on_host("ls /etc/init.d/new 2>/dev/null || :")), (String::new(), String::new()));

    // Without the programs that switch it, the plan refuses.
    project.on_host("dpkg-divert --quiet --rename /usr/sbin/update-rc.d");
    service("other", false);
    let refused = project.run(&["plan", "site.toml"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("there is no /usr/sbin/update-rc.d on this host"), "{refused:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_is_mounted_by_fstab_is_remounted_and_later_drop_ins_are_told() {
    let project = Project::new();
    project.on_host(
        "mkdir -p /srv/data /etc/systemd/system/srv-.mount.d; echo 'tmpfs /srv/data tmpfs noauto,size=8m 0 0' >>/etc/fstab; \
         printf '[Unit]\\nRequiresMountsFor=/srv/data\\n[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/onit.service; \
         systemctl daemon-reload; systemctl start srv-data.mount onit; echo kept >/srv/data/file",
    );
    let pid = || project.on_host("systemctl show -p MainPID --value onit");
    let before = pid();
    let dropin = |text: &str| {
        format!(
            "[[step]]\ndropin = {{ unit = \"srv-data.mount\", name = \"x\", content = \"[Mount]\\n{text}\\n\" }}\n\
             restart = [\"srv-data.mount\"]\n"
        )
    };
    project.playbook(&dropin("Options=size=16m,noexec"));
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("srv-data.mount is remounted"), "{plan:?}");
    project.converge();
    let options = project.on_host("findmnt -n -o OPTIONS /srv/data");
    assert!(options.contains("noexec") && options.contains("size=16384k"), "{options}");
    assert_eq!((project.on_host("cat /srv/data/file"), pid()), ("kept".to_owned(), before));
    // Another drop-in, of a prefix of the name, is read later.
    project.on_host("printf '[Mount]\\nOptions=size=4m\\n' >/etc/systemd/system/srv-.mount.d/y.conf");
    project.playbook(&dropin("Options=size=16m,nodev"));
    let applied = project.apply();
    assert!(applied.code == 3 && applied.err.contains("srv-.mount.d/y.conf:2"), "{applied:?}");
    project.on_host("rm -r /etc/systemd/system/srv-.mount.d; systemctl daemon-reload");
    // A file of its own comes before what the generator makes, and can be enabled.
    project.playbook(
        "[[step]]\nunit = { name = \"srv-data.mount\", content = \"[Mount]\\nWhat=tmpfs\\nWhere=/srv/data\\nType=tmpfs\\nOptions=size=32m\\n[Install]\\nWantedBy=multi-user.target\\n\" }\n\
         [[step]]\ndropin = { unit = \"srv-data.mount\", name = \"x\", state = \"absent\" }\n\
         [[step]]\nservice = { name = \"srv-data.mount\", enabled = true, running = true }\nrestart = [\"srv-data.mount\"]\n",
    );
    let plan = project.run(&["plan", "site.toml"]);
    assert!(plan.out.contains("srv-data.mount is unmounted and mounted anew"), "{plan:?}");
    project.converge();
    assert!(project.on_host("findmnt -n -o OPTIONS /srv/data").contains("size=32768k"));
    assert_eq!(project.on_host("systemctl is-enabled srv-data.mount"), "enabled");
}
