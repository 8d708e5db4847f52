//! The entries of a user in the databases: passwd, group and shadow.
//!
//! Each attribute that differs is a change of its own; what the step does not
//! mention is left alone. Nothing here may lock out the operator: the user who
//! is logged in keeps number, home and a shell to log in with.

use super::password::{expiry, password};
use super::plan_builder::PlanBuilder;
use super::{busy, ssh_dir};
use crate::observe::{Account, Known, PathState, Query};
use crate::plan::{AccountOp, Action, KNOWN_AFTER_APPLY, Op, PlanError};
use crate::values::{AbsPath, GroupName, PasswordHash, UserName};
use std::collections::BTreeSet;

/// What a step says of a user's entries; none where it says nothing.
#[derive(Debug)]
pub(super) struct DesiredAccount {
    pub name: UserName,
    pub uid: Option<u32>,
    pub system: bool,
    pub shell: Option<AbsPath>,
    pub home: Option<AbsPath>,
    pub comment: Option<String>,
    pub groups: Option<Vec<GroupName>>,
    pub exclusive_groups: bool,
    pub password: Option<PasswordHash>,
    pub locked: Option<bool>,
    /// Days since 1970-01-01; the inner none stands for "never".
    pub expires: Option<Option<i64>>,
    /// Whether a home is needed though the account is a system's: for keys.
    pub needs_home: bool,
}

/// Shells that are on every Debian and Ubuntu host (packages marked essential).
const ESSENTIAL_SHELLS: [&str; 10] = [
    "/bin/bash",
    "/usr/bin/bash",
    "/bin/sh",
    "/usr/bin/sh",
    "/bin/dash",
    "/usr/sbin/nologin",
    "/sbin/nologin",
    "/bin/false",
    "/usr/bin/false",
    "/bin/true",
];

fn refused<T>(why: String) -> Result<T, PlanError> {
    Err(PlanError::Refused(why))
}

impl DesiredAccount {
    /// The home that the account will have if it is new.
    pub(super) fn new_home(&self) -> Option<AbsPath> {
        self.home.clone().or_else(|| ssh_dir::default_home(&self.name))
    }

    /// The questions to ask up front.
    pub(super) fn queries(&self) -> Vec<Query> {
        let mut queries = vec![Query::Accounts, Query::User(self.name.to_string())];
        queries.extend(self.groups.iter().flatten().map(|group| Query::Group(group.to_string())));
        for home in self.new_home().into_iter().chain(ssh_dir::default_home(&self.name)) {
            queries.extend(ssh_dir::home_queries(&home));
        }
        let other = |shell: &&AbsPath| !ESSENTIAL_SHELLS.contains(&shell.as_str());
        queries.extend(self.shell.iter().filter(other).cloned().map(Query::Path));
        queries
    }

    pub(super) fn is_login(&self, draft: &PlanBuilder<'_>) -> bool {
        draft.host().facts.login_user == self.name.as_str()
    }

    /// Whether a directory is made for a new account: not for a system's,
    /// unless the step names one.
    fn has_home(&self) -> bool {
        let named_none = self.home.as_ref().is_some_and(ssh_dir::is_no_home);
        !named_none && (!self.system || self.home.is_some() || self.needs_home)
    }
}

/// Plans a user's entries.
///
/// # Errors
/// What is wanted is refused, or the state cannot tell.
pub(super) fn plan(draft: &mut PlanBuilder<'_>, wanted: &DesiredAccount) -> Result<(), PlanError> {
    check_uid(draft, wanted)?;
    match draft.host().user(wanted.name.as_str())?.cloned() {
        None => {
            create(draft, wanted)?;
            unless_made(draft, wanted);
        }
        Some(account) => update(draft, wanted, &account)?,
    }
    groups(draft, wanted)?;
    password(draft, wanted)?;
    expiry(draft, wanted)?;
    refuse_remote(draft, wanted)
}

