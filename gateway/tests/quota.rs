//! How many containers an owner may have, and with how much memory together:
//! counted by a real daemon, and not to be passed by two creates at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::process::Stdio;

use crate::process::engine::docker_socket;
use crate::process::harness::{Gateway, Options, PROGRAM};
use crate::tenants::{Image, Tenant, host, text};

const IMAGE: &str = "stockade-gateway-quota/busybox:1";

/// Three containers, and memory for two and a half of them.
const ROLES: &str = r#"
[role.few]
allow = ["class:read", "class:run", "class:change"]
quotas = { memory = "64m", containers = 3 }

[role.lean]
allow = ["class:read", "class:run", "class:change"]
quotas = { memory = "64m", total_memory = "160m" }
"#;

struct Site {
    _roles: tempfile::TempDir,
    gateway: Gateway,
}

fn site(socket: &std::path::Path, more: &str) -> Site {
    let roles = tempfile::tempdir().unwrap();
    std::fs::write(roles.path().join("roles.toml"), format!("{ROLES}{more}")).unwrap();
    let top = format!("roles = \"{}\"", roles.path().display());
    let gateway = Gateway::start(&Options { top: &top, ..Options::before(socket) });
    Site { _roles: roles, gateway }
}

fn owned(tenant: &Tenant<'_>) -> usize {
    host(&["ps", "-aq", "--filter", &format!("label=io.stockade.tenant={}", tenant.name)]).lines().count()
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn creates_at_once_do_not_pass_the_number_of_containers() {
    let socket = docker_socket();
    let _image = Image::named(IMAGE);
    let site = site(socket, "");
    let (one, other) = (Tenant::new(&site.gateway, "few", "few"), Tenant::new(&site.gateway, "more", "few"));
    let create = ["create", IMAGE, "/bin/true"];
    let started: Vec<_> =
        (0..8).map(|_| one.docker(&create).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).collect();
    let outputs: Vec<_> = started.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let (made, refused): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.status.success());
    assert_eq!((made.len(), refused.len(), owned(&one)), (3, 5, 3));
    for output in refused {
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = format!("the tenant {} has 3 of 3 containers", one.name);
        assert!(said.contains(&expected) && said.contains("(rule: role.few.quotas.containers)"), "{said}");
    }

    // Another tenant has places of its own, and one that is given back is free.
    other.said(&create);
    let id = text(made[0]);
    one.said(&["rm", &id]);
    one.said(&create);
    assert!(one.refused(&create).contains("quotas.containers"));
    assert_eq!((owned(&one), owned(&other)), (3, 1));
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn a_client_that_leaves_does_not_pass_the_number_of_containers() {
    let socket = docker_socket();
    let _image = Image::named(IMAGE);
    let site = site(socket, "");
    let tenant = Tenant::new(&site.gateway, "hasty", "few");
    let body = format!("{{\"Image\":\"{IMAGE}\",\"Cmd\":[\"/bin/true\"]}}");
    let request = format!(
        "POST /v1.41/containers/create HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        tenant.token,
        body.len()
    );
    for _ in 0..12 {
        // Gone before the answer.
        site.gateway.connect().send(request.as_bytes());
    }
    site.gateway.wait_for("all of them in the log", || {
        let done = |line: &&serde_json::Value| line["operation"] == "ContainerCreate" && line["event"] == "done";
        site.gateway.audit().iter().filter(done).count() == 12
    });
    // Those that hurry no more are told of what the others left.
    while tenant.docker(&["create", IMAGE, "/bin/true"]).output().unwrap().status.success() {}
    assert_eq!(owned(&tenant), 3);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn the_memory_of_all_containers_is_bounded() {
    let socket = docker_socket();
    let _image = Image::named(IMAGE);
    let site = site(socket, "");
    let tenant = Tenant::new(&site.gateway, "lean", "lean");
    let limit = |memory: &'static str| if memory.is_empty() { vec![] } else { vec!["--memory", memory] };
    let create = |name: &'static str, memory: &'static str| {
        [&["create", "--name", name][..], &limit(memory), &[IMAGE, "/bin/true"]].concat()
    };
    tenant.said(&create("one", ""));
    tenant.said(&create("two", "60m"));
    let said = tenant.refused(&create("three", ""));
    assert!(said.contains("(rule: role.lean.quotas.total_memory)"), "{said}");
    tenant.said(&create("three", "36m"));
    let update = |memory: &'static str| ["update", "--memory", memory, "--memory-swap", "120m", "three"];
    let said = tenant.refused(&update("40m"));
    assert!(said.contains("quotas.total_memory"), "{said}");
    tenant.said(&update("20m"));
    tenant.said(&create("four", "16m"));
    assert_eq!(owned(&tenant), 4);
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn without_a_tenant_the_containers_of_a_role_are_counted() {
    let socket = docker_socket();
    let _image = Image::named(IMAGE);
    let role = format!("solo{}", std::process::id());
    let more = format!("\n[role.{role}]\nallow = [\"class:run\"]\nquotas = {{ containers = 1 }}\n");
    let site = site(socket, &more);
    let token = site.gateway.token(&[&format!("--role={role}")]);
    let create = || {
        let body = format!("{{\"Image\":\"{IMAGE}\",\"Cmd\":[\"/bin/true\"]}}");
        let headers = [&*format!("Authorization: Bearer {token}"), "Content-Type: application/json"];
        site.gateway.request("POST", "/v1.41/containers/create", &headers, body.as_bytes())
    };
    let (first, second) = (create(), create());
    let label = format!("label=io.stockade.role={role}");
    let there = host(&["ps", "-aq", "--filter", &label]);
    host(&[&["rm", "-f"][..], &there.lines().collect::<Vec<_>>()].concat());
    assert_eq!((first.0, second.0, there.lines().count()), (201, 403, 1), "{first:?} {second:?}");
    assert!(second.1.contains(&format!("the role {role} has 1 of 1 containers")), "{second:?}");
}

#[test]
fn roles_are_checked_before_they_are_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        std::fs::write(dir.path().join("roles.toml"), text).unwrap();
        let mut command = std::process::Command::new(PROGRAM);
        let output = command.args(["check", "--roles"]).arg(dir.path().join("roles.toml")).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(check(ROLES), (true, String::new()));
    let (good, said) = check("[role.x]\nallow = []\nquotas = { container = 3 }\n");
    assert!(!good && said.contains("container") && said.contains("line 3"), "{said}");
    let (good, said) = check("[role.x]\nallow = []\nquotas = { total_memory = \"1g\" }\n");
    assert!(!good && said.contains("total_memory needs memory"), "{said}");
}
