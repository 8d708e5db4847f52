//! Every operation of the Engine API (v1.41 to v1.56) and every further route
//! of the daemon, classified. Order: the API reference's own, then the routes
//! that it does not document.
//!
//! What must hold: a request that matches no line is denied, so a route that
//! a later daemon adds is closed until it is written here. No two lines match
//! the same request (a test proves it).

use super::super::ObjectKind;
use ObjectKind::{Container, Exec, Image, Network, Volume};

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
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The operation's id in the Engine API; our own for what has none.
    pub id: &'static str,
    /// The method.
    pub method: &'static str,
    /// The path without its version; `{x}` is one segment, `{x*}` at least one.
    pub path: &'static str,
    /// The class.
    pub class: Class,
    /// The body.
    pub body: BodyRule,
    /// The answer.
    pub stream: StreamRule,
    /// What the path's variable names, where ownership is checked by it.
    pub object: Option<ObjectKind>,
    /// The query keys that are understood; any other is refused.
    pub query: &'static [(&'static str, Kind)],
}

const fn route(id: &'static str, method: &'static str, path: &'static str, class: Class) -> Route {
    Route { id, method, path, class, body: BodyRule::None, stream: StreamRule::Plain, object: None, query: &[] }
}

/// An action without a body of its own. Clients send one all the same (`{}`, or
/// their query again).
const fn post(id: &'static str, path: &'static str, class: Class) -> Route {
    let mut route = route(id, "POST", path, class);
    route.body = BodyRule::Ignored;
    route
}

impl Route {
    const fn of(mut self, object: ObjectKind) -> Route {
        self.object = Some(object);
        self
    }
    const fn q(mut self, query: &'static [(&'static str, Kind)]) -> Route {
        self.query = query;
        self
    }
    const fn json(mut self) -> Route {
        self.body = BodyRule::Json;
        self
    }
    const fn maybe_json(mut self) -> Route {
        self.body = BodyRule::JsonOrNone;
        self
    }
    const fn tar(mut self) -> Route {
        self.body = BodyRule::Stream;
        self
    }
    const fn follow(mut self) -> Route {
        self.stream = StreamRule::Follow;
        self
    }
    const fn hijack(mut self) -> Route {
        self.stream = StreamRule::Hijack;
        self
    }
}

use Class::{Change, Dangerous, Never, Read, Run};
use Kind::{Filters, Flag, FlagOrDefault, Ignored, Json, Jsons, Keys, Lines, Number, Off, Refused, Text, Texts};

/// How many of [`ROUTES`] are operations of the Engine API v1.56.
pub const API_OPERATIONS: usize = 108;

