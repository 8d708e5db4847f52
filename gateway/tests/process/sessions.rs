//! Sessions are their gateway's: two on one store share them where they are
//! one to the outside (issuer and audience), and know nothing of each other else.

use serde_json::{Value, json};

use super::harness::{FakeDaemon, Gateway, Options};
use super::redis::Redis;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn refresh(gateway: &Gateway, token: &str) -> (u16, Value) {
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    let (status, body) = gateway.request("POST", "/token", &[FORM], form.as_bytes());
    (status, serde_json::from_str(&body).unwrap())
}

fn text<'a>(given: &'a Value, member: &str) -> &'a str {
    given[member].as_str().unwrap()
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_session_is_of_one_issuer_and_one_audience() {
    let redis = Redis::start();
    let daemon = FakeDaemon::start();
    let (socket, store) = (daemon.socket(), redis.url());
    let usual = Options { limits: "attempts_per_client = 0", store: Some(&store), ..Options::before(&socket) };
    let own = Gateway::start(&usual);
    for names in [("https://gateway.test", "other.test"), ("https://other.test", "gateway.test")] {
        let other = Gateway::start(&Options {
            names,
            ..Options { limits: usual.limits, store: usual.store, ..Options::before(&socket) }
        });
        let given = own.issue(&["--role=operator", "--with-refresh"]);
        let opaque = own.issue(&["--role=operator", "--opaque"]);
        let (session, first) = (text(&given, "session"), text(&given, "refresh_token"));

        // As an unknown token, to the letter, and nothing is changed by asking.
        let unknown = refresh(&other, &format!("sgr_{}", "a".repeat(43)));
        assert_eq!(unknown.0, 400);
        assert_eq!(refresh(&other, first), unknown, "{names:?}");
        let (status, renewed) = refresh(&own, first);
        assert_eq!(status, 200, "it was consumed elsewhere: {renewed}");
        // Reuse is told where the session lives, and does not end it from elsewhere.
        assert_eq!(refresh(&other, first), unknown);
        let access = text(&renewed, "access_token");
        assert_eq!(own.get("/_ping", access).0, 200, "the family was revoked from elsewhere");

        for token in [access, text(&opaque, "access_token")] {
            assert_eq!(other.get("/_ping", token).0, 401);
        }
        let unknown = other.get("/_ping", &format!("sga_{}", "a".repeat(43))).1;
        assert_eq!(other.get("/_ping", text(&opaque, "access_token")).1, unknown);
        for token in [access, text(&renewed, "refresh_token"), text(&opaque, "access_token")] {
            let form = format!("token={token}");
            assert_eq!(other.request("POST", "/revoke", &[FORM], form.as_bytes()).0, 200);
        }
        // The other's administrator neither sees nor ends it, by no identifier.
        let listed = other.admin(&json!({ "command": "list" }));
        assert_eq!(listed["result"], json!([]), "{names:?}");
        for command in ["inspect", "revoke"] {
            let told = other.admin(&json!({ "command": command, "id": session }));
            assert_eq!(told["error"], format!("there is no session {session}; it may have expired"), "{told}");
        }
        for id in [text(&given, "token_id"), text(&opaque, "token_id")] {
            other.admin(&json!({ "command": "revoke", "id": id }));
        }
        assert_eq!(own.get("/_ping", text(&opaque, "access_token")).0, 200);
        assert_eq!(own.get("/_ping", text(&given, "access_token")).0, 200);
        assert_eq!(refresh(&own, text(&renewed, "refresh_token")).0, 200);
        own.revoke(session);
        assert_eq!(own.get("/_ping", access).0, 401);
    }
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn gateways_with_the_same_names_share_their_sessions() {
    let redis = Redis::start();
    let daemon = FakeDaemon::start();
    let (socket, store) = (daemon.socket(), redis.url());
    let options = || Options { limits: "attempts_per_client = 0", store: Some(&store), ..Options::before(&socket) };
    let (one, two) = (Gateway::start(&options()), Gateway::start(&options()));
    let given = one.issue(&["--role=operator", "--with-refresh"]);
    let opaque = one.issue(&["--role=operator", "--opaque"]);
    assert_eq!(two.get("/_ping", text(&opaque, "access_token")).0, 200);
    let (status, renewed) = refresh(&two, text(&given, "refresh_token"));
    assert_eq!(status, 200, "{renewed}");
    assert_eq!(two.get("/_ping", text(&renewed, "access_token")).0, 200);
    two.revoke(text(&given, "session"));
    assert_eq!(one.get("/_ping", text(&given, "access_token")).0, 401);
    two.revoke(text(&opaque, "session"));
    assert_eq!(one.get("/_ping", text(&opaque, "access_token")).0, 401);
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_session_from_before_sessions_had_a_gateway_is_not_accepted() {
    let redis = Redis::start();
    let daemon = FakeDaemon::start();
    let (socket, store) = (daemon.socket(), redis.url());
    let gateway = Gateway::start(&Options { store: Some(&store), ..Options::before(&socket) });
    let given = gateway.issue(&["--role=operator", "--with-refresh"]);
    let access = text(&given, "access_token");
    assert_eq!(gateway.get("/_ping", access).0, 200);
    let key = format!("stockade:session:{}", text(&given, "session"));
    assert_eq!(redis.cli(&["HDEL", &key, "gateway"]).trim(), "1");
    assert_eq!(gateway.get("/_ping", access).0, 401);
    assert_eq!(refresh(&gateway, text(&given, "refresh_token")).0, 400);
    assert_eq!(gateway.admin(&json!({ "command": "list" }))["result"], json!([]));
}

#[test]
fn a_session_of_a_role_that_is_gone_is_not_refreshed_and_is_again_when_it_is_back() {
    let daemon = FakeDaemon::start();
    let (socket, dir) = (daemon.socket(), tempfile::tempdir().unwrap());
    let roles = dir.path().join("roles.toml");
    let of = |name: &str| format!("[role.{name}]\nallow = [\"class:read\"]\n");
    std::fs::write(&roles, of("watcher")).unwrap();
    let top = format!("roles = \"{}\"", roles.display());
    let options = Options { top: &top, limits: "attempts_per_client = 0", ..Options::before(&socket) };
    let gateway = Gateway::start(&options);
    let given = gateway.issue(&["--role=watcher", "--with-refresh"]);
    std::fs::write(&roles, of("other")).unwrap();
    gateway.signal("HUP");
    gateway.wait_for("the roles", || gateway.said().contains("loaded anew"));
    let (status, told) = refresh(&gateway, text(&given, "refresh_token"));
    assert_eq!((status, text(&told, "error")), (400, "invalid_grant"));
    assert!(text(&told, "error_description").contains("no role 'watcher'"), "{told}");
    std::fs::write(&roles, of("watcher")).unwrap();
    gateway.signal("HUP");
    gateway.wait_for("the roles", || gateway.said().matches("loaded anew").count() == 2);
    assert_eq!(refresh(&gateway, text(&given, "refresh_token")).0, 200);
}

#[test]
fn a_tenant_that_the_policy_would_refuse_gets_no_session() {
    let daemon = FakeDaemon::start();
    let socket = daemon.socket();
    let gateway = Gateway::start(&Options::before(&socket));
    for tenant in ["library", "a__b", "Shop", "shop-", "-shop", "a/b", "a b", &"a".repeat(64)] {
        for opaque in [false, true] {
            let told = gateway.admin(&json!({
                "command": "issue", "subject": "ann", "role": "read", "tenant": tenant, "opaque": opaque,
            }));
            assert_eq!(told["ok"], false, "{tenant}: {told}");
            assert!(text(&told, "error").contains("tenant"), "{told}");
        }
    }
    assert_eq!(gateway.admin(&json!({ "command": "list" }))["result"], json!([]));
    assert_eq!(
        gateway.admin(&json!({ "command": "issue", "subject": "a", "role": "read", "tenant": "shop" }))["ok"],
        true
    );
}
