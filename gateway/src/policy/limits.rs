//! Quotas: what one container may use. Zero does not mean unlimited: a limit
//! that is not given is the role's.

use serde_json::{Map, Value};

use super::super::Refusal;
use super::refusal::denied;
use super::roles::Role;

/// Docker's processor time is in billionths of one processor.
const NANO: f64 = 1e9;
/// The period Docker takes where none is given, in microseconds.
const PERIOD: i64 = 100_000;

fn int(map: &Map<String, Value>, name: &str) -> i64 {
    map.get(name).and_then(Value::as_i64).unwrap_or(0)
}

fn over(at: &str, member: &str, limit: impl std::fmt::Display) -> Refusal {
    denied(format!("{at}.{member}"), format!("{member} is over the role's quota of {limit}"))
}

fn memory_limit(role: &Role) -> Option<i64> {
    role.quotas.memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The role's processors in billionths.
pub fn nano(role: &Role) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation)] // at most 4096 processors: far below 2^63
    role.quotas.cpus.map(|cpus| (cpus * NANO) as i64)
}

/// Checks a new container's limits and writes the role's where there is none.
///
/// # Errors
/// The member that is over the quota.
pub fn on_create(role: &Role, host: &mut Map<String, Value>) -> Result<(), Refusal> {
    let at = "create.HostConfig";
    shared(role, host, at)?;
    if int(host, "MemorySwappiness") == -1 {
        host.shift_remove("MemorySwappiness");
    }
    if let Some(limit) = memory_limit(role) {
        if int(host, "Memory") == 0 {
            host.insert("Memory".to_owned(), limit.into());
        }
        if int(host, "ShmSize") > limit {
            return Err(over(at, "ShmSize", limit));
        }
    }
    if let Some(limit) = nano(role) {
        let period = int(host, "CpuPeriod");
        let quota = int(host, "CpuQuota");
        if int(host, "NanoCpus") == 0 && quota <= 0 {
            if period != 0 {
                return Err(denied(format!("{at}.CpuPeriod"), "CpuPeriod needs a CpuQuota"));
            }
            host.shift_remove("CpuQuota");
            host.insert("NanoCpus".to_owned(), limit.into());
        }
    }
    if let Some(limit) = role.quotas.pids
        && int(host, "PidsLimit") <= 0
    {
        host.insert("PidsLimit".to_owned(), limit.into());
    }
    for ulimit in host.get("Ulimits").and_then(Value::as_array).into_iter().flatten() {
        let name = ulimit.get("Name").and_then(Value::as_str).unwrap_or("");
        if !matches!(name, "nofile" | "nproc" | "core" | "stack" | "fsize" | "cpu" | "data" | "memlock") {
            return Err(denied(format!("{at}.Ulimits"), "this ulimit is not allowed"));
        }
    }
    Ok(())
}

/// Checks an update; what is not given stays as it is.
///
/// # Errors
/// The member that is over the quota.
pub fn on_update(role: &Role, body: &Map<String, Value>) -> Result<(), Refusal> {
    let at = "update";
    shared(role, body, at)?;
    // Here 0 is not "not given" but "no limit".
    if let Some(limit) = role.quotas.pids
        && body.get("PidsLimit").and_then(Value::as_i64).is_some_and(|pids| pids <= 0)
    {
        return Err(over(at, "PidsLimit", limit));
    }
    if let Some(limit) = nano(role) {
        let (period, quota) = (int(body, "CpuPeriod"), int(body, "CpuQuota"));
        if (period != 0 || quota != 0) && (period <= 0 || quota <= 0) {
            return Err(over(at, "CpuQuota", format!("{limit} billionths: give both CpuPeriod and CpuQuota")));
        }
    }
    Ok(())
}

fn shared(role: &Role, map: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    if let Some(limit) = memory_limit(role) {
        for member in ["Memory", "MemoryReservation"] {
            if int(map, member) > limit || int(map, member) < 0 {
                return Err(over(at, member, limit));
            }
        }
        let swap = int(map, "MemorySwap");
        if swap < 0 || swap > limit.saturating_mul(2) {
            return Err(over(at, "MemorySwap", limit.saturating_mul(2)));
        }
    }
    if let Some(limit) = nano(role) {
        if int(map, "NanoCpus") > limit || int(map, "NanoCpus") < 0 {
            return Err(over(at, "NanoCpus", limit));
        }
        let quota = int(map, "CpuQuota");
        let period = match int(map, "CpuPeriod") {
            0 => PERIOD,
            period => period,
        };
        if period < 0 || (quota > 0 && i128::from(quota) * 1_000_000_000 > i128::from(limit) * i128::from(period)) {
            return Err(over(at, "CpuQuota", limit));
        }
    }
    if let Some(limit) = role.quotas.pids
        && int(map, "PidsLimit") > i64::from(limit)
    {
        return Err(over(at, "PidsLimit", limit));
    }
    if !(0..=262_144).contains(&int(map, "CpuShares")) || !(0..=1000).contains(&int(map, "BlkioWeight")) {
        return Err(denied(format!("{at}.CpuShares"), "CpuShares or BlkioWeight is out of range"));
    }
    for member in ["CpusetCpus", "CpusetMems"] {
        let text = map.get(member).and_then(Value::as_str).unwrap_or("");
        if !text.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'-') {
            return Err(denied(format!("{at}.{member}"), format!("{member} is not a list of processors")));
        }
    }
    Ok(())
}
