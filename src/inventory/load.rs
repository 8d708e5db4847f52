//! From an inventory file to hosts.

use super::address::{self, unfit};
use super::{Host, Inventory};
use crate::values::{
    Diagnostic, Node, NodeValue, Span, TableEntry, check_variable, parse_document, possible_keys, suggest, utf8_source,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The keys of `[defaults]`, `[groups.NAME]` and `[hosts.NAME]`.
pub const SETTINGS: [&str; 9] = ["user", "port", "key", "known_hosts", "jump", "stage", "connection", "chroot", "vars"];

/// The keys that only `[hosts.NAME]` has.
pub const HOST_KEYS: [&str; 2] = ["address", "groups"];

const TABLES: [&str; 3] = ["defaults", "groups", "hosts"];

/// What one table says.
#[derive(Debug, Clone, Default)]
struct Settings {
    user: Option<String>,
    port: Option<u16>,
    keys: Option<Vec<PathBuf>>,
    known_hosts: Option<Vec<PathBuf>>,
    jump: Option<String>,
    stage: Option<String>,
    /// `/` for `connection = "local"`; none inside for `"ssh"`.
    local_root: Option<Option<PathBuf>>,
    vars: BTreeMap<String, Node>,
}

impl Settings {
    /// These settings, with what `above` says in their place.
    fn under(mut self, above: &Settings) -> Settings {
        fn take<T: Clone>(low: &mut Option<T>, high: &Option<T>) {
            if high.is_some() {
                low.clone_from(high);
            }
        }
        take(&mut self.user, &above.user);
        take(&mut self.port, &above.port);
        take(&mut self.keys, &above.keys);
        take(&mut self.known_hosts, &above.known_hosts);
        take(&mut self.jump, &above.jump);
        take(&mut self.stage, &above.stage);
        take(&mut self.local_root, &above.local_root);
        self.vars.extend(above.vars.iter().map(|(name, node)| (name.clone(), node.clone())));
        self
    }
}

struct Loader<'p> {
    folder: &'p Path,
    errors: Vec<Diagnostic>,
}

pub(super) fn load(path: &Path) -> Result<Inventory, Vec<Diagnostic>> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        vec![
            Diagnostic::general(format!("cannot read the inventory '{shown}': {error}"))
                .with_help("give its path with -i, or name hosts with --host user@address"),
        ]
    })?;
    let source = utf8_source(&shown, &bytes).map_err(|error| vec![error])?;
    let (root, errors) = parse_document(&source);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut loader = Loader { folder: path.parent().unwrap_or(Path::new("")), errors };
    let mut defaults = Settings::default();
    let mut groups: Vec<(String, Settings)> = Vec::new();
    let mut hosts = Vec::new();
    for entry in root.as_table().unwrap_or_default() {
        match entry.key.as_str() {
            "defaults" => defaults = loader.settings(entry, &[]),
            "groups" => {
                for group in loader.tables(entry) {
                    if group.key == "all" {
                        loader.say(&group.key_span, "every host is in 'all': write its settings in [defaults]");
                    }
                    let settings = loader.settings(group, &[]);
                    groups.push((group.key.clone(), settings));
                }
            }
            "hosts" => {
                for host in loader.tables(entry) {
                    loader.host_name(host, &root);
                    let settings = loader.settings(host, &HOST_KEYS);
                    let address = loader.address(host);
                    let member = loader.groups(host);
                    hosts.push((host.key.clone(), address, member, settings));
                }
            }
            unknown => loader.errors.push(
                Diagnostic::new(entry.key_span.clone(), format!("unknown key '{unknown}' in an inventory")).with_help(
                    match suggest(unknown, TABLES) {
                        Some(near) => format!("did you mean '{near}'?"),
                        None => "an inventory has [defaults], [groups.NAME] and [hosts.NAME]".to_owned(),
                    },
                ),
            ),
        }
    }
    if hosts.is_empty() && loader.errors.is_empty() {
        loader.errors.push(
            Diagnostic::new(root.span.clone(), format!("the inventory '{shown}' has no host"))
                .with_help("describe one under [hosts.NAME]"),
        );
    }
    if !loader.errors.is_empty() {
        return Err(loader.errors);
    }
    let mut names: Vec<String> = groups.iter().map(|(name, _)| name.clone()).collect();
    for name in hosts.iter().flat_map(|(_, _, member, _)| member) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let mut made: Vec<Host> =
        hosts.into_iter().map(|(name, at, member, own)| host(name, at, member, own, &defaults, &groups)).collect();
    resolve_jumps(&mut made);
    Ok(Inventory {
        source: Some(shown.clone()),
        hosts: made,
        groups: names,
        named: false,
        inputs: vec![(shown, bytes)],
    })
}

