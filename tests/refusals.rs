//! What a plan refuses because it is known to fail or to undo itself, and
//! that nothing is touched then; by the program on a real host.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a host that cannot be used must stop the test

use crate::support::program;
use crate::support::project::{Project, ran};
use std::process::Command;

/// The plan of these steps is refused (exit code 1) with all of these parts in the message.
fn refused(project: &Project, steps: &str, parts: &[&str]) {
    project.playbook(steps);
    let planned = project.run(&["plan", "site.toml"]);
    assert_eq!(planned.code, 1, "{steps}\n{planned:?}");
    for part in parts {
        assert!(planned.err.contains(part), "{steps}\nlacks {part:?}: {}", planned.err);
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn steps_that_contradict_each_other_are_refused_with_both_places() {
    let project = Project::new();
    project.on_host("printf 'a = 1\\nline\\n' >/etc/app.conf");
    project.on_host(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' \
         >/etc/systemd/system/own.service; systemctl daemon-reload",
    );
    let file = |fields: &str| format!("file = {{ path = \"/etc/x\", {fields} }}");
    let setting = |fields: &str| format!("setting = {{ path = \"/etc/app.conf\", separator = \" = \", {fields} }}");
    let cases = [
        (setting("key = \"a\", value = 2"), setting("key = \"a\", value = 3")),
        // The first finds nothing to do; the second takes away what it found.
        (setting("key = \"a\", value = 1"), setting("key = \"a\", state = \"absent\"")),
        (
            "line = { path = \"/etc/app.conf\", line = \"line\" }".to_owned(),
            "line = { path = \"/etc/app.conf\", match = \"^li\", state = \"absent\" }".to_owned(),
        ),
        (file("content = \"1\""), file("content = \"2\"")),
        (file("content = \"1\""), file("content = \"1\", mode = \"0600\"")),
        (file("content = \"1\""), file("state = \"absent\"")),
        ("directory = { path = \"/srv/x\" }".into(), "directory = { path = \"/srv/x\", state = \"absent\" }".into()),
        ("directory = { path = \"/srv/x\" }".into(), "directory = { path = \"/srv/x\", mode = \"0700\" }".into()),
        ("link = { path = \"/srv/l\", target = \"a\" }".into(), "link = { path = \"/srv/l\", target = \"b\" }".into()),
        (
            "service = { name = \"fstrim.timer\", running = false, enabled = false }".into(),
            "service = { name = \"fstrim.timer\", enabled = true }".into(),
        ),
        ("service = { name = \"own\", running = true }".into(), "unit = { name = \"own\", state = \"absent\" }".into()),
        (
            "service = { name = \"own\", enabled = true, running = true }".into(),
            "unit = { name = \"own\", state = \"absent\" }".into(),
        ),
        ("package = { name = \"less\" }".into(), "package = { name = \"less\", state = \"absent\" }".into()),
        // What belongs to an account that goes belongs to a number.
        (file("content = \"1\", owner = \"games\""), "user = { name = \"games\", state = \"absent\" }".into()),
        (file("content = \"1\", group = \"games\""), "user = { name = \"games\", state = \"absent\" }".into()),
        (file("content = \"1\", group = \"src\""), "group = { name = \"src\", state = \"absent\" }".into()),
        (
            "user = { name = \"ann\", groups = [\"games\"] }".into(),
            "user = { name = \"ann\", groups = [], exclusive_groups = true }".into(),
        ),
        (
            "user = { name = \"ann\", shell = \"/bin/sh\" }".into(),
            "user = { name = \"ann\", shell = \"/bin/bash\" }".into(),
        ),
        ("user = { name = \"ann\" }".into(), "user = { name = \"ann\", state = \"absent\" }".into()),
        ("group = { name = \"team\" }".into(), "group = { name = \"team\", state = \"absent\" }".into()),
        ("hostname = { value = \"one\" }".into(), "hostname = { value = \"two\" }".into()),
        (
            "sysctl = { key = \"net.ipv4.ip_forward\", value = 1, live = false }".into(),
            "sysctl = { key = \"net/ipv4/ip_forward\", value = 2, live = false }".into(),
        ),
    ];
    for (first, second) in &cases {
        let steps = format!("[[step]]\nname = \"one\"\n{first}\n[[step]]\nname = \"two\"\n{second}\n");
        refused(&project, &steps, &["step 1 (one) at site.toml:3:", "step 2 (two) at site.toml:6:", "takes back"]);
    }
    assert_eq!(project.on_host("systemctl is-active own || :"), "inactive");
    assert_eq!(project.on_host("cat /etc/app.conf; ls /etc/x /srv 2>/dev/null || :"), "a = 1\nline\n/srv:");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_restart_of_a_unit_that_nothing_brings_is_refused_at_its_step() {
    let project = Project::new();
    let file = "file = { path = \"/etc/x\", content = \"1\" }";
    for field in ["restart", "reload"] {
        let steps = format!("[[step]]\nname = \"one\"\n{file}\n{field} = [\"nosuch.service\"]\n");
        let parts = ["step 1 (one) at site.toml:3:", "there is no unit nosuch.service on this host", field];
        refused(&project, &steps, &parts);
    }
    // A step of the run, before it or after it, may bring the unit.
    project.playbook(&format!(
        r#"
[[step]]
{file}
restart = ["late.service", "early.service"]
[[step]]
command = {{ run = "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/early.service; systemctl daemon-reload", creates = "/etc/systemd/system/early.service" }}
[[step]]
unit = {{ name = "late", content = "[Service]\nExecStart=/bin/sleep infinity\n" }}
"#
    ));
    project.converge();
    assert_eq!(project.on_host("systemctl is-active early late"), "active\nactive");
    // What is there already is named as before, and a step that changes nothing restarts nothing.
    project.playbook(&format!("[[step]]\n{file}\nrestart = [\"nosuch.service\"]\n"));
    let planned = project.run(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(planned.code, 0, "{planned:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn steps_that_work_together_or_cannot_be_predicted_are_no_contradiction() {
    let project = Project::new();
    project.playbook(
        r#"
[[step]]
directory = { path = "/srv/app" }
[[step]]
file = { path = "/srv/app/conf", content = "a = 1\nb = 2\n" }
[[step]]
setting = { path = "/srv/app/conf", key = "a", value = 1, separator = " = " }
[[step]]
setting = { path = "/srv/app/conf", key = "b", value = 2, separator = " = " }
[[step]]
line = { path = "/srv/app/conf", match = "^c", state = "absent" }
[[step]]
user = { name = "ann", groups = ["games"] }
[[step]]
user = { name = "ann", shell = "/bin/bash", groups = ["audio"] }
[[step]]
unit = { name = "app.service", content = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n" }
[[step]]
service = { name = "app", enabled = true }
[[step]]
service = { name = "app", running = true }
[[step]]
command = { run = "mkdir -p /srv/made/by && touch /srv/made/by/command", creates = "/srv/made/by/command" }
[[step]]
file = { path = "/srv/made/by/file", content = "x\n" }
"#,
    );
    project.converge();
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_is_known_to_fail_fails_in_the_plan_and_touches_nothing() {
    let project = Project::new();
    project.on_host(
        "printf x >/srv/plain
         printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/own.service; systemctl daemon-reload
         groupadd -g 7777 'c++'; useradd -M -d /nonexistent svc",
    );
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v";
    let cases = [
        ("file = { path = \"/srv/a/b\", content = \"x\" }", "there is no /srv/a on the host"),
        ("link = { path = \"/srv/a/b\", target = \"x\" }", "there is no /srv/a on the host"),
        ("line = { path = \"/srv/a/b\", line = \"x\", create = true }", "there is no /srv/a on the host"),
        ("setting = { path = \"/srv/a/b\", key = \"x\", value = 1, create = true }", "say parents = true"),
        ("file = { path = \"/srv/plain/b\", content = \"x\" }", "/srv/plain is a regular file on the host"),
        ("file = { path = \"/srv/plain/b/c\", content = \"x\", parents = true }", "not a directory"),
        ("directory = { path = \"/srv/plain/b\" }", "/srv/plain is a regular file on the host"),
        ("file = { path = \"/srv/x\", content = \"x\", owner = \"noone\" }", "there is no user 'noone' on the host"),
        ("file = { path = \"/srv/x\", content = \"x\", group = \"noone\" }", "there is no group 'noone' on the host"),
        ("directory = { path = \"/srv/x\", owner = \"noone\" }", "there is no user 'noone' on the host"),
        ("command = { run = \"id\", creates = \"/srv/x\", as = \"noone\" }", "there is no user 'noone' on the host"),
        ("service = { name = \"own\", masked = true }", "/etc/systemd/system/own.service stands where the mask would"),
        ("service = { name = \"getty@\", enabled = true }", "getty@.service is a template"),
        (
            "file = { path = \"/srv/x\", content = \"x\" }\nrestart = [\"getty@.service\"]",
            "getty@.service is a template: name an instance of it",
        ),
        ("file = { path = \"/etc/sudoers.d/a.conf\", content = \"\" }", "sudo ignores /etc/sudoers.d/a.conf"),
        ("file = { path = \"/etc/sudoers.d/a\", content = \"\" }", "with the mode 0440 only"),
        (
            "file = { path = \"/etc/sudoers.d/a\", content = \"\", mode = \"0440\", owner = \"daemon\" }",
            "with the owner root only",
        ),
        ("sudoers = { name = \"a.conf\", content = \"\" }", "sudo skips names"),
        ("sysctl = { key = \"net/ipv4/no_such_thing\", value = 1 }", "has no parameter net.ipv4.no_such_thing"),
    ];
    for (step, part) in cases {
        refused(&project, &format!("[[step]]\n{step}\n"), &[part, "site.toml:"]);
    }
    refused(
        &project,
        &format!("[[step]]\nuser = {{ name = \"svc\", authorized_keys = [\"{key}\"] }}\n"),
        &["the home of 'svc' is /nonexistent, which stands for none"],
    );
    assert_eq!(project.on_host("ls -A /srv; ls -d /nonexistent 2>/dev/null || :"), "plain");

    // What an earlier step makes is there for a later one.
    project.playbook(
        r#"
[[step]]
user = { name = "ann", home = "/srv/people/ann" }
[[step]]
group = { name = "team" }
[[step]]
file = { path = "/srv/a/b/c", content = "x", owner = "ann", group = "team", parents = true }
[[step]]
link = { path = "/srv/a/l", target = "b" }
[[step]]
file = { path = "/srv/people/ann/x", content = "x", owner = "ann" }
[[step]]
setting = { path = "/srv/d/e.conf", key = "x", value = 1, create = true, parents = true }
[[step]]
command = { run = "id -un >/srv/who", creates = "/srv/who", as = "root" }
"#,
    );
    project.converge();
    assert_eq!(
        project.on_host("stat -c '%U:%G %a' /srv/a /srv/a/b /srv/a/b/c"),
        "root:root 755\nroot:root 755\nann:team 644"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn names_that_hosts_really_have_are_handled() {
    let project = Project::new();
    project.on_host(
        "groupadd 'c++'; groupadd plain; useradd -m -G 'c++',plain ann
         printf 'my group:x:7778:ann\\n' >>/etc/group; printf 'my group:!::ann\\n' >>/etc/gshadow",
    );
    project.playbook(
        r#"
[[step]]
user = { name = "ann", groups = ["plain"], exclusive_groups = true }
[[step]]
group = { name = "g++" }
[[step]]
file = { path = "/srv/x", content = "x", group = "my group" }
[[step]]
sysctl = { key = "net/ipv4/conf/lo/log_martians", value = 1, live = false }
[[step]]
dropin = { unit = "-.mount", name = "10-x", content = "[Mount]\nSloppyOptions=no\n" }
[[step]]
dropin = { unit = 'home-my\x20data.mount', name = "10-x", content = "[Mount]\nSloppyOptions=no\n" }
"#,
    );
    project.converge();
    assert_eq!(project.on_host("id -Gn ann | tr ' ' '\\n' | sort | paste -sd ' '"), "ann plain");
    assert_eq!(project.on_host("stat -c %G /srv/x; getent group g++ | cut -d: -f1"), "my group\ng++");
    assert_eq!(
        project.on_host("systemctl show -p DropInPaths --value -- -.mount"),
        "/etc/systemd/system/-.mount.d/10-x.conf"
    );
    assert_eq!(project.on_host("cat /etc/sysctl.d/*log_martians*"), "net.ipv4.conf.lo.log_martians = 1");
}

/// Sets or prints an attribute by setxattr(2) and getxattr(2) of x86-64: the
/// host has no tool for it.
fn attribute(project: &Project, path: &str, name: &str, value: Option<&str>) -> String {
    let call = match value {
        Some(hex) => format!(
            "my $v = pack(\"H*\", \"{hex}\"); syscall(188, $f, $n, $v, length($v), 0) == 0 or die \"setxattr: $!\";"
        ),
        None => "my $v = \"\\0\" x 256; my $l = syscall(191, $f, $n, $v, 256); \
                 print $l < 0 ? \"none\" : unpack(\"H*\", substr($v, 0, $l));"
            .to_owned(),
    };
    project.on_host(&format!("perl -e 'my ($f, $n) = (\"{path}\\0\", \"{name}\\0\"); {call}'"))
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn access_control_lists_and_attributes_outlive_an_edit() {
    let project = Project::new();
    project.on_host(
        "useradd -m ann; mkdir /srv/ann; chown ann /srv/ann
         for d in /etc /srv/ann; do printf 'a = 1\\n' >$d/app.conf; chmod 0640 $d/app.conf; done",
    );
    // user::rw- user:33:r-- group::r-- mask::r-- other::---, in the order of posix_acl_xattr(5).
    let list = "02000000\
                01000600ffffffff\
                0200040021000000\
                04000400ffffffff\
                10000400ffffffff\
                20000000ffffffff";
    let files = ["/etc/app.conf", "/srv/ann/app.conf"];
    for file in files {
        attribute(&project, file, "system.posix_acl_access", Some(list));
        attribute(&project, file, "user.note", Some("6b657074"));
    }
    project.playbook(
        r#"
[[step]]
setting = { path = "/etc/app.conf", key = "a", value = 2, separator = " = " }
[[step]]
file = { path = "/srv/ann/app.conf", content = "a = 3\n", mode = "0640", owner = "ann" }
"#,
    );
    project.converge();
    assert_eq!(project.on_host("cat /etc/app.conf /srv/ann/app.conf"), "a = 2\na = 3");
    assert_eq!(project.on_host("stat -c '%U %a' /etc/app.conf /srv/ann/app.conf"), "root 640\nann 640");
    for file in files {
        assert_eq!(attribute(&project, file, "system.posix_acl_access", None), list, "{file}");
        assert_eq!(attribute(&project, file, "user.note", None), "6b657074", "{file}");
    }
    assert_eq!(project.on_host("find / -xdev -name '.stockade-*' | wc -l"), "0", "no temporary file is left");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_file_that_is_a_mount_point_is_written_in_its_place() {
    let project = Project::new();
    project.on_host(
        "mkdir '/srv/a b'; printf 'old\\n' >/srv/below; printf 'x' >'/srv/a b/c'; mount --bind /srv/below '/srv/a b/c'
         cp /etc/hosts /srv/hosts; mount --bind /srv/hosts /etc/hosts",
    );
    project.playbook(
        r#"
[[step]]
line = { path = "/etc/hosts", line = "192.0.2.7 there" }
[[step]]
file = { path = "/srv/a b/c", content = "new\n", mode = "0600" }
"#,
    );
    let planned = project.done(&["plan", "site.toml"]);
    assert_eq!(planned.matches("is a mount point: it is written in its place").count(), 2, "{planned}");
    project.converge();
    assert_eq!(project.on_host("tail -n 1 /etc/hosts; cat '/srv/a b/c' /srv/below"), "192.0.2.7 there\nnew\nnew");
    assert_eq!(project.on_host("stat -c %a /srv/below; find / -xdev -name '.stockade-*' | wc -l"), "600\n0");
    assert_eq!(project.on_host("ls -d /var/lib/stockade/runs/*/place 2>/dev/null || echo none"), "none");

    refused(
        &project,
        "[[step]]\nfile = { path = \"/srv/a b/c\", state = \"absent\" }\n",
        &["is a mount point on the host and cannot be removed"],
    );

    // Content that does not fit leaves the old one.
    project.on_host(
        "mkdir /srv/small; mount -t tmpfs -o size=8k tmpfs /srv/small; printf 'old\\n' >/srv/small/f
         : >/srv/f; mount --bind /srv/small/f /srv/f",
    );
    project.playbook(&format!("[[step]]\nfile = {{ path = \"/srv/f\", content = \"{}\" }}\n", "x".repeat(30_000)));
    let applied = project.apply();
    assert_eq!(applied.code, 3, "{applied:?}");
    assert_eq!(project.on_host("cat /srv/f; find / -xdev -name '.stockade-*' | wc -l"), "old\n0");
}

/// A container may not set the flag, so the host is a tree on this machine.
#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_immutable_file_is_refused_with_what_to_do() {
    let project = Project::new();
    project.on_host("printf x >/etc/kept; mkdir /etc/closed");
    let tree = project.image();
    let chattr = |flag: &str, path: &str| {
        let status = Command::new("chattr").arg(flag).arg(tree.join(path)).status().unwrap();
        assert!(status.success(), "this machine's temporary directory must know immutable files");
    };
    let on_image = |steps: &str, arguments: &[&str]| {
        project.playbook(steps);
        ran(program(project.folder()).args(arguments).args(["--record", "none", "-i", "image.toml"]))
    };
    chattr("+i", "etc/kept");
    chattr("+i", "etc/closed");
    chattr("+a", "etc/passwd");
    let cases = [
        ("file = { path = \"/etc/kept\", content = \"y\" }", "/etc/kept is immutable on the host (chattr +i)"),
        ("file = { path = \"/etc/kept\", content = \"x\", mode = \"0600\" }", "chattr -i /etc/kept"),
        ("file = { path = \"/etc/kept\", state = \"absent\" }", "chattr -i /etc/kept"),
        ("line = { path = \"/etc/kept\", line = \"y\" }", "chattr -i /etc/kept"),
        ("file = { path = \"/etc/closed/new\", content = \"y\" }", "chattr -i /etc/closed"),
        ("user = { name = \"ann\" }", "/etc/passwd is append-only on the host (chattr +a)"),
    ];
    let told: Vec<_> = cases
        .iter()
        .map(|(step, part)| (part, on_image(&format!("[[step]]\n{step}\n"), &["plan", "site.toml"])))
        .collect();
    let same = on_image(
        "[[step]]\nfile = { path = \"/etc/kept\", content = \"x\" }\n",
        &["plan", "site.toml", "--detailed-exitcode"],
    );
    chattr("-i", "etc/kept");
    chattr("-i", "etc/closed");
    chattr("-a", "etc/passwd");
    for (part, planned) in told {
        assert_eq!(planned.code, 1, "{part}: {planned:?}");
        assert!(planned.err.contains(part) && planned.err.contains("site.toml:"), "lacks {part:?}: {}", planned.err);
    }
    assert_eq!(same.code, 0, "what is as it should be needs no change: {same:?}");
}

/// The tests' host has a second source of names: libnss-extrausers.
#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn accounts_of_another_source_of_names_are_known_and_not_changed() {
    let project = Project::new();
    project.on_host(
        "apt-get -q update >/dev/null; DEBIAN_FRONTEND=noninteractive apt-get -q -y install libnss-extrausers >/dev/null
         sed -i 's/^passwd:.*/passwd: files extrausers/; s/^group:.*/group: files extrausers/' /etc/nsswitch.conf
         printf 'far:x:8888:8889:Far:/home/far:/bin/bash\\n' >/var/lib/extrausers/passwd
         printf 'domain users:x:8889:ubuntu\\n' >/var/lib/extrausers/group
         : >/var/lib/extrausers/shadow; groupadd local; useradd -m near",
    );
    for (step, parts) in [
        ("user = { name = \"far\", shell = \"/bin/sh\" }", ["'far' is not in /etc/passwd", "(shell)"]),
        ("user = { name = \"far\", locked = true }", ["'far' is not in /etc/passwd", "locked"]),
        ("user = { name = \"far\", state = \"absent\" }", ["'far' is not in /etc/passwd", "cannot remove it"]),
        (
            "user = { name = \"near\", groups = [\"domain users\"] }",
            ["'domain users' is not in /etc/group", "whether 'near' is in it"],
        ),
        (
            "group = { name = \"domain users\", state = \"absent\" }",
            ["'domain users' is not in /etc/group", "change it"],
        ),
        ("group = { name = \"domain users\", gid = 5 }", ["the group 'domain users'", "the number"]),
    ] {
        refused(&project, &format!("[[step]]\n{step}\n"), &parts);
    }
    project.playbook(
        r#"
[[step]]
user = { name = "far", shell = "/bin/bash", groups = ["local"] }
[[step]]
file = { path = "/srv/x", content = "x", owner = "far", group = "domain users" }
"#,
    );
    project.converge();
    assert_eq!(project.on_host("stat -c '%U:%G' /srv/x; getent group local | cut -d: -f4"), "far:domain users\nfar");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn line_ends_of_a_playbook_do_not_reach_the_host() {
    let project = Project::new();
    let text = "name = \"Test\"\nhosts = [\"all\"]\n[[step]]\nfile = { path = \"/srv/x\", content = \"\"\"\none\ntwo\n\"\"\" }\n\
                [[step]]\ncommand = { run = '''\ntrue\nprintf done >/srv/y\n''', creates = \"/srv/y\" }\n";
    project.write("site.toml", &text.replace('\n', "\r\n"));
    project.converge();
    assert_eq!(project.on_host("od -An -c /srv/x | tr -d ' '; cat /srv/y"), "one\\ntwo\\n\ndone");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn shell_text_that_no_shell_can_read_is_refused_in_the_plan() {
    let project = Project::new();
    let broken = "if true; then";
    for (step, field) in [
        (format!("command = {{ run = \"touch /srv/ran\", unless = \"{broken}\" }}"), "'unless'"),
        (format!("command = {{ run = \"{broken}\", creates = \"/srv/ran\" }}"), "'run'"),
        // However the guards stand.
        (format!("command = {{ run = \"{broken}\", creates = \"/etc\" }}"), "'run'"),
        (
            "command = { run = \"true\\necho 'a\\ntrue\", unless = \"false\" }".to_owned(),
            "line 3: Unterminated quoted string",
        ),
        (format!("check = {{ command = \"{broken}\", code = 2 }}"), "'command'"),
        (
            format!("file = {{ path = \"/srv/file\", content = \"x\", validate = \"test -s %s && {broken}\" }}"),
            "'validate'",
        ),
    ] {
        refused(&project, &format!("[[step]]\n{step}\n"), &["step 1", "cannot be read by the host's shell", field]);
    }
    let probed = format!(
        "[probes]\nup = {{ command = \"{broken}\" }}\n[[step]]\nwhen = \"probes.up.ok\"\nfile = {{ path = \"/srv/file\", content = \"x\" }}\n"
    );
    refused(&project, &probed, &["step 1", "the probe 'up'", "cannot be read by the host's shell"]);
    // What stands after an end of a block is not run either.
    project.on_host("rm -f /srv/ran");
    refused(&project, "[[step]]\ncommand = { run = \"}; touch /srv/ran; {\", creates = \"/srv/x\" }\n", &["'run'"]);
    assert_eq!(project.on_host("ls /srv"), "", "nothing was run");
    // A text with all that shells can hold is read.
    project.playbook(
        "[[step]]\ncommand = { run = '''\ncat <<\"END\" >/srv/out\na'b\"c $x `y` \\\nEND\n''', creates = \"/srv/out\" }\n",
    );
    project.converge();
    assert_eq!(project.on_host("cat /srv/out"), "a'b\"c $x `y` \\");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_directory_of_a_command_is_there_or_is_made_before() {
    let project = Project::new();
    let command =
        "[[step]]\ncommand = { run = \"pwd >/srv/where\", creates = \"/srv/where\", directory = \"/srv/app\" }\n";
    refused(&project, command, &["step 1", "there is no /srv/app", "directory = { path = \"/srv/app\" }"]);
    project.on_host("touch /srv/app");
    refused(&project, command, &["'directory' is /srv/app, which is a regular file"]);
    project.on_host("rm /srv/app");
    // It fails where an earlier command was to make it and does not; and then nothing has run.
    project.playbook(&format!("[[step]]\ncommand = {{ run = \":\", unless = \"false\" }}\n{command}"));
    let failed = project.apply();
    let text = format!("{}{}", failed.out, failed.err);
    assert_eq!(failed.code, 3, "{text}");
    assert!(text.contains("/srv/app is no directory that can be entered; nothing was run"), "{text}");
    assert!(!text.contains("in part"), "{text}");
    assert_eq!(project.on_host("ls /srv"), "");
    project.playbook(&format!("[[step]]\ndirectory = {{ path = \"/srv/app\" }}\n{command}"));
    project.converge();
    assert_eq!(project.on_host("cat /srv/where"), "/srv/app");
    // One that has run in part says so still.
    project.playbook(
        "[[step]]\ncommand = { run = \"touch /srv/half; exit 3\", creates = \"/srv/whole\", directory = \"/srv\" }\n",
    );
    let failed = project.apply();
    assert!(format!("{}{}", failed.out, failed.err).contains("in part"), "{failed:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_mode_that_changes_the_mask_of_an_access_control_list_says_so() {
    let project = Project::new();
    // user::rw- user:33:rw- group::r-- mask::rw- other::r--
    let list = "020000000100 0600ffffffff 0200060021000000 04000400ffffffff 1000 0600ffffffff 20000400ffffffff"
        .replace(' ', "");
    for file in ["/srv/shared", "/srv/with blank\u{e9}", "/srv/plain"] {
        project.on_host(&format!("echo x >'{file}'; chmod 0664 '{file}'"));
    }
    attribute(&project, "/srv/shared", "system.posix_acl_access", Some(&list));
    attribute(&project, "/srv/with blank\u{e9}", "system.posix_acl_access", Some(&list));
    let steps = "[[step]]\nfile = { path = \"/srv/shared\", mode = \"0644\" }\n\
                 [[step]]\nfile = { path = \"/srv/with blank\u{e9}\", content = \"y\\n\", mode = \"0644\" }\n\
                 [[step]]\nfile = { path = \"/srv/plain\", mode = \"0644\" }\n";
    project.playbook(steps);
    let plan: serde_json::Value =
        serde_json::from_str(&project.done(&["plan", "site.toml", "--format", "json"])).unwrap();
    let masks = |step: usize| -> Vec<(String, String)> {
        let changes = plan["hosts"][0]["steps"][step]["changes"].as_array().unwrap().iter();
        let mask = changes.filter(|change| change["field"] == "acl mask");
        mask.map(|change| (change["before"].as_str().unwrap().into(), change["after"].as_str().unwrap().into()))
            .collect()
    };
    let expected = [("rw-".to_owned(), "r--".to_owned())];
    assert_eq!((masks(0), masks(1), masks(2)), (expected.to_vec(), expected.to_vec(), vec![]), "{plan:#}");
    assert!(project.done(&["plan", "site.toml"]).contains("/srv/shared has an access control list"));
    project.converge();
    for file in ["/srv/shared", "/srv/with blank\u{e9}"] {
        let found = attribute(&project, file, "system.posix_acl_access", None);
        assert_eq!(found, list.replace("10000600", "10000400"), "the mask follows the mode, the entries stay");
    }
    assert_eq!(project.on_host("stat -c %a /srv/shared /srv/with* /srv/plain"), "644\n644\n644");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn where_nothing_can_be_written_is_known_before() {
    let project = Project::new();
    project.on_host(
        "mkdir -p /srv/ro /srv/tree/a/b /srv/tree/a/m /srv/tree/z; touch /srv/tree/a/b/f; ln -s /srv/ro /srv/way
         mount -t tmpfs none /srv/ro; mkdir /srv/ro/d; touch /srv/ro/f; mount -o remount,ro /srv/ro; mount -t tmpfs none /srv/tree/a/m",
    );
    let cases = [
        ("file = { path = \"/srv/ro/a\", content = \"\" }", "the file system at /srv/ro is mounted read-only"),
        ("file = { path = \"/srv/way/d/a\", content = \"\" }", "the file system at /srv/ro is mounted read-only"),
        ("file = { path = \"/srv/ro/f\", state = \"absent\" }", "the file system at /srv/ro is mounted read-only"),
        ("file = { path = \"/srv/ro/f\", mode = \"0600\" }", "the file system at /srv/ro is mounted read-only"),
        ("directory = { path = \"/srv/ro/a\" }", "the file system at /srv/ro is mounted read-only"),
        ("link = { path = \"/srv/ro/a\", target = \"b\" }", "the file system at /srv/ro is mounted read-only"),
        ("line = { path = \"/srv/ro/f\", line = \"a\" }", "the file system at /srv/ro is mounted read-only"),
        ("file = { path = \"/proc/a\", content = \"\" }", "the files below /proc"),
        ("file = { path = \"/sys/kernel/a\", content = \"\" }", "the files below /sys"),
        (
            "directory = { path = \"/srv/tree\", state = \"absent\", recursive = true }",
            "/srv/tree/a/m below it is a mount point on the host",
        ),
        ("sysctl = { key = \"kernel.osrelease\", value = \"9\" }", "/proc/sys/kernel/osrelease is read-only there"),
    ];
    for (step, why) in cases {
        refused(&project, &format!("[[step]]\n{step}\n"), &[why]);
    }
    assert_eq!(
        project.on_host("ls /srv/tree /srv/tree/a/b; ls /etc/sysctl.d | grep -c osrelease || :"),
        "/srv/tree:\na\nz\n\n/srv/tree/a/b:\nf\n0"
    );
    // A command may unmount it; what is right already needs no writing.
    project.playbook(
        "[[step]]\nfile = { path = \"/srv/ro/f\", mode = \"0644\" }\n\
         [[step]]\ncommand = { run = \"umount /srv/tree/a/m\", unless = \"! mountpoint -q /srv/tree/a/m\" }\n\
         [[step]]\ndirectory = { path = \"/srv/tree\", state = \"absent\", recursive = true }\n",
    );
    project.converge();
    assert_eq!(project.on_host("ls -d /srv/*"), "/srv/ro\n/srv/way");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_account_whose_user_runs_something_is_refused_unless_a_step_ends_that() {
    let project = Project::new();
    project.on_host(
        "useradd -m busy; systemd-run -q --unit hold --uid busy sleep infinity; useradd -m idle
         until pgrep -u busy sleep; do sleep 0.1; done",
    );
    for (step, tool) in [
        ("user = { name = \"busy\", state = \"absent\" }", "userdel(8)"),
        ("user = { name = \"busy\", uid = 7654 }", "usermod(8)"),
        ("user = { name = \"busy\", home = \"/srv/busy\" }", "usermod(8)"),
    ] {
        refused(&project, &format!("[[step]]\n{step}\n"), &["'busy' runs process", "(sleep)", tool, "pkill -u busy"]);
    }
    project.playbook(
        "[[step]]\nuser = { name = \"busy\", shell = \"/bin/sh\" }\n[[step]]\nuser = { name = \"idle\", uid = 7655 }\n",
    );
    project.converge();
    project.playbook(
        "[[step]]\nservice = { name = \"hold.service\", running = false }\n[[step]]\nuser = { name = \"busy\", state = \"absent\" }\n",
    );
    let planned = project.done(&["plan", "site.toml"]);
    assert!(planned.contains("step 1 must have ended it by then"), "{planned}");
    project.converge();
    assert_eq!(project.on_host("id busy 2>&1 | grep -c 'no such user'; id -u idle"), "1\n7655");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_step_and_the_file_that_it_writes_by_another_kind_contradict_each_other() {
    let project = Project::new();
    project.on_host(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' >/usr/lib/systemd/system/app5.service
         cp /usr/lib/systemd/system/app5.service /usr/lib/systemd/system/app6.service; systemctl daemon-reload
         systemctl -q enable app6; useradd -m -s /bin/bash ann; groupadd team",
    );
    let cases = [
        (
            "timezone = { value = \"Europe/Berlin\" }",
            "link = { path = \"/etc/localtime\", target = \"/usr/share/zoneinfo/Etc/UTC\" }",
        ),
        ("timezone = { value = \"Europe/Berlin\" }", "link = { path = \"/etc/localtime\", state = \"absent\" }"),
        (
            "service = { name = \"app5\", masked = true }",
            "link = { path = \"/etc/systemd/system/app5.service\", state = \"absent\" }",
        ),
        (
            "service = { name = \"app6\", enabled = true }",
            "link = { path = \"/etc/systemd/system/multi-user.target.wants/app6.service\", state = \"absent\" }",
        ),
        (
            "user = { name = \"ann\", shell = \"/bin/sh\" }",
            "replace = { path = \"/etc/passwd\", match = \"^(ann:.*):[^:]*$\", with = \"$1:/bin/dash\" }",
        ),
        (
            "user = { name = \"ann\", groups = [\"team\"] }",
            "line = { path = \"/etc/group\", match = \"^team:\", line = \"team:x:7777:\" }",
        ),
        ("group = { name = \"team\" }", "line = { path = \"/etc/group\", match = \"^team:\", state = \"absent\" }"),
    ];
    for (first, second) in cases {
        refused(&project, &format!("[[step]]\n{first}\n[[step]]\n{second}\n"), &["takes back what this step makes"]);
    }
    // A directory that gives all below it away beside a file that is another's, with
    // what only the turn tells between them, before them or nowhere.
    project.on_host("mkdir /srv/tree; touch /srv/tree/own");
    let tree = "directory = { path = \"/srv/tree\", owner = \"ann\", recursive = true }";
    let file = "file = { path = \"/srv/tree/own\", content = \"x\" }";
    let run = "command = { run = \"touch /srv/ran\", creates = \"/srv/ran\" }";
    for order in [[tree, run, file], [run, tree, file], [file, run, tree], [run, file, tree], [tree, file, run]] {
        let steps: String = order.iter().map(|step| format!("[[step]]\n{step}\n")).collect();
        refused(&project, &steps, &["the host would never be as both say", "site.toml:"]);
    }
    assert_eq!(project.on_host("ls -d /srv/ran 2>/dev/null; stat -c %U /srv/tree/own"), "root");
    project.playbook(&format!(
        "[[step]]\n{tree}\n[[step]]\n{run}\n[[step]]\nfile = {{ path = \"/srv/tree/own\", content = \"x\", owner = \"ann\", mode = \"0600\" }}\n"
    ));
    project.converge();
    // Where they agree, or work on different lines, they are none.
    project.playbook(
        r#"
[[step]]
timezone = { value = "Europe/Berlin" }
[[step]]
link = { path = "/etc/localtime", target = "/usr/share/zoneinfo/Europe/Berlin" }
[[step]]
user = { name = "ann", shell = "/bin/sh", groups = ["team"] }
[[step]]
replace = { path = "/etc/passwd", match = "^(games:.*):[^:]*$", with = "$1:/bin/false" }
[[step]]
user = { name = "bob", shell = "/bin/bash" }
[[step]]
line = { path = "/etc/group", match = "^last:", line = "last:x:7788:" }
[[step]]
service = { name = "app5", masked = true }
[[step]]
link = { path = "/etc/systemd/system/app5.service", target = "/dev/null" }
"#,
    );
    project.converge();
    assert_eq!(
        project.on_host(
            "getent passwd ann games bob | cut -d: -f1,7; id -nG ann; getent group last; systemctl is-enabled app5 || :"
        ),
        "ann:/bin/sh\ngames:/bin/false\nbob:/bin/bash\nann team\nlast:x:7788:\nmasked"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_would_stop_the_next_boot_is_refused_by_its_line() {
    let project = Project::new();
    project.on_host(
        "mkdir -p /srv/data /srv/from; touch /srv/file; printf '# none\\n/dev/old /srv/old ext4 defaults 0 2\\n' >/etc/fstab; \
         : >/etc/crypttab; printf 'GRUB_TIMEOUT=5\\n' >/etc/default/grub",
    );
    let line = |path: &str, line: &str| format!("[[step]]\nline = {{ path = \"{path}\", line = '{line}' }}\n");
    let emergency = "would end in the emergency shell";
    for (steps, parts) in [
        (line("/etc/fstab", "UUID=0a1b-2c3d /srv/data ext4 defaults 0 2"), ["/etc/fstab:3: there is no UUID=0a1b-2c3d", emergency]),
        (line("/etc/fstab", "/dev/sdz9 /srv/data ext4 defaults 0 2"), ["/etc/fstab:3: there is no /dev/sdz9", emergency]),
        (line("/etc/fstab", "/srv/none /srv/data none bind 0 0"), ["/etc/fstab:3: there is no /srv/none", emergency]),
        (line("/etc/fstab", "tmpfs /srv/file tmpfs size=1m 0 0"), ["/etc/fstab:3: /srv/file is no directory", emergency]),
        (line("/etc/fstab", "tmpfs srv/data tmpfs size=1m 0 0"), ["/etc/fstab:3", "no absolute path"]),
        (line("/etc/fstab", "/dev/sdz9 /srv/data"), ["/etc/fstab:3", "the sort of its file system"]),
        (line("/etc/crypttab", "data /dev/sdz9 none luks"), ["/etc/crypttab:1: there is no /dev/sdz9", emergency]),
        (line("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"quiet"), ["/etc/default/grub is read by a shell", "cannot read the new text"]),
        (
            "[[step]]\nunit = { name = \"srv-data.mount\", content = \"[Mount]\\nWhat=/dev/sdz9\\nWhere=/srv/data\\nType=ext4\\n\
             [Install]\\nRequiredBy=local-fs.target\\n\" }\n"
                .to_owned(),
            ["/etc/systemd/system/srv-data.mount: there is no /dev/sdz9", emergency],
        ),
    ] {
        refused(&project, &steps, &parts);
    }
    // What a sensitive step says is not shown.
    let secret = line("/etc/fstab", "/dev/hunter2 /srv/data ext4 defaults 0 2") + "sensitive = true\n";
    refused(&project, &secret, &["/etc/fstab:3: what it names is not there"]);
    assert!(!project.run(&["plan", "site.toml"]).err.contains("hunter2"));
    // The boot goes on without these, and with those that are there.
    project.playbook(
        &[
            line("/etc/fstab", "/dev/sdz9 /srv/data ext4 nofail 0 2"),
            line("/etc/fstab", "/srv/from /srv/data none bind 0 0"),
            line("/etc/fstab", "tmpfs /srv/new tmpfs size=1m 0 0"),
            line("/etc/fstab", "files.example:/x /srv/nfs nfs defaults 0 0"),
            line("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"quiet systemd.unit=rescue.target\""),
        ]
        .concat(),
    );
    let planned = project.run(&["plan", "site.toml"]);
    assert_eq!(planned.code, 0, "{planned:?}");
    for note in [
        "there is no /dev/sdz9 on the host; the boot goes on without it",
        "/srv/new is not there: systemd makes",
        "does not boot as far as sshd",
    ] {
        assert!(planned.out.contains(note), "no {note:?}: {planned:?}");
    }
    // What an earlier step may bring is decided at its turn.
    project.playbook(&format!(
        "[[step]]\ncommand = {{ run = \"touch /srv/image\", creates = \"/srv/image\" }}\n{}",
        line("/etc/fstab", "/srv/image /srv/data ext4 loop 0 2")
    ));
    let planned = project.run(&["plan", "site.toml"]);
    assert!(planned.code == 0 && planned.out.contains("decided at its turn: depends on step 1"), "{planned:?}");
    project.converge();
    assert!(project.on_host("cat /etc/fstab").contains("/srv/image"));
}
