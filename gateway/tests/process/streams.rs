//! Streams before a real engine: how long they live, and those that are taken
//! over without an upgrade.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::engine::{self, Image, Named, docker_socket, image};
use super::harness::{FakeDaemon, Gateway, Options, Tls, status};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
/// Seconds that an access token lives here: long enough for a busy machine to
/// begin a stream in, short enough to be outlived.
const LIFETIME: u64 = 6;

fn started(options: &str, roles: Option<&str>) -> (Image, Gateway) {
    let socket = docker_socket();
    let image = Image::new();
    let top = roles.map(|roles| format!("roles = \"{roles}\"")).unwrap_or_default();
    (image, Gateway::start(&Options { limits: options, top: &top, ..Options::before(socket) }))
}

/// A session whose tokens live `LIFETIME`.
struct Session {
    id: String,
    token: String,
    refresh: std::sync::Mutex<String>,
}

impl Session {
    fn new(gateway: &Gateway, more: &[&str]) -> Session {
        let lifetime = format!("--lifetime={LIFETIME}");
        let given = gateway.issue(&[&[lifetime.as_str(), "--with-refresh"], more].concat());
        let text = |key: &str| given[key].as_str().unwrap().to_owned();
        Session { id: text("session"), token: text("access_token"), refresh: text("refresh_token").into() }
    }

    /// False once the session has ended.
    fn refresh(&self, gateway: &Gateway) -> bool {
        let mut refresh = self.refresh.lock().unwrap();
        let form = format!("grant_type=refresh_token&refresh_token={}", *refresh);
        let (status, body) = gateway.request("POST", "/token", &[FORM], form.as_bytes());
        if status == 200 {
            let given: Value = serde_json::from_str(&body).unwrap();
            *refresh = given["refresh_token"].as_str().unwrap().to_owned();
        }
        status == 200
    }

    /// Refreshes again and again for as long as `work` lasts, as a client does
    /// that has a stream open. `work` is given the number of refreshes so far.
    fn kept<T>(&self, gateway: &Gateway, work: impl FnOnce(&AtomicUsize) -> T) -> T {
        let (done, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) && self.refresh(gateway) {
                    count.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_secs(2));
                }
            });
            let guard = Finally(&done);
            let given = work(&count);
            drop(guard);
            given
        })
    }
}

struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A container that says a line five times a second.
fn talking(what: &str) -> Named {
    let name = Named::new(what);
    let script = "n=0; while true; do echo $n; n=$((n+1)); /bin/sleep 0.2; done";
    engine::running_own(&name, &["/bin/sh", "-c", script]);
    name
}

/// Waits until a stream of this operation has begun.
fn opened(gateway: &Gateway, operation: &str) {
    let begun = |line: &Value| line["event"] == "open" && line["operation"] == operation;
    gateway.wait_for("the stream", || gateway.audit().iter().any(begun));
}

fn ended(gateway: &Gateway, why: &str) -> bool {
    gateway.audit().iter().any(|line| line["ended"] == why)
}

