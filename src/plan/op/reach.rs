//! What operations may change beyond their predicted effect, as parts of what is
//! known of a host.

use crate::observe::Part;

/// What a command of the operator's may change: everything that anything can.
pub(in crate::plan) const ANYTHING: &[Part] = &[
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
pub(super) const PACKAGES: &[Part] = &[
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
pub(super) const SERVICE: &[Part] = &[
    Part::AnyPath,
    Part::Units,
    Part::Fact("addresses"),
    Part::Fact("disks"),
    Part::Fact("sshd.activation"),
    Part::Fact("apt.reboot_required"),
];

/// The links that systemctl makes and removes: of the unit, of those that its
/// `Also=` and `Alias=` name, and of init scripts.
pub(super) const UNIT_LINKS: &[Part] = &[
    Part::Units,
    Part::Paths("/etc/systemd/"),
    Part::Paths("/run/systemd/"),
    Part::Paths("/etc/rc"),
    Part::Fact("sshd.activation"),
];

/// Where scripts of packages write beside what they bring.
pub(super) const PACKAGES_WRITE: &[Part] =
    &[Part::Paths("/etc/"), Part::Paths("/usr/"), Part::Paths("/var/"), Part::Units, Part::Accounts];

/// Where services write, except for what is theirs alone.
pub(super) const SERVICES_WRITE: &[Part] = &[Part::Paths("/etc/"), Part::Paths("/run/"), Part::Units];

pub(super) const REBOOT: &[Part] = &[
    Part::AnyPath,
    Part::Units,
    Part::Fact("kernel"),
    Part::Fact("addresses"),
    Part::Fact("disks"),
    Part::Fact("cloud_init"),
    Part::Fact("apt"),
    Part::Fact("sshd.activation"),
];

/// What restarts and reloads that are pending may change.
pub(in crate::plan) const RESTARTS: &[Part] = SERVICE;
