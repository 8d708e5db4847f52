//! A host and a project as a table describes them. What it does not say of the host is absent there.
//!
//! Host keys: `paths` (type file|directory|link|other, mode, owner, group,
//! target, content or sha256; or "unreadable", or "absent" for a directory that every host has), `users` (uid, group, home,
//! shell, comment, hash, expires), `groups` (gid, members), both with `remote = true` if they come from another source
//! of names, `packages` (version, held, "absent" or "config-files"), `automatic` (names), `candidates` (version, origins),
//! `provided` and `providers` (of a virtual package: names), `transactions`
//! (words of apt-get joined by one space = [[name, before, after], ...]), `units`
//! (load, active, file, needs_reload, has_conditions,
//! stops, also, conflicts, excluded_by, requires, started_by, runs_once, is_on_bus, rc_links), `sysctl` (string), `modules` (loaded,
//! builtin), `unit_texts` (of a unit: "LINE: what systemd says"), `outputs` (words joined by one space, or the last of them = { code, stdout }),
//! `facts` (a few: os, codename, arch, machine, libc, init, hostname, timezone,
//! login_user, login_from, login_port, cloud_init, lists_age, interrupted, day), `may_appear = true` (a
//! package is planned before), `changed = true` (a change is), `command = true`
//! (a command runs before), `owed` (by an
//! earlier run). `files` of the case are the project's files.

#![allow(clippy::unwrap_used, clippy::panic)] // a table that cannot be read must stop the test

use std::collections::{BTreeMap, BTreeSet};
use stockade::observe::*;
use stockade::resource::Assets;
use stockade::values::*;

pub struct Project<'a> {
    files: BTreeMap<String, String>,
    stage: Option<BTreeMap<EnvKey, Secret>>,
    _case: &'a Node,
}

impl Assets for Project<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if let Some(hex) = self.files.get(path).and_then(|text| text.strip_prefix("hex:")) {
            let digits: String = hex.split_whitespace().collect();
            return Ok((0..digits.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
                .collect());
        }
        self.files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| format!("there is no file '{path}'"))
    }
    fn render(&self, path: &str) -> Result<String, String> {
        self.read(path).map(|bytes| String::from_utf8(bytes).unwrap())
    }
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let pattern = pattern.to_owned();
        let (head, tail) = pattern.split_once('*').unwrap_or((&pattern, ""));
        Ok(self.files.keys().filter(|f| f.starts_with(head) && f.ends_with(tail)).cloned().collect())
    }
    fn stage_env(&self) -> Option<&BTreeMap<EnvKey, Secret>> {
        self.stage.as_ref()
    }
}

pub fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).map(|n| n.as_str().unwrap_or_else(|| panic!("{}: '{key}' must be a string", n.span)).to_owned())
}

pub fn flag(node: &Node, key: &str) -> bool {
    matches!(node.get(key).map(|n| &n.value), Some(NodeValue::Bool(true)))
}

pub fn number(node: &Node, key: &str) -> Option<i64> {
    match node.get(key).map(|n| &n.value) {
        Some(NodeValue::Integer(value)) => Some(*value),
        None => None,
        Some(_) => panic!("{}: '{key}' must be an integer", node.span),
    }
}

pub fn list(node: &Node, key: &str) -> Vec<String> {
    let items = node.get(key).and_then(Node::as_array).unwrap_or_default();
    items.iter().map(|n| n.as_str().unwrap().to_owned()).collect()
}

pub fn entries<'a>(node: Option<&'a Node>, key: &str) -> &'a [TableEntry] {
    node.and_then(|n| n.get(key)).and_then(Node::as_table).unwrap_or_default()
}

pub fn path_state(host: &mut HostState, path: &AbsPath, node: &Node) {
    if let Some(why) = node.as_str() {
        if why == "absent" {
            return host.set_path(path, PathState::Absent);
        }
        assert_eq!(why, "unreadable", "{}", node.span);
        for query in [Query::Path(path.clone()), Query::Digest(path.clone()), Query::Content(path.clone())] {
            host.set_unreadable(query, "Input/output error".into());
        }
        return;
    }
    let file_type = match text(node, "type").as_deref().unwrap_or("file") {
        "file" => FileType::File,
        "directory" => FileType::Directory,
        "link" => FileType::Link,
        _ => FileType::Other,
    };
    let default = if file_type == FileType::Directory { "0755" } else { "0644" };
    let entry = Entry {
        file_type,
        mode: text(node, "mode").as_deref().unwrap_or(default).parse().unwrap(),
        owner: text(node, "owner").unwrap_or_else(|| "root".into()),
        group: text(node, "group").unwrap_or_else(|| "root".into()),
        target: text(node, "target"),
    };
    host.set_path(path, PathState::Present(entry));
    if let Some(content) = text(node, "content") {
        host.set_content(path, Content::Bytes(content.into_bytes()));
    } else if let Some(digest) = text(node, "sha256") {
        host.set_content(path, Content::Digest(digest));
    } else if file_type == FileType::File {
        host.set_content(path, Content::Bytes(Vec::new()));
    }
}

