//! Sessions, and the rule of rotation.

use serde::{Deserialize, Serialize};

use crate::name::{NameError, RoleName, StoredName, TenantName};

/// A family of refresh tokens and the access tokens issued with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its identifier: `sid` of its tokens.
    pub id: String,
    /// `sub` of its tokens.
    pub subject: String,
    /// The tenant; `None` is the operator's own view.
    pub tenant: Option<StoredName<TenantName>>,
    /// The role.
    pub role: StoredName<RoleName>,
    /// How long its access tokens live, in seconds.
    pub lifetime: u64,
    /// When it began.
    pub created: u64,
    /// When it ends, however often it was refreshed.
    pub expires: u64,
    /// When it was last refreshed, or began.
    pub refreshed: u64,
    /// When it was revoked, if it was.
    pub revoked: Option<u64>,
}

/// A tenant, if there is one, and a role.
type Names<'a> = (Option<&'a TenantName>, &'a RoleName);

fn names<'a>(
    tenant: Option<&'a StoredName<TenantName>>,
    role: &'a StoredName<RoleName>,
) -> Result<Names<'a>, NameError> {
    Ok((tenant.map(StoredName::name).transpose()?, role.name()?))
}

impl Session {
    /// Its tenant and role.
    ///
    /// # Errors
    /// One of them cannot be: the record was written under an older rule.
    pub fn names(&self) -> Result<Names<'_>, NameError> {
        names(self.tenant.as_ref(), &self.role)
    }
}

impl OpaqueToken {
    /// Its tenant and role.
    ///
    /// # Errors
    /// As [`Session::names`].
    pub fn names(&self) -> Result<Names<'_>, NameError> {
        names(self.tenant.as_ref(), &self.role)
    }
}

/// What an opaque access token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpaqueToken {
    /// Its identifier: what `jti` is to a JWT.
    pub token_id: String,
    /// `sub`.
    pub subject: String,
    /// The tenant; `None` is the operator's own view.
    pub tenant: Option<StoredName<TenantName>>,
    /// The role.
    pub role: StoredName<RoleName>,
    /// The session it belongs to.
    pub session: Option<String>,
    /// When it ends.
    pub expires: u64,
}

/// A rotation within so many seconds after another of the same token is taken
/// for a race of two requests of one client.
pub const RACE_SECONDS: u64 = 1;

/// A client that never saw the answer (a crash between commit and answer, a
/// lost connection) may present the previous token again for so many seconds.
pub const RETRY_SECONDS: u64 = 10;

/// What became of a rotation.
///
/// Presenting a token that was rotated already is one of three things. A *race*:
/// it was rotated at most [`RACE_SECONDS`] ago; nothing is given and nothing
/// is revoked, so that of any number of requests at once exactly one wins and
/// the session lives. A *retry*: at most [`RETRY_SECONDS`] ago, the successor
/// was never used, and it is the first retry; the successor is replaced, which
/// makes it a used token itself: were the retry a thief's, the owner's next
/// refresh shows the theft. *Reuse* otherwise: the family is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The new token is the session's current one.
    Rotated(Session),
    /// Another request has just rotated this token.
    Raced,
    /// The token had been used: the family of this session is revoked now.
    Reused(String),
    /// The session was revoked or has expired.
    Ended(String),
    /// No such token.
    Unknown,
}

/// What is kept of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refresh {
    pub(super) session: String,
    pub(super) state: RefreshState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RefreshState {
    /// The one that may be used.
    Current,
    /// It was rotated at `at`; its successor is the token of this hash.
    Rotated { at: u64, successor: [u8; 32], retried: bool },
    /// The answer that carried it was lost, and another took its place.
    Replaced,
}

/// What the rule says of a token that is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Rotate,
    Race,
    Retry,
    Reuse,
}

/// The rule of [`Rotation`]; `rotate.lua` says the same.
pub(super) fn judge(state: &RefreshState, successor_unused: bool, now: u64) -> Verdict {
    match state {
        RefreshState::Current => Verdict::Rotate,
        RefreshState::Replaced => Verdict::Reuse,
        // A clock that ran back, or a gateway's whose clock is behind.
        RefreshState::Rotated { at, .. } if now.saturating_add(RACE_SECONDS) < *at => Verdict::Reuse,
        RefreshState::Rotated { at, .. } if now <= at.saturating_add(RACE_SECONDS) => Verdict::Race,
        RefreshState::Rotated { at, retried: false, .. }
            if successor_unused && now <= at.saturating_add(RETRY_SECONDS) =>
        {
            Verdict::Retry
        }
        RefreshState::Rotated { .. } => Verdict::Reuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_rotation() {
        let rotated = |at, retried| RefreshState::Rotated { at, successor: [0; 32], retried };
        let cases = [
            (RefreshState::Current, true, 100, Verdict::Rotate),
            (RefreshState::Replaced, true, 100, Verdict::Reuse),
            (rotated(100, false), true, 98, Verdict::Reuse),
            (rotated(100, false), true, 99, Verdict::Race),
            (rotated(100, false), true, 100, Verdict::Race),
            (rotated(100, false), true, 101, Verdict::Race),
            (rotated(100, false), true, 102, Verdict::Retry),
            (rotated(100, false), true, 110, Verdict::Retry),
            (rotated(100, false), true, 111, Verdict::Reuse),
            (rotated(100, false), false, 105, Verdict::Reuse),
            (rotated(100, true), true, 105, Verdict::Reuse),
            (rotated(u64::MAX, false), true, u64::MAX, Verdict::Race),
        ];
        for (state, unused, now, verdict) in cases {
            assert_eq!(judge(&state, unused, now), verdict, "{state:?} at {now}, successor unused: {unused}");
        }
    }
}