fn host(
    name: String,
    at: address::Address,
    member: Vec<String>,
    own: Settings,
    defaults: &Settings,
    groups: &[(String, Settings)],
) -> Host {
    let of_groups = member.iter().filter_map(|wanted| groups.iter().find(|(group, _)| group == wanted));
    let merged = of_groups.fold(defaults.clone(), |settings, (_, group)| settings.under(group)).under(&own);
    Host {
        address: if at.address.is_empty() { name.clone() } else { at.address },
        name,
        // What stands in the host's own table wins over what its address says.
        port: own.port.or(at.port).or(merged.port),
        user: own.user.or(at.user).or(merged.user),
        keys: merged.keys.unwrap_or_default(),
        known_hosts: merged.known_hosts.unwrap_or_default(),
        jump: merged.jump,
        groups: member,
        vars: merged.vars,
        stage: merged.stage,
        local_root: merged.local_root.flatten(),
    }
}

/// A jump host that stands in the inventory is reached as the inventory says.
fn resolve_jumps(hosts: &mut [Host]) {
    let known: BTreeMap<String, String> = hosts
        .iter()
        .map(|host| {
            let user = host.user.as_ref().map_or(String::new(), |user| format!("{user}@"));
            let address = if host.address.contains(':') { format!("[{}]", host.address) } else { host.address.clone() };
            (
                host.name.clone(),
                format!("{user}{address}{}", host.port.map_or(String::new(), |port| format!(":{port}"))),
            )
        })
        .collect();
    for host in hosts {
        if host.jump.as_ref() == Some(&host.name) {
            // The jump host itself, when the setting comes from its group or the defaults.
            host.jump = None;
        } else if let Some(target) = host.jump.as_ref().and_then(|jump| known.get(jump)) {
            host.jump = Some(target.clone());
        }
    }
}

