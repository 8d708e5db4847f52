//! A Redis that answers late: requests wait for it or are refused, and none
//! hangs or is let through unasked.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::harness::{FakeDaemon, Gateway, Options};
use super::redis::Redis;

/// What a request may take beyond the store's own limit, on a busy machine.
const SLACK: Duration = Duration::from_secs(5);
/// How long a store may take to answer: the gateway's own limit.
const LIMIT: Duration = Duration::from_secs(3);

/// Passes bytes to a port, and what comes back after a while.
struct Delay {
    port: u16,
    millis: Arc<AtomicU64>,
}

impl Delay {
    fn before(target: u16) -> Delay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, millis) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU64::new(0)));
        let delay = Arc::clone(&millis);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", target)) {
                    pass(client, server, &delay);
                }
            }
        });
        Delay { port, millis }
    }

    fn set(&self, millis: u64) {
        self.millis.store(millis, Ordering::SeqCst);
    }
}

/// Each answer is late by the same time, however many are under way.
fn pass(mut client: TcpStream, mut server: TcpStream, delay: &Arc<AtomicU64>) {
    let (mut to_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let (send, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    let delay = Arc::clone(delay);
    std::thread::spawn(move || {
        let mut part = [0; 65536];
        while let Ok(count @ 1..) = server.read(&mut part) {
            let at = Instant::now() + Duration::from_millis(delay.load(Ordering::SeqCst));
            if send.send((at, part[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (at, bytes) in due {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if to_client.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_slow_store_is_waited_for_within_its_limit_and_never_gone_round() {
    let redis = Redis::start();
    let daemon = FakeDaemon::start();
    let (socket, delay) = (daemon.socket(), Delay::before(redis.port));
    let store = redis.url_at(delay.port);
    let limits = "attempts_per_client = 0";
    let gateway = Gateway::start(&Options { limits, store: Some(&store), ..Options::before(&socket) });
    let given = gateway.issue(&["--role=operator", "--with-refresh"]);
    let token = given["access_token"].as_str().unwrap();
    let opaque = gateway.token(&["--role=operator", "--opaque"]);
    let revoked = gateway.issue(&["--role=operator"]);
    gateway.revoke(revoked["session"].as_str().unwrap());
    let revoked = revoked["access_token"].as_str().unwrap();
    let timed = |token: &str| {
        let start = Instant::now();
        let (status, body) = gateway.get("/_ping", token);
        (status, body, start.elapsed())
    };

    for millis in [100, 1000] {
        delay.set(millis);
        for token in [token, &opaque] {
            let (status, body, took) = timed(token);
            assert_eq!(status, 200, "{millis} ms: {body}");
            assert!(took >= Duration::from_millis(millis), "{millis} ms: it was not asked: {took:?}");
            assert!(took < LIMIT + SLACK, "{took:?}");
        }
        assert_eq!(timed(revoked).0, 401, "{millis} ms");
        // A revocation that was answered holds for the next request, however slow both are.
        let another = gateway.issue(&["--role=operator"]);
        gateway.revoke(another["session"].as_str().unwrap());
        assert_eq!(timed(another["access_token"].as_str().unwrap()).0, 401);
    }

    let before = daemon.requests().len();
    delay.set(5000);
    let slow = Instant::now();
    let mut statuses = Vec::new();
    while slow.elapsed() < 4 * LIMIT {
        for token in [token, &opaque, revoked] {
            let (status, body, took) = timed(token);
            assert!(status == 503 && body.contains("store"), "{status} {body}");
            assert!(took < LIMIT + SLACK, "it hung for {took:?}");
            statuses.push(status);
        }
    }
    assert!(statuses.len() >= 3);
    let form = format!("grant_type=refresh_token&refresh_token={}", given["refresh_token"].as_str().unwrap());
    let urlencoded = "Content-Type: application/x-www-form-urlencoded";
    let start = Instant::now();
    let (status, body) = gateway.request("POST", "/token", &[urlencoded], form.as_bytes());
    assert_eq!(status, 503, "{body}");
    assert!(start.elapsed() < 2 * LIMIT + SLACK);
    assert_eq!(daemon.requests().len(), before, "a request went through unasked");

    delay.set(0);
    let start = Instant::now();
    gateway.wait_for("recovery", || gateway.get("/_ping", token).0 == 200);
    println!("recovered after {:?}", start.elapsed());
    assert!(start.elapsed() < 2 * LIMIT + SLACK, "{:?}", start.elapsed());
    assert_eq!(timed(revoked).0, 401);
    assert_eq!(timed(&opaque).0, 200);
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_gateway_begins_before_a_slow_store() {
    let redis = Redis::start();
    let daemon = FakeDaemon::start();
    let (socket, delay) = (daemon.socket(), Delay::before(redis.port));
    let store = redis.url_at(delay.port);
    delay.set(5000);
    let gateway = Gateway::start(&Options { store: Some(&store), ..Options::before(&socket) });
    let ask = serde_json::json!({ "command": "issue", "subject": "x", "role": "operator" });
    assert_eq!(gateway.admin(&ask)["ok"], false);
    delay.set(1000);
    gateway.wait_for("a session", || gateway.admin(&ask)["ok"] == true);
    assert_eq!(gateway.get("/_ping", &gateway.token(&["--role=operator"])).0, 200);
}
