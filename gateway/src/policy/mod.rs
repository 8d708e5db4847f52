//! What a token's role allows, and the request that is sent instead of the
//! client's: parsed, decided, written anew.
//!
//! ```text
//! parse: head ─► Call (operation of the table, typed query)
//! decide: role ─► owner ([`rules`]) ─► what is the operation's own, body member by member
//!         ─► which answer is passed on ([`rules`]) ─► Forward
//! ```
//!
//! What must hold: default deny; a [`Forward`] holds nothing that was not
//! understood; every refusal names its rule.

mod bodies;
mod build;
mod create;
mod explain;
mod filters;
mod image;
mod json;
mod limits;
mod members;
mod mounts;
mod objects;
mod operation;
mod owner;
mod parse;
mod particular;
mod quota;
pub(crate) mod reference;
pub(crate) mod refusal;
mod request_builder;
pub mod roles;
mod route;
pub mod routes;
pub mod rules;
mod scope;
mod shape;
pub mod table;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use super::name::RoleName;
use super::{Build, Docker, Forward, Identity, Refusal, Sharing, tenant};
pub use explain::{explain, explain_as, roles_table};
pub use operation::Operation;
pub use parse::{Call, NEWEST, OLDEST, parse};
use refusal::{denied, malformed};
use request_builder::RequestBuilder;
pub use roles::{Role, RoleError, Roles};
use routes::BodyRule;
use scope::Scope;
pub use tenant::{filter_json, filter_line};

/// The roles, and which API the daemon is spoken to in.
#[derive(Debug, Clone)]
pub struct Policy {
    roles: Roles,
    oldest: u16,
    newest: u16,
    pinned: Option<u16>,
    engine: Option<(u32, u32, u32)>,
    sharing: Arc<Sharing>,
}

impl Policy {
    /// The bundled roles: `read`, `deploy`, `operator`.
    ///
    /// # Errors
    /// If they cannot be read, which a test rules out.
    pub fn bundled() -> Result<Policy, RoleError> {
        let mut roles = Roles::new();
        for (name, text) in roles::BUNDLED {
            roles::read(&format!("bundled:{name}"), text, &mut roles)?;
        }
        Ok(Policy { roles, oldest: OLDEST, newest: NEWEST, pinned: None, engine: None, sharing: Arc::default() })
    }

    /// The bundled roles, and over them those of a TOML file or a directory of such.
    ///
    /// # Errors
    /// For a file that cannot be read or used, with the line.
    pub fn load(path: &Path) -> Result<Policy, RoleError> {
        let mut policy = Policy::bundled()?;
        roles::read_path(path, &mut policy.roles)?;
        Ok(policy)
    }

    /// The bundled roles, and over them those of a TOML text.
    ///
    /// # Errors
    /// With the line, for what is not known.
    pub fn from_text(name: &str, text: &str) -> Result<Policy, RoleError> {
        let mut policy = Policy::bundled()?;
        roles::read(name, text, &mut policy.roles)?;
        Ok(policy)
    }

    /// Narrows the API versions that clients may use, and the one in which the
    /// daemon is spoken to (minor numbers of `v1.N`). Without a pinned one the
    /// client's is used.
    #[must_use]
    pub fn with_api(mut self, oldest: u16, newest: u16, pinned: Option<u16>) -> Policy {
        self.oldest = oldest.max(OLDEST);
        self.newest = newest.min(NEWEST);
        self.pinned = pinned.map(|minor| minor.clamp(OLDEST, NEWEST));
        self
    }

    /// Says which images tenants share, and which tenants there are.
    #[must_use]
    pub fn with_sharing(mut self, sharing: Arc<Sharing>) -> Policy {
        self.sharing = sharing;
        self
    }

