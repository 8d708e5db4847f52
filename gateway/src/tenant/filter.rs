//! The daemon's answers, with only what a tenant may see, in the tenant's own
//! names. An answer that is not understood is not passed on.

use regex_lite::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::super::name::TenantName;
use super::super::policy::rules::{JsonFilter, LineFilter};
use super::super::{Refusal, Selection, Sharing, Viewer};
use super::{CONTAINER, LABEL, list, mask, names};

/// Bytes of a compiled `name` filter.
const PATTERN: usize = 1 << 16;

fn unreadable(what: &str) -> Refusal {
    Refusal {
        status: 502,
        message: format!("the daemon's answer cannot be filtered: {what}"),
        rule: "tenant.answer".to_owned(),
        operation: None,
    }
}

/// What of a JSON answer the viewer may see, of that what was selected, and in a
/// tenant's names. In the operator's view the secrets of containers that were
/// not made through the gateway are masked.
///
/// # Errors
/// 502 for an answer that is not understood.
pub fn filter_json(
    filter: JsonFilter,
    viewer: &Viewer,
    selection: &Selection,
    body: &[u8],
) -> Result<Vec<u8>, Refusal> {
    if filter == JsonFilter::Containers {
        return list::containers(viewer.tenant.as_ref(), selection, body)
            .map_err(|error| unreadable(&error.to_string()));
    }
    let mut answer: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))?;
    match viewer.tenant.as_ref() {
        Some(tenant) => for_tenant(filter, tenant, &viewer.sharing, selection, &mut answer)?,
        None => for_operator(filter, &mut answer)?,
    }
    Ok(answer.to_string().into_bytes())
}

/// Masks the secrets of what was not made through the gateway.
fn for_operator(filter: JsonFilter, answer: &mut Value) -> Result<(), Refusal> {
    match filter {
        JsonFilter::Container => mask::inspected(object(answer)?),
        JsonFilter::Volume => {
            object(answer)?;
            mask::volume(answer);
        }
        JsonFilter::Volumes => {
            each(object(answer)?.get_mut("Volumes").unwrap_or(&mut Value::Null), mask::volume);
        }
        JsonFilter::Usage => {
            let usage = object(answer)?;
            each(usage.get_mut("Containers").unwrap_or(&mut Value::Null), |item| {
                if !is_labelled(item) {
                    mask::listed(item);
                }
            });
            each(usage.get_mut("Volumes").unwrap_or(&mut Value::Null), mask::volume);
        }
        // These hold no secrets, and are passed on as they come.
        JsonFilter::Containers
        | JsonFilter::Networks
        | JsonFilter::Network
        | JsonFilter::Images
        | JsonFilter::Image
        | JsonFilter::History
        | JsonFilter::RemovedImage
        | JsonFilter::PrunedImages
        | JsonFilter::PrunedNetworks
        | JsonFilter::PrunedVolumes
        | JsonFilter::Info => return Err(unreadable("it is not masked")),
    }
    Ok(())
}

