//! What an earlier step of a run may change is decided when its turn comes: on
//! real hosts, by one apply, after which a second plan is empty.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::program;
use crate::support::project::{Project, Ran, ran};
use std::process::Stdio;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v a";
const BOOT: &str = "cat /proc/sys/kernel/random/boot_id";

/// Packages in a repository on the host itself; no other repository is asked.
/// Each: its name, shell text that makes its files in the current directory,
/// and what it runs when it is installed.
fn packages(site: &Project, packages: &[(&str, &str, &str)]) {
    let mut text = String::from(
        "set -e; mkdir -p /srv/repo /etc/apt/sources.list.d; rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*\n",
    );
    for (name, files, postinst) in packages {
        text.push_str(&format!(
            "mkdir -p /srv/build/{name}/DEBIAN; cd /srv/build/{name}\n{files}\n\
             cat >DEBIAN/control <<'END'\nPackage: {name}\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: a test\nEND\n\
             cat >DEBIAN/postinst <<'END'\n#!/bin/sh\nset -e\n{postinst}\nEND\n\
             chmod 755 DEBIAN/postinst; dpkg-deb --root-owner-group -b . /srv/repo/{name}.deb >/dev/null\n"
        ));
    }
    text.push_str(
        "cd /srv/repo; for d in *.deb; do dpkg-deb -f $d; \
         printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' $d $(stat -c %s $d) $(sha256sum $d | cut -d ' ' -f 1); done >Packages\n\
         echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list.d/local.list\n\
         apt-get -q update >/dev/null 2>&1; touch /var/lib/apt/lists",
    );
    site.on_host(&text);
}

/// The results of the runs on the host, oldest first.
fn results(site: &Project) -> Vec<String> {
    let history: serde_json::Value = serde_json::from_str(&site.done(&["history", "--json"])).unwrap();
    let runs = history["hosts"][&site.host.name].as_array().unwrap().clone();
    runs.iter().map(|run| run["result"].as_str().unwrap().to_owned()).collect()
}

/// The actions of the steps in a plan, by their ids.
fn actions(site: &Project) -> Vec<(String, String)> {
    let plan: serde_json::Value = serde_json::from_str(&site.done(&["plan", "site.toml", "--format", "json"])).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let steps = plan["hosts"][0]["steps"].as_array().unwrap();
    steps.iter().map(|step| (text(&step["id"]), text(&step["action"]))).collect()
}

