//! The profiles harden/network, harden/docker, harden/logging and harden/base on a
//! real host with Docker: what is wrong is found, an apply mends it without a
//! container that stops, and an undo brings back every file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::support::project::Project;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Docker, and an image of busybox, which needs no registry.
fn with_docker(project: &Project) {
    project.playbook("[[step]]\nuse = \"docker\"\nwith = { source = \"distribution\" }\n[[step]]\npackage = { names = [\"iputils-ping\", \"python3\"] }\n");
    project.done(&["apply", "site.toml", "--yes"]);
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    let busybox = busybox.expect("busybox (package busybox-static) is needed");
    let target = format!("{}:/srv/busybox", project.host.container);
    assert!(Command::new("docker").args(["cp", "-L", busybox, &target]).output().unwrap().status.success());
    project.on_host(
        "mkdir -p /srv/image/bin && cp /srv/busybox /srv/image/bin/busybox && tar -C /srv/image -c . | docker import - busybox",
    );
}

/// How each control stands, by its id.
fn audited(project: &Project) -> BTreeMap<String, (String, String)> {
    let ran = project.run(&["audit", "site.toml", "--format", "json"]);
    assert!(ran.code == 0 || ran.code == 2, "{ran:?}");
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let results = report["hosts"][0]["results"].as_array().unwrap();
    let text = |result: &serde_json::Value, key: &str| result[key].as_str().unwrap().to_owned();
    results.iter().map(|result| (text(result, "id"), (text(result, "status"), result.to_string()))).collect()
}

/// Asserts how controls stand; `ids` are separated by blanks.
fn stand(found: &BTreeMap<String, (String, String)>, status: &str, ids: &str) {
    for id in ids.split_whitespace() {
        let (actual, whole) = found.get(id).unwrap_or_else(|| panic!("there is no control {id}"));
        assert_eq!(actual, status, "{id}: {whole}");
    }
}

/// What is in /etc.
fn etc(project: &Project) -> String {
    project.on_host(
        "find /etc -xdev \\( -type f -o -type l \\) ! -name ld.so.cache -printf '%p %m %u %g %l\\n' | sort; \
         find /etc -xdev -type f ! -name ld.so.cache -exec sha256sum {} + | sort -k 2",
    )
}

