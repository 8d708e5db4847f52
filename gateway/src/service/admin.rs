//! What the operator asks for as root on the host: issue, list, revoke, inspect.
//!
//! One JSON object in, one out: `{"command":"issue","subject":"ann","role":"read"}`
//! gives `{"ok":true,"result":{…}}` or `{"ok":false,"error":"…"}`. Over the
//! admin socket ([`super::socket`]), or in the same process.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Service;
use crate::name::{StoredName, TenantName};
use crate::store::{OPAQUE_PREFIX, OpaqueToken, REFRESH_PREFIX, Session, StoreError, TokenHash, fresh_id, fresh_token};
use secrecy::{ExposeSecret as _, SecretString};

/// A request of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// A new session with its first access token.
    Issue(IssueRequest),
    /// All sessions that have not expired.
    List {},
    /// Ends a session, or one access token.
    Revoke {
        /// The identifier of a session or of an access token.
        id: String,
    },
    /// What is known of a session or an access token.
    Inspect {
        /// The identifier of a session or of an access token.
        id: String,
    },
}

/// What is to be issued. Times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueRequest {
    /// `sub`.
    pub subject: String,
    /// The tenant; absent for the operator's own view.
    #[serde(default)]
    pub tenant: Option<TenantName>,
    /// The role.
    pub role: String,
    /// How long each access token lives.
    #[serde(default)]
    pub lifetime: Option<u64>,
    /// How long the session lives.
    #[serde(default)]
    pub session_lifetime: Option<u64>,
    /// A look-up token instead of a signed one.
    #[serde(default)]
    pub opaque: bool,
    /// With a refresh token, so that the session outlives its first access token.
    #[serde(default)]
    pub with_refresh: bool,
}

