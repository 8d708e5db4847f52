//! A host's state as lines that can be compared.

use std::collections::BTreeMap;
use stockade::observe::{Content, Entry, FileType, HostState, Known, Package, PathState, PredictedState, Query, Unit};

/// An entry as a line has it.
pub fn entry(entry: &Entry) -> String {
    let target = entry.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
    let mode = if entry.file_type == FileType::Link { String::new() } else { format!(" {}", entry.mode) };
    format!("{}{mode} {}:{}{target}", format!("{:?}", entry.file_type).to_lowercase(), entry.owner, entry.group)
}

/// Bytes as a line has them.
pub fn bytes(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

fn known(state: &PathState) -> String {
    match state {
        PathState::Absent => "absent".to_owned(),
        PathState::AfterApply => "known after apply".to_owned(),
        PathState::Present(found) => entry(found),
    }
}

fn unit(unit: &Unit) -> String {
    let reload = if unit.needs_reload { ", to be read again" } else { "" };
    format!("{} {} {}{reload}", unit.load, unit.file, unit.active)
}

/// All that is known of a host and that operations predict.
pub fn of(host: &PredictedState) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    for query in host.questions().iter() {
        let found = match query {
            Query::Path(path) => host.path(path).ok().map(known),
            Query::Digest(path) | Query::Content(path) => match host.content(path) {
                Ok(Content::Bytes(text)) => Some(bytes(text)),
                Ok(Content::Digest(digest)) => Some(format!("sha256 {digest}")),
                Ok(Content::AfterApply) => Some("known after apply".to_owned()),
                Ok(Content::Absent) | Err(_) => None,
            },
            Query::Tree { top, across } => {
                for (name, found) in host.tree(top, *across).map(|tree| tree.entries.clone()).unwrap_or_default() {
                    lines.insert(format!("{top}/{name}"), entry(&found));
                }
                None
            }
            Query::Package(name) => host
                .package(name)
                .ok()
                .map(|found| format!("{}{}", package(found), if host.is_automatic(name) { ", automatic" } else { "" })),
            Query::Candidate(name) => host.candidate(name).ok().map(|found| found.version.clone().unwrap_or_default()),
            Query::Unit(name) => host.unit(name).ok().map(|found| match found {
                Known::Is(found) => unit(found),
                Known::AfterApply => "known after apply".to_owned(),
            }),
            Query::Sysctl(key) => host.sysctl(key).ok().flatten().map(str::to_owned),
            Query::Module(name) => {
                host.module(name).ok().map(|found| if found.loaded { "loaded" } else { "not loaded" }.to_owned())
            }
            Query::Run(run) => match host.output(run) {
                Ok(Known::Is(output)) => Some(format!("exit code {}", output.code)),
                _ => None,
            },
            _ => None,
        };
        lines.extend(found.map(|found| (query.to_string(), found)));
    }
    accounts(host, &mut lines);
    beyond(host, &mut lines);
    lines
}

fn package(found: &Package) -> String {
    match found {
        Package::Absent => "absent".to_owned(),
        Package::ConfigFiles => "configuration files".to_owned(),
        Package::Broken(how) => how.clone(),
        Package::Installed { version, held } => {
            let version = match version {
                Known::Is(version) => version,
                Known::AfterApply => "known after apply",
            };
            format!("installed {version}{}", if *held { ", held" } else { "" })
        }
    }
}

fn number(number: &Known<u32>) -> String {
    match number {
        Known::Is(number) => number.to_string(),
        Known::AfterApply => "known after apply".to_owned(),
    }
}

fn accounts(host: &HostState, lines: &mut BTreeMap<String, String>) {
    for (name, user) in host.users().into_iter().flatten() {
        let (uid, comment) = (number(&user.uid), &user.comment);
        let text =
            format!("uid {uid} group {} home {} shell {} comment {comment:?}", user.group, user.home, user.shell);
        lines.insert(format!("user {name}"), text);
        if let Ok(Some(shadow)) = host.shadow(name) {
            let day = shadow.expires.map_or("never".to_owned(), |day| format!("day {day}"));
            lines.insert(format!("shadow of {name}"), format!("{} expires {day}", shadow.hash.expose()));
        }
    }
    for (name, group) in host.groups().into_iter().flatten() {
        let members: String = group.members.iter().map(|member| format!(" {member}")).collect();
        lines.insert(format!("group {name}"), format!("gid {}{members}", number(&group.gid)));
    }
}

/// What is known otherwise than by a question, and what is not known any more.
fn beyond(host: &PredictedState, lines: &mut BTreeMap<String, String>) {
    let facts = &host.facts;
    for (name, value) in [
        ("hostname", &facts.hostname),
        ("timezone", &facts.timezone),
        ("login_shell", &facts.login_shell),
        ("login_home", &facts.login_home),
    ] {
        lines.insert(format!("fact {name}"), value.clone());
    }
    lines
        .insert("age of the lists".to_owned(), facts.apt.lists_age.map_or("unknown".to_owned(), |age| age.to_string()));
    lines.insert("pending".to_owned(), host.left.pending.iter().cloned().collect::<Vec<_>>().join(" "));
    let yes = |on: bool| if on { "yes" } else { "no" }.to_owned();
    lines.insert("anything may have come".to_owned(), yes(host.brought_by().is_some()));
    lines.insert("packages may have come".to_owned(), yes(host.packages_by().is_some()));
    lines.insert("repositories may have come".to_owned(), yes(host.apt_by().is_some()));
    lines.insert("a reboot may be asked for".to_owned(), yes(host.reboot_by().is_some()));
    lines.insert("kernel parameters may have come".to_owned(), yes(host.sysctl_may_appear()));
}
