//! What the gateway stands on goes away: the daemon, the store, the disk.

use std::io::Write;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::harness::{FakeDaemon, Gateway, Options, PROGRAM, Tls};
use super::redis::Redis;

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
    let keys = stockade_gateway::keys::KeySource::follow_dir(gateway.path("keys")).unwrap();
    let signer = stockade_gateway::token::Signer::new("https://gateway.test", "gateway.test", keys);
    let grant = stockade_gateway::token::Grant {
        subject: "tester".into(),
        tenant: None,
        role: stockade_gateway::RoleName::parse("operator").unwrap(),
        session: Some("ses_x".into()),
        lifetime: Duration::from_secs(300),
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
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_store_that_dies_in_the_middle_of_traffic_lets_nothing_through_until_it_is_back() {
    let mut redis = Redis::start();
    let daemon = FakeDaemon::start();
    let (socket, store) = (daemon.socket(), redis.url());
    let limits = "requests_per_token = 0\nattempts_per_client = 0";
    let gateway = Gateway::start(&Options { limits, store: Some(&store), ..Options::before(&socket) });
    let given = gateway.issue(&["--role=operator", "--with-refresh"]);
    let token = given["access_token"].as_str().unwrap();
    let opaque = gateway.token(&["--role=operator", "--opaque"]);
    let revoked = gateway.issue(&["--role=operator"]);
    gateway.revoke(revoked["session"].as_str().unwrap());
    let revoked = revoked["access_token"].as_str().unwrap();
    let mut stream = Echo::open(&gateway, token);

    // 0: the store is there, 1: it is gone, 2: it is back, 9: between these.
    let phase = AtomicUsize::new(0);
    let seen = Mutex::new(Vec::new());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let began = phase.load(Ordering::SeqCst);
                    let (status, body) = gateway.get("/v1.44/containers/json", token);
                    let ended = phase.load(Ordering::SeqCst);
                    seen.lock().unwrap().push((began, ended, status, body));
                }
            });
        }
        let count = |began: usize, status: u16| {
            seen.lock().unwrap().iter().filter(|one| (one.0, one.2) == (began, status)).count()
        };
        gateway.wait_for("traffic", || count(0, 200) > 20);
        stream.echo("before");
        phase.store(9, Ordering::SeqCst);
        redis.kill();
        phase.store(1, Ordering::SeqCst);
        gateway.wait_for("refusals", || count(1, 503) > 20);
        gateway.wait_for("the metric", || gateway.metric("store_up") == 0);
        // What does not need the store is served, and what does is not.
        assert_eq!(gateway.request("GET", "/healthz", &[], b"").0, 200);
        assert_eq!(gateway.request("GET", "/.well-known/jwks.json", &[], b"").0, 200);
        let (status, body) = gateway.get("/v1.44/containers/json", &opaque);
        assert!(status == 503 && body.contains("store"), "{status} {body}");
        let form = format!("grant_type=refresh_token&refresh_token={}", given["refresh_token"].as_str().unwrap());
        let urlencoded = "Content-Type: application/x-www-form-urlencoded";
        assert_eq!(gateway.request("POST", "/token", &[urlencoded], form.as_bytes()).0, 503);
        let told = gateway.admin(&serde_json::json!({ "command": "issue", "subject": "x", "role": "read" }));
        assert_eq!(told["ok"], false);
        assert!(told["error"].as_str().unwrap().contains("redis://127.0.0.1:"), "{told}");
        // A stream that is open outlives its store by a moment, and no more.
        stream.ends();
        gateway.wait_for("its end in the log", || gateway.audit().iter().any(|line| line["ended"] == "store gone"));

        let requests = daemon.requests().len();
        assert_eq!(gateway.get("/v1.44/containers/json", token).0, 503);
        assert_eq!(daemon.requests().len(), requests, "a request reached the daemon");
        phase.store(9, Ordering::SeqCst);
        redis.restart();
        phase.store(2, Ordering::SeqCst);
        gateway.wait_for("recovery", || count(2, 200) > 20);
        done.store(true, Ordering::SeqCst);
        assert_eq!(gateway.get("/v1.44/containers/json", &opaque).0, 200);
        assert_eq!(gateway.get("/v1.44/containers/json", revoked).0, 401);
        assert_eq!(gateway.request("POST", "/token", &[urlencoded], form.as_bytes()).0, 200);
    });
    for (began, ended, status, body) in seen.into_inner().unwrap() {
        match (began, ended) {
            (0, 0) => assert_eq!(status, 200, "{body}"),
            (1, 1) => assert_eq!(status, 503, "let through without the store"),
            _ => assert!(status == 200 || status == 503, "{status} {body}"),
        }
        assert!(status == 200 || body.contains("store"), "{body}");
    }
    // Gone for a moment only, a stream may live on; it is never left without an end.
    let mut stream = Echo::open(&gateway, token);
    let gone = Instant::now();
    redis.kill();
    redis.restart();
    gateway.wait_for("the store", || gateway.get("/_ping", token).0 == 200);
    if gone.elapsed() < Duration::from_secs(4) {
        stream.echo("after");
    }
}

