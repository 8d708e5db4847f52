//! Names of stages.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The name of a stage: part of a file name, so never a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StageName(String);

/// Why a text is not such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a valid stage name: {reason}", text.escape_debug())]
pub struct InvalidStageName {
    text: String,
    reason: &'static str,
}

impl StageName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StageName {
    type Error = InvalidStageName;
    fn try_from(text: String) -> Result<Self, InvalidStageName> {
        text.parse()
    }
}

impl From<StageName> for String {
    fn from(name: StageName) -> String {
        name.0
    }
}

impl FromStr for StageName {
    type Err = InvalidStageName;
    fn from_str(text: &str) -> Result<Self, InvalidStageName> {
        let refuse = |reason| Err(InvalidStageName { text: text.to_owned(), reason });
        if text.is_empty() || text.len() > 64 {
            return refuse("it must have 1 to 64 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return refuse("only letters, digits, '-' and '_' may be in it");
        }
        if text.starts_with('-') {
            return refuse("it must not begin with '-'");
        }
        if text == "common" {
            return refuse("'common' is what lies beneath every stage; it cannot be used alone");
        }
        Ok(StageName(text.to_owned()))
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        for bad in ["", ".", "..", "../prod", "a/b", "a\\b", "/etc/passwd", "a.b", "-x", "common", "é", "a b", "a\0"] {
            assert!(bad.parse::<StageName>().is_err(), "{bad:?}");
        }
        assert_eq!("prod-eu_1".parse::<StageName>().unwrap().as_str(), "prod-eu_1");
    }
}
