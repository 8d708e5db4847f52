//! Records and locks in a Redis that several operators share.
//!
//! A lock is a key with a random token that ends by itself ([`TTL`]): it is
//! renewed at a third of its life for as long as its holder lives, and only
//! its holder takes it away (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>).
//! It keeps colleagues out of each other's way; that two runs never work on a
//! host at once is the host's own lock's to prove.

use super::{KEPT, RecordsError, Run, Store, read, written};
use crate::values::{Secret, hex};
use redis::{Client, Connection, FromRedisValue, IntoConnectionInfo as _, Pipeline, RedisError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const RUNS: &str = "stockade:records";
const ORDER: &str = "stockade:records:order";
const CHECKED: &str = "stockade:records:checked";

/// The life of a lock whose holder does not renew it.
pub const TTL: Duration = Duration::from_secs(30);
/// How long Redis may take for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Gives a lock that is still ours its life anew. KEYS: lock; ARGV: holder, milliseconds.
const RENEW: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0";
/// Takes a lock that is still ours away. KEYS: lock; ARGV: holder.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Keeps a run, in place of what was kept of it before, and forgets the oldest.
/// KEYS: runs, their order; ARGV: id, run, how many are kept.
const KEEP: &str = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1 - tonumber(ARGV[3]))) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
return 1";

/// A Redis by its address.
#[derive(Clone)]
pub struct RedisStore {
    client: Client,
    name: String,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// As `user@machine`.
    pub who: String,
    /// Since when (RFC 3339, UTC).
    pub since: String,
    token: String,
}

/// A lock on a host; it ends with this value.
pub struct Lock {
    keeper: Option<(Sender<()>, JoinHandle<()>)>,
}

impl RedisStore {
    /// The store at an address; nothing is connected yet.
    ///
    /// # Errors
    /// The address is malformed; it is not repeated.
    pub fn new(url: &Secret) -> Result<RedisStore, RecordsError> {
        let scheme = url.expose().split(':').next().unwrap_or_default().to_owned();
        let wrong = |error: RedisError| RecordsError::Address(format!("the address of Redis is wrong: {error}"));
        let info = url.expose().into_connection_info().map_err(wrong)?;
        let name = format!("{scheme}://{}/{}", info.addr(), info.redis_settings().db());
        Ok(RedisStore { client: Client::open(info).map_err(wrong)?, name })
    }

    fn error(&self, why: impl std::fmt::Display) -> RecordsError {
        RecordsError::Store { store: self.name.clone(), why: why.to_string() }
    }

    fn connection(&self) -> Result<Connection, RedisError> {
        let connection = self.client.get_connection_with_timeout(ANSWER)?;
        connection.set_read_timeout(Some(ANSWER))?;
        connection.set_write_timeout(Some(ANSWER))?;
        Ok(connection)
    }

    fn ask<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, RecordsError> {
        self.connection().and_then(|mut connection| commands.query(&mut connection)).map_err(|e| self.error(e))
    }

    /// Locks what a name stands for, or says who has it. `tell` is told, from
    /// another thread, if the lock is lost before its time.
    ///
    /// # Errors
    /// Redis does not answer, or this machine gives no random numbers.
    pub fn lock(
        &self,
        name: &str,
        who: &str,
        since: &str,
        tell: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Result<Result<Lock, Holder>, RecordsError> {
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).map_err(|error| self.error(format!("no random numbers: {error}")))?;
        let token = hex(&random);
        let holder = Holder { who: who.to_owned(), since: since.to_owned(), token };
        let held = Held {
            store: self.clone(),
            key: format!("stockade:lock:{name}"),
            value: serde_json::to_string(&holder).map_err(|error| self.error(error))?,
            name: name.to_owned(),
        };
        if let Some(other) = held.take()? {
            return Ok(Err(other));
        }
        let (stop, stopped) = channel::<()>();
        let keep = move || {
            let mut said = String::new();
            // The other end never sends: it is dropped when the work is done.
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TTL / 3) {
                match held.renew() {
                    Ok(()) => said.clear(),
                    Err(trouble) if trouble != said => {
                        tell(&trouble);
                        said = trouble;
                    }
                    Err(_) => {}
                }
            }
            held.release();
        };
        let thread = std::thread::Builder::new().name("lock".to_owned()).spawn(keep);
        Ok(Ok(Lock { keeper: Some((stop, thread.map_err(|error| self.error(error))?)) }))
    }
}

