//! A step has converged when it is in force: what overrides it is named by the
//! plan, keeps an apply from converging (exit code 3), and once it is gone the
//! same playbook converges. Each situation is compared with what the host's
//! own programs say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;
use serde_json::Value;

/// Something that overrides a step.
struct Situation {
    name: &'static str,
    /// Shell text that brings it about.
    prepare: &'static str,
    steps: &'static str,
    /// The file and line that win, as the plan must name them.
    place: &'static str,
    /// Shell text that asks the host what is in force.
    ask: &'static str,
    /// What it says while the step is overridden, and what when it is in force.
    answers: (&'static str, &'static str),
    /// Shell text that takes away what overrides.
    repair: &'static str,
}

const UNIT: &str = "[Unit]\\nDescription=x\\n[Service]\\nExecStart=/bin/sleep infinity\\nLimitCORE=1\\n";

const SITUATIONS: [Situation; 22] = [
    Situation {
        name: "keys of a user whom sshd's list leaves out",
        prepare: "useradd -m -s /bin/bash dora; printf '# x\\nAllowUsers ubuntu root\\n' >/etc/ssh/sshd_config.d/10-allow.conf",
        steps: "[[step]]\nauthorized_keys = { user = \"dora\", keys = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v\" }\n",
        place: "/etc/ssh/sshd_config.d/10-allow.conf:2",
        ask: "sshd -T -C user=dora,host=x,addr=192.0.2.1 | grep -c ^allowusers || :",
        answers: ("2", "0"),
        repair: "rm /etc/ssh/sshd_config.d/10-allow.conf",
    },
    Situation {
        name: "keys of a user in a block that asks for a password",
        prepare: "useradd -m -s /bin/bash nora; printf 'Match User nora\\n  AuthenticationMethods password\\n' >/etc/ssh/sshd_config.d/11-match.conf",
        steps: "[[step]]\nuser = { name = \"nora\", authorized_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v\"] }\n",
        place: "/etc/ssh/sshd_config.d/11-match.conf:2",
        ask: "sshd -T -C user=nora,host=x,addr=192.0.2.1 | grep ^authenticationmethods",
        answers: ("authenticationmethods password", "authenticationmethods any"),
        repair: "rm /etc/ssh/sshd_config.d/11-match.conf",
    },
    Situation {
        name: "keys of an account that has expired",
        prepare: "useradd -m -s /bin/bash -e 2001-01-01 olga",
        steps: "[[step]]\nauthorized_keys = { user = \"olga\", keys = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v\" }\n",
        place: "/etc/shadow",
        ask: "chage -l olga | sed -n 's/^Account expires[^:]*: //p'",
        answers: ("Jan 01, 2001", "never"),
        repair: "chage -E -1 olga",
    },
    Situation {
        name: "ssh: a file that is read before a line of the main file",
        prepare: "printf 'Host git\\n  ServerAliveInterval 5\\nHost *\\n  ServerAliveInterval 10\\n' >/etc/ssh/ssh_config.d/10-x.conf",
        steps: "[[step]]\nline = { path = \"/etc/ssh/ssh_config\", line = \"ServerAliveInterval 60\" }\n",
        place: "/etc/ssh/ssh_config.d/10-x.conf:4",
        ask: "ssh -G other | grep ^serveraliveinterval",
        answers: ("serveraliveinterval 10", "serveraliveinterval 60"),
        repair: "sed -i '3,$d' /etc/ssh/ssh_config.d/10-x.conf",
    },
    Situation {
        name: "grub: a file that is read after the main file",
        prepare: "mkdir -p /etc/default/grub.d; echo GRUB_TIMEOUT=9 >/etc/default/grub; printf '# x\\nGRUB_TIMEOUT=0\\n' >/etc/default/grub.d/50-cloudimg-settings.cfg",
        steps: "[[step]]\nline = { path = \"/etc/default/grub\", match = \"^GRUB_TIMEOUT=\", line = \"GRUB_TIMEOUT=5\" }\n",
        place: "/etc/default/grub.d/50-cloudimg-settings.cfg:2",
        ask: ". /etc/default/grub; for f in /etc/default/grub.d/*.cfg; do . \"$f\"; done; echo \"$GRUB_TIMEOUT\"",
        answers: ("0", "5"),
        repair: "echo >/etc/default/grub.d/50-cloudimg-settings.cfg",
    },
    Situation {
        name: "sysctl: a later file in another directory, in the slash form",
        prepare: "mkdir -p /usr/local/lib/sysctl.d; printf '# x\\nnet/ipv4/tcp_syncookies = 0\\n' >/usr/local/lib/sysctl.d/99-zzz.conf",
        steps: "[[step]]\nsysctl = { key = \"net.ipv4.tcp_syncookies\", value = 1, live = false, ignore_missing = true }\n",
        place: "/usr/local/lib/sysctl.d/99-zzz.conf:2",
        ask: "/lib/systemd/systemd-sysctl --cat-config | grep -h 'tcp_syncookies' | tail -n 1",
        answers: ("net/ipv4/tcp_syncookies = 0", "net.ipv4.tcp_syncookies = 1"),
        repair: "rm /usr/local/lib/sysctl.d/99-zzz.conf",
    },
    Situation {
        name: "sysctl: a file of a name that is masked no more",
        prepare: "mkdir -p /run/sysctl.d; printf 'vm.swappiness=77\\n' >/run/sysctl.d/zz.conf",
        steps: "[[step]]\nsysctl = { key = \"vm.swappiness\", value = 10, live = false }\n",
        place: "/run/sysctl.d/zz.conf:1",
        ask: "/lib/systemd/systemd-sysctl --cat-config | grep -h swappiness | tail -n 1",
        answers: ("vm.swappiness=77", "vm.swappiness = 10"),
        repair: "ln -s /dev/null /etc/sysctl.d/zz.conf",
    },
    Situation {
        name: "sshd: a setting of the main file, a drop-in wins",
        prepare: "printf '# by cloud-init\\nPasswordAuthentication yes\\n' >/etc/ssh/sshd_config.d/50-cloud-init.conf",
        steps: "[[step]]\nsetting = { path = \"/etc/ssh/sshd_config\", key = \"PasswordAuthentication\", separator = \" \", value = \"no\" }\n",
        place: "/etc/ssh/sshd_config.d/50-cloud-init.conf:2",
        ask: "sshd -T | grep -i '^passwordauthentication'",
        answers: ("passwordauthentication yes", "passwordauthentication no"),
        repair: "sed -i /Password/d /etc/ssh/sshd_config.d/50-cloud-init.conf",
    },
    Situation {
        name: "sshd: a drop-in of ours that is read too late",
        prepare: "printf 'X11Forwarding yes\\n' >/etc/ssh/sshd_config.d/20-x.conf",
        steps: "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/90-own.conf\", content = \"X11Forwarding no\\nMaxStartups 20\\n\" }\n",
        place: "/etc/ssh/sshd_config.d/20-x.conf:1",
        ask: "sshd -T | grep -i '^x11forwarding'",
        answers: ("x11forwarding yes", "x11forwarding no"),
        repair: "rm /etc/ssh/sshd_config.d/20-x.conf",
    },
    Situation {
        name: "keys: sshd looks elsewhere for this user",
        prepare: "printf 'Match User keyed\\n  AuthorizedKeysFile /etc/ssh/keys/%%u\\n' >/etc/ssh/sshd_config.d/30-keys.conf",
        steps: "[[step]]\nuser = { name = \"keyed\", authorized_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIDHPzomJahazV9m9Vy9gUleWDTw9t7mI2eGE/+qMu1v a\"] }\n",
        place: "/etc/ssh/sshd_config.d/30-keys.conf:2",
        ask: "sshd -T -C user=keyed,host=client,addr=192.0.2.1 | grep -i '^authorizedkeysfile'",
        answers: (
            "authorizedkeysfile /etc/ssh/keys/%u",
            "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2",
        ),
        repair: "rm /etc/ssh/sshd_config.d/30-keys.conf",
    },
    Situation {
        name: "sudo: a later rule for a group asks for the password again",
        prepare: "groupadd team; printf '# team\\n%%team ALL=(ALL:ALL) ALL\\n' >/etc/sudoers.d/zz-team; chmod 440 /etc/sudoers.d/zz-team",
        steps: "[[step]]\nuser = { name = \"rooty\", groups = [\"team\"], sudo = \"nopasswd\" }\n",
        place: "/etc/sudoers.d/zz-team:2",
        ask: "sudo -l -U rooty | tail -n 1 | tr -d ' '",
        answers: ("(ALL:ALL)ALL", "(ALL:ALL)NOPASSWD:ALL"),
        repair: "rm /etc/sudoers.d/zz-team",
    },
    Situation {
        name: "sudoers: a rule of the main file that stands after the include",
        prepare: "useradd ruled; printf 'ruled ALL=(root) /usr/bin/true\\n' >>/etc/sudoers",
        steps: "[[step]]\nsudoers = { name = \"50-ruled\", content = \"ruled ALL=(root) NOPASSWD: /usr/bin/true\\n\" }\n",
        place: "/etc/sudoers:",
        ask: "sudo -l -U ruled | tail -n 1 | tr -d ' '",
        answers: ("(root)/usr/bin/true", "(root)NOPASSWD:/usr/bin/true"),
        repair: "sed -i /^ruled/d /etc/sudoers",
    },
    Situation {
        name: "sudo: the directory is not included",
        prepare: "useradd lonely; printf 'ubuntu ALL=(ALL) NOPASSWD: ALL\\n' >>/etc/sudoers; sed -i 's/^[@#]includedir/#&/' /etc/sudoers",
        steps: "[[step]]\nuser = { name = \"lonely\", sudo = \"nopasswd\" }\n",
        place: "/etc/sudoers",
        ask: "sudo -l -U lonely | grep -c NOPASSWD || :",
        answers: ("0", "1"),
        repair: "sed -i 's/^#\\([@#]includedir\\)/\\1/' /etc/sudoers",
    },
    Situation {
        name: "dropin: a later one of another directory",
        prepare: "printf '[Unit]\\nDescription=x\\n[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/lim.service
            mkdir -p /usr/lib/systemd/system/lim.service.d; printf '[Service]\\nLimitNOFILE=5000\\n' >/usr/lib/systemd/system/lim.service.d/90-x.conf",
        steps: "[[step]]\ndropin = { unit = \"lim\", name = \"10-limits\", content = \"[Service]\\nLimitNOFILE=4000\\n\" }\n",
        place: "/usr/lib/systemd/system/lim.service.d/90-x.conf:2",
        ask: "systemctl show -p LimitNOFILE --value lim.service",
        answers: ("5000", "4000"),
        repair: "rm /usr/lib/systemd/system/lim.service.d/90-x.conf; systemctl daemon-reload",
    },
    Situation {
        name: "unit: a drop-in for all services",
        prepare: "mkdir -p /run/systemd/system/service.d; printf '[Service]\\nTimeoutStopSec=77\\n' >/run/systemd/system/service.d/x.conf; systemctl daemon-reload",
        steps: "[[step]]\nunit = { name = \"stopper\", content = \"[Unit]\\nDescription=x\\n[Service]\\nExecStart=/bin/sleep infinity\\nTimeoutStopSec=5\\n\" }\n",
        place: "/run/systemd/system/service.d/x.conf:2",
        ask: "systemctl show -p TimeoutStopUSec --value stopper.service",
        answers: ("1min 17s", "5s"),
        repair: "rm -r /run/systemd/system/service.d; systemctl daemon-reload",
    },
    Situation {
        name: "kernel_module: an earlier install line lets a blocked module be loaded",
        prepare: "printf 'install other_module /bin/touch /run/loaded\\n' >/etc/modprobe.d/a.conf",
        steps: "[[step]]\nkernel_module = { name = \"other_module\", state = \"blocked\" }\n",
        place: "/etc/modprobe.d/a.conf:1",
        ask: "rm -f /run/loaded; modprobe -q other_module; ls /run/loaded 2>/dev/null || echo refused",
        answers: ("/run/loaded", "refused"),
        repair: "rm /etc/modprobe.d/a.conf",
    },
    Situation {
        name: "sshd: an older name of the keyword",
        prepare: "printf 'ChallengeResponseAuthentication yes\\n' >/etc/ssh/sshd_config.d/20-x.conf",
        steps: "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/90-own.conf\", content = \"KbdInteractiveAuthentication no\\n\" }\n",
        place: "/etc/ssh/sshd_config.d/20-x.conf:1",
        ask: "sshd -T | grep -i '^kbdinteractiveauthentication'",
        answers: ("kbdinteractiveauthentication yes", "kbdinteractiveauthentication no"),
        repair: "rm /etc/ssh/sshd_config.d/20-x.conf",
    },
    Situation {
        name: "sshd: an option of the command line",
        prepare: "sed -i 's/^SSHD_OPTS=.*/SSHD_OPTS=\"-o MaxAuthTries=9\"/' /etc/default/ssh",
        steps: "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/00-own.conf\", content = \"MaxAuthTries 5\\n\" }\n",
        place: "/etc/default/ssh:",
        ask: ". /etc/default/ssh; sshd -T $SSHD_OPTS | grep -i '^maxauthtries'",
        answers: ("maxauthtries 9", "maxauthtries 5"),
        repair: "sed -i 's/^SSHD_OPTS=.*/SSHD_OPTS=/' /etc/default/ssh",
    },
    Situation {
        name: "sshd: a Match block for the user who connects",
        prepare: "printf 'Match Group ubuntu\\n  ClientAliveInterval 77\\n' >/etc/ssh/sshd_config.d/90-m.conf",
        steps: "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/00-own.conf\", content = \"ClientAliveInterval 300\\n\" }\n",
        place: "/etc/ssh/sshd_config.d/90-m.conf:2",
        ask: "sshd -T -C user=ubuntu,host=client,addr=192.0.2.1 | grep -i '^clientaliveinterval'",
        answers: ("clientaliveinterval 77", "clientaliveinterval 300"),
        repair: "rm /etc/ssh/sshd_config.d/90-m.conf",
    },
    Situation {
        name: "tmpfiles.d: the next boot gives a directory another mode",
        prepare: "printf 'd /var/tm 0711 root root -\\n' >/usr/lib/tmpfiles.d/tm.conf",
        steps: "[[step]]\ndirectory = { path = \"/var/tm\", mode = \"0750\" }\n",
        place: "/usr/lib/tmpfiles.d/tm.conf:1",
        ask: "systemd-tmpfiles --create --boot tm.conf 2>/dev/null; stat -c %a /var/tm; chmod 0750 /var/tm",
        answers: ("711", "750"),
        repair: "rm /usr/lib/tmpfiles.d/tm.conf",
    },
    Situation {
        name: "apt.conf.d: a block of a later file",
        prepare: "printf 'APT {\\n Periodic { Verbose \"2\"; };\\n};\\n' >/etc/apt/apt.conf.d/99-x",
        steps: "[[step]]\nfile = { path = \"/etc/apt/apt.conf.d/20-own\", content = \"APT::Periodic::Verbose \\\"1\\\";\\n\" }\n",
        place: "/etc/apt/apt.conf.d/99-x:2",
        ask: "apt-config dump | grep Periodic::Verbose",
        answers: ("APT::Periodic::Verbose \"2\";", "APT::Periodic::Verbose \"1\";"),
        repair: "rm /etc/apt/apt.conf.d/99-x",
    },
    Situation {
        name: "preferences.d: an earlier record for the same package",
        prepare: "printf 'Package: bash\\nPin: version *\\nPin-Priority: 7\\n' >/etc/apt/preferences.d/10-x",
        steps: "[[step]]\nfile = { path = \"/etc/apt/preferences.d/50-own\", content = \"Package: bash\\nPin: version *\\nPin-Priority: 8\\n\" }\n",
        place: "/etc/apt/preferences.d/10-x:3",
        ask: "apt-cache policy bash | grep -A1 '^ \\*\\*\\*' | head -n 1 | tr -s ' ' | cut -d ' ' -f 4",
        answers: ("7", "8"),
        repair: "rm /etc/apt/preferences.d/10-x",
    },
];

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_overrides_a_step_is_named_and_the_host_has_not_converged() {
    let project = Project::new();
    let mut failures = Vec::new();
    for situation in &SITUATIONS {
        if let Err(why) = check(&project, situation) {
            failures.push(format!("{}: {why}", situation.name));
        }
        project.on_host(&format!("{} || :", situation.repair));
    }
    eprintln!("situations: {}", SITUATIONS.len());
    assert!(failures.is_empty(), "{} of {}:\n\n{}", failures.len(), SITUATIONS.len(), failures.join("\n\n"));
}

