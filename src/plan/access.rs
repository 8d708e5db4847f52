//! What can cut the operator off from a host.
//!
//! Whatever decides who may log in, on which port and with which rights, is
//! changed under a guard: confirmed by a new login, or put back. To guard too
//! much costs a second; to guard too little costs the host.

use super::{Op, StepPlan};
use crate::observe::HostState;
use crate::values::AbsPath;

/// The access that must not be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The user that logs in.
    pub user: String,
    /// Its home, where it is known.
    pub home: Option<AbsPath>,
}

/// Files and folders that decide who may log in and become root, or what
/// reaches sshd at all.
const GUARDED: [&str; 23] = [
    "/etc/ssh",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/sudo.conf",
    "/etc/pam.d",
    "/etc/security",
    "/etc/nologin",
    "/etc/shells",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/nsswitch.conf",
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    "/etc/ufw",
    "/etc/default/ufw",
    "/etc/nftables.conf",
    "/etc/nftables.d",
    "/etc/netplan",
    "/etc/network",
    "/etc/systemd/network",
    "/etc/default/ssh",
];

/// Units that carry the connection or filter it; their drop-ins count too.
const UNITS: [&str; 9] = [
    "ssh.service",
    "ssh.socket",
    "sshd.service",
    "ufw.service",
    "nftables.service",
    "networking.service",
    "systemd-networkd.service",
    "NetworkManager.service",
    "systemd-logind.service",
];

impl Access {
    /// The access that was used to look at a host.
    pub fn of(host: &HostState) -> Access {
        let user = host.facts.login_user.clone();
        let known = host.user(&user).ok().flatten().and_then(|account| account.home.parse().ok());
        let usual = || if user == "root" { "/root".parse().ok() } else { None };
        Access { home: known.or_else(usual), user }
    }

    fn depends_on(&self, path: &AbsPath) -> bool {
        let within = |top: &&str| path.as_str().strip_prefix(*top).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        let unit = || {
            let below = path.as_str().strip_prefix("/etc/systemd/system/").and_then(|rest| rest.split('/').next());
            below.is_some_and(|name| UNITS.contains(&name.trim_end_matches(".d")))
        };
        // The home itself counts: sshd's StrictModes looks at it.
        let keys = || match &self.home {
            Some(home) => path == home || home.join(".ssh").is_ok_and(|keys| path.is_within(&keys)),
            None => path.as_str().contains("/.ssh") || path.file_name() == self.user,
        };
        GUARDED.iter().any(within) || unit() || keys()
    }
}

impl Op {
    /// Whether this can cut off the operator's own access to the host.
    pub fn can_cut(&self, access: &Access) -> bool {
        let own = |user: &crate::values::UserName| user.as_str() == access.user;
        match self {
            Op::WriteFile { path, .. }
            | Op::EditFile { path, .. }
            | Op::MakeDirectory { path, .. }
            | Op::MakeLink { path, .. }
            | Op::Remove { path, .. }
            | Op::Download { path, .. }
            | Op::SetMeta { path, .. } => access.depends_on(path),
            Op::UserRemove { name, .. } | Op::UserChange { name, .. } => own(name),
            Op::LockPassword { user, .. }
            | Op::SetExpiry { user, .. }
            | Op::SetPasswordHash { user, .. }
            | Op::Join { user, .. }
            | Op::Leave { user, .. } => own(user),
            // AllowGroups and sudoers go by groups, which the user may be in.
            Op::GroupChange { .. } | Op::GroupRemove { .. } => true,
            Op::Systemctl { unit, .. } => UNITS.contains(&unit.as_str()),
            Op::Exec { argv, .. } => argv
                .iter()
                .any(|word| word == "ufw" || word.parse().is_ok_and(|path: AbsPath| access.depends_on(&path))),
            _ => false,
        }
    }
}

impl StepPlan {
    /// Puts the step under a guard if anything it does can cut off access.
    pub(crate) fn guard_for(&mut self, access: &Access) {
        self.guard |= self.ops.iter().any(|op| op.can_cut(access));
    }
}
