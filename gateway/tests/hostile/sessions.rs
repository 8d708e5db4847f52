//! Two gateways on one Redis: nothing that one gave counts at the other.

use serde_json::{Value, json};

use super::parties::judged;
use crate::process::harness::{FakeDaemon, Gateway, Options};
use crate::process::redis::Redis;

fn form(gateway: &Gateway, path: &str, headers: &[&str], body: &str) -> (u16, Value) {
    let mut all = vec!["Content-Type: application/x-www-form-urlencoded"];
    all.extend_from_slice(headers);
    let (status, text) = gateway.request("POST", path, &all, body.as_bytes());
    (status, serde_json::from_str(&text).unwrap_or_default())
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn no_session_or_token_of_one_gateway_counts_at_another() {
    let redis = Redis::start();
    let daemon = FakeDaemon::start();
    let url = redis.url();
    let start = |names: (&'static str, &'static str)| {
        let socket = daemon.socket();
        Gateway::start(&Options {
            store: Some(&url),
            names,
            limits: "attempts_per_client = 0",
            ..Options::before(&socket)
        })
    };
    let home = start(("https://home.test", "home.test"));
    let (mut tried, mut through) = (0, Vec::new());
    // Another audience, another issuer, both, and names that read alike when joined.
    for names in [
        ("https://home.test", "other.test"),
        ("https://other.test", "home.test"),
        ("https://other.test", "other.test"),
        ("https://home.testh", "ome.test"),
        ("https://home.tes", "thome.test"),
        ("https://HOME.test", "home.test"),
    ] {
        let other = start(names);
        let given = home.issue(&["--role=operator", "--with-refresh"]);
        let (access, refresh) = (given["access_token"].as_str().unwrap(), given["refresh_token"].as_str().unwrap());
        let mut opaque = home.issue(&["--role=operator", "--opaque"]);
        let opaque = opaque["access_token"].take().as_str().unwrap().to_owned();
        let mut row = |what: &str, got_through: bool| {
            tried += 1;
            if got_through {
                through.push(format!("{names:?}: {what}"));
            }
        };
        let exchange = format!("grant_type=refresh_token&refresh_token={refresh}");
        row("refresh", form(&other, "/token", &[], &exchange).0 == 200);
        row("access token", other.get("/_ping", access).0 == 200);
        row("opaque token", other.get("/_ping", &opaque).0 == 200);
        row("refresh token as an access token", other.get("/_ping", refresh).0 == 200);
        row("refresh token as an access token at home", home.get("/_ping", refresh).0 == 200);
        // A revocation answers 200 whatever it is given, and reaches nothing.
        for token in [refresh, access, opaque.as_str()] {
            let _ = form(&other, "/revoke", &[], &format!("token={token}"));
        }
        row("revocation of an access token", home.get("/_ping", access).0 != 200);
        row("revocation of an opaque token", home.get("/_ping", &opaque).0 != 200);
        let listed = other.admin(&json!({ "command": "list" }));
        row("list of sessions", listed.to_string().contains("operator"));
        // None of it has used the token up, or ended its family.
        let (status, next) = form(&home, "/token", &[], &exchange);
        row("the owner's refresh fails", status != 200);
        // A narrower or another role, audience or tenant is not to be had by asking.
        let next = next["refresh_token"].as_str().unwrap_or_default().to_owned();
        for more in
            ["scope=operator", "audience=other.test", "resource=https%3A%2F%2Fother.test", "role=operator", "tenant=x"]
        {
            let body = format!("grant_type=refresh_token&refresh_token={next}&{more}");
            row(more, form(&other, "/token", &[], &body).0 == 200);
        }
        row(
            "the owner's next refresh fails",
            form(&home, "/token", &[], &format!("grant_type=refresh_token&refresh_token={next}")).0 != 200,
        );
    }
    judged("sessions of two gateways", tried, &through);
}
