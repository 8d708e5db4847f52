//! The store that several gateways share: Redis, or what speaks its protocol.
//!
//! Each change is one script, so it is done whole or not at all. Every request
//! asks Redis itself whether its token is revoked, in one round trip: a local
//! copy kept current by messages is behind by as long as a message takes, and
//! "revoked on the next request" would not hold. (On loopback the question costs
//! 0.14 ms alone and 40,000 a second go through together.) The channel of revocations
//! ends streams that are already open, on all gateways.
//!
//! Entries outlive what they stand for by a day, so that clocks of gateways and
//! of Redis may differ, and jump by less than that, without forgetting a
//! revocation. Not for Redis Cluster. Redis must write its data to disk
//! (`appendonly yes`): what it forgets is dead, not alive.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue, Pipeline};
use tokio::sync::watch;

use super::binding::Bound;
use super::link::{CHANNEL, Link};
use super::{
    Binding, OpaqueToken, RACE_SECONDS, RETRY_SECONDS, Reply, Rotation, Session, Store, StoreError, TokenHash,
};
use crate::name::TenantName;

const ROTATE: &str = include_str!("rotate.lua");

/// Revokes a session of this gateway that lives. KEYS: session, ARGV: now, channel, message, gateway.
const REVOKE_SESSION: &str = "if redis.call('HGET', KEYS[1], 'gateway') ~= ARGV[4] then return 0 end
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'revoked', 'revoked', ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1";

/// Remembers a revoked token for the longest time asked. KEYS: token, ARGV: seconds, channel, message.
const REVOKE_TOKEN: &str =
    "if redis.call('TTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'EX', ARGV[1]) end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1";

/// The session of a refresh token, if it is of this gateway. KEYS: token, ARGV: gateway.
const SESSION_OF: &str = "local family = redis.call('HGET', KEYS[1], 'session')
if family and redis.call('HGET', 'stockade:session:' .. family, 'gateway') == ARGV[1] then return family end
return false";

/// How much longer than needed an entry is kept, in seconds.
const MARGIN: u64 = 86_400;
/// The longest time an entry is kept, in seconds: a hundred years.
const LONGEST: u64 = 3_155_760_000;
const SESSIONS: &str = "stockade:sessions";
const TENANTS: &str = "stockade:tenants";

fn session_key(id: &str) -> String {
    format!("stockade:session:{id}")
}

fn refresh_key(hash: &TokenHash) -> String {
    format!("stockade:refresh:{}", hash.hex())
}

fn opaque_key(hash: &TokenHash) -> String {
    format!("stockade:opaque:{}", hash.hex())
}

fn revoked_key(token_id: &str) -> String {
    format!("stockade:revoked:{token_id}")
}

fn keep_for(until: u64, now: u64) -> u64 {
    until.saturating_sub(now).saturating_add(MARGIN).min(LONGEST)
}

/// A session as its hash in Redis has it: record, time of refresh, time of revocation, gateway.
type SessionFields = (Option<String>, Option<u64>, Option<u64>, Option<String>);

/// The fields of a session's hash in the order of [`SessionFields`].
const FIELDS: [&str; 4] = ["data", "refreshed", "revoked", "gateway"];

/// A store shared through Redis.
pub struct RedisStore {
    link: Arc<Link>,
    binding: Binding,
}

impl RedisStore {
    /// Connects to `redis://[user[:password]@]host[:port][/db]` or
    /// `redis+unix:///path?…`. The query may name a `password_file`.
    /// If Redis does not answer, connecting goes on and requests are refused.
    ///
    /// # Errors
    /// The address cannot be understood, the password's file not be read, or
    /// Redis lets in without a password.
    pub async fn connect(url: &str) -> Result<RedisStore, StoreError> {
        RedisStore::with(url, false).await
    }

    /// The same, and takes one that lets in without a password.
    ///
    /// # Errors
    /// The address cannot be understood, or the password's file not be read.
    pub async fn connect_insecure(url: &str) -> Result<RedisStore, StoreError> {
        RedisStore::with(url, true).await
    }

    async fn with(url: &str, insecure: bool) -> Result<RedisStore, StoreError> {
        Ok(RedisStore { link: Arc::new(Link::open(url, insecure).await?), binding: Binding::default() })
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.link.connection()?;
        command.query_async(&mut connection).await.map_err(|error| self.link.failed(&error))
    }

    async fn run_all<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, StoreError> {
        let mut connection = self.link.connection()?;
        pipeline.query_async(&mut connection).await.map_err(|error| self.link.failed(&error))
    }

    fn unreadable(&self, what: &str) -> StoreError {
        StoreError::Unusable {
            store: self.link.name().to_owned(),
            reason: format!("{what} cannot be read; is another program writing to the same database?"),
        }
    }

