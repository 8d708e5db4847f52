//! Operations on users and groups.

use super::{Answers, Traits};
use crate::observe::{Account, FileType, Group, HostState, Known, Part, PathState, PredictedState, Query, Shadow};
use crate::plan::obstacle::{databases, nothing_mounted};
use crate::plan::{Access, Meta, NamedAccounts, OpScript, PlanError, goes_with_user, moved_tree, predicted_entry};
use crate::shell::{Command, NulByte};
use crate::values::{AbsPath, GroupName, Mode, Secret, UserName};

/// Operations on users and groups.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the fields carry the names of the tools' own arguments
pub enum AccountOp {
    GroupAdd {
        name: GroupName,
        gid: Option<u32>,
        system: bool,
    },
    GroupChange {
        name: GroupName,
        gid: u32,
    },
    GroupRemove {
        name: GroupName,
    },
    /// Makes a user with a home directory (from /etc/skel) unless `home` is none.
    UserAdd {
        name: UserName,
        uid: Option<u32>,
        /// Primary group; none means a group of the user's own name.
        group: Option<GroupName>,
        /// Further groups that it is in from the beginning.
        groups: Vec<GroupName>,
        system: bool,
        shell: Option<String>,
        home: Option<AbsPath>,
        /// Which of `shell` and `home` are not the step's but what a new account gets.
        defaults: Vec<&'static str>,
        comment: Option<String>,
    },
    UserChange {
        name: UserName,
        uid: Option<u32>,
        group: Option<GroupName>,
        shell: Option<String>,
        /// The new home.
        home: Option<AbsPath>,
        /// Whether the old home is moved to the new one's place, which must be free.
        move_home: bool,
        comment: Option<String>,
    },
    UserRemove {
        name: UserName,
        remove_home: bool,
    },
    /// Writes the password hash field (crypt(5)); it travels on standard input.
    SetPasswordHash {
        user: UserName,
        hash: Secret,
    },
    /// Locks or unlocks the password (`!` before the hash).
    LockPassword {
        user: UserName,
        lock: bool,
    },
    /// Sets or clears the day (since 1970-01-01) on which the account expires.
    SetExpiry {
        user: UserName,
        day: Option<i64>,
    },
    /// Adds a user to a supplementary group.
    Join {
        user: UserName,
        group: GroupName,
    },
    /// Takes a user out of a supplementary group.
    Leave {
        user: UserName,
        group: GroupName,
    },
}

/// The files that hold users and groups, with the copies their tools keep.
pub const ACCOUNT_FILES: [&str; 12] = [
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/group",
    "/etc/group-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/subuid",
    "/etc/subuid-",
    "/etc/subgid",
    "/etc/subgid-",
];

/// The files of the account tools: their sizes and dates, and the mail spools.
const ACCOUNTS: &[Part] = &[
    Part::Paths("/etc/passwd"),
    Part::Paths("/etc/group"),
    Part::Paths("/etc/shadow"),
    Part::Paths("/etc/gshadow"),
    Part::Paths("/etc/sub"),
    Part::Paths("/var/mail"),
    Part::Paths("/var/spool/"),
];

impl Answers for AccountOp {
    fn script(&self, out: &mut OpScript) -> Result<(), NulByte> {
        match self {
            AccountOp::GroupAdd { name, gid, system } => {
                let gid = gid.map_or(String::new(), |gid| gid.to_string());
                let command = Command::new("group_add").args([name.as_str(), &gid]);
                out.run(if *system { command.arg("--system") } else { command });
            }
            AccountOp::GroupChange { name, gid } => {
                out.run(Command::new("groupmod").args(["--gid", &gid.to_string(), "--", name.as_str()]));
            }
            AccountOp::GroupRemove { name } => out.run(Command::new("group_remove").arg(name)),
            AccountOp::UserAdd { .. } => self.add_user(out),
            AccountOp::UserChange { .. } => self.change_user(out),
            AccountOp::UserRemove { name, remove_home } => {
                let command = Command::new("user_remove").arg(name);
                out.run(if *remove_home { command.arg("--remove") } else { command });
            }
            AccountOp::SetPasswordHash { user, hash } => {
                let number = out.payload(format!("{user}:{}\n", hash.expose()));
                out.run(Command::new("set_password_hash").arg(number));
            }
            AccountOp::LockPassword { user, lock } => {
                let flag = if *lock { "--lock" } else { "--unlock" };
                out.run(Command::new("usermod").args([flag, "--", user.as_str()]));
            }
            AccountOp::SetExpiry { user, day } => {
                let day = day.map_or("-1".to_owned(), |day| day.to_string());
                out.run(Command::new("chage").args(["--expiredate", &day, "--", user.as_str()]));
            }
            AccountOp::Join { user, group } => {
                out.run(Command::new("gpasswd").args(["--add", user.as_str(), group.as_str()]));
            }
            AccountOp::Leave { user, group } => out.run(Command::new("leave_group").arg(user).arg(group)),
        }
        Ok(())
    }

