//! What is mounted where a line of /etc/fstab or a mount unit says otherwise: it
//! stays until it is mounted anew, for a remount takes up neither source nor type.
//!
//! Only what is certain counts: a device has many names, and for some types the
//! kernel tells another one (fuse, nfs4).

use crate::observe::{PredictedState, Query};
use crate::plan::{InForce, Override};
use crate::values::AbsPath;

/// Types that the kernel tells by the name that mount(8) was given.
const TYPES: [&str; 10] = ["tmpfs", "ramfs", "ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "squashfs", "overlay"];

/// Beginnings of names of devices that are no links.
const DEVICES: [&str; 6] = ["/dev/sd", "/dev/vd", "/dev/xvd", "/dev/nvme", "/dev/mmcblk", "/dev/loop"];

/// What is to be mounted; empty where nothing says so.
pub(super) struct DesiredMount<'a> {
    pub(super) unit: &'a str,
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    pub(super) kind: &'a str,
    pub(super) options: &'a str,
}

/// Says what is mounted there, if that is something else.
pub(super) fn otherwise(host: &PredictedState, wanted: &DesiredMount<'_>, found: &mut InForce) {
    let DesiredMount { unit, source, target, kind, options } = *wanted;
    let Some(mounted) = target.parse().ok().and_then(|at: AbsPath| host.mounted_at(&at)) else { return };
    let of_type = mounted.file_system.as_str();
    let is = if options.split(',').any(|option| ["bind", "rbind"].contains(&option.trim())) {
        bound(host, source, (&mounted.device, &mounted.root), found).map(|()| format!("{}, not {source}", mounted.root))
    } else if TYPES.contains(&kind) && TYPES.contains(&of_type) && kind != of_type {
        Some(format!("a file system of the type {of_type}, not {kind}"))
    } else if is_device(source) && is_device(&mounted.source) && source != mounted.source {
        Some(format!("{}, not {source}", mounted.source))
    } else {
        None
    };
    if let Some(is) = is {
        let message = format!(
            "what is mounted at {target} is {is}: it stays until 'systemctl restart {unit}' unmounts it and mounts it anew"
        );
        found.overridden.push(Override::new(unit, None, message));
    }
}

/// Whether another directory than this one is known to be bound. Its name may
/// lead through links: where it seems to be another one, they are asked for.
fn bound(host: &PredictedState, source: &str, mounted: (&str, &str), found: &mut InForce) -> Option<()> {
    let path: AbsPath = source.parse().ok()?;
    let is_it = |path: &AbsPath| host.on_device(path).is_none_or(|(device, root)| (device, root.as_str()) == mounted);
    let query = Query::Path(path.clone());
    if is_it(&path) {
        None
    } else if !host.asked(&query) {
        found.follow_up_queries.push(query);
        None
    } else {
        let (place, state) = host.followed(&path);
        state?.entry().filter(|_| !is_it(&place)).map(|_| ())
    }
}

fn is_device(name: &str) -> bool {
    DEVICES.iter().any(|start| name.strip_prefix(start).is_some_and(|rest| !rest.contains('/')))
}
