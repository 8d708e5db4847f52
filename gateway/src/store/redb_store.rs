//! The store of one gateway alone: a redb file, mode 0600, locked while open.
//!
//! Every change is one transaction, on disk before it is answered; a process
//! that is killed leaves the change whole or not at all. What every request
//! asks ([`Store::is_revoked`], [`Store::opaque`]) is answered from memory,
//! which is read at start and follows each commit.
//!
//! Purging follows a clock of its own, which never runs faster than the
//! monotonic clock and never ahead of the wall clock: a wall clock that jumps
//! forward purges nothing early, so no revoked token comes back when it is set
//! right again.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, Error, ReadableDatabase as _, ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::binding::Bound;
use super::session::{Refresh, RefreshState, Verdict, judge};
use super::{Binding, OpaqueToken, Reply, Rotation, Session, Store, StoreError, TokenHash};
use crate::name::TenantName;

const SESSIONS: TableDefinition<&str, &[u8]> = TableDefinition::new("sessions");
const REFRESH: TableDefinition<&[u8], &[u8]> = TableDefinition::new("refresh");
const OPAQUE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("opaque");
const REVOKED: TableDefinition<&str, u64> = TableDefinition::new("revoked");
const TENANTS: TableDefinition<&str, ()> = TableDefinition::new("tenants");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// The layout of the tables; a file of another is refused.
const FORMAT: u64 = 1;
/// How much longer than its token a revocation is kept, in seconds: clocks have leeway.
const MARGIN: u64 = 3600;
/// All that is hot is in memory; redb would take a gigabyte.
const CACHE_BYTES: usize = 4 << 20;

/// A store in one file, or in memory alone.
pub struct RedbStore {
    shared: Arc<Shared>,
    binding: Binding,
}

struct Shared {
    path: Option<PathBuf>,
    /// `None` after an I/O error, which redb ends with: the next use opens it anew.
    database: Mutex<Option<Database>>,
    memory: RwLock<Memory>,
    changed: watch::Sender<u64>,
    /// The purge clock, and when it was read.
    purge_clock: Mutex<(u64, Instant)>,
}

#[derive(Default)]
struct Memory {
    /// The sessions that are neither revoked nor purged, with their gateways.
    live: HashMap<String, Arc<str>>,
    /// By identifiers with their gateway ([`Binding::scoped`]); those without one
    /// are from before there were bindings, and hold for all.
    revoked: HashMap<String, u64>,
    opaque: HashMap<TokenHash, Bound<OpaqueToken>>,
}

impl Memory {
    fn is_live(&self, session: &str, binding: &Binding) -> bool {
        self.live.get(session).is_some_and(|gateway| **gateway == *binding.as_str())
    }
}

impl RedbStore {
    /// Opens the file, or makes it with mode 0600.
    ///
    /// # Errors
    /// Another process has it open, others than the owner may read it, it is
    /// not a regular file, or it is not a store of this version.
    pub fn open(path: &Path) -> Result<RedbStore, StoreError> {
        RedbStore::with(Some(path.to_owned()))
    }

    /// A store that ends with the process.
    ///
    /// # Errors
    /// None is expected.
    pub fn in_memory() -> Result<RedbStore, StoreError> {
        RedbStore::with(None)
    }

    fn with(path: Option<PathBuf>) -> Result<RedbStore, StoreError> {
        let database = open_database(path.as_deref())?;
        let unusable = |error: Error| unusable(path.as_deref(), &error);
        let (memory, mark) = read_all(&database).map_err(unusable)?;
        let shared = Shared {
            database: Mutex::new(Some(database)),
            memory: RwLock::new(memory),
            changed: watch::Sender::new(0),
            purge_clock: Mutex::new((mark, Instant::now())),
            path,
        };
        Ok(RedbStore { shared: Arc::new(shared), binding: Binding::default() })
    }

