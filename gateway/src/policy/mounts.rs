//! What a new container mounts: volumes of its owner, tmpfs within the quota,
//! and directories of the host only under the role's roots.
//!
//! A tenant's volumes are all turned into `Mounts` with the owner's label, so
//! that a volume which Docker makes on the way is the tenant's from the start.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value, json};

use super::super::Refusal;
use super::create::{take, text, texts};
use super::json as strict;
use super::refusal::{denied, malformed, shown};
use super::scope::Scope;
use crate::tenant;

/// Paths of the host that are never mounted, nor what holds them, whatever the
/// role's roots: whoever has them has the host.
const NEVER: &[&str] = &[
    "/run/docker.sock",
    "/run/docker",
    "/run/containerd",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/proc",
    "/sys",
    "/dev",
];

fn deny(member: &str, message: impl Into<String>) -> Refusal {
    denied(format!("create.HostConfig.{member}"), message)
}

/// Checks and rewrites everything that mounts.
///
/// # Errors
/// The mount that is not allowed.
pub async fn on_create(
    scope: &Scope<'_>,
    config: &mut Map<String, Value>,
    host: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let mut mounts = match host.shift_remove("Mounts") {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    for mount in &mut mounts {
        if let Some(mount) = mount.as_object_mut() {
            check_mount(scope, mount).await?;
        }
    }
    let mut kept = Vec::new();
    for bind in texts(host, "Binds") {
        match read_bind(scope, bind).await? {
            Bound::Text(text) => kept.push(Value::from(text)),
            Bound::Mount(mount) => mounts.push(mount),
        }
    }
    host.shift_remove("Binds");
    if !kept.is_empty() {
        host.insert("Binds".to_owned(), Value::Array(kept));
    }
    let anonymous = take(config, "Volumes");
    for (target, _) in anonymous {
        let target = inside(&target, "create.Volumes")?;
        mounts.push(volume_mount(scope, None, &target, false, false));
    }
    if !mounts.is_empty() {
        host.insert("Mounts".to_owned(), Value::Array(mounts));
    }
    tmpfs(scope, host)
}

enum Bound {
    Text(String),
    Mount(Value),
}

async fn read_bind(scope: &Scope<'_>, bind: &str) -> Result<Bound, Refusal> {
    let parts: Vec<&str> = bind.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => return Err(malformed("create.HostConfig.Binds", format!("{:?} is not understood", shown(bind)))),
    };
    let target = inside(target, "create.HostConfig.Binds")?;
    let modes: Vec<&str> = mode.split(',').filter(|mode| !mode.is_empty()).collect();
    if !modes.iter().all(|mode| matches!(*mode, "ro" | "rw" | "z" | "Z" | "nocopy" | "rprivate" | "private")) {
        return Err(deny("Binds", format!("the mount option {:?} is not allowed", shown(mode))));
    }
    match source {
        Some(path) if path.starts_with('/') => {
            let path = host_path(scope, path, "Binds")?;
            if path.contains(':') {
                return Err(deny("Binds", "a path with a colon is not possible here"));
            }
            let mode = if modes.is_empty() { String::new() } else { format!(":{}", modes.join(",")) };
            Ok(Bound::Text(format!("{path}:{target}{mode}")))
        }
        source => {
            let name = match source {
                Some(name) => Some(scope.view().volume(name).await?),
                None => None,
            };
            Ok(Bound::Mount(volume_mount(
                scope,
                name.as_deref(),
                &target,
                modes.contains(&"ro"),
                modes.contains(&"nocopy"),
            )))
        }
    }
}

async fn check_mount(scope: &Scope<'_>, mount: &mut Map<String, Value>) -> Result<(), Refusal> {
    let kind = text(mount, "Type").unwrap_or("").to_owned();
    let target = inside(text(mount, "Target").unwrap_or(""), "create.HostConfig.Mounts")?;
    let source = text(mount, "Source").map(str::to_owned);
    let (bind, volume) = (take(mount, "BindOptions"), take(mount, "VolumeOptions"));
    let (memory, image) = (take(mount, "TmpfsOptions"), take(mount, "ImageOptions"));
    mount.insert("Target".to_owned(), target.into());
    match (kind.as_str(), source) {
        ("bind", Some(path)) => {
            if !matches!(text(&bind, "Propagation"), None | Some("rprivate" | "private")) {
                return Err(deny("Mounts.BindOptions", "mounts may not propagate"));
            }
            mount.insert("Source".to_owned(), host_path(scope, &path, "Mounts")?.into());
            if !bind.is_empty() {
                mount.insert("BindOptions".to_owned(), Value::Object(bind));
            }
        }
        ("volume", source) => {
            if let Some(name) = &source {
                mount.insert("Source".to_owned(), scope.view().volume(name).await?.into());
            }
            let mut options = volume;
            labels(scope, &mut options)?;
            if let Some(path) = text(&options, "Subpath") {
                relative(path)?;
            }
            mount.insert("VolumeOptions".to_owned(), Value::Object(options));
        }
        ("tmpfs", None) => {
            let mut options = memory;
            bound_size(scope, &mut options)?;
            mount.insert("TmpfsOptions".to_owned(), Value::Object(options));
        }
        ("image", Some(name)) => {
            let image_use = scope.view().image(&name).await?;
            mount.insert("Source".to_owned(), image_use.exact().into());
            if let Some(path) = text(&image, "Subpath") {
                relative(path)?;
                mount.insert("ImageOptions".to_owned(), Value::Object(image));
            }
        }
        _ => return Err(deny("Mounts", format!("a mount of type {:?} like this is not allowed", shown(&kind)))),
    }
    Ok(())
}

