//! The administrator's socket tells administrators from what merely writes to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use super::engine::{Image, Named, ask, container, docker_socket, image};
use super::harness::{FakeDaemon, Gateway, Options};

const ISSUE: &str = r#"{"command":"issue","subject":"eve","role":"operator"}"#;

/// Lets the daemon's syslog driver write a line of the attacker's to a socket,
/// straight at the daemon, as whoever could create a container might.
fn log_to(address: &str, what: &str) -> (u16, Value) {
    let name = Named::new(what);
    let body = json!({
        "Image": image(),
        "Cmd": ["/bin/echo", "hello"],
        "HostConfig": { "LogConfig": { "Type": "syslog", "Config": {
            "syslog-address": address,
            "tag": format!("x\n{ISSUE}\n"),
        } } },
    });
    let (status, made) = ask("POST", &format!("/containers/create?name={}", name.0), &body);
    assert_eq!(status, 201, "{made}");
    let started = ask("POST", &format!("/containers/{}/start", name.0), &Value::Null);
    if started.0 == 204 {
        let (status, ended) = ask("POST", &format!("/containers/{}/wait", name.0), &Value::Null);
        assert_eq!(status, 200, "{ended}");
        assert!(container(&name.0).is_some());
    }
    started
}

fn refusals(gateway: &Gateway) -> Vec<String> {
    let lines = gateway.audit().into_iter().filter(|line| line["operation"] == "administer");
    lines.map(|line| format!("{} {}", line["decision"].as_str().unwrap(), line["rule"].as_str().unwrap())).collect()
}

fn subjects(gateway: &Gateway) -> Vec<String> {
    let listed = gateway.admin(&json!({ "command": "list" }));
    listed["result"].as_array().unwrap().iter().map(|one| one["subject"].as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_log_driver_of_the_daemon_is_no_administrator() {
    let docker = docker_socket();
    let _image = Image::new();
    let gateway = Gateway::start(&Options::before(docker));
    gateway.token(&["--role=read"]);
    let address = gateway.path("admin.sock").display().to_string();
    let (status, told) = log_to(&format!("unix://{address}"), "log-stream");
    assert!(status == 204 || status == 500, "{told}");
    gateway.wait_for("the refusal", || !refusals(&gateway).is_empty());
    assert_eq!(refusals(&gateway)[0], "refuse admin.peer");
    gateway.wait_for("the notice", || gateway.said().contains("the administrator's socket was closed"));
    assert!(!gateway.said().contains("eve"), "what was sent is in no log: {}", gateway.said());
    // A datagram does not reach a stream socket at all.
    assert_eq!(log_to(&format!("unixgram://{address}"), "log-datagram").0, 500);
    assert_eq!(subjects(&gateway), ["tester"], "the log driver was given a session");
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn the_daemon_is_told_apart_by_a_service_user_who_cannot_read_its_program() {
    use std::os::unix::fs::MetadataExt as _;
    let docker = docker_socket();
    let _image = Image::new();
    // As in the bundled unit: a user of its own in Docker's group, who may not look at processes of root.
    let group = std::fs::metadata(docker).unwrap().gid().to_string();
    let script = "d=$(dirname \"${@: -1}\"); chown -R 64123 \"$d\"; exec setpriv --reuid=64123 --regid=\"$0\" --clear-groups --no-new-privs \"$@\"";
    let starter = ["bash", "-c", script, &group];
    let gateway = Gateway::start(&Options { starter: &starter, ..Options::before(docker) });
    gateway.token(&["--role=read"]);
    let path = gateway.path("admin.sock");
    let (status, told) = log_to(&format!("unix://{}", path.display()), "log-service");
    assert!(status == 204 || status == 500, "{told}");
    gateway.wait_for("the refusal", || !refusals(&gateway).is_empty());
    assert_eq!(refusals(&gateway)[0], "refuse admin.peer");
    gateway.wait_for("the notice", || gateway.said().contains("is the Docker daemon"));

    // Another process of root gets as far as the nonce, and no further without it.
    let before = refusals(&gateway).len();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(format!("{ISSUE}\n{ISSUE}\n").as_bytes()).unwrap();
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    assert!(said.lines().count() <= 1 && said.contains("nonce"), "{said}");
    gateway.wait_for("the refusal", || refusals(&gateway).len() > before);
    assert_eq!(refusals(&gateway)[before], "refuse admin.nonce");
    assert_eq!(subjects(&gateway), ["tester"]);
}

#[test]
fn another_program_of_root_is_told_what_to_use() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options::before(&socket));
    let mut line = String::new();
    BufReader::new(UnixStream::connect(gateway.path("admin.sock")).unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["ok"], false, "{told}");
    assert!(told["error"].as_str().unwrap().contains("ask with `stockade-gateway token`"), "{told}");
    gateway.wait_for("the refusal", || refusals(&gateway).contains(&"refuse admin.peer".to_owned()));
    // One that looks whether somebody listens and asks for nothing is no attempt.
    assert!(Path::new(&gateway.path("admin.sock")).exists());
    assert_eq!(gateway.admin(&json!({ "command": "list" }))["ok"], true);
}
