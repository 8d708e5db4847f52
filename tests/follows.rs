//! What hangs on the changes of others, on real hosts: `when_changed`, restarts
//! and reboots are due after a change, never without one, and never lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;

const FAILS: &str = "[[step]]\ncommand = { run = \"exit 7\", unless = \"test -e /srv/fixed\" }\n";

/// The actions of the steps in a plan, by their ids.
fn actions(site: &Project, arguments: &[&str]) -> Vec<(String, String)> {
    let all = [&["plan", "site.toml", "--format", "json"], arguments].concat();
    let plan: serde_json::Value = serde_json::from_str(&site.done(&all)).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let steps = plan["hosts"][0]["steps"].as_array().unwrap();
    steps.iter().map(|step| (text(&step["id"]), text(&step["action"]))).collect()
}

/// What waits on the host for a later run.
fn owed(site: &Project) -> String {
    site.on_host("ls /var/lib/stockade/owed 2>/dev/null | cut -d : -f 1 | sort -u")
}

/// A playbook with a probe, a step that changes /etc/in.conf and a command that
/// follows it, written in another way each time; what the command logs.
fn probed(way: &str, content: &str, between: &str) -> (String, &'static str) {
    let (trigger, follower, logs) = match way {
        "run" => ("c", "command = { run = \"echo {{ probes.m.exists }} >>/srv/log\", when_changed = \"c\" }", "true"),
        "environment" => (
            "c",
            "command = { run = \"echo $X >>/srv/log\", environment = { X = \"{{ probes.m.mode }}\" }, when_changed = \"c\" }",
            "0640",
        ),
        "previous" => {
            ("c", "command = { run = \"echo {{ probes.m.exists }} >>/srv/log\", when_changed = \"previous\" }", "true")
        }
        "when" => (
            "c",
            "when = \"probes.m.exists\"\ncommand = { run = \"echo {{ probes.m.type }} >>/srv/log\", when_changed = \"c\" }",
            "file",
        ),
        "when_changed" => (
            "c",
            "command = { run = \"echo ran >>/srv/log\", when_changed = \"{% if probes.m.exists %}c{% else %}d{% endif %}\" }",
            "ran",
        ),
        "each" => (
            "c",
            "each = \"{{ probes.list.output | split(pat=' ') }}\"\n\
             command = { run = \"echo {{ item }} >>/srv/log\", when_changed = [\"c\"] }",
            "a\nb",
        ),
        "name" => {
            ("c {{ probes.m.mode }}", "command = { run = \"echo ran >>/srv/log\", when_changed = \"c 0640\" }", "ran")
        }
        "use" => ("c", "use = \"./part.toml\"\nwith = { v = \"{{ probes.m.mode }}\" }", "in the part 0640"),
        way => panic!("{way}"),
    };
    let playbook = format!(
        "[probes]\nm = {{ path = \"/srv/p\" }}\nlist = {{ command = \"cat /srv/list\" }}\n\
         [[step]]\nname = \"d\"\nfile = {{ path = \"/srv/d.conf\", content = \"d\\n\" }}\n\
         [[step]]\nname = \"{trigger}\"\nfile = {{ path = \"/etc/in.conf\", content = \"{content}\\n\" }}\n\
         {between}[[step]]\n{follower}\n"
    );
    (playbook, logs)
}

