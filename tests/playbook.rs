//! Playbooks and inventories as the operator writes them.
//!
//! `tests/playbooks/valid/*.toml` load and render. Each file of
//! `tests/playbooks/invalid/` says in leading comments what must be told, all
//! of it and nothing else:
//! `# expect: 7:3 unknown key 'uesr'` (line, column, what the message holds);
//! `# help: did you mean 'user'?` (what the advice of the one before holds).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stockade::inventory::Inventory;
use stockade::playbook::{self, HostScope, Playbook, Step, TagFilter, Vars};
use stockade::values::{Diagnostic, Source, parse_document};

const KINDS: &[&str] = &["file", "user", "package", "dropin", "service", "hostname"];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playbooks").join(path)
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(here(folder)).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_file()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds no file");
    paths
}

fn facts() -> Value {
    json!({ "os": { "id": "ubuntu", "version": "24.04" }, "machine": "x86_64" })
}

fn vars(text: &str) -> Vars {
    let (root, errors) = parse_document(&Source::new("vars", text));
    assert!(errors.is_empty(), "{errors:?}");
    root.as_table().unwrap().iter().map(|entry| (entry.key.clone(), entry.node.clone())).collect()
}

fn scope() -> HostScope {
    HostScope { host: "web1".into(), address: "192.0.2.1".into(), facts: Some(facts()), ..HostScope::default() }
}

fn load(text: &str) -> (tempfile::TempDir, Result<Playbook, Vec<Diagnostic>>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.toml"), text).unwrap();
    let loaded = playbook::load(&folder.path().join("p.toml"), KINDS);
    (folder, loaded)
}

fn shown(errors: &[Diagnostic]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn steps(text: &str, scope: &HostScope) -> Vec<Step> {
    let (_folder, loaded) = load(text);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{}", shown(&errors)));
    loaded.render(scope).unwrap_or_else(|errors| panic!("{}", shown(&errors)))
}

fn errors_of(path: &Path) -> Vec<Diagnostic> {
    match playbook::load(path, KINDS) {
        Err(errors) => errors,
        Ok(playbook) => match playbook.render(&scope()) {
            Err(errors) => errors,
            Ok(steps) => steps
                .iter()
                .filter_map(|step| {
                    let path = step.table.get("template")?;
                    let why = step.files.render(path.as_str()?).err()?;
                    Some(Diagnostic::new(path.span.clone(), why))
                })
                .collect(),
        },
    }
}

#[test]
fn every_valid_playbook_loads_and_renders() {
    for path in files("valid") {
        let loaded = playbook::load(&path, KINDS).unwrap_or_else(|errors| panic!("{}", shown(&errors)));
        let steps = loaded.render(&scope()).unwrap_or_else(|errors| panic!("{}", shown(&errors)));
        assert!(!steps.is_empty(), "{}", path.display());
        assert!(steps.iter().all(|step| !step.unknown), "{}", path.display());
    }
}

/// Compares what is told with what a file says must be told.
fn compare(path: &Path, text: &str, errors: &[Diagnostic]) -> Vec<String> {
    let mut wanted: Vec<(&str, &str, Option<&str>)> = Vec::new();
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        if let Some(rest) = line.strip_prefix("# expect: ") {
            let (place, message) = rest.split_once(' ').expect("# expect: LINE:COLUMN MESSAGE");
            wanted.push((place, message, None));
        } else if let Some(help) = line.strip_prefix("# help: ") {
            wanted.last_mut().expect("# help after # expect").2 = Some(help);
        }
    }
    assert!(!wanted.is_empty(), "{} expects nothing", path.display());
    let mut wrong = Vec::new();
    let mut left: Vec<&Diagnostic> = errors.iter().collect();
    for (place, message, help) in wanted {
        let fits = |error: &&Diagnostic| {
            let at = error.span.as_ref().map_or("-".to_owned(), |span| {
                let (line, column) = span.source.position(span.range.start);
                format!("{line}:{column}")
            });
            at == place
                && error.message.contains(message)
                && help.is_none_or(|help| error.help.as_deref().is_some_and(|told| told.contains(help)))
        };
        match left.iter().position(fits) {
            Some(found) => _ = left.remove(found),
            None => wrong.push(format!("{}: not told: {place} {message} {help:?}", path.display())),
        }
    }
    wrong.extend(left.iter().map(|error| format!("{}: told, not expected:\n{error}", path.display())));
    wrong
}

