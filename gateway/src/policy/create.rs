//! `POST /containers/create`: the body is checked member by member, and what
//! the role and the tenant require is written into it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::{ObjectKind, QuotaGuard, Refusal};
use super::members;
use super::mounts::Source;
use super::objects;
use super::reference;
use super::refusal::{denied, malformed, shown};
use super::roles::{Ports, Role};
use super::rules::Need;
use super::scope::Scope;
use super::{json as strict, limits, mounts, shape};
use crate::tenant;

/// A create that may be sent.
pub struct Create {
    /// The body.
    pub body: Vec<u8>,
    /// The memory that the container may use, where it is bounded.
    pub memory: Option<u64>,
    /// Held until the daemon has answered.
    pub quota_guard: QuotaGuard,
}

/// What to send for a create of a container that the client names `name`.
///
/// # Errors
/// The member that is not allowed.
pub async fn container(scope: &Scope<'_>, name: Option<&str>, body: &[u8]) -> Result<Create, Refusal> {
    let mut map = strict::parse_object(body)?;
    shape::check(&mut map, members::CREATE, "create", &scope.role.grants)?;
    printable("create", &map)?;
    let mut host = take(&mut map, "HostConfig");
    let mut networking = take(&mut map, "NetworkingConfig");

    let image = text(&map, "Image").unwrap_or("").to_owned();
    let image = scope.view().image(&image).await?;
    map.insert("Image".to_owned(), image.stable(scope.tenant).into());
    // What is not there the daemon refuses, and the client pulls.
    let described = scope.view().look(ObjectKind::Image, image.exact()).await?.map(|image| image.details);
    let of_image = described.as_ref().and_then(|image| image.get("Config")).unwrap_or(&Value::Null);
    let chosen = user(scope, text(&map, "User").unwrap_or(""), "create.User")?;
    if let Some(chosen) = chosen {
        map.insert("User".to_owned(), chosen.into());
    }
    labels(&mut map, "create.Labels", scope.container_made_by())?;
    for port in map.get("ExposedPorts").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        exposed(port, "create.ExposedPorts")?;
    }

    limits::on_create(scope.role, &mut host)?;
    security(scope, &mut host)?;
    namespaces(scope, &mut host).await?;
    let lent = others(scope, &mut host).await?;
    publish_all(scope, &map, of_image, &mut host)?;
    ports(scope, &mut host)?;
    let mut mounted = mounts::on_create(scope, &mut map, &mut host, of_image).await?;
    mounted.extend(lent);
    networks(scope, name, &mut host, &mut networking).await?;
    let restarts = host.get("RestartPolicy").and_then(Value::as_object).is_some_and(restarts);
    let quota_guard = mounts::judge(scope, None, &mounted, restarts).await?;
    let memory = host.get("Memory").and_then(Value::as_u64).filter(|bytes| *bytes > 0);

    host.insert(objects::MARK.to_owned(), objects::mark(scope).into());
    map.insert("HostConfig".to_owned(), Value::Object(host));
    map.insert("NetworkingConfig".to_owned(), Value::Object(networking));
    Ok(Create { body: Value::Object(map).to_string().into_bytes(), memory, quota_guard })
}

/// Members whose lines are the program's own: they reach nothing but the
/// container's processes.
const PROGRAM: &[&str] = &["Cmd", "Entrypoint", "Env", "Shell", "Healthcheck"];

/// No text holds a control character, except line ends and tabs in what the
/// container runs: names and options end up in protocols of others (a log
/// driver's, a resolver's) in which a line end begins the next message.
pub fn printable(at: &str, map: &Map<String, Value>) -> Result<(), Refusal> {
    fn clean(value: &Value, allowed: &[char]) -> bool {
        let fine = |text: &str| !text.chars().any(|c| c.is_control() && !allowed.contains(&c));
        match value {
            Value::String(text) => fine(text),
            Value::Array(list) => list.iter().all(|value| clean(value, allowed)),
            Value::Object(map) => map.iter().all(|(name, value)| fine(name) && clean(value, allowed)),
            _ => true,
        }
    }
    let within = |name: &str, value: &Value| match value {
        Value::Object(inner) => {
            inner.iter().map(|(member, value)| (format!("{name}.{member}"), value.clone())).collect()
        }
        value => vec![(name.to_owned(), value.clone())],
    };
    for (name, value) in map.iter().flat_map(|(name, value)| within(name, value)) {
        let program = PROGRAM.iter().any(|known| name.split('.').next() == Some(known));
        let allowed = if program { &['\n', '\r', '\t'][..] } else { &[] };
        if name.chars().any(char::is_control) || !clean(&value, allowed) {
            return Err(malformed(
                format!("{at}.{}", shown(&name)),
                format!("{} holds a control character", shown(&name)),
            ));
        }
    }
    Ok(())
}

