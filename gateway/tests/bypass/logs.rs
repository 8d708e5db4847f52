//! A4 and A8: log drivers, control characters and published ports.

use std::sync::Arc;

use serde_json::{Value, json};

use super::table::{Attack, By, Seen, Site, step};

const OPERATOR: By = By::Token("operator", "");
const STRONG: By = By::Token("strong", "");
const TEAM: By = By::Token("shared", "bypass-team");

fn made() -> Seen {
    Arc::new(|tried| tried.status() == 201)
}

/// Sets a member by its path, `a/b/0`.
fn at(path: &str, value: Value) -> Value {
    path.rsplit('/').fold(value, |inner, name| if name == "0" { json!([inner]) } else { json!({ name: inner }) })
}

fn create(by: By, more: &Value) -> super::table::Step {
    let mut body = json!({ "Image": "{i}", "Cmd": ["/bin/sleep", "600"] });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    step(by, "POST", "/containers/create?name={n}v", body)
}

fn drivers(rows: &mut Vec<Attack>) {
    let tag = "x\n{\"command\":\"metrics\"}\n";
    for (by, config) in [
        (
            OPERATOR,
            json!({ "Type": "syslog", "Config": { "syslog-address": "unix:///run/stockade-gateway/admin.sock", "tag": tag } }),
        ),
        (OPERATOR, json!({ "Type": "syslog", "Config": { "syslog-address": "tcp://127.0.0.1:6379", "tag": tag } })),
        (OPERATOR, json!({ "Type": "syslog", "Config": { "syslog-address": "unixgram:///dev/log" } })),
        (OPERATOR, json!({ "Type": "syslog" })),
        (OPERATOR, json!({ "Type": "gelf", "Config": { "gelf-address": "tcp://127.0.0.1:6379" } })),
        (
            OPERATOR,
            json!({ "Type": "fluentd", "Config": { "fluentd-address": "unix:///run/stockade-gateway/admin.sock" } }),
        ),
        (OPERATOR, json!({ "Type": "fluentd" })),
        (
            OPERATOR,
            json!({ "Type": "splunk", "Config": { "splunk-url": "http://127.0.0.1:6379", "splunk-token": "x" } }),
        ),
        (
            OPERATOR,
            json!({ "Type": "awslogs", "Config": { "awslogs-endpoint": "http://127.0.0.1:6379", "awslogs-group": "x", "awslogs-region": "x" } }),
        ),
        (OPERATOR, json!({ "Type": "gcplogs", "Config": { "gcp-project": "x" } })),
        (OPERATOR, json!({ "Type": "logentries", "Config": { "logentries-token": "x" } })),
        (OPERATOR, json!({ "Type": "Syslog", "Config": { "syslog-address": "tcp://127.0.0.1:6379" } })),
        (OPERATOR, json!({ "Type": "etwlogs" })),
        (OPERATOR, json!({ "Type": "some/plugin:latest" })),
        (OPERATOR, json!({ "Config": { "syslog-address": "tcp://127.0.0.1:6379" } })),
        (OPERATOR, json!({ "Config": { "tag": tag } })),
        (OPERATOR, json!({ "Type": "json-file", "Config": { "tag": "{{.Name}}" } })),
        (OPERATOR, json!({ "Type": "json-file", "Config": { "TAG": "x", "tag": "x" } })),
        (OPERATOR, json!({ "Type": "journald", "Config": { "tag": "sshd" } })),
        (OPERATOR, json!({ "Type": "json-file", "Config": { "labels": "a\nb" } })),
        // One whose role lists an address, to another.
        (STRONG, json!({ "Type": "syslog", "Config": { "syslog-address": "udp://127.0.0.1:10" } })),
        (STRONG, json!({ "Type": "syslog", "Config": { "syslog-address": "udp://127.0.0.1:9", "tag": tag } })),
        (STRONG, json!({ "Type": "syslog", "Config": { "syslog-address": "udp://127.0.0.1:9/../" } })),
        (
            STRONG,
            json!({ "Type": "gelf", "Config": { "syslog-address": "udp://127.0.0.1:9", "gelf-address": "udp://127.0.0.1:10" } }),
        ),
        (
            STRONG,
            json!({ "Type": "syslog", "Config": { "syslog-address": "udp://127.0.0.1:9", "syslog-tls-ca-cert": "/etc/shadow" } }),
        ),
        (TEAM, json!({ "Type": "syslog", "Config": { "syslog-address": "udp://127.0.0.1:9" } })),
    ] {
        let row = Attack::new(
            &format!("log driver: {config}"),
            "A4",
            vec![create(by, &json!({ "HostConfig": { "LogConfig": config } }))],
            made(),
        );
        // What drivers an engine has, and what they check at create, differs.
        rows.push(row.uncontrolled());
    }
}

