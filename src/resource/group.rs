//! `group`: a group, with its number.
//!
//! Members are a matter of the `user` kind. A group that is some user's
//! primary group is never removed: groupdel(8) would refuse in the middle of
//! an apply.

use super::{Args, Field, Kind, Resource, Type};
use crate::observe::{Group as Found, HostState, Known, PredictedState, Queries, Query};
use crate::plan::{AccountOp, Action, KNOWN_AFTER_APPLY, Op, PlanError, Planned};
use crate::values::GroupName;

pub(super) const KIND: Kind = Kind {
    name: "group",
    summary: "A group, with its number.",
    main: "name",
    fields: &[
        Field::required("name", Type::String, "the group's name"),
        Field::optional("state", Type::Enum(&["present", "absent"]), "default \"present\""),
        Field::optional("gid", Type::Integer, "its number; default: the next free one, any number is left alone"),
        Field::optional("system", Type::Bool, "takes a new group's number from the system range; default false"),
    ],
    build,
};

/// The largest number that is a user's or group's (2^32 - 2 and above stand for "none").
pub(super) const MAX_ID: i64 = 4_294_967_293;

/// The longest name that groupadd(8) takes.
const LONGEST: usize = 32;

#[derive(Debug)]
enum Group {
    Present { name: GroupName, gid: Option<u32>, system: bool },
    Absent { name: GroupName },
}

fn build(args: &mut Args<'_>) -> Option<Box<dyn Resource>> {
    let name: Option<GroupName> = args.parse("name");
    if args.absent() {
        for field in ["gid", "system"] {
            if args.node(field).is_some() {
                args.refuse(field, format!("'{field}' has no meaning with state = \"absent\""));
            }
        }
        if name.as_ref().is_some_and(|name| name.as_str() == "root") {
            args.refuse("name", "the group 'root' cannot be removed");
        }
        return Some(Box::new(Group::Absent { name: name? }));
    }
    let gid = args.integer("gid", 0, MAX_ID).and_then(|gid| u32::try_from(gid).ok());
    let system = args.bool("system").unwrap_or(false);
    if name.as_ref().is_some_and(|name| name.as_str().len() > LONGEST) {
        args.wrong_value(
            "name",
            format!("the name of a group of this host cannot be longer than {LONGEST} characters"),
        );
    }
    Some(Box::new(Group::Present { name: name?, gid, system }))
}

impl Resource for Group {
    fn queries(&self, queries: &mut Queries) {
        let (Group::Present { name, .. } | Group::Absent { name }) = self;
        queries.ask(Query::Accounts);
        queries.ask(Query::Group(name.to_string()));
    }

    fn plan(&self, host: &PredictedState) -> Result<Planned, PlanError> {
        match self {
            Group::Present { name, gid, system } => present(host, name, *gid, *system),
            Group::Absent { name } => absent(host, name),
        }
    }
}

fn present(host: &PredictedState, name: &GroupName, gid: Option<u32>, system: bool) -> Result<Planned, PlanError> {
    let mut planned = Planned::nothing();
    if let Some(gid) = gid {
        let taken = |(other, group): &(&String, &Found)| *other != name.as_str() && group.gid == Known::Is(gid);
        if let Some((other, _)) = host.groups()?.iter().find(taken) {
            return Err(PlanError::Refused(format!(
                "the group '{name}' cannot have the number {gid}: the group '{other}' has it"
            )));
        }
    }
    match (host.group(name.as_str())?, gid) {
        (None, _) => {
            if name.as_str().contains(' ') {
                return Err(PlanError::Refused(format!(
                    "there is no group '{name}' on the host, and groupadd(8) makes none with a space in its name: \
                     name the group otherwise, or have the source of accounts that knows it set up first"
                )));
            }
            planned.action = Some(Action::Create);
            let shown = gid.map_or(KNOWN_AFTER_APPLY.to_owned(), |gid| gid.to_string());
            planned.change("gid", None::<&str>, Some(shown));
            planned.ops.push(Op::Account(AccountOp::GroupAdd { name: name.clone(), gid, system }));
            let made_by = host.affected_by(&Query::Group(name.to_string())).map(str::to_owned);
            if let Some(by) = made_by.filter(|_| gid.is_some()) {
                planned.leave_open(&by);
                planned.notes.push(format!("this is what is made unless {by} makes the group"));
            }
        }
        (Some(found), Some(gid)) if found.gid != Known::Is(gid) => {
            let before = match found.gid {
                Known::Is(before) => before.to_string(),
                Known::AfterApply => KNOWN_AFTER_APPLY.to_owned(),
            };
            refuse_remote(host, name)?;
            if before == "0" {
                return Err(PlanError::Refused(format!("the group '{name}' has the number 0, which must not change")));
            }
            planned.change("gid", Some(before), Some(gid.to_string()));
            planned.notes.push(format!(
                "files that belong to the group '{name}' keep the old number; find them with: find / -xdev -nogroup"
            ));
            planned.ops.push(Op::Account(AccountOp::GroupChange { name: name.clone(), gid }));
        }
        (Some(_), _) => {}
    }
    Ok(planned)
}

/// What /etc/group does not hold, groupmod(8) and groupdel(8) cannot change.
fn refuse_remote(host: &HostState, name: &GroupName) -> Result<(), PlanError> {
    if !host.is_remote_group(name.as_str()) {
        return Ok(());
    }
    Err(PlanError::Refused(format!(
        "the group '{name}' is not in /etc/group but comes from another source of accounts ('group' in \
         /etc/nsswitch.conf), so that this host cannot change it: change it there"
    )))
}

fn absent(host: &PredictedState, name: &GroupName) -> Result<Planned, PlanError> {
    let mut planned = Planned::nothing();
    let Some(group) = host.group(name.as_str())? else {
        planned.absent_unless_brought(host.brought_by());
        return Ok(planned);
    };
    refuse_remote(host, name)?;
    if let Some((user, _)) = host.users()?.iter().find(|(_, account)| account.group == name.as_str()) {
        return Err(PlanError::Refused(format!(
            "the group '{name}' is the primary group of the user '{user}'; remove or change the user first"
        )));
    }
    planned.action = Some(Action::Delete);
    planned.change("state", Some("present"), Some("absent"));
    if !group.members.is_empty() {
        let members: Vec<&str> = group.members.iter().map(String::as_str).collect();
        planned.notes.push(format!("the group has members, who lose its rights: {}", members.join(", ")));
    }
    planned.ops.push(Op::Account(AccountOp::GroupRemove { name: name.clone() }));
    Ok(planned)
}