#[test]
fn every_invalid_playbook_is_told_what_is_wrong_and_where() {
    let mut wrong = Vec::new();
    for path in files("invalid") {
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        wrong.extend(compare(&path, &text, &errors_of(&path)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_invalid_inventory_is_told_what_is_wrong_and_where() {
    let mut wrong = Vec::new();
    for path in files("inventories") {
        let text = std::fs::read_to_string(&path).unwrap();
        let errors = Inventory::load(&path).err().unwrap_or_default();
        wrong.extend(compare(&path, &text, &errors));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_whole_expression_keeps_its_type_and_null_means_not_given() {
    let steps = steps(
        r#"
        [vars]
        groups = ["docker", "adm"]
        uid = 1000
        person = { name = "jane" }
        [[step]]
        user = { name = "{{ person.name }}", uid = "{{ uid }}", groups = "{{ groups }}", system = "{{ uid < 1000 }}", shell = "{{ person.shell | default(value=none) }}", comment = "id {{ uid }}" }
        "#,
        &scope(),
    );
    assert_eq!(
        steps[0].table.to_json(),
        json!({ "name": "jane", "uid": 1000, "groups": ["docker", "adm"], "system": false, "comment": "id 1000" })
    );
    assert_eq!(steps[0].name, "user jane");
}

#[test]
fn nothing_is_escaped_and_shell_code_without_templates_stays() {
    let steps = steps(
        r#"
        [vars]
        text = "<a href=\"x\">'&'</a>"
        [[step]]
        file = { path = "/x", content = "{{ text }}\n", validate = "a=${#b[@]}; echo {x} %} %s" }
        "#,
        &scope(),
    );
    assert_eq!(steps[0].table.get("content").unwrap().as_str(), Some("<a href=\"x\">'&'</a>\n"));
    assert_eq!(steps[0].table.get("validate").unwrap().as_str(), Some("a=${#b[@]}; echo {x} %} %s"));
}

#[test]
fn each_when_and_use_give_ids_in_the_order_of_apply() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "p.toml",
        r#"
        [vars]
        names = ["a", "b", "c"]
        [[step]]
        each = "names"
        when = "item != 'b'"
        tags = ["first"]
        restart = "{{ item }}.service"
        file = { path = "/etc/{{ item }}" }
        [[step]]
        use = "sub/part.toml"
        tags = ["second"]
        guard = true
        sensitive = true
        restart = ["x.service"]
        each = [{ n = "one", on = true }, { n = "two", on = false }]
        with = { who = "{{ item.n }}", on = "{{ item.on }}" }
        [[step]]
        when = false
        file = { path = "/never" }
        [[step]]
        name = "last on {{ host.name }}"
        hostname = { value = "{{ host.name }}" }
        "#,
    );
    write(
        "sub/part.toml",
        r#"
        [vars]
        who = "nobody"
        [[step]]
        when = "on"
        file = { path = "/only/{{ who }}" }
        [[step]]
        tags = ["inner"]
        reload = "y.service"
        file = { path = "/{{ who }}", source = "data.txt" }
        "#,
    );
    write("sub/data.txt", "inner data");
    write("outer.txt", "outer data");
    let playbook = playbook::load(&folder.path().join("p.toml"), KINDS).unwrap();
    let steps = playbook.render(&scope()).unwrap();
    let told: Vec<(&str, &str)> = steps.iter().map(|step| (step.id.as_str(), step.name.as_str())).collect();
    assert_eq!(
        told,
        [
            ("1[0]", "file /etc/a"),
            ("1[2]", "file /etc/c"),
            ("2[0].1", "file /only/one"),
            ("2[0].2", "file /one"),
            ("2[1].2", "file /two"),
            ("4", "last on web1"),
        ]
    );
    assert_eq!(steps[1].restart[0].as_str(), "c.service");
    let inner = &steps[3];
    assert_eq!(inner.tags, ["second", "inner"]);
    assert!(inner.guard && inner.sensitive);
    assert_eq!((inner.restart[0].as_str(), inner.reload[0].as_str()), ("x.service", "y.service"));
    // Its own folder first, then that of the playbook that uses it.
    assert_eq!(inner.files.read("data.txt"), Ok(b"inner data".to_vec()));
    assert_eq!(inner.files.read("outer.txt"), Ok(b"outer data".to_vec()));
    assert!(inner.files.read("none.txt").unwrap_err().contains("sub/none.txt"));
    assert_eq!(inner.files.glob("*.txt"), Ok(vec!["data.txt".to_owned()]));
    assert_eq!(inner.files.glob("outer.*"), Ok(vec!["outer.txt".to_owned()]));
    let inputs: Vec<String> = playbook.inputs().into_iter().map(|(name, _)| name).collect();
    assert_eq!(inputs.len(), 4, "{inputs:?}");

    let tagged = |only: &[&str], skip: &[&str]| -> Vec<String> {
        let own = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        let scope = HostScope { tags: TagFilter { only: own(only), skip: own(skip) }, ..scope() };
        playbook.render(&scope).unwrap().into_iter().map(|step| step.id).collect()
    };
    assert_eq!(tagged(&["inner"], &[]), ["2[0].2", "2[1].2"]);
    assert_eq!(tagged(&["second"], &["inner"]), ["2[0].1"]);
    assert_eq!(tagged(&[], &["second", "first"]), ["4"]);
}

/// All seven layers, and `with` inside a used playbook: each variable is set in
/// one layer and all below, so its value names the highest.
#[test]
fn a_higher_layer_of_variables_wins() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["used", "playbook", "defaults", "group", "host", "stage", "cli", "with"];
    let layer =
        |level: usize| -> String { (level..names.len()).map(|i| format!("v{i} = \"{}\"\n", names[level])).collect() };
    std::fs::write(
        folder.path().join("used.toml"),
        format!(
            "[vars]\n{}[[step]]\nfile = {{ path = \"/{}\" }}\n",
            layer(0),
            (0..names.len()).map(|i| format!("{{{{ v{i} }}}}")).collect::<Vec<_>>().join("/")
        ),
    )
    .unwrap();
    std::fs::write(
        folder.path().join("p.toml"),
        format!("hosts = \"all\"\n[vars]\n{}[[step]]\nuse = \"./used.toml\"\nwith = {{ v7 = \"with\" }}\n", layer(1)),
    )
    .unwrap();
    std::fs::write(
        folder.path().join("inventory.toml"),
        format!(
            "[defaults.vars]\n{}[groups.g.vars]\n{}[hosts.h]\ngroups = [\"g\"]\n[hosts.h.vars]\n{}",
            layer(2),
            layer(3),
            layer(4)
        ),
    )
    .unwrap();
    let inventory = Inventory::load(&folder.path().join("inventory.toml")).unwrap();
    let host = &inventory.hosts()[0];
    let scope = HostScope {
        vars: host.vars.clone(),
        stage: Some(("prod".into(), vars(&layer(5)))),
        cli: vars(&layer(6)),
        ..scope()
    };
    let playbook = playbook::load(&folder.path().join("p.toml"), KINDS).unwrap();
    let steps = playbook.render(&scope).unwrap();
    assert_eq!(steps[0].table.get("path").unwrap().as_str(), Some("/used/playbook/defaults/group/host/stage/cli/with"));
}

#[test]
fn without_facts_what_needs_them_stays_and_nothing_fails() {
    let text = r#"
        [vars]
        release = "{{ facts.os.id }}-x"
        [[step]]
        when = "facts.os.id == 'debian'"
        file = { path = "/{{ release }}", content = "{{ host.name }}" }
        [[step]]
        each = "facts.disks"
        file = { path = "/{{ item }}" }
        [[step]]
        file = { path = "/plain" }
        "#;
    let (_folder, loaded) = load(text);
    let playbook = loaded.unwrap();
    assert!(playbook.needs_facts(&scope()));
    let steps = playbook.render(&HostScope { facts: None, ..scope() }).unwrap();
    let told: Vec<(&str, bool)> = steps.iter().map(|step| (step.id.as_str(), step.unknown)).collect();
    assert_eq!(told, [("1", true), ("3", false)]);
    assert_eq!(steps[0].table.to_json(), json!({ "path": "/{{ release }}", "content": "web1" }));
    let with = HostScope { facts: Some(json!({ "os": { "id": "debian" }, "disks": ["sda"] })), ..scope() };
    let steps = playbook.render(&with).unwrap();
    let paths: Vec<_> = steps.iter().map(|step| step.table.get("path").unwrap().as_str().unwrap()).collect();
    assert_eq!(paths, ["/debian-x", "/sda", "/plain"]);
}

#[test]
fn facts_are_needed_only_where_something_speaks_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("p.toml", "[[step]]\nfile = { path = '/x', template = 'a.conf' }\n");
    write("a.conf", "{% include 'b.conf' %}");
    write("b.conf", "plain");
    let needs = |scope: &HostScope| playbook::load(&folder.path().join("p.toml"), KINDS).unwrap().needs_facts(scope);
    assert!(!needs(&scope()));
    assert!(needs(&HostScope { vars: vars("a = '{{ facts.machine }}'"), ..scope() }));
    write("b.conf", "{{ facts.machine }}");
    assert!(needs(&scope()));
}

#[test]
fn a_template_file_sees_the_variables_of_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("p.toml", "[vars]\na = 'A & B'\n[[step]]\neach = [1, 2]\nfile = { path = '/x', template = 'a.html' }\n");
    write("a.html", "{{ a }} {{ item }} {{ host.name }}\n{% include \"b.conf\" %}");
    write("b.conf", "{% if facts.os.id == 'ubuntu' %}u{% endif %}\n");
    let playbook = playbook::load(&folder.path().join("p.toml"), KINDS).unwrap();
    let steps = playbook.render(&scope()).unwrap();
    assert_eq!(steps[1].files.render("a.html"), Ok("A & B 2 web1\nu\n".to_owned()));
    write("bad.conf", "x\n {{ aa }}\n");
    assert_eq!(
        steps[1].files.render("bad.conf"),
        Err("bad.conf:2:5: undefined variable 'aa'; did you mean 'a'?".to_owned())
    );
    write("deep.conf", "x\n {{ host.nam }}\n");
    assert_eq!(
        steps[1].files.render("deep.conf"),
        Err("deep.conf:2:5: 'host.nam' is undefined; did you mean 'name'?".to_owned())
    );
    write("gone.conf", "{% include 'none.conf' %}");
    let why = steps[1].files.render("gone.conf").unwrap_err();
    assert!(why.starts_with("'gone.conf' includes 'none.conf': there is no file 'none.conf'"), "{why}");
    std::fs::write(folder.path().join("latin1.conf"), b"\xe9").unwrap();
    assert!(steps[1].files.render("latin1.conf").unwrap_err().contains("not UTF-8"));
}

#[test]
fn the_same_slip_in_many_items_is_told_once() {
    let (_folder, loaded) = load("[[step]]\neach = [1, 2, 3]\nfile = { path = '/{{ nope }}/{{ item }}' }\n");
    let errors = loaded.unwrap().render(&scope()).unwrap_err();
    assert_eq!(errors.len(), 1, "{}", shown(&errors));
}

fn inventory(text: &str) -> Inventory {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.toml");
    std::fs::write(&path, text).unwrap();
    Inventory::load(&path).unwrap_or_else(|errors| panic!("{}", shown(&errors)))
}

#[test]
fn settings_come_from_the_nearest_table() {
    let inventory = inventory(
        r#"
        [defaults]
        user = "ubuntu"
        key = "keys/a"
        known_hosts = ["~/.ssh/known_hosts", "/etc/known"]
        jump = "bastion"
        [groups.db]
        user = "admin"
        port = 2200
        [groups.special]
        port = 2201
        [hosts.bastion]
        address = "hop@203.0.113.1:2022"
        [hosts.db1]
        address = "192.0.2.7"
        groups = ["db", "special"]
        stage = "prod"
        [hosts.image]
        chroot = "/srv/image"
        [hosts.here]
        connection = "local"
        "#,
    );
    let host = |name: &str| inventory.hosts().iter().find(|host| host.name == name).unwrap();
    let db1 = host("db1");
    assert_eq!((db1.user.as_deref(), db1.port, db1.address.as_str()), (Some("admin"), Some(2201), "192.0.2.7"));
    assert_eq!(db1.jump.as_deref(), Some("hop@203.0.113.1:2022"));
    assert_eq!(db1.stage.as_deref(), Some("prod"));
    assert!(db1.keys[0].is_absolute() && db1.keys[0].ends_with("keys/a"));
    assert_eq!(db1.known_hosts[0], std::env::home_dir().unwrap().join(".ssh/known_hosts"));
    assert_eq!(db1.known_hosts[1], Path::new("/etc/known"));
    assert_eq!(host("bastion").jump, None);
    assert_eq!(host("bastion").user.as_deref(), Some("hop"));
    assert_eq!(host("image").local_root.as_deref(), Some(Path::new("/srv/image")));
    assert_eq!(host("here").local_root.as_deref(), Some(Path::new("/")));
}

#[test]
fn hosts_are_selected_by_name_group_and_pattern_and_never_by_guess() {
    let inventory = inventory(
        "[hosts]\nweb1 = { groups = ['web'] }\nweb2 = { groups = ['web', 'old'] }\ndb1 = { }\n[groups.empty]\nuser = 'x'\n",
    );
    let select = |hosts: &[&str], limit: &[&str]| -> Result<Vec<String>, String> {
        let (root, _) = parse_document(&Source::new("p.toml", format!("hosts = {}", json!(hosts))));
        let nodes = root.get("hosts").unwrap().as_array().unwrap();
        let limit: Vec<String> = limit.iter().map(|text| (*text).to_owned()).collect();
        match inventory.select(nodes, &limit) {
            Ok(hosts) => Ok(hosts.into_iter().map(|host| host.name).collect()),
            Err(errors) => Err(shown(&errors)),
        }
    };
    let names = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(select(&["all"], &[]), names(&["web1", "web2", "db1"]));
    assert_eq!(select(&["web"], &[]), names(&["web1", "web2"]));
    assert_eq!(select(&["db1", "web*"], &["!old"]), names(&["web1", "db1"]));
    assert_eq!(select(&["all", "!web1"], &["w*", "db1"]), names(&["web2", "db1"]));
    for (hosts, limit, says) in [
        (&["wbe"][..], &[][..], "there is no host or group 'wbe'\n --> p.toml:1:10"),
        (&["wbe"], &[], "did you mean 'web'?"),
        (&["all"], &["web9*"], "--limit: there is no host or group 'web9*'"),
        (&["empty"], &[], "no host is left: the playbook is for empty (none)"),
        (&["db1"], &["web"], "no host is left: the playbook is for db1 (db1), --limit allows web (web1, web2)"),
        (&[], &[], "does not say which hosts"),
    ] {
        let told = select(hosts, limit).unwrap_err();
        assert!(told.contains(says), "{told}");
    }
    let named = inventory.only(&["db1".to_owned(), "me@192.0.2.9:2222".to_owned()]).unwrap();
    let told: Vec<String> = named.select(&[], &[]).unwrap().into_iter().map(|host| host.name).collect();
    assert_eq!(told, ["db1", "192.0.2.9:2222"]);
    assert!(Inventory::from_hosts(&["-oProxyCommand=x".to_owned()]).is_err());
    assert!(Inventory::from_hosts(&[]).unwrap().select(&[], &[]).is_err());
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;

    const SEED: &str = r#"name = "x"
hosts = ["all"]
[vars]
a = "{{ b }}"
b = [1, 2]
c = { d = "x" }
[[step]]
name = "n {{ host.name }}"
each = "b"
when = "item is defined and facts.os.id in ['ubuntu']"
tags = ["t"]
restart = ["a.service"]
file = { path = "/x/{{ item }}", content = "{% for i in a %}{{ i }}{% endfor %}é\n" }
[[step]]
use = "p.toml"
with = { a = "{{ c.d | upper }}" }
[[step]]
user = { name = """{{ c.d ~ "\u00e9" }}""", groups = '{{ [a, "x"] }}' }
"#;

    fn try_all(bytes: &[u8]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        std::fs::write(&path, bytes).unwrap();
        let told = match playbook::load(&path, KINDS) {
            Ok(playbook) => match playbook.render(&scope()) {
                Ok(steps) => {
                    for step in steps {
                        _ = step.files.render("p.toml");
                    }
                    Vec::new()
                }
                Err(errors) => errors,
            },
            Err(errors) => errors,
        };
        for error in told.into_iter().chain(Inventory::load(&path).err().unwrap_or_default()) {
            assert!(!error.to_string().is_empty());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_playbook_makes_a_panic(edits in prop::collection::vec((0..SEED.len(), any::<u8>(), 0..4u8), 1..6)) {
            let mut bytes = SEED.as_bytes().to_vec();
            for (at, byte, what) in edits {
                let at = at.min(bytes.len() - 1);
                match what {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, b"{}%\"'|.[]()=\xe9"[usize::from(byte) % 13]),
                    2 => _ = bytes.remove(at),
                    _ => { let end = (at + usize::from(byte % 16)).min(bytes.len()); bytes.drain(at..end); bytes.push(b'\n'); }
                }
            }
            try_all(&bytes);
        }

        #[test]
        fn no_template_makes_a_panic(text in "[a-c{}%|.()\\[\\]\"' 0-9=~?:+*/<>!_,é#-]{0,40}") {
            let quoted = serde_json::to_string(&format!("{{{{{text}}}}}")).unwrap();
            let when = serde_json::to_string(&text).unwrap();
            let playbook = format!("[vars]\na = [1]\nb = {{ c = 'x' }}\n[[step]]\nwhen = {when}\nfile = {{ path = {quoted} }}\n[[step]]\nfile = {{ path = {quoted} }}\n");
            try_all(playbook.as_bytes());
        }
    }
}

#[test]
fn variables_by_name() {
    // Rendered when first needed, over other variables, in any order.
    let text = "[vars]\na = '{{ b }}!'\nb = '{{ c.x }}'\nc = { x = '{{ d }}' }\nd = 4\n[[step]]\nfile = { path = '{{ a }}', mode = '{{ b }}' }\n";
    let table = steps(text, &scope())[0].table.to_json();
    assert_eq!(table, json!({ "path": "4!", "mode": 4 }));
    let _: BTreeMap<String, Value> = serde_json::from_value(table).unwrap();
}
