//! What earlier steps of a run change is what later steps find, whichever way
//! they ask: by facts, by probes, or by what they describe. On real hosts, by
//! one apply, after which a second plan is empty.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v a";

/// A package in a repository on the host itself; no other repository is asked.
/// `files`: shell text that makes its files in the current directory.
fn package(site: &Project, name: &str, files: &str, postinst: &str) {
    site.on_host(&format!(
        "set -e; mkdir -p /srv/repo /etc/apt/sources.list.d; rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*\n\
         mkdir -p /srv/build/{name}/DEBIAN; cd /srv/build/{name}\n{files}\n\
         cat >DEBIAN/control <<'END'\nPackage: {name}\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: a test\nEND\n\
         cat >DEBIAN/postinst <<'END'\n#!/bin/sh\nset -e\n{postinst}\nEND\n\
         chmod 755 DEBIAN/postinst; dpkg-deb --root-owner-group -b . /srv/repo/{name}.deb >/dev/null\n\
         cd /srv/repo; for d in *.deb; do dpkg-deb -f $d; \
         printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' $d $(stat -c %s $d) $(sha256sum $d | cut -d ' ' -f 1); done >Packages\n\
         echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list.d/local.list\n\
         apt-get -q update >/dev/null 2>&1; touch /var/lib/apt/lists"
    ));
}

/// The steps of a plan, as JSON.
fn steps(site: &Project) -> Vec<serde_json::Value> {
    let plan: serde_json::Value = serde_json::from_str(&site.done(&["plan", "site.toml", "--format", "json"])).unwrap();
    plan["hosts"][0]["steps"].as_array().unwrap().clone()
}

fn action(site: &Project, id: &str) -> String {
    let steps = steps(site);
    let step = steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id}: {steps:?}"));
    step["action"].as_str().unwrap().to_owned()
}

