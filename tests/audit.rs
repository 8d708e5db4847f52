//! `audit`, by the program as an operator runs it against real hosts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // what cannot be used must stop the test

use crate::support::program;
use crate::support::project::{Project, ran};
use serde_json::Value;

/// Controls of every status on a lab host.
const PLAYBOOK: &str = r#"
name = "Checks"
hosts = ["all"]

[vars]
level = 1

[probes]
motd = { path = "/etc/motd" }

[[step]]
control = { id = "F1", title = "The message of the day is ours", severity = "medium", refs = ["CIS 1.7.1"], rationale = "it says whose host this is" }
file = { path = "/etc/motd", content = "ours\n" }

[[step]]
control = { id = "K1", title = "Martians are logged", severity = "high" }
sysctl = { key = "net.ipv4.conf.all.log_martians", value = 1 }

[[step]]
control = { id = "A1", title = "Only root has UID 0", severity = "critical", rationale = "another has all rights under another name" }
inspect = { script = "checks/uid0.sh", says = "only root has UID 0", remedy = "give each its own UID with usermod(8)" }

[[step]]
control = { id = "N1", title = "Docker is set up", severity = "low" }
inspect = { command = "command -v no-such-docker >/dev/null || { echo 'there is no Docker'; exit 77; }", says = "Docker is set up" }

[[step]]
control = { id = "X1", title = "What cannot be read is told", severity = "medium" }
inspect = { command = "cat /no/such/file || exit 2", says = "it can be read" }

[[step]]
control = { id = "L2", title = "A control of level 2", severity = "low", level = 2 }
when = "level >= 2"
file = { path = "/etc/level2", content = "2\n" }

[[step]]
control = { id = "P1", title = "The probe decides", severity = "low" }
when = "probes.motd.exists"
file = { path = "/etc/issue.probe", state = "absent" }

[[step]]
name = "run where it is due"
command = { run = "touch /srv/done", creates = "/srv/done" }

[[step]]
name = "not a control"
file = { path = "/etc/no-control", content = "x\n" }
"#;

const UID0: &str = r#"#!/bin/sh
others=$(awk -F: '$3 == 0 && $1 != "root" { print $1 }' /etc/passwd) || exit 2
[ -z "$others" ] || { echo "UID 0: $others"; exit 1; }
"#;

fn project() -> Project {
    let project = Project::new();
    project.write("site.toml", PLAYBOOK);
    project.write("checks/uid0.sh", UID0);
    project
}

/// How many logins sshd has accepted so far.
fn logins_of(project: &Project) -> u32 {
    project.on_host("journalctl --sync; journalctl -q -o cat | grep -c 'Accepted publickey' || :").parse().unwrap()
}

/// The JSON report, with the exit code.
fn audit(project: &Project, more: &[&str]) -> (i32, Value) {
    let ran = project.run(&[&["audit", "site.toml", "--format", "json"], more].concat());
    let report = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran.code, report)
}

fn result<'a>(report: &'a Value, id: &str) -> &'a Value {
    let results = report["hosts"][0]["results"].as_array().unwrap();
    results.iter().find(|result| result["id"] == id).unwrap_or_else(|| panic!("no result {id}: {report:#}"))
}

fn status<'a>(report: &'a Value, id: &str) -> &'a str {
    result(report, id)["status"].as_str().unwrap()
}