    fn effect(&self, host: &mut PredictedState) {
        match self {
            AccountOp::GroupAdd { name, gid, .. } => add_group(host, name.as_str(), *gid),
            AccountOp::GroupChange { name, gid } => {
                let old = host
                    .groups_mut()
                    .get_mut(name.as_str())
                    .map(|group| std::mem::replace(&mut group.gid, Known::Is(*gid)));
                if let Some(Known::Is(old)) = old {
                    host.renumber(name.as_str(), (old, *gid), true, None);
                }
            }
            AccountOp::GroupRemove { name } => {
                host.unname(name.as_str(), true);
                host.groups_mut().remove(name.as_str());
            }
            AccountOp::UserAdd { .. } => self.user_will_be_added(host),
            AccountOp::UserChange { .. } => self.user_will_be_changed(host),
            AccountOp::UserRemove { name, remove_home } => user_will_be_removed(host, name, *remove_home),
            AccountOp::SetPasswordHash { user, hash } => {
                if let Some(shadow) = host.shadow_mut().get_mut(user.as_str()) {
                    shadow.hash = hash.clone();
                }
            }
            AccountOp::LockPassword { user, lock } => {
                if let Some(shadow) = host.shadow_mut().get_mut(user.as_str()) {
                    let bare = shadow.hash.expose().trim_start_matches('!').to_owned();
                    shadow.hash = Secret::new(if *lock { format!("!{bare}") } else { bare });
                }
            }
            AccountOp::SetExpiry { user, day } => {
                if let Some(shadow) = host.shadow_mut().get_mut(user.as_str()) {
                    shadow.expires = *day;
                }
            }
            AccountOp::Join { user, group } => {
                add_group(host, group.as_str(), None);
                if let Some(group) = host.groups_mut().get_mut(group.as_str()) {
                    group.members.insert(user.to_string());
                }
            }
            AccountOp::Leave { user, group } => {
                if let Some(group) = host.groups_mut().get_mut(group.as_str()) {
                    group.members.remove(user.as_str());
                }
            }
        }
    }

    fn undo_scope(&self) -> Vec<Query> {
        let mut queries: Vec<Query> =
            ACCOUNT_FILES.iter().filter_map(|path| path.parse().ok()).map(Query::Content).collect();
        match self {
            AccountOp::UserAdd { home, .. } => {
                // useradd(8) makes the directories above it too.
                let above = home.iter().flat_map(AbsPath::ancestors).filter(|path| path.as_str() != "/");
                queries.extend(home.iter().cloned().chain(above).map(Query::Path));
            }
            AccountOp::UserChange { home: Some(home), move_home: true, .. } => queries.push(Query::Path(home.clone())),
            AccountOp::GroupAdd { .. }
            | AccountOp::GroupChange { .. }
            | AccountOp::GroupRemove { .. }
            | AccountOp::UserChange { .. }
            | AccountOp::UserRemove { .. }
            | AccountOp::SetPasswordHash { .. }
            | AccountOp::LockPassword { .. }
            | AccountOp::SetExpiry { .. }
            | AccountOp::Join { .. }
            | AccountOp::Leave { .. } => {}
        }
        queries
    }

