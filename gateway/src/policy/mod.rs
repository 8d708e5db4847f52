//! What a token's role allows, and the request that is sent instead of the
//! client's: parsed, decided, written anew.
//!
//! ```text
//! parse: head ─► Call (operation of the table, typed query)
//! decide: role ─► owner ─► body, member by member ─► Forward
//! ```
//!
//! What must hold: default deny; a [`Forward`] holds nothing that was not
//! understood; every refusal names its rule.

mod bodies;
mod build;
mod create;
mod draft;
mod explain;
mod filters;
mod image;
mod json;
mod limits;
mod members;
mod mounts;
mod objects;
mod parse;
mod quota;
pub(crate) mod reference;
pub(crate) mod refusal;
pub mod roles;
pub mod routes;
mod scope;
mod shape;
pub mod table;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use super::{Build, Docker, Forward, Identity, ObjectKind, Refusal, ResponseRule, Sharing, Turn, Wanted, tenant};
use draft::Draft;
pub use explain::{explain, explain_as, roles_table};
use objects::{Found, Need};
pub use parse::{Call, NEWEST, OLDEST, parse};
use refusal::{denied, malformed};
pub use roles::{Role, RoleError, Roles};
use routes::BodyRule;
use scope::Scope;
pub use tenant::{filter_json, filter_line};

/// The engine from which on `docker cp` does not race with the container.
const ARCHIVE_SAFE: (u32, u32, u32) = (29, 5, 1);

/// The roles, and which API the daemon is spoken to in.
#[derive(Debug, Clone)]
pub struct Policy {
    roles: Roles,
    oldest: u16,
    newest: u16,
    pinned: Option<u16>,
    engine: Option<(u32, u32, u32)>,
    sharing: Arc<Sharing>,
}

impl Policy {
    /// The bundled roles: `read`, `deploy`, `operator`.
    ///
    /// # Errors
    /// If they cannot be read, which a test rules out.
    pub fn bundled() -> Result<Policy, RoleError> {
        let mut roles = Roles::new();
        for (name, text) in roles::BUNDLED {
            roles::read(&format!("bundled:{name}"), text, &mut roles)?;
        }
        Ok(Policy { roles, oldest: OLDEST, newest: NEWEST, pinned: None, engine: None, sharing: Arc::default() })
    }

    /// The bundled roles, and over them those of a TOML file or a directory of such.
    ///
    /// # Errors
    /// For a file that cannot be read or used, with the line.
    pub fn load(path: &Path) -> Result<Policy, RoleError> {
        let mut policy = Policy::bundled()?;
        roles::read_path(path, &mut policy.roles)?;
        Ok(policy)
    }

    /// The bundled roles, and over them those of a TOML text.
    ///
    /// # Errors
    /// With the line, for what is not known.
    pub fn from_text(name: &str, text: &str) -> Result<Policy, RoleError> {
        let mut policy = Policy::bundled()?;
        roles::read(name, text, &mut policy.roles)?;
        Ok(policy)
    }

    /// Narrows the API versions that clients may use, and the one in which the
    /// daemon is spoken to (minor numbers of `v1.N`). Without a pinned one the
    /// client's is used.
    #[must_use]
    pub fn with_api(mut self, oldest: u16, newest: u16, pinned: Option<u16>) -> Policy {
        self.oldest = oldest.max(OLDEST);
        self.newest = newest.min(NEWEST);
        self.pinned = pinned.map(|minor| minor.clamp(OLDEST, NEWEST));
        self
    }

    /// Says which images tenants share, and which tenants there are.
    #[must_use]
    pub fn with_sharing(mut self, sharing: Arc<Sharing>) -> Policy {
        self.sharing = sharing;
        self
    }