/// The table: first the operations of the API, then the undocumented routes.
pub static ROUTES: &[Route] = &[
    // Containers
    route("ContainerList", "GET", "/containers/json", Read).q(&[
        ("all", Flag),
        ("limit", Number),
        ("size", Flag),
        ("filters", Filters),
        ("trunc_cmd", Ignored),
        ("since", Ignored),
        ("before", Ignored),
    ]),
    route("ContainerCreate", "POST", "/containers/create", Run).json().q(&[("name", Text), ("platform", Text)]),
    route("ContainerInspect", "GET", "/containers/{id}/json", Read).of(Container).q(&[("size", Flag)]),
    route("ContainerTop", "GET", "/containers/{id}/top", Read).of(Container).q(&[("ps_args", Text)]),
    route("ContainerLogs", "GET", "/containers/{id}/logs", Read).of(Container).follow().q(&[
        ("follow", Flag),
        ("stdout", Flag),
        ("stderr", Flag),
        ("since", Text),
        ("until", Text),
        ("timestamps", Flag),
        ("tail", Text),
        ("details", Flag),
    ]),
    route("ContainerChanges", "GET", "/containers/{id}/changes", Read).of(Container),
    route("ContainerExport", "GET", "/containers/{id}/export", Run).of(Container).follow(),
    route("ContainerStats", "GET", "/containers/{id}/stats", Read)
        .of(Container)
        .follow()
        .q(&[("stream", Flag), ("one-shot", Flag)]),
    post("ContainerResize", "/containers/{id}/resize", Run).of(Container).q(&[("h", Number), ("w", Number)]),
    route("ContainerStart", "POST", "/containers/{id}/start", Run).of(Container).maybe_json().q(&[
        ("detachKeys", Keys),
        ("checkpoint", Refused),
        ("checkpoint-dir", Refused),
    ]),
    post("ContainerStop", "/containers/{id}/stop", Run).of(Container).q(&[("signal", Text), ("t", Number)]),
    post("ContainerRestart", "/containers/{id}/restart", Run).of(Container).q(&[("signal", Text), ("t", Number)]),
    post("ContainerKill", "/containers/{id}/kill", Run).of(Container).q(&[("signal", Text)]),
    route("ContainerUpdate", "POST", "/containers/{id}/update", Change).of(Container).json(),
    post("ContainerRename", "/containers/{id}/rename", Change).of(Container).q(&[("name", Text)]),
    post("ContainerPause", "/containers/{id}/pause", Run).of(Container),
    post("ContainerUnpause", "/containers/{id}/unpause", Run).of(Container),
    post("ContainerAttach", "/containers/{id}/attach", Run).of(Container).hijack().q(&[
        ("detachKeys", Keys),
        ("logs", Flag),
        ("stream", Flag),
        ("stdin", Flag),
        ("stdout", Flag),
        ("stderr", Flag),
        ("hijack", Ignored),
    ]),
    route("ContainerAttachWebsocket", "GET", "/containers/{id}/attach/ws", Never),
    post("ContainerWait", "/containers/{id}/wait", Read).of(Container).follow().q(&[("condition", Text)]),
    route("ContainerDelete", "DELETE", "/containers/{id}", Run).of(Container).q(&[
        ("v", Flag),
        ("force", Flag),
        // Removes not the container but its name in another's links.
        ("link", Off),
    ]),
    route("ContainerArchiveInfo", "HEAD", "/containers/{id}/archive", Run).of(Container).q(&[("path", Text)]),
    route("ContainerArchive", "GET", "/containers/{id}/archive", Run).of(Container).follow().q(&[("path", Text)]),
    route("PutContainerArchive", "PUT", "/containers/{id}/archive", Run).of(Container).tar().q(&[
        ("path", Text),
        ("noOverwriteDirNonDir", Flag),
        ("copyUIDGID", Flag),
    ]),
    post("ContainerPrune", "/containers/prune", Change).q(&[("filters", Filters)]),
    // Images
    route("ImageList", "GET", "/images/json", Read).q(&[
        ("all", Flag),
        ("filters", Filters),
        ("shared-size", Flag),
        ("digests", Flag),
        ("manifests", Flag),
        ("identity", Flag),
        ("only_ids", Ignored),
        ("filter", Ignored),
    ]),
    route("ImageBuild", "POST", "/build", Change).tar().follow().q(&[
        ("dockerfile", Text),
        ("t", Texts),
        ("extrahosts", Texts),
        ("q", Flag),
        ("nocache", Flag),
        ("cachefrom", Json),
        ("pull", Flag),
        ("rm", FlagOrDefault),
        ("forcerm", Flag),
        ("memory", Number),
        ("memswap", Number),
        ("cpushares", Number),
        ("cpusetcpus", Text),
        ("cpusetmems", Text),
        ("cpuperiod", Number),
        ("cpuquota", Number),
        ("buildargs", Json),
        ("shmsize", Number),
        ("labels", Json),
        ("networkmode", Text),
        ("platform", Text),
        ("target", Text),
        ("version", Text),
        ("ulimits", Json),
        ("remote", Refused),
        ("squash", Off),
        ("outputs", Refused),
        ("session", Refused),
        ("securityopt", Refused),
        ("cgroupparent", Refused),
        ("isolation", Refused),
        ("buildid", Ignored),
    ]),
    post("BuildPrune", "/build/prune", Change).q(&[
        ("keep-storage", Number),
        ("reserved-space", Number),
        ("max-used-space", Number),
        ("min-free-space", Number),
        ("all", Flag),
        ("filters", Filters),
    ]),
    post("ImageCreate", "/images/create", Run).follow().q(&[
        ("fromImage", Text),
        ("fromSrc", Text),
        ("repo", Text),
        ("tag", Text),
        ("message", Text),
        ("changes", Lines),
        ("platform", Text),
    ]),
    route("ImageInspect", "GET", "/images/{name*}/json", Read).of(Image).q(&[
        ("manifests", Flag),
        ("platform", Json),
        ("size", Ignored),
    ]),
    route("ImageHistory", "GET", "/images/{name*}/history", Read).of(Image).q(&[("platform", Json)]),
    route("ImageAttestations", "GET", "/images/{name*}/attestations", Read).of(Image).q(&[
        ("platform", Jsons),
        ("type", Texts),
        ("statement", Flag),
    ]),
    route("ImagePush", "POST", "/images/{name*}/push", Change)
        .of(Image)
        .maybe_json()
        .follow()
        .q(&[("tag", Text), ("platform", Json)]),
    post("ImageTag", "/images/{name*}/tag", Change).of(Image).q(&[("repo", Text), ("tag", Text), ("force", Ignored)]),
    route("ImageDelete", "DELETE", "/images/{name*}", Change).of(Image).q(&[
        ("force", Flag),
        ("noprune", Flag),
        ("platforms", Jsons),
    ]),
    route("ImageSearch", "GET", "/images/search", Read).q(&[("term", Text), ("limit", Number), ("filters", Filters)]),
    post("ImagePrune", "/images/prune", Change).q(&[("filters", Filters)]),
    route("ImageCommit", "POST", "/commit", Change).maybe_json().q(&[
        ("container", Text),
        ("repo", Text),
        ("tag", Text),
        ("comment", Text),
        ("author", Text),
        ("pause", FlagOrDefault),
        ("changes", Lines),
    ]),
    route("ImageGet", "GET", "/images/{name*}/get", Run).of(Image).follow().q(&[("platform", Jsons)]),
    route("ImageGetAll", "GET", "/images/get", Run).follow().q(&[("names", Texts), ("platform", Jsons)]),
    route("ImageLoad", "POST", "/images/load", Dangerous).tar().follow().q(&[("quiet", Flag), ("platform", Jsons)]),
    // Networks
    route("NetworkList", "GET", "/networks", Read).q(&[("filters", Filters)]),
    route("NetworkInspect", "GET", "/networks/{id}", Read).of(Network).q(&[("verbose", Flag), ("scope", Text)]),
    route("NetworkDelete", "DELETE", "/networks/{id}", Change).of(Network),
    route("NetworkCreate", "POST", "/networks/create", Change).json(),
    route("NetworkConnect", "POST", "/networks/{id}/connect", Change).of(Network).json(),
    route("NetworkDisconnect", "POST", "/networks/{id}/disconnect", Change).of(Network).json(),
    post("NetworkPrune", "/networks/prune", Change).q(&[("filters", Filters)]),
    // Volumes
    route("VolumeList", "GET", "/volumes", Read).q(&[("filters", Filters)]),
    route("VolumeCreate", "POST", "/volumes/create", Change).json(),
    route("VolumeInspect", "GET", "/volumes/{name}", Read).of(Volume),
    route("VolumeUpdate", "PUT", "/volumes/{name}", Never),
    route("VolumeDelete", "DELETE", "/volumes/{name}", Change).of(Volume).q(&[("force", Flag)]),
    post("VolumePrune", "/volumes/prune", Change).q(&[("filters", Filters)]),
    // Exec
    route("ContainerExec", "POST", "/containers/{id}/exec", Run).of(Container).json(),
    route("ExecStart", "POST", "/exec/{id}/start", Run).of(Exec).json().hijack(),
    post("ExecResize", "/exec/{id}/resize", Run).of(Exec).q(&[("h", Number), ("w", Number)]),
    route("ExecInspect", "GET", "/exec/{id}/json", Read).of(Exec),
    // Swarm, nodes, services, tasks, secrets, configs
    route("SwarmInspect", "GET", "/swarm", Never),
    route("SwarmInit", "POST", "/swarm/init", Never),
    route("SwarmJoin", "POST", "/swarm/join", Never),
    route("SwarmLeave", "POST", "/swarm/leave", Never),
    route("SwarmUpdate", "POST", "/swarm/update", Never),
    route("SwarmUnlockkey", "GET", "/swarm/unlockkey", Never),
    route("SwarmUnlock", "POST", "/swarm/unlock", Never),
    route("NodeList", "GET", "/nodes", Never),
    route("NodeInspect", "GET", "/nodes/{id}", Never),
    route("NodeDelete", "DELETE", "/nodes/{id}", Never),
    route("NodeUpdate", "POST", "/nodes/{id}/update", Never),
    route("ServiceList", "GET", "/services", Never),
    route("ServiceCreate", "POST", "/services/create", Never),
    route("ServiceInspect", "GET", "/services/{id}", Never),
    route("ServiceDelete", "DELETE", "/services/{id}", Never),
    route("ServiceUpdate", "POST", "/services/{id}/update", Never),
    route("ServiceLogs", "GET", "/services/{id}/logs", Never),
    route("TaskList", "GET", "/tasks", Never),
    route("TaskInspect", "GET", "/tasks/{id}", Never),
    route("TaskLogs", "GET", "/tasks/{id}/logs", Never),
    route("SecretList", "GET", "/secrets", Never),
    route("SecretCreate", "POST", "/secrets/create", Never),
    route("SecretInspect", "GET", "/secrets/{id}", Never),
    route("SecretDelete", "DELETE", "/secrets/{id}", Never),
    route("SecretUpdate", "POST", "/secrets/{id}/update", Never),
    route("ConfigList", "GET", "/configs", Never),
    route("ConfigCreate", "POST", "/configs/create", Never),
    route("ConfigInspect", "GET", "/configs/{id}", Never),
    route("ConfigDelete", "DELETE", "/configs/{id}", Never),
    route("ConfigUpdate", "POST", "/configs/{id}/update", Never),
    // Plugins
    route("PluginList", "GET", "/plugins", Never),
    route("GetPluginPrivileges", "GET", "/plugins/privileges", Never),
    route("PluginPull", "POST", "/plugins/pull", Never),
    route("PluginInspect", "GET", "/plugins/{name*}/json", Never),
    route("PluginDelete", "DELETE", "/plugins/{name*}", Never),
    route("PluginEnable", "POST", "/plugins/{name*}/enable", Never),
    route("PluginDisable", "POST", "/plugins/{name*}/disable", Never),
    route("PluginUpgrade", "POST", "/plugins/{name*}/upgrade", Never),
    route("PluginCreate", "POST", "/plugins/create", Never),
    route("PluginPush", "POST", "/plugins/{name*}/push", Never),
    route("PluginSet", "POST", "/plugins/{name*}/set", Never),
    // System
    route("SystemAuth", "POST", "/auth", Run).json(),
    route("SystemInfo", "GET", "/info", Read),
    route("SystemVersion", "GET", "/version", Read),
    route("SystemPing", "GET", "/_ping", Read),
    route("SystemPingHead", "HEAD", "/_ping", Read),
    route("SystemEvents", "GET", "/events", Read).follow().q(&[("since", Text), ("until", Text), ("filters", Filters)]),
    route("SystemDataUsage", "GET", "/system/df", Read).q(&[("type", Texts), ("verbose", Flag)]),
    route("DistributionInspect", "GET", "/distribution/{name*}/json", Read),
    route("Session", "POST", "/session", Never),
    // What the daemon answers besides
    route("CheckpointList", "GET", "/containers/{id}/checkpoints", Never),
    route("CheckpointCreate", "POST", "/containers/{id}/checkpoints", Never),
    route("CheckpointDelete", "DELETE", "/containers/{id}/checkpoints/{checkpoint}", Never),
    route("ContainerCopyLegacy", "POST", "/containers/{id}/copy", Never),
    route("BuildCancel", "POST", "/build/cancel", Never),
    route("BuildKitGrpc", "POST", "/grpc", Never),
    route("DebugVars", "GET", "/debug/vars", Never),
    route("DebugPprof", "GET", "/debug/pprof", Never),
    route("DebugPprofCmdline", "GET", "/debug/pprof/cmdline", Never),
    route("DebugPprofProfile", "GET", "/debug/pprof/profile", Never),
    route("DebugPprofSymbol", "GET", "/debug/pprof/symbol", Never),
    route("DebugPprofTrace", "GET", "/debug/pprof/trace", Never),
    route("DebugPprofNamed", "GET", "/debug/pprof/{name}", Never),
    route("Metrics", "GET", "/metrics", Never),
];

