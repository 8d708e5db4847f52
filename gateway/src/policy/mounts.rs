//! What a new container mounts: volumes of its owner, tmpfs within the quota,
//! and directories of the host that the role lists.
//!
//! A tenant's volumes are all turned into `Mounts` with the owner's label, so
//! that a volume which Docker makes on the way is the tenant's from the start.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use super::super::{QuotaGuard, Refusal};
use super::create::{take, text, texts};
use super::json as strict;
use super::refusal::{denied, malformed, shown, unreachable};
use super::roles::{Bind, Role};
use super::scope::Scope;
use crate::tenant;

/// Paths of the host that are never mounted, nor what holds them, whatever the
/// role lists: whoever has them has the host.
const NEVER: &[&str] = &[
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/docker",
    "/run/containerd",
    "/run/stockade-gateway",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/stockade-gateway",
    "/etc/stockade-gateway",
    "/proc",
    "/sys",
    "/dev",
];

fn deny(member: &str, message: impl Into<String>) -> Refusal {
    denied(format!("create.HostConfig.{member}"), message)
}

/// Checks and rewrites everything that mounts; `image` is the configuration of
/// the container's image. What is mounted from the host comes back.
///
/// # Errors
/// The mount that is not allowed.
pub async fn on_create(
    scope: &Scope<'_>,
    config: &mut Map<String, Value>,
    host: &mut Map<String, Value>,
    image: &Value,
) -> Result<Vec<Source>, Refusal> {
    let mut mounts = match host.shift_remove("Mounts") {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    for mount in &mut mounts {
        if let Some(mount) = mount.as_object_mut() {
            check_mount(scope, mount).await?;
        }
    }
    let (mut kept, mut binds) = (Vec::new(), Vec::new());
    for bind in texts(host, "Binds") {
        match read_bind(scope, bind).await? {
            Bound::Host(text, bind) => {
                kept.push(Value::from(text));
                binds.push(bind);
            }
            Bound::Mount(mount) => mounts.push(mount),
        }
    }
    host.shift_remove("Binds");
    if !kept.is_empty() {
        host.insert("Binds".to_owned(), Value::Array(kept));
    }
    let mut used: BTreeSet<String> = mounts.iter().filter_map(|mount| target(mount).map(str::to_owned)).collect();
    used.extend(binds.iter().map(|bind| bind.target.clone()));
    used.extend(host.get("Tmpfs").and_then(Value::as_object).into_iter().flatten().map(|(path, _)| cleaned(path)));
    // A volume that the image or the request names without a source is made by
    // the daemon, without labels unless it is a mount; one target is mounted once.
    let unnamed = take(config, "Volumes");
    let of_image = image.get("Volumes").and_then(Value::as_object).into_iter().flatten().map(|(path, _)| path);
    for path in unnamed.keys() {
        inside(path, "create.Volumes")?;
    }
    for path in unnamed.keys().chain(of_image) {
        let Ok(path) = inside(path, "create.Volumes") else { continue };
        if used.insert(cleaned(&path)) {
            mounts.push(volume_mount(scope, None, &path, false, false));
        }
    }
    let mut mounted: Vec<Source> = binds.into_iter().map(|bind| bind.source).collect();
    mounted.extend(mounts.iter().filter(|mount| mount.get("Type").and_then(Value::as_str) == Some("bind")).map(
        |mount| Source {
            path: mount.get("Source").and_then(Value::as_str).unwrap_or("/").to_owned(),
            read_only: mount.get("ReadOnly") == Some(&Value::Bool(true)),
        },
    ));
    if !mounts.is_empty() {
        host.insert("Mounts".to_owned(), Value::Array(mounts));
    }
    tmpfs(scope, host)?;
    Ok(mounted)
}

/// Where a mount is in the container, in one spelling.
fn target(mount: &Value) -> Option<&str> {
    mount.get("Target").and_then(Value::as_str)
}

/// A path in the container without empty parts and a slash at its end, by
/// which two of the same place are told.
fn cleaned(path: &str) -> String {
    Path::new(path).components().collect::<PathBuf>().to_string_lossy().into_owned()
}

/// A bind of HostConfig.
struct HostBind {
    source: Source,
    target: String,
}

enum Bound {
    Host(String, HostBind),
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
            let path = host_path(scope, path, modes.contains(&"ro"), "Binds")?;
            if modes.iter().any(|mode| matches!(*mode, "z" | "Z")) && modes.contains(&"ro") {
                return Err(deny("Binds", "a directory that is mounted read-only is not relabelled"));
            }
            let mode = if modes.is_empty() { String::new() } else { format!(":{}", modes.join(",")) };
            let text = format!("{path}:{target}{mode}");
            let read_only = modes.contains(&"ro");
            Ok(Bound::Host(text, HostBind { source: Source { path, read_only }, target: cleaned(&target) }))
        }
        source => {
            let name = match source {
                Some(name) => Some(scope.volume(name).await?),
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
    mount.insert("Target".to_owned(), cleaned(&target).into());
    match (kind.as_str(), source) {
        ("bind", Some(path)) => {
            if !matches!(text(&bind, "Propagation"), None | Some("rprivate" | "private")) {
                return Err(deny("Mounts.BindOptions", "mounts may not propagate"));
            }
            let read_only = mount.get("ReadOnly") == Some(&Value::Bool(true));
            mount.insert("Source".to_owned(), host_path(scope, &path, read_only, "Mounts")?.into());
            if !bind.is_empty() {
                mount.insert("BindOptions".to_owned(), Value::Object(bind));
            }
        }
        ("volume", source) => {
            if let Some(name) = &source {
                mount.insert("Source".to_owned(), scope.volume(name).await?.into());
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
    labels.extend(scope.made_by());
    options.insert("Labels".to_owned(), Value::Object(labels));
    Ok(())
}

/// A volume mount that carries the owner's label should the volume be new.
fn volume_mount(scope: &Scope<'_>, name: Option<&str>, target: &str, read_only: bool, no_copy: bool) -> Value {
    let mut options = Map::new();
    if no_copy {
        options.insert("NoCopy".to_owned(), true.into());
    }
    options.insert("Labels".to_owned(), Value::Object(scope.made_by()));
    let mut mount = Map::new();
    mount.insert("Type".to_owned(), "volume".into());
    if let Some(name) = name {
        mount.insert("Source".to_owned(), name.into());
    }
    mount.insert("Target".to_owned(), target.into());
    if read_only {
        mount.insert("ReadOnly".to_owned(), true.into());
    }
    mount.insert("VolumeOptions".to_owned(), Value::Object(options));
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

/// Whether a path holds, or lies in, what is never mounted.
fn is_never_mounted(path: &Path) -> bool {
    NEVER.iter().any(|known| path.starts_with(known) || Path::new(known).starts_with(path))
}

/// The entry of a role's `binds` by which a path of the host may be mounted:
/// exactly a listed path, or below one that is listed read-only, read-only.
pub fn granted<'a>(role: &'a Role, path: &str, read_only: bool) -> Option<&'a Bind> {
    let path = Path::new(path);
    if is_never_mounted(path) {
        return None;
    }
    role.binds.iter().find(|bind| {
        (path == bind.path && (read_only || !bind.read_only))
            || (bind.read_only && read_only && path.starts_with(&bind.path))
    })
}

/// A directory of the host that a container mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path on the host.
    pub path: String,
    /// Whether the container cannot write there.
    pub read_only: bool,
}

/// What of a container, as `inspect` or a list has it, is mounted from the host.
pub fn sources(details: &Value) -> Vec<Source> {
    let mounts = details.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    let binds = mounts.filter(|mount| mount.get("Type").and_then(Value::as_str) == Some("bind"));
    let source = |mount: &Value| Source {
        path: mount.get("Source").and_then(Value::as_str).unwrap_or("/").to_owned(),
        read_only: mount.get("RW") == Some(&Value::Bool(false)),
    };
    binds.map(source).collect()
}

/// Judges what the daemon is about to mount from the host, at a create and at
/// each start: the daemon resolves the paths only then. `container` is the full
/// id of the one that mounts, where it is there already. The lock that comes
/// back is held until the daemon has answered.
///
/// What must hold: no container can have changed where a path leads. Its
/// parents are directories of root and no links, and no container, this one
/// included, has a parent of it mounted for writing; nor does this one take for
/// writing what is a parent of another's. Nor may any role mount a parent for
/// writing: a container that did may have handed the open directory to another
/// (`SCM_RIGHTS`, `/proc/PID/root`), which goes on writing when the first is gone.
///
/// # Errors
/// 403 for a path that could have been changed, 503 where it cannot be told.
pub async fn judge(
    scope: &Scope<'_>,
    container: Option<&str>,
    mounted: &[Source],
    restarts: bool,
) -> Result<QuotaGuard, Refusal> {
    if mounted.is_empty() {
        return Ok(QuotaGuard::default());
    }
    let quota_guard = scope.docker.lock("binds").await.map_err(|error| unreachable(&error))?;
    for source in mounted {
        let refused = |why: &str| deny("Binds", format!("the host's path {:?}: {why}", shown(&source.path)));
        let Some(bind) = granted(scope.role, &source.path, source.read_only) else {
            let message = "it is not exactly one of the role's `binds`, nor below one that is listed `:ro`";
            return Err(refused(message));
        };
        if restarts && Path::new(&source.path) != bind.path {
            return Err(refused(
                "below a listed directory a container may not restart by itself: only a start is judged",
            ));
        }
        unmoved(Path::new(&source.path)).map_err(|why| refused(&why))?;
    }
    let places = Places::read()?;
    let inside = |path: &str, root: &str| places.is_inside(Path::new(path), Path::new(root));
    let writable = || {
        let binds = scope.roles.iter().flat_map(|(name, role)| role.binds.iter().map(move |bind| (name, bind)));
        binds.filter(|(_, bind)| !bind.read_only && !is_never_mounted(&bind.path))
    };
    for source in mounted {
        let path = Path::new(&source.path);
        if let Some((role, bind)) = writable().find(|(_, bind)| places.is_inside(path, &bind.path)) {
            let message = format!(
                "the host's path {:?} lies in {}, which role.{role}.binds lists for writing, so that it may lead \
                 elsewhere: list that directory `:ro`",
                shown(&source.path),
                bind.path.display()
            );
            return Err(deny("Binds", message));
        }
    }
    let others = scope.all_containers().await?;
    let others = others.iter().filter(|other| Some(other.id.as_str()) != container);
    let theirs: Vec<Source> = others.flat_map(|other| sources(&other.details)).collect();
    for source in mounted {
        let written = theirs.iter().chain(mounted).find(|root| !root.read_only && inside(&source.path, &root.path));
        if let Some(root) = written {
            let message = format!(
                "the host's path {:?} lies in {:?}, which a container can write to, so that it may lead elsewhere",
                shown(&source.path),
                shown(&root.path)
            );
            return Err(deny("Binds", message));
        }
        if !source.read_only && theirs.iter().any(|other| inside(&other.path, &source.path)) {
            let message = format!(
                "a container mounts what lies in the host's path {:?}, so that path is not mounted for writing",
                shown(&source.path)
            );
            return Err(deny("Binds", message));
        }
    }
    Ok(quota_guard)
}

/// Where each path of the host lies on its file system: one directory may be
/// mounted at several places.
struct Places(Vec<Mounted>);

/// A line of `/proc/self/mountinfo` (proc(5)).
struct Mounted {
    /// `major:minor`.
    device: String,
    /// What of the file system is mounted.
    root: PathBuf,
    /// Where.
    point: PathBuf,
}

impl Places {
    fn read() -> Result<Places, Refusal> {
        let text = std::fs::read_to_string("/proc/self/mountinfo")
            .map_err(|error| deny("Binds", format!("the mounts of this host cannot be read: {error}")))?;
        Ok(Places(text.lines().filter_map(Places::line).collect()))
    }

    fn line(line: &str) -> Option<Mounted> {
        let mut fields = line.split(' ').skip(2);
        let (device, root, point) = (fields.next()?.to_owned(), fields.next()?, fields.next()?);
        Some(Mounted { device, root: unescaped(root)?, point: unescaped(point)? })
    }

    /// The device and the path on it. Of several mounts at one place the last counts.
    fn of<'a>(&'a self, path: &'a Path) -> Option<(&'a str, PathBuf)> {
        let holds = self.0.iter().filter(|mounted| path.starts_with(&mounted.point));
        let mounted = holds.max_by_key(|mounted| mounted.point.components().count())?;
        let rest = path.strip_prefix(&mounted.point).ok()?;
        // `join` of nothing would add a slash, which `starts_with` does not mind.
        Some((&mounted.device, mounted.root.join(rest)))
    }

    /// Whether a path lies below another, by its name or by where both are.
    fn is_inside(&self, path: &Path, root: &Path) -> bool {
        let below = |path: &Path, root: &Path| path != root && path.starts_with(root);
        if below(path, root) {
            return true;
        }
        match (self.of(path), self.of(root)) {
            (Some((device, path)), Some((other, root))) => device == other && below(&path, &root),
            _ => false,
        }
    }
}

/// A path of mountinfo: a space is `\040`, as are tab, line end and backslash.
fn unescaped(text: &str) -> Option<PathBuf> {
    let mut parts = text.split('\\');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (octal, rest) = part.split_at_checked(3)?;
        plain.push(char::from(u8::from_str_radix(octal, 8).ok()?));
        plain.push_str(rest);
    }
    Some(PathBuf::from(plain))
}

/// Whether a path is itself on this host, whatever containers do: every parent
/// is a directory of root in which nobody else can replace what it leads to.
fn unmoved(path: &Path) -> Result<(), String> {
    let seen = |path: &Path| {
        std::fs::symlink_metadata(path).map_err(|error| format!("{} cannot be looked at: {error}", path.display()))
    };
    if seen(path)?.file_type().is_symlink() {
        return Err("it is a link".to_owned());
    }
    for parent in path.ancestors().skip(1) {
        let found = seen(parent)?;
        // In a directory like /tmp whoever owns an entry may rename it.
        if found.mode() & 0o1022 > 0o1000 && parent == path.parent().unwrap_or(parent) && seen(path)?.uid() != 0 {
            return Err(format!("its owner can rename it in {}", parent.display()));
        }
        let others = found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0;
        let group_only = found.mode() & 0o002 == 0 && found.gid() == 0;
        if !found.is_dir() {
            return Err(format!("{} is not a directory, or a link", parent.display()));
        }
        if found.uid() != 0 || (others && !group_only) {
            return Err(format!("{} can be written to by others than root", parent.display()));
        }
    }
    Ok(())
}

/// A path of the host as a client writes it: it has one spelling.
fn host_path(scope: &Scope<'_>, path: &str, read_only: bool, member: &str) -> Result<String, Refusal> {
    let refused = || {
        let message = format!(
            "the host's path {:?} is not allowed for this role: it is not exactly one of its `binds`, \
             nor mounted read-only below one that is listed `:ro`",
            shown(path)
        );
        deny(member, message)
    };
    let parts = Path::new(path).components();
    let plain = parts.clone().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let path = parts.collect::<PathBuf>().into_os_string().into_string().map_err(|_| refused())?;
    if !path.starts_with('/') || !plain || granted(scope.role, &path, read_only).is_none() {
        return Err(refused());
    }
    Ok(path)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_mounted_twice_lies_at_one_place() {
        let lines = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                     30 22 8:1 /srv/data/deep /mnt/other\\040name rw - ext4 /dev/sda1 rw\n\
                     31 22 8:2 / /srv/disk rw - ext4 /dev/sdb1 rw\n";
        let places = Places(lines.lines().filter_map(Places::line).collect());
        let inside = |path: &str, root: &str| places.is_inside(Path::new(path), Path::new(root));
        assert!(inside("/srv/data/deep", "/srv/data"));
        assert!(inside("/mnt/other name/x", "/srv/data"));
        assert!(inside("/mnt/other name/x", "/srv/data/deep"));
        assert!(inside("/srv/data/deep/x", "/mnt/other name"));
        assert!(inside("/mnt/other name", "/srv/data"));
        assert!(!inside("/mnt/other name", "/srv/data/deep"), "it is that directory");
        assert!(!inside("/srv/data", "/mnt/other name"));
        assert!(inside("/srv/disk/data", "/srv/disk"));
        assert!(!inside("/srv/disk/srv/data", "/srv/data"), "another file system");
        assert!(!inside("/srv/database", "/srv/data"));
    }
}
