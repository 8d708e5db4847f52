//! A daemon that hangs, at every stage of an answer, and clients that are slow
//! or end their side early.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::harness::{Gateway, Options, made_here, status};

/// Where it hangs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// It accepts, reads and says nothing.
    Silent,
    HalfAHead,
    HalfABody,
    /// A byte of the body every now and then.
    Dribbling,
    /// It answers after so many seconds.
    After(u64),
    /// The head at once, the rest after so many seconds.
    BodyAfter(u64),
}

/// A daemon that hangs, except when it is asked for its version, for a
/// container, or, where it answers pings, whether it is there.
struct Hanging {
    dir: tempfile::TempDir,
    closed: Arc<AtomicBool>,
}

impl Hanging {
    fn at(stage: Stage, pings: bool) -> Hanging {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("d.sock")).unwrap();
        let closed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&closed);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                std::thread::spawn(move || converse(stream, stage, pings, &told));
            }
        });
        Hanging { dir, closed }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("d.sock")
    }
}

fn answer(stream: &mut UnixStream, body: &str) {
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

fn converse(mut stream: UnixStream, stage: Stage, pings: bool, closed: &AtomicBool) {
    let (mut got, mut part) = (Vec::new(), [0; 4096]);
    loop {
        while !got.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut part) {
                Ok(count) if count > 0 => got.extend_from_slice(&part[..count]),
                _ => return,
            }
        }
        let line = String::from_utf8_lossy(&got).lines().next().unwrap_or_default().to_owned();
        got.clear();
        if line.contains("/version ") {
            answer(&mut stream, r#"{"Version":"29.6.0","ApiVersion":"1.52"}"#);
            continue;
        }
        if line.starts_with("GET /_ping ") && pings {
            answer(&mut stream, "OK");
            continue;
        }
        if line.contains("/containers/c1/json") {
            answer(&mut stream, &made_here(r#"{"StopTimeout":30}"#));
            continue;
        }
        match stage {
            Stage::Silent => {}
            Stage::HalfAHead => drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")),
            Stage::HalfABody => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[");
            }
            Stage::Dribbling => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
                while stream.write_all(b" ").is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
                closed.store(true, Ordering::SeqCst);
                return;
            }
            Stage::After(seconds) => {
                std::thread::sleep(Duration::from_secs(seconds));
                answer(&mut stream, "late");
                continue;
            }
            Stage::BodyAfter(seconds) => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                std::thread::sleep(Duration::from_secs(seconds));
                let _ = stream.write_all(b"3\r\n{}\n\r\n0\r\n\r\n");
                continue;
            }
        }
        // Nothing more comes but the end of the connection.
        if stream.read(&mut part).unwrap_or(0) == 0 {
            closed.store(true, Ordering::SeqCst);
            return;
        }
    }
}

fn before(daemon: &Hanging, limits: &str) -> Gateway {
    let socket = daemon.socket();
    Gateway::start(&Options { limits, ..Options::before(&socket) })
}

fn timed_out(gateway: &Gateway) -> bool {
    gateway.audit().iter().any(|line| line["rule"] == "daemon.timeout" || line["ended"] == "daemon timeout")
}

