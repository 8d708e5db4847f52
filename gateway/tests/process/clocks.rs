//! The wall clock jumps by an hour, both ways, while the gateway runs.

use std::path::Path;

use serde_json::Value;

use super::faults::Echo;
use super::harness::{FakeDaemon, Gateway, Options};
use super::redis::Redis;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// The library that makes a process read another wall clock; the monotonic one stays.
fn library() -> &'static str {
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("needs libfaketime (apt-get install faketime); without it, leave --include-ignored out")
}

/// A gateway with a clock that can be set.
struct Clocked {
    gateway: Gateway,
    file: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

fn with_clock(socket: &Path, store: Option<&str>, test: impl Fn(&mut Clocked, &Options<'_>)) {
    let library = library();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clock");
    std::fs::write(&file, "+0").unwrap();
    let env = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    // A key that was made long before: one that is younger than the clock's jump does not sign.
    let script = "sed -i 's/\"nbf\":[0-9]*/\"nbf\":1/' \"$(dirname \"${@: -1}\")\"/keys/signing/*; exec \"$@\"";
    let starter = ["bash", "-c", script, "older"];
    let limits = "attempts_per_client = 0";
    let options = Options { store, limits, env: &env, starter: &starter, ..Options::before(socket) };
    let gateway = Gateway::start(&options);
    test(&mut Clocked { gateway, file: file.clone(), _dir: dir }, &options);
}

impl Clocked {
    /// Sets the clock to so many seconds off the right time.
    fn set(&self, seconds: i64) {
        // Whole or not at all: it is read at each look at the clock.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}")).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
        // What the gateway stamps shows that it has the new time.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let ask = serde_json::json!({ "command": "issue", "subject": "clock", "role": "read", "opaque": true });
        self.gateway.wait_for("the new time", || {
            let given = self.gateway.admin(&ask);
            let id = given["result"]["session"].as_str().unwrap();
            let told = self.gateway.admin(&serde_json::json!({ "command": "inspect", "id": id }));
            let created = told["result"]["created"].as_i64().unwrap();
            (created - now as i64 - seconds).abs() < 120
        });
    }

    fn refresh(&self, token: &str) -> (u16, Value) {
        let form = format!("grant_type=refresh_token&refresh_token={token}");
        let (status, body) = self.gateway.request("POST", "/token", &[FORM], form.as_bytes());
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    fn ping(&self, token: &str) -> u16 {
        self.gateway.get("/_ping", token).0
    }
}

fn with_each_store(test: impl Fn(&mut Clocked, &Options<'_>) + Copy) {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    with_clock(&socket, None, test);
    let redis = Redis::start();
    with_clock(&socket, Some(&redis.url()), test);
}

fn text<'a>(given: &'a Value, member: &str) -> &'a str {
    given[member].as_str().unwrap()
}

#[test]
#[ignore = "needs libfaketime and redis-server: tests/run.sh runs it"]
fn no_revoked_token_comes_back_when_the_clock_jumps() {
    with_each_store(|clocked, options| {
        let gateway = &clocked.gateway;
        let live = gateway.issue(&["--role=operator", "--with-refresh"]);
        let (by_session, by_id) = (gateway.issue(&["--role=operator"]), gateway.issue(&["--role=operator"]));
        let opaque = gateway.issue(&["--role=operator", "--opaque", "--lifetime=7200"]);
        gateway.revoke(text(&by_session, "session"));
        gateway.revoke(text(&by_id, "token_id"));
        gateway.revoke(text(&opaque, "token_id"));
        let dead = [&by_session, &by_id, &opaque].map(|given| text(given, "access_token").to_owned());
        let all_dead = |clocked: &Clocked, when: &str| {
            for token in &dead {
                assert_eq!(clocked.ping(token), 401, "{when}: {token}");
            }
        };
        for seconds in [3600, -3600, 3600, 0] {
            clocked.set(seconds);
            all_dead(clocked, &format!("{seconds:+}"));
            // A start forgets what has expired by the clock of that moment.
            clocked.gateway.restart(options);
            all_dead(clocked, &format!("{seconds:+} and a start"));
        }
        assert_eq!(clocked.ping(text(&live, "access_token")), 200, "and what lives, lives");
        assert_eq!(clocked.refresh(text(&live, "refresh_token")).0, 200);
    });
}

#[test]
#[ignore = "needs libfaketime and redis-server: tests/run.sh runs it"]
fn a_used_refresh_token_is_reuse_whatever_the_clock_says() {
    with_each_store(|clocked, _| {
        for seconds in [-3600, 3600] {
            let given = clocked.gateway.issue(&["--role=operator", "--with-refresh"]);
            let first = text(&given, "refresh_token");
            let (status, renewed) = clocked.refresh(first);
            assert_eq!(status, 200, "{renewed}");
            clocked.set(seconds);
            assert_eq!(clocked.refresh(first).0, 400, "{seconds:+}: taken for a retry or a race");
            clocked.set(0);
            assert_eq!(clocked.refresh(text(&renewed, "refresh_token")).0, 400, "the family lives");
            assert_eq!(clocked.ping(text(&renewed, "access_token")), 401);

            // One that is current is exchanged at any time, and once.
            let given = clocked.gateway.issue(&["--role=operator", "--with-refresh"]);
            clocked.set(seconds);
            let (status, renewed) = clocked.refresh(text(&given, "refresh_token"));
            assert_eq!(status, 200, "{seconds:+}: {renewed}");
            clocked.set(0);
            assert_eq!(clocked.refresh(text(&given, "refresh_token")).0, 400);
            assert_eq!(clocked.refresh(text(&renewed, "refresh_token")).0, 400, "the family lives");
        }
    });
}

#[test]
#[ignore = "needs libfaketime and redis-server: tests/run.sh runs it"]
fn a_stream_lives_through_a_clock_that_runs_back_and_ends_by_one_that_is_ahead() {
    with_each_store(|clocked, _| {
        let given = clocked.gateway.issue(&["--role=operator"]);
        let mut stream = Echo::open(&clocked.gateway, text(&given, "access_token"));
        clocked.set(-3600);
        stream.echo("an hour ago");
        clocked.set(3600);
        // By then its token has ended, and its session with it.
        stream.ends();
        clocked.set(0);
        // Revoked while the clock is back, it ends at once.
        let given = clocked.gateway.issue(&["--role=operator"]);
        let mut stream = Echo::open(&clocked.gateway, text(&given, "access_token"));
        clocked.set(-3600);
        stream.echo("an hour ago");
        clocked.gateway.revoke(text(&given, "session"));
        stream.ends();
        clocked.set(0);
        assert_eq!(clocked.ping(text(&given, "access_token")), 401);
    });
}
