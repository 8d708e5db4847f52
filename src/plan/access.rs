//! What can cut the operator off from a host.
//!
//! Whatever decides who may log in, on which port and with which rights, is
//! changed under a guard: confirmed by a new login, or put back. To guard too
//! much costs a second; to guard too little costs the host.

use super::StepPlan;
use crate::observe::HostState;
use crate::values::{AbsPath, UserName};

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

/// Files and folders that decide who may log in and become root, what reaches
/// sshd at all, and what a login runs before its first command (sshd(8), LOGIN
/// PROCESS; sudo(8); pam_env(8); bash(1), INVOCATION; ld.so(8)). What is within
/// them counts, too.
const GUARDED: [&str; 84] = [
    // sshd and sudo, with their programs.
    "/etc/ssh",
    "/etc/default/ssh",
    "/run/sshd",
    "/usr/lib/openssh",
    "/usr/lib/sudo",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/sudo.conf",
    "/etc/alternatives/sudo",
    "/etc/alternatives/sh",
    // Accounts, and what lets them in.
    "/etc/pam.conf",
    "/etc/pam.d",
    "/etc/security",
    "/etc/login.defs",
    "/etc/nologin",
    "/run/nologin",
    "/var/run/nologin",
    "/etc/shells",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/nsswitch.conf",
    "/etc/sssd",
    "/etc/krb5.conf",
    "/etc/ldap",
    "/etc/nslcd.conf",
    // Rules of sudo and sshd go by the names of hosts.
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    "/etc/apparmor.d",
    "/etc/selinux",
    "/etc/systemd/logind.conf",
    "/etc/systemd/logind.conf.d",
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d",
    // What a login runs or reads, and the environment that it gets.
    "/etc/update-motd.d",
    "/etc/ssl/openssl.cnf",
    "/etc/environment",
    "/etc/environment.d",
    "/etc/default/locale",
    "/etc/locale.conf",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/inputrc",
    "/etc/zsh",
    "/etc/zshenv",
    "/etc/zprofile",
    "/etc/zshrc",
    "/etc/zlogin",
    "/etc/fish",
    "/etc/ksh.kshrc",
    "/etc/csh.cshrc",
    "/etc/csh.login",
    // Networks and their filters.
    "/etc/ufw",
    "/etc/default/ufw",
    "/etc/nftables.conf",
    "/etc/nftables.d",
    "/etc/iptables",
    "/etc/firewalld",
    "/etc/netplan",
    "/etc/network",
    "/etc/systemd/network",
    "/etc/systemd/networkd.conf",
    "/etc/systemd/networkd.conf.d",
    "/etc/NetworkManager",
    "/etc/dhcp",
    "/etc/dhcpcd.conf",
    "/etc/wireguard",
    "/etc/openvpn",
    "/etc/resolv.conf",
    // Programs, their libraries and devices.
    "/etc/ld.so.preload",
    "/etc/ld.so.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf.d",
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/dev",
];

/// Folders of libraries: what is right in them and right below them counts, and
/// PAM's modules, not what packages keep further down.
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// Folders that come before those of the host's own programs.
const BEFORE_PROGRAMS: [&str; 2] = ["/usr/local/bin", "/usr/local/sbin"];

/// Users without whom sshd, or what it needs, does not work, and the one that
/// everybody becomes.
const SYSTEM_USERS: [&str; 6] = ["root", "sshd", "messagebus", "systemd-network", "systemd-resolve", "sssd"];

/// Where units and their drop-ins stand.
const UNIT_FOLDERS: [&str; 4] =
    ["/etc/systemd/system/", "/run/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/"];

/// Packages that every login goes through, and how root is got.
const SSHD_PACKAGE: &str = "openssh-server";
const SUDO_PACKAGE: &str = "sudo";

/// Units that carry the connection, filter it or take part in a login; their
/// drop-ins count too.
const UNITS: [&str; 41] = [
    "ssh.service",
    "ssh.socket",
    "sshd.service",
    "sshd.socket",
    "ufw.service",
    "nftables.service",
    "iptables.service",
    "ip6tables.service",
    "netfilter-persistent.service",
    "firewalld.service",
    "networking.service",
    "network.target",
    "network-online.target",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-resolved.service",
    "NetworkManager.service",
    "wpa_supplicant.service",
    "dhcpcd.service",
    "tailscaled.service",
    "systemd-logind.service",
    // Its end writes /run/nologin.
    "systemd-user-sessions.service",
    "systemd-udevd.service",
    "dbus.service",
    "dbus.socket",
    "dbus-broker.service",
    "apparmor.service",
    "sssd.service",
    "nscd.service",
    "nslcd.service",
    "basic.target",
    "sysinit.target",
    "sockets.target",
    "multi-user.target",
    "graphical.target",
    "default.target",
    "rescue.target",
    "emergency.target",
    "system.slice",
    "user.slice",
    "-.mount",
];

