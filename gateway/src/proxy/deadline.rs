//! How long the daemon has for an answer.
//!
//! A daemon that hangs (stopped, deadlocked, its disk gone) must not hold
//! clients for ever: every answer that is not a stream has a limit, and a
//! stream's head has one where the daemon sends it before anything else. What
//! the client itself takes to read is not counted.
//!
//! Which handlers flush their head at once is read from moby v20.10.24 and
//! master: `getEvents`, `WriteLogStream` and `ContainerStats` flush before the
//! first entry, `postContainersAttach` and `postContainerExecStart` write theirs
//! when they take the connection over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Proxy;
use super::body::refused;
use crate::config::Limits;
use crate::policy::Operation;
use crate::{Forward, Refusal};

/// A client is writing; asked again after this long.
const LOOK: Duration = Duration::from_millis(200);
/// How long a daemon that is at work may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// What of an answer has a limit, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// All of it, `answer_seconds`.
    Usual,
    /// All of it, `slow_answer_seconds`; every `answer_seconds` the daemon must
    /// answer a ping.
    Slow,
    /// All of it, `answer_seconds` after the time that the container has to stop.
    Stop,
    /// Its head, `answer_seconds`.
    Head,
    /// Nothing: it takes as long as the work does, and ends with the daemon.
    None,
}

impl Limit {
    /// The limit of an operation. `follows`: its answer may stay open with
    /// nothing said; `streams`: its request is a stream.
    pub(super) fn of(operation: Operation, follows: bool, streams: bool) -> Self {
        match operation {
            Operation::SystemEvents
            | Operation::ContainerLogs
            | Operation::ContainerStats
            | Operation::ContainerAttach
            | Operation::ExecStart => Self::Head,
            Operation::ContainerStop | Operation::ContainerRestart => Self::Stop,
            // A new volume gets a copy of what the image has there; a start waits for mounts and networks.
            Operation::ContainerCreate
            | Operation::ContainerStart
            | Operation::ContainerDelete
            | Operation::ContainerPrune
            | Operation::ImageDelete
            | Operation::ImagePrune
            | Operation::ImageCommit
            | Operation::ImageTag
            | Operation::BuildPrune
            | Operation::NetworkDelete
            | Operation::NetworkPrune
            | Operation::VolumeDelete
            | Operation::VolumePrune
            | Operation::SystemDataUsage => Self::Slow,
            _ if follows || streams => Self::None,
            _ => Self::Usual,
        }
    }

    /// Whether the answer is complete or late within a bounded time.
    pub(super) fn bounds_all(self) -> bool {
        matches!(self, Self::Usual | Self::Slow | Self::Stop)
    }
}

/// What the limit is measured by: when the daemon was asked, and how long it
/// was the client that was waited for.
#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    /// Milliseconds spent in writing to the client.
    client_ms: AtomicU64,
    /// Since when it is being written to, in milliseconds after `began` and one; 0 if it is not.
    writing: AtomicU64,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { began: Instant::now(), client_ms: AtomicU64::new(0), writing: AtomicU64::new(0) }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes the time of `write` for the client's.
    pub(super) async fn of_client<T>(&self, write: impl Future<Output = T>) -> T {
        let before = self.elapsed_ms();
        self.writing.store(before.saturating_add(1), Ordering::Relaxed);
        let done = write.await;
        self.client_ms.fetch_add(self.elapsed_ms().saturating_sub(before), Ordering::Relaxed);
        self.writing.store(0, Ordering::Relaxed);
        done
    }

    /// How long the daemon has had so far.
    fn of_daemon(&self) -> Duration {
        let (now, writing) = (self.elapsed_ms(), self.writing.load(Ordering::Relaxed));
        let under_way = if writing == 0 { 0 } else { now.saturating_sub(writing - 1) };
        let client = self.client_ms.load(Ordering::Relaxed).saturating_add(under_way);
        Duration::from_millis(now.saturating_sub(client))
    }

    /// Returns once the daemon has had `limit`.
    async fn passed(&self, limit: Duration) {
        loop {
            let left = limit.saturating_sub(self.of_daemon());
            if left.is_zero() {
                return;
            }
            let writing = self.writing.load(Ordering::Relaxed) != 0;
            tokio::time::sleep(if writing { left.max(LOOK) } else { left }).await;
        }
    }
}

