//! What the proxy needs of tokens, store, policy and service, and nothing more.
//!
//! The proxy is written against these; `wire` joins them to the real ones.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::{Build, Docker, Forward, Identity, Refusal, Viewer, Wanted};

/// A future that may move between threads.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why nobody could be told from a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// The token is not valid.
    #[error("{0}")]
    Refused(String),
    /// It could not be judged: the store does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// It could not be judged: its issuer's keys are not there.
    #[error("{0}")]
    Keys(String),
}

/// Tokens into identities.
pub trait Tokens: Send + Sync {
    /// Whom the token speaks for, if it is valid at `now` (seconds since 1970).
    fn identify<'a>(&'a self, token: &'a str, now: u64) -> Later<'a, Result<Identity, Unidentified>>;
    /// Changes when keys change; what was verified before must be verified again.
    fn generation(&self) -> u64;
}

/// What the store says of the session that a token belongs to. Times are
/// seconds since 1970, lengths are seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    /// When it was last refreshed, or began.
    pub refreshed: u64,
    /// When it ends, however often it is refreshed.
    pub expires: u64,
    /// How long an access token of it lives: one that was issued by the last
    /// refresh ends `lifetime` after `refreshed`.
    pub lifetime: u64,
    /// Its tenant; `None` is the operator's own view.
    pub tenant: Option<String>,
    /// Its role.
    pub role: String,
    /// Whether the session, or the token that was asked with, was revoked.
    pub revoked: bool,
}

/// Sessions and what was revoked.
pub trait Sessions: Send + Sync {
    /// The session of a token as it is now. `None` if the token has none, if it
    /// is not known here, or if the token is an outside issuer's. An error when
    /// the store cannot be asked.
    fn session<'a>(&'a self, identity: &'a Identity) -> Later<'a, Result<Option<SessionState>, String>>;
    /// Whether the token or its session was revoked; an error when that cannot be told.
    fn is_revoked<'a>(&'a self, identity: &'a Identity) -> Later<'a, Result<bool, String>>;
    /// Fires when something was revoked or the store was lost.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// How much of a body the policy wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// All of it, at most so many bytes; 0: there must be none.
    Whole(u64),
    /// None: it is a stream, bounded by what the policy decides.
    Stream,
}

/// A request that was understood.
pub trait Asked: Send {
    /// The operation's id.
    fn operation(&self) -> &'static str;
    /// What becomes of the body.
    fn reads(&self) -> Reads;
    /// Whether the answer may stay open with nothing said.
    fn follows(&self) -> bool;
    /// Whether it is allowed, and what is sent.
    fn decide<'a>(
        self: Box<Self>,
        identity: &'a Identity,
        body: &'a [u8],
        docker: &'a dyn Docker,
    ) -> Later<'a, Result<Forward, Refusal>>
    where
        Self: 'a;
}

/// Roles and tenants.
pub trait Rules: Send + Sync {
    /// Reads a request strictly.
    ///
    /// # Errors
    /// When it is not one of the known operations in its one spelling.
    fn parse(&self, parts: &http::request::Parts) -> Result<Box<dyn Asked>, Refusal>;
    /// Whether a role is there and allows an operation, for what has begun under
    /// rules that were loaded before these.
    fn allows(&self, role: &str, operation: &str) -> bool;
    /// The Dockerfile to build from in place of the client's.
    fn dockerfile<'a>(
        &'a self,
        build: &'a Build,
        text: &'a [u8],
        docker: &'a dyn Docker,
    ) -> Later<'a, Result<Vec<u8>, Refusal>>;
    /// Leaves of an answer what the tenant owns, of that what was wanted, in its names.
    ///
    /// # Errors
    /// When the daemon's answer is not what it should be.
    fn filter_json(
        &self,
        operation: &'static str,
        viewer: &Viewer,
        wanted: &Wanted,
        body: &[u8],
    ) -> Result<Vec<u8>, Refusal>;
    /// Leaves a line of a stream if it is the tenant's, in its names.
    ///
    /// # Errors
    /// When the line is not what it should be.
    fn filter_line(&self, operation: &'static str, viewer: &Viewer, line: &[u8]) -> Result<Option<Vec<u8>>, Refusal>;
    /// An error of the daemon's in the tenant's names.
    fn error_for(&self, tenant: &str, body: &[u8]) -> Vec<u8>;
}

/// The token service's endpoints.
pub trait Service: Send + Sync {
    /// Answers a request to one of its paths.
    fn answer<'a>(&'a self, parts: &'a http::request::Parts, body: Bytes, now: u64)
    -> Later<'a, http::Response<Bytes>>;
    /// Answers one line of the administrator's socket.
    fn admin<'a>(&'a self, line: &'a str, now: u64) -> Later<'a, String>;
}

/// All of it, as it is now; replaced whole on reload.
pub struct Gate {
    /// Tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Sessions.
    pub sessions: Arc<dyn Sessions>,
    /// Policy.
    pub rules: Arc<dyn Rules>,
    /// Token service.
    pub service: Arc<dyn Service>,
}
