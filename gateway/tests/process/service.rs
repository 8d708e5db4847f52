//! The endpoints that are the gateway's own.

use super::harness::{FakeDaemon, Gateway, Options, PROGRAM};
use super::redis::Redis;
use std::io::Write;
use std::process::{Command, Stdio};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

#[test]
fn refresh_reuse_revocation_and_metrics() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options { limits: "attempts_per_client = 0", ..Options::before(&socket) });
    let given = gateway.issue(&["--role=operator", "--with-refresh"]);
    let refresh = given["refresh_token"].as_str().unwrap();
    let form = format!("grant_type=refresh_token&refresh_token={refresh}");
    let (status, body) = gateway.request("POST", "/token", &[FORM], form.as_bytes());
    assert_eq!(status, 200, "{body}");
    let renewed: serde_json::Value = serde_json::from_str(&body).unwrap();
    let access = renewed["access_token"].as_str().unwrap();
    assert_eq!(gateway.get("/_ping", access).0, 200);

    let (status, body) = gateway.request("GET", "/.well-known/jwks.json", &[], b"");
    assert_eq!(status, 200);
    assert!(body.contains("\"OKP\"") && !body.contains("\"d\""), "{body}");
    assert_eq!(gateway.request("GET", "/healthz", &[], b""), (200, "ok\n".into()));
    assert_eq!(gateway.request("GET", "/metrics", &[], b"").0, 401);
    let (status, page) = gateway.get("/metrics", access);
    assert_eq!(status, 200);
    assert!(page.contains("stockade_gateway_requests_total{operation=\"SystemPing\",decision=\"allow\"} 1"), "{page}");
    let reader = gateway.token(&["--role=read", "--tenant=a"]);
    assert_eq!(gateway.get("/metrics", &reader).0, 403);

    let form = format!("token={}", renewed["refresh_token"].as_str().unwrap());
    assert_eq!(gateway.request("POST", "/revoke", &[FORM], form.as_bytes()).0, 200);
    assert_eq!(gateway.get("/_ping", access).0, 401);
}

#[test]
fn an_opaque_token_works_until_it_is_revoked() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options::before(&socket));
    let given = gateway.issue(&["--role=operator", "--opaque"]);
    let token = given["access_token"].as_str().unwrap();
    assert_eq!(gateway.get("/_ping", token).0, 200);
    assert_eq!(gateway.get("/_ping", &format!("{token}x")).0, 401);
    gateway.revoke(given["session"].as_str().unwrap());
    assert_eq!(gateway.get("/_ping", token).0, 401);
}