#[test]
fn an_answer_that_does_not_come_in_time_is_given_up() {
    let limits = "answer_seconds = 1\nslow_answer_seconds = 600";
    for stage in [Stage::Silent, Stage::HalfAHead, Stage::HalfABody, Stage::Dribbling] {
        let daemon = Hanging::at(stage, true);
        let gateway = before(&daemon, limits);
        for (who, tenant) in [("operator", None), ("tenant", Some("--tenant=a"))] {
            let token = gateway.token(&[&["--role=operator"], tenant.as_slice()].concat());
            daemon.closed.store(false, Ordering::SeqCst);
            let started = Instant::now();
            let head = format!(
                "GET /v1.44/containers/json HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            let answer = gateway.raw(head.as_bytes());
            assert!(started.elapsed() >= Duration::from_secs(1), "{stage:?} {who}: given up too early");
            // Nothing of a list begins before it was filtered.
            assert_eq!(status(&answer), 503, "{stage:?} {who}: {answer}");
            assert!(answer.contains("the Docker daemon has not answered within 1 s"), "{answer}");
            assert!(answer.contains("daemon.timeout"), "{answer}");
            gateway.wait_for("the end of the daemon's connection", || daemon.closed.load(Ordering::SeqCst));
        }
        gateway.wait_for("the line in the log", || timed_out(&gateway));
        assert_eq!(gateway.metric("daemon_timeouts_total"), 2, "{stage:?}");
    }
}

#[test]
fn a_daemon_that_accepts_no_connection_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.sock");
    // A backlog of one, which is full, and nobody who accepts.
    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    let address = rustix::net::SocketAddrUnix::new(&path).unwrap();
    rustix::net::bind(&socket, &address).unwrap();
    rustix::net::listen(&socket, 1).unwrap();
    let mut waiting = Vec::new();
    loop {
        let flags = rustix::net::SocketFlags::NONBLOCK;
        let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
        let one = rustix::net::socket_with(family, kind, flags, None).unwrap();
        match rustix::net::connect(&one, &address) {
            Ok(()) => waiting.push(one),
            Err(error) => break assert_eq!(error, rustix::io::Errno::AGAIN),
        }
    }
    let gateway = Gateway::start(&Options { limits: "answer_seconds = 1", ..Options::before(&path) });
    let token = gateway.token(&["--role=operator"]);
    for target in ["/v1.44/containers/json", "/v1.44/events", "/v1.44/containers/c1/logs?stdout=1"] {
        let (status, body) = gateway.get(target, &token);
        assert_eq!(status, 503, "{target}: {body}");
        assert!(body.contains("has not answered within 1 s") && body.contains("daemon.timeout"), "{body}");
    }
    // A signal is heard all the same.
    let mut gateway = gateway;
    gateway.signal("TERM");
    assert!(gateway.child.wait().unwrap().success());
}

#[test]
fn slow_work_has_longer_while_the_daemon_answers_others() {
    let limits = "answer_seconds = 4\nslow_answer_seconds = 8";
    for (pings, expected) in [(true, "within 8 s"), (false, "within 4 s")] {
        let daemon = Hanging::at(Stage::Silent, pings);
        let gateway = before(&daemon, limits);
        let auth = format!("Authorization: Bearer {}", gateway.token(&["--role=operator"]));
        for (method, target) in [("POST", "/v1.44/networks/prune"), ("DELETE", "/v1.44/images/x")] {
            let (status, body) = gateway.request(method, target, &[&auth], b"");
            assert_eq!(status, 503, "{target}: {body}");
            assert!(body.contains(expected), "{target}: {body}");
        }
    }
    // What comes within it counts.
    let daemon = Hanging::at(Stage::After(6), true);
    let gateway = before(&daemon, "answer_seconds = 4\nslow_answer_seconds = 600");
    let auth = format!("Authorization: Bearer {}", gateway.token(&["--role=operator"]));
    assert_eq!(gateway.request("POST", "/v1.44/networks/prune", &[&auth], b""), (200, "late".into()));
    // A container has the time to stop that was asked for, or that it was made with.
    for target in ["/v1.44/containers/c1/stop?t=60", "/v1.44/containers/c1/stop", "/v1.44/containers/c1/restart?t=-1"] {
        assert_eq!(gateway.request("POST", target, &[&auth], b""), (200, "late".into()), "{target}");
    }
    let (status, body) = gateway.request("POST", "/v1.44/containers/c1/stop?t=0", &[&auth], b"");
    assert!(status == 503 && body.contains("within 4 s"), "{status} {body}");
}