    fn session_of_fields(&self, fields: SessionFields) -> Result<Option<Session>, StoreError> {
        let (Some(data), refreshed, revoked, gateway) = fields else { return Ok(None) };
        if gateway.as_deref() != Some(self.binding.as_str()) {
            return Ok(None);
        }
        let mut session: Session = serde_json::from_str(&data).map_err(|_| self.unreadable("a session"))?;
        session.refreshed = refreshed.unwrap_or(session.refreshed);
        session.revoked = revoked;
        Ok(Some(session))
    }

    async fn do_rotate(&self, old: &TokenHash, new: &TokenHash, now: u64) -> Result<Rotation, StoreError> {
        let mut script = redis::cmd("EVAL");
        script.arg(ROTATE).arg(2).arg(refresh_key(old)).arg(refresh_key(new));
        script.arg(now).arg(new.hex()).arg(RACE_SECONDS).arg(RETRY_SECONDS).arg(CHANNEL);
        script.arg(self.binding.as_str());
        let answer: Vec<String> = self.run(&script).await?;
        let mut words = answer.into_iter();
        match (words.next().as_deref(), words.next()) {
            (Some("unknown"), None) => Ok(Rotation::Unknown),
            (Some("raced"), None) => Ok(Rotation::Raced),
            (Some("ended"), Some(session)) => Ok(Rotation::Ended(session)),
            (Some("reused"), Some(session)) => Ok(Rotation::Reused(session)),
            (Some("rotated"), Some(data)) => self
                .session_of_fields((Some(data), Some(now), None, Some(self.binding.as_str().to_owned())))?
                .map(Rotation::Rotated)
                .ok_or_else(|| self.unreadable("a session")),
            _ => Err(self.unreadable("the answer to a rotation")),
        }
    }

    async fn do_create(&self, session: &Session, refresh: Option<&TokenHash>) -> Result<(), StoreError> {
        let data = serde_json::to_string(session).map_err(|_| self.unreadable("a session"))?;
        let key = session_key(&session.id);
        let seconds = keep_for(session.expires, session.created);
        let mut all = redis::pipe();
        all.atomic();
        all.cmd("HSET").arg(&key).arg("data").arg(data).arg("expires").arg(session.expires);
        all.arg("refreshed").arg(session.refreshed).arg("state").arg("live");
        all.arg("gateway").arg(self.binding.as_str()).ignore();
        all.cmd("EXPIRE").arg(&key).arg(seconds).ignore();
        all.cmd("ZADD").arg(SESSIONS).arg(session.expires).arg(&session.id).ignore();
        if let Some(hash) = refresh {
            let key = refresh_key(hash);
            all.cmd("HSET").arg(&key).arg("session").arg(&session.id).arg("state").arg("current").ignore();
            all.cmd("EXPIRE").arg(&key).arg(seconds).ignore();
        }
        self.run_all(&all).await
    }

    async fn do_list(&self, now: u64) -> Result<Vec<Session>, StoreError> {
        let mut range = redis::cmd("ZRANGEBYSCORE");
        range.arg(SESSIONS).arg(format!("({now}")).arg("+inf");
        let ids: Vec<String> = self.run(&range).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = redis::pipe();
        for id in &ids {
            all.cmd("HMGET").arg(session_key(id)).arg(&FIELDS);
        }
        let rows: Vec<SessionFields> = self.run_all(&all).await?;
        let mut sessions = Vec::new();
        for fields in rows {
            sessions.extend(self.session_of_fields(fields)?);
        }
        sessions.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(sessions)
    }

    /// Redis forgets by itself; only its list of sessions has to follow.
    async fn do_purge(&self, now: u64) -> Result<usize, StoreError> {
        let mut range = redis::cmd("ZRANGEBYSCORE");
        range.arg(SESSIONS).arg("-inf").arg(now).arg("LIMIT").arg(0).arg(10_000);
        let ids: Vec<String> = self.run(&range).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let mut all = redis::pipe();
        for id in &ids {
            all.cmd("EXISTS").arg(session_key(id));
        }
        let there: Vec<bool> = self.run_all(&all).await?;
        let gone: Vec<&String> = ids.iter().zip(there).filter(|(_, there)| !there).map(|(id, _)| id).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        self.run(redis::cmd("ZREM").arg(SESSIONS).arg(gone)).await
    }
}

impl Store for RedisStore {
    fn bound_to(&self, binding: &Binding) -> Arc<dyn Store> {
        Arc::new(RedisStore { link: Arc::clone(&self.link), binding: binding.clone() })
    }

