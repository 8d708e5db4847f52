//! What a plan shows of a file that changes, by the program on a real host.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a host that cannot be used must stop the test

use crate::support::project::Project;
use serde_json::Value;

/// The plan in its three forms.
struct Shown {
    text: String,
    markdown: String,
    /// The diffs of the steps that differ, in their order.
    diffs: Vec<String>,
    /// The same as the whole JSON document.
    json: String,
}

fn shown(project: &Project) -> Shown {
    let text = project.done(&["plan", "site.toml"]);
    let markdown = project.done(&["plan", "site.toml", "--format", "markdown"]);
    let planned = project.run(&["plan", "site.toml", "--format", "json"]);
    assert_eq!(planned.code, 0, "{planned:?}");
    let document: Value = serde_json::from_str(&planned.out).unwrap();
    let steps = document["hosts"][0]["steps"].as_array().unwrap();
    let differing = steps.iter().filter(|step| step["action"] != "none");
    let diffs = differing.map(|step| step["diff"].as_str().unwrap_or_default().to_owned()).collect();
    Shown { text, markdown, diffs, json: planned.out }
}

impl Shown {
    /// Every form shows this diff: each of its lines in the text and in the Markdown.
    fn shows(&self, index: usize, lines: &[&str]) {
        for line in lines {
            assert!(
                self.diffs[index].lines().any(|found| found == *line),
                "JSON lacks {line:?}: {}",
                self.diffs[index]
            );
            assert!(self.text.lines().any(|found| found.trim_start() == *line), "text lacks {line:?}: {}", self.text);
            assert!(self.markdown.lines().any(|found| found == *line), "Markdown lacks {line:?}: {}", self.markdown);
        }
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_file_that_changes_is_shown_line_by_line_in_every_form() {
    let project = Project::new();
    project.on_host(
        "printf 'one\\ntwo\\nthree\\n' >/etc/app.conf
         printf '[Service]\\nExecStart=/bin/sleep 1\\n' >/etc/systemd/system/app.service
         mkdir -p /etc/systemd/system/cron.service.d /etc/sudoers.d
         printf '[Service]\\nNice=1\\n' >/etc/systemd/system/cron.service.d/10-nice.conf
         printf 'net.ipv4.ip_forward = 0\\n' >/etc/sysctl.d/99-zz-stockade-net.ipv4.ip_forward.conf
         printf 'dummy off\\n' >/etc/modules-load.d/stockade-dummy.conf
         printf 'games ALL=(root) /bin/true\\n' >/etc/sudoers.d/app; chmod 0440 /etc/sudoers.d/app
         systemctl daemon-reload",
    );
    project.playbook(
        r#"
[[step]]
file = { path = "/etc/app.conf", content = "one\n2\nthree\n" }
[[step]]
unit = { name = "app.service", content = "[Service]\nExecStart=/bin/sleep 2\n" }
[[step]]
dropin = { unit = "cron.service", name = "10-nice", content = "[Service]\nNice=2\n" }
[[step]]
sudoers = { name = "app", content = "games ALL=(root) /bin/false\n" }
[[step]]
sysctl = { key = "net.ipv4.ip_forward", value = 1, live = false }
"#,
    );
    let shown = shown(&project);
    shown.shows(0, &["--- /etc/app.conf", "+++ /etc/app.conf", "@@ -1,3 +1,3 @@", "-two", "+2"]);
    shown.shows(1, &["--- /etc/systemd/system/app.service", "-ExecStart=/bin/sleep 1", "+ExecStart=/bin/sleep 2"]);
    shown.shows(2, &["-Nice=1", "+Nice=2"]);
    shown.shows(3, &["-games ALL=(root) /bin/true", "+games ALL=(root) /bin/false"]);
    shown.shows(4, &["-net.ipv4.ip_forward = 0", "+net.ipv4.ip_forward = 1"]);
    assert!(!shown.text.contains("sha256"), "{}", shown.text);

    project.converge();
    assert_eq!(project.on_host("cat /etc/app.conf"), "one\n2\nthree");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn content_that_cannot_be_shown_says_why_and_secrets_are_masked() {
    let project = Project::new();
    project.on_host(
        "printf '\\000\\001\\002' >/etc/binary
         yes 'a line that is not short' | head -n 20000 >/etc/large
         head -c 5000000 /dev/zero | tr '\\000' x >/etc/huge
         printf 'password = hunter2\\n' >/etc/secret
         printf 'TOKEN=\"hunter3\"\\nOLD=\"1\"\\n' >/etc/app.env; chmod 0600 /etc/app.env
         printf 'a\\r\\nb\\r\\n' >/etc/cr",
    );
    project.write("stages/live.toml", "[env]\nTOKEN = \"hunter4\"\nNEW = \"1\"\n");
    project.playbook(
        r#"
[[step]]
file = { path = "/etc/binary", content = "text\n" }
[[step]]
file = { path = "/etc/large", content = "small\n" }
[[step]]
file = { path = "/etc/huge", content = "small\n" }
[[step]]
file = { path = "/etc/secret", content = "password = hunter5\n" }
sensitive = true
[[step]]
env = { path = "/etc/app.env" }
[[step]]
file = { path = "/etc/cr", content = "a\nb\r\n" }
"#,
    );
    let inventory = std::fs::read_to_string(project.lab.lab.inventory_path()).unwrap();
    let name = &project.host.name;
    let staged = inventory.replace(&format!("[hosts.{name}]\n"), &format!("[hosts.{name}]\nstage = \"live\"\n"));
    assert_ne!(staged, inventory);
    std::fs::write(project.lab.lab.inventory_path(), staged).unwrap();

    let shown = shown(&project);
    assert_eq!(shown.diffs[0], "binary content: 3 bytes -> 5 bytes\n");
    assert_eq!(shown.diffs[1], "content too large to be shown: 500000 bytes -> 6 bytes\n");
    assert!(shown.diffs[2].contains("too large to be fetched"), "{}", shown.diffs[2]);
    for form in [&shown.text, &shown.markdown, &shown.json] {
        assert!(!form.contains("hunter"), "{form}");
        assert!(form.contains("binary content: 3 bytes -> 5 bytes"), "{form}");
        for variable in ["TOKEN", "NEW", "OLD"] {
            assert!(form.contains(variable), "the variable {variable} is named: {form}");
        }
    }
    // A carriage return is seen.
    assert!(shown.text.lines().any(|line| line.trim_start() == "-a\\r"), "{}", shown.text);
    assert!(shown.text.lines().any(|line| line.trim_start() == "b\\r"), "{}", shown.text);
    assert!(shown.markdown.lines().any(|line| line == "-a\\r"), "{}", shown.markdown);

    project.on_host(
        "printf 'LogLevel VERBOSE\\n' >/etc/ssh/sshd_config.d/01-verbose.conf; systemctl restart ssh.socket; \
         systemctl stop ssh.service 2>/dev/null || :",
    );
    let before = project.sessions();
    project.done(&["plan", "site.toml"]);
    assert_eq!(project.sessions() - before, 1, "the further question goes over the same session");
}