    /// Tells the engine's version, as `GET /version` has it (`28.2.2`).
    #[must_use]
    pub fn with_engine(mut self, version: &str) -> Policy {
        let mut numbers = version.split(['.', '-', '+', '~']).map(|part| part.parse::<u32>().ok());
        self.engine = match (numbers.next().flatten(), numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor), Some(patch)) => Some((major, minor, patch)),
            _ => None,
        };
        self
    }

    /// The roles.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Whether a role is there and allows an operation, for what has begun under
    /// roles that were loaded before these.
    pub fn allows(&self, role: &str, operation: &str) -> bool {
        let route = routes::ROUTES.iter().find(|route| route.id == operation);
        let role = self.roles.get(role);
        route.zip(role).is_some_and(|(route, role)| role.allows(route).is_some())
    }

    /// Decides a call: the request to send instead, or why not. `body` is the
    /// whole body where the operation takes JSON (at most
    /// [`Call::body_limit`]), and empty otherwise.
    ///
    /// # Errors
    /// A refusal with its rule and, as Docker's clients show it, its message.
    pub async fn decide(
        &self,
        identity: &Identity,
        call: Call,
        body: &[u8],
        docker: &dyn Docker,
    ) -> Result<Forward, Refusal> {
        let operation = Some(call.route.id);
        self.decided(identity, &call, body, docker).await.map_err(|refusal| Refusal { operation, ..refusal })
    }

    async fn decided(
        &self,
        identity: &Identity,
        call: &Call,
        body: &[u8],
        docker: &dyn Docker,
    ) -> Result<Forward, Refusal> {
        let Some(role) = self.roles.get(&identity.role) else {
            return Err(denied("role.unknown", format!("the role {:?} is not known here", identity.role)));
        };
        let Some(entry) = role.allows(call.route) else {
            let class = call.route.class.name();
            // A client looks for a name among all kinds of objects in turn.
            if call.route.id == "PluginInspect" {
                let name = refusal::shown(call.name.as_deref().unwrap_or(""));
                let rule = format!("role.{}.allow", identity.role);
                return Err(Refusal { status: 404, ..denied(rule, format!("plugin {name:?} not found")) });
            }
            let mut message = format!("the role {:?} may not {} (class {class})", identity.role, call.route.id);
            if matches!(call.route.id, "Session" | "BuildKitGrpc") {
                message.push_str(": builds are made by the classic builder here, set DOCKER_BUILDKIT=0");
            }
            return Err(denied(format!("role.{}.allow", identity.role), message));
        };
        let rule = format!("role.{}.{entry}", identity.role);
        let tenant = identity.tenant.as_deref();
        if tenant.is_some_and(|tenant| !tenant::is_tenant_name(tenant)) {
            return Err(denied("tenant.name", "the token's tenant must be small letters, digits and -"));
        }
        if call.version.is_some_and(|version| !(self.oldest..=self.newest).contains(&version)) {
            let message = format!("use API version 1.{} to 1.{}", self.oldest, self.newest);
            return Err(malformed("path.version", message));
        }
        if let Some(tenant) = tenant {
            self.sharing.learn(tenant);
        }
        let scope =
            Scope { role, roles: &self.roles, role_name: &identity.role, tenant, docker, sharing: &self.sharing };
        let mut draft = Draft::new(call);
        match call.body {
            BodyRule::None | BodyRule::Stream if !body.is_empty() => {
                return Err(malformed("body.none", "this operation takes no body"));
            }
            BodyRule::Json if body.is_empty() => {
                return Err(malformed("body.required", "this operation needs a JSON body"));
            }
            BodyRule::Stream => draft.tar(role.stream),
            BodyRule::Ignored if !body.is_empty() => drop(json::parse(body)?),
            BodyRule::None | BodyRule::Json | BodyRule::JsonOrNone | BodyRule::Ignored => {}
        }
        self.operation(&scope, call, body, &mut draft).await?;
        draft.finish(self.version(call, docker).await?, rule, tenant)
    }

    /// The Dockerfile to build from in place of the client's, for what
    /// [`Policy::decide`] said of the build.
    ///
    /// # Errors
    /// A refusal with the line that is meant.
    pub async fn dockerfile(&self, build: &Build, text: &[u8], docker: &dyn Docker) -> Result<Vec<u8>, Refusal> {
        let Some(role) = self.roles.get(&build.role) else {
            return Err(denied("role.unknown", format!("the role {:?} is not known here", build.role)));
        };
        let tenant = build.tenant.as_deref();
        let scope = Scope { role, roles: &self.roles, role_name: &build.role, tenant, docker, sharing: &self.sharing };
        let refused = |refusal| Refusal { operation: Some("ImageBuild"), ..refusal };
        build::dockerfile(&scope, build, text).await.map_err(refused)
    }

    /// The version in which the daemon is spoken to; none only where it answers
    /// alike in all of them. Without one in the path a client means the daemon's
    /// own, here no newer than what is modelled.
    async fn version(&self, call: &Call, docker: &dyn Docker) -> Result<Option<u16>, Refusal> {
        let unversioned = matches!(call.route.id, "SystemPing" | "SystemPingHead" | "SystemVersion");
        match (call.version, self.pinned) {
            (None, _) if unversioned => Ok(None),
            (_, Some(pinned)) => Ok(Some(pinned)),
            (Some(version), None) => Ok(Some(version)),
            (None, None) => {
                let own = docker.api_version().await.map_err(|error| refusal::unreachable(&error))?;
                let minor = own.strip_prefix("1.").and_then(|minor| minor.parse::<u16>().ok());
                match minor.map(|minor| minor.min(self.newest)).filter(|minor| *minor >= self.oldest) {
                    Some(minor) => Ok(Some(minor)),
                    None => {
                        let message = format!(
                            "the daemon's API version {:?} is not supported: at least 1.{} is needed",
                            refusal::shown(&own),
                            self.oldest
                        );
                        Err(malformed("path.version", message))
                    }
                }
            }
        }
    }

    /// What is particular to each operation.
    async fn operation(&self, scope: &Scope<'_>, call: &Call, body: &[u8], draft: &mut Draft) -> Result<(), Refusal> {
        let view = scope.view();
        let name = call.name.as_deref().unwrap_or("");
        let id = call.route.id;
        let mut found = None;
        if let Some(kind) = call.route.object.filter(|kind| *kind != ObjectKind::Image) {
            let need = match id {
                "ContainerInspect" | "NetworkInspect" | "VolumeInspect" => Need::Look,
                _ => Need::Use,
            };
            let object = scope.object(kind, name, need).await?;
            draft.name(&object.id);
            found = Some(object);
        }
        match id {
            // The daemon mounts only now, and resolves the paths anew.
            "ContainerStart"
            | "ContainerRestart"
            | "ContainerArchiveInfo"
            | "ContainerArchive"
            | "PutContainerArchive" => {
                if let Some(container) = &found {
                    draft.turn = remount(scope, container).await?;
                }
            }
            "ContainerInspect" | "VolumeInspect"
                if scope.tenant.is_none() && found.as_ref().is_some_and(|found| found.foreign) =>
            {
                draft.response = filter_as(scope, id, Wanted::default());
            }
            _ => {}
        }
        match id {
            "ContainerList" => {
                let mut wanted = filtered(scope, call, draft).await?;
                wanted.hidden = scope.hidden().await?;
                draft.response = filter_as(scope, id, wanted);
            }
            "NetworkList" => {
                let wanted = filtered(scope, call, draft).await?;
                only_own(scope, call, draft, wanted);
            }
            "VolumeList" => {
                let wanted = filtered(scope, call, draft).await?;
                draft.response = filter_as(scope, id, wanted);
            }
            "ImageList" => {
                if let Some(tenant) = scope.tenant {
                    let mut wanted = image::listed(scope, call, draft, tenant).await?;
                    wanted.images = image::seen(scope, tenant).await?;
                    only_own(scope, call, draft, wanted);
                }
            }
            "SystemDataUsage" => {
                let mut wanted = Wanted { hidden: scope.hidden().await?, ..Wanted::default() };
                if let Some(tenant) = scope.tenant {
                    wanted.images = image::seen(scope, tenant).await?;
                }
                draft.response = filter_as(scope, id, wanted);
            }
            "ContainerInspect" => {
                let masked = found.as_ref().is_some_and(|container| container.foreign);
                only_own(scope, call, draft, Wanted { masked, ..Wanted::default() });
            }
            "SystemInfo" | "NetworkInspect" | "VolumeInspect" => {
                only_own(scope, call, draft, Wanted::default());
            }
            "ContainerPrune" => {
                scope.prunes_own().await?;
                filtered(scope, call, draft).await?;
            }
            "ImagePrune" => {
                image::prune(scope, call).await?;
                drop(filtered(scope, call, draft).await?);
                if let Some(tenant) = scope.tenant {
                    let wanted = Wanted { images: image::seen(scope, tenant).await?, ..Wanted::default() };
                    only_own(scope, call, draft, wanted);
                }
            }
            "NetworkPrune" | "VolumePrune" => {
                filtered(scope, call, draft).await?;
                only_own(scope, call, draft, Wanted::default());
            }
            "SystemEvents" => {
                filtered(scope, call, draft).await?;
                draft.response = ResponseRule::FilterLines { operation: id, viewer: scope.viewer() };
            }
            "ContainerStats" => lines_of_own(scope, call, draft),
            // The cache belongs to nobody: for a tenant there is nothing to prune.
            "BuildPrune" if scope.tenant.is_some() => {
                let body = r#"{"CachesDeleted":null,"SpaceReclaimed":0}"#.to_owned();
                draft.response = ResponseRule::Answer { status: 200, body };
            }
            "ContainerCreate" => {
                let mut given = None;
                if let Some(name) = call.given("name") {
                    let (name, on_host) = free_name(scope, name).await?;
                    draft.object = Some(on_host.clone());
                    draft.put("name", on_host);
                    given = Some(name);
                }
                let create = create::container(scope, given, body).await?;
                draft.json(create.body);
                draft.turn = create.turn;
                draft.turn.0.extend(quota::on_create(scope, create.memory).await?.0);
            }
            "ContainerRename" => {
                let (_, on_host) = free_name(scope, call.given("name").unwrap_or("")).await?;
                draft.put("name", on_host);
            }
            "ContainerUpdate" => {
                let (body, memory, restarts) = bodies::update(scope, body)?;
                draft.json(body);
                if restarts && let Some(container) = &found {
                    let mounted = mounts::sources(&container.object.details);
                    draft.turn = mounts::judge(scope, Some(&container.id), &mounted, true).await?;
                }
                let turn = quota::on_update(scope, draft.object.as_deref().unwrap_or(""), memory).await?;
                draft.turn.0.extend(turn.0);
            }
            "ContainerTop" => top(call)?,
            "ContainerStart" => bodies::nothing(scope, id, body)?,
            "ContainerExec" => draft.json(bodies::exec(scope, body)?),
            "ExecStart" => {
                let (body, detached) = bodies::exec_start(scope, body)?;
                draft.json(body);
                if !detached {
                    draft.response = ResponseRule::Hijack;
                }
            }
            "ContainerAttach" => draft.response = ResponseRule::Hijack,
            "ContainerArchiveInfo" | "ContainerArchive" | "PutContainerArchive" => self.archive(scope, call)?,
            "ImageCreate" => image::pull(scope, call, draft).await?,
            "ImageInspect" | "ImageHistory" | "ImageAttestations" => {
                draft.name(view.image(name).await?.exact());
                if let Some(tenant) = scope.tenant.filter(|_| id != "ImageAttestations") {
                    let wanted = Wanted { images: image::seen(scope, tenant).await?, ..Wanted::default() };
                    only_own(scope, call, draft, wanted);
                }
            }
            "ImageTag" => {
                draft.name(view.image(name).await?.exact());
                image::retag(scope, call, draft)?;
            }
            "ImageGet" => draft.name(&image::saved(scope, name).await?),
            "ImageGetAll" => image::save(scope, call, draft).await?,
            "ImagePush" => {
                bodies::nothing(scope, id, body)?;
                image::push(scope, call, name, draft).await?;
            }
            "ImageDelete" => {
                image::delete(scope, name, draft).await?;
                if let Some(tenant) = scope.tenant {
                    let wanted = Wanted { images: image::seen(scope, tenant).await?, ..Wanted::default() };
                    only_own(scope, call, draft, wanted);
                }
            }
            "ImageCommit" => image::commit(scope, call, body, draft).await?,
            "ImageSearch" => {
                image::search(scope, call)?;
                image::with_credentials(call, draft)?;
            }
            "ImageBuild" => image::build(scope, call, draft).await?,
            "ImageLoad" if scope.tenant.is_some() => {
                return Err(denied("image.load", "a tenant does not load images: the archive sets tags of its own"));
            }
            "NetworkCreate" => {
                draft.json(bodies::network_create(scope, body)?);
                draft.turn = quota::on_network(scope).await?;
            }
            "NetworkConnect" => draft.json(bodies::network_connect(scope, body).await?),
            "NetworkDisconnect" => draft.json(bodies::network_disconnect(scope, body).await?),
            "VolumeCreate" => {
                draft.json(bodies::volume_create(scope, body).await?);
                only_own(scope, call, draft, Wanted::default());
            }
            "SystemAuth" => draft.json(bodies::login(scope, body)?),
            "DistributionInspect" => {
                draft.name(&scope.reachable(name, "image.pull.registry")?.to_string());
                image::with_credentials(call, draft)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// `docker cp`: the container can swap links while an old engine follows them.
    fn archive(&self, scope: &Scope<'_>, call: &Call) -> Result<(), Refusal> {
        if call.given("path").is_none() {
            return Err(malformed("query.path", "the path is missing"));
        }
        if self.engine.is_some_and(|engine| engine >= ARCHIVE_SAFE) || scope.role.grants("archive") {
            return Ok(());
        }
        let message = "docker cp is not safe on engines before 29.5.1: the role lacks the grant \"archive\"";
        Err(denied("archive.engine", message))
    }
}

/// The filters of lists, prunes and events: for a tenant with the owner's label
/// and the host's names. What the daemon cannot judge by is returned.
async fn filtered(scope: &Scope<'_>, call: &Call, draft: &mut Draft) -> Result<Wanted, Refusal> {
    let mut filters = filters::Filters::read(call.get("filters").unwrap_or(""))?;
    let mut wanted = Wanted::default();
    let id = call.route.id;
    if let Some(tenant) = scope.tenant {
        let (view, events) = (scope.view(), id == "SystemEvents");
        match id {
            // Of containers another label counts; the lines are filtered here.
            "SystemEvents" => {}
            "ContainerPrune" => filters.require_label(&format!("{}={tenant}", tenant::CONTAINER)),
            _ => filters.require_label(&tenant::label_filter(tenant)),
        }
        for value in filters.take("ancestor") {
            filters.add("ancestor", image::ancestor(scope, &value).await?);
        }
        for (key, kind) in [
            ("before", ObjectKind::Container),
            ("since", ObjectKind::Container),
            ("container", ObjectKind::Container),
            ("network", ObjectKind::Network),
            ("volume", ObjectKind::Volume),
        ] {
            if matches!(key, "before" | "since") && call.route.id != "ContainerList" {
                continue;
            }
            for value in filters.take(key) {
                filters.add(key, view.sought(kind, &value).await?);
                if events && reference::is_name(&value) {
                    // Of what is gone by then, or not yet there, the events have the name.
                    filters.add(key, tenant::names::on_host(tenant, &value));
                }
            }
        }
        if !events {
            wanted.names = filters.take("name").into_iter().collect();
        }
        // The daemon would count what the names leave out.
        if let Some(limit) = call.given("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0)
            && !wanted.names.is_empty()
        {
            wanted.limit = Some(limit);
            draft.query.retain(|(key, _)| *key != "limit");
            draft.put("all", "1".to_owned());
        }
    } else if matches!(id, "ContainerPrune" | "NetworkPrune" | "VolumePrune") && !scope.role.grants(objects::FOREIGN) {
        // What others made is not removed in passing.
        filters.require_label(&format!("{}={}", tenant::ROLE, scope.role_name));
    }
    draft.filters(&filters);
    Ok(wanted)
}

/// A container whose directories of the host are mounted anew.
async fn remount(scope: &Scope<'_>, container: &Found) -> Result<Turn, Refusal> {
    // Whoever may use root's own containers has what root mounts.
    if scope.role.grants(objects::FOREIGN) {
        return Ok(Turn::default());
    }
    let details = &container.object.details;
    let mounted = mounts::sources(details);
    let policy = details.pointer("/HostConfig/RestartPolicy").and_then(serde_json::Value::as_object);
    mounts::judge(scope, Some(&container.id), &mounted, policy.is_some_and(create::restarts)).await
}

fn filter_as(scope: &Scope<'_>, operation: &'static str, wanted: Wanted) -> ResponseRule {
    ResponseRule::FilterJson { operation, viewer: scope.viewer(), wanted }
}

fn only_own(scope: &Scope<'_>, call: &Call, draft: &mut Draft, wanted: Wanted) {
    if scope.tenant.is_some() {
        draft.response = filter_as(scope, call.route.id, wanted);
    }
}

fn lines_of_own(scope: &Scope<'_>, call: &Call, draft: &mut Draft) {
    if scope.tenant.is_some() {
        draft.response = ResponseRule::FilterLines { operation: call.route.id, viewer: scope.viewer() };
    }
}

/// A name that may be given to a container: not one that could be taken for an
/// id. As the client has it and as the host will.
async fn free_name<'a>(scope: &Scope<'_>, name: &'a str) -> Result<(&'a str, String), Refusal> {
    let plain = name.strip_prefix('/').unwrap_or(name);
    if !reference::is_name(plain) || plain.len() < 2 {
        return Err(malformed("container.name", "the name is not a container's"));
    }
    if reference::looks_like_id(plain) {
        return Err(denied("container.name", "a name of 12 or more hexadecimal digits could be taken for an id"));
    }
    Ok((plain, scope.view().free_name(plain).await?))
}

/// The arguments of `ps`, which the daemon runs on the host: only known ones.
fn top(call: &Call) -> Result<(), Refusal> {
    let arguments = call.given("ps_args").unwrap_or("-ef");
    let columns = arguments.strip_prefix("-eo ").or_else(|| arguments.strip_prefix("-o ")).is_some_and(|columns| {
        columns.bytes().all(|b| b.is_ascii_lowercase() || b == b',' || b == b'%')
            && columns.split(',').any(|c| c == "pid")
    });
    if columns || matches!(arguments, "-ef" | "-e" | "aux" | "-aux" | "ax" | "auxww" | "-efww") {
        return Ok(());
    }
    Err(denied("top.ps_args", "these arguments of ps are not allowed"))
}