    fn create_session<'a>(&'a self, session: &'a Session, refresh: Option<&'a TokenHash>) -> Reply<'a, ()> {
        Box::pin(self.do_create(session, refresh))
    }

    fn rotate<'a>(&'a self, old: &'a TokenHash, new: &'a TokenHash, now: u64) -> Reply<'a, Rotation> {
        Box::pin(self.do_rotate(old, new, now))
    }

    fn revoke_session<'a>(&'a self, id: &'a str, now: u64) -> Reply<'a, bool> {
        Box::pin(async move {
            let mut script = redis::cmd("EVAL");
            script.arg(REVOKE_SESSION).arg(1).arg(session_key(id)).arg(now).arg(CHANNEL).arg(format!("session:{id}"));
            script.arg(self.binding.as_str());
            self.run(&script).await
        })
    }

    fn revoke_token<'a>(&'a self, token_id: &'a str, until: u64, now: u64) -> Reply<'a, ()> {
        Box::pin(async move {
            let mut script = redis::cmd("EVAL");
            script.arg(REVOKE_TOKEN).arg(1).arg(revoked_key(&self.binding.scoped(token_id))).arg(keep_for(until, now));
            script.arg(CHANNEL).arg(format!("token:{token_id}"));
            self.run::<i64>(&script).await.map(drop)
        })
    }

    fn is_revoked<'a>(&'a self, session: Option<&'a str>, token_id: &'a str) -> Reply<'a, bool> {
        Box::pin(async move {
            let mut all = redis::pipe();
            // The second is of before there were bindings: it holds for all gateways.
            all.cmd("EXISTS").arg(revoked_key(&self.binding.scoped(token_id))).arg(revoked_key(token_id));
            match session {
                None => {
                    let (revoked,): (u64,) = self.run_all(&all).await?;
                    Ok(revoked > 0)
                }
                Some(id) => {
                    all.cmd("HMGET").arg(session_key(id)).arg("state").arg("gateway");
                    let (revoked, (state, gateway)): (u64, (Option<String>, Option<String>)) =
                        self.run_all(&all).await?;
                    let live = state.as_deref() == Some("live") && gateway.as_deref() == Some(self.binding.as_str());
                    Ok(revoked > 0 || !live)
                }
            }
        })
    }

    fn session<'a>(&'a self, id: &'a str) -> Reply<'a, Option<Session>> {
        Box::pin(async move {
            let mut get = redis::cmd("HMGET");
            get.arg(session_key(id)).arg(&FIELDS);
            let fields = self.run(&get).await?;
            self.session_of_fields(fields)
        })
    }

    fn session_of<'a>(&'a self, refresh: &'a TokenHash) -> Reply<'a, Option<String>> {
        Box::pin(async move {
            let mut script = redis::cmd("EVAL");
            script.arg(SESSION_OF).arg(1).arg(refresh_key(refresh)).arg(self.binding.as_str());
            self.run(&script).await
        })
    }

    fn list_sessions(&self, now: u64) -> Reply<'_, Vec<Session>> {
        Box::pin(self.do_list(now))
    }

    fn put_opaque<'a>(&'a self, hash: &'a TokenHash, token: &'a OpaqueToken, now: u64) -> Reply<'a, ()> {
        Box::pin(async move {
            let data = serde_json::to_string(&Bound::new(&self.binding, token.clone()));
            let data = data.map_err(|_| self.unreadable("an opaque token"))?;
            let mut set = redis::cmd("SET");
            set.arg(opaque_key(hash)).arg(data).arg("EX").arg(keep_for(token.expires, now));
            self.run(&set).await
        })
    }

    fn opaque<'a>(&'a self, hash: &'a TokenHash, now: u64) -> Reply<'a, Option<OpaqueToken>> {
        Box::pin(async move {
            let data: Option<String> = self.run(redis::cmd("GET").arg(opaque_key(hash))).await?;
            let Some(data) = data else { return Ok(None) };
            let token: Bound<OpaqueToken> =
                serde_json::from_str(&data).map_err(|_| self.unreadable("an opaque token"))?;
            Ok(token.of(&self.binding).filter(|token| token.expires > now))
        })
    }

    fn purge(&self, now: u64) -> Reply<'_, usize> {
        Box::pin(self.do_purge(now))
    }

    fn remember_tenant<'a>(&'a self, name: &'a TenantName) -> Reply<'a, ()> {
        Box::pin(async move { self.run::<i64>(redis::cmd("SADD").arg(TENANTS).arg(name.as_str())).await.map(drop) })
    }

    fn tenants(&self) -> Reply<'_, Vec<String>> {
        Box::pin(async move { self.run(redis::cmd("SMEMBERS").arg(TENANTS)).await })
    }

    fn health(&self) -> Reply<'_, ()> {
        Box::pin(async move { self.run::<String>(&redis::cmd("PING")).await.map(drop) })
    }

    fn revocations(&self) -> watch::Receiver<u64> {
        self.link.revocations()
    }
}