/// Everything on the host that an audit could change: files with their times of
/// change, mounts, units, kernel parameters, processes' number aside.
const WHOLE_HOST: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /var/lib/systemd \\) -prune \
     -o ! -type d -printf '%p %C@ %m %u %g %s\\n' | sort | sha256sum; \
     find /etc /usr /root /home -type d -printf '%p %C@\\n' | sort | sha256sum; \
     systemctl list-unit-files --no-legend | sort | sha256sum; sysctl -a 2>/dev/null | grep '^net' | sort | sha256sum; findmnt -rn | grep -v ' /run/user/\\|^/run/user/' | sort | sha256sum";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn controls_stand_as_the_host_is_and_nothing_is_changed() {
    let project = project();
    // What a first login leaves is there before: a home's caches, a session's directory.
    project.done(&["facts"]);
    let before = project.on_host(WHOLE_HOST);
    let logins = logins_of(&project);
    let (code, report) = audit(&project, &[]);
    assert_eq!(project.on_host(WHOLE_HOST), before, "an audit changes nothing");
    assert_eq!(logins_of(&project), logins + 1, "one session");

    assert_eq!(code, 2, "{report:#}");
    assert_eq!(report["format_version"], 1);
    for (id, expected) in [
        ("F1", "fail"),
        ("K1", "fail"),
        ("A1", "pass"),
        ("N1", "not_applicable"),
        ("X1", "error"),
        ("L2", "not_applicable"),
        ("P1", "pass"),
    ] {
        assert_eq!(status(&report, id), expected, "{id}: {:#}", result(&report, id));
    }
    let motd = result(&report, "F1");
    assert_eq!(motd["place"]["file"], "site.toml");
    assert_eq!(motd["place"]["line"], 11, "{motd:#}");
    assert!(motd["evidence"].to_string().contains("/etc/motd"), "{motd:#}");
    assert!(!motd["remedy"].as_array().unwrap().is_empty());
    let unread = result(&report, "X1");
    assert!(unread["reason"].as_str().unwrap().contains("/no/such/file"), "{unread:#}");
    let drift = report["hosts"][0]["drift"].as_array().unwrap();
    let titles: Vec<&str> = drift.iter().map(|step| step["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["run where it is due", "not a control"], "{drift:#?}");
    // Weights: 3 + 6 + 3 of F1, K1 and X1 against 10 and 1 of A1 and P1.
    assert_eq!(report["hosts"][0]["score"], 47.8);

    // A live value that is not persisted, and one that is persisted and not live.
    project.on_host("sysctl -qw net.ipv4.conf.all.log_martians=1");
    let (_, report) = audit(&project, &[]);
    assert_eq!(status(&report, "K1"), "not_live", "{:#}", result(&report, "K1"));
    assert!(result(&report, "K1")["reason"].as_str().unwrap().contains("not persisted"));
    project.run(&["apply", "site.toml", "--yes"]);
    project.on_host("sysctl -qw net.ipv4.conf.all.log_martians=0");
    let (_, report) = audit(&project, &[]);
    assert_eq!(status(&report, "K1"), "not_live", "{:#}", result(&report, "K1"));
    assert!(result(&report, "K1")["reason"].as_str().unwrap().contains("not live"));
    assert_eq!(status(&report, "F1"), "pass");

    // A step that its turn shows to be wrong is wrong input, not a finding.
    project.write("wrong.toml", "hosts = [\"all\"]\n[probes]\nmotd = { path = \"/etc/motd\" }\n[[step]]\ncommand = { run = \"echo {{ probes.motd.size }}\" }\n");
    let (code, told) = project.told(&["audit", "wrong.toml"]);
    assert!(code == 1 && told.contains("wrong.toml:5") && told.contains("needs one of"), "{code} {told}");

    // Another fault is found, and where a file wins over ours, with its line.
    project.on_host("sysctl -qw net.ipv4.conf.all.log_martians=1");
    project.on_host("echo toor:x:0:0::/root:/bin/sh >>/etc/passwd");
    project.on_host("printf '# x\\nnet.ipv4.conf.all.log_martians = 0\\n' >/etc/sysctl.d/99-zzz-local.conf");
    let (code, report) = audit(&project, &["--fail-on", "critical"]);
    assert_eq!(code, 2);
    assert_eq!(result(&report, "A1")["actual"], "UID 0: toor");
    let martians = result(&report, "K1");
    assert_eq!(martians["status"], "fail", "{martians:#}");
    assert!(martians["evidence"].to_string().contains("/etc/sysctl.d/99-zzz-local.conf:2"), "{martians:#}");
    project.on_host("sed -i /^toor:/d /etc/passwd");
    assert_eq!(audit(&project, &["--fail-on", "critical"]).0, 0);

    // Level 2 sets the playbook's variable; level 1 leaves its controls out of the report.
    let (_, report) = audit(&project, &["--level", "2"]);
    assert_eq!(status(&report, "L2"), "fail");
    let (_, report) = audit(&project, &["--level", "1"]);
    assert!(!report["controls"].to_string().contains("L2"), "{report:#}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn waivers_baselines_and_scores_over_time() {
    let project = project();
    let folder = project.folder().to_owned();
    project.write(
        "waivers.toml",
        "[[waiver]]\ncontrol = \"F1\"\nhosts = [\"nobody*\"]\nreason = \"x\"\nowner = \"ann\"\nexpires = 2999-01-01\n\
         [[waiver]]\ncontrol = \"K1\"\nreason = \"the router logs them\"\nowner = \"ann\"\nexpires = 2999-01-01\n\
         [[waiver]]\ncontrol = \"A1\"\nreason = \"until the move\"\nowner = \"bob\"\nexpires = \"2020-01-31\"\n\
         [[waiver]]\ncontrol = \"X1\"\nreason = \"nobody may waive what was not seen\"\nowner = \"bob\"\nexpires = 2999-01-01\n",
    );
    project.on_host("echo toor:x:0:0::/root:/bin/sh >>/etc/passwd");
    let (code, report) = audit(&project, &["--waivers", "waivers.toml"]);
    assert_eq!(code, 2);
    assert_eq!(status(&report, "F1"), "fail", "the waiver is for other hosts");
    assert_eq!(status(&report, "K1"), "waived");
    assert_eq!(result(&report, "K1")["waiver"]["place"]["line"], 7);
    assert_eq!(status(&report, "A1"), "fail", "the waiver has expired");
    assert_eq!(result(&report, "A1")["waiver"]["expired"], true);
    assert_eq!(status(&report, "X1"), "error");
    let expired = report["expired_waivers"].as_array().unwrap();
    assert!(expired.len() == 1 && expired[0].as_str().unwrap().contains("2020-01-31"), "{expired:?}");
    // 1 of P1 over 1 + 3 (F1) + 10 (A1) + 3 (X1).
    assert_eq!(report["hosts"][0]["score"], 5.9);

    project.write("late.toml", "[[waiver]]\ncontrol = \"X1\"\nreason = \"x\"\nowner = \"bob\"\nexpires = 2020-01-31\n");
    let (_, late) = audit(&project, &["--waivers", "late.toml"]);
    let reason = result(&late, "X1")["reason"].as_str().unwrap();
    assert!(reason.contains("/no/such/file") && reason.ends_with("the waiver expired on 2020-01-31"), "{reason}");
    sensitive_inspections(&project);
    reports_in_files(&project);

    project.write("baseline.json", &report.to_string());
    project.on_host("sed -i /^toor:/d /etc/passwd; rm /etc/motd; sysctl -qw net.ipv4.conf.all.log_martians=0");
    let (_, report) = audit(&project, &["--baseline", "baseline.json", "--record", "local"]);
    assert_eq!(result(&report, "A1")["change"], "better");
    assert_eq!(result(&report, "K1")["change"], "worse", "it was waived");
    assert_eq!(result(&report, "F1")["change"], "same");
    let (_, report) = audit(&project, &["--record", "local"]);
    assert_eq!(report["hosts"][0]["trend"].as_array().unwrap().len(), 1);
    let listed = ran(program(&folder).args(["history", "--audits"]));
    assert!(listed.code == 0 && listed.out.starts_with("2 audits"), "{listed:?}");
    let runs = ran(program(&folder).args(["history", "--records"]));
    assert!(!runs.out.contains("audit"), "{runs:?}");

    // Wrong input: nothing is asked of a host.
    for (file, text, says) in [
        (
            "w1.toml",
            "[[waiver]]\ncontrol = \"F9\"\nreason = \"x\"\nowner = \"a\"\nexpires = 2999-01-01\n",
            "no control 'F9'",
        ),
        ("w2.toml", "[[waiver]]\ncontrol = \"F1\"\nowner = \"a\"\nexpires = 2999-01-01\n", "needs 'reason'"),
        (
            "w3.toml",
            "[[waiver]]\ncontrol = \"F1\"\nreason = \"x\"\nowner = \"a\"\nexpires = \"soon\"\n",
            "must be a date",
        ),
        ("w4.toml", "[[waivers]]\n", "unknown key 'waivers'"),
        ("w5.toml", "waiver = 1\n", "array of tables"),
    ] {
        project.write(file, text);
        let (code, told) = project.told(&["audit", "site.toml", "--waivers", file]);
        assert!(code == 1 && told.contains(says) && told.contains(file), "{file}: {code} {told}");
    }
    for (text, says) in [("{\"format_version\": 2}", "form 2"), ("{}", "no format_version"), ("x", "no JSON")] {
        project.write("old.json", text);
        let (code, told) = project.told(&["audit", "site.toml", "--baseline", "old.json"]);
        assert!(code == 1 && told.contains(says) && told.contains("old.json"), "{code} {told}");
    }
    let baseline = std::fs::read_to_string(project.folder().join("baseline.json")).unwrap();
    let [mut twice, mut other]: [serde_json::Value; 2] = [(); 2].map(|()| serde_json::from_str(&baseline).unwrap());
    let host = twice["hosts"][0].clone();
    twice["hosts"].as_array_mut().unwrap().push(host);
    for control in other["controls"].as_array_mut().unwrap() {
        control["id"] = format!("of-another-{}", control["id"].as_str().unwrap()).into();
    }
    project.write("twice.json", &twice.to_string());
    project.write("other.json", &other.to_string());
    for (file, says) in [("twice.json", "more than once"), ("other.json", "none of the controls of this playbook")] {
        let (code, told) = project.told(&["audit", "site.toml", "--baseline", file]);
        assert!(code == 1 && told.contains(says) && told.contains(file), "{code} {told}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn every_format_tells_of_a_host_that_cannot_be_audited() {
    let project = project();
    let inventory = project.lab.lab.inventory_path();
    let mut text = std::fs::read_to_string(&inventory).unwrap();
    text.push_str("\n[hosts.gone]\naddress = \"127.0.0.1\"\nport = 1\n");
    std::fs::write(&inventory, text).unwrap();
    let hostile = "[[step]]\ncontrol = { id = \"H1\", title = \"What a host says is shown with care\", severity = \"low\" }\n\
                   inspect = { script = \"checks/hostile.sh\", says = \"nothing\" }\n";
    project.write(
        "checks/hostile.sh",
        "printf '\\033]0;owned\\007<script>alert(1)</script> \\342\\200\\256 ]]> | ` &amp;\\n'; exit 1\n",
    );
    project.write("site.toml", &format!("{PLAYBOOK}{hostile}"));
    for format in ["text", "json", "sarif", "junit", "html", "markdown"] {
        let ran = project.run(&["audit", "site.toml", "--format", format]);
        assert!(ran.out.contains("owned"), "{format}: {ran:?}");
        assert!(!ran.out.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{format}: {ran:?}");
        if ["junit", "html"].contains(&format) {
            assert!(!ran.out.contains("<script>alert"), "{format}: {ran:?}");
        }
        assert_eq!(ran.code, 4, "{format}: {ran:?}");
        assert!(ran.out.contains("gone"), "{format}: {ran:?}");
        assert!(ran.out.contains("The message of the day is ours"), "{format}: {ran:?}");
    }
    let ran = project.run(&["audit", "site.toml", "--limit", "!gone", "--format", "html", "--out", "audit.html"]);
    assert!(ran.code == 2 && ran.out.is_empty(), "{ran:?}");
    assert!(std::fs::read_to_string(project.folder().join("audit.html")).unwrap().contains("</html>"));
}

#[test]
fn a_control_is_explained_without_a_host() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("site.toml"), PLAYBOOK).unwrap();
    let explained = ran(program(folder.path()).args(["audit", "site.toml", "--explain", "f1"]));
    assert_eq!(explained.code, 0, "{explained:?}");
    for part in [
        "F1  The message of the day is ours",
        "medium severity, level 1",
        "CIS 1.7.1",
        "it says whose host",
        "/etc/motd",
    ] {
        assert!(explained.out.contains(part), "{part}: {explained:?}");
    }
    let unknown = ran(program(folder.path()).args(["audit", "site.toml", "--explain", "F2"]));
    assert!(unknown.code == 1 && unknown.err.contains("no control 'F2'") && unknown.err.contains("F1"), "{unknown:?}");
}

#[test]
fn what_is_wrong_with_a_control_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let step = "file = { path = \"/x\", content = \"x\" }\n";
    for (control, says) in [
        ("{ id = \"a b\", title = \"t\", severity = \"low\" }", "site.toml:2:18"),
        ("{ id = \"A\", severity = \"low\" }", "needs 'title'"),
        ("{ id = \"A\", title = \"t\", severity = \"bad\" }", "\"low\", \"medium\""),
        ("{ id = \"A\", title = \"t\", severity = \"low\", level = 3 }", "level is 1 or 2"),
        ("{ id = \"A\", title = \"t\", severity = \"low\", refs = \"x\" }", "array of strings"),
        ("{ id = \"A\", title = \"{{ x }}\", severity = \"low\" }", "not a template"),
        ("{ id = \"A\", title = \"t\", severity = \"low\", ref = [] }", "did you mean 'refs'"),
        ("7", "a string or a table"),
    ] {
        let text = format!("[[step]]\ncontrol = {control}\n{step}");
        std::fs::write(folder.path().join("site.toml"), text).unwrap();
        let told = ran(program(folder.path()).args(["check", "site.toml"]));
        assert!(told.code == 1 && told.err.contains(says), "{control}: {told:?}");
    }
    let twice = "{ id = \"A\", title = \"t\", severity = \"low\" }";
    std::fs::write(
        folder.path().join("site.toml"),
        format!("[[step]]\ncontrol = {twice}\n{step}[[step]]\ncontrol = {twice}\n{step}"),
    )
    .unwrap();
    let told = ran(program(folder.path()).args(["check", "site.toml"]));
    assert!(told.code == 1 && told.err.contains("described twice"), "{told:?}");
}

#[test]
fn a_control_that_is_left_out_must_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = "[hosts.a]\naddress = \"192.0.2.1\"\nvars = { left = [\"S98\"] }\n";
    std::fs::write(folder.path().join("i.toml"), inventory).unwrap();
    for (step, code, says) in [
        ("use = \"harden/server\"\nwith = { skip = [\"S1\", \"W7\", \"U2\"], level = 2 }", 0, ""),
        (
            "use = \"harden/ssh\"\nwith = { skip = [\"S1\", \"S99\"] }",
            1,
            "site.toml:4:17: 'skip' names the control 'S99'",
        ),
        ("use = \"harden/ssh\"\nwith = { skip = [\"A1\"] }", 1, "which harden/ssh does not have"),
        ("use = \"harden/ssh\"\nwith = { skip = \"S17\" }", 1, "an array of ids"),
        ("use = \"harden/ssh\"\nwith = { skip = [1] }", 1, "an array of ids"),
        ("use = \"harden/ssh\"\nwith = { skip = \"{{ left }}\" }", 1, "'S98'"),
        ("use = \"harden/server\"\nwith = { level = 3 }", 1, "'level' must be 1 or 2, not 3"),
        ("use = \"harden/server\"\nwith = { level = \"2\" }", 1, "'level' must be 1 or 2"),
    ] {
        std::fs::write(folder.path().join("site.toml"), format!("hosts = [\"all\"]\n[[step]]\n{step}\n")).unwrap();
        let told = ran(program(folder.path()).args(["check", "site.toml", "-i", "i.toml"]));
        let message = told.err.replace("\n", " ");
        assert_eq!(told.code, code, "{step}: {told:?}");
        assert!(says.split(": ").all(|part| message.contains(part)), "{step}: {message}");
    }
    // The same where a profile is run by its name: the variable comes from the inventory.
    std::fs::write(folder.path().join("i.toml"), inventory.replace("left", "skip")).unwrap();
    let told = ran(program(folder.path()).args(["check", "harden/ssh", "-i", "i.toml", "--limit", "a"]));
    assert!(told.code == 1 && told.err.contains("i.toml:3") && told.err.contains("'S98'"), "{told:?}");
}

#[test]
fn the_profile_of_a_server_has_every_control_with_its_sources_and_reason() {
    let kinds: Vec<&str> = stockade::resource::KINDS.iter().map(|kind| kind.name).collect();
    let profile = stockade::playbook::load(std::path::Path::new("harden/server"), &kinds).unwrap();
    let controls = profile.controls();
    let has = |id: &str| controls.iter().any(|found| found.control.id == id);
    let parts = [
        ("S", 20),
        ("A", 12),
        ("K", 13),
        ("F", 6),
        ("W", 7),
        ("U", 6),
        ("L", 6),
        ("D", 10),
        ("C", 6),
        ("T", 1),
        ("B", 3),
    ];
    for (letter, count) in parts {
        for number in 1..=count {
            assert!(has(&format!("{letter}{number}")), "{letter}{number} is missing");
        }
    }
    for found in &controls {
        let control = &found.control;
        assert!(control.title.is_some() && control.rationale.is_some() && !control.refs.is_empty(), "{control:?}");
        assert!(control.group.starts_with("harden/"), "{control:?}");
    }
}

/// Of a sensitive step only the verdict is told, in all forms.
fn sensitive_inspections(project: &Project) {
    let step = |id: &str, code: u8| {
        format!(
            "[[step]]\nname = \"step {id}\"\nsensitive = true\ncontrol = {{ id = \"{id}\", title = \"t\", severity = \"low\" }}\n\
             inspect = {{ command = \"echo {{{{ token }}}}; exit {code}\", says = \"no {{{{ token }}}}\", remedy = \"not {{{{ token }}}}\" }}\n"
        )
    };
    let steps: Vec<String> = [("Q0", 0), ("Q1", 1), ("Q3", 3), ("Q77", 77)].map(|(id, code)| step(id, code)).to_vec();
    project.write(
        "private.toml",
        &format!("name = \"p\"\nhosts = [\"all\"]\n[vars]\ntoken = \"hunter2\"\n{}", steps.concat()),
    );
    for format in ["text", "json", "sarif", "junit", "html", "markdown"] {
        let ran = project.run(&["audit", "private.toml", "--verbose", "--format", format]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(!format!("{}{}", ran.out, ran.err).contains("hunter2"), "{format}: {ran:?}");
    }
    for format in ["text", "json", "markdown"] {
        let ran = project.run(&["plan", "private.toml", "--format", format]);
        assert!(ran.code == 0 && !format!("{}{}", ran.out, ran.err).contains("hunter2"), "{format}: {ran:?}");
    }
    let ran = project.run(&["audit", "private.toml", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    for (id, expected) in [("Q0", "pass"), ("Q1", "fail"), ("Q3", "error"), ("Q77", "not_applicable")] {
        assert_eq!(status(&report, id), expected);
        assert_eq!(result(&report, id)["expected"], format!("step {id}"));
    }
}

/// A report goes where it is told: a link and a device stay what they are, and what
/// cannot be written is told before a host is asked.
fn reports_in_files(project: &Project) {
    let at = |name: &str| project.folder().join(name);
    project.write("real.md", "old");
    std::os::unix::fs::symlink("real.md", at("link.md")).unwrap();
    std::os::unix::fs::symlink("/dev/null", at("null")).unwrap();
    for out in ["link.md", "null"] {
        let ran = project.run(&["audit", "site.toml", "--format", "markdown", "--out", out]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(at(out).is_symlink(), "{out}");
    }
    assert!(std::fs::read_to_string(at("real.md")).unwrap().contains("Checks"));
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    for (out, why) in [("no/such.md", "No such file or directory"), ("checks", "Is a directory")] {
        let ran = project.run(&["audit", "site.toml", "--out", out]);
        assert!(ran.code == 1 && ran.err.contains(why) && !ran.err.contains("gathering"), "{ran:?}");
    }
}
