//! The daemon's answers, with only what a tenant may see. An answer that is
//! not understood is not passed on.

use serde_json::{Map, Value};

use super::super::Refusal;
use super::LABEL;

fn unreadable(what: &str) -> Refusal {
    Refusal {
        status: 502,
        message: format!("the daemon's answer cannot be filtered: {what}"),
        rule: "tenant.answer".to_owned(),
        operation: None,
    }
}

/// What of a JSON answer is the tenant's.
///
/// # Errors
/// 502 for an answer that is not understood.
pub fn filter_json(operation: &str, tenant: &str, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut answer: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))?;
    match operation {
        "ContainerList" | "NetworkList" => keep(&mut answer, |item| owner(item) == Some(tenant))?,
        "ImageList" => keep(&mut answer, |item| owner(item).is_none_or(|owner| owner == tenant))?,
        "VolumeList" => {
            let map = answer.as_object_mut().ok_or_else(|| unreadable("not an object"))?;
            keep(map.entry("Volumes").or_insert(Value::Null), |item| owner(item) == Some(tenant))?;
            map.insert("Warnings".to_owned(), Value::Null);
        }
        "SystemDataUsage" => usage(&mut answer, tenant)?,
        "SystemInfo" => info(&mut answer)?,
        _ => return Err(unreadable(operation)),
    }
    Ok(answer.to_string().into_bytes())
}

/// The event, if it is the tenant's. `line` is one JSON object, with or
/// without the separators of its media type.
///
/// # Errors
/// 502 for a line that is not understood.
pub fn filter_event(tenant: &str, line: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let text = line.strip_prefix(b"\x1e").unwrap_or(line);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let event: Value = serde_json::from_slice(text).map_err(|error| unreadable(&error.to_string()))?;
    let label = event.pointer("/Actor/Attributes").and_then(|attributes| attributes.get(LABEL));
    if label.and_then(Value::as_str) == Some(tenant) { Ok(Some(line.to_vec())) } else { Ok(None) }
}

fn owner(item: &Value) -> Option<&str> {
    item.get("Labels").and_then(|labels| labels.get(LABEL)).and_then(Value::as_str).filter(|owner| !owner.is_empty())
}

fn keep(list: &mut Value, mine: impl Fn(&Value) -> bool) -> Result<(), Refusal> {
    match list {
        Value::Null => *list = Value::Array(Vec::new()),
        Value::Array(items) => items.retain(mine),
        _ => return Err(unreadable("not a list")),
    }
    Ok(())
}

/// `docker system df`: lists filtered, totals that count others' left out.
fn usage(answer: &mut Value, tenant: &str) -> Result<(), Refusal> {
    let map = answer.as_object_mut().ok_or_else(|| unreadable("not an object"))?;
    let mut kept = Map::new();
    for (name, images) in [("Containers", false), ("Images", true), ("Volumes", false)] {
        let mut list = map.shift_remove(name).unwrap_or(Value::Null);
        keep(&mut list, |item| match owner(item) {
            Some(owner) => owner == tenant,
            None => images,
        })?;
        kept.insert(name.to_owned(), list);
    }
    kept.insert("BuildCache".to_owned(), Value::Array(Vec::new()));
    kept.insert("LayersSize".to_owned(), 0.into());
    *map = kept;
    Ok(())
}

/// What of `docker info` says nothing of others: the engine and the machine's shape.
const INFO: &[&str] = &[
    "Driver",
    "MemoryLimit",
    "SwapLimit",
    "CpuCfsPeriod",
    "CpuCfsQuota",
    "CPUShares",
    "CPUSet",
    "PidsLimit",
    "IPv4Forwarding",
    "OomKillDisable",
    "LoggingDriver",
    "CgroupDriver",
    "CgroupVersion",
    "KernelVersion",
    "OperatingSystem",
    "OSVersion",
    "OSType",
    "Architecture",
    "NCPU",
    "MemTotal",
    "ServerVersion",
    "DefaultRuntime",
    "Isolation",
    "SecurityOptions",
    "SystemTime",
];

fn info(answer: &mut Value) -> Result<(), Refusal> {
    let map = answer.as_object_mut().ok_or_else(|| unreadable("not an object"))?;
    map.retain(|name, _| INFO.contains(&name.as_str()));
    Ok(())
}
