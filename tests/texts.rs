//! Texts of an operator's on a real host, in every way in which they are run:
//! the first command that fails ends a text, by dash as by bash.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;

/// Texts that fail, each at another place.
const FAIL: [&str; 10] = [
    "false; touch /srv/past",
    "touch /srv/begun; cp /no/such /etc/; touch /srv/past",
    "touch /srv/begun; false",
    "true | false; touch /srv/past",
    "(touch /srv/begun; false; touch /srv/past); touch /srv/past",
    "f() { false; touch /srv/past; }; f; touch /srv/past",
    "x=$(false); touch /srv/past",
    "cd /no/such; touch /srv/past",
    "no-such-program; touch /srv/past",
    "touch /srv/begun; exit 3; touch /srv/past",
];

/// Texts that end well.
const WELL: [&str; 3] = ["false | true; true", "false || true; if false; then :; fi", "x=1; export x; test $x = 1"];

fn literal(text: &str) -> String {
    format!("'''{text}'''")
}

/// What the steps of a plan are to do, in their order.
fn actions(project: &Project) -> Vec<String> {
    let planned = project.run(&["plan", "site.toml", "--format", "json"]);
    assert_eq!(planned.code, 0, "{planned:?}");
    let json: serde_json::Value = serde_json::from_str(&planned.out).unwrap();
    let steps = json["hosts"][0]["steps"].as_array().unwrap();
    steps.iter().map(|step| step["action"].as_str().unwrap().to_owned()).collect()
}