#[test]
fn streams_have_a_limit_for_their_head_and_none_for_what_follows() {
    let daemon = Hanging::at(Stage::Silent, true);
    let gateway = before(&daemon, "answer_seconds = 1");
    let token = gateway.token(&["--role=operator"]);
    let auth = format!("Authorization: Bearer {token}");
    let json = "Content-Type: application/json";
    for (method, target, body) in [
        ("GET", "/v1.44/events", ""),
        ("GET", "/v1.44/containers/c1/logs?follow=1&stdout=1", ""),
        ("GET", "/v1.44/containers/c1/stats", ""),
        ("POST", "/v1.44/containers/c1/attach?stream=1&stdout=1", ""),
    ] {
        let (status, answer) = gateway.request(method, target, &[&auth, json], body.as_bytes());
        assert!(status == 503 && answer.contains("within 1 s"), "{target}: {status} {answer}");
    }
    // Silence after the head is what a stream is like, and a pull takes what it takes.
    let daemon = Hanging::at(Stage::BodyAfter(4), false);
    let gateway = before(&daemon, "answer_seconds = 1");
    let auth = format!("Authorization: Bearer {}", gateway.token(&["--role=operator"]));
    assert_eq!(gateway.request("GET", "/v1.44/events", &[&auth], b""), (200, "3\r\n{}\n\r\n0\r\n\r\n".into()));
    let daemon = Hanging::at(Stage::After(4), false);
    let gateway = before(&daemon, "answer_seconds = 1");
    let auth = format!("Authorization: Bearer {}", gateway.token(&["--role=operator"]));
    assert_eq!(gateway.request("POST", "/v1.44/containers/c1/wait", &[&auth], b""), (200, "late".into()));
}

#[test]
fn a_client_that_reads_slowly_is_not_taken_for_a_daemon_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("d.sock")).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut part = [0; 4096];
                while stream.read(&mut part).is_ok_and(|count| count > 0) {
                    if part.starts_with(b"GET /version ") {
                        answer(&mut stream, r#"{"Version":"29.6.0","ApiVersion":"1.52"}"#);
                    } else {
                        answer(&mut stream, &"x".repeat(30 << 20));
                    }
                }
            });
        }
    });
    let socket = dir.path().join("d.sock");
    let gateway = Gateway::start(&Options { limits: "answer_seconds = 3", ..Options::before(&socket) });
    let token = gateway.token(&["--role=operator"]);
    let mut stream = gateway.connect();
    let head =
        format!("GET /v1.44/info HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.send(head.as_bytes());
    stream.until("\r\n\r\n");
    std::thread::sleep(Duration::from_secs(8));
    assert!(stream.rest().len() > 29 << 20, "the answer was cut");
    assert!(!timed_out(&gateway));
}

#[test]
fn a_client_that_ends_its_side_still_gets_its_answer() {
    let daemon = Hanging::at(Stage::After(1), true);
    let gateway = before(&daemon, "");
    let token = gateway.token(&["--role=operator"]);
    let head = format!("GET /v1.44/containers/json HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut tls = gateway.connect();
    tls.send(head.as_bytes());
    tls.0.conn.send_close_notify();
    tls.0.flush().unwrap();
    assert!(tls.rest().ends_with("late"));
    let mut plain = UnixStream::connect(gateway.path("local.sock")).unwrap();
    plain.write_all(head.as_bytes()).unwrap();
    plain.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("late"), "{answer}");
    // A stream has ended with its client, as the daemon has it.
    let daemon = Hanging::at(Stage::BodyAfter(600), true);
    let gateway = before(&daemon, "");
    let token = gateway.token(&["--role=operator"]);
    let mut tls = gateway.connect();
    tls.send(format!("GET /v1.44/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes());
    tls.0.conn.send_close_notify();
    tls.0.flush().unwrap();
    gateway.wait_for("its end", || gateway.audit().iter().any(|line| line["ended"] == "client gone"));
}

#[test]
fn a_client_that_sends_on_during_a_stream_does_not_hide_its_end() {
    let daemon = Hanging::at(Stage::BodyAfter(600), true);
    let gateway = before(&daemon, "");
    let token = gateway.token(&["--role=operator"]);
    let mut tls = gateway.connect();
    tls.send(format!("GET /v1.44/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n").as_bytes());
    let _ = tls.0.write_all(&vec![b'x'; 1 << 20]);
    drop(tls);
    gateway.wait_for("its end", || gateway.audit().iter().any(|line| line["ended"] == "client gone"));
    assert_eq!(gateway.metric("streams"), 0);
}