/// Whether a restart policy lets the daemon start a container by itself.
pub fn restarts(policy: &Map<String, Value>) -> bool {
    !matches!(text(policy, "Name"), None | Some("no"))
}

/// A member that is an object, taken out; empty if it is not there.
pub fn take(map: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match map.shift_remove(name) {
        Some(Value::Object(inner)) => inner,
        _ => Map::new(),
    }
}

/// A member that is a text; none if it is empty.
pub fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A member that is a list of texts.
pub fn texts<'a>(map: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    map.get(name)
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// The user to run as. Where the role forbids root it must be a number other
/// than 0, written plainly: a name may stand for 0 in the image, and `00` does.
pub fn user(scope: &Scope<'_>, wanted: &str, at: &str) -> Result<Option<String>, Refusal> {
    if wanted.chars().any(char::is_control) {
        return Err(malformed(at, "the user holds a control character"));
    }
    if scope.role.root {
        return Ok(if wanted.is_empty() { None } else { Some(wanted.to_owned()) });
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u32>().ok().filter(|number| digits && (1..=i32::MAX as u32).contains(number))
    };
    let (uid, gid) = wanted.split_once(':').map_or((wanted, None), |(uid, gid)| (uid, Some(gid)));
    let plain = match (number(uid), gid.map(number)) {
        (Some(uid), None) => Some(format!("{uid}:{uid}")),
        (Some(uid), Some(Some(gid))) => Some(format!("{uid}:{gid}")),
        _ => None,
    };
    plain.map(Some).ok_or_else(|| {
        denied(at, "this role does not run as root: give a numeric user other than 0 (docker run --user 1000:1000)")
    })
}

/// Labels: reserved ones are refused, and the owner's written.
pub fn labels(map: &mut Map<String, Value>, at: &str, made_by: Map<String, Value>) -> Result<(), Refusal> {
    let mut labels = take(map, "Labels");
    if let Some(name) = labels.keys().find(|name| strict::folded(name).starts_with(tenant::RESERVED)) {
        return Err(denied(at, format!("the label {:?} is reserved", shown(name))));
    }
    labels.extend(made_by);
    map.insert("Labels".to_owned(), Value::Object(labels));
    Ok(())
}

fn deny(member: &str, message: impl Into<String>) -> Refusal {
    denied(format!("create.HostConfig.{member}"), message)
}

