//! All that judges a request: tokens, sessions, policy and token service, as a
//! configuration describes them.

use std::sync::Arc;
use std::time::Duration;

use super::Sharing;
use super::bearer::Bearer;
use super::config::{Config, api_version};
use super::keys::{KeySource, Remotes};
use super::policy::{self, Policy, RoleError};
use super::service::{self, Service};
use super::sessions::Sessions;
use super::store::{Binding, Store, Tenants};
use super::token::{IssuerSettings, Nested, NestedKeys, OutsideIssuer, OwnTokens, Signer, Verifier, VerifierConfig};

/// All of it, as it is now; replaced whole on reload.
pub struct Services {
    /// Bearer tokens.
    pub bearer: Bearer,
    /// Sessions.
    pub sessions: Sessions,
    /// Roles and tenants.
    pub policy: Arc<Policy>,
    /// Token service.
    pub service: Service,
}

/// Why the parts cannot be had as configured.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServicesError(String);

impl ServicesError {
    fn of(error: impl std::fmt::Display) -> ServicesError {
        ServicesError(error.to_string())
    }
}

impl Services {
    /// All parts, with the keys and roles as they are now; `engine` is the
    /// daemon's version, if it is known.
    ///
    /// # Errors
    /// When keys, issuers or roles cannot be used.
    pub async fn load(
        config: &Config,
        engine: Option<&str>,
        store: &dyn Store,
        tenants: Arc<Tenants>,
        remotes: &Remotes,
    ) -> Result<Services, ServicesError> {
        let store = store.bound_to(&Binding::new(&config.issuer, &config.audience));
        let keys = KeySource::follow_dir(&config.keys).map_err(ServicesError::of)?;
        let verifier = Arc::new(verifier(config, keys.clone(), remotes)?);
        let signer = Signer::new(&config.issuer, &config.audience, keys)
            .with_max_lifetime(Duration::from_secs(config.token.max_lifetime));
        let own = OwnTokens::new(signer, Arc::clone(&verifier));
        let mut settings = service::Settings::new(&config.issuer);
        settings.lifetime = settings.lifetime.min(config.token.max_lifetime);
        settings.longest_lifetime = config.token.max_lifetime;
        let sharing = Sharing::new(config.shared_images.clone(), Arc::clone(&tenants));
        let policy = policy(config, engine).map_err(ServicesError::of)?.with_sharing(Arc::new(sharing));
        settings.roles = Some(policy.roles().keys().cloned().collect());
        let service = Service::new(Arc::clone(&store), own, settings).with_tenants(Arc::clone(&tenants));
        for named in verifier.config().issuers.iter().flat_map(OutsideIssuer::tenants) {
            // A store that is away is asked again before anybody is identified.
            if tenants.remember(Some(named)).await.is_err() {
                break;
            }
        }
        let issuer = config.issuer.clone();
        Ok(Services {
            sessions: Sessions::new(Arc::clone(&store), issuer.clone()),
            bearer: Bearer { verifier, store, tenants, issuer },
            policy: Arc::new(policy),
            service,
        })
    }
}

/// The verifier that a configuration describes; outside issuers' keys that come
/// from URLs are among `remotes`.
///
/// # Errors
/// When keys or an outside issuer's settings cannot be used.
pub fn verifier(config: &Config, keys: KeySource, remotes: &Remotes) -> Result<Verifier, ServicesError> {
    let mut settings = VerifierConfig::new(&config.issuer, &config.audience);
    settings.max_lifetime = Duration::from_secs(config.token.max_lifetime);
    settings.leeway = Duration::from_secs(config.token.leeway);
    if config.token.nested {
        settings.nested = Nested::Accept(NestedKeys { signed: None, encrypted: Some(keys.clone()) });
    }
    for table in &config.outside {
        let of_issuer: IssuerSettings = table.clone().try_into().map_err(|error| {
            let issuer = table.get("issuer").and_then(toml::Value::as_str).unwrap_or("without a name");
            ServicesError(format!("[[issuers]] {issuer:?}: {error}"))
        })?;
        settings.issuers.push(OutsideIssuer::open(of_issuer, remotes).map_err(ServicesError::of)?);
    }
    Ok(Verifier::new(settings, keys))
}

/// The policy of a configuration; `engine` is the daemon's version, if it is known.
///
/// # Errors
/// When its roles cannot be used.
pub fn policy(config: &Config, engine: Option<&str>) -> Result<Policy, RoleError> {
    let policy = match &config.roles {
        Some(path) => Policy::load(path)?,
        None => Policy::bundled()?,
    };
    let minor = |text: &str| api_version(text).map(|(_, minor)| minor);
    let (oldest, newest) = (minor(&config.docker_api.min), minor(&config.docker_api.max));
    let pinned = config.docker_api.pinned.as_deref().and_then(minor);
    let policy = policy.with_api(oldest.unwrap_or(policy::OLDEST), newest.unwrap_or(policy::NEWEST), pinned);
    Ok(match engine {
        Some(version) => policy.with_engine(version),
        None => policy,
    })
}