/// The line for a method and a path without its version, with what the path's
/// variable stands for. A line without a variable comes before one with.
pub fn find(method: &str, path: &str) -> Option<(&'static Route, Option<String>)> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let mut found: Option<(&'static Route, Option<String>)> = None;
    for route in ROUTES.iter().filter(|route| route.method == method) {
        if let Some(name) = matches(route.path, &segments) {
            if name.is_none() {
                return Some((route, None));
            }
            // Among lines with a variable the one with more fixed segments is meant.
            let fixed = |route: &Route| route.path.split('/').filter(|part| !part.starts_with('{')).count();
            if found.as_ref().is_none_or(|(other, _)| fixed(other) < fixed(route)) {
                found = Some((route, name));
            }
        }
    }
    found
}

/// What the variable stands for (`Some(None)`: there is none), if the path fits.
fn matches(template: &str, segments: &[&str]) -> Option<Option<String>> {
    // Every line begins with a fixed segment, which tells most of them apart.
    if template.split('/').nth(1) != segments.first().copied() {
        return None;
    }
    let parts: Vec<&str> = template.strip_prefix('/')?.split('/').collect();
    let greedy = parts.iter().any(|part| part.ends_with("*}"));
    if segments.len() < parts.len() || (!greedy && segments.len() != parts.len()) {
        return None;
    }
    let extra = segments.len() - parts.len();
    let mut name = None;
    let mut at = 0;
    for part in parts {
        if part.starts_with('{') {
            let take = if part.ends_with("*}") { extra + 1 } else { 1 };
            let taken = segments.get(at..at + take)?.join("/");
            if taken.is_empty() {
                return None;
            }
            name.get_or_insert(taken);
            at += take;
        } else {
            if segments.get(at) != Some(&part) {
                return None;
            }
            at += 1;
        }
    }
    Some(name)
}
