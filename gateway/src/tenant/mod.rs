//! Tenants: who owns what on one daemon, by a label.
//!
//! What must hold: an object is touched only under the full id that the daemon
//! gave when its owner label was read, so a name that changes hands between
//! look and act names nothing. Another's object and a missing one are refused
//! with the same words.
//!
//! Labels keep apart teams that do not attack one another. Hostile tenants
//! need a daemon of their own (rootless, or with user namespaces): the kernel,
//! the image store and the default bridge are shared here. Images without an
//! owner are shared where they have a name outside every tenant's prefix
//! ([`Sharing`]).
//!
//! Names of containers, networks and volumes are each tenant's own ([`names`]):
//! put on the way in (paths, create bodies, filters) and taken off in answers,
//! streams and errors. Containers of one tenant find one another by the short
//! name on networks of their own, where it is an alias; after a rename that
//! alias stays the first name. Not mapped: images and their tags (a tenant
//! tags under its own prefix), labels, aliases and host names that the client
//! chooses, the random names that the daemon gives, and what is seen from
//! inside a container (`/etc/hosts` of a link and reverse look-ups have the
//! host's name, `shop__web`).

mod filter;
mod list;
mod mask;
pub mod names;

use std::sync::Arc;
use std::time::Duration;

use super::name::TenantName;
use super::policy::reference::{self, Reference};
use super::policy::refusal::{denied, malformed, not_found, shown, unreachable};
use super::{Docker, Object, ObjectKind, Refusal, Sharing};

pub use filter::{filter_json, filter_line};

/// The label that names the owner of an object.
pub const LABEL: &str = "io.stockade.tenant";
/// The label that names the role by which an object without a tenant was made.
pub const ROLE: &str = "io.stockade.role";
/// A label of containers alone: the tenant, or `-`. [`LABEL`] is on images too,
/// and a container inherits it: one that root runs from a tenant's image is not
/// the tenant's.
pub const CONTAINER: &str = "io.stockade.container";
/// The label of images alone that names the role, without a tenant, by which
/// one was built: what one role's build left in the cache serves no other.
/// The daemon's cache does not know of proxies and hosts that a build was given.
pub const BUILDER: &str = "io.stockade.builder";
/// Labels under this prefix are the gateway's own.
pub const RESERVED: &str = "io.stockade.";

fn label<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Who owns an object, if anyone.
pub fn owner(object: &Object) -> Option<&str> {
    label(object, LABEL).filter(|owner| !owner.is_empty())
}

/// Whether a container carries the owner's label alone, as root gives it by hand.
pub fn is_given(container: &Object) -> bool {
    label(container, LABEL).is_some() && label(container, ROLE).is_none() && label(container, CONTAINER).is_none()
}

/// Whether an object was made through the gateway, for a tenant or by a role.
pub fn is_labelled(object: &Object) -> bool {
    label(object, LABEL).is_some() || label(object, ROLE).is_some()
}

/// `LABEL=tenant`, as label filters have it.
pub fn label_filter(tenant: &TenantName) -> String {
    format!("{LABEL}={tenant}")
}

/// A tenant's view of the daemon, or (without a tenant) the operator's of everything.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The tenant.
    pub tenant: Option<&'a TenantName>,
    /// The daemon.
    pub docker: &'a dyn Docker,
    /// Which images tenants share.
    pub sharing: &'a Sharing,
}

/// After this long, or a whole multiple of it, a tenant is told that an exec is
/// not there: whether it is another's takes the daemon one question more.
const STEP: Duration = Duration::from_millis(25);

