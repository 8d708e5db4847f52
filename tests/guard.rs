//! Changes of access on a real host: what a new login confirms stays, all else
//! is put back by the host itself. Judged by sshd, sudo and the host's files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;
use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

/// What decides about access: sshd's own view of its configuration, its ports,
/// sudo's rules, the accounts, the firewall.
fn access(project: &Project) -> String {
    project.on_host(
        "mkdir -p /run/sshd; sshd -T -C user=ubuntu,host=x,addr=192.0.2.1 | sort; cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*; \
         systemctl show -p Listen ssh.socket; find /etc/ssh /etc/sudoers.d /etc/ufw /home/ubuntu/.ssh -printf '%p %m %u %g %l\\n' 2>/dev/null | sort; \
         cat /etc/sudoers /etc/sudoers.d/* /home/ubuntu/.ssh/authorized_keys /etc/passwd /etc/shadow /etc/group; \
         systemctl is-enabled ssh.socket ssh.service ufw.service 2>&1; grep -s ENABLED /etc/ufw/ufw.conf; \
         find /etc/systemd/system -name 'stockade-guard*'; systemctl list-timers --all --no-legend 'stockade*'",
    )
}

/// Applies what must not stay: ends with 5, and the host is as before.
fn is_put_back(project: &Project, steps: &str, reason: &str) {
    let before = access(project);
    project.playbook(steps);
    let ran = project.run(&["apply", "site.toml", "--yes", "--guard-timeout", crate::support::guard_seconds(12)]);
    assert_eq!(ran.code, 5, "{steps}: {ran:?}");
    assert!(
        ran.err.contains(reason) || ran.out.contains(reason),
        "{steps}: the reason {reason:?} is not told: {ran:?}"
    );
    assert_eq!(before, access(project), "{steps}: access is as before");
    let facts = project.run(&["facts"]);
    assert_eq!(facts.code, 0, "{steps}: the host is reachable as before: {facts:?}");
    assert_eq!(project.on_host("find / -xdev -name '.stockade-*' | wc -l"), "0", "{steps}: nothing half-made is left");
    let result =
        "r=$(ls -d /var/lib/stockade/runs/* | tail -n 1); cat $r/result; ls $r/guard/*/kept 2>/dev/null | wc -l";
    assert_eq!(project.on_host(result), "reverted\n0", "{steps}");
}

const SSHD: &str = "path = \"/etc/ssh/sshd_config.d/00-stockade.conf\"";

