//! The profile `harden/ssh` on a real host: judged by sshd itself, and from outside
//! by ssh-audit, which `tests/harden/install.sh` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;
use std::path::{Path, PathBuf};
use std::process::Command;

const POLICY: &str = "Hardened Debian 12 (version 3)";

fn ssh_audit() -> PathBuf {
    let own = std::env::var_os("STOCKADE_HARDEN").map(PathBuf::from);
    let program =
        own.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/harden")).join("py/bin/ssh-audit");
    assert!(program.is_file(), "there is no {}: run tests/harden/install.sh", program.display());
    program
}

/// What ssh-audit says of the host by its policy for the release, and whether it passes.
fn audited(project: &Project) -> (bool, String) {
    let port = project.host.port.unwrap().to_string();
    let output = Command::new(ssh_audit()).args(["-P", POLICY, "-p", &port, "127.0.0.1"]).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// All that is in /etc/ssh.
fn etc_ssh(project: &Project) -> String {
    project.on_host(
        "find /etc/ssh -printf '%p %y %m %u %g %l\\n' | sort; find /etc/ssh -type f -exec sha256sum {} + | sort -k 2",
    )
}

/// The value in force of an option for a user.
fn value(project: &Project, option: &str, user: &str) -> String {
    project.on_host(&format!("/usr/sbin/sshd -T -C user={user},host=x,addr=127.0.0.1 | sed -n 's/^{option} //p'"))
}

const PROFILE: &str = "[[step]]\nuse = \"harden/ssh\"\nwith = { level = 2, ssh_allow_groups = \"operators\" }\n";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_profile_hardens_sshd_as_seen_from_outside_and_undo_takes_it_back() {
    let project = Project::with_all_host_keys();
    // The lab's host runs Debian's OpenSSH, whose policy is Debian's.
    project.on_host(
        "sed -i -e 's/^ID=.*/ID=debian/' -e 's/^VERSION_ID=.*/VERSION_ID=\"12\"/' -e 's/^VERSION_CODENAME=.*/VERSION_CODENAME=bookworm/' /etc/os-release; \
         rm -f /etc/ssh/ssh_host_rsa_key*; ssh-keygen -q -t rsa -b 4096 -N '' -f /etc/ssh/ssh_host_rsa_key; \
         printf 'LogLevel VERBOSE\n' >/etc/ssh/sshd_config.d/01-verbose.conf; systemctl restart ssh.socket; systemctl stop ssh.service || :; \
         groupadd operators; useradd -m ada",
    );
    let before = etc_ssh(&project);
    let (passes, said) = audited(&project);
    assert!(!passes, "a host as it is installed does not pass: {said}");

    project.playbook(PROFILE);
    let sessions = project.sessions();
    project.done(&["plan", "site.toml"]);
    assert_eq!(project.sessions() - sessions, 1, "a plan of the profile is one session");
    assert_eq!(before, etc_ssh(&project), "a plan touches nothing");
    project.converge();

    let (passes, said) = audited(&project);
    assert!(passes, "{said}");
    let after = etc_ssh(&project);
    for (option, wanted) in [
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("permitrootlogin", "no"),
        ("maxauthtries", "4"),
        ("logingracetime", "60"),
        ("maxstartups", "10:30:60"),
        ("requiredrsasize", "3072"),
        ("clientaliveinterval", "60"),
        ("x11forwarding", "no"),
        ("disableforwarding", "yes"),
        ("allowgroups", "operators\nubuntu"),
        ("hostkey", "/etc/ssh/ssh_host_ed25519_key\n/etc/ssh/ssh_host_rsa_key"),
    ] {
        assert_eq!(value(&project, option, "ubuntu"), wanted, "{option}");
    }
    assert_eq!(project.on_host("awk '!/^#/ && $5 < 3071' /etc/ssh/moduli | wc -l"), "0");
    assert_eq!(
        project.on_host("find /etc/ssh -name '*.conf' -path '*sshd*' ! -perm 0600; ls /etc/ssh/ssh_host_ecdsa_key"),
        "/etc/ssh/ssh_host_ecdsa_key"
    );
    let again = project.apply();
    assert!(
        again.code == 0 && again.out.contains("nothing had to change") || again.err.contains("nothing had to change"),
        "{again:?}"
    );
    assert_eq!(after, etc_ssh(&project), "a second apply changes nothing");

    project.done(&["undo", &project.host.name, "--yes"]);
    assert_eq!(before, etc_ssh(&project), "undo brings back every byte");
    assert_eq!(value(&project, "maxauthtries", "ubuntu"), "6");
    overrides_are_told(&project);
}

/// What wins over the drop-in is told with its place, and no apply ends well with it.
fn overrides_are_told(project: &Project) {
    let step = |line: &str| format!("[[step]]\nsshd = {{ {line} }}\nreload = [\"ssh.service\"]\n");
    let main = "/etc/ssh/sshd_config";
    project.on_host(&format!("cp -p {main} /root/main; sed -i '1i MaxAuthTries 6' {main}; printf 'Match User ada\\n    X11Forwarding yes\\nMatch User ubuntu\\n    X11Forwarding yes\\n' >>{main}"));
    project.playbook(&step("option = \"MaxAuthTries\", value = 4, at_most = 4"));
    let ran = project.apply();
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(format!("{}{}", ran.out, ran.err).contains(&format!("{main}:1")), "{ran:?}");
    project.playbook(&step("option = \"X11Forwarding\", value = \"no\""));
    for verb in [&["apply", "site.toml", "--yes"][..], &["plan", "site.toml", "--detailed-exitcode"]] {
        let ran = project.run(verb);
        assert_ne!(ran.code, 0, "{ran:?}");
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("Match User ubuntu") && said.contains(&format!("{main}:")), "{said}");
    }
    // A block for others than who logs in, and one of a port, are findings with their place.
    project.on_host(&format!(
        "cp -p /root/main {main}; printf 'PasswordAuthentication no\\nMatch User ada\\n    PasswordAuthentication yes\\nMatch LocalPort 2222\\n    PermitRootLogin yes\\n' >>{main}"
    ));
    let found = project.run(&["audit", "harden/ssh", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    let results = report["hosts"][0]["results"].as_array().unwrap();
    for (id, line) in [("S1", "    PasswordAuthentication yes"), ("S3", "    PermitRootLogin yes")] {
        let line = project.on_host(&format!("grep -n '^{line}' {main} | cut -d: -f1"));
        let result = results.iter().find(|result| result["id"] == id).unwrap();
        assert_eq!(result["status"], "fail", "{result:#}");
        assert!(result["evidence"].to_string().contains(&format!("{main}:{line}")), "{result:#}");
    }
    assert!(!results.iter().any(|result| result["status"] == "error"), "{results:#?}");
    // Where there is no such sshd, what it does is not judged.
    project.on_host("mv /usr/sbin/sshd /usr/sbin/sshd.off");
    let found = project.run(&["audit", "harden/ssh", "--format", "json"]);
    project.on_host("mv /usr/sbin/sshd.off /usr/sbin/sshd");
    let report: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    let results = report["hosts"][0]["results"].as_array().unwrap();
    assert!(!results.iter().any(|result| result["status"] == "error"), "{results:#?}");
    for id in ["S1", "S6"] {
        let result = results.iter().find(|result| result["id"] == id).unwrap();
        assert_eq!(result["status"], "not_applicable", "{result:#}");
    }
    // An option of the command line wins over all files.
    project.on_host(&format!("cp -p /root/main {main}; echo 'SSHD_OPTS=\"-o MaxSessions=99\"' >/etc/default/ssh"));
    project.playbook(&step("option = \"MaxSessions\", value = 10, at_most = 10"));
    let ran = project.apply();
    assert!(ran.code != 0 && format!("{}{}", ran.out, ran.err).contains("/etc/default/ssh"), "{ran:?}");
    // What sshd refuses is an error with its own words, in the plan.
    project.on_host(&format!("rm /etc/default/ssh; echo 'NoSuchOption yes' >>{main}"));
    let ran = project.run(&["plan", "site.toml"]);
    assert!(ran.code == 3 && format!("{}{}", ran.out, ran.err).contains("NoSuchOption"), "{ran:?}");
    project.on_host(&format!("cp -p /root/main {main}"));
    // Who would be shut out is told before anything is done.
    project.playbook(&step("option = \"AllowGroups\", value = \"nobody-at-all\""));
    let ran = project.run(&["plan", "site.toml"]);
    assert!(
        ran.code == 1 && ran.err.contains("(sshd AllowGroups)") && ran.err.contains("does not cover ubuntu"),
        "{ran:?}"
    );
}
