//! What the store says of the sessions that tokens belong to.

use std::sync::Arc;

use tokio::sync::watch;

use super::Identity;
use super::name::{RoleName, TenantName};
use super::store::{Store, StoreError};

/// What the store says of the session that a token belongs to. Times are
/// seconds since 1970, lengths are seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// When it was last refreshed, or began.
    pub refreshed: u64,
    /// When it ends, however often it is refreshed.
    pub expires: u64,
    /// How long an access token of it lives: one that was issued by the last
    /// refresh ends `lifetime` after `refreshed`.
    pub lifetime: u64,
    /// Its tenant; `None` is the operator's own view.
    pub tenant: Option<TenantName>,
    /// Its role.
    pub role: RoleName,
    /// Whether the session, or the token that was asked with, was revoked.
    pub revoked: bool,
}

/// Sessions and what was revoked.
pub struct Sessions {
    store: Arc<dyn Store>,
    issuer: String,
}

impl Sessions {
    /// Those of a store, in which `issuer` keeps the sessions of its own tokens.
    pub fn new(store: Arc<dyn Store>, issuer: String) -> Sessions {
        Sessions { store, issuer }
    }

    /// The session of a token as it is now. `None` if the token has none, if it
    /// is not known here, if the token is an outside issuer's, or if the session's
    /// record names a tenant or role that there cannot be.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn session(&self, identity: &Identity) -> Result<Option<SessionState>, StoreError> {
        // An outside issuer's `sid` is no session of this store.
        let Some(id) = identity.session.as_deref().filter(|_| identity.issuer == self.issuer) else {
            return Ok(None);
        };
        let Some(session) = self.store.session(id).await? else { return Ok(None) };
        // Nobody goes on under what is no name any more.
        let Ok((tenant, role)) = session.names() else { return Ok(None) };
        let (tenant, role) = (tenant.cloned(), role.clone());
        let revoked = self.store.is_revoked(Some(id), &identity.token_id).await?;
        Ok(Some(SessionState {
            refreshed: session.refreshed,
            expires: session.expires,
            lifetime: session.lifetime,
            tenant,
            role,
            revoked: revoked || session.revoked.is_some(),
        }))
    }

    /// Whether the token or its session was revoked.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn is_revoked(&self, identity: &Identity) -> Result<bool, StoreError> {
        self.store.is_revoked(identity.session.as_deref(), &identity.token_id).await
    }

    /// Fires when something was revoked or the store was lost.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.store.revocations()
    }
}
