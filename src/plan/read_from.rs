//! What is known of a host by other names than the file that says it: accounts
//! and the time zone. Where a step changes such a file, that changes with it,
//! and the other way round.

use super::AccountOp;
use super::unit_files::Brought;
use crate::observe::{Account, Content, Group, HostState, Known, PredictedState, Shadow};
use crate::values::{AbsPath, Secret};
use std::collections::{BTreeMap, BTreeSet};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
const SHADOW: [&str; 2] = ["/etc/shadow", "/etc/gshadow"];

/// Something was written, linked or removed at a path.
pub(super) fn changed(host: &mut PredictedState, path: &AbsPath, brought: Brought<'_>) {
    match (path.as_str(), brought) {
        ("/etc/localtime", Brought::Link(target)) => {
            // localtime(5): the name of the zone is what follows the directory of all.
            let zone = target.split_once("zoneinfo/").map_or("", |(_, zone)| zone);
            zone.clone_into(&mut host.facts_mut().timezone);
            host.fact_is_decided("timezone");
        }
        ("/etc/localtime", Brought::Nothing) => host.facts_mut().timezone.clear(),
        (PASSWD, Brought::Text(text)) => users(host, &lines(text)),
        (GROUP, Brought::Text(text)) => groups(host, &lines(text)),
        ("/etc/shadow", Brought::Text(text)) => shadow(host, &lines(text)),
        _ => {}
    }
}

/// The fields of each line.
fn lines(text: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(text);
    text.lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
}

/// passwd(5).
fn users(host: &mut PredictedState, lines: &[Vec<String>]) {
    if host.users().is_err() {
        return;
    }
    let numbers: BTreeMap<String, String> = host
        .groups_mut()
        .iter()
        .filter_map(|(name, group)| match group.gid {
            Known::Is(gid) => Some((gid.to_string(), name.clone())),
            Known::AfterApply => None,
        })
        .collect();
    let mut found = BTreeSet::new();
    for fields in lines {
        let [name, _, uid, gid, comment, home, shell, ..] = &fields[..] else { continue };
        found.insert(name.clone());
        let account = Account {
            uid: uid.parse().map_or(Known::AfterApply, Known::Is),
            group: numbers.get(gid).unwrap_or(gid).clone(),
            comment: comment.clone(),
            home: home.clone(),
            shell: shell.clone(),
        };
        host.users_mut().insert(name.clone(), account);
        host.made_locally(Some(name), None);
    }
    let gone: Vec<String> = host.users_mut().keys().filter(|name| !found.contains(*name)).cloned().collect();
    for name in gone {
        if !host.is_remote_user(&name) {
            host.users_mut().remove(&name);
        }
    }
}

/// group(5).
fn groups(host: &mut PredictedState, lines: &[Vec<String>]) {
    if host.groups().is_err() {
        return;
    }
    let mut found = BTreeSet::new();
    for fields in lines {
        let [name, _, gid, members, ..] = &fields[..] else { continue };
        found.insert(name.clone());
        let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
        let group = Group { gid: gid.parse().map_or(Known::AfterApply, Known::Is), members };
        host.groups_mut().insert(name.clone(), group);
        host.made_locally(None, Some(name));
    }
    let gone: Vec<String> = host.groups_mut().keys().filter(|name| !found.contains(*name)).cloned().collect();
    for name in gone {
        if !host.is_remote_group(&name) {
            host.groups_mut().remove(&name);
        }
    }
}

/// shadow(5).
fn shadow(host: &mut PredictedState, lines: &[Vec<String>]) {
    if host.users().is_err() {
        return;
    }
    for fields in lines {
        let [name, hash, ..] = &fields[..] else { continue };
        let expires = fields.get(7).and_then(|day| day.parse().ok());
        host.shadow_mut().insert(name.clone(), Shadow { hash: Secret::new(hash.clone()), expires });
    }
}

