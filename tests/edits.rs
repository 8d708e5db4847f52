//! Edits of files that were there before, on a real host: what a reader of the
//! file makes of it (sshd, the shell, git), and what `stat` says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;

/// Puts a file on the host as it stands here.
fn put(project: &Project, path: &str, content: &str) {
    assert!(!content.contains("END_OF_FILE"));
    project.on_host(&format!("cat >'{path}' <<'END_OF_FILE'\n{content}END_OF_FILE"));
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_setting_of_sshd_is_in_force_for_all_and_leaves_the_blocks_alone() {
    let project = Project::new();
    project.on_host("cp /etc/ssh/sshd_config /etc/ssh/before; chmod 0600 /etc/ssh/sshd_config");
    project.on_host(
        "printf 'permittty no\\n\\n# for the backup\\nMatch User backup\\n\\tPermitTTY yes\\n\\tMaxSessions 3\\n' >>/etc/ssh/sshd_config",
    );
    project.playbook(
        r#"
[[step]]
setting = { path = "/etc/ssh/sshd_config", key = "PermitTTY", value = "yes" }
[[step]]
setting = { path = "/etc/ssh/sshd_config", key = "MaxSessions", value = 7 }
[[step]]
setting = { path = "/etc/ssh/sshd_config", key = "LoginGraceTime", value = 77 }
[[step]]
setting = { path = "/etc/ssh/sshd_config", key = "MaxAuthTries", value = 5, section = "Match User backup" }
"#,
    );
    project.converge();
    let of = |user: &str, key: &str| {
        project.on_host(&format!("sshd -T -C user={user},host=x,addr=192.0.2.1 | sed -n 's/^{key} //p'"))
    };
    for (key, all, backup) in [
        ("permittty", "yes", "yes"),
        ("maxsessions", "7", "3"),
        ("logingracetime", "77", "77"),
        ("maxauthtries", "6", "5"),
    ] {
        assert_eq!((of("ubuntu", key), of("backup", key)), (all.to_owned(), backup.to_owned()), "{key}");
    }
    assert_eq!(project.on_host("stat -c %a /etc/ssh/sshd_config; sshd -t"), "600");
    assert_eq!(project.on_host("grep -c -i '^permittty' /etc/ssh/sshd_config"), "1");
    project.done(&["undo", &project.host.name, "--yes"]);
    assert_eq!(of("ubuntu", "permittty"), "no");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_key_of_one_section_is_set_in_it_and_an_ambiguous_one_is_refused() {
    let project = Project::new();
    put(
        &project,
        "/etc/my.ini",
        "[client]\nport = 3306\n\n# the server\n[mysqld]\nport = 3306 ; of all\nuser=\"db\"\n",
    );
    let keep = project.on_host("chown ubuntu:adm /etc/my.ini; chmod 0640 /etc/my.ini; sha256sum /etc/my.ini");
    for (fields, reason) in [
        ("key = \"port\", value = 3307", "line 2 in [client], line 6 in [mysqld]"),
        ("key = \"new\", value = 1", "the file has sections ([client], [mysqld])"),
    ] {
        project.playbook(&format!("[[step]]\nsetting = {{ path = \"/etc/my.ini\", {fields} }}\n"));
        let refused = project.apply();
        assert!(refused.code == 1 && refused.err.contains(reason), "{refused:?}");
        assert_eq!(project.on_host("sha256sum /etc/my.ini"), keep, "nothing was touched");
    }
    project.playbook(
        r#"
[[step]]
setting = { path = "/etc/my.ini", section = "mysqld", key = "port", value = 3307 }
[[step]]
setting = { path = "/etc/my.ini", section = "mysqld", key = "user", value = "mysql" }
[[step]]
setting = { path = "/etc/my.ini", section = "client", key = "ssl", value = 1 }
[[step]]
setting = { path = "/etc/my.ini", section = "mysqldump", key = "quick", value = "on" }
"#,
    );
    project.converge();
    assert_eq!(
        project.on_host("cat /etc/my.ini; stat -c '%U:%G %a' /etc/my.ini"),
        "[client]\nport = 3306\nssl = 1\n\n# the server\n[mysqld]\nport = 3307 ; of all\nuser=\"mysql\"\n\n\
         [mysqldump]\nquick = on\nubuntu:adm 640"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn edits_keep_every_byte_that_they_do_not_mean() {
    let project = Project::new();
    project.on_host(
        "printf 'a=1\\r\\nb=2\\r\\n# z\\r\\n' >/etc/crlf; printf 'a=1\\nb=2\\n# z' >/etc/bare; chmod 0604 /etc/crlf /etc/bare",
    );
    let steps: String = ["/etc/crlf", "/etc/bare"]
        .map(|path| {
            format!(
                "[[step]]\nsetting = {{ path = \"{path}\", key = \"a\", value = 9 }}\n\
                 [[step]]\nline = {{ path = \"{path}\", match = '^# (z)$', line = '# \\1\\1' }}\n\
                 [[step]]\nreplace = {{ path = \"{path}\", match = '^b=(\\d)$', with = 'b=x\\1' }}\n\
                 [[step]]\nblock = {{ path = \"{path}\", content = \"c\\nd\", insert_before = \"^#\" }}\n\
                 [[step]]\nline = {{ path = \"{path}\", line = \"top\", insert_before = \"^\" }}\n"
            )
        })
        .concat();
    project.playbook(&steps);
    project.converge();
    let block = ["# BEGIN managed by stockade", "c", "d", "# END managed by stockade"];
    let lines = [&["top", "a=9", "b=x2"][..], &block, &["# zz"]].concat();
    let shown = |end: &str, last: &str| format!("{}{last}", lines.join(end));
    assert_eq!(project.on_host("base64 -w0 /etc/crlf"), base64(&shown("\r\n", "\r\n")));
    assert_eq!(project.on_host("base64 -w0 /etc/bare"), base64(&shown("\n", "")));
    assert_eq!(project.on_host("stat -c %a /etc/crlf /etc/bare"), "604\n604");

    project.playbook(&steps.replace("content = \"c\\nd\", insert_before = \"^#\"", "state = \"absent\""));
    project.converge();
    assert_eq!(project.on_host("base64 -w0 /etc/bare"), base64("top\na=9\nb=x2\n# zz"));
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_edit_that_would_change_with_every_apply_is_refused_before_the_first() {
    let project = Project::new();
    put(&project, "/etc/default/grub", "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX=\"audit=1\"\n");
    put(&project, "/etc/twice", "# BEGIN x\n# BEGIN x\n# END x\n");
    let keep = project.on_host("sha256sum /etc/default/grub /etc/twice");
    for (step, reason) in [
        (
            r#"line = { path = "/etc/default/grub", match = '^(GRUB_CMDLINE_LINUX=".*)"$', line = '\1 quiet"' }"#,
            "line 2",
        ),
        (
            r#"replace = { path = "/etc/default/grub", match = "audit", with = "audit_audit" }"#,
            "would change with every apply",
        ),
        (r#"block = { path = "/etc/twice", name = "x", content = "a" }"#, "damaged markers"),
    ] {
        project.playbook(&format!("[[step]]\n{step}\n"));
        let refused = project.apply();
        assert!(refused.code == 1 && refused.err.contains(reason), "{step}: {refused:?}");
        assert!(refused.err.contains("site.toml:"), "the place of the step is told: {refused:?}");
    }
    assert_eq!(project.on_host("sha256sum /etc/default/grub /etc/twice"), keep);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_missing_file_is_skipped_only_where_the_step_says_so_and_only_while_it_is_missing() {
    let project = Project::new();
    let steps = r#"
[[step]]
line = { path = "/etc/later", line = "a=1", missing = "skip" }
[[step]]
setting = { path = "/etc/later", key = "b", value = 2, missing = "skip" }
[[step]]
replace = { path = "/etc/later", match = "old", with = "new", missing = "skip" }
[[step]]
block = { path = "/etc/later", content = "c=3", missing = "skip" }
[[step]]
file = { path = "/etc/later", mode = "0600", missing = "skip" }
"#;
    project.playbook(steps);
    let planned = project.done(&["plan", "site.toml", "--detailed-exitcode"]);
    let note = r#"there is no /etc/later on the host (missing = "skip") (the same for the steps 2, 3, 4, 5)"#;
    assert_eq!(planned.matches(note).count(), 1, "{planned}");
    project.converge();
    assert_eq!(project.on_host("test -e /etc/later || echo none"), "none");

    project.on_host("printf 'old\\n' >/etc/later");
    project.converge();
    assert_eq!(
        project.on_host("cat /etc/later; stat -c %a /etc/later"),
        "new\na=1\nb=2\n# BEGIN managed by stockade\nc=3\n# END managed by stockade\n600"
    );

    project.on_host("rm /etc/later");
    for step in steps.split("[[step]]").skip(1) {
        project.playbook(&format!("[[step]]{}", step.replace(", missing = \"skip\"", "")));
        let refused = project.run(&["plan", "site.toml"]);
        assert!(refused.code == 1 && refused.err.contains("there is no /etc/later"), "{step}: {refused:?}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn owner_and_mode_of_what_exists_are_set_without_touching_it_and_come_back() {
    let project = Project::new();
    let stat =
        "stat -c '%n %F %U:%G %a' /srv/f /srv/d /srv/d/in /srv/p /srv/suid /srv/l; sha256sum /srv/f; readlink /srv/l";
    project.on_host(
        "cd /srv; printf secret >f; mkdir -m 2755 d; touch d/in; mkfifo p; cp /bin/true suid; chmod 4755 suid; ln -s f l",
    );
    let before = project.on_host(stat);
    project.playbook(
        r#"
[[step]]
file = { path = "/srv/f", owner = "ubuntu", mode = "0600" }
[[step]]
file = { path = "/srv/d", group = "adm" }
[[step]]
file = { path = "/srv/p", mode = "0620", group = "tty" }
[[step]]
file = { path = "/srv/suid", group = "adm" }
"#,
    );
    project.converge();
    let after = project.on_host(stat);
    for line in [
        "/srv/f regular file ubuntu:root 600",
        "/srv/d directory root:adm 2755",
        "/srv/d/in regular empty file root:root 644",
        "/srv/p fifo root:tty 620",
        "/srv/suid regular file root:adm 4755",
    ] {
        assert!(after.lines().any(|found| found == line), "{line}: {after}");
    }
    assert_eq!(after.lines().last(), before.lines().last());
    project.done(&["undo", &project.host.name, "--yes"]);
    assert_eq!(project.on_host(stat), before);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_link_leads_to_is_edited_and_the_link_stays() {
    let project = Project::new();
    project.on_host(
        "mkdir -p /srv/app/available /srv/app/enabled; cd /srv/app; printf 'a=1\nb\n' >available/x; chmod 640 available/x; \
         chgrp adm available/x; ln -s ../available/x enabled/x; ln -s enabled /srv/app/current; ln -s gone dangling; \
         install -d -o ubuntu /srv/u; ln -s /etc/passwd /srv/u/out; printf 'c\n' >/srv/u/in; ln -s in /srv/u/stays",
    );
    let look = "cd /srv/app; stat -c '%n %F %U:%G %a' available/x enabled/x current; cat available/x /srv/u/in; readlink enabled/x";
    let before = project.on_host(look);
    project.playbook(
        r#"
[[step]]
line = { path = "/srv/app/enabled/x", line = "x" }
[[step]]
setting = { path = "/srv/app/current/x", key = "a", value = 2 }
[[step]]
replace = { path = "/srv/app/enabled/x", match = "^b$", with = "c" }
[[step]]
block = { path = "/srv/app/available/x", content = "d\n" }
[[step]]
file = { path = "/srv/app/enabled/x", mode = "0600" }
[[step]]
line = { path = "/srv/u/stays", line = "d" }
"#,
    );
    let plan = project.done(&["plan", "site.toml"]);
    assert!(plan.contains("/srv/app/enabled/x is a link: /srv/app/available/x, to which it leads, is meant"), "{plan}");
    project.converge();
    let after = project.on_host(look);
    assert!(after.starts_with("available/x regular file root:adm 600\nenabled/x symbolic link"), "{after}");
    assert!(
        after.ends_with("a=2\nc\nx\n# BEGIN managed by stockade\nd\n# END managed by stockade\nc\nd\n../available/x"),
        "{after}"
    );
    project.done(&["undo", &project.host.name, "--yes"]);
    assert_eq!(project.on_host(look), before);

    for (step, why) in [
        ("line = { path = \"/srv/app/dangling\", line = \"x\" }", "is a link to /srv/app/gone, where nothing stands"),
        (
            "line = { path = \"/srv/u/out\", line = \"x\" }",
            "out of /srv/u, which the user ubuntu may write, to /etc/passwd",
        ),
        (
            "file = { path = \"/srv/u/out\", mode = \"0666\" }",
            "out of /srv/u, which the user ubuntu may write, to /etc/passwd",
        ),
    ] {
        project.playbook(&format!("[[step]]\n{step}\n"));
        let refused = project.run(&["plan", "site.toml"]);
        assert!(refused.code == 1 && refused.err.contains(why), "{step}: {refused:?}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_tree_gets_its_owner_and_modes_without_leaving_it_and_each_entry_gets_its_own_back() {
    let project = Project::new();
    project.on_host(
        "mkdir -p '/srv/app/a b' /srv/app/d/e /srv/beside; cd /srv/app; for i in $(seq 200); do echo $i >d/f$i; done; \
         chown daemon:adm d/f7; chmod 0755 d/f8; chmod 4755 d/f9; printf x >\"a b/it's\"; printf x >\"$(printf 'new\\nline')\"; \
         ln -s /etc/shadow d/shadow; ln -s /srv/beside d/e/out; ln -s . loop; touch /srv/beside/x; mkdir m; mount -t tmpfs none m; touch m/x",
    );
    let tree = "find /srv /etc/shadow -printf '%p %y %U %G %m\\n' | sort";
    let before = project.on_host(tree);
    project.playbook(
        r#"
[[step]]
directory = { path = "/srv/app", owner = "ubuntu", group = "ubuntu", mode = "0750", recursive = true, file_mode = "0640", directory_mode = "2750" }
"#,
    );
    let planned = project.run(&["plan", "site.toml"]);
    assert!(
        planned.out.contains("owner below: 208 of 208 differ (") && planned.out.contains("and 205 more"),
        "{planned:?}"
    );
    assert!(planned.out.contains("another file system is mounted at m"), "{planned:?}");
    assert_eq!(project.on_host(tree), before, "a plan touches nothing");
    project.converge();
    let wrong = "cd /srv/app; find . -xdev ! -path ./m ! \\( -user ubuntu -group ubuntu \\); find . -xdev -mindepth 1 -type f ! -perm 0640; \
                 find . -xdev -mindepth 1 -type d ! -path ./m ! -perm 2750; stat -c '%a' .";
    assert_eq!(project.on_host(wrong), "750");
    let outside = "stat -c '%n %U %G %a' /etc/shadow /srv/beside /srv/beside/x /srv/app/m /srv/app/m/x";
    assert_eq!(
        project.on_host(outside),
        "/etc/shadow root shadow 640\n/srv/beside root root 755\n/srv/beside/x root root 644\n\
         /srv/app/m root root 1777\n/srv/app/m/x root root 644"
    );

    // One entry drifts: it alone is named.
    project.on_host("chown root /srv/app/d/f3");
    let drifted = project.run(&["plan", "site.toml"]);
    assert!(drifted.out.contains("owner below: 1 of 208 differ (d/f3 root)"), "{drifted:?}");
    project.on_host("chown ubuntu /srv/app/d/f3");

    // What was changed since stays, the rest comes back.
    project.on_host("chown daemon /srv/app/d/f5");
    let undone = project.done(&["undo", &project.host.name, "--yes"]);
    assert!(undone.contains("left alone"), "{undone}");
    project.on_host(
        "chown root:root /srv/app/d/f5; chmod 644 /srv/app/d/f5; cd /srv/app; chown root:root new*; chmod 644 new*",
    );
    assert_eq!(project.on_host(tree), before);

    project.playbook(
        "[[step]]\ndirectory = { path = \"/srv/app\", owner = \"daemon\", recursive = true, other_file_systems = true }\n",
    );
    project.converge();
    assert_eq!(project.on_host("stat -c %U /srv/app/m /srv/app/m/x /srv/beside/x"), "daemon\ndaemon\nroot");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_tree_that_the_login_needs_is_guarded_and_put_back_entry_by_entry() {
    let project = Project::new();
    project.on_host(
        "touch /home/ubuntu/.sudo_as_admin_successful; mkdir /home/ubuntu/x; touch '/home/ubuntu/x/a b'; chown daemon '/home/ubuntu/x/a b'",
    );
    let tree = "find /home -printf '%p %y %U %G %m\\n' | sort";
    let before = project.on_host(tree);
    project.playbook(
        "[[step]]\ndirectory = { path = \"/home/ubuntu\", owner = \"daemon\", mode = \"0750\", recursive = true, file_mode = \"0600\" }\n",
    );
    let ran = project.run(&["apply", "site.toml", "--yes", "--guard-timeout", crate::support::guard_seconds(12)]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(project.on_host(tree), before, "{ran:?}");
    assert_eq!(project.run(&["facts"]).code, 0, "the host is reachable");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_command_of_the_run_makes_is_edited_in_the_same_apply() {
    let project = Project::new();
    project.playbook(
        r#"
[[step]]
command = { run = "mkdir -p /srv/app/sub; printf 'a=1\nold\n' >/srv/app/conf; cp /srv/app/conf /srv/app/sub/more", creates = "/srv/app/conf" }
[[step]]
setting = { path = "/srv/app/conf", key = "a", value = 2 }
[[step]]
replace = { path = "/srv/app/conf", match = "^old$", with = "new" }
[[step]]
block = { path = "/srv/app/conf", content = "b=3", insert_before = "^" }
[[step]]
line = { path = "/srv/app/none", line = "x", missing = "skip" }
[[step]]
file = { path = "/srv/app/conf", mode = "0600" }
[[step]]
directory = { path = "/srv/app", owner = "ubuntu", recursive = true, directory_mode = "0700" }
"#,
    );
    let planned = project.run(&["plan", "site.toml"]);
    assert!(planned.code == 0 && planned.out.contains("decided at its turn: depends on step 1"), "{planned:?}");
    project.converge();
    assert_eq!(
        project.on_host(
            "cat /srv/app/conf; cd /srv/app; stat -c '%n %U %a' . conf sub sub/more; test -e none || echo none"
        ),
        "# BEGIN managed by stockade\nb=3\n# END managed by stockade\na=2\nnew\n. ubuntu 755\nconf ubuntu 600\nsub ubuntu 700\nsub/more ubuntu 644\nnone"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_block_and_a_line_of_sshd_are_in_force_for_all_though_blocks_follow() {
    let project = Project::new();
    project.on_host("printf '\\n# for the backup\\nMatch User backup\\n\\tPermitTTY no\\n' >>/etc/ssh/sshd_config");
    project.playbook(
        r#"
[[step]]
block = { path = "/etc/ssh/sshd_config", content = "LoginGraceTime 77\nMaxSessions 7\n" }
[[step]]
line = { path = "/etc/ssh/sshd_config", line = "ClientAliveInterval 33" }
[[step]]
setting = { path = "/etc/ssh/sshd_config", key = "MaxAuthTries", value = 5 }
[[step]]
block = { path = "/etc/ssh/sshd_config", name = "of git", content = "Match User git\n\tMaxSessions 3\n" }
"#,
    );
    project.converge();
    let of = |user: &str, key: &str| {
        project.on_host(&format!("sshd -T -C user={user},host=x,addr=192.0.2.1 | sed -n 's/^{key} //p'"))
    };
    for (key, all, backup) in [
        ("logingracetime", "77", "77"),
        ("maxsessions", "7", "7"),
        ("clientaliveinterval", "33", "33"),
        ("maxauthtries", "5", "5"),
        ("permittty", "yes", "no"),
    ] {
        assert_eq!((of("ubuntu", key), of("backup", key)), (all.to_owned(), backup.to_owned()), "{key}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn capabilities_and_set_id_bits_of_programs_outlive_a_change_of_their_owner() {
    let project = Project::new();
    project.on_host(
        "groupadd tools; mkdir -p /opt/t/sub
         for f in /opt/one /opt/t/two '/opt/t/sub/a b'; do cp /bin/true \"$f\"; setcap cap_net_raw,cap_chown=ep \"$f\"; done
         cp /bin/true /opt/t/none; cp /bin/true /opt/suid; chmod 4755 /opt/suid",
    );
    let of = "getcap /opt/one /opt/t/two '/opt/t/sub/a b' /opt/t/none | sed 's/^.* //'; stat -c '%G %a' /opt/one /opt/suid '/opt/t/sub/a b'";
    let before = project.on_host(of);
    assert_eq!(before.matches("cap_net_raw").count(), 3, "{before}");
    project.playbook(
        "[[step]]\nfile = { path = \"/opt/one\", group = \"tools\" }\n[[step]]\nfile = { path = \"/opt/suid\", group = \"tools\" }\n\
         [[step]]\ndirectory = { path = \"/opt/t\", group = \"tools\", recursive = true }\n",
    );
    project.converge();
    assert_eq!(project.on_host(of), before.replace("root 755", "tools 755").replace("root 4755", "tools 4755"));
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn owners_are_compared_by_their_numbers() {
    let project = Project::new();
    project.on_host(
        "useradd -o -u 0 -g 0 -M toor; groupadd -o -g 0 wheel; useradd -u 7001 first; useradd -o -u 7001 -g first second
         mkdir /srv/t; touch /srv/mine /srv/t/a /srv/t/b; chown 7002:7002 /srv/mine; chown -R first:first /srv/t; chmod 4755 /srv/t/a",
    );
    project.playbook(
        r#"
[[step]]
file = { path = "/etc/named", content = "x\n", owner = "toor", group = "wheel" }
[[step]]
user = { name = "third", uid = 7002 }
[[step]]
file = { path = "/srv/mine", owner = "third", group = "7002" }
[[step]]
directory = { path = "/srv/t", owner = "second", group = "7001", recursive = true }
[[step]]
line = { path = "/etc/cron.d/job", line = "@daily root true", create = true }
[[step]]
file = { path = "/etc/cron.d/job", owner = "toor", mode = "0644" }
"#,
    );
    let planned = project.done(&["plan", "site.toml"]);
    for same in ["/srv/mine", "directory /srv/t", "cron ignores", "file /etc/cron.d/job"] {
        assert!(!planned.contains(same), "{same} does not differ: {planned}");
    }
    assert!(planned.contains("owner: toor:wheel"), "{planned}");
    project.converge();
    assert_eq!(
        project.on_host("stat -c '%u:%g %a' /etc/named /srv/mine /srv/t/a /srv/t/b"),
        "0:0 644\n7002:7002 644\n7001:7001 4755\n7001:7001 644"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn other_names_of_a_file_and_lists_that_a_new_one_inherits_are_told() {
    let project = Project::new();
    project.on_host(
        "cd /srv; mkdir d; grant='import os, pwd, struct
def entry(tag, bits, who=0xffffffff): return struct.pack(\"<HHI\", tag, bits, who)
ubuntu = pwd.getpwnam(\"ubuntu\").pw_uid
entries = entry(1, 7) + entry(2, 6, ubuntu) + entry(4, 5) + entry(16, 7) + entry(32, 5)
os.setxattr(\"d\", \"system.posix_acl_default\", struct.pack(\"<I\", 2) + entries)'
         python3 -c \"$grant\"
         for f in file line setting replace block mode; do printf 'a=1\\nb\\n' >$f; ln $f other-$f; done",
    );
    project.playbook(
        r#"
[[step]]
file = { path = "/srv/file", content = "x\n" }
[[step]]
line = { path = "/srv/line", line = "x" }
[[step]]
setting = { path = "/srv/setting", key = "a", value = 2 }
[[step]]
replace = { path = "/srv/replace", match = "^b$", with = "c" }
[[step]]
block = { path = "/srv/block", content = "x" }
[[step]]
line = { path = "/srv/block", line = "y" }
[[step]]
file = { path = "/srv/mode", mode = "0600" }
[[step]]
file = { path = "/srv/d/new", content = "x\n", mode = "0640" }
[[step]]
file = { path = "/srv/d/tool", content = "x\n", mode = "4750" }
[[step]]
directory = { path = "/srv/d/sub" }
"#,
    );
    let planned = project.done(&["plan", "site.toml"]);
    for name in ["file", "line", "setting", "replace", "block"] {
        let note = format!("/srv/{name} is one of 2 hard links to a file: it is replaced by a file of its own");
        assert_eq!(planned.matches(&note).count(), 1, "{name}: {planned}");
    }
    assert!(planned.contains("/srv/mode is one of 2 hard links to a file: owner and mode change"), "{planned}");
    let note = "/srv/d has an access control list: what it holds for new directories, /srv/d/sub gets beside its mode";
    assert_eq!(planned.matches("has an access control list").count(), planned.matches(note).count(), "{planned}");
    assert_eq!(planned.matches(note).count(), 1, "{planned}");
    // Steps that edit one file stand in the order of the playbook, and are done in it.
    let order = |text: &str| {
        let places: Vec<usize> = (1..=10).filter_map(|step| text.find(&format!("(step {step})"))).collect();
        assert_eq!(places.len(), 10, "{text}");
        assert!(places.is_sorted(), "{text}");
    };
    order(&planned);
    order(&project.converge());
    assert_eq!(
        project.on_host(
            "cd /srv; cat other-file other-block; stat -c '%a %h' other-line mode other-mode; ls -ld d/new d/tool d/sub | cut -c 1-11"
        ),
        "a=1\nb\na=1\nb\n644 1\n600 2\n600 2\n-rw-r----- \ndrwxr-xr-x+\n-rwsr-x---",
        "a file has no more permissions than its mode says"
    );
}