fn with_each_shell(test: impl Fn(&Project, &str)) {
    let project = Project::new();
    // The user of `as` is to reach what root reaches.
    project.on_host("chmod 0777 /srv");
    for shell in ["dash", "bash"] {
        project.on_host(&format!("ln -sfn {shell} /bin/sh; [ \"$(readlink /bin/sh)\" = {shell} ]; rm -rf /srv/*"));
        test(&project, shell);
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_command_ends_where_its_text_fails() {
    with_each_shell(|project, shell| {
        for (number, text) in FAIL.iter().enumerate() {
            let user = if number % 2 == 0 { "" } else { ", as = \"ubuntu\"" };
            project.playbook(&format!(
                "[[step]]\nname = \"it fails\"\ncommand = {{ run = {}, creates = \"/srv/done\"{user} }}\n\
                 [[step]]\nfile = {{ path = \"/srv/after\", content = \"x\" }}\n",
                literal(text)
            ));
            let ran = project.run(&["apply", "site.toml", "--yes"]);
            assert_eq!(ran.code, 3, "{shell}: {text}: {ran:?}");
            assert_eq!(project.on_host("ls /srv | grep -v begun || :"), "", "{shell}: {text}: {ran:?}");
        }
        let text = "false | true; false || true; if false; then :; fi; id -un >/srv/done";
        for (user, name) in [("", "root"), (", as = \"ubuntu\"", "ubuntu")] {
            project.playbook(&format!(
                "[[step]]\ncommand = {{ run = {}, creates = \"/srv/done\"{user} }}\n",
                literal(text)
            ));
            project.converge();
            assert_eq!(project.on_host("cat /srv/done; rm /srv/done"), name, "{shell}");
        }
    });
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_command_does_not_run_elsewhere_than_it_was_to() {
    with_each_shell(|project, shell| {
        project.on_host("mkdir -m 0700 /srv/closed; touch /srv/file");
        // Whether a user may enter a directory is known when the command is to run.
        for (directory, user, code, nothing) in [
            ("/srv/none", "", 1, "nothing was touched"),
            ("/srv/file", "", 1, "nothing was touched"),
            ("/srv/none", "ubuntu", 1, "nothing was touched"),
            ("/srv/closed", "ubuntu", 3, "nothing was run"),
        ] {
            let user = if user.is_empty() { String::new() } else { format!(", as = \"{user}\"") };
            project.playbook(&format!(
                "[[step]]\ncommand = {{ run = \"pwd >/srv/ran; rm -rf data\", removes = \"/srv\", directory = \"{directory}\"{user} }}\n"
            ));
            let ran = project.run(&["apply", "site.toml", "--yes"]);
            assert_eq!(ran.code, code, "{shell}: {directory}{user}: {ran:?}");
            assert!(ran.err.contains(directory) && ran.err.contains(nothing), "{shell}: {ran:?}");
            assert_eq!(project.on_host("ls /srv"), "closed\nfile", "{shell}: {directory}{user}");
        }
        project.playbook(
            "[[step]]\ncommand = { run = \"pwd >ran\", creates = \"/srv/closed/ran\", directory = \"/srv/closed\" }\n",
        );
        project.converge();
        assert_eq!(project.on_host("cat /srv/closed/ran"), "/srv/closed");
    });
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_guard_and_a_check_hold_only_where_all_of_their_text_does() {
    with_each_shell(|project, shell| {
        // Those that hold come first: after a step that runs they are decided at their turn.
        let mut steps = String::new();
        for texts in [&WELL[..], &FAIL[..]] {
            for user in ["", ", as = \"ubuntu\""] {
                for text in texts {
                    let text = literal(text);
                    steps += &format!("[[step]]\ncommand = {{ run = \"true\", unless = {text}{user} }}\n");
                }
            }
        }
        project.playbook(&steps);
        let wanted = [vec!["none"; 2 * WELL.len()], vec!["run"; 2 * FAIL.len()]].concat();
        assert_eq!(actions(project), wanted, "{shell}: guards");

        let mut steps = String::new();
        // Another exit code than 0 can be what is wanted.
        steps += "[[step]]\ncheck = { command = \"exit 3; true\", code = 3 }\n";
        steps += "[[step]]\ncheck = { command = \"echo a; false; true\", code = 1, stdout = \"a\" }\n";
        for text in WELL.iter().chain(&FAIL) {
            steps += &format!("[[step]]\ncheck = {{ command = {} }}\n", literal(text));
            steps += &format!("[[step]]\ncheck = {{ command = {}, stdout = \"\" }}\n", literal(text));
        }
        steps += "[[step]]\ncheck = { command = \"true\", code = 1 }\n";
        project.playbook(&steps);
        let wanted = [vec!["none"; 2], wanted, vec!["run"]].concat();
        assert_eq!(actions(project), wanted, "{shell}: checks");
        assert_eq!(project.on_host("ls /srv | grep -v begun || :"), "", "{shell}");

        // The apply awaits a check in the same way.
        project.playbook("[[step]]\nfile = { path = \"/srv/x\", content = \"x\" }\n[[step]]\ncheck = { command = \"echo it is; false; true\" }\n");
        let ran = project.run(&["apply", "site.toml", "--yes"]);
        assert!(ran.code == 3 && ran.err.contains("it is"), "{shell}: {ran:?}");
    });
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_check_that_fails_says_what_it_has_found() {
    with_each_shell(|project, shell| {
        project.on_host("systemctl stop check-http.service 2>/dev/null || :");
        // systemd would take the program's variables for its own on a command line.
        project.on_host(
            "printf '%s' 'use IO::Socket::INET; $s = IO::Socket::INET->new(Listen => 5, LocalAddr => \"127.0.0.1:8099\", ReuseAddr => 1); \
             while ($c = $s->accept) { while (<$c>) { last if /^\\r?$/ } print $c \"HTTP/1.0 404 Not Found\\r\\n\\r\\nnothing here\\n\"; close $c }' \
             >/run/check-http.pl; systemd-run --unit check-http perl /run/check-http.pl",
        );
        for (check, told) in [
            ("command = \"echo hello\", stdout = \"Hallo\"", &["hello", "this does not hold:", "Hallo"][..]),
            ("command = \"echo out; exit 4\", stdout = \"out\"", &["it ended with code 4 instead of 0"]),
            ("command = \"exit 4\"", &["the check fails with exit code 4"]),
            (
                "http = { url = \"http://127.0.0.1:8099/x\", status = 200 }, tries = 3",
                &["status 404 instead of 200", "still fails after 3 tries"],
            ),
            ("http = \"http://127.0.0.1:8098/x\"", &["there is no answer"]),
            (
                "http = { url = \"http://127.0.0.1:8099/\", status = 404, body = \"here!\" }",
                &["does not hold:", "here!"],
            ),
        ] {
            project.playbook(&format!("[[step]]\ncheck = {{ {check} }}\n"));
            let ran = project.run(&["apply", "site.toml", "--yes"]);
            assert_eq!(ran.code, 3, "{shell}: {check}: {ran:?}");
            for words in told {
                assert!(ran.err.contains(words) || ran.out.contains(words), "{shell}: {check}: {words:?}: {ran:?}");
            }
        }
        for check in [
            "command = \"echo out; exit 4\", code = 4, stdout = \"out\"",
            "http = { url = \"http://127.0.0.1:8099/x\", status = 404, body = \"nothing\" }, tries = 20",
        ] {
            project.playbook(&format!("[[step]]\ncheck = {{ {check} }}\n"));
            let ran = project.run(&["apply", "site.toml", "--yes"]);
            assert_eq!(ran.code, 0, "{shell}: {check}: {ran:?}");
        }
    });
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_file_is_put_in_place_only_where_all_of_its_validation_holds() {
    with_each_shell(|project, shell| {
        for text in ["false; test -s %s", "grep -q y %s; true", "cd /no/such; test -s %s", "test -s %s | false"] {
            project.playbook(&format!(
                "[[step]]\nfile = {{ path = \"/srv/file\", content = \"x\\n\", validate = {} }}\n",
                literal(text)
            ));
            let ran = project.run(&["apply", "site.toml", "--yes"]);
            assert!(ran.code == 3 && ran.err.contains("validation"), "{shell}: {text}: {ran:?}");
            assert_eq!(project.on_host("ls -A /srv"), "", "{shell}: {text}");
        }
        project.playbook(
            "[[step]]\nfile = { path = \"/srv/file\", content = \"x\\n\", validate = \"test -s %s; grep -q x %s\" }\n",
        );
        project.converge();
        project.on_host("rm /srv/file");
    });
}

/// Files of apt and their texts, some of which apt rejects.
const OF_APT: [(&str, &str); 16] = [
    ("apt.conf.d/99x", "A::B \\\"1\\\"\\n"),
    ("apt.conf.d/99x", "A { B 1; };\\nC \\\"x\\\";\\n"),
    ("apt.conf.d/99x", "A \\\"1\\\"\\nB \\\"2\\\";\\n"),
    ("apt.conf.d/99x", "// x\\nDPkg::Post-Invoke { \\\"a; b { c } || true\\\"; };\\n"),
    ("apt.conf.d/99x", "{ B 1; };\\n"),
    ("preferences.d/x.pref", "Package: bash\\nPin: version 1\\nPin-Priority: 900\\n"),
    ("preferences.d/x.pref", "Pin: version 1\\nPin-Priority: 900\\n"),
    ("preferences.d/x.pref", "Package: bash\\nPin: version 1\\n"),
    ("preferences.d/x.pref", "Package: bash\\nPin: version 1\\nPin-Priority: 99999\\n"),
    ("sources.list.d/x.list", "deb [trusted=yes] file:/srv x main # y\\n"),
    ("sources.list.d/x.list", "deb file:/srv x\\n"),
    ("sources.list.d/x.list", "deb [trusted] file:/srv x main\\n"),
    ("sources.list.d/x.list", "deb file:/srv ./\\n"),
    ("sources.list.d/x.sources", "Types: deb\\nURIs: file:/srv\\nSuites: x\\nComponents: main\\n"),
    ("sources.list.d/x.sources", "Types: deb\\nURIs: file:/srv\\nSuites: x\\n"),
    ("sources.list.d/x.sources", "deb file:/srv x main\\n"),
];

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_file_is_refused_exactly_where_apt_rejects_it() {
    let project = Project::new();
    for (file, text) in OF_APT {
        project.playbook(&format!("[[step]]\nfile = {{ path = \"/etc/apt/{file}\", content = \"{text}\" }}\n"));
        let check = project.run(&["check", "site.toml"]);
        let said = project.on_host(&format!(
            "printf '%b' '{}' >/etc/apt/{file}; if apt-cache policy >/dev/null 2>&1; then echo right; else echo wrong; fi; rm /etc/apt/{file}",
            text.replace("\\\"", "\"")
        ));
        assert_eq!(check.code == 0, said == "right", "{text}: {check:?}");
        assert!(check.code == 0 || check.err.contains("apt cannot read this content: line"), "{check:?}");
    }
}