/// What the keeper of a lock knows of it.
struct Held {
    store: RedisStore,
    key: String,
    value: String,
    name: String,
}

impl Held {
    /// Takes the lock if it is free; else who has it.
    fn take(&self) -> Result<Option<Holder>, RecordsError> {
        let mut both = redis::pipe();
        both.atomic();
        both.cmd("SET").arg(&self.key).arg(&self.value).arg("NX").arg("PX").arg(millis()).ignore();
        both.cmd("GET").arg(&self.key);
        let (value,): (Option<String>,) = self.store.ask(&both)?;
        match value {
            Some(value) if value == self.value => Ok(None),
            Some(value) => match serde_json::from_str(&value) {
                Ok(holder) => Ok(Some(holder)),
                Err(_) => Err(self.store.error(format!("the lock {} is held by something else", self.key))),
            },
            None => Err(self.store.error(format!("the lock {} did not stay", self.key))),
        }
    }

    /// Keeps the lock alive; one that was lost is taken again if it is free.
    fn renew(&self) -> Result<(), String> {
        let mut script = redis::pipe();
        script.cmd("EVAL").arg(RENEW).arg(1).arg(&self.key).arg(&self.value).arg(millis());
        let renewed = self.store.ask::<(i64,)>(&script).map(|(count,)| count == 1);
        match renewed.and_then(|renewed| if renewed { Ok(None) } else { self.take() }) {
            Ok(None) => Ok(()),
            Ok(Some(other)) => Err(format!(
                "the lock on {} is lost to {} (since {}); the host's own lock still keeps others off while this run is at work",
                self.name, other.who, other.since
            )),
            Err(error) => Err(format!("the lock on {} cannot be renewed: {error}", self.name)),
        }
    }

    /// What is not released ends by itself.
    fn release(&self) {
        let mut script = redis::pipe();
        script.cmd("EVAL").arg(RELEASE).arg(1).arg(&self.key).arg(&self.value);
        let _ = self.store.ask::<(i64,)>(&script);
    }
}

fn millis() -> u64 {
    TTL.as_millis().try_into().unwrap_or(u64::MAX)
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((stop, keeper)) = self.keeper.take() {
            drop(stop);
            let _ = keeper.join();
        }
    }
}

impl Store for RedisStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), RecordsError> {
        let mut write = redis::pipe();
        write.cmd("SET").arg(CHECKED).arg("1").arg("PX").arg(millis()).ignore();
        self.ask(&write)
    }

    fn add(&self, run: &Run) -> Result<(), RecordsError> {
        let mut write = redis::pipe();
        write.cmd("EVAL").arg(KEEP).arg(2).arg(RUNS).arg(ORDER);
        write.arg(&run.id).arg(written(&self.name, run)?).arg(KEPT).ignore();
        self.ask(&write)
    }

    fn runs(&self) -> Result<Vec<Run>, RecordsError> {
        let mut all = redis::pipe();
        all.cmd("HGETALL").arg(RUNS);
        // The ids sort by time.
        let (found,): (BTreeMap<String, Vec<u8>>,) = self.ask(&all)?;
        found.values().map(|bytes| read(&self.name, bytes)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_no_name_and_no_error() {
        let store = RedisStore::new(&Secret::new("redis://user:hunter2@127.0.0.1:1/3")).unwrap();
        assert_eq!(store.name(), "redis://127.0.0.1:1/3");
        let error = store.check().unwrap_err().to_string();
        assert!(error.contains("redis://127.0.0.1:1/3") && !error.contains("hunter2"), "{error}");
        for wrong in ["redis://user:hunter2@", "redis://user:hunter2@host:port/0", "redis://u:hunter2@h/x"] {
            let error = RedisStore::new(&Secret::new(wrong)).err().unwrap().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