/// Capabilities, security options, sysctls, logging, restart.
fn security(scope: &Scope<'_>, host: &mut Map<String, Value>) -> Result<(), Refusal> {
    let role = scope.role;
    let mut added = Vec::new();
    for cap in texts(host, "CapAdd") {
        let name = cap.to_ascii_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name).to_owned();
        if !role.caps.contains(&name) {
            return Err(deny("CapAdd", format!("the capability {:?} is not allowed for this role", shown(cap))));
        }
        added.push(Value::from(name));
    }
    if !added.is_empty() {
        host.insert("CapAdd".to_owned(), added.into());
    }
    for option in texts(host, "SecurityOpt") {
        if !is_no_new_privileges(option) && !role.grants("security-opt") {
            return Err(deny("SecurityOpt", "the only security option allowed is no-new-privileges"));
        }
    }
    for (name, value) in host.get("Sysctls").and_then(Value::as_object).into_iter().flatten() {
        if !namespaced_sysctl(name) || value.as_str().is_none_or(|value| value.chars().any(char::is_control)) {
            return Err(deny(
                "Sysctls",
                format!("the sysctl {:?} does not belong to the container alone", shown(name)),
            ));
        }
    }
    if let Some(log) = host.get("LogConfig").and_then(Value::as_object) {
        log_driver(role, log)?;
    }
    let restart = host.get("RestartPolicy").and_then(Value::as_object);
    restart_policy(restart, "create.HostConfig.RestartPolicy")?;
    if host.get("OomScoreAdj").and_then(Value::as_i64).is_some_and(|score| !(0..=1000).contains(&score))
        && !role.grants("oom")
    {
        return Err(deny("OomScoreAdj", "OomScoreAdj must be from 0 to 1000"));
    }
    if !matches!(text(host, "Isolation"), None | Some("default"))
        || !matches!(text(host, "VolumeDriver"), None | Some("local"))
    {
        return Err(deny("VolumeDriver", "Isolation and VolumeDriver must be the default"));
    }
    for entry in texts(host, "ExtraHosts") {
        let (name, address) = entry.split_once([':', '=']).unwrap_or((entry, ""));
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let gateway = address == "host-gateway" && role.grants("host-gateway");
        if !reference::is_name(name) || !(gateway || address.parse::<std::net::IpAddr>().is_ok()) {
            return Err(deny("ExtraHosts", "an extra host must be a name and an address (not host-gateway)"));
        }
    }
    Ok(())
}

/// The one security option that only takes away.
pub fn is_no_new_privileges(option: &str) -> bool {
    matches!(option, "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true")
}

/// Options of every log driver that keeps its lines on the host.
const LOG_OPTIONS: &[&str] =
    &["max-size", "max-file", "max-buffer-size", "mode", "compress", "labels", "labels-regex", "env", "env-regex"];

/// Log drivers that send to an address: the option that holds it, and what else
/// may be chosen.
const SENDING: &[(&str, &str, &[&str])] = &[
    ("syslog", "syslog-address", &["syslog-facility", "syslog-format"]),
    ("gelf", "gelf-address", &["gelf-compression-type", "gelf-compression-level"]),
    ("fluentd", "fluentd-address", &["fluentd-async", "fluentd-sub-second-precision"]),
];

/// The daemon is root and opens what a log driver names, so a driver that sends
/// needs an address that the role lists. A `tag` is written into the protocol,
/// and in the journal it is the name of the program: it is not chosen here.
fn log_driver(role: &Role, log: &Map<String, Value>) -> Result<(), Refusal> {
    let driver = text(log, "Type").unwrap_or("");
    let none = Map::new();
    let options = log.get("Config").and_then(Value::as_object).unwrap_or(&none);
    let sending = SENDING.iter().find(|(name, ..)| *name == driver);
    let more: &[&str] = match sending {
        None if matches!(driver, "" | "json-file" | "local" | "none" | "journald") => &[],
        Some((name, key, more)) => {
            let address = text(options, key).unwrap_or("");
            if !role.grants("log-drivers") || !role.log_addresses.iter().any(|listed| listed == address) {
                let message = format!(
                    "the log driver {name} sends to {:?}: the role needs the grant \"log-drivers\" and that address in `log_addresses`",
                    shown(address)
                );
                return Err(deny("LogConfig.Type", message));
            }
            more
        }
        None => {
            let message = format!(
                "the log driver {:?} is not possible through the gateway: json-file, local, none and journald are",
                shown(driver)
            );
            return Err(deny("LogConfig.Type", message));
        }
    };
    for name in options.keys().map(String::as_str) {
        let address = sending.is_some_and(|(_, key, _)| *key == name);
        if !address && !LOG_OPTIONS.contains(&name) && !more.contains(&name) {
            let message = format!("the option {:?} of a log driver is not allowed", shown(name));
            return Err(deny("LogConfig.Config", message));
        }
    }
    Ok(())
}

/// A restart policy of Docker's own four.
pub fn restart_policy(policy: Option<&Map<String, Value>>, at: &str) -> Result<(), Refusal> {
    match policy.and_then(|policy| text(policy, "Name")).unwrap_or("") {
        "" | "no" | "always" | "unless-stopped" | "on-failure" => Ok(()),
        _ => Err(malformed(at, "the restart policy is not known")),
    }
}

