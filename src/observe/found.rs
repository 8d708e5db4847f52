//! What is found of the things on a host.

use super::RcLinks;
use crate::values::{Mode, Secret, UnitName};
use std::collections::BTreeSet;

/// A value, or the statement that only the apply will tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// It is this.
    Is(T),
    /// It cannot be known before the apply; it is never guessed.
    AfterApply,
}

/// Why the state cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Nobody asked the host: a defect in a resource's `queries`.
    #[error("the host was not asked about {0} (a defect in this resource kind; please report it)")]
    NotAsked(String),
    /// The host was asked and could not tell.
    #[error("{what} could not be read: {why}")]
    Unreadable {
        /// What was asked for.
        what: String,
        /// What the host said.
        why: String,
    },
}

/// The types of files that matter to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket, device, pipe or whatever else.
    Other,
}

impl FileType {
    /// By the letter of find(1).
    pub(super) fn of_letter(letter: &str) -> FileType {
        match letter {
            "f" => FileType::File,
            "d" => FileType::Directory,
            "l" => FileType::Link,
            _ => FileType::Other,
        }
    }

    /// Its name, as probes and plans tell it.
    pub fn name(self) -> &'static str {
        match self {
            FileType::File => "file",
            FileType::Directory => "directory",
            FileType::Link => "link",
            FileType::Other => "other",
        }
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its type.
    pub file_type: FileType,
    /// Its permission bits.
    pub mode: Mode,
    /// Its owner's name, or number if it has no name.
    pub owner: String,
    /// Its group's name, or number if it has no name.
    pub group: String,
    /// Where it points, for a link.
    pub target: Option<String>,
}

/// Whether something stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathState {
    /// Nothing does.
    Absent,
    /// This does.
    Present(Entry),
    /// Something earlier in the run decides.
    AfterApply,
}

impl PathState {
    /// The entry, if there is one.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            PathState::Present(entry) => Some(entry),
            _ => None,
        }
    }
}

/// What is known of a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There is no regular file.
    Absent,
    /// The bytes.
    Bytes(Vec<u8>),
    /// Their SHA-256, in hexadecimal; the bytes were not asked for or are too many.
    Digest(String),
    /// Something earlier in the run decides.
    AfterApply,
}

/// A line of the user database (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: Known<u32>,
    /// Name of the primary group, or its number if it has no name.
    pub group: String,
    /// The comment (GECOS) field.
    pub comment: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A line of the group database (group(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Group id.
    pub gid: Known<u32>,
    /// Supplementary members.
    pub members: BTreeSet<String>,
}

/// A line of the shadow database (shadow(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The password hash field.
    pub hash: Secret,
    /// Expiry of the account, in days since 1970-01-01.
    pub expires: Option<i64>,
}

/// Whether a package is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Package {
    /// dpkg does not know it.
    Absent,
    /// Removed, with its configuration files left (dpkg's `rc`).
    ConfigFiles,
    /// Installed in this version.
    Installed {
        /// The version, or known after apply.
        version: Known<String>,
        /// Whether it is held back (`apt-mark hold`).
        held: bool,
    },
    /// dpkg was interrupted: unpacked, half-configured, …
    Broken(String),
}

/// What apt would install.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The version; none if apt knows no package of the name.
    pub version: Option<String>,
    /// The repositories that offer the candidate, as `apt-cache policy` shows them.
    pub origins: Vec<String>,
    /// All versions that a repository offers.
    pub offered: Vec<String>,
}

/// The state of a unit, in systemctl(1)'s words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// The unit's own name, where the one that was asked about is an alias.
    pub real: Option<UnitName>,
    /// `loaded`, `not-found`, `masked`, `error`, …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// `enabled`, `disabled`, `static`, `masked`, `alias`, …; empty if it has no unit file.
    pub file: String,
    /// Whether its files changed since systemd read them.
    pub needs_reload: bool,
    /// The unit file in use.
    pub fragment: String,
    /// The drop-ins in use.
    pub drop_ins: Vec<String>,
    /// Whether it does not run, and its files say under which conditions it is started.
    pub has_conditions: bool,
    /// How the last run of a failed unit ended, in systemd's words, such as
    /// `exit-code, exit status 203`; empty for others.
    pub result: String,
    /// Units that systemd stops together with it.
    pub stops: Vec<String>,
    /// Units that are enabled and disabled together with it (`Also=`).
    pub also: Vec<String>,
    /// Units that its files exclude (`Conflicts=`): systemd stops them where it starts this one,
    /// and the other way round.
    pub conflicts: Vec<String>,
    /// Units whose files exclude it, as the host says before the run.
    pub excluded_by: Vec<String>,
    /// Units that start and stop with it (`Requires=`, `BindsTo=`): it does not run without them.
    pub requires: Vec<String>,
    /// Units that start it: they want or require it, or are its sockets, timers and paths.
    pub started_by: Vec<String>,
    /// Of a socket: the service that it starts, where systemd starts no socket while
    /// that one is active (`Accept=no`).
    pub starts: Vec<String>,
    /// Whether it is a service that runs to its end and then counts as inactive
    /// (`Type=oneshot` without `RemainAfterExit=yes`).
    pub runs_once: bool,
    /// Whether systemd restarts it in place of a reload: its files say no way to
    /// reload it (`ExecReload=`, `Type=notify-reload`).
    pub cannot_reload: bool,
    /// Whether D-Bus starts it when somebody asks for its name (`Type=dbus`).
    pub is_on_bus: bool,
    /// Of a unit that is made of a script in /etc/init.d: the script's links in
    /// /etc/rc?.d, by which it starts at boot.
    pub rc_links: Option<RcLinks>,
}

/// The state of a kernel module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Whether it is in /proc/modules.
    pub loaded: bool,
    /// Whether it is part of the kernel image.
    pub builtin: bool,
}

/// What a command gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// What it printed on standard output.
    pub stdout: String,
}
