//! What is each operation's own, besides its owner and its answer: bodies,
//! quotas, mounts, registries.

use super::objects::{FOREIGN, Found};
use super::operation::Operation;
use super::parse::Call;
use super::refusal::{denied, malformed};
use super::request_builder::RequestBuilder;
use super::scope::Scope;
use super::{Policy, bodies, create, image, mounts, quota, reference};
use crate::{QuotaGuard, Refusal};

/// The engine from which on `docker cp` does not race with the container.
const ARCHIVE_SAFE: (u32, u32, u32) = (29, 5, 1);

impl Policy {
    /// Reads and writes what is particular to each operation. `object` is that
    /// of the path, where it is no image.
    pub(super) async fn particular(
        &self,
        scope: &Scope<'_>,
        call: &Call,
        body: &[u8],
        object: Option<&Found>,
        draft: &mut RequestBuilder,
    ) -> Result<(), Refusal> {
        match call.route.operation {
            Operation::ContainerCreate => {
                let mut given = None;
                if let Some(name) = call.given("name") {
                    let (name, on_host) = free_name(scope, name).await?;
                    draft.object = Some(on_host.clone());
                    draft.put("name", on_host);
                    given = Some(name);
                }
                let create = create::container(scope, given, body).await?;
                draft.json(create.body);
                draft.quota_guard = create.quota_guard;
                draft.quota_guard.0.extend(quota::on_create(scope, create.memory).await?.0);
            }
            Operation::ContainerRename => {
                let (_, on_host) = free_name(scope, call.given("name").unwrap_or("")).await?;
                draft.put("name", on_host);
            }
            Operation::ContainerUpdate => {
                let (body, memory, restarts) = bodies::update(scope, body)?;
                draft.json(body);
                if restarts && let Some(container) = object {
                    let mounted = mounts::sources(&container.object.details);
                    draft.quota_guard = mounts::judge(scope, Some(&container.id), &mounted, true).await?;
                }
                let quota_guard = quota::on_update(scope, draft.object.as_deref().unwrap_or(""), memory).await?;
                draft.quota_guard.0.extend(quota_guard.0);
            }
            Operation::ContainerTop => top(call)?,
            Operation::ContainerStart => {
                draft.quota_guard = remount(scope, object).await?;
                bodies::nothing(scope, call.route, body)?;
            }
            Operation::ContainerRestart => draft.quota_guard = remount(scope, object).await?,
            Operation::ContainerArchiveInfo | Operation::ContainerArchive | Operation::PutContainerArchive => {
                draft.quota_guard = remount(scope, object).await?;
                self.archive(scope, call)?;
            }
            Operation::ContainerPrune => scope.prunes_own().await?,
            Operation::ContainerExec => draft.json(bodies::exec(scope, body)?),
            Operation::ExecStart => {
                let (body, detached) = bodies::exec_start(scope, body)?;
                draft.json(body);
                draft.detached = detached;
            }
            Operation::ImageCreate => image::pull(scope, call, draft).await?,
            Operation::ImageTag => image::retag(scope, call, draft)?,
            Operation::ImagePrune => image::prune(scope, call).await?,
            Operation::ImageCommit => image::commit(scope, call, body, draft).await?,
            Operation::ImageSearch => {
                image::search(scope, call)?;
                image::with_credentials(call, draft)?;
            }
            Operation::ImageBuild => image::build(scope, call, draft).await?,
            Operation::NetworkCreate => {
                draft.json(bodies::network_create(scope, body)?);
                draft.quota_guard = quota::on_network(scope).await?;
            }
            Operation::NetworkConnect => draft.json(bodies::network_connect(scope, body).await?),
            Operation::NetworkDisconnect => draft.json(bodies::network_disconnect(scope, body).await?),
            Operation::VolumeCreate => draft.json(bodies::volume_create(scope, body).await?),
            Operation::SystemAuth => draft.json(bodies::login(scope, body)?),
            Operation::DistributionInspect => {
                let name = call.name.as_deref().unwrap_or("");
                draft.name(&scope.reachable(name, "image.pull.registry")?.to_string());
                image::with_credentials(call, draft)?;
            }
            // The owner and the query are all there is to them.
            Operation::ContainerList
            | Operation::ContainerInspect
            | Operation::ContainerLogs
            | Operation::ContainerChanges
            | Operation::ContainerExport
            | Operation::ContainerStats
            | Operation::ContainerResize
            | Operation::ContainerStop
            | Operation::ContainerKill
            | Operation::ContainerPause
            | Operation::ContainerUnpause
            | Operation::ContainerAttach
            | Operation::ContainerWait
            | Operation::ContainerDelete
            | Operation::ImageList
            | Operation::BuildPrune
            | Operation::ImageInspect
            | Operation::ImageHistory
            | Operation::ImageAttestations
            | Operation::ImagePush
            | Operation::ImageDelete
            | Operation::ImageGet
            | Operation::ImageGetAll
            | Operation::ImageLoad
            | Operation::NetworkList
            | Operation::NetworkInspect
            | Operation::NetworkDelete
            | Operation::NetworkPrune
            | Operation::VolumeList
            | Operation::VolumeInspect
            | Operation::VolumeDelete
            | Operation::VolumePrune
            | Operation::ExecResize
            | Operation::ExecInspect
            | Operation::SystemInfo
            | Operation::SystemVersion
            | Operation::SystemPing
            | Operation::SystemPingHead
            | Operation::SystemEvents
            | Operation::SystemDataUsage => {}
            Operation::ContainerAttachWebsocket
            | Operation::VolumeUpdate
            | Operation::SwarmInspect
            | Operation::SwarmInit
            | Operation::SwarmJoin
            | Operation::SwarmLeave
            | Operation::SwarmUpdate
            | Operation::SwarmUnlockkey
            | Operation::SwarmUnlock
            | Operation::NodeList
            | Operation::NodeInspect
            | Operation::NodeDelete
            | Operation::NodeUpdate
            | Operation::ServiceList
            | Operation::ServiceCreate
            | Operation::ServiceInspect
            | Operation::ServiceDelete
            | Operation::ServiceUpdate
            | Operation::ServiceLogs
            | Operation::TaskList
            | Operation::TaskInspect
            | Operation::TaskLogs
            | Operation::SecretList
            | Operation::SecretCreate
            | Operation::SecretInspect
            | Operation::SecretDelete
            | Operation::SecretUpdate
            | Operation::ConfigList
            | Operation::ConfigCreate
            | Operation::ConfigInspect
            | Operation::ConfigDelete
            | Operation::ConfigUpdate
            | Operation::PluginList
            | Operation::GetPluginPrivileges
            | Operation::PluginPull
            | Operation::PluginInspect
            | Operation::PluginDelete
            | Operation::PluginEnable
            | Operation::PluginDisable
            | Operation::PluginUpgrade
            | Operation::PluginCreate
            | Operation::PluginPush
            | Operation::PluginSet
            | Operation::Session
            | Operation::CheckpointList
            | Operation::CheckpointCreate
            | Operation::CheckpointDelete
            | Operation::ContainerCopyLegacy
            | Operation::BuildCancel
            | Operation::BuildKitGrpc
            | Operation::DebugVars
            | Operation::DebugPprof
            | Operation::DebugPprofCmdline
            | Operation::DebugPprofProfile
            | Operation::DebugPprofSymbol
            | Operation::DebugPprofTrace
            | Operation::DebugPprofNamed
            | Operation::Metrics => {
                return Err(denied("route.never", "this operation is never forwarded"));
            }
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

/// The daemon mounts the directories of the host only now, and resolves their
/// paths anew.
async fn remount(scope: &Scope<'_>, container: Option<&Found>) -> Result<QuotaGuard, Refusal> {
    let Some(container) = container else { return Err(malformed("path.name", "the container's name is missing")) };
    // Whoever may use root's own containers has what root mounts.
    if scope.role.grants(FOREIGN) {
        return Ok(QuotaGuard::default());
    }
    let details = &container.object.details;
    let mounted = mounts::sources(details);
    let policy = details.pointer("/HostConfig/RestartPolicy").and_then(serde_json::Value::as_object);
    mounts::judge(scope, Some(&container.id), &mounted, policy.is_some_and(create::restarts)).await
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
