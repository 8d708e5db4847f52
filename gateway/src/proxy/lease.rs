//! How long a stream may stay open: as long as its token, and not once it is revoked.

use std::time::Duration;

use tokio::sync::watch;

use super::now;
use crate::Identity;
use crate::gate::Sessions;

/// The wall clock may jump; it is looked at again after this long.
const LOOK: Duration = Duration::from_secs(20);

/// How long an open stream outlives its store.
const GRACE: Duration = Duration::from_secs(5);
/// How often a store that is gone is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// What ends an exchange before its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The token's time is over.
    Expired,
    /// The token or its session was revoked.
    Revoked,
    /// The store can no longer tell.
    StoreGone,
}

impl End {
    /// The word for the audit log.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Expired => "token expired",
            Self::Revoked => "token revoked",
            Self::StoreGone => "store gone",
        }
    }
}

/// The right to go on.
pub(super) struct Lease<'a> {
    identity: &'a Identity,
    sessions: &'a dyn Sessions,
    changes: watch::Receiver<u64>,
}

impl<'a> Lease<'a> {
    /// A lease and whether it holds now. Changes are followed from before the
    /// question, so that none is missed after it.
    pub(super) async fn begin(identity: &'a Identity, sessions: &'a dyn Sessions) -> Result<Self, End> {
        let mut changes = sessions.changes();
        changes.mark_unchanged();
        let lease = Self { identity, sessions, changes };
        lease.ask().await?;
        Ok(lease)
    }

    async fn ask(&self) -> Result<(), End> {
        if now() >= self.identity.expires {
            return Err(End::Expired);
        }
        match self.sessions.is_revoked(self.identity).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(End::Revoked),
            Err(_) => Err(End::StoreGone),
        }
    }

    /// As `ask`, but a store that restarts has a moment for it: streams that are
    /// open outlive that, new requests do not.
    async fn ask_patiently(&self) -> Result<(), End> {
        let deadline = tokio::time::Instant::now() + GRACE;
        loop {
            match self.ask().await {
                Err(End::StoreGone) if tokio::time::Instant::now() < deadline => tokio::time::sleep(AGAIN).await,
                answer => return answer,
            }
        }
    }

    /// Returns when the lease is over.
    pub(super) async fn ended(&mut self) -> End {
        loop {
            let left = Duration::from_secs(self.identity.expires.saturating_sub(now()));
            if left.is_zero() {
                return End::Expired;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(LOOK)) => {}
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return End::StoreGone;
                    }
                    if let Err(end) = self.ask_patiently().await {
                        return end;
                    }
                }
            }
        }
    }
}