fn controls(rows: &mut Vec<Attack>) {
    let evil = ["a\nb", "a\rb", "a\tb", "a\u{0}b", "a\u{1b}[2Jb", "a\u{7f}b", "a\u{85}b"];
    for path in [
        "Hostname",
        "Domainname",
        "User",
        "WorkingDir",
        "StopSignal",
        "Labels/l",
        "HostConfig/Annotations/a",
        "HostConfig/Binds/0",
        "HostConfig/LogConfig/Config/max-size",
        "HostConfig/LogConfig/Type",
        "HostConfig/NetworkMode",
        "HostConfig/RestartPolicy/Name",
        "HostConfig/CapDrop/0",
        "HostConfig/CapAdd/0",
        "HostConfig/Dns/0",
        "HostConfig/DnsOptions/0",
        "HostConfig/DnsSearch/0",
        "HostConfig/ExtraHosts/0",
        "HostConfig/GroupAdd/0",
        "HostConfig/Links/0",
        "HostConfig/SecurityOpt/0",
        "HostConfig/VolumesFrom/0",
        "HostConfig/Tmpfs//t",
        "HostConfig/ShmSize",
        "HostConfig/CpusetCpus",
        "HostConfig/CpusetMems",
        "HostConfig/ContainerIDFile",
        "HostConfig/Ulimits/0/Name",
        "HostConfig/Sysctls/net.ipv4.ip_forward",
        "HostConfig/Mounts/0/Target",
        "NetworkingConfig/EndpointsConfig/bridge/Aliases/0",
        "NetworkingConfig/EndpointsConfig/bridge/IPAMConfig/IPv4Address",
    ] {
        for text in ["a\nb", "a\u{1b}b"] {
            let body = create(OPERATOR, &at(&path.replace("//t", "/~t"), json!(text)));
            let seen: Seen = Arc::new(|tried| {
                tried.container("v").is_some_and(|found| {
                    let mut found = found;
                    found["HostConfig"]["ContainerIDFile"] = Value::Null;
                    let text = found.to_string();
                    text.contains("a\\nb") || text.contains("a\\u001bb")
                })
            });
            rows.push(
                Attack::new(&format!("control character in {path}: {text:?}"), "A4", vec![body], seen).uncontrolled(),
            );
        }
    }
    for text in evil {
        for member in ["Cmd/0", "Entrypoint/0", "Env/0", "Healthcheck/Test/0", "Labels/l", "Hostname"] {
            let allowed = matches!(text, "a\nb" | "a\rb" | "a\tb") && !matches!(member, "Labels/l" | "Hostname");
            if allowed {
                continue;
            }
            let step = create(OPERATOR, &at(member, json!(text)));
            rows.push(
                Attack::new(&format!("control character in {member}: {text:?}"), "A4", vec![step], made())
                    .uncontrolled(),
            );
        }
        let label = json!({ "Name": "{n}x", "Labels": { "l": text } });
        let name = json!({ "Name": "{n}x", "Labels": { text: "l" } });
        for (what, target) in [("network", "/networks/create"), ("volume", "/volumes/create")] {
            for body in [&label, &name] {
                let steps = vec![step(OPERATOR, "POST", target, body.clone())];
                rows.push(Attack::new(&format!("control character in a {what}: {body}"), "A4", steps, made()));
            }
        }
        let start = step(OPERATOR, "POST", "/containers/{n}v/start", Value::Null);
        for (what, body) in [
            ("WorkingDir", json!({ "Cmd": ["/bin/true"], "WorkingDir": format!("/{text}") })),
            ("User", json!({ "Cmd": ["/bin/true"], "User": text })),
            ("Cmd", json!({ "Cmd": ["/bin/true", text] })),
            ("Env", json!({ "Cmd": ["/bin/true"], "Env": [text] })),
        ] {
            if matches!(text, "a\nb" | "a\rb" | "a\tb") && matches!(what, "Cmd" | "Env") {
                continue;
            }
            let exec = step(OPERATOR, "POST", "/containers/{n}v/exec", body);
            let steps = vec![create(OPERATOR, &json!({})), start.clone(), exec];
            rows.push(
                Attack::new(&format!("control character in an exec's {what}: {text:?}"), "A4", steps, made())
                    .uncontrolled(),
            );
        }
        let network = step(OPERATOR, "POST", "/networks/create", json!({ "Name": "{n}net" }));
        let alias = json!({ "Container": "{n}v", "EndpointConfig": { "Aliases": [text] } });
        let connect = step(OPERATOR, "POST", "/networks/{n}net/connect", alias);
        let steps = vec![create(OPERATOR, &json!({})), network, connect];
        rows.push(Attack::new(
            &format!("control character in an alias: {text:?}"),
            "A4",
            steps,
            Arc::new(|t| t.status() == 200),
        ));
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for (what, target) in [
            ("comment", format!("/commit?container={{n}}v&repo={{n}}image&comment={encoded}")),
            ("author", format!("/commit?container={{n}}v&repo={{n}}image&author={encoded}")),
            ("change", format!("/commit?container={{n}}v&repo={{n}}image&changes=LABEL%20a=%22{encoded}%22")),
            ("label", "/commit?container={n}v&repo={n}image".to_owned()),
        ] {
            if what == "change" && matches!(text, "a\nb" | "a\rb" | "a\tb") {
                continue;
            }
            let body = if what == "label" { json!({ "Labels": { "l": text } }) } else { json!({}) };
            let steps = vec![create(OPERATOR, &json!({})), step(OPERATOR, "POST", &target, body)];
            rows.push(
                Attack::new(&format!("control character in a commit's {what}: {text:?}"), "A4", steps, made())
                    .uncontrolled(),
            );
        }
    }
}

