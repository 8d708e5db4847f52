//! `POST /token`: a refresh token for an access token and the next refresh token.

use bytes::Bytes;
use http::Response;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::Service;
use super::answer::{oauth_error, private, store_gone, try_again};
use super::form::Form;
use crate::store::{RACE_SECONDS, REFRESH_PREFIX, Rotation, Session, TokenHash, fresh_token};
use crate::{Grant, IssueError, Issued};

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
        // Should this fail, the client retries with the same token: the successor is unused.
        match self.access_token(&session, now) {
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

    /// An access token of a session, which it never outlives.
    pub(super) fn access_token(&self, session: &Session, now: u64) -> Result<Issued, IssueError> {
        let lifetime = session.lifetime.min(self.settings.longest_lifetime).min(session.expires.saturating_sub(now));
        let grant = Grant {
            subject: session.subject.clone(),
            tenant: session.tenant.clone(),
            role: session.role.clone(),
            session: Some(session.id.clone()),
            lifetime,
        };
        self.issue.issue(&grant, now)
    }
}
