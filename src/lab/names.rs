//! Names: of hosts, of groups, of the containers behind them, and of bases.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::LabError;
use crate::values::sha256;

/// What a host is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// A container image, which is pulled when the engine lacks it.
    Image(String),
    /// A Debian or Ubuntu suite, built by mmdebstrap from this machine's mirror.
    Suite(String),
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(reference) => f.write_str(reference),
            Self::Suite(suite) => write!(f, "debootstrap:{suite}"),
        }
    }
}

impl FromStr for Base {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        let invalid = |reason| LabError::Invalid { what: "base", value: text.to_owned(), reason };
        if let Some(suite) = text.strip_prefix("debootstrap:") {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if suite.is_empty() || suite.starts_with('-') || !suite.chars().all(plain) {
                return Err(invalid("a suite is expected after debootstrap:, such as debootstrap:bookworm"));
            }
            return Ok(Self::Suite(suite.to_owned()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._/:@-".contains(c);
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(allowed) {
            return Err(invalid("an image such as ubuntu:24.04 or debootstrap:SUITE is expected"));
        }
        Ok(Self::Image(text.to_owned()))
    }
}

/// How a host is made to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostProfile {
    /// As an Ubuntu 24.04 cloud image: os-release, the user `ubuntu`, its
    /// sudoers file, `50-cloud-init.conf`, sshd behind `ssh.socket`.
    #[default]
    Ubuntu,
    /// As the base is; the only user who can log in is root.
    None,
}

impl HostProfile {
    /// The word on the command line and in the recipe.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ubuntu => "ubuntu",
            Self::None => "none",
        }
    }

    /// The user who logs in.
    #[must_use]
    pub fn user(self) -> &'static str {
        match self {
            Self::Ubuntu => "ubuntu",
            Self::None => "root",
        }
    }
}

impl FromStr for HostProfile {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        match text {
            "ubuntu" => Ok(Self::Ubuntu),
            "none" => Ok(Self::None),
            _ => {
                Err(LabError::Invalid { what: "profile", value: text.to_owned(), reason: "ubuntu or none is expected" })
            }
        }
    }
}

/// A type of host key, as `ssh-keygen -t` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyType {
    /// RSA, 3072 bits.
    Rsa,
    /// ECDSA on the curve P-256.
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

impl HostKeyType {
    /// Those that a cloud image makes.
    pub const ALL: [HostKeyType; 3] = [HostKeyType::Rsa, HostKeyType::Ecdsa, HostKeyType::Ed25519];
}

impl fmt::Display for HostKeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "rsa",
            Self::Ecdsa => "ecdsa",
            Self::Ed25519 => "ed25519",
        })
    }
}

impl FromStr for HostKeyType {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        Self::ALL.into_iter().find(|known| known.to_string() == text).ok_or_else(|| LabError::Invalid {
            what: "type of host key",
            value: text.to_owned(),
            reason: "rsa, ecdsa or ed25519 is expected",
        })
    }
}

/// Checks a host name: one label of RFC 1123 section 2.1, in lower case.
///
/// # Errors
/// [`LabError::Invalid`] with what is expected.
pub fn check_host_name(name: &str) -> Result<(), LabError> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=63).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(());
    }
    Err(LabError::Invalid {
        what: "host name",
        value: name.to_owned(),
        reason: "1 to 63 lower-case letters, digits and inner hyphens are expected",
    })
}

/// Checks a group name of the inventory.
///
/// # Errors
/// [`LabError::Invalid`] with what is expected.
pub fn check_group_name(name: &str) -> Result<(), LabError> {
    if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Ok(());
    }
    Err(LabError::Invalid {
        what: "group",
        value: name.to_owned(),
        reason: "letters, digits, hyphens and underscores are expected",
    })
}

/// Chooses the names of `count` new hosts.
///
/// Without a name the next free of `lab1`, `lab2`, … are taken; a given name
/// is used as it is for one host and numbered from 1 for several.
///
/// # Errors
/// [`LabError::NameTaken`], or [`LabError::Invalid`] for a bad name or count.
pub fn choose(name: Option<&str>, count: usize, taken: &[String]) -> Result<Vec<String>, LabError> {
    if !(1..=100).contains(&count) {
        let value = count.to_string();
        return Err(LabError::Invalid { what: "count", value, reason: "1 to 100 hosts are expected" });
    }
    let Some(name) = name else {
        let free = (1_u32..).map(|n| format!("lab{n}")).filter(|name| !taken.contains(name));
        return Ok(free.take(count).collect());
    };
    let names: Vec<String> = match count {
        1 => vec![name.to_owned()],
        _ => (1..=count).map(|n| format!("{name}-{n}")).collect(),
    };
    for name in &names {
        check_host_name(name)?;
        if taken.contains(name) {
            return Err(LabError::NameTaken { name: name.clone() });
        }
    }
    Ok(names)
}

/// The name of a host's container and of its volume: unique per state
/// directory, so that two labs on one engine never meet.
pub(crate) fn container(state_dir: &Path, host: &str) -> String {
    format!("stockade-lab-{}-{host}", &sha256(state_dir.as_os_str().as_encoded_bytes())[..8])
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