#[test]
fn no_token_is_issued_for_a_role_that_is_not_there() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options::before(&socket));
    for role in ["reader", "Read", "read ", "class:read"] {
        let told = gateway.admin(&serde_json::json!({ "command": "issue", "subject": "ann", "role": role }));
        assert_eq!(told["ok"], false, "{told}");
        let error = told["error"].as_str().unwrap();
        assert!(error.ends_with("the roles are: deploy, operator, read"), "{error}");
    }
    let listed = gateway.admin(&serde_json::json!({ "command": "list" }));
    assert_eq!(listed["result"], serde_json::json!([]));
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_redis_without_a_password_is_not_used_unless_it_is_asked_for() {
    let redis = Redis::start_with(&[]);
    let daemon = FakeDaemon::start();
    let (socket, store) = (daemon.socket(), redis.url());
    let gateway = Gateway::start(&Options::before(&socket));
    let text = std::fs::read_to_string(gateway.path("gateway.toml")).unwrap();
    let own = format!("redb:{}", gateway.path("store.redb").display());
    let other = gateway.path("other.toml");
    let unix = gateway.path("redis.sock");
    let settings = ["--unixsocket", unix.to_str().unwrap()];
    let on_socket = Redis::start_with(&settings);
    let nopass = ["--user", "default", "on", "nopass", "~*", "&*", "+@all"];
    let of_acl = Redis::start_with(&nopass);
    // A user `default` who may do nothing needs no password all the same.
    let rights =
        ["--user", "default", "on", "nopass", "-@all", "--user", "gateway", "on", ">right", "~*", "&*", "+@all"];
    let of_little = Redis::start_with(&rights);
    let little = format!("redis://gateway:right@127.0.0.1:{}/0", of_little.port);
    for store in [&store, &format!("redis+unix://{}", unix.display()), &of_acl.url(), &little] {
        std::fs::write(
            &other,
            text.replace(&own, store).replace("local.sock", "l2.sock").replace("admin.sock", "a2.sock"),
        )
        .unwrap();
        let out = Command::new(PROGRAM).args(["serve", "--config"]).arg(&other).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{store}: {said}");
        assert!(said.contains("lets in without a password") && said.contains("requirepass"), "{store}: {said}");
        assert!(!said.contains("listening"), "{said}");
    }
    drop((on_socket, of_acl));
    let insecure =
        Gateway::start(&Options { store: Some(&store), serve: &["--insecure-store"], ..Options::before(&socket) });
    let token = insecure.token(&["--role=operator"]);
    assert_eq!(insecure.get("/_ping", &token).0, 200);
    insecure.wait_for("the notice", || insecure.said().contains("--insecure-store"));
    assert!(insecure.audit().iter().any(|line| line["rule"] == "store.insecure" && line["operation"] == "serve"));
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_redis_that_loses_its_password_is_as_good_as_gone_until_it_has_one() {
    let mut redis = Redis::start();
    let daemon = FakeDaemon::start();
    let (socket, store) = (daemon.socket(), redis.url());
    let gateway =
        Gateway::start(&Options { store: Some(&store), limits: "attempts_per_client = 0", ..Options::before(&socket) });
    let token = gateway.token(&["--role=operator"]);
    assert_eq!(gateway.get("/_ping", &token).0, 200);
    // While it runs, and when it starts.
    assert_eq!(redis.cli(&["CONFIG", "SET", "requirepass", ""]).trim(), "OK");
    gateway.wait_for("the refusal", || gateway.get("/_ping", &token).0 == 503);
    assert_eq!(redis.cli(&["CONFIG", "SET", "requirepass", super::redis::PASSWORD]).trim(), "OK");
    gateway.wait_for("the store", || gateway.get("/_ping", &token).0 == 200);
    redis.kill();
    redis.set_password("");
    redis.restart();
    gateway.wait_for("the reason", || {
        let (status, body) = gateway.get("/_ping", &token);
        assert_eq!(status, 503, "{body}");
        let told = gateway.admin(&serde_json::json!({ "command": "list" }));
        told["error"].as_str().is_some_and(|error| error.contains("lets in without a password"))
    });
    redis.kill();
    redis.set_password(super::redis::PASSWORD);
    redis.restart();
    gateway.wait_for("the store", || gateway.get("/_ping", &token).0 == 200);
}

#[test]
fn a_token_is_checked_before_anything_is_told() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options { limits: "attempts_per_client = 0", ..Options::before(&socket) });
    let token = gateway.token(&["--role=read"]);
    let (head, _) = token.rsplit_once('.').unwrap();
    for wrong in ["x", "a.b.c", &format!("{head}.AAAA"), &format!("{token}A"), &token.replace('.', "")] {
        assert_eq!(gateway.get("/v1.44/containers/json", wrong).0, 401, "{wrong}");
        assert_eq!(gateway.get("/v1.44/no/such/route", wrong).0, 401, "{wrong}");
    }
    assert_eq!(gateway.get("/v1.44/no/such/route", &token).0, 403);
    assert_eq!(
        gateway.request("POST", "/v1.44/containers/prune", &[&format!("Authorization: Bearer {token}")], b"").0,
        403
    );
    assert_eq!(daemon.requests(), Vec::<String>::new());
    gateway.wait_for("a line for each", || {
        gateway.audit().iter().filter(|line| line["rule"] == "token.invalid").count() == 10
    });
}

#[test]
fn verify_judges_by_a_key_set_by_a_configuration_or_by_both() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options::before(&socket));
    let token = gateway.token(&["--role=read", "--tenant=shop"]);
    let (keys, strangers) = (gateway.path("jwks.json"), gateway.path("strangers.json"));
    std::fs::write(&keys, gateway.request("GET", "/.well-known/jwks.json", &[], b"").1).unwrap();
    std::fs::write(&strangers, "{\"keys\":[]}").unwrap();
    let (ours, other) = (gateway.path("gateway.toml"), gateway.path("other.toml"));
    let text = std::fs::read_to_string(&ours).unwrap();
    // Keys of its own it does not need where they are given.
    let text = text.replace("audience = \"gateway.test\"", "audience = \"other.test\"").replace("/keys\"", "/none\"");
    std::fs::write(&other, text).unwrap();
    let [keys, strangers, ours, other] = [&keys, &strangers, &ours, &other].map(|path| path.to_str().unwrap());

    for (words, ok, reason) in [
        (&["--jwks", keys][..], true, ""),
        (&["--jwks", keys, "--signature-only"], true, ""),
        (&["--config", ours], true, ""),
        (&["--jwks", keys, "--config", ours], true, ""),
        (&["--jwks", strangers, "--config", ours], false, "key"),
        (&["--jwks", keys, "--config", other], false, "aud"),
        (&["--jwks", strangers, "--signature-only"], false, "key"),
    ] {
        let mut command = Command::new(PROGRAM);
        command.arg("verify").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{token}\nnonsense\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{words:?}: a refused token is a verdict");
        let lines = String::from_utf8(output.stdout).unwrap();
        let verdicts: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [first, second] = &verdicts[..] else { panic!("{words:?}: {lines}") };
        assert_eq!(first["ok"], ok, "{words:?}: {lines}");
        assert!(first["reason"].as_str().unwrap().contains(reason), "{words:?}: {lines}");
        assert_eq!(first["claims"].get("tenant").is_some(), ok, "{words:?}: {lines}");
        assert_eq!(second["ok"], false, "{words:?}: {lines}");
    }
    let both = Command::new(PROGRAM).args(["verify", "--jwks", keys, "--signature-only", "--config", ours]).output();
    assert_eq!(both.unwrap().status.code(), Some(1), "what a signature alone says needs no configuration");
}