fn for_tenant(
    filter: JsonFilter,
    tenant: &TenantName,
    sharing: &Sharing,
    selection: &Selection,
    answer: &mut Value,
) -> Result<(), Refusal> {
    let mine = |item: &Value| owner(item) == Some(tenant.as_str());
    match filter {
        JsonFilter::Networks => {
            keep(answer, mine)?;
            each(answer, |item| network(item, tenant));
            pick(answer, selection);
        }
        JsonFilter::Images => images(answer, tenant, sharing, selection)?,
        JsonFilter::Image => {
            object(answer)?;
            image(answer, tenant, sharing, selection);
        }
        JsonFilter::History => {
            keep(answer, |_| true)?;
            each(answer, |layer| {
                if !layer
                    .get("Id")
                    .and_then(Value::as_str)
                    .is_some_and(|id| selection.images.iter().any(|seen| seen == id))
                {
                    layer["Id"] = "<missing>".into();
                }
                names_seen(layer, "Tags", tenant, sharing);
                if layer["Tags"].as_array().is_some_and(Vec::is_empty) {
                    layer["Tags"] = Value::Null;
                }
            });
        }
        JsonFilter::RemovedImage => removed(answer, tenant, sharing, selection)?,
        JsonFilter::PrunedImages => {
            let map = object(answer)?;
            let none = map.get("ImagesDeleted").is_none_or(Value::is_null);
            if !none {
                removed(map.entry("ImagesDeleted").or_insert(Value::Null), tenant, sharing, selection)?;
            }
            map.insert("SpaceReclaimed".to_owned(), 0.into());
        }
        JsonFilter::Volumes => {
            let map = object(answer)?;
            let list = map.entry("Volumes").or_insert(Value::Null);
            keep(list, mine)?;
            each(list, |item| volume(item, tenant));
            pick(list, selection);
            map.insert("Warnings".to_owned(), Value::Null);
        }
        JsonFilter::Container => {
            let inspected = object(answer)?;
            if selection.masked {
                mask::inspected(inspected);
            }
            container(answer, tenant);
        }
        JsonFilter::Network => {
            object(answer)?;
            network(answer, tenant);
        }
        JsonFilter::Volume => {
            object(answer)?;
            volume(answer, tenant);
        }
        JsonFilter::PrunedNetworks => deleted(answer, "NetworksDeleted", tenant)?,
        JsonFilter::PrunedVolumes => deleted(answer, "VolumesDeleted", tenant)?,
        JsonFilter::Usage => usage(answer, tenant, sharing, selection)?,
        JsonFilter::Info => info(answer)?,
        // It is read without a tree of values, in `list`.
        JsonFilter::Containers => return Err(unreadable("it is a list of containers")),
    }
    Ok(())
}

/// The names of what was removed, in the tenant's own.
fn deleted(answer: &mut Value, list: &str, tenant: &TenantName) -> Result<(), Refusal> {
    each(object(answer)?.get_mut(list).unwrap_or(&mut Value::Null), |name| renamed(name, tenant));
    Ok(())
}

/// A line of a stream, if the viewer may see it, in a tenant's names. `line` is
/// one JSON object, with or without the separators of its media type.
///
/// # Errors
/// 502 for a line that is not understood.
pub fn filter_line(filter: LineFilter, viewer: &Viewer, line: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let (separator, text) = match line.strip_prefix(b"\x1e") {
        Some(text) => (&b"\x1e"[..], text),
        None => (&b""[..], line),
    };
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let mut said: Value = serde_json::from_slice(text).map_err(|error| unreadable(&error.to_string()))?;
    match (filter, viewer.tenant.as_ref()) {
        (LineFilter::Events, None) => {
            let foreign = said.get("Type").and_then(Value::as_str) == Some("container")
                && !said.pointer("/Actor/Attributes").is_some_and(has_label);
            if foreign {
                mask::event(&mut said);
            }
        }
        (LineFilter::Events, Some(tenant)) => {
            let of_image = said.get("Type").and_then(Value::as_str) == Some("image");
            let Some(Value::Object(attributes)) = said.pointer_mut("/Actor/Attributes") else { return Ok(None) };
            let owner = |label: &str| attributes.get(label).and_then(Value::as_str) == Some(tenant.as_str());
            if !owner(if of_image { LABEL } else { CONTAINER }) {
                return Ok(None);
            }
            for name in ["name", "oldName"] {
                renamed(attributes.get_mut(name).unwrap_or(&mut Value::Null), tenant);
            }
        }
        (LineFilter::Stats, Some(tenant)) => {
            let map = object(&mut said)?;
            renamed(map.get_mut("name").unwrap_or(&mut Value::Null), tenant);
        }
        (LineFilter::Stats, None) => return Err(unreadable("it is not masked")),
    }
    Ok(Some([separator, said.to_string().as_bytes()].concat()))
}

fn owner(item: &Value) -> Option<&str> {
    item.get("Labels").and_then(|labels| labels.get(LABEL)).and_then(Value::as_str).filter(|owner| !owner.is_empty())
}