impl View<'_> {
    /// What the daemon has under a reference.
    ///
    /// # Errors
    /// 503 where it cannot be asked.
    pub async fn look(&self, kind: ObjectKind, reference: &str) -> Result<Option<Object>, Refusal> {
        self.docker.inspect(kind, reference).await.map_err(|error| unreachable(&error))
    }

    async fn list(&self, kind: ObjectKind, label: Option<&str>) -> Result<Arc<Vec<Object>>, Refusal> {
        self.docker.list(kind, label).await.map_err(|error| unreachable(&error))
    }

    /// What a tenant's reference stands for among the tenant's own objects. The
    /// daemon is asked for these alone, so neither the answer nor its time
    /// depends on what others have.
    ///
    /// # Errors
    /// 503 where the daemon cannot be asked.
    pub async fn find(
        &self,
        kind: ObjectKind,
        reference: &str,
        tenant: &TenantName,
    ) -> Result<Option<Object>, Refusal> {
        if kind == ObjectKind::Exec {
            return self.find_exec(reference, tenant).await;
        }
        let own = self.list(kind, Some(&label_filter(tenant))).await?;
        let own = own.iter().filter(|object| owner(object) == Some(tenant.as_str()));
        Ok(among(own, kind, reference, tenant).cloned())
    }

    async fn find_exec(&self, reference: &str, tenant: &TenantName) -> Result<Option<Object>, Refusal> {
        let started = tokio::time::Instant::now();
        let exec = self.look(ObjectKind::Exec, reference).await?;
        let container = exec.as_ref().and_then(|exec| exec.references.first());
        let own = self.list(ObjectKind::Container, Some(&label_filter(tenant))).await?;
        let is_own = own.iter().any(|object| Some(&object.id) == container && owner(object) == Some(tenant.as_str()));
        if !is_own {
            let steps = started.elapsed().as_millis() / STEP.as_millis() + 1;
            tokio::time::sleep_until(started + STEP * u32::try_from(steps).unwrap_or(u32::MAX)).await;
        }
        Ok(exec.filter(|_| is_own))
    }

    /// A reference in a filter: the full id of what is the tenant's, else the
    /// name that it would have on the host.
    ///
    /// # Errors
    /// 503 where the daemon cannot be asked.
    pub async fn sought(&self, kind: ObjectKind, reference: &str) -> Result<String, Refusal> {
        let Some(tenant) = self.tenant.filter(|_| reference::is_name(reference)) else {
            return Ok(reference.to_owned());
        };
        let object = self.find(kind, reference, tenant).await?;
        Ok(object.map_or_else(|| names::on_host(tenant, reference), |object| object.id))
    }

    /// The name on the host of something new.
    ///
    /// # Errors
    /// 400 if it would be too long.
    pub fn new_name(&self, name: &str) -> Result<String, Refusal> {
        let Some(tenant) = self.tenant else { return Ok(name.to_owned()) };
        let on_host = names::on_host(tenant, name);
        if reference::is_name(&on_host) {
            return Ok(on_host);
        }
        Err(malformed("tenant.name", format!("{:?} is not a name, or too long for one", shown(name))))
    }

    /// The name on the host for a new container, if it is free.
    ///
    /// # Errors
    /// 409 if it is taken by a container that is not the tenant's, whose id the
    /// daemon would tell.
    pub async fn free_name(&self, name: &str) -> Result<String, Refusal> {
        let on_host = self.new_name(name)?;
        let Some(tenant) = self.tenant else { return Ok(on_host) };
        let others = |object: &Object| owner(object) != Some(tenant.as_str());
        // One of the tenant's that the gateway did not name is shown by that name.
        let unnamed = |object: &Object| names::own(tenant, &object.name).is_none() && object.name == name;
        let taken = self.look(ObjectKind::Container, &on_host).await?.is_some_and(|object| others(&object))
            || self.find(ObjectKind::Container, name, tenant).await?.is_some_and(|object| unnamed(&object));
        if !taken {
            return Ok(on_host);
        }
        Err(Refusal {
            status: 409,
            message: format!("Conflict. The container name \"/{name}\" is already in use on this host."),
            rule: "tenant.taken".to_owned(),
            operation: None,
        })
    }

    /// The images that a tenant sees: its own, and those that are shared.
    ///
    /// # Errors
    /// 503 where the daemon cannot be asked.
    pub async fn images(&self, tenant: &TenantName) -> Result<Vec<Object>, Refusal> {
        let all = self.list(ObjectKind::Image, None).await?;
        let seen = |object: &&Object| self.sharing.shows(tenant, owner(object), &object.references);
        Ok(all.iter().filter(seen).cloned().collect())
    }

    /// An image that may be seen: the tenant's own or a shared one. The
    /// operator's is not looked up.
    ///
    /// # Errors
    /// 400 for what is no reference, 404 for another's and for what is not there.
    pub async fn image(&self, text: &str) -> Result<ImageUse, Refusal> {
        let reference = Reference::read(text);
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if reference.is_none() && !reference::is_full_id(hex) {
            return Err(malformed("image.reference", format!("{:?} is not an image", shown(text))));
        }
        let Some(tenant) = self.tenant else { return Ok(ImageUse { text: text.to_owned(), id: None, object: None }) };
        let images = self.images(tenant).await?;
        let named = |object: &&Object| {
            let known = object.references.iter().filter(|name| self.sharing.names(tenant, name));
            reference
                .as_ref()
                .is_some_and(|wanted| known.filter_map(|name| Reference::read(name)).any(|name| wanted.means(&name)))
        };
        let id = |object: &Object| object.id.strip_prefix("sha256:").map(str::to_owned).unwrap_or_default();
        let by_id = |object: &&Object| {
            hex.len() >= 2 && hex.bytes().all(|b| b.is_ascii_hexdigit()) && id(object).starts_with(hex)
        };
        let found =
            images.iter().find(|object| id(object) == hex).or_else(|| images.iter().find(named)).or_else(|| {
                let mut begun = images.iter().filter(by_id);
                begun.next().filter(|_| begun.next().is_none())
            });
        let Some(object) = found.filter(|object| reference::is_full_id(&id(object))).cloned() else {
            let tagged = reference.is_some_and(|reference| reference.tag.is_some() || reference.digest.is_some());
            let named = if tagged || text.starts_with("sha256:") { text.to_owned() } else { format!("{text}:latest") };
            return Err(not_found(ObjectKind::Image, &named));
        };
        Ok(ImageUse { text: text.to_owned(), id: Some(object.id.clone()), object: Some(object) })
    }

    /// A reference that a tenant may set: with its own name as the path's first part.
    ///
    /// # Errors
    /// 400 for what is no reference, 403 for one outside the prefix.
    pub fn taggable(&self, text: &str) -> Result<Reference, Refusal> {
        let Some(reference) = Reference::read(text).filter(|reference| reference.digest.is_none()) else {
            return Err(malformed("image.reference", format!("{:?} is not an image's name", shown(text))));
        };
        match self.tenant {
            Some(tenant) if !reference.is_under(tenant) => Err(denied(
                "tenant.tag",
                format!("images are tagged under {tenant}/ only: tags are shared by everyone on this host"),
            )),
            _ => Ok(reference),
        }
    }
}

