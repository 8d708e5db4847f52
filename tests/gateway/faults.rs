//! What the gateway stands on goes away: the daemon, the store, the disk.

use std::io::Write;
use std::process::Command;

use super::harness::{FakeDaemon, Gateway, Options, PROGRAM};

#[test]
fn a_daemon_that_is_gone_is_told() {
    let gateway = Gateway::start(&Options::before(std::path::Path::new("/nonexistent/docker.sock")));
    let token = gateway.token(&["--role=operator"]);
    let (status, body) = gateway.get("/v1.44/containers/json", &token);
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("Docker daemon"), "{body}");
}

#[test]
fn a_full_disk_under_the_audit_log_refuses_requests() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options { audit: Some("/dev/full"), ..Options::before(&socket) });
    let token = gateway.token(&["--role=operator"]);
    // The first is let through: nothing is owed yet.
    gateway.get("/v1.44/containers/json", &token);
    gateway.wait_for("the failed write", || gateway.metric("audit_write_failures_total") > 0);
    let before = daemon.requests().len();
    let (status, body) = gateway.get("/v1.44/containers/json", &token);
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("audit log"), "{body}");
    assert_eq!(daemon.requests().len(), before, "a request went through without a line");
}

#[test]
fn a_store_that_is_gone_refuses_requests() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    // A port that nobody listens on, and that the kernel gives to nobody.
    let gateway = Gateway::start(&Options { store: Some("redis://127.0.0.1:1/0"), ..Options::before(&socket) });
    let keys = stockade::gateway::keys::KeySource::follow_dir(gateway.path("keys")).unwrap();
    let signer = stockade::gateway::token::Signer::new("https://gateway.test", "gateway.test", keys);
    let grant = stockade::gateway::token::Grant {
        subject: "tester".into(),
        tenant: None,
        role: "operator".into(),
        session: Some("ses_x".into()),
        lifetime: std::time::Duration::from_secs(300),
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (token, _) = signer.issue(&grant, now).unwrap();
    let (status, body) = gateway.get("/v1.44/containers/json", &token);
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("store"), "{body}");
    assert_eq!(daemon.requests(), Vec::<String>::new());
    gateway.wait_for("the metric", || gateway.metric("store_up") == 0);
}

#[test]
fn a_stop_lets_requests_end_and_takes_no_more() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let mut gateway = Gateway::start(&Options { limits: "drain_seconds = 300", ..Options::before(&socket) });
    let token = gateway.token(&["--role=operator"]);
    let body = r#"{"Detach":false,"Tty":false}"#;
    let mut stream = gateway.connect();
    stream.send(
        format!(
            "POST /v1.44/exec/e1/start HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    stream.until("101 Switching Protocols");
    gateway.signal("TERM");
    // The socket has a name that nobody else takes, unlike the port.
    let local = gateway.path("local.sock");
    gateway.wait_for("the end of listening", || std::os::unix::net::UnixStream::connect(&local).is_err());
    stream.send(b"still here");
    stream.until("still here");
    stream.0.conn.send_close_notify();
    stream.0.flush().unwrap();
    assert!(stream.rest().ends_with("input ended"));
    assert!(gateway.child.wait().unwrap().success());
}

#[test]
fn keys_and_certificate_are_loaded_anew_without_dropping_a_session() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options::before(&socket));
    let old = gateway.token(&["--role=operator"]);
    assert_eq!(gateway.get("/_ping", &old).0, 200);
    let mut stream = gateway.connect();
    let ping = format!("GET /_ping HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {old}\r\n\r\n");
    stream.send(ping.as_bytes());
    stream.until("OK");

    let rotated = Command::new(PROGRAM).args(["keys", "rotate"]).arg(gateway.path("keys")).output().unwrap();
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    super::harness::write_certificate(gateway.dir.path());
    gateway.signal("HUP");
    gateway.wait_for("the new certificate", || {
        std::panic::catch_unwind(|| gateway.get("/_ping", &old).0 == 200).unwrap_or(false)
    });
    stream.send(ping.as_bytes());
    stream.until("OK");
    let new = gateway.token(&["--role=operator"]);
    assert_ne!(new.split('.').next(), old.split('.').next(), "the new key does not sign");
    assert_eq!(gateway.get("/_ping", &new).0, 200);

    // A key file half written leaves the keys that were loaded in force.
    let signing = std::fs::read_dir(gateway.path("keys/signing")).unwrap().next().unwrap().unwrap().path();
    let mut file = std::fs::File::create(&signing).unwrap();
    file.write_all(b"{\"kty\":\"OKP\",").unwrap();
    gateway.signal("HUP");
    gateway.wait_for("the refusal of the key", || gateway.said().contains("nothing loaded, the old stay in force"));
    assert_eq!(gateway.get("/_ping", &new).0, 200);
    assert_eq!(gateway.get("/_ping", &old).0, 200);
}