/// The sysctls that runc sets in the container's own namespaces.
fn namespaced_sysctl(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && !name.contains("..");
    let ipc = ["kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax"];
    let more = ["kernel.shmmni", "kernel.shm_rmid_forced", "net.core.somaxconn"];
    let trees = ["net.ipv4.", "net.ipv6.", "fs.mqueue."];
    plain && (ipc.contains(&name) || more.contains(&name) || trees.iter().any(|tree| name.starts_with(tree)))
}

/// Namespaces: the container's own, or that of a container of the same owner.
async fn namespaces(scope: &Scope<'_>, host: &mut Map<String, Value>) -> Result<(), Refusal> {
    for (member, own) in [
        ("PidMode", &[][..]),
        ("IpcMode", &["private", "shareable", "none"][..]),
        ("UTSMode", &[]),
        ("UsernsMode", &[]),
        ("CgroupnsMode", &["private"]),
    ] {
        let Some(mode) = text(host, member).map(str::to_owned) else { continue };
        if own.contains(&mode.as_str()) {
            continue;
        }
        match mode.strip_prefix("container:") {
            Some(other) if matches!(member, "PidMode" | "IpcMode") => {
                let id = scope.used_container(other).await?.id;
                host.insert(member.to_owned(), format!("container:{id}").into());
            }
            _ if mode == "host" && scope.role.grants("host-namespaces") => {}
            _ if mode == "host" => {
                return Err(deny(
                    member,
                    format!("{member} \"host\" is not allowed: the role lacks the grant \"host-namespaces\""),
                ));
            }
            _ => return Err(deny(member, format!("{member} {:?} is not allowed", shown(&mode)))),
        }
    }
    Ok(())
}

/// Links and VolumesFrom: to containers that may be used, by id. What these
/// lend of the host's directories comes back.
async fn others(scope: &Scope<'_>, host: &mut Map<String, Value>) -> Result<Vec<Source>, Refusal> {
    let mut lent = Vec::new();
    for member in ["Links", "VolumesFrom"] {
        let mut list = Vec::new();
        for entry in texts(host, member) {
            let (other, rest) = entry.split_once(':').map_or((entry, None), |(other, rest)| (other, Some(rest)));
            let plain = match (member, rest) {
                ("VolumesFrom", Some(rest)) => matches!(rest, "ro" | "rw"),
                (_, Some(rest)) => reference::is_name(rest),
                (_, None) => true,
            };
            if !plain {
                return Err(deny(member, format!("{member}: {:?} is not understood", shown(entry))));
            }
            let found = scope.used_container(other.trim_start_matches('/')).await?;
            let id = found.id;
            if member == "VolumesFrom" {
                let read_only = rest == Some("ro");
                let sources = mounts::sources(&found.object.details).into_iter();
                lent.extend(sources.map(|source| Source { read_only: source.read_only || read_only, ..source }));
            }
            let alias = if member == "Links" { Some(rest.unwrap_or(other)) } else { rest };
            list.push(alias.map_or_else(|| id.clone(), |alias| format!("{id}:{alias}")).into());
        }
        if !list.is_empty() {
            host.insert(member.to_owned(), Value::Array(list));
        }
    }
    Ok(lent)
}

/// `80/tcp`, `80`, `80-90/udp`.
fn exposed(port: &str, at: &str) -> Result<(), Refusal> {
    let (ports, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    match range(ports) {
        Some(_) if matches!(protocol, "tcp" | "udp" | "sctp") => Ok(()),
        _ => Err(malformed(at, format!("{:?} is not a port", shown(port)))),
    }
}

fn range(text: &str) -> Option<Ports> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && port.to_string() == text);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(Ports { first, last })
}

/// The ports that the engine gives out by itself: the kernel's ephemeral range
/// (moby `libnetwork/portallocator`).
fn ephemeral() -> Ports {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse::<u16>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(last)) if 0 < first && first <= last => Ports { first, last },
        _ => Ports { first: 49153, last: 65535 },
    }
}

