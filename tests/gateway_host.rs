//! The gateway on its host: what the bundled playbook says for each choice of
//! variables, and the whole path on a real host: certificates, apply, a token
//! over SSH, and an ordinary Docker client through `stockade connect`.
//!
//! Without a Docker engine on this machine the second part says SKIP and why;
//! with STOCKADE_NO_SKIP=1 it fails instead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use stockade::authority::Authority;
use stockade::playbook::{self, HostScope, Step};
use stockade::resource::{self, Assets, KINDS};
use stockade::values::{Diagnostic, EnvKey, Secret};

struct Files<'a>(&'a Step);

impl Assets for Files<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.files.read(path)
    }
    fn render(&self, path: &str) -> Result<String, String> {
        self.0.files.render(path)
    }
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        self.0.files.glob(pattern)
    }
    fn stage_env(&self) -> Option<&BTreeMap<EnvKey, Secret>> {
        None
    }
}

/// A project with an authority and a program, and the steps of a playbook of
/// its that uses a bundled one. Every resource must be sound.
fn steps(bundled: &str, with: &str) -> Result<Vec<Step>, Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::at(folder.path().join("ca"));
    authority.init("a test").unwrap();
    authority.issue("web1", &["web1".to_owned()], 10, false).unwrap();
    std::fs::write(folder.path().join("program"), "#!/bin/sh\n").unwrap();
    let file = folder.path().join("playbook.toml");
    let text = format!("vars.gateway_binary = \"program\"\n[[step]]\nuse = \"{bundled}\"\nwith = {with}\n");
    std::fs::write(&file, text).unwrap();
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let facts = json!({ "os": { "id": "ubuntu", "codename": "noble" }, "login_port": 22 });
    let scope = HostScope {
        host: "web1".into(),
        address: "192.0.2.1".into(),
        facts: Some(facts),
        stage: Some(("prod".into(), playbook::Vars::new())),
        ..HostScope::default()
    };
    let steps = playbook::load(&file, &kinds)?.render(&scope)?;
    for step in &steps {
        assert!(!step.unknown, "{}", step.id);
        let kind = resource::kind(&step.kind).unwrap();
        resource::build(kind, &step.table, &Files(step))?;
    }
    Ok(steps)
}

fn tables(steps: &[Step], kind: &str) -> Vec<Value> {
    steps.iter().filter(|step| step.kind == kind).map(|step| step.table.to_json()).collect()
}

fn by<'a>(tables: &'a [Value], field: &str, value: &str) -> &'a Value {
    tables.iter().find(|table| table[field] == value).unwrap_or_else(|| panic!("no {field} = {value}: {tables:?}"))
}

#[test]
fn keys_of_certificate_and_tokens_are_for_the_gateways_user_alone() {
    let steps = steps("gateway", "{}").unwrap();
    let files = tables(&steps, "file");
    let key = by(&files, "path", "/etc/stockade-gateway/tls/server.key");
    assert_eq!((&key["owner"], &key["mode"]), (&json!("stockade-gateway"), &json!("0600")));
    let step = steps.iter().find(|step| step.table.to_json() == *key).unwrap();
    assert!(step.sensitive, "its content would be shown in a diff");
    let folders = tables(&steps, "directory");
    assert_eq!(by(&folders, "path", "/etc/stockade-gateway/keys")["mode"], "0700");
    assert_eq!(by(&folders, "path", "/etc/stockade-gateway")["mode"], "0750");
    for command in tables(&steps, "command") {
        assert_eq!(command["as"], "stockade-gateway", "{command}");
    }
}

#[test]
fn the_settings_are_toml_with_what_was_chosen() {
    let with =
        "{ gateway_listen = [\"127.0.0.1:9\", \"[::1]:9\"], gateway_audience = \"x\", gateway_max_lifetime = 60 }";
    let steps = steps("gateway", with).unwrap();
    let step = steps.iter().find(|step| step.table.to_json()["path"] == "/etc/stockade-gateway/gateway.toml").unwrap();
    let text = step.files.render("gateway.toml.tera").unwrap();
    let settings: toml::Table = text.parse().unwrap();
    assert_eq!(settings["listen"], toml::Value::try_from(["127.0.0.1:9", "[::1]:9"]).unwrap());
    assert_eq!(settings["audience"].as_str(), Some("x"));
    assert_eq!(settings["issuer"].as_str(), Some("https://web1"));
    assert_eq!(settings["token"]["max_lifetime"].as_integer(), Some(60));
}

#[test]
fn the_firewall_lets_in_whom_it_is_told_and_nobody_where_it_is_left_alone() {
    let rules = |with: &str| tables(&steps("gateway", with).unwrap(), "firewall");
    let with = "{ gateway_port = 99, gateway_allow_from = [\"192.0.2.0/24\", \"2001:db8::/32\"] }";
    let [one, two] = &rules(with)[..] else { panic!("two steps") };
    assert_eq!(one["rules"], json!([{ "allow": "99/tcp", "from": "192.0.2.0/24", "comment": "token gateway" }]));
    assert_eq!(two["rules"][0]["from"], "2001:db8::/32");
    assert_eq!(rules("{}").len(), 1);
    assert!(rules("{ gateway_firewall = false }").is_empty());
}

#[test]
fn a_stage_and_the_daemon_get_their_drop_ins() {
    let steps = steps("gateway", "{ gateway_memory_max = \"64M\" }").unwrap();
    let drop_ins = tables(&steps, "dropin");
    assert!(by(&drop_ins, "name", "20-stage")["content"].as_str().unwrap().contains("STOCKADE_STAGE=prod"));
    assert_eq!(by(&drop_ins, "name", "20-no-tcp")["unit"], "docker.service");
    let limits = steps.iter().find(|step| step.table.to_json()["name"] == "10-limits").unwrap();
    assert!(limits.files.render("limits.conf.tera").unwrap().contains("MemoryMax=64M"));
}

#[test]
fn keys_are_never_rotated_where_that_is_not_wanted() {
    assert_eq!(tables(&steps("gateway", "{}").unwrap(), "command").len(), 2);
    assert_eq!(tables(&steps("gateway", "{ gateway_rotate_keys_after_days = 0 }").unwrap(), "command").len(), 1);
}

#[test]
fn a_docker_host_has_a_gateway_where_it_is_asked_for_one() {
    let has = |with: &str| {
        let steps = steps("docker-host", with).unwrap();
        (tables(&steps, "binary").len(), tables(&steps, "firewall").len())
    };
    assert_eq!(has("{}"), (0, 1));
    assert_eq!(has("{ gateway = true }"), (1, 2));
    // Its rule would be taken away by the rules that are exclusive.
    assert_eq!(has("{ gateway = true, firewall_exclusive = true }"), (1, 1));
}

#[test]
fn without_a_program_beside_this_one_the_plan_says_where_it_looked() {
    let error = steps("gateway", "{ gateway_binary = \"program:no-such-program\" }").unwrap_err();
    let text = error[0].to_string();
    assert!(text.contains("no-such-program") && text.contains("beside this one"), "{text}");
}
