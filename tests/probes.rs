//! `[probes]` on real hosts: what a playbook asks before it decides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a host that cannot be used must stop the test

use crate::support::project::Project;

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn every_field_of_every_probe_says_what_the_host_says() {
    let project = Project::new();
    project.on_host(
        "printf 12345 >/srv/five; chown ubuntu:adm /srv/five; chmod 0640 /srv/five; ln -s /no/where /srv/link; \
         mkdir -m 0711 /srv/dir; useradd -m looker",
    );
    project.playbook(
        r#"
[vars]
name = "five"
[probes]
five    = { path = "/srv/{{ name }}" }
link    = { path = "/srv/link" }
dir     = { path = "/srv/dir" }
none    = { path = "/srv/{{ facts.os.id }}" }
sshd    = { package = "openssh-server" }
nothing = { package = "no-such-package" }
socket  = { unit = "ssh.socket" }
ghost   = { unit = "ghost.service" }
who     = { command = "id -un; echo; exit 3", as = "looker" }
root    = { command = "id -un" }
[[step]]
file = { path = "/srv/told", template = "told.tera" }
"#,
    );
    project.write(
        "told.tera",
        "{% set f = probes.five %}{{ f.exists }} {{ f.type }} {{ f.mode }} {{ f.owner }} {{ f.group }} {{ f.size }} [{{ f.target }}]\n\
         {% set f = probes.link %}{{ f.exists }} {{ f.type }} {{ f.size }} [{{ f.target }}]\n\
         {% set f = probes.dir %}{{ f.exists }} {{ f.type }} {{ f.mode }} {{ f.size }}\n\
         {% set f = probes.none %}{{ f.exists }} [{{ f.type }}{{ f.mode }}{{ f.owner }}{{ f.group }}{{ f.target }}] {{ f.size }}\n\
         {{ probes.sshd.installed }} {{ probes.sshd.version }}\n\
         {{ probes.nothing.installed }} [{{ probes.nothing.version }}]\n\
         {% set u = probes.socket %}{{ u.exists }} {{ u.active }} {{ u.enabled }} {{ u.masked }} {{ u.state }}\n\
         {% set u = probes.ghost %}{{ u.exists }} {{ u.active }} {{ u.enabled }} {{ u.masked }} {{ u.state }}\n\
         {{ probes.who.ok }} {{ probes.who.code }} [{{ probes.who.output }}]\n\
         {{ probes.root.ok }} {{ probes.root.code }} [{{ probes.root.output }}]\n",
    );
    project.converge();
    let version = project.on_host("dpkg-query -W -f '${Version}' openssh-server");
    let told = format!(
        "true file 0640 ubuntu adm 5 []\ntrue link 0 [/no/where]\ntrue directory 0711 0\nfalse [] 0\n\
         true {version}\nfalse []\ntrue true true false active\nfalse false false false inactive\n\
         false 3 [looker]\ntrue 0 [root]"
    );
    assert_eq!(project.on_host("cat /srv/told"), told);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_probe_finds_at_its_turn_what_an_earlier_step_makes() {
    let project = Project::new();
    project.on_host("touch /srv/old");
    project.playbook(
        r#"
[probes]
new  = { path = "/srv/new" }
old  = { path = "/srv/old" }
unit = { unit = "made.service" }
[[step]]
file = { path = "/srv/new", content = "1234567\n", mode = "0640" }
[[step]]
file = { path = "/srv/old", state = "absent" }
[[step]]
when = "probes.new.exists and probes.new.size == 8"
file = { path = "/srv/after", content = "{{ probes.new.mode }} {{ probes.old.exists }}\n" }
[[step]]
unit = { name = "made.service", content = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n" }
[[step]]
service = { name = "made.service", enabled = true, running = true }
[[step]]
each = ["/srv/one", "/srv/two"]
when = "probes.unit.active and probes.unit.enabled"
file = { path = "{{ item }}", content = "{{ probes.unit.state }}\n" }
"#,
    );
    let (code, plan) = project.told(&["plan", "site.toml", "--detailed-exitcode"]);
    assert_eq!(code, 2, "{plan}");
    for said in ["file /srv/after  (step 3)", "file /srv/one  (step 6[0])", "file /srv/two  (step 6[1])"] {
        assert!(plan.contains(said), "{said}: {plan}");
    }
    project.converge();
    assert_eq!(project.on_host("cat /srv/after /srv/one /srv/two"), "0640 false\nactive\nactive");
    assert_eq!(project.on_host("ls -d /srv/old 2>/dev/null || :"), "");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_used_playbook_has_probes_of_its_own_and_is_decided_as_a_whole() {
    let project = Project::new();
    project.write(
        "part.toml",
        r#"
[vars]
given = ""
[probes]
mark = { path = "/srv/inner" }
[[step]]
file = { path = "/srv/outer", content = "made by the part\n" }
[[step]]
when = "not probes.mark.exists"
file = { path = "/srv/inner", content = "{{ given }} {{ outside }}\n" }
"#,
    );
    project.playbook(
        r#"
[vars]
outside = "{{ probes.mark.type }}"
[probes]
mark = { path = "/srv/outer" }
[[step]]
when = "not probes.mark.exists"
use  = "./part.toml"
with = { given = "{{ probes.mark.exists }}" }
[[step]]
when = "probes.mark.exists"
file = { path = "/srv/last", content = "{{ outside }}\n" }
"#,
    );
    project.converge();
    assert_eq!(project.on_host("cat /srv/outer /srv/inner /srv/last"), "made by the part\nfalse \nfile");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_a_command_makes_is_found_when_the_turn_comes_and_what_was_decided_stays() {
    let project = Project::new();
    project.write(
        "part.toml",
        r#"
[probes]
made  = { path = "/srv/made" }
count = { command = "ls /srv/list | wc -l" }
[[step]]
file = { path = "/srv/mark", content = "x\n" }
[[step]]
command = { run = "mkdir -p /srv/list; echo made >/srv/made; touch /srv/list/a /srv/list/b", unless = "test -e /srv/list/b" }
[[step]]
when = "probes.made.exists"
file = { path = "/srv/seen", content = "{{ probes.made.size }} {{ probes.count.output }}\n" }
[[step]]
file = { path = "/srv/end", content = "x\n" }
"#,
    );
    // The phase that begins at step 1.3 finds the mark, and goes on all the same.
    project.playbook(
        "[probes]\nmark = { path = \"/srv/mark\" }\n\
         [[step]]\nwhen = \"not probes.mark.exists\"\nuse = \"./part.toml\"\n",
    );
    let planned = project.run(&["plan", "site.toml", "--format", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&planned.out).unwrap_or_else(|_| panic!("{planned:?}"));
    let steps = plan["hosts"][0]["steps"].as_array().unwrap();
    let open = steps.iter().find(|step| step["id"] == "1.3").unwrap_or_else(|| panic!("{plan:#}"));
    assert_eq!(open["action"], "unknown", "{open:#}");
    assert_eq!(open["notes"][0], "decided at its turn: depends on step 1.2", "{open:#}");
    project.converge();
    assert_eq!(project.on_host("cat /srv/seen /srv/end"), "5 2\nx");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn probes_cost_no_session_and_are_asked_once() {
    let project = Project::new();
    project.on_host(
        "printf 'LogLevel VERBOSE\\n' >/etc/ssh/sshd_config.d/01-verbose.conf; systemctl restart ssh.socket; \
         systemctl stop ssh.service 2>/dev/null || :",
    );
    let probes: String = (0..200).map(|number| format!("p{number} = {{ path = \"/srv/f{number}\" }}\n")).collect();
    let steps: String = (0..200)
        .map(|number| {
            format!("[[step]]\nwhen = \"not probes.p{number}.exists\"\nfile = {{ path = \"/srv/f{number}\", content = \"x\\n\" }}\n")
        })
        .collect();
    let asked = "asked = { command = \"echo x >>/tmp/asked\" }\n";
    project.playbook(&format!("[probes]\n{asked}{probes}{steps}[[step]]\nfile = {{ path = \"/srv/x\", content = \"{{{{ probes.asked.ok }}}}\\n\" }}\n"));
    let before = project.sessions();
    let planned = project.run(&["plan", "site.toml"]);
    assert_eq!(planned.code, 0, "{planned:?}");
    assert_eq!(project.sessions() - before, 1);
    assert_eq!(project.on_host("wc -l </tmp/asked"), "1");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_is_wrong_whatever_the_probes_find_is_refused_before_anything_is_done() {
    let project = Project::new();
    let head = "[probes]\nlate = { path = \"/srv/late\" }\nsaid = { command = \"cat /srv/said\" }\n\
                [[step]]\ncommand = { run = \"echo x >/srv/late\", creates = \"/srv/late\" }\n";
    for (step, says) in [
        ("when = \"probes.late.exists\"\nfile = { path = \"/srv/a\", content = \"x\", mode = \"0999\" }", "0999"),
        ("when = \"probes.late.exists\"\nfile = { path = \"srv/a\", content = \"x\" }", "srv/a"),
        ("when = \"probes.late.exists\"\nuser = { name = \"no good\" }", "no good"),
        ("when = \"probes.late.exists\"\nservice = { name = \"no good\", running = true }", "no good"),
        ("when = \"probes.late.exists\"\npackage = { name = \"No_Good\" }", "No_Good"),
        ("when = \"probes.late.exists\"\npackage = { name = \"bc\", version = \"no good\" }", "no good"),
        ("when = \"probes.late.exists\"\nfile = { path = \"/srv/a\", source = \"not-there\" }", "not-there"),
        ("file = { path = \"/srv/a\", content = \"{{ probes.late.exists }}\", mode = \"0999\" }", "0999"),
        ("file = { path = \"/srv/{{ probes.said.output }}\", content = \"x\", mode = \"0999\" }", "0999"),
        ("package = { names = [\"{{ probes.said.output }}\", \"No_Good\"] }", "No_Good"),
        ("package = { name = \"{{ probes.said.output }}\", version = \"no good\" }", "no good"),
        ("user = { name = \"{{ probes.said.output }}\", groups = [\"no:good\"] }", "no:good"),
        ("line = { path = \"/srv/{{ probes.said.output }}\", match = \"[\", line = \"x\" }", "regular expression"),
        (
            "each = \"{{ probes.said.output | split(pat=\\\" \\\") }}\"\nfile = { path = \"/srv/{{ item }}\", content = \"x\", mode = \"0999\" }",
            "0999",
        ),
        (
            "each = \"{{ probes.said.output | split(pat=\\\" \\\") }}\"\nlink = { path = \"srv/a\", target = \"x\" }",
            "srv/a",
        ),
    ] {
        project.playbook(&format!("{head}[[step]]\n{step}\n"));
        for arguments in [&["check", "site.toml"][..], &["plan", "site.toml"], &["apply", "site.toml", "--yes"]] {
            let ran = project.run(arguments);
            assert_eq!(ran.code, 1, "{arguments:?} {step}: {ran:?}");
            assert!(ran.err.contains(says) && ran.err.contains("site.toml:"), "{arguments:?} {step}: {ran:?}");
        }
        assert_eq!(project.on_host("ls /srv"), "", "{step}");
    }
    // What depends on what is found is not told before it is found.
    project.playbook(&format!(
        "{head}[[step]]\nwhen = \"probes.late.exists\"\npackage = {{ name = \"bc\", state = \"{{{{ probes.said.output }}}}\", purge = true }}\n\
         [[step]]\nwhen = \"probes.said.output == 'x'\"\nfile = {{ path = \"/srv/b\", content = \"{{{{ probes.said.output }}}}\", mode = \"0600\" }}\n"
    ));
    assert_eq!(project.run(&["check", "site.toml"]).code, 0);
    assert_eq!(project.run(&["plan", "site.toml"]).code, 0);
}