    /// Runs on a thread that may wait for the disk.
    fn on_disk<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Reply<'a, T> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let name = shared.name();
            tokio::task::spawn_blocking(move || work(&shared)).await.unwrap_or_else(|error| {
                Err(StoreError::Unavailable { store: name, reason: format!("the work was cut off: {error}") })
            })
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn name_of(path: Option<&Path>) -> String {
    path.map_or_else(|| "in memory".to_owned(), |path| path.display().to_string())
}

fn unusable(path: Option<&Path>, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unusable { store: name_of(path), reason: error.to_string() }
}

fn open_database(path: Option<&Path>) -> Result<Database, StoreError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    let database = match path {
        None => builder.create_with_backend(InMemoryBackend::new()),
        Some(file) => {
            let file = open_file(file).map_err(|error| unusable(path, &error))?;
            let backend = FileBackend::new(file).map_err(|error| unusable(path, &error))?;
            builder.create_with_backend(backend)
        }
    };
    database.map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => unusable(
            path,
            &"another process has it open; ask the running gateway through its admin socket, or use redis:// for several gateways",
        ),
        error => unusable(path, &error),
    })
}

fn open_file(path: &Path) -> io::Result<File> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if meta.mode() & 0o077 != 0 {
        let message = format!("its mode is {:04o}, so others can reach it; set it to 0600", meta.mode() & 0o7777);
        return Err(io::Error::other(message));
    }
    Ok(file)
}

/// What is kept in memory, and the purge clock's last reading.
fn read_all(database: &Database) -> Result<(Memory, u64), Error> {
    let write = database.begin_write()?;
    let mark = {
        let mut meta = write.open_table(META)?;
        let format = meta.get("format")?.map(|value| value.value());
        match format {
            None => {
                meta.insert("format", FORMAT)?;
            }
            Some(FORMAT) => {}
            Some(other) => return Err(Error::Corrupted(format!("its format is {other}; this version knows {FORMAT}"))),
        }
        let mark = meta.get("purge_clock")?.map(|value| value.value());
        let mark = mark.unwrap_or_else(unix_now);
        meta.insert("purge_clock", mark)?;
        mark
    };
    let mut memory = Memory::default();
    for entry in write.open_table(SESSIONS)?.iter()? {
        let (_, bytes) = entry?;
        let session: Bound<Session> = decode(bytes.value())?;
        if let (None, Some(gateway)) = (session.record().revoked, session.gateway()) {
            memory.live.insert(session.record().id.clone(), gateway.into());
        }
    }
    for entry in write.open_table(REVOKED)?.iter()? {
        let (id, until) = entry?;
        memory.revoked.insert(id.value().to_owned(), until.value());
    }
    for entry in write.open_table(OPAQUE)?.iter()? {
        let (hash, bytes) = entry?;
        memory.opaque.insert(hash_of(hash.value())?, decode(bytes.value())?);
    }
    write.open_table(REFRESH)?;
    write.open_table(TENANTS)?;
    write.commit()?;
    Ok((memory, mark))
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Corrupted(format!("a record cannot be read: {error}")))
}

fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(record).map_err(|error| Error::Corrupted(format!("a record cannot be written: {error}")))
}

fn hash_of(bytes: &[u8]) -> Result<TokenHash, Error> {
    let bytes = bytes.try_into().map_err(|_| Error::Corrupted("a hash has the wrong length".to_owned()))?;
    Ok(TokenHash::from_bytes(bytes))
}

fn get<T: DeserializeOwned, K: redb::Key + 'static>(
    table: &impl ReadableTable<K, &'static [u8]>,
    key: K::SelfType<'_>,
) -> Result<Option<T>, Error> {
    table.get(key)?.map(|bytes| decode(bytes.value())).transpose()
}

impl Shared {
    fn name(&self) -> String {
        name_of(self.path.as_deref())
    }

    fn unavailable(&self, error: &Error) -> StoreError {
        StoreError::Unavailable { store: self.name(), reason: error.to_string() }
    }

    fn memory(&self) -> std::sync::RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory_mut(&self) -> std::sync::RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn use_database<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, StoreError> {
        let mut slot = lock(&self.database);
        let database = match slot.take() {
            Some(database) => database,
            None => open_database(self.path.as_deref())?,
        };
        let done = work(&database);
        // After an I/O error redb refuses everything until it is opened anew;
        // what is in memory only would be lost by that.
        if self.path.is_none() || !matches!(done, Err(Error::Io(_) | Error::PreviousIo)) {
            *slot = Some(database);
        }
        done.map_err(|error| self.unavailable(&error))
    }

