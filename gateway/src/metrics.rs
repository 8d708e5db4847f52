//! Counters in Prometheus' text format (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// Upper bounds of the latency histogram, in microseconds.
const BOUNDS: [u64; 12] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000];

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: RwLock<BTreeMap<(&'static str, &'static str), AtomicU64>>,
    token_failures: RwLock<BTreeMap<String, AtomicU64>>,
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
    /// Client connections that are open.
    pub connections: AtomicI64,
    /// Streams (logs, events, attach, exec) that are open.
    pub streams: AtomicI64,
    /// Connections refused because a limit was reached.
    pub connections_refused: AtomicU64,
    /// Requests refused because a rate was exceeded.
    pub rate_limited: AtomicU64,
    /// Requests that ended because the daemon did not answer in time.
    pub daemon_timeouts: AtomicU64,
    /// 1 while the store answers.
    pub store_up: AtomicI64,
}

fn bump<K: Ord>(map: &RwLock<BTreeMap<K, AtomicU64>>, key: K) {
    {
        let read = map.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = read.get(&key) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
    }
    map.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().fetch_add(1, Ordering::Relaxed);
}

impl Metrics {
    /// Counts a request that ended, with how long it took. Streams do not enter
    /// the histogram: how long they last says nothing of the gateway.
    pub fn request(&self, operation: &'static str, decision: &'static str, took: Option<Duration>) {
        bump(&self.requests, (operation, decision));
        let Some(took) = took else { return };
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let slot = BOUNDS.iter().position(|bound| us <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[slot].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Counts a token that was refused. `reason` is one of the program's own words.
    pub fn token_failure(&self, reason: &str) {
        bump(&self.token_failures, reason.to_owned());
    }

    /// The page.
    #[must_use]
    pub fn render(&self, audit_failures: u64) -> String {
        let mut page = String::new();
        let family = |page: &mut String, name: &str, kind: &str| {
            let _ = writeln!(page, "# TYPE stockade_gateway_{name} {kind}");
        };
        family(&mut page, "requests_total", "counter");
        for ((operation, decision), count) in self.requests.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(
                page,
                "stockade_gateway_requests_total{{operation=\"{operation}\",decision=\"{decision}\"}} {count}"
            );
        }
        family(&mut page, "token_failures_total", "counter");
        for (reason, count) in self.token_failures.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let count = count.load(Ordering::Relaxed);
            let reason: String = reason.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()).collect();
            let _ = writeln!(page, "stockade_gateway_token_failures_total{{reason=\"{reason}\"}} {count}");
        }
        family(&mut page, "request_seconds", "histogram");
        let mut running = 0;
        for (bound, count) in
            BOUNDS.iter().map(|us| format!("{}", *us as f64 / 1e6)).chain(["+Inf".into()]).zip(&self.buckets)
        {
            running += count.load(Ordering::Relaxed);
            let _ = writeln!(page, "stockade_gateway_request_seconds_bucket{{le=\"{bound}\"}} {running}");
        }
        let _ =
            writeln!(page, "stockade_gateway_request_seconds_sum {}", self.sum_us.load(Ordering::Relaxed) as f64 / 1e6);
        let _ = writeln!(page, "stockade_gateway_request_seconds_count {running}");
        for (name, kind, value) in [
            ("connections", "gauge", self.connections.load(Ordering::Relaxed)),
            ("streams", "gauge", self.streams.load(Ordering::Relaxed)),
            ("store_up", "gauge", self.store_up.load(Ordering::Relaxed)),
            ("connections_refused_total", "counter", self.connections_refused.load(Ordering::Relaxed).cast_signed()),
            ("daemon_timeouts_total", "counter", self.daemon_timeouts.load(Ordering::Relaxed).cast_signed()),
            ("rate_limited_total", "counter", self.rate_limited.load(Ordering::Relaxed).cast_signed()),
            ("audit_write_failures_total", "counter", audit_failures.cast_signed()),
        ] {
            family(&mut page, name, kind);
            let _ = writeln!(page, "stockade_gateway_{name} {value}");
        }
        page
    }
}

/// Counts something that is open for as long as it lives.
pub struct Open<'a>(&'a AtomicI64);

impl<'a> Open<'a> {
    /// One more.
    pub fn new(gauge: &'a AtomicI64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_cumulative_buckets_and_clean_labels() {
        let metrics = Metrics::default();
        metrics.request("SystemPing", "allow", Some(Duration::from_micros(80)));
        metrics.request("SystemPing", "allow", Some(Duration::from_micros(800)));
        metrics.request("SystemEvents", "allow", None);
        metrics.token_failure("ex\"pi\nred");
        let page = metrics.render(3);
        for line in [
            "stockade_gateway_requests_total{operation=\"SystemPing\",decision=\"allow\"} 2",
            "stockade_gateway_request_seconds_bucket{le=\"0.0001\"} 1",
            "stockade_gateway_request_seconds_bucket{le=\"0.001\"} 2",
            "stockade_gateway_request_seconds_bucket{le=\"+Inf\"} 2",
            "stockade_gateway_token_failures_total{reason=\"expired\"} 1",
            "stockade_gateway_audit_write_failures_total 3",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }
}
