//! How long a stream may stay open: as long as its session is refreshed, and not
//! once it is revoked.
//!
//! A token that has no session bounds its stream by its own end. One that has
//! is renewed by its client (`POST /token`) while the stream goes on with the
//! token that it began with; so at the end of a token the session is looked at:
//! if it was refreshed since, for the same tenant and with a role that still
//! allows the operation, the stream goes on until the newest token's end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Proxy, now};
use crate::Identity;
use crate::policy::Operation;
use crate::sessions::Sessions;

/// The wall clock may jump; it is looked at again after this long.
const LOOK: Duration = Duration::from_secs(20);

/// How long an open stream outlives its store.
const GRACE: Duration = Duration::from_secs(5);
/// How often a store that is gone is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// How long a stream outlives a token whose session may just be being refreshed.
const RENEWAL_GRACE: Duration = Duration::from_secs(2);

/// What ends an exchange before its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The token's time is over.
    Expired,
    /// The token or its session was revoked.
    Revoked,
    /// The session's time is over, however often it was refreshed.
    SessionEnded,
    /// The session is another tenant's now, or its role does not allow the operation any more.
    Narrowed,
    /// The store can no longer tell.
    StoreGone,
}

impl End {
    /// The word for the audit log.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Expired => "token expired",
            Self::Revoked => "token revoked",
            Self::SessionEnded => "session ended",
            Self::Narrowed => "role narrowed",
            Self::StoreGone => "store gone",
        }
    }
}

/// The right to go on.
pub(super) struct Lease<'a> {
    proxy: &'a Proxy,
    identity: &'a Identity,
    sessions: &'a Sessions,
    changes: watch::Receiver<u64>,
    /// What is done under it, once that is decided.
    operation: Option<Operation>,
    /// The end of the newest token that is known, in seconds since 1970.
    until: u64,
}

impl<'a> Lease<'a> {
    /// A lease and whether it holds now. Changes are followed from before the
    /// question, so that none is missed after it.
    pub(super) async fn begin(proxy: &'a Proxy, identity: &'a Identity, sessions: &'a Sessions) -> Result<Self, End> {
        let mut changes = sessions.changes();
        changes.mark_unchanged();
        let lease = Self { proxy, identity, sessions, changes, operation: None, until: identity.expires };
        if now() >= lease.until {
            return Err(End::Expired);
        }
        lease.revoked().await?;
        Ok(lease)
    }

    /// Says what is done under it, without which it is never renewed.
    pub(super) fn of_operation(&mut self, operation: Operation) {
        self.operation = Some(operation);
    }

    async fn revoked(&self) -> Result<(), End> {
        match self.sessions.is_revoked(self.identity).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(End::Revoked),
            Err(_) => Err(End::StoreGone),
        }
    }

    /// As `revoked`, but a store that restarts has a moment for it: streams that
    /// are open outlive that, new requests do not.
    async fn revoked_patiently(&self) -> Result<(), End> {
        let deadline = Instant::now() + GRACE;
        loop {
            match self.revoked().await {
                Err(End::StoreGone) if Instant::now() < deadline => tokio::time::sleep(RETRY_INTERVAL).await,
                answer => return answer,
            }
        }
    }

    /// The end of the session's newest token, if that lies ahead.
    async fn renewal(&self) -> Result<Option<u64>, End> {
        let Some(operation) = self.operation else { return Err(End::Expired) };
        let state = self.sessions.session(self.identity).await.map_err(|_| End::StoreGone)?;
        let state = state.ok_or(End::Expired)?;
        if state.revoked {
            return Err(End::Revoked);
        }
        let now = now();
        if now >= state.expires {
            // A session that is never refreshed is one token.
            return Err(if self.until > self.identity.expires { End::SessionEnded } else { End::Expired });
        }
        // Of the policy as it is now, not as it was when the stream began.
        if state.tenant != self.identity.tenant || !self.proxy.services().policy.allows(&state.role, operation) {
            return Err(End::Narrowed);
        }
        let until = state.refreshed.saturating_add(state.lifetime).min(state.expires);
        Ok((until > now).then_some(until))
    }

    /// Asks for a renewal at the end of a token, for as long as one may be on
    /// its way or the store may be restarting.
    async fn renew(&self) -> Result<u64, End> {
        let began = Instant::now();
        loop {
            let (patience, end) = match self.renewal().await {
                Ok(Some(until)) => return Ok(until),
                Ok(None) => (RENEWAL_GRACE, End::Expired),
                Err(End::StoreGone) => (GRACE, End::StoreGone),
                Err(end) => return Err(end),
            };
            if began.elapsed() >= patience {
                return Err(end);
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Returns when the lease is over.
    pub(super) async fn ended(&mut self) -> End {
        loop {
            let left = Duration::from_secs(self.until.saturating_sub(now()));
            if left.is_zero() {
                match self.renew().await {
                    Ok(until) => self.until = until,
                    Err(end) => return end,
                }
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(LOOK)) => {}
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return End::StoreGone;
                    }
                    if let Err(end) = self.revoked_patiently().await {
                        return end;
                    }
                }
            }
        }
    }
}