/// Whether labels are those of a container that was made through the gateway.
fn has_label(labels: &Value) -> bool {
    labels.get(CONTAINER).and_then(Value::as_str).is_some_and(|owner| !owner.is_empty())
}

fn is_labelled(item: &Value) -> bool {
    item.get("Labels").is_some_and(has_label)
}

fn texts(item: &Value, member: &str) -> Vec<String> {
    let list = item.get(member).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Leaves in a member the names of an image that the tenant may see.
fn names_seen(item: &mut Value, member: &str, tenant: &TenantName, sharing: &Sharing) {
    if let Some(Value::Array(names)) = item.get_mut(member) {
        names
            .retain(|name| name.as_str().is_some_and(|name| name.starts_with("<none>") || sharing.names(tenant, name)));
    }
}

/// The images of a list or of `system df` that the tenant sees, with the names that it sees.
fn images(answer: &mut Value, tenant: &TenantName, sharing: &Sharing, selection: &Selection) -> Result<(), Refusal> {
    keep(answer, |item| {
        let names = [texts(item, "RepoTags"), texts(item, "RepoDigests")].concat();
        sharing.shows(tenant, owner(item), &names)
    })?;
    each(answer, |item| image(item, tenant, sharing, selection));
    if !selection.references.is_empty() {
        let patterns: Vec<Regex> = selection.references.iter().filter_map(|pattern| glob(pattern)).collect();
        keep(answer, |item| {
            let names = [texts(item, "RepoTags"), texts(item, "RepoDigests")].concat();
            names.iter().any(|name| {
                let repository = name.split('@').next().unwrap_or(name);
                let tag = repository.rfind(':').filter(|at| !repository[*at..].contains('/'));
                let bare = tag.map_or(repository, |at| &repository[..at]);
                patterns.iter().any(|pattern| pattern.is_match(name) || pattern.is_match(bare))
            })
        })?;
    }
    Ok(())
}

/// A pattern of the filter `reference`, as Go's `path.Match` reads it.
fn glob(pattern: &str) -> Option<Regex> {
    let mut text = String::from("^(?:");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '[' => text.push('['),
            ']' | '^' | '-' => text.push(c),
            '\\' => text.push_str(&escaped(rest.next()?)),
            c => text.push_str(&escaped(c)),
        }
    }
    text.push_str(")$");
    RegexBuilder::new(&text).size_limit(PATTERN).build().ok()
}

fn escaped(c: char) -> String {
    if c.is_alphanumeric() { c.to_string() } else { format!("\\{c}") }
}

fn image(item: &mut Value, tenant: &TenantName, sharing: &Sharing, selection: &Selection) {
    for member in ["RepoTags", "RepoDigests"] {
        names_seen(item, member, tenant, sharing);
    }
    for member in ["Parent", "ParentId"] {
        let Some(Value::String(parent)) = item.get_mut(member) else { continue };
        if !selection.images.iter().any(|seen| seen == parent) {
            parent.clear();
        }
    }
    // How many containers use it, and what of it others have too, tells of others.
    for member in ["Containers", "SharedSize"] {
        if item.get(member).is_some() {
            item[member] = (-1).into();
        }
    }
}

/// What a removal tells: the names and images that the tenant saw. Of layers
/// the daemon tells only those that no other image has, so none is told.
fn removed(list: &mut Value, tenant: &TenantName, sharing: &Sharing, selection: &Selection) -> Result<(), Refusal> {
    keep(list, |item| {
        let member = |name: &str| item.get(name).and_then(Value::as_str);
        member("Untagged").is_some_and(|name| sharing.names(tenant, name))
            || member("Deleted").is_some_and(|id| selection.images.iter().any(|seen| seen == id))
    })
}

fn object(answer: &mut Value) -> Result<&mut Map<String, Value>, Refusal> {
    answer.as_object_mut().ok_or_else(|| unreadable("not an object"))
}