/// What a free port of the host is asked for by: nothing where the engine's own
/// choice lies in the role's range, else that range, without the ports of
/// well-known services where it holds others.
fn free(allowed: Ports) -> Option<Ports> {
    if allowed.holds(&ephemeral()) {
        return None;
    }
    let first = if allowed.last >= 1024 { allowed.first.max(1024) } else { allowed.first };
    Some(Ports { first, last: allowed.last })
}

/// The part of a range in which a container's free ports on the `nth` of its
/// addresses lie. The engine counts up in a range for each address by itself:
/// two addresses with the same range get the same port, and `0.0.0.0` then
/// cannot have what `127.0.0.1` holds.
fn part(range: &Ports, nth: usize, addresses: usize) -> Ports {
    let size = usize::from(range.last - range.first) + 1;
    if addresses < 2 || size < addresses {
        return *range;
    }
    let port = |offset: usize| u16::try_from(usize::from(range.first) + offset).unwrap_or(range.last);
    Ports { first: port(size * nth / addresses), last: port(size * (nth + 1) / addresses - 1) }
}

/// `docker run -P` takes the engine's own free ports. Where the role's range
/// does not hold these, the exposed ports are published one by one instead.
fn publish_all(
    scope: &Scope<'_>,
    config: &Map<String, Value>,
    image: &Value,
    host: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    if host.get("PublishAllPorts") != Some(&Value::Bool(true)) {
        return Ok(());
    }
    let Some(allowed) = scope.role.ports else {
        return Err(deny("PublishAllPorts", "this role does not publish ports"));
    };
    if free(allowed).is_none() {
        return Ok(());
    }
    host.shift_remove("PublishAllPorts");
    let exposed = [config.get("ExposedPorts"), image.get("ExposedPorts")];
    let exposed = exposed.into_iter().flatten().filter_map(Value::as_object).flat_map(Map::keys);
    let mut bindings = take(host, "PortBindings");
    for port in exposed {
        let protocol = if port.contains('/') { port.clone() } else { format!("{port}/tcp") };
        if !bindings.contains_key(port) && !bindings.contains_key(&protocol) {
            bindings.insert(protocol, json!([{}]));
        }
    }
    host.insert("PortBindings".to_owned(), Value::Object(bindings));
    Ok(())
}

/// A port of the host that a container has and a role does not, if any. A free
/// one is the engine's own choice.
pub fn published_beyond<'a>(role: &Role, host: &'a Map<String, Value>) -> Option<&'a str> {
    let bindings = host.get("PortBindings").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let wanted = bindings.filter_map(Value::as_array).flatten().filter_map(|binding| binding.get("HostPort")?.as_str());
    let within = |wanted: &str| role.ports.zip(range(wanted)).is_some_and(|(allowed, range)| allowed.holds(&range));
    wanted.filter(|wanted| !matches!(*wanted, "" | "0")).find(|wanted| !within(wanted))
}

/// Published ports lie in the role's range. A free one (`""`, `0`) is the
/// engine's choice, or taken from that range.
fn ports(scope: &Scope<'_>, host: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(Value::Object(bindings)) = host.get_mut("PortBindings") else { return Ok(()) };
    for (port, list) in bindings.iter_mut() {
        exposed(port, "create.HostConfig.PortBindings")?;
        if let Some(list) = list.as_array_mut().filter(|list| list.is_empty()) {
            list.push(json!({}));
        }
    }
    let is_free = |binding: &Map<String, Value>| text(binding, "HostPort").is_none_or(|wanted| wanted == "0");
    let address = |binding: &Map<String, Value>| text(binding, "HostIp").unwrap_or("0.0.0.0").to_owned();
    let lists = bindings.values().filter_map(Value::as_array).flatten().filter_map(Value::as_object);
    let addresses: BTreeSet<String> = lists.filter(|binding| is_free(binding)).map(address).collect();
    for list in bindings.values_mut().filter_map(Value::as_array_mut) {
        for binding in list {
            let Some(binding) = binding.as_object_mut() else { continue };
            let Some(allowed) = scope.role.ports else {
                return Err(deny("PortBindings", "this role does not publish ports"));
            };
            if text(binding, "HostIp").is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
                return Err(malformed("create.HostConfig.PortBindings", "HostIp must be an address"));
            }
            let Some(wanted) = text(binding, "HostPort").filter(|wanted| *wanted != "0").map(str::to_owned) else {
                let nth = addresses.iter().position(|known| *known == address(binding)).unwrap_or(0);
                let range = free(allowed).map(|range| part(&range, nth, addresses.len()));
                let range = range.map_or_else(String::new, |range| format!("{}-{}", range.first, range.last));
                binding.insert("HostPort".to_owned(), range.into());
                continue;
            };
            match range(&wanted) {
                Some(range) if allowed.holds(&range) => {}
                _ => {
                    let message = format!(
                        "the port {:?} of the host is not among the role's {}-{}",
                        shown(&wanted),
                        allowed.first,
                        allowed.last
                    );
                    return Err(deny("PortBindings", message));
                }
            }
            binding.insert("HostPort".to_owned(), wanted.into());
        }
    }
    Ok(())
}

