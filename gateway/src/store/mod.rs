//! Where sessions, refresh tokens, opaque tokens and revocations are kept.
//!
//! Two stores with one contract: [`RedbStore`], a file of this gateway alone,
//! and [`RedisStore`], shared by several. What must hold:
//!
//! - No token is stored, only its SHA-256 ([`TokenHash`]).
//! - A session is known or it is dead: a token that names a session which the
//!   store does not have is revoked. So a purge, a lost file and a clock that
//!   jumps can end a session and never bring one back.
//! - Of all rotations of one refresh token one wins; see [`Rotation`].
//! - A revocation that was answered holds for the next request, on every
//!   gateway of the store. A store that cannot be asked is an error, never "no".
//! - Sessions and tokens belong to a gateway ([`Binding`]). One that is another
//!   gateway's is, in every method, answered as what is not there, and nothing
//!   is changed by asking. The check is part of the same transaction or script.

mod binding;
mod link;
mod redb_store;
mod redis_store;
mod session;
mod tenants;
mod token_hash;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use crate::name::TenantName;

pub use binding::Binding;
pub use redb_store::RedbStore;
pub use redis_store::RedisStore;
pub use session::{OpaqueToken, RACE_SECONDS, RETRY_SECONDS, Rotation, Session};
pub use tenants::Tenants;
pub use token_hash::{OPAQUE_PREFIX, REFRESH_PREFIX, TokenHash, fresh_id, fresh_token};

/// What a method of a store gives: its answer, later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store could not do what was asked. No message holds a token or a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or does not answer. Whoever asked must refuse.
    #[error("the session store {store} cannot be asked: {reason}")]
    Unavailable {
        /// Which store: a path, or an address without a password.
        store: String,
        /// What went wrong.
        reason: String,
    },
    /// What it holds, or how it is configured, is not right.
    #[error("the session store {store} cannot be used: {reason}")]
    Unusable {
        /// Which store: a path, or an address without a password.
        store: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// Sessions, tokens and revocations of one gateway. Times are seconds since 1970.
pub trait Store: Send + Sync {
    /// The same store as the gateway of this binding sees it. A store that was
    /// only opened is of the default binding, which is no gateway's.
    fn bound_to(&self, binding: &Binding) -> Arc<dyn Store>;

    /// Adds a session and, where it has one, its first refresh token.
    fn create_session<'a>(&'a self, session: &'a Session, refresh: Option<&'a TokenHash>) -> Reply<'a, ()>;

    /// Exchanges a refresh token for its successor, or revokes the family.
    fn rotate<'a>(&'a self, old: &'a TokenHash, new: &'a TokenHash, now: u64) -> Reply<'a, Rotation>;

    /// Revokes a session with all its tokens; false if there is no such session
    /// or it had been revoked before.
    fn revoke_session<'a>(&'a self, id: &'a str, now: u64) -> Reply<'a, bool>;

    /// Revokes one access token, by `jti` or by an opaque token's identifier.
    /// It is remembered at least until `until`, the token's expiry.
    fn revoke_token<'a>(&'a self, token_id: &'a str, until: u64, now: u64) -> Reply<'a, ()>;

    /// Whether a token is dead: it was revoked itself, or it names a session
    /// that was revoked or is not known. To be asked for every request.
    fn is_revoked<'a>(&'a self, session: Option<&'a str>, token_id: &'a str) -> Reply<'a, bool>;

    /// The session of this identifier, revoked ones included until they expire.
    fn session<'a>(&'a self, id: &'a str) -> Reply<'a, Option<Session>>;

    /// The session that a refresh token belongs to, used ones included.
    fn session_of<'a>(&'a self, refresh: &'a TokenHash) -> Reply<'a, Option<String>>;

    /// All sessions that have not expired, the oldest first.
    fn list_sessions(&self, now: u64) -> Reply<'_, Vec<Session>>;

    /// Adds an opaque access token.
    fn put_opaque<'a>(&'a self, hash: &'a TokenHash, token: &'a OpaqueToken, now: u64) -> Reply<'a, ()>;

    /// What an opaque access token stands for; `None` if it is unknown or has
    /// expired. [`Store::is_revoked`] is to be asked as for any token.
    fn opaque<'a>(&'a self, hash: &'a TokenHash, now: u64) -> Reply<'a, Option<OpaqueToken>>;

    /// Forgets what has expired; how many entries. Harmless at any time and
    /// with any `now`.
    fn purge(&self, now: u64) -> Reply<'_, usize>;

    /// Adds a tenant's name to those that were ever served. It is never removed:
    /// what the tenant made on the host may outlive its sessions.
    fn remember_tenant<'a>(&'a self, name: &'a TenantName) -> Reply<'a, ()>;

    /// The tenants that [`Store::remember_tenant`] was told of, in any order.
    fn tenants(&self) -> Reply<'_, Vec<String>>;

    /// Whether the store answers.
    fn health(&self) -> Reply<'_, ()>;

    /// A counter that grows whenever something may have been revoked, here or
    /// on another gateway, and when the store was lost or came back. Whoever
    /// keeps a stream open or remembers a verification asks
    /// [`Store::is_revoked`] again.
    fn revocations(&self) -> watch::Receiver<u64>;
}

/// Opens the store that a configuration names: `redb:/absolute/path`,
/// `redis://…` or `redis+unix://…`. Needs a tokio runtime.
///
/// # Errors
/// The name is of no known form, or the store cannot be opened. A Redis that
/// does not answer yet is no error here: requests are refused until it does. One
/// that lets in without a password is an error, and later is as good as gone.
pub async fn open(name: &str) -> Result<Arc<dyn Store>, StoreError> {
    open_with(name, false).await
}

/// The same, and takes a Redis that lets in without a password.
///
/// # Errors
/// As [`open`], but for the password.
pub async fn open_insecure(name: &str) -> Result<Arc<dyn Store>, StoreError> {
    open_with(name, true).await
}

async fn open_with(name: &str, insecure: bool) -> Result<Arc<dyn Store>, StoreError> {
    if let Some(path) = name.strip_prefix("redb:") {
        return Ok(Arc::new(RedbStore::open(std::path::Path::new(path))?));
    }
    if name.starts_with("redis:") || name.starts_with("redis+unix:") {
        let store =
            if insecure { RedisStore::connect_insecure(name).await? } else { RedisStore::connect(name).await? };
        return Ok(Arc::new(store));
    }
    Err(StoreError::Unusable {
        store: name.split(':').next().unwrap_or_default().to_owned(),
        reason: "store must be \"redb:/absolute/path\", \"redis://…\" or \"redis+unix:///…\"".to_owned(),
    })
}