fn labels(scope: &Scope<'_>, options: &mut Map<String, Value>) -> Result<(), Refusal> {
    let mut labels = take(options, "Labels");
    if labels.keys().any(|name| strict::folded(name).starts_with(tenant::RESERVED)) {
        return Err(deny("Mounts.VolumeOptions.Labels", "labels of the gateway are reserved"));
    }
    if let Some(owner) = scope.tenant {
        labels.insert(tenant::LABEL.to_owned(), owner.into());
    }
    if !labels.is_empty() {
        options.insert("Labels".to_owned(), Value::Object(labels));
    }
    Ok(())
}

/// A volume mount that carries the owner's label should the volume be new.
fn volume_mount(scope: &Scope<'_>, name: Option<&str>, target: &str, read_only: bool, no_copy: bool) -> Value {
    let mut options = Map::new();
    if no_copy {
        options.insert("NoCopy".to_owned(), true.into());
    }
    if let Some(owner) = scope.tenant {
        options.insert("Labels".to_owned(), json!({ tenant::LABEL: owner }));
    }
    let mut mount = Map::new();
    mount.insert("Type".to_owned(), "volume".into());
    if let Some(name) = name {
        mount.insert("Source".to_owned(), name.into());
    }
    mount.insert("Target".to_owned(), target.into());
    if read_only {
        mount.insert("ReadOnly".to_owned(), true.into());
    }
    if !options.is_empty() {
        mount.insert("VolumeOptions".to_owned(), Value::Object(options));
    }
    Value::Object(mount)
}

/// An absolute path in the container, without `..`.
fn inside(path: &str, at: &str) -> Result<String, Refusal> {
    let plain = path.starts_with('/')
        && path != "/"
        && !path.contains(':')
        && !path.chars().any(char::is_control)
        && !Path::new(path).components().any(|part| part == Component::ParentDir);
    if plain {
        Ok(path.to_owned())
    } else {
        Err(malformed(at, format!("{:?} is not a place to mount at", shown(path))))
    }
}

fn relative(path: &str) -> Result<(), Refusal> {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if plain { Ok(()) } else { Err(deny("Mounts.Subpath", "a subpath must be relative, without `..`")) }
}

/// A path of the host: under a root of the role after every link is resolved,
/// and never the Docker socket or what holds it. The resolved path is used.
fn host_path(scope: &Scope<'_>, path: &str, member: &str) -> Result<String, Refusal> {
    let refused = || deny(member, format!("the host's path {:?} is not allowed for this role", shown(path)));
    let plain = Path::new(path).components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.starts_with('/') || !plain || scope.role.binds.is_empty() {
        return Err(refused());
    }
    let real = std::fs::canonicalize(path).map_err(|_| refused())?;
    let within = |root: &PathBuf| std::fs::canonicalize(root).is_ok_and(|root| real.starts_with(root));
    let never = |path: &&str| {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
        real.starts_with(&path) || path.starts_with(&real)
    };
    if !scope.role.binds.iter().any(within) || NEVER.iter().any(never) {
        return Err(refused());
    }
    real.into_os_string().into_string().map_err(|_| refused())
}

fn bound_size(scope: &Scope<'_>, options: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(limit) = scope.role.quotas.memory.and_then(|limit| i64::try_from(limit).ok()) else { return Ok(()) };
    match options.get("SizeBytes").and_then(Value::as_i64).unwrap_or(0) {
        0 => {
            options.insert("SizeBytes".to_owned(), limit.into());
            Ok(())
        }
        size if (1..=limit).contains(&size) => Ok(()),
        _ => Err(deny("Mounts.TmpfsOptions", "a tmpfs may not be larger than the memory quota")),
    }
}

/// `Tmpfs` of HostConfig: path to mount options.
fn tmpfs(scope: &Scope<'_>, host: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(Value::Object(list)) = host.get_mut("Tmpfs") else { return Ok(()) };
    for (path, options) in list.iter_mut() {
        inside(path, "create.HostConfig.Tmpfs")?;
        let text = options.as_str().unwrap_or("").to_owned();
        let mut sized = false;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            let fits = match name {
                "ro" | "rw" | "noexec" | "exec" | "nosuid" | "nodev" | "noatime" => value.is_empty(),
                "mode" | "uid" | "gid" | "nr_inodes" => digits,
                "size" => {
                    sized = true;
                    size(value)
                        .is_some_and(|size| size > 0 && scope.role.quotas.memory.is_none_or(|limit| size <= limit))
                }
                _ => false,
            };
            if !fits {
                return Err(deny("Tmpfs", format!("the tmpfs option {:?} is not allowed", shown(option))));
            }
        }
        if let Some(limit) = scope.role.quotas.memory.filter(|_| !sized) {
            let comma = if text.is_empty() { "" } else { "," };
            *options = format!("{text}{comma}size={limit}").into();
        }
    }
    Ok(())
}

/// Bytes, with k, m or g.
fn size(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}
