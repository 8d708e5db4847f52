//! Names that hosts give to things: users, groups, units, packages, keys.
//!
//! Each type accepts what the tool that owns the name accepts, and nothing
//! that could be read as an option, a path or a second word.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Why a text is not a name of the wanted sort.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a valid {sort}: {reason}", text.escape_debug())]
pub struct InvalidName {
    sort: &'static str,
    text: String,
    reason: &'static str,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $sort:literal, $check:expr) => {
        name_type!($(#[$doc])* $name, $sort, $check, str::to_owned);
    };
    ($(#[$doc:meta])* $name:ident, $sort:literal, $check:expr, $form:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(text) {
                    Ok(()) => Ok(Self($form(text))),
                    Err(reason) => Err(InvalidName { sort: $sort, text: text.to_owned(), reason }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// A login name that a host may have, from whichever source of names: those
    /// of directory services have '@', '\\' and '$' in them. What passwd(5) and
    /// option parsers would misread is refused; whether a host's own tools make
    /// such a user, [`UserName::can_be_made`] tells.
    UserName, "user name", account
);
name_type!(
    /// A group name. Groups of directory services have spaces and '+' in
    /// theirs ("domain users"); what group(5) and option parsers would
    /// misread is refused.
    GroupName, "group name", group
);
name_type!(
    /// A systemd unit name with its type suffix, e.g. `docker.service` (systemd.unit(5)).
    UnitName, "unit name", unit
);
name_type!(
    /// A Debian package name, with an optional `:architecture` (Debian Policy 5.6.1).
    PackageName, "package name", package
);
name_type!(
    /// The name of an environment variable (POSIX.1-2017, 8.1).
    EnvKey, "environment variable name", env_key
);
name_type!(
    /// A kernel parameter, kept in dotted form, e.g. `net.ipv4.ip_forward`. The form
    /// with slashes, `net/ipv4/ip_forward`, is the same one (sysctl(8), sysctl.d(5)).
    SysctlKey, "sysctl key", sysctl_key, dotted
);
name_type!(
    /// A host name of RFC 1123 form, at most 253 characters.
    HostName, "host name", host
);

impl UserName {
    /// Whether `useradd` and systemd both take the name for a new user (useradd(8),
    /// systemd "User/Group Name Syntax", strict form with dots allowed, and the
    /// '$' of a machine's account at its end).
    ///
    /// # Errors
    /// They do not: why.
    pub fn can_be_made(&self) -> Result<(), &'static str> {
        new_account(&self.0)
    }
}

impl UnitName {
    /// A unit as operators name it: `.service` is added where there is no unit type.
    ///
    /// # Errors
    /// It is no unit's name: why.
    pub fn named(text: &str) -> Result<UnitName, <UnitName as std::str::FromStr>::Err> {
        text.parse().or_else(|error| format!("{text}.service").parse().map_err(|_| error))
    }

    /// Whether this is a template, such as `getty@.service`, of which only instances run.
    pub fn is_template(&self) -> bool {
        self.0.contains("@.")
    }
}

impl PackageName {
    /// The name without its architecture.
    pub fn bare(&self) -> &str {
        self.0.split(':').next().unwrap_or(&self.0)
    }

    /// Whether this is what apt on a host calls `name`: it leaves out the
    /// architecture where that is the host's own, `native`.
    pub fn names(&self, name: &str, native: &str) -> bool {
        self.0 == name || (self.takes(native, native) && self.bare() == name)
    }

    /// Whether a package of this name and architecture is the one that is meant
    /// on a host whose own is `native`, as apt reads it: `:all` and `:native`
    /// stand for the host's own, of which the packages for all architectures are.
    pub fn takes(&self, arch: &str, native: &str) -> bool {
        match self.0.split_once(':').map(|(_, wanted)| wanted) {
            None | Some("any") => true,
            Some("all" | "native") => native.is_empty() || arch == native || arch == "all",
            Some(wanted) => arch == wanted || arch == "all" && (wanted == native || native.is_empty()),
        }
    }
}

impl SysctlKey {
    /// The parameter's file. A dot separates, a slash stands for a dot within a word (sysctl.d(5)).
    pub fn proc_path(&self) -> String {
        format!("/proc/sys/{}", swapped(&self.0))
    }
}

/// With each dot as a slash and each slash as a dot.
fn swapped(key: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    key.chars().map(swap).collect()
}

/// A key in dotted form: the first separator tells in which form it is written (sysctl.d(5)).
fn dotted(key: &str) -> String {
    match key.chars().find(|c| matches!(c, '.' | '/')) {
        Some('/') => swapped(key),
        _ => key.to_owned(),
    }
}

fn all(text: &str, extra: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || extra.as_bytes().contains(&b))
}

fn account(text: &str) -> Result<(), &'static str> {
    let Some(first) = text.chars().next() else { return Err("it is empty") };
    // Only a directory service has long names, and two words for one, with its domain.
    let has_domain = text.contains(['@', '\\']);
    if !has_domain && text.len() > 32 {
        return Err("it is longer than 32 characters");
    }
    if text.len() > 256 {
        return Err("it is longer than 256 bytes");
    }
    if !(first.is_alphanumeric() || first == '_') {
        return Err("it must begin with a letter, a digit or '_'");
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err("it is a number, which would be taken for a user's number");
    }
    let takes_spaces = has_domain && !text.ends_with(' ');
    if !text.chars().all(|c| c.is_alphanumeric() || "_.-+@$&\\".contains(c) || c == ' ' && takes_spaces) {
        return Err("only letters, digits, '_', '-' and '.' may be in it");
    }
    Ok(())
}

fn new_account(text: &str) -> Result<(), &'static str> {
    let Some(first) = text.bytes().next() else { return Err("it is empty") };
    if text.len() > 32 {
        return Err("it is longer than 32 characters");
    }
    if !(first.is_ascii_alphabetic() || first == b'_') {
        return Err("it must begin with a letter or '_'");
    }
    if !all(text.strip_suffix('$').unwrap_or(text), "_.-") {
        return Err("only letters, digits, '_', '-' and '.' may be in it");
    }
    Ok(())
}

