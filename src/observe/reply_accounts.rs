//! Users and groups in the probe's answer.

use super::reply::Section;
use super::{Account, Group, HostState, Known, Queries, Query, Shadow};
use crate::values::Secret;
use std::collections::BTreeMap;

pub(super) fn accounts(host: &mut HostState, passwd: &Section, group: &Section, shadow: &Section, local: &Section) {
    host.mark_asked(Query::Accounts);
    let all = [passwd, group, shadow, local];
    if all.iter().any(|section| section.code != 0) || shadow.output.is_empty() {
        let why = all.iter().flat_map(|s| s.complaints()).next().unwrap_or("getent failed");
        host.set_unreadable(Query::Accounts, why.to_owned());
        return;
    }
    let mut names = BTreeMap::new();
    for fields in lines(group) {
        read_group(host, &fields, &mut names);
    }
    for fields in lines(passwd) {
        read_user(host, &fields, &names);
    }
    for fields in lines(shadow) {
        let [name, hash, ..] = &fields[..] else { continue };
        let expires = fields.get(7).and_then(|day| day.parse().ok());
        host.shadow_mut().insert(name.clone(), Shadow { hash: Secret::new(hash.clone()), expires });
    }
    let text = local.text();
    let of = |file: &str| text.lines().filter_map(|line| line.strip_prefix(file)).map(str::to_owned).collect();
    host.set_local_accounts(of("/etc/passwd:"), of("/etc/group:"));
}

/// The fields of each line of a database (getent(1)).
fn lines(section: &Section) -> Vec<Vec<String>> {
    section.text().lines().map(|line| line.split(':').map(str::to_owned).collect()).collect()
}

fn read_user(host: &mut HostState, fields: &[String], groups: &BTreeMap<String, String>) {
    let [name, _, uid, gid, comment, home, shell, ..] = fields else { return };
    let account = Account {
        uid: uid.parse().map_or(Known::AfterApply, Known::Is),
        group: groups.get(gid).unwrap_or(gid).clone(),
        comment: comment.clone(),
        home: home.clone(),
        shell: shell.clone(),
    };
    host.users_mut().insert(name.clone(), account);
}

/// Adds a group, and its number with its name to `names`.
fn read_group(host: &mut HostState, fields: &[String], names: &mut BTreeMap<String, String>) {
    let [name, _, gid, members, ..] = fields else { return };
    names.entry(gid.clone()).or_insert_with(|| name.clone());
    let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
    let gid = gid.parse().map_or(Known::AfterApply, Known::Is);
    host.groups_mut().insert(name.clone(), Group { gid, members });
}

/// Users that were asked for by name; getent(1) ends with 2 where one is missing.
pub(super) fn named_users(host: &mut HostState, queries: &Queries, section: &Section) {
    let numbers = host.groups_mut().iter().filter_map(|(name, group)| match group.gid {
        Known::Is(gid) => Some((gid.to_string(), name.clone())),
        Known::AfterApply => None,
    });
    let numbers: BTreeMap<String, String> = numbers.collect();
    for fields in lines(section) {
        if !fields.first().is_some_and(|name| host.users_mut().contains_key(name)) {
            read_user(host, &fields, &numbers);
        }
    }
    mark_named(host, queries.iter().filter(|query| matches!(query, Query::User(_))), section);
}

/// As [`named_users`].
pub(super) fn named_groups(host: &mut HostState, queries: &Queries, section: &Section) {
    for fields in lines(section) {
        if !fields.first().is_some_and(|name| host.groups_mut().contains_key(name)) {
            read_group(host, &fields, &mut BTreeMap::new());
        }
    }
    mark_named(host, queries.iter().filter(|query| matches!(query, Query::Group(_))), section);
}

fn mark_named<'a>(host: &mut HostState, asked: impl Iterator<Item = &'a Query>, section: &Section) {
    for query in asked {
        match section.code {
            0 | 2 => host.mark_asked(query.clone()),
            _ => host.set_unreadable(query.clone(), section.errors.clone()),
        }
    }
}