/// `docker logs -f`, and how many lines have come.
fn follow(gateway: &Gateway, token: &str, name: &Named) -> (Child, std::sync::mpsc::Receiver<String>) {
    let mut child = gateway
        .docker(token)
        .args(["logs", "-f", "--tail=1", &name.0])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    opened(gateway, "ContainerLogs");
    (child, told)
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn streams_outlive_their_token_while_the_session_is_refreshed() {
    let (_image, gateway) = started("attempts_per_client = 0", None);
    let name = talking("kept");
    let session = Session::new(&gateway, &["--role=operator"]);
    session.kept(&gateway, |refreshed| {
        let began = Instant::now();
        let (mut logs, lines) = follow(&gateway, &session.token, &name);
        let mut exec = gateway
            .docker(&session.token)
            .args(["exec", "-i", &name.0, "/bin/cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, mut output) = (exec.stdin.take().unwrap(), BufReader::new(exec.stdout.take().unwrap()));
        opened(&gateway, "ExecStart");
        let mut round = 0;
        while began.elapsed() < Duration::from_secs(4 * LIFETIME) || refreshed.load(Ordering::SeqCst) < 4 {
            lines.recv_timeout(Duration::from_secs(30)).expect("the log has ended");
            let mut back = String::new();
            writeln!(input, "round {round}").unwrap();
            output.read_line(&mut back).unwrap();
            assert_eq!(back, format!("round {round}\n"), "after {:?}", began.elapsed());
            round += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        // It ends as it would have in any case. The client's own last question, for the exit code, is
        // asked with the token that has expired.
        drop(input);
        assert_eq!(output.read_line(&mut String::new()).unwrap(), 0);
        exec.wait().unwrap();
        let _ = logs.kill();
        let _ = logs.wait();
    });
    assert!(!gateway.audit().iter().any(|line| line["ended"] == "token expired"), "a stream ended with its token");

    // With nothing refreshed any more it ends with the last token.
    let (mut logs, _lines) = {
        let session = Session::new(&gateway, &["--role=operator"]);
        let followed = follow(&gateway, &session.token, &name);
        gateway.wait_for("its end", || ended(&gateway, "token expired"));
        followed
    };
    assert!(!logs.wait().unwrap().success());
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn revocation_ends_a_stream_that_was_renewed_within_a_second() {
    let (_image, gateway) = started("attempts_per_client = 0", None);
    let name = talking("renewed");
    let session = Session::new(&gateway, &["--role=operator"]);
    session.kept(&gateway, |_| {
        let began = Instant::now();
        let (mut logs, lines) = follow(&gateway, &session.token, &name);
        while began.elapsed() < Duration::from_secs(2 * LIFETIME + 1) {
            lines.recv_timeout(Duration::from_secs(30)).expect("the log has ended");
        }
        gateway.revoke(&session.id);
        let revoked = Instant::now();
        gateway.wait_for("the stream's end", || gateway.metric("streams") == 0);
        let took = revoked.elapsed();
        assert!(took < Duration::from_secs(1), "it took {took:?}");
        assert!(!logs.wait().unwrap().success());
    });
    gateway.wait_for("its end in the log", || ended(&gateway, "token revoked"));
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn no_refresh_takes_a_stream_beyond_its_session() {
    let (_image, gateway) = started("attempts_per_client = 0", None);
    let name = talking("session");
    let session = Session::new(&gateway, &["--role=operator", "--session-lifetime=15"]);
    let began = Instant::now();
    session.kept(&gateway, |_| {
        let (mut logs, _lines) = follow(&gateway, &session.token, &name);
        assert!(!logs.wait().unwrap().success());
    });
    let lasted = began.elapsed();
    assert!(lasted > Duration::from_secs(LIFETIME + 3), "it ended with its first token, after {lasted:?}");
    gateway.wait_for("its end in the log", || ended(&gateway, "session ended"));
    assert!(lasted < Duration::from_secs(40), "it outlived its session: {lasted:?}");
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_role_that_was_narrowed_ends_a_stream_at_the_end_of_its_token() {
    let roles = tempfile::tempdir().unwrap();
    let file = roles.path().join("roles.toml");
    let write = |allow: &str| {
        std::fs::write(&file, format!("[role.watcher]\nallow = [{allow}]\n")).unwrap();
    };
    write(r#""class:read""#);
    let (_image, gateway) = started("attempts_per_client = 0", file.to_str());
    let name = talking("narrowed");
    let session = Session::new(&gateway, &["--role=watcher"]);
    session.kept(&gateway, |refreshed| {
        let (mut logs, _lines) = follow(&gateway, &session.token, &name);
        write(r#""SystemPing", "SystemPingHead""#);
        gateway.signal("HUP");
        gateway.wait_for("the new roles", || gateway.said().contains("loaded anew"));
        let before = refreshed.load(Ordering::SeqCst);
        assert!(!logs.wait().unwrap().success());
        gateway.wait_for("another refresh", || refreshed.load(Ordering::SeqCst) > before);
    });
    gateway.wait_for("its end in the log", || ended(&gateway, "role narrowed"));
}

/// The request that starts an exec, without asking for an upgrade.
fn start(target: &str, token: &str, detach: bool) -> String {
    let body = json!({ "Detach": detach, "Tty": false }).to_string();
    format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn end_input(stream: &mut Tls) {
    stream.0.conn.send_close_notify();
    stream.0.flush().unwrap();
}

/// The payload of docker's multiplexed stream.
fn demultiplexed(mut raw: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    while raw.len() >= 8 {
        let size = u32::from_be_bytes(raw[4..8].try_into().unwrap()) as usize;
        payload.extend_from_slice(&raw[8..8 + size]);
        raw = &raw[8 + size..];
    }
    payload
}

fn all(stream: &mut Tls) -> Vec<u8> {
    let (mut all, mut part) = (Vec::new(), [0; 65536]);
    while let Ok(count) = stream.0.read(&mut part) {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&part[..count]);
    }
    all
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn exec_and_attach_work_without_an_upgrade() {
    let (_image, gateway) = started("", None);
    let token = gateway.token(&["--role=operator"]);
    let name = Named::new("raw");
    engine::running_own(&name, &["/bin/sleep", "600"]);
    let exec = |command: &[&str]| {
        let body = json!({ "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Cmd": command });
        let (status, made) = engine::ask("POST", &format!("/containers/{}/exec", name.0), &body);
        assert_eq!(status, 201, "{made}");
        format!("/v1.41/exec/{}/start", made["Id"].as_str().unwrap())
    };
    // What comes in one piece with the request is input, and its end is carried.
    let mut stream = gateway.connect();
    let blob: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let head = start(&exec(&["/bin/cat"]), &token, false);
    stream.send(&[head.as_bytes(), b"GET /v1.41/info HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    let mut writing = Vec::new();
    for piece in blob.chunks(64 << 10) {
        stream.send(piece);
        writing.extend_from_slice(piece);
        if writing.len() >= 128 << 10 {
            break;
        }
    }
    end_input(&mut stream);
    let answer = all(&mut stream);
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&answer[..at]).into_owned();
    assert_eq!(head, "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n");
    let sent = [b"GET /v1.41/info HTTP/1.1\r\nHost: a\r\n\r\n", &writing[..]].concat();
    assert!(demultiplexed(&answer[at..]) == sent, "{} bytes", answer.len());
    assert!(!gateway.audit().iter().any(|line| line["operation"] == "SystemInfo"));

    // The container's own output, without an upgrade.
    let attached = Named::new("rawatt");
    let body = json!({ "Image": image(), "OpenStdin": true, "StdinOnce": true, "AttachStdin": true, "Cmd": ["/bin/cat"],
            "HostConfig": { "ContainerIDFile": "stockade-gateway:tenant=:role=operator" } });
    let (made, told) = engine::ask("POST", &format!("/containers/create?name={}", attached.0), &body);
    assert_eq!(made, 201, "{told}");
    let mut stream = gateway.connect();
    let target = format!("/v1.41/containers/{}/attach?stream=1&stdin=1&stdout=1", attached.0);
    stream.send(
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n")
            .as_bytes(),
    );
    stream.until("raw-stream\r\n\r\n");
    assert_eq!(engine::ask("POST", &format!("/containers/{}/start", attached.0), &Value::Null).0, 204);
    stream.send(b"through attach");
    end_input(&mut stream);
    assert_eq!(demultiplexed(&all(&mut stream)), b"through attach");

    // A detached exec has an ordinary answer.
    let mut stream = gateway.connect();
    let again = format!("GET /_ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.send(format!("{}{again}", start(&exec(&["/bin/true"]), &token, true)).as_bytes());
    let answer = stream.rest();
    assert_eq!((status(&answer), answer.matches("HTTP/1.1 200 OK").count()), (200, 2), "{answer}");
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn what_follows_a_refused_raw_stream_is_no_request() {
    let (_image, gateway) = started("", None);
    let token = gateway.token(&["--role=operator"]);
    let reader = gateway.token(&["--role=read"]);
    let smuggled = format!("GET /v1.41/info HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    let id = "0".repeat(64);
    for (name, head, expected) in [
        ("an exec that is not there", start(&format!("/v1.41/exec/{id}/start"), &token, false), 404),
        ("an exec that is not allowed", start(&format!("/v1.41/exec/{id}/start"), &reader, false), 403),
        (
            "a container that is not there",
            format!(
                "POST /v1.41/containers/{id}/attach?stream=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
            ),
            404,
        ),
        (
            "an attach that is not allowed",
            format!(
                "POST /v1.41/containers/{id}/attach?stream=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {reader}\r\n\r\n"
            ),
            403,
        ),
        (
            "a websocket",
            format!(
                "GET /v1.41/containers/{id}/attach/ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
            ),
            403,
        ),
    ] {
        let answer = gateway.raw(format!("{head}{smuggled}").as_bytes());
        assert_eq!(status(&answer), expected, "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
        assert!(answer.contains("Connection: close"), "{name}: {answer}");
        if name.starts_with("an exec") {
            assert!(answer.contains("{\"message\":"), "{name}: {answer}");
        }
    }
    assert!(!gateway.audit().iter().any(|line| line["operation"] == "SystemInfo"));
}

#[test]
fn clients_are_told_to_use_the_classic_builder() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options::before(&socket));
    let token = gateway.token(&["--role=operator"]);
    for method in ["GET", "HEAD"] {
        let answer = gateway.raw(
            format!(
                "{method} /_ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
            )
            .as_bytes(),
        );
        assert!(status(&answer) == 200 && answer.contains("Builder-Version: 1\r\n"), "{method}: {answer}");
    }
    for target in ["/v1.44/session", "/v1.44/grpc", "/v1.44/build?version=2"] {
        let (status, body) = gateway.request("POST", target, &[&format!("Authorization: Bearer {token}")], b"");
        assert!(status == 403 && body.contains("DOCKER_BUILDKIT=0"), "{target}: {status} {body}");
    }
}
