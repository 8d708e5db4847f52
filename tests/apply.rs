//! Plan and apply on real hosts, by the program as an operator runs it. What
//! came of it is asked of the host itself, not of the program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a host that cannot be used must stop the test

use crate::support::program;
use crate::support::project::{Project, ran};
use std::process::{Command, Stdio};

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_plan_touches_nothing_and_an_apply_makes_exactly_what_it_says() {
    let project = Project::new();
    project.playbook(
        r#"
[[step]]
user = { name = "deploy", shell = "/bin/bash" }
[[step]]
directory = { path = "/srv/an app", owner = "deploy", mode = "0750" }
[[step]]
file = { path = "/srv/an app/'$(id)'.conf", content = "a = \"$HOME\"\n`id`\n", owner = "deploy", group = "deploy", mode = "0640" }
[[step]]
unit = { name = "hello.service", content = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n" }
[[step]]
service = { name = "hello.service", enabled = true, running = true }
"#,
    );
    // sudo leaves a mark of its own at a user's first use.
    let all_files = "find /etc /srv /home /usr /var -xdev -type f ! -name .sudo_as_admin_successful ! -path '/var/log/*' \
                     -printf '%p %s %m %u %g %T@\\n' | sort | sha256sum";
    let before = project.on_host(all_files);
    let planned = project.run(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(planned.code, 2, "{planned:?}");
    assert_eq!(before, project.on_host(all_files), "a plan must not touch the host");

    project.converge();
    let stat = "stat -c '%F %a %U %G'";
    assert_eq!(project.on_host(&format!("{stat} '/srv/an app'")), "directory 750 deploy root");
    let file = "\"/srv/an app/'\\$(id)'.conf\"";
    assert_eq!(project.on_host(&format!("{stat} {file}")), "regular file 640 deploy deploy");
    assert_eq!(project.on_host(&format!("cat {file}")), "a = \"$HOME\"\n`id`");
    assert_eq!(project.on_host("getent passwd deploy | cut -d: -f6,7"), "/home/deploy:/bin/bash");
    assert_eq!(project.on_host("systemctl is-enabled hello; systemctl is-active hello"), "enabled\nactive");
    assert_eq!(project.on_host("find / -xdev -name '.stockade-*' | wc -l"), "0", "no temporary file is left");

    // Drift of every sort is seen and repaired.
    project.on_host(
        "chmod 666 \"/srv/an app/\"*; systemctl stop hello; chown root '/srv/an app'; usermod -s /bin/sh deploy",
    );
    let drifted = project.run(&["plan", "site.toml", "--format", "json", "--detailed-exitcode"]);
    assert_eq!(drifted.code, 2, "{drifted:?}");
    let json: serde_json::Value = serde_json::from_str(&drifted.out).unwrap();
    let update = &json["hosts"][0]["summary"]["update"];
    assert_eq!(update, 4, "{json:#}");
    project.converge();
    assert_eq!(project.on_host(&format!("{stat} {file}")), "regular file 640 deploy deploy");
    assert_eq!(project.on_host("systemctl is-active hello"), "active");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_plan_takes_one_session_and_an_apply_at_most_three_for_any_number_of_resources() {
    let project = Project::new();
    project.on_host(
        "printf 'LogLevel VERBOSE\\n' >/etc/ssh/sshd_config.d/01-verbose.conf; systemctl restart ssh.socket; \
         systemctl stop ssh.service 2>/dev/null || :",
    );
    let step = |index: usize| {
        format!("[[step]]\nfile = {{ path = \"/srv/f{index}\", content = \"{index} {{{{ facts.os.id }}}}\\n\" }}\n")
    };
    for count in [10, 1000] {
        let steps: String = (0..count).map(step).collect();
        project.playbook(&steps);
        let before = project.sessions();
        assert_eq!(project.run(&["plan", "site.toml"]).code, 0);
        let planned = project.sessions();
        assert_eq!(planned - before, 1, "sessions of a plan of {count} files");
        let applied = project.apply();
        assert_eq!(applied.code, 0, "{applied:?}");
        let sessions = project.sessions() - planned;
        assert!((1..=3).contains(&sessions), "an apply of {count} files took {sessions} sessions");
        let expected = format!("{}", count);
        assert_eq!(project.on_host("ls /srv | grep -c '^f'"), expected);
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_failed_step_stops_the_run_and_the_restart_it_owes_is_done_by_the_next() {
    let project = Project::new();
    let unit = r#"
[[step]]
unit = { name = "hello.service", content = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n" }
[[step]]
service = { name = "hello.service", running = true }
"#;
    project.playbook(unit);
    project.converge();
    let pid = project.on_host("systemctl show -p MainPID --value hello");

    let change = format!(
        "{unit}\n[[step]]\nfile = {{ path = \"/etc/hello.conf\", content = \"x\\n\" }}\nrestart = [\"hello.service\"]\n\
         [[step]]\nname = \"the one that fails\"\ncommand = {{ run = \"echo it broke; ls /gone; exit 7\", creates = \"/nowhere\" }}\n\
         [[step]]\nfile = {{ path = \"/srv/late\", content = \"x\" }}\n"
    );
    project.playbook(&change);
    let failed = project.apply();
    assert_eq!(failed.code, 3, "{failed:?}");
    assert!(failed.out.contains("it broke") && failed.out.contains("the one that fails"), "{failed:?}");
    assert!(failed.out.contains("site.toml:"), "the place of the step is told: {failed:?}");
    assert_eq!(project.on_host("test -e /srv/late || echo not begun"), "not begun");
    assert_eq!(project.on_host("systemctl show -p MainPID --value hello"), pid, "the restart comes at the end");

    // The file is as it should be now, so only the debt on the host can bring the restart.
    project.playbook(&format!("{unit}\n[[step]]\nfile = {{ path = \"/etc/hello.conf\", content = \"x\\n\" }}\n"));
    let planned = project.run(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(planned.code, 2, "{planned:?}");
    assert!(planned.out.contains("left pending by an earlier run"), "{planned:?}");
    project.converge();
    assert_ne!(project.on_host("systemctl show -p MainPID --value hello"), pid);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_saved_plan_is_carried_out_exactly_or_refused_with_what_changed() {
    let project = Project::new();
    project.playbook("[[step]]\nfile = { path = \"/etc/hello.conf\", content = \"hunter2\\n\" }\nsensitive = true\n");
    assert_eq!(project.run(&["plan", "site.toml", "--out", "it.plan"]).code, 0);
    let saved = std::fs::read_to_string(project.folder().join("it.plan")).unwrap();
    assert!(!saved.contains("hunter2"), "{saved}");

    project.on_host("echo other >/etc/hello.conf");
    let refused = ran(program(project.folder()).args(["apply", "it.plan"]));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("/etc/hello.conf: absent when planned, file 0644 root:root now"), "{refused:?}");
    assert_eq!(project.on_host("cat /etc/hello.conf"), "other", "nothing was touched");

    assert_eq!(project.run(&["plan", "site.toml", "--out", "it.plan"]).code, 0);
    let playbook = std::fs::read_to_string(project.folder().join("site.toml")).unwrap();
    project.write("site.toml", &playbook.replace("hunter2", "hunter3"));
    let refused = ran(program(project.folder()).args(["apply", "it.plan"]));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("site.toml"), "{refused:?}");

    project.write("site.toml", &playbook);
    let applied = ran(program(project.folder()).args(["apply", "it.plan"]));
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(project.on_host("cat /etc/hello.conf"), "hunter2");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_secret_reaches_its_file_and_nothing_else() {
    let project = Project::new();
    project.write("stages/prod.toml", "[env]\nTOKEN = \"s3cr3t-t0ken\"\n");
    project.playbook(
        r#"
[[step]]
env = { path = "/etc/app.env" }
[[step]]
file = { path = "/etc/app.key", content = "s3cr3t-k3y\n", mode = "0600" }
sensitive = true
[[step]]
command = { run = "printf '%s' \"$PASS\" >/srv/pass; echo $PASS; sleep 1; exit 0", creates = "/srv/pass", environment = { PASS = "s3cr3t-p4ss" } }
sensitive = true
[[step]]
command = { run = "cat /etc/app.key; exit 1", creates = "/nowhere" }
sensitive = true
"#,
    );
    let watcher = Command::new("docker")
        .args(["exec", &project.host.container, "sh", "-c"])
        .arg("until [ -e /run/over ]; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; sleep 0.05; done >/run/argv")
        .spawn()
        .unwrap();
    let mut shown = String::new();
    for arguments in [
        &["plan", "site.toml", "--stage", "prod"][..],
        &["plan", "site.toml", "--stage", "prod", "--format", "json"],
        &["plan", "site.toml", "--stage", "prod", "--format", "markdown", "--out", "p.plan"],
        &["apply", "site.toml", "--stage", "prod", "--yes"],
    ] {
        let ran = project.run(arguments);
        shown += &format!("{}{}", ran.out, ran.err);
    }
    shown += &std::fs::read_to_string(project.folder().join("p.plan")).unwrap();
    project.on_host("touch /run/over");
    watcher.wait_with_output().unwrap();
    assert!(project.on_host("cat /etc/app.env").contains("s3cr3t-t0ken"));
    assert_eq!(project.on_host("cat /etc/app.key /srv/pass"), "s3cr3t-k3y\ns3cr3t-p4ss");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    assert!(shown.contains("•••"), "{shown}");
    let argv = project.on_host("cat /run/argv");
    assert!(argv.contains("stockade"), "the watcher saw the run: {argv}");
    assert!(!argv.contains("s3cr3t"), "a secret was an argument");
    assert_eq!(
        project.on_host("grep -rl s3cr3t /var/lib/stockade /run/stockade /run/lock /var/log 2>/dev/null | wc -l"),
        "0"
    );
    assert_eq!(project.on_host("journalctl -q | grep -c s3cr3t || :"), "0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_second_run_at_the_same_time_is_refused_and_told_by_whom() {
    let project = Project::new();
    project.playbook("[[step]]\ncommand = { run = \"touch /run/begun; until [ -e /run/go ]; do sleep 0.1; done; touch /srv/x\", creates = \"/srv/x\" }\n");
    let first = project
        .command(&["apply", "site.toml", "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    project.on_host("timeout 20 sh -c 'until [ -e /run/begun ]; do sleep 0.05; done'");
    let second = project.apply();
    assert_eq!(second.code, 3, "{second:?}");
    assert!(second.out.contains("another run is at work") && second.out.contains(" since 20"), "{second:?}");
    project.on_host("touch /run/go");
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_lost_connection_does_not_stop_the_run() {
    let project = Project::new();
    project.playbook(
        "[[step]]\ncommand = { run = \"touch /run/begun; until [ -e /run/go ]; do sleep 0.1; done; touch /srv/x\", creates = \"/srv/x\" }\n\
         [[step]]\nfile = { path = \"/srv/after\", content = \"x\" }\n",
    );
    let mut first =
        project.command(&["apply", "site.toml", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    project.on_host("timeout 20 sh -c 'until [ -e /run/begun ]; do sleep 0.05; done'");
    first.kill().unwrap();
    first.wait().unwrap();
    project.on_host("timeout 20 sh -c 'while pgrep -u ubuntu sshd; do sleep 0.05; done'; touch /run/go");
    project.on_host("timeout 20 sh -c 'until [ -e /srv/after ]; do sleep 0.05; done'");
    project.on_host("timeout 20 sh -c 'until grep -q ok /var/lib/stockade/runs/*/result; do sleep 0.05; done'");
    project.converge();
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn hosts_that_cannot_be_used_are_told_apart_and_left_alone() {
    let project = Project::new();
    project.playbook("[[step]]\nfile = { path = \"/srv/x\", content = \"x\" }\n");

    project.on_host(
        "mv /etc/sudoers.d/90-cloud-init-users /root/; deluser ubuntu sudo >/dev/null 2>&1 || gpasswd -d ubuntu sudo",
    );
    let no_sudo = project.apply();
    assert_eq!(no_sudo.code, 4, "{no_sudo:?}");
    assert!(no_sudo.out.contains("cannot become root"), "{no_sudo:?}");
    project.on_host("mv /root/90-cloud-init-users /etc/sudoers.d/");

    project.on_host("cp -a /etc/os-release /root/os-release; rm /etc/os-release; printf 'ID=fedora\\nPRETTY_NAME=Fedora\\n' >/etc/os-release");
    let fedora = project.apply();
    assert_eq!(fedora.code, 3, "{fedora:?}");
    assert!(fedora.out.contains("only Debian and Ubuntu"), "{fedora:?}");
    project.on_host("rm /etc/os-release; cp -a /root/os-release /etc/os-release");

    project.on_host("mkdir -p /var/lib/stockade; mount -t tmpfs -o ro tmpfs /var/lib/stockade");
    let read_only = project.apply();
    assert_eq!(read_only.code, 3, "{read_only:?}");
    assert!(read_only.out.contains("Read-only file system"), "{read_only:?}");
    project.on_host("umount /var/lib/stockade");

    project.on_host("mount -t tmpfs -o size=64k tmpfs /srv; head -c 65536 /dev/zero >/srv/full 2>/dev/null || :");
    let full = project.apply();
    assert_eq!(full.code, 3, "{full:?}");
    assert!(full.out.contains("No space left on device"), "{full:?}");
    assert_eq!(project.on_host("ls -A /srv"), "full", "neither the file nor a part of it is there");
    project.on_host("umount /srv");
    project.converge();
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn all_packages_of_a_run_are_one_transaction_and_a_held_lock_is_awaited() {
    let project = Project::new();
    project.playbook(
        r#"
[[step]]
package = { name = "tree" }
[[step]]
file = { path = "/srv/between", content = "x" }
[[step]]
package = { names = ["pv", "bc"] }
[[step]]
package = { name = "no-such-package-anywhere" }
tags = ["wrong"]
"#,
    );
    let wrong = project.run(&["apply", "site.toml", "--yes", "--tags", "wrong"]);
    assert_eq!(wrong.code, 3, "{wrong:?}");
    assert!(wrong.out.contains("Unable to locate package no-such-package-anywhere"), "{wrong:?}");

    // Another program holds dpkg's lock until the apply has asked for it.
    let holder = "import fcntl, os, time\n\
                  f = open('/var/lib/dpkg/lock-frontend', 'w')\n\
                  fcntl.lockf(f, fcntl.LOCK_EX)\n\
                  open('/run/held', 'w').close()\n\
                  while not os.path.exists('/run/go'): time.sleep(0.05)\n";
    project.host.exec_with_input(&["sh", "-c", "cat >/run/holder.py"], holder.as_bytes()).unwrap();
    project.on_host(
        "setsid python3 /run/holder.py >/dev/null 2>&1 </dev/null & \
         timeout 20 sh -c 'until [ -e /run/held ]; do sleep 0.05; done'",
    );
    let apply = project
        .command(&["apply", "site.toml", "--yes", "--skip-tags", "wrong"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    project.on_host("timeout 60 sh -c 'until grep -qs \"Waiting for cache lock\" /run/stockade/*/out; do sleep 0.05; done'; touch /run/go");
    let output = apply.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(project.on_host("dpkg-query -W -f '${db:Status-Status} ' tree pv bc"), "installed installed installed");
    assert_eq!(project.on_host("grep -c '^Install:' /var/log/apt/history.log"), "1", "one transaction");
    let again = project.run(&["plan", "site.toml", "--skip-tags", "wrong", "--detailed-exitcode"]);
    assert_eq!(again.code, 0, "{again:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_image_is_built_in_a_chroot_of_this_machine() {
    let project = Project::new();
    let tree = project.image();
    project.playbook(
        r#"
[[step]]
user = { name = "deploy", shell = "/bin/bash", sudo = "nopasswd" }
[[step]]
unit = { name = "hello.service", content = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n" }
restart = ["hello.service"]
[[step]]
service = { name = "hello.service", enabled = true, running = true }
[[step]]
hostname = { value = "golden" }
"#,
    );
    let stockade = |arguments: &[&str]| ran(program(project.folder()).args(arguments).args(["-i", "image.toml"]));
    let applied = stockade(&["apply", "site.toml", "--yes"]);
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(stockade(&["plan", "site.toml", "--detailed-exitcode"]).code, 0);
    assert_eq!(std::fs::read_to_string(tree.join("etc/hostname")).unwrap(), "golden\n");
    assert!(std::fs::read_to_string(tree.join("etc/passwd")).unwrap().contains("\ndeploy:"));
    let wanted = tree.join("etc/systemd/system/multi-user.target.wants/hello.service");
    assert!(wanted.symlink_metadata().unwrap().is_symlink(), "the unit is enabled in the image");
}