/// The network mode and the endpoints: the default bridge, none, or networks
/// of the same owner, by id.
async fn networks(
    scope: &Scope<'_>,
    container: Option<&str>,
    host: &mut Map<String, Value>,
    networking: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let mode = text(host, "NetworkMode").unwrap_or("default").to_owned();
    let own_name = container.filter(|_| scope.tenant.is_some());
    let mode = match mode.strip_prefix("container:") {
        Some(other) => format!("container:{}", scope.used_container(other).await?.id),
        None => network(scope, &mode).await?,
    };
    host.insert("NetworkMode".to_owned(), mode.clone().into());
    let mut renamed = Map::new();
    for (name, mut endpoint) in take(networking, "EndpointsConfig") {
        let id = network(scope, &name).await?;
        if let Some(endpoint) = endpoint.as_object_mut() {
            links(scope, endpoint, "create.NetworkingConfig.Links").await?;
            if reference::is_full_id(&id) {
                alias(endpoint, own_name);
            }
        }
        if renamed.insert(id, endpoint).is_some() {
            return Err(malformed("create.NetworkingConfig", "the same network is there twice"));
        }
    }
    if own_name.is_some() && reference::is_full_id(&mode) && !renamed.contains_key(&mode) {
        let mut endpoint = Map::new();
        alias(&mut endpoint, own_name);
        renamed.insert(mode, Value::Object(endpoint));
    }
    networking.insert("EndpointsConfig".to_owned(), Value::Object(renamed));
    Ok(())
}

/// Adds the name by which the other containers of a tenant find this one.
pub fn alias(endpoint: &mut Map<String, Value>, name: Option<&str>) {
    let Some(name) = name else { return };
    let mut aliases: Vec<Value> = texts(endpoint, "Aliases").into_iter().map(Value::from).collect();
    if !aliases.iter().any(|alias| alias == name) {
        aliases.push(name.into());
    }
    endpoint.insert("Aliases".to_owned(), aliases.into());
}

async fn network(scope: &Scope<'_>, name: &str) -> Result<String, Refusal> {
    match name {
        "default" | "bridge" | "none" => Ok(name.to_owned()),
        "host" if scope.role.grants("host-network") => Ok(name.to_owned()),
        "host" => {
            Err(deny("NetworkMode", "the host's network is not allowed: the role lacks the grant \"host-network\""))
        }
        name => scope.object(ObjectKind::Network, name, Need::Use).await.map(|network| network.id),
    }
}

/// Links of an endpoint, to containers of the same owner, by id.
pub async fn links(scope: &Scope<'_>, endpoint: &mut Map<String, Value>, at: &str) -> Result<(), Refusal> {
    let mut list = Vec::new();
    for entry in texts(endpoint, "Links") {
        let (other, alias) = entry.split_once(':').unwrap_or((entry, entry));
        if !reference::is_name(alias) {
            return Err(malformed(at, format!("{:?} is not a link", shown(entry))));
        }
        let id = scope.used_container(other).await?.id;
        list.push(Value::from(format!("{id}:{alias}")));
    }
    if !list.is_empty() {
        endpoint.insert("Links".to_owned(), Value::Array(list));
    }
    Ok(())
}
