//! Keys that follow their files while the gateway runs.
//!
//! What must hold: at most one look at the files a second; what cannot be
//! loaded (half written, say) leaves the last good keys in force and is
//! reported; without a first good load there is nothing to hold.

use super::{KeyError, KeyRing, RemoteKeys};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The time between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is known of a file without reading it.
type FileState = (PathBuf, u64, u64, u64, u32, [i64; 4]);

/// A value loaded from a file or directory, kept up to date.
pub struct Reloading<T> {
    path: PathBuf,
    load: fn(&Path) -> Result<T, KeyError>,
    started: Instant,
    /// Milliseconds from `started` to the next look.
    next_look: AtomicU64,
    state: RwLock<State<T>>,
}

struct State<T> {
    current: Arc<T>,
    seen: Vec<FileState>,
    generation: u64,
    fault: Option<String>,
}

/// What a look at the files found.
#[derive(Debug)]
pub enum Reload {
    /// Nothing changed.
    Same,
    /// New keys are in force.
    Loaded,
    /// The files changed but cannot be loaded; the last good keys stay in force.
    Kept(KeyError),
}

impl<T> Reloading<T> {
    /// Loads for the first time.
    ///
    /// # Errors
    /// The loader's: without one good load there is nothing to fall back on.
    pub fn open(path: impl Into<PathBuf>, load: fn(&Path) -> Result<T, KeyError>) -> Result<Reloading<T>, KeyError> {
        let path = path.into();
        let seen = look(&path);
        let state = State { current: Arc::new(load(&path)?), seen, generation: 0, fault: None };
        let next_look = AtomicU64::new(millis(INTERVAL));
        Ok(Reloading { path, load, started: Instant::now(), next_look, state: RwLock::new(state) })
    }

    /// The value in force; looks at the files if the last look is a second ago.
    pub fn current(&self) -> Arc<T> {
        let passed = millis(self.started.elapsed());
        let next = self.next_look.load(Ordering::Relaxed);
        if passed >= next
            && self
                .next_look
                .compare_exchange(next, passed + millis(INTERVAL), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.refresh();
        }
        Arc::clone(&self.read().current)
    }

    /// Looks at the files now.
    pub fn refresh(&self) -> Reload {
        // Looked at before loading: a change while loading is seen the next time.
        let seen = look(&self.path);
        {
            let state = self.read();
            if state.seen == seen && state.fault.is_none() {
                return Reload::Same;
            }
        }
        let loaded = (self.load)(&self.path);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.seen = seen;
        match loaded {
            Ok(value) => {
                state.current = Arc::new(value);
                state.generation += 1;
                state.fault = None;
                Reload::Loaded
            }
            Err(error) => {
                state.fault = Some(error.to_string());
                Reload::Kept(error)
            }
        }
    }

    /// Why the last look left the old keys in force, for the log and `/healthz`.
    pub fn fault(&self) -> Option<String> {
        self.read().fault.clone()
    }

    /// Counts the loads after the first: what was derived from an older one is stale.
    pub fn generation(&self) -> u64 {
        self.read().generation
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The state of a file, or of a directory with what lies in it and one level below.
fn look(path: &Path) -> Vec<FileState> {
    let mut found = Vec::new();
    look_into(path, 2, &mut found);
    found.sort();
    found
}

fn look_into(path: &Path, depth: u8, found: &mut Vec<FileState>) {
    let Ok(meta) = std::fs::metadata(path) else { return };
    let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
    found.push((path.to_owned(), meta.dev(), meta.ino(), meta.size(), meta.mode(), times));
    if meta.is_dir() && depth > 0 {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            look_into(&entry.path(), depth - 1, found);
        }
    }
}

/// Where a verifier or a signer has its keys from.
#[derive(Clone)]
pub enum KeySource {
    /// Keys that stay as they are.
    Fixed(Arc<KeyRing>),
    /// Keys that follow their files.
    Live(Arc<Reloading<KeyRing>>),
    /// Keys that follow a URL.
    Remote(Arc<RemoteKeys>),
}

impl KeySource {
    /// Follows a directory of keys ([`KeyRing::load_dir`]).
    ///
    /// # Errors
    /// The first load fails.
    pub fn follow_dir(dir: impl Into<PathBuf>) -> Result<KeySource, KeyError> {
        Ok(KeySource::Live(Arc::new(Reloading::open(dir, KeyRing::load_dir)?)))
    }

    /// Follows the pinned key set of an outside issuer ([`KeyRing::load_outside`]).
    ///
    /// # Errors
    /// The first load fails.
    pub fn follow_outside(path: impl Into<PathBuf>) -> Result<KeySource, KeyError> {
        Ok(KeySource::Live(Arc::new(Reloading::open(path, KeyRing::load_outside)?)))
    }

    /// The keys in force.
    pub fn current(&self) -> Arc<KeyRing> {
        self.usable().unwrap_or_default()
    }

    /// As [`KeySource::current`], but where there can be none, why.
    ///
    /// # Errors
    /// The keys come from a URL, and what came from there last does not count any more.
    pub fn usable(&self) -> Result<Arc<KeyRing>, String> {
        match self {
            KeySource::Fixed(ring) => Ok(Arc::clone(ring)),
            KeySource::Live(live) => Ok(live.current()),
            KeySource::Remote(remote) => remote.usable(),
        }
    }

    /// Looks at the files now (on a signal, say).
    pub fn refresh(&self) -> Reload {
        match self {
            KeySource::Fixed(_) | KeySource::Remote(_) => Reload::Same,
            KeySource::Live(live) => live.refresh(),
        }
    }

    /// Why the last look left the old keys in force.
    pub fn fault(&self) -> Option<String> {
        match self {
            KeySource::Fixed(_) => None,
            KeySource::Live(live) => live.fault(),
            KeySource::Remote(remote) => remote.fault(),
        }
    }

    /// Changes whenever the keys do. Looks at the files as [`KeySource::current`]
    /// does, so that a remembered verdict is not kept for want of a look.
    pub fn generation(&self) -> u64 {
        match self {
            KeySource::Fixed(_) => 0,
            KeySource::Live(live) => {
                drop(live.current());
                live.generation()
            }
            KeySource::Remote(remote) => remote.generation(),
        }
    }
}

impl From<KeyRing> for KeySource {
    fn from(ring: KeyRing) -> KeySource {
        KeySource::Fixed(Arc::new(ring))
    }
}

impl From<Arc<KeyRing>> for KeySource {
    fn from(ring: Arc<KeyRing>) -> KeySource {
        KeySource::Fixed(ring)
    }
}

impl From<Arc<Reloading<KeyRing>>> for KeySource {
    fn from(live: Arc<Reloading<KeyRing>>) -> KeySource {
        KeySource::Live(live)
    }
}
