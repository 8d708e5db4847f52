//! The tenants that a gateway knows, in memory for the policy and in the store
//! across restarts.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Store, StoreError};
use crate::name::TenantName;

/// The known tenants: written to the store first, then seen by everyone. A name
/// that was given under an older rule stays among them, though no token can
/// have it: what its tenant made on the host is still nobody else's.
pub struct Tenants {
    store: Arc<dyn Store>,
    known: RwLock<Arc<HashSet<String>>>,
    loaded: AtomicBool,
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tenants").field(&self.snapshot()).finish()
    }
}

impl Tenants {
    /// None yet; [`Tenants::load`] reads those of the store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Tenants {
        Tenants { store, known: RwLock::default(), loaded: AtomicBool::new(false) }
    }

    /// The tenants known now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<HashSet<String>> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what the store has, which other gateways may have added to.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn load(&self) -> Result<(), StoreError> {
        let stored = self.store.tenants().await?;
        self.extend(stored);
        self.loaded.store(true, Ordering::Release);
        Ok(())
    }

    /// Adds a tenant, and reads the store's if that was not possible before.
    ///
    /// # Errors
    /// The store cannot be asked: the set may lack some, so whoever asks must refuse.
    pub async fn remember(&self, tenant: Option<&TenantName>) -> Result<(), StoreError> {
        if let Some(name) = tenant
            && !self.snapshot().contains(name.as_str())
        {
            self.store.remember_tenant(name).await?;
            self.extend([name.to_string()]);
        }
        if self.loaded.load(Ordering::Acquire) { Ok(()) } else { self.load().await }
    }

    fn extend(&self, names: impl IntoIterator<Item = String>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<String> = names.into_iter().filter(|name| !known.contains(name)).collect();
        if !new.is_empty() {
            Arc::make_mut(&mut known).extend(new);
        }
    }
}