const WAYS: [&str; 8] = ["run", "environment", "previous", "when", "when_changed", "each", "name", "use"];

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_command_with_probes_in_it_follows_changes_as_any_other() {
    let site = Project::new();
    site.write(
        "part.toml",
        "[vars]\nv = \"\"\n[[step]]\nname = \"inner\"\nfile = { path = \"/srv/inner\", content = \"{{ v }} \" , mode = \"0600\" }\n\
         [[step]]\ncommand = { run = \"echo in the part {{ v }} >>/srv/log\", when_changed = \"c\" }\n",
    );
    site.on_host("touch /srv/p; chmod 0640 /srv/p; echo 'a b' >/srv/list");
    for way in WAYS {
        site.on_host("rm -f /srv/log /etc/in.conf /srv/fixed /srv/d.conf");
        let log = || site.on_host("cat /srv/log 2>/dev/null || :");
        let (steps, once) = probed(way, "one", "");
        site.playbook(&steps);
        site.converge();
        assert_eq!(log(), once, "{way}: it follows the change of its own run");
        site.converge();
        assert_eq!(log(), once, "{way}: nothing has changed since");

        // A run that ends before it loses nothing.
        let (steps, _) = probed(way, "two", FAILS);
        site.playbook(&steps);
        assert_eq!(site.apply().code, 3, "{way}");
        assert_eq!(log(), once, "{way}");
        site.on_host("touch /srv/fixed");
        site.converge();
        assert_eq!(log(), format!("{once}\n{once}"), "{way}: it is done by the next run");
        assert_eq!(owed(&site), "", "{way}");

        // What it does not follow is nothing to it.
        site.on_host("echo other >/srv/d.conf");
        if way != "previous" {
            site.converge();
            assert_eq!(log(), format!("{once}\n{once}"), "{way}: another step has changed");
        }
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_change_is_not_lost_where_the_command_is_left_out_or_the_file_renamed() {
    let site = Project::new();
    let steps = |content: &str, place: &str, between: &str| {
        format!(
            "[vars]\nplace = \"{place}\"\n\
             [[step]]\nname = \"c\"\nfile = {{ path = \"/etc/in.conf\", content = \"{content}\\n\" }}\ntags = [\"conf\"]\n{between}\
             [[step]]\nwhen = \"place == 'prod'\"\ncommand = {{ run = \"cat /etc/in.conf >>/srv/log\", when_changed = \"c\" }}\n\
             tags = [\"act\"]\n"
        )
    };
    let log = || site.on_host("cat /srv/log 2>/dev/null || :");
    for (number, filter) in [["--tags", "conf"], ["--skip-tags", "act"]].iter().enumerate() {
        site.playbook(&steps(&format!("{number}"), "prod", ""));
        site.done(&[&["apply", "site.toml", "--yes"][..], filter].concat());
        assert_eq!(owed(&site), "run", "{filter:?}");
        assert_eq!(actions(&site, &[])[1].1, "run", "{filter:?}");
        site.converge();
        assert_eq!(log(), ["0", "0\n1"][number], "{filter:?}");
        assert_eq!(owed(&site), "");
    }
    // Where 'when' is false the command is no part of the host's playbook.
    site.playbook(&steps("2", "test", ""));
    site.converge();
    assert_eq!(owed(&site), "");
    site.playbook(&steps("2", "prod", ""));
    site.converge();
    assert_eq!(log(), "0\n1");

    site.playbook(&steps("3", "prod", FAILS));
    assert_eq!(site.apply().code, 3);
    std::fs::rename(site.folder().join("site.toml"), site.folder().join("renamed.toml")).unwrap();
    site.on_host("touch /srv/fixed");
    site.done(&["apply", "renamed.toml", "--yes"]);
    assert_eq!(log(), "0\n1\n3", "the playbook is the same under another file name");
}

/// A package repository on the host of these names, versions and dependencies,
/// with lists that are older than a day.
fn with_old_lists(site: &Project, packages: &[(&str, &str, &str)]) {
    let mut text = String::from(
        "set -e; rm -rf /srv/repo; mkdir -p /srv/repo; rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*\n",
    );
    for (name, version, depends) in packages {
        let depends = if depends.is_empty() { String::new() } else { format!("Depends: {depends}\\n") };
        text.push_str(&format!(
            "mkdir -p /srv/build/DEBIAN; printf 'Package: {name}\\nVersion: {version}\\nArchitecture: all\\n{depends}Maintainer: t <t@example.org>\\nDescription: a test\\n' >/srv/build/DEBIAN/control\n\
             dpkg-deb --root-owner-group -b /srv/build /srv/repo/{name}-{version}.deb >/dev/null; rm -rf /srv/build\n"
        ));
    }
    text.push_str(
        "cd /srv/repo; for d in *.deb; do dpkg-deb -f $d; \
         printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' $d $(stat -c %s $d) $(sha256sum $d | cut -d ' ' -f 1); done >Packages\n\
         echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list.d/local.list\n\
         apt-get -q update >/dev/null 2>&1; ",
    );
    text.push_str(OLD);
    site.on_host(&text);
}

const OLD: &str = "touch -d '3 days ago' /var/lib/apt/lists";
const COUNTED: &str = "mkdir -p /etc/systemd/system; printf '[Service]\\nExecStartPre=/bin/sh -c \"echo start >>/srv/starts\"\\nExecStart=/bin/sleep infinity\\nExecReload=/bin/sh -c \"echo reload >>/srv/starts\"\\n' >/etc/systemd/system/counted.service; systemctl daemon-reload; systemctl start counted";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_hangs_on_a_step_that_may_change_nothing_is_open_until_it_has_come() {
    let site = Project::new();
    with_old_lists(&site, &[("one", "1", ""), ("two", "1", "")]);
    site.on_host("apt-get -q -y install one two >/dev/null 2>&1; rm -rf /srv/starts");
    site.on_host(OLD);
    site.on_host(COUNTED);
    let starts = || site.on_host("wc -l </srv/starts");
    let log = || site.on_host("cat /srv/log 2>/dev/null || :");
    let boot = || site.on_host("cat /proc/sys/kernel/random/boot_id");
    let upgrade = "[[step]]\nname = \"p\"\npackage = { upgrade = \"safe\" }\nrestart = [\"counted.service\"]\n\
         [[step]]\ncommand = { run = \"echo ran >>/srv/log\", when_changed = \"p\" }\n";
    let latest = upgrade.replace("{ upgrade = \"safe\" }", "{ names = [\"one\"], state = \"latest\" }");
    let both = latest.replace(
        "\"p\"\npackage",
        "\"q\"\npackage = { name = \"two\", state = \"latest\" }\n[[step]]\nname = \"p\"\npackage",
    );
    for steps in [upgrade, &latest, &both, &upgrade.replace("restart =", "reload =")] {
        site.on_host(OLD);
        site.playbook(steps);
        let found = actions(&site, &[]);
        assert!(found.iter().all(|(_, action)| action == "unknown"), "{found:?}");
        assert!(found.iter().any(|(id, _)| id.ends_with(":counted.service")), "{found:?}");
        let (_, text) = site.told(&["plan", "site.toml"]);
        assert!(text.contains("decided at its turn: depends on step"), "{text}");
        site.converge();
        assert_eq!((starts().as_str(), log().as_str(), owed(&site).as_str()), ("1", "", ""), "{steps}");
    }

    // That apt had nothing to do says nothing of a later step that fails.
    site.on_host(OLD);
    site.playbook(&format!(
        "{upgrade}[[step]]\ncommand = {{ run = \"touch /srv/half; exit 3\", creates = \"/srv/never\" }}\n"
    ));
    let ran = site.apply();
    assert_eq!((ran.code, site.on_host("ls /srv/half").as_str()), (3, "/srv/half"), "{ran:?}");
    assert!(ran.out.contains("1 step changed in part"), "{ran:?}");

    let reboots = "[[step]]\npackage = { upgrade = \"safe\" }\n[[step]]\nreboot = { if = \"changed\" }\n";
    let first = boot();
    site.on_host(OLD);
    site.playbook(reboots);
    assert!(actions(&site, &[]).iter().all(|(_, action)| action == "unknown"));
    site.converge();
    assert_eq!(boot(), first, "nothing has changed");

    // The same, where there is something to upgrade.
    with_old_lists(&site, &[("one", "1", ""), ("two", "1", ""), ("one", "2", ""), ("two", "2", "")]);
    site.playbook(&upgrade.replace("{ upgrade = \"safe\" }", "{ name = \"one\", state = \"latest\" }"));
    site.converge();
    assert_eq!((starts().as_str(), log().as_str(), owed(&site).as_str()), ("2", "ran", ""));
    assert_eq!(site.on_host("dpkg-query -W -f '${Package} ${Version} ' one two"), "one 2 two 1");
    site.on_host(OLD);
    site.playbook(reboots);
    site.converge();
    assert_ne!(boot(), first, "packages were upgraded");
    assert_eq!(site.on_host("dpkg-query -W -f '${Version}' two"), "2");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_change_before_a_phase_ends_still_asks_for_the_reboot_after_it() {
    let site = Project::new();
    let boot = || site.on_host("cat /proc/sys/kernel/random/boot_id");
    site.playbook(
        "[[step]]\nfile = { path = \"/srv/a\", content = \"a\\n\" }\n\
         [[step]]\ncommand = { run = \"touch /srv/made\", creates = \"/srv/made\" }\n\
         [[step]]\nfile = { path = \"/srv/made\", mode = \"0600\" }\n\
         [[step]]\nreboot = { if = \"changed\" }\n",
    );
    let before = boot();
    let text = site.converge();
    assert_ne!(boot(), before, "{text}");
    assert!(!text.contains("differs beyond"), "{text}");
    let after = boot();
    site.converge();
    assert_eq!(boot(), after);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_command_runs_once_in_an_apply_of_several_phases() {
    let site = Project::new();
    let steps = |end: &str| {
        format!(
            "[[step]]\ncommand = {{ run = \"echo fetched >>/srv/log\", unless = \"test -e /srv/fin\" }}\n\
             [[step]]\ncommand = {{ run = \"touch /srv/made\", creates = \"/srv/made\" }}\n\
             [[step]]\nfile = {{ path = \"/srv/made\", mode = \"0600\" }}\n\
             [[step]]\ncommand = {{ run = \"echo x >/srv/more\", creates = \"/srv/more\" }}\n\
             [[step]]\nline = {{ path = \"/srv/more\", line = \"y\" }}\n{end}"
        )
    };
    site.playbook(&steps("[[step]]\ncommand = { run = \"touch /srv/fin\", creates = \"/srv/fin\" }\n"));
    site.converge();
    assert_eq!(site.on_host("cat /srv/log"), "fetched");

    // What its guard says at the end counts, as in a run of one phase.
    site.on_host("rm -f /srv/log /srv/fin /srv/made /srv/more");
    site.playbook(&steps(""));
    let (code, text) = site.told(&["apply", "site.toml", "--yes"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("NOT CONVERGED") && text.contains("step 1"), "{text}");
    assert_eq!(site.on_host("cat /srv/log"), "fetched", "{text}");

    // A later change asks for it once more.
    site.on_host("rm -f /srv/log /srv/made /srv/more");
    site.playbook(
        "[[step]]\ncommand = { run = \"touch /srv/made\", creates = \"/srv/made\" }\n\
         [[step]]\nname = \"c\"\nfile = { path = \"/srv/made\", mode = \"0600\" }\n\
         [[step]]\ncommand = { run = \"echo followed >>/srv/log; echo x >/srv/more\", when_changed = \"c\" }\n\
         [[step]]\nline = { path = \"/srv/more\", line = \"y\" }\n",
    );
    site.converge();
    assert_eq!(site.on_host("cat /srv/log"), "followed");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_plan_says_is_known_after_apply_is_no_drift() {
    let site = Project::new();
    let packages: Vec<(String, String)> = (0..4).map(|n| (format!("pack{n}"), format!("lib{n}, libevery"))).collect();
    let mut all: Vec<(&str, &str, &str)> =
        packages.iter().map(|(name, depends)| (name.as_str(), "1", depends.as_str())).collect();
    all.extend([("lib0", "1", ""), ("lib1", "1", ""), ("lib2", "1", ""), ("lib3", "1", ""), ("libevery", "1", "")]);
    let phase = |n: usize| {
        format!(
            "[[step]]\npackage = {{ name = \"pack{n}\" }}\n\
             [[step]]\nline = {{ path = \"/etc/none{n}\", line = \"x\", missing = \"skip\" }}\n\
             [[step]]\nuser = {{ name = \"made{n}\" }}\n\
             [[step]]\ncommand = {{ run = \"touch /srv/made{n}\", creates = \"/srv/made{n}\" }}\n"
        )
    };
    let steps: String = (0..4).map(phase).collect();
    for lists in [OLD, "touch /var/lib/apt/lists"] {
        with_old_lists(&site, &all);
        site.on_host(&format!("rm -f /srv/made*; {lists}"));
        site.playbook(&steps);
        let text = site.converge();
        let runs = site.on_host("cat /var/lib/stockade/runs/*/result | sort | uniq -c | grep phase");
        assert!(runs.trim_start().split(' ').next().is_some_and(|count| count != "0"), "several phases: {text}");
        assert!(!text.contains("differs beyond"), "{text}");
        assert_eq!(
            site.on_host("dpkg-query -W -f '${Package} ' 'pack?' 'lib?' libevery"),
            "lib0 lib1 lib2 lib3 libevery pack0 pack1 pack2 pack3"
        );
        site.on_host("apt-get -q -y purge 'pack?' 'lib?' libevery >/dev/null 2>&1; for n in 0 1 2 3; do userdel -r made$n 2>/dev/null || :; done");
    }
}