/// Directories that every host has, unless a case says otherwise.
pub const DIRECTORIES: [&str; 22] = [
    "/",
    "/etc",
    "/etc/apt",
    "/etc/apt/apt.conf.d",
    "/etc/apt/sources.list.d",
    "/etc/cron.d",
    "/etc/default",
    "/etc/docker",
    "/etc/modprobe.d",
    "/etc/security/limits.d",
    "/etc/ssh",
    "/etc/ssh/sshd_config.d",
    "/etc/sudoers.d",
    "/etc/sysctl.d",
    "/etc/systemd/journald.conf.d",
    "/etc/systemd/system",
    "/opt",
    "/usr/lib/sysctl.d",
    "/usr/lib/systemd/system",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// Shells that every host has.
pub const SHELLS: [&str; 3] = ["/bin/bash", "/bin/sh", "/usr/sbin/nologin"];

pub fn program() -> PathState {
    let (owner, group) = ("root".into(), "root".into());
    PathState::Present(Entry { file_type: FileType::File, mode: "0755".parse().unwrap(), owner, group, target: None })
}

pub fn directory() -> PathState {
    PathState::Present(Entry {
        file_type: FileType::Directory,
        mode: Mode::from_bits(0o755),
        owner: "root".into(),
        group: "root".into(),
        target: None,
    })
}

/// Sets up everything that was asked; what the case does not give is absent.
pub fn host_state(case: &Node, queries: &Queries) -> HostState {
    let given = case.get("host");
    let mut host = HostState::default();
    let facts = &mut host.facts;
    facts.os = stockade::observe::Os {
        id: "ubuntu".into(),
        version: "24.04".into(),
        codename: "noble".into(),
        ..Default::default()
    };
    facts.arch = "amd64".into();
    facts.machine = "x86_64".into();
    facts.libc = "2.39".into();
    facts.init = "systemd".into();
    facts.login_user = "ubuntu".into();
    facts.login_port = 22;
    for entry in entries(given, "facts") {
        let value = entry.node.as_str().map(str::to_owned);
        let value_text = || value.clone().unwrap();
        match entry.key.as_str() {
            "os" => facts.os.id = value_text(),
            "codename" => facts.os.codename = value_text(),
            "arch" => facts.arch = value_text(),
            "machine" => facts.machine = value_text(),
            "libc" => facts.libc = value_text(),
            "init" => facts.init = value_text(),
            "hostname" => facts.hostname = value_text(),
            "timezone" => facts.timezone = value_text(),
            "login_user" => facts.login_user = value_text(),
            "login_from" => facts.login_from = value_text(),
            "cloud_init" => facts.cloud_init = value_text(),
            "login_port" => {
                facts.login_port = number(given.unwrap().get("facts").unwrap(), "login_port").unwrap() as u16
            }
            "lists_age" => {
                let age = number(given.unwrap().get("facts").unwrap(), "lists_age").unwrap();
                facts.apt.lists_age = Some(age as u64);
            }
            "day" => host.day = number(given.unwrap().get("facts").unwrap(), "day"),
            "interrupted" => facts.apt.interrupted = matches!(entry.node.value, NodeValue::Bool(true)),
            other => panic!("{}: unknown fact '{other}'", entry.key_span),
        }
    }
    for entry in entries(given, "users") {
        let node = &entry.node;
        host.users_mut().insert(
            entry.key.clone(),
            Account {
                uid: Known::Is(number(node, "uid").unwrap_or(1000) as u32),
                group: text(node, "group").unwrap_or_else(|| entry.key.clone()),
                comment: text(node, "comment").unwrap_or_default(),
                home: text(node, "home").unwrap_or_else(|| format!("/home/{}", entry.key)),
                shell: text(node, "shell").unwrap_or_else(|| "/bin/bash".into()),
            },
        );
        host.shadow_mut().insert(
            entry.key.clone(),
            Shadow {
                hash: Secret::new(text(node, "hash").unwrap_or_else(|| "!".into())),
                expires: number(node, "expires"),
            },
        );
    }
    for entry in entries(given, "groups") {
        let members = list(&entry.node, "members").into_iter().collect();
        let gid = Known::Is(number(&entry.node, "gid").unwrap_or(1000) as u32);
        host.groups_mut().insert(entry.key.clone(), Group { gid, members });
    }
    let local = |key: &str| -> BTreeSet<String> {
        let all = entries(given, key).iter();
        all.filter(|entry| !flag(&entry.node, "remote")).map(|entry| entry.key.clone()).collect()
    };
    host.set_local_accounts(local("users"), local("groups"));
    // Answers first for all that was asked, as absent; then what the case gives.
    for query in queries.iter() {
        match query {
            Query::Path(path) if DIRECTORIES.contains(&path.as_str()) => host.set_path(path, directory()),
            Query::Path(path) if SHELLS.contains(&path.as_str()) => host.set_path(path, program()),
            Query::Path(path) => host.set_path(path, PathState::Absent),
            Query::Digest(path) | Query::Content(path) => host.set_content(path, Content::Absent),
            Query::Names(path) => host.set_names(path, BTreeSet::new()),
            Query::Fragments(path) => host.set_fragments(path, BTreeMap::new()),
            Query::DropIns(name) => {
                host.mark_asked(query.clone());
                for path in stockade::observe::probe::drop_in_directories(name) {
                    host.set_fragments(&path, BTreeMap::new());
                }
            }
            Query::Tree { top, across } => host.set_tree(top, *across, Tree::default()),
            Query::Accounts => host.mark_asked(Query::Accounts),
            Query::User(_) | Query::Group(_) => host.mark_asked(query.clone()),
            Query::Package(name) => host.set_package(name, Package::Absent),
            Query::Candidate(name) => host.set_candidate(name, Candidate::default()),
            Query::Provided(name) => host.set_provided(name, []),
            Query::Providers(name) => host.set_providers(name, BTreeSet::new()),
            Query::Transaction(words) => host.set_transaction(words, Transaction::default()),
            Query::Packages => host.mark_asked(Query::Packages),
            Query::Shipped(name) => host.set_shipped(name, ShippedFiles::default()),
            Query::Unit(name) => host.set_unit(
                name,
                Known::Is(Unit { load: "not-found".into(), active: "inactive".into(), ..Unit::default() }),
            ),
            Query::Sysctl(key) => host.set_sysctl_absent(key),
            Query::Sysctls(_) => host.mark_asked(query.clone()),
            Query::Module(name) => host.set_module(name, Module { loaded: false, builtin: false }),
            Query::Processes => host.set_processes(Vec::new()),
            Query::Syntax(text) => host.set_syntax(text, None),
            Query::UnitText { name, .. } => {
                let said = entries(given, "unit_texts").iter().find(|entry| entry.key == name.as_str());
                let fault = |entry: &TableEntry| {
                    let (line, why) = entry.node.as_str().unwrap().split_once(": ").unwrap();
                    UnitFault { line: line.parse().unwrap(), why: why.to_owned() }
                };
                host.set_unit_text(query, said.map(fault).into_iter().collect());
            }
            Query::Acl(path) => host.set_acl(path, false),
            Query::Run(run) => host.set_output(run, Known::Is(Output { code: 1, stdout: String::new() })),
        }
    }
    let below = |path: &AbsPath| path.parent();
    for entry in entries(given, "paths") {
        let path: AbsPath = entry.key.parse().unwrap();
        path_state(&mut host, &path, &entry.node);
        if let Some(parent) = below(&path).filter(|parent| queries.contains(&Query::Names(parent.clone()))) {
            let mut names = host.names(&parent).unwrap().clone();
            names.insert(path.file_name().to_owned());
            host.set_names(&parent, names);
        }
    }
    for entry in entries(given, "packages") {
        let name: PackageName = entry.key.parse().unwrap();
        let package = match entry.node.as_str() {
            Some("absent") => Package::Absent,
            Some("config-files") => Package::ConfigFiles,
            Some(version) => Package::Installed { version: Known::Is(version.into()), held: false },
            None if entry.node.get("broken").is_some() => Package::Broken(text(&entry.node, "broken").unwrap()),
            None => Package::Installed {
                version: Known::Is(text(&entry.node, "version").unwrap()),
                held: flag(&entry.node, "held"),
            },
        };
        host.set_package(&name, package);
    }
    for name in given.map(|given| list(given, "automatic")).unwrap_or_default() {
        host.set_automatic(&name.parse().unwrap(), true);
    }
    for entry in entries(given, "candidates") {
        let (version, origins) = (text(&entry.node, "version"), list(&entry.node, "origins"));
        let candidate = Candidate { version, origins, ..Candidate::default() };
        host.set_candidate(&entry.key.parse().unwrap(), candidate);
    }
    for entry in entries(given, "provided") {
        host.set_provided(&entry.key.parse().unwrap(), list(given.unwrap().get("provided").unwrap(), &entry.key));
    }
    for entry in entries(given, "providers") {
        let names = list(given.unwrap().get("providers").unwrap(), &entry.key);
        host.set_providers(&entry.key.parse().unwrap(), names.into_iter().collect());
    }
    for entry in entries(given, "transactions") {
        let change = |node: &Node| {
            let [name, before, after] = [0, 1, 2].map(|at| node.as_array().unwrap()[at].as_str().unwrap().to_owned());
            let side = |text: String| (!text.is_empty()).then_some(text);
            PackageChange { name, before: side(before), after: side(after) }
        };
        let changes = entry.node.as_array().unwrap().iter().map(change).collect();
        let words: Vec<String> = entry.key.split(' ').map(str::to_owned).collect();
        host.set_transaction(&words, Transaction { changes, ..Transaction::default() });
    }
    for entry in entries(given, "units") {
        let node = &entry.node;
        let unit = Unit {
            real: text(node, "real").map(|name| name.parse().unwrap()),
            load: text(node, "load").unwrap_or_else(|| "loaded".into()),
            active: text(node, "active").unwrap_or_else(|| "inactive".into()),
            file: text(node, "file").unwrap_or_else(|| "disabled".into()),
            needs_reload: flag(node, "needs_reload"),
            fragment: text(node, "fragment").unwrap_or_default(),
            drop_ins: list(node, "drop_ins"),
            result: text(node, "result").unwrap_or_default(),
            has_conditions: flag(node, "has_conditions"),
            stops: list(node, "stops"),
            also: list(node, "also"),
            conflicts: list(node, "conflicts"),
            excluded_by: list(node, "excluded_by"),
            requires: list(node, "requires"),
            started_by: list(node, "started_by"),
            starts: list(node, "starts"),
            runs_once: flag(node, "runs_once"),
            is_on_bus: flag(node, "is_on_bus"),
            cannot_reload: flag(node, "cannot_reload"),
            rc_links: node.get("rc_links").map(|_| {
                let link = |path: String| (path.parse().unwrap(), "../init.d/x".to_owned());
                list(node, "rc_links").into_iter().map(link).collect()
            }),
        };
        host.set_unit(&entry.key.parse().unwrap(), Known::Is(unit));
    }
    for entry in entries(given, "sysctl") {
        host.set_sysctl(&entry.key.parse().unwrap(), entry.node.as_str().unwrap());
    }
    for entry in entries(given, "modules") {
        let module = Module { loaded: flag(&entry.node, "loaded"), builtin: flag(&entry.node, "builtin") };
        host.set_module(&entry.key, module);
    }
    host.left.pending = given.map(|given| list(given, "owed").into_iter().collect()).unwrap_or_default();
    for query in queries.iter() {
        let Query::Run(run) = query else { continue };
        let is_named = |key: &str| key == run.argv.join(" ") || run.argv.last().is_some_and(|last| last == key);
        if let Some(entry) = entries(given, "outputs").iter().find(|e| is_named(&e.key)) {
            let output = Output {
                code: number(&entry.node, "code").unwrap_or(0) as i32,
                stdout: text(&entry.node, "stdout").unwrap_or_default(),
            };
            host.set_output(run, Known::Is(output));
        }
    }
    host
}

/// The host as the steps before leave it, as far as a case says what they do.
pub fn predicted_state(case: &Node, queries: &Queries) -> PredictedState {
    let mut host = PredictedState::of(&host_state(case, queries));
    let given = case.get("host");
    if given.is_some_and(|given| flag(given, "may_appear")) {
        host.packages_will_appear();
    }
    if given.is_some_and(|given| flag(given, "changed")) {
        host.count_change();
    }
    if given.is_some_and(|given| flag(given, "command")) {
        host.count_change();
        host.command_will_run();
        host.reboot_may_become_required();
    }
    host
}

pub fn project(case: &Node) -> Project<'_> {
    let files =
        entries(Some(case), "files").iter().map(|e| (e.key.clone(), e.node.as_str().unwrap().to_owned())).collect();
    let stage = case.get("stage_env").map(|_| {
        entries(Some(case), "stage_env")
            .iter()
            .map(|e| (e.key.parse().unwrap(), Secret::new(e.node.as_str().unwrap())))
            .collect()
    });
    Project { files, stage, _case: case }
}