    fn named_accounts(&self) -> NamedAccounts {
        let mut named = NamedAccounts::default();
        match self {
            AccountOp::UserAdd { name, groups, .. } => {
                named.users.insert(name.clone());
                // A group of the user's own name comes with it.
                named.groups.extend(name.as_str().parse());
                named.members.extend(groups.iter().map(|group| (name.clone(), group.clone())));
            }
            AccountOp::UserRemove { name, .. } => {
                named.users.insert(name.clone());
                named.groups.extend(name.as_str().parse());
            }
            AccountOp::UserChange { name: user, .. }
            | AccountOp::SetPasswordHash { user, .. }
            | AccountOp::LockPassword { user, .. }
            | AccountOp::SetExpiry { user, .. } => _ = named.users.insert(user.clone()),
            AccountOp::GroupAdd { name, .. }
            | AccountOp::GroupChange { name, .. }
            | AccountOp::GroupRemove { name } => _ = named.groups.insert(name.clone()),
            AccountOp::Join { user, group } | AccountOp::Leave { user, group } => {
                named.members.insert((user.clone(), group.clone()));
            }
        }
        named
    }

    fn can_cut(&self, access: &Access) -> bool {
        match self {
            AccountOp::UserChange { name, home, .. } => {
                access.is_own(name) || home.as_ref().is_some_and(|home| access.depends_on(home))
            }
            AccountOp::UserRemove { name, .. } => access.is_own(name),
            AccountOp::LockPassword { user, .. }
            | AccountOp::SetExpiry { user, .. }
            | AccountOp::SetPasswordHash { user, .. }
            | AccountOp::Join { user, .. }
            | AccountOp::Leave { user, .. } => access.is_own(user),
            // AllowGroups and sudoers go by groups, which the user may be in.
            AccountOp::GroupChange { .. } | AccountOp::GroupRemove { .. } => true,
            // What is new has nobody's access yet.
            AccountOp::UserAdd { .. } | AccountOp::GroupAdd { .. } => false,
        }
    }

    fn obstacle(&self, host: &PredictedState, _notes: &mut Vec<String>) -> Result<(), PlanError> {
        if let AccountOp::UserRemove { name, remove_home: true } = self
            && let Some(home) = home_of(host, name)
        {
            nothing_mounted(host, &home)?;
        }
        databases(host)
    }

    fn traits(&self) -> Traits {
        let traits = Traits::reaching(ACCOUNTS);
        match self {
            // Both move or remove what is in a home.
            AccountOp::UserChange { .. } | AccountOp::UserRemove { .. } => Traits { may_fail_midway: true, ..traits },
            AccountOp::GroupAdd { .. }
            | AccountOp::GroupChange { .. }
            | AccountOp::GroupRemove { .. }
            | AccountOp::UserAdd { .. }
            | AccountOp::SetPasswordHash { .. }
            | AccountOp::LockPassword { .. }
            | AccountOp::SetExpiry { .. }
            | AccountOp::Join { .. }
            | AccountOp::Leave { .. } => traits,
        }
    }
}

impl AccountOp {
    fn add_user(&self, out: &mut OpScript) {
        let AccountOp::UserAdd { name, uid, group, groups, system, shell, home, defaults, comment } = self else {
            return;
        };
        let primary = group.as_ref().map_or("", |group| group.as_str());
        let names: Vec<&str> = groups.iter().map(|group| group.as_str()).collect();
        let at = home.as_ref().map_or("", AbsPath::as_str);
        let shell = shell.as_deref().unwrap_or("");
        let mut command = Command::new("user_add");
        command = command.args([name.as_str(), primary, &names.join(","), at, shell, &defaults.join(" ")]);
        if *system {
            command = command.arg("--system");
        }
        if let Some(uid) = uid {
            command = command.args(["--uid", &uid.to_string()]);
        }
        if let Some(comment) = comment {
            command = command.args(["--comment", comment]);
        }
        out.run(command);
    }

    fn change_user(&self, out: &mut OpScript) {
        let AccountOp::UserChange { name, uid, group, shell, home, move_home, comment } = self else { return };
        if uid.is_some() || home.is_some() {
            out.run(Command::new("user_is_out").arg(name));
        }
        let mut command = Command::new("usermod");
        if let Some(uid) = uid {
            command = command.args(["--uid", &uid.to_string()]);
        }
        if let Some(group) = group {
            command = command.args(["--gid", group.as_str()]);
        }
        if let Some(shell) = shell {
            command = command.args(["--shell", shell]);
        }
        if let Some(home) = home {
            command = command.args(["--home", home.as_str()]);
            if *move_home {
                command = command.arg("--move-home");
            }
        }
        if let Some(comment) = comment {
            command = command.args(["--comment", comment]);
        }
        out.run(command.args(["--", name.as_str()]));
    }