    /// One transaction, and what follows of it in memory while no other change can come between.
    fn change<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Error>,
        follow: impl FnOnce(&mut Memory, &T),
    ) -> Result<T, StoreError> {
        self.use_database(|database| {
            let write = database.begin_write()?;
            let result = work(&write)?;
            write.commit()?;
            follow(&mut self.memory_mut(), &result);
            Ok(result)
        })
    }

    fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn rotate(&self, binding: &Binding, (old, new): (TokenHash, TokenHash), now: u64) -> Result<Rotation, StoreError> {
        let rotation = self.change(
            |write| rotate(write, binding, (&old, &new), now),
            |memory, rotation| {
                if let Rotation::Reused(session) = rotation {
                    memory.live.remove(session);
                }
            },
        )?;
        if matches!(rotation, Rotation::Reused(_)) {
            self.announce();
        }
        Ok(rotation)
    }

    fn purge_now(&self, now: u64) -> u64 {
        let mut clock = lock(&self.purge_clock);
        let (mark, read) = *clock;
        let at = now.min(mark.saturating_add(read.elapsed().as_secs()));
        // A wall clock that ran back must not hold this one back for good.
        if at > mark {
            *clock = (at, Instant::now());
        }
        at
    }
}

/// The session of this identifier, if it is that gateway's.
fn session_in(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    id: &str,
    binding: &Binding,
) -> Result<Option<Session>, Error> {
    Ok(get::<Bound<Session>, _>(table, id)?.and_then(|session| session.of(binding)))
}

fn revoke(write: &WriteTransaction, binding: &Binding, id: &str, now: u64) -> Result<bool, Error> {
    let mut sessions = write.open_table(SESSIONS)?;
    let Some(mut session) = session_in(&sessions, id, binding)? else { return Ok(false) };
    if session.revoked.is_some() {
        return Ok(false);
    }
    session.revoked = Some(now);
    sessions.insert(id, encode(&Bound::new(binding, session))?.as_slice())?;
    Ok(true)
}

fn rotate(
    write: &WriteTransaction,
    binding: &Binding,
    (old, new): (&TokenHash, &TokenHash),
    now: u64,
) -> Result<Rotation, Error> {
    let mut table = write.open_table(REFRESH)?;
    let Some(refresh) = get::<Refresh, _>(&table, old.bytes().as_slice())? else { return Ok(Rotation::Unknown) };
    let session = session_in(&write.open_table(SESSIONS)?, refresh.session.as_str(), binding)?;
    // Another gateway's is not known here, and nothing of it is touched.
    let Some(mut session) = session else { return Ok(Rotation::Unknown) };
    if session.revoked.is_some() || session.expires <= now {
        return Ok(Rotation::Ended(refresh.session));
    }
    let successor = match &refresh.state {
        RefreshState::Rotated { successor, .. } => get::<Refresh, _>(&table, successor.as_slice())?,
        _ => None,
    };
    let unused = successor.is_some_and(|successor| successor.state == RefreshState::Current);
    let verdict = judge(&refresh.state, unused, now);
    match verdict {
        Verdict::Race => return Ok(Rotation::Raced),
        Verdict::Reuse => {
            drop(table);
            revoke(write, binding, &session.id, now)?;
            return Ok(Rotation::Reused(session.id));
        }
        Verdict::Rotate | Verdict::Retry => {}
    }
    if let RefreshState::Rotated { successor, .. } = refresh.state {
        let replaced = Refresh { session: session.id.clone(), state: RefreshState::Replaced };
        table.insert(successor.as_slice(), encode(&replaced)?.as_slice())?;
    }
    let state = RefreshState::Rotated { at: now, successor: *new.bytes(), retried: verdict == Verdict::Retry };
    let used = Refresh { session: session.id.clone(), state };
    let current = Refresh { session: session.id.clone(), state: RefreshState::Current };
    table.insert(old.bytes().as_slice(), encode(&used)?.as_slice())?;
    table.insert(new.bytes().as_slice(), encode(&current)?.as_slice())?;
    session.refreshed = now;
    let record = encode(&Bound::new(binding, session.clone()))?;
    write.open_table(SESSIONS)?.insert(session.id.as_str(), record.as_slice())?;
    Ok(Rotation::Rotated(session))
}

