//! `user`: an account with all that a person or a service needs to log in.
//!
//! In this order: the account, its groups, password and expiry (`account`),
//! the keys and the way to them (`ssh_dir`), the right to use sudo
//! (`sudoers`). Each is planned on the state that the ones before it leave.

use super::group::MAX_ID;
use super::in_force::{self, Right};
use super::plan_builder::PlanBuilder;
use super::ssh_dir::{self, Keys};
use super::sudoers::{self, Grant};
use super::{Args, Field, Kind, Resource, Type, account, busy, key_file, password};
use crate::observe::{Content, PathState, PredictedState, Queries, Query};
use crate::plan::{
    AccountOp, Action, FileOp, InForce, LOGIN_DEFS, Op, PlanError, Planned, goes_with_user, own_groups_go,
};
use crate::values::{AbsPath, Diagnostic, GroupName, NodeValue, UserName};

pub(super) const KIND: Kind = Kind {
    name: "user",
    summary: "An account: its entries, groups, keys and right to use sudo.",
    main: "name",
    fields: &[
        Field::required("name", Type::String, "the user's name"),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        Field::optional(
            "uid",
            Type::Integer,
            "the user's number; default: the next free one, any number is left alone",
        ),
        Field::optional(
            "system",
            Type::Bool,
            "makes a new account one of the system: number from that range, no home unless named; default false",
        ),
        Field::optional(
            "shell",
            Type::String,
            "login shell; default for a new account \"/bin/bash\", \"/usr/sbin/nologin\" with system = true",
        ),
        Field::optional(
            "home",
            Type::String,
            "home directory; default for a new account \"/home/NAME\"; a home that is elsewhere is moved",
        ),
        Field::optional("comment", Type::String, "the GECOS field, such as the full name"),
        Field::optional(
            "groups",
            Type::Strings,
            "supplementary groups, which must exist or come with a package of the run",
        ),
        Field::optional("exclusive_groups", Type::Bool, "whether the user leaves all other groups; default false"),
        Field::optional(
            "password_hash",
            Type::String,
            "hash of crypt(5): yescrypt, SHA-512, SHA-256 or bcrypt; never shown",
        ),
        Field::optional("locked", Type::Bool, "whether the password is locked; keys work all the same"),
        Field::optional("expires", Type::Any, "date such as \"2030-01-31\" from which nobody can log in, or \"never\""),
        Field::optional(
            "sudo",
            Type::Enum(&["none", "password", "nopasswd"]),
            "right to all commands by a file of this program's in /etc/sudoers.d; \"none\" removes that file",
        ),
        Field::optional(
            "authorized_keys",
            Type::StringOrStrings,
            "keys: literal, or paths and patterns of local files with one key each",
        ),
        Field::optional("exclusive_keys", Type::Bool, "whether other keys are removed; default false"),
        Field::optional("remove_home", Type::Bool, "with state = \"absent\": whether the home goes too; default false"),
    ],
    build,
};