/// An image that was looked at, to be used.
#[derive(Debug, Clone)]
pub struct ImageUse {
    /// As the client wrote it.
    pub text: String,
    /// Its id, for a tenant.
    pub id: Option<String>,
    /// What the daemon said, for a tenant.
    pub object: Option<Object>,
}

impl ImageUse {
    /// What is forwarded where only identity counts: the id.
    pub fn exact(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.text)
    }

    /// What is forwarded where the name shows later (`docker ps`): the name if
    /// nobody but the operator and the tenant can move it, else the id.
    pub fn stable(&self, tenant: Option<&TenantName>) -> &str {
        let safe = Reference::read(&self.text).is_some_and(|reference| {
            reference.is_under("library") || tenant.is_some_and(|tenant| reference.is_under(tenant))
        });
        if safe { &self.text } else { self.exact() }
    }
}

/// What a reference stands for among a tenant's own objects. As with Docker a
/// full id comes before a name, and a name before the beginning of an id that
/// only one of them has; after the tenant's own name for it comes a name that
/// the gateway did not give.
fn among<'a>(
    own: impl Iterator<Item = &'a Object> + Clone,
    kind: ObjectKind,
    reference: &str,
    tenant: &TenantName,
) -> Option<&'a Object> {
    let on_host = names::on_host(tenant, reference);
    if kind == ObjectKind::Volume {
        let unnamed = |object: &&Object| object.id == reference && names::own(tenant, &object.id).is_none();
        return own.clone().find(|object| object.id == on_host).or_else(|| own.clone().find(unnamed));
    }
    let mut usable = own.filter(|object| reference::is_full_id(&object.id));
    let full = usable.clone().find(|object| object.id == reference);
    let named = || usable.clone().find(|object| object.name == on_host);
    let unnamed =
        || usable.clone().find(|object| object.name == reference && names::own(tenant, &object.name).is_none());
    full.or_else(named).or_else(unnamed).or_else(|| {
        let first = usable.find(|object| object.id.starts_with(reference))?;
        usable.all(|object| object.id == first.id || !object.id.starts_with(reference)).then_some(first)
    })
}

impl Sharing {
    /// Whether a tenant may see a tag or digest of an image: one under its own
    /// prefix, or a shared one, but none under another tenant's prefix.
    #[must_use]
    pub fn names(&self, tenant: &TenantName, name: &str) -> bool {
        let Some(reference) = Reference::read(name) else { return false };
        if reference.is_under(tenant) {
            return true;
        }
        !self.is_of_another(tenant, &reference)
            && (self.shared.is_empty() || self.shared.iter().any(|entry| reference.is_within(entry)))
    }

    /// Whether a name lies under the prefix of another tenant.
    #[must_use]
    pub fn is_of_another(&self, tenant: &TenantName, reference: &Reference) -> bool {
        let prefix = reference.path.split_once('/').map(|(first, _)| first);
        prefix.is_some_and(|first| first != tenant.as_str() && self.knows(first))
    }

    /// Whether a tenant sees an image with this owner and these names. Without
    /// an owner it is shared by its name; a layer without a name is nobody's.
    #[must_use]
    pub fn shows(&self, tenant: &TenantName, owner: Option<&str>, names: &[String]) -> bool {
        match owner {
            Some(owner) => owner == tenant.as_str(),
            None => names.iter().any(|name| self.names(tenant, name)),
        }
    }
}