impl Loader<'_> {
    fn say(&mut self, span: &Span, message: impl Into<String>) {
        self.errors.push(Diagnostic::new(span.clone(), message));
    }

    fn tables<'n>(&mut self, entry: &'n TableEntry) -> Vec<&'n TableEntry> {
        let Some(entries) = entry.node.as_table() else {
            self.say(
                &entry.node.span,
                format!("'{}' must be a table of tables, not {}", entry.key, entry.node.type_name()),
            );
            return Vec::new();
        };
        let (good, bad): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.node.as_table().is_some());
        for wrong in bad {
            self.errors.push(
                Diagnostic::new(
                    wrong.node.span.clone(),
                    format!("'{}' must be a table, not {}", wrong.key, wrong.node.type_name()),
                )
                .with_help(format!(
                    "write [{}.{}]",
                    entry.key,
                    if entry.key == "hosts" { "NAME" } else { &wrong.key }
                )),
            );
        }
        good
    }

    /// A host's name must not be taken for a pattern, a group or an option.
    fn host_name(&mut self, host: &TableEntry, root: &Node) {
        let name = &host.key;
        if name == "all" || root.get("groups").and_then(|groups| groups.get(name)).is_some() {
            self.say(&host.key_span, format!("'{name}' is the name of a group; a host needs another"));
        } else if let Some(why) = unfit(name) {
            self.say(&host.key_span, format!("'{}' cannot be the name of a host: {why}", name.escape_debug()));
        } else if name.contains(['*', '?', '[', ']', '!', ',']) {
            self.say(&host.key_span, format!("'{name}' would be read as a pattern; a host needs another name"));
        }
    }

    fn text<'n>(&mut self, entry: &'n TableEntry) -> Option<&'n str> {
        if entry.node.as_str().is_none() {
            self.say(&entry.node.span, format!("'{}' must be a string, not {}", entry.key, entry.node.type_name()));
        }
        entry.node.as_str()
    }

    fn strings<'n>(&mut self, entry: &'n TableEntry) -> Vec<&'n Node> {
        match &entry.node.value {
            NodeValue::String(_) => vec![&entry.node],
            NodeValue::Array(items) if items.iter().all(|item| item.as_str().is_some()) => items.iter().collect(),
            _ => {
                let found = entry.node.type_name();
                self.say(
                    &entry.node.span,
                    format!("'{}' must be a string or an array of strings, not {found}", entry.key),
                );
                Vec::new()
            }
        }
    }

    /// Paths relative to the inventory's folder.
    fn paths(&mut self, entry: &TableEntry) -> Vec<PathBuf> {
        let nodes = self.strings(entry);
        nodes.into_iter().filter_map(Node::as_str).map(|text| self.path(text)).collect()
    }

    fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.folder.join(text),
        }
    }

    fn settings(&mut self, table: &TableEntry, more: &[&str]) -> Settings {
        let mut settings = Settings::default();
        let Some(entries) = table.node.as_table() else {
            self.say(&table.node.span, format!("'{}' must be a table, not {}", table.key, table.node.type_name()));
            return settings;
        };
        for entry in entries {
            match entry.key.as_str() {
                "user" => settings.user = self.fit(entry),
                "port" => settings.port = self.port(entry),
                "key" => settings.keys = Some(self.paths(entry)),
                "known_hosts" => settings.known_hosts = Some(self.paths(entry)),
                "jump" => {
                    settings.jump = self.text(entry).map(str::to_owned);
                    if let Some(Err(why)) = settings.jump.as_deref().map(address::parse) {
                        self.say(&entry.node.span, format!("'jump' names no host: {why}"));
                    }
                }
                "stage" => settings.stage = self.fit(entry),
                "connection" => match self.text(entry) {
                    Some("local") => settings.local_root = settings.local_root.or(Some(Some(PathBuf::from("/")))),
                    Some("ssh") if table.node.get("chroot").is_some() => {
                        self.say(
                            &entry.node.span,
                            "a chroot is on this machine: connection = \"ssh\" does not go with it",
                        );
                    }
                    Some("ssh") => settings.local_root = Some(None),
                    Some(other) => {
                        let message =
                            format!("'connection' must be \"ssh\" or \"local\", not \"{}\"", other.escape_debug());
                        self.errors.push(
                            Diagnostic::new(entry.node.span.clone(), message).with_suggestion(other, ["ssh", "local"]),
                        );
                    }
                    None => {}
                },
                "chroot" => {
                    let path = self.text(entry).map(PathBuf::from);
                    if path.as_ref().is_some_and(|path| !path.is_absolute()) {
                        self.say(&entry.node.span, "'chroot' must be an absolute path on this machine");
                    }
                    settings.local_root = path.map(Some);
                }
                "vars" => settings.vars = self.vars(entry),
                key if more.contains(&key) => {}
                unknown => {
                    let help = possible_keys(unknown, SETTINGS.iter().chain(more).copied());
                    let message = format!("unknown key '{unknown}' in '{}'", table.key);
                    self.errors.push(Diagnostic::new(entry.key_span.clone(), message).with_help(help));
                }
            }
        }
        settings
    }

    fn fit(&mut self, entry: &TableEntry) -> Option<String> {
        let text = self.text(entry)?;
        if let Some(why) = unfit(text) {
            self.say(&entry.node.span, format!("'{}' cannot be \"{}\": {why}", entry.key, text.escape_debug()));
        }
        Some(text.to_owned())
    }

    fn port(&mut self, entry: &TableEntry) -> Option<u16> {
        match entry.node.value {
            NodeValue::Integer(number) => {
                let port = u16::try_from(number).ok().filter(|port| *port > 0);
                if port.is_none() {
                    self.say(&entry.node.span, format!("'port' must be from 1 to 65535, not {number}"));
                }
                port
            }
            _ => {
                self.say(&entry.node.span, format!("'port' must be an integer, not {}", entry.node.type_name()));
                None
            }
        }
    }

    fn vars(&mut self, entry: &TableEntry) -> BTreeMap<String, Node> {
        let Some(entries) = entry.node.as_table() else {
            self.say(&entry.node.span, format!("'vars' must be a table, not {}", entry.node.type_name()));
            return BTreeMap::new();
        };
        self.errors.extend(entries.iter().filter_map(|entry| check_variable(&entry.key, &entry.key_span)));
        entries.iter().map(|entry| (entry.key.clone(), entry.node.clone())).collect()
    }

    fn entry<'n>(host: &'n TableEntry, key: &str) -> Option<&'n TableEntry> {
        host.node.as_table()?.iter().find(|entry| entry.key == key)
    }

    fn address(&mut self, host: &TableEntry) -> address::Address {
        let none = address::Address { user: None, address: String::new(), port: None };
        let Some(entry) = Self::entry(host, "address") else { return none };
        let Some(text) = self.text(entry) else { return none };
        address::parse(text).unwrap_or_else(|why| {
            self.say(&entry.node.span, format!("'{}' is no address: {why}", text.escape_debug()));
            none
        })
    }

    fn groups(&mut self, host: &TableEntry) -> Vec<String> {
        let Some(entry) = Self::entry(host, "groups") else { return Vec::new() };
        let nodes = self.strings(entry);
        for node in &nodes {
            if node.as_str().is_some_and(|name| unfit(name).is_some() || name.contains(['*', '?', '[', '!', ','])) {
                self.say(&node.span, "this cannot be the name of a group");
            }
        }
        nodes.into_iter().filter_map(Node::as_str).map(str::to_owned).collect()
    }
}
