//! What the gateway does with each member of a request, read off the tables by
//! which it decides: for `docs/engine-api.md`, and for the test that compares
//! them with the Engine API's own description.
//!
//! What must hold: a row says what [`super::parse()`] and the checks of bodies do,
//! since both read the same tables; a member without a row is refused.

use super::operation::Operation;
use super::routes::{self, Class, Kind, Route};
use super::shape::{Members, Shape};

/// Where a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Place {
    Query,
    Header,
    Body,
}

impl Place {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Place::Query => "query",
            Place::Header => "header",
            Place::Body => "body",
        }
    }
}

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Understood, checked and passed on.
    Allowed,
    /// The same, within a setting of the role.
    Within(&'static str),
    /// Understood and left out: the daemon does not read it.
    Ignored,
    /// Read as another member.
    SpellingOf(&'static str),
    /// Refused unless it says nothing, or the role has the grant.
    Grant(&'static str),
    /// Refused unless it says nothing.
    Refused,
}

/// A member of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it stands.
    pub place: Place,
    /// Its path: `Mounts[].Type` is below a list, `PortBindings.*[].HostPort`
    /// below a map.
    pub path: String,
    /// What becomes of it.
    pub status: Status,
}

/// Members that are checked against a setting of the role.
const WITHIN: &[(Operation, &str, &str)] = &[
    (Operation::ContainerCreate, "User", "root"),
    (Operation::ContainerCreate, "HostConfig.Binds", "binds"),
    (Operation::ContainerCreate, "HostConfig.Mounts", "binds"),
    (Operation::ContainerCreate, "HostConfig.CapAdd", "caps"),
    (Operation::ContainerCreate, "HostConfig.PortBindings", "ports"),
    (Operation::ContainerCreate, "HostConfig.Memory", "quotas"),
    (Operation::ContainerCreate, "HostConfig.MemorySwap", "quotas"),
    (Operation::ContainerCreate, "HostConfig.NanoCpus", "quotas"),
    (Operation::ContainerCreate, "HostConfig.CpuQuota", "quotas"),
    (Operation::ContainerCreate, "HostConfig.PidsLimit", "quotas"),
    (Operation::ContainerUpdate, "Memory", "quotas"),
    (Operation::ContainerUpdate, "MemorySwap", "quotas"),
    (Operation::ContainerUpdate, "NanoCpus", "quotas"),
    (Operation::ContainerUpdate, "CpuQuota", "quotas"),
    (Operation::ContainerUpdate, "PidsLimit", "quotas"),
    (Operation::ContainerExec, "User", "root"),
    (Operation::ImageBuild, "memory", "quotas"),
    (Operation::ImageBuild, "memswap", "quotas"),
    (Operation::ImageBuild, "cpuquota", "quotas"),
    (Operation::ImageCreate, "fromImage", "registries"),
    (Operation::ImageSearch, "term", "registries"),
    (Operation::SystemAuth, "serveraddress", "registries"),
];

/// Every member that an operation knows, in the order of the tables; nothing
/// for an operation that is never forwarded.
pub fn members(route: &Route) -> Vec<Member> {
    if route.class == Class::Never {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (name, kind) in route.query {
        let status = match kind {
            Kind::Ignored => Status::Ignored,
            Kind::Off | Kind::Refused => Status::Refused,
            Kind::Flag
            | Kind::FlagOrDefault
            | Kind::Number
            | Kind::Text
            | Kind::Texts
            | Kind::Lines
            | Kind::Keys
            | Kind::Filters
            | Kind::Json
            | Kind::Jsons => Status::Allowed,
        };
        found.push(Member { place: Place::Query, path: (*name).to_owned(), status });
    }
    if let Some(header) = route.credentials {
        found.push(Member { place: Place::Header, path: header.to_owned(), status: Status::Allowed });
    }
    // Read for the body's form, and written anew.
    found.push(Member { place: Place::Header, path: "content-type".to_owned(), status: Status::Ignored });
    if let Some(body) = route.members {
        walk(body, "", None, &mut found);
    }
    for member in &mut found {
        let within = WITHIN.iter().find(|(operation, path, _)| *operation == route.operation && *path == member.path);
        if let (Some((_, _, setting)), Status::Allowed) = (within, member.status) {
            member.status = Status::Within(setting);
        }
    }
    found
}

/// `above` is what holds for everything below a member, if something does.
fn walk(members: Members, prefix: &str, above: Option<Status>, found: &mut Vec<Member>) {
    for (name, shape) in members {
        let path = if prefix.is_empty() { (*name).to_owned() } else { format!("{prefix}.{name}") };
        let status = of_shape(shape);
        let status = match (above, status) {
            (Some(above), Status::Allowed) => above,
            (_, status) => status,
        };
        found.push(Member { place: Place::Body, path: path.clone(), status });
        below(shape, &path, above, found);
    }
}

fn of_shape(shape: &Shape) -> Status {
    match shape {
        Shape::Ignored => Status::Ignored,
        Shape::Alias(proper) => Status::SpellingOf(proper),
        Shape::Grant(grant, _) | Shape::GrantUnlessNull(grant, _) => Status::Grant(grant),
        Shape::Denied => Status::Refused,
        Shape::Flag
        | Shape::Int
        | Shape::Text
        | Shape::Keys
        | Shape::Texts
        | Shape::Command
        | Shape::TextMap
        | Shape::Set
        | Shape::Object(_)
        | Shape::Loose(_)
        | Shape::List(_)
        | Shape::Map(_) => Status::Allowed,
    }
}

fn below(shape: &Shape, path: &str, above: Option<Status>, found: &mut Vec<Member>) {
    match shape {
        Shape::Object(members) | Shape::Loose(members) => walk(members, path, above, found),
        Shape::List(inner) => below(inner, &format!("{path}[]"), above, found),
        Shape::Map(inner) => below(inner, &format!("{path}.*"), above, found),
        Shape::Grant(grant, inner) | Shape::GrantUnlessNull(grant, inner) => {
            below(inner, path, Some(Status::Grant(grant)), found);
        }
        Shape::Flag
        | Shape::Int
        | Shape::Text
        | Shape::Keys
        | Shape::Texts
        | Shape::Command
        | Shape::TextMap
        | Shape::Set
        | Shape::Ignored
        | Shape::Alias(_)
        | Shape::Denied => {}
    }
}

/// What becomes of one member, by its own row or by that of a member above it
/// that is left out or refused with all below. None for one that is not known.
pub fn status(operation: Operation, place: Place, path: &str) -> Option<Status> {
    let route = routes::of(operation);
    if route.class == Class::Never {
        return Some(Status::Refused);
    }
    let members = members(route);
    let row = |path: &str| members.iter().find(|member| member.place == place && member.path == path);
    let path = if place == Place::Header { path.to_ascii_lowercase() } else { path.to_owned() };
    if let Some(member) = row(&path) {
        return Some(member.status);
    }
    let mut rest = path.as_str();
    while let Some(end) = rest.rfind(['.', '[']) {
        rest = rest.get(..end)?;
        if let Some(Member { status: status @ (Status::Refused | Status::Ignored), .. }) = row(rest) {
            return Some(*status);
        }
    }
    None
}