/// The ports of the host that the container got, outside a range.
fn outside(first: u16, last: u16) -> Seen {
    Arc::new(move |tried| {
        let found = tried.container("v").unwrap_or_default();
        let ports = found["NetworkSettings"]["Ports"].as_object().cloned().unwrap_or_default();
        let bindings = ports.values().filter_map(Value::as_array).flatten();
        let mut given = bindings.filter_map(|binding| binding["HostPort"].as_str()?.parse::<u16>().ok());
        given.any(|port| port < first || port > last)
    })
}

fn ephemeral() -> (u16, u16) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let numbers: Vec<u16> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    (numbers[0], numbers[1])
}

fn ports(rows: &mut Vec<Attack>) {
    let (first, last) = ephemeral();
    let binding = |binding: Value| json!({ "HostConfig": { "PortBindings": { "80/tcp": [binding] } }, "ExposedPorts": { "80/tcp": {} } });
    let all = json!({ "ExposedPorts": { "80/tcp": {}, "81/udp": {} }, "HostConfig": { "PublishAllPorts": true } });
    for (role, first, last) in [
        ("operator", first, last),
        ("strong", first, last),
        ("deploy", 8000, 8999),
        ("shared", 8000, 8999),
        ("plain", 8000, 8999),
        ("low", 1024, 2000),
        ("reader", 0, 0),
    ] {
        for (what, body) in [
            ("no HostPort", binding(json!({}))),
            ("an empty HostPort", binding(json!({ "HostPort": "" }))),
            ("HostPort 0", binding(json!({ "HostPort": "0" }))),
            ("HostPort 00", binding(json!({ "HostPort": "00" }))),
            ("HostPort 0-0", binding(json!({ "HostPort": "0-0" }))),
            ("on loopback", binding(json!({ "HostPort": "", "HostIp": "127.0.0.1" }))),
            ("on every IPv6 address", binding(json!({ "HostPort": "", "HostIp": "::" }))),
            ("no bindings", json!({ "HostConfig": { "PortBindings": { "80/tcp": [] } } })),
            ("null bindings", json!({ "HostConfig": { "PortBindings": { "80/tcp": null } } })),
            ("a null binding", binding(Value::Null)),
            ("all ports", all.clone()),
            (
                "all ports beside one",
                json!({ "ExposedPorts": { "80/tcp": {}, "81/tcp": {} }, "HostConfig": {
                "PublishAllPorts": true, "PortBindings": { "80/tcp": [{ "HostIp": "127.0.0.1" }] } } }),
            ),
        ] {
            let by = By::Token(role, "");
            let mut body = body;
            body["User"] = "1000:1000".into();
            let steps = vec![create(by, &body), step(by, "POST", "/containers/{n}v/start", Value::Null)];
            rows.push(
                Attack::new(&format!("a free port by {role}: {what}"), "A8", steps, outside(first, last))
                    .uncontrolled(),
            );
        }
    }
    for (what, port) in [
        ("below", "7999"),
        ("above", "9000"),
        ("a range over it", "7999-8001"),
        ("well-known", "443"),
        ("a space", " 80"),
        ("a sign", "+80"),
        ("with zeros", "0443"),
    ] {
        let by = By::Token("deploy", "");
        let steps = vec![
            create(by, &binding(json!({ "HostPort": port, "HostIp": "127.0.0.1" }))),
            step(by, "POST", "/containers/{n}v/start", Value::Null),
        ];
        rows.push(
            Attack::new(&format!("a port outside the role's: {what}"), "A8", steps, outside(8000, 8999)).uncontrolled(),
        );
    }
}

pub fn rows(_: &Site) -> Vec<Attack> {
    let mut rows = Vec::new();
    drivers(&mut rows);
    controls(&mut rows);
    ports(&mut rows);
    for row in &mut rows {
        for step in &mut row.steps {
            // A path in the container has a slash in its name.
            step.body = serde_json::from_str(&step.body.to_string().replace("\"~t\"", "\"/t\"")).unwrap();
        }
    }
    rows
}
