//! What a host is, apart from what playbooks ask of it.

use serde::Serialize;

/// Facts of a host, as templates see them under `facts`.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct Facts {
    /// The name the host gives itself.
    pub hostname: String,
    /// The operating system, from os-release(5).
    pub os: Os,
    /// Kernel release, e.g. `6.8.0-45-generic`.
    pub kernel: String,
    /// Machine name of the kernel, e.g. `x86_64`.
    pub machine: String,
    /// dpkg's architecture, e.g. `amd64`; empty where there is no dpkg.
    pub arch: String,
    /// Processors online.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Mounted disks.
    pub disks: Vec<Disk>,
    /// Addresses with their prefix length, without loopback.
    pub addresses: Vec<String>,
    /// What systemd-detect-virt(1) says: `kvm`, `docker`, `none`, …
    pub virtualization: String,
    /// `systemd` if that is running as process 1, else the name of what is, or empty in a chroot.
    pub init: String,
    /// `done`, `running`, `error`, `disabled` or `absent`.
    pub cloud_init: String,
    /// How sshd runs.
    pub sshd: Sshd,
    /// State of apt.
    pub apt: Apt,
    /// Version of glibc, e.g. `2.39`; empty if there is none.
    pub libc: String,
    /// Time zone name, e.g. `Etc/UTC`.
    pub timezone: String,
    /// The user that logged in.
    pub login_user: String,
    /// Local port of the connection in use; 0 if there is none.
    pub login_port: u16,
    /// Address the operator connects from; empty if there is none.
    pub login_from: String,
}

/// Fields of os-release(5).
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct Os {
    /// `ID`, e.g. `ubuntu`.
    pub id: String,
    /// `ID_LIKE`.
    pub id_like: String,
    /// `VERSION_ID`, e.g. `24.04`.
    pub version: String,
    /// `VERSION_CODENAME`, e.g. `noble`.
    pub codename: String,
    /// `PRETTY_NAME`.
    pub name: String,
}

impl Os {
    /// Whether this is Debian, Ubuntu or one of their descendants.
    pub fn is_debian_like(&self) -> bool {
        let family = |id: &str| id == "debian" || id == "ubuntu";
        family(&self.id) || self.id_like.split_whitespace().any(family)
    }
}

/// One mounted file system on a disk.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// The device.
    pub device: String,
    /// Its type, e.g. `ext4`.
    pub fstype: String,
    /// Size in MiB.
    pub size_mib: u64,
    /// Free for root, in MiB.
    pub free_mib: u64,
}

/// How sshd runs.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct Sshd {
    /// As `ssh -V` prints it, e.g. `OpenSSH_9.6p1`.
    pub version: String,
    /// `socket`, `service` or `none`.
    pub activation: String,
}

/// State of apt and dpkg.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct Apt {
    /// Age of the package lists in seconds; none if there are none.
    pub lists_age: Option<u64>,
    /// Whether another process holds dpkg's lock.
    pub locked: bool,
    /// Whether dpkg was interrupted and `dpkg --configure -a` is due.
    pub interrupted: bool,
    /// Whether a reboot is asked for.
    pub reboot_required: bool,
}
