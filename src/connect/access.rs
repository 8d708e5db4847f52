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
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts, and answers what it is told to.
    struct Service {
        asked: AtomicUsize,
        answer: Result<Granted, AccessError>,
        used: Mutex<Vec<String>>,
    }

    impl Service {
        fn new(answer: Result<Granted, AccessError>) -> Arc<Service> {
            Arc::new(Service { asked: AtomicUsize::new(0), answer, used: Mutex::default() })
        }
    }

    impl Renew for Service {
        fn renew<'a>(
            &'a self,
            refresh: &'a Secret,
        ) -> Pin<Box<dyn Future<Output = Result<Granted, AccessError>> + Send + 'a>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.used.lock().unwrap().push(refresh.expose().to_owned());
            Box::pin(async {
                // All the others come to wait before there is an answer.
                for _ in 0..200 {
                    tokio::task::yield_now().await;
                }
                self.answer.clone()
            })
        }
    }

    fn granted(name: &str, seconds: u64) -> Granted {
        Granted {
            access: Secret::new(format!("access-{name}")),
            refresh: Some(Secret::new(format!("refresh-{name}"))),
            session: None,
            lifetime: Duration::from_secs(seconds),
        }
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap().block_on(future)
    }

    fn due(access: &Access) {
        access.with(|state| state.renew = SystemTime::now());
    }

    async fn fifty(access: &Arc<Access>) -> Vec<Result<Secret, AccessError>> {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let access = Arc::clone(access);
                tokio::spawn(async move { access.token().await })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        answers
    }

    #[test]
    fn fifty_at_once_cause_one_renewal() {
        block(async {
            let service = Service::new(Ok(granted("new", 900)));
            let access = Arc::new(Access::new(granted("old", 900), service.clone()));
            due(&access);
            for answer in fifty(&access).await {
                assert_eq!(answer.unwrap().expose(), "access-new");
            }
            assert_eq!(service.asked.load(Ordering::SeqCst), 1);
            assert_eq!(*service.used.lock().unwrap(), ["refresh-old"]);
            assert_eq!(access.sign_out().await.expose(), "refresh-new");
            assert!(access.token().await.is_err());
        });
    }

    #[test]
    fn a_token_that_still_is_good_is_used_while_the_service_is_away() {
        block(async {
            let service = Service::new(Err(AccessError::Failed("away".into())));
            let access = Arc::new(Access::new(granted("old", 900), service.clone()));
            due(&access);
            for answer in fifty(&access).await {
                assert_eq!(answer.unwrap().expose(), "access-old");
            }
            assert_eq!(service.asked.load(Ordering::SeqCst), 1);
            access.with(|state| state.end = SystemTime::now());
            assert_eq!(access.token().await.unwrap_err(), AccessError::Failed("away".into()));
        });
    }

    #[test]
    fn a_session_that_ended_is_not_asked_for_again_and_all_are_told() {
        block(async {
            let service = Service::new(Err(AccessError::Ended("revoked".into())));
            let access = Arc::new(Access::new(granted("old", 900), service.clone()));
            due(&access);
            for answer in fifty(&access).await {
                assert_eq!(answer.unwrap_err(), AccessError::Ended("revoked".into()));
            }
            assert_eq!(service.asked.load(Ordering::SeqCst), 1);
            assert_eq!(access.keep(|_| ()).await, AccessError::Ended("revoked".into()));
        });
    }

    #[test]
    fn a_refused_token_is_renewed_once_however_many_were_refused() {
        block(async {
            let service = Service::new(Ok(granted("new", 900)));
            let access = Arc::new(Access::new(granted("old", 900), service.clone()));
            let old = access.token().await.unwrap();
            for _ in 0..3 {
                access.refused(&old);
                assert_eq!(access.token().await.unwrap().expose(), "access-new");
            }
            assert_eq!(service.asked.load(Ordering::SeqCst), 1);
        });
    }

    #[test]
    fn a_client_that_goes_away_does_not_lose_the_new_tokens() {
        block(async {
            let service = Service::new(Ok(granted("new", 900)));
            let access = Arc::new(Access::new(granted("old", 900), service.clone()));
            due(&access);
            let asking = Arc::clone(&access);
            let client = tokio::spawn(async move { asking.token().await });
            while service.asked.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            client.abort();
            assert_eq!(access.token().await.unwrap().expose(), "access-new");
            assert_eq!(*service.used.lock().unwrap(), ["refresh-old"]);
        });
    }

    #[test]
    fn a_token_that_was_refused_is_not_given_out_again_whatever_the_clock_said() {
        block(async {
            let service = Service::new(Ok(granted("new", 900)));
            let access = Arc::new(Access::new(granted("old", 900), service.clone()));
            let old = access.token().await.unwrap();
            // One client has looked at the clock, then another is refused.
            let before = SystemTime::now() - Duration::from_secs(60);
            access.refused(&old);
            assert_eq!(access.current(before), None);
            assert_eq!(access.token().await.unwrap().expose(), "access-new");
        });
    }

    #[test]
    fn a_refused_token_does_not_serve_while_the_service_is_away() {
        block(async {
            let service = Service::new(Err(AccessError::Failed("away".into())));
            let access = Arc::new(Access::new(granted("old", 900), service.clone()));
            access.refused(&access.token().await.unwrap());
            assert_eq!(access.token().await.unwrap_err(), AccessError::Failed("away".into()));
        });
    }

    #[test]
    fn an_answer_that_cannot_be_used_is_refused_without_showing_it() {
        for text in [
            "hunter2",
            r#"{"access_token":"hunter2"}"#,
            r#"{"access_token":"hunter2","expires_in":0}"#,
            r#"{"access_token":"hunter2\r\nX: y","expires_in":60}"#,
            r#"{"access_token":7,"expires_in":60}"#,
        ] {
            let error = Granted::parse(text.as_bytes()).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let good =
            Granted::parse(br#"{"access_token":"a","refresh_token":"r","session":"s","expires_in":60}"#).unwrap();
        assert_eq!((good.access.expose(), good.lifetime.as_secs()), ("a", 60));
    }
}