fn group(text: &str) -> Result<(), &'static str> {
    let Some(first) = text.chars().next() else { return Err("it is empty") };
    if text.len() > 256 {
        return Err("it is longer than 256 bytes");
    }
    if !(first.is_alphanumeric() || first == '_') {
        return Err("it must begin with a letter, a digit or '_'");
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err("it is a number, which would be taken for a group's number");
    }
    if text.ends_with(' ') || !text.chars().all(|c| c.is_alphanumeric() || " _.-+@$&\\".contains(c)) {
        return Err("only letters, digits, spaces and '_.-+@$&\\' may be in it, and no space at its end");
    }
    Ok(())
}

fn unit(text: &str) -> Result<(), &'static str> {
    const TYPES: [&str; 11] =
        ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];
    if text.len() > 255 {
        return Err("it is longer than 255 characters");
    }
    // The root mount and the root slice are named so (systemd.unit(5)); no other unit begins with '-'.
    if text == "-.mount" || text == "-.slice" {
        return Ok(());
    }
    if !all(text, ":_.\\@-") || text.starts_with('-') {
        return Err("only letters, digits and ':_.\\@-' may be in it");
    }
    match text.rsplit_once('.') {
        Some((stem, suffix)) if !stem.is_empty() && TYPES.contains(&suffix) => Ok(()),
        _ => Err("it must end in a unit type such as '.service' or '.socket'"),
    }
}

fn package(text: &str) -> Result<(), &'static str> {
    let (name, arch) = text.split_once(':').map_or((text, None), |(n, a)| (n, Some(a)));
    if name.len() < 2 || !name.as_bytes()[0].is_ascii_alphanumeric() {
        return Err("it must begin with a letter or digit and have at least two characters");
    }
    let lower =
        |s: &str, extra: &[u8]| s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || extra.contains(&b));
    if !lower(name, b"+-.") {
        return Err("only lower-case letters, digits, '+', '-' and '.' may be in it");
    }
    if arch.is_some_and(|a| a.is_empty() || !lower(a, b"-")) {
        return Err("the part after ':' is not an architecture");
    }
    if name.ends_with('-') || name.ends_with('+') && !name.ends_with("++") {
        return Err("apt reads a last '-' or '+' as an instruction");
    }
    Ok(())
}

fn env_key(text: &str) -> Result<(), &'static str> {
    match text.bytes().next() {
        None => Err("it is empty"),
        Some(b) if b.is_ascii_digit() => Err("it must not begin with a digit"),
        _ if !all(text, "_") => Err("only letters, digits and '_' may be in it"),
        _ => Ok(()),
    }
}

fn sysctl_key(text: &str) -> Result<(), &'static str> {
    let text = dotted(text);
    if !text.contains('.') || text.split('.').any(str::is_empty) {
        return Err("it must be words joined by dots, such as 'net.ipv4.ip_forward'");
    }
    // A '/' stands for a dot inside a word (an interface named eth0.1), as sysctl(8) has it.
    if !all(&text, "._-/") || text.contains("//") || text.starts_with(['-', '/']) {
        return Err("only letters, digits, '_', '-', '.' and '/' may be in it");
    }
    Ok(())
}

fn host(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 253 {
        return Err("it must have 1 to 253 characters");
    }
    let label = |l: &str| !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-') && all(l, "-_");
    if !text.split('.').all(label) {
        return Err("it must be labels of letters, digits and '-', joined by dots");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
#[path = "name_tests.rs"]
mod tests;
