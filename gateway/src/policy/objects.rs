//! What a request refers to: found, and judged for the token that asks.
//!
//! What must hold: whatever refers to another object is resolved here, for
//! every token, and forwarded under the id that was judged. Nobody gains
//! through a container more than their role could have created: one that was
//! not made through the gateway, or that exceeds the role, is listed and
//! inspected with its secrets masked, and nothing else, unless the role has the
//! grant `foreign`.

use serde_json::{Map, Value};

use super::super::{Object, ObjectKind, Refusal};
use super::create::{text, user};
use super::mounts;
use super::reference;
use super::refusal::{denied, malformed, not_found, shown, unreachable};
use super::rules::Need;
use super::scope::Scope;
use crate::name::TenantName;
use crate::tenant::{self, names};

/// An object that may be looked at or used, as it was asked for.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its full id; of a volume its name on the host.
    pub id: String,
    /// The tenant's own name for it, if the gateway gave it.
    pub name: Option<String>,
    /// It was not made through the gateway, or exceeds the role: secrets are masked.
    pub foreign: bool,
    /// As the daemon describes it.
    pub object: Object,
}

/// How far containers are followed from one to another (`container:…`).
const DEPTH: usize = 8;

/// The grant that opens what was not made through the gateway.
pub const FOREIGN: &str = "foreign";

/// Where the gateway leaves its mark on a container: a member of HostConfig
/// that the daemon keeps and does not use, and that no image passes on.
pub const MARK: &str = "ContainerIDFile";

/// The mark of a container made for a tenant, or by a role without one.
pub fn mark(scope: &Scope<'_>) -> String {
    format!("stockade-gateway:tenant={}:role={}", scope.tenant.map_or("", TenantName::as_str), scope.role_name)
}

/// Whose a container is by its mark: the tenant, empty for none.
fn marked(details: &Value) -> Option<&str> {
    let mark = details.pointer(&format!("/HostConfig/{MARK}"))?.as_str()?;
    mark.strip_prefix("stockade-gateway:tenant=")?.split_once(":role=").map(|(tenant, _)| tenant)
}

