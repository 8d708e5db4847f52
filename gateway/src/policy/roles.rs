//! Roles: what may be called, with which quotas and grants. Default: nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::Error as _;

use super::operation::Operation;
use super::reference;
use super::routes::{self, Class, Route};
use crate::name::RoleName;

/// A role as the policy uses it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Operation ids and `class:read`, `class:run`, `class:change`, `class:dangerous`.
    pub allow: Vec<String>,
    /// Taken away again from `allow`.
    #[serde(default)]
    pub deny: Vec<String>,
    /// What one container or build may use, and all of an owner's together.
    #[serde(default)]
    pub quotas: Quotas,
    /// Registries to pull from and push to: a host, a host and path, or `*`.
    #[serde(default)]
    pub registries: Vec<String>,
    /// Directories of the host that may be mounted, each exactly as it is listed;
    /// of one that is listed `:ro`, also what lies below it, read-only.
    #[serde(default)]
    pub binds: Vec<Bind>,
    /// Ports of the host that may be published, `8000-8999`; none without it.
    #[serde(default)]
    pub ports: Option<Ports>,
    /// Addresses that log drivers may send to, each exactly as the container's
    /// option has it: `udp://192.0.2.5:514`. Needs the grant `log-drivers`.
    #[serde(default)]
    pub log_addresses: Vec<String>,
    /// Hosts that a build's `ADD` may fetch from: `example.com`, `example.com:8443`.
    #[serde(default)]
    pub fetch: Vec<String>,
    /// Whether a container may run as root (in its own namespace).
    #[serde(default = "yes")]
    pub root: bool,
    /// Capabilities that may be added, `NET_BIND_SERVICE`.
    #[serde(default)]
    pub caps: Vec<String>,
    /// What is denied without a grant: see [`GRANTS`].
    #[serde(default)]
    pub grants: Vec<String>,
    /// Bytes of a streamed body (`cp`, `build`, `load`).
    #[serde(default = "stream", deserialize_with = "bytes")]
    pub stream: u64,
}

/// What one container or build may use, and all containers of an owner
/// together; what is not set has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quotas {
    /// Bytes of memory.
    #[serde(default, deserialize_with = "maybe_bytes")]
    pub memory: Option<u64>,
    /// Processors, `1.5`.
    #[serde(default)]
    pub cpus: Option<f64>,
    /// Processes and threads.
    #[serde(default)]
    pub pids: Option<u32>,
    /// Containers, running or not, that a tenant may have in all; without a
    /// tenant, those made by this role.
    #[serde(default)]
    pub containers: Option<u32>,
    /// Networks that a tenant may have in all (8 unless it is set: all share one
    /// pool of addresses); without a tenant, those made by this role.
    #[serde(default)]
    pub networks: Option<u32>,
    /// Bytes of memory that these may use together. Needs `memory`, so that
    /// each of them is bounded.
    #[serde(default, deserialize_with = "maybe_bytes")]
    pub total_memory: Option<u64>,
}

/// Every grant, with what it opens.
pub const GRANTS: &[(&str, &str)] = &[
    ("privileged", "Privileged containers and exec: root on the host"),
    ("devices", "Devices, DeviceRequests, DeviceCgroupRules"),
    ("host-network", "the host's network namespace"),
    ("host-namespaces", "the host's pid, ipc, uts and user namespaces"),
    ("host-gateway", "ExtraHosts with host-gateway"),
    ("security-opt", "any SecurityOpt, MaskedPaths and ReadonlyPaths"),
    ("runtime", "Runtime and Annotations"),
    ("oom", "negative OomScoreAdj and OomKillDisable"),
    ("groups", "GroupAdd"),
    ("publish-all", "PublishAllPorts"),
    ("log-drivers", "log drivers that send to an address of `log_addresses`"),
    ("mac-address", "a MAC address of one's own"),
    ("subnets", "networks with chosen subnets and driver options"),
    ("build", "builds: a Dockerfile's FROM and COPY name any image and registry"),
    ("foreign", "use of containers, networks and volumes that were not made through the gateway, or exceed the role"),
    ("private-pull", "pulls with credentials in a tenant's name: what is pulled is seen by every tenant"),
    ("archive", "docker cp on engines before 29.5.1, which race with the container"),
];

/// A directory of the host that may be mounted: `/srv/data`, `/srv/site:ro`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The path on the host.
    pub path: PathBuf,
    /// It, and what lies below it, is mounted read-only.
    pub read_only: bool,
}

impl<'de> Deserialize<'de> for Bind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Bind, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (path, read_only) = match text.strip_suffix(":ro") {
            Some(path) => (path, true),
            None => (text.strip_suffix(":rw").unwrap_or(&text), false),
        };
        let plain = |part| matches!(part, std::path::Component::RootDir | std::path::Component::Normal(_));
        let written: PathBuf = Path::new(path).components().collect();
        if !path.starts_with('/')
            || path.contains(':')
            || path.chars().any(char::is_control)
            || !written.components().all(plain)
        {
            return Err(D::Error::custom(format!(
                "{text:?} is not an absolute path, such as \"/srv/data\" or \"/srv/site:ro\""
            )));
        }
        Ok(Bind { path: written, read_only })
    }
}

