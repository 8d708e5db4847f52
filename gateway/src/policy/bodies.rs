//! The JSON bodies besides create's: exec, update, networks, volumes, login.

use serde_json::{Map, Value};

use super::super::Refusal;
use super::create::{alias, labels, links, restart_policy, restarts, take, text, user};
use super::members;
use super::reference::{self, Reference};
use super::refusal::{denied, malformed, shown};
use super::routes::Route;
use super::scope::Scope;
use super::shape::Members;
use super::{json, limits, shape};

fn read(scope: &Scope<'_>, body: &[u8], members: Members, at: &str) -> Result<Map<String, Value>, Refusal> {
    let mut map = json::parse_object(body)?;
    shape::check(&mut map, members, at, &scope.role.grants)?;
    super::create::printable(at, &map)?;
    Ok(map)
}

fn written(map: Map<String, Value>) -> Vec<u8> {
    Value::Object(map).to_string().into_bytes()
}

/// `POST /containers/{id}/exec`.
pub fn exec(scope: &Scope<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut map = read(scope, body, members::EXEC, "exec")?;
    // Without a user the container's own applies, which may be root.
    let wanted = text(&map, "User").unwrap_or("").to_owned();
    if let Some(user) = user(scope, &wanted, "exec.User")? {
        map.insert("User".to_owned(), user.into());
    }
    Ok(written(map))
}

/// `POST /exec/{id}/start`. Also tells whether it is detached.
pub fn exec_start(scope: &Scope<'_>, body: &[u8]) -> Result<(Vec<u8>, bool), Refusal> {
    let map = read(scope, body, members::EXEC_START, "exec.start")?;
    let detached = map.get("Detach") == Some(&Value::Bool(true));
    Ok((written(map), detached))
}

/// A body that may say nothing: of a start, where the daemon refuses one, and of
/// a push.
pub fn nothing(scope: &Scope<'_>, route: &Route, body: &[u8]) -> Result<(), Refusal> {
    let given = if body.is_empty() { Value::Null } else { json::parse(body)? };
    match (given, route.members) {
        (Value::Null, _) => Ok(()),
        (Value::Object(map), Some([])) if !map.is_empty() => {
            Err(malformed("body.none", "this operation takes no body: its settings belong to the container's creation"))
        }
        (Value::Object(mut map), Some(members)) => shape::check(&mut map, members, "push", &scope.role.grants),
        _ => Err(malformed("json.form", "a JSON object is expected")),
    }
}

/// The configuration that a commit's body asks for; empty where it asks for none.
pub fn commit(scope: &Scope<'_>, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let mut map = match if body.is_empty() { Value::Null } else { json::parse(body)? } {
        Value::Null => return Ok(Map::new()),
        Value::Object(map) => map,
        _ => return Err(malformed("json.form", "a JSON object is expected")),
    };
    shape::check(&mut map, members::COMMIT, "commit", &scope.role.grants)?;
    map.retain(|_, value| !shape::zero(value));
    Ok(map)
}

/// `POST /containers/{id}/update`. Also tells the memory that is asked for, and
/// whether the container may now restart by itself.
pub fn update(scope: &Scope<'_>, body: &[u8]) -> Result<(Vec<u8>, Option<u64>, bool), Refusal> {
    let map = read(scope, body, members::UPDATE, "update")?;
    limits::on_update(scope.role, &map)?;
    restart_policy(map.get("RestartPolicy").and_then(Value::as_object), "update.RestartPolicy")?;
    let memory = map.get("Memory").and_then(Value::as_u64).filter(|bytes| *bytes > 0);
    let restarts = map.get("RestartPolicy").and_then(Value::as_object).is_some_and(restarts);
    Ok((written(map), memory, restarts))
}

/// Options of a bridge that stay within it.
const BRIDGE_OPTIONS: &[&str] = &[
    "com.docker.network.bridge.enable_icc",
    "com.docker.network.bridge.enable_ip_masquerade",
    "com.docker.network.driver.mtu",
];