impl Proxy {
    /// Returns, once the daemon is late, with the seconds that it has had.
    /// `headed`: the head of its answer has come.
    pub(super) async fn late(&self, forward: &Forward, limit: Limit, clock: &Clock, headed: impl Fn() -> bool) -> u64 {
        let Limits { answer_seconds: usual, slow_answer_seconds: slow, .. } = self.limits();
        if limit == Limit::None {
            return std::future::pending().await;
        }
        if matches!(limit, Limit::Usual | Limit::Head) {
            clock.passed(Duration::from_secs(usual)).await;
            if limit == Limit::Usual || !headed() {
                return usual;
            }
            return std::future::pending().await;
        }
        // Long work is one thing, a daemon that answers nobody another: it is asked
        // shortly before each end of `answer_seconds`.
        let within = PING_TIMEOUT.min(Duration::from_secs(usual) / 2);
        let (mut whole, mut asked) = ((limit == Limit::Slow).then_some(slow), usual);
        loop {
            let end = Duration::from_secs(asked);
            clock.passed(end.saturating_sub(within)).await;
            if whole.is_none() {
                let stop = tokio::time::timeout(within, self.time_to_stop(forward)).await;
                // What cannot be told is no reason to wait longer; a container may wait for ever.
                let stop = stop.ok().flatten().unwrap_or(Some(0));
                whole = Some(stop.map_or(u64::MAX, |seconds| seconds.saturating_add(usual)));
            }
            let whole = whole.unwrap_or(usual);
            if asked >= whole || !self.upstream.responds(within).await {
                clock.passed(end).await;
                return asked;
            }
            asked = asked.saturating_add(usual).min(whole);
        }
    }

    /// The seconds that `stop` and `restart` give a container: `t`, or what it
    /// was created with; `Some(None)` for no limit, by a negative number.
    async fn time_to_stop(&self, forward: &Forward) -> Option<Option<u64>> {
        let query = forward.path_and_query.split_once('?').map_or("", |(_, query)| query);
        let given = query.split('&').find_map(|pair| pair.strip_prefix("t=")).filter(|text| !text.is_empty());
        let seconds = match given {
            Some(text) => text.parse::<i64>().ok()?,
            None => self.upstream.stop_timeout(forward.object.as_deref().unwrap_or_default()).await.ok()?,
        };
        Some(u64::try_from(seconds).ok())
    }

    /// The refusal, counted.
    pub(super) fn too_late(&self, seconds: u64) -> Refusal {
        self.metrics.daemon_timeouts.fetch_add(1, Ordering::Relaxed);
        refused(503, "daemon.timeout", &format!("the Docker daemon has not answered within {seconds} s"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::routes::{BodyRule, Class, ROUTES, StreamRule};

    #[test]
    fn every_operation_that_ends_by_itself_has_a_limit() {
        for route in ROUTES.iter().filter(|route| route.class != Class::Never) {
            let streams = route.body == BodyRule::Stream;
            let limit = Limit::of(route.operation, route.stream != StreamRule::Plain, streams);
            if route.stream == StreamRule::Plain && !streams {
                assert!(limit.bounds_all(), "{}: {limit:?}", route.operation);
            }
            if route.stream == StreamRule::Hijack {
                assert_eq!(limit, Limit::Head, "{}", route.operation);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_a_client_takes_is_not_the_daemons() {
        let clock = Clock::start();
        tokio::time::sleep(Duration::from_secs(3)).await;
        clock.of_client(tokio::time::sleep(Duration::from_secs(50))).await;
        assert_eq!(clock.of_daemon(), Duration::from_secs(3));
        let before = Instant::now();
        let writing = clock.of_client(tokio::time::sleep(Duration::from_secs(40)));
        tokio::join!(clock.passed(Duration::from_secs(10)), writing);
        assert_eq!(before.elapsed().as_secs(), 47);
    }
}