/// A package or a command of the run may make the account before this step
/// does, with a number and a home of its own. Where these decide what is to be
/// done, the step is decided at its turn; all else is the same either way.
fn unless_made(draft: &mut PlanBuilder<'_>, wanted: &DesiredAccount) {
    let Some(by) = draft.host().affected_by(&Query::User(wanted.name.to_string())).map(str::to_owned) else { return };
    if wanted.uid.is_some() || wanted.home.is_some() || wanted.needs_home {
        draft.planned.leave_open(&by);
    }
    draft.note(format!("this is what is made unless {by} makes the account"));
}

/// What /etc/passwd does not hold, usermod(8), chpasswd(8) and chage(1) cannot change.
fn refuse_remote(draft: &PlanBuilder<'_>, wanted: &DesiredAccount) -> Result<(), PlanError> {
    let changes = |op: &Op| {
        matches!(
            op,
            Op::Account(
                AccountOp::UserChange { .. }
                    | AccountOp::SetPasswordHash { .. }
                    | AccountOp::LockPassword { .. }
                    | AccountOp::SetExpiry { .. }
            )
        )
    };
    let name = wanted.name.as_str();
    if draft.host().is_remote_user(name) && draft.planned.ops.iter().any(changes) {
        let fields =
            draft.planned.changes.iter().map(|change| change.field.as_str()).filter(|field| *field != "groups");
        return refused(format!(
            "the user '{name}' is not in /etc/passwd but comes from another source of accounts ('passwd' in \
             /etc/nsswitch.conf), so that this host cannot change it ({}): change it there, or leave these fields out",
            fields.collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(())
}

/// What /etc/group does not hold, gpasswd(1) cannot change.
fn local_group(draft: &PlanBuilder<'_>, user: &str, group: &str) -> Result<(), PlanError> {
    if !draft.host().is_remote_group(group) {
        return Ok(());
    }
    refused(format!(
        "the group '{group}' is not in /etc/group but comes from another source of accounts ('group' in \
         /etc/nsswitch.conf), so that this host cannot change whether '{user}' is in it: change it there"
    ))
}

fn check_uid(draft: &PlanBuilder<'_>, wanted: &DesiredAccount) -> Result<(), PlanError> {
    let Some(uid) = wanted.uid else { return Ok(()) };
    let name = wanted.name.as_str();
    match draft.host().users()?.iter().find(|(other, account)| *other != name && account.uid == Known::Is(uid)) {
        Some((other, _)) => {
            refused(format!("the user '{name}' cannot have the number {uid}: the user '{other}' has it"))
        }
        None => Ok(()),
    }
}

fn check_shell(draft: &PlanBuilder<'_>, wanted: &DesiredAccount) -> Result<(), PlanError> {
    let Some(shell) = &wanted.shell else { return Ok(()) };
    let no_login = ["nologin", "false", "true"].contains(&shell.file_name());
    if no_login && wanted.is_login(draft) {
        return refused(format!(
            "the shell {shell} would lock out '{}', as whom you are logged in; log in as another user first",
            wanted.name
        ));
    }
    if ESSENTIAL_SHELLS.contains(&shell.as_str()) || draft.host().accounts_may_appear() {
        return Ok(());
    }
    match draft.host().path(shell)? {
        PathState::Absent => refused(format!(
            "the shell {shell} is not on the host, so '{}' could not log in; add a 'package' step that brings it before this one",
            wanted.name
        )),
        _ => Ok(()),
    }
}

fn create(draft: &mut PlanBuilder<'_>, wanted: &DesiredAccount) -> Result<(), PlanError> {
    if let Err(why) = wanted.name.can_be_made() {
        let name = &wanted.name;
        return refused(format!(
            "there is no user '{name}' on the host ('getent passwd' finds none), and none of this name can be made there: {why}"
        ));
    }
    check_shell(draft, wanted)?;
    let name = &wanted.name;
    // useradd(8) would refuse to make a group that is there.
    let group = if draft.host().group(name.as_str())?.is_some() { name.as_str().parse().ok() } else { None };
    let default_shell = if wanted.system { "/usr/sbin/nologin" } else { "/bin/bash" };
    let shell = wanted.shell.as_ref().map_or(default_shell, AbsPath::as_str).to_owned();
    let home = wanted.new_home();
    let occupied = match &home {
        Some(home) if wanted.has_home() => *draft.host().path(home)? != PathState::Absent,
        _ => false,
    };
    draft.planned.action = Some(Action::Create);
    draft.change("uid", None::<&str>, Some(wanted.uid.map_or(KNOWN_AFTER_APPLY.to_owned(), |uid| uid.to_string())));
    draft.change("shell", None::<&str>, Some(&shell));
    if let Some(home) = &home {
        draft.change("home", None::<&str>, Some(home.as_str()));
    }
    if let Some(comment) = &wanted.comment {
        draft.change("comment", None::<&str>, Some(comment));
    }
    draft.push(Op::Account(AccountOp::UserAdd {
        name: name.clone(),
        uid: wanted.uid,
        group,
        groups: Vec::new(),
        system: wanted.system,
        shell: Some(shell),
        home: home.clone().filter(|_| wanted.has_home() && !occupied),
        defaults: [("shell", wanted.shell.is_none()), ("home", wanted.home.is_none())]
            .into_iter()
            .filter_map(|(what, by_default)| by_default.then_some(what))
            .collect(),
        comment: wanted.comment.clone(),
    }));
    // A home that is there is not touched by useradd: neither copied into nor given to the user.
    if draft
        .host()
        .user(name.as_str())?
        .is_some_and(|account| Some(account.home.as_str()) != home.as_ref().map(AbsPath::as_str))
    {
        draft.push(change_home(name, home.clone(), false));
    }
    if occupied {
        draft.note("the home is there already: what is in it is kept");
    }
    if occupied && (!wanted.system || wanted.needs_home) {
        ssh_dir::home(draft, name)?;
    }
    Ok(())
}

fn change_home(name: &UserName, home: Option<AbsPath>, move_home: bool) -> Op {
    Op::Account(AccountOp::UserChange {
        name: name.clone(),
        uid: None,
        group: None,
        shell: None,
        home,
        move_home,
        comment: None,
    })
}

fn update(draft: &mut PlanBuilder<'_>, wanted: &DesiredAccount, account: &Account) -> Result<(), PlanError> {
    let name = &wanted.name;
    let uid = wanted.uid.filter(|uid| account.uid != Known::Is(*uid));
    if let Some(uid) = uid {
        if wanted.is_login(draft) || name.as_str() == "root" {
            return refused(format!(
                "the number of '{name}' cannot change from {} to {uid}: {}",
                shown(&account.uid),
                if name.as_str() == "root" { "it is root" } else { "you are logged in as this user" }
            ));
        }
        draft.change("uid", Some(shown(&account.uid)), Some(uid.to_string()));
        draft.note(format!(
            "files of '{name}' outside of the home keep the old number; find them with: find / -xdev -nouser"
        ));
    }
    let shell = wanted.shell.as_ref().map(AbsPath::as_str).filter(|shell| *shell != account.shell);
    if let Some(shell) = shell {
        check_shell(draft, wanted)?;
        draft.change("shell", Some(&account.shell), Some(shell));
    }
    let comment = wanted.comment.as_ref().filter(|comment| **comment != account.comment);
    if let Some(comment) = comment {
        draft.change("comment", Some(&account.comment), Some(comment));
    }
    let (home, move_home) = new_home(draft, wanted, account)?;
    if let (Some(home), true) = (&home, move_home) {
        // usermod(8) notes the new home first and only then finds that it cannot move there.
        ssh_dir::make_above(draft, home);
    }
    if uid.is_some() || home.is_some() {
        busy::check(draft, name, &account.uid, "usermod(8)")?;
    }
    if uid.is_some() || shell.is_some() || comment.is_some() || home.is_some() {
        draft.push(Op::Account(AccountOp::UserChange {
            name: name.clone(),
            uid,
            group: None,
            shell: shell.map(str::to_owned),
            home,
            move_home,
            comment: comment.cloned(),
        }));
    }
    match &wanted.home {
        Some(home) if !ssh_dir::is_no_home(home) => ssh_dir::home_exists(draft, name),
        _ => Ok(()),
    }
}

fn shown(uid: &Known<u32>) -> String {
    match uid {
        Known::Is(uid) => uid.to_string(),
        Known::AfterApply => KNOWN_AFTER_APPLY.to_owned(),
    }
}

/// The home to change to, and whether the old one is moved there.
fn new_home(
    draft: &mut PlanBuilder<'_>,
    wanted: &DesiredAccount,
    account: &Account,
) -> Result<(Option<AbsPath>, bool), PlanError> {
    let Some(home) = wanted.home.clone().filter(|home| home.as_str() != account.home) else {
        return Ok((None, false));
    };
    let name = &wanted.name;
    if wanted.is_login(draft) || name.as_str() == "root" {
        return refused(format!(
            "the home of '{name}' cannot move from {} to {home} while {} uses it; make the change as another user",
            account.home.escape_debug(),
            if name.as_str() == "root" { "the system" } else { "your own login" }
        ));
    }
    draft.change("home", Some(&account.home), Some(home.as_str()));
    let Ok(old) = account.home.parse::<AbsPath>() else { return Ok((Some(home), false)) };
    if ssh_dir::is_no_home(&home) || ssh_dir::is_no_home(&old) {
        return Ok((Some(home), false));
    }
    // With what is asked here the effect can carry keys and their modes along.
    if !draft.answered(ssh_dir::key_queries(&old)) {
        return Ok((Some(home), true));
    }
    let PathState::Present(entry) = draft.host().path(&old)? else { return Ok((Some(home), false)) };
    if !draft.host().is_same_user(&entry.owner, name.as_str()) {
        let owner = entry.owner.clone();
        draft.note(format!("{old} belongs to '{owner}' and stays where it is"));
        return Ok((Some(home), false));
    }
    if *draft.host().path(&home)? != PathState::Absent {
        draft.note(format!("{home} is there already: what is in {old} stays there"));
        return Ok((Some(home), false));
    }
    Ok((Some(home), true))
}

fn groups(draft: &mut PlanBuilder<'_>, wanted: &DesiredAccount) -> Result<(), PlanError> {
    let Some(list) = &wanted.groups else { return Ok(()) };
    let name = wanted.name.as_str();
    let primary = draft.host().user(name)?.map(|account| account.group.clone()).unwrap_or_default();
    let target: BTreeSet<&GroupName> = list.iter().filter(|group| group.as_str() != primary).collect();
    let current: BTreeSet<String> = draft
        .host()
        .groups()?
        .iter()
        .filter(|(_, group)| group.members.contains(name))
        .map(|(group, _)| group.clone())
        .collect();
    let mut after = current.clone();
    let mut ops = Vec::new();
    for group in target.iter().filter(|group| !current.contains(group.as_str())) {
        if draft.host().group(group.as_str())?.is_none() {
            if !draft.host().accounts_may_appear() {
                return refused(format!(
                    "there is no group '{group}' on the host for '{name}' to be in; add a step before this one: group = {{ name = \"{group}\" }}"
                ));
            }
            let by = draft.host().brought_by().unwrap_or("an earlier step").to_owned();
            draft.note(format!("group '{group}': {KNOWN_AFTER_APPLY}; {by} is expected to bring it"));
        }
        local_group(draft, name, group.as_str())?;
        after.insert(group.to_string());
        ops.push(Op::Account(AccountOp::Join { user: wanted.name.clone(), group: (*group).clone() }));
    }
    if wanted.exclusive_groups {
        for group in current.iter().filter(|group| !target.iter().any(|wanted| wanted.as_str() == **group)) {
            local_group(draft, name, group)?;
            let parsed = group.parse::<GroupName>().map_err(|why| {
                PlanError::Refused(format!("'{name}' cannot be taken out of a group on the host: {why}"))
            })?;
            after.remove(group);
            if wanted.is_login(draft) && ["sudo", "admin", "wheel", "root"].contains(&group.as_str()) {
                draft.note(format!(
                    "'{name}', as whom you are logged in, leaves the group '{group}', which may give sudo"
                ));
            }
            ops.push(Op::Account(AccountOp::Leave { user: wanted.name.clone(), group: parsed }));
        }
    }
    if !ops.is_empty() {
        let text = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        draft.change("groups", Some(text(&current)).filter(|t| !t.is_empty()), Some(text(&after)));
        ops.into_iter().for_each(|op| draft.push(op));
    }
    Ok(())
}
