//! Opaque access tokens: the same identity as a JWT's, looked up in the store.

use crate::identity::{Identity, TokenVerified};
use crate::name::NameError;
use crate::store::{OPAQUE_PREFIX, Store, StoreError, TokenHash};

/// Whether a token has the form of an opaque access token.
pub fn is_opaque(token: &str) -> bool {
    token.strip_prefix(OPAQUE_PREFIX).is_some_and(|rest| {
        rest.len() == 43 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

/// Why an opaque token could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum OpaqueError {
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token's record names a tenant or role that there cannot be.
    #[error(transparent)]
    Record(#[from] NameError),
}

/// Whom an opaque access token speaks for; `None` if it is unknown, expired or
/// revoked.
///
/// # Errors
/// The store cannot be asked, or has a record that nobody can be served by: refuse.
pub async fn verify(store: &dyn Store, issuer: &str, token: &str, now: u64) -> Result<Option<Identity>, OpaqueError> {
    if !is_opaque(token) {
        return Ok(None);
    }
    let Some(found) = store.opaque(&TokenHash::of(token), now).await? else { return Ok(None) };
    if found.expires <= now || store.is_revoked(found.session.as_deref(), &found.token_id).await? {
        return Ok(None);
    }
    let (tenant, role) = found.names()?;
    let (tenant, role) = (tenant.cloned(), role.clone());
    Ok(Some(Identity {
        issuer: issuer.to_owned(),
        subject: found.subject,
        tenant,
        role,
        session: found.session,
        token_id: found.token_id,
        expires: found.expires,
        proof: TokenVerified(()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_form_is_looked_up() {
        let body = "a".repeat(43);
        assert!(is_opaque(&format!("sga_{body}")));
        for wrong in [format!("sgr_{body}"), format!("sga_{body}a"), format!("sga_{}.", "a".repeat(42)), String::new()]
        {
            assert!(!is_opaque(&wrong), "{wrong}");
        }
    }
}