fn keep(list: &mut Value, mine: impl Fn(&Value) -> bool) -> Result<(), Refusal> {
    match list {
        Value::Null => *list = Value::Array(Vec::new()),
        Value::Array(items) => items.retain(mine),
        _ => return Err(unreadable("not a list")),
    }
    Ok(())
}

fn each(list: &mut Value, change: impl FnMut(&mut Value)) {
    list.as_array_mut().into_iter().flatten().for_each(change);
}

/// The filter `name`, which the daemon would apply to its own names: as there,
/// a pattern that matches anywhere, with or without the slash.
pub(super) struct Chosen<'a> {
    names: &'a [String],
    patterns: Vec<Regex>,
}

impl<'a> Chosen<'a> {
    pub(super) fn new(selection: &'a Selection) -> Chosen<'a> {
        let compiled = |pattern: &String| RegexBuilder::new(pattern).size_limit(PATTERN).build().ok();
        Chosen { names: &selection.names, patterns: selection.names.iter().filter_map(compiled).collect() }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let plain = name.strip_prefix('/').unwrap_or(name);
        self.names.is_empty()
            || self.names.iter().any(|wanted| wanted == plain)
            || self.patterns.iter().any(|pattern| pattern.is_match(name) || pattern.is_match(plain))
    }
}

fn pick(list: &mut Value, selection: &Selection) {
    let chosen = Chosen::new(selection);
    if let Some(items) = list.as_array_mut() {
        items.retain(|item| chosen.has(item.get("Name").and_then(Value::as_str).unwrap_or_default()));
    }
}

/// A name, or a path of names, in place.
fn renamed(value: &mut Value, tenant: &TenantName) {
    if let Value::String(text) = value {
        *text = names::own_path(tenant, text);
    }
}

/// A container, as lists and `inspect` have it.
pub(super) fn container(item: &mut Value, tenant: &TenantName) {
    each(item.get_mut("Names").unwrap_or(&mut Value::Null), |name| renamed(name, tenant));
    renamed(item.get_mut("Name").unwrap_or(&mut Value::Null), tenant);
    for mounts in ["/Mounts", "/HostConfig/Mounts"] {
        each(item.pointer_mut(mounts).unwrap_or(&mut Value::Null), |mount| {
            if mount.get("Type").and_then(Value::as_str) == Some("volume") {
                for member in ["Name", "Source"] {
                    renamed(mount.get_mut(member).unwrap_or(&mut Value::Null), tenant);
                }
            }
        });
    }
    // `/shop__db:/shop__web/db`
    each(item.pointer_mut("/HostConfig/Links").unwrap_or(&mut Value::Null), |link| {
        if let Value::String(text) = link {
            let parts: Vec<String> = text.split(':').map(|part| names::own_path(tenant, part)).collect();
            *text = parts.join(":");
        }
    });
    let mode = item.pointer("/HostConfig/NetworkMode").and_then(Value::as_str).map(str::to_owned);
    let mut joined = None;
    if let Some(Value::Object(networks)) = item.pointer_mut("/NetworkSettings/Networks") {
        let all = std::mem::take(networks);
        for (name, mut endpoint) in all {
            each(endpoint.get_mut("DNSNames").unwrap_or(&mut Value::Null), |name| renamed(name, tenant));
            let name = names::own(tenant, &name).unwrap_or(&name).to_owned();
            if mode.is_some() && endpoint.get("NetworkID").and_then(Value::as_str) == mode.as_deref() {
                joined = Some(name.clone());
            }
            networks.insert(name, endpoint);
        }
    }
    // Asked for by its name, it was sent by its id.
    if let (Some(name), Some(mode)) = (joined, item.pointer_mut("/HostConfig/NetworkMode")) {
        *mode = name.into();
    }
}

fn network(item: &mut Value, tenant: &TenantName) {
    renamed(item.get_mut("Name").unwrap_or(&mut Value::Null), tenant);
    for (_, member) in item.get_mut("Containers").and_then(Value::as_object_mut).into_iter().flatten() {
        renamed(member.get_mut("Name").unwrap_or(&mut Value::Null), tenant);
    }
}

fn volume(item: &mut Value, tenant: &TenantName) {
    for member in ["Name", "Mountpoint"] {
        renamed(item.get_mut(member).unwrap_or(&mut Value::Null), tenant);
    }
}

/// `docker system df`: lists filtered, totals that count others' left out.
fn usage(answer: &mut Value, tenant: &TenantName, sharing: &Sharing, selection: &Selection) -> Result<(), Refusal> {
    let map = object(answer)?;
    let mut take = |name: &str| map.shift_remove(name).unwrap_or(Value::Null);
    let (mut containers, mut all, mut volumes) = (take("Containers"), take("Images"), take("Volumes"));
    let mine = |item: &Value| owner(item) == Some(tenant.as_str()) && !selection.hides(item);
    keep(&mut containers, mine)?;
    each(&mut containers, |item| container(item, tenant));
    images(&mut all, tenant, sharing, selection)?;
    keep(&mut volumes, mine)?;
    each(&mut volumes, |item| volume(item, tenant));
    let mut kept = Map::new();
    for (name, list) in [("Containers", containers), ("Images", all), ("Volumes", volumes)] {
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
    object(answer)?.retain(|name, _| INFO.contains(&name.as_str()));
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The same by the whole tree of values.
    fn by_tree(tenant: &TenantName, body: &[u8]) -> Value {
        let mut answer: Value = serde_json::from_slice(body).unwrap();
        keep(&mut answer, |item| owner(item) == Some(tenant.as_str())).unwrap();
        each(&mut answer, |item| container(item, tenant));
        answer
    }

    #[test]
    fn a_list_is_filtered_as_by_the_whole_tree() {
        let hex = "0123456789abcdef".repeat(4);
        let networks = |name: &str| serde_json::json!({"Networks": {name: {"NetworkID": hex, "Aliases": null}}});
        let list = serde_json::json!([
            {"Id": "1", "Names": ["/shop__web"], "Labels": {LABEL: "shop", "a\n\"": "\u{e9}"}, "Mounts": [],
             "HostConfig": {"NetworkMode": "default"}, "NetworkSettings": networks("bridge"), "SizeRw": 18_446_744_073_709_551_615_u64},
            {"Id": "2", "Names": ["/shop__db", "/shop__web/db"], "Labels": {LABEL: "shop"},
             "Mounts": [{"Type": "volume", "Name": "shop__data", "Source": "/v/shop__data/_data"}],
             "HostConfig": {"NetworkMode": hex}, "NetworkSettings": networks("shop__net")},
            {"Id": "3", "Names": ["/old"], "Labels": {LABEL: "shop"}, "HostConfig": {"NetworkMode": hex},
             "NetworkSettings": networks("old"), "Mounts": [{"Type": "bind", "Source": "/srv/shop__x"}]},
            {"Id": "4", "Names": ["/ware__web"], "Labels": {LABEL: "ware"}},
            {"Id": "5", "Names": ["/shop__x"], "Labels": {LABEL: ""}},
            {"Id": "6", "Names": ["/shop__y"], "Labels": null},
            {"Id": "7", "Names": ["/shop__z"]},
            {"Labels": {LABEL: "shop"}}
        ]);
        for tenant in ["shop", "ware", "none"] {
            let body = list.to_string();
            let tenant = TenantName::parse(tenant).unwrap();
            let viewer = Viewer { tenant: Some(tenant.clone()), ..Viewer::default() };
            let filtered =
                filter_json(JsonFilter::Containers, &viewer, &Selection::default(), body.as_bytes()).unwrap();
            let filtered: Value = serde_json::from_slice(&filtered).unwrap();
            assert_eq!(filtered, by_tree(&tenant, body.as_bytes()), "{tenant}");
        }
        let viewer = Viewer { tenant: Some(TenantName::parse("shop").unwrap()), ..Viewer::default() };
        assert_eq!(filter_json(JsonFilter::Containers, &viewer, &Selection::default(), b"null").unwrap(), b"[]");
    }
}
