//! What a line of the table of operations says ([`super::routes`]).

use super::operation::Operation;
use super::rules::{AnswerRule, TenantRule};
use super::shape::Members;

/// How far a route reaches; roles allow whole classes or single operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Looks only.
    Read,
    /// Makes, starts, stops, enters containers.
    Run,
    /// Changes what outlives a container: images, networks, volumes, settings.
    Change,
    /// Reaches beyond one owner's objects; allowed by name or `class:dangerous` only.
    Dangerous,
    /// Never forwarded, whatever a role says.
    Never,
}

impl Class {
    /// As a role's `allow` has it after `class:`.
    pub fn name(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Run => "run",
            Class::Change => "change",
            Class::Dangerous => "dangerous",
            Class::Never => "never",
        }
    }
}

/// What body a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRule {
    /// None: a body is refused.
    None,
    /// A JSON object, parsed, checked and written anew.
    Json,
    /// The same, or nothing at all.
    JsonOrNone,
    /// JSON, which some clients send though the daemon does not read it: it is
    /// read away and never passed on.
    Ignored,
    /// A stream of at most the role's `stream` bytes.
    Stream,
}

/// How long the answer lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamRule {
    /// Ends by itself.
    Plain,
    /// May stay open with nothing said: logs, events, wait.
    Follow,
    /// The connection is taken over.
    Hijack,
}

/// The type of a query value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false, in the spellings that Go and the daemon read alike.
    Flag,
    /// The same, and an empty value counts as not given.
    FlagOrDefault,
    /// A decimal number, perhaps negative.
    Number,
    /// Text without control characters.
    Text,
    /// The same, and the key may be given more than once.
    Texts,
    /// Texts that may each have several lines; every line becomes one of them.
    Lines,
    /// A sequence of keys that detaches a terminal.
    Keys,
    /// Docker's filters: a JSON object, parsed and written anew.
    Filters,
    /// A JSON value, parsed and written anew.
    Json,
    /// The same, and the key may be given more than once.
    Jsons,
    /// Sent by some clients, not read by the daemon since API 1.41: left out.
    Ignored,
    /// A flag that the daemon reads, and that is refused unless it is false.
    Off,
    /// Read by the daemon, and refused unless it is empty.
    Refused,
}

impl Kind {
    /// Whether the key may be given more than once.
    pub fn repeats(self) -> bool {
        match self {
            Kind::Texts | Kind::Lines | Kind::Jsons | Kind::Ignored => true,
            Kind::Flag
            | Kind::FlagOrDefault
            | Kind::Number
            | Kind::Text
            | Kind::Keys
            | Kind::Filters
            | Kind::Json
            | Kind::Off
            | Kind::Refused => false,
        }
    }
}

/// A line of the table.
#[derive(Debug)]
pub struct Route {
    /// The operation.
    pub operation: Operation,
    /// The method.
    pub method: &'static str,
    /// The path without its version; `{x}` is one segment, `{x*}` at least one.
    pub path: &'static str,
    /// The class.
    pub class: Class,
    /// How a request is tied to its owner.
    pub tenant: TenantRule,
    /// What of the answer is passed on.
    pub answer: AnswerRule,
    /// The body.
    pub body: BodyRule,
    /// The members of a JSON body that are understood.
    pub members: Option<Members>,
    /// How long the answer lives.
    pub stream: StreamRule,
    /// The header in which the daemon reads credentials.
    pub credentials: Option<&'static str>,
    /// The query keys that are understood; any other is refused.
    pub query: &'static [(&'static str, Kind)],
}

/// An operation has one line.
impl PartialEq for Route {
    fn eq(&self, other: &Route) -> bool {
        self.operation == other.operation
    }
}

impl Eq for Route {}

/// A route without body, query and stream.
pub(super) const fn route(
    operation: Operation,
    method: &'static str,
    path: &'static str,
    class: Class,
    tenant: TenantRule,
    answer: AnswerRule,
) -> Route {
    Route {
        operation,
        method,
        path,
        class,
        tenant,
        answer,
        body: BodyRule::None,
        members: None,
        stream: StreamRule::Plain,
        credentials: None,
        query: &[],
    }
}

/// A route that is closed to everyone.
pub(super) const fn never(operation: Operation, method: &'static str, path: &'static str) -> Route {
    route(operation, method, path, Class::Never, TenantRule::Never, AnswerRule::Pass)
}

/// An action without a body of its own. Clients send one all the same (`{}`, or
/// their query again).
pub(super) const fn post(
    operation: Operation,
    path: &'static str,
    class: Class,
    tenant: TenantRule,
    answer: AnswerRule,
) -> Route {
    let mut route = route(operation, "POST", path, class, tenant, answer);
    route.body = BodyRule::Ignored;
    route
}

impl Route {
    /// With these query keys.
    pub(super) const fn q(mut self, query: &'static [(&'static str, Kind)]) -> Route {
        self.query = query;
        self
    }
    /// With a JSON body of these members.
    pub(super) const fn json(mut self, members: Members) -> Route {
        self.body = BodyRule::Json;
        self.members = Some(members);
        self
    }
    /// The same, or no body.
    pub(super) const fn maybe_json(mut self, members: Members) -> Route {
        self.body = BodyRule::JsonOrNone;
        self.members = Some(members);
        self
    }
    /// With credentials in this header.
    pub(super) const fn credentials(mut self, header: &'static str) -> Route {
        self.credentials = Some(header);
        self
    }
    /// With a streamed body.
    pub(super) const fn tar(mut self) -> Route {
        self.body = BodyRule::Stream;
        self
    }
    /// With an answer that may stay open.
    pub(super) const fn follow(mut self) -> Route {
        self.stream = StreamRule::Follow;
        self
    }
    /// Takes the connection over.
    pub(super) const fn hijack(mut self) -> Route {
        self.stream = StreamRule::Hijack;
        self
    }
}
