//! The machine's own Docker engine: asked straight, without the gateway, for
//! what a test needs beforehand and for what has come about afterwards.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// The engine's socket. A test that calls this is an ignored one, which
/// `tests/run.sh` runs: where no engine answers, it fails.
pub fn docker_socket() -> &'static Path {
    let path = Path::new("/var/run/docker.sock");
    if let Err(error) = UnixStream::connect(path) {
        panic!("needs a Docker engine at {}; without one, leave --include-ignored out: {error}", path.display());
    }
    path
}

/// The image's name: another test program may be running on this engine.
pub fn image() -> String {
    format!("stockade-gateway-test/busybox:{}", std::process::id())
}

/// An image of one static program, made without the gateway and removed by the
/// last test that uses it.
pub struct Image;

static USERS: Mutex<usize> = Mutex::new(0);

impl Image {
    pub fn new() -> Image {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        if *users == 0 {
            let dir = tempfile::tempdir().unwrap();
            let script = format!(
                "set -e; mkdir -p bin etc; cp \"$(command -v busybox)\" bin/busybox; for a in sh cat echo id sleep sha256sum true; do ln -s busybox bin/$a; done; tar -c . | docker import --change 'CMD [\"/bin/true\"]' - {}",
                image()
            );
            let made = Command::new("sh").args(["-c", &script]).current_dir(dir.path()).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        *users += 1;
        Image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        *users -= 1;
        if *users == 0 {
            let _ = Command::new("docker").args(["rmi", "-f", &image()]).output();
        }
    }
}

/// A name of this test program's own, removed with its container at the end.
pub struct Named(pub String);

impl Named {
    pub fn new(what: &str) -> Named {
        Named(format!("stockade-gateway-test-{what}-{}", std::process::id()))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", "-v", &self.0]).output();
    }
}

/// Bytes as they are to the engine itself, and all that it answers.
pub fn straight(bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect("/var/run/docker.sock").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request to the engine itself: its status, and its answer where that is JSON.
pub fn ask(method: &str, target: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    // An answer of HTTP/1.0 is not chunked and ends with its connection.
    let answer = straight(
        format!(
            "{method} {target} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

/// What the engine says of an object; none if it knows no such.
pub fn inspect(target: &str) -> Option<Value> {
    let (status, found) = ask("GET", target, &Value::Null);
    assert!(status == 200 || status == 404, "{target}: {status} {found}");
    (status == 200).then_some(found)
}

pub fn container(name: &str) -> Option<Value> {
    inspect(&format!("/containers/{name}/json"))
}

/// A container of the test's own image that runs, made without the gateway. With
/// a tenant's label it also has the mark of one that was made through it.
pub fn running(name: &Named, labels: Value) -> String {
    running_command(name, labels, &["/bin/sleep", "600"])
}

/// The same, as one that a role without a tenant made through the gateway.
pub fn running_own(name: &Named, command: &[&str]) -> String {
    running_command(name, json!({ "io.stockade.tenant": "", "io.stockade.role": "operator" }), command)
}

fn running_command(name: &Named, labels: Value, command: &[&str]) -> String {
    let mark = labels["io.stockade.tenant"].as_str();
    let mark = mark.map(|tenant| format!("stockade-gateway:tenant={tenant}:role=deploy"));
    let host = json!({ "ContainerIDFile": mark.unwrap_or_default() });
    let body = json!({ "Image": image(), "Cmd": command, "Labels": labels, "HostConfig": host });
    let (status, made) = ask("POST", &format!("/containers/create?name={}", name.0), &body);
    assert_eq!(status, 201, "{made}");
    let id = made["Id"].as_str().unwrap().to_owned();
    let (status, told) = ask("POST", &format!("/containers/{id}/start"), &Value::Null);
    assert_eq!(status, 204, "{told}");
    id
}
