//! Requests that can be read in two ways, and clients that take too much.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::harness::{FakeDaemon, Gateway, Options, status};

fn before_fake(limits: &str) -> (FakeDaemon, Gateway, String) {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options { limits, ..Options::before(&socket) });
    let token = gateway.token(&["--role=operator"]);
    (daemon, gateway, token)
}

#[test]
fn nothing_ambiguous_reaches_the_daemon() {
    let (daemon, gateway, token) = before_fake("attempts_per_client = 0");
    let auth = format!("Host: a\r\nAuthorization: Bearer {token}\r\n");
    let inner = format!("GET /v1.44/smuggled HTTP/1.1\r\n{auth}\r\n");
    for (name, bytes, expected) in [
        (
            "Content-Length, then Transfer-Encoding",
            format!(
                "POST /v1.44/containers/prune HTTP/1.1\r\n{auth}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
            ),
            400,
        ),
        (
            "Transfer-Encoding, then Content-Length",
            format!(
                "POST /v1.44/containers/prune HTTP/1.1\r\n{auth}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{inner}"
            ),
            400,
        ),
        (
            "two lengths",
            format!(
                "POST /v1.44/containers/prune HTTP/1.1\r\n{auth}Content-Length: 0\r\nContent-Length: 44\r\n\r\n{inner}"
            ),
            400,
        ),
        (
            "an odd coding",
            format!(
                "POST /v1.44/containers/prune HTTP/1.1\r\n{auth}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"
            ),
            400,
        ),
        (
            "a space before the colon",
            format!("POST /v1.44/containers/prune HTTP/1.1\r\n{auth}Content-Length : 5\r\n\r\n{inner}"),
            400,
        ),
        ("two Hosts", format!("GET /v1.44/containers/json HTTP/1.1\r\nHost: b\r\n{auth}\r\n"), 400),
        ("no Host", format!("GET /v1.44/containers/json HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n"), 400),
        ("HTTP/1.0", format!("GET /v1.44/containers/json HTTP/1.0\r\n{auth}\r\n"), 505),
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ("bare line feeds", format!("GET /v1.44/containers/json HTTP/1.1\n{}\n", auth.replace("\r\n", "\n")), 400),
        ("one bare line feed", format!("GET /v1.44/containers/json HTTP/1.1\r\n{auth}X: y\nZ: w\r\n\r\n"), 400),
        ("a folded line", format!("GET /v1.44/containers/json HTTP/1.1\r\n{auth}X: y\r\n z\r\n\r\n"), 400),
        ("CONNECT", format!("CONNECT docker:1 HTTP/1.1\r\n{auth}\r\n"), 400),
        ("an absolute target", format!("GET http://docker/v1.44/containers/json HTTP/1.1\r\n{auth}\r\n"), 400),
        ("a fragment", format!("GET /v1.44/containers/json#x HTTP/1.1\r\n{auth}\r\n"), 400),
        ("h2c", format!("POST /v1.44/session HTTP/1.1\r\n{auth}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), 403),
        ("a control byte", format!("GET /v1.44/containers/json HTTP/1.1\r\n{auth}X: \u{1}\r\n\r\n"), 400),
        (
            "a chunk extension",
            format!(
                "POST /v1.44/containers/create HTTP/1.1\r\n{auth}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"\r\n{{}}\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            "a trailer",
            format!(
                "POST /v1.44/containers/create HTTP/1.1\r\n{auth}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nX: y\r\n\r\n"
            ),
            400,
        ),
        ("two tokens", format!("GET /v1.44/containers/json HTTP/1.1\r\n{auth}Authorization: Bearer x\r\n\r\n"), 401),
        (
            "a token in the query",
            format!("GET /v1.44/containers/json?access_token={token} HTTP/1.1\r\nHost: a\r\n\r\n"),
            401,
        ),
        (
            "a body where none is taken",
            format!(
                "DELETE /v1.44/containers/c1 HTTP/1.1\r\n{auth}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}{inner}"
            ),
            400,
        ),
    ] {
        let answer = gateway.raw(bytes.as_bytes());
        assert_eq!(status(&answer), expected, "{name}: {answer}");
        assert_eq!(answer.matches("\r\n\r\n").count(), 1, "{name} was answered twice: {answer}");
    }
    assert_eq!(daemon.requests(), Vec::<String>::new(), "something reached the daemon");
}

#[test]
fn what_reaches_the_daemon_is_written_anew() {
    let (daemon, gateway, token) = before_fake("");
    let answer = gateway.raw(
        format!("GET /v1.44/containers/json?all=1 HTTP/1.1\r\nHost: evil\r\nAuthorization: Bearer {token}\r\nX-Forwarded-For: 1\r\nConnection: close, X-Y\r\nX-Y: z\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("Api-Version: 1.56\r\n"), "{answer}");
    let sent = String::from_utf8_lossy(&daemon.seen.lock().unwrap()).into_owned();
    assert!(sent.contains("GET /v1.44/containers/json?all="), "{sent}");
    for word in ["evil", "X-Forwarded", "X-Y", &token] {
        assert!(!sent.contains(word), "{word} reached the daemon: {sent}");
    }
}

#[test]
fn pipelined_requests_are_each_decided() {
    let (daemon, gateway, token) = before_fake("");
    let good = format!("GET /v1.44/containers/json HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    let bad = "GET /v1.44/images/json HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = gateway.raw(format!("{good}{good}{bad}{good}").as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 401 ").count(), 1, "{answer}");
    assert!(daemon.requests().iter().all(|line| line.contains("/containers/json")), "{:?}", daemon.requests());
}

#[test]
fn bytes_before_the_switch_are_refused() {
    let (daemon, gateway, token) = before_fake("");
    let body = r#"{"Detach":false,"Tty":false}"#;
    let start = format!(
        "POST /v1.44/exec/e1/start HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = gateway.raw(format!("{start}POST /v1.44/raw HTTP/1.1\r\n\r\n").as_bytes());
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.contains("hijack.early"), "{answer}");
    assert!(!daemon.requests().iter().any(|line| line.contains("/raw")), "{:?}", daemon.requests());

    let mut stream = gateway.connect();
    stream.send(start.as_bytes());
    stream.until("101 Switching Protocols");
    stream.send(b"ping");
    stream.until("ping");
    stream.0.conn.send_close_notify();
    stream.0.flush().unwrap();
    assert!(stream.rest().ends_with("input ended"), "the end of the input was not carried");
}

#[test]
fn a_head_that_does_not_end_is_cut_off() {
    // The handshake has to fit into it too, on a machine that is busy.
    let (_daemon, gateway, token) = before_fake("head_seconds = 5");
    let mut stream = gateway.connect();
    stream.send(format!("GET /_ping HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n").as_bytes());
    assert_eq!(status(&stream.rest()), 408);

    // Byte by byte it takes no longer.
    let mut slow = gateway.connect();
    slow.send(b"GET /_ping HTTP/1.1\r\nHost: a\r\nX: ");
    slow.0.sock.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let (mut answer, mut part) = (Vec::new(), [0; 1024]);
    let start = Instant::now();
    while !answer.ends_with(b"\"}") {
        assert!(start.elapsed() < Duration::from_secs(60), "it is never cut off: {}", String::from_utf8_lossy(&answer));
        if answer.is_empty() {
            slow.send(b"y");
        }
        if let Ok(count) = slow.0.read(&mut part) {
            answer.extend_from_slice(&part[..count]);
        }
    }
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 408);

    let mut silent = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(silent.read(&mut [0; 16]).unwrap_or(0), 0, "a connection without a handshake was kept");

    let answer = gateway.raw(format!("GET /_ping HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(40_000)).as_bytes());
    assert_eq!(status(&answer), 431, "{answer}");
}

#[test]
fn an_endless_body_is_cut_off() {
    let (daemon, gateway, token) = before_fake("");
    let head = format!(
        "POST /v1.44/containers/create HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    );
    // A client that writes to the end before it reads still gets the answer.
    let mut stream = gateway.connect();
    stream.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    for _ in 0..256 {
        stream.send(chunk.as_bytes());
    }
    let answer = stream.rest();
    assert_eq!(status(&answer), 413, "{answer}");
    // One that never stops is cut off all the same.
    let mut stream = gateway.connect();
    stream.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    let sent = (0..8192).take_while(|_| stream.0.write_all(chunk.as_bytes()).is_ok()).count();
    assert!(sent < 8192, "{} MB were taken", sent / 16);
    let answer = gateway.raw(format!("{head}Content-Length: 99999999999\r\n\r\n").as_bytes());
    assert_eq!(status(&answer), 413, "{answer}");
    assert_eq!(daemon.requests(), Vec::<String>::new());
}

#[test]
fn a_body_that_does_not_end_is_cut_off() {
    let (daemon, gateway, token) = before_fake("body_seconds = 1");
    let answer = gateway.raw(
        format!(
            "POST /v1.44/containers/create HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        )
        .as_bytes(),
    );
    assert_eq!(status(&answer), 408, "{answer}");
    assert_eq!(daemon.requests(), Vec::<String>::new());
}

#[test]
fn ten_thousand_connections_are_bounded() {
    let (_daemon, gateway, token) = before_fake("connections = 300\nconnections_per_client = 200\nhead_seconds = 120");
    // The test's own descriptors.
    let mut files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    files.current = files.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files).unwrap();
    let start = Instant::now();
    let mut kept = Vec::new();
    for _ in 0..10_000 {
        match TcpStream::connect(("127.0.0.1", gateway.port)) {
            Ok(stream) => kept.push(stream),
            // Descriptors of the test itself, or the listener's backlog.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    eprintln!("{} connections opened in {:?}", kept.len(), start.elapsed());
    assert!(kept.len() > 5_000, "only {} could be opened", kept.len());
    gateway.wait_for("refusals", || gateway.metric("connections_refused_total") as usize + 200 >= kept.len());
    assert!(gateway.metric("connections") <= 200);
    let memory = std::fs::read_to_string(format!("/proc/{}/status", gateway.child.id())).unwrap();
    let resident = memory.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().to_owned();
    eprintln!("resident: {resident}");
    drop(kept);
    gateway.wait_for("room for others", || gateway.metric("connections") < 100);
    assert_eq!(gateway.get("/_ping", &token).0, 200);
}

#[test]
fn rates_are_limited_by_token_and_by_address() {
    let (_daemon, gateway, token) = before_fake("requests_per_token = 1\nattempts_per_client = 1");
    // So many on one connection take far less time than their rate allows for.
    let ping = |more: &str| format!("GET /_ping HTTP/1.1\r\nHost: a\r\n{more}Authorization: Bearer {token}\r\n\r\n");
    let answers = gateway.raw(format!("{}{}", ping("").repeat(300), ping("Connection: close\r\n")).as_bytes());
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert!(statuses.starts_with(&["200", "200"]) && statuses.contains(&"429"), "{statuses:?}");
    let mut bad = Vec::new();
    while bad.len() < 100 && bad.last() != Some(&429) {
        bad.push(gateway.get("/_ping", "a.b.c").0);
    }
    assert!(bad.starts_with(&[401, 401]) && bad.ends_with(&[429]), "{bad:?}");
}
