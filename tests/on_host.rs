//! The kinds firewall, command, binary, download and check on a real host:
//! what apply does there is what the plan predicted, seen from outside.
//!
//! They are ignored unless they are asked for, as `tests/run.sh` does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use crate::support::{TestLab, on_host, program};
use sha2::{Digest, Sha256};
use stockade::lab::LabHost;

/// Runs a verb on a playbook with these steps; what was said.
fn stockade(test: &TestLab, verb: &[&str], steps: &str, code: i32) -> String {
    std::fs::write(test.dir.path().join("playbook.toml"), format!("hosts = [\"all\"]\n{steps}")).unwrap();
    let mut command = program(test.dir.path());
    command.arg(verb[0]).arg("playbook.toml").args(&verb[1..]);
    let output = command.arg("-i").arg(test.lab.inventory_path()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// Applies and finds that nothing is left to do.
fn settle(test: &TestLab, steps: &str) -> String {
    let said = stockade(test, &["apply", "--yes"], steps, 0);
    stockade(test, &["plan", "--detailed-exitcode"], steps, 0);
    said
}

/// The rules of both IP versions, as ufw itself lists them.
fn ufw_rules(host: &LabHost) -> Vec<String> {
    let text = on_host(host, "ufw show added | sed -n 's/^ufw //p'");
    text.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_firewall_is_as_described_and_never_shuts_the_operator_out() {
    let (test, hosts) = TestLab::with_hosts(1);
    let host = &hosts[0];

    let said = stockade(&test, &["apply", "--yes"], "[[step]]\nfirewall = { rules = [{ allow = \"80/tcp\" }] }\n", 1);
    assert!(said.contains("would shut port 22/tcp") && said.contains("{ allow = \"22/tcp\" }"), "{said}");
    assert_eq!(on_host(host, "ufw status"), "Status: inactive");

    // What stood there before, by hand and by profile, goes; the order is kept.
    on_host(
        host,
        "ufw allow OpenSSH >/dev/null && ufw deny 80/tcp >/dev/null && ufw allow out 25/tcp comment x >/dev/null",
    );
    settle(
        &test,
        r#"[[step]]
[step.firewall]
rules = [
    { limit = "{{ facts.login_port }}/tcp", comment = "ssh" },
    { allow = "80/tcp", from = "10.9.1.3/24" },
    { deny = "80/tcp" },
    { allow = "443,8000:8010/tcp", interface = "eth0" },
    { reject = "any", from = "2001:DB8::/32" },
]
exclusive = true
default_outgoing = "reject"
logging = "medium"
docker_user = { allow_from = ["10.0.0.0/8", "fd00::/8"] }
"#,
    );
    assert_eq!(
        ufw_rules(host),
        [
            "limit 22/tcp comment 'ssh'",
            "allow from 10.9.1.0/24 to any port 80 proto tcp",
            "allow in on eth0 to any port 443,8000:8010 proto tcp",
            // It stood first; it was moved behind the rule that says otherwise.
            "deny 80/tcp",
            "reject from 2001:db8::/32",
        ]
    );
    let status = on_host(host, "ufw status verbose");
    assert!(status.contains("Logging: on (medium)"), "{status}");
    assert!(status.contains("Default: deny (incoming), reject (outgoing)"), "{status}");
    let chain = |tool: &str| on_host(host, &format!("{tool} -S DOCKER-USER"));
    assert!(chain("iptables").contains("-A DOCKER-USER -s 10.0.0.0/8 -j RETURN\n-A DOCKER-USER -j DROP"));
    assert!(chain("ip6tables").contains("-A DOCKER-USER -s fd00::/8 -j RETURN\n-A DOCKER-USER -j DROP"));

    // Chains that somebody flushed are drift, and are repaired.
    on_host(host, "/lib/ufw/ufw-init stop >/dev/null 2>&1 || :");
    let steps =
        "[[step]]\nfirewall = { rules = [{ limit = \"22/tcp\", comment = \"ssh\" }], default_outgoing = \"allow\" }\n";
    assert!(settle(&test, steps).contains("its chains are not loaded"));
    assert!(on_host(host, "ufw status").starts_with("Status: active"));
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn a_firewall_is_set_up_where_its_package_comes_with_the_same_run() {
    let (test, hosts) = TestLab::with_hosts(1);
    on_host(&hosts[0], "apt-get -qq purge -y ufw >/dev/null 2>&1; rm -rf /etc/ufw");
    let said = settle(
        &test,
        "[[step]]\npackage = { name = \"ufw\" }\n[[step]]\nfirewall = { rules = [{ allow = 22 }], docker_user = {} }\n",
    );
    assert!(said.contains("default_incoming: (known after apply) → deny"), "{said}");
    assert_eq!(ufw_rules(&hosts[0]), ["allow 22"]);
    on_host(&hosts[0], "iptables -S DOCKER-USER && ip6tables -S DOCKER-USER");
}

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn commands_files_and_checks_do_what_they_say_and_keep_secrets() {
    let (test, hosts) = TestLab::with_hosts(1);
    let host = &hosts[0];
    std::fs::write(test.dir.path().join("hello.sh"), "#!/bin/sh\necho well\n").unwrap();
    on_host(
        host,
        "mkdir -p /srv/www && printf 'payload\\n' >/srv/www/f
         systemd-run --quiet python3 -m http.server 8099 --bind 127.0.0.1 --directory /srv/www
         until bash -c 'exec 3<>/dev/tcp/127.0.0.1/8099' 2>/dev/null; do sleep 0.1; done",
    );
    let digest: String = Sha256::digest(b"payload\n").iter().map(|byte| format!("{byte:02x}")).collect();
    let steps = |digest: &str, secret: &str| {
        format!(
            r#"
[[step]]
command = {{ run = "printf %s \"$TOKEN\" >/root/token; pwd >/root/where", creates = "/root/token", directory = "/srv", environment = {{ TOKEN = '{secret}' }} }}
[[step]]
command = {{ run = "id -un >~/who", unless = "test -e ~/who", as = "ubuntu" }}
[[step]]
binary = {{ source = "hello.sh", path = "/usr/local/bin/hello", mode = "0750" }}
[[step]]
download = {{ url = "http://127.0.0.1:8099/f?signature=hunter2", sha256 = "{digest}", path = "/opt/f", mode = "0640" }}
[[step]]
check = {{ command = "hello", stdout = "well" }}
[[step]]
check = {{ http = {{ url = "http://127.0.0.1:8099/f", body = "payload" }} }}
[[step]]
check = {{ tcp = "127.0.0.1:22" }}
"#
        )
    };
    let secret = "hunter3 \"$(x)` \\";
    let said = settle(&test, &steps(&digest, secret));
    assert!(!said.contains("hunter"), "{said}");
    assert_eq!(on_host(host, "cat /root/token"), secret);
    assert_eq!(on_host(host, "cat /root/where /home/ubuntu/who"), "/srv\nubuntu");
    assert_eq!(on_host(host, "stat -c '%a %U' /usr/local/bin/hello /opt/f"), "750 root\n640 root");
    assert_eq!(on_host(host, "grep -rl hunter /var/lib/stockade /run/stockade* 2>/dev/null || :"), "");

    // A file that is not the promised one never becomes visible.
    on_host(host, "rm /opt/f && echo other >/srv/www/f");
    let said = stockade(&test, &["apply", "--yes"], &steps(&digest, secret), 3);
    assert!(said.contains(&digest) && !said.contains("hunter"), "{said}");
    on_host(host, "test ! -e /opt/f");

    // An assertion that never holds fails the apply.
    let check = "[[step]]\ncheck = { unit = \"nosuch\", tries = 2, pause = 0 }\n";
    stockade(&test, &["plan", "--detailed-exitcode"], check, 2);
    stockade(&test, &["apply", "--yes"], check, 3);
}