/// The databases were changed by one of the tools for accounts: a file of them
/// of which a step needs the text has another one then.
pub(super) fn accounts_changed(host: &mut PredictedState, op: &AccountOp) {
    let (of_users, of_groups) = match op {
        AccountOp::UserAdd { .. } | AccountOp::UserRemove { .. } => (true, true),
        AccountOp::UserChange { .. } => (true, false),
        AccountOp::GroupAdd { .. }
        | AccountOp::GroupChange { .. }
        | AccountOp::GroupRemove { .. }
        | AccountOp::Join { .. }
        | AccountOp::Leave { .. } => (false, true),
        AccountOp::SetPasswordHash { .. } | AccountOp::LockPassword { .. } | AccountOp::SetExpiry { .. } => {
            (false, false)
        }
    };
    if of_users {
        rewrite(host, PASSWD, passwd_line);
    }
    if of_groups {
        rewrite(host, GROUP, group_line);
    }
    for path in SHADOW {
        rewrite(host, path, |_, _| None);
    }
}

/// Gives a file the text that follows from what is known; where a line cannot
/// be known, the whole is known after apply.
fn rewrite(host: &mut PredictedState, path: &str, line: fn(&HostState, &str) -> Option<String>) {
    let Ok(path) = path.parse::<AbsPath>() else { return };
    let Ok(Content::Bytes(before)) = host.content(&path) else { return };
    let before = String::from_utf8_lossy(before).into_owned();
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let all: BTreeSet<String> = before.lines().map(name).collect();
    let known: Vec<String> = match path.as_str() {
        PASSWD => host.users_mut().keys().cloned().collect(),
        GROUP => host.groups_mut().keys().cloned().collect(),
        _ => Vec::new(),
    };
    let is_new = |name: &String| match path.as_str() {
        PASSWD => !host.is_remote_user(name),
        _ => !host.is_remote_group(name),
    };
    let whole = known.iter().filter(|name| is_new(name)).all(|name| all.contains(name));
    let gone = |name: &String| !known.contains(name) && !name.starts_with(['+', '-', '#']) && !name.is_empty();
    let mut text = String::new();
    let mut is_known = whole;
    for old in before.lines().filter(|old| SHADOW.contains(&path.as_str()) || !gone(&name(old))) {
        match line(host, old) {
            Some(new) => {
                text.push_str(&new);
                text.push('\n');
            }
            None => is_known = false,
        }
    }
    host.set_content(&path, if is_known { Content::Bytes(text.into_bytes()) } else { Content::AfterApply });
}

fn passwd_line(host: &HostState, old: &str) -> Option<String> {
    let fields: Vec<&str> = old.split(':').collect();
    let [name, password, _, gid, ..] = fields[..] else { return Some(old.to_owned()) };
    let Some(account) = host.users().ok()?.get(name) else { return Some(old.to_owned()) };
    let Known::Is(uid) = account.uid else { return None };
    let gid = match host.groups().ok()?.get(&account.group).map(|group| group.gid.clone()) {
        Some(Known::Is(gid)) => gid.to_string(),
        Some(Known::AfterApply) => return None,
        None => gid.to_owned(),
    };
    Some(format!("{name}:{password}:{uid}:{gid}:{}:{}:{}", account.comment, account.home, account.shell))
}

fn group_line(host: &HostState, old: &str) -> Option<String> {
    let fields: Vec<&str> = old.split(':').collect();
    let [name, password, _, members] = fields[..] else { return Some(old.to_owned()) };
    let Some(group) = host.groups().ok()?.get(name) else { return Some(old.to_owned()) };
    let Known::Is(gid) = group.gid else { return None };
    // The tools keep the order of those that stay, and add at the end.
    let mut all: Vec<&str> = members.split(',').filter(|member| group.members.contains(*member)).collect();
    let added: Vec<&str> = group.members.iter().map(String::as_str).filter(|member| !all.contains(member)).collect();
    all.extend(added);
    Some(format!("{name}:{password}:{gid}:{}", all.join(",")))
}
