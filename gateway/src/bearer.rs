//! Bearer tokens into identities: signed ones by the verifier, opaque ones by
//! the store.

use std::sync::Arc;

use super::Identity;
use super::service::opaque::{self, OpaqueError};
use super::store::{Store, Tenants};
use super::token::{TokenError, Verifier};

/// Why nobody could be told from a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// The token is not valid.
    #[error("{0}")]
    Refused(String),
    /// It could not be judged: the store does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// It could not be judged: its issuer's keys are not there.
    #[error("{0}")]
    Keys(String),
}

/// Tells whom a bearer token speaks for.
pub struct Bearer {
    /// Of signed tokens.
    pub verifier: Arc<Verifier>,
    /// Of opaque tokens.
    pub store: Arc<dyn Store>,
    /// Told of each tenant that is identified.
    pub tenants: Arc<Tenants>,
    /// `iss` of the gateway's own tokens.
    pub issuer: String,
}

impl Bearer {
    /// Whom the token speaks for, if it is valid at `now` (seconds since 1970).
    ///
    /// # Errors
    /// The token is not valid, or cannot be judged.
    pub async fn identify(&self, token: &str, now: u64) -> Result<Identity, Unidentified> {
        let identity = self.judge(token, now).await?;
        let known = self.tenants.remember(identity.tenant.as_ref()).await;
        known.map(|()| identity).map_err(|error| Unidentified::Unavailable(error.to_string()))
    }

    async fn judge(&self, token: &str, now: u64) -> Result<Identity, Unidentified> {
        if !opaque::is_opaque(token) {
            return match self.verifier.verify_freshly(token, now).await {
                Ok(verified) => Ok(verified.identity),
                Err(error @ TokenError::IssuerKeys(_)) => Err(Unidentified::Keys(error.to_string())),
                Err(error) => Err(Unidentified::Refused(error.to_string())),
            };
        }
        match opaque::verify(&*self.store, &self.issuer, token, now).await {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => Err(Unidentified::Refused("it is unknown, expired or revoked".into())),
            Err(OpaqueError::Store(error)) => Err(Unidentified::Unavailable(error.to_string())),
            Err(OpaqueError::Record(error)) => Err(Unidentified::Refused(format!("its record: {error}"))),
        }
    }

    /// Changes when keys change; what was verified before must be verified again.
    pub fn generation(&self) -> u64 {
        // Looks at the files, at most once a second.
        drop(self.verifier.keys().current());
        self.verifier.generation()
    }
}