#[derive(Debug)]
enum User {
    Present { wanted: account::DesiredAccount, keys: Option<Keys>, grant: Option<(AbsPath, Grant)> },
    Absent { name: UserName, remove_home: bool, grant: AbsPath },
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let name: Option<UserName> = args.parse("name");
    let grant_path = name.as_ref().and_then(sudoers::grant_path);
    if args.absent() {
        for field in KIND.fields.iter().map(|field| field.name) {
            if !["name", "state", "remove_home"].contains(&field) && args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        if name.as_ref().is_some_and(|name| name.as_str() == "root") {
            args.refuse("name", "the user 'root' cannot be removed");
        }
        let remove_home = args.bool("remove_home").unwrap_or(false);
        return Some(Box::new(User::Absent { name: name?, remove_home, grant: grant_path? }));
    }
    if args.node("remove_home").is_some() {
        args.refuse("remove_home", "'remove_home' has a meaning only with state = \"absent\"");
    }
    let keys = keys(args);
    let grant = grant(args, name.as_ref());
    let wanted = wanted(args, name, keys.as_ref().is_some_and(|keys| !keys.wanted.is_empty()))?;
    let grant = match grant {
        Some(grant) => Some((grant_path?, grant)),
        None => None,
    };
    Some(Box::new(User::Present { wanted, keys, grant }))
}

fn keys(args: &mut Args<'_>) -> Option<Keys> {
    let exclusive = args.bool("exclusive_keys").unwrap_or(false);
    if args.node("authorized_keys").is_none() {
        if exclusive {
            args.refuse("exclusive_keys", "'exclusive_keys' needs 'authorized_keys' (which may be empty)");
        }
        return None;
    }
    Some(Keys { wanted: key_file::given(args, "authorized_keys", None), exclusive })
}

fn grant(args: &mut Args<'_>, name: Option<&UserName>) -> Option<Grant> {
    let grant = match args.string("sudo")?.as_str() {
        "password" => Grant::Password,
        "nopasswd" => Grant::NoPassword,
        _ => Grant::None,
    };
    if let Some(name) = name.filter(|name| grant != Grant::None && sudoers::is_sudoers_word(name)) {
        args.refuse(
            "sudo",
            format!("sudoers(5) reads '{name}' as a word of its own, not as a user; give the right by a group instead"),
        );
    }
    Some(grant)
}

fn wanted(args: &mut Args<'_>, name: Option<UserName>, needs_home: bool) -> Option<account::DesiredAccount> {
    let shell: Option<AbsPath> = args.parse("shell");
    let home: Option<AbsPath> = args.parse("home");
    let comment = args.string("comment");
    for (field, text) in [
        ("shell", shell.as_ref().map(AbsPath::as_str)),
        ("home", home.as_ref().map(AbsPath::as_str)),
        ("comment", comment.as_deref()),
    ] {
        if text.is_some_and(|text| text.contains(':') || text.chars().any(char::is_control)) {
            args.refuse(field, format!("'{field}' cannot hold ':' or a control character (passwd(5))"));
        }
    }
    let uid = args.integer("uid", 0, MAX_ID).and_then(|uid| u32::try_from(uid).ok());
    if uid == Some(0) && name.as_ref().is_some_and(|name| name.as_str() != "root") {
        args.refuse("uid", "the number 0 is root's: a second user with it would be root");
    }
    let groups = args.node("groups").map(|_| args.parse_list::<GroupName>("groups"));
    let exclusive_groups = args.bool("exclusive_groups").unwrap_or(false);
    if exclusive_groups && groups.is_none() {
        args.refuse("exclusive_groups", "'exclusive_groups' needs 'groups' (which may be empty)");
    }
    let (password, expires) = (password(args), expires(args));
    Some(account::DesiredAccount {
        uid,
        system: args.bool("system").unwrap_or(false),
        shell,
        home,
        comment,
        groups,
        exclusive_groups,
        password,
        locked: args.bool("locked"),
        expires,
        needs_home,
        name: name?,
    })
}

/// The hash; errors about it never show the line it stands in.
fn password(args: &mut Args<'_>) -> Option<crate::values::PasswordHash> {
    let text = args.string("password_hash")?;
    match text.parse() {
        Ok(hash) => Some(hash),
        Err(why) => {
            let place = args.span("password_hash");
            args.error(Diagnostic::general(format!("{place}: 'password_hash': {why}")));
            None
        }
    }
}

fn expires(args: &mut Args<'_>) -> Option<Option<i64>> {
    let node = args.node("expires")?;
    let (NodeValue::String(text) | NodeValue::Datetime(text)) = &node.value else {
        args.wrong_value("expires", format!("'expires' must be a date, not {}", node.type_name()));
        return None;
    };
    if text == "never" {
        return Some(None);
    }
    password::day(text).map(Some).map_err(|why| args.wrong_value("expires", why)).ok()
}

impl Resource for User {
    fn queries(&self, queries: &mut Queries) {
        match self {
            User::Present { wanted, keys, grant } => {
                queries.extend(wanted.queries());
                if let (Some(_), Some(home)) = (keys, wanted.new_home()) {
                    ssh_dir::ask(queries, &home);
                }
                if let Some((path, _)) = grant {
                    sudoers::ask_file(queries, path);
                    in_force::ask_sudo(queries);
                }
                if keys.is_some() {
                    in_force::ask_login(queries);
                }
            }
            User::Absent { name, grant, .. } => {
                queries.ask(Query::Accounts);
                queries.ask(Query::User(name.to_string()));
                queries.ask(Query::Group(name.to_string()));
                queries.extend(LOGIN_DEFS.parse().ok().map(Query::Content));
                queries.extend(ssh_dir::default_home(name).map(Query::Path));
                sudoers::ask_file(queries, grant);
            }
        }
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        let mut draft = PlanBuilder::new(host);
        match self {
            User::Present { wanted, keys, grant } => {
                account::plan(&mut draft, wanted)?;
                // While a home's content is not known, keys wait for the answers.
                if let (Some(keys), true) = (keys, draft.planned.follow_up_queries.is_empty()) {
                    ssh_dir::plan(&mut draft, &wanted.name, keys)?;
                }
                if let Some((path, grant)) = grant {
                    plan_grant(&mut draft, &wanted.name, path, *grant)?;
                }
            }
            User::Absent { name, remove_home, grant } => absent(&mut draft, name, *remove_home, grant)?,
        }
        Ok(draft.planned)
    }

