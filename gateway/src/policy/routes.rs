//! Every operation of the Engine API (v1.41 to v1.56) and every further route
//! of the daemon, classified. Order: the API reference's own, then the routes
//! that it does not document. Each line says how a request is tied to its owner
//! and what of the answer is passed on ([`super::rules`]).
//!
//! What must hold: a request that matches no line is denied, so a route that
//! a later daemon adds is closed until it is written here. No two lines match
//! the same request (a test proves it).

use super::members;
use super::operation::Operation;
pub use super::route::{BodyRule, Class, Kind, Route, StreamRule};
use super::route::{never, post, route};
use super::rules::{
    AnswerRule, CONTAINERS, EVENTS, ImageUse, JsonFilter, LineFilter, Need, OBJECTS, OperatorView, PRUNED,
    PRUNED_CONTAINERS, TenantRule,
};
use crate::ObjectKind;

use AnswerRule::{Filter, FilterLines, Pass};
use Class::{Change, Dangerous, Read, Run};
use Kind::{Filters, Flag, FlagOrDefault, Ignored, Json, Jsons, Keys, Lines, Number, Off, Refused, Text, Texts};
use Need::{Look, Use};
use ObjectKind::{Container, Exec, Image, Network, Volume};
use OperatorView::{Masked, MaskedIfForeign, Whole};
use TenantRule::{
    Filtered, ImageFilters, ImagesInQuery, InAnswer, Makes, Named, Nobodys, NotForTenants, NothingForTenants, Registry,
};

/// How many of [`ROUTES`] are operations of the Engine API v1.56.
pub const API_OPERATIONS: usize = 108;

