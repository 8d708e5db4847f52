//! The profiles `harden/kernel`, `harden/filesystem`, `harden/accounts` and
//! `harden/updates` on real hosts: what they change is asked of the host's own
//! tools, what they report is shown with faults that were made there, and `undo`
//! takes all of it back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;
use std::collections::BTreeMap;

/// What is in /etc and how it may be used, without what programs make anew by themselves.
pub fn etc(project: &Project) -> String {
    project.on_host(
        "cd /etc; find . ! -name '.pwd.lock' ! -name 'ld.so.cache' -printf '%p %y %m %u %g %l\\n' | sort; \
         find . -type f ! -name '.pwd.lock' ! -name 'ld.so.cache' -exec sha256sum {} + | sort -k 2",
    )
}

/// An audit: per control its status, and what was found.
pub fn audit(project: &Project, profile: &str, more: &[&str]) -> BTreeMap<String, (String, String)> {
    let arguments: Vec<&str> =
        ["audit", profile, "--all-hosts", "--format", "json"].into_iter().chain(more.iter().copied()).collect();
    let ran = project.run(&arguments);
    assert!(ran.code == 0 || ran.code == 2, "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let results = report["hosts"][0]["results"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    let text = |result: &serde_json::Value, field: &str| result[field].as_str().unwrap_or_default().to_owned();
    results
        .iter()
        .map(|result| {
            (text(result, "id"), (text(result, "status"), format!("{} {}", text(result, "actual"), result["evidence"])))
        })
        .collect()
}

/// Asserts the status of controls, and parts of what was found of each.
pub fn stands(found: &BTreeMap<String, (String, String)>, wanted: &[(&str, &str, &[&str])]) {
    for (id, status, parts) in wanted {
        let (is, said) = found.get(*id).unwrap_or_else(|| panic!("no {id} in {found:#?}"));
        assert_eq!(is, status, "{id}: {said}");
        for part in *parts {
            assert!(said.contains(part), "{id}: '{part}' in {said}");
        }
    }
}

/// Applies a profile and expects that nothing is left; the apply is one.
pub fn converge(project: &Project, profile: &str, with: &str) {
    project.playbook(&format!("[[step]]\nuse = \"{profile}\"\nwith = {{ {with} }}\n"));
    project.converge();
}

pub fn undo(project: &Project) {
    let name = project.host.name.clone();
    project.done(&["undo", &name, "--yes"]);
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn kernel_and_file_systems_are_hardened_and_undo_takes_it_back() {
    let project = Project::with_all_host_keys();
    let sysctl = |key: &str| project.on_host(&format!("cat /proc/sys/{key}"));
    project.on_host("sysctl -qw net.ipv4.conf.eth0.send_redirects=1 net.ipv4.conf.default.rp_filter=2");
    rules_of_the_audit(&project);
    let before = etc(&project);

    values_that_other_files_persist(&project);
    // A container has no kernel of its own: only its network is judged.
    let found = audit(&project, "harden/kernel", &[]);
    stands(
        &found,
        &[
            ("K1", "not_applicable", &[]),
            ("K6", "not_applicable", &[]),
            ("K4", "fail", &["no line gives * a hard limit of 0"]),
            ("K9", "fail", &["eth0: IPv4 redirects are sent"]),
            ("K13", "fail", &["no known program of this host needs it"]),
        ],
    );
    converge(&project, "harden/kernel", "level = 2");
    for (key, value) in [
        ("net/ipv4/ip_forward", "0"),
        ("net/ipv4/conf/all/accept_redirects", "0"),
        ("net/ipv4/conf/eth0/accept_redirects", "0"),
        ("net/ipv4/conf/eth0/send_redirects", "0"),
        ("net/ipv6/conf/eth0/accept_redirects", "0"),
        ("net/ipv6/conf/default/accept_ra", "0"),
        ("net/ipv4/conf/all/rp_filter", "1"),
        // A value that does as well stays.
        ("net/ipv4/conf/default/rp_filter", "2"),
        ("net/ipv4/conf/all/log_martians", "1"),
        ("net/ipv4/tcp_syncookies", "1"),
    ] {
        assert_eq!(sysctl(key), value, "{key}");
    }
    assert!(project.on_host("cat /etc/ufw/sysctl.conf").contains("\nnet/ipv4/conf/all/log_martians=1\n"));
    stands(
        &audit(&project, "harden/kernel", &[]),
        &[
            ("K4", "pass", &[]),
            ("K9", "pass", &[]),
            ("K10", "pass", &[]),
            ("K11", "pass", &[]),
            ("K12", "pass", &[]),
            ("K13", "pass", &[]),
        ],
    );
    project.on_host(
        "echo '* hard core unlimited' >/etc/security/limits.d/zzz.conf; echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra",
    );
    stands(
        &audit(&project, "harden/kernel", &[]),
        &[("K4", "fail", &["/etc/security/limits.d/zzz.conf:1"]), ("K12", "not_live", &[])],
    );
    project.on_host("rm /etc/security/limits.d/zzz.conf; echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_ra");
    // One interface forwards by its own value.
    project.on_host("echo 1 >/proc/sys/net/ipv4/conf/eth0/forwarding");
    stands(&audit(&project, "harden/kernel", &[]), &[("K13", "fail", &["conf/eth0/forwarding = 1"])]);
    project.on_host("echo 0 >/proc/sys/net/ipv4/conf/eth0/forwarding");
    undo(&project);
    assert_eq!(before, etc(&project));
    assert_eq!(sysctl("net/ipv4/conf/eth0/send_redirects"), "1");
    assert_eq!(sysctl("net/ipv4/ip_forward"), "1");

    // What Docker needs stays, and what a kernel of its own gets is written for the next boot.
    project.on_host("printf '#!/bin/sh\n' >/usr/bin/dockerd; chmod 755 /usr/bin/dockerd");
    converge(&project, "harden/kernel", "own_kernel = true, live = false");
    assert_eq!(sysctl("net/ipv4/ip_forward"), "1");
    assert_eq!(
        project.on_host("cat /etc/sysctl.d/99-zz-stockade-net.ipv4.ip_forward.conf /etc/sysctl.d/99-zz-stockade-kernel.kptr_restrict.conf"),
        "net.ipv4.ip_forward = 1\nkernel.kptr_restrict = 2"
    );
    undo(&project);
    project.on_host("rm /usr/bin/dockerd");

    // Files: modes get stricter and never wider, what the walk finds is left as it is.
    project.on_host(
        "chmod 666 /etc/shells; chmod 600 /etc/group-; chmod 755 /etc/cron.d; \
         echo 'tmpfs /tmp tmpfs rw,size=64m 0 0' >>/etc/fstab; systemctl daemon-reload; mount /tmp; \
         cp /bin/true /usr/local/bin/back; chmod 4755 /usr/local/bin/back; cp /bin/true /usr/local/bin/declared; chmod 4755 /usr/local/bin/declared; \
         for at in one two; do mkdir -p /var/lib/docker/$at /srv/$at; mount --bind /var/lib/docker/$at /srv/$at; done; \
         mkdir -p '/srv/a b'; mount -t tmpfs other '/srv/a b'; for at in /srv/two '/srv/a b'; do cp /bin/true \"$at/back\"; chmod 4755 \"$at/back\"; done; \
         touch /opt/open; chmod 666 /opt/open; mkdir /opt/all; chmod 777 /opt/all; touch '/opt/of nobody'; chown 4242 '/opt/of nobody'",
    );
    let before = etc(&project);
    let own = &["--var", "own_kernel=true", "--var", "accepted=[\"/usr/local/bin/declared\"]"];
    stands(
        &audit(&project, "harden/filesystem", own),
        &[
            ("F2", "fail", &["/tmp is mounted without nodev"]),
            ("F3", "fail", &["/etc/shells: has mode 666"]),
            (
                "F4",
                "fail",
                &[
                    "/usr/local/bin/back",
                    "/srv/two/back",
                    "/srv/a b/back",
                    "/opt/open: everybody can write",
                    "/opt/all",
                    "/opt/of nobody: belongs to nobody",
                ],
            ),
            ("F5", "fail", &["/etc/cron.d: has mode 755"]),
        ],
    );
    // The walk writes nothing, and thousands of findings stay a short answer.
    project.on_host(
        "mkdir /srv/many /snap; seq 5000 | sed 's,^,/srv/many/,' | xargs touch; chmod 6755 /srv/many/*; cp /bin/true /snap/back; chmod 4755 /snap/back",
    );
    let touched = "find /tmp /var/tmp -maxdepth 0 -printf '%p %T+\\n'";
    let before_walk = project.on_host(touched);
    let walked = audit(&project, "harden/filesystem", own)["F4"].1.clone();
    assert_eq!(before_walk, project.on_host(touched));
    assert!(walked.len() < 20_000 && walked.contains("5008 files"), "{walked}");
    project.on_host("rm -r /srv/many");
    let walked = audit(&project, "harden/filesystem", own)["F4"].1.clone();
    assert!(walked.contains("/snap/back") && !walked.contains("/usr/local/bin/declared: runs"), "{walked}");
    project.on_host("rm -r /snap");
    converge(&project, "harden/filesystem", "own_kernel = true");
    assert_eq!(project.on_host("stat -c '%a %G' /etc/shells /etc/group- /etc/cron.d"), "644 root\n600 root\n700 root");
    let options = project.on_host("awk '$2 == \"/tmp\" { print $4 }' /proc/mounts");
    assert!(options.contains("nosuid") && options.contains("nodev"), "{options}");
    assert!(project.on_host("cat /etc/modprobe.d/stockade-cramfs.conf").contains("install cramfs /bin/false"));
    assert_eq!(project.on_host("stat -c %a /usr/local/bin/back /opt/open /opt/all"), "4755\n666\n777");
    stands(
        &audit(&project, "harden/filesystem", own),
        &[("F1", "pass", &[]), ("F2", "pass", &[]), ("F3", "pass", &[]), ("F5", "pass", &[])],
    );
    project
        .on_host("umount /srv/one /srv/two '/srv/a b'; rm -rf /usr/local/bin/back /opt/open /opt/all '/opt/of nobody'");
    stands(&audit(&project, "harden/filesystem", own), &[("F4", "pass", &[])]);
    undo(&project);
    assert_eq!(before, etc(&project));
}

/// A value is persisted by whatever file of sysctl.d(5) has the last word.
fn values_that_other_files_persist(project: &Project) {
    project.on_host(
        "mkdir -p /run/sysctl.d; \
         sysctl -qw net.ipv4.icmp_ignore_bogus_error_responses=1 net.ipv4.icmp_echo_ignore_broadcasts=1 net.ipv4.tcp_rfc1337=1",
    );
    let own = "/etc/sysctl.d/10-own.conf";
    for (more, status) in [
        ("true", "pass"),
        ("echo 'net.ipv4.tcp_sync* = 0' >/run/sysctl.d/20-a.conf", "pass"),
        ("mv /etc/sysctl.d/10-own.conf /usr/lib/sysctl.d", "pass"),
        ("printf 'net.ipv4.tcp_*=1\\nnet.ipv4.icmp_*=1\\n' >/etc/sysctl.d/10-own.conf", "pass"),
        ("printf 'net.ipv4.tcp_*=1\\nnet.ipv4.icmp_*=1\\nnet.ipv4.tcp_rfc*=0' >/etc/sysctl.d/10-own.conf", "not_live"),
        ("echo net.ipv4.tcp_syncookies=0 >/run/sysctl.d/20-a.conf", "not_live"),
        ("echo -net.ipv4.tcp_syncookies >/run/sysctl.d/20-a.conf", "not_live"),
        ("mv /etc/sysctl.d/10-own.conf /usr/lib/sysctl.d; ln -s /dev/null /etc/sysctl.d/10-own.conf", "not_live"),
        ("mv /etc/sysctl.d/10-own.conf /etc/sysctl.d/10-own", "not_live"),
    ] {
        project.on_host(&format!(
            "printf 'net.ipv4.tcp_syncookies=1\\nnet/ipv4/icmp_echo_ignore_broadcasts = 1\\n-net.ipv4.tcp_rfc1337=1\\n\
             net.ipv4.icmp_ignore_bogus_error_responses = 1\\n' >{own}; {more}"
        ));
        stands(&audit(project, "harden/kernel", &[]), &[("K11", status, &[])]);
        project.on_host("rm -f /etc/sysctl.d/10-own* /usr/lib/sysctl.d/10-own.conf /run/sysctl.d/20-a.conf");
    }
}

/// Rules as a file has them, and the same as auditctl prints them.
const RULES: &str = r#"
mkdir -p /etc/audit/rules.d /srv/bin
cat >/etc/audit/rules.d/50.rules <<'END'
-D
-w /etc/pam.d/ -p wa -k identity
-w /etc/nowhere/deep/x -p wa -k none
-a exit,always -F arch=x86_64 -S settimeofday -S adjtimex -k time-change
-a always,exit -F arch=b64 -S clock_settime -F a0=0 -k time-change
-a always,exit -F arch=b64 -S execve -C euid!=uid -F auid!=unset -F uid=root -k user_emulation
-a always,exit -F path=/usr/bin/chcon -F perm=x -F auid>=1000 -F auid!=unset -k perm_chng
END
cat >/srv/rules <<'END'
-w /etc/pam.d -p wa -k identity
-a always,exit -F arch=b64 -S adjtimex,settimeofday -F key=time-change
-a always,exit -F arch=b64 -S clock_settime -F a0=0x0 -F key=time-change
-a always,exit -F arch=b64 -S execve -C uid!=euid -F auid!=-1 -F uid=0 -F key=user_emulation
-a always,exit -S all -F path=/usr/bin/chcon -F perm=x -F auid>=1000 -F auid!=-1 -F key=perm_chng
END
printf '#!/bin/sh\n[ "$1" != -l ] || cat /srv/rules\n' >/srv/bin/auditctl; chmod 755 /srv/bin/auditctl
"#;

/// The kernel's rules are compared with those of files, and not their numbers.
fn rules_of_the_audit(project: &Project) {
    project.on_host(RULES);
    let script = include_str!("../playbooks/harden/logging/audit.sh");
    let judged = || {
        let path = ["env", "PATH=/srv/bin:/usr/sbin:/usr/bin", "sh", "-s", "rules"];
        let ran = project.host.exec_with_input(&path, script.as_bytes()).unwrap();
        (ran.status.code(), String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    assert_eq!(judged().0, Some(0), "{:?}", judged());
    project.on_host("sed -i 's,^-w.*,-w /opt/a -p wa,; s/perm=x/perm=r/' /srv/rules");
    let (code, said) = judged();
    assert!(code == Some(1) && said.contains("not loaded: -w /etc/pam.d/ -p wa"), "{said}");
    assert!(
        said.contains("lacks 2 rules") && said.contains("not loaded: -a always,exit -F path=/usr/bin/chcon"),
        "{said}"
    );
    project.on_host("echo '-a never,task' >>/srv/rules");
    assert!(judged().1.contains("no process is recorded"), "{:?}", judged());
    project.on_host("rm -r /etc/audit /srv/bin /srv/rules");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn accounts_and_updates_are_hardened_and_undo_takes_it_back() {
    let project = Project::with_all_host_keys();
    // Packages of these names that bring no files: the host's own sources need not answer.
    project.on_host("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*");
    let script = include_str!("fixtures/local-repository.sh");
    project.host.exec_with_input(&["sh", "-c", "cat >/root/repository.sh"], script.as_bytes()).unwrap();
    let packages = "libpam-pwquality 1.0\nunattended-upgrades 1.0\n";
    let made =
        project.host.exec_with_input(&["sh", "/root/repository.sh", "/srv/repository"], packages.as_bytes()).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    project.on_host(
        "useradd -m -s /bin/bash ada; echo 'ada:Correct-Horse-9' | chpasswd; chmod 755 /home/ada; \
         install -d -o ada -g ada -m 755 /home/ada/.ssh; touch /home/ada/.ssh/authorized_keys; chown ada: /home/ada/.ssh/authorized_keys; \
         chmod 664 /home/ada/.ssh/authorized_keys; sed -i 's/^UMASK.*/UMASK\t\t077/' /etc/login.defs",
    );
    let before = etc(&project);
    let home = "stat -c %a /home/ada /home/ada/.ssh /home/ada/.ssh/authorized_keys";
    stands(
        &audit(&project, "harden/accounts", &[]),
        &[
            ("A5", "fail", &["/home/ada"]),
            ("A7", "fail", &["ada: its password lasts 99999 days"]),
            ("A9", "fail", &["nullok"]),
            ("A10", "fail", &["/etc/pam.d/sshd: no pam_faillock preauth"]),
            ("A11", "fail", &["there is no logfile"]),
            ("A13", "fail", &["pam_pwhistory does not come before pam_unix"]),
            ("A14", "fail", &["pam_wheel"]),
            ("A15", "fail", &["TMOUT"]),
            ("A19", "fail", &["umask"]),
            // The account that logs in here may use sudo without password.
            ("A20", "pass", &[]),
        ],
    );
    converge(&project, "harden/accounts", "level = 1");
    assert_eq!(project.on_host(home), "750\n700\n600");
    // What is stricter than demanded stays.
    assert_eq!(
        project.on_host("awk '$1 == \"UMASK\" || $1 == \"PASS_MAX_DAYS\" { print $2 }' /etc/login.defs | sort"),
        "077\n365"
    );
    assert_eq!(project.on_host("bash -lc umask; bash -ic 'echo $TMOUT' 2>/dev/null"), "0027\n900");
    // A command without a login shell has it too: PAM sets what login.defs says.
    let by_ssh = project.lab.lab.ssh(&project.host.name, &["umask"]).unwrap().output().unwrap();
    assert_eq!(String::from_utf8_lossy(&by_ssh.stdout).trim(), "0077", "{by_ssh:?}");
    assert_eq!(project.on_host("su ada -c umask; sudo -u ada sh -c umask"), "0077\n0077");
    // Five failed passwords lock, as PAM itself has it; the way in by key stays.
    project.on_host("runuser -u nobody -- sh -c 'for n in 1 2 3 4 5 6; do echo wrong | su ada -c true; done' 2>/dev/null; usermod -aG sudo nobody");
    project.on_host("for n in 1 2 3 4 5 6; do echo wrong | runuser -u nobody -- su ada -c true 2>/dev/null || :; done");
    assert!(project.on_host("faillock --user ada | grep -c ' V$' || :").parse::<u32>().unwrap() >= 5);
    project.done(&["plan", "site.toml"]);
    project.on_host("faillock --user ada --reset; gpasswd -d nobody sudo >/dev/null");
    project.on_host("echo ada:Other-Staple-77 | chpasswd");
    let refused = project.host.exec(&["sh", "-c", "echo ada:Correct-Horse-9 | chpasswd"]).unwrap();
    assert!(!refused.status.success(), "a password that is remembered is not taken again");
    stands(
        &audit(&project, "harden/accounts", &[]),
        &[
            ("A1", "pass", &[]),
            ("A2", "pass", &[]),
            ("A3", "pass", &[]),
            ("A4", "pass", &[]),
            ("A5", "pass", &[]),
            ("A6", "pass", &[]),
            ("A8", "pass", &[]),
            ("A10", "pass", &[]),
            ("A11", "pass", &[]),
            ("A12", "not_applicable", &[]),
            ("A13", "pass", &[]),
            ("A14", "pass", &[]),
            ("A15", "pass", &[]),
            ("A16", "pass", &[]),
            ("A19", "pass", &[]),
            // The package of this test brings no module.
            ("A9", "fail", &["pam_pwquality does not come before pam_unix"]),
        ],
    );
    reports_of_accounts(&project);
    undo(&project);
    let after = etc(&project);
    for gone in ["stockade", "pam_faillock", "pam_pwhistory", "pam_umask"] {
        assert_eq!(
            project.on_host(&format!(
                "grep -r {gone} /etc/pam.d /etc/sudoers.d /etc/profile.d /usr/share/pam-configs || :"
            )),
            "",
            "{gone}"
        );
    }
    let of_pam = |text: &str| {
        text.lines()
            .filter(|line| line.contains("./pam.d/") || line.contains("./login.defs") || line.contains("./sudoers"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(of_pam(&before), of_pam(&after));
    project.on_host("DEBIAN_FRONTEND=noninteractive pam-auth-update --package 2>/dev/null");
    assert_eq!(of_pam(&before), of_pam(&etc(&project)), "pam-auth-update finds its files as it has left them");
    crate::harden_updates::updates(&project);
}

/// Faults of accounts, each reported and left as it is.
fn reports_of_accounts(project: &Project) {
    project.on_host(
        "cp -a /etc/passwd /root/passwd; cp -a /etc/shadow /root/shadow; cp -a /etc/group /root/group; cp -a /etc/sudoers /root/sudoers; \
         printf 'toor:x:0:0::/root:/bin/bash\\nopen::1300:1300::/:/bin/sh\\ntwin:x:1300:9999::/nonexistent:/usr/sbin/nologin\\nsvc:x:900:100::/:/bin/bash\\nksh:x:901:100::/:/opt/bin/ksh\\nbig:x:70001:100::/srv/big:/opt/bin/ksh\\n' >>/etc/passwd; mkdir -m 777 /srv/big; \
         printf 'old:$1$abc$def:20000:0:99999:7:::\\n' >>/etc/shadow; printf 'docker:x:1400:ada\\n' >>/etc/group; \
         printf 'ada ALL=(ALL) NOPASSWD: ALL\\nDefaults:ada !authenticate\\n' >>/etc/sudoers; touch /home/ada/.netrc; chmod 777 /home; \
         mkdir -p /usr/local/bin; chmod 777 /usr/local/bin; sed -i 's/deny = 5/deny = 50/' /etc/security/faillock.conf; echo 'umask 000' >/etc/profile.d/zzz.sh",
    );
    stands(
        &audit(project, "harden/accounts", &[]),
        &[
            ("A1", "fail", &["toor: has UID 0"]),
            ("A2", "fail", &["open: no password is needed"]),
            ("A3", "fail", &["twin: the UID 1300", "there is no group 9999"]),
            ("A4", "fail", &["svc: a system account with the shell /bin/bash", "ksh: a system account with the shell"]),
            ("A5", "fail", &["/home above its home has mode 777", "big: /srv/big has mode 777"]),
            ("A6", "fail", &["/home/ada/.netrc"]),
            ("A8", "fail", &["old: its password has a weak hash"]),
            ("A10", "fail", &["deny is 50"]),
            ("A11", "fail", &["no password is asked for"]),
            ("A12", "fail", &["ada: is root by way of the group docker"]),
            ("A16", "fail", &["/usr/local/bin: has mode 777"]),
            ("A19", "fail", &["/etc/profile.d/zzz.sh:1"]),
            ("A20", "fail", &["ada: "]),
        ],
    );
    let declared = ["--var", "nopasswd=[\"ada\"]", "--var", "docker_users=[\"ada\"]"];
    stands(&audit(project, "harden/accounts", &declared), &[("A12", "pass", &[]), ("A20", "pass", &[])]);
    // Each name of a rule is judged, a UID and the members of an alias too; what asks nobody is no way in.
    project.on_host(
        "printf 'ada, bob ALL=(ALL) NOPASSWD: ALL\\n#1234 ALL=(ALL) NOPASSWD: ALL\\nUser_Alias OPS = carl, dora\\n\
         OPS ALL=(ALL) NOPASSWD: ALL\\nDefaults exempt_group=users\\n' >/etc/sudoers.d/names; chmod 440 /etc/sudoers.d/names; \
         cp -a /etc/pam.d /root/pam.d; sed -i 's/ nousergroups//' /etc/pam.d/common-session; echo 'true && umask 000' >/etc/profile.d/zzy.sh; sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/sshd; \
         sed -i '/pam_faillock.so preauth/d' /etc/pam.d/common-auth; echo 'auth required pam_faillock.so preauth' >>/etc/pam.d/common-auth",
    );
    stands(
        &audit(project, "harden/accounts", &declared),
        &[
            ("A9", "fail", &["/etc/pam.d/sshd: sufficient pam_permit.so"]),
            ("A10", "fail", &["/etc/pam.d/sshd: pam_faillock preauth comes after pam_unix"]),
            ("A11", "fail", &["a group is asked for no password"]),
            (
                "A19",
                "fail",
                &["common-session: optional pam_umask.so: USERGROUPS_ENAB", "/etc/profile.d/zzy.sh:1: umask 000"],
            ),
            ("A20", "fail", &["bob: ", "#1234: ", "carl: ", "dora: "]),
        ],
    );
    project.on_host("rm -r /etc/sudoers.d/names /etc/profile.d/zzy.sh /etc/pam.d /srv/big; mv /root/pam.d /etc/pam.d");
    project.on_host("echo 'no rule' >>/etc/sudoers.d/zz-broken; chmod 440 /etc/sudoers.d/zz-broken");
    let broken = project.on_host("visudo -c 2>&1 | head -n 1 || :");
    assert!(!broken.is_empty());
    project.on_host(
        "rm /etc/sudoers.d/zz-broken /home/ada/.netrc /etc/profile.d/zzz.sh; chmod 755 /home /usr/local/bin; sed -i 's/deny = 50/deny = 5/' /etc/security/faillock.conf; \
         for file in passwd shadow group sudoers; do cp -a /root/$file /etc/$file; done",
    );
}