/// Why a request of the operator was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The request is wrong.
    #[error("{0}")]
    Wrong(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No token could be signed.
    #[error(transparent)]
    Issue(#[from] crate::token::SignError),
}

/// The longest subject, role or identifier, in bytes.
const LONGEST_NAME: usize = 256;

impl Service {
    /// Answers one line of JSON with one object.
    pub async fn admin_line(&self, line: &[u8], now: u64) -> Value {
        let result = match serde_json::from_slice::<Request>(line) {
            Ok(request) => self.admin(request, now).await,
            Err(error) => Err(AdminError::Wrong(format!("the request cannot be read: {error}"))),
        };
        match result {
            Ok(result) => json!({ "ok": true, "result": result }),
            Err(error) => json!({ "ok": false, "error": error.to_string() }),
        }
    }

    /// Carries out a request of the operator. What [`Request::Issue`] gives
    /// holds tokens.
    ///
    /// # Errors
    /// The request asks for what may not be, or store or signer failed.
    pub async fn admin(&self, request: Request, now: u64) -> Result<Value, AdminError> {
        match request {
            Request::Issue(wanted) => self.admin_issue(wanted, now).await,
            Request::List {} => {
                let sessions = self.store.list_sessions(now).await?;
                Ok(sessions.iter().map(describe).collect())
            }
            Request::Revoke { id } => self.admin_revoke(&id, now).await,
            Request::Inspect { id } => self.admin_inspect(&id).await,
        }
    }

    async fn admin_issue(&self, wanted: IssueRequest, now: u64) -> Result<Value, AdminError> {
        check_name("subject", &wanted.subject)?;
        check_name("role", &wanted.role)?;
        // Such a token would be refused everything, and its holder not told why.
        let role = self.role_named(&wanted.role).map_err(AdminError::Wrong)?;
        let lifetime = wanted.lifetime.unwrap_or(self.settings.lifetime);
        let longest = if wanted.opaque { self.settings.longest_opaque } else { self.settings.longest_lifetime };
        if lifetime == 0 || lifetime > longest {
            return Err(AdminError::Wrong(format!("lifetime is {lifetime} s; it must be 1 to {longest}")));
        }
        if wanted.opaque && wanted.with_refresh {
            return Err(AdminError::Wrong("an opaque token is not refreshed: ask for one of the two".to_owned()));
        }
        let length = match wanted.session_lifetime {
            Some(length) if length < lifetime || length > self.settings.session.max(lifetime) => {
                let reason =
                    format!("session_lifetime is {length} s; it must be {lifetime} to {}", self.settings.session);
                return Err(AdminError::Wrong(reason));
            }
            Some(length) => length,
            None if wanted.with_refresh => self.settings.session.max(lifetime),
            None => lifetime,
        };
        let session = Session {
            id: fresh_id("ses_")?,
            subject: wanted.subject,
            tenant: wanted.tenant.clone().map(StoredName::Name),
            role: StoredName::Name(role),
            lifetime,
            created: now,
            expires: now.saturating_add(length),
            refreshed: now,
            revoked: None,
        };
        let refresh = wanted.with_refresh.then(|| fresh_token(REFRESH_PREFIX)).transpose()?;
        let hash = refresh.as_ref().map(|token| TokenHash::of(token.expose_secret()));
        // Known before there is a session: whoever is served is in the set.
        self.tenants.remember(wanted.tenant.as_ref()).await?;
        // The session comes last: a failure before leaves none, and no token is good without it.
        let (token, token_id, expires) = if wanted.opaque {
            self.opaque_token(&session, now).await?
        } else {
            let issued = self.access_token(&session, now)?;
            (issued.token, issued.token_id, issued.expires)
        };
        self.store.create_session(&session, hash.as_ref()).await?;
        let mut answer = json!({
            "access_token": token.expose_secret(),
            "token_type": "Bearer",
            "expires_in": expires.saturating_sub(now),
            "session": session.id,
            "token_id": token_id,
        });
        if let (Some(refresh), Some(members)) = (refresh, answer.as_object_mut()) {
            members.insert("refresh_token".to_owned(), json!(refresh.expose_secret()));
        }
        Ok(answer)
    }

    async fn opaque_token(&self, session: &Session, now: u64) -> Result<(SecretString, String, u64), AdminError> {
        let token = fresh_token(OPAQUE_PREFIX)?;
        let record = OpaqueToken {
            token_id: fresh_id("tok_")?,
            subject: session.subject.clone(),
            tenant: session.tenant.clone(),
            role: session.role.clone(),
            session: Some(session.id.clone()),
            expires: now.saturating_add(session.lifetime),
        };
        self.store.put_opaque(&TokenHash::of(token.expose_secret()), &record, now).await?;
        Ok((token, record.token_id, record.expires))
    }

    async fn admin_revoke(&self, id: &str, now: u64) -> Result<Value, AdminError> {
        check_name("id", id)?;
        if self.store.session(id).await?.is_some() {
            let first = self.store.revoke_session(id, now).await?;
            return Ok(json!({ "revoked": "session", "id": id, "already": !first }));
        }
        if id.starts_with("ses_") {
            return Err(AdminError::Wrong(format!("there is no session {id}; it may have expired")));
        }
        // Whether such a token exists is not known, nor when it ends: the longest that one may live.
        let longest = self.settings.longest_lifetime.max(self.settings.longest_opaque);
        self.store.revoke_token(id, now.saturating_add(longest), now).await?;
        Ok(json!({ "revoked": "token", "id": id }))
    }

    async fn admin_inspect(&self, id: &str) -> Result<Value, AdminError> {
        check_name("id", id)?;
        if let Some(session) = self.store.session(id).await? {
            return Ok(describe(&session));
        }
        if id.starts_with("ses_") {
            return Err(AdminError::Wrong(format!("there is no session {id}; it may have expired")));
        }
        Ok(json!({ "token_id": id, "revoked": self.store.is_revoked(None, id).await? }))
    }
}

/// Names go into claims, labels and logs: none may be empty, huge or hold control characters.
fn check_name(what: &str, name: &str) -> Result<(), AdminError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > LONGEST_NAME {
        "it is longer than 256 bytes"
    } else if name.chars().any(char::is_control) {
        "it holds a control character"
    } else {
        return Ok(());
    };
    Err(AdminError::Wrong(format!("{what} cannot be used: {reason}")))
}

fn describe(session: &Session) -> Value {
    json!({
        "session": session.id,
        "subject": session.subject,
        "tenant": session.tenant,
        "role": session.role,
        "lifetime": session.lifetime,
        "created": session.created,
        "refreshed": session.refreshed,
        "expires": session.expires,
        "revoked": session.revoked,
    })
}
