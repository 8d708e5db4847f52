//! Ways to lose a host that are not those of sshd's own configuration: trees
//! that go, folders above the keys, programs that log in, packages, what holds
//! only until the next boot. Each ends with the host as it was and a reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

mod support;

use support::project::{Project, Ran};

/// What decides about access, as files and as units.
fn access(project: &Project) -> String {
    project.on_host(
        "find /etc/ssh /etc/sudoers /etc/sudoers.d /etc/pam.d /home /root -printf '%p %y %m %u %g %l\\n' | sort; \
         find /etc/ssh /etc/sudoers.d /home -type f -exec sha256sum {} + | sort -k2; \
         stat -c '%n %a %U %G' / /etc /home /usr/bin/sudo /usr/sbin/sshd /bin/bash; cat /etc/passwd /etc/shadow /etc/group; \
         systemctl is-active ssh.socket; systemctl is-enabled ssh.socket ssh.service 2>&1; \
         dpkg-query -W -f '${Package} ${Status}\\n' openssh-server sudo; \
         find / -xdev -name '.stockade-*'; find /etc/systemd/system -name 'stockade-guard*'; ls -d /var/lib/stockade/runs/*/guard/*/kept 2>/dev/null || :",
    )
}

/// Applies what must not stay: the host is as before and reachable.
fn does_not_stay(project: &Project, steps: &str, code: i32, reason: &str) -> Ran {
    let before = access(project);
    project.playbook(steps);
    let ran = project.run(&["apply", "site.toml", "--yes", "--guard-timeout", "12"]);
    assert_eq!(before, access(project), "{steps}: access is as before: {ran:?}");
    assert_eq!(ran.code, code, "{steps}: {ran:?}");
    assert!(ran.err.contains(reason) || ran.out.contains(reason), "{steps}: {reason:?} is not told: {ran:?}");
    let facts = project.run(&["facts"]);
    assert_eq!(facts.code, 0, "{steps}: the host is reachable as before: {facts:?}");
    ran
}

#[test]
fn a_tree_that_access_is_in_comes_back_with_all_that_was_in_it() {
    let Some(project) = Project::new() else { return };
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful; mkdir -p '/home/ubuntu/a b/-c'; echo x >\"/home/ubuntu/a b/-c/d'e\"; ln -s nowhere /home/ubuntu/dangling; chown -R ubuntu: /home/ubuntu");
    for path in ["/home/ubuntu/.ssh", "/home/ubuntu", "/etc/sudoers.d"] {
        let steps = format!("[[step]]\ndirectory = {{ path = \"{path}\", state = \"absent\", recursive = true }}\n");
        does_not_stay(&project, &steps, 5, "put back");
    }
}

#[test]
fn what_the_login_goes_through_is_guarded_though_it_is_no_configuration() {
    let Some(project) = Project::new() else { return };
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    for (steps, reason) in [
        ("directory = { path = \"/home\", mode = \"0700\" }", "authentication failed"),
        ("file = { path = \"/usr/bin/sudo\", mode = \"0755\" }", "cannot become root"),
        ("file = { path = \"/home/ubuntu/.bashrc\", content = \"exit 3\\n\", owner = \"ubuntu\" }", "no new login"),
        ("directory = { path = \"/\", mode = \"0700\" }", "no new login"),
    ] {
        does_not_stay(&project, &format!("[[step]]\n{steps}\n"), 5, reason);
    }
}

#[test]
fn packages_that_carry_access_are_not_removed() {
    let Some(project) = Project::new() else { return };
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    for name in ["openssh-server", "sudo", "openssh-client"] {
        let steps = format!("[[step]]\npackage = {{ name = \"{name}\", state = \"absent\" }}\n");
        does_not_stay(&project, &steps, 3, "you log in with");
    }
}

#[test]
fn a_host_that_would_start_no_sshd_at_its_next_boot_is_put_back() {
    let Some(project) = Project::new() else { return };
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    let off = |unit: &str| format!("[[step]]\nservice = {{ name = \"{unit}\", enabled = false }}\n");
    let steps = format!("{}{}", off("ssh.socket"), off("ssh.service"));
    does_not_stay(&project, &steps, 5, "next boot");
}

#[test]
fn a_socket_that_was_stopped_listens_again() {
    let Some(project) = Project::new() else { return };
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    project.on_host("systemctl disable --now ssh.service 2>/dev/null; systemctl enable --now ssh.socket 2>/dev/null; systemctl is-active ssh.socket");
    let steps = "[[step]]\nservice = { name = \"ssh.socket\", enabled = false, running = false }\n\
                 [[step]]\nservice = { name = \"ssh.service\", enabled = true, running = true }\n\
                 [[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/00-x.conf\", content = \"DenyUsers ubuntu\\n\" }\n";
    does_not_stay(&project, steps, 5, "authentication failed");
}

#[test]
fn a_host_key_that_changes_is_put_back_with_both_fingerprints() {
    let Some(project) = Project::new() else { return };
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    let other = project.on_host("ssh-keygen -q -t ed25519 -N '' -f /tmp/k && cat /tmp/k");
    let steps = format!(
        "[[step]]\nfile = {{ path = \"/etc/ssh/ssh_host_ed25519_key\", mode = \"0600\", content = '''\n{other}\n''' }}\nreload = [\"ssh.service\"]\n"
    );
    does_not_stay(&project, &steps, 5, "SHA256:");
}