fn pairs<'a>(list: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    list.iter().map(|(id, action)| ((*id).to_owned(), (*action).to_owned())).collect()
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_command_whose_guard_held_is_asked_again_after_what_changes_the_host() {
    let site = Project::new();
    let steps = |content: &str| {
        format!(
            "[[step]]\nfile = {{ path = \"/etc/src\", content = \"{content}\\n\" }}\n\
             [[step]]\ncommand = {{ run = \"cp /etc/src /etc/copy\", unless = \"cmp -s /etc/src /etc/copy\" }}\n\
             [[step]]\ncommand = {{ run = \"echo again >>/srv/log\", unless = \"test -e /etc/src\" }}\n"
        )
    };
    site.playbook(&steps("one"));
    site.converge();
    assert_eq!(results(&site), ["ok"], "nothing was open: one phase");
    site.playbook(&steps("two"));
    assert_eq!(actions(&site), pairs(&[("1", "update"), ("2", "unknown"), ("3", "unknown")]));
    let plan = site.done(&["plan", "site.toml"]);
    assert!(plan.contains("decided at its turn: depends on step 1"), "{plan}");
    assert!(plan.contains("decided at its turn: depends on step 2"), "{plan}");
    let applied = site.run(&["apply", "site.toml", "--yes", "--format", "json"]);
    assert_eq!(applied.code, 0, "{applied:?}");
    let applied: serde_json::Value = serde_json::from_str(&applied.out).unwrap();
    let results: Vec<&str> =
        applied["hosts"][0]["steps"].as_array().unwrap().iter().map(|step| step["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["done", "done", "not-due"], "what ran is told apart from what was not due");
    assert_eq!(applied["hosts"][0]["changed"], 2);
    assert_eq!(site.on_host("cat /etc/copy; ls /srv/log 2>/dev/null || echo not run"), "two\nnot run");
    site.converge();

    // The guards about paths, too: what a command removes is made again.
    site.playbook(
        "[[step]]\ncommand = { run = \"rm -f /srv/cache; touch /srv/cleared\", creates = \"/srv/cleared\" }\n\
         [[step]]\ncommand = { run = \"touch /srv/cache\", creates = \"/srv/cache\" }\n",
    );
    site.on_host("touch /srv/cache");
    let text = site.converge();
    assert_eq!(site.on_host("ls /srv/cache"), "/srv/cache", "{text}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_was_shown_is_no_drift_in_a_later_phase() {
    let site = Project::new();
    packages(&site, &[("app", ":", ":"), ("dep", ":", ":"), ("other", ":", ":")]);
    site.on_host(
        "cd /srv/build/other; sed -i '/^Version/a Depends: dep' DEBIAN/control; dpkg-deb --root-owner-group -b . /srv/repo/other.deb >/dev/null; \
         cd /srv/repo; for d in *.deb; do dpkg-deb -f $d; \
         printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' $d $(stat -c %s $d) $(sha256sum $d | cut -d ' ' -f 1); done >Packages; \
         apt-get -q update >/dev/null 2>&1; touch /var/lib/apt/lists",
    );
    let second = KEY.replace("AAAAIID", "AAAAIIE");
    site.playbook(&format!(
        r#"
[[step]]
package = {{ name = "app" }}
[[step]]
file = {{ path = "/etc/default/app", missing = "skip", mode = "0600" }}
[[step]]
authorized_keys = {{ user = "ubuntu", keys = ["{KEY}", "{second}"] }}
[[step]]
sensitive = true
package = {{ name = "other" }}
"#
    ));
    // With old lists nothing of what comes is known, with new ones all of it is.
    for old in [true, false] {
        site.on_host("apt-get -qy purge app dep other >/dev/null 2>&1 || :; sed -i 's/.* a$//; s/.* b$//; /^$/d' ~ubuntu/.ssh/authorized_keys");
        site.on_host(if old { "touch -d '3 days ago' /var/lib/apt/lists" } else { "touch /var/lib/apt/lists" });
        let plan = site.done(&["plan", "site.toml", "--out", "it.plan"]);
        if old {
            assert_eq!(plan.matches("other packages: (known after apply)").count(), 2, "{plan}");
        } else {
            assert!(plan.contains("package dep: 1"), "{plan}");
        }
        let applied = ran(program(site.folder()).args(["apply", "it.plan"]));
        assert!(applied.code == 0 && !applied.err.contains("beyond the plan"), "{applied:?}");
        assert_eq!(site.on_host("dpkg-query -Wf '${Status}\\n' app dep other | sort -u"), "install ok installed");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn commands_that_share_a_guard_run_as_long_as_it_is_not_met() {
    let site = Project::new();
    let build = |guard: &str, to: &str| {
        format!(
            "[[step]]\ncommand = {{ run = \"mkdir -p /srv/src; echo configured >/srv/src/{to}.status\", {guard} }}\n\
             [[step]]\ncommand = {{ run = \"cp /srv/src/{to}.status /srv/src/{to}\", {guard} }}\n\
             [[step]]\ncommand = {{ run = \"install -m 755 /srv/src/{to} /srv/{to}\", {guard} }}\n"
        )
    };
    site.on_host("touch /srv/old");
    let removes = "[[step]]\ncommand = { run = \"touch /srv/stopped\", removes = \"/srv/old\" }\n\
                   [[step]]\ncommand = { run = \"rm /srv/old\", removes = \"/srv/old\" }\n\
                   [[step]]\ncommand = { run = \"touch /srv/too-late\", removes = \"/srv/old\" }\n";
    site.playbook(&format!(
        "{}{}{removes}",
        build("creates = \"/srv/one\"", "one"),
        build("unless = \"test -x /srv/two\"", "two")
    ));
    let actions = actions(&site);
    let first = ["1", "4", "7"];
    assert!(actions.iter().all(|(id, action)| (action == "run") == first.contains(&id.as_str())), "{actions:?}");
    site.converge();
    assert_eq!(
        site.on_host("cat /srv/one /srv/two; cd /srv; ls old stopped too-late 2>/dev/null || :"),
        "configured\nconfigured\nstopped"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_is_seeded_once_may_be_tuned_after() {
    let site = Project::new();
    site.playbook(
        r#"
[probes]
conf = { path = "/srv/a.conf" }
[[step]]
when = "not probes.conf.exists"
file = { path = "/srv/a.conf", content = "a=1\nb=2\n" }
[[step]]
setting = { path = "/srv/a.conf", key = "b", value = "3" }
[[step]]
file = { path = "/srv/a.conf", mode = "0600" }
[[step]]
file = { path = "/srv/b.conf", content = "a=1\n", if_missing = true }
[[step]]
line = { path = "/srv/b.conf", line = "b=2" }
[[step]]
command = { run = "stat -c %i /srv/a.conf >/srv/inode", creates = "/srv/inode" }
[[step]]
line = { path = "/srv/inode", line = "end" }
"#,
    );
    site.converge();
    assert_eq!(results(&site), ["phase", "ok"]);
    assert_eq!(site.on_host("head -n 1 /srv/inode"), site.on_host("stat -c %i /srv/a.conf"), "it is seeded once");
    assert_eq!(site.on_host("cat /srv/a.conf /srv/b.conf; stat -c %a /srv/a.conf"), "a=1\nb=3\na=1\nb=2\n600");
    site.on_host("echo c=4 >>/srv/b.conf");
    assert_eq!(site.run(&["plan", "site.toml", "--detailed-exitcode"]).code, 0);

    // What the next run does again is still taken back.
    site.playbook(
        r#"
[probes]
conf = { path = "/srv/c.conf" }
[[step]]
when = "not probes.conf.exists or probes.conf.size > 0"
file = { path = "/srv/c.conf", content = "a=1\n" }
[[step]]
setting = { path = "/srv/c.conf", key = "a", value = "3" }
"#,
    );
    let refused = site.run(&["plan", "site.toml"]);
    assert!(refused.code == 1 && refused.err.contains("takes back what this step makes"), "{refused:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_owner_that_a_package_gives_to_what_the_playbook_made_can_be_kept() {
    let site = Project::new();
    packages(&site, &[("app", ":", "chown -R daemon:adm /etc/app")]);
    let steps = |owner: &str| {
        format!(
            "[[step]]\ndirectory = {{ path = \"/etc/app\", mode = \"2770\"{owner} }}\n\
             [[step]]\nfile = {{ path = \"/etc/app/app.conf\", mode = \"0640\", content = \"a\\n\"{owner} }}\n\
             [[step]]\npackage = {{ name = \"app\" }}\n"
        )
    };
    site.playbook(&steps(""));
    let applied = site.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    assert!(
        applied.err.contains("owner: daemon → root") && applied.err.contains("say owner = \"keep\""),
        "{applied:?}"
    );
    site.on_host("apt-get -qy purge app >/dev/null 2>&1; rm -r /etc/app");
    site.playbook(&steps(", owner = \"keep\", group = \"keep\""));
    site.converge();
    assert_eq!(site.on_host("stat -c '%U:%G %a' /etc/app /etc/app/app.conf"), "daemon:adm 2770\ndaemon:adm 640");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_absence_of_what_a_package_brings_is_reached_by_one_apply() {
    let site = Project::new();
    packages(
        &site,
        &[(
            "site",
            "mkdir -p etc/site/sites lib/systemd/system srv/site-data; echo x >etc/site/default; ln -s ../default etc/site/sites/default; \
         printf 'a=1\\nb=2\\n# end\\n' >etc/site/site.conf; echo kept >etc/site/other; \
         printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' >lib/systemd/system/sited.service",
            "useradd --system --no-create-home sited; groupadd --system sitegroup; echo pkg >>/etc/list; \
         systemctl daemon-reload; systemctl enable -q --now sited",
        )],
    );
    site.on_host("echo first >/etc/list");
    site.playbook(
        r#"
[[step]]
package = { name = "site" }
[[step]]
link = { path = "/etc/site/sites/default", state = "absent" }
[[step]]
file = { path = "/etc/site/default", state = "absent" }
[[step]]
line = { path = "/etc/site/site.conf", line = "a=1", state = "absent" }
[[step]]
setting = { path = "/etc/site/site.conf", key = "b", state = "absent" }
[[step]]
setting = { path = "/etc/site/site.conf", key = "c", value = "3" }
[[step]]
line = { path = "/etc/list", line = "ours" }
[[step]]
directory = { path = "/srv/site-data", state = "absent", recursive = true }
[[step]]
service = { name = "sited", enabled = false, running = false }
[[step]]
user = { name = "sited", state = "absent" }
[[step]]
group = { name = "sitegroup", state = "absent" }
"#,
    );
    let plan = site.done(&["plan", "site.toml"]);
    assert!(plan.contains("decided at its turn: depends on step 1"), "{plan}");
    let unknown = actions(&site).into_iter().filter(|(_, action)| action == "unknown").count();
    assert_eq!(unknown, 9, "{plan}");
    let text = site.converge();
    assert!(text.contains("decided now: step 2"), "{text}");
    assert_eq!(
        site.on_host("cat /etc/site/site.conf; ls /etc/site/sites /etc/site"),
        "# end\nc=3\n/etc/site:\nother\nsite.conf\nsites\n\n/etc/site/sites:"
    );
    assert_eq!(site.on_host("cat /etc/list"), "first\npkg\nours", "what the package has added is not lost");
    assert_eq!(
        site.on_host("getent passwd sited; getent group sitegroup; systemctl is-active sited; systemctl is-enabled sited; ls -d /srv/site-data 2>/dev/null; :"),
        "inactive\ndisabled"
    );
    assert_eq!(results(&site), ["phase", "ok"], "two phases, and no more");
    // The newest first, each as its own run.
    site.done(&["undo", &site.host.name, "--yes"]);
    assert_eq!(site.on_host("cat /etc/list"), "first\npkg");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_command_makes_is_edited_by_a_later_step_of_the_same_apply() {
    let site = Project::new();
    site.playbook(
        r#"
[[step]]
command = { run = "mkdir -p /srv/app && printf 'port=1\nname=x\n' >/srv/app/conf", creates = "/srv/app" }
[[step]]
setting = { path = "/srv/app/conf", key = "port", value = 8080 }
[[step]]
line = { path = "/srv/app/conf", match = "^name=", line = "name=y" }
restart = ["apply-later.service"]
[[step]]
unit = { name = "apply-later.service", content = "[Service]\nExecStart=/bin/sh -c 'cp /srv/app/conf /run/started; exec sleep infinity'\n" }
[[step]]
service = { name = "apply-later", running = true }
"#,
    );
    site.converge();
    assert_eq!(site.on_host("cat /srv/app/conf"), "port=8080\nname=y");
    assert_eq!(site.on_host("ls /var/lib/stockade/owed | wc -l; cat /run/started"), "0\nport=8080\nname=y");
    // What turns out to be impossible later says so, and what is done stays.
    site.on_host("rm -r /srv/app");
    site.playbook(
        "[[step]]\ncommand = { run = \"mkdir /srv/app\", creates = \"/srv/app\" }\n\
         [[step]]\nline = { path = \"/srv/app/none\", line = \"x\" }\n",
    );
    let (code, text) = site.told(&["apply", "site.toml", "--yes"]);
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("there is no /srv/app/none on the host") && text.contains("what was done before stays"),
        "{text}"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_file_that_differs_only_because_of_the_run_is_named_and_asked_for() {
    let site = Project::new();
    packages(&site, &[("spoiler", ":", "echo spoiled >/etc/ours; chmod 600 /etc/mine")]);
    let steps = "[[step]]\npackage = { name = \"spoiler\" }\n\
                 [[step]]\nfile = { path = \"/etc/ours\", content = \"ours\\n\" }\n\
                 [[step]]\nfile = { path = \"/etc/mine\", content = \"mine\\n\" }\n";
    site.playbook(steps);
    site.on_host("echo ours >/etc/ours; echo mine >/etc/mine");
    assert_eq!(site.run(&["plan", "site.toml", "--out", "it.plan"]).code, 0);
    let refused: Ran = ran(program(site.folder()).args(["apply", "it.plan"]));
    assert_eq!(refused.code, 3, "{refused:?}");
    let text = refused.out + &refused.err;
    assert!(text.contains("beyond the plan that was shown: step 2 (file /etc/ours)"), "{text}");
    assert_eq!(site.on_host("cat /etc/ours"), "spoiled", "what nobody has agreed to is not done");
    site.on_host("dpkg -P spoiler; echo ours >/etc/ours; chmod 644 /etc/mine");
    site.playbook(steps);
    let text = site.converge();
    assert!(text.contains("beyond the plan that was shown"), "{text}");
    assert_eq!(site.on_host("cat /etc/ours; stat -c %a /etc/mine"), "ours\n644");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_reboot_that_is_required_is_found_wherever_its_step_stands() {
    let site = Project::new();
    packages(
        &site,
        &[
            ("kernel-one", ":", "touch /run/reboot-required"),
            ("kernel-two", ":", "touch /run/reboot-required"),
            ("quiet", ":", ":"),
        ],
    );
    let reboot = "[[step]]\nreboot = { timeout = 300 }\n";
    let package = |name: &str| format!("[[step]]\npackage = {{ name = \"{name}\" }}\n");
    let file = |name: &str| format!("[[step]]\nfile = {{ path = \"/srv/{name}\", content = \"x\" }}\n");

    let first = site.on_host(BOOT);
    site.playbook(&format!("{}{reboot}{}", package("kernel-one"), file("after")));
    assert_eq!(actions(&site), pairs(&[("1", "create"), ("2", "unknown"), ("3", "create")]));
    site.converge();
    let second = site.on_host(BOOT);
    assert_ne!(first, second);

    site.playbook(&format!("{reboot}{}{}", package("kernel-two"), file("before")));
    assert_eq!(actions(&site), pairs(&[("1", "unknown"), ("2", "create"), ("3", "create")]));
    site.converge();
    let third = site.on_host(BOOT);
    assert_ne!(second, third);

    site.playbook(&format!("{reboot}{}{reboot}{}", package("quiet"), file("quiet")));
    site.converge();
    assert_eq!(site.on_host(BOOT), third, "nothing asks for it");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_command_that_follows_a_change_runs_once_for_it_and_is_never_lost() {
    let site = Project::new();
    let steps = |content: &str, between: &str| {
        format!(
            "[[step]]\nname = \"grub defaults\"\nfile = {{ path = \"/etc/grub-like\", content = \"{content}\\n\" }}\n\
             {between}\
             [[step]]\ncommand = {{ run = \"cat /etc/grub-like >>/srv/updates\", when_changed = [\"grub defaults\"] }}\n\
             [[step]]\ncommand = {{ run = \"echo follows >>/srv/updates\", when_changed = \"previous\" }}\n"
        )
    };
    let fails = "[[step]]\ncommand = { run = \"exit 7\", unless = \"test -e /srv/fixed\" }\n";
    site.playbook(&steps("one", ""));
    assert_eq!(actions(&site), pairs(&[("1", "create"), ("2", "run"), ("3", "run")]));
    site.converge();
    assert_eq!(site.on_host("cat /srv/updates"), "one\nfollows");
    site.converge();
    assert_eq!(site.on_host("cat /srv/updates"), "one\nfollows", "nothing has changed since");

    // A run that ends before it, and a restart of the host, lose nothing.
    site.playbook(&steps("two", fails));
    assert_eq!(site.apply().code, 3);
    site.on_host("touch /srv/fixed; rm -f /run/none");
    assert_eq!(actions(&site), pairs(&[("1", "none"), ("2", "none"), ("3", "run"), ("4", "run")]));
    site.converge();
    assert_eq!(site.on_host("cat /srv/updates"), "one\nfollows\ntwo\nfollows");

    // What is taken back has nothing to follow it.
    site.on_host("rm /srv/fixed");
    site.playbook(&steps("three", fails));
    assert_eq!(site.apply().code, 3);
    site.done(&["undo", &site.host.name, "--yes"]);
    site.on_host("touch /srv/fixed");
    site.playbook(&steps("two", fails));
    let plan = site.run(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{plan:?}");

    for (name, part) in [
        ("grub default", "did you mean 'grub defaults'?"),
        ("nothing like it", "no step has the name or the tag 'nothing like it'"),
    ] {
        site.playbook(&steps("two", "").replace("[\"grub defaults\"]", &format!("[\"{name}\"]")));
        let (code, text) = site.told(&["check", "site.toml"]);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(part) && text.contains("site.toml:"), "{text}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_controller_that_dies_between_two_phases_leaves_the_rest_to_resume() {
    let site = Project::new();
    site.playbook(
        r#"
[[step]]
command = { run = "touch /run/begun; until [ -e /run/go ]; do sleep 0.1; done; echo a=1 >/srv/made", creates = "/srv/made" }
tags = ["made"]
[[step]]
setting = { path = "/srv/made", key = "a", value = 2 }
[[step]]
command = { run = "echo ran >>/srv/followed", when_changed = ["made"] }
"#,
    );
    let mut command = site.command(&["apply", "site.toml", "--yes"]);
    let mut controller = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    site.await_on(0, "[ -e /run/begun ]");
    controller.kill().unwrap();
    controller.wait().unwrap();
    site.on_host("touch /run/go");
    site.await_on(0, "grep -qx phase /var/lib/stockade/runs/*/result");
    let plan = site.run(&["plan", "site.toml"]);
    assert!(plan.err.contains("the last apply ended between two phases"), "{plan:?}");
    let text = site.done(&["apply", "site.toml", "--yes", "--resume"]);
    assert_eq!(site.on_host("cat /srv/made /srv/followed"), "a=2\nran", "{text}");
    let plan = site.run(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    assert!(!plan.err.contains("between two phases"), "{plan:?}");
    // The apply that went on with it is taken back with what it went on with.
    let shown = site.done(&["undo", &site.host.name, "--plan"]);
    assert_eq!(shown.matches("undo of run ").count(), 2, "{shown}");
}

/// A unit that takes its configuration up when it is started.
const HELLO: &str = r#"
[[step]]
unit = { name = "hello.service", content = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/local/bin/hello-start\n" }
[[step]]
service = { name = "hello", running = true }
[[step]]
file = { path = "/etc/hello.conf", content = "CONTENT\n" }
restart = ["hello.service"]
"#;

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn restarts_are_done_before_what_needs_them() {
    let site = Project::new();
    let hello = |content: &str, rest: &str| site.playbook(&(HELLO.replace("CONTENT", content) + rest));
    let needs = |content: &str| {
        format!(
            "[[step]]\ncommand = {{ run = \"grep -x {content} /run/hello.conf && touch /srv/{content}\", creates = \"/srv/{content}\" }}\n"
        )
    };
    site.on_host("echo none >/etc/hello.conf; printf '#!/bin/sh\\ncp /etc/hello.conf /run/hello.conf\\n' >/usr/local/bin/hello-start; chmod 755 /usr/local/bin/hello-start");
    hello("one", "");
    site.converge();
    assert_eq!(site.on_host("cat /run/hello.conf"), "one");

    // Without a flush the restart comes at the end: the run fails, the next one restarts first.
    hello("two", &needs("two"));
    assert_eq!(site.apply().code, 3);
    let (code, plan) = site.told(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(code, 2, "{plan}");
    let order = |what: &str| plan.find(what).unwrap_or_else(|| panic!("{what}: {plan}"));
    assert!(order("restart hello.service") < order("(step 4)"), "{plan}");
    site.converge();
    assert_eq!(site.on_host("ls /srv/two"), "/srv/two");

    hello("three", &format!("[[step]]\nflush = {{}}\n{}", needs("three")));
    site.converge();
    assert_eq!(site.on_host("ls /srv/three"), "/srv/three");

    // A restart that fails until this run has put things right is done in the end.
    let command = |run: &str| format!("[[step]]\ncommand = {{ run = \"{run}\", unless = \"test -e /srv/four\" }}\n");
    hello("four", &command("chmod 000 /usr/local/bin/hello-start; exit 9"));
    assert_eq!(site.apply().code, 3);
    hello("four", &command("chmod 755 /usr/local/bin/hello-start; touch /srv/four"));
    site.converge();
    assert_eq!(site.on_host("cat /run/hello.conf; ls /var/lib/stockade/owed | wc -l"), "four\n0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn no_package_is_moved_across_a_step_and_what_it_has_made_is_brought_to_what_is_wanted() {
    let site = Project::new();
    packages(
        &site,
        &[
            ("tree-like", ":", ":"),
            (
                "engine",
                ":",
                "getent group engine || echo none >/srv/order; getent group engine || groupadd --system engine",
            ),
            (
                "maker",
                ":",
                "groupadd --system made; useradd --system --no-create-home maker; mkdir -p /srv/made; ln -s /nowhere /srv/link",
            ),
        ],
    );
    site.playbook(
        r#"
[[step]]
package = { name = "tree-like" }
[[step]]
group = { name = "engine", system = true }
[[step]]
package = { name = "engine" }
[[step]]
package = { name = "maker" }
[[step]]
group = { name = "made", gid = 4711 }
[[step]]
user = { name = "maker", shell = "/bin/bash", home = "/srv/maker", groups = ["made", "engine"], comment = "x y" }
[[step]]
directory = { path = "/srv/made", mode = "0750", owner = "maker" }
[[step]]
link = { path = "/srv/link", target = "/srv/made" }
"#,
    );
    site.converge();
    assert_eq!(site.on_host("ls /srv/order 2>/dev/null || echo in order"), "in order");
    assert_eq!(
        site.on_host("getent group made | cut -d : -f 3,4; id -nG maker; getent passwd maker | cut -d : -f 5-"),
        "4711:maker\nmaker engine made\nx y:/srv/maker:/bin/bash"
    );
    assert_eq!(
        site.on_host("stat -c '%a %U' /srv/made /srv/maker; readlink /srv/link"),
        "750 maker\n750 maker\n/srv/made"
    );
    // The number of the group and the home are known after the package.
    assert_eq!(results(&site), ["phase", "ok"]);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_account_that_a_package_or_command_makes_keeps_what_the_step_does_not_name() {
    let site = Project::new();
    let daemon = "useradd --system --no-create-home --home-dir /var/lib/daemon --shell /usr/sbin/nologin daemon1";
    packages(&site, &[("daemon", ":", daemon)]);
    site.playbook(
        r#"
[[step]]
package = { name = "daemon" }
[[step]]
command = { run = "groupadd team; useradd -m -d /srv/bob -s /bin/dash -g team bob", unless = "id bob" }
[[step]]
user = { name = "daemon1", groups = ["adm"] }
[[step]]
user = { name = "bob", groups = ["adm"], comment = "Bob" }
"#,
    );
    site.converge();
    assert_eq!(
        site.on_host("getent passwd daemon1 bob | cut -d : -f 5-; id -nG daemon1; id -nG bob; ls -d /home/* /srv/bob"),
        ":/var/lib/daemon:/usr/sbin/nologin\nBob:/srv/bob:/bin/dash\ndaemon1 adm\nteam adm\n/home/ubuntu\n/srv/bob"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_does_not_run_or_is_gone_has_nothing_to_reload() {
    let site = Project::new();
    let unit = "[Service]\\nExecStart=/bin/sleep infinity\\nExecReload=/bin/true\\n";
    site.on_host(&format!("printf '{unit}' >/etc/systemd/system/idle.service; systemctl daemon-reload"));
    site.playbook("[[step]]\nfile = { path = \"/etc/idle.conf\", content = \"x\" }\nreload = [\"idle.service\"]\n");
    site.converge();
    assert_eq!(site.on_host("systemctl is-active idle.service || :; ls -A /var/lib/stockade/owed"), "inactive");
    // As an earlier run left it, of a unit that somebody has removed since.
    site.on_host("mkdir -p /var/lib/stockade/owed; cat /proc/sys/kernel/random/boot_id >/var/lib/stockade/owed/restart:gone.service");
    site.playbook("[[step]]\nfile = { path = \"/etc/other.conf\", content = \"x\" }\n");
    site.converge();
    assert_eq!(site.on_host("ls -A /var/lib/stockade/owed"), "");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_the_skeleton_gives_a_new_home_is_edited_by_the_same_apply() {
    let site = Project::new();
    site.on_host(
        "printf '# of the skeleton\\n' | tee /etc/skel/.bashrc /etc/skel/.profile /etc/skel/.old >/etc/skel/.kept",
    );
    site.playbook(&format!(
        r#"
[[step]]
user = {{ name = "gu", authorized_keys = "{KEY}" }}
[[step]]
line = {{ path = "/home/gu/.bashrc", line = "export X=1" }}
[[step]]
block = {{ path = "/home/gu/.profile", content = "umask 027" }}
[[step]]
file = {{ path = "/home/gu/.kept", mode = "0600" }}
[[step]]
file = {{ path = "/home/gu/.old", state = "absent" }}
[[step]]
file = {{ path = "/home/gu/.vimrc", content = "set nu\n", owner = "gu", group = "gu" }}
[[step]]
directory = {{ path = "/home/gu/.config", owner = "gu", group = "gu" }}
"#
    ));
    let plan = site.done(&["plan", "site.toml"]);
    assert!(plan.contains("decided at its turn: depends on step 1"), "{plan}");
    let unknown: Vec<String> =
        actions(&site).into_iter().filter(|(_, action)| action == "unknown").map(|(id, _)| id).collect();
    assert_eq!(unknown, ["2", "3", "4", "5"], "{plan}");
    site.converge();
    assert_eq!(
        site.on_host("cd /home/gu && cat .bashrc .profile && stat -c '%a %U' .bashrc .kept && ls .old 2>&1 | wc -l"),
        "# of the skeleton\nexport X=1\n# of the skeleton\n# BEGIN managed by stockade\numask 027\n\
         # END managed by stockade\n644 gu\n600 gu\n1"
    );
    assert_eq!(results(&site), ["phase", "ok"], "two phases, and no more");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_needs_nothing_of_the_skeleton_takes_no_phase() {
    let site = Project::new();
    site.playbook(&format!(
        r#"
[[step]]
user = {{ name = "gu", authorized_keys = "{KEY}" }}
[[step]]
authorized_keys = {{ user = "gu", keys = "{KEY}" }}
[[step]]
directory = {{ path = "/home/gu/.ssh", owner = "gu", group = "gu", mode = "0700" }}
[[step]]
file = {{ path = "/home/gu/.bashrc", content = "X=1\n", owner = "gu", group = "gu" }}
[[step]]
line = {{ path = "/home/gu/.bashrc", line = "X=1" }}
"#
    ));
    site.converge();
    assert_eq!(site.on_host("cat /home/gu/.bashrc"), "X=1");
    assert_eq!(results(&site), ["ok"]);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_command_that_is_owed_runs_with_the_text_that_is_corrected() {
    let site = Project::new();
    let steps = |before: &str, content: &str, named: &str, unnamed: &str| {
        site.playbook(&format!(
            "{before}[[step]]\nfile = {{ path = \"/srv/conf\", content = \"{content}\\n\" }}\n\
             [[step]]\nname = \"take it up\"\ncommand = {{ run = \"{named}\", when_changed = \"previous\" }}\n\
             [[step]]\nfile = {{ path = \"/srv/other\", content = \"{content}\\n\" }}\n\
             [[step]]\ncommand = {{ run = \"{unnamed}\", when_changed = \"previous\" }}\n"
        ));
    };
    let before = "[[step]]\nfile = { path = \"/srv/first\", content = \"x\\n\" }\n";
    steps("", "1", "cp /srv/conf /srv/nowhere/", "cp /srv/other /srv/also-taken");
    assert_ne!(site.apply().code, 0);
    steps(before, "1", "cp /srv/conf /srv/taken", "cp /srv/other /srv/also-taken; false");
    assert_ne!(site.apply().code, 0);
    assert_eq!(site.on_host("cat /srv/taken"), "1", "it was owed though its text is another one");
    site.on_host("rm /srv/also-taken");
    steps(before, "1", "cp /srv/conf /srv/taken", "cp /srv/other /srv/also-taken");
    site.converge();
    assert_eq!(site.on_host("cat /srv/also-taken; ls /var/lib/stockade/owed | wc -l"), "1\n0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_needs_an_account_that_a_package_or_command_makes_is_decided_at_its_turn() {
    let site = Project::new();
    packages(&site, &[("app", ":", "groupadd app-data; useradd -m -d /srv/app-home -s /bin/sh app")]);
    let made = "command = { run = \"groupadd dep-data; useradd -m -s /bin/sh dep\", unless = \"id dep\" }";
    site.write("files/unit", "[Service]\nExecStart=/bin/true\n");
    site.write("stages/prod.toml", "[env]\nA = \"1\"\n");
    for (source, user, group, home) in
        [("package = { name = \"app\" }", "app", "app-data", "/srv/app-home"), (made, "dep", "dep-data", "/home/dep")]
    {
        let needs = [
            format!("authorized_keys = {{ user = \"{user}\", keys = \"{KEY}\" }}"),
            format!(
                "directory = {{ path = \"/srv/of-{user}\", owner = \"{user}\", group = \"{group}\", mode = \"0750\" }}"
            ),
            format!(
                "file = {{ path = \"/srv/of-{user}/file\", content = \"x\", owner = \"{user}\", mode = \"0600\" }}"
            ),
            format!("env = {{ path = \"/srv/of-{user}/env\", from = \"stage\", owner = \"{user}\" }}"),
            format!(
                "command = {{ run = \"id -un >/srv/of-{user}/who\", creates = \"/srv/of-{user}/who\", as = \"{user}\" }}"
            ),
            format!("user = {{ name = \"with-{user}\", groups = [\"{group}\"] }}"),
        ];
        let steps: String = needs.iter().map(|step| format!("[[step]]\n{step}\n")).collect();
        let name = |step: &str| step.split(" =").next().unwrap().to_owned();
        // With nothing before it that may make the account, each is refused.
        for step in needs.iter().take(5).filter(|step| !step.starts_with("command")) {
            site.playbook(&format!("[[step]]\n{step}\n"));
            let refused = site.run(&["plan", "site.toml", "--stage", "prod"]);
            assert!(
                refused.code == 1 && refused.err.contains(&format!("there is no user '{user}'")),
                "{step}: {refused:?}"
            );
        }
        site.playbook(&format!("[[step]]\n{source}\n{steps}"));
        let plan = site.done(&["plan", "site.toml", "--stage", "prod", "--format", "json"]);
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        let open = plan["hosts"][0]["steps"].as_array().unwrap().iter().filter(|step| step["action"] == "unknown");
        let open: Vec<&str> = open.map(|step| step["kind"].as_str().unwrap()).collect();
        let expected: Vec<String> = needs.iter().take(5).map(|step| name(step)).collect();
        assert_eq!(open, expected, "{plan:#}");
        let applied = site.done(&["apply", "site.toml", "--yes", "--stage", "prod"]);
        let again = site.run(&["plan", "site.toml", "--stage", "prod", "--detailed-exitcode"]);
        assert_eq!(again.code, 0, "{applied}\n{again:?}");
        assert_eq!(
            site.on_host(&format!(
                "stat -c '%U %G %a' {home}/.ssh/authorized_keys /srv/of-{user} /srv/of-{user}/file /srv/of-{user}/env; \
                 cat /srv/of-{user}/who; id -nG with-{user}; sshd -T -C user={user},host=h,addr=192.0.2.1 >/dev/null && \
                 grep -c '^ssh-ed25519' {home}/.ssh/authorized_keys"
            )),
            format!("{user} {user} 600\n{user} {group} 750\n{user} root 600\n{user} root 600\n{user}\nwith-{user} {group}\n1")
        );
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn keys_that_a_command_of_the_run_adds_are_kept() {
    let site = Project::new();
    site.on_host("useradd -m eve; install -d -m 700 -o eve -g eve /home/eve/.ssh");
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINocinsDp91Dc70suRj1rzzasKQ6uQIBJuUtwd6l8YTP imported";
    site.playbook(&format!(
        "[[step]]\ncommand = {{ run = \"echo '{other}' >/home/eve/.ssh/authorized_keys\", unless = \"grep -q imported /home/eve/.ssh/authorized_keys\" }}\n\
         [[step]]\nauthorized_keys = {{ user = \"eve\", keys = \"{KEY}\" }}\n"
    ));
    assert_eq!(actions(&site), pairs(&[("1", "run"), ("2", "unknown")]));
    site.converge();
    assert_eq!(site.on_host("cut -d ' ' -f 3 /home/eve/.ssh/authorized_keys"), "imported\na");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_is_made_where_a_command_may_have_made_it_is_decided_at_its_turn() {
    let site = Project::new();
    site.playbook(
        r#"
[[step]]
command = { run = "mkdir -p /opt/app; echo theirs >/opt/app/conf; echo theirs >/opt/app/gone; touch /opt/app/link", creates = "/opt/app" }
[[step]]
file = { path = "/opt/app/conf", content = "ours\n" }
[[step]]
directory = { path = "/opt/app/data" }
[[step]]
file = { path = "/opt/app/gone", state = "absent" }
[[step]]
command = { run = "echo theirs >/etc/made", creates = "/etc/made" }
[[step]]
file = { path = "/etc/made", content = "ours\n" }
"#,
    );
    let open: Vec<String> =
        actions(&site).into_iter().filter(|(_, action)| action == "unknown").map(|(id, _)| id).collect();
    assert_eq!(open, ["2", "3", "4", "6"]);
    let plan = site.done(&["plan", "site.toml"]);
    assert!(plan.contains("what /opt/app is: (known after apply)"), "{plan}");
    site.converge();
    assert_eq!(site.on_host("cat /opt/app/conf /etc/made; ls /opt/app"), "ours\nours\nconf\ndata\nlink");
    // A command that does not make what it says is named, not only the step that waits for it.
    site.playbook(
        "[[step]]\ncommand = { run = \":\", creates = \"/opt/never\" }\n\
         [[step]]\nfile = { path = \"/opt/never/file\", content = \"x\" }\n",
    );
    let applied = site.apply();
    let text = format!("{}{}", applied.out, applied.err);
    assert!(applied.code == 3 && text.contains("step 1 (") && text.contains("still differs after the apply"), "{text}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_reboot_that_is_asked_for_after_its_turn_comes_at_the_end() {
    let site = Project::new();
    let asks = |name: &str| {
        format!(
            "[[step]]\ncommand = {{ run = \"touch /run/reboot-required /srv/{name}\", creates = \"/srv/{name}\" }}\n"
        )
    };
    let boots = |name: &str| {
        format!(
            "[[step]]\ncommand = {{ run = \"cat /proc/sys/kernel/random/boot_id >/srv/{name}\", creates = \"/srv/{name}\" }}\n"
        )
    };
    let reboot = "[[step]]\nreboot = { timeout = 300 }\n";
    let first = site.on_host(BOOT);
    // The phase that ends before step 3 does not restart the host in its middle.
    site.playbook(
        &format!(
            "{reboot}{}[[step]]\nfile = {{ path = \"/srv/one/file\", content = \"x\", state = \"absent\" }}\n{}",
            asks("one").replace("touch /run/reboot-required /srv/one", "touch /run/reboot-required; mkdir /srv/one"),
            boots("late")
        )
        .replace(", content = \"x\", state", ", state"),
    );
    site.converge();
    assert_eq!(site.on_host("cat /srv/late"), first, "the reboot comes after the last step");
    let second = site.on_host(BOOT);
    assert_ne!(first, second);

    // One at its turn, and one more that is asked for after it.
    site.playbook(&format!("{}{reboot}{}{}", asks("two"), boots("between"), asks("three")));
    site.converge();
    let (between, third) = (site.on_host("cat /srv/between"), site.on_host(BOOT));
    assert!(between != second && between != third, "{second} {between} {third}");

    // Where another reboot follows what asks for it, that one is done.
    site.playbook(&format!("{reboot}{}{reboot}{}", asks("four"), boots("after")));
    let text = site.converge();
    assert_eq!(site.on_host("cat /srv/after"), site.on_host(BOOT), "{text}");
    assert_ne!(site.on_host(BOOT), third);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_step_that_only_its_turn_decides_may_bring_what_later_steps_need() {
    let site = Project::new();
    site.on_host("mkdir /etc/skel/work");
    site.playbook(&format!(
        r#"
[probes]
flag = {{ command = "test -e /etc/flag" }}
[[step]]
file = {{ path = "/etc/flag", content = "x" }}
[[step]]
when = "probes.flag.ok"
user = {{ name = "opened" }}
[[step]]
authorized_keys = {{ user = "opened", keys = "{KEY}" }}
[[step]]
directory = {{ path = "/srv/opened", owner = "opened" }}
[[step]]
user = {{ name = "known" }}
[[step]]
command = {{ run = "pwd >out", creates = "/home/known/work/out", directory = "/home/known/work" }}
"#
    ));
    let expected =
        [("1", "create"), ("2", "unknown"), ("3", "unknown"), ("4", "unknown"), ("5", "create"), ("6", "run")];
    assert_eq!(actions(&site), pairs(&expected));
    site.converge();
    assert_eq!(
        site.on_host("stat -c %U /home/opened/.ssh/authorized_keys /srv/opened; cat /home/known/work/out"),
        "opened\nopened\n/home/known/work"
    );
}
