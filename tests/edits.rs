//! Edits of files that were there before, on a real host: what a reader of the
//! file makes of it (sshd, the shell, git), and what `stat` says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

mod support;

use support::project::Project;

/// Puts a file on the host as it stands here.
fn put(project: &Project, path: &str, content: &str) {
    assert!(!content.contains("END_OF_FILE"));
    project.on_host(&format!("cat >'{path}' <<'END_OF_FILE'\n{content}END_OF_FILE"));
}

#[test]
fn a_setting_of_sshd_is_in_force_for_all_and_leaves_the_blocks_alone() {
    let Some(project) = Project::new() else { return };
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
fn a_key_of_one_section_is_set_in_it_and_an_ambiguous_one_is_refused() {
    let Some(project) = Project::new() else { return };
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
fn edits_keep_every_byte_that_they_do_not_mean() {
    let Some(project) = Project::new() else { return };
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
fn an_edit_that_would_change_with_every_apply_is_refused_before_the_first() {
    let Some(project) = Project::new() else { return };
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
fn a_missing_file_is_skipped_only_where_the_step_says_so_and_only_while_it_is_missing() {
    let Some(project) = Project::new() else { return };
    let steps = r#"
[[step]]
line = { path = "/etc/later", line = "a=1", missing = "skip" }
[[step]]
setting = { path = "/etc/later", key = "b", value = 2, missing = "skip" }
[[step]]
replace = { path = "/etc/later", match = "old", with = "new", missing = "skip" }
[[step]]
block = { path = "/etc/later", content = "c=3", missing = "skip" }
"#;
    project.playbook(steps);
    let planned = project.done(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(planned.matches("skipped: there is no /etc/later on the host").count(), 4, "{planned}");
    project.converge();
    assert_eq!(project.on_host("test -e /etc/later || echo none"), "none");

    project.on_host("printf 'old\\n' >/etc/later");
    project.converge();
    assert_eq!(
        project.on_host("cat /etc/later"),
        "new\na=1\nb=2\n# BEGIN managed by stockade\nc=3\n# END managed by stockade"
    );

    project.on_host("rm /etc/later");
    for step in steps.split("[[step]]").skip(1) {
        project.playbook(&format!("[[step]]{}", step.replace(", missing = \"skip\"", "")));
        let refused = project.run(&["plan", "site.toml"]);
        assert!(refused.code == 1 && refused.err.contains("there is no /etc/later"), "{step}: {refused:?}");
    }
}
