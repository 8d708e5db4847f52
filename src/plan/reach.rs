//! What each operation may change beyond its predicted effect.
//!
//! An operation cannot exist without an answer here: what was found on the host
//! is taken for what a later step's turn finds only where nothing before it may
//! have changed it.

use super::{Op, Verb};
use crate::observe::Part;

/// What a command of the operator's may change: everything that anything can.
pub(super) const ANYTHING: &[Part] = &[
    Part::AnyPath,
    Part::Units,
    Part::Packages,
    Part::Accounts,
    Part::Fact("hostname"),
    Part::Fact("timezone"),
    Part::Fact("login_home"),
    Part::Fact("login_shell"),
    Part::Fact("addresses"),
    Part::Fact("disks"),
    Part::Fact("sshd"),
    Part::Fact("apt"),
    Part::Fact("libc"),
    Part::Fact("cloud_init"),
];

/// What packages bring and their scripts do. None names the host or chooses
/// the shell of who is logged in.
const PACKAGES: &[Part] = &[
    Part::AnyPath,
    Part::Units,
    Part::Packages,
    Part::Accounts,
    Part::Fact("timezone"),
    Part::Fact("addresses"),
    Part::Fact("disks"),
    Part::Fact("sshd"),
    Part::Fact("apt"),
    Part::Fact("libc"),
];

/// What a service does when it starts, takes up its configuration or ends.
const SERVICE: &[Part] = &[
    Part::AnyPath,
    Part::Units,
    Part::Fact("addresses"),
    Part::Fact("disks"),
    Part::Fact("sshd.activation"),
    Part::Fact("apt.reboot_required"),
];

/// The links that systemctl makes and removes: of the unit, of those that its
/// `Also=` and `Alias=` name, and of init scripts.
const UNIT_LINKS: &[Part] = &[
    Part::Units,
    Part::Paths("/etc/systemd/"),
    Part::Paths("/run/systemd/"),
    Part::Paths("/etc/rc"),
    Part::Fact("sshd.activation"),
];

/// Where scripts of packages write beside what they bring.
const PACKAGES_WRITE: &[Part] =
    &[Part::Paths("/etc/"), Part::Paths("/usr/"), Part::Paths("/var/"), Part::Units, Part::Accounts];

/// Where services write, except for what is theirs alone.
const SERVICES_WRITE: &[Part] = &[Part::Paths("/etc/"), Part::Paths("/run/"), Part::Units];

const REBOOT: &[Part] = &[
    Part::AnyPath,
    Part::Units,
    Part::Fact("kernel"),
    Part::Fact("addresses"),
    Part::Fact("disks"),
    Part::Fact("cloud_init"),
    Part::Fact("apt"),
    Part::Fact("sshd.activation"),
];

/// The files of the account tools: their sizes and dates, and the mail spools.
const ACCOUNTS: &[Part] = &[
    Part::Paths("/etc/passwd"),
    Part::Paths("/etc/group"),
    Part::Paths("/etc/shadow"),
    Part::Paths("/etc/gshadow"),
    Part::Paths("/etc/sub"),
    Part::Paths("/var/mail"),
    Part::Paths("/var/spool/"),
];

/// What an operation reaches beyond its own effect.
#[derive(Debug, Clone, Copy)]
struct Reach {
    /// What it may change.
    may_change: &'static [Part],
    /// What it may be expected to change of what others describe.
    may_undo: &'static [Part],
}

/// Whatever it may change is expected of it.
const fn all(parts: &'static [Part]) -> Reach {
    Reach { may_change: parts, may_undo: parts }
}

impl Verb {
    /// What a service that is restarted or started may change, or the links of
    /// one that is enabled.
    fn reach(self) -> Reach {
        match self {
            Verb::Start | Verb::Stop | Verb::Restart | Verb::Reload => {
                Reach { may_change: SERVICE, may_undo: SERVICES_WRITE }
            }
            Verb::Enable | Verb::Disable | Verb::Mask | Verb::Unmask => all(UNIT_LINKS),
        }
    }
}

