//! What the gateway's policy writes, given to a real Docker daemon: it must
//! accept the bodies made anew, and do with them what the policy means.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use stockade_gateway::policy::{Policy, explain_as};
use stockade_gateway::{Docker, Object, ObjectKind, Reply};

use crate::process::engine::docker_socket;

/// Knows an image that nobody owns and a network of the team, by their ids.
struct Known {
    image: String,
    name: String,
    network: String,
}

impl Known {
    fn object(&self, kind: ObjectKind) -> Option<Object> {
        let labels = vec![("io.stockade.tenant".to_owned(), "team".to_owned())];
        match kind {
            ObjectKind::Image => {
                Some(Object { id: self.image.clone(), references: vec![self.name.clone()], ..Object::default() })
            }
            ObjectKind::Network => Some(Object {
                id: self.network.clone(),
                name: "team__gwpolicy-net".to_owned(),
                labels,
                ..Object::default()
            }),
            _ => None,
        }
    }
}

impl Docker for Known {
    fn inspect<'a>(&'a self, kind: ObjectKind, _: &'a str) -> Reply<'a, Option<Object>> {
        Box::pin(std::future::ready(Ok(self.object(kind))))
    }

    fn list<'a>(&'a self, kind: ObjectKind, _: Option<&'a str>) -> Reply<'a, Arc<Vec<Object>>> {
        Box::pin(std::future::ready(Ok(Arc::new(self.object(kind).into_iter().collect()))))
    }
}

/// One request to the daemon: status and body.
fn daemon(method: &str, target: &str, body: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(docker_socket()).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let text = answer.find('{').map_or("null", |at| &answer[at..=answer.rfind('}').unwrap()]);
    (status, serde_json::from_str(text).unwrap_or(Value::Null))
}

/// An image made of nothing, and its id; removed when dropped.
struct Empty {
    name: String,
    id: String,
}

impl Empty {
    fn import(name: &str) -> Empty {
        let mut child = Command::new("docker")
            .args(["import", "--change", "CMD [\"/x\"]", "-", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&[0; 1024]).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        Empty { name: name.to_owned(), id: String::from_utf8(output.stdout).unwrap().trim().to_owned() }
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        daemon("DELETE", &format!("/v1.41/images/{}?force=1", self.id), "");
    }
}

/// A container, and by their paths the volumes and networks it used; removed when dropped.
struct Created(String, Vec<String>);

impl Drop for Created {
    fn drop(&mut self) {
        daemon("DELETE", &format!("/v1.41/containers/{}?force=1&v=1", self.0), "");
        for path in &self.1 {
            daemon("DELETE", &format!("/v1.41/{path}"), "");
        }
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
async fn a_real_daemon_takes_a_rebuilt_create_and_makes_the_volumes_the_tenants() {
    let image = Empty::import("library/gwpolicy-empty:1");
    let (status, network) = daemon("POST", "/v1.41/networks/create", r#"{"Name":"gwpolicy-net"}"#);
    assert_eq!(status, 201, "{network}");
    let network = network["Id"].as_str().unwrap().to_owned();
    let policy = Policy::bundled().unwrap();
    let body = json!({
        "Image": image.name,
        "Cmd": ["/x"],
        "Volumes": {"/anonymous": {}},
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {
            "Binds": ["gwpolicy-data:/data:ro"],
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
            "SecurityOpt": ["no-new-privileges"],
            "CapDrop": ["ALL"],
            "Tmpfs": {"/tmp": "noexec"},
            "NetworkMode": "gwpolicy-net",
        },
        "NetworkingConfig": {"EndpointsConfig": {"gwpolicy-net": {"Aliases": ["db"]}}},
    });
    let known = Known { image: image.id.clone(), name: image.name.clone(), network: network.clone() };
    let line = "POST /v1.41/containers/create?name=gwpolicy-web";
    let text = explain_as(&policy, "deploy", Some("team"), line, body.to_string().as_bytes(), Some(&known)).await;
    let part = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
    let target = part("sent as: POST ");
    let (status, answer) = daemon("POST", target, part("body: "));
    assert_eq!(status, 201, "{answer}");
    let created = Created(
        answer["Id"].as_str().unwrap().to_owned(),
        vec!["volumes/team__gwpolicy-data".to_owned(), format!("networks/{network}")],
    );

    let (_, container) = daemon("GET", &format!("/v1.41/containers/{}/json", created.0), "");
    assert_eq!(container["Config"]["Labels"]["io.stockade.tenant"], "team");
    assert_eq!(container["HostConfig"]["Memory"], 2_i64 << 30);
    assert_eq!(container["HostConfig"]["NanoCpus"], 2_000_000_000_i64);
    assert_eq!(container["HostConfig"]["PidsLimit"], 1024);
    assert_eq!(container["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], "8000-8999");
    assert_eq!(container["HostConfig"]["NetworkMode"], network.as_str());
    assert_eq!(container["NetworkSettings"]["Networks"]["gwpolicy-net"]["Aliases"][0], "db");
    let mounts = container["Mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 2, "{mounts:?}");
    for mount in mounts {
        assert_eq!(mount["Type"], "volume");
        let (status, volume) = daemon("GET", &format!("/v1.41/volumes/{}", mount["Name"].as_str().unwrap()), "");
        assert_eq!((status, &volume["Labels"]["io.stockade.tenant"]), (200, &json!("team")));
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
async fn a_real_daemon_would_have_taken_what_the_policy_refuses() {
    let image = Empty::import("library/gwpolicy-folded:1");
    // The daemon reads all of these as HostConfig.Privileged.
    for (name, key) in [("case", "hostconfig"), ("fold", "Ho\u{17f}tConfig"), ("escape", "\\u0048ostConfig")] {
        let body = format!(r#"{{"Image":"{}","Cmd":["/x"],"{key}":{{"Privileged":true}}}}"#, image.name);
        let (status, answer) = daemon("POST", &format!("/v1.41/containers/create?name=gwpolicy-{name}"), &body);
        assert_eq!(status, 201, "{answer}");
        let created = Created(answer["Id"].as_str().unwrap().to_owned(), vec![]);
        let (_, container) = daemon("GET", &format!("/v1.41/containers/{}/json", created.0), "");
        assert_eq!(container["HostConfig"]["Privileged"], true, "{key}");
        let known = Known { image: image.id.clone(), name: image.name.clone(), network: String::new() };
        let line = "POST /v1.41/containers/create";
        let policy = Policy::bundled().unwrap();
        let text = explain_as(&policy, "operator", None, line, body.as_bytes(), Some(&known)).await;
        assert!(text.starts_with("refused: ContainerCreate: 403 by create."), "{text}");
    }
}
