//! `undo` and `history` on a real host, judged by the host's own files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::on_host;
use crate::support::project::Project;

fn site() -> Project {
    let site = Project::new();
    // sudo leaves a mark of its own at a user's first use.
    site.on_host("touch /home/ubuntu/.sudo_as_admin_successful; apt-get -qq update");
    site
}

/// Every file below /etc and /home: type, mode, owner, link target, bytes.
/// The linker's cache is made by the packages' own scripts.
fn tree(site: &Project) -> String {
    site.on_host(
        "find /etc /home -xdev -printf '%p %y %m %u %g %l\\n' | sort; \
         find /etc /home -xdev -type f ! -name ld.so.cache -exec sha256sum {} + | sort -k2",
    )
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_run_taken_back_leaves_the_tree_as_it_was_byte_for_byte() {
    let site = site();
    let job = format!("{}/tests/bench/job/playbook.toml", env!("CARGO_MANIFEST_DIR"));
    let before = tree(&site);
    let first = site.done(&["plan", &job]);
    site.done(&["apply", &job, "--yes"]);
    assert_ne!(before, tree(&site));
    let shown = site.done(&["undo", &site.host.name, "--packages", "--plan"]);
    assert!(shown.contains("/home/op01"), "{shown}");
    assert_ne!(before, tree(&site), "--plan only shows");

    site.done(&["undo", &site.host.name, "--packages", "--yes"]);
    assert_eq!(before, tree(&site));
    let stripped = |text: &str| {
        text.lines().filter(|l| !l.contains("version:") && !l.contains("looking")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(stripped(&first), stripped(&site.done(&["plan", &job])), "the plan is the first plan again");
    let history = site.done(&["history"]);
    assert!(
        history.contains("2 runs") && history.contains("undo of ") && history.contains("Benchmark job"),
        "{history}"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_somebody_else_has_changed_since_is_left_alone_with_the_reason() {
    let site = site();
    on_host(
        &site.host,
        "printf 'old\\n' >/etc/a.conf; printf 'old\\n' >/etc/b.conf; chmod 600 /etc/a.conf; sysctl -qw net.ipv4.tcp_syncookies=0",
    );
    site.playbook(
        r#"
[[step]]
file = { path = "/etc/a.conf", content = "new\n" }
[[step]]
file = { path = "/etc/b.conf", content = "new\n" }
[[step]]
link = { path = "/etc/c.conf", target = "a.conf" }
[[step]]
file = { path = "/etc/d.conf", content = "new\n" }
[[step]]
sysctl = { key = "net.ipv4.tcp_syncookies", value = 1 }
[[step]]
unit = { name = "hello.service", content = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n" }
[[step]]
service = { name = "hello.service", enabled = true, running = true }
[[step]]
group = { name = "crew" }
"#,
    );
    site.done(&["apply", "site.toml", "--yes"]);
    on_host(&site.host, "printf 'theirs\\n' >/etc/b.conf; echo them >/etc/d.conf; groupadd theirs");

    let text = site.done(&["undo", &site.host.name, "--yes"]);
    // Told once, of both files; the group of others stays, and that of the run goes.
    assert_eq!(text.matches("changed since by someone else (the same for step ").count(), 1, "{text}");
    let found = on_host(
        &site.host,
        "cat /etc/a.conf /etc/b.conf; stat -c %a /etc/a.conf; test -L /etc/c.conf || echo gone; sysctl -n net.ipv4.tcp_syncookies; \
         systemctl is-active hello.service; systemctl cat hello.service 2>&1 | head -n 1; getent group theirs crew | cut -d: -f1; cat /etc/d.conf",
    );
    assert_eq!(found, "old\ntheirs\n600\ngone\n0\ninactive\nNo files found for hello.service.\ntheirs\nthem");

    // The undo is a run like any other: taken back, the first run's state is there again.
    let history: serde_json::Value = serde_json::from_str(&site.done(&["history", "--json"])).unwrap();
    let runs = history["hosts"][&site.host.name].as_array().unwrap();
    assert_eq!(runs[1]["undid"], runs[0]["id"], "{history:#}");
    site.done(&["undo", &site.host.name, runs[1]["id"].as_str().unwrap(), "--yes"]);
    assert_eq!(
        on_host(&site.host, "cat /etc/a.conf; readlink /etc/c.conf; systemctl is-active hello.service"),
        "new\na.conf\nactive"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn there_is_nothing_to_undo_where_nothing_was_run() {
    let site = site();
    let (code, text) = site.told(&["undo", &site.host.name, "--yes"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("there is no such run"), "{text}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_last_fifty_runs_are_remembered_and_older_ones_gone() {
    let site = site();
    let apply = |content: &str| {
        site.playbook(&format!("[[step]]\nfile = {{ path = \"/etc/fifty\", content = \"{content}\" }}\n"));
        site.converge()
    };
    apply("first");
    // As 60 runs before it would have left them, and two that found the host locked.
    on_host(
        &site.host,
        "cd /var/lib/stockade/runs; set -e; r=$(ls); n=$(cat $r/number); cp -a $r /root/first; rm -r $r; i=1; \
         while [ $i -le 60 ]; do d=20250101T0000$(printf %02d $i)Z-aaaaaa; cp -a /root/first $d; sed -i s/$r/$d/g $d/meta; \
         echo $i >$d/number; touch -d \"2025-01-01 UTC + $i minutes\" $d/result; i=$((i + 1)); done; echo 60 >../count; \
         for i in 05 55; do d=20250101T0000${i}Z-bbbbbb; mkdir $d; cp /root/first/meta $d/; : >$d/journal; echo locked >$d/result; \
         touch -d \"2025-01-01 UTC + $i minutes\" $d/result; done",
    );
    apply("second");
    let left = on_host(
        &site.host,
        "cd /var/lib/stockade/runs; sort -n */number | sed -n '1p;$p'; ls | grep -c .; ls | grep bbbbbb",
    );
    // 12 to 61 have numbers, and the later one of the two that had to go.
    assert_eq!(left.lines().collect::<Vec<_>>(), ["12", "61", "51", "20250101T000055Z-bbbbbb"]);
    site.done(&["undo", &site.host.name, "--yes"]);
    assert_eq!(on_host(&site.host, "cat /etc/fifty"), "first");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn access_control_lists_come_back_with_what_a_run_or_a_guard_takes_away() {
    let site = site();
    site.on_host(
        "apt-get -qq install -y acl >/dev/null 2>&1
         echo old >/etc/acl.conf; chmod 640 /etc/acl.conf; setfacl -m u:nobody:r /etc/acl.conf
         mkdir /etc/acl.d; setfacl -m u:nobody:rx -d -m u:nobody:r /etc/acl.d
         echo '# x' >/etc/ssh/sshd_config.d/90-acl.conf
         setfacl -m u:nobody:r /etc/ssh/sshd_config.d/90-acl.conf",
    );
    let lists =
        || site.on_host("getfacl -p /etc/acl.conf /etc/acl.d /etc/ssh/sshd_config.d/90-acl.conf; cat /etc/acl.conf");
    let before = lists();
    assert_eq!(before.matches("user:nobody").count(), 4, "{before}");
    site.playbook(
        r#"
[[step]]
file = { path = "/etc/acl.conf", state = "absent" }
[[step]]
directory = { path = "/etc/acl.d", state = "absent" }
"#,
    );
    site.done(&["apply", "site.toml", "--yes"]);
    site.done(&["undo", &site.host.name, "--yes"]);
    assert_eq!(lists(), before);

    // The new configuration lets nobody in: the guard puts the file back.
    site.playbook(
        r#"
[[step]]
file = { path = "/etc/ssh/sshd_config.d/90-acl.conf", state = "absent" }
guard = true
[[step]]
directory = { path = "/etc/acl.d", state = "absent" }
guard = true
[[step]]
file = { path = "/etc/ssh/sshd_config.d/91-deny.conf", content = "DenyUsers ubuntu\n" }
"#,
    );
    let applied = site.run(&["apply", "site.toml", "--yes", "--guard-timeout", "30"]);
    assert_eq!(applied.code, 5, "{applied:?}");
    assert_eq!(lists(), before);
}

/// An apply of two phases: the second edits what the command of the first has made.
const PHASES: &str = r#"
[[step]]
file = { path = "/etc/first.conf", content = "new\n" }
[[step]]
user = { name = "worker" }
[[step]]
command = { run = "echo a=1 >/srv/made", creates = "/srv/made" }
[[step]]
setting = { path = "/srv/made", key = "a", value = 2 }
[[step]]
file = { path = "/etc/second.conf", content = "new\n" }
[[step]]
user = { name = "helper" }
"#;

const FOUND: &str = "cat /etc/first.conf; ls /etc/second.conf 2>/dev/null || echo no second; cat /srv/made; getent passwd worker helper | cut -d : -f 1; :";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_last_apply_is_taken_back_with_all_its_phases() {
    let site = site();
    site.on_host("echo old >/etc/first.conf");
    site.playbook("[[step]]\nfile = { path = \"/etc/earlier.conf\", content = \"x\" }\n");
    site.converge();
    let before = tree(&site);
    site.playbook(PHASES);
    site.converge();
    let runs = |site: &Project| -> Vec<serde_json::Value> {
        let history: serde_json::Value = serde_json::from_str(&site.done(&["history", "--json"])).unwrap();
        history["hosts"][&site.host.name].as_array().unwrap().clone()
    };
    let applied = runs(&site);
    assert_eq!(applied.len(), 3, "{applied:#?}");
    assert_eq!((&applied[1]["apply"], &applied[2]["apply"]), (&applied[1]["id"], &applied[1]["id"]));
    assert_eq!(applied[0]["apply"], applied[0]["id"]);
    let history = site.done(&["history"]);
    let second = format!("(phase 2 of the apply that began with run {})", applied[1]["id"].as_str().unwrap());
    assert!(history.contains("(phase 1)") && history.contains(&second), "{history}");

    // What the earlier phase has changed is shown as it will be by then.
    let shown = site.done(&["undo", &site.host.name, "--plan"]);
    assert!(shown.contains("/etc/first.conf") && shown.contains("/etc/second.conf"), "{shown}");
    assert!(!shown.contains("changed since"), "{shown}");
    let undone = site.done(&["undo", &site.host.name, "--yes"]);
    assert_eq!(site.on_host(FOUND), "old\nno second\na=1", "{undone}");
    assert_eq!(before, tree(&site));
    assert_eq!(site.on_host("cat /etc/earlier.conf"), "x", "the apply before it stays");
    let undid: Vec<_> = runs(&site).iter().skip(3).map(|run| run["undid"].clone()).collect();
    assert_eq!(undid, [applied[2]["id"].clone(), applied[1]["id"].clone()], "the latest phase first");
    let again = site.done(&["undo", &site.host.name, "--yes"]);
    assert!(again.contains("took it back already"), "{again}");

    // One phase alone, by its name.
    site.on_host("rm /srv/made");
    site.converge();
    let applied = runs(&site);
    site.done(&["undo", &site.host.name, applied.last().unwrap()["id"].as_str().unwrap(), "--yes"]);
    assert_eq!(site.on_host(FOUND), "new\nno second\na=1\nworker");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_unit_that_a_later_phase_has_restarted_runs_with_the_old_files_again() {
    let site = site();
    site.on_host(
        "echo old >/srv/app.conf; echo kept >/srv/kept; printf '[Service]\\nExecStart=/bin/sh -c \"cp /srv/app.conf /run/app.runs; exec sleep infinity\"\\n' >/etc/systemd/system/app.service; systemctl daemon-reload; systemctl start app",
    );
    let runs = || site.on_host("timeout 20 sh -c 'until [ -s /run/app.runs ]; do sleep 0.1; done'; cat /run/app.runs");
    assert_eq!(runs(), "old");
    // The command may change the file that is right: the host is looked at again before the restart.
    site.playbook(
        r#"
[[step]]
command = { run = "touch /srv/done", creates = "/srv/done" }
[[step]]
file = { path = "/srv/kept", content = "kept\n" }
[[step]]
file = { path = "/srv/app.conf", content = "new\n" }
restart = ["app.service"]
"#,
    );
    let shown = site.converge();
    assert!(shown.contains("looked at again before this step"), "{shown}");
    assert_eq!(runs(), "new");
    site.done(&["undo", &site.host.name, "--yes"]);
    assert_eq!(site.on_host("cat /srv/app.conf"), "old");
    assert_eq!(runs(), "old", "the unit has taken the old file up");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_apply_that_fails_in_a_later_phase_is_taken_back_as_a_whole() {
    let site = site();
    site.on_host("echo old >/etc/first.conf");
    let before = tree(&site);
    site.playbook(&format!("{PHASES}[[step]]\ncommand = {{ run = \"exit 7\", unless = \"false\" }}\n"));
    let applied = site.run(&["apply", "site.toml", "--yes", "--undo-on-failure"]);
    assert_eq!(applied.code, 5, "{applied:?}");
    assert_eq!(site.on_host(FOUND), "old\nno second\na=1", "{applied:?}");
    assert_eq!(before, tree(&site));
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn homes_links_and_directories_that_a_run_has_put_elsewhere_go_back() {
    let site = site();
    site.on_host(
        "useradd -m -u 1700 mover; echo kept >/home/mover/kept; chown mover: /home/mover/kept
         useradd -m -u 1701 other; echo kept >/home/other/kept; chown other: /home/other/kept
         useradd -m -u 1702 gone
         echo theirs >/srv/of-gone; chown gone: /srv/of-gone
         ln -s old /srv/link; chown -h other: /srv/link; ln -s old /srv/was-link
         echo one >/srv/hard; ln /srv/hard /srv/other-name; ln /srv/hard /srv/third-name; echo one >/srv/plain",
    );
    let listed = || -> std::collections::BTreeSet<String> {
        let text = site.on_host(
            "find /etc /home /srv -xdev -printf '%p %y %m %U %G %l\\n'; \
             find /etc /home /srv -xdev -type f -exec sha256sum {} +; getent passwd mover other newcomer gone; :",
        );
        text.lines().map(str::to_owned).collect()
    };
    let before = listed();
    site.playbook(
        r#"
[[step]]
user = { name = "mover", home = "/srv/people/mover", uid = 1800 }
[[step]]
user = { name = "other", uid = 1801 }
[[step]]
user = { name = "newcomer", home = "/srv/new/one/newcomer" }
[[step]]
link = { path = "/srv/link", target = "new" }
[[step]]
link = { path = "/srv/was-link", state = "absent" }
[[step]]
directory = { path = "/srv/was-link" }
[[step]]
file = { path = "/srv/was-link/file", content = "new\n" }
[[step]]
file = { path = "/srv/of-gone", state = "absent" }
[[step]]
file = { path = "/srv/hard", content = "two\n" }
[[step]]
file = { path = "/srv/third-name", state = "absent" }
[[step]]
file = { path = "/srv/plain", content = "two\n" }
[[step]]
user = { name = "gone", state = "absent" }
"#,
    );
    site.done(&["apply", "site.toml", "--yes"]);
    assert_eq!(
        site.on_host("stat -c %u /srv/people/mover/kept /home/other/kept; ls /home"),
        "1800\n1801\ngone\nother\nubuntu"
    );
    let undone = site.done(&["undo", &site.host.name, "--yes"]);
    let after = listed();
    assert_eq!(before.symmetric_difference(&after).collect::<Vec<_>>(), Vec::<&String>::new(), "{undone}");
    // A name of several is a file of its own by then, which is said of it and of no other.
    assert_eq!(site.on_host("stat -c %h /srv/hard /srv/other-name /srv/third-name | xargs"), "1 1 1");
    for path in ["/srv/hard", "/srv/third-name"] {
        assert!(undone.contains(&format!("before the run {path} was one of 3 hard links to a file")), "{undone}");
    }
    assert_eq!(undone.matches("hard links").count(), 2, "{undone}");

    // Where somebody has made the old home anew, the moved one stays where it is.
    site.playbook("[[step]]\nuser = { name = \"mover\", home = \"/srv/mover\" }\n[[step]]\nuser = { name = \"gone\", state = \"absent\", remove_home = true }\n");
    site.done(&["apply", "site.toml", "--yes"]);
    site.on_host("mkdir /home/mover");
    let undone = site.done(&["undo", &site.host.name, "--yes"]);
    assert!(undone.contains("/home/mover is there again: what is in /srv/mover stays there"), "{undone}");
    assert!(undone.contains("the run removed the home of gone with all that was in it"), "{undone}");
    assert_eq!(
        site.on_host("ls /srv/mover; getent passwd gone mover | cut -d : -f 6"),
        "kept\n/home/gone\n/home/mover"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn accounts_go_back_entry_by_entry_and_homes_with_more_in_them_stay() {
    let site = site();
    site.on_host("useradd -m -s /bin/sh old; useradd -m -s /bin/sh other");
    site.playbook(
        r#"
[[step]]
package = { name = "tcpdump" }
[[step]]
group = { name = "crew" }
[[step]]
user = { name = "late", groups = ["crew"] }
[[step]]
user = { name = "empty" }
[[step]]
user = { name = "old", shell = "/bin/bash", groups = ["crew"] }
[[step]]
user = { name = "other", shell = "/bin/bash" }
[[step]]
user = { name = "tcpdump", system = true, shell = "/bin/bash" }
"#,
    );
    site.done(&["apply", "site.toml", "--yes"]);
    assert_eq!(site.on_host("getent passwd late old tcpdump | wc -l"), "3");
    site.on_host("useradd -G sudo theirs; usermod -c changed other; echo x >/home/late/thesis.txt");
    let shown = site.done(&["undo", &site.host.name, "--plan"]);
    assert!(shown.contains("there is more in it than the run has put there (thesis.txt)"), "{shown}");
    assert!(shown.contains("user other") && shown.contains("changed since by someone else"), "{shown}");
    assert!(shown.contains("user late: present → absent") || shown.contains("user late"), "{shown}");
    let undone = site.done(&["undo", &site.host.name, "--yes"]);
    let found = site.on_host(
        "getent passwd late empty old other tcpdump theirs | cut -d : -f 1,7; getent group crew late; getent group sudo | cut -d : -f 4; \
         cat /home/late/thesis.txt; ls -d /home/empty 2>/dev/null; grep -c -e ^late: -e ^empty: /etc/shadow /etc/gshadow /etc/subuid; \
         dpkg-query -W -f '${db:Status-Status}\n' tcpdump; pwck -rq; grpck -r; getent shadow theirs | cut -d : -f 1",
    );
    assert_eq!(
        found,
        "old:/bin/sh\nother:/bin/bash\ntcpdump:/usr/sbin/nologin\ntheirs:/bin/sh\nubuntu,theirs\nx\n\
         /etc/shadow:0\n/etc/gshadow:0\n/etc/subuid:0\ninstalled\ntheirs",
        "{undone}"
    );

    // What a later phase of the same apply has brought is nobody else's.
    site.playbook(
        r#"
[[step]]
user = { name = "admin", groups = ["sudo"] }
[[step]]
command = { run = "useradd -r made; echo a=1 >/srv/made", creates = "/srv/made" }
[[step]]
setting = { path = "/srv/made", key = "a", value = 2 }
[[step]]
user = { name = "helper", groups = ["sudo"] }
"#,
    );
    site.converge();
    let undone = site.done(&["undo", &site.host.name, "--yes"]);
    let found =
        site.on_host("getent passwd admin helper made | cut -d : -f 1; getent group sudo | cut -d : -f 4; ls /home");
    assert_eq!(found, "made\nubuntu,theirs\nlate\nold\nother\nubuntu", "{undone}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_packages_brought_comes_back_and_what_cannot_is_said() {
    let site = site();
    site.on_host("systemctl mask other.service; echo old >/etc/text.conf; chmod 644 /etc/text.conf");
    site.playbook(
        r##"
[[step]]
service = { name = "later.service", masked = true }
[[step]]
service = { name = "other.service", masked = false }
[[step]]
directory = { path = "/srv/data" }
[[step]]
file = { path = "/etc/text.conf", content = "new\n" }
[[step]]
file = { path = "/etc/secret.conf", content = "secret\n" }
sensitive = true
[[step]]
package = { name = "beanstalkd" }
[[step]]
file = { path = "/etc/default/beanstalkd", content = "# ours\n" }
"##,
    );
    site.done(&["apply", "site.toml", "--yes"]);
    let masks = || site.on_host("for u in later other; do readlink /etc/systemd/system/$u.service || echo none; done");
    assert_eq!(masks(), "/dev/null\nnone");
    site.on_host("mount -t tmpfs none /srv/data");
    let shown = site.done(&["undo", &site.host.name, "--plan"]);
    assert!(shown.contains("something is mounted there"), "{shown}");
    assert!(shown.contains("-new\n") && shown.contains("+old\n"), "{shown}");
    assert!(!shown.contains("0644 root:root") && !shown.contains("secret\n"), "{shown}");
    let undone = site.done(&["undo", &site.host.name, "--yes"]);
    assert_eq!(masks(), "none\n/dev/null", "{undone}");
    assert_eq!(
        site.on_host("cat /etc/text.conf; ls /etc/secret.conf 2>/dev/null; stat -c %F /srv/data; dpkg --verify beanstalkd; dpkg-query -W -f '${db:Status-Status}' beanstalkd; test -s /etc/default/beanstalkd"),
        "old\ndirectory\ninstalled",
        "{undone}"
    );

    site.on_host("apt-get -qq remove -y beanstalkd >/dev/null 2>&1");
    site.playbook("[[step]]\npackage = { name = \"beanstalkd\", state = \"absent\", purge = true }\n");
    site.done(&["apply", "site.toml", "--yes"]);
    let undone = site.done(&["undo", &site.host.name, "--yes"]);
    assert!(undone.contains("the run purged it: its configuration"), "{undone}");

    // A restart that has failed: the unit runs with the old file again.
    site.on_host(
        "echo true >/srv/app.conf; printf '[Service]\\nExecStart=/bin/sh -e -c \". /srv/app.conf; exec sleep infinity\"\\nRestart=on-failure\\nRestartSec=1\\n' \
         >/etc/systemd/system/app.service; systemctl daemon-reload; systemctl start app",
    );
    site.playbook(
        "[[step]]\nfile = { path = \"/srv/app.conf\", content = \"false\\n\" }\nrestart = [\"app.service\"]\n",
    );
    assert_ne!(site.apply().code, 0);
    site.on_host("timeout 30 sh -c 'until systemctl is-failed app; do sleep 0.2; done' || systemctl show -p ActiveState,SubState app");
    let undone = site.done(&["undo", &site.host.name, "--yes"]);
    assert_eq!(
        site.on_host("cat /srv/app.conf; systemctl is-active app; ls /var/lib/stockade/owed"),
        "true\nactive",
        "{undone}"
    );
}
