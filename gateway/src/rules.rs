//! The policy behind what the proxy asks for.

use std::sync::Arc;

use super::config::{Config, api_version};
use super::gate::{Asked, Later, Reads, Rules};
use super::policy::{self, Call, Policy, RoleError};
use super::{Build, Docker, Forward, Identity, Refusal, Viewer, Wanted, tenant};

/// The policy of a configuration; `engine` is the daemon's version, if it is known.
///
/// # Errors
/// When its roles cannot be used.
pub fn load(config: &Config, engine: Option<&str>) -> Result<Policy, RoleError> {
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

/// A policy as the rules that the proxy asks.
pub fn rules(policy: Policy) -> Arc<dyn Rules> {
    Arc::new(OfPolicy(Arc::new(policy)))
}

struct OfPolicy(Arc<Policy>);

/// A call, with the policy that will decide it.
struct Pending {
    call: Call,
    policy: Arc<Policy>,
}

impl Rules for OfPolicy {
    fn parse(&self, parts: &http::request::Parts) -> Result<Box<dyn Asked>, Refusal> {
        Ok(Box::new(Pending { call: policy::parse(parts)?, policy: Arc::clone(&self.0) }))
    }

    fn allows(&self, role: &str, operation: &str) -> bool {
        let route = policy::routes::ROUTES.iter().find(|route| route.id == operation);
        let role = self.0.roles().get(role);
        route.zip(role).is_some_and(|(route, role)| role.allows(route).is_some())
    }

    fn dockerfile<'a>(
        &'a self,
        build: &'a Build,
        text: &'a [u8],
        docker: &'a dyn Docker,
    ) -> Later<'a, Result<Vec<u8>, Refusal>> {
        Box::pin(async move { self.0.dockerfile(build, text, docker).await })
    }

    fn filter_json(
        &self,
        operation: &'static str,
        viewer: &Viewer,
        wanted: &Wanted,
        body: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        policy::filter_json(operation, viewer, wanted, body)
    }

    fn filter_line(&self, operation: &'static str, viewer: &Viewer, line: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        policy::filter_line(operation, viewer, line)
    }

    fn error_for(&self, tenant: &str, body: &[u8]) -> Vec<u8> {
        tenant::names::own_text(tenant, &String::from_utf8_lossy(body)).into_bytes()
    }
}

impl Asked for Pending {
    fn operation(&self) -> &'static str {
        self.call.route.id
    }

    fn reads(&self) -> Reads {
        if self.call.streams_body() { Reads::Stream } else { Reads::Whole(self.call.body_limit()) }
    }

    fn follows(&self) -> bool {
        self.call.follows()
    }

    fn decide<'a>(
        self: Box<Self>,
        identity: &'a Identity,
        body: &'a [u8],
        docker: &'a dyn Docker,
    ) -> Later<'a, Result<Forward, Refusal>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.policy.decide(identity, self.call, body, docker).await })
    }
}
