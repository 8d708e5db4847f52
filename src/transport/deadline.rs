//! One time limit over several waits: TCP, banner, key exchange, login.
//!
//! The time an operator takes to answer a question does not count.

use super::TransportError;
use std::time::{Duration, Instant};

/// When a connection must stand.
#[derive(Debug)]
pub(super) struct Deadline {
    host: String,
    limit: Duration,
    at: Instant,
}

impl Deadline {
    /// Starts the clock.
    pub(super) fn new(host: &str, limit: Duration) -> Deadline {
        let now = Instant::now();
        // A limit too large for the clock is no limit that anyone waits for.
        let at = now.checked_add(limit).unwrap_or(now + Duration::from_secs(86_400 * 365));
        Deadline { host: host.to_owned(), limit, at }
    }

    /// What is left.
    ///
    /// # Errors
    /// [`TransportError::Timeout`] when nothing is.
    pub(super) fn left(&self, doing: &str) -> Result<Duration, TransportError> {
        let left = self.at.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(timeout(&self.host, self.limit, doing)) } else { Ok(left) }
    }

    /// Runs a question to the operator with the clock stopped.
    pub(super) fn paused<T>(&mut self, question: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let answer = question();
        self.extend(began.elapsed());
        answer
    }

    /// Moves the end: that much time was the operator's.
    pub(super) fn extend(&mut self, by: Duration) {
        self.at = self.at.checked_add(by).unwrap_or(self.at);
    }
}

/// The error for a limit that passed.
pub(super) fn timeout(host: &str, limit: Duration, doing: &str) -> TransportError {
    let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
    TransportError::Timeout { host: host.to_owned(), seconds, doing: doing.to_owned() }
}