/// `POST /networks/create`.
pub fn network_create(scope: &Scope<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut map = read(scope, body, members::NETWORK, "network")?;
    let name = text(&map, "Name").unwrap_or("");
    if !reference::is_name(name)
        || matches!(name, "host" | "none" | "bridge" | "default")
        // A shorter one is only a name: the daemon looks for whole ids, then for
        // whole names, then for the beginnings of ids.
        || reference::is_full_id(name)
    {
        return Err(denied("network.Name", format!("{:?} cannot be a network's name here", shown(name))));
    }
    if !matches!(text(&map, "Driver"), None | Some("bridge")) {
        return Err(denied("network.Driver", "the only network driver allowed is bridge"));
    }
    if !matches!(text(&map, "Scope"), None | Some("local")) {
        return Err(denied("network.Scope", "the only scope allowed is local"));
    }
    let ipam = map.get("IPAM").and_then(Value::as_object);
    if !matches!(ipam.and_then(|ipam| text(ipam, "Driver")), None | Some("default")) {
        return Err(denied("network.IPAM.Driver", "the only IPAM driver allowed is the default"));
    }
    for name in map.get("Options").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        if !BRIDGE_OPTIONS.contains(&name.as_str()) {
            return Err(denied("network.Options", format!("the driver option {:?} is not allowed", shown(name))));
        }
    }
    let name = scope.view().new_name(name)?;
    map.insert("Name".to_owned(), name.into());
    labels(&mut map, "network.Labels", scope.made_by())?;
    // Of two networks with one name the daemon finds neither by it.
    map.insert("CheckDuplicate".to_owned(), true.into());
    Ok(written(map))
}

/// `POST /networks/{id}/connect`: the container is the owner's too, and is found by its short name.
pub async fn network_connect(scope: &Scope<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let at = "network.connect";
    let mut map = read(scope, body, members::CONNECT, at)?;
    let container = text(&map, "Container").unwrap_or("");
    let (id, name) = {
        let found = scope.used_container(container).await?;
        (found.id, found.name)
    };
    map.insert("Container".to_owned(), id.into());
    let mut endpoint = take(&mut map, "EndpointConfig");
    links(scope, &mut endpoint, at).await?;
    alias(&mut endpoint, name.as_deref());
    if !endpoint.is_empty() {
        map.insert("EndpointConfig".to_owned(), Value::Object(endpoint));
    }
    Ok(written(map))
}

/// `POST /networks/{id}/disconnect`.
pub async fn network_disconnect(scope: &Scope<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut map = read(scope, body, members::DISCONNECT, "network.disconnect")?;
    let id = scope.used_container(text(&map, "Container").unwrap_or("")).await?.id;
    map.insert("Container".to_owned(), id.into());
    Ok(written(map))
}

/// `POST /volumes/create`. An existing volume's name would return that volume,
/// whosever it is, so it is looked up first.
pub async fn volume_create(scope: &Scope<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut map = read(scope, body, members::VOLUME, "volume")?;
    if !matches!(text(&map, "Driver"), None | Some("local")) {
        return Err(denied("volume.Driver", "the only volume driver allowed is local"));
    }
    if let Some(name) = text(&map, "Name") {
        let name = scope.volume(name).await?;
        map.insert("Name".to_owned(), name.into());
    }
    labels(&mut map, "volume.Labels", scope.made_by())?;
    Ok(written(map))
}

/// `POST /auth`: the daemon calls the address, so it must be a registry of the role's.
pub fn login(scope: &Scope<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let map = read(scope, body, members::AUTH, "auth")?;
    let host = registry_host(text(&map, "serveraddress").unwrap_or("docker.io"));
    match Reference::read(&format!("{host}/x/x")) {
        Some(reference)
            if reference.host == host && scope.role.registries.iter().any(|entry| covers_host(entry, &host)) =>
        {
            Ok(written(map))
        }
        _ => Err(denied("registry.login", format!("the registry {:?} is not allowed for this role", shown(&host)))),
    }
}

/// Whether an entry of `registries` is about a host.
pub fn covers_host(entry: &str, host: &str) -> bool {
    entry == "*" || entry.split('/').next() == Some(host)
}

/// The host of a registry as clients write it: `https://index.docker.io/v1/`.
pub fn registry_host(address: &str) -> String {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")).unwrap_or(address);
    let host = rest.split('/').next().unwrap_or("");
    if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io".to_owned() } else { host.to_owned() }
}