    /// Tells the engine's version, as `GET /version` has it (`28.2.2`).
    #[must_use]
    pub fn with_engine(mut self, version: &str) -> Policy {
        let mut numbers = version.split(['.', '-', '+', '~']).map(|part| part.parse::<u32>().ok());
        self.engine = match (numbers.next().flatten(), numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor), Some(patch)) => Some((major, minor, patch)),
            _ => None,
        };
        self
    }

    /// The roles.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Whether a role is there and allows an operation, for what has begun under
    /// roles that were loaded before these.
    pub fn allows(&self, role: &RoleName, operation: Operation) -> bool {
        self.roles.get(role).is_some_and(|role| role.allows(routes::of(operation)).is_some())
    }

    /// Decides a call: the request to send instead, or why not. `body` is the
    /// whole body where the operation takes JSON (at most
    /// [`Call::body_limit`]), and empty otherwise.
    ///
    /// # Errors
    /// A refusal with its rule and, as Docker's clients show it, its message.
    pub async fn decide(
        &self,
        identity: &Identity,
        call: Call,
        body: &[u8],
        docker: &dyn Docker,
    ) -> Result<Forward, Refusal> {
        let operation = Some(call.route.operation);
        self.decided(identity, &call, body, docker).await.map_err(|refusal| Refusal { operation, ..refusal })
    }

    async fn decided(
        &self,
        identity: &Identity,
        call: &Call,
        body: &[u8],
        docker: &dyn Docker,
    ) -> Result<Forward, Refusal> {
        let Some(role) = self.roles.get(&identity.role) else {
            return Err(denied("role.unknown", format!("the role {:?} is not known here", identity.role)));
        };
        let Some(entry) = role.allows(call.route) else {
            let class = call.route.class.name();
            // A client looks for a name among all kinds of objects in turn.
            if call.route.operation == Operation::PluginInspect {
                let name = refusal::shown(call.name.as_deref().unwrap_or(""));
                let rule = format!("role.{}.allow", identity.role);
                return Err(Refusal { status: 404, ..denied(rule, format!("plugin {name:?} not found")) });
            }
            let mut message = format!("the role {:?} may not {} (class {class})", identity.role, call.route.operation);
            if matches!(call.route.operation, Operation::Session | Operation::BuildKitGrpc) {
                message.push_str(": builds are made by the classic builder here, set DOCKER_BUILDKIT=0");
            }
            return Err(denied(format!("role.{}.allow", identity.role), message));
        };
        let rule = format!("role.{}.{entry}", identity.role);
        let tenant = identity.tenant.as_ref();
        if call.version.is_some_and(|version| !(self.oldest..=self.newest).contains(&version)) {
            let message = format!("use API version 1.{} to 1.{}", self.oldest, self.newest);
            return Err(malformed("path.version", message));
        }
        if let Some(tenant) = tenant {
            self.sharing.learn(tenant);
        }
        let scope =
            Scope { role, roles: &self.roles, role_name: &identity.role, tenant, docker, sharing: &self.sharing };
        let mut draft = RequestBuilder::new(call);
        match call.body {
            BodyRule::None | BodyRule::Stream if !body.is_empty() => {
                return Err(malformed("body.none", "this operation takes no body"));
            }
            BodyRule::Json if body.is_empty() => {
                return Err(malformed("body.required", "this operation needs a JSON body"));
            }
            BodyRule::Stream => draft.tar(role.stream),
            BodyRule::Ignored if !body.is_empty() => drop(json::parse(body)?),
            BodyRule::None | BodyRule::Json | BodyRule::JsonOrNone | BodyRule::Ignored => {}
        }
        let owned = owner::tie(&scope, call, body, &mut draft).await?;
        self.particular(&scope, call, body, owned.object.as_ref(), &mut draft).await?;
        owner::choose_answer(&scope, call.route.answer, owned, &mut draft).await?;
        draft.finish(self.version(call, docker).await?, rule, tenant)
    }

    /// The Dockerfile to build from in place of the client's, for what
    /// [`Policy::decide`] said of the build.
    ///
    /// # Errors
    /// A refusal with the line that is meant.
    pub async fn dockerfile(&self, build: &Build, text: &[u8], docker: &dyn Docker) -> Result<Vec<u8>, Refusal> {
        let Some(role) = self.roles.get(&build.role) else {
            return Err(denied("role.unknown", format!("the role {:?} is not known here", build.role)));
        };
        let tenant = build.tenant.as_ref();
        let scope = Scope { role, roles: &self.roles, role_name: &build.role, tenant, docker, sharing: &self.sharing };
        let refused = |refusal| Refusal { operation: Some(Operation::ImageBuild), ..refusal };
        build::dockerfile(&scope, build, text).await.map_err(refused)
    }

    /// The version in which the daemon is spoken to; none only where it answers
    /// alike in all of them. Without one in the path a client means the daemon's
    /// own, here no newer than what is modelled.
    async fn version(&self, call: &Call, docker: &dyn Docker) -> Result<Option<u16>, Refusal> {
        let unversioned = matches!(
            call.route.operation,
            Operation::SystemPing | Operation::SystemPingHead | Operation::SystemVersion
        );
        match (call.version, self.pinned) {
            (None, _) if unversioned => Ok(None),
            (_, Some(pinned)) => Ok(Some(pinned)),
            (Some(version), None) => Ok(Some(version)),
            (None, None) => {
                let own = docker.api_version().await.map_err(|error| refusal::unreachable(&error))?;
                let minor = own.strip_prefix("1.").and_then(|minor| minor.parse::<u16>().ok());
                match minor.map(|minor| minor.min(self.newest)).filter(|minor| *minor >= self.oldest) {
                    Some(minor) => Ok(Some(minor)),
                    None => {
                        let message = format!(
                            "the daemon's API version {:?} is not supported: at least 1.{} is needed",
                            refusal::shown(&own),
                            self.oldest
                        );
                        Err(malformed("path.version", message))
                    }
                }
            }
        }
    }
}