fn check(project: &Project, situation: &Situation) -> Result<(), String> {
    let Situation { prepare, steps, place, ask, answers, repair, .. } = situation;
    let must = |holds: bool, why: String| if holds { Ok(()) } else { Err(why) };
    project.on_host(prepare);
    project.playbook(steps);
    let plan = project.run(&["plan", "site.toml", "--detailed-exitcode"]);
    let named = format!("overridden by {place}");
    must(plan.code == 2 && plan.out.contains(&named), format!("the first plan does not say '{named}': {plan:?}"))?;
    let applied = project.apply();
    let all = format!("{}{}", applied.out, applied.err);
    must(applied.code == 3, format!("the apply ends with {}: {all}", applied.code))?;
    must(all.contains(place) && all.contains("NOT CONVERGED"), format!("the apply does not name '{place}': {all}"))?;
    let said = project.on_host(ask);
    must(said == answers.0, format!("'{ask}' says '{said}' while overridden"))?;
    let again = project.run(&["plan", "site.toml", "--detailed-exitcode", "--format", "json"]);
    let json: Value = serde_json::from_str(&again.out).map_err(|error| format!("{error}: {again:?}"))?;
    let step = &json["hosts"][0]["steps"][0];
    let file = place.split(':').next().unwrap();
    must(
        again.code == 2 && step["action"] == "none" && step["overridden"][0]["file"] == file,
        format!("the plan of what is overridden only: {again:?}"),
    )?;
    project.on_host(repair);
    let applied = project.apply();
    must(applied.code == 0, format!("without what overrides it: {applied:?}"))?;
    let last = project.run(&["plan", "site.toml", "--detailed-exitcode"]);
    must(last.code == 0, format!("the last plan: {last:?}"))?;
    let said = project.on_host(ask);
    must(said == answers.1, format!("'{ask}' says '{said}' in the end"))
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_later_step_that_takes_away_what_overrides_makes_one_apply_enough() {
    let project = Project::new();
    project.on_host("printf 'vm.swappiness=60\\n' >/etc/sysctl.d/zz.conf");
    project.playbook(
        "[[step]]\nsysctl = { key = \"vm.swappiness\", value = 10, live = false }\n\
         [[step]]\nfile = { path = \"/etc/sysctl.d/zz.conf\", state = \"absent\" }\n",
    );
    let text = project.converge();
    assert!(!text.contains("overridden"), "{text}");
    // A drop-in of the playbook's own overrides its unit on purpose.
    project.playbook(&format!(
        "[[step]]\nunit = {{ name = \"app\", content = \"{UNIT}\" }}\n\
         [[step]]\ndropin = {{ unit = \"app\", name = \"10-x\", content = \"[Service]\\nLimitCORE=2\\n\" }}\n",
    ));
    project.converge();
    assert_eq!(project.on_host("systemctl show -p LimitCORE --value app.service"), "2");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_unit_is_changed_by_its_own_name_where_the_step_gives_an_alias() {
    let project = Project::new();
    project.on_host(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\nAlias=nick.service\\n' \
         >/usr/lib/systemd/system/real.service; systemctl daemon-reload; systemctl enable -q --now real.service",
    );
    let state = "systemctl is-enabled real.service; systemctl is-active real.service; :";
    assert_eq!(project.on_host(state), "enabled\nactive");
    for (fields, expected) in [
        ("enabled = false, running = false", "disabled\ninactive"),
        ("enabled = true, running = true", "enabled\nactive"),
        ("masked = true", "masked\ninactive"),
        ("masked = false, enabled = true, running = true", "enabled\nactive"),
        ("running = false", "enabled\ninactive"),
    ] {
        project.playbook(&format!("[[step]]\nservice = {{ name = \"nick\", {fields} }}\n"));
        let text = project.converge();
        assert_eq!(project.on_host(state), expected, "{fields}: {text}");
    }
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_step_is_judged_where_it_counts_and_only_there() {
    let project = Project::new();
    // A step that is skipped, a rule for one command, a rule that a later one restores.
    project.on_host(
        "groupadd ops; useradd -m deploy; useradd -m -G ops both; cd /etc/sudoers.d
         echo 'deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart app' >app; echo '%ops ALL=(ALL:ALL) ALL' >zy-ops
         echo 'both ALL=(ALL:ALL) NOPASSWD: ALL' >zz-both; chmod 440 app zy-ops zz-both",
    );
    project.playbook(
        "[[step]]\nsetting = { path = \"/etc/ssh/sshd_config.d/60-x.conf\", key = \"X11Forwarding\", value = \"no\", missing = \"skip\" }\n\
         [[step]]\nuser = { name = \"deploy\", sudo = \"none\" }\n\
         [[step]]\nuser = { name = \"both\", sudo = \"nopasswd\" }\n",
    );
    project.converge();
    assert_eq!(project.on_host("sudo -l -U both | tail -n 1 | tr -d ' '"), "(ALL:ALL)NOPASSWD:ALL");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_ufw_applies_when_it_starts_overrides_a_parameter() {
    let project = Project::new();
    project.on_host("apt-get -qq update; apt-get -qq install -y ufw >/dev/null 2>&1");
    let key = "net.ipv4.conf.all.accept_redirects";
    let of_ufw = "net/ipv4/conf/all/accept_redirects";
    let steps = |value: u8, before: &str| {
        format!(
            "[[step]]\nsysctl = {{ key = \"{key}\", value = {value} }}\n{before}\
             [[step]]\nfirewall = {{ rules = [{{ allow = 22 }}] }}\n"
        )
    };
    project.playbook(&steps(1, ""));
    let plan = project.run(&["plan", "site.toml", "--detailed-exitcode"]);
    assert!(plan.out.contains("overridden by /etc/ufw/sysctl.conf:"), "{plan:?}");
    for _ in 0..2 {
        let applied = project.apply();
        assert_eq!(applied.code, 3, "{applied:?}");
        assert_eq!(project.on_host(&format!("ufw reload >/dev/null; sysctl -n {key}")), "0");
    }
    // The same value in ufw's file, by a step of the run.
    let line = format!(
        "[[step]]\nline = {{ path = \"/etc/ufw/sysctl.conf\", match = \"^{of_ufw}=\", line = \"{of_ufw}=1\" }}\n"
    );
    project.playbook(&steps(1, &line));
    project.converge();
    assert_eq!(project.on_host(&format!("ufw reload >/dev/null; sysctl -n {key}")), "1");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn what_the_reader_of_a_directory_passes_over_is_told_in_the_plan() {
    let project = Project::new();
    project.on_host("mkdir -p /etc/cron.daily /etc/update-motd.d /etc/tmpfiles.d");
    let files = [
        ("/etc/cron.daily/x1", "0644"),
        ("/etc/cron.daily/x2", "0755"),
        ("/etc/cron.daily/x.sh", "0755"),
        ("/etc/update-motd.d/50-x.sh", "0755"),
        ("/etc/update-motd.d/50-a.b-c", "0755"),
        ("/etc/update-motd.d/50-a.dpkg-old", "0755"),
        ("/etc/update-motd.d/50-x", "0644"),
        ("/etc/update-motd.d/60-x-Y", "0755"),
        ("/etc/update-motd.d/60_x", "0755"),
        ("/etc/update-motd.d/60_x-y", "0755"),
        ("/etc/update-motd.d/60", "0755"),
    ];
    let step = |(path, mode): &(&str, &str)| {
        format!("[[step]]\nfile = {{ path = \"{path}\", mode = \"{mode}\", content = \"#!/bin/sh\\n\" }}\n")
    };
    project.playbook(&files.iter().map(step).collect::<String>());
    let plan = project.run(&["plan", "site.toml"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    project.converge();
    let run = project.on_host("run-parts --test /etc/cron.daily; run-parts --lsbsysinit --test /etc/update-motd.d");
    for (path, _) in files {
        let is_run = run.lines().any(|line| line == path);
        assert_eq!(plan.out.contains(&format!("ignores {path}:")), !is_run, "{path}: {plan:?}");
    }
    // An edit and a link write there, too.
    project.on_host("printf 'x=1\\n' >/etc/sysctl.d/50-own; mkdir -p /etc/netplan");
    project.playbook(
        "[[step]]\nline = { path = \"/etc/sysctl.d/50-own\", line = \"vm.swappiness = 1\" }\n\
         [[step]]\nlink = { path = \"/etc/netplan/01-a.yml\", target = \"/srv/a.yml\" }\n\
         [[step]]\nfile = { path = \"/etc/cron.daily/x2\", mode = \"0644\" }\n",
    );
    let plan = project.run(&["plan", "site.toml"]);
    for path in ["/etc/sysctl.d/50-own", "/etc/netplan/01-a.yml", "/etc/cron.daily/x2"] {
        assert!(plan.out.contains(&format!("ignores {path}:")), "{path}: {plan:?}");
    }
}
