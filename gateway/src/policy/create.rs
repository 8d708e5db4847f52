//! `POST /containers/create`: the body is checked member by member, and what
//! the role and the tenant require is written into it.

use serde_json::{Map, Value, json};

use super::super::{ObjectKind, Refusal};
use super::members;
use super::reference;
use super::refusal::{denied, malformed, shown};
use super::roles::Ports;
use super::scope::Scope;
use super::{json as strict, limits, mounts, shape};
use crate::tenant;

/// The body to send for a create, of a container that the client names `name`,
/// and the memory that it may use, where it is bounded.
///
/// # Errors
/// The member that is not allowed.
pub async fn container(scope: &Scope<'_>, name: Option<&str>, body: &[u8]) -> Result<(Vec<u8>, Option<u64>), Refusal> {
    let mut map = strict::parse_object(body)?;
    shape::check(&mut map, members::CREATE, "create", &scope.role.grants)?;
    let mut host = take(&mut map, "HostConfig");
    let mut networking = take(&mut map, "NetworkingConfig");

    let image = text(&map, "Image").unwrap_or("").to_owned();
    let image = scope.view().image(&image).await?;
    map.insert("Image".to_owned(), image.stable(scope.tenant).into());
    let chosen = user(scope, text(&map, "User").unwrap_or(""), "create.User")?;
    if let Some(chosen) = chosen {
        map.insert("User".to_owned(), chosen.into());
    }
    labels(scope, &mut map, "create.Labels", true)?;
    for port in map.get("ExposedPorts").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        exposed(port, "create.ExposedPorts")?;
    }

    limits::on_create(scope.role, &mut host)?;
    security(scope, &mut host)?;
    namespaces(scope, &mut host).await?;
    others(scope, &mut host).await?;
    ports(scope, &mut host)?;
    mounts::on_create(scope, &mut map, &mut host).await?;
    networks(scope, name, &mut host, &mut networking).await?;
    let memory = host.get("Memory").and_then(Value::as_u64).filter(|bytes| *bytes > 0);

    map.insert("HostConfig".to_owned(), Value::Object(host));
    map.insert("NetworkingConfig".to_owned(), Value::Object(networking));
    Ok((Value::Object(map).to_string().into_bytes(), memory))
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

/// Labels: reserved ones are refused, and the owner's written. A container
/// inherits its image's labels, so for the operator the owner is written empty.
pub fn labels(scope: &Scope<'_>, map: &mut Map<String, Value>, at: &str, inherits: bool) -> Result<(), Refusal> {
    let mut labels = take(map, "Labels");
    if let Some(name) = labels.keys().find(|name| strict::folded(name).starts_with(tenant::RESERVED)) {
        return Err(denied(at, format!("the label {:?} is reserved", shown(name))));
    }
    match scope.tenant {
        Some(owner) => {
            labels.insert(tenant::LABEL.to_owned(), owner.into());
        }
        None if inherits => {
            labels.insert(tenant::LABEL.to_owned(), "".into());
            labels.insert(tenant::ROLE.to_owned(), scope.role_name.into());
        }
        None => {}
    }
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
        let plain = matches!(option, "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true");
        if !plain && !role.grants("security-opt") {
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
    let log = host.get("LogConfig").and_then(Value::as_object);
    let driver = log.and_then(|log| text(log, "Type")).unwrap_or("");
    if !matches!(driver, "" | "json-file" | "local" | "none") && !role.grants("log-drivers") {
        return Err(deny("LogConfig.Type", format!("the log driver {:?} is not allowed", shown(driver))));
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
                let id = scope.view().own(ObjectKind::Container, other).await?;
                host.insert(member.to_owned(), format!("container:{id}").into());
            }
            _ if mode == "host" && scope.role.grants("host-namespaces") => {}
            _ => return Err(deny(member, format!("{member} {:?} is not allowed", shown(&mode)))),
        }
    }
    Ok(())
}

/// Links and VolumesFrom: to containers of the same owner, by id.
async fn others(scope: &Scope<'_>, host: &mut Map<String, Value>) -> Result<(), Refusal> {
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
            let id = scope.view().own(ObjectKind::Container, other.trim_start_matches('/')).await?;
            let alias = if member == "Links" { Some(rest.unwrap_or(other)) } else { rest };
            list.push(alias.map_or_else(|| id.clone(), |alias| format!("{id}:{alias}")).into());
        }
        if !list.is_empty() {
            host.insert(member.to_owned(), Value::Array(list));
        }
    }
    Ok(())
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

/// Published ports lie in the role's range. A free one (`""`, `0`) is taken from it.
fn ports(scope: &Scope<'_>, host: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(Value::Object(bindings)) = host.get_mut("PortBindings") else { return Ok(()) };
    for (port, list) in bindings.iter_mut() {
        exposed(port, "create.HostConfig.PortBindings")?;
        let Some(list) = list.as_array_mut() else { continue };
        if list.is_empty() {
            list.push(json!({}));
        }
        for binding in list {
            let Some(binding) = binding.as_object_mut() else { continue };
            let Some(allowed) = scope.role.ports else {
                return Err(deny("PortBindings", "this role does not publish ports"));
            };
            if text(binding, "HostIp").is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
                return Err(malformed("create.HostConfig.PortBindings", "HostIp must be an address"));
            }
            let free = format!("{}-{}", allowed.first, allowed.last);
            let wanted = text(binding, "HostPort").filter(|wanted| *wanted != "0").unwrap_or(&free).to_owned();
            match range(&wanted) {
                Some(range) if allowed.first <= range.first && range.last <= allowed.last => {}
                _ => {
                    let message = format!("the port {:?} of the host is not among {free}", shown(&wanted));
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
        Some(other) => format!("container:{}", scope.view().own(ObjectKind::Container, other).await?),
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
        name => scope.view().own(ObjectKind::Network, name).await,
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
        let id = scope.view().own(ObjectKind::Container, other).await?;
        list.push(Value::from(format!("{id}:{alias}")));
    }
    if !list.is_empty() {
        endpoint.insert("Links".to_owned(), Value::Array(list));
    }
    Ok(())
}