/// A range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl Ports {
    /// Whether a range lies in this one.
    pub fn holds(&self, range: &Ports) -> bool {
        self.first <= range.first && range.last <= self.last
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Ports, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Ports { first, last }),
            _ => Err(D::Error::custom(format!("{text:?} is not a range of ports, such as \"8000-8999\""))),
        }
    }
}

fn yes() -> bool {
    true
}

fn stream() -> u64 {
    1 << 30
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Number(u64),
    Text(String),
}

fn bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = match Size::deserialize(deserializer)? {
        Size::Number(number) => return Ok(number),
        Size::Text(text) => text,
    };
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" => Some(1),
        "k" => Some(1 << 10),
        "m" => Some(1 << 20),
        "g" => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    number.ok_or_else(|| D::Error::custom(format!("{text:?} is not a size, such as \"512m\"")))
}

fn maybe_bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    bytes(deserializer).map(Some)
}

/// A role file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// Cannot be read.
    #[error("cannot read roles from {path}: {error}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML, or with a member that is not known; the text has the line.
    #[error("{name}: {error}")]
    Form {
        /// The file.
        name: String,
        /// Where and what.
        error: Box<toml::de::Error>,
    },
    /// Says what cannot be.
    #[error("{name}: role {role:?}: {what}")]
    Meaning {
        /// The file.
        name: String,
        /// The role.
        role: String,
        /// What is wrong.
        what: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    role: BTreeMap<String, Role>,
}

/// Roles by name.
pub type Roles = BTreeMap<RoleName, Role>;

/// The bundled roles.
pub const BUNDLED: &[(&str, &str)] = &[
    ("read.toml", include_str!("roles/read.toml")),
    ("deploy.toml", include_str!("roles/deploy.toml")),
    ("operator.toml", include_str!("roles/operator.toml")),
];

/// Reads the roles of a TOML text: `[role.NAME]` tables.
///
/// # Errors
/// With the line, for what is not known or cannot be.
pub fn read(name: &str, text: &str, roles: &mut Roles) -> Result<(), RoleError> {
    let file: File =
        toml::from_str(text).map_err(|error| RoleError::Form { name: name.to_owned(), error: Box::new(error) })?;
    for (role, body) in file.role {
        let wrong = |what| RoleError::Meaning { name: name.to_owned(), role: role.clone(), what };
        check(&body).map_err(wrong)?;
        roles.insert(RoleName::parse(&role).map_err(|error| wrong(error.to_string()))?, body);
    }
    Ok(())
}

/// Reads every `*.toml` of a directory over the bundled roles, or one file.
///
/// # Errors
/// For a file that cannot be read or used.
pub fn read_path(path: &Path, roles: &mut Roles) -> Result<(), RoleError> {
    let failed = |error| RoleError::Read { path: path.to_owned(), error };
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension().is_some_and(|extension| extension == "toml") {
                files.push(file);
            }
        }
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| RoleError::Read { path: file.clone(), error })?;
        read(&file.display().to_string(), &text, roles)?;
    }
    Ok(())
}

fn check(role: &Role) -> Result<(), String> {
    for entry in role.allow.iter().chain(&role.deny) {
        let known = match entry.strip_prefix("class:") {
            Some(class) => matches!(class, "read" | "run" | "change" | "dangerous"),
            None => Operation::of(entry).is_some_and(|operation| routes::of(operation).class != Class::Never),
        };
        if !known {
            return Err(format!("{entry:?} is neither an operation that can be allowed nor a class"));
        }
    }
    for grant in &role.grants {
        if !GRANTS.iter().any(|(known, _)| known == grant) {
            return Err(format!("there is no grant {grant:?}"));
        }
    }
    for entry in &role.registries {
        let (host, path) = entry.split_once('/').unwrap_or((entry, "x"));
        if entry != "*" && (!reference::is_host(host) || path.is_empty() || path.ends_with('/')) {
            return Err(format!("{entry:?} is not a registry, such as \"docker.io/library\""));
        }
    }
    if role.quotas.cpus.is_some_and(|cpus| !(cpus > 0.0 && cpus <= 4096.0)) {
        return Err("cpus must be more than 0 and at most 4096".to_owned());
    }
    if role.quotas.memory.is_some_and(|memory| !((6 << 20)..=(1 << 50)).contains(&memory))
        || role.quotas.pids == Some(0)
    {
        return Err("memory must be at least 6m, pids at least 1".to_owned());
    }
    if role.quotas.total_memory.is_some_and(|total| role.quotas.memory.is_none_or(|memory| memory > total)) {
        return Err("total_memory needs memory, the quota of one container, and is no less than that".to_owned());
    }
    Ok(())
}

impl Role {
    /// The entry of `allow` that lets a route through, if any.
    pub fn allows(&self, route: &Route) -> Option<&str> {
        let covers = |entry: &&String| match entry.strip_prefix("class:") {
            Some(class) => class == route.class.name(),
            None => *entry == route.operation.name(),
        };
        if route.class == Class::Never || self.deny.iter().any(|entry| covers(&entry)) {
            return None;
        }
        self.allow.iter().find(covers).map(String::as_str)
    }

    /// Whether the role has a grant.
    pub fn grants(&self, grant: &str) -> bool {
        self.grants.iter().any(|held| held == grant)
    }

    /// Whether an image may be pulled from or pushed to where its reference says.
    pub fn reaches(&self, reference: &reference::Reference) -> bool {
        self.registries.iter().any(|entry| reference.is_within(entry))
    }
}
