//! Ways to lose a host that are not those of sshd's own configuration: trees
//! that go, folders above the keys, programs that log in, packages, what holds
//! only until the next boot. Each ends with the host as it was and a reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::program;
use crate::support::project::{Project, Ran, ran};

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
    let ran = project.run(&["apply", "site.toml", "--yes", "--guard-timeout", crate::support::guard_seconds(12)]);
    assert_eq!(before, access(project), "{steps}: access is as before: {ran:?}");
    assert_eq!(ran.code, code, "{steps}: {ran:?}");
    assert!(ran.err.contains(reason) || ran.out.contains(reason), "{steps}: {reason:?} is not told: {ran:?}");
    let facts = project.run(&["facts"]);
    assert_eq!(facts.code, 0, "{steps}: the host is reachable as before: {facts:?}");
    ran
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_tree_that_access_is_in_comes_back_with_all_that_was_in_it() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful; mkdir -p '/home/ubuntu/a b/-c'; echo x >\"/home/ubuntu/a b/-c/d'e\"; ln -s nowhere /home/ubuntu/dangling; chown -R ubuntu: /home/ubuntu");
    for path in ["/home/ubuntu/.ssh", "/home/ubuntu"] {
        let steps = format!("[[step]]\ndirectory = {{ path = \"{path}\", state = \"absent\", recursive = true }}\n");
        does_not_stay(&project, &steps, 5, "put back");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_the_login_goes_through_is_guarded_though_it_is_no_configuration() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    for (steps, reason) in [
        ("directory = { path = \"/home\", mode = \"0700\" }", "authentication failed"),
        ("file = { path = \"/home/ubuntu/.bashrc\", content = \"exit 3\\n\", owner = \"ubuntu\" }", "no new login"),
        (
            "line = { path = \"/etc/environment\", match = \"^PATH=\", line = 'PATH=\"$PATH:/opt/bin\"' }",
            "no new login",
        ),
        ("file = { path = \"/etc/bash.bashrc\", content = \"exit 1\\n\" }", "login"),
        // A command alone reads no profile.
        ("file = { path = \"/etc/profile\", content = \"exit 0\\n\" }", "the login shell of"),
        ("file = { path = \"/etc/profile.d/x.sh\", content = \"exec false\\n\" }", "the login shell of"),
        ("file = { path = \"/root/.profile\", content = \"exit 1\\n\" }", "the login shell of root"),
        ("user = { name = \"sshd\", state = \"absent\" }", "no new login"),
        ("directory = { path = \"/run/sshd\", state = \"absent\" }", "no new login"),
    ] {
        does_not_stay(&project, &format!("[[step]]\n{steps}\n"), 5, reason);
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn files_that_decide_about_every_login_are_put_back() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    for steps in [
        "line = { path = \"/etc/passwd\", match = \"^ubuntu:\", line = \"ubuntu:x:1000:1000::/home/ubuntu:/bin/false\" }",
        "line = { path = \"/etc/nsswitch.conf\", match = \"^passwd:\", line = \"passwd: db\" }",
        "file = { path = \"/etc/hosts.deny\", content = \"ALL: ALL\\n\" }",
        "file = { path = \"/etc/security/limits.d/x.conf\", content = \"ubuntu - maxlogins 0\\n\" }",
        "file = { path = \"/usr/bin/sudo\", state = \"absent\" }",
        "file = { path = \"/usr/sbin/sshd\", mode = \"0644\" }",
        "file = { path = \"/etc/update-motd.d/00-x\", mode = \"0755\", content = \"#!/bin/sh\\nsleep 600\\n\" }",
    ] {
        does_not_stay(&project, &format!("[[step]]\n{steps}\n"), 5, "the change was put back");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn packages_that_carry_access_are_not_removed() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    for name in ["openssh-server", "sudo", "openssh-client"] {
        let steps = format!("[[step]]\npackage = {{ name = \"{name}\", state = \"absent\" }}\n");
        does_not_stay(&project, &steps, 1, "you log in with");
    }
    // It conflicts with the sudo that is there.
    project.on_host("apt-get -qq update");
    does_not_stay(&project, "[[step]]\npackage = { name = \"sudo-ldap\" }\n", 1, "you log in with");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_network_that_the_host_cannot_be_reached_by_is_put_back_live() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful; apt-get -qq update; apt-get -qq -y install netplan.io >/dev/null 2>&1; command -v netplan");
    // A container has no udev, which netplan only tells to look.
    project.on_host("printf '#!/bin/sh\n' >/usr/local/bin/udevadm; chmod 755 /usr/local/bin/udevadm");
    let address = project.on_host("ip -4 -o addr show eth0 | sed 's/.*inet \\([^ ]*\\).*/\\1/'");
    let router = project.on_host("ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'");
    let netplan = |address: &str| {
        let text = format!(
            "network:\n  version: 2\n  ethernets:\n    eth0:\n      addresses: [\"{address}\"]\n      routes: [{{ to: default, via: \"{router}\" }}]\n"
        );
        format!(
            "[[step]]\nfile = {{ path = \"/etc/netplan/60-lab.yaml\", mode = \"0600\", content = '''\n{text}''' }}\n"
        )
    };
    // The same as it is, by netplan now: taken up, though no step says so.
    project.playbook(&netplan(&address));
    project.converge();
    project.await_on(0, "networkctl --no-legend list eth0 | grep -q configured");
    let live = "ip -4 -o addr show eth0 | grep -o 'inet [^ ]*'; ip route | grep -o 'default via [^ ]*' | sort -u";
    let before = project.on_host(live);
    assert_eq!(before, format!("inet {address}\ndefault via {router}"));
    // No connection is left to ask by: the host's own timer does it.
    let networkd = "[[step]]\nfile = { path = \"/etc/systemd/network/05-lab.network\", content = \"[Match]\\nName=eth0\\n[Network]\\nAddress=192.0.2.78/24\\n\" }\n";
    for steps in [&netplan("192.0.2.77/24"), networkd] {
        does_not_stay(&project, steps, 5, "no new login within");
        assert_eq!(project.on_host(live), before, "live, too");
    }
    does_not_stay(&project, &netplan("nonsense"), 5, "netplan refuses");
    assert_eq!(project.on_host(live), before);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_host_that_would_start_no_sshd_at_its_next_boot_is_put_back() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    let off = |unit: &str| format!("[[step]]\nservice = {{ name = \"{unit}\", enabled = false }}\n");
    let steps = format!("{}{}", off("ssh.socket"), off("ssh.service"));
    does_not_stay(&project, &steps, 5, "next boot");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_socket_that_was_stopped_listens_again() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    project.on_host("systemctl disable --now ssh.service 2>/dev/null; systemctl enable --now ssh.socket 2>/dev/null; systemctl is-active ssh.socket");
    let steps = "[[step]]\nservice = { name = \"ssh.socket\", enabled = false, running = false }\n\
                 [[step]]\nservice = { name = \"ssh.service\", enabled = true, running = true }\n\
                 [[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/00-x.conf\", content = \"DenyUsers ubuntu\\n\" }\n";
    does_not_stay(&project, steps, 5, "authentication failed");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_host_key_that_changes_is_put_back_with_both_fingerprints() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    let other = project.on_host("ssh-keygen -q -t ed25519 -N '' -f /tmp/k && cat /tmp/k");
    let steps = format!(
        "[[step]]\nfile = {{ path = \"/etc/ssh/ssh_host_ed25519_key\", mode = \"0600\", content = '''\n{other}\n''' }}\nreload = [\"ssh.service\"]\n"
    );
    does_not_stay(&project, &steps, 5, "SHA256:");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_guard_whose_timer_somebody_stopped_is_put_back_by_the_runner() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    let before = access(&project);
    project.playbook(
        "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/00-x.conf\", content = \"DenyUsers ubuntu\\n\" }\n\
         [[step]]\nguard = true\ncommand = { run = \"touch /run/reached; while [ ! -e /run/go ]; do sleep 0.1; done\", creates = \"/nowhere\" }\n",
    );
    let mut controller = project.command(&["apply", "site.toml", "--yes", "--guard-timeout", "5"]).spawn().unwrap();
    project.on_host("timeout 60 sh -c 'until [ -e /run/reached ]; do sleep 0.1; done'");
    controller.kill().unwrap();
    controller.wait().unwrap();
    project.on_host("touch /run/go; timeout 60 sh -c 'until [ -e /var/lib/stockade/runs/*/guard/1/waiting ]; do sleep 0.01; done'; systemctl stop 'stockade-guard-*.timer'");
    project.on_host(
        "timeout 120 sh -c 'until [ -e /var/lib/stockade/runs/*/result ]; do sleep 0.1; done'; rm /run/go /run/reached",
    );
    assert_eq!(project.on_host("cat /var/lib/stockade/runs/*/result"), "reverted");
    assert_eq!(before, access(&project));
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_change_that_takes_longer_than_its_guard_is_told_as_that() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful");
    let steps = "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/00-x.conf\", content = \"MaxAuthTries 3\\n\" }\n\
                 [[step]]\nguard = true\ncommand = { run = \"sleep 600\", creates = \"/nowhere\" }\n";
    does_not_stay(&project, steps, 5, "the change itself took longer than the");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn rules_in_files_are_live_before_a_login_confirms_them() {
    let project = Project::new();
    project.on_host(
        "touch /home/ubuntu/.sudo_as_admin_successful; apt-get -qq update; apt-get -qq install -y ufw nftables >/dev/null 2>&1; \
         ufw allow 22/tcp >/dev/null; ufw --force enable >/dev/null",
    );
    let rules = project.on_host("sed '/ 22 /d' /etc/ufw/user.rules");
    assert!(!rules.contains("dport 22") && project.on_host("cat /etc/ufw/user.rules").contains("dport 22"));
    // What makes ufw read them comes later, after a step that no guard is for.
    let steps = format!(
        "[[step]]\nfile = {{ path = \"/etc/ufw/user.rules\", mode = \"0640\", content = '''\n{rules}\n''' }}\n\
         [[step]]\nfile = {{ path = \"/srv/x\", content = \"x\" }}\n\
         [[step]]\ncommand = {{ run = \"ufw reload\", creates = \"/nowhere\" }}\n"
    );
    does_not_stay(&project, &steps, 5, "no new login");
    assert!(project.on_host("iptables -S ufw-user-input").contains("--dport 22 -j ACCEPT"), "live, too");

    project.on_host("ufw --force disable >/dev/null; systemctl enable --now nftables 2>/dev/null");
    let steps = "[[step]]\nfile = { path = \"/etc/nftables.conf\", content = \"flush ruleset\\ntable inet f {\\n chain input {\\n type filter hook input priority 0\\n ct state established accept\\n tcp dport 22 drop\\n }\\n}\\n\" }\n\
         [[step]]\nfile = { path = \"/srv/x\", content = \"x\" }\n\
         [[step]]\ncommand = { run = \"systemctl reload nftables\", creates = \"/nowhere\" }\n";
    does_not_stay(&project, steps, 5, "no new login");
    assert_eq!(project.on_host("ls /srv; nft list ruleset | grep -c 'dport 22' || :"), "0", "live, too");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn taking_back_rules_of_a_firewall_closes_what_they_had_opened() {
    let project = Project::new();
    project.on_host("apt-get -qq update; apt-get -qq install -y ufw >/dev/null 2>&1; ufw allow 22/tcp >/dev/null; ufw --force enable >/dev/null");
    let live = "iptables -S; ip6tables -S; cat /etc/ufw/user.rules /etc/ufw/ufw.conf";
    let before = project.on_host(live);
    project.playbook("[[step]]\nfirewall = { rules = [ { allow = \"22/tcp\" }, { allow = 8080 } ] }\n");
    project.converge();
    assert!(project.on_host(live).contains("8080"));
    let undone = project.run(&["undo", &project.host.name, "--yes"]);
    assert_eq!(undone.code, 0, "{undone:?}");
    assert_eq!(before, project.on_host(live));
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_home_with_more_in_it_and_the_accounts_of_others_outlive_an_undo() {
    let project = Project::new();
    project.playbook("[[step]]\nuser = { name = \"deploy\" }\n");
    project.converge();
    project.on_host("useradd other; echo mine >/home/deploy/mine");
    let undone = project.run(&["undo", &project.host.name, "--yes"]);
    assert_eq!(undone.code, 0, "{undone:?}");
    assert_eq!(
        project.on_host("getent passwd other | cut -d: -f1; getent passwd deploy || :; cat /home/deploy/mine"),
        "other\nmine",
        "{undone:?}"
    );
    assert!(undone.out.contains("left alone: there is more in it"), "{undone:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_came_before_a_guard_is_taken_back_with_it_where_that_is_wanted() {
    let project = Project::new();
    project.playbook(
        "[[step]]\nfile = { path = \"/srv/before\", content = \"x\" }\n\
         [[step]]\ncommand = { run = \"touch /srv/command\", creates = \"/srv/command\" }\n\
         [[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/00-x.conf\", content = \"DenyUsers ubuntu\\n\" }\n",
    );
    let ran = project.run(&["apply", "site.toml", "--yes", "--undo-on-failure", "--format", "json"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(project.on_host("ls /srv"), "command", "{ran:?}");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let host = &json["hosts"][0];
    let results: Vec<&str> = host["steps"].as_array().unwrap().iter().map(|s| s["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["undone", "done", "undone"], "what was not taken back is not told as taken back: {json:#}");
    assert!(host["error"].as_str().unwrap().contains("but not: commands"), "{json:#}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_restart_that_is_owed_to_a_unit_that_is_gone_stops_nobody() {
    let project = Project::new();
    let unit = |name: &str| {
        format!(
            "[[step]]\nunit = {{ name = \"{name}\", content = \"[Service]\\nExecStart=/bin/sleep infinity\\n\" }}\nrestart = [\"{name}\"]\n"
        )
    };
    let fails = "[[step]]\ncommand = { run = \"exit 7\", creates = \"/nowhere\" }\n";
    project.playbook(&format!("{}{fails}", unit("gone.service")));
    assert_eq!(project.apply().code, 3);
    assert_eq!(project.on_host("ls /var/lib/stockade/owed"), "restart:gone.service");
    project.on_host("rm /etc/systemd/system/gone.service; systemctl daemon-reload");
    project.playbook("[[step]]\nfile = { path = \"/srv/x\", content = \"x\" }\n");
    project.converge();
    // An instance, with what systemd escapes: owed and paid by its name.
    let escaped = "[[step]]\nunit = { name = \"a@.service\", content = \"[Service]\\nExecStart=/bin/sleep infinity\\n\" }\nrestart = ['a@b\\x2dc.service']\n";
    project.playbook(&format!("{escaped}{fails}"));
    assert_eq!(project.apply().code, 3);
    project.playbook("[[step]]\nfile = { path = \"/srv/y\", content = \"x\" }\n");
    let paid = project.apply();
    assert!(paid.code == 0 && paid.out.contains("left pending by an earlier run"), "{paid:?}");
    // What is gone is owed nothing: when it comes back it starts with what is there.
    assert_eq!(project.on_host("systemctl is-active 'a@b\\x2dc.service'; ls /var/lib/stockade/owed"), "active");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn nobody_but_root_can_hold_the_lock() {
    let project = Project::new();
    project.on_host("rm -f /run/lock/stockade.lock; runuser -u nobody -- sh -c 'exec 9>>/run/lock/stockade.lock; flock 9; sleep 600 </dev/null >/dev/null 2>&1 &'");
    project.playbook("[[step]]\nfile = { path = \"/srv/x\", content = \"x\" }\n");
    project.converge();
    assert_eq!(project.on_host("stat -c '%U %a' /run/lock/stockade.lock"), "root 600");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_reboot_is_under_no_guard() {
    let project = Project::new();
    project.playbook("[[step]]\nguard = true\nreboot = { timeout = 120 }\n");
    let planned = project.run(&["plan", "site.toml"]);
    assert!(planned.code == 0 && !planned.out.contains("guarded"), "{planned:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn whatever_is_done_to_the_account_that_logs_in_is_put_back() {
    let project = Project::new();
    project.on_host("touch /home/ubuntu/.sudo_as_admin_successful; groupadd wheel; gpasswd -a ubuntu wheel; \
        printf '%%wheel ALL=(ALL) NOPASSWD:ALL\\n' >/etc/sudoers.d/90-cloud-init-users; mkdir /srv/d; \
        mv /etc/ssh/sshd_config.d /srv/d/x; ln -s /srv/d/x /etc/ssh/sshd_config.d; ssh-keygen -q -t ed25519 -N '' -f /tmp/k");
    let other = project.on_host("cat /tmp/k.pub");
    for (steps, reason) in [
        ("user = { name = \"ubuntu\", shell = \"/usr/sbin/nologin\" }".to_owned(), "would lock out"),
        ("user = { name = \"ubuntu\", expires = \"2001-01-01\" }".into(), "no new login"),
        ("user = { name = \"ubuntu\", groups = [], exclusive_groups = true }".into(), "cannot become root"),
        ("group = { name = \"wheel\", state = \"absent\" }".into(), "cannot become root"),
        (format!("user = {{ name = \"ubuntu\", authorized_keys = [\"{other}\"], exclusive_keys = true }}"), "authentication failed"),
        (format!("authorized_keys = {{ user = \"ubuntu\", keys = [\"{other}\"], exclusive = true }}"), "authentication failed"),
        ("sudoers = { name = \"zz-last\", content = \"ubuntu ALL=(ALL) ALL\\n\" }".into(), "cannot become root"),
        ("file = { path = \"/etc/ssh/sshd_config.d/00-x.conf\", content = \"DenyUsers ubuntu\\n\" }".into(), "authentication failed"),
        ("link = { path = \"/etc/ssh/sshd_config.d\", target = \"/nowhere\" }\n[[step]]\nguard = true\nline = { path = \"/etc/ssh/sshd_config\", line = \"DenyUsers ubuntu\" }".into(), "authentication failed"),
        ("service = { name = \"ssh.service\", masked = true }\n[[step]]\nservice = { name = \"ssh.socket\", masked = true }".into(), "next boot"),
        ("dropin = { unit = \"ssh.service\", name = \"x\", content = \"[Service]\\nExecStart=\\nExecStart=/bin/false\\n\" }\nrestart = [\"ssh.service\"]".into(), "put back"),
        ("file = { path = \"/etc/nologin\", content = \"closed\\n\" }".into(), "no new login"),
        ("file = { path = \"/etc/pam.d/sshd\", content = \"auth required pam_deny.so\\naccount required pam_deny.so\\n\" }".into(), "no new login"),
        ("file = { path = \"/etc/shells\", content = \"/bin/none\\n\" }\n[[step]]\nfile = { path = \"/etc/security/access.conf\", content = \"-:ALL:ALL\\n\" }\n[[step]]\nline = { path = \"/etc/pam.d/sshd\", line = \"account required pam_access.so\" }".into(), "no new login"),
    ] {
        let code = if reason.contains("would lock out") { 1 } else { 5 };
        does_not_stay(&project, &format!("[[step]]\n{steps}\n"), code, reason);
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_account_that_a_run_made_can_take_the_run_back_only_as_somebody_else() {
    let project = Project::new();
    let key = std::fs::read_to_string(format!("{}.pub", project.lab.lab.key_path().display())).unwrap();
    project.playbook(&format!(
        "[[step]]\nuser = {{ name = \"deploy\", shell = \"/bin/bash\", sudo = \"nopasswd\", authorized_keys = [\"{}\"] }}\n",
        key.trim()
    ));
    project.converge();
    let inventory = std::fs::read_to_string(project.lab.lab.inventory_path()).unwrap();
    let before = access(&project);
    std::fs::write(project.lab.lab.inventory_path(), inventory.replace("ubuntu", "deploy")).unwrap();
    let name = project.host.name.clone();
    let undone = project.run(&["undo", &name, "--yes", "--guard-timeout", crate::support::guard_seconds(12)]);
    assert_eq!(before, access(&project), "{undone:?}");
    assert!(undone.code == 5 || undone.code == 3, "{undone:?}");
    assert_eq!(project.run(&["facts"]).code, 0, "deploy still logs in");
    std::fs::write(project.lab.lab.inventory_path(), inventory).unwrap();
    let undone = project.run(&["undo", &name, "--yes"]);
    assert_eq!(undone.code, 0, "{undone:?}");
    assert_eq!(project.on_host("getent passwd deploy; ls /home"), "ubuntu");
    let again = project.run(&["undo", &name, "--yes"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("took it back already") && !again.out.contains("someone else"), "{again:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_firewall_that_would_shut_the_connection_is_refused_and_one_that_limits_it_is_not() {
    let project = Project::new();
    project.on_host(
        "touch /home/ubuntu/.sudo_as_admin_successful; apt-get -qq update; apt-get -qq install -y ufw >/dev/null 2>&1",
    );
    let live = "iptables -S INPUT; grep ENABLED /etc/ufw/ufw.conf; cat /etc/ufw/*.rules";
    let before = project.on_host(live);
    for rules in
        ["rules = [ { allow = \"22/tcp\", from = \"198.51.100.0/24\" } ]", "default_incoming = \"deny\"", "rules = []"]
    {
        project.playbook(&format!("[[step]]\nfirewall = {{ {rules} }}\n"));
        let ran = project.run(&["apply", "site.toml", "--yes", "--guard-timeout", crate::support::guard_seconds(12)]);
        assert_eq!(ran.code, 1, "{rules}: {ran:?}");
        assert_eq!(before, project.on_host(live), "{rules}");
    }
    project.playbook("[[step]]\nfirewall = { rules = [ { limit = \"22/tcp\" } ], default_outgoing = \"deny\" }\n");
    project.converge();
    assert_eq!(project.run(&["facts"]).code, 0);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_name_of_the_host_by_which_nobody_becomes_root_is_put_back() {
    let project = Project::new();
    project.on_host(
        "printf 'ubuntu %s=(ALL) NOPASSWD:ALL\\n' \"$(hostname)\" >/etc/sudoers.d/90-cloud-init-users; \
         gpasswd -d ubuntu sudo >/dev/null 2>&1 || :; touch /home/ubuntu/.sudo_as_admin_successful",
    );
    let names = "hostname; cat /etc/hostname /etc/hosts";
    let before = project.on_host(names);
    does_not_stay(&project, "[[step]]\nhostname = { value = \"renamed\" }\n", 5, "cannot become root");
    assert_eq!(before, project.on_host(names), "live, too");
    // The rule and the name change together.
    project.playbook(
        "[[step]]\nfile = { path = \"/etc/sudoers.d/90-cloud-init-users\", mode = \"0440\", \
         content = \"ubuntu renamed=(ALL) NOPASSWD:ALL\\n\" }\n[[step]]\nhostname = { value = \"renamed\" }\n",
    );
    project.converge();
    assert_eq!(project.on_host("hostname"), "renamed");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn in_a_chroot_a_guard_ends_either_way_and_leaves_no_process() {
    let project = Project::new();
    let tree = project.image();
    let apply = |content: &str| {
        project.playbook(&format!(
            "[[step]]\nfile = {{ path = \"/etc/sudoers.d/zz\", mode = \"0440\", content = \"{content}\\n\" }}\n"
        ));
        ran(program(project.folder()).args(["apply", "site.toml", "--yes", "--record", "none", "-i", "image.toml"]))
    };
    let inside = || -> Vec<String> {
        let roots = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let root = std::fs::read_link(entry.path().join("root")).ok()?;
            root.starts_with(&tree).then(|| std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default())
        });
        roots.collect()
    };
    let kept = apply("nobody ALL=(ALL) ALL");
    assert_eq!(kept.code, 0, "{kept:?}");
    let back = apply("this is no rule");
    assert_eq!(back.code, 5, "{back:?}");
    assert!(std::fs::read_to_string(tree.join("etc/sudoers.d/zz")).unwrap().contains("nobody ALL"), "as before");
    // Whoever is ending may still be seen for a moment.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !inside().is_empty() && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(inside(), Vec::<String>::new());
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn an_sshd_that_ends_as_it_is_reloaded_is_started_again() {
    let project = Project::new();
    project.on_host("systemctl disable -q --now ssh.socket; systemctl enable -q --now ssh.service");
    // It is told to begin anew, and cannot, nor when it is started for the
    // first time: a connection of that moment that still holds its port has the same effect.
    project.on_host(
        "cat >/usr/local/sbin/ends <<'X'\n#!/bin/sh\nmv /usr/sbin/sshd /usr/sbin/sshd.away\nkill -HUP \"$1\"\n\
         { until [ -s /run/refused ]; do sleep 0.01; done; mv /usr/sbin/sshd.away /usr/sbin/sshd; echo ended >>/run/ended; } &\nX\n\
         printf '#!/bin/sh\\n/usr/sbin/sshd -t && exit\\necho refused >>/run/refused\\nexit 1\\n' >/usr/local/sbin/begins\n\
         chmod 0755 /usr/local/sbin/ends /usr/local/sbin/begins; mkdir -p /etc/systemd/system/ssh.service.d\n\
         printf '[Service]\\nRestart=no\\nExecStartPre=\\nExecStartPre=/usr/local/sbin/begins\\nExecReload=\\n' >/etc/systemd/system/ssh.service.d/ends.conf\n\
         printf 'ExecReload=/usr/local/sbin/ends $MAINPID\\n' >>/etc/systemd/system/ssh.service.d/ends.conf\n\
         systemctl daemon-reload",
    );
    project.playbook(
        "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/00-x.conf\", content = \"MaxAuthTries 3\\n\" }\nreload = [\"ssh.service\"]\n",
    );
    let ran = project.run(&["apply", "site.toml", "--yes", "--guard-timeout", "60"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(project.on_host("cat /run/ended; systemctl is-active ssh.service"), "ended\nactive");
    assert_eq!(
        project.on_host("/usr/sbin/sshd -T | grep -i maxauthtries; ls /var/lib/stockade/owed"),
        "maxauthtries 3"
    );
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_reload_of_an_sshd_whose_socket_listens_does_not_end_in_its_failure() {
    let project = Project::new();
    // Such an sshd ends by a reload; what comes after that in the reload sees to it that systemd finds out first.
    project.on_host(
        "systemctl is-active ssh.socket; mkdir -p /etc/systemd/system/ssh.service.d; \
         printf '[Service]\\nExecReload=/bin/sleep 1\\n' >/etc/systemd/system/ssh.service.d/slow.conf; systemctl daemon-reload",
    );
    // Not by a step that is guarded: the reload is one of those at the end of the run.
    project.playbook(
        "[[step]]\nfile = { path = \"/etc/banner\", content = \"hello\\n\" }\nreload = [\"ssh.service\"]\n\
         [[step]]\nfile = { path = \"/srv/x\", content = \"x\" }\n",
    );
    project.converge();
    assert_eq!(project.on_host("systemctl is-failed ssh.service || :; ls /var/lib/stockade/owed"), "active");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn many_changes_of_sshd_in_a_row_do_not_reach_the_limit_of_its_starts() {
    let project = Project::new();
    project.on_host("systemctl is-active ssh.socket");
    let steps: String = (1..=7)
        .map(|n| {
            format!(
                "[[step]]\nfile = {{ path = \"/etc/ssh/sshd_config.d/4{n}-test.conf\", content = \"# {n}\\n\" }}\n\
                 [[step]]\ncommand = {{ run = \"sshd -t\", when_changed = \"previous\" }}\n"
            )
        })
        .collect();
    project.playbook(&steps);
    project.converge();
    assert_eq!(project.on_host("systemctl is-active ssh.socket"), "active");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_unit_file_of_sshd_is_confirmed_only_when_it_is_in_use() {
    let project = Project::new();
    // The start of a service that cannot start.
    project.on_host("systemctl disable --now ssh.socket; systemctl enable ssh.service; systemctl start ssh.service");
    let text = project.on_host("systemctl cat ssh.service | grep -v '^#'");
    let broken = text.replace("ExecStart=/usr/sbin/sshd", "ExecStart=/usr/sbin/no-sshd");
    project.playbook(&format!("[[step]]\nunit = {{ name = \"ssh.service\", content = '''\n{broken}\n''' }}\n"));
    let applied = project.apply();
    assert_eq!(applied.code, 5, "{applied:?}");
    assert_eq!(
        project.on_host("systemctl is-active ssh.service; ls /etc/systemd/system/ssh.service 2>/dev/null || :"),
        "active"
    );
}
