//! Whether an operator's shell text can change what apt offers: its sources,
//! keys, preferences and architectures.
//!
//! A text may do anything, so that it can unless all its programs are known to
//! do only what their words say, and no word is about packages. What this does
//! not understand of a shell's grammar counts as a program that is not known:
//! then a later package is decided at its turn, which costs a phase and is
//! never wrong.

use crate::values::{AbsPath, UserName};

/// Programs that run no other program and fetch nothing.
const PROGRAMS: &[&str] = &[
    ":",
    "[",
    "addgroup",
    "adduser",
    "cat",
    "cd",
    "chage",
    "chgrp",
    "chmod",
    "chown",
    "chpasswd",
    "cmp",
    "cp",
    "cut",
    "date",
    "dd",
    "deluser",
    "df",
    "diff",
    "echo",
    "exit",
    "export",
    "fallocate",
    "false",
    "getent",
    "gpasswd",
    "grep",
    "groupadd",
    "groupmod",
    "head",
    "hostname",
    "hostnamectl",
    "id",
    "install",
    "ip",
    "ln",
    "locale-gen",
    "localectl",
    "ls",
    "mkdir",
    "mkfs.ext4",
    "mkfs.xfs",
    "mkswap",
    "mktemp",
    "modprobe",
    "mount",
    "mountpoint",
    "mv",
    "openssl",
    "printf",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "set",
    "sha256sum",
    "sleep",
    "sort",
    "ssh-keygen",
    "stat",
    "swapoff",
    "swapon",
    "sync",
    "sysctl",
    "systemctl",
    "tail",
    "tee",
    "test",
    "timedatectl",
    "touch",
    "tr",
    "true",
    "truncate",
    "ufw",
    "umask",
    "umount",
    "uname",
    "update-locale",
    "useradd",
    "usermod",
    "visudo",
    "wc",
];

/// Words of the shell after which a command stands.
const BEFORE_COMMANDS: &[&str] = &["if", "then", "elif", "else", "while", "until", "do", "!", "{"];
/// Words of the shell after which none does.
const AFTER_COMMANDS: &[&str] = &["fi", "done", "esac", "}"];

/// Whether a text that `user` (root where there is none) runs in a directory may
/// change which packages apt offers, and in which versions.
pub(super) fn may_configure_apt(text: &str, user: Option<&UserName>, directory: Option<&AbsPath>) -> bool {
    // Only root writes there.
    if user.is_some_and(|user| user.as_str() != "root")
        && !["sudo", "su", "doas", "pkexec"].iter().any(|p| has(text, p))
    {
        return false;
    }
    let about_packages = |text: &str| ["apt", "dpkg", "deb"].iter().any(|word| text.contains(word));
    let whole_trees = ["/", "/etc", "/etc/", "/etc/.", "/*"];
    about_packages(text)
        || text.split(|c: char| c.is_whitespace() || ";&|()'\"".contains(c)).any(|word| whole_trees.contains(&word))
        || directory.is_some_and(|directory| about_packages(directory.as_str()))
        || !text.split(['\n', ';', '&', '|', '(', ')', '`']).all(is_harmless)
}

/// Whether a word stands in a text.
fn has(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(|part| part == word)
}

/// Whether a simple command, or what looks like one, runs a program that is known.
fn is_harmless(command: &str) -> bool {
    let mut words = command.split_whitespace().peekable();
    loop {
        let Some(word) = words.next() else { return true };
        if word.starts_with('#') {
            return true;
        }
        // What comes before the program: variables that are set for it.
        if BEFORE_COMMANDS.contains(&word) || is_assignment(word) {
            continue;
        }
        // What a loop or `case` is about is no program.
        if matches!(word, "for" | "case") || AFTER_COMMANDS.contains(&word) {
            return true;
        }
        // /usr/local and other places have programs of the operator's.
        let system = ["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"];
        let name = system.iter().find_map(|top| word.strip_prefix(top)).unwrap_or(word);
        return PROGRAMS.contains(&name);
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    // PATH and the like decide which program a name means.
    name.is_some_and(|name| {
        !name.is_empty()
            && name != "PATH"
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "harmless_tests.rs"]
mod tests;
