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
    /// Its shell, where it is known.
    pub shell: Option<AbsPath>,
    /// Whether it came over SSH.
    pub remote: bool,
    /// Whether it came over IPv6.
    pub v6: bool,
}

/// Files and folders that decide who may log in and become root, or what
/// reaches sshd at all.
const GUARDED: [&str; 31] = [
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
    "/etc/iptables",
    "/etc/firewalld",
    "/etc/ld.so.preload",
    "/usr/bin/sudo",
    "/usr/sbin/sshd",
    "/usr/lib/openssh",
    "/usr/bin/sh",
    "/bin/sh",
];

/// Where units and their drop-ins stand.
const UNIT_FOLDERS: [&str; 4] =
    ["/etc/systemd/system/", "/run/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/"];

/// Packages that every login goes through, and how root is got.
const SSHD_PACKAGE: &str = "openssh-server";
const SUDO_PACKAGE: &str = "sudo";

/// Units that carry the connection or filter it; their drop-ins count too.
const UNITS: [&str; 14] = [
    "ssh.service",
    "ssh.socket",
    "sshd.service",
    "ufw.service",
    "nftables.service",
    "networking.service",
    "systemd-networkd.service",
    "NetworkManager.service",
    "systemd-logind.service",
    "systemd-networkd.socket",
    "netfilter-persistent.service",
    "firewalld.service",
    "tailscaled.service",
    "dbus.service",
];

impl Access {
    /// The access that was used to look at a host.
    pub fn of(host: &HostState) -> Access {
        let facts = &host.facts;
        let user = facts.login_user.clone();
        let known = host.user(&user).ok().flatten().and_then(|account| account.home.parse().ok());
        let usual = || if user == "root" { "/root".parse().ok() } else { None };
        let home = facts.login_home.parse().ok().or(known).or_else(usual);
        let shell = facts.login_shell.parse().ok();
        Access { home, user, shell, remote: facts.login_port != 0, v6: facts.login_from.contains(':') }
    }

    /// Packages without which nobody logs in, or not as root.
    pub fn packages(&self) -> Vec<&'static str> {
        let (sshd, sudo) = (self.remote, self.remote && self.user != "root");
        [(sshd, SSHD_PACKAGE), (sudo, SUDO_PACKAGE)].into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect()
    }

    fn depends_on(&self, path: &AbsPath) -> bool {
        let within = |top: &&str| path.as_str().strip_prefix(*top).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        // A link among the wants of a target decides about the next boot.
        let unit = || {
            let below = UNIT_FOLDERS.iter().find_map(|folder| path.as_str().strip_prefix(folder));
            below.is_some_and(|rest| rest.split('/').any(|name| UNITS.contains(&name.trim_end_matches(".d"))))
        };
        // sshd's StrictModes looks at the home, and the shell reads what begins with a dot.
        let home = || {
            let below = self.home.as_ref().and_then(|home| path.as_str().strip_prefix(home.as_str()));
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with("/."))
        };
        // AuthorizedKeysFile may name another place than the home.
        let keys = || {
            let name = path.file_name();
            name == self.user || name.starts_with("authorized_") || path.as_str().contains("/.ssh")
        };
        let shell = || self.shell.as_ref() == Some(path);
        GUARDED.iter().any(within) || unit() || home() || keys() || shell() || self.is_below(path)
    }

    /// Whether this is about the keys of somebody else: in the `.ssh` of that
    /// user's home, which they own. sshd's StrictModes takes no such file for ours.
    fn is_anothers(&self, path: &AbsPath, owner: &str) -> bool {
        let below = path.as_str().strip_prefix("/home/").and_then(|rest| rest.strip_prefix(owner));
        let ours = self.home.as_ref().is_some_and(|home| {
            path.as_str().strip_prefix(home.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        owner != self.user && !ours && below.is_some_and(|rest| rest == "/.ssh" || rest.starts_with("/.ssh/"))
    }

    /// Whether a login goes through this folder.
    fn is_below(&self, path: &AbsPath) -> bool {
        let top = path.as_str().trim_end_matches('/');
        let own = [&self.home, &self.shell].into_iter().flatten().map(AbsPath::as_str);
        own.chain(GUARDED).any(|one| one.strip_prefix(top).is_some_and(|rest| rest.starts_with('/')))
    }
}

impl Op {
    /// Whether this can cut off the operator's own access to the host.
    pub fn can_cut(&self, access: &Access) -> bool {
        let own = |user: &crate::values::UserName| user.as_str() == access.user;
        match self {
            Op::WriteFile { path, meta, .. } | Op::MakeDirectory { path, meta } => {
                access.depends_on(path) && !access.is_anothers(path, &meta.owner)
            }
            Op::MakeLink { path, .. }
            | Op::Remove { path, .. }
            | Op::Download { path, .. }
            | Op::SetMeta { path, .. }
            | Op::SetTree { path, .. } => access.depends_on(path),
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
            Op::Sysctl { key, value } => access.v6 && key.to_string().ends_with(".disable_ipv6") && value.trim() != "0",
            _ => false,
        }
    }
}

impl StepPlan {
    /// Puts the step under a guard if anything it does can cut off access.
    pub(crate) fn guard_for(&mut self, access: &Access) {
        self.guard |= self.ops.iter().any(|op| op.can_cut(access));
        // No login can be waited for while the host restarts.
        self.guard &= !self.ops.iter().any(|op| matches!(op, Op::Reboot { .. }));
    }
}

#[cfg(test)]
mod tests {
    use super::Access;
    use crate::plan::{Meta, Op};

    fn cuts(path: &str, owner: &str) -> bool {
        let access = Access {
            home: "/home/ubuntu".parse().ok(),
            user: "ubuntu".to_owned(),
            shell: "/bin/bash".parse().ok(),
            remote: true,
            v6: false,
        };
        let meta = Meta { owner: owner.to_owned(), ..Meta::root(0o700) };
        Op::MakeDirectory { path: path.parse().unwrap(), meta }.can_cut(&access)
    }

    #[test]
    fn the_keys_of_somebody_else_in_their_own_home_cut_nobody_off() {
        assert!(!cuts("/home/ada/.ssh/authorized_keys", "ada"));
        for (path, owner) in [
            ("/home/ubuntu/.ssh", "ubuntu"),
            ("/home/ubuntu/.ssh/authorized_keys", "ada"),
            // A folder that several may share.
            ("/home/keys/.ssh/authorized_keys", "root"),
            ("/home/ada/.ssh/authorized_keys", "root"),
            ("/home/ada/.ssh/authorized_keys", "ubuntu"),
            ("/home/ada/authorized_keys", "ada"),
            ("/srv/keys/authorized_ada", "ada"),
            ("/home", "root"),
        ] {
            assert!(cuts(path, owner), "{path} of {owner}");
        }
    }
}
