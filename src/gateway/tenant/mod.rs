//! Tenants: who owns what on one daemon, by a label.
//!
//! What must hold: an object is touched only under the full id that the daemon
//! gave when its owner label was read, so a name that changes hands between
//! look and act names nothing. Another's object and a missing one are refused
//! with the same words.
//!
//! Labels keep apart teams that do not attack one another. Hostile tenants
//! need a daemon of their own (rootless, or with user namespaces): names, the
//! kernel, the image store and the default bridge are shared here. Images
//! without an owner are shared by all.

mod filter;

use super::policy::reference::{self, Reference};
use super::policy::refusal::{denied, malformed, not_found, shown, unreachable};
use super::{Docker, Object, ObjectKind, Refusal};

pub use filter::{filter_event, filter_json};

/// The label that names the owner.
pub const LABEL: &str = "io.stockade.tenant";
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
/// `library` cannot be one: under it lie the official images that all share.
pub fn is_tenant_name(text: &str) -> bool {
    text != "library" && Reference::read(&format!("localhost/{text}/x")).is_some_and(|reference| reference.is_under(text))
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

    /// The reference under which an owned object is forwarded: its full id, or
    /// for the operator what was asked for.
    ///
    /// # Errors
    /// 400 for what is no name, 404 for another's and for what is not there.
    pub async fn own(&self, kind: ObjectKind, reference: &str) -> Result<String, Refusal> {
        if !reference::is_name(reference) {
            return Err(malformed("path.name", format!("{:?} is not a name or id", shown(reference))));
        }
        let Some(tenant) = self.tenant else { return Ok(reference.to_owned()) };
        let object = self.look(kind, reference).await?.filter(|object| owner(object) == Some(tenant));
        let usable = |object: &Object| match kind {
            ObjectKind::Volume => object.id == reference,
            _ => reference::is_full_id(&object.id),
        };
        object.filter(usable).map(|object| object.id).ok_or_else(|| not_found(kind, reference))
    }

    /// Whether a container's name is another's, which the daemon would tell with its id.
    ///
    /// # Errors
    /// 409 if it is taken by a container that is not the tenant's.
    pub async fn free_name(&self, name: &str) -> Result<(), Refusal> {
        let Some(tenant) = self.tenant else { return Ok(()) };
        match self.look(ObjectKind::Container, name).await? {
            Some(other) if owner(&other) != Some(tenant) => Err(Refusal {
                status: 409,
                message: format!("Conflict. The container name \"/{name}\" is already in use on this host."),
                rule: "tenant.taken".to_owned(),
                operation: None,
            }),
            _ => Ok(()),
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
