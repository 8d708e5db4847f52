//! The real tokens, store, policy and service behind what the proxy asks for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use tokio::sync::watch;

use super::config::Config;
use super::gate::{Gate, Later, Service, SessionState, Sessions, Tokens, Unidentified};
use super::keys::{KeySource, Remotes};
use super::service::{self, opaque};
use super::store::{Binding, Store, StoreError, Tenants};
use super::token::{
    self, IssuerSettings, Nested, NestedKeys, OutsideIssuer, Signer, TokenError, Verifier, VerifierConfig,
};
use super::{Grant, Identity, Issue, IssueError, Issued, Sharing, TokenRef};

/// Why the parts cannot be had as configured.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WireError(String);

fn wire(error: impl std::fmt::Display) -> WireError {
    WireError(error.to_string())
}

/// The verifier that a configuration describes; outside issuers' keys that come
/// from URLs are among `remotes`.
///
/// # Errors
/// When keys or an outside issuer's settings cannot be used.
pub fn verifier(config: &Config, keys: KeySource, remotes: &Remotes) -> Result<Verifier, WireError> {
    let mut settings = VerifierConfig::new(&config.issuer, &config.audience);
    settings.max_lifetime = Duration::from_secs(config.token.max_lifetime);
    settings.leeway = Duration::from_secs(config.token.leeway);
    if config.token.nested {
        settings.nested = Nested::Accept(NestedKeys { signed: None, encrypted: Some(keys.clone()) });
    }
    for table in &config.outside {
        let of_issuer: IssuerSettings =
            table.clone().try_into().map_err(|error| wire(format!("[[issuers]]: {error}")))?;
        settings.issuers.push(OutsideIssuer::open(of_issuer, remotes).map_err(wire)?);
    }
    Ok(Verifier::new(settings, keys))
}

/// All parts, with the keys and roles as they are now.
///
/// # Errors
/// When keys, issuers or roles cannot be used.
pub async fn gate(
    config: &Config,
    engine: Option<&str>,
    store: &dyn Store,
    tenants: Arc<Tenants>,
    remotes: &Remotes,
) -> Result<Gate, WireError> {
    let store = store.bound_to(&Binding::new(&config.issuer, &config.audience));
    let keys = KeySource::follow_dir(&config.keys).map_err(wire)?;
    let verifier = Arc::new(verifier(config, keys.clone(), remotes)?);
    let signer = Signer::new(&config.issuer, &config.audience, keys)
        .with_max_lifetime(Duration::from_secs(config.token.max_lifetime));
    let issue = Arc::new(Own { signer, verifier: Arc::clone(&verifier) });
    let mut settings = service::Settings::new(&config.issuer);
    settings.lifetime = settings.lifetime.min(config.token.max_lifetime);
    settings.longest_lifetime = config.token.max_lifetime;
    let sharing = Sharing::new(config.shared_images.clone(), Arc::clone(&tenants));
    let policy = super::rules::load(config, engine).map_err(wire)?.with_sharing(Arc::new(sharing));
    settings.roles = Some(policy.roles().keys().cloned().collect());
    let service = service::Service::new(Arc::clone(&store), issue, settings).with_tenants(Arc::clone(&tenants));
    for named in verifier.config().issuers.iter().flat_map(OutsideIssuer::tenants) {
        // A store that is away is asked again before anybody is identified.
        if tenants.remember(Some(named)).await.is_err() {
            break;
        }
    }
    let issuer = config.issuer.clone();
    let sessions = Stored { store: Arc::clone(&store), issuer: issuer.clone() };
    Ok(Gate {
        tokens: Arc::new(Both { verifier, store, tenants, issuer }),
        sessions: Arc::new(sessions),
        rules: super::rules::rules(policy),
        service: Arc::new(Served(service)),
    })
}

/// Signed tokens by the verifier, opaque ones by the store.
struct Both {
    verifier: Arc<Verifier>,
    store: Arc<dyn Store>,
    tenants: Arc<Tenants>,
    issuer: String,
}