/// The same for units with instances.
const TEMPLATES: [&str; 7] = ["ssh@", "sshd@", "ifup@", "wg-quick@", "user@", "user-runtime-dir@", "openvpn@"];

/// Whether a unit carries the connection, filters it or takes part in a login.
pub(super) fn is_access_unit(name: &str) -> bool {
    UNITS.contains(&name) || TEMPLATES.iter().any(|template| name.starts_with(template))
}

/// Packages of the shells that a login may have, where they are no part of every host.
const SHELL_PACKAGES: [(&str, &str); 6] =
    [("zsh", "zsh"), ("fish", "fish"), ("ksh", "ksh"), ("ksh93", "ksh93u+m"), ("mksh", "mksh"), ("tcsh", "tcsh")];

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
        let needed = [(sshd, SSHD_PACKAGE), (sudo, SUDO_PACKAGE)].into_iter().filter(|(on, _)| *on);
        let shell = self.shell.as_ref().map_or("", |shell| shell.file_name());
        let shells = SHELL_PACKAGES.iter().filter(|(program, _)| self.remote && *program == shell);
        needed.map(|(_, name)| name).chain(shells.map(|(_, name)| *name)).collect()
    }

    /// Whether a login, or becoming root, goes by what is at a path.
    pub(super) fn depends_on(&self, path: &AbsPath) -> bool {
        let within = |top: &&str| path.as_str().strip_prefix(*top).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        // A link among the wants of a target decides about the next boot.
        let unit = || {
            let below = UNIT_FOLDERS.iter().find_map(|folder| path.as_str().strip_prefix(folder));
            below.is_some_and(|rest| rest.split('/').any(|name| is_access_unit(name.trim_end_matches(".d"))))
        };
        // sshd's StrictModes looks at the home, and the shell reads what begins with a dot.
        let home = || {
            let below = self.home.as_ref().and_then(|home| path.as_str().strip_prefix(home.as_str()));
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with("/.")) || path.as_str().starts_with("/root/.")
        };
        let library = || {
            let near = |rest: &str| rest.is_empty() || (rest.starts_with('/') && rest.split('/').count() <= 3);
            let is_pam = |rest: &str| rest.split('/').any(|name| name == "security");
            LIBRARIES.iter().any(|top| path.as_str().strip_prefix(top).is_some_and(|rest| near(rest) || is_pam(rest)))
        };
        // A program of this name is found first.
        let before = || {
            let first = path.parent().is_some_and(|parent| BEFORE_PROGRAMS.contains(&parent.as_str()));
            let shell = self.shell.as_ref().map_or("sh", |shell| shell.file_name());
            first && (["sudo", "sh", "env", "bash"].contains(&path.file_name()) || path.file_name() == shell)
        };
        // AuthorizedKeysFile may name another place than the home.
        let keys = || {
            let name = path.file_name();
            name == self.user || name.starts_with("authorized_") || path.as_str().contains("/.ssh")
        };
        let shell = || self.shell.as_ref() == Some(path);
        GUARDED.iter().any(within)
            || unit()
            || home()
            || library()
            || before()
            || keys()
            || shell()
            || self.is_below(path)
    }

    /// Whether this is the user who logs in, or one that every login needs.
    pub(super) fn is_own(&self, user: &UserName) -> bool {
        user.as_str() == self.user || SYSTEM_USERS.contains(&user.as_str())
    }

    /// Whether this is about the keys of somebody else: in the `.ssh` of that
    /// user's home, which they own. sshd's StrictModes takes no such file for ours.
    pub(super) fn is_anothers(&self, path: &AbsPath, owner: &str) -> bool {
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

impl StepPlan {
    /// Puts the step under a guard if anything it does can cut off access.
    pub(crate) fn guard_for(&mut self, access: &Access) {
        self.guard |= self.ops.iter().any(|op| op.can_cut(access));
        // No login can be waited for while the host restarts.
        self.guard &= !self.ops.iter().any(|op| op.reboots());
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