#[test]
fn a_store_that_cannot_be_written_gives_no_session_and_revokes_all_the_same() {
    let daemon = FakeDaemon::start();
    let (socket, dir) = (daemon.socket(), tempfile::tempdir().unwrap());
    let path = dir.path().join("store.redb");
    drop(stockade_gateway::store::RedbStore::open(&path).unwrap());
    // No file of the gateway's may grow beyond this: for the store as good as a full disk.
    let blocks = (std::fs::metadata(&path).unwrap().len() / 1024 + 64).to_string();
    let starter = ["bash", "-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "limit", &blocks];
    let store = format!("redb:{}", path.display());
    let options = Options { store: Some(&store), starter: &starter, ..Options::before(&socket) };
    let gateway = Gateway::start(&options);
    let given = gateway.issue(&["--role=operator", "--with-refresh"]);
    let other = gateway.issue(&["--role=operator"]);
    let ask = serde_json::json!({ "command": "issue", "subject": "x", "role": "read", "with_refresh": true });
    let refused = (0..100_000).map(|_| gateway.admin(&ask)).find(|answer| answer["ok"] == false);
    let why = refused.expect("the limit does not hold")["error"].as_str().unwrap().to_owned();
    assert!(why.contains("store.redb"), "{why}");

    // What is known is known; nothing is added, and nobody is let in for that.
    let token = given["access_token"].as_str().unwrap();
    assert_eq!(gateway.get("/_ping", token).0, 200);
    let form = format!("grant_type=refresh_token&refresh_token={}", given["refresh_token"].as_str().unwrap());
    let urlencoded = "Content-Type: application/x-www-form-urlencoded";
    let (status, body) = gateway.request("POST", "/token", &[urlencoded], form.as_bytes());
    assert_eq!(status, 503, "{body}");
    // The operator may be told that it was not written; it holds.
    gateway.admin(&serde_json::json!({ "command": "revoke", "id": given["session"] }));
    assert_eq!(gateway.get("/_ping", token).0, 401);
    assert_eq!(gateway.get("/_ping", other["access_token"].as_str().unwrap()).0, 200);
}

/// An exec whose input comes back as its output.
pub struct Echo(Tls);

impl Echo {
    pub fn open(gateway: &Gateway, token: &str) -> Echo {
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
        Echo(stream)
    }

    pub fn echo(&mut self, text: &str) {
        self.0.send(text.as_bytes());
        self.0.until(text);
    }

    /// Waits for its end, which is none of its own.
    pub fn ends(&mut self) {
        let rest = self.0.rest();
        assert!(!rest.contains("input ended"), "{rest}");
    }
}

#[test]
fn a_stop_lets_requests_end_and_takes_no_more() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let mut gateway = Gateway::start(&Options { limits: "drain_seconds = 300", ..Options::before(&socket) });
    let token = gateway.token(&["--role=operator"]);
    let Echo(mut stream) = Echo::open(&gateway, &token);
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
