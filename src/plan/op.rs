//! The closed alphabet of primitive operations.
//!
//! Everything an apply does is a list of these. Each knows its shell
//! (`script.rs`) and its effect on a predicted state (`effect.rs`).

use super::{AptOptions, AptTarget, Mark, Outcome, TreeMeta};
use crate::observe::{Environment, Run, Tree};
use crate::values::{AbsPath, GroupName, Mode, PackageName, Secret, SysctlKey, UnitName, UserName};

/// Owner, group and mode that a file has from the moment it is visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// A user's name or number.
    pub owner: String,
    /// A group's name or number.
    pub group: String,
    /// Permission bits.
    pub mode: Mode,
}

impl Meta {
    /// Owned by root, with a mode.
    pub fn root(bits: u16) -> Meta {
        Meta { owner: "root".to_owned(), group: "root".to_owned(), mode: Mode::from_bits(bits) }
    }
}

/// A verb of systemctl(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Enable,
    Disable,
    Start,
    Stop,
    Restart,
    Reload,
    Mask,
    Unmask,
}

impl Verb {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Verb::Enable => "enable",
            Verb::Disable => "disable",
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
            Verb::Reload => "reload",
            Verb::Mask => "mask",
            Verb::Unmask => "unmask",
        }
    }
}

/// An assertion that is awaited: the script is run until it succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Shell text; exit code 0 means that the assertion holds.
    pub script: String,
    /// The question that asked the same at plan time.
    pub asks: Run,
    /// How often it is tried at the most, at least 1.
    pub tries: u32,
    /// Seconds between two tries.
    pub pause: u32,
}

/// What is asked right before a command: whether it is due at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    /// A path; where it exists there is nothing to do.
    pub creates: Option<AbsPath>,
    /// A path; where it does not exist there is nothing to do.
    pub removes: Option<AbsPath>,
    /// Shell text of the command's user; where it succeeds there is nothing to do.
    pub unless: Option<String>,
    /// The name under which the host notes that a change asks for the command;
    /// where it is not noted there is nothing to do.
    pub pending: Option<String>,
    /// What was noted before it was known for which commands, and the names of these.
    pub hands_on: Vec<(String, Vec<String>)>,
}

/// One primitive operation.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the fields carry the names of the tools' own arguments
pub enum Op {
    /// Puts a file in place at once: temporary name, fsync, rename. `validate`
    /// is an operator's command in which `%s` stands for the temporary file.
    WriteFile {
        path: AbsPath,
        content: Vec<u8>,
        meta: Meta,
        validate: Option<String>,
    },
    /// Makes a directory; its parents must exist.
    MakeDirectory {
        path: AbsPath,
        meta: Meta,
    },
    /// Makes or replaces a symbolic link at once.
    MakeLink {
        path: AbsPath,
        target: String,
    },
    /// Removes a file, link or (if `recursive`) a tree.
    Remove {
        path: AbsPath,
        recursive: bool,
    },
    /// Changes owner, group or mode of what is there; a link is not followed.
    SetMeta {
        path: AbsPath,
        owner: Option<String>,
        group: Option<String>,
        mode: Option<Mode>,
    },

    /// Sets owner, group and modes of all that is below a directory; links
    /// are not followed, other file systems entered only if `across`.
    SetTree {
        path: AbsPath,
        across: bool,
        meta: TreeMeta,
        /// What was found below it.
        found: Tree,
    },

    GroupAdd {
        name: GroupName,
        gid: Option<u32>,
        system: bool,
    },
    GroupChange {
        name: GroupName,
        gid: u32,
    },
    GroupRemove {
        name: GroupName,
    },
    /// Makes a user with a home directory (from /etc/skel) unless `home` is none.
    UserAdd {
        name: UserName,
        uid: Option<u32>,
        /// Primary group; none means a group of the user's own name.
        group: Option<GroupName>,
        /// Further groups that it is in from the beginning.
        groups: Vec<GroupName>,
        system: bool,
        shell: Option<String>,
        home: Option<AbsPath>,
        /// Which of `shell` and `home` are not the step's but what a new account gets.
        defaults: Vec<&'static str>,
        comment: Option<String>,
    },
    UserChange {
        name: UserName,
        uid: Option<u32>,
        group: Option<GroupName>,
        shell: Option<String>,
        /// The new home.
        home: Option<AbsPath>,
        /// Whether the old home is moved to the new one's place, which must be free.
        move_home: bool,
        comment: Option<String>,
    },
    UserRemove {
        name: UserName,
        remove_home: bool,
    },
    /// Writes the password hash field (crypt(5)); it travels on standard input.
    SetPasswordHash {
        user: UserName,
        hash: Secret,
    },
    /// Locks or unlocks the password (`!` before the hash).
    LockPassword {
        user: UserName,
        lock: bool,
    },
    /// Sets or clears the day (since 1970-01-01) on which the account expires.
    SetExpiry {
        user: UserName,
        day: Option<i64>,
    },
    /// Adds a user to a supplementary group.
    Join {
        user: UserName,
        group: GroupName,
    },
    /// Takes a user out of a supplementary group.
    Leave {
        user: UserName,
        group: GroupName,
    },