/// How many runs there were on the host.
fn runs(site: &Project) -> usize {
    let history: serde_json::Value = serde_json::from_str(&site.done(&["history", "--json"])).unwrap();
    history["hosts"][&site.host.name].as_array().unwrap().len()
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn facts_are_what_earlier_steps_have_made_of_them() {
    let site = Project::new();
    site.write("told.tera", "{{ facts.login_shell }} {{ facts.os.id }}\n");
    site.playbook(
        r#"
[vars]
banner = "this is {{ facts.hostname }}"
[[step]]
hostname = { value = "newname" }
[[step]]
line = { path = "/etc/fa.conf", line = "name {{ facts.hostname }}", create = true }
[[step]]
file = { path = "/etc/fa.banner", content = "{{ banner }}\n" }
[[step]]
timezone = { value = "Europe/Berlin" }
[[step]]
file = { path = "/etc/fa.zone", content = "{{ facts.timezone }}\n" }
[[step]]
user = { name = "ubuntu", shell = "/bin/sh" }
[[step]]
file = { path = "/etc/fa.shell", template = "told.tera" }
"#,
    );
    let planned = steps(&site);
    assert!(planned.iter().all(|step| step["action"] != "unknown"), "each is predicted: {planned:?}");
    site.converge();
    assert_eq!(runs(&site), 1, "what is predicted needs no phase");
    let told = site.on_host("cat /etc/fa.conf /etc/fa.banner /etc/fa.zone; cut -d ' ' -f 1 /etc/fa.shell");
    assert_eq!(told, "name newname\nthis is newname\nEurope/Berlin\n/bin/sh");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn facts_that_a_command_may_change_are_looked_at_after_it() {
    let site = Project::new();
    site.playbook(
        r#"
[[step]]
command = { run = "hostname other; touch /run/reboot-required /etc/done", creates = "/etc/done" }
[[step]]
when = "facts.apt.reboot_required"
file = { path = "/etc/wanted", content = "{{ facts.hostname }} {{ facts.os.id }}\n" }
[[step]]
file = { path = "/etc/known", content = "{{ facts.os.id }} {{ facts.arch }}\n" }
"#,
    );
    assert_eq!(action(&site, "2"), "unknown");
    assert_eq!(action(&site, "3"), "create", "no step changes these facts");
    site.converge();
    assert_eq!(site.on_host("cut -d ' ' -f 1 /etc/wanted"), "other");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_probe_is_open_where_an_earlier_step_may_change_what_it_finds() {
    let site = Project::new();
    package(&site, "holder", "mkdir -p usr/bin; touch usr/bin/held", ":");
    package(
        &site,
        "writer",
        "mkdir -p usr/lib/systemd/system; printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/sh -c \"echo x >/srv/written\"\\n\
         [Install]\\nWantedBy=multi-user.target\\nAlias=al.service\\n' >usr/lib/systemd/system/writer.service",
        ":",
    );
    site.on_host(
        "apt-get -qy install holder writer >/dev/null 2>&1; systemctl daemon-reload; printf '[Service]\\nExecStart=/bin/sleep 1\\n\
         [Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/gone.service; systemctl daemon-reload; \
         systemctl enable gone.service 2>&1; printf '[Service]\\nExecStart=/bin/sleep 1\\n' >/usr/lib/systemd/system/hid.service; \
         systemctl daemon-reload",
    );
    site.playbook(
        r#"
[probes]
held    = { path = "/usr/bin/held" }
wants   = { path = "/etc/systemd/system/multi-user.target.wants/writer.service" }
link    = { path = "/etc/systemd/system/multi-user.target.wants/gone.service" }
hid     = { path = "/etc/systemd/system/hid.service" }
written = { path = "/srv/written" }
al      = { unit = "al.service" }
zone    = { path = "/etc/localtime" }
[[step]]
package = { name = "holder", state = "absent" }
[[step]]
file = { path = "/srv/told.held", content = "{{ probes.held.exists }}\n" }
[[step]]
service = { name = "writer.service", enabled = true }
[[step]]
file = { path = "/srv/told.wants", content = "{{ probes.wants.exists }} {{ probes.al.exists }}\n" }
[[step]]
unit = { name = "gone.service", state = "absent" }
[[step]]
file = { path = "/srv/told.link", content = "{{ probes.link.exists }}\n" }
[[step]]
service = { name = "hid.service", masked = true }
[[step]]
file = { path = "/srv/told.hid", content = "{{ probes.hid.exists }}\n" }
[[step]]
service = { name = "writer.service", running = true }
[[step]]
when = "probes.written.exists"
file = { path = "/srv/told.written", content = "yes\n" }
[[step]]
timezone = { value = "Europe/Berlin" }
[[step]]
file = { path = "/srv/told.zone", content = "{{ probes.zone.target }}\n" }
"#,
    );
    assert_eq!(action(&site, "4"), "unknown");
    assert_eq!(action(&site, "12"), "create", "where the time zone's link will point is known");
    site.converge();
    let told = site
        .on_host("cd /srv; tail -n 1 told.held told.wants told.link told.hid told.written told.zone | grep -v '^$'");
    assert_eq!(
        told,
        "==> told.held <==\nfalse\n==> told.wants <==\ntrue true\n==> told.link <==\nfalse\n==> told.hid <==\ntrue\n\
         ==> told.written <==\nyes\n==> told.zone <==\n/usr/share/zoneinfo/Europe/Berlin"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_restart_writes_is_known_after_the_flush() {
    let site = Project::new();
    site.on_host(
        "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/cp /etc/state.conf /srv/state\\n' \
         >/etc/systemd/system/state.service; systemctl daemon-reload",
    );
    site.playbook(
        r#"
[probes]
state = { path = "/srv/state" }
[[step]]
file    = { path = "/etc/state.conf", content = "x\n" }
restart = ["state.service"]
[[step]]
flush = {}
[[step]]
when = "probes.state.exists"
file = { path = "/srv/after", content = "{{ probes.state.size }}\n" }
"#,
    );
    site.converge();
    assert_eq!(site.on_host("cat /srv/after"), "2");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_command_undoes_is_mended_before_the_next_one() {
    let site = Project::new();
    site.on_host("echo orig >/etc/app.conf; echo kept >/etc/other.conf");
    site.playbook(
        r#"
[[step]]
command = { run = "echo changed >/etc/app.conf; touch /etc/cmd-done", creates = "/etc/cmd-done" }
[[step]]
file = { path = "/etc/app.conf", content = "orig\n" }
[[step]]
command = { run = "cp /etc/app.conf /root/copy", creates = "/root/copy" }
[[step]]
file = { path = "/etc/other.conf", content = "kept\n" }
"#,
    );
    let note = steps(&site)[2]["notes"].to_string();
    assert!(note.contains("looked at again before this step: step 1 may change what step 2 found right"), "{note}");
    let text = site.converge();
    assert!(!text.contains("beyond the plan"), "it was said: {text}");
    assert_eq!(site.on_host("cat /root/copy /etc/app.conf"), "orig\norig");
    assert_eq!(runs(&site), 2);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_run_stops_to_look_only_where_something_may_have_been_undone() {
    let site = Project::new();
    site.on_host("echo kept >/etc/other.conf");
    site.playbook(
        r#"
[[step]]
file = { path = "/etc/other.conf", content = "kept\n" }
[[step]]
command = { run = "touch /etc/one", creates = "/etc/one" }
[[step]]
file = { path = "/etc/new.conf", content = "new\n" }
[[step]]
command = { run = "touch /etc/two", creates = "/etc/two" }
[[step]]
file = { path = "/etc/other.conf", mode = "0644" }
"#,
    );
    site.converge();
    assert_eq!(runs(&site), 1);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_account_that_a_package_makes_is_decided_after_the_package() {
    let site = Project::new();
    package(
        &site,
        "store",
        ":",
        "groupadd --system drop; useradd --system --home-dir /var/lib/store --create-home --shell /usr/sbin/nologin store",
    );
    site.write("key.pub", KEY);
    site.playbook(
        r#"
[[step]]
package = { name = "store" }
[[step]]
user = { name = "store", shell = "/bin/sh", authorized_keys = ["key.pub"] }
[[step]]
group = { name = "drop", gid = 4321 }
[[step]]
user = { name = "deploy", groups = ["drop"], shell = "/bin/sh" }
[[step]]
authorized_keys = { user = "deploy", keys = "key.pub" }
"#,
    );
    let planned = steps(&site);
    let actions: Vec<&str> = planned.iter().map(|step| step["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..4], ["create", "unknown", "unknown", "create"]);
    assert!(planned[3]["notes"].to_string().contains("unless step 1 makes the account"), "{planned:?}");
    let text = site.converge();
    assert!(!text.contains("beyond the plan"), "it was said: {text}");
    assert_eq!(
        site.on_host(
            "getent passwd store | cut -d : -f 6,7; cut -d ' ' -f 3 /var/lib/store/.ssh/authorized_keys; \
             getent group drop | cut -d : -f 3,4; ls -d /home/store 2>&1 | grep -c cannot"
        ),
        "/var/lib/store:/bin/sh\na\n4321:deploy\n1"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn steps_that_depend_on_one_probe_share_a_phase_where_none_of_them_can_change_it() {
    let site = Project::new();
    let head = "[probes]\nsaid = { command = \"cat /srv/said\" }\n\
                [[step]]\ncommand = { run = \"echo x >/srv/said\", creates = \"/srv/said\" }\n";
    let step = |n| {
        format!("[[step]]\nwhen = \"probes.said.output == 'x'\"\nfile = {{ path = \"/srv/f{n}\", content = \"x\" }}\n")
    };
    site.playbook(&format!("{head}{}", (0..5).map(step).collect::<String>()));
    site.converge();
    assert_eq!(runs(&site), 2, "one phase up to the probe, and one for all that depends on it");
    assert_eq!(site.on_host("cat /srv/f?"), "xxxxx");

    // What changes the file that the probe reads is followed by another look; so is
    // what changes any file, where the text reads it through a link or a pattern.
    site.on_host("ln -s said /srv/link");
    for (text, path) in
        [("cat /srv/said", "/srv/said"), ("cat /srv/link", "/srv/said"), ("cat /srv/sai?", "/srv/other")]
    {
        site.on_host("echo x >/srv/said; rm -f /srv/after /srv/other");
        let before = runs(&site);
        site.playbook(&format!(
            "[probes]\nsaid = {{ command = \"{text}\" }}\n[[step]]\nfile = {{ path = \"{path}\", content = \"y\\n\" }}\n\
             [[step]]\nfile = {{ path = \"/srv/after\", content = \"{{{{ probes.said.output }}}}\" }}\n"
        ));
        site.converge();
        assert_eq!(runs(&site) - before, 2, "{text}");
        assert_eq!(site.on_host("cat /srv/after"), site.on_host("cat /srv/said"), "{text}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_guard_of_a_command_runs_as_the_command_does() {
    let site = Project::new();
    site.on_host("mkdir -p /srv/at; chown ubuntu /srv/at");
    let secret = "s3cr3t of \\\"all\\\" $HOME";
    let seen = "cat /proc/[0-9]*/cmdline 2>/dev/null >/tmp/seen.$(id -un) || :";
    site.playbook(&format!(
        r#"
[[step]]
command = {{ run = '''echo "$TOKEN $(id -un) $PWD" >done''', unless = '''test "$(cat done 2>/dev/null)" = "$TOKEN $(id -un) $PWD"; test "$N" -eq 3; {seen}''', directory = "/srv/at", as = "ubuntu", environment = {{ TOKEN = "{secret}", N = 3 }} }}
[[step]]
file = {{ path = "/etc/between", content = "x" }}
[[step]]
command = {{ run = '''printf %s "$TOKEN" >/etc/told''', unless = '''test "$(cat /etc/told 2>/dev/null)" = "$TOKEN"; {seen}''', environment = {{ TOKEN = "{secret}" }} }}
"#
    ));
    site.converge();
    let secret = "s3cr3t of \"all\" $HOME";
    assert_eq!(site.on_host("cat /srv/at/done /etc/told"), format!("{secret} ubuntu /srv/at\n{secret}"));
    // Asked at the turn as well, after a change before it: there is nothing to do.
    site.on_host("rm /etc/between");
    let text = site.converge();
    assert!(!text.contains("(step 3) … ran"), "{text}");
    assert_eq!(site.on_host("cat /tmp/seen.ubuntu /tmp/seen.root | grep -a -c s3cr3t || :"), "0");
    assert_eq!(site.on_host("grep -r -l s3cr3t /var/lib/stockade /run/stockade 2>/dev/null || :"), "");
}

/// A package that keeps its state where it and its script alone know.
fn keeper(site: &Project) {
    package(
        site,
        "keeper",
        "mkdir -p etc/keeper usr/share/keeper; echo x >etc/keeper/keeper.conf; echo /etc/keeper/keeper.conf >DEBIAN/conffiles; \
         touch usr/share/keeper/a; printf '#!/bin/sh\\n[ \"$1\" != purge ] || rm -rf /var/lib/keeper\\n' >DEBIAN/postrm; chmod 755 DEBIAN/postrm",
        "mkdir -p /var/lib/keeper; touch /var/lib/keeper/state",
    );
    site.on_host("apt-get -qq -y install keeper >/dev/null 2>&1");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_stands_below_a_directory_that_goes_is_decided_when_it_has_gone() {
    let site = Project::new();
    keeper(&site);
    let purge = "[[step]]\npackage = { name = \"keeper\", state = \"absent\", purge = true }\n";
    let below = r#"
[[step]]
file = { path = "/etc/keeper/own.conf", content = "own\n", parents = true }
[[step]]
file = { path = "/var/lib/keeper/own", content = "own\n", parents = true }
[[step]]
directory = { path = "/usr/share/keeper/sub", parents = true }
[[step]]
file = { path = "/etc/logrotate.d/own", content = "", parents = true }
"#;
    site.playbook(&format!("{purge}{below}"));
    let planned = steps(&site);
    let actions: Vec<&str> = planned.iter().map(|step| step["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["delete", "unknown", "unknown", "unknown", "create"], "{planned:?}");
    assert!(planned[1]["notes"].to_string().contains("depends on step 1"), "{planned:?}");
    let text = site.converge();
    assert!(!text.contains("beyond the plan"), "it was said: {text}");
    assert_eq!(
        site.on_host("ls /etc/keeper /var/lib/keeper /usr/share/keeper | grep -v '^$'"),
        "/etc/keeper:\nown.conf\n/usr/share/keeper:\nsub\n/var/lib/keeper:\nown"
    );

    // What the playbook wants before the removal is there after it.
    keeper(&site);
    site.playbook(&format!("{below}{purge}"));
    let text = site.converge();
    assert!(!text.contains("beyond the plan"), "it was said: {text}");
    assert_eq!(site.on_host("cat /var/lib/keeper/own"), "own");

    // What a mount hides is not what is found before it.
    site.on_host("mkdir /srv/data; echo x >/srv/data/x");
    site.playbook(
        r#"
[[step]]
unit = { name = "srv-data.mount", content = "[Mount]\nWhat=tmpfs\nWhere=/srv/data\nType=tmpfs\n" }
[[step]]
service = { name = "srv-data.mount", running = true }
[[step]]
file = { path = "/srv/data/x", content = "x\n" }
"#,
    );
    assert_eq!(action(&site, "3"), "unknown");
    let text = site.converge();
    assert!(!text.contains("beyond the plan"), "it was said: {text}");
    assert_eq!(site.on_host("findmnt -n -o FSTYPE /srv/data; cat /srv/data/x"), "tmpfs\nx");

    // A home that goes with its user is known to be gone.
    site.on_host("useradd -m -d /srv/gone gone");
    site.playbook(
        "[[step]]\nuser = { name = \"gone\", state = \"absent\", remove_home = true }\n\
         [[step]]\nfile = { path = \"/srv/gone/x\", content = \"x\" }\n",
    );
    let refused = site.run(&["plan", "site.toml"]);
    assert!(refused.code == 1 && refused.err.contains("there is no /srv/gone"), "{refused:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_service_makes_is_decided_after_its_start() {
    let site = Project::new();
    site.on_host("printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/other.service; systemctl daemon-reload");
    let unit = r#"
[[step]]
unit = { name = "made.service", content = "[Service]\nType=oneshot\nRemainAfterExit=yes\nRuntimeDirectory=made\nStateDirectory=made\nExecStart=/bin/sh -c 'echo made >/var/lib/made/gen.conf; mkdir /srv/made'\n" }
"#;
    let below = r#"
[[step]]
file = { path = "/run/made/x", content = "x\n" }
[[step]]
line = { path = "/var/lib/made/gen.conf", line = "more" }
[[step]]
directory = { path = "/srv/made/sub" }
[[step]]
command = { run = "touch done", directory = "/srv/made", creates = "/srv/made/done" }
"#;
    let start = "[[step]]\nservice = { name = \"made.service\", running = true }\n";
    site.playbook(&format!("{unit}{below}"));
    let refused = site.run(&["plan", "site.toml"]);
    assert!(refused.code == 1 && refused.err.contains("there is no /run/made"), "{refused:?}");
    site.playbook(&format!("{unit}{start}{below}"));
    let planned = steps(&site);
    assert!(planned[2..5].iter().all(|step| step["action"] == "unknown"), "{planned:?}");
    assert!(planned[2]["notes"].to_string().contains("depends on step 2"), "{planned:?}");
    let text = site.converge();
    assert!(!text.contains("beyond the plan"), "it was said: {text}");
    assert_eq!(site.on_host("cat /run/made/x /var/lib/made/gen.conf; ls /srv/made"), "x\nmade\nmore\ndone\nsub");

    // The same by a restart, once it has been done.
    site.on_host("systemctl stop made.service; rm -rf /var/lib/made /srv/made; systemctl reset-failed");
    let change = "[[step]]\nfile = { path = \"/etc/made.conf\", content = \"1\\n\" }\nrestart = [\"made.service\"]\n[[step]]\nflush = {}\n";
    site.playbook(&format!("{unit}{change}{below}"));
    site.converge();
    assert_eq!(site.on_host("cat /run/made/x; ls /srv/made"), "x\ndone\nsub");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_step_makes_by_a_probe_counts_for_the_steps_after_it() {
    let site = Project::new();
    site.on_host("printf 12345 >/srv/m; mkdir /srv/d");
    site.playbook(
        r#"
[probes]
m = { path = "/srv/m" }
[[step]]
file = { path = "/etc/app.conf", content = "size = {{ probes.m.size }}\n", if_missing = true }
[[step]]
setting = { path = "/etc/app.conf", key = "port", value = 80 }
[[step]]
unit = { name = "app", content = "[Service]\nExecStart=/bin/sleep {{ probes.m.size }}00\n[Install]\nWantedBy=multi-user.target\n" }
[[step]]
service = { name = "app", enabled = true, running = true }
"#,
    );
    let planned = steps(&site);
    assert!(planned.iter().all(|step| step["action"] != "unknown"), "each is predicted: {planned:?}");
    site.converge();
    assert_eq!(site.on_host("systemctl is-active app; cat /etc/app.conf"), "active\nsize = 5\nport = 80");
    // Where a command stands before it, only its turn tells what the probe finds.
    site.playbook(
        r#"
[probes]
m   = { path = "/srv/m" }
had = { path = "/srv/had" }
[[step]]
command = { run = "printf 123 >/srv/m; touch /srv/had", creates = "/srv/had" }
[[step]]
unit = { name = "later", content = "[Service]\nExecStart=/bin/sleep {{ probes.m.size }}00\n[Install]\nWantedBy=multi-user.target\n" }
restart = ["later.service"]
[[step]]
service = { name = "later", enabled = true, running = true }
[[step]]
file = { path = "/etc/later/sub/app.conf", content = "size = {{ probes.m.size }}\n", parents = true, if_missing = true }
[[step]]
setting = { path = "/etc/later/sub/app.conf", key = "port", value = 80 }
[[step]]
line = { path = "/etc/later/sub/app.conf", line = "last = 1" }
[[step]]
file = { path = "/etc/later/other", content = "x\n" }
[[step]]
when = "probes.had.exists"
user = { name = "late" }
[[step]]
file = { path = "/srv/late", content = "x\n", owner = "late" }
"#,
    );
    site.converge();
    assert_eq!(
        site.on_host("systemctl is-active later; cat /etc/later/sub/app.conf; stat -c %U /srv/late"),
        "active\nsize = 3\nport = 80\nlast = 1\nlate"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_playbook_says_of_itself_is_seen_in_the_plan() {
    let site = Project::new();
    let unit =
        |name: &str| format!("[Service]\\nExecStart=/bin/sleep 1{name}\\n[Install]\\nWantedBy=multi-user.target\\n");
    // What a step makes is taken back by one after a command.
    site.playbook(
        r#"
[[step]]
directory = { path = "/etc/app" }
[[step]]
file = { path = "/etc/app/a.conf", content = "port 80\n" }
[[step]]
command = { run = "touch /srv/ran", creates = "/srv/ran" }
[[step]]
replace = { path = "/etc/app/a.conf", match = "port 80", with = "port 81" }
"#,
    );
    let (code, told) = site.told(&["plan", "site.toml"]);
    assert!(code == 1 && told.contains("takes back what this step makes"), "{code}: {told}");
    // A guard that reads what a step writes is not answered before that.
    site.playbook(
        r#"
[[step]]
file = { path = "/srv/uf", content = "x\n" }
[[step]]
command = { run = "touch /srv/never", unless = "test -e /srv/uf" }
"#,
    );
    assert_eq!(action(&site, "2"), "unknown");
    site.converge();
    assert_eq!(site.on_host("test -e /srv/never || echo none"), "none");
    // A unit that is to be stopped is not restarted, in either order.
    for (number, order) in [["service", "file"], ["file", "service"]].iter().enumerate() {
        let name = format!("r{number}");
        let mut text = format!("[[step]]\nunit = {{ name = \"{name}\", content = \"{}\" }}\n", unit(&name[1..]));
        for sort in order {
            text += &match *sort {
                "service" => format!("[[step]]\nservice = {{ name = \"{name}\", running = false }}\n"),
                _ => format!(
                    "[[step]]\nrestart = [\"{name}\"]\nfile = {{ path = \"/srv/{name}.conf\", content = \"x\\n\" }}\n"
                ),
            };
        }
        site.playbook(&text);
        site.converge();
        assert_eq!(site.on_host(&format!("systemctl is-active {name} || :")), "inactive");
    }
    // A unit's name needs no suffix where it is restarted.
    site.playbook(
        r#"
[[step]]
restart = ["systemd-journald"]
file = { path = "/srv/c", content = "x\n" }
"#,
    );
    assert!(site.converge().contains("restart systemd-journald.service"));
}
