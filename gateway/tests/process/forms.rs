//! The forms in which real clients write a request, byte for byte through the
//! gateway to this machine's engine: what they ask for comes about, once and
//! as they meant it.

use serde_json::{Value, json};

use super::engine::{Image, Named, ask, container, docker_socket, image, inspect, running_own};
use super::harness::{Gateway, Options, status};

struct Site {
    _image: Image,
    gateway: Gateway,
    token: String,
}

fn site(top: &str) -> Site {
    let socket = docker_socket();
    let image = Image::new();
    let gateway = Gateway::start(&Options { top, ..Options::before(socket) });
    let token = gateway.token(&["--role=operator"]);
    Site { _image: image, gateway, token }
}

impl Site {
    /// A request with a body of its own framing; the whole answer.
    fn send(&self, line: &str, headers: &str, body: &[u8]) -> String {
        let head = format!(
            "{line} HTTP/1.1\r\nhost: docker\r\nauthorization: Bearer {}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.gateway.raw(&[head.as_bytes(), body].concat())
    }

    fn json(&self, line: &str, body: &Value) -> String {
        self.send(line, "content-type: application/json\r\n", body.to_string().as_bytes())
    }
}

fn answered(answer: &str, expected: u16, what: &str) {
    assert_eq!(status(answer), expected, "{what}: {answer}");
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_container_lives_through_all_that_dockerode_sends() {
    let site = site("");
    let name = Named::new("forms-node");
    // The whole body again in the query, and the query's members in the body.
    let create = format!(
        "POST /containers/create?Image={image}&Cmd=/bin/sleep&Cmd=600&HostConfig=%7B%22Privileged%22%3Atrue%7D&name={name}&platform=",
        image = image(),
        name = name.0
    );
    let body = json!({ "Image": image(), "Cmd": ["/bin/sleep", "600"], "name": name.0, "platform": "", "VolumesFrom": [], "HostConfig": {} });
    answered(&site.json(&create, &body), 201, "create");
    assert_eq!(container(&name.0).unwrap()["HostConfig"]["Privileged"], false, "the query's copy took effect");
    let at = |rest: &str| format!("/containers/{}{rest}", name.0);
    answered(&site.json(&format!("POST {}", at("/start")), &json!({})), 204, "start");
    answered(&site.send(&format!("GET {}", at("/json?size=true")), "", b""), 200, "inspect");
    answered(&site.send(&format!("GET {}", at("/stats?stream=false&one-shot=true")), "", b""), 200, "stats");
    let exec =
        site.json(&format!("POST {}", at("/exec")), &json!({ "Cmd": ["/bin/echo", "said"], "AttachStdout": true }));
    answered(&exec, 201, "exec");
    let id = exec.split("\"Id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    // No upgrade: the stream follows a 200.
    let output = site.json(&format!("POST /exec/{id}/start"), &json!({ "hijack": false, "stdin": false }));
    answered(&output, 200, "exec start");
    assert!(output.contains("said"), "{output}");
    answered(&site.json(&format!("POST {}", at("/rename?name=")), &json!({ "name": "" })), 400, "rename to nothing");
    answered(&site.json(&format!("POST {}", at("/kill?signal=9")), &json!({ "signal": "9" })), 204, "kill");
    answered(
        &site.json(&format!("POST {}", at("/wait?condition=not-running")), &json!({ "condition": "x" })),
        200,
        "wait",
    );
    let gone = format!("DELETE {}", at("?force=true&v=true&link=false"));
    answered(&site.send(&gone, "", b""), 204, "remove");
    assert!(container(&name.0).is_none());
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_container_lives_through_all_that_docker_py_sends() {
    let site = site("");
    let (name, commit) = (Named::new("forms-py"), Named::new("forms-py-image"));
    let version = format!("/v{}", ask("GET", "/version", &Value::Null).1["ApiVersion"].as_str().unwrap());
    let body = json!({
        "Image": image(), "Cmd": ["/bin/sleep", "600"], "Tty": false, "HostConfig": { "NetworkMode": "bridge" },
        "NetworkingConfig": { "bridge": null }, "ExposedPorts": { "80/tcp": null },
    });
    answered(&site.json(&format!("POST {version}/containers/create?name={}", name.0), &body), 201, "create");
    let at = |rest: &str| format!("{version}/containers/{}{rest}", name.0);
    answered(&site.send(&format!("POST {}", at("/start")), "", b""), 204, "start");
    let listed = format!(
        "GET {version}/containers/json?limit=-1&all=1&size=0&trunc_cmd=0&filters=%7B%22name%22%3A+%5B%22{}%22%5D%7D",
        name.0
    );
    let answer = site.send(&listed, "", b"");
    answered(&answer, 200, "list");
    assert!(answer.contains(&name.0), "{answer}");
    let exec = json!({ "Container": "another", "User": "", "Privileged": false, "Cmd": ["/bin/true"], "detachKeys": "ctrl-p,ctrl-q" });
    answered(&site.json(&format!("POST {}", at("/exec")), &exec), 201, "exec");
    answered(&site.send(&format!("GET {}", at("/stats?stream=False&one-shot=True")), "", b""), 200, "stats");
    let logs = format!("GET {}", at("/logs?stderr=1&stdout=1&timestamps=0&follow=0&tail=all&since=1.5"));
    answered(&site.send(&logs, "", b""), 200, "logs");
    let paused = format!("POST {version}/commit?container={}&repo={}&pause=False", name.0, commit.0);
    answered(&site.json(&paused, &json!({})), 201, "commit");
    let (removed, _) = ask("DELETE", &format!("/images/{}", commit.0), &Value::Null);
    assert_eq!(removed, 200);
    let link = format!("DELETE {}", at("?v=True&link=True&force=True"));
    answered(&site.send(&link, "", b""), 403, "a link");
    assert!(container(&name.0).is_some());
    answered(&site.send(&link.replace("link=True", "link=False"), "", b""), 204, "remove");
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn an_engine_is_asked_in_a_version_even_where_the_client_names_none() {
    let site = site("[docker_api]\npinned = \"1.41\"\n");
    for (line, expected) in [
        ("GET /info", 200),
        ("GET /containers/json?all=True", 200),
        ("GET /containers/json?all=f", 400),
        ("GET /_ping", 200),
        ("HEAD /_ping", 200),
        ("GET /version", 200),
        ("GET /images/json?only_ids=0&all=0&filters=null", 200),
        ("OPTIONS /info", 403),
    ] {
        answered(&site.send(line, "", b""), expected, line);
    }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_body_that_says_nothing_is_taken_in_any_form() {
    let site = site("");
    let name = Named::new("forms-empty");
    running_own(&name, &["/bin/sleep", "600"]);
    for (rest, headers, body) in [
        ("/resize?h=20&w=30", "", ""),
        ("/resize?h=20&w=30", "content-type: text/plain\r\n", ""),
        ("/resize?h=20&w=30", "content-type: application/x-www-form-urlencoded\r\n", ""),
        ("/resize?h=20&w=30", "content-type: application/json; charset=utf-8\r\n", "{\"h\":1,\"w\":2}"),
        ("/resize?h=20&w=30", "content-type: application/json\r\nexpect: 100-continue\r\n", "null"),
        ("/pause", "content-type: application/json\r\n", "{}"),
        ("/unpause", "accept-encoding: gzip, deflate\r\n", ""),
    ] {
        let line = format!("POST /containers/{}{rest}", name.0);
        let answer = site.send(&line, headers, body.as_bytes());
        let last = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
        assert!(matches!(status(last), 200 | 204), "{line} {headers}{body}: {answer}");
    }
    let tagged = format!("POST /images/{}/tag?repo={}&tag=2&force=1", image(), name.0);
    answered(&site.json(&tagged, &json!({ "repo": "elsewhere", "tag": "3", "force": true })), 201, "tag");
    assert!(inspect("/images/elsewhere:3/json").is_none());
    assert_eq!(ask("DELETE", &format!("/images/{}:2", name.0), &Value::Null).0, 200);
}
