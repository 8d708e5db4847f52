//! `POST /revoke` (RFC 7009): whoever holds a token may revoke it.

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, HeaderValue};

use super::Service;
use super::answer::{oauth_error, store_gone};
use super::form::Form;
use crate::store::{StoreError, TokenHash};

impl Service {
    /// 200 for any token, known or not (§2.2): a refresh token ends its whole
    /// session, an access token only itself.
    pub(super) async fn revoke(&self, form: &Form, now: u64) -> Response<Bytes> {
        // token_type_hint may be wrong, so it is not looked at (§2.1).
        let Some(token) = form.get("token") else {
            return oauth_error(400, "invalid_request", "token is missing");
        };
        match self.revoke_presented(token, now).await {
            Ok(()) => {
                let mut answer = Response::new(Bytes::new());
                answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                answer
            }
            Err(error) => store_gone(&error),
        }
    }

    async fn revoke_presented(&self, token: &str, now: u64) -> Result<(), StoreError> {
        let hash = TokenHash::of(token);
        if let Some(session) = self.store.session_of(&hash).await? {
            return self.store.revoke_session(&session, now).await.map(drop);
        }
        if let Some(opaque) = self.store.opaque(&hash, now).await? {
            return self.store.revoke_token(&opaque.token_id, opaque.expires, now).await;
        }
        match self.own.identify(token, now) {
            Some(known) => self.store.revoke_token(&known.token_id, known.expires, now).await,
            None => Ok(()),
        }
    }
}
