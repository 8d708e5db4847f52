//! What is mounted where, and where nothing can be written for that reason.

use super::HostState;
use super::reply::Section;
use crate::values::AbsPath;

/// Mount points with their options, the sort of their file system, its device, what
/// of it is mounted, and its source: one process, whatever there is (proc_pid_mountinfo(5)).
pub(super) const PROBE: &str = include_str!("probes/mounts.sh");

/// File systems in which the kernel alone makes files.
const KERNEL_MADE: [&str; 2] = ["proc", "sysfs"];

/// A file system at its mount point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// Whether it is mounted read-only.
    pub read_only: bool,
    /// Its sort, such as `ext4`.
    pub file_system: String,
    /// The numbers of its device, such as `8:1`.
    pub device: String,
    /// Which of its directories is mounted: `/` unless it is bound.
    pub root: String,
    /// Its source, in the words of whoever has mounted it.
    pub source: String,
}

pub(super) fn read(host: &mut HostState, section: &Section) {
    for line in section.text().lines() {
        let mut words = line.split(' ');
        let Some(path) = words.next() else { continue };
        let read_only = words.next().unwrap_or_default().split(',').any(|option| option == "ro");
        let mut next = || unescaped(words.next().unwrap_or_default());
        let (file_system, device, root, source) = (next(), next(), next(), next());
        if let Ok(path) = unescaped(path).parse() {
            host.set_mount(path, Mount { read_only, file_system, device, root, source });
        }
    }
}

/// A path of /proc/self/mountinfo, where blanks and backslashes are octal (proc(5)).
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (escape, plain)| path.replace(escape, plain))
}

impl HostState {
    /// Something is mounted at a path; the last one hides those before it.
    pub fn set_mount(&mut self, path: AbsPath, mount: Mount) {
        self.mounts.insert(path, mount);
    }

    /// Whether a path is itself a mount point, as far as the host could tell.
    pub(super) fn is_mounted(&self, path: &AbsPath) -> bool {
        self.mounts.contains_key(&self.real_place(path))
    }

    /// What is mounted at a path, as far as the host could tell.
    pub(super) fn mounted_at(&self, path: &AbsPath) -> Option<&Mount> {
        self.mounts.get(&self.real_place(path))
    }

    /// The numbers of the device that has a path, and where on it.
    pub fn on_device(&self, path: &AbsPath) -> Option<(&str, String)> {
        let place = self.real_place(path);
        let (at, mount) = self.mount_of(path).filter(|(_, mount)| !mount.root.is_empty())?;
        let below = place.as_str().strip_prefix(at.as_str().trim_end_matches('/'))?;
        let root = format!("{}{below}", mount.root.trim_end_matches('/'));
        Some((&mount.device, if root.is_empty() { "/".to_owned() } else { root }))
    }

    /// The first mount point below a path.
    pub(super) fn mounted_below(&self, path: &AbsPath) -> Option<&AbsPath> {
        let top = self.real_place(path);
        self.mounts.keys().find(|mount| **mount != top && mount.is_within(&top))
    }

    /// Where the file system is mounted that is read-only and has a path in it.
    pub(super) fn read_only_at(&self, path: &AbsPath) -> Option<AbsPath> {
        self.mount_of(path).filter(|(_, mount)| mount.read_only).map(|(at, _)| at)
    }

    /// Where the file system is mounted in which the kernel alone makes files
    /// and that has a path in it.
    pub(super) fn kernel_made_at(&self, path: &AbsPath) -> Option<AbsPath> {
        let is_kernel_made = |mount: &Mount| KERNEL_MADE.contains(&mount.file_system.as_str());
        self.mount_of(path).filter(|(_, mount)| is_kernel_made(mount)).map(|(at, _)| at)
    }

    /// The file system that has a path in it.
    fn mount_of(&self, path: &AbsPath) -> Option<(AbsPath, &Mount)> {
        if self.mounts.is_empty() {
            return None;
        }
        let place = self.real_place(path);
        let mut candidates = std::iter::once(place.clone()).chain(place.ancestors());
        candidates.find_map(|at| self.mounts.get(&at).map(|mount| (at.clone(), mount)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::observe::PredictedState;

    #[test]
    fn the_innermost_file_system_has_a_path_and_the_last_one_hides_others() {
        let mut host = HostState::default();
        let output = b"/ rw,relatime,rw,errors=continue ext4\n/srv/my\\040data ro,rw ext4\n/proc rw,nosuid,rw proc\n\
            /proc/sys ro,nosuid,rw proc\n/opt ro,ro squashfs\n/opt rw,rw tmpfs\n"
            .to_vec();
        read(&mut host, &Section { output, code: 0, errors: String::new() });
        let path = |text: &str| text.parse::<AbsPath>().unwrap();
        for (at, read_only, kernel_made) in [
            ("/etc/x", None, None),
            ("/srv/my data", Some("/srv/my data"), None),
            ("/srv/my data/a/b", Some("/srv/my data"), None),
            ("/srv/my", None, None),
            ("/proc/sys/vm", Some("/proc/sys"), Some("/proc/sys")),
            ("/proc/x", None, Some("/proc")),
            ("/opt/x", None, None),
        ] {
            assert_eq!(host.read_only_at(&path(at)), read_only.map(path), "{at}");
            assert_eq!(host.kernel_made_at(&path(at)), kernel_made.map(path), "{at}");
        }
        let bound = b"/ rw,rw ext4 8:1 / /dev/sda1\n/home rw,rw btrfs 0:30 /@home /dev/sdb\n/b rw,rw ext4 8:1 /srv/my\\040data /dev/sda1\n".to_vec();
        let mut other = HostState::default();
        read(&mut other, &Section { output: bound, code: 0, errors: String::new() });
        for (at, device, root) in [
            ("/", "8:1", "/"),
            ("/srv/x", "8:1", "/srv/x"),
            ("/home/me", "0:30", "/@home/me"),
            ("/b", "8:1", "/srv/my data"),
        ] {
            assert_eq!(other.on_device(&path(at)), Some((device, root.to_owned())), "{at}");
        }
        assert_eq!(host.mounted_below(&path("/srv")), Some(&path("/srv/my data")));
        assert_eq!(host.mounted_below(&path("/opt")), None);
        let mut host = PredictedState::of(&host);
        host.mounts_may_change();
        assert_eq!((host.read_only_at(&path("/proc/sys/vm")), host.mounted_below(&path("/srv"))), (None, None));
    }
}