impl Both {
    async fn whom(&self, token: &str, now: u64) -> Result<Identity, Unidentified> {
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
            Err(error) => Err(Unidentified::Unavailable(error.to_string())),
        }
    }
}

impl Tokens for Both {
    fn identify<'a>(&'a self, token: &'a str, now: u64) -> Later<'a, Result<Identity, Unidentified>> {
        Box::pin(async move {
            let identity = self.whom(token, now).await?;
            let known = self.tenants.remember(identity.tenant.as_deref()).await;
            known.map(|()| identity).map_err(|error| Unidentified::Unavailable(error.to_string()))
        })
    }

    fn generation(&self) -> u64 {
        // Looks at the files, at most once a second.
        drop(self.verifier.keys().current());
        self.verifier.generation()
    }
}

struct Stored {
    store: Arc<dyn Store>,
    issuer: String,
}

impl Stored {
    async fn state(&self, identity: &Identity) -> Result<Option<SessionState>, StoreError> {
        // An outside issuer's `sid` is no session of this store.
        let Some(id) = identity.session.as_deref().filter(|_| identity.issuer == self.issuer) else {
            return Ok(None);
        };
        let Some(session) = self.store.session(id).await? else { return Ok(None) };
        let revoked = self.store.is_revoked(Some(id), &identity.token_id).await?;
        Ok(Some(SessionState {
            refreshed: session.refreshed,
            expires: session.expires,
            lifetime: session.lifetime,
            tenant: session.tenant,
            role: session.role,
            revoked: revoked || session.revoked.is_some(),
        }))
    }
}

impl Sessions for Stored {
    fn session<'a>(&'a self, identity: &'a Identity) -> Later<'a, Result<Option<SessionState>, String>> {
        Box::pin(async move { self.state(identity).await.map_err(|error| error.to_string()) })
    }

    fn is_revoked<'a>(&'a self, identity: &'a Identity) -> Later<'a, Result<bool, String>> {
        Box::pin(async move {
            let revoked = self.store.is_revoked(identity.session.as_deref(), &identity.token_id);
            revoked.await.map_err(|error| error.to_string())
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.store.revocations()
    }
}

/// Our own tokens, issued and recognised.
struct Own {
    signer: Signer,
    verifier: Arc<Verifier>,
}

impl Issue for Own {
    fn issue(&self, grant: &Grant, now: u64) -> Result<Issued, IssueError> {
        let wanted = token::Grant {
            subject: grant.subject.clone(),
            tenant: grant.tenant.clone(),
            role: grant.role.clone(),
            session: grant.session.clone(),
            lifetime: Duration::from_secs(grant.lifetime),
        };
        let (token, identity) = self.signer.issue(&wanted, now).map_err(|error| IssueError(error.to_string()))?;
        Ok(Issued { token: SecretString::from(token), token_id: identity.token_id, expires: identity.expires })
    }

    fn jwks(&self) -> serde_json::Value {
        self.signer.keys().current().jwks_public()
    }

    fn identify(&self, token: &str, now: u64) -> Option<TokenRef> {
        let identity = self.verifier.verify(token, now).ok()?.identity;
        let own = identity.issuer == self.signer.issuer();
        own.then_some(TokenRef { token_id: identity.token_id, session: identity.session, expires: identity.expires })
    }
}

struct Served(service::Service);

impl Service for Served {
    fn answer<'a>(
        &'a self,
        parts: &'a http::request::Parts,
        body: Bytes,
        now: u64,
    ) -> Later<'a, http::Response<Bytes>> {
        Box::pin(async move { self.0.handle(parts, &body, now).await })
    }

    fn admin<'a>(&'a self, line: &'a str, now: u64) -> Later<'a, String> {
        Box::pin(async move { self.0.admin_line(line.as_bytes(), now).await.to_string() })
    }
}
