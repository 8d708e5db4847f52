//! Roles: read strictly, default deny.

use super::*;
use crate::policy::{explain_as, roles_table};

#[test]
fn the_bundled_roles_are_read() {
    let policy = Policy::bundled().unwrap();
    assert_eq!(policy.roles().keys().collect::<Vec<_>>(), ["deploy", "operator", "read"]);
    assert_eq!(policy.roles()["deploy"].quotas.memory, Some(2 << 30));
}

#[test]
fn a_mistake_in_a_role_is_told_with_its_place() {
    for (text, told) in [
        ("[role.x]\nallow = []\nalow = 1\n", "line 3"),
        ("[role.x]\nallow = []\nquotas = { ram = 1 }\n", "ram"),
        ("[roles.x]\nallow = []\n", "roles"),
        ("[role.x]\nallow = [\"class:never\"]\n", "class:never"),
        ("[role.x]\nallow = [\"SwarmInit\"]\n", "SwarmInit"),
        ("[role.x]\nallow = [\"Contianer\"]\n", "Contianer"),
        ("[role.x]\nallow = []\ngrants = [\"all\"]\n", "all"),
        ("[role.x]\nallow = []\nports = \"9-1\"\n", "9-1"),
        ("[role.x]\nallow = []\nregistries = [\"https://x\"]\n", "https://x"),
        ("[role.x]\nallow = []\nbinds = [\"srv\"]\n", "srv"),
        ("[role.x]\nallow = []\nbinds = [\"/srv/..\"]\n", "/srv/.."),
        ("[role.x]\nallow = []\nquotas = { memory = \"2q\" }\n", "2q"),
        ("[role.x]\nallow = []\nquotas = { cpus = -1.0 }\n", "cpus"),
        ("[role.x]\nallow = []\nquotas = { pids = 0 }\n", "pids"),
    ] {
        let error = Policy::from_text("mine.toml", text).unwrap_err().to_string();
        assert!(error.contains(told) && error.contains("mine.toml"), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_role_may_only_what_it_lists() {
    let read = identity("read", Some("team"));
    let policy = Policy::bundled().unwrap();
    for (method, target, allowed) in [
        ("GET", "/v1.47/containers/json", true),
        ("GET", "/v1.47/containers/web/logs?stdout=1", true),
        ("POST", "/v1.47/containers/web/start", false),
        ("DELETE", "/v1.47/containers/web", false),
        ("GET", "/v1.47/images/search?term=x", false),
        ("GET", "/v1.47/containers/web/export", false),
    ] {
        let result = ask(method, target).by(&policy, &read, &Daemon::usual()).await;
        assert_eq!(result.is_ok(), allowed, "{method} {target}");
    }
    let unknown = identity("nobody", Some("team"));
    let result = ask("GET", "/_ping").by(&policy, &unknown, &Daemon::usual()).await;
    assert_eq!(result.unwrap_err().rule, "role.unknown");
}

#[tokio::test]
async fn explain_tells_the_rule() {
    let policy = Policy::bundled().unwrap();
    let text = explain_as(&policy, "read", Some("team"), "POST /v1.47/containers/web/start", b"", None).await;
    assert!(text.starts_with("refused: ContainerStart: 403 by role.read.allow"), "{text}");
    let text = explain_as(&policy, "deploy", Some("team"), "GET /v1.47/networks", b"", None).await;
    assert!(
        text.starts_with("allowed: NetworkList by role.deploy.class:read\nsent as: GET /v1.47/networks?filters="),
        "{text}"
    );
    let text = explain_as(&policy, "deploy", Some("team"), "POST /v1.47/containers/web/start", b"", None).await;
    assert!(text.contains("depends on which containers the tenant has"), "{text}");
    let daemon = Daemon::usual();
    let body = create_body(json!({"Privileged": true}));
    let text =
        explain_as(&policy, "deploy", Some("team"), "POST /v1.47/containers/create", body.as_bytes(), Some(&daemon))
            .await;
    assert!(text.contains("by create.HostConfig.Privileged"), "{text}");
    let text =
        explain_as(&policy, "operator", None, "POST /v1.47/containers/web/attach?stream=1", b"", Some(&daemon)).await;
    assert!(text.contains("answer: the connection, both ways"), "{text}");
    assert!(explain_as(&policy, "deploy", None, "nonsense", b"", None).await.starts_with("refused"));
}

#[test]
fn the_table_of_roles_names_every_operation() {
    let table = roles_table(&Policy::bundled().unwrap());
    for route in &crate::policy::routes::ROUTES {
        assert!(table.contains(route.operation.name()), "{}", route.operation);
    }
    assert!(table.contains("| ContainerCreate `POST /containers/create` | run | yes | yes |  |"), "{table}");
}
