//! Rates and counts per client: token buckets in a table that cannot grow without bound.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A table larger than this is swept of those who have waited long enough.
const MAX_KEYS: usize = 16 * 1024;

struct Bucket {
    left: f64,
    seen: Instant,
}

/// So many requests a second for each key, with twice as many at once.
pub struct Rate<K> {
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash> Default for Rate<K> {
    fn default() -> Self {
        Self { buckets: Mutex::new(HashMap::new()) }
    }
}

impl<K: Eq + Hash> Rate<K> {
    /// Whether `key` may have one more at `now`, of `per_second`; 0 means no limit.
    pub fn allows(&self, key: K, per_second: u32, now: Instant) -> bool {
        if per_second == 0 {
            return true;
        }
        let (rate, burst) = (f64::from(per_second), f64::from(per_second) * 2.0);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_KEYS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| {
                bucket.left + now.saturating_duration_since(bucket.seen).as_secs_f64() * rate < burst
            });
            if buckets.len() >= MAX_KEYS {
                return false;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { left: burst, seen: now });
        bucket.left = (bucket.left + now.saturating_duration_since(bucket.seen).as_secs_f64() * rate).min(burst);
        bucket.seen = now;
        if bucket.left < 1.0 {
            return false;
        }
        bucket.left -= 1.0;
        true
    }
}

/// How many connections each address has open.
#[derive(Default)]
pub struct PerAddress {
    open: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection of an address, given back when dropped.
pub struct Slot {
    table: Arc<PerAddress>,
    address: IpAddr,
}

impl PerAddress {
    /// One more for `address`, unless it has `most` already.
    pub fn take(self: &Arc<Self>, address: IpAddr, most: u32) -> Option<Slot> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Slot { table: Arc::clone(self), address })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.table.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_rate_allows_its_burst_and_then_its_rate() {
        let (rate, start) = (Rate::default(), Instant::now());
        let granted = |at: Duration, tries: usize| (0..tries).filter(|_| rate.allows("a", 10, start + at)).count();
        assert_eq!(granted(Duration::ZERO, 50), 20);
        assert_eq!(granted(Duration::from_secs(1), 50), 10);
        assert!(rate.allows("b", 10, start));
        assert!((0..100).all(|_| rate.allows("c", 0, start)));
    }

    #[test]
    fn the_table_is_bounded() {
        let (rate, start) = (Rate::default(), Instant::now());
        for key in 0..2 * MAX_KEYS {
            rate.allows(key, 1, start);
        }
        assert!(rate.buckets.lock().unwrap_or_else(PoisonError::into_inner).len() <= MAX_KEYS);
        assert!(rate.allows(usize::MAX, 1, start + Duration::from_secs(60)));
    }

    #[test]
    fn a_slot_comes_back_when_its_connection_ends() {
        let table = Arc::new(PerAddress::default());
        let address = IpAddr::from([127, 0, 0, 1]);
        let first = table.take(address, 1);
        assert!(first.is_some() && table.take(address, 1).is_none());
        drop(first);
        assert!(table.take(address, 1).is_some());
    }
}