/// What restarts and reloads that are pending may change.
pub(super) const RESTARTS: &[Part] = SERVICE;

impl Op {
    /// What it may change beyond [`Op::effect`].
    pub fn may_change(&self) -> &'static [Part] {
        self.reach().may_change
    }

    /// What it may be expected to change of what others describe, for which a
    /// run stops to look: less than what it could change.
    pub(super) fn may_undo(&self) -> &'static [Part] {
        self.reach().may_undo
    }

    /// Whether it runs what was not written here: the operator's text, scripts
    /// of packages, services.
    pub fn is_opaque(&self) -> bool {
        self.may_change().contains(&Part::AnyPath)
    }

    fn reach(&self) -> Reach {
        match self {
            // Such a link is an alias of a unit, or masks it.
            Op::MakeLink { path, .. } if path.as_str().starts_with("/etc/systemd/") => all(&[Part::Units]),
            Op::WriteFile { path, .. }
            | Op::MakeLink { path, .. }
            | Op::Remove { path, .. }
            | Op::Download { path, .. } => all(of_file(path.as_str())),
            Op::MakeDirectory { .. } | Op::SetMeta { .. } | Op::SetTree { .. } => all(&[]),
            Op::GroupAdd { .. }
            | Op::GroupChange { .. }
            | Op::GroupRemove { .. }
            | Op::UserAdd { .. }
            | Op::UserChange { .. }
            | Op::UserRemove { .. }
            | Op::SetPasswordHash { .. }
            | Op::LockPassword { .. }
            | Op::SetExpiry { .. }
            | Op::Join { .. }
            | Op::Leave { .. } => all(ACCOUNTS),
            Op::AptUpdate { .. } => all(&[Part::Paths("/var/"), Part::Fact("apt"), Part::Fact("disks")]),
            Op::AptMark { .. } | Op::Debconf { .. } => all(&[Part::Paths("/var/")]),
            Op::AptInstall { .. } | Op::AptRemove { .. } | Op::AptUpgrade { .. } | Op::AptAutoremove { .. } => {
                Reach { may_change: PACKAGES, may_undo: PACKAGES_WRITE }
            }
            // Generators make units of what they find.
            Op::DaemonReload => all(&[Part::Paths("/run/systemd/")]),
            Op::Systemctl { verb, .. } | Op::Pending { verb, .. } => verb.reach(),
            Op::Forget { .. } | Op::Check(_) => all(&[]),
            Op::Sysctl { .. } => all(&[Part::Paths("/proc/sys/")]),
            Op::Module { .. } => all(&[Part::Paths("/sys/"), Part::Paths("/proc/"), Part::Paths("/dev/")]),
            Op::SetHostname { .. } => all(&[Part::Paths("/etc/machine-info")]),
            Op::SetTimezone { .. } => all(&[Part::Paths("/etc/timezone"), Part::Paths("/etc/localtime")]),
            Op::Run { .. } => all(ANYTHING),
            // ufw(8), the one program that is run by its own words.
            Op::Exec { .. } => all(&[
                Part::Paths("/etc/ufw/"),
                Part::Paths("/etc/default/ufw"),
                Part::Paths("/run/"),
                Part::Paths("/etc/systemd/"),
                Part::Units,
            ]),
            Op::Reboot { .. } => all(REBOOT),
        }
    }
}

/// The facts that are read from a file which a step may write itself.
fn of_file(path: &str) -> &'static [Part] {
    match path {
        "/etc/localtime" | "/etc/timezone" => &[Part::Fact("timezone")],
        "/etc/passwd" => &[Part::Accounts, Part::Fact("login_shell"), Part::Fact("login_home")],
        "/run/reboot-required" | "/var/run/reboot-required" => &[Part::Fact("apt.reboot_required")],
        _ => &[],
    }
}
