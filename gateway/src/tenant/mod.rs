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
//! owner are shared by all.
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
pub mod names;

use super::policy::reference::{self, Reference};
use super::policy::refusal::{denied, malformed, not_found, shown, unreachable};
use super::{Docker, Object, ObjectKind, Refusal};

pub use filter::{filter_json, filter_line};

/// The label that names the owner.
pub const LABEL: &str = "io.stockade.tenant";
/// The label that names the role by which a container without a tenant was made.
pub const ROLE: &str = "io.stockade.role";
/// Labels under this prefix are the gateway's own.
pub const RESERVED: &str = "io.stockade.";

/// Who owns an object, if anyone.
pub fn owner(object: &Object) -> Option<&str> {
    object
        .labels
        .iter()
        .find(|(name, _)| name == LABEL)
        .map(|(_, value)| value.as_str())
        .filter(|owner| !owner.is_empty())
}

/// `LABEL=tenant`, as label filters have it.
pub fn label_filter(tenant: &str) -> String {
    format!("{LABEL}={tenant}")
}

/// Whether a tenant's name can be a label's value and the first part of an image's path.
/// `library` cannot be one: under it lie the official images that all share. Nor
/// can one with `__`, which ends the tenant's part of a name on the host.
pub fn is_tenant_name(text: &str) -> bool {
    text != "library"
        && !text.contains(names::JOINT)
        && Reference::read(&format!("localhost/{text}/x")).is_some_and(|reference| reference.is_under(text))
}

/// A tenant's view of the daemon, or (without a tenant) the operator's of everything.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The tenant.
    pub tenant: Option<&'a str>,
    /// The daemon.
    pub docker: &'a dyn Docker,
}

impl View<'_> {
    /// What the daemon has under a reference.
    ///
    /// # Errors
    /// 503 where it cannot be asked.
    pub async fn look(&self, kind: ObjectKind, reference: &str) -> Result<Option<Object>, Refusal> {
        self.docker.inspect(kind, reference).await.map_err(|error| unreachable(&error))
    }

    /// What a tenant's reference stands for, if it is the tenant's. As with
    /// Docker a full id comes before a name, a name before the beginning of an
    /// id; last, a name that the gateway did not give.
    async fn find(&self, kind: ObjectKind, reference: &str, tenant: &str) -> Result<Option<Object>, Refusal> {
        let named = matches!(kind, ObjectKind::Container | ObjectKind::Network | ObjectKind::Volume);
        let full = reference::is_full_id(reference);
        for on_host in if full { [false, true] } else { [true, false] } {
            let asked = if on_host { names::on_host(tenant, reference) } else { reference.to_owned() };
            if on_host && !(named && reference::is_name(&asked)) {
                continue;
            }
            let found = self.look(kind, &asked).await?.filter(|object| owner(object) == Some(tenant));
            let usable = |object: &Object| match kind {
                ObjectKind::Volume => object.id == asked,
                _ => reference::is_full_id(&object.id),
            };
            // What has a name of the tenant's is called by that, or by its id.
            let called = |object: &Object| {
                on_host || object.id.starts_with(reference) || names::own(tenant, &object.name).is_none()
            };
            let volume =
                |object: &Object| kind != ObjectKind::Volume || on_host || names::own(tenant, &object.id).is_none();
            if let Some(object) = found.filter(usable).filter(called).filter(volume) {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }

    /// The reference under which an owned object is forwarded: its full id, or
    /// for the operator what was asked for.
    ///
    /// # Errors
    /// 400 for what is no name, 404 for another's and for what is not there.
    pub async fn own(&self, kind: ObjectKind, reference: &str) -> Result<String, Refusal> {
        self.own_named(kind, reference).await.map(|(id, _)| id)
    }

    /// The same, with the name that the tenant has for it, if the gateway gave it.
    ///
    /// # Errors
    /// As [`View::own`].
    pub async fn own_named(&self, kind: ObjectKind, reference: &str) -> Result<(String, Option<String>), Refusal> {
        if !reference::is_name(reference) {
            return Err(malformed("path.name", format!("{:?} is not a name or id", shown(reference))));
        }
        let Some(tenant) = self.tenant else { return Ok((reference.to_owned(), None)) };
        let object = self.find(kind, reference, tenant).await?.ok_or_else(|| not_found(kind, reference))?;
        let name = names::own(tenant, &object.name).map(str::to_owned);
        Ok((object.id, name))
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
        let others = |object: &Object| owner(object) != Some(tenant);
        // One of the tenant's that the gateway did not name is shown by that name.
        let unnamed = |object: &Object| owner(object) == Some(tenant) && object.name == name;
        let taken = self.look(ObjectKind::Container, &on_host).await?.is_some_and(|object| others(&object))
            || self.look(ObjectKind::Container, name).await?.is_some_and(|object| unnamed(&object));
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

    /// The name on the host of a volume to use, which may have to be made. An
    /// existing one is the daemon's answer to a create, whosever it is.
    ///
    /// # Errors
    /// 400 for what is no name, 403 for one that is not the tenant's.
    pub async fn volume(&self, name: &str) -> Result<String, Refusal> {
        if !reference::is_name(name) {
            return Err(malformed("volume.Name", format!("{:?} is not a volume's name", shown(name))));
        }
        let Some(tenant) = self.tenant else { return Ok(name.to_owned()) };
        if let Some(volume) = self.find(ObjectKind::Volume, name, tenant).await? {
            return Ok(volume.id);
        }
        let on_host = self.new_name(name)?;
        match self.look(ObjectKind::Volume, &on_host).await? {
            None => Ok(on_host),
            Some(_) => Err(denied("tenant.owner", format!("the name {name:?} cannot be used on this host"))),
        }
    }

    /// An image that may be seen: the tenant's own or nobody's. The operator's
    /// is not looked up.
    ///
    /// # Errors
    /// 400 for what is no reference, 404 for another's and for what is not there.
    pub async fn image(&self, text: &str) -> Result<ImageUse, Refusal> {
        let reference = Reference::read(text);
        let is_id = text.strip_prefix("sha256:").is_some_and(reference::is_full_id);
        if reference.is_none() && !is_id {
            return Err(malformed("image.reference", format!("{:?} is not an image", shown(text))));
        }
        let Some(tenant) = self.tenant else { return Ok(ImageUse { text: text.to_owned(), id: None, object: None }) };
        let object = self.look(ObjectKind::Image, text).await?;
        let object = object.filter(|object| owner(object).is_none_or(|owner| owner == tenant));
        let id = |object: &Object| object.id.strip_prefix("sha256:").is_some_and(reference::is_full_id);
        let Some(object) = object.filter(id) else {
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
    pub fn stable(&self, tenant: Option<&str>) -> &str {
        let safe = Reference::read(&self.text).is_some_and(|reference| {
            reference.is_under("library") || tenant.is_some_and(|tenant| reference.is_under(tenant))
        });
        if safe { &self.text } else { self.exact() }
    }
}
