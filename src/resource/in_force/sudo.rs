//! What sudo lets users do in the end (sudoers(5)).
//!
//! /etc/sudoers is read from top to bottom with what it includes in place;
//! the last rule that matches user, host and command decides. So a rule for a
//! group that stands later asks for the password again that an earlier rule
//! for the user waived.

use super::Said;
use super::sudo_rules::{Rule, Sudoers};
use crate::observe::{HostState, Queries, Query};
use crate::plan::{InForce, Override, PlanError};
use crate::values::{AbsPath, UserName};
use std::collections::BTreeSet;

pub(super) const MAIN: &str = "/etc/sudoers";
pub(super) const FRAGMENTS: &str = "/etc/sudoers.d";

/// The right to run all commands that a user shall have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::resource) enum Right {
    /// No command at all.
    None,
    /// All, after the password.
    Password,
    /// All, without one.
    NoPassword,
}

/// Asks for the main file, the usual directory and the accounts.
pub(in crate::resource) fn ask_sudo(queries: &mut Queries) {
    queries.ask(Query::Accounts);
    queries.extend(MAIN.parse().ok().map(Query::Content));
    queries.extend(FRAGMENTS.parse().ok().map(Query::Fragments));
}

/// The rules for a user on this host, in the order in which they are read.
fn of_user<'a>(sudoers: &'a Sudoers, user: &'a Subject, hostname: &'a str) -> impl Iterator<Item = &'a Rule> {
    sudoers.rules.iter().filter(move |rule| {
        sudoers.lists(&rule.users, &|name| user.is(name), 0) == Some(true)
            && sudoers.lists(&rule.hosts, &|name| is_host(name, hostname), 0) == Some(true)
    })
}

/// Somebody whom rules may be about.
struct Subject {
    name: String,
    uid: Option<u32>,
    groups: Vec<(String, Option<u32>)>,
}

impl Subject {
    fn of(host: &HostState, name: &str) -> Result<Option<Subject>, PlanError> {
        let known = |id: &crate::observe::Known<u32>| match id {
            crate::observe::Known::Is(id) => Some(*id),
            crate::observe::Known::AfterApply => None,
        };
        let Some(account) = host.user(name)? else { return Ok(None) };
        let mine =
            host.groups()?.iter().filter(|(group, entry)| **group == account.group || entry.members.contains(name));
        let groups = mine.map(|(group, entry)| (group.clone(), known(&entry.gid))).collect();
        Ok(Some(Subject { name: name.to_owned(), uid: known(&account.uid), groups }))
    }

    fn is(&self, word: &str) -> bool {
        let number = |text: &str| text.parse::<u32>().ok();
        if let Some(gid) = word.strip_prefix("%#") {
            return number(gid).is_some_and(|gid| self.groups.iter().any(|(_, mine)| *mine == Some(gid)));
        }
        if let Some(group) = word.strip_prefix('%') {
            return self.groups.iter().any(|(mine, _)| mine == group.trim_matches('"'));
        }
        if let Some(uid) = word.strip_prefix('#') {
            return number(uid).is_some() && number(uid) == self.uid;
        }
        word == "ALL" || word.trim_matches('"') == self.name
    }
}

fn is_host(word: &str, hostname: &str) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    word == "ALL" || word == hostname || short(word) == short(hostname)
}

/// What gives a user another right to run commands as root than `right`.
///
/// # Errors
/// The state cannot tell.
pub(in crate::resource) fn user_right(
    host: &HostState,
    user: &UserName,
    own: &AbsPath,
    right: Right,
) -> Result<InForce, PlanError> {
    let (Some(sudoers), Some(subject)) = (Sudoers::of(host)?, Subject::of(host, user.as_str())?) else {
        return Ok(InForce::default());
    };
    let mut found = InForce { follow_up_queries: sudoers.follow_up_queries.clone(), ..InForce::default() };
    let rules: Vec<&Rule> =
        of_user(&sudoers, &subject, &host.facts.hostname).filter(|rule| sudoers.as_root(rule)).collect();
    // The right is the one to all commands: the last rule for all decides it.
    let all = |rule: &&Rule| sudoers.lists(std::slice::from_ref(&rule.command), &|name| name == "ALL", 0) == Some(true);
    let decides = rules.iter().rposition(all);
    if right == Right::None {
        if let Some(rule) = decides.map(|at| rules[at]).filter(|rule| rule.allowed) {
            let message = format!("this rule lets {user} run ALL commands with sudo: {}", remedy(rule, &subject));
            found.overridden.push(Override::new(&rule.file, Some(rule.line), message));
        }
        return Ok(found);
    }
    if !sudoers.files.contains(own) {
        if found.follow_up_queries.is_empty() {
            found.overridden.push(not_included(own));
        }
        return Ok(found);
    }
    let is_for = |scope: &str| match scope.strip_prefix(':') {
        Some(users) => {
            let users: Vec<String> = users.split(',').map(|word| word.trim().to_owned()).collect();
            sudoers.lists(&users, &|name| subject.is(name), 0) == Some(true)
        }
        None => scope.is_empty(),
    };
    let asks = sudoers.defaults.iter().rev().find(|d| d.name == "authenticate" && is_for(&d.scope));
    if let (Right::Password, Some(never)) = (right, asks.filter(|asks| asks.value.is_none())) {
        let message = "with '!authenticate' sudo asks for no password at all: remove that setting there";
        found.overridden.push(Override::new(&never.file, Some(never.line), message));
    }
    // An exception for a few commands leaves all others behind the password;
    // without one, each command that asks for it later is one too many.
    let differs = |rule: &&&Rule| !rule.allowed || rule.password != (right == Right::Password);
    let Some(at) = decides else { return Ok(found) };
    let end = if right == Right::Password { at + 1 } else { rules.len() };
    if let Some(rule) = rules[at..end].iter().rev().find(differs) {
        found.overridden.push(by_rule(rule, &format!("for {user}")));
    }
    Ok(found)
}

