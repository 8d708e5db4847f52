//! When an open stream must end.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Store, StoreError};

/// Why a stream must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The token's `exp` has come.
    Expired,
    /// The token or its session was revoked.
    Revoked,
    /// The store cannot be asked whether it was.
    StoreGone(StoreError),
}

/// How long a stream outlives its store: a restart of it, no more.
const STORE_GRACE: Duration = Duration::from_secs(5);
/// How often a store that is gone is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// The longest sleep before the wall clock is looked at again: a clock that is
/// set forward ends streams within this time.
const LOOK: Duration = Duration::from_secs(30);

/// Waits until a stream that was opened with a token must end, and says why.
/// To be raced against the stream itself.
pub async fn until_ended(store: Arc<dyn Store>, session: Option<String>, token_id: String, expires: u64) -> Ended {
    let mut revocations = store.revocations();
    loop {
        let left = expires.saturating_sub(unix_now());
        if left == 0 {
            return Ended::Expired;
        }
        // Marked as seen before asking: what comes while asking wakes the next wait.
        revocations.mark_unchanged();
        if let Some(end) = ask(&*store, session.as_deref(), &token_id).await {
            return end;
        }
        tokio::select! {
            changed = revocations.changed() => if changed.is_err() {
                // The store itself was dropped: the program is ending.
                return Ended::StoreGone(StoreError::Unavailable { store: String::new(), reason: "it was closed".to_owned() });
            },
            () = tokio::time::sleep(Duration::from_secs(left).min(LOOK)) => {}
        }
    }
}

async fn ask(store: &dyn Store, session: Option<&str>, token_id: &str) -> Option<Ended> {
    let deadline = tokio::time::Instant::now() + STORE_GRACE;
    loop {
        match store.is_revoked(session, token_id).await {
            Ok(true) => return Some(Ended::Revoked),
            Ok(false) => return None,
            Err(error) if tokio::time::Instant::now() >= deadline => return Some(Ended::StoreGone(error)),
            Err(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
}
