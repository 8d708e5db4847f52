//! The access token in use, renewed ahead of its end.
//!
//! A refresh token may be used once: a second use counts as theft and ends the
//! session (RFC 6749, 10.4). So there is one renewal at a time, whoever waits
//! for it gets its result, and one that failed without an answer is tried again
//! with the same refresh token only while the gateway allows for that.

use crate::values::Secret;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What a token service gave (RFC 6749, 5.1), and what a host gave by `token issue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The access token.
    pub access: Secret,
    /// The refresh token, if there is one.
    pub refresh: Option<Secret>,
    /// The session, if there is one.
    pub session: Option<String>,
    /// How long the access token is good for.
    pub lifetime: Duration,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The session is over: revoked, expired, or its refresh token was used elsewhere.
    #[error("the session has ended ({0}); sign in again with 'stockade connect'")]
    Ended(String),
    /// No answer, or none that could be used; may be tried again.
    #[error("the token cannot be renewed: {0}")]
    Failed(String),
}

impl Granted {
    /// Reads an answer of a token service. Its text is in no error: it holds tokens.
    ///
    /// # Errors
    /// A member is missing or not what it should be.
    pub fn parse(bytes: &[u8]) -> Result<Granted, AccessError> {
        let wrong = |what: &str| AccessError::Failed(format!("the token service's answer {what}"));
        let answer: Value = serde_json::from_slice(bytes).map_err(|_| wrong("is not JSON"))?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let token = |name: &str| match text(name) {
            // It goes into a header: visible ASCII only (RFC 6750, 2.1).
            Some(text) if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(Secret::new(text))),
            Some(_) => Err(wrong(&format!("has a '{name}' that is no token"))),
            None => Ok(None),
        };
        let seconds = answer.get("expires_in").and_then(Value::as_u64).filter(|s| (1..=31_536_000).contains(s));
        Ok(Granted {
            access: token("access_token")?.ok_or_else(|| wrong("has no 'access_token'"))?,
            refresh: token("refresh_token")?,
            session: text("session").map(str::to_owned),
            lifetime: Duration::from_secs(seconds.ok_or_else(|| wrong("has no 'expires_in' in seconds"))?),
        })
    }
}

/// Trades a refresh token for new tokens.
pub trait Renew: Send + Sync {
    /// Asks the token service once.
    fn renew<'a>(
        &'a self,
        refresh: &'a Secret,
    ) -> Pin<Box<dyn Future<Output = Result<Granted, AccessError>> + Send + 'a>>;
}

/// Between two tries of a renewal that failed, at the most: a token that is good
/// for a short time leaves a third of that for them.
const PAUSE: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

struct State {
    access: Secret,
    refresh: Option<Secret>,
    /// Two thirds of its life: from here on it is renewed.
    renew: SystemTime,
    end: SystemTime,
    /// Between two tries of a renewal that failed.
    pause: Duration,
    /// The gateway refused it, whatever its times say. Not told by moving those:
    /// whoever looked at the clock a moment before would still get this token.
    refused: bool,
    /// Not tried again before this.
    retry: Option<SystemTime>,
    ended: Option<AccessError>,
}

impl State {
    fn new(granted: Granted, now: SystemTime) -> State {
        State {
            access: granted.access,
            refresh: granted.refresh,
            renew: now + granted.lifetime * 2 / 3,
            end: now + granted.lifetime,
            pause: (granted.lifetime / 12).clamp(SHORTEST_PAUSE, PAUSE),
            refused: false,
            retry: None,
            ended: None,
        }
    }
}

/// The session's tokens; shared by all connections.
pub struct Access {
    state: Mutex<State>,
    /// Held by whoever renews.
    renewing: tokio::sync::Mutex<()>,
    service: Arc<dyn Renew>,
    ended: tokio::sync::watch::Sender<bool>,
    /// A token was refused: [`Access::keep`] has something to do.
    refusal: tokio::sync::Notify,
}

impl Access {
    /// A session that has just been opened.
    pub fn new(granted: Granted, service: Arc<dyn Renew>) -> Access {
        Access {
            state: Mutex::new(State::new(granted, SystemTime::now())),
            renewing: tokio::sync::Mutex::new(()),
            service,
            ended: tokio::sync::watch::Sender::new(false),
            refusal: tokio::sync::Notify::new(),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A token that is good now; renews it first where that is due. Whoever
    /// stops waiting does not stop the renewal: its answer must not be lost.
    ///
    /// # Errors
    /// The session has ended, or the token has and no new one could be had.
    pub async fn token(self: &Arc<Access>) -> Result<Secret, AccessError> {
        if let Some(answer) = self.current(SystemTime::now()) {
            return answer;
        }
        let access = Arc::clone(self);
        let renewal = tokio::spawn(async move { access.renew().await });
        renewal.await.unwrap_or_else(|error| Err(AccessError::Failed(error.to_string())))
    }

    async fn renew(&self) -> Result<Secret, AccessError> {
        let _one = self.renewing.lock().await;
        // Another may have renewed it meanwhile, or found that it cannot be.
        if let Some(answer) = self.current(SystemTime::now()) {
            return answer;
        }
        let Some(refresh) = self.with(|state| state.refresh.clone()) else {
            return Err(self.end(AccessError::Ended("there is no refresh token".to_owned())));
        };
        match self.service.renew(&refresh).await {
            Ok(granted) => {
                let now = SystemTime::now();
                Ok(self.with(|state| {
                    let refresh = granted.refresh.clone().or_else(|| state.refresh.take());
                    *state = State { refresh, ..State::new(granted, now) };
                    state.access.clone()
                }))
            }
            Err(error @ AccessError::Ended(_)) => Err(self.end(error)),
            Err(error) => self.with(|state| {
                let now = SystemTime::now();
                state.retry = Some(now + state.pause);
                if now < state.end && !state.refused { Ok(state.access.clone()) } else { Err(error) }
            }),
        }
    }

    /// The answer that needs no renewal, if there is one.
    fn current(&self, now: SystemTime) -> Option<Result<Secret, AccessError>> {
        self.with(|state| {
            if let Some(error) = &state.ended {
                return Some(Err(error.clone()));
            }
            let waits = now < state.end && state.retry.is_some_and(|retry| now < retry);
            (!state.refused && (now < state.renew || waits)).then(|| Ok(state.access.clone()))
        })
    }

    fn end(&self, error: AccessError) -> AccessError {
        self.with(|state| state.ended = Some(error.clone()));
        let _ = self.ended.send(true);
        error
    }

    /// The gateway refused this token: unless it was replaced meanwhile, the
    /// next one who asks gets a new one.
    pub fn refused(&self, token: &Secret) {
        self.with(|state| {
            state.refused |= state.access == *token && state.retry.is_none();
        });
        self.refusal.notify_one();
    }

    /// Renews the token ahead of its end for as long as the session lasts,
    /// whether anybody asks for it or not: at the end of a token the gateway
    /// lets a stream go on whose session has been renewed. Returns why the
    /// session ended. `report` is told, once for each time, that a token has
    /// ended and no new one could be had; that is tried on.
    pub async fn keep(self: &Arc<Access>, report: impl Fn(&AccessError)) -> AccessError {
        let mut without = false;
        loop {
            let due = self.with(|state| {
                let renew = if state.refused { SystemTime::UNIX_EPOCH } else { state.renew };
                state.retry.unwrap_or(renew).max(renew)
            });
            let wait = due.duration_since(SystemTime::now()).unwrap_or_default();
            let mut ended = self.ended.subscribe();
            // A clock that jumps (a laptop that slept) is looked at again soon.
            tokio::select! {
                () = tokio::time::sleep(wait.min(Duration::from_secs(30))) => {}
                _ = ended.wait_for(|ended| *ended) => {}
                () = self.refusal.notified() => {}
            }
            match self.token().await {
                Err(error @ AccessError::Ended(_)) => return error,
                Err(error @ AccessError::Failed(_)) => {
                    if !without {
                        report(&error);
                    }
                    without = true;
                    tokio::time::sleep(self.with(|state| state.pause)).await;
                }
                Ok(_) => without = false,
            }
        }
    }

    /// What is to be revoked when the operator signs out. Waits for a renewal
    /// that is under way, and there is none after it.
    pub async fn sign_out(&self) -> Secret {
        let _one = self.renewing.lock().await;
        self.with(|state| {
            state.ended.get_or_insert_with(|| AccessError::Ended("signed out".to_owned()));
            state.refresh.clone().unwrap_or_else(|| state.access.clone())
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
#[path = "access_tests.rs"]
mod tests;