/// The table: first the operations of the API, then the undocumented routes.
pub static ROUTES: [Route; Operation::ALL.len()] = [
    // Containers
    route(
        Operation::ContainerList,
        "GET",
        "/containers/json",
        Read,
        Filtered(&CONTAINERS),
        Filter(JsonFilter::Containers, Masked),
    )
    .q(&[
        ("all", Flag),
        ("limit", Number),
        ("size", Flag),
        ("filters", Filters),
        ("trunc_cmd", Ignored),
        ("since", Ignored),
        ("before", Ignored),
    ]),
    route(Operation::ContainerCreate, "POST", "/containers/create", Run, Makes(Container), Pass)
        .json(members::CREATE)
        .q(&[("name", Text), ("platform", Text)]),
    route(
        Operation::ContainerInspect,
        "GET",
        "/containers/{id}/json",
        Read,
        Named(Container, Look),
        Filter(JsonFilter::Container, MaskedIfForeign),
    )
    .q(&[("size", Flag)]),
    route(Operation::ContainerTop, "GET", "/containers/{id}/top", Read, Named(Container, Use), Pass)
        .q(&[("ps_args", Text)]),
    route(Operation::ContainerLogs, "GET", "/containers/{id}/logs", Read, Named(Container, Use), Pass).follow().q(&[
        ("follow", Flag),
        ("stdout", Flag),
        ("stderr", Flag),
        ("since", Text),
        ("until", Text),
        ("timestamps", Flag),
        ("tail", Text),
        ("details", Flag),
    ]),
    route(Operation::ContainerChanges, "GET", "/containers/{id}/changes", Read, Named(Container, Use), Pass),
    route(Operation::ContainerExport, "GET", "/containers/{id}/export", Run, Named(Container, Use), Pass).follow(),
    route(
        Operation::ContainerStats,
        "GET",
        "/containers/{id}/stats",
        Read,
        Named(Container, Use),
        FilterLines(LineFilter::Stats, Whole),
    )
    .follow()
    .q(&[("stream", Flag), ("one-shot", Flag)]),
    post(Operation::ContainerResize, "/containers/{id}/resize", Run, Named(Container, Use), Pass)
        .q(&[("h", Number), ("w", Number)]),
    route(Operation::ContainerStart, "POST", "/containers/{id}/start", Run, Named(Container, Use), Pass)
        .maybe_json(members::START)
        .q(&[("detachKeys", Keys), ("checkpoint", Refused), ("checkpoint-dir", Refused)]),
    post(Operation::ContainerStop, "/containers/{id}/stop", Run, Named(Container, Use), Pass)
        .q(&[("signal", Text), ("t", Number)]),
    post(Operation::ContainerRestart, "/containers/{id}/restart", Run, Named(Container, Use), Pass)
        .q(&[("signal", Text), ("t", Number)]),
    post(Operation::ContainerKill, "/containers/{id}/kill", Run, Named(Container, Use), Pass).q(&[("signal", Text)]),
    route(Operation::ContainerUpdate, "POST", "/containers/{id}/update", Change, Named(Container, Use), Pass)
        .json(members::UPDATE),
    post(Operation::ContainerRename, "/containers/{id}/rename", Change, Named(Container, Use), Pass)
        .q(&[("name", Text)]),
    post(Operation::ContainerPause, "/containers/{id}/pause", Run, Named(Container, Use), Pass),
    post(Operation::ContainerUnpause, "/containers/{id}/unpause", Run, Named(Container, Use), Pass),
    post(Operation::ContainerAttach, "/containers/{id}/attach", Run, Named(Container, Use), AnswerRule::Hijack)
        .hijack()
        .q(&[
            ("detachKeys", Keys),
            ("logs", Flag),
            ("stream", Flag),
            ("stdin", Flag),
            ("stdout", Flag),
            ("stderr", Flag),
            ("hijack", Ignored),
        ]),
    never(Operation::ContainerAttachWebsocket, "GET", "/containers/{id}/attach/ws"),
    post(Operation::ContainerWait, "/containers/{id}/wait", Read, Named(Container, Use), Pass)
        .follow()
        .q(&[("condition", Text)]),
    route(Operation::ContainerDelete, "DELETE", "/containers/{id}", Run, Named(Container, Use), Pass).q(&[
        ("v", Flag),
        ("force", Flag),
        // Removes not the container but its name in another's links.
        ("link", Off),
    ]),
    route(Operation::ContainerArchiveInfo, "HEAD", "/containers/{id}/archive", Run, Named(Container, Use), Pass)
        .q(&[("path", Text)]),
    route(Operation::ContainerArchive, "GET", "/containers/{id}/archive", Run, Named(Container, Use), Pass)
        .follow()
        .q(&[("path", Text)]),
    route(Operation::PutContainerArchive, "PUT", "/containers/{id}/archive", Run, Named(Container, Use), Pass)
        .tar()
        .q(&[("path", Text), ("noOverwriteDirNonDir", Flag), ("copyUIDGID", Flag)]),
    post(Operation::ContainerPrune, "/containers/prune", Change, Filtered(&PRUNED_CONTAINERS), Pass)
        .q(&[("filters", Filters)]),
    // Images
    route(Operation::ImageList, "GET", "/images/json", Read, ImageFilters, Filter(JsonFilter::Images, Whole)).q(&[
        ("all", Flag),
        ("filters", Filters),
        ("shared-size", Flag),
        ("digests", Flag),
        ("manifests", Flag),
        ("identity", Flag),
        ("only_ids", Ignored),
        ("filter", Ignored),
    ]),
    route(Operation::ImageBuild, "POST", "/build", Change, Makes(Image), Pass)
        .credentials("x-registry-config")
        .tar()
        .follow()
        .q(&[
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
    post(
        Operation::BuildPrune,
        "/build/prune",
        Change,
        NothingForTenants(r#"{"CachesDeleted":null,"SpaceReclaimed":0}"#),
        Pass,
    )
    .q(&[
        ("keep-storage", Number),
        ("reserved-space", Number),
        ("max-used-space", Number),
        ("min-free-space", Number),
        ("all", Flag),
        ("filters", Filters),
    ]),
    post(Operation::ImageCreate, "/images/create", Run, Makes(Image), Pass).credentials("x-registry-auth").follow().q(
        &[
            ("fromImage", Text),
            ("fromSrc", Text),
            ("repo", Text),
            ("tag", Text),
            ("message", Text),
            ("changes", Lines),
            ("platform", Text),
        ],
    ),
    route(
        Operation::ImageInspect,
        "GET",
        "/images/{name*}/json",
        Read,
        TenantRule::Image(ImageUse::ById),
        Filter(JsonFilter::Image, Whole),
    )
    .q(&[("manifests", Flag), ("platform", Json), ("size", Ignored)]),
    route(
        Operation::ImageHistory,
        "GET",
        "/images/{name*}/history",
        Read,
        TenantRule::Image(ImageUse::ById),
        Filter(JsonFilter::History, Whole),
    )
    .q(&[("platform", Json)]),
    route(
        Operation::ImageAttestations,
        "GET",
        "/images/{name*}/attestations",
        Read,
        TenantRule::Image(ImageUse::ById),
        Pass,
    )
    .q(&[("platform", Jsons), ("type", Texts), ("statement", Flag)]),
    route(Operation::ImagePush, "POST", "/images/{name*}/push", Change, TenantRule::Image(ImageUse::Pushed), Pass)
        .credentials("x-registry-auth")
        .maybe_json(members::PUSH)
        .follow()
        .q(&[("tag", Text), ("platform", Json)]),
    post(Operation::ImageTag, "/images/{name*}/tag", Change, TenantRule::Image(ImageUse::ById), Pass).q(&[
        ("repo", Text),
        ("tag", Text),
        ("force", Ignored),
    ]),
    route(
        Operation::ImageDelete,
        "DELETE",
        "/images/{name*}",
        Change,
        TenantRule::Image(ImageUse::Removed),
        Filter(JsonFilter::RemovedImage, Whole),
    )
    .q(&[("force", Flag), ("noprune", Flag), ("platforms", Jsons)]),
    route(Operation::ImageSearch, "GET", "/images/search", Read, Registry, Pass).credentials("x-registry-auth").q(&[
        ("term", Text),
        ("limit", Number),
        ("filters", Filters),
    ]),
    post(Operation::ImagePrune, "/images/prune", Change, Filtered(&OBJECTS), Filter(JsonFilter::PrunedImages, Whole))
        .q(&[("filters", Filters)]),
    route(Operation::ImageCommit, "POST", "/commit", Change, Makes(Image), Pass).maybe_json(members::COMMIT).q(&[
        ("container", Text),
        ("repo", Text),
        ("tag", Text),
        ("comment", Text),
        ("author", Text),
        ("pause", FlagOrDefault),
        ("changes", Lines),
    ]),
    route(Operation::ImageGet, "GET", "/images/{name*}/get", Run, TenantRule::Image(ImageUse::Saved), Pass)
        .follow()
        .q(&[("platform", Jsons)]),
    route(Operation::ImageGetAll, "GET", "/images/get", Run, ImagesInQuery, Pass)
        .follow()
        .q(&[("names", Texts), ("platform", Jsons)]),
    route(
        Operation::ImageLoad,
        "POST",
        "/images/load",
        Dangerous,
        NotForTenants {
            rule: "image.load",
            message: "a tenant does not load images: the archive sets tags of its own",
        },
        Pass,
    )
    .tar()
    .follow()
    .q(&[("quiet", Flag), ("platform", Jsons)]),
    // Networks
    route(Operation::NetworkList, "GET", "/networks", Read, Filtered(&OBJECTS), Filter(JsonFilter::Networks, Whole))
        .q(&[("filters", Filters)]),
    route(
        Operation::NetworkInspect,
        "GET",
        "/networks/{id}",
        Read,
        Named(Network, Look),
        Filter(JsonFilter::Network, Whole),
    )
    .q(&[("verbose", Flag), ("scope", Text)]),
    route(Operation::NetworkDelete, "DELETE", "/networks/{id}", Change, Named(Network, Use), Pass),
    route(Operation::NetworkCreate, "POST", "/networks/create", Change, Makes(Network), Pass).json(members::NETWORK),
    route(Operation::NetworkConnect, "POST", "/networks/{id}/connect", Change, Named(Network, Use), Pass)
        .json(members::CONNECT),
    route(Operation::NetworkDisconnect, "POST", "/networks/{id}/disconnect", Change, Named(Network, Use), Pass)
        .json(members::DISCONNECT),
    post(
        Operation::NetworkPrune,
        "/networks/prune",
        Change,
        Filtered(&PRUNED),
        Filter(JsonFilter::PrunedNetworks, Whole),
    )
    .q(&[("filters", Filters)]),
    // Volumes
    route(Operation::VolumeList, "GET", "/volumes", Read, Filtered(&OBJECTS), Filter(JsonFilter::Volumes, Masked))
        .q(&[("filters", Filters)]),
    route(Operation::VolumeCreate, "POST", "/volumes/create", Change, Makes(Volume), Filter(JsonFilter::Volume, Whole))
        .json(members::VOLUME),
    route(
        Operation::VolumeInspect,
        "GET",
        "/volumes/{name}",
        Read,
        Named(Volume, Look),
        Filter(JsonFilter::Volume, MaskedIfForeign),
    ),
    never(Operation::VolumeUpdate, "PUT", "/volumes/{name}"),
    route(Operation::VolumeDelete, "DELETE", "/volumes/{name}", Change, Named(Volume, Use), Pass).q(&[("force", Flag)]),
    post(Operation::VolumePrune, "/volumes/prune", Change, Filtered(&PRUNED), Filter(JsonFilter::PrunedVolumes, Whole))
        .q(&[("filters", Filters)]),
    // Exec
    route(Operation::ContainerExec, "POST", "/containers/{id}/exec", Run, Named(Container, Use), Pass)
        .json(members::EXEC),
    route(Operation::ExecStart, "POST", "/exec/{id}/start", Run, Named(Exec, Use), AnswerRule::Hijack)
        .json(members::EXEC_START)
        .hijack(),
    post(Operation::ExecResize, "/exec/{id}/resize", Run, Named(Exec, Use), Pass).q(&[("h", Number), ("w", Number)]),
    route(Operation::ExecInspect, "GET", "/exec/{id}/json", Read, Named(Exec, Use), Pass),
    // Swarm, nodes, services, tasks, secrets, configs
    never(Operation::SwarmInspect, "GET", "/swarm"),
    never(Operation::SwarmInit, "POST", "/swarm/init"),
    never(Operation::SwarmJoin, "POST", "/swarm/join"),
    never(Operation::SwarmLeave, "POST", "/swarm/leave"),
    never(Operation::SwarmUpdate, "POST", "/swarm/update"),
    never(Operation::SwarmUnlockkey, "GET", "/swarm/unlockkey"),
    never(Operation::SwarmUnlock, "POST", "/swarm/unlock"),
    never(Operation::NodeList, "GET", "/nodes"),
    never(Operation::NodeInspect, "GET", "/nodes/{id}"),
    never(Operation::NodeDelete, "DELETE", "/nodes/{id}"),
    never(Operation::NodeUpdate, "POST", "/nodes/{id}/update"),
    never(Operation::ServiceList, "GET", "/services"),
    never(Operation::ServiceCreate, "POST", "/services/create"),
    never(Operation::ServiceInspect, "GET", "/services/{id}"),
    never(Operation::ServiceDelete, "DELETE", "/services/{id}"),
    never(Operation::ServiceUpdate, "POST", "/services/{id}/update"),
    never(Operation::ServiceLogs, "GET", "/services/{id}/logs"),
    never(Operation::TaskList, "GET", "/tasks"),
    never(Operation::TaskInspect, "GET", "/tasks/{id}"),
    never(Operation::TaskLogs, "GET", "/tasks/{id}/logs"),
    never(Operation::SecretList, "GET", "/secrets"),
    never(Operation::SecretCreate, "POST", "/secrets/create"),
    never(Operation::SecretInspect, "GET", "/secrets/{id}"),
    never(Operation::SecretDelete, "DELETE", "/secrets/{id}"),
    never(Operation::SecretUpdate, "POST", "/secrets/{id}/update"),
    never(Operation::ConfigList, "GET", "/configs"),
    never(Operation::ConfigCreate, "POST", "/configs/create"),
    never(Operation::ConfigInspect, "GET", "/configs/{id}"),
    never(Operation::ConfigDelete, "DELETE", "/configs/{id}"),
    never(Operation::ConfigUpdate, "POST", "/configs/{id}/update"),
    // Plugins
    never(Operation::PluginList, "GET", "/plugins"),
    never(Operation::GetPluginPrivileges, "GET", "/plugins/privileges"),
    never(Operation::PluginPull, "POST", "/plugins/pull"),
    never(Operation::PluginInspect, "GET", "/plugins/{name*}/json"),
    never(Operation::PluginDelete, "DELETE", "/plugins/{name*}"),
    never(Operation::PluginEnable, "POST", "/plugins/{name*}/enable"),
    never(Operation::PluginDisable, "POST", "/plugins/{name*}/disable"),
    never(Operation::PluginUpgrade, "POST", "/plugins/{name*}/upgrade"),
    never(Operation::PluginCreate, "POST", "/plugins/create"),
    never(Operation::PluginPush, "POST", "/plugins/{name*}/push"),
    never(Operation::PluginSet, "POST", "/plugins/{name*}/set"),
    // System
    route(Operation::SystemAuth, "POST", "/auth", Run, Registry, Pass).json(members::AUTH),
    route(Operation::SystemInfo, "GET", "/info", Read, InAnswer, Filter(JsonFilter::Info, Whole)),
    route(Operation::SystemVersion, "GET", "/version", Read, Nobodys, Pass),
    route(Operation::SystemPing, "GET", "/_ping", Read, Nobodys, Pass),
    route(Operation::SystemPingHead, "HEAD", "/_ping", Read, Nobodys, Pass),
    route(Operation::SystemEvents, "GET", "/events", Read, Filtered(&EVENTS), FilterLines(LineFilter::Events, Masked))
        .follow()
        .q(&[("since", Text), ("until", Text), ("filters", Filters)]),
    route(Operation::SystemDataUsage, "GET", "/system/df", Read, InAnswer, Filter(JsonFilter::Usage, Masked))
        .q(&[("type", Texts), ("verbose", Flag)]),
    route(Operation::DistributionInspect, "GET", "/distribution/{name*}/json", Read, Registry, Pass)
        .credentials("x-registry-auth"),
    never(Operation::Session, "POST", "/session"),
    // What the daemon answers besides
    never(Operation::CheckpointList, "GET", "/containers/{id}/checkpoints"),
    never(Operation::CheckpointCreate, "POST", "/containers/{id}/checkpoints"),
    never(Operation::CheckpointDelete, "DELETE", "/containers/{id}/checkpoints/{checkpoint}"),
    never(Operation::ContainerCopyLegacy, "POST", "/containers/{id}/copy"),
    never(Operation::BuildCancel, "POST", "/build/cancel"),
    never(Operation::BuildKitGrpc, "POST", "/grpc"),
    never(Operation::DebugVars, "GET", "/debug/vars"),
    never(Operation::DebugPprof, "GET", "/debug/pprof"),
    never(Operation::DebugPprofCmdline, "GET", "/debug/pprof/cmdline"),
    never(Operation::DebugPprofProfile, "GET", "/debug/pprof/profile"),
    never(Operation::DebugPprofSymbol, "GET", "/debug/pprof/symbol"),
    never(Operation::DebugPprofTrace, "GET", "/debug/pprof/trace"),
    never(Operation::DebugPprofNamed, "GET", "/debug/pprof/{name}"),
    never(Operation::Metrics, "GET", "/metrics"),
];

// Every operation has its line, and the one that its place says.
const _: () = {
    let mut at = 0;
    while at < ROUTES.len() {
        assert!(ROUTES[at].operation as usize == Operation::ALL[at] as usize);
        at += 1;
    }
};

/// An operation's line.
#[must_use]
pub fn of(operation: Operation) -> &'static Route {
    &ROUTES[operation as usize]
}

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
