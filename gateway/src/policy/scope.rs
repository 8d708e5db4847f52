//! For whom a decision is made: role, tenant, and the daemon to ask.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::{Docker, Refusal, Sharing, Viewer};
use super::reference::Reference;
use super::refusal::{denied, shown};
use super::roles::{Role, Roles};
use crate::name::{RoleName, TenantName};
use crate::tenant::{self, View};

/// The circumstances of one decision.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The role of the token.
    pub role: &'a Role,
    /// All roles: what others may mount for writing counts too.
    pub roles: &'a Roles,
    /// Its name.
    pub role_name: &'a RoleName,
    /// The tenant of the token; none for the operator.
    pub tenant: Option<&'a TenantName>,
    /// The daemon.
    pub docker: &'a dyn Docker,
    /// Which images tenants share.
    pub sharing: &'a Arc<Sharing>,
}

impl Scope<'_> {
    /// What the tenant sees of the daemon.
    pub fn view(&self) -> View<'_> {
        View { tenant: self.tenant, docker: self.docker, sharing: self.sharing }
    }

    /// For whom answers are filtered.
    pub fn viewer(&self) -> Viewer {
        Viewer { tenant: self.tenant.cloned(), sharing: Arc::clone(self.sharing) }
    }

    /// The tenant as the value of a label, or what stands for none.
    fn owner<'a>(&'a self, nobody: &'a str) -> &'a str {
        self.tenant.map_or(nobody, TenantName::as_str)
    }

    /// The labels of a network or volume that is made.
    pub fn made_by(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert(tenant::LABEL.to_owned(), self.owner("").into());
        if self.tenant.is_none() {
            labels.insert(tenant::ROLE.to_owned(), self.role_name.as_str().into());
        }
        labels
    }

    /// The labels of a container that is made, all of them, over those that its
    /// image may carry.
    pub fn container_made_by(&self) -> Map<String, Value> {
        let role = if self.tenant.is_none() { self.role_name.as_str() } else { "" };
        written([(tenant::LABEL, self.owner("")), (tenant::ROLE, role), (tenant::CONTAINER, self.owner("-"))])
    }

    /// The labels of an image that is made, all of them: those of a container
    /// that a commit would pass on are written empty.
    pub fn image_made_by(&self) -> Map<String, Value> {
        written([(tenant::LABEL, self.owner("")), (tenant::ROLE, ""), (tenant::CONTAINER, "")])
    }

    /// A reference whose registry the role may reach.
    ///
    /// # Errors
    /// 403 for a registry outside the role's list.
    pub fn reachable(&self, text: &str, rule: &str) -> Result<Reference, Refusal> {
        let reference = Reference::read(text).ok_or_else(|| {
            super::refusal::malformed("image.reference", format!("{:?} is not an image", shown(text)))
        })?;
        if self.role.reaches(&reference) {
            return Ok(reference);
        }
        Err(denied(rule, format!("the registry of {} is not allowed for this role", reference.repository())))
    }
}

fn written(labels: [(&str, &str); 3]) -> Map<String, Value> {
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}