    /// Updates the package lists. `only` restricts it to one sources file.
    AptUpdate {
        only: Option<AbsPath>,
    },
    /// One transaction: installs and, with it, removes what is in the way.
    /// Nothing else goes than these and `may_remove`; so for those below.
    AptInstall {
        packages: Vec<AptTarget>,
        remove: Vec<PackageName>,
        may_remove: Vec<PackageName>,
        options: AptOptions,
    },
    AptRemove {
        packages: Vec<PackageName>,
        purge: bool,
        may_remove: Vec<PackageName>,
    },
    /// Brings all packages to their candidates; `full` may remove some for it.
    AptUpgrade {
        full: bool,
        may_remove: Vec<PackageName>,
        /// Those that stay at the version that they have.
        keep: Vec<(PackageName, String)>,
    },
    /// Removes what was installed only for packages that are gone.
    AptAutoremove {
        purge: bool,
        /// Those that the playbook names, and that stay for that.
        keep: Vec<PackageName>,
    },
    /// Marks packages.
    AptMark {
        packages: Vec<PackageName>,
        mark: Mark,
    },
    /// Answers questions of packages before they are asked (debconf-set-selections(1));
    /// the answers may be secret.
    Debconf {
        answers: Secret,
    },

    DaemonReload,
    Systemctl {
        verb: Verb,
        unit: UnitName,
    },
    /// Restarts or reloads a unit if that is pending still when its turn comes.
    Pending {
        verb: Verb,
        unit: UnitName,
        /// Left by an earlier run: where it fails it is tried again at the end.
        first: bool,
    },
    /// Nothing asks any more for what is noted as pending under this name.
    Forget {
        pending: String,
    },
    /// Writes a live kernel parameter.
    Sysctl {
        key: SysctlKey,
        value: String,
    },
    /// Loads or unloads a kernel module.
    Module {
        name: String,
        load: bool,
    },
    /// Sets the host's name, live and persistent.
    SetHostname {
        name: String,
    },
    /// Sets the time zone.
    SetTimezone {
        zone: String,
    },

    /// Fetches a file: the URL (which may carry a signature) travels as a secret,
    /// the digest (SHA-256, hexadecimal) is checked before the file is visible.
    Download {
        url: Secret,
        sha256: String,
        path: AbsPath,
        meta: Meta,
    },
    /// Runs shell text, unless its guard says that it is not due; after success,
    /// what `achieves` says holds.
    Run {
        script: String,
        /// None: it is due.
        guard: Option<Guard>,
        /// What it and its guard are run with.
        environment: Environment,
        user: Option<UserName>,
        directory: Option<AbsPath>,
        achieves: Vec<Outcome>,
    },
    /// Runs a program with exact arguments, as root; after success, what
    /// `achieves` says holds.
    Exec {
        argv: Vec<String>,
        achieves: Vec<Outcome>,
    },
    /// Waits until an assertion holds.
    Check(Check),
    /// Restarts the host. The run on the host ends with it; whoever follows the
    /// run waits up to `timeout` seconds for another boot and goes on from there.
    Reboot {
        timeout: u32,
        message: String,
    },
}

impl Op {
    /// Whether the host is certain to restart here, so that its run ends.
    pub fn reboots(&self) -> bool {
        matches!(self, Op::Reboot { .. })
    }

    /// Whether this is part of apt's work (see `schedule`: such steps that follow each other are brought together).
    pub fn is_apt(&self) -> bool {
        matches!(self, Op::AptUpdate { .. } | Op::AptInstall { .. } | Op::AptRemove { .. })
    }
}
