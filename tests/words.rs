//! What an operator reads while and after hosts are worked on: on a real host,
//! compared with what the host says was done.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support::project::Project;

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_member_that_no_fact_has_is_refused_and_nothing_is_touched() {
    let project = Project::new();
    project.playbook(
        "[[step]]\nfile = { path = \"/etc/one\", content = \"x\" }\n[[step]]\nfile = { path = \"/etc/two\", content = \"{{ facts.os.nope }} {{ facts.kernl }}\" }\n",
    );
    for arguments in [&["check", "site.toml"][..], &["plan", "site.toml"], &["apply", "site.toml", "--yes"]] {
        let ran = project.run(arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        for says in
            ["'facts.os.nope' is undefined", "'facts.os' has: id,", "'facts.kernl' is undefined", "site.toml:6:"]
        {
            assert!(ran.err.contains(says), "{arguments:?} does not say {says:?}: {ran:?}");
        }
    }
    assert_eq!(project.on_host("ls /etc/one /etc/two 2>/dev/null || :"), "");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_group_that_a_command_makes_is_not_said_to_come_from_a_package() {
    let project = Project::new();
    project.playbook(
        "[[step]]\nname = \"the group\"\ncommand = { run = \"groupadd made\", unless = \"getent group made\" }\n[[step]]\nuser = { name = \"joe\", groups = [\"made\"] }\n[[step]]\nuser = { name = \"ann\", groups = [\"made\"] }\n",
    );
    let (code, text) = project.told(&["plan", "site.toml"]);
    assert_eq!(code, 0, "{text}");
    let notes: Vec<&str> = text.lines().filter(|line| line.contains("note: group 'made'")).collect();
    assert_eq!(notes.len(), 1, "{text}");
    assert!(notes[0].contains("step 1 is expected") && !notes[0].contains("package"), "{text}");
    project.done(&["apply", "site.toml", "--yes"]);
    assert_eq!(project.on_host("id -nG joe; id -nG ann"), "joe made\nann made");
    assert!(project.done(&["plan", "site.toml"]).contains("nothing differs"), "{text}");
}

/// Steps, what is said of them, what the summary says, and what shows on the
/// host that it is so.
struct HostStatus {
    steps: &'static str,
    code: i32,
    says: &'static [&'static str],
    never: &'static [&'static str],
    ask: (&'static str, &'static str),
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn every_ending_of_a_step_is_said_as_it_was() {
    let project = Project::new();
    let endings = [
        HostStatus {
            steps: "[[step]]\nfile = { path = \"/etc/e1\", content = \"x\" }\n[[step]]\ncommand = { run = \"touch /etc/e2; exit 3\", creates = \"/etc/never\" }\n[[step]]\nfile = { path = \"/etc/e3\", content = \"x\" }\n",
            code: 3,
            says: &[
                "file /etc/e1  (step 1) … created",
                "command  (step 2) … FAILED",
                "1 step changed, 1 in part",
                "exit code 3",
            ],
            never: &["nothing changed", "e3  (step 3) …"],
            ask: ("cd /etc; ls e1 e2 e3 2>/dev/null || :", "e1\ne2"),
        },
        HostStatus {
            steps: "[[step]]\nfile = { path = \"/etc/e4\", content = \"x\", validate = \"grep -q y %s\" }\n",
            code: 3,
            says: &["file /etc/e4  (step 1) … FAILED", "nothing changed", "the file was left as it was"],
            never: &["in part"],
            ask: ("cd /etc; ls e4 2>/dev/null || :", ""),
        },
        HostStatus {
            steps: "[[step]]\ncheck = { command = \"test -e /etc/never\" }\n",
            code: 3,
            says: &["check  (step 1) … FAILED", "nothing changed"],
            never: &["in part"],
            ask: ("ls /etc/never 2>/dev/null || :", ""),
        },
        HostStatus {
            steps: "[[step]]\ncommand = { run = \"touch /etc/e5\", creates = \"/etc/e5\" }\n[[step]]\ncommand = { run = \"touch /etc/e6\", unless = \"test -e /etc/e5\" }\n",
            code: 0,
            says: &["command  (step 1) … ran", "command  (step 2) … was not due", "converged", "1 step changed"],
            never: &["2 steps changed", "(step 2) … ran"],
            ask: ("cd /etc; ls e5 e6 2>/dev/null || :", "e5"),
        },
        HostStatus {
            steps: "[[step]]\ncommand = { run = \"touch /etc/e7\", unless = \"false\" }\n",
            code: 3,
            says: &[
                "command  (step 1) … ran",
                "NOT CONVERGED",
                "still differs: command",
                "1 step still differs after the apply",
            ],
            never: &["1 steps"],
            ask: ("cd /etc; ls e7", "e7"),
        },
        HostStatus {
            steps: "[[step]]\nfile = { path = \"/etc/e1\", content = \"x\" }\n",
            code: 0,
            says: &["nothing differs"],
            never: &["created", "updated", "… ran"],
            ask: ("cat /etc/e1", "x"),
        },
        HostStatus {
            steps: "[[step]]\nunit = { name = \"ends.service\", content = \"[Service]\\nExecStart=/bin/sh -c 'exit 7'\\n\" }\n[[step]]\nservice = { name = \"ends.service\", running = true }\n",
            code: 3,
            says: &["NOT CONVERGED", "running: failed → true", "exit-code, exit status 7"],
            never: &["nothing changed"],
            ask: ("systemctl is-failed ends.service", "failed"),
        },
    ];
    let mut failures = Vec::new();
    for HostStatus { steps, code, says, never, ask } in &endings {
        project.playbook(steps);
        let ran = project.apply();
        let all = format!("{}{}", ran.out, ran.err);
        let mut wrong: Vec<String> = Vec::new();
        wrong.extend((ran.code != *code).then(|| format!("the exit code is {}", ran.code)));
        wrong.extend(says.iter().filter(|part| !all.contains(**part)).map(|part| format!("{part:?} is not said")));
        wrong.extend(never.iter().filter(|part| all.contains(**part)).map(|part| format!("{part:?} is said")));
        let found = project.on_host(ask.0);
        wrong.extend((found != ask.1).then(|| format!("'{}' gives {found:?}", ask.0)));
        if !wrong.is_empty() {
            failures.push(format!("{steps}\n{}\n{all}", wrong.join("\n")));
        }
    }
    eprintln!("situations: {}", endings.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_step_that_only_its_turn_decides_says_what_is_known_of_it() {
    let project = Project::new();
    project.write(
        "part.toml",
        "[vars]\ninto = \"\"\n[probes]\ninner = { command = \"cat /srv/said\" }\n[[step]]\n\
         file = { path = \"{{ into }}/inner\", content = \"{{ probes.inner.output }}\" }\n",
    );
    project.playbook(
        r#"
[vars]
top = "/srv/app"
half = "{{ top }}/{{ probes.said.output }}"
[probes]
said = { command = "cat /srv/said" }
[[step]]
command = { run = "echo x >/srv/said", creates = "/srv/said" }
[[step]]
each = ["one", "two"]
when = "probes.said.ok"
file = { path = "{{ top }}/{{ item }}.conf", content = "x", parents = true }
[[step]]
file = { path = "{{ half }}/a", content = "x", parents = true }
[[step]]
name = "the file of {{ facts.os.id }} in {{ top }}"
file = { path = "/srv/named", content = "{{ probes.said.output }}" }
[[step]]
each = "{{ probes.said.output | split(pat=' ') }}"
link = { path = "{{ top }}/link-{{ item }}", target = "x" }
[[step]]
use  = "./part.toml"
with = { into = "{{ top }}" }
"#,
    );
    let planned = project.done(&["plan", "site.toml"]);
    let system = project.on_host(". /etc/os-release; echo $ID");
    let named = format!("\"the file of {system} in /srv/app\"  (step 4)");
    for says in [
        named.as_str(),
        "file /srv/app/one.conf  (step 2[0])",
        "file /srv/app/two.conf  (step 2[1])",
        "file /srv/app/{{ probes.said.output }}/a  (step 3)",
        "link /srv/app/link-{{ item }}  (step 5)",
        "file /srv/app/inner  (step 6.1)",
    ] {
        assert!(planned.contains(says), "{says}: {planned}");
    }
    for never in ["{{ top }}", "{{ facts", "{{ half }}"] {
        assert!(!planned.contains(never), "{never}: {planned}");
    }
    project.converge();
    assert_eq!(project.on_host("cd /srv/app; ls; cat inner"), "inner\nlink-x\none.conf\ntwo.conf\nx\nx");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_reload_that_is_a_restart_is_called_so() {
    let project = Project::new();
    project.on_host(
        "for n in plain reloads dropped; do printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/$n.service; done
         echo 'ExecReload=/bin/true' >>/etc/systemd/system/reloads.service; systemctl daemon-reload; systemctl start plain reloads dropped",
    );
    project.playbook(
        r#"
[[step]]
file   = { path = "/etc/r.conf", content = "x" }
reload = ["plain.service", "reloads.service", "dropped.service"]
[[step]]
dropin = { unit = "dropped.service", name = "10-reload", content = "[Service]\nExecReload=/bin/true\n" }
"#,
    );
    let planned = project.done(&["plan", "site.toml"]);
    assert!(planned.contains("restarts plain.service: no ExecReload="), "{planned}");
    assert!(
        !planned.contains("restarts reloads.service") && !planned.contains("restarts dropped.service"),
        "{planned}"
    );
    project.converge();
    assert_eq!(project.on_host("systemctl is-active plain reloads dropped | sort -u"), "active");
}
