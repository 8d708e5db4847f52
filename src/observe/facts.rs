//! What a host is, apart from what playbooks ask of it.

use serde::Serialize;
use std::collections::BTreeSet;

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
    /// Its home; empty if the host does not know it.
    pub login_home: String,
    /// Its shell.
    pub login_shell: String,
    /// The host's own address of the connection in use; empty if there is none.
    pub login_address: String,
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
    /// Age of the package lists in seconds; none if there are none, or if apt's
    /// sources have changed since they were read.
    pub lists_age: Option<u64>,
    /// Whether another process holds dpkg's lock.
    pub locked: bool,
    /// Whether dpkg was interrupted and `dpkg --configure -a` is due.
    pub interrupted: bool,
    /// Whether a reboot is asked for.
    pub reboot_required: bool,
}

/// What earlier runs left on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnfinishedWork {
    /// What is owed since the host was started: restarts and reloads as
    /// `restart:unit`, a reboot as `reboot:changed`.
    pub pending: BTreeSet<String>,
    /// Runs that have no result, by name, oldest first.
    pub unfinished: Vec<String>,
    /// Who is at work on the host right now.
    pub running: Option<String>,
    /// The last run, where it was one phase of an apply that has not gone on.
    pub phase: Option<String>,
    /// Commands that earlier phases of this apply have carried out, by the ids of
    /// their steps: none runs twice, unless a change asks for it anew.
    pub done: BTreeSet<String>,
    /// Once an apply has begun: the step that it goes on with. What is owed then
    /// is its own, and done at its place.
    pub resumed_at: Option<String>,
}

impl Facts {
    /// Facts of no host, with every member that facts can have.
    pub fn example() -> Facts {
        Facts { disks: vec![Disk::default()], addresses: vec![String::new()], ..Facts::default() }
    }

    /// The host's date in the lines of `probes/facts.sh`, in days since 1970-01-01.
    pub(super) fn day(text: &str) -> Option<i64> {
        text.lines().find_map(|line| line.strip_prefix("day=")?.trim().parse().ok())
    }

    /// Reads the `key=value` lines of `probes/facts.sh`. Unknown keys are passed over.
    ///
    /// # Errors
    /// A number is none: what is decided by it (the login's port decides whether a
    /// firewall shuts the operator out) is not decided by a guess.
    pub(super) fn parse(text: &str) -> Result<(Facts, UnfinishedWork), String> {
        let mut facts = Facts::default();
        let mut left = UnfinishedWork::default();
        let mut localtime = String::new();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let value = value.trim();
            let wrong = || format!("the fact '{key}' is no number: '{}'", value.escape_debug());
            let unquoted = || value.trim_matches(['"', '\'']).to_owned();
            match key {
                // What the host cannot tell is left open.
                _ if value.is_empty() => {}
                "hostname" => facts.hostname = value.into(),
                "kernel" => facts.kernel = value.into(),
                "machine" => facts.machine = value.into(),
                "arch" => facts.arch = value.into(),
                "libc" => facts.libc = value.trim_start_matches("glibc ").into(),
                "cpus" => facts.cpus = value.parse().map_err(|_| wrong())?,
                "memory_kib" => facts.memory_mib = value.parse::<u64>().map_err(|_| wrong())? / 1024,
                "login_user" => facts.login_user = value.into(),
                "login_home" => facts.login_home = value.into(),
                "login_shell" => facts.login_shell = value.into(),
                "os.ID" => facts.os.id = unquoted(),
                "os.ID_LIKE" => facts.os.id_like = unquoted(),
                "os.VERSION_ID" => facts.os.version = unquoted(),
                "os.VERSION_CODENAME" => facts.os.codename = unquoted(),
                "os.PRETTY_NAME" => facts.os.name = unquoted(),
                "init" => facts.init = value.into(),
                "sshd.activation" => facts.sshd.activation = value.into(),
                "sshd.version" => facts.sshd.version = value.split([' ', ',']).next().unwrap_or_default().into(),
                "virtualization" => facts.virtualization = value.into(),
                "localtime" => localtime = value.into(),
                "timezone" => facts.timezone = value.into(),
                "address" => facts.addresses.push(value.into()),
                "disk" => facts.disks.extend(Disk::parse(value)),
                "cloud_init" => facts.cloud_init = value.into(),
                "apt.lists_age" => {
                    facts.apt.lists_age = Some(value.parse::<i64>().map_err(|_| wrong())?.try_into().unwrap_or(0))
                }
                "apt.interrupted" => facts.apt.interrupted = true,
                "apt.reboot_required" => facts.apt.reboot_required = true,
                "apt.locked" => facts.apt.locked = true,
                "ssh_connection" => {
                    // "client-address client-port server-address server-port" (ssh(1))
                    let parts: Vec<&str> = value.split_whitespace().collect();
                    if let [from, _, address, port] = parts[..] {
                        facts.login_from = from.into();
                        facts.login_address = address.into();
                        facts.login_port = port.parse().map_err(|_| wrong())?;
                    }
                }
                "owed" => _ = left.pending.insert(value.to_owned()),
                "unfinished" => left.unfinished.push(value.to_owned()),
                "phase" => left.phase = Some(value.to_owned()),
                "running" => left.running = Some(value.to_owned()),
                _ => {}
            }
        }
        // The link is what the C library follows; /etc/timezone only repeats it.
        if let Some((_, zone)) = localtime.split_once("zoneinfo/") {
            facts.timezone = zone.to_owned();
        }
        Ok((facts, left))
    }
}

impl Disk {
    fn parse(value: &str) -> Option<Disk> {
        let mut parts = value.splitn(5, ' ');
        let size: u64 = parts.next()?.parse().ok()?;
        let free: u64 = parts.next()?.parse().ok()?;
        let fstype = parts.next()?.to_owned();
        let device = parts.next()?.to_owned();
        let mount = parts.next()?.to_owned();
        Some(Disk { mount, device, fstype, size_mib: size / 1024, free_mib: free / 1024 })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_none_is_an_error_and_no_guess() {
        let (facts, _) =
            Facts::parse("cpus=2\nssh_connection=192.0.2.7 50000 192.0.2.1 2222\napt.lists_age=-5\n").unwrap();
        assert_eq!((facts.cpus, facts.login_port, facts.apt.lists_age), (2, 2222, Some(0)));
        assert_eq!(Facts::parse("cpus=\n").unwrap().0.cpus, 0, "not told is not wrong");
        for bad in ["cpus=two", "memory_kib=1k", "ssh_connection=192.0.2.7 50000 192.0.2.1 65536", "apt.lists_age=x"] {
            let why = Facts::parse(bad).err().unwrap();
            assert!(why.contains("is no number"), "{bad}: {why}");
        }
    }
}
