//! The keys of an outside issuer from its URL, kept up to date in the background.
//!
//! What must hold: no request fetches, and none waits long for a fetch; the last
//! good keys outlive an issuer that is away, but only as long as configured, and
//! then there are none; unknown key ids, which anybody can make up, cause no more
//! fetches than one in the configured time.

use super::fetch::{HttpsSource, shown};
use super::{KeyError, KeyRing};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Where keys are, and how long they count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSettings {
    /// `https://…`
    pub url: String,
    /// The one authority that vouches for its server; the system's roots where absent.
    pub ca: Option<PathBuf>,
    /// Between two fetches.
    pub refresh: Duration,
    /// How long the last good answer counts while there is no new one.
    pub max_age: Duration,
    /// The least time between two fetches, whatever asks for them.
    pub retry: Duration,
}

/// The keys behind a URL.
pub struct RemoteKeys {
    settings: RemoteSettings,
    source: HttpsSource,
    state: RwLock<State>,
    /// Somebody wants a fetch now.
    wanted: Notify,
    /// Counts fetches that ended, well or not.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    current: Arc<KeyRing>,
    /// What they were read from.
    answer: Bytes,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    fetching: bool,
    loads: u64,
    fault: Option<String>,
}

impl RemoteKeys {
    /// Checks the settings. Nothing is fetched yet.
    ///
    /// # Errors
    /// The URL is not acceptable, or nobody can vouch for its server.
    pub fn new(settings: RemoteSettings) -> Result<RemoteKeys, KeyError> {
        let wrong = |reason| KeyError::Refused { place: shown(&settings.url), reason };
        if settings.refresh.is_zero() || settings.retry.is_zero() {
            return Err(wrong("would be fetched without a pause: refresh and retry are at least a second"));
        }
        if settings.max_age < settings.refresh {
            return Err(wrong("has a maximum age that is shorter than the time between two fetches"));
        }
        let source = HttpsSource::new(&settings.url, settings.ca.as_deref())?;
        Ok(RemoteKeys {
            settings,
            source,
            state: RwLock::default(),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
        })
    }

    /// Fetches now, whatever the pauses say.
    pub async fn fetch(&self) {
        {
            let mut state = self.write();
            (state.fetching, state.tried) = (true, Some(Instant::now()));
        }
        let answer = self.source.get().await;
        let place = shown(&self.settings.url);
        let mut state = self.write();
        state.fetching = false;
        let known = answer.as_ref().is_ok_and(|bytes| state.fetched.is_some() && *bytes == state.answer);
        let loaded = answer.map_err(|error| error.to_string()).and_then(|bytes| {
            let ring = if known { Arc::clone(&state.current) } else { Arc::new(read(&bytes, &place)?) };
            Ok((bytes, ring))
        });
        match loaded {
            Ok((bytes, ring)) => {
                state.fetched = Some(Instant::now());
                state.fault = None;
                if !known {
                    (state.answer, state.current) = (bytes, ring);
                    state.loads += 1;
                }
            }
            Err(why) => state.fault = Some(format!("{place}: {why}")),
        }
        drop(state);
        self.ended.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Fetches at its interval, when it is wanted, and sooner after a failure,
    /// for as long as somebody uses the keys.
    async fn keep(keys: Weak<RemoteKeys>) {
        loop {
            let Some(this) = keys.upgrade() else { return };
            this.fetch().await;
            let failed = this.read().fault.is_some();
            let pause = if failed { this.settings.retry.min(this.settings.refresh) } else { this.settings.refresh };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = this.wanted.notified() => {}
                // Nobody else holds them: they are done with.
                () = unused(&this) => return,
            }
        }
    }

    /// Has the keys fetched soon, unless they were just now; waits for a fetch
    /// that is under way, at most `patience`. False if there was none to wait for.
    pub async fn ask_again(&self, patience: Duration) -> bool {
        let mut ended = self.ended.subscribe();
        {
            let mut state = self.write();
            if !state.fetching {
                if state.tried.is_some_and(|tried| tried.elapsed() < self.settings.retry) {
                    return false;
                }
                state.tried = Some(Instant::now());
                self.wanted.notify_one();
            }
        }
        matches!(tokio::time::timeout(patience, ended.changed()).await, Ok(Ok(())))
    }

    /// The keys, if they are there and not too old; otherwise why not.
    ///
    /// # Errors
    /// There are none that count.
    pub fn usable(&self) -> Result<Arc<KeyRing>, String> {
        let state = self.read();
        if self.counts(&state) {
            return Ok(Arc::clone(&state.current));
        }
        let why = state.fault.clone().unwrap_or_else(|| "they have not been fetched yet".to_owned());
        Err(match state.fetched {
            Some(_) => format!("the last are older than {} s; {why}", self.settings.max_age.as_secs()),
            None => why,
        })
    }

    /// Why the last fetch brought nothing.
    pub fn fault(&self) -> Option<String> {
        self.read().fault.clone()
    }

    /// Changes whenever the keys do, and when they no longer count.
    pub fn generation(&self) -> u64 {
        let state = self.read();
        state.loads * 2 + u64::from(!self.counts(&state))
    }

    fn counts(&self, state: &State) -> bool {
        state.fetched.is_some_and(|fetched| fetched.elapsed() <= self.settings.max_age)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(bytes: &[u8], place: &str) -> Result<KeyRing, String> {
    KeyRing::from_outside(bytes, place).map_err(|error| error.to_string())
}

/// Returns once the keeper alone holds the keys; looked at now and then.
async fn unused(keys: &Arc<RemoteKeys>) {
    while Arc::strong_count(keys) > 1 {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// All URLs that keys come from. They outlive a reload of the configuration: an
/// issuer that is away at that moment keeps its last good keys.
#[derive(Default)]
pub struct Remotes(Mutex<Vec<Weak<RemoteKeys>>>);

impl Remotes {
    /// The keys of a URL: those that are there already, where somebody uses
    /// them with the same settings. Within a runtime they are fetched at once
    /// and kept up to date; elsewhere only by [`RemoteKeys::fetch`].
    ///
    /// # Errors
    /// As [`RemoteKeys::new`].
    pub fn open(&self, settings: RemoteSettings) -> Result<Arc<RemoteKeys>, KeyError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|keys| keys.strong_count() > 0);
        if let Some(known) = all.iter().filter_map(Weak::upgrade).find(|keys| keys.settings == settings) {
            return Ok(known);
        }
        let keys = Arc::new(RemoteKeys::new(settings)?);
        all.push(Arc::downgrade(&keys));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Whoever asks before the first fetch has begun waits for that one.
            keys.write().fetching = true;
            runtime.spawn(RemoteKeys::keep(Arc::downgrade(&keys)));
        }
        Ok(keys)
    }

    /// Why the last fetches brought nothing, for the operator.
    pub fn faults(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).filter_map(|keys| keys.fault()).collect()
    }
}
