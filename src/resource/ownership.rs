//! The fields `owner`, `group` and `mode`, for every kind that puts something
//! at a path.

use super::{Args, file};
use crate::observe::{Entry, HostState, PathState, PredictedState, Queries, Query};
use crate::plan::{KNOWN_AFTER_APPLY, Meta, PlanError, Planned};
use crate::values::{AbsPath, GroupName, Mode, UserName};
use std::{fmt::Display, str::FromStr};

/// Owner, group and mode as a step gives them; root, root and `default_mode`
/// where it does not. None if something is wrong with them.
pub(super) fn meta(args: &mut Args<'_>, default_mode: u16) -> Option<Meta> {
    meta_with(args, default_mode, Keep::default())
}

fn meta_with(args: &mut Args<'_>, default_mode: u16, keep: Keep) -> Option<Meta> {
    let root = || Some("root".to_owned());
    let owner = if keep.owner { root() } else { account::<UserName>(args, "owner") };
    let group = if keep.group { root() } else { account::<GroupName>(args, "group") };
    let mode = if args.node("mode").is_some() { args.parse("mode") } else { Some(Mode::from_bits(default_mode)) };
    Some(Meta { owner: owner?, group: group?, mode: mode? })
}

/// What `owner` and `group` say to leave what is there to whom it belongs.
pub(super) const KEEP: &str = "keep";

/// Which of owner and group a step leaves as they are; root's where it makes something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keep {
    owner: bool,
    group: bool,
}

impl Keep {
    /// From the fields `owner` and `group`.
    pub(super) fn of(args: &Args<'_>) -> Keep {
        let keeps = |field: &str| args.string(field).as_deref() == Some(KEEP);
        Keep { owner: keeps("owner"), group: keeps("group") }
    }

    /// What is wanted of what stands at a path.
    pub(super) fn meta(self, given: &Meta, found: &PathState) -> Meta {
        let mut meta = given.clone();
        if let Some(entry) = found.entry() {
            if self.owner {
                meta.owner.clone_from(&entry.owner);
            }
            if self.group {
                meta.group.clone_from(&entry.group);
            }
        }
        meta
    }

    /// What is given of owner, group and mode.
    pub(super) fn given(self, meta: &Meta) -> Given {
        let mut given = Given::all(meta);
        given.owner = given.owner.filter(|_| !self.owner);
        given.group = given.group.filter(|_| !self.group);
        given
    }
}

/// As [`meta`], for kinds whose owner and group may be kept.
pub(super) fn meta_or_kept(args: &mut Args<'_>, default_mode: u16) -> (Option<Meta>, Keep) {
    let keep = Keep::of(args);
    (meta_with(args, default_mode, keep), keep)
}

/// Owner, group and mode as far as a step gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
    pub(super) mode: Option<Mode>,
}

impl Given {
    /// All three.
    pub(super) fn all(meta: &Meta) -> Given {
        Given { owner: Some(meta.owner.clone()), group: Some(meta.group.clone()), mode: Some(meta.mode) }
    }

    /// From the fields `owner`, `group` and `mode`; what is wrong with them goes into the errors.
    pub(super) fn of(args: &mut Args<'_>) -> Given {
        let mut given = Given { mode: args.parse("mode"), ..Given::default() };
        let keep = Keep::of(args);
        if args.node("owner").is_some() && !keep.owner {
            given.owner = account::<UserName>(args, "owner");
        }
        if args.node("group").is_some() && !keep.group {
            given.group = account::<GroupName>(args, "group");
        }
        given
    }

    /// The accounts that must exist; root where none is named.
    pub(super) fn accounts(&self) -> Meta {
        let root = Meta::root(0);
        Meta {
            owner: self.owner.clone().unwrap_or(root.owner),
            group: self.group.clone().unwrap_or(root.group),
            mode: root.mode,
        }
    }

    /// Notes what they will be, where only the apply tells what they were.
    pub(super) fn expected(&self, planned: &mut Planned) {
        let mode = self.mode.map(|mode| mode.to_string());
        for (field, wanted) in [("owner", &self.owner), ("group", &self.group), ("mode", &mode)] {
            if let Some(wanted) = wanted {
                planned.change(field, Some(KNOWN_AFTER_APPLY), Some(wanted));
            }
        }
    }

    /// Notes in which of them an entry differs, and plans what gives it them.
    pub(super) fn plan(&self, host: &PredictedState, path: &AbsPath, entry: &Entry, planned: &mut Planned) {
        let wanted = Meta {
            owner: self.owner.clone().unwrap_or_else(|| entry.owner.clone()),
            group: self.group.clone().unwrap_or_else(|| entry.group.clone()),
            mode: self.mode.unwrap_or(entry.mode),
        };
        let wanted = as_found(host, &wanted, entry);
        file::meta_changes(planned, entry, &wanted);
        if !planned.changes.is_empty() {
            planned.ops.push(file::set_meta(path, entry, &wanted));
        }
    }
}

/// What is wanted of an entry, under the names that it has already where these
/// have the same numbers: they are then the same owner and group.
pub(super) fn as_found(host: &HostState, wanted: &Meta, entry: &Entry) -> Meta {
    let mut meta = wanted.clone();
    if host.is_same_user(&meta.owner, &entry.owner) {
        meta.owner.clone_from(&entry.owner);
    }
    if host.is_same_group(&meta.group, &entry.group) {
        meta.group.clone_from(&entry.group);
    }
    meta
}

/// The questions that [`check`] needs.
pub(super) fn queries(meta: &Meta, queries: &mut Queries) {
    if is_name(&meta.owner) {
        queries.ask(Query::User(meta.owner.clone()));
    }
    if is_name(&meta.group) {
        queries.ask(Query::Group(meta.group.clone()));
    }
}

/// Refuses an owner or group that will not exist when something is to be given
/// to it.
///
/// # Errors
/// There is none of the name, and nothing before this step can bring it.
pub(super) fn check(host: &PredictedState, meta: &Meta, planned: &mut Planned) -> Result<(), PlanError> {
    if planned.ops.is_empty() {
        return Ok(());
    }
    let accounts =
        [("user", &meta.owner, host.has_user(&meta.owner)), ("group", &meta.group, host.has_group(&meta.group))];
    for (sort, name, exists) in accounts {
        if is_name(name) && !exists? {
            missing(host, sort, name, planned)?;
        }
    }
    Ok(())
}

/// A user or group that does not exist: a package or a command before the step
/// may bring it, or the step is refused.
pub(super) fn missing(host: &PredictedState, sort: &str, name: &str, planned: &mut Planned) -> Result<(), PlanError> {
    let Some(on) = host.brought_by() else {
        return Err(PlanError::Refused(format!(
            "there is no {sort} '{name}' on the host; add a step before this one: {sort} = {{ name = \"{name}\" }}"
        )));
    };
    planned.leave_open(on);
    let any = host.brought_by_any().unwrap_or_else(|| on.to_owned());
    planned.notes.push(format!("there is no {sort} '{name}' yet: {any} must bring it"));
    Ok(())
}

/// Whether this is a name that must be looked up: not root's, and no number.
fn is_name(account: &str) -> bool {
    account != "root" && account.parse::<u32>().is_err()
}

/// A name, or a number as `stat` prints it for an account without a name.
fn account<N: FromStr<Err: Display> + Display>(args: &mut Args<'_>, field: &str) -> Option<String> {
    let Some(text) = args.string(field) else { return Some("root".to_owned()) };
    match text.parse::<u32>() {
        Ok(number) => Some(number.to_string()),
        Err(_) => args.parse::<N>(field).map(|name| name.to_string()),
    }
}