    fn user_will_be_added(&self, host: &mut PredictedState) {
        let AccountOp::UserAdd { name, uid, group, shell, home, comment, .. } = self else { return };
        let primary = group.as_ref().map_or(name.as_str(), |g| g.as_str()).to_owned();
        add_group(host, &primary, None);
        let account = Account {
            uid: uid.map_or(Known::AfterApply, Known::Is),
            group: primary.clone(),
            comment: comment.clone().unwrap_or_default(),
            home: home.as_ref().map_or_else(|| format!("/home/{name}"), ToString::to_string),
            shell: shell.clone().unwrap_or_else(|| "/bin/sh".to_owned()),
        };
        host.users_mut().insert(name.to_string(), account);
        host.made_locally(Some(name.as_str()), None);
        let locked = Shadow { hash: Secret::new("!"), expires: None };
        host.shadow_mut().insert(name.to_string(), locked);
        let Some(home) = home else { return };
        // useradd(8) makes the directories above it too.
        let missing: Vec<AbsPath> = home.ancestors().filter(|path| host.path(path) == Ok(&PathState::Absent)).collect();
        let above = predicted_entry(FileType::Directory, &Meta::root(0o755), None);
        missing.iter().for_each(|path| host.set_path(path, above.clone()));
        let meta = Meta { owner: name.to_string(), group: primary, mode: Mode::from_bits(0o750) };
        host.home_will_be_made(home);
        host.set_path(home, predicted_entry(FileType::Directory, &meta, None));
    }

    fn user_will_be_changed(&self, host: &mut PredictedState) {
        let AccountOp::UserChange { name, uid, group, shell, home, move_home, comment } = self else { return };
        let old_home = home_of(host, name);
        if let (true, Some(old), Some(new)) = (move_home, &old_home, home) {
            moved_tree(host, old, new);
        }
        let number = host.user(name.as_str()).ok().flatten().map(|account| account.uid.clone());
        if let (Some(new), Some(Known::Is(old))) = (uid, number) {
            // usermod(8) gives the user what is in the home.
            host.renumber(name.as_str(), (old, *new), false, home.as_ref().or(old_home.as_ref()));
        }
        if let Some(account) = host.users_mut().get_mut(name.as_str()) {
            if let Some(uid) = uid {
                account.uid = Known::Is(*uid);
            }
            if let Some(group) = group {
                account.group = group.to_string();
            }
            if let Some(shell) = shell {
                account.shell.clone_from(shell);
            }
            if let Some(home) = home {
                account.home = home.to_string();
            }
            if let Some(comment) = comment {
                account.comment.clone_from(comment);
            }
        }
        if host.facts.login_user == name.as_str() {
            login_facts(host, shell.as_deref(), home.as_ref());
        }
    }
}

fn user_will_be_removed(host: &mut PredictedState, name: &UserName, remove_home: bool) {
    let own_group_goes = goes_with_user(host, name);
    host.unname(name.as_str(), false);
    let account = host.users_mut().remove(name.as_str());
    host.shadow_mut().remove(name.as_str());
    for group in host.groups_mut().values_mut() {
        group.members.remove(name.as_str());
    }
    if own_group_goes {
        host.unname(name.as_str(), true);
        host.groups_mut().remove(name.as_str());
    }
    if let (true, Some(Ok(home))) = (remove_home, account.map(|a| a.home.parse::<AbsPath>())) {
        host.remove_tree(&home);
    }
}

fn home_of(host: &HostState, user: &UserName) -> Option<AbsPath> {
    host.user(user.as_str()).ok().flatten().and_then(|account| account.home.parse().ok())
}

/// What the facts say of who is logged in.
fn login_facts(host: &mut PredictedState, shell: Option<&str>, home: Option<&AbsPath>) {
    if let Some(shell) = shell {
        shell.clone_into(&mut host.facts_mut().login_shell);
        host.fact_is_decided("login_shell");
    }
    if let Some(home) = home {
        home.as_str().clone_into(&mut host.facts_mut().login_home);
        host.fact_is_decided("login_home");
    }
}

fn add_group(host: &mut PredictedState, name: &str, gid: Option<u32>) {
    if !host.groups_mut().contains_key(name) {
        host.made_locally(None, Some(name));
    }
    host.groups_mut()
        .entry(name.to_owned())
        .or_insert_with(|| Group { gid: gid.map_or(Known::AfterApply, Known::Is), members: Default::default() });
}
