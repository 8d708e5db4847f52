//! The same work for many hosts at once.

use anyhow::Context;
use std::sync::{Mutex, PoisonError};

/// Does the same for all hosts, `forks` at a time; the results are in the
/// hosts' order. A host's failure is its own.
///
/// # Errors
/// A host was not worked on: its work has panicked.
pub fn for_each_host<T: Send, R: Send>(
    hosts: Vec<T>,
    forks: usize,
    work: impl Fn(T) -> R + Sync,
) -> anyhow::Result<Vec<R>> {
    let count = hosts.len();
    let queue = Mutex::new(hosts.into_iter().enumerate());
    let results = Mutex::new((0..count).map(|_| None).collect::<Vec<Option<R>>>());
    std::thread::scope(|scope| {
        for _ in 0..forks.clamp(1, count.max(1)) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, host)) = next else { break };
                    let result = work(host);
                    if let Some(slot) = results.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                        *slot = Some(result);
                    }
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().collect::<Option<Vec<R>>>().context("a host was not worked on")
}
