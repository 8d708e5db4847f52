//! Absolute paths on a host, in normal form.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, str::FromStr};

/// An absolute path without `.`, `..`, empty parts or control characters.
///
/// `..` is refused rather than resolved: what it means depends on links that
/// only the host knows, so no plan could be exact about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbsPath(String);

/// Why a text is not such a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a usable path: {reason}", text.escape_debug())]
pub struct InvalidPath {
    text: String,
    reason: &'static str,
}

impl AbsPath {
    /// The path as text; begins with `/`, ends with `/` only if it is the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part, or `""` for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// The directory that holds this path; none for the root.
    pub fn parent(&self) -> Option<AbsPath> {
        let (dir, name) = self.0.rsplit_once('/')?;
        if name.is_empty() {
            return None;
        }
        Some(AbsPath(if dir.is_empty() { "/".to_owned() } else { dir.to_owned() }))
    }

    /// Every directory above this path, nearest first, the root last.
    pub fn ancestors(&self) -> impl Iterator<Item = AbsPath> {
        std::iter::successors(self.parent(), AbsPath::parent)
    }

    /// This path with further parts below it, checked like any other.
    ///
    /// # Errors
    /// When `below` is absolute or has a part that a path may not have.
    pub fn join(&self, below: &str) -> Result<AbsPath, InvalidPath> {
        if below.starts_with('/') {
            return Err(InvalidPath { text: below.to_owned(), reason: "it must be relative here" });
        }
        format!("{}/{below}", self.0.trim_end_matches('/')).parse()
    }

    /// Whether this path is `dir` or lies below it.
    pub fn is_within(&self, dir: &AbsPath) -> bool {
        self == dir || dir.0 == "/" || self.0.strip_prefix(&dir.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl FromStr for AbsPath {
    type Err = InvalidPath;
    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let refuse = |reason| Err(InvalidPath { text: text.to_owned(), reason });
        if !text.starts_with('/') {
            return refuse("it must be absolute (begin with '/')");
        }
        if text.len() > 4000 {
            return refuse("it is longer than 4000 bytes");
        }
        if text.chars().any(char::is_control) {
            return refuse("it has a control character");
        }
        let trimmed = if text.len() > 1 { text.trim_end_matches('/') } else { text };
        if trimmed.is_empty() {
            return refuse("it has an empty part ('//')");
        }
        for part in trimmed.split('/').skip(1) {
            match part {
                "" if trimmed.len() > 1 => return refuse("it has an empty part ('//')"),
                "." | ".." => return refuse("'.' and '..' are not allowed; write the path out"),
                _ if part.len() > 255 => return refuse("a part is longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(AbsPath(trimmed.to_owned()))
    }
}

impl TryFrom<String> for AbsPath {
    type Error = InvalidPath;
    fn try_from(text: String) -> Result<Self, InvalidPath> {
        text.parse()
    }
}

impl From<AbsPath> for String {
    fn from(path: AbsPath) -> String {
        path.0
    }
}

impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for AbsPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for AbsPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_depend_on_the_host_or_break_lines_are_refused() {
        for bad in ["", "etc", "/etc/../shadow", "/etc/./x", "/etc//x", "//", "/a\nb", "/a\0b", "/.."] {
            assert!(bad.parse::<AbsPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn odd_but_legal_names_pass_and_a_trailing_slash_is_dropped() {
        for good in ["/", "/etc/a b", "/etc/'\"$(x)", "/etc/-rf", "/etc/ü", "/etc/..."] {
            assert_eq!(good.parse::<AbsPath>().unwrap().as_str(), good);
        }
        assert_eq!("/etc/".parse::<AbsPath>().unwrap().as_str(), "/etc");
    }

    #[test]
    fn parents_and_containment() {
        let path: AbsPath = "/home/a/.ssh".parse().unwrap();
        let above: Vec<_> = path.ancestors().map(String::from).collect();
        assert_eq!(above, ["/home/a", "/home", "/"]);
        assert!(path.is_within(&"/home".parse().unwrap()));
        assert!(!"/homes/x".parse::<AbsPath>().unwrap().is_within(&"/home".parse().unwrap()));
        assert!(path.join("../x").is_err());
    }
}
