//! For whom a decision is made: role, tenant, and the daemon to ask.

use super::super::{Docker, Refusal};
use super::reference::Reference;
use super::refusal::{denied, shown};
use super::roles::Role;
use crate::tenant::View;

/// The circumstances of one decision.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The role of the token.
    pub role: &'a Role,
    /// Its name.
    pub role_name: &'a str,
    /// The tenant of the token; none for the operator.
    pub tenant: Option<&'a str>,
    /// The daemon.
    pub docker: &'a dyn Docker,
}

impl Scope<'_> {
    /// What the tenant sees of the daemon.
    pub fn view(&self) -> View<'_> {
        View { tenant: self.tenant, docker: self.docker }
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