fn sshd(lines: &str) -> String {
    format!("[[step]]\nfile = {{ {SSHD}, content = \"{lines}\" }}\nreload = [\"ssh.service\"]\n")
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn whatever_shuts_the_operator_out_is_put_back_with_the_reason() {
    let project = Project::new();
    // What sshd tells no client is read from its own log.
    is_put_back(&project, &sshd("AllowGroups nobody\\n"), "none of user's groups are listed in AllowGroups");
    for lines in [
        "PubkeyAuthentication no\\n",
        "Match user ubuntu\\n    PubkeyAuthentication no\\n",
        "DenyUsers ubuntu\\n",
        "AuthorizedKeysFile /nowhere\\n",
    ] {
        is_put_back(&project, &sshd(lines), "authentication failed");
    }
    is_put_back(&project, &sshd("Ciphers no-such-cipher\\n"), "sshd refuses its merged configuration");
    is_put_back(&project, &sshd("Port 2222\\n"), "no new login");
    let keys = "[[step]]\nfile = { path = \"/home/ubuntu/.ssh/authorized_keys\", content = \"\", owner = \"ubuntu\", group = \"ubuntu\", mode = \"0600\" }\n";
    is_put_back(&project, keys, "authentication failed");
    let sudo = "[[step]]\nfile = { path = \"/etc/sudoers.d/90-cloud-init-users\", content = \"nobody ALL=(ALL) ALL\\n\", mode = \"0440\" }\n";
    is_put_back(&project, sudo, "cannot become root");
    let broken =
        "[[step]]\nfile = { path = \"/etc/sudoers.d/00-broken\", content = \"this is no rule\\n\", mode = \"0440\" }\n";
    is_put_back(&project, broken, "visudo refuses");
    project.on_host("printf '# none\\n' >/etc/sudoers.d/old; chmod 0644 /etc/sudoers.d/old");
    let sound = "[[step]]\nsudoers = { name = \"app\", content = \"games ALL=(root) /bin/true\" }\n";
    project.playbook(sound);
    let ran = project.run(&["apply", "site.toml", "--yes", "--guard-timeout", crate::support::guard_seconds(12)]);
    assert_eq!(ran.code, 0, "what visudo has said before is not held against the change: {ran:?}");
    assert!(project.on_host("sudo -l -U games").contains("/bin/true"));
    project.on_host("rm /etc/sudoers.d/old /etc/sudoers.d/app");
    let open = "[[step]]\nfile = { path = \"/home/ubuntu/.ssh/authorized_keys\", content = \"# none\\n\", owner = \"nobody\", group = \"nogroup\", mode = \"0600\" }\n";
    is_put_back(&project, open, "authentication failed");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_firewall_that_closes_the_port_is_put_back() {
    let project = Project::new();
    project.on_host("apt-get -qq update; apt-get -qq install -y ufw >/dev/null 2>&1; ufw allow 22/tcp >/dev/null; ufw --force enable >/dev/null");
    let rules = project.on_host("sed '/ 22 /d' /etc/ufw/user.rules");
    assert!(!rules.contains("dport 22") && project.on_host("cat /etc/ufw/user.rules").contains("dport 22"));
    let steps = format!(
        "[[step]]\nfile = {{ path = \"/etc/ufw/user.rules\", mode = \"0640\", content = '''\n{rules}\n''' }}\nrestart = [\"ufw.service\"]\n"
    );
    is_put_back(&project, &steps, "no new login");
    assert!(project.on_host("iptables -S ufw-user-input").contains("--dport 22 -j ACCEPT"), "live, too");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_change_that_a_new_login_confirms_stays_and_leaves_no_timer() {
    let project = Project::new();
    project.playbook(&sshd("PasswordAuthentication no\\nMaxAuthTries 4\\n"));
    project.converge();
    let found = project.on_host("mkdir -p /run/sshd; sshd -T | grep -E '^(passwordauthentication|maxauthtries)'");
    assert_eq!(found, "maxauthtries 4\npasswordauthentication no");
    let left = "find /etc/systemd/system -name 'stockade-guard*'; systemctl list-timers --all --no-legend 'stockade*'; \
                cat /var/lib/stockade/runs/*/journal | grep -c '^D 1'";
    assert_eq!(project.on_host(left), "1");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn steps_before_a_guard_stay_and_those_after_it_are_not_begun() {
    let project = Project::new();
    let steps = format!(
        "[[step]]\nfile = {{ path = \"/srv/before\", content = \"x\" }}\n{}[[step]]\nfile = {{ path = \"/srv/after\", content = \"x\" }}\n",
        sshd("DenyUsers ubuntu\\n")
    );
    project.playbook(&steps);
    let ran = project.run(&["apply", "site.toml", "--yes", "--format", "json"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let host = &json["hosts"][0];
    assert_eq!(host["result"], "undone", "{json:#}");
    let results: Vec<&str> = host["steps"].as_array().unwrap().iter().map(|s| s["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["done", "undone", "undone", "not-reached"], "{json:#}");
    assert_eq!(project.on_host("ls /srv"), "before");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_host_reverts_by_itself_when_the_controller_has_died() {
    let project = Project::new();
    let before = access(&project);
    // The controller is killed while the guard waits for it.
    project.playbook(&format!(
        "{}[[step]]\nguard = true\ncommand = {{ run = \"touch /run/reached; while [ ! -e /run/go ]; do sleep 0.1; done\", creates = \"/nowhere\" }}\n",
        sshd("DenyUsers ubuntu\\n")
    ));
    let mut controller = project
        .command(&["apply", "site.toml", "--yes", "--guard-timeout", crate::support::guard_seconds(8)])
        .spawn()
        .unwrap();
    project.on_host("timeout 60 sh -c 'until [ -e /run/reached ]; do sleep 0.1; done'");
    controller.kill().unwrap();
    controller.wait().unwrap();
    project.on_host("touch /run/go");
    let began = Instant::now();
    project.on_host("timeout 60 sh -c 'until [ -e /var/lib/stockade/runs/*/result ]; do sleep 0.1; done'");
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(project.on_host("cat /var/lib/stockade/runs/*/result; rm /run/go /run/reached"), "reverted");
    assert_eq!(before, access(&project));
    let history = project.run(&["history"]);
    assert!(history.code == 0 && history.out.contains("reverted"), "{history:?}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_host_that_restarts_before_the_confirmation_comes_up_as_before() {
    let mut project = Project::new();
    let before = access(&project);
    project.playbook(&format!(
        "{}[[step]]\nguard = true\ncommand = {{ run = \"touch /srv/reached; sleep 100\", creates = \"/nowhere\" }}\n",
        sshd("DenyUsers ubuntu\\n")
    ));
    let mut controller = project.command(&["apply", "site.toml", "--yes", "--guard-timeout", "300"]).spawn().unwrap();
    project.on_host("timeout 60 sh -c 'until [ -e /srv/reached ]; do sleep 0.1; done'");
    controller.kill().unwrap();
    controller.wait().unwrap();
    project.host = project.lab.lab.restart(&project.host.name).unwrap();
    let reached = project.run(&["facts"]);
    assert_eq!(reached.code, 0, "{reached:?}");
    assert_eq!(project.on_host("cat /var/lib/stockade/runs/*/result; rm /srv/reached"), "reverted");
    assert_eq!(before, access(&project));
}

/// Without the forwarded port: where sshd listens is where it is dialled.
fn direct(project: &Project) -> String {
    let address = project.on_host("hostname -I | cut -d' ' -f1");
    let known = std::fs::read_to_string(project.lab.lab.known_hosts_path()).unwrap();
    let keys: String =
        known.lines().filter_map(|line| line.split_once(' ')).map(|(_, key)| format!("{address} {key}\n")).collect();
    project.write("known_hosts", &keys);
    let key = project.lab.lab.key_path();
    project.write(
        "direct.toml",
        &format!(
            "[defaults]\nuser = \"ubuntu\"\nkey = \"{}\"\nknown_hosts = \"known_hosts\"\n[hosts.lab1]\naddress = \"{address}\"\nport = 22\n",
            key.display()
        ),
    );
    address
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_new_port_of_sshd_is_followed_in_the_same_run_by_socket_and_by_service() {
    let project = Project::new();
    let address = direct(&project);
    let run = |port: u16, arguments: &[&str]| {
        let inventory = std::fs::read_to_string(project.folder().join("direct.toml")).unwrap();
        project.write("at.toml", &inventory.replace("port = 22", &format!("port = {port}")));
        crate::support::project::ran(crate::support::program(project.folder()).args(arguments).args(["-i", "at.toml"]))
    };
    let listens = "ss -Hltn | sed -n 's/.*:\\(22\\|2222\\|2200\\) .*/\\1/p' | sort -u | tr '\\n' ' '";
    let file = "[[step]]\nfile = { path = \"/srv/late\", content = \"x\" }\n";
    project.playbook(&format!("{}{file}", sshd("Port 2222\\n")));
    let moved = run(22, &["apply", "site.toml", "--yes", "--guard-timeout", crate::support::guard_seconds(20)]);
    assert_eq!(moved.code, 0, "{moved:?}");
    assert!(moved.err.contains("port 2222"), "the operator is told: {moved:?}");
    let known = std::fs::read_to_string(project.folder().join("known_hosts")).unwrap();
    assert!(known.contains(&format!("[{address}]:2222 ")), "the same key counts there: {known}");
    assert_eq!(project.on_host(listens), "2222");
    assert_eq!(project.on_host("cat /srv/late"), "x", "the run went on over the new port");
    assert_eq!(run(2222, &["plan", "site.toml", "--detailed-exitcode"]).code, 0);

    project.on_host("systemctl disable --now ssh.socket; systemctl enable --now ssh.service 2>&1");
    project.playbook(&sshd("Port 2200\\n"));
    let moved = run(2222, &["apply", "site.toml", "--yes", "--guard-timeout", crate::support::guard_seconds(20)]);
    assert_eq!(moved.code, 0, "{moved:?}");
    assert_eq!(project.on_host(listens), "2200");

    // A port that a firewall on the way drops: back to where it was.
    project.on_host("iptables -A INPUT -p tcp --dport 2222 -j DROP");
    project.playbook(&sshd("Port 2222\\n"));
    let back = run(2200, &["apply", "site.toml", "--yes", "--guard-timeout", crate::support::guard_seconds(8)]);
    assert_eq!(back.code, 5, "{back:?}");
    assert_eq!(project.on_host(listens), "2200");
}

/// Changes of access with a command after each: what no guard can put back keeps them apart.
fn many_guards(count: usize, mark: &str) -> String {
    let step = |number: usize| {
        format!(
            "[[step]]\nfile = {{ path = \"/etc/ssh/sshd_config.d/0{number}.conf\", content = \"# {mark}\\n\" }}\n\
             [[step]]\ncommand = {{ run = \"touch /srv/{mark}{number}\", creates = \"/srv/{mark}{number}\" }}\n"
        )
    };
    (1..=count).map(step).collect()
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_limit_of_new_connections_to_the_login_port_undoes_nothing() {
    let project = Project::new();
    project.on_host("apt-get -qq update; apt-get -qq install -y ufw >/dev/null 2>&1");
    let guards = "cat /var/lib/stockade/runs/*/journal | grep -c '^D '";
    // The plan sets the limit, and needs more logins than it lets in at once.
    project
        .playbook(&format!("[[step]]\nfirewall = {{ rules = [ {{ limit = \"22/tcp\" }} ] }}\n{}", many_guards(7, "a")));
    project.converge();
    assert!(project.on_host("iptables -S").contains("--hitcount 6"), "the limit is live");
    // The rules and the first file are one change; the commands keep the others apart.
    assert_eq!(project.on_host(guards), "7");
    // It finds the limit, and connections of a moment ago that have nearly used it up.
    project.on_host("rm -r /var/lib/stockade/runs/*");
    project.playbook(&many_guards(2, "b"));
    project.on_host(
        "timeout 60 sh -c 'until [ \"$(journalctl -q -o cat -t sshd --since -35s | grep -c ^Accepted)\" = 0 ]; do sleep 0.5; done'",
    );
    for _ in 0..3 {
        assert_eq!(project.run(&["plan", "site.toml"]).code, 0);
    }
    let ran = project.run(&["apply", "site.toml", "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("waiting until it lets in the login"), "{ran:?}");
    assert_eq!(project.on_host(guards), "2");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn changes_of_access_share_a_login_where_what_is_between_them_can_be_put_back_too() {
    let project = Project::new();
    let steps = |last: &str| {
        format!(
            "{}[[step]]\nfile = {{ path = \"/srv/between\", content = \"x\" }}\n\
             [[step]]\nsudoers = {{ name = \"x\", content = \"nobody ALL=(ALL) ALL\\n\" }}\n\
             [[step]]\ndirectory = {{ path = \"/srv/d\" }}\n{last}",
            sshd("MaxAuthTries 4\\n")
        )
    };
    let denies = "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/01.conf\", content = \"DenyUsers ubuntu\\n\" }\n";
    is_put_back(&project, &steps(denies), "authentication failed");
    assert_eq!(project.on_host("ls /srv; cat /var/lib/stockade/runs/*/journal | grep -c '^G '"), "1");
    project.on_host("rm -r /var/lib/stockade/runs/*");
    let allows = "[[step]]\nfile = { path = \"/etc/ssh/sshd_config.d/01.conf\", content = \"AllowUsers ubuntu\\n\" }\n";
    project.playbook(&steps(allows));
    project.converge();
    assert_eq!(project.on_host("ls /srv; cat /var/lib/stockade/runs/*/journal | grep -c '^[GD] '"), "between\nd\n2");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_summary_of_a_change_that_was_put_back_names_what_stays() {
    let project = Project::new();
    project.playbook(&format!(
        "[[step]]\nname = \"the data\"\nfile = {{ path = \"/srv/data\", content = \"x\" }}\n{}\
         [[step]]\nname = \"the tool\"\ncommand = {{ run = \"touch /srv/tool\", creates = \"/srv/tool\" }}\n\
         [[step]]\nname = \"the lock\"\nfile = {{ path = \"/etc/ssh/sshd_config.d/01.conf\", content = \"DenyUsers ubuntu\\n\" }}\n",
        sshd("MaxAuthTries 4\\n").replace("[[step]]", "[[step]]\nname = \"the tries\"")
    ));
    let ran = project.run(&["apply", "site.toml", "--yes"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    let line = ran.out.lines().find(|line| line.contains("stays")).unwrap_or_default();
    for name in ["the data", "the tries", "the tool"] {
        assert!(line.contains(name), "{name}: {ran:?}");
    }
    assert!(!line.contains("the lock") && !ran.out.contains("as it was before"), "{ran:?}");
    assert_eq!(project.on_host("ls /srv; mkdir -p /run/sshd; sshd -T | grep maxauth"), "data\ntool\nmaxauthtries 4");
}

/// What an apply that is put back says: the error, and the step that is blamed.
fn blames(project: &Project, steps: &str) -> (String, serde_json::Value) {
    project.playbook(steps);
    let seconds = crate::support::guard_seconds(12);
    let ran = project.run(&["apply", "site.toml", "--yes", "--format", "json", "--guard-timeout", seconds]);
    assert_eq!(ran.code, 5, "{steps}: {ran:?}");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let host = json["hosts"][0].clone();
    (host["error"].as_str().unwrap_or_default().to_owned(), host)
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_guarded_step_is_blamed_only_where_it_is_the_only_one() {
    let project = Project::new();
    let file = |name: &str, content: &str| {
        format!(
            "[[step]]\nname = \"{name}\"\nfile = {{ path = \"/etc/ssh/sshd_config.d/{name}.conf\", content = \"{content}\\n\" }}\n"
        )
    };
    let sound =
        "[[step]]\nname = \"the rule\"\nsudoers = { name = \"x\", content = \"games ALL=(root) /bin/true\\n\" }\n";
    // Refused by the guard, and shut out by it: an earlier step than the last is the cause.
    for (lines, reason) in [("Ciphers no-such-cipher", "sshd refuses"), ("DenyUsers ubuntu", "authentication failed")] {
        let (error, host) = blames(&project, &format!("{}{sound}", file("10-bad", lines)));
        for part in [reason, "step 1 (10-bad) at site.toml:", "step 2 (the rule) at site.toml:", "one of them"] {
            assert!(error.contains(part), "{lines}: no {part:?} in: {error}");
        }
        assert!(host["failure"].is_null(), "{lines}: {host:#}");
        let results: Vec<&str> =
            host["steps"].as_array().unwrap().iter().map(|step| step["result"].as_str().unwrap()).collect();
        assert_eq!(results, ["undone", "undone"], "{lines}");
    }
    // What a step has reloaded is the step's own.
    let alone = format!("{}reload = [\"ssh.service\"]\n", file("10-bad", "Ciphers no-such-cipher"));
    let (error, host) = blames(&project, &alone);
    assert_eq!(host["failure"]["name"], "10-bad", "{host:#}");
    assert!(error.contains("sshd refuses") && !error.contains("one of them"), "{error}");
    let (error, _) = blames(&project, &file("10-bad", "DenyUsers ubuntu"));
    assert!(error.contains("the only change under this guard is that of step 1 (10-bad)"), "{error}");
    // Of what a sensitive step writes nothing is repeated, neither here nor on the host.
    let secret = format!("{}sensitive = true\n", file("10-bad", "hunter2 no-such-word"));
    let (error, host) = blames(&project, &format!("{secret}{sound}"));
    assert!(
        error.contains("sshd refuses its merged configuration") && !format!("{host}").contains("hunter2"),
        "{host:#}"
    );
    assert_eq!(project.on_host("grep -rl hunter2 /var/lib/stockade /run/stockade || :"), "");
}

/// Holds the host before its guard asks, until `/run/go` is there.
const WAITS: &str = "[[step]]\nguard = true\nname = \"the wait\"\n\
    command = { run = \"touch /run/reached; while [ ! -e /run/go ]; do sleep 0.1; done; touch /run/waited\", creates = \"/run/waited\" }\n";

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn logins_that_others_use_up_are_waited_for_and_told() {
    let project = Project::new();
    // Three new connections within 5 s are too many, and those that are refused count as well.
    project.on_host(
        "apt-get -qq update; apt-get -qq install -y iptables >/dev/null 2>&1; \
         iptables -A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --name logins --set; \
         iptables -A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --name logins --update --seconds 5 --hitcount 3 -j REJECT --reject-with tcp-reset",
    );
    project.playbook(&format!("{}{WAITS}", sshd("MaxAuthTries 4\\n")));
    let child = project.start(&["apply", "site.toml", "--yes", "--guard-timeout", "60"]);
    project.await_on(0, "[ -e /run/reached ]");
    // Another client behind the same address takes all there is for a while.
    let port = project.host.port.unwrap();
    let others = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(15);
        while Instant::now() < until {
            drop(std::net::TcpStream::connect(("127.0.0.1", port)));
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    std::thread::sleep(Duration::from_secs(1));
    project.on_host("touch /run/go");
    let (code, text) = crate::support::project::told(child.wait_with_output().unwrap());
    others.join().unwrap();
    assert_eq!(code, 0, "{text}");
    let told = text.lines().find(|line| line.contains("the change of access stays")).unwrap_or_default();
    assert!(told.contains("; before that no new login: ") && told.contains("attempts in"), "{text}");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_controller_that_loses_the_host_while_a_guard_waits_says_what_the_host_will_do() {
    let project = Project::new();
    let before = access(&project);
    let known = std::fs::read_to_string(project.lab.lab.known_hosts_path()).unwrap();
    project.playbook(&format!(
        "[[step]]\nname = \"the data\"\nfile = {{ path = \"/srv/data\", content = \"x\" }}\n{}{WAITS}",
        sshd("MaxAuthTries 4\\n").replace("[[step]]", "[[step]]\nname = \"the tries\"")
    ));
    let seconds = crate::support::guard_seconds(12);
    let mut child = project.start(&["apply", "site.toml", "--yes", "--guard-timeout", seconds]);
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("the tries") {
        line.clear();
        assert_ne!(progress.read_line(&mut line).unwrap(), 0, "the run never came to it");
    }
    // Neither the connection that is open nor a new one is left.
    let other = project.on_host("ssh-keygen -q -t ed25519 -N '' -f /tmp/k </dev/null; cut -d' ' -f1,2 /tmp/k.pub");
    let names = known.split(' ').next().unwrap();
    std::fs::write(project.lab.lab.known_hosts_path(), format!("{names} {other}\n")).unwrap();
    project.on_host(
        "for p in $(ps -eo pid,args | awk '/sshd: ubuntu/ && !/awk/ { print $1 }'); do kill -9 \"$p\" || :; done",
    );
    let mut rest = line;
    progress.read_to_string(&mut rest).unwrap();
    let (code, text) = crate::support::project::told(child.wait_with_output().unwrap());
    assert_eq!(code, 4, "{text}{rest}");
    let error = text.lines().find(|line| line.contains("is not the known one")).unwrap_or_default();
    let wanted = "unless a new login has confirmed the change of access, the host puts it back by itself";
    assert!(error.contains(wanted) && error.contains("(the tries)") && !error.contains("(the data)"), "{text}");
    assert!(text.contains("1 or more steps changed"), "what the guard covers does not count: {text}");
    project
        .on_host("touch /run/go; timeout 120 sh -c 'until [ -e /var/lib/stockade/runs/*/result ]; do sleep 0.1; done'");
    std::fs::write(project.lab.lab.known_hosts_path(), known).unwrap();
    assert_eq!(project.on_host("cat /var/lib/stockade/runs/*/result /srv/data; rm /srv/data"), "reverted\nx");
    assert_eq!(before, access(&project));
}
