//! For each row of the table: what is sent, and where its effect is seen.

use std::process::Command;

use serde_json::{Value, json};
use stockade_gateway::policy::Operation;
use stockade_gateway::policy::routes::{Class, ROUTES};
use stockade_gateway::tenant::{LABEL, ROLE};

use super::who::{Who, encoded, good, has_file, host_config, json_of, tar, there};
use crate::process::engine::{ask, container, image};

pub fn look(who: &Who<'_>) {
    let (name, on_host) = who.running("seen");
    let id = container(&on_host).unwrap()["Id"].as_str().unwrap().to_owned();
    let filters = encoded(&json!({ "container": [name] }).to_string());
    for (target, expected) in [
        ("/containers/json".to_owned(), id.as_str()),
        (format!("/containers/{name}/json"), &id),
        (format!("/containers/{name}/logs?stdout=1"), "begun"),
        (format!("/containers/{name}/stats?stream=0"), "memory_stats"),
        (format!("/containers/{name}/top"), "sleep"),
        ("/images/json".to_owned(), &image()),
        (format!("/images/{}/json", image()), "RootFS"),
        ("/version".to_owned(), "ApiVersion"),
        ("/info".to_owned(), "ServerVersion"),
    ] {
        let answer = who.get(&target);
        who.outcome(true, &target, &answer, "", answer.1.contains(expected));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let answer = who.get(&format!("/events?since={}&until={}&filters={filters}", now - 600, now + 1));
    who.outcome(true, "events", &answer, "", answer.1.contains(&id));
}

pub fn run(who: &Who<'_>) {
    let rule = "";
    let (name, on_host) = who.name("made");
    let answer = who.create(&name, json!({}));
    who.outcome(who.may, "create", &answer, rule, container(&on_host).is_some());
    if !who.may {
        good(&who.with_role("operator").create(&name, json!({})));
    }
    let running = || container(&on_host).is_some_and(|found| found["State"]["Running"] == true);
    let answer = who.post(&format!("/containers/{name}/start"));
    who.outcome(who.may, "start", &answer, rule, running());
    if !who.may {
        good(&who.with_role("operator").post(&format!("/containers/{name}/start")));
    }
    // What the log does not hold yet, attach cannot tell.
    let operator = who.with_role("operator");
    who.site.gateway.wait_for("the container's first line", || {
        operator.get(&format!("/containers/{name}/logs?stdout=1")).1.contains("begun")
    });
    let answer = who.post(&format!("/containers/{name}/attach?logs=1&stdout=1"));
    who.outcome(who.may, "attach", &answer, rule, answer.1.contains("begun"));
    let exec = json!({ "Cmd": ["/bin/sh", "-c", "echo x >/by-exec"] });
    let answer = who.send("POST", &format!("/containers/{name}/exec"), &exec);
    if who.may {
        let id = json_of(&answer)["Id"].as_str().unwrap().to_owned();
        good(&who.send("POST", &format!("/exec/{id}/start"), &json!({ "Detach": true })));
        who.site.gateway.wait_for("what the exec writes", || has_file(&on_host, "/by-exec"));
    }
    who.outcome(who.may, "exec", &answer, rule, has_file(&on_host, "/by-exec"));
    let answer = who.post(&format!("/containers/{name}/stop?t=0"));
    who.outcome(who.may, "stop", &answer, rule, !running());
    let answer = who.get(&format!("/images/{}/get", image()));
    who.outcome(who.may, "save", &answer, rule, answer.1.contains("manifest.json"));
    let answer = who.send("DELETE", &format!("/containers/{name}?force=1"), &Value::Null);
    who.outcome(who.may, "remove", &answer, rule, container(&on_host).is_none());
}

pub fn change(who: &Who<'_>) {
    let (name, on_host) = who.running("changed");
    let may = who.may;
    // Images: a tenant's have its name before them.
    let (first, second) = (format!("{}/committed", who.prefix), format!("{}/tagged", who.prefix));
    let exists = |image: &str| there(&format!("/images/{image}:1/json"));
    let answer = who.send("POST", &format!("/commit?container={name}&repo={}&tag=1", encoded(&first)), &json!({}));
    who.outcome(may, "commit", &answer, "", exists(&first));
    if !may {
        ask("POST", &format!("/commit?container={on_host}&repo={first}&tag=1"), &json!({}));
    }
    let answer = who.post(&format!("/images/{first}:1/tag?repo={}&tag=1", encoded(&second)));
    let answer = if may { answer } else { who.post(&format!("/images/{}/tag?repo={second}&tag=1", image())) };
    who.outcome(may, "tag", &answer, "", exists(&second));
    let answer = who.send("DELETE", &format!("/images/{first}:1"), &Value::Null);
    who.outcome(may, "remove the image", &answer, "", !exists(&first));

    let (net, net_on_host) = who.name("net");
    let network = || there(&format!("/networks/{net_on_host}"));
    let answer = who.send("POST", "/networks/create", &json!({ "Name": net, "CheckDuplicate": true }));
    who.outcome(may, "make a network", &answer, "", network());
    if may {
        let answer = who.send("POST", &format!("/networks/{net}/connect"), &json!({ "Container": name }));
        let joined = container(&on_host).unwrap()["NetworkSettings"]["Networks"][&net_on_host].is_object();
        who.outcome(true, "connect", &answer, "", joined);
        good(&who.send("POST", &format!("/networks/{net}/disconnect"), &json!({ "Container": name, "Force": true })));
        let answer = who.send("DELETE", &format!("/networks/{net}"), &Value::Null);
        who.outcome(true, "remove the network", &answer, "", !network());
    }
    let (volume, volume_on_host) = who.name("data");
    let exists = || there(&format!("/volumes/{volume_on_host}"));
    let answer = who.send("POST", "/volumes/create", &json!({ "Name": volume }));
    who.outcome(may, "make a volume", &answer, "", exists());
    let _ = who.with_role("operator").send("POST", "/volumes/create", &json!({ "Name": volume }));
    let answer = who.send("DELETE", &format!("/volumes/{volume}"), &Value::Null);
    who.outcome(may, "remove the volume", &answer, "", !exists());

    let restart = json!({ "RestartPolicy": { "Name": "on-failure" } });
    let answer = who.send("POST", &format!("/containers/{name}/update"), &restart);
    who.outcome(may, "update", &answer, "", host_config(&on_host, "RestartPolicy")["Name"] == "on-failure");
    // Only what this owner and this role made goes.
    let (pruned, pruned_on_host) = who.name("pruned");
    let maker = if may { who.with_role(who.role) } else { who.with_role("operator") };
    good(&maker.create(&pruned, json!({})));
    let filters = encoded(&json!({ "label": [format!("prefix={}", who.prefix)] }).to_string());
    let answer = who.post(&format!("/containers/prune?filters={filters}"));
    who.outcome(may, "prune", &answer, "", container(&pruned_on_host).is_none());
    assert!(container(&on_host).is_some(), "a prune removed what runs");
}

fn built(who: &Who<'_>, tag: &str, dockerfile: &str) -> super::who::Answer {
    let target = format!("/build?t={}", encoded(tag));
    who.send_as("POST", &target, "application/x-tar", &tar("Dockerfile", dockerfile))
}

pub fn build(who: &Who<'_>) {
    let tag = format!("{}/built:1", who.prefix);
    let answer = built(who, &tag, &format!("FROM {}\nLABEL by=test\n", image()));
    who.outcome(who.may, "build", &answer, "build.grant", there(&format!("/images/{tag}/json")));
    if who.may {
        // As BuildKit it is refused, with the way out.
        let target = format!("/build?t={}&version=2", encoded(&format!("{tag}-2")));
        let answer = who.send_as("POST", &target, "application/x-tar", &tar("Dockerfile", "FROM scratch\n"));
        who.outcome(false, "BuildKit", &answer, "build.version", there(&format!("/images/{tag}-2/json")));
        assert!(answer.1.contains("DOCKER_BUILDKIT=0"), "{answer:?}");
    }
}

pub fn load(who: &Who<'_>) {
    let tag = format!("{}/loaded:1", who.prefix);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.tar");
    let docker = |words: &[&str]| {
        let output = Command::new("docker").args(words).env("DOCKER_HOST", "unix:///var/run/docker.sock").output();
        assert!(output.unwrap().status.success(), "docker {words:?}");
    };
    docker(&["tag", &image(), &tag]);
    docker(&["save", "-o", &file.display().to_string(), &tag]);
    docker(&["rmi", &tag]);
    let answer = who.send_as("POST", "/images/load", "application/x-tar", &std::fs::read(&file).unwrap());
    let rule = if who.role == "operator" { "image.load" } else { "role.deploy.allow" };
    who.outcome(who.may && !who.tenant, "load", &answer, rule, there(&format!("/images/{tag}/json")));
}

pub fn copy(who: &Who<'_>) {
    let (_, about) = ask("GET", "/version", &Value::Null);
    let version = about["Version"].as_str().unwrap().split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<u32> = version.take(3).map(|part| part.parse().unwrap_or(0)).collect();
    let may = who.may && (who.role == "operator" || numbers >= vec![29, 5, 1]);
    let (name, on_host) = who.running("copied");
    let target = format!("/containers/{name}/archive?path=%2F");
    let answer = who.send_as("PUT", &target, "application/x-tar", &tar("planted", "x"));
    who.outcome(may, "copy into", &answer, "archive.engine", has_file(&on_host, "/planted"));
    let answer = who.get(&format!("/containers/{name}/archive?path=%2Fbin%2Fbusybox"));
    who.outcome(may, "copy from", &answer, "archive.engine", answer.1.contains("ELF"));
}

pub fn registries(who: &Who<'_>) {
    let (prefix, port) = (&who.prefix, who.site.port);
    let before = who.site.calls();
    let pull = |from: &str, more: &str| {
        who.post(&format!("/images/create?fromImage={}&tag=1{more}", encoded(&format!("{from}/{prefix}/x"))))
    };
    let here = format!("127.0.0.1:{port}");
    let answer = pull(&here, "");
    match who.role {
        "operator" => {
            who.site.gateway.wait_for("the engine's call", || who.site.calls() > before);
            assert!(!answer.1.contains("(rule: "), "{answer:?}");
        }
        _ => who.outcome(false, "pull from elsewhere", &answer, "image.pull.registry", who.site.calls() > before),
    }
    for registry in ["docker.io", "ghcr.io", "quay.io"] {
        // The engine itself refuses such a platform before it calls anybody.
        let answer = pull(registry, "&platform=a%2Fb%2Fc%2Fd");
        if who.may {
            assert!(answer.0 >= 400 && !answer.1.contains("(rule: ") && answer.1.contains("a/b/c/d"), "{answer:?}");
        } else {
            who.outcome(false, registry, &answer, "", false);
        }
        // And tells that there is no such image to push, which it does not look for elsewhere.
        let answer = who.post(&format!("/images/{registry}/{prefix}/none/push"));
        if who.may {
            assert!(!answer.1.contains("(rule: ") && answer.1.contains("does not exist locally"), "{answer:?}");
        } else {
            who.outcome(false, registry, &answer, "", false);
        }
    }
    let answer = who.post(&format!("/images/{here}/{prefix}/none/push"));
    if who.role != "operator" {
        who.outcome(false, "push elsewhere", &answer, "image.push.registry", who.site.calls() > before);
    }
}

pub fn fetch(who: &Who<'_>) {
    let tag = format!("{}/fetched:1", who.prefix);
    let dockerfile = format!("FROM {}\nADD http://127.0.0.1:{}/x /x\n", image(), who.site.port);
    let before = who.site.calls();
    let answer = built(who, &tag, &dockerfile);
    let called = who.site.calls() > before;
    match who.role {
        // A build's own refusal comes when its answer may have begun.
        "operator" => {
            assert!(answer.1.contains("build.fetch") && answer.1.contains("`fetch`"), "{answer:?}");
            assert!(!called && !there(&format!("/images/{tag}/json")), "{answer:?}");
        }
        _ => who.outcome(false, "ADD of a URL", &answer, "build.grant", called),
    }
    let answer = built(&who.with_role("own"), &tag, &dockerfile);
    assert!(who.site.calls() > before, "a role that lists the host: {answer:?}");
}

fn published(who: &Who<'_>, what: &str, port: &str) -> (super::who::Answer, String) {
    let (name, on_host) = who.name(what);
    (who.create(&name, json!({ "PortBindings": { "80/tcp": [{ "HostPort": port }] } })), on_host)
}

pub fn ports(who: &Who<'_>) {
    for (port, deploy) in [("8000", true), ("8999", true), ("7999", false), ("9000", false), ("8990-9010", false)] {
        let (answer, on_host) = published(who, &format!("at-{port}"), port);
        let may = who.may && (deploy || who.role == "operator");
        let there = host_config(&on_host, "PortBindings")["80/tcp"][0]["HostPort"] == port;
        who.outcome(may, port, &answer, "create.HostConfig.PortBindings", there);
    }
}

pub fn free_port(who: &Who<'_>) {
    for port in ["", "0"] {
        let (answer, on_host) = published(who, &format!("free{port}"), port);
        who.outcome(who.may, "a free port", &answer, "", container(&on_host).is_some());
        if !who.may {
            continue;
        }
        let name = json_of(&answer)["Id"].as_str().unwrap().to_owned();
        good(&who.post(&format!("/containers/{name}/start")));
        let found = container(&on_host).unwrap();
        let given = &found["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"];
        let given: u16 = given.as_str().unwrap().parse().unwrap();
        let range = match who.role {
            "deploy" => 8000..=8999,
            _ => {
                let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
                let mut numbers = text.split_whitespace().map(|number| number.parse::<u16>().unwrap());
                numbers.next().unwrap()..=numbers.next().unwrap()
            }
        };
        assert!(range.contains(&given), "{}: {given} is not in {range:?}", who.role);
    }
}

pub fn quotas(who: &Who<'_>) {
    const GB: u64 = 1 << 30;
    // What is not given, or no limit at all.
    let own = |deploy: Value, operator: Value| if who.role == "deploy" { deploy } else { operator };
    let (name, on_host) = who.name("unlimited");
    let answer = who.create(&name, json!({ "Memory": 0, "NanoCpus": 0, "PidsLimit": 0 }));
    let got = json!(["Memory", "NanoCpus", "PidsLimit"].map(|member| host_config(&on_host, member)));
    let (bounded, not) = (json!([2 * GB, 2_000_000_000_u64, 1024]), json!([0, 0, null]));
    who.outcome(who.may, "no limit", &answer, "", got == own(bounded, not));
    for (what, host, member, over) in [
        ("less", json!({ "Memory": GB / 4 }), "Memory", false),
        ("memory", json!({ "Memory": 3 * GB }), "Memory", true),
        ("cpus", json!({ "CpuPeriod": 100_000, "CpuQuota": 300_000 }), "CpuQuota", true),
        ("pids", json!({ "PidsLimit": 2000 }), "PidsLimit", true),
    ] {
        let (name, on_host) = who.name(what);
        let answer = who.create(&name, host.clone());
        let may = who.may && !(over && who.role == "deploy");
        let rule = format!("create.HostConfig.{member}");
        who.outcome(may, what, &answer, &rule, host_config(&on_host, member) == host[member]);
    }
}

pub fn networks(who: &Who<'_>) {
    let limit = if who.tenant { 8 } else { 0 };
    // Of small subnets of their own, so that the daemon's pool is left to others.
    let mut next = (std::process::id() * 131) % 8192;
    for at in 0..8 {
        let (_, on_host) = who.name(&format!("net{at}"));
        let tenant = if who.tenant { who.prefix.as_str() } else { "" };
        let made = (0..64).any(|_| {
            next = (next + 1) % 8192;
            let subnet = format!("198.{}.{}.{}/28", 18 + next / 4096, (next / 16) % 256, (next % 16) * 16);
            let body = json!({ "Name": on_host, "Labels": { LABEL: tenant, ROLE: who.role },
                "IPAM": { "Config": [{ "Subnet": subnet }] } });
            ask("POST", "/networks/create", &body).0 == 201
        });
        assert!(made, "no subnet is free");
    }
    let (ninth, on_host) = who.name("net8");
    let create = || who.send("POST", "/networks/create", &json!({ "Name": ninth, "CheckDuplicate": true }));
    let rule = format!("role.{}.quotas.networks", who.role);
    let exists = || there(&format!("/networks/{on_host}"));
    let answer = create();
    who.outcome(who.may && limit == 0, "the ninth", &answer, &rule, exists());
    if who.may && limit > 0 {
        good(&who.send("DELETE", "/networks/net0", &Value::Null));
        let answer = create();
        who.outcome(true, "the eighth", &answer, &rule, exists());
    }
}

pub fn capabilities(who: &Who<'_>) {
    for cap in ["NET_BIND_SERVICE", "SYS_NICE", "IPC_LOCK", "SYS_ADMIN", "NET_ADMIN", "ALL"] {
        let (name, on_host) = who.name(&cap.to_lowercase());
        let answer = who.create(&name, json!({ "CapAdd": [cap] }));
        let may = who.may && !matches!(cap, "SYS_ADMIN" | "NET_ADMIN" | "ALL");
        let added = host_config(&on_host, "CapAdd").to_string().contains(cap);
        who.outcome(may, cap, &answer, "create.HostConfig.CapAdd", added);
    }
}

pub fn host(who: &Who<'_>) {
    let device = json!([{ "PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r" }]);
    for (at, member, value) in [
        (0, "Privileged", json!(true)),
        (1, "Devices", device),
        (2, "DeviceCgroupRules", json!(["c 1:3 r"])),
        (3, "PidMode", json!("host")),
        (4, "IpcMode", json!("host")),
        (5, "UTSMode", json!("host")),
        (6, "NetworkMode", json!("host")),
    ] {
        let (name, on_host) = who.name(&format!("host{at}"));
        let has = || host_config(&on_host, member) == value;
        let answer = who.create(&name, json!({ member: value }));
        who.outcome(who.may, member, &answer, &format!("create.HostConfig.{member}"), has());
        // With the grants it is made.
        let own = who.with_role("own");
        let answer = own.create(&name, json!({ member: value }));
        own.outcome(true, member, &answer, "", has());
    }
    let (name, on_host) = who.running("entered");
    let exec = json!({ "Cmd": ["/bin/true"], "Privileged": true });
    let answer = who.send("POST", &format!("/containers/{name}/exec"), &exec);
    let execs = container(&on_host).unwrap()["ExecIDs"].clone();
    who.outcome(false, "a privileged exec", &answer, "exec.Privileged", !execs.is_null());
}

fn bound(path: &str) -> [Value; 2] {
    [
        json!({ "Binds": [format!("{path}:/x")] }),
        json!({ "Mounts": [{ "Type": "bind", "Source": path, "Target": "/x" }] }),
    ]
}

pub fn binds(who: &Who<'_>) {
    let listed = who.site.listed.path().canonicalize().unwrap().display().to_string();
    std::fs::create_dir_all(format!("{listed}/below")).unwrap();
    let own = who.with_role("own");
    for (at, (path, exactly)) in
        [(listed.clone(), true), (format!("{listed}/below"), false), ("/etc".into(), false)].into_iter().enumerate()
    {
        for (form, host) in bound(&path).into_iter().enumerate() {
            let rule = if form == 0 { "create.HostConfig.Binds" } else { "create.HostConfig.Mounts" };
            let (name, on_host) = who.name(&format!("bind{at}{form}"));
            let mounted = || {
                container(&on_host).is_some_and(|found| found["Mounts"].to_string().contains(&format!("\"{path}\"")))
            };
            let answer = who.create(&name, host.clone());
            who.outcome(who.may, &path, &answer, rule, mounted());
            let answer = own.create(&name, host);
            own.outcome(exactly, &path, &answer, rule, mounted());
            ask("DELETE", &format!("/containers/{on_host}?force=1"), &Value::Null);
        }
    }
}

pub fn socket(who: &Who<'_>) {
    let own = who.with_role("own");
    let paths = ["/var/run/docker.sock", "/run/docker.sock", "/run", "/var/run", "/"];
    for (at, path) in paths.into_iter().enumerate() {
        for (form, host) in bound(path).into_iter().enumerate() {
            let rule = if form == 0 { "create.HostConfig.Binds" } else { "create.HostConfig.Mounts" };
            let (name, on_host) = who.name(&format!("sock{at}{form}"));
            for who in [who, &own] {
                let answer = who.create(&name, host.clone());
                who.outcome(false, path, &answer, rule, container(&on_host).is_some());
            }
        }
    }
}

pub fn log_drivers(who: &Who<'_>) {
    for driver in ["json-file", "local", "none", "journald"] {
        let (name, on_host) = who.name(driver);
        let answer = who.create(&name, json!({ "LogConfig": { "Type": driver, "Config": {} } }));
        who.outcome(who.may, driver, &answer, "", host_config(&on_host, "LogConfig")["Type"] == driver);
    }
}

pub fn log_addresses(who: &Who<'_>) {
    let port = who.site.port;
    let own = who.with_role("own");
    for (at, (driver, option, address, listed)) in [
        ("syslog", "syslog-address", format!("udp://127.0.0.1:{port}"), true),
        ("syslog", "syslog-address", "unix:///run/stockade-gateway/admin.sock".to_owned(), false),
        ("gelf", "gelf-address", "udp://127.0.0.1:1".to_owned(), false),
        ("fluentd", "fluentd-address", "127.0.0.1:1".to_owned(), false),
    ]
    .into_iter()
    .enumerate()
    {
        let (name, on_host) = who.name(&format!("log{at}"));
        let host = json!({ "LogConfig": { "Type": driver, "Config": { option: address } } });
        let has = || host_config(&on_host, "LogConfig")["Type"] == driver;
        let answer = who.create(&name, host.clone());
        who.outcome(who.may, &address, &answer, "create.HostConfig.LogConfig", has());
        let answer = own.create(&name, host);
        own.outcome(listed, &address, &answer, "create.HostConfig.LogConfig", has());
    }
}

pub fn foreign(who: &Who<'_>) {
    let [name, net, volume] = ["root", "rootnet", "rootdata"].map(|what| format!("{}-{what}", who.prefix));
    let body = json!({ "Image": image(), "Cmd": ["/bin/sleep", "600"], "Env": ["SECRET=hidden-from-tokens"] });
    assert_eq!(ask("POST", &format!("/containers/create?name={name}"), &body).0, 201);
    assert_eq!(ask("POST", &format!("/containers/{name}/start"), &Value::Null).0, 204);
    assert_eq!(ask("POST", "/networks/create", &json!({ "Name": net })).0, 201);
    assert_eq!(ask("POST", "/volumes/create", &json!({ "Name": volume })).0, 201);
    let id = container(&name).unwrap()["Id"].as_str().unwrap().to_owned();
    for (list, inspect, shown) in [
        ("/containers/json", format!("/containers/{name}/json"), &id),
        ("/networks", format!("/networks/{net}"), &net),
        ("/volumes", format!("/volumes/{volume}"), &volume),
    ] {
        // With a tenant in the token it is what is not there.
        let (list, one) = (who.get(list), who.get(&inspect));
        assert_eq!((list.1.contains(shown), one.0), (!who.tenant, if who.tenant { 404 } else { 200 }), "{one:?}");
        assert!(!one.1.contains("hidden-from-tokens"), "{one:?}");
    }
    if who.tenant {
        return;
    }
    for part in ["logs?stdout=1", "stats?stream=0", "top"] {
        let answer = who.get(&format!("/containers/{name}/{part}"));
        assert!(answer.0 == 403 && answer.1.contains("(rule: container.foreign)"), "{} {part}: {answer:?}", who.role);
    }
    let committed = format!("{}/committed", who.prefix);
    let exec = json!({ "Cmd": ["/bin/true"] });
    for (method, target, body) in [
        ("POST", format!("/containers/{name}/kill"), Value::Null),
        ("POST", format!("/containers/{name}/stop?t=0"), Value::Null),
        ("POST", format!("/containers/{name}/exec"), exec),
        ("POST", format!("/containers/{name}/attach?stdout=1&logs=1"), Value::Null),
        ("POST", format!("/commit?container={name}&repo={}&tag=1", encoded(&committed)), json!({})),
        ("GET", format!("/containers/{name}/export"), Value::Null),
        ("GET", format!("/containers/{name}/archive?path=%2Fbin"), Value::Null),
        ("DELETE", format!("/containers/{name}?force=1"), Value::Null),
    ] {
        let answer = who.send(method, &target, &body);
        let found = container(&name);
        let touched = found.is_none_or(|found| found["State"]["Running"] != true || !found["ExecIDs"].is_null());
        let came_about = touched || there(&format!("/images/{committed}:1/json"));
        who.outcome(false, &target, &answer, "container.foreign", came_about);
    }
    for (at, (host, rule)) in [
        (json!({ "VolumesFrom": [name] }), "container.foreign"),
        (json!({ "NetworkMode": format!("container:{name}") }), "container.foreign"),
        (json!({ "PidMode": format!("container:{name}") }), "container.foreign"),
        (json!({ "NetworkMode": net }), "network.foreign"),
        (json!({ "Binds": [format!("{volume}:/x")] }), "volume.foreign"),
    ]
    .into_iter()
    .enumerate()
    {
        let (own, on_host) = who.name(&format!("uses{at}"));
        let answer = who.create(&own, host);
        who.outcome(false, &format!("use {at}"), &answer, rule, container(&on_host).is_some());
    }
    for (target, rule) in
        [(format!("/networks/{net}"), "network.foreign"), (format!("/volumes/{volume}"), "volume.foreign")]
    {
        let answer = who.send("DELETE", &target, &Value::Null);
        who.outcome(false, &target, &answer, rule, !there(&target));
    }
    // With the grant it is as the role's own.
    let granted = who.with_role("own");
    let answer = granted.post(&format!("/containers/{name}/kill"));
    granted.outcome(true, "kill with the grant", &answer, "", container(&name).unwrap()["State"]["Running"] == false);
}

pub fn others(who: &Who<'_>) {
    let other = who.other();
    let (name, on_host) = other.running("theirs");
    let (net, volume, tag) = ("theirnet", "theirdata", format!("{}/theirs:1", other.prefix));
    good(&other.send("POST", "/networks/create", &json!({ "Name": net })));
    good(&other.send("POST", "/volumes/create", &json!({ "Name": volume })));
    let repo = encoded(&format!("{}/theirs", other.prefix));
    good(&other.send("POST", &format!("/commit?container={name}&repo={repo}&tag=1"), &json!({})));
    let id = container(&on_host).unwrap()["Id"].as_str().unwrap().to_owned();
    let (_, image) = ask("GET", &format!("/images/{tag}/json"), &Value::Null);
    let (image, net) = (image["Id"].as_str().unwrap().to_owned(), other.name(net).1);
    let volume = other.name(volume).1;
    let (_, network) = ask("GET", &format!("/networks/{net}"), &Value::Null);
    let network = network["Id"].as_str().unwrap().to_owned();
    for (list, member, names) in [
        ("/containers/json?all=1", &id, vec![format!("/containers/{id}/json"), format!("/containers/{on_host}/json")]),
        ("/networks", &network, vec![format!("/networks/{network}"), format!("/networks/{net}")]),
        ("/volumes", &volume, vec![format!("/volumes/{volume}")]),
        ("/images/json?all=1", &image, vec![format!("/images/{image}/json"), format!("/images/{tag}/json")]),
    ] {
        let answer = who.get(list);
        assert_eq!(answer.1.contains(member), !who.tenant, "{} {list}", who.role);
        for target in names {
            let answer = who.get(&target);
            assert_eq!(answer.0, if who.tenant { 404 } else { 200 }, "{} {target}: {answer:?}", who.role);
        }
    }
    let answer = who.post(&format!("/containers/{id}/kill"));
    let dead = container(&on_host).unwrap()["State"]["Running"] == false;
    match (who.tenant, who.role) {
        (true, "deploy" | "operator") => assert!(answer.0 == 404 && !dead, "{answer:?}"),
        // Without a tenant the role's own bounds are what counts.
        _ => who.outcome(who.role != "read", "kill another's", &answer, "", dead),
    }
    // Nor is a container made of another's image.
    let (own, own_on_host) = who.name("ofother");
    let body = json!({ "Image": image });
    let answer = who.send("POST", &format!("/containers/create?name={own}"), &body);
    match (who.tenant, who.role) {
        (true, "deploy" | "operator") => {
            assert!(answer.0 == 404 && container(&own_on_host).is_none(), "{answer:?}");
        }
        _ => who.outcome(who.role != "read", "use another's image", &answer, "", container(&own_on_host).is_some()),
    }
}

pub fn never(who: &Who<'_>) {
    let swarm = || ask("GET", "/info", &Value::Null).1["Swarm"]["LocalNodeState"].clone();
    let before = swarm();
    let never: Vec<_> = ROUTES.iter().filter(|route| route.class == Class::Never).collect();
    assert!(never.len() > 50, "{}", never.len());
    for route in never {
        let parts = route.path.split('/').map(|part| if part.starts_with('{') { "stockade-none" } else { part });
        let answer = who.send(route.method, &parts.collect::<Vec<_>>().join("/"), &Value::Null);
        // A client looks for a name among plugins as well: there is none.
        let status = if route.operation == Operation::PluginInspect { 404 } else { 403 };
        let rule = format!("role.{}.allow", who.role);
        assert_eq!(answer.0, status, "{} {}: {answer:?}", who.role, route.operation);
        assert!(answer.1.contains(&rule) || answer.1.is_empty(), "{} {}: {answer:?}", who.role, route.operation);
    }
    assert_eq!(swarm(), before);
}
