//! `POST /token`: a refresh token for an access token and the next refresh token.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::Service;
use super::answer::{oauth_error, private, store_gone, try_again};
use super::form::Form;
use crate::name::RoleName;
use crate::store::{RACE_SECONDS, REFRESH_PREFIX, Rotation, Session, TokenHash, fresh_token};
use crate::token::{Grant, Issued, SignError};

impl Service {
    pub(super) async fn token(&self, form: &Form, now: u64) -> Response<Bytes> {
        match form.get("grant_type") {
            Some("refresh_token") => {}
            Some(_) => return oauth_error(400, "unsupported_grant_type", "the only grant type is refresh_token"),
            None => return oauth_error(400, "invalid_request", "grant_type is missing"),
        }
        if form.get("scope").is_some() {
            return oauth_error(400, "invalid_scope", "the role of a session cannot be changed by a refresh");
        }
        let Some(old) = form.get("refresh_token") else {
            return oauth_error(400, "invalid_request", "refresh_token is missing");
        };
        let prepared = match self.prepare(old, now).await {
            Ok(prepared) => prepared,
            Err(answer) => return answer,
        };
        let next = match fresh_token(REFRESH_PREFIX) {
            Ok(next) => next,
            Err(error) => return store_gone(&error),
        };
        let rotation = self.store.rotate(&TokenHash::of(old), &TokenHash::of(next.expose_secret()), now).await;
        let session = match rotation {
            Ok(Rotation::Rotated(session)) => session,
            Ok(Rotation::Raced) => {
                return try_again(RACE_SECONDS + 1, "another request has just used this refresh token");
            }
            // One answer for all: a thief learns nothing from it.
            Ok(Rotation::Reused(_) | Rotation::Ended(_) | Rotation::Unknown) => {
                return oauth_error(400, "invalid_grant", "the refresh token is not valid, or no longer");
            }
            Err(error) => return store_gone(&error),
        };
        match prepared.map_or_else(|| self.access_token(&session, now), Ok) {
            Ok(issued) => private(
                200,
                &json!({
                    "access_token": issued.token.expose_secret(),
                    "token_type": "Bearer",
                    "expires_in": issued.expires.saturating_sub(now),
                    "refresh_token": next.expose_secret(),
                }),
            ),
            Err(_) => try_again(RACE_SECONDS + 1, "no key may sign now"),
        }
    }

    /// The access token for a refresh token's session, before that is used: so
    /// it is good still once a role is back or a key may sign again. Nobody is
    /// given it unless the exchange succeeds. None where there is no session.
    async fn prepare(&self, refresh: &str, now: u64) -> Result<Option<Issued>, Response<Bytes>> {
        let asked = async {
            match self.store.session_of(&TokenHash::of(refresh)).await? {
                Some(id) => self.store.session(&id).await,
                None => Ok(None),
            }
        };
        let live = |session: &Session| session.revoked.is_none() && session.expires > now;
        let Some(session) = asked.await.map_err(|error| store_gone(&error))?.filter(live) else { return Ok(None) };
        let refused =
            |reason| oauth_error(400, "invalid_grant", &format!("the refresh token is not exchanged: {reason}"));
        let (_, role) = session.names().map_err(|error| refused(error.to_string()))?;
        self.role_named(role).map_err(refused)?;
        let issued = self.access_token(&session, now);
        issued.map(Some).map_err(|_| try_again(RACE_SECONDS + 1, "no key may sign now"))
    }

    /// The role of this name, if requests of it can be allowed at all.
    pub(super) fn role_named(&self, name: &str) -> Result<RoleName, String> {
        match &self.settings.roles {
            None => RoleName::parse(name).map_err(|error| error.to_string()),
            Some(roles) => roles.iter().find(|known| **known == *name).cloned().ok_or_else(|| {
                let known: Vec<&str> = roles.iter().map(RoleName::as_str).collect();
                format!("there is no role '{name}' here; the roles are: {}", known.join(", "))
            }),
        }
    }

    /// An access token of a session, which it never outlives.
    pub(super) fn access_token(&self, session: &Session, now: u64) -> Result<Issued, SignError> {
        let lifetime = session.lifetime.min(self.settings.longest_lifetime).min(session.expires.saturating_sub(now));
        let (tenant, role) = session.names()?;
        let grant = Grant {
            subject: session.subject.clone(),
            tenant: tenant.cloned(),
            role: role.clone(),
            session: Some(session.id.clone()),
            lifetime: Duration::from_secs(lifetime),
        };
        self.own.issue(&grant, now)
    }
}