/// Removes what ended before `at`; what was removed.
fn purge(write: &WriteTransaction, at: u64) -> Result<Purged, Error> {
    let mut gone = Purged::default();
    write.open_table(SESSIONS)?.retain(|id, bytes| {
        let keep = !decode::<Session>(bytes).is_ok_and(|session| session.expires < at);
        if !keep {
            gone.sessions.insert(id.to_owned());
        }
        keep
    })?;
    if !gone.sessions.is_empty() {
        write.open_table(REFRESH)?.retain(|_, bytes| {
            let keep = !decode::<Refresh>(bytes).is_ok_and(|refresh| gone.sessions.contains(&refresh.session));
            gone.refresh += usize::from(!keep);
            keep
        })?;
    }
    write.open_table(OPAQUE)?.retain(|hash, bytes| {
        let keep = !decode::<OpaqueToken>(bytes).is_ok_and(|token| token.expires < at);
        if !keep && let Ok(hash) = hash_of(hash) {
            gone.opaque.insert(hash);
        }
        keep
    })?;
    write.open_table(REVOKED)?.retain(|id, until| {
        let keep = until.saturating_add(MARGIN) >= at;
        if !keep {
            gone.revoked.insert(id.to_owned());
        }
        keep
    })?;
    let mut meta = write.open_table(META)?;
    let mark = meta.get("purge_clock")?.map_or(0, |mark| mark.value());
    meta.insert("purge_clock", mark.max(at))?;
    Ok(gone)
}

#[derive(Default)]
struct Purged {
    sessions: HashSet<String>,
    refresh: usize,
    opaque: HashSet<TokenHash>,
    revoked: HashSet<String>,
}

impl Store for RedbStore {
    fn bound_to(&self, binding: &Binding) -> Arc<dyn Store> {
        Arc::new(RedbStore { shared: Arc::clone(&self.shared), binding: binding.clone() })
    }