/// What overrides the rules and defaults that a file, or a line of it, gives to sudo.
pub(super) fn file(host: &HostState, path: &AbsPath, said: Said<'_>) -> Result<InForce, PlanError> {
    let Some(sudoers) = Sudoers::of(host)? else { return Ok(InForce::default()) };
    let mut found = InForce { follow_up_queries: sudoers.follow_up_queries.clone(), ..InForce::default() };
    if !sudoers.files.contains(path) {
        let read = !path.file_name().contains('.') && !path.file_name().ends_with('~');
        if read && found.follow_up_queries.is_empty() {
            found.overridden.push(not_included(path));
        }
        return Ok(found);
    }
    let mut told = BTreeSet::new();
    for (at, own) in sudoers.rules.iter().enumerate().filter(|(_, r)| r.file == *path && said.covers(&r.whole)) {
        for word in own.users.iter().map(|word| word.trim_start_matches('!')) {
            let subject = if word.starts_with(['%', '#']) || sudoers.aliases.contains_key(word) {
                None
            } else {
                Subject::of(host, word)?
            };
            let about = |rule: &Rule| match &subject {
                Some(subject) => sudoers.lists(&rule.users, &|name| subject.is(name), 0) == Some(true),
                None => rule.users.iter().any(|user| user == word || user == "ALL"),
            };
            let over = sudoers.rules[at + 1..].iter().rev().find(|rule| {
                let same_command = rule.command == "ALL" || rule.command == own.command;
                let same_runas = sudoers.as_root(rule) == sudoers.as_root(own) || rule.runas == own.runas;
                rule.file != *path && same_command && same_runas && about(rule)
            });
            let Some(by) = over.filter(|by| (by.allowed, by.password) != (own.allowed, own.password)) else { continue };
            if told.insert((&by.file, by.line)) {
                found.overridden.push(by_rule(by, &format!("for {word}")));
            }
        }
    }
    for (at, own) in sudoers.defaults.iter().enumerate().filter(|(_, d)| d.file == *path && said.covers(&d.whole)) {
        let over = sudoers.defaults[at + 1..].iter().rev().find(|d| d.scope == own.scope && d.name == own.name);
        if let Some(by) = over.filter(|by| by.value != own.value && by.file != *path) {
            let message = format!("it is read later and sets {} otherwise: remove that setting there", own.name);
            found.overridden.push(Override::new(&by.file, Some(by.line), message));
        }
    }
    Ok(found)
}

/// What takes from a user what a rule gives.
fn remedy(rule: &Rule, user: &Subject) -> String {
    let named = rule.users.iter().rev().find(|word| user.is(word));
    match named {
        Some(group) if group.starts_with('%') => {
            format!("take {} out of the group that this rule is for, {}", user.name, &group[1..])
        }
        Some(word) if word != "ALL" => "remove it there".to_owned(),
        _ => format!("have it leave out {} there, by '!{}' at the end of its users", user.name, user.name),
    }
}

fn by_rule(rule: &Rule, whom: &str) -> Override {
    let what = match (rule.allowed, rule.password) {
        (false, _) => "forbids",
        (true, true) => "asks for the password for",
        (true, false) => "asks for no password for",
    };
    let message = format!(
        "sudo takes the last rule that matches, and this one {what} {} {whom}: remove it there, or put it before",
        rule.command
    );
    Override::new(&rule.file, Some(rule.line), message)
}

fn not_included(own: &AbsPath) -> Override {
    let message = format!(
        "it does not include {own}, so sudo does not read it: add the line '@includedir {FRAGMENTS}' at its end"
    );
    Override::new(MAIN, None, message)
}