/// Whether a port of the host lets this machine in.
fn open(address: &str, port: u16) -> bool {
    let address = format!("{address}:{port}").parse().unwrap();
    (0..5).any(|_| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
}

/// Which containers run, and since when.
fn running(project: &Project) -> String {
    project.on_host("docker ps -q | xargs docker inspect -f '{{.Name}} {{.State.StartedAt}} {{.State.Pid}}' | sort")
}

fn profile(level: u8) -> String {
    let step =
        |part: &str, with: &str| format!("[[step]]\nuse = \"harden/{part}\"\nwith = {{ level = {level}{with} }}\n");
    [
        step("base", ""),
        step("logging", ", journal_max_use = \"64M\""),
        step("docker", ""),
        step("network", ", allow = [\"9001/tcp\"], published_ports = [\"8081/tcp\"], network_services = [\"named\"]"),
    ]
    .concat()
}

/// What a careless operator leaves behind.
const FAULTS: &str = r#"
echo '{ "insecure-registries": ["registry.test:5000"], "experimental": true }' >/etc/docker/daemon.json
systemctl restart docker
for p in 8080 8081; do docker run -d --restart always --name web$p -p $p:80 busybox /bin/busybox httpd -f -p 80; done
docker run -d --name loose --cap-add NET_ADMIN --net host --pid host -v /run/docker.sock:/s -v /etc:/e --security-opt seccomp=unconfined busybox /bin/busybox sleep 100000
docker run -d --name tight --memory 32m --pids-limit 20 --read-only --user 1000 --security-opt no-new-privileges busybox /bin/busybox sleep 100000
chmod 0666 /etc/default/docker
for p in 25 9001 9002; do systemd-run --unit=listen$p python3 -m http.server $p --bind 0.0.0.0; done
printf '[Service]\nExecStart=/bin/sleep infinity\n' | tee /etc/systemd/system/telnet.service /etc/systemd/system/xinetd.service /etc/systemd/system/snmpd.service /etc/systemd/system/named.service >/dev/null
printf '[Service]\nExecStart=/bin/false\n' >/etc/systemd/system/broken.service
systemctl daemon-reload; systemctl start xinetd snmpd named; systemctl start broken || :
echo x >/var/log/auth.log; chmod 0666 /var/log/auth.log
printf 'Ubuntu 24.04 \\n \\l\n' >/etc/issue
printf '/var/log/x {\n  nonsense\n}\n' >/srv/rotate
"#;

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn the_profiles_find_faults_and_mend_them_while_containers_run() {
    let project = Project::new();
    with_docker(&project);
    project.on_host(FAULTS);
    project.playbook(&profile(2));
    let found = audited(&project);
    stand(
        &found,
        "fail",
        "W1 W2 W3 W4 W5 W7 W9 W10 D2 D3 D5 D6 D7 D8 D9 D11 D14 C1 C2 C3 C4 C5 C6 L4 L5 L6 L7 L8 B5 B8",
    );
    stand(&found, "pass", "W12 D1 D12 D13");
    // Those of the kernel, and of what is not there, do not belong to this host.
    stand(&found, "not_applicable", "W6 W11 D10 L1 L2 L3 L10 L11 L9 T1 B1 B2 B3 B4");
    let evidence = |id: &str| found[id].1.clone();
    for (id, words) in [
        ("W3", "9002/tcp python3"),
        ("W5", "8080/tcp web8080"),
        ("W7", "xinetd.service"),
        ("W10", "1 not declared: snmpd.service"),
        ("D3", "registry.test:5000"),
        ("D9", "/etc/default/docker"),
        ("C1", "loose: capabilities NET_ADMIN"),
        ("C3", "socket /run/docker.sock"),
        ("C5", "3 of 4 containers"),
        ("L6", "/var/log/auth.log is writable by all"),
        ("B8", "broken.service"),
    ] {
        assert!(evidence(id).contains(words), "{id}: {}", evidence(id));
    }
    assert!(!evidence("W3").contains("9001/tcp python3") && !evidence("C6").contains("tight:"));

    // Level 1, with what only the operator can mend mended.
    project.on_host(
        "systemctl stop listen25 listen9002 xinetd snmpd; systemctl reset-failed; chmod 0640 /var/log/auth.log; chmod 0644 /etc/default/docker",
    );
    project.playbook(&profile(1));
    let before = etc(&project);
    let containers = running(&project);
    project.converge();
    assert_eq!(running(&project), containers, "every container still runs, and none was started anew");
    let again = project.apply();
    assert!(again.code == 0 && format!("{}{}", again.out, again.err).contains("nothing had to change"), "{again:?}");

    outcomes(&project);
    project.await_on(0, "test -s /var/lib/aide/aide.db");
    let after = audited(&project);
    stand(&after, "pass", "W1 W2 W3 W4 W7 W9 W10 W12 D1 D6 D8 D9 D11 D13 L4 L5 L6 L8 B5 B8");
    stand(&after, "fail", "W5 D3 D14 C1 C2 C3 C4 C5");
    stand(&after, "not_applicable", "D2 D5 D7 C6 L7");

    project.done(&["undo", &project.host.name, "--yes"]);
    let (brought, after) = (project.on_host("dpkg-query -L aide aide-common logrotate"), etc(&project));
    // The packages that came stay, and AIDE's brings an account.
    let accounts = ["passwd", "group", "shadow", "gshadow"].map(|file| format!("/etc/{file}"));
    let account = |line: &str| accounts.iter().any(|path| line.trim_end_matches('-').ends_with(path.as_str()));
    let ours = |line: &&str| !line.contains("aide") && !line.contains("logrotate") && !account(line);
    let differ: Vec<&str> = before
        .lines()
        .filter(|line| !after.lines().any(|other| other == *line))
        .chain(after.lines().filter(|line| !before.lines().any(|other| other == *line)))
        .filter(ours)
        .filter(|line| !brought.lines().any(|path| path.starts_with("/etc/") && line.contains(path)))
        .collect();
    assert_eq!(differ, Vec::<&str>::new(), "undo brings back every byte");

    // The check of containers' connections can fail.
    project.playbook("[[step]]\nuse = \"harden/network\"\nwith = { firewall = \"keep\" }\n");
    project.on_host("sysctl -qw net.ipv4.ip_forward=0");
    let ran = project.apply();
    assert!(ran.code != 0 && format!("{}{}", ran.out, ran.err).contains("net.ipv4.ip_forward is 0"), "{ran:?}");
}

/// What the host itself says after the apply.
fn outcomes(project: &Project) {
    let address = project.on_host("hostname -I | tr ' ' '\\n' | grep -v '^172.18' | head -n 1");
    let address = address.trim();
    let reach = |what: &str| {
        for (port, wanted) in [(8080, false), (8081, true), (9001, true)] {
            assert_eq!(open(address, port), wanted, "port {port} {what}");
        }
    };
    reach("after the apply");
    project.on_host("systemctl restart docker");
    reach("after a restart of Docker");
    project.on_host("ufw reload");
    reach("after a reload of the firewall");
    project.on_host("iptables -F DOCKER-USER; ip6tables -F DOCKER-USER");
    let found = audited(project);
    stand(&found, "fail", "W4");
    assert!(open(address, 8080), "without the chain the port is open: the test can tell");
    project.on_host("systemctl restart docker");
    project.await_on(0, "iptables -S DOCKER-USER | grep -q DROP && ip6tables -S DOCKER-USER | grep -q DROP");
    reach("after a restart that had to fill the chain again");

    let daemon = project.on_host("cat /etc/docker/daemon.json");
    for words in ["registry.test:5000", "\"live-restore\": true", "\"max-size\": \"10m\""] {
        assert!(daemon.contains(words), "{daemon}");
    }
    assert_eq!(project.on_host("docker info -f '{{.LiveRestoreEnabled}}'").trim(), "true");
    assert_eq!(
        project.on_host("systemd-analyze cat-config systemd/journald.conf | grep -x SystemMaxUse=64M").trim(),
        "SystemMaxUse=64M"
    );
    assert!(!project.on_host("cat /etc/issue").contains("Ubuntu"));

    // A rule without a condition lets all in before the policy denies, in a chain of ufw too.
    for rule in ["INPUT -m comment --comment 'for a test' -j ACCEPT", "ufw-user-input -p tcp -j ACCEPT"] {
        project.on_host(&format!("iptables -I {rule}"));
        let found = audited(project);
        stand(&found, "fail", "W2");
        assert!(found["W2"].1.contains("IPv4: a rule without a condition"), "{rule}: {}", found["W2"].1);
        project.on_host(&format!("iptables -D {rule}"));
    }
    // A name is not what makes a proxy of Docker; the settings of systemd may have blanks.
    project.on_host(
        "cp -L /usr/bin/python3 /opt/docker-proxy; \
         systemd-run --unit=proxy --uid=nobody /opt/docker-proxy -m http.server 9003 --bind 0.0.0.0; \
         printf '[Journal]\\n Storage = volatile \\n' >/etc/systemd/journald.conf.d/zz.conf; \
         docker run -d --name data -v /var/lib/docker:/d busybox /bin/busybox sleep 100000",
    );
    project.await_on(0, "ss -Hltn | grep -q :9003");
    let found = audited(project);
    stand(&found, "fail", "W3 L4 C3");
    for (id, words) in [("W3", "9003/tcp docker-proxy"), ("L4", "Storage is volatile"), ("C3", "data: to write to: ")] {
        assert!(found[id].1.contains(words), "{id}: {}", found[id].1);
    }
    project
        .on_host("systemctl stop proxy; rm /opt/docker-proxy /etc/systemd/journald.conf.d/zz.conf; docker rm -f data");

    containers(project);

    // What turns the firewall off is found.
    project.on_host("ufw disable");
    stand(&audited(project), "fail", "W1 W2");
    project.on_host("ufw --force enable");
}

/// Options that undo the walls of a container, in each of their spellings, and such that only look like it.
const CONTAINERS: &str = r#"
mkdir -p /srv/bound /srv/ok '/srv/a b' && mount --bind / /srv/bound
ln -s /etc '/srv/link,a'; ln -s /run/docker.sock /srv/d.sock
volume() { docker volume create -o type=$2 -o o=$3 -o device=$4 $1; }
volume vroot none bind /; volume vetc none bind,ro /etc; volume vproc proc '' proc; volume vtmp tmpfs '' tmpfs; volume vok none bind /srv/ok
echo '{"defaultAction":"SCMP_ACT_ALLOW"}' >/srv/allow.json
run() { docker run -d --name "$@" busybox /bin/busybox sleep 100000; }
run vroot -v vroot:/m; run vetc -v vetc:/m:ro; run vproc -v vproc:/m
run mlink --mount 'type=bind,"src=/srv/link,a",dst=/m'; run msock -v /srv/d.sock:/m; run mbound -v /srv/bound:/m:ro; run mssh -v /srv/bound/etc/ssh:/m:ro
run mhome -v /home:/m; run mdev --device /dev/null
run good -v vtmp:/a -v vok:/b -v plain:/c -v '/srv/a b:/d' -v /etc/localtime:/e:ro --cap-drop ALL --cap-add NET_BIND_SERVICE --cap-add cap_chown \
  --read-only --user 1000 --memory 32m --pids-limit 20 --security-opt no-new-privileges=true
run cap --cap-add sys_admin; run via --pid container:loose; run paths --security-opt systempaths=unconfined
run allows --security-opt seccomp=/srv/allow.json; run loosened --user 1000 --read-only --security-opt no-new-privileges:false
run zero --user 00 --read-only --security-opt no-new-privileges
"#;

fn containers(project: &Project) {
    project.on_host(CONTAINERS);
    project.playbook("[[step]]\nuse = \"harden/docker\"\nwith = { level = 2 }\n");
    let found = audited(project);
    stand(&found, "fail", "C1 C2 C3 C4 C6");
    for (id, words) in [
        ("C1", "cap: capabilities SYS_ADMIN"),
        ("C2", "via: processes of the host"),
        ("C3", "vroot: folder / (as "),
        ("C3", "vetc: folder /etc (as "),
        ("C3", "vproc: file system proc"),
        ("C3", "mlink: folder /etc"),
        ("C3", "msock: socket /run/docker.sock"),
        ("C3", "mbound: folder / (as /srv/bound)"),
        ("C3", "mssh: secrets in /etc/ssh (as /srv/bound/etc/ssh)"),
        ("C3", "mhome: to write to: /home"),
        ("C3", "mdev: device /dev/null"),
        ("C4", "paths: paths of /proc and /sys are open"),
        ("C4", "allows: seccomp allows what it does not name"),
        ("C6", "loosened: may gain rights"),
        ("C6", "zero: runs as root"),
    ] {
        assert!(found[id].1.contains(words), "{words}: {}", found[id].1);
    }
    for id in ["C1", "C2", "C3", "C4", "C6"] {
        assert!(!found[id].1.contains("good: "), "{}", found[id].1);
    }
    project.on_host(
        "docker ps --format '{{.Names}}' | grep -vx -e 'web.*' -e loose -e tight | xargs docker rm -f; umount /srv/bound; \
         docker volume rm vroot vetc vproc vtmp vok",
    );
    project.playbook(&profile(1));
}
