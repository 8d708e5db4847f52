//! Accounts on a real host: a new user logs in by a real ssh client with a new
//! key; what stands in the way of the login is repaired.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be set up must stop the test

use crate::support::{TestLab, on_host, program};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use stockade::lab::LabHost;

const PASSPHRASE: &str = "four words and more";

struct Desk {
    lab: TestLab,
    host: LabHost,
}

impl Desk {
    fn new() -> Desk {
        let (lab, mut hosts) = TestLab::with_hosts(1);
        let desk = Desk { lab, host: hosts.remove(0) };
        desk.write("phrase", PASSPHRASE, 0o600);
        desk.write("ask.sh", &format!("#!/bin/sh\necho '{PASSPHRASE}'\n"), 0o700);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.lab.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn stockade(&self, arguments: &[&str]) -> Output {
        program(self.lab.dir.path()).args(arguments).output().unwrap()
    }

    fn made(&self, arguments: &[&str]) {
        let output = self.stockade(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    }

    /// Applies a playbook; its exit code and all that was told.
    fn apply(&self, playbook: &str) -> (i32, String) {
        self.write("p.toml", playbook, 0o644);
        let output = self.stockade(&["apply", "p.toml", "-i", "lab/inventory.toml", "--yes"]);
        (output.status.code().unwrap(), told(&output))
    }

    /// Applies a playbook that must converge; a plan after it must be empty.
    fn converge(&self, playbook: &str) {
        let (code, told_by_apply) = self.apply(playbook);
        assert_eq!(code, 0, "{told_by_apply}");
        let plan = self.stockade(&["plan", "p.toml", "-i", "lab/inventory.toml", "--detailed-exitcode"]);
        assert_eq!(plan.status.code(), Some(0), "{}", told(&plan));
    }

    /// Runs a command as a user over OpenSSH's own client with the new key; none if it may not log in.
    fn ssh(&self, user: &str, text: &str) -> Option<String> {
        let option = |name: &str, value: PathBuf| format!("{name}={}", value.display());
        let output = Command::new("setsid")
            .args(["--wait", "ssh", "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "PasswordAuthentication=no"])
            .args(["-o", &option("UserKnownHostsFile", self.path("lab/known_hosts"))])
            .args(["-p", &self.host.port.unwrap().to_string(), "-i"])
            .arg(self.path("id"))
            .args([&format!("{user}@127.0.0.1"), text])
            .env("SSH_ASKPASS", self.path("ask.sh"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        match output.status.code() {
            Some(255) => None,
            _ => Some(String::from_utf8(output.stdout).unwrap().trim_end().to_owned()),
        }
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_new_user_logs_in_with_a_new_key_and_wrong_permissions_are_repaired() {
    let desk = Desk::new();
    desk.made(&["keygen", "id", "--passphrase-file", "phrase"]);
    let playbook = r#"
        hosts = ["all"]
        [[step]]
        group = { name = "app", gid = 1777 }
        [[step]]
        user = { name = "jane.doe", uid = 1600, comment = "Jane Döe", groups = ["app"], expires = "2035-01-31", sudo = "nopasswd", authorized_keys = ["id.pub"] }
    "#;
    desk.converge(playbook);
    assert_eq!(desk.ssh("jane.doe", "sudo -n id -u; id -Gn").as_deref(), Some("0\njane.doe app"));
    let modes = "cd /home/jane.doe && stat -c '%a %U:%G' . .ssh .ssh/authorized_keys";
    let right = "750 jane.doe:jane.doe\n700 jane.doe:jane.doe\n600 jane.doe:jane.doe";
    assert_eq!(on_host(&desk.host, modes), right);
    assert_eq!(on_host(&desk.host, "getent passwd jane.doe"), "jane.doe:x:1600:1600:Jane Döe:/home/jane.doe:/bin/bash");
    assert!(on_host(&desk.host, "visudo -c").contains("/etc/sudoers.d/90-stockade-jane%2Edoe: parsed OK"));

    on_host(
        &desk.host,
        "chmod 0775 /home && cd /home/jane.doe && chmod 0777 . && chmod 0755 .ssh && chown root:root .ssh/authorized_keys \
         && printf '# kept\\nnot a key' >>.ssh/authorized_keys && gpasswd -d jane.doe app",
    );
    assert_eq!(desk.ssh("jane.doe", "true"), None, "sshd's StrictModes must be in the way for this to prove anything");
    desk.converge(playbook);
    assert_eq!(desk.ssh("jane.doe", "id -Gn").as_deref(), Some("jane.doe app"));
    assert_eq!(on_host(&desk.host, modes), right.replacen("750", "755", 1));
    assert_eq!(on_host(&desk.host, "stat -c %a /home"), "755");
    assert_eq!(on_host(&desk.host, "tail -n 2 /home/jane.doe/.ssh/authorized_keys"), "# kept\nnot a key");

    let moved =
        playbook.replace("uid = 1600,", "uid = 1700, home = \"/srv/people/jane\",").replace("\"nopasswd\"", "\"none\"");
    desk.converge(&moved);
    assert_eq!(
        desk.ssh("jane.doe", "pwd; id -u; sudo -n true || echo no").as_deref(),
        Some("/srv/people/jane\n1700\nno")
    );

    desk.converge(
        "hosts = [\"all\"]\n[[step]]\nuser = { name = \"jane.doe\", state = \"absent\", remove_home = true }\n",
    );
    assert_eq!(desk.ssh("jane.doe", "true"), None);
    assert_eq!(on_host(&desk.host, "getent passwd jane.doe; ls -A /srv/people"), "");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn neither_a_link_in_place_of_ssh_nor_wrong_rules_get_anything_written() {
    let desk = Desk::new();
    desk.made(&["keygen", "id", "--no-passphrase"]);
    desk.converge("hosts = [\"all\"]\n[[step]]\nuser = { name = \"mallory\", authorized_keys = [\"id.pub\"] }\n");
    on_host(&desk.host, "mkdir -p -m 0700 /root/.ssh && rm -f /root/.ssh/authorized_keys");
    let restrict = "[[step]]\nauthorized_keys = { user = \"mallory\", keys = \"id.pub\", options = \"restrict\" }\n";
    // The link is put there after the first plan, by what stands for the user's own doing.
    let (code, told) = desk.apply(&format!(
        "hosts = [\"all\"]\n[[step]]\ncommand = {{ run = \"mv .ssh .old && ln -s /root/.ssh .ssh\", creates = \"/home/mallory/.old\", directory = \"/home/mallory\" }}\n{restrict}"
    ));
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("/home/mallory/.ssh is a symbolic link to '/root/.ssh'"), "{told}");
    let (code, told) = desk.apply(&format!("hosts = [\"all\"]\n{restrict}"));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("is a symbolic link to '/root/.ssh'"), "{told}");
    assert_eq!(on_host(&desk.host, "ls -A /root/.ssh"), "");

    let (code, told) =
        desk.apply("hosts = [\"all\"]\n[[step]]\nsudoers = { name = \"bad\", content = \"these are no rules\" }\n");
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("validation"), "{told}");
    assert_eq!(on_host(&desk.host, "ls -A /etc/sudoers.d | grep -c -e bad -e stockade || :"), "0");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn accounts_of_other_sources_are_taken_by_their_names_and_never_made() {
    let desk = Desk::new();
    // Names that useradd(8) would not make, as directory services have them.
    on_host(
        &desk.host,
        "mkdir -p '/home/joe@corp.example'; chown 90001:90001 '/home/joe@corp.example'; chmod 750 '/home/joe@corp.example'
         printf 'joe@corp.example:x:90001:90001::/home/joe@corp.example:/bin/sh\\nwsvc$:x:90002:90001::/nonexistent:/usr/sbin/nologin\\n' >>/etc/passwd
         printf 'domain users:x:90001:\\n' >>/etc/group",
    );
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v joe";
    desk.converge(&format!(
        r#"hosts = ["all"]
[[step]]
file = {{ path = "/srv/joe", content = "joe\n", owner = "joe@corp.example", group = "domain users" }}
[[step]]
directory = {{ path = "/srv/svc", owner = "wsvc$" }}
[[step]]
user = {{ name = "joe@corp.example", sudo = "nopasswd" }}
[[step]]
authorized_keys = {{ user = "joe@corp.example", keys = "{key}" }}
[[step]]
command = {{ run = "id -un >/home/joe@corp.example/me", as = "joe@corp.example", creates = "/home/joe@corp.example/me" }}
"#
    ));
    assert_eq!(
        on_host(
            &desk.host,
            "stat -c '%U %G' /srv/joe /srv/svc; cut -d ' ' -f 3 '/home/joe@corp.example/.ssh/authorized_keys'; \
             cat /home/joe@corp.example/me; sudo -l -U joe@corp.example | grep -c NOPASSWD"
        ),
        "joe@corp.example domain users\nwsvc$ root\njoe\njoe@corp.example\n1"
    );
    let (code, told) = desk.apply("hosts = [\"all\"]\n[[step]]\nuser = { name = \"ann@corp.example\" }\n");
    assert!(code == 1 && told.contains("none of this name can be made there"), "{told}");
}