    fn in_force(&self, host: &PredictedState) -> Result<InForce, PlanError> {
        let User::Present { wanted, keys, grant } = self else { return Ok(InForce::default()) };
        let mut found = match keys {
            Some(keys) => ssh_dir::in_force(host, &wanted.name, keys, wanted.expires.is_some())?,
            None => InForce::default(),
        };
        if let Some((path, grant)) = grant {
            let right = match grant {
                Grant::None => Right::None,
                Grant::Password => Right::Password,
                Grant::NoPassword => Right::NoPassword,
            };
            let sudo = in_force::user_right(host, &wanted.name, path, right)?;
            found.overridden.extend(sudo.overridden);
            found.follow_up_queries.extend(sudo.follow_up_queries);
        }
        Ok(found)
    }
}

fn plan_grant(draft: &mut PlanBuilder<'_>, name: &UserName, path: &AbsPath, grant: Grant) -> Result<(), PlanError> {
    let rules = grant.rules(name);
    let before = match draft.host().content(path)? {
        Content::Bytes(bytes) => {
            let known = [(Grant::Password, "password"), (Grant::NoPassword, "nopasswd")];
            let fits = |(grant, _): &(Grant, &str)| grant.rules(name).as_ref() == Some(bytes);
            known.into_iter().find(fits).map_or("other rules", |(_, word)| word)
        }
        _ if draft.host().path(path)? == &PathState::Absent => "none",
        _ => "other rules",
    };
    let after = match grant {
        Grant::None => "none",
        Grant::Password => "password",
        Grant::NoPassword => "nopasswd",
    };
    let mut file = Planned::nothing();
    sudoers::plan_file(draft.host(), path, rules.as_deref(), &mut file)?;
    if before != after {
        draft.change("sudo", Some(before), Some(after));
    } else {
        for change in file.changes {
            draft.change(&format!("sudo file {}", change.field), change.before, change.after);
        }
    }
    if !file.ops.is_empty() && draft.host().facts.login_user == name.as_str() && grant != Grant::NoPassword {
        draft.note(format!(
            "'{name}', as whom you are logged in, may need a password for sudo from then on, or lose it"
        ));
    }
    file.diff.into_iter().for_each(|diff| draft.diff(diff));
    file.ops.into_iter().for_each(|op| draft.push(op));
    Ok(())
}

fn absent(draft: &mut PlanBuilder<'_>, name: &UserName, remove_home: bool, grant: &AbsPath) -> Result<(), PlanError> {
    if draft.host().facts.login_user == name.as_str() {
        return Err(PlanError::Refused(format!(
            "the user '{name}' cannot be removed: you are logged in as this user; log in as another one"
        )));
    }
    if *draft.host().path(grant)? != PathState::Absent {
        draft.change("sudo", Some("granted"), Some("none"));
        draft.push(Op::File(FileOp::Remove { path: grant.clone(), recursive: false }));
    }
    let account = draft.host().user(name.as_str())?.cloned();
    if let Some(account) = account {
        if account.uid == crate::observe::Known::Is(0) {
            return Err(PlanError::Refused(format!("the user '{name}' has the number 0, which is root's")));
        }
        if draft.host().is_remote_user(name.as_str()) {
            return Err(PlanError::Refused(format!(
                "the user '{name}' is not in /etc/passwd but comes from another source of accounts ('passwd' in \
                 /etc/nsswitch.conf), so that this host cannot remove it: remove it there"
            )));
        }
        let home = match account.home.parse::<AbsPath>() {
            Ok(home) if remove_home => removable_home(draft, name, &home)?,
            _ => false,
        };
        busy::check(draft, name, &account.uid, "userdel(8)")?;
        draft.change("state", Some("present"), Some("absent"));
        if home {
            draft.change("home", Some(account.home), None::<&str>);
        }
        if own_groups_go(draft.host()) == Some(true) && goes_with_user(draft.host(), name) {
            draft.change(&format!("group {name}"), Some("present"), Some("absent"));
        }
        draft.push(Op::Account(AccountOp::UserRemove { name: name.clone(), remove_home: home }));
    } else {
        let on = draft.host().brought_by().map(str::to_owned);
        draft.planned.absent_unless_brought(on.as_deref());
    }
    if !draft.planned.ops.is_empty() {
        draft.planned.action = Some(Action::Delete);
    }
    Ok(())
}

/// Whether there is a home to remove; one that is not the user's own is refused.
fn removable_home(draft: &mut PlanBuilder<'_>, name: &UserName, home: &AbsPath) -> Result<bool, PlanError> {
    if !draft.answered([Query::Path(home.clone())]) {
        return Ok(true);
    }
    match draft.host().path(home)? {
        PathState::Present(entry) if !draft.host().is_same_user(&entry.owner, name.as_str()) => {
            Err(PlanError::Refused(format!(
                "{home}, the home of '{name}', belongs to '{}' and is not removed; leave out 'remove_home'",
                entry.owner
            )))
        }
        PathState::Present(_) => Ok(true),
        PathState::Absent | PathState::AfterApply => Ok(false),
    }
}