    fn create_session<'a>(&'a self, session: &'a Session, refresh: Option<&'a TokenHash>) -> Reply<'a, ()> {
        let (session, refresh, binding) = (session.clone(), refresh.copied(), self.binding.clone());
        self.on_disk(move |shared| {
            shared.change(
                |write| {
                    let record = encode(&Bound::new(&binding, session.clone()))?;
                    write.open_table(SESSIONS)?.insert(session.id.as_str(), record.as_slice())?;
                    if let Some(hash) = refresh {
                        let current = Refresh { session: session.id.clone(), state: RefreshState::Current };
                        write.open_table(REFRESH)?.insert(hash.bytes().as_slice(), encode(&current)?.as_slice())?;
                    }
                    Ok(())
                },
                |memory, ()| {
                    if session.revoked.is_none() {
                        memory.live.insert(session.id.clone(), binding.as_str().into());
                    }
                },
            )
        })
    }

    fn rotate<'a>(&'a self, old: &'a TokenHash, new: &'a TokenHash, now: u64) -> Reply<'a, Rotation> {
        let (tokens, binding) = ((*old, *new), self.binding.clone());
        self.on_disk(move |shared| shared.rotate(&binding, tokens, now))
    }

    fn revoke_session<'a>(&'a self, id: &'a str, now: u64) -> Reply<'a, bool> {
        let (id, binding) = (id.to_owned(), self.binding.clone());
        self.on_disk(move |shared| {
            // In memory first: a disk that is full must not keep a session alive.
            let mut memory = shared.memory_mut();
            if memory.is_live(&id, &binding) {
                memory.live.remove(&id);
                drop(memory);
                shared.announce();
            } else {
                drop(memory);
            }
            // Where it is another gateway's nothing is changed.
            shared.change(|write| revoke(write, &binding, &id, now), |_, _| {})
        })
    }

    fn revoke_token<'a>(&'a self, token_id: &'a str, until: u64, _now: u64) -> Reply<'a, ()> {
        let id = self.binding.scoped(token_id);
        self.on_disk(move |shared| {
            let known = shared.memory().revoked.get(&id).copied().unwrap_or(0);
            let until = until.max(known);
            shared.memory_mut().revoked.insert(id.clone(), until);
            shared.announce();
            shared.change(
                |write| write.open_table(REVOKED)?.insert(id.as_str(), until).map(drop).map_err(Error::from),
                |_, ()| {},
            )
        })
    }

    fn is_revoked<'a>(&'a self, session: Option<&'a str>, token_id: &'a str) -> Reply<'a, bool> {
        let memory = self.shared.memory();
        let revoked = !memory.revoked.is_empty()
            && (memory.revoked.contains_key(&self.binding.scoped(token_id)) || memory.revoked.contains_key(token_id));
        let dead = revoked || session.is_some_and(|id| !memory.is_live(id, &self.binding));
        Box::pin(std::future::ready(Ok(dead)))
    }

    fn session<'a>(&'a self, id: &'a str) -> Reply<'a, Option<Session>> {
        let (id, binding) = (id.to_owned(), self.binding.clone());
        self.on_disk(move |shared| {
            shared.use_database(|database| {
                session_in(&database.begin_read()?.open_table(SESSIONS)?, id.as_str(), &binding)
            })
        })
    }

    fn session_of<'a>(&'a self, refresh: &'a TokenHash) -> Reply<'a, Option<String>> {
        let (hash, binding) = (*refresh, self.binding.clone());
        self.on_disk(move |shared| {
            shared.use_database(|database| {
                let read = database.begin_read()?;
                let refresh: Option<Refresh> = get(&read.open_table(REFRESH)?, hash.bytes().as_slice())?;
                let Some(refresh) = refresh else { return Ok(None) };
                let session = session_in(&read.open_table(SESSIONS)?, refresh.session.as_str(), &binding)?;
                Ok(session.map(|session| session.id))
            })
        })
    }

    fn list_sessions(&self, now: u64) -> Reply<'_, Vec<Session>> {
        let binding = self.binding.clone();
        self.on_disk(move |shared| {
            shared.use_database(|database| {
                let table = database.begin_read()?.open_table(SESSIONS)?;
                let mut all = Vec::new();
                for entry in table.iter()? {
                    all.extend(decode::<Bound<Session>>(entry?.1.value())?.of(&binding));
                }
                all.retain(|session| session.expires > now);
                all.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
                Ok(all)
            })
        })
    }

    fn put_opaque<'a>(&'a self, hash: &'a TokenHash, token: &'a OpaqueToken, _now: u64) -> Reply<'a, ()> {
        let (hash, token) = (*hash, Bound::new(&self.binding, token.clone()));
        self.on_disk(move |shared| {
            shared.change(
                |write| {
                    write.open_table(OPAQUE)?.insert(hash.bytes().as_slice(), encode(&token)?.as_slice())?;
                    Ok(())
                },
                |memory, ()| drop(memory.opaque.insert(hash, token.clone())),
            )
        })
    }

    fn opaque<'a>(&'a self, hash: &'a TokenHash, now: u64) -> Reply<'a, Option<OpaqueToken>> {
        let token = self.shared.memory().opaque.get(hash).cloned();
        let token = token.and_then(|token| token.of(&self.binding)).filter(|token| token.expires > now);
        Box::pin(std::future::ready(Ok(token)))
    }

    fn purge(&self, now: u64) -> Reply<'_, usize> {
        self.on_disk(move |shared| {
            let at = shared.purge_now(now);
            let gone = shared.change(
                |write| purge(write, at),
                |memory, gone| {
                    memory.live.retain(|id, _| !gone.sessions.contains(id));
                    memory.opaque.retain(|hash, _| !gone.opaque.contains(hash));
                    memory.revoked.retain(|id, _| !gone.revoked.contains(id));
                },
            )?;
            Ok(gone.sessions.len() + gone.refresh + gone.opaque.len() + gone.revoked.len())
        })
    }

    fn remember_tenant<'a>(&'a self, name: &'a TenantName) -> Reply<'a, ()> {
        let name = name.to_owned();
        self.on_disk(move |shared| {
            shared.change(
                |write| write.open_table(TENANTS)?.insert(name.as_str(), ()).map(drop).map_err(Error::from),
                |_, ()| {},
            )
        })
    }

    fn tenants(&self) -> Reply<'_, Vec<String>> {
        self.on_disk(|shared| {
            shared.use_database(|database| {
                let table = database.begin_read()?.open_table(TENANTS)?;
                table.iter()?.map(|entry| Ok(entry?.0.value().to_owned())).collect()
            })
        })
    }

    fn health(&self) -> Reply<'_, ()> {
        self.on_disk(|shared| shared.use_database(|database| database.begin_read().map(drop).map_err(Error::from)))
    }

    fn revocations(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }
}