impl Scope<'_> {
    /// What a reference stands for.
    ///
    /// # Errors
    /// 400 for what is no name, 404 for another's and for what is not there,
    /// 403 for what may only be looked at, 503 where the daemon cannot be asked.
    pub async fn object(&self, kind: ObjectKind, reference: &str, need: Need) -> Result<Found, Refusal> {
        if !reference::is_name(reference) {
            return Err(malformed("path.name", format!("{:?} is not a name or id", shown(reference))));
        }
        let missing = || not_found(kind, reference);
        let view = self.view();
        let found = match self.tenant {
            Some(tenant) => view.find(kind, reference, tenant).await?,
            None => view.look(kind, reference).await?,
        };
        let object = found.ok_or_else(missing)?;
        let name = self.tenant.and_then(|tenant| names::own(tenant, &object.name)).map(str::to_owned);
        let (object, barred) = match kind {
            ObjectKind::Container => self.container(object, missing).await?,
            ObjectKind::Exec => {
                let id = object.references.first().cloned().unwrap_or_default();
                let (_, barred) = self.container(Object { id, ..Object::default() }, missing).await?;
                let beyond = self.exec_exceeds(&object);
                (object, barred.or(beyond))
            }
            ObjectKind::Image => (object, None),
            ObjectKind::Network | ObjectKind::Volume => {
                let barred = self.outlives(kind, &object);
                (object, barred)
            }
        };
        match barred {
            Some(refusal) if need == Need::Use || kind == ObjectKind::Exec => Err(refusal),
            barred => Ok(Found { id: object.id.clone(), name, foreign: barred.is_some(), object }),
        }
    }

    /// The full id of a container to be used.
    ///
    /// # Errors
    /// As [`Scope::object`].
    pub async fn used_container(&self, reference: &str) -> Result<Found, Refusal> {
        self.object(ObjectKind::Container, reference, Need::Use).await
    }

    /// A container as it is described whole, and why it may not be used.
    async fn container(
        &self,
        found: Object,
        missing: impl Fn() -> Refusal,
    ) -> Result<(Object, Option<Refusal>), Refusal> {
        // A list does not tell its configuration.
        let container = match found.details.get("Config") {
            Some(_) => found,
            None => self.view().look(ObjectKind::Container, &found.id).await?.ok_or_else(&missing)?,
        };
        let made = self.made_here(&container).await?;
        if self.tenant.is_some() && made.as_deref() != self.tenant.map(TenantName::as_str) {
            return Err(missing());
        }
        if self.role.grants(FOREIGN) {
            return Ok((container, None));
        }
        if made.is_none() {
            let message = format!(
                "the container {:?} was not made through the gateway: it may be listed and inspected; \
                 for more the role lacks the grant \"{FOREIGN}\"",
                shown(&container.name)
            );
            return Ok((container, Some(denied("container.foreign", message))));
        }
        let barred = self.exceeds(&container, DEPTH).await?.map(|what| {
            let message = format!(
                "the container {:?} has what this role could not have created: {what}; the role lacks that, \
                 and the grant \"{FOREIGN}\"",
                shown(&container.name)
            );
            denied("container.exceeds", message)
        });
        Ok((container, barred))
    }

    /// For whom a container was made through the gateway (empty: by a role
    /// without a tenant), or to whom root gave it by a label written by hand;
    /// none for another. Labels that its image has too are inherited, and with
    /// the label of containers beside they are copied from one that the gateway
    /// made: neither means to give the container away.
    async fn made_here(&self, container: &Object) -> Result<Option<String>, Refusal> {
        if let Some(tenant) = marked(&container.details) {
            return Ok(Some(tenant.to_owned()));
        }
        if !tenant::is_given(container) {
            return Ok(None);
        }
        let owner = tenant::owner(container).unwrap_or("").to_owned();
        let image = container.details.get("Image").and_then(Value::as_str).unwrap_or("");
        let image = self.view().look(ObjectKind::Image, image).await?;
        let inherited = image.is_none_or(|image| tenant::is_labelled(&image));
        Ok((!inherited).then_some(owner))
    }

    /// The ids of containers that carry a label of the tenant's, or of the role
    /// without one, only since their image does.
    ///
    /// # Errors
    /// 503 where the daemon cannot be asked.
    pub async fn impostors(&self) -> Result<Vec<String>, Refusal> {
        let label = match self.tenant {
            Some(tenant) => tenant::label_filter(tenant),
            None => format!("{}={}", tenant::ROLE, self.role_name),
        };
        let list = self.docker.list(ObjectKind::Container, Some(&label)).await.map_err(|error| unreachable(&error))?;
        let mut impostors = Vec::new();
        // What was judged once stays so: an id is given once.
        for object in list.iter().filter(|object| !self.sharing.has_judged(&label, &object.id)) {
            // What is gone by now is in no answer.
            let Some(container) = self.view().look(ObjectKind::Container, &object.id).await? else { continue };
            let made = self.made_here(&container).await?;
            match made.is_none() || self.tenant.is_some_and(|tenant| made.as_deref() != Some(tenant.as_str())) {
                true => impostors.push(object.id.clone()),
                false => self.sharing.judged(&label, &object.id),
            }
        }
        Ok(impostors)
    }

    /// Whether a prune by the owner's label removes only what was made through
    /// the gateway: the daemon judges by labels, which others can have.
    ///
    /// # Errors
    /// 403 if it would remove more, 503 where the daemon cannot be asked.
    pub async fn prunes_own(&self) -> Result<(), Refusal> {
        if self.role.grants(FOREIGN) || self.impostors().await?.is_empty() {
            return Ok(());
        }
        let message = "a container that was not made through the gateway carries the labels of one that was, \
                       and would be removed too: remove containers by their names";
        Err(denied("prune.foreign", message))
    }

    /// Why a network or volume that outlives containers may not be used.
    fn outlives(&self, kind: ObjectKind, object: &Object) -> Option<Refusal> {
        if self.role.grants(FOREIGN) {
            return None;
        }
        let (word, name) = match kind {
            ObjectKind::Network => ("network", &object.name),
            ObjectKind::Volume => ("volume", &object.id),
            // These are judged by what they are or come from.
            ObjectKind::Container | ObjectKind::Image | ObjectKind::Exec => {
                return Some(denied("object.kind", "this object is judged as another kind"));
            }
        };
        if kind == ObjectKind::Network && matches!(name.as_str(), "bridge" | "none") {
            return None;
        }
        if !tenant::is_labelled(object) {
            let message = format!(
                "the {word} {:?} was not made through the gateway: it may be listed and inspected; \
                 for more the role lacks the grant \"{FOREIGN}\"",
                shown(name)
            );
            return Some(denied(format!("{word}.foreign"), message));
        }
        (kind == ObjectKind::Volume && !plain_volume(object)).then(|| {
            let message = format!("the volume {:?} has a driver or options of its own", shown(name));
            denied("volume.options", message)
        })
    }

    /// A volume to use by its name on the host, if it is there.
    ///
    /// # Errors
    /// 403 for one that was not made through the gateway.
    async fn volume_named(&self, name: &str) -> Result<(), Refusal> {
        let Some(volume) = self.view().look(ObjectKind::Volume, name).await? else { return Ok(()) };
        self.outlives(ObjectKind::Volume, &volume).map_or(Ok(()), Err)
    }

    /// The name on the host of a volume to use, which may have to be made. An
    /// existing one is the daemon's answer to a create, whosever it is.
    ///
    /// # Errors
    /// 400 for what is no name, 403 for one that is another's or was not made
    /// through the gateway.
    pub async fn volume(&self, name: &str) -> Result<String, Refusal> {
        if !reference::is_name(name) {
            return Err(malformed("volume.Name", format!("{:?} is not a volume's name", shown(name))));
        }
        let Some(tenant) = self.tenant else {
            self.volume_named(name).await?;
            return Ok(name.to_owned());
        };
        let view = self.view();
        if let Some(volume) = view.find(ObjectKind::Volume, name, tenant).await? {
            return self.outlives(ObjectKind::Volume, &volume).map_or(Ok(volume.id), Err);
        }
        let on_host = view.new_name(name)?;
        match view.look(ObjectKind::Volume, &on_host).await? {
            None => Ok(on_host),
            Some(_) => Err(denied("tenant.owner", format!("the name {name:?} cannot be used on this host"))),
        }
    }

    /// Why an exec that another role may have prepared is not for this one: what
    /// it runs as is settled before its start.
    fn exec_exceeds(&self, exec: &Object) -> Option<Refusal> {
        if self.role.grants(FOREIGN) {
            return None;
        }
        let process = exec.details.get("ProcessConfig");
        let member = |name: &str| process.and_then(|process| process.get(name));
        let what = if member("privileged") == Some(&Value::Bool(true)) && !self.role.grants("privileged") {
            "Privileged"
        } else {
            // Without a user it runs as the container's, which was judged.
            let wanted = member("user").and_then(Value::as_str).filter(|user| !user.is_empty())?;
            user(self, wanted, "exec.User").err()?;
            "the user root"
        };
        let message = format!(
            "the exec {:?} has what this role could not have asked for: {what}; the role lacks that, \
             and the grant \"{FOREIGN}\"",
            shown(&exec.id)
        );
        Some(denied("exec.exceeds", message))
    }

    /// What a container has that the role could not have given it, if anything.
    async fn exceeds(&self, container: &Object, depth: usize) -> Result<Option<String>, Refusal> {
        let host = container.details.get("HostConfig").and_then(Value::as_object);
        // What is not described cannot be judged.
        let Some(host) = host else { return Ok(Some("a configuration that cannot be read".to_owned())) };
        if let Some(what) = self.exceeds_by_itself(&container.details, host) {
            return Ok(Some(what));
        }
        for mount in container.details.get("Mounts").and_then(Value::as_array).into_iter().flatten() {
            if let Some(what) = self.exceeds_by_mount(mount).await? {
                return Ok(Some(what));
            }
        }
        for member in ["NetworkMode", "PidMode", "IpcMode"] {
            let Some(other) = text(host, member).and_then(|mode| mode.strip_prefix("container:")) else { continue };
            let beyond = Some(format!("the namespaces of another container ({member})"));
            if depth == 0 {
                return Ok(beyond);
            }
            // What is gone lends nothing.
            let Some(other) = self.view().look(ObjectKind::Container, other).await? else { continue };
            let made = self.made_here(&other).await?;
            let own = made.as_deref().is_some_and(|made| self.tenant.is_none_or(|tenant| *tenant == made));
            if !own || Box::pin(self.exceeds(&other, depth - 1)).await?.is_some() {
                return Ok(beyond);
            }
        }
        Ok(None)
    }

    /// The same, as far as the container's own description tells.
    fn exceeds_by_itself(&self, details: &Value, host: &Map<String, Value>) -> Option<String> {
        let role = self.role;
        let flag = |name: &str| host.get(name) == Some(&Value::Bool(true));
        let some = |name: &str| match host.get(name) {
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            _ => false,
        };
        let texts = |name: &str| super::create::texts(host, name);
        let what = |what: &str| Some(what.to_owned());
        if flag("Privileged") && !role.grants("privileged") {
            return what("Privileged");
        }
        if ["Devices", "DeviceRequests", "DeviceCgroupRules"].into_iter().any(some) && !role.grants("devices") {
            return what("devices");
        }
        for cap in texts("CapAdd") {
            let plain = cap.to_ascii_uppercase();
            if !role.caps.iter().any(|known| known == plain.strip_prefix("CAP_").unwrap_or(&plain)) {
                return Some(format!("the capability {}", shown(cap)));
            }
        }
        if text(host, "NetworkMode") == Some("host") && !role.grants("host-network") {
            return what("the host's network");
        }
        for member in ["PidMode", "IpcMode", "UTSMode", "UsernsMode"] {
            if text(host, member) == Some("host") && !role.grants("host-namespaces") {
                return Some(format!("{member} \"host\""));
            }
        }
        let unconfined = |option: &str| !super::create::is_no_new_privileges(option);
        if texts("SecurityOpt").into_iter().any(unconfined) && !role.grants("security-opt") {
            return what("SecurityOpt");
        }
        for (member, kept) in [("MaskedPaths", "/proc/kcore"), ("ReadonlyPaths", "/proc/sys")] {
            // Null where the daemon masks nothing, since the container is privileged.
            let masked = texts(member).contains(&kept) || (flag("Privileged") && role.grants("privileged"));
            if !masked && !role.grants("security-opt") {
                return Some(format!("unmasked paths ({member})"));
            }
        }
        if let Some(port) = super::create::published_beyond(role, host) {
            return Some(format!("the host's port {:?}", shown(port)));
        }
        if some("GroupAdd") && !role.grants("groups") {
            return what("GroupAdd");
        }
        if some("CgroupParent") || some("Cgroup") {
            return what("CgroupParent");
        }
        let runtime = text(host, "Runtime").unwrap_or("runc");
        let other = !matches!(runtime, "runc" | "io.containerd.runc.v2" | "io.containerd.runtime.v1.linux");
        if (other || some("Annotations")) && !role.grants("runtime") {
            return what("Runtime or Annotations");
        }
        let score = host.get("OomScoreAdj").and_then(Value::as_i64).unwrap_or(0);
        if (score < 0 || flag("OomKillDisable")) && !role.grants("oom") {
            return what("OomScoreAdj or OomKillDisable");
        }
        let wanted = details.pointer("/Config/User").and_then(Value::as_str).unwrap_or("");
        user(self, wanted, "create.User").is_err().then(|| "the user root".to_owned())
    }

    async fn exceeds_by_mount(&self, mount: &Value) -> Result<Option<String>, Refusal> {
        let member = |name: &str| mount.get(name).and_then(Value::as_str).unwrap_or("");
        match member("Type") {
            "bind" => {
                let read_only = mount.get("RW") == Some(&Value::Bool(false));
                let granted = mounts::granted(self.role, member("Source"), read_only).is_some();
                Ok((!granted).then(|| format!("the mount of {:?}", shown(member("Source")))))
            }
            "volume" => {
                let name = member("Name");
                let Some(volume) = self.view().look(ObjectKind::Volume, name).await? else { return Ok(None) };
                // One that the daemon named was made with the container.
                let unnamed = reference::is_full_id(name) && plain_volume(&volume);
                let barred = self.outlives(ObjectKind::Volume, &volume).filter(|_| !unnamed);
                Ok(barred.map(|_| format!("the volume {:?}", shown(name))))
            }
            "tmpfs" | "image" => Ok(None),
            other => Ok(Some(format!("a mount of type {:?}", shown(other)))),
        }
    }

    /// All containers of the daemon, as they are now.
    ///
    /// # Errors
    /// 503 where the daemon cannot be asked.
    pub async fn all_containers(&self) -> Result<std::sync::Arc<Vec<Object>>, Refusal> {
        self.docker.list(ObjectKind::Container, None).await.map_err(|error| unreachable(&error))
    }
}

/// A volume of the daemon's own driver, in its own directory.
fn plain_volume(volume: &Object) -> bool {
    let options = volume.details.get("Options").and_then(Value::as_object);
    let driver = volume.details.get("Driver").and_then(Value::as_str);
    matches!(driver, None | Some("local")) && options.is_none_or(Map::is_empty)
}
