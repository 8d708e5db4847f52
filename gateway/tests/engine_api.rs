//! The tables of the policy against the Engine API's own description
//! (`data/engine-api.toml`, made by `engine_api/extract.py`): each operation of
//! each version from 1.41 to the newest is a route, and each member of its
//! query, headers and JSON body is allowed, left out or refused. What is
//! decided is written to `docs/engine-api.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use stockade_gateway::policy::routes::{API_OPERATIONS, Class, ROUTES, Route, of};
use stockade_gateway::policy::table::{Member, Place, Status, members, status};
use stockade_gateway::policy::{self, NEWEST, OLDEST};

/// The description: names, and the versions that have them.
#[derive(Deserialize)]
struct Api {
    oldest: String,
    newest: String,
    operation: BTreeMap<String, Operation>,
}

#[derive(Deserialize)]
struct Operation {
    request: String,
    versions: String,
    #[serde(default)]
    query: BTreeMap<String, String>,
    #[serde(default)]
    header: BTreeMap<String, String>,
    #[serde(default)]
    body: BTreeMap<String, String>,
}

impl Operation {
    fn places(&self) -> [(Place, &BTreeMap<String, String>); 3] {
        [(Place::Query, &self.query), (Place::Header, &self.header), (Place::Body, &self.body)]
    }
}

fn api() -> Api {
    toml::from_str(include_str!("data/engine-api.toml")).unwrap()
}

fn known(id: &str) -> policy::Operation {
    policy::Operation::of(id).unwrap_or_else(|| panic!("{id} is not in the table"))
}

#[test]
fn every_operation_of_every_version_is_a_route() {
    let api = api();
    assert_eq!((api.oldest.as_str(), api.newest.as_str()), (&*format!("1.{OLDEST}"), &*format!("1.{NEWEST}")));
    let newest = api.operation.values().filter(|operation| operation.versions.ends_with('-')).count();
    assert_eq!(newest, API_OPERATIONS);
    for (id, operation) in &api.operation {
        let route = of(known(id));
        let (method, path) = operation.request.split_once(' ').unwrap();
        // A variable's name is its own affair; `*` says that it may hold slashes.
        let plain = |path: &str| {
            let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
            parts.collect::<Vec<_>>().join("/")
        };
        assert_eq!((route.method, plain(route.path)), (method, plain(path)), "{id}");
    }
}

#[test]
fn every_member_of_every_version_is_allowed_left_out_or_refused() {
    let mut missing = Vec::new();
    for (id, operation) in &api().operation {
        for (place, names) in operation.places() {
            let unknown = names.keys().filter(|name| status(known(id), place, name).is_none());
            missing.extend(unknown.map(|name| format!("{id} {}: {name}", place.name())));
        }
    }
    assert!(missing.is_empty(), "not in the tables:\n{}", missing.join("\n"));
}

#[test]
#[ignore = "needs golang-github-docker-docker-dev and python3-yaml of Debian 12: tests/run.sh runs it"]
fn the_description_of_debians_package_holds_nothing_else() {
    let swagger = Path::new("/usr/share/gocode/src/github.com/docker/docker/api/swagger.yaml");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    assert!(swagger.exists(), "{} is not there: install golang-github-docker-docker-dev", swagger.display());
    let output = Command::new("python3")
        .arg(here.join("engine_api/extract.py"))
        .args(["--check", "1.41"])
        .args([swagger, &here.join("data/engine-api.toml")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_document_says_what_the_tables_do() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/engine-api.md");
    let text = document(&api());
    if std::env::var_os("STOCKADE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).find(|(is, should)| is != should);
    assert!(
        committed == text,
        "docs/engine-api.md is not current (first: {differs:?}); run this test with STOCKADE_WRITE_DOCS=1"
    );
}

fn document(api: &Api) -> String {
    let mut text = format!(
        "# The Engine API through the gateway\n\n\
         Made by `gateway/tests/engine_api.rs` from the gateway's tables and the Engine API's\n\
         descriptions of v{} to v{}; do not edit.\n\n\
         - **allowed**: checked and passed on, written anew. *Within* a setting of the role: checked against it.\n\
         - **ignored**: left out, since the daemon does not read it there.\n\
         - **refused**: 403 unless the value says nothing (null, false, 0, empty); *unless granted*: or the role has that grant.\n\n\
         A member that is not listed is refused. *Since* is the first version of the API that has a member; older than\n\
         v{} counts as that. Members that some clients send and the API does not describe have none.\n",
        api.oldest, api.newest, api.oldest
    );
    for route in ROUTES.iter().filter(|route| route.class != Class::Never) {
        let described = api.operation.get(route.operation.name());
        let _ =
            write!(text, "\n## {}\n\n`{} {}`, class {}", route.operation, route.method, route.path, route.class.name());
        let versions = described.map_or("1.41-", |operation| &operation.versions);
        if versions != "1.41-" {
            let _ = write!(text, ", since v{}", span(versions));
        }
        text.push_str(".\n");
        let rows = rows(route, described);
        if rows.is_empty() {
            continue;
        }
        text.push_str("\n| Member | In | Since | Through the gateway |\n|---|---|---|---|\n");
        for (member, since) in rows {
            let _ =
                writeln!(text, "| `{}` | {} | {since} | {} |", member.path, member.place.name(), words(member.status));
        }
    }
    let never = ROUTES.iter().filter(|route| route.class == Class::Never);
    text.push_str("\n## Refused whole\n\nThese operations are never forwarded, whatever the role.\n\n");
    text.push_str("| Operation | Request | Since |\n|---|---|---|\n");
    for route in never {
        let since =
            api.operation.get(route.operation.name()).map_or(String::new(), |operation| span(&operation.versions));
        let _ = writeln!(text, "| {} | `{} {}` | {since} |", route.operation, route.method, route.path);
    }
    text
}

/// The rows of an operation: what the API describes and what the tables know besides.
fn rows(route: &Route, described: Option<&Operation>) -> Vec<(Member, String)> {
    let mut rows: Vec<(Member, String)> = Vec::new();
    let known = members(route);
    for (place, names) in described.iter().flat_map(|operation| operation.places()) {
        for (name, versions) in names {
            let status = status(route.operation, place, name).unwrap_or(Status::Refused);
            rows.push((Member { place, path: name.clone(), status }, span(versions)));
        }
        for member in known.iter().filter(|member| member.place == place) {
            let listed = names.keys().any(|name| name.eq_ignore_ascii_case(&member.path) && place == Place::Header)
                || names.contains_key(&member.path);
            if !listed && member.path != "content-type" {
                rows.push((member.clone(), String::new()));
            }
        }
    }
    rows
}

fn span(versions: &str) -> String {
    versions.strip_suffix('-').map_or_else(|| versions.replace('-', " to "), str::to_owned)
}

fn words(status: Status) -> String {
    match status {
        Status::Allowed => "allowed".to_owned(),
        Status::Within(setting) => format!("allowed within `{setting}`"),
        Status::Ignored => "ignored".to_owned(),
        Status::SpellingOf(proper) => format!("read as `{proper}`"),
        Status::Grant(grant) => format!("refused unless granted `{grant}`"),
        Status::Refused => "refused".to_owned(),
    }
}
